package exec

import (
	"context"
	"testing"

	"pgregory.net/rapid"

	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/physical"
	"stele/sql/vec"
)

// addingStream adds up some of its batches and yields the others.
type addingStream struct {
	memStream
	yields []bool
	added  int
}

func (s *addingStream) AddUp(ctx context.Context, totals []vec.Total) (rows int64, b *vec.Batch, err error) {
	for {
		if b, err = s.Next(ctx); b == nil || err != nil || s.yields[s.pulled-1] {
			return rows, b, err
		}
		for c, v := range b.Cols {
			if v.Dec != nil {
				for _, d := range v.Dec {
					totals[c].Add(vec.Total{Sum: d})
				}
				totals[c].N += int64(b.N - v.NullCount())
				continue
			}
			totals[c].Add(vec.TotalOf(v.I64, v.Type.Unsigned, int64(b.N-v.NullCount())))
		}
		rows += int64(b.N)
		s.added++
	}
}

// TestTotalsMatchRows: sums and counts that the source adds up are those of its rows.
func TestTotalsMatchRows(t *testing.T) {
	ts := []types.ColumnType{{Kind: types.KindBigInt}, {Kind: types.KindDecimal, Length: 15, Scale: 2}, {Kind: types.KindBigInt, Unsigned: true},
		{Kind: types.KindDecimal, Length: 30, Scale: 4}}
	rapid.Check(t, func(t *rapid.T) {
		src := &addingStream{}
		for range rapid.IntRange(0, 4).Draw(t, "batches") {
			b := vec.NewBuilder(ts, 8)
			for range rapid.IntRange(1, 20).Draw(t, "rows") {
				x := rapid.SampledFrom([]int64{0, -1, 5, 1 << 62, -1 << 62, 1<<63 - 1}).Draw(t, "x")
				row := []vec.Value{vec.Int(x), vec.Int(x >> 20), vec.Int(x), vec.Dec(vec.Int128Of(x))}
				if rapid.IntRange(0, 9).Draw(t, "null") == 0 {
					row[rapid.IntRange(0, 3).Draw(t, "which")] = vec.NullValue()
				}
				b.AppendValues(row...)
			}
			src.batches = append(src.batches, b.Finish())
			src.yields = append(src.yields, rapid.Bool().Draw(t, "yields"))
		}
		f := &physical.Fragment{Columns: []types.ColumnID{1, 2, 3, 4}, Agg: &physical.Agg{Partial: true, Aggs: []expr.AggFunc{aggOver(t, "count", ts, -1, false)}}}
		for c := range ts {
			for _, name := range []string{"sum", "avg", "count"} {
				fn := aggOver(t, name, ts, c, false)
				fn.Arg = expr.Col(c, ts[c]) // as the planner leaves it: no cast to what it is
				f.Agg.Aggs = append(f.Agg.Aggs, fn)
			}
		}
		out, err := PartialTypes(f.Agg)
		if err != nil {
			t.Fatal(err)
		}
		run := func(in Stream) []row {
			s, err := RunFragment(f, in, 1, expr.Context{}, NewMemory(1<<20))
			if err != nil {
				t.Fatal(err)
			}
			return collect(t, s)
		}
		want := run(&memStream{batches: src.batches})
		wantSame(t, out, run(src), want, true)
		for i, yields := range src.yields {
			if !yields && src.added == 0 {
				t.Fatalf("batch %d was not added up", i)
			}
		}
	})
}

// TestTotalsOnlyWhereTheyAreAll: a source adds up for nobody who wants more than totals.
func TestTotalsOnlyWhereTheyAreAll(t *testing.T) {
	ts := []types.ColumnType{tInt, tInt}
	x := expr.Col(0, tInt)
	sum := aggOver(t, "sum", ts, 0, false)
	sum.Arg = x
	of := func(fs ...expr.AggFunc) *physical.Agg { return &physical.Agg{Partial: true, Aggs: fs} }
	twice := sum
	twice.Arg = expr.MustCall("+", x, x)
	for name, f := range map[string]physical.Fragment{
		"filter":                       {Filter: expr.MustCall(">", x, expr.ConstInt(3)), Agg: of(sum)},
		"groups":                       {Agg: &physical.Agg{Partial: true, Group: cols(ts, 0), Aggs: []expr.AggFunc{sum}}},
		"expression":                   {Agg: of(twice)},
		"distinct":                     {Agg: of(aggOver(t, "count", ts, 0, true))},
		"minimum":                      {Agg: of(sum, aggOver(t, "min", ts, 0, false))},
		"a column that nobody adds up": {Columns: []types.ColumnID{1, 2}, Agg: of(sum)},
	} {
		if f.Columns == nil {
			f.Columns = []types.ColumnID{1}
		}
		want := runFragment(t, &f, numbers(100))
		src := &addingStream{memStream: *numbers(100), yields: []bool{false}}
		got := runFragment(t, &f, src)
		if src.added > 0 {
			t.Errorf("%s: rows were added up", name)
		}
		out, err := PartialTypes(f.Agg)
		if err != nil {
			t.Fatal(err)
		}
		wantSame(t, out, got, want, false)
	}
}
