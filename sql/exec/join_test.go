package exec

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/physical"
	"stele/sql/vec"
)

// tri is three-valued logic.
type tri int

const (
	no tri = iota
	unknown
	yes
)

var joinTypes = []types.ColumnType{tInt, tStr, tDouble}

// dumbKeys is the conjunction of the key equalities.
func dumbKeys(l, r row, keys []int) tri {
	out := yes
	for _, c := range keys {
		switch {
		case l[c].Null || r[c].Null:
			out = min(out, unknown)
		case compare(joinTypes[c], l[c], r[c]) != 0:
			return no
		}
	}
	return out
}

// dumbOn is left.c0 < right.c0, or nothing.
func dumbOn(l, r row, on bool) tri {
	switch {
	case !on:
		return yes
	case l[0].Null || r[0].Null:
		return unknown
	case l[0].I < r[0].I:
		return yes
	}
	return no
}

// dumbJoin returns false when a scalar subquery has two rows.
func dumbJoin(kind physical.JoinKind, left, right []row, keys []int, on bool) ([]row, bool) {
	var out []row
	for _, l := range left {
		matches, maybe := 0, false
		for _, r := range right {
			k, o := dumbKeys(l, r, keys), dumbOn(l, r, on)
			if k == yes && o == yes {
				matches++
				if kind == physical.JoinInner || kind == physical.JoinLeft || kind == physical.JoinScalar {
					out = append(out, append(append(row{}, l...), r...))
				}
			}
			maybe = maybe || len(keys) > 0 && k == unknown && o == yes || len(keys) == 0 && o == unknown
		}
		switch kind {
		case physical.JoinScalar, physical.JoinLeft:
			if matches == 0 {
				out = append(out, append(append(row{}, l...), vec.NullValue(), vec.NullValue(), vec.NullValue()))
			}
			if matches > 1 && kind == physical.JoinScalar {
				return nil, false
			}
		case physical.JoinSemi:
			if matches > 0 {
				out = append(out, l)
			}
		case physical.JoinAnti:
			if matches == 0 {
				out = append(out, l)
			}
		case physical.JoinAntiNull:
			if matches == 0 && !maybe {
				out = append(out, l)
			}
		}
	}
	return out, true
}

func joinNode(kind physical.JoinKind, left, right *physical.Node, keys []int, on bool) *physical.Node {
	j := &physical.Join{Kind: kind, Left: cols(joinTypes, keys...), Right: cols(joinTypes, keys...)}
	if on {
		j.On = expr.MustCall("<", expr.Col(0, tInt), expr.Col(len(joinTypes), tInt))
	}
	return &physical.Node{Join: j, Children: []*physical.Node{left, right}}
}

// oneOfEach leaves out rows whose keys an earlier one has.
func oneOfEach(rows []row, keys []int) []row {
	var out []row
	for _, r := range rows {
		if !slices.ContainsFunc(out, func(o row) bool { return dumbKeys(o, r, keys) == yes }) {
			out = append(out, r)
		}
	}
	return out
}

// picked returns the elements at some positions.
func picked[T any](at []int, of []T) []T {
	var out []T
	for _, i := range at {
		out = append(out, of[i])
	}
	return out
}

func pickedRows(at []int, rows []row) []row {
	var out []row
	for _, r := range rows {
		out = append(out, picked(at, r))
	}
	return out
}

func TestJoinMatchesModel(t *testing.T) {
	dir := dirs(t.TempDir())
	both := append(append([]types.ColumnType{}, joinTypes...), joinTypes...)
	rapid.Check(t, func(rt *rapid.T) {
		kind := physical.JoinKind(rapid.IntRange(0, int(physical.JoinScalar)).Draw(rt, "kind"))
		keys := rapid.SampledFrom([][]int{{}, {0}, {1}, {2}, {0, 1}, {0, 2}}).Draw(rt, "keys")
		on := rapid.Bool().Draw(rt, "on")
		tiny := rapid.Bool().Draw(rt, "tiny")
		left := genTable(joinTypes, 60).Draw(rt, "left")
		right := genTable(joinTypes, 60).Draw(rt, "right")
		if kind == physical.JoinScalar && rapid.Bool().Draw(rt, "few") && len(right.rows) > 1 {
			right.rows = right.rows[:1] // else nearly every case is an error
		}
		if rapid.Bool().Draw(rt, "unique") {
			right.rows = oneOfEach(right.rows, keys)
		}
		env := testEnv(dir, tiny)
		env.Mem.floor = int64(rapid.IntRange(128, 8<<10).Draw(rt, "floor"))
		n := joinNode(kind, source(joinTypes, left.stream(rt), env), source(joinTypes, right.stream(rt), env), keys, on)
		want, ok := dumbJoin(kind, left.rows, right.rows, keys, on)
		outs := both
		if !yieldsPairs(kind) {
			outs = joinTypes
		}
		if rapid.Bool().Draw(rt, "some") {
			n.Join.Keep = rapid.SliceOfNDistinct(rapid.IntRange(0, len(outs)-1), 1, len(outs), rapid.ID).Draw(rt, "keep")
			slices.Sort(n.Join.Keep)
			outs, want = picked(n.Join.Keep, outs), pickedRows(n.Join.Keep, want)
		}
		got, err := tryCollect(t.Context(), build(rt, n, env))
		wantFree(rt, env.Mem)
		if !ok {
			wantCode(rt, err, 1242)
			return
		}
		if err != nil {
			rt.Fatalf("join: %v", err)
		}
		wantSame(rt, outs, got, want, false)
	})
}

// numbers is a stream of one BIGINT column 0..n-1.
func numbers(n int) *memStream {
	s := &memStream{}
	for at := 0; at < n; at += vec.MaxRows {
		b := vec.NewBuilder([]types.ColumnType{tInt}, vec.MaxRows)
		for i := at; i < min(at+vec.MaxRows, n); i++ {
			b.AppendValues(vec.Int(int64(i)))
		}
		s.batches = append(s.batches, b.Finish())
	}
	return s
}

func TestJoinSpills(t *testing.T) {
	const n = 30_000
	ts := []types.ColumnType{tInt}
	env := testEnv(t, true)
	env.Mem.floor = 64 << 10
	left, right := source(ts, numbers(n), env), source(ts, numbers(n+500), env)
	j := &physical.Join{Kind: physical.JoinLeft, Left: cols(ts, 0), Right: cols(ts, 0)}
	rows := collect(t, build(t, &physical.Node{Join: j, Children: []*physical.Node{left, right}}, env))
	if len(rows) != n || env.Mem.Spilled() == 0 {
		t.Fatalf("%d rows, %d bytes spilled", len(rows), env.Mem.Spilled())
	}
	for _, r := range rows {
		if r[0].I != r[1].I || r[1].Null {
			t.Fatalf("row %v", r)
		}
	}
	wantFree(t, env.Mem)
}

// TestJoinTakesBlocks has right sides that no partitioning can part, and then no temporary files for them.
func TestJoinTakesBlocks(t *testing.T) {
	const n = 10_000
	ts := []types.ColumnType{tInt}
	one := []*expr.Node{expr.ConstInt(1)}
	same := expr.MustCall("=", expr.Col(0, tInt), expr.Col(1, tInt))
	for name, tc := range map[string]struct {
		join physical.Join
		want int
	}{
		"nested loop": {physical.Join{Kind: physical.JoinInner, On: same}, 9},
		"one key":     {physical.Join{Kind: physical.JoinLeft, Left: one, Right: one, On: same}, 9},
		"not in":      {physical.Join{Kind: physical.JoinAntiNull, Left: cols(ts, 0), Right: cols(ts, 0)}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			env := testEnv(t, true)
			plan := func() *physical.Node {
				return &physical.Node{Join: &tc.join, Children: []*physical.Node{source(ts, numbers(9), env), source(ts, numbers(n), env)}}
			}
			if rows := collect(t, build(t, plan(), env)); len(rows) != tc.want || env.Mem.Spilled() == 0 {
				t.Fatalf("%d rows, %d bytes spilled", len(rows), env.Mem.Spilled())
			}
			wantFree(t, env.Mem)
			env.SpillDir = NoSpill
			_, err := tryCollect(t.Context(), build(t, plan(), env))
			wantCode(t, err, 1041)
			wantFree(t, env.Mem)
		})
	}
}

func TestJoinRefusesUnlikeKeys(t *testing.T) {
	env := testEnv(t, false)
	left, right := source([]types.ColumnType{tDec}, numbers(1), env), source([]types.ColumnType{tInt}, numbers(1), env)
	j := &physical.Join{Left: cols([]types.ColumnType{tDec}, 0), Right: cols([]types.ColumnType{tInt}, 0)}
	if _, err := Build(&physical.Node{Join: j, Children: []*physical.Node{left, right}}, env); err == nil {
		t.Fatalf("a join of a decimal with an integer was built")
	}
}
