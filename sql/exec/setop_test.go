package exec

import (
	"testing"

	"pgregory.net/rapid"

	"stele/meta/types"
	"stele/sql/physical"
)

var setTypes = []types.ColumnType{tInt, tDouble}

func dumbSetOp(op physical.SetOp, sides [][]row) []row {
	key := func(r row) string { return showRows(setTypes, []row{r})[0] }
	acc := sides[0]
	for _, right := range sides[1:] {
		count := map[string]int{}
		for _, r := range right {
			count[key(r)]++
		}
		var out []row
		for _, r := range acc {
			k := key(r)
			found := count[k] > 0
			if found && op.All {
				count[k]--
			}
			if op.Name == "union" || found == (op.Name == "intersect") {
				out = append(out, r)
			}
		}
		if op.Name == "union" {
			out = append(out, right...)
		}
		acc = out
	}
	if op.All {
		return acc
	}
	seen := map[string]bool{}
	var out []row
	for _, r := range acc {
		if !seen[key(r)] {
			seen[key(r)] = true
			out = append(out, r)
		}
	}
	return out
}

func TestSetOpMatchesModel(t *testing.T) {
	dir := dirs(t.TempDir())
	rapid.Check(t, func(rt *rapid.T) {
		op := physical.SetOp{Name: rapid.SampledFrom([]string{"union", "intersect", "except"}).Draw(rt, "op"), All: rapid.Bool().Draw(rt, "all")}
		env := testEnv(dir, rapid.Bool().Draw(rt, "tiny"))
		env.Mem.floor = 6 << 10
		n := &physical.Node{SetOp: &op, Schema: schemaOf(setTypes)}
		var sides [][]row
		for range rapid.IntRange(2, 3).Draw(rt, "children") {
			tab := genTable(setTypes, 120).Draw(rt, "table")
			sides = append(sides, tab.rows)
			n.Children = append(n.Children, source(setTypes, tab.stream(rt), env))
		}
		wantSame(rt, setTypes, collect(rt, build(rt, n, env)), dumbSetOp(op, sides), false)
		wantFree(rt, env.Mem)
	})
}

func TestSetOpSpills(t *testing.T) {
	const n = 20_000
	ts := []types.ColumnType{tInt}
	env := testEnv(t, true)
	env.Mem.floor = 64 << 10
	node := &physical.Node{SetOp: &physical.SetOp{Name: "except", All: true}, Schema: schemaOf(ts),
		Children: []*physical.Node{source(ts, shuffled(n+7), env), source(ts, numbers(n), env)}}
	rows := collect(t, build(t, node, env))
	if len(rows) != 7 || env.Mem.Spilled() == 0 {
		t.Fatalf("%d rows, %d bytes spilled", len(rows), env.Mem.Spilled())
	}
	wantFree(t, env.Mem)
}
