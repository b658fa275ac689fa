package exec

import (
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/physical"
	"stele/sql/vec"
)

func genSortKeys(rt *rapid.T, most int) []expr.SortKey {
	var keys []expr.SortKey
	for range rapid.IntRange(1, most).Draw(rt, "keys") {
		c := rapid.IntRange(0, len(allCols)-1).Draw(rt, "key")
		keys = append(keys, expr.SortKey{Expr: expr.Col(c, allCols[c]), Desc: rapid.Bool().Draw(rt, "desc")})
	}
	return keys
}

func compareBy(keys []expr.SortKey, a, b row) int {
	for _, k := range keys {
		c := compare(k.Expr.Type, a[k.Expr.Col], b[k.Expr.Col])
		if k.Desc {
			c = -c
		}
		if c != 0 {
			return c
		}
	}
	return 0
}

func dumbSort(rows []row, keys []expr.SortKey, limit, offset int64) []row {
	out := slices.Clone(rows)
	slices.SortStableFunc(out, func(a, b row) int { return compareBy(keys, a, b) })
	out = out[min(int(offset), len(out)):]
	if limit > 0 {
		out = out[:min(int(limit), len(out))]
	}
	return out
}

func TestSortMatchesModel(t *testing.T) {
	dir := dirs(t.TempDir())
	rapid.Check(t, func(rt *rapid.T) {
		tab := genTable(allCols, 200).Draw(rt, "table")
		spec := &physical.Sort{Keys: genSortKeys(rt, 3)}
		spec.Limit = int64(rapid.SampledFrom([]int{0, 0, 1, 7, 1000}).Draw(rt, "limit"))
		spec.Offset = int64(rapid.SampledFrom([]int{0, 0, 3, 50}).Draw(rt, "offset"))
		env := testEnv(dir, rapid.Bool().Draw(rt, "tiny"))
		s := build(rt, &physical.Node{Sort: spec, Children: []*physical.Node{source(allCols, tab.stream(rt), env)}}, env)
		// Equal keys stay in order of arrival, so even ties must agree.
		wantSame(rt, allCols, collect(rt, s), dumbSort(tab.rows, spec.Keys, spec.Limit, spec.Offset), true)
		wantFree(rt, env.Mem)
	})
}

// TestSortByLongKeys: keys of one length whose first columns have few values are told apart by what comes late in them.
// TestSortOfAscendingParts: rows that come in order but for some places.
func TestSortOfAscendingParts(t *testing.T) {
	dir := dirs(t.TempDir())
	rapid.Check(t, func(rt *rapid.T) {
		tab := genTable(allCols, 200).Draw(rt, "table")
		spec := &physical.Sort{Keys: genSortKeys(rt, 2), Limit: int64(rapid.SampledFrom([]int{0, 7, 150}).Draw(rt, "limit"))}
		parts := rapid.IntRange(1, mostAscending+2).Draw(rt, "parts")
		for i := range parts {
			part := tab.rows[len(tab.rows)*i/parts : len(tab.rows)*(i+1)/parts]
			slices.SortStableFunc(part, func(a, b row) int { return compareBy(spec.Keys, a, b) })
		}
		env := testEnv(dir, false)
		s := build(rt, &physical.Node{Sort: spec, Children: []*physical.Node{source(allCols, tab.stream(rt), env)}}, env)
		wantSame(rt, allCols, collect(rt, s), dumbSort(tab.rows, spec.Keys, spec.Limit, 0), true)
	})
}

func TestSortByLongKeys(t *testing.T) {
	ts := []types.ColumnType{tInt, tInt}
	rapid.Check(t, func(rt *rapid.T) {
		tab := &table{types: ts}
		few := rapid.IntRange(1, 300).Draw(rt, "few")
		for range rapid.IntRange(0, 60).Draw(rt, "rows") {
			tab.rows = append(tab.rows, row{vec.Int(int64(rapid.IntRange(1, few).Draw(rt, "first"))), vec.Int(int64(rapid.IntRange(-3, 3).Draw(rt, "second")))})
		}
		env := testEnv(t, false)
		spec := &physical.Sort{Keys: []expr.SortKey{{Expr: expr.Col(0, tInt)}, {Expr: expr.Col(1, tInt), Desc: rapid.Bool().Draw(rt, "desc")}}}
		s := build(rt, &physical.Node{Sort: spec, Children: []*physical.Node{source(ts, tab.stream(rt), env)}}, env)
		wantSame(rt, ts, collect(rt, s), dumbSort(tab.rows, spec.Keys, 0, 0), true)
	})
}

// shuffled is a stream of one column with the numbers 0..n-1 in a scattered order.
func shuffled(n int) *memStream {
	s := &memStream{}
	b := vec.NewBuilder([]types.ColumnType{tInt}, 500)
	for i := range n {
		b.AppendValues(vec.Int(int64(i) * 7919 % int64(n)))
		if b.Len() == 500 || i == n-1 {
			s.batches = append(s.batches, b.Cut())
		}
	}
	return s
}

func TestSortMergesManyRuns(t *testing.T) {
	const n = 30_000 // in runs of one batch: more than are merged at once
	ts := []types.ColumnType{tInt}
	for _, tc := range []struct {
		name          string
		limit, offset int64
		want          int
	}{
		{name: "all", want: n},
		{name: "limit beyond memory", limit: 10_000, offset: 5000, want: 10_000},
	} {
		t.Run(tc.name, func(t *testing.T) {
			env := testEnv(t, true)
			spec := &physical.Sort{Keys: []expr.SortKey{{Expr: expr.Col(0, tInt)}}, Limit: tc.limit, Offset: tc.offset}
			rows := collect(t, build(t, &physical.Node{Sort: spec, Children: []*physical.Node{source(ts, shuffled(n), env)}}, env))
			if len(rows) != tc.want || env.Mem.Spilled() == 0 {
				t.Fatalf("%d rows, %d bytes spilled", len(rows), env.Mem.Spilled())
			}
			for i, r := range rows {
				if r[0].I != int64(i)+tc.offset {
					t.Fatalf("row %d is %d", i, r[0].I)
				}
			}
			wantFree(t, env.Mem)
		})
	}
}

func TestTopNStaysSmall(t *testing.T) {
	const n = 200_000
	ts := []types.ColumnType{tInt}
	env := testEnv(t, false)
	spec := &physical.Sort{Keys: []expr.SortKey{{Expr: expr.Col(0, tInt), Desc: true}}, Limit: 10}
	rows := collect(t, build(t, &physical.Node{Sort: spec, Children: []*physical.Node{source(ts, shuffled(n), env)}}, env))
	if len(rows) != 10 || rows[0][0].I != n-1 || rows[9][0].I != n-10 {
		t.Fatalf("top ten: %v", rows)
	}
	if env.Mem.Peak() > 1<<20 {
		t.Fatalf("the ten first of %d rows took %d bytes", n, env.Mem.Peak())
	}
}

// TestFolder: the budget of all queries says where the temporary files of each are.
func TestFolder(t *testing.T) {
	env, asked := testEnv(t, false), 0
	env.SpillDir = ""
	pool := NewMemory(1 << 30)
	gone := errors.New("no folder")
	pool.Folder = func() (string, error) {
		asked++
		return "", gone
	}
	env.Mem = NewMemoryIn(pool, 1<<20)
	spec := &physical.Sort{Keys: []expr.SortKey{{Expr: expr.Col(0, tInt)}}}
	s := build(t, &physical.Node{Sort: spec, Children: []*physical.Node{source([]types.ColumnType{tInt}, shuffled(200_000), env)}}, env)
	if _, err := tryCollect(t.Context(), s); !errors.Is(err, gone) || asked != 1 {
		t.Errorf("asked %d times: %v", asked, err)
	}
}

func TestSortWithoutTemporaryFiles(t *testing.T) {
	env := testEnv(t, true)
	env.SpillDir = NoSpill
	spec := &physical.Sort{Keys: []expr.SortKey{{Expr: expr.Col(0, tInt)}}}
	s := build(t, &physical.Node{Sort: spec, Children: []*physical.Node{source([]types.ColumnType{tInt}, shuffled(9000), env)}}, env)
	_, err := tryCollect(t.Context(), s)
	wantCode(t, err, 1038)
	wantFree(t, env.Mem)
}
