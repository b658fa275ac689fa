package tablet

import (
	"context"
	"maps"
	"testing"

	"stele/be/tablet/rowset"
	"stele/meta/types"
)

// TestReuseGivesTheSameRows scans rowsets, a schema's later column, deleted rows and a memtable with vectors filled again.
func TestReuseGivesTheSameRows(t *testing.T) {
	_, tb := newTestTablet(t)
	want := make(map[rowKey]int64)
	for round := range 3 {
		var rows []row
		for i := range 5000 {
			r := row{int64(i*3 + round), "t", int64(i % 700)}
			if i%50 == 0 {
				r.val = -1
			}
			rows = append(rows, r)
			want[rowKey{r.id, r.tag}] = r.val
		}
		commit(t, tb, puts(t, rows...))
		if round < 2 {
			if err := tb.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	var gone []row
	for i := range 900 {
		gone = append(gone, row{int64(i * 7), "t", 0})
		delete(want, rowKey{int64(i * 7), "t"})
	}
	commit(t, tb, deletesPayload(t, gone...))
	next := testSchema()
	next.Version = 2
	next.Columns = append(next.Columns, types.Column{ID: 9, Type: types.ColumnType{Kind: types.KindInt}})
	if err := tb.SetSchema(next, nil); err != nil {
		t.Fatal(err)
	}
	snap, err := tb.Current()
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Release()
	got := make(map[rowKey]int64)
	it := snap.Scan(append(append([]types.ColumnID(nil), allColumns...), 9), ScanOptions{Reuse: true})
	for {
		b, err := it.Next(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if b == nil {
			break
		}
		if b.Cols[len(allColumns)].NullCount() != b.N {
			t.Fatal("a column that nobody wrote has values")
		}
		b.Cols = b.Cols[:len(allColumns)]
		readBatch(t, b, got)
		b.Cols = b.Cols[:len(allColumns)+1]
	}
	if !maps.Equal(got, want) {
		t.Fatalf("%d rows, want %d", len(got), len(want))
	}
}

// TestReadAheadOfAnyMemory asks for pages of a row group that is a mapping, and of bytes that are none.
func TestReadAheadOfAnyMemory(t *testing.T) {
	willNeed(nil)
	willNeed(make([]byte, 3*pageSize))
	s, tb := newTestTablet(t)
	var rows []row
	for i := range 30_000 {
		rows = append(rows, row{int64(i), "t", int64(i * 7919)})
	}
	commit(t, tb, puts(t, rows...))
	if err := tb.Flush(); err != nil {
		t.Fatal(err)
	}
	asked := 0
	for _, r := range tb.rowsets {
		for g := range r.groups {
			if err := s.viewGroup(r.group(g), func(group *rowset.Group) error {
				for _, id := range allColumns {
					b := group.ColumnBytes(group.Column(id))
					asked += len(b)
					willNeed(b)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if st := tb.Stats(); asked < int(st.Bytes)/2 {
		t.Fatalf("%d bytes of columns in %d", asked, st.Bytes)
	}
}
