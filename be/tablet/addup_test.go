package tablet

import (
	"testing"

	"stele/meta/types"
	"stele/sql/vec"
)

// TestAddUp: what a scan adds up and what it returns are together the rows of the version, in every state that rows can be in.
func TestAddUp(t *testing.T) {
	_, tb := newTestTablet(t)
	versions := []types.Version{}
	step := func(payload []byte, flush bool) {
		versions = append(versions, commit(t, tb, payload))
		if flush {
			if err := tb.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	step(puts(t, manyRows(0, 3*vec.MaxRows)...), true)
	step(puts(t, manyRows(10_000, 10_000+5000)...), true)
	step(deletesPayload(t, manyRows(vec.MaxRows+7, vec.MaxRows+9)...), false) // in one vector of the first
	step(puts(t, manyRows(20_000, 20_010)...), false)                         // stays in memory
	for _, merge := range []bool{false, true} {
		if merge {
			if err := tb.CompactAll(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for _, v := range versions {
			s, err := tb.Snapshot(v)
			if err != nil {
				t.Fatal(err)
			}
			added := sameTotals(t, s, []types.ColumnID{1, 3})
			if whole := int64(vec.MaxRows); added < whole && !merge {
				t.Errorf("version %d: %d rows were added up as a whole", v, added)
			}
			sameTotals(t, s, nil)
			sameTotals(t, s, []types.ColumnID{5, 1})
			if added := sameTotals(t, s, []types.ColumnID{1, 6}); added > 0 {
				t.Errorf("version %d: %d texts were added up", v, added)
			}
			s.Release()
		}
	}
}

// sameTotals compares the totals of integer columns with those of the rows that Next returns, and returns how many rows were added up.
func sameTotals(t *testing.T, s *Snapshot, cols []types.ColumnID) (added int64) {
	t.Helper()
	add := func(to []vec.Total, b *vec.Batch) {
		b = b.Compact()
		for c, v := range b.Cols {
			n := int64(b.N - v.NullCount())
			switch {
			case v.I64 != nil:
				to[c].Add(vec.TotalOf(v.I64[:b.N], v.Type.Unsigned, n))
			case v.Dec != nil:
				for _, d := range v.Dec[:b.N] {
					to[c].Add(vec.Total{Sum: d})
				}
				to[c].N += n
			}
		}
	}
	want, got := make([]vec.Total, len(cols)), make([]vec.Total, len(cols))
	rows, seen := 0, 0
	it := s.Scan(cols, ScanOptions{Reuse: true})
	for {
		b, err := it.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if b == nil {
			break
		}
		rows += b.Rows()
		add(want, b)
	}
	it = s.Scan(cols, ScanOptions{Reuse: true})
	for {
		n, b, err := it.AddUp(t.Context(), got)
		if err != nil {
			t.Fatal(err)
		}
		added += n
		if b == nil {
			break
		}
		seen += b.Rows()
		add(got, b)
	}
	if int(added)+seen != rows {
		t.Fatalf("version %d, columns %v: %d rows added up and %d returned, want %d", s.Version(), cols, added, seen, rows)
	}
	for c := range want {
		if got[c] != want[c] {
			t.Errorf("version %d, column %d: %v, want %v", s.Version(), cols[c], got[c], want[c])
		}
	}
	return added
}

// TestAddUpNoMoreThanAsked: a scan of so many rows returns them.
func TestAddUpNoMoreThanAsked(t *testing.T) {
	_, tb := newTestTablet(t)
	commit(t, tb, puts(t, manyRows(0, 100)...))
	if err := tb.Flush(); err != nil {
		t.Fatal(err)
	}
	s, err := tb.Current()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Release()
	totals := make([]vec.Total, 1)
	rows, b, err := s.Scan([]types.ColumnID{1}, ScanOptions{MaxRows: 7}).AddUp(t.Context(), totals)
	if err != nil || rows != 0 || b.Rows() != 7 || totals[0] != (vec.Total{}) {
		t.Fatalf("%d rows, %v, %v, %v", rows, b, totals, err)
	}
}
