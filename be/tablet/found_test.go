package tablet

import (
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"stele/be/tablet/wire"
	"stele/meta/types"
	"stele/sql/rowset"
	"stele/sql/vec"
)

// change reads a row of the newest version and hands over where it was found; what, if not nil, happens before it is published.
func change(t rapid.TB, tb *Tablet, r row, op types.RowOp, what func()) {
	t.Helper()
	schema := tb.Schema()
	w := &Written{Schema: schema, Ops: []types.RowOp{op}, Rows: batchOf([]row{r})}
	for _, c := range schema.Columns[len(w.Rows.Cols):] {
		w.Rows.Cols = append(w.Rows.Cols, rowset.Initial(&c, 1))
	}
	ids := make([]types.ColumnID, len(schema.Columns))
	for i := range ids {
		ids[i] = schema.Columns[i].ID
	}
	w.Old = make([]Found, 1)
	if _, _, _, err := tb.GetAt(tb.Version(), keyOf(rowKey{r.id, r.tag}), ids, &w.Old[0]); err != nil {
		t.Fatal(err)
	}
	publishWritten(t, tb, w, what)
}

// changeMany has some rows located and hands over where they are; what is as that of change.
func changeMany(t rapid.TB, tb *Tablet, rows []row, ops []types.RowOp, what func()) {
	t.Helper()
	schema := tb.Schema()
	w := &Written{Schema: schema, Ops: ops, Rows: batchOf(rows)}
	for _, c := range schema.Columns[len(w.Rows.Cols):] {
		w.Rows.Cols = append(w.Rows.Cols, rowset.Initial(&c, len(rows)))
	}
	w.Keys = vec.EncodeKeys(w.Rows, schema.KeyIndexes())
	var err error
	if _, w.Old, err = tb.Locate(w.Keys); err != nil {
		t.Fatal(err)
	}
	publishWritten(t, tb, w, what)
}

// publishWritten makes rows the next version.
func publishWritten(t rapid.TB, tb *Tablet, w *Written, what func()) {
	t.Helper()
	payload, err := wire.Encode(w.Schema, w.Ops, w.Rows)
	if err != nil {
		t.Fatal(err)
	}
	txn := types.TxnID(1_000_000 + tb.Version())
	if taken, err := tb.PrepareWritten(txn, 0, payload, w); !taken || err != nil {
		t.Fatalf("taken %v, %v", taken, err)
	}
	if what != nil {
		what()
	}
	if err := tb.Publish(txn, tb.Version()+1); err != nil {
		t.Fatal(err)
	}
}

// TestFoundRows changes rows that were read before, while rowsets come and go between the read and the change, and holds the rows
// against a map and the digest against a scan.
func TestFoundRows(t *testing.T) {
	s, next := openStore(t, t.TempDir(), testOptions()), types.TabletID(0)
	rapid.Check(t, func(rt *rapid.T) {
		next++
		tb, err := s.Create(testMeta(next))
		if err != nil {
			rt.Fatal(err)
		}
		commit(t, tb, puts(t, manyRows(0, 5000)...))
		if err := tb.Flush(); err != nil {
			rt.Fatal(err)
		}
		changeFoundRows(rt, tb, rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1)))
	})
}

func changeFoundRows(t *rapid.T, tb *Tablet, rnd *rand.Rand) {
	want := map[int64]int64{}
	for _, r := range manyRows(0, 5000) {
		want[r.id] = r.val
	}
	between := []func(){nil, nil, nil, nil, nil, nil, func() {
		if err := tb.Flush(); err != nil {
			t.Fatal(err)
		}
	}, func() {
		if err := tb.CompactAll(t.Context()); err != nil {
			t.Fatal(err)
		}
	}, func() {
		if err := tb.advanceDigest(t.Context()); err != nil {
			t.Fatal(err)
		}
	}, func() {
		schema := *tb.Schema()
		schema.Version++
		if schema.Version == 5 { // a column that is not NULL in the rows that are there
			schema.Columns = append(slices.Clone(schema.Columns), types.Column{ID: 9, Name: "new", Type: types.ColumnType{Kind: types.KindText}, Initial: &types.Initial{Bytes: []byte("x")}})
		}
		if err := tb.SetSchema(schema); err != nil {
			t.Fatal(err)
		}
	}}
	for range 60 {
		r := row{rnd.Int64N(300), "t", rnd.Int64N(1000)}
		if rnd.IntN(2) == 0 {
			var rows []row
			var ops []types.RowOp
			for _, id := range rnd.Perm(300)[:1+rnd.IntN(30)] {
				rows, ops = append(rows, row{int64(id), "t", rnd.Int64N(1000)}), append(ops, types.OpPut)
				if want[int64(id)] = rows[len(rows)-1].val; rnd.IntN(3) == 0 {
					ops[len(ops)-1] = types.OpDelete
					delete(want, int64(id))
				}
			}
			changeMany(t, tb, rows, ops, between[rnd.IntN(len(between))])
		} else if rnd.IntN(4) == 0 {
			change(t, tb, r, types.OpDelete, between[rnd.IntN(len(between))])
			delete(want, r.id)
		} else {
			change(t, tb, r, types.OpPut, between[rnd.IntN(len(between))])
			want[r.id] = r.val
		}
		if rnd.IntN(10) == 0 {
			wantDigest(t, tb, "on the way")
		}
	}
	wantDigest(t, tb, "in the end")
	for id := range int64(310) {
		got, found := readRow(t, tb, row{id, "t", 0})
		if v, there := want[id]; found != there || found && got != v {
			t.Errorf("row %d is %d, %v; want %d, %v", id, got, found, v, there)
		}
	}
	if n := tb.Stats().Rows; n != int64(len(want)) {
		t.Errorf("%d rows, want %d", n, len(want))
	}
}

// TestFoundRowsAreNotReadAgain: neither publishing nor the digest opens a row group for a row that its writer had read.
func TestFoundRowsAreNotReadAgain(t *testing.T) {
	reads, opt := &groupReads{}, testOptions()
	opt.Faults.Read = reads.read
	tb, err := openStore(t, t.TempDir(), opt).Create(testMeta(1))
	if err != nil {
		t.Fatal(err)
	}
	commit(t, tb, puts(t, manyRows(0, 5000)...))
	if err := tb.Flush(); err != nil {
		t.Fatal(err)
	}
	for i := range int64(20) {
		reads.n.Store(0)
		change(t, tb, row{i * 7, "t", 5}, types.RowOp(i%2), nil)
		if n := reads.n.Load(); n != 1 {
			t.Fatalf("change %d read %d row groups, not one", i, n)
		}
	}
	reads.n.Store(0)
	if err := tb.advanceDigest(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := reads.n.Load(); n != 0 {
		t.Fatalf("the digest read %d row groups", n)
	}
	if n := len(tb.digest.ended); n != 0 {
		t.Errorf("%d rows are kept that are counted", n)
	}
	wantDigest(t, tb, "in the end")
}

// TestLocatedRowsAreNotSoughtAgain: publishing opens no row group for rows that their writer has located.
func TestLocatedRowsAreNotSoughtAgain(t *testing.T) {
	reads, opt := &groupReads{}, testOptions()
	opt.Faults.Read = reads.read
	tb, err := openStore(t, t.TempDir(), opt).Create(testMeta(1))
	if err != nil {
		t.Fatal(err)
	}
	commit(t, tb, puts(t, manyRows(0, 5000)...))
	if err := tb.Flush(); err != nil {
		t.Fatal(err)
	}
	rows := []row{{7, "t", 1}, {1000, "t", 2}, {4999, "t", 3}, {6000, "t", 4}}
	ops := []types.RowOp{types.OpPut, types.OpDelete, types.OpPut, types.OpPut}
	changeMany(t, tb, rows, ops, func() { reads.n.Store(0) })
	if n := reads.n.Load(); n != 0 {
		t.Errorf("publishing read %d row groups", n)
	}
	wantDigest(t, tb, "of rows that were located")
	if n := tb.Stats().Rows; n != 5000 {
		t.Errorf("%d rows, want 5000", n)
	}
}
