package exec

import (
	"context"
	"errors"
	"testing"

	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/physical"
	"stele/sql/vec"
)

// tabletStream yields its batches from several tablets.
type tabletStream struct {
	memStream
	ids []types.TabletID
}

func (s *tabletStream) Tablet() types.TabletID { return s.ids[s.pulled-1] }

func runFragment(t *testing.T, f *physical.Fragment, in Stream) []row {
	t.Helper()
	mem := NewMemory(1 << 20)
	s, err := RunFragment(f, in, 42, expr.Context{}, mem)
	if err != nil {
		t.Fatalf("fragment: %v", err)
	}
	rows := collect(t, s)
	wantFree(t, mem)
	return rows
}

func TestFragment(t *testing.T) {
	ts := []types.ColumnType{tInt}
	x := expr.Col(0, tInt)
	for _, tc := range []struct {
		name string
		f    physical.Fragment
		want []row
	}{
		{"filter, project, tablet, top-N: Offset is left to the receiver", physical.Fragment{
			Filter:       expr.MustCall("<", x, expr.ConstInt(10)),
			Project:      []*expr.Node{expr.MustCall("*", x, expr.ConstInt(2))},
			TabletColumn: true,
			TopN:         &physical.Sort{Keys: []expr.SortKey{{Expr: x, Desc: true}}, Limit: 1, Offset: 1},
		}, []row{{vec.Int(18), vec.Int(42)}, {vec.Int(16), vec.Int(42)}}},
		{"limit", physical.Fragment{Limit: 2}, []row{{vec.Int(0)}, {vec.Int(1)}}},
		{"no columns", physical.Fragment{Project: []*expr.Node{}, Limit: 2}, []row{{}, {}}},
		{"nothing passes: a global partial aggregate still has its row", physical.Fragment{
			Filter: expr.MustCall("<", x, expr.ConstInt(0)),
			Agg:    &physical.Agg{Partial: true, Aggs: []expr.AggFunc{aggOver(t, "count", ts, -1, false), aggOver(t, "sum", ts, 0, false)}},
		}, []row{{vec.Int(0), vec.NullValue()}}},
		{"nothing passes: no groups", physical.Fragment{
			Filter: expr.MustCall("<", x, expr.ConstInt(0)),
			Agg:    &physical.Agg{Partial: true, Group: cols(ts, 0)},
		}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in := numbers(3000)
			got := runFragment(t, &tc.f, in)
			wantSame(t, []types.ColumnType{tInt, tInt}, got, tc.want, true)
			if !in.closed {
				t.Fatalf("the input was not closed")
			}
		})
	}
}

func TestFragmentOverTablets(t *testing.T) {
	in := &tabletStream{memStream: *numbers(3 * vec.MaxRows), ids: []types.TabletID{8, 8, 9}}
	f := &physical.Fragment{Filter: expr.MustCall(">", expr.Col(0, tInt), expr.ConstInt(1)), TabletColumn: true}
	count := map[int64]int{}
	for _, r := range runFragment(t, f, in) {
		count[r[1].I]++
	}
	if count[8] != 2*vec.MaxRows-2 || count[9] != vec.MaxRows {
		t.Fatalf("rows of tablets: %v", count)
	}
}

// TestScanThroughFragments runs a plan as FE and BE do together: each tablet's fragment, encoded, then the merge.
func TestScanThroughFragments(t *testing.T) {
	ts := []types.ColumnType{tInt}
	partial := physical.Agg{Partial: true, Aggs: []expr.AggFunc{aggOver(t, "avg", ts, 0, false), aggOver(t, "count", ts, 0, true)}}
	merge := partial
	merge.Partial, merge.Merge = false, true
	states, err := PartialTypes(&partial)
	if err != nil {
		t.Fatal(err)
	}
	env := testEnv(t, false)
	env.Scan = func(ctx context.Context, scan *physical.Scan) (Stream, error) {
		out := &memStream{}
		for _, id := range scan.Tablets {
			s, err := RunFragment(&scan.Fragment, numbers(int(id)*1000), id, env.Expr, env.Mem)
			if err != nil {
				return nil, err
			}
			for b, err := s.Next(ctx); b != nil; b, err = s.Next(ctx) {
				if err != nil {
					return nil, err
				}
				if b, err = vec.Decode(vec.Encode(nil, b)); err != nil {
					return nil, err
				}
				out.batches = append(out.batches, b)
			}
			s.Close()
		}
		return out, nil
	}
	plan := func(schema []types.ColumnType, tablets ...types.TabletID) *physical.Node {
		scan := &physical.Node{Scan: &physical.Scan{TableID: 1, Tablets: tablets, Fragment: physical.Fragment{Agg: &partial}}, Schema: schemaOf(schema)}
		return &physical.Node{Agg: &merge, Children: []*physical.Node{scan}}
	}
	got := collect(t, build(t, plan(states, 1, 3), env))
	// (0+…+999 + 0+…+2999) / 4000 = 1249.5, and the tablets share a thousand values
	wantSame(t, aggTypes(&merge), got, []row{{vec.Dec(vec.Int128Of(12495000)), vec.Int(3000)}}, true)
	got = collect(t, build(t, plan(states), env)) // every bucket pruned
	wantSame(t, aggTypes(&merge), got, []row{{vec.NullValue(), vec.Int(0)}}, true)
	if _, err := tryCollect(t.Context(), build(t, plan(states[:1], 1), env)); err == nil {
		t.Fatalf("a scan that yields other columns than the plan says was taken")
	}
}

func TestPartialAggregationFlushes(t *testing.T) {
	const n = partialGroups + 5000
	ts := []types.ColumnType{tInt}
	spec := &physical.Agg{Partial: true, Group: cols(ts, 0), Aggs: []expr.AggFunc{aggOver(t, "count", ts, -1, false)}}
	mem := NewMemory(1 << 30)
	s, err := RunFragment(&physical.Fragment{Agg: spec}, numbers(n), 1, expr.Context{}, mem)
	if err != nil {
		t.Fatal(err)
	}
	if rows := collect(t, s); len(rows) != n {
		t.Fatalf("%d groups", len(rows))
	}
	mem = NewMemory(1) // nothing but the floor
	mem.floor = 16 << 10
	s, err = RunFragment(&physical.Fragment{Agg: spec}, numbers(20_000), 1, expr.Context{}, mem)
	if err != nil {
		t.Fatal(err)
	}
	if rows := collect(t, s); len(rows) != 20_000 || mem.Spilled() != 0 {
		t.Fatalf("%d groups, %d bytes spilled", len(rows), mem.Spilled())
	}
}

// plans is one plan an operator, over children that never end.
func plans(t *testing.T) map[string]func(src func() *physical.Node) *physical.Node {
	ts := []types.ColumnType{tInt}
	key := []expr.SortKey{{Expr: expr.Col(0, tInt)}}
	over := func(n physical.Node, children ...*physical.Node) *physical.Node {
		n.Children, n.Schema = children, schemaOf(ts)
		return &n
	}
	return map[string]func(func() *physical.Node) *physical.Node{
		"filter": func(src func() *physical.Node) *physical.Node {
			return over(physical.Node{Filter: expr.MustCall("<", expr.Col(0, tInt), expr.ConstInt(-1))}, src())
		},
		"agg": func(src func() *physical.Node) *physical.Node {
			return over(physical.Node{Agg: &physical.Agg{Aggs: []expr.AggFunc{aggOver(t, "sum", ts, 0, false)}}}, src())
		},
		"join build": func(src func() *physical.Node) *physical.Node {
			return over(physical.Node{Join: &physical.Join{Left: cols(ts, 0), Right: cols(ts, 0)}}, src(), src())
		},
		"sort": func(src func() *physical.Node) *physical.Node {
			return over(physical.Node{Sort: &physical.Sort{Keys: key, Limit: 5}}, src())
		},
		"limit": func(src func() *physical.Node) *physical.Node {
			return over(physical.Node{Limit: &physical.Limit{Offset: 1 << 60, Count: 1}}, src())
		},
		"set operation": func(src func() *physical.Node) *physical.Node {
			return over(physical.Node{SetOp: &physical.SetOp{Name: "except"}}, src(), src())
		},
		"window": func(src func() *physical.Node) *physical.Node {
			return over(physical.Node{Window: &physical.Window{Funcs: []physical.WindowFunc{{Name: "rank", Type: tInt}}}}, src())
		},
		"union": func(src func() *physical.Node) *physical.Node {
			return over(physical.Node{Filter: expr.MustCall("<", expr.Col(0, tInt), expr.ConstInt(-1))},
				over(physical.Node{Union: true}, src(), src()))
		},
	}
}

// endless repeats a batch and cancels the query after a while.
type endless struct {
	batch  *vec.Batch
	left   int
	cancel context.CancelCauseFunc
	closed int
}

var errKilled = errors.New("query was killed")

func (e *endless) Next(context.Context) (*vec.Batch, error) {
	if e.left--; e.left == 0 {
		e.cancel(errKilled)
	}
	return e.batch, nil
}

func (e *endless) Close() { e.closed++ }

func TestCancellation(t *testing.T) {
	for name, plan := range plans(t) {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			env := testEnv(t, false)
			var ins []*endless
			root := plan(func() *physical.Node {
				in := &endless{batch: numbers(100).batches[0], left: 20, cancel: cancel}
				ins = append(ins, in)
				return source([]types.ColumnType{tInt}, in, env)
			})
			s := build(t, root, env)
			if _, err := tryCollect(ctx, s); !errors.Is(err, errKilled) {
				t.Fatalf("got error %v", err)
			}
			s.Close() // a second time
			opened := 0
			for _, in := range ins {
				if in.left < 20 {
					opened++
					if in.closed == 0 {
						t.Fatalf("an input was not closed")
					}
				}
			}
			if opened == 0 {
				t.Fatalf("no input was read")
			}
			wantFree(t, env.Mem)
		})
	}
}

// TestSourceErrors makes the source fail at its first, second, … batch.
func TestSourceErrors(t *testing.T) {
	for name, plan := range plans(t) {
		for at := range 3 {
			env := testEnv(t, true)
			env.Mem.floor = 1 << 10
			root := plan(func() *physical.Node {
				return source([]types.ColumnType{tInt}, &failing{memStream: *numbers(5 * vec.MaxRows), at: at}, env)
			})
			if _, err := tryCollect(t.Context(), build(t, root, env)); err == nil {
				t.Fatalf("%s: the error at batch %d is lost", name, at)
			}
			wantFree(t, env.Mem)
		}
	}
}

type failing struct {
	memStream
	at int
}

func (f *failing) Next(ctx context.Context) (*vec.Batch, error) {
	if f.pulled == f.at {
		return nil, errKilled
	}
	return f.memStream.Next(ctx)
}
