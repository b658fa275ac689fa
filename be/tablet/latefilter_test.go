package tablet

import (
	"errors"
	"fmt"
	"maps"
	"testing"

	"pgregory.net/rapid"

	"stele/sql/vec"
)

// remainders is a step that rows pass whose id, or n, has a remainder below some number; a row whose n is NULL passes no step of n.
type remainders struct{ column, by, below int64 }

func (r remainders) passes(b *vec.Batch, row int) bool {
	v := b.Cols[r.column]
	return !v.IsNull(row) && v.I64[row]%r.by < r.below
}

// stepsOf makes a filter of steps. Each notes how many rows it was asked about.
func stepsOf(rs []remainders, looked []int, fails int) *Filter {
	var steps []Step
	for k, r := range rs {
		steps = append(steps, Step{Columns: []int{int(r.column)}, Keep: func(b *vec.Batch) (sel []int32, err error) {
			looked[k] += b.Rows()
			if k == fails {
				return nil, errors.New("a condition that cannot be told")
			}
			for i := range b.Rows() {
				if row := b.Row(i); r.passes(b, row) {
					sel = append(sel, int32(row))
				}
			}
			return sel, nil
		}})
	}
	f := &Filter{Steps: func() ([]Step, error) { return steps, nil }}
	for _, r := range rs {
		f.Columns = append(f.Columns, int(r.column))
	}
	return f
}

// TestStepsOfAFilter: whatever the steps of a filter are, a scan returns all rows that pass them, as they are in a model, with all their
// columns, and asks each step only about what those before it have left.
func TestStepsOfAFilter(t *testing.T) {
	_, tb := newTestTablet(t)
	rows := manyRows(0, 9000)
	for i := range rows {
		if i%7 == 0 {
			rows[i].val = -1
		}
	}
	commit(t, tb, puts(t, rows...))
	if err := tb.Flush(); err != nil {
		t.Fatal(err)
	}
	commit(t, tb, deletesPayload(t, rows[100:200]...))
	commit(t, tb, puts(t, manyRows(9000, 9100)...)) // in memory
	s, err := tb.Current()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Release()
	all := scanAll(t, s, ScanOptions{})
	rapid.Check(t, func(rt *rapid.T) {
		rs := make([]remainders, rapid.IntRange(1, 3).Draw(rt, "steps"))
		for i := range rs {
			by := rapid.Int64Range(1, 1000).Draw(rt, fmt.Sprint("by", i))
			rs[i] = remainders{rapid.SampledFrom([]int64{0, 2}).Draw(rt, fmt.Sprint("column", i)), by, rapid.Int64Range(0, by).Draw(rt, fmt.Sprint("below", i))}
		}
		looked, fails := make([]int, len(rs)), rapid.IntRange(-3, len(rs)-1).Draw(rt, "fails")
		got := scanAll(t, s, ScanOptions{Filter: stepsOf(rs, looked, fails), Reuse: rapid.Bool().Draw(rt, "reuse")})
		want := maps.Clone(all)
		maps.DeleteFunc(want, func(k rowKey, val int64) bool { return !passAll(rs, k.id, val) })
		for k, val := range want {
			if v, there := got[k]; !there || v != val {
				rt.Fatalf("row %v is %d, %t, not %d", k, v, there, val)
			}
		}
		for k := 1; k < len(looked); k++ {
			if looked[k] > looked[k-1] {
				rt.Fatalf("the steps were asked about %v rows", looked)
			}
		}
	})
}

func passAll(rs []remainders, id, val int64) bool {
	for _, r := range rs {
		x := id
		if r.column == 2 {
			x = val
		}
		if x < 0 || x%r.by >= r.below {
			return false
		}
	}
	return true
}
