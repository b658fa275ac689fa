package tablet

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"

	"stele/be/tablet/sought"
	"stele/be/tablet/wire"
	"stele/meta/types"
	"stele/sql/rowset"
	"stele/sql/vec"
)

// decades are rows of narrowSchema, of which each ten that follow one another have a sum of 0.
type decades struct {
	tb     *Tablet
	schema types.Schema
	n      []int64
	rnd    *rand.Rand
}

func (d *decades) batch(rows ...int64) *vec.Batch {
	b := &vec.Batch{N: len(rows)}
	for i := range d.schema.Columns {
		b.Cols = append(b.Cols, rowset.NewVector(d.schema.Columns[i].Type, len(rows)))
	}
	text := make([]byte, 20+d.rnd.IntN(300))
	for _, row := range rows {
		for i, x := range []int64{row, 1, d.n[row]} {
			rowset.AppendRow(b.Cols[i], &vec.Vector{N: 1, I64: []int64{x}}, 0)
		}
		rowset.AppendRow(b.Cols[3], &vec.Vector{N: 1, Off: []uint32{0, uint32(len(text))}, Data: text}, 0)
	}
	return b
}

func (d *decades) put(t *testing.T, rows ...int64) {
	payload, err := wire.Encode(&d.schema, make([]types.RowOp, len(rows)), d.batch(rows...))
	if err != nil {
		t.Fatal(err)
	}
	commit(t, d.tb, payload)
}

// touch changes the text of a row that was read before.
func (d *decades) touch(t *testing.T, row int64) {
	w := &Written{Schema: &d.schema, Ops: []types.RowOp{types.OpPut}, Rows: d.batch(row), Old: make([]Found, 1)}
	key := vec.EncodeKeys(w.Rows, d.schema.KeyIndexes())[0]
	_, found, _, err := d.tb.GetAt(d.tb.Version(), key, []types.ColumnID{1, 2, 3, 4}, &w.Old[0])
	if err != nil || !found {
		t.Fatalf("row %d: %v, %v", row, found, err)
	}
	payload, err := wire.Encode(&d.schema, w.Ops, w.Rows)
	if err != nil {
		t.Fatal(err)
	}
	txn := types.TxnID(1_000_000 + d.tb.Version())
	if taken, err := d.tb.PrepareWritten(txn, 0, payload, w); !taken || err != nil {
		t.Fatalf("taken %v, %v", taken, err)
	}
	if err := d.tb.Publish(txn, d.tb.Version()+1); err != nil {
		t.Fatal(err)
	}
}

// read reads the ten rows from row on, at the newest version.
func (d *decades) read(t *testing.T, row int64) {
	s, err := d.tb.Current()
	if err != nil {
		t.Error(err)
		return
	}
	defer s.Release()
	bounds := []sought.Predicate{{Column: 1, Op: sought.OpGE}, {Column: 1, Op: sought.OpLT}}
	bounds[0].Value.I, bounds[1].Value.I = row, row+10
	it := s.Scan([]types.ColumnID{3, 1, 4}, ScanOptions{Prune: bounds, Reuse: true})
	sum, rows := int64(0), 0
	for {
		b, err := it.Next(context.Background())
		if err != nil {
			t.Error(err)
			return
		}
		if b == nil {
			break
		}
		b = b.Compact()
		for i := range b.N {
			if b.Cols[1].I64[i] >= row && b.Cols[1].I64[i] < row+10 {
				sum, rows = sum+b.Cols[0].I64[i], rows+1
			}
		}
	}
	if sum != 0 || rows != 10 {
		t.Errorf("%d rows from %d on with a sum of %d", rows, row, sum)
	}
}

// TestRangesBesideWrites: readers of small ranges, which put rows in memory in order and keep vectors of rowsets decoded, see each
// transaction as a whole, and each row once, while rows change, also those that were read to be changed, and rowsets come and go.
func TestRangesBesideWrites(t *testing.T) {
	const rows = 3000
	meta := testMeta(1)
	meta.Schema = narrowSchema()
	tb, err := openStore(t, t.TempDir(), testOptions()).Create(meta)
	if err != nil {
		t.Fatal(err)
	}
	d := &decades{tb: tb, schema: meta.Schema, n: make([]int64, rows), rnd: rand.New(rand.NewPCG(3, 4))}
	all := make([]int64, rows)
	for i := range all {
		all[i] = int64(i)
	}
	d.put(t, all...)
	done := make(chan struct{})
	var readers sync.WaitGroup
	for i := range 3 {
		readers.Go(func() {
			rnd := rand.New(rand.NewPCG(5, uint64(i)))
			for !t.Failed() {
				select {
				case <-done:
					return
				default:
					d.read(t, rnd.Int64N(20)*10)
				}
			}
		})
	}
	defer readers.Wait()
	defer close(done)
	for i := range upTo(4000, 200) {
		from, x := d.rnd.Int64N(20)*10, d.rnd.Int64N(100)
		a := d.rnd.Int64N(10)
		b := (a + 1 + d.rnd.Int64N(9)) % 10
		d.n[from+a] += x
		d.n[from+b] -= x
		d.put(t, from+a, from+b)
		for range 5 {
			d.touch(t, d.rnd.Int64N(rows))
		}
		switch {
		case i%199 == 198:
			err = tb.CompactAll(t.Context())
		case i%160 == 159:
			err = tb.Flush()
		case i%15 == 14:
			err = tb.advanceDigest(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	wantDigest(t, tb, "in the end")
}
