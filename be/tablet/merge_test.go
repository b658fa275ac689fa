package tablet

import (
	"bytes"
	"slices"
	"testing"

	"stele/be/tablet/wire"
	"stele/meta/types"
	"stele/sql/rowset"
	"stele/sql/vec"
)

// wideMeta is a tablet of keys and texts.
func wideMeta() Meta {
	m := testMeta(1)
	m.Schema = types.Schema{TableID: 1, Version: 1, Key: []types.ColumnID{1}, Columns: []types.Column{
		{ID: 1, Name: "id", Type: types.ColumnType{Kind: types.KindBigInt, NotNull: true}},
		{ID: 2, Name: "s", Type: types.ColumnType{Kind: types.KindText}},
	}}
	return m
}

// wideText is the value of a row: from nothing to more than a merge gathers at once.
func wideText(id int64) []byte {
	size := int(id * 7919 % 300)
	switch {
	case id%97 == 0:
		size = 300 << 10
	case id%1009 == 0:
		size = mergeBytes + 5
	}
	return bytes.Repeat([]byte{byte('a' + id%26)}, size)
}

// TestWideRowsAreCutByBytes: a row group has about groupBytes of rows however few these are, so a scan has no more than that in memory at once,
// and a merge neither.
func TestWideRowsAreCutByBytes(t *testing.T) {
	s := openStore(t, t.TempDir(), testOptions())
	tb, err := s.Create(wideMeta())
	if err != nil {
		t.Fatal(err)
	}
	const rows, width = 240, 100 << 10
	writeWide(t, tb, 0, rows/2, width)
	wantCut(t, tb, width)
	writeWide(t, tb, rows/2, rows, width)
	if err := tb.CompactAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantCut(t, tb, width)
	snap, err := tb.Current()
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Release()
	it, n := snap.Scan([]types.ColumnID{1, 2}, ScanOptions{}), 0
	for {
		b, err := it.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if b == nil {
			break
		}
		if b.Size() > groupBytes+groupBytes/4 {
			t.Errorf("a scan has %d bytes of rows in memory", b.Size())
		}
		n += b.Rows()
	}
	if n != rows {
		t.Errorf("%d of %d rows", n, rows)
	}
}

// writeWide writes rows in the order of their keys, few at a time, so that they lie in a memtable in that order, and flushes them.
func writeWide(t *testing.T, tb *Tablet, from, to int64, width int) {
	t.Helper()
	const each = 4
	schema := tb.Schema()
	for id := from; id < to; id += each {
		b := vec.NewBuilder([]types.ColumnType{schema.Columns[0].Type, schema.Columns[1].Type}, each)
		for i := range int64(each) {
			b.AppendValues(vec.Int(id+i), vec.Str(bytes.Repeat([]byte{byte('a' + id%26)}, width)))
		}
		p, err := wire.Encode(schema, make([]types.RowOp, each), b.Finish())
		if err != nil {
			t.Fatal(err)
		}
		commit(t, tb, p)
	}
	if err := tb.Flush(); err != nil {
		t.Fatal(err)
	}
}

func wantCut(t *testing.T, tb *Tablet, width int) {
	t.Helper()
	for _, r := range tb.rowsets {
		for _, g := range r.groups {
			if raw := int(g.Rows) * width; raw > groupBytes+groupBytes/8 {
				t.Errorf("rowset %d: a row group of %d rows has %d bytes of them", r.entry.ID, g.Rows, raw)
			}
		}
	}
}

// TestMergeOfInputsThatTakeTurns: rows of all widths, NULLs and deleted rows among them, by turns one by one and in runs.
func TestMergeOfInputsThatTakeTurns(t *testing.T) {
	s := openStore(t, t.TempDir(), testOptions())
	tb, err := s.Create(wideMeta())
	if err != nil {
		t.Fatal(err)
	}
	const inputs, rows = 3, 6000
	schema := tb.Schema()
	write := func(op types.RowOp, wanted func(id int64) bool) (n int) {
		b := vec.NewBuilder([]types.ColumnType{schema.Columns[0].Type, schema.Columns[1].Type}, rows)
		for id := range int64(rows) {
			if wanted(id) {
				value := vec.Str(wideText(id))
				if id%5 == 0 {
					value = vec.NullValue()
				}
				b.AppendValues(vec.Int(id), value)
				n++
			}
		}
		p, err := wire.Encode(schema, slices.Repeat([]types.RowOp{op}, n), b.Finish())
		if err != nil {
			t.Fatal(err)
		}
		commit(t, tb, p)
		if err := tb.Flush(); err != nil {
			t.Fatal(err)
		}
		return n
	}
	want := 0
	for in := range int64(inputs) {
		want += write(types.OpPut, func(id int64) bool { return id < 3000 && id%inputs == in || id >= 3000 && id/500%inputs == in })
	}
	gone := func(id int64) bool { return id%11 == 3 }
	want -= write(types.OpDelete, gone)
	if err := tb.CompactAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if st := tb.Stats(); st.Rowsets != 1 {
		t.Fatalf("%d rowsets after the merge", st.Rowsets)
	}
	for _, g := range tb.rowsets[0].groups {
		if g.Rows > rowset.MaxGroupRows {
			t.Errorf("a row group of %d rows", g.Rows)
		}
	}
	if got := wideRows(t, tb, gone); got != want {
		t.Fatalf("%d rows, want %d", got, want)
	}
}

// wideRows reads all rows in the order in which they are stored, and checks each.
func wideRows(t *testing.T, tb *Tablet, gone func(int64) bool) (n int) {
	t.Helper()
	s, err := tb.Current()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Release()
	last := int64(-1)
	for it := s.Scan([]types.ColumnID{1, 2}, ScanOptions{}); ; {
		b, err := it.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if b == nil {
			return n
		}
		b = b.Compact()
		for i, id := range b.Cols[0].I64 {
			if id <= last || gone(id) {
				t.Fatalf("row %d after row %d", id, last)
			}
			if null := b.Cols[1].IsNull(i); null != (id%5 == 0) || !null && !bytes.Equal(b.Cols[1].Bytes(i), wideText(id)) {
				t.Fatalf("row %d has another value", id)
			}
			last = id
			n++
		}
	}
}
