package tablet

import (
	"bytes"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"stele/be/tablet/wire"
	"stele/meta/types"
	"stele/sql/vec"
)

// TestWrittenRows holds the rows of which a payload was made against those that are read out of it.
func TestWrittenRows(t *testing.T) {
	schema := testSchema()
	newer := testSchema()
	newer.Version++
	rapid.Check(t, func(t *rapid.T) {
		rows := make([]row, rapid.IntRange(1, 70).Draw(t, "rows"))
		for i := range rows {
			rows[i] = row{rapid.Int64().Draw(t, "id"), rapid.StringN(0, 3, 10).Draw(t, "tag"), rapid.Int64Range(-2, 5).Draw(t, "val")}
		}
		w := &Written{Schema: &schema, Ops: make([]types.RowOp, len(rows)), Rows: batchOf(rows)}
		for i := range w.Ops {
			w.Ops[i] = rapid.SampledFrom([]types.RowOp{types.OpPut, types.OpDelete}).Draw(t, "op")
		}
		for _, v := range w.Rows.Cols { // as planners have them
			v.Type.NotNull = v.Type.NotNull && rapid.Bool().Draw(t, "not null")
			if v.Type.Kind == types.KindVarChar {
				v.Type.Length = rapid.Int32Range(0, 20).Draw(t, "length")
			}
		}
		payload, err := wire.Encode(&schema, w.Ops, w.Rows)
		if err != nil {
			t.Fatal(err)
		}
		ops, read, err := wire.Decode(&schema, payload)
		if err != nil {
			t.Fatal(err)
		}
		w.Keys = vec.EncodeKeys(w.Rows, schema.KeyIndexes())
		known, keys := w.by(&schema)
		if known == nil || !slices.Equal(ops, w.Ops) {
			t.Fatalf("written %v", known)
		}
		same := *known
		if !slices.Contains(ops, types.OpPut) { // of rows that are deleted the payload has the keys
			same.Cols = slices.Clone(known.Cols)
			for i := range same.Cols {
				if !slices.Contains(schema.Key, schema.Columns[i].ID) {
					same.Cols[i] = read.Cols[i]
				}
			}
		}
		if !bytes.Equal(vec.Encode(nil, &same), vec.Encode(nil, read)) {
			t.Fatalf("written %v, read %v", known, read)
		}
		if keys != nil && !slices.EqualFunc(keys, vec.EncodeKeys(read, schema.KeyIndexes()), bytes.Equal) {
			t.Fatal("keys of other types were taken")
		}
		for i, v := range known.Cols {
			if v.Type != schema.Columns[i].Type {
				t.Fatalf("column %d is a %v", i, v.Type)
			}
		}
		if rows, _ := w.by(&newer); rows != nil {
			t.Fatal("taken for rows of another schema")
		}
	})
}

// TestWrittenOtherwise: what is not as the store has it is read from the payload.
func TestWrittenOtherwise(t *testing.T) {
	schema := testSchema()
	for name, change := range map[string]func(b *vec.Batch){
		"a selection":            func(b *vec.Batch) { b.Sel = []int32{1} },
		"a longer column":        func(b *vec.Batch) { b.N = 1 },
		"another form":           func(b *vec.Batch) { b.Cols[2].Type = types.ColumnType{Kind: types.KindDouble} },
		"an int under a NULL":    func(b *vec.Batch) { b.Cols[2].Valid = []uint64{1} },
		"a float under a NULL":   func(b *vec.Batch) { b.Cols[3].Valid = []uint64{1} },
		"a decimal under a NULL": func(b *vec.Batch) { b.Cols[4].Valid = []uint64{1} },
		"columns less":           func(b *vec.Batch) { b.Cols = b.Cols[:5] },
	} {
		w := &Written{Schema: &schema, Ops: make([]types.RowOp, 2), Rows: batchOf([]row{{1, "a", 1}, {2, "b", 2}})}
		if rows, _ := w.by(&schema); rows == nil {
			t.Fatal("rows as they are stored were not taken")
		}
		change(w.Rows)
		if rows, _ := w.by(&schema); rows != nil {
			t.Errorf("%s was taken", name)
		}
	}
}

// TestPrepareWritten publishes a part by the rows that it was made of, and has it read from the disk after a restart.
func TestPrepareWritten(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, testOptions())
	tb, err := s.Create(testMeta(1))
	if err != nil {
		t.Fatal(err)
	}
	want := []row{{1, "a", 1}, {2, "b", -1}, {3, "c", 3}}
	schema := tb.Schema()
	w := &Written{Schema: schema, Ops: make([]types.RowOp, len(want)), Rows: batchOf(want)}
	payload, err := wire.Encode(schema, w.Ops, w.Rows)
	if err != nil {
		t.Fatal(err)
	}
	if taken, err := tb.PrepareWritten(7, 0, payload, w); !taken || err != nil {
		t.Fatalf("taken %v, %v", taken, err)
	}
	if tb.pending[7].parts[0].decoded.rows.Cols[0] != w.Rows.Cols[0] {
		t.Error("the rows were read out of the payload")
	}
	if err := tb.Publish(7, tb.Version()+1); err != nil {
		t.Fatal(err)
	}
	check := func(tb *Tablet) {
		t.Helper()
		for _, r := range want {
			if got, found := readRow(t, tb, r); !found || got != r.val {
				t.Errorf("row %d is %d, %v", r.id, got, found)
			}
		}
	}
	check(tb)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	tb, ok := openStore(t, dir, testOptions()).Tablet(1)
	if !ok {
		t.Fatal("no tablet after a restart")
	}
	check(tb)
}

// readRow returns n of a row, -1 for NULL.
func readRow(t rapid.TB, tb *Tablet, r row) (int64, bool) {
	t.Helper()
	key := vec.EncodeKeys(batchOf([]row{r}), tb.Schema().KeyIndexes())[0]
	b, found, _, err := tb.GetAt(tb.Version(), key, []types.ColumnID{3}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !found || b.Cols[0].IsNull(0) {
		return -1, found
	}
	return b.Cols[0].I64[0], true
}
