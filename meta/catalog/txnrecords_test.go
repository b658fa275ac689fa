package catalog

import (
	"bytes"
	"maps"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"stele/meta/command/canon"
	"stele/meta/types"
)

// TestTxnRecords sets and deletes records of all kinds at random in versions of the log and compares each with a map.
func TestTxnRecords(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		txnRecordsAgainstAMap(rt, rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1)))
	})
}

func txnRecordsAgainstAMap(t *rapid.T, rnd *rand.Rand) {
	records, want := newTxnRecords(), map[types.TxnID]txnRecord{}
	check := func(r txnRecords, want map[types.TxnID]txnRecord) {
		t.Helper()
		n := 0
		for id, rec := range r.all() {
			n++
			if !reflect.DeepEqual(rec, want[id]) {
				t.Fatalf("transaction %d: %+v, not %+v", id, rec, want[id])
			}
			if got, ok := r.get(id); !ok || !reflect.DeepEqual(got, rec) {
				t.Fatalf("transaction %d is found as %+v, %v", id, got, ok)
			}
		}
		if n != len(want) || r.len() != len(want) {
			t.Fatalf("%d of %d transactions", n, len(want))
		}
	}
	for range 10 {
		before, wantBefore := records, maps.Clone(want)
		o := &owner{}
		for range rnd.IntN(60) {
			id := types.TxnID(1 + rnd.IntN(400))
			if rnd.IntN(3) == 0 {
				records.del(o, id)
				delete(want, id)
				continue
			}
			if _, there := want[id]; there {
				continue // an outcome does not change
			}
			want[id] = anyRecord(rnd)
			records.set(o, id, want[id])
		}
		check(records, want)
		check(before, wantBefore)
	}
	if wide := records.wide.len(); wide == 0 || wide == records.len() {
		t.Fatalf("%d of %d records are on several tablets", wide, records.len())
	}
	for id := range want {
		records.del(&owner{}, id)
	}
	if records.len() != 0 || records.wide.len() != 0 {
		t.Fatalf("%d records and %d lists of tablets stay", records.len(), records.wide.len())
	}
}

func anyRecord(rnd *rand.Rand) txnRecord {
	rec := txnRecord{TimeMs: rnd.Int64N(1000)}
	if rnd.IntN(4) == 0 {
		rec.Aborted = true
		return rec
	}
	for range 1 + rnd.IntN(2) {
		rec.Tablets = append(rec.Tablets, TabletVersion{Tablet: types.TabletID(1 + rnd.IntN(50)), Version: types.Version(rnd.IntN(50))})
	}
	return rec
}

// TestTxnNoteEncoding compares what is encoded by hand with what the codec makes.
func TestTxnNoteEncoding(t *testing.T) {
	edges := []uint64{0, 1, 23, 24, math.MaxUint8, math.MaxUint8 + 1, math.MaxUint16, math.MaxUint16 + 1, math.MaxUint32, math.MaxUint32 + 1, math.MaxInt64}
	for _, a := range edges {
		for _, b := range edges {
			id, n := types.TxnID(a), txnNote{timeMs: int64(b), tablet: types.TabletID(max(b, 1)), version: types.Version(a)}
			want, err := canon.Enc.Marshal(txnEntry{id, txnRecord{TimeMs: n.timeMs, Tablets: []TabletVersion{{Tablet: n.tablet, Version: n.version}}}})
			if err != nil {
				t.Fatal(err)
			}
			if got := n.append(nil, id); !bytes.Equal(got, want) {
				t.Fatalf("transaction %d, %+v: %x, not %x", id, n, got, want)
			}
		}
	}
}

// BenchmarkSnapshotOfTxns writes the snapshot of a catalog with as many outcomes as are kept.
func BenchmarkSnapshotOfTxns(b *testing.B) {
	c, o := New(), &owner{}
	for id := range types.TxnID(MaxTxnRecords) {
		c.txns.records.set(o, id+firstTxn, txnRecord{TimeMs: 1_700_000_000_000, Tablets: []TabletVersion{{Tablet: 1000, Version: types.Version(id)}}})
	}
	b.ReportAllocs()
	for b.Loop() {
		var n countingWriter
		if err := c.WriteSnapshot(&n); err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(n))
	}
}

type countingWriter int

func (w *countingWriter) Write(b []byte) (int, error) {
	*w += countingWriter(len(b))
	return len(b), nil
}
