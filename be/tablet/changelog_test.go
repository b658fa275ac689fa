package tablet

import (
	"math/bits"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"stele/meta/types"
)

// TestChangeLog appends and drops records of all kinds at random and compares what is there with a plain list of them.
func TestChangeLog(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		changeLogAgainstAList(rt, rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1)))
	})
}

func changeLogAgainstAList(t *rapid.T, rnd *rand.Rand) {
	c := newChangeLog(7)
	var want []versionRecord
	first, txn := types.Version(7), types.TxnID(100)
	check := func() {
		t.Helper()
		var bytes int64
		for i := range want {
			v := first + types.Version(i)
			if got := c.record(v); !reflect.DeepEqual(got, want[i]) {
				t.Fatalf("version %d: %+v, not %+v", v, got, want[i])
			}
			if got := c.bytesOf(v); got != want[i].bytes() {
				t.Fatalf("version %d has %d bytes, not %d", v, got, want[i].bytes())
			}
			if !c.txns.has(want[i].Txn) {
				t.Fatalf("transaction %d is forgotten", want[i].Txn)
			}
			bytes += want[i].bytes()
		}
		if c.first != first || c.len() != len(want) || c.txns.len() != len(want) || c.bytes != bytes {
			t.Fatalf("from %d on %d versions of %d transactions with %d bytes, not from %d on %d with %d",
				c.first, c.len(), c.txns.len(), c.bytes, first, len(want), bytes)
		}
		if c.has(first-1) || c.has(first+types.Version(len(want))) || len(want) > 0 && !c.has(first) {
			t.Fatal("it has what is not there, or lacks what is")
		}
	}
	for range 30 {
		for range rnd.IntN(2 * changePiece) {
			txn += types.TxnID(1 + rnd.IntN(3)*rnd.IntN(40))
			rec := anyRecord(rnd, txn)
			c.append(first+types.Version(len(want)), rec)
			want = append(want, rec)
		}
		check()
		n := min(len(want), rnd.IntN(3*changePiece))
		if rnd.IntN(5) == 0 {
			n = len(want)
		}
		dropped := c.drop(n)
		if n > 0 && !reflect.DeepEqual(dropped, want[:n]) {
			t.Fatalf("other records are dropped than the oldest %d", n)
		}
		want = append([]versionRecord(nil), want[n:]...)
		first += types.Version(n)
		check()
	}
	if narrow := len(want) - len(c.wide); len(want) > 60 && (narrow == 0 || len(c.wide) == 0) {
		t.Fatalf("%d of %d records are kept in full", len(c.wide), len(want))
	}
}

// len is how many transactions there are, and -1 when there is an entry of none.
func (s txnSet) len() (n int) {
	for _, ids := range s {
		if ids == 0 {
			return -1
		}
		n += bits.OnesCount64(ids)
	}
	return n
}

// anyRecord is mostly that of a small write.
func anyRecord(rnd *rand.Rand, txn types.TxnID) versionRecord {
	rec := versionRecord{Txn: txn, AtMs: rnd.Int64N(1000), run: 3, Parts: []partEntry{{Bytes: rnd.Int64N(50)}}}
	switch rnd.IntN(12) {
	case 0:
		rec.Parts = append(rec.Parts, partEntry{Bytes: 9})
	case 1:
		rec.run = 0
	case 2:
		rec.Parts[0].Large = true
	case 3:
		rec.Parts[0].Rowset = 5
	case 4:
		rec.Bulk = []bulkEntry{{}}
	case 5:
		rec.Parts = nil
	}
	return rec
}

// TestChangeLogExpires drops by age and number, by bytes, and nothing above what the manifest has.
func TestChangeLogExpires(t *testing.T) {
	at := time.UnixMilli(1_000_000)
	c := newChangeLog(1)
	for v := types.Version(1); v <= 1000; v++ {
		c.append(v, versionRecord{Txn: types.TxnID(v), AtMs: at.UnixMilli() + int64(v), run: 1, Parts: []partEntry{{Bytes: 10}}})
	}
	for _, tt := range []struct {
		name string
		keep types.Version
		r    Retention
		want int
	}{
		{"neither old nor many bytes", 1000, Retention{Versions: 1, Age: time.Hour, Bytes: 1 << 20}, 0},
		{"old, and too many", 1000, Retention{Versions: 100, Age: 500 * time.Millisecond, Bytes: 1 << 20}, 499},
		{"old, and few", 1000, Retention{Versions: 900, Age: 500 * time.Millisecond, Bytes: 1 << 20}, 100},
		{"too many bytes", 1000, Retention{Versions: 1000, Age: time.Hour, Bytes: 5000}, 500},
		{"not in the manifest", 300, Retention{Versions: 1000, Age: time.Hour, Bytes: 5000}, 300},
	} {
		if got := c.expired(tt.r, tt.keep, at.Add(time.Second)); got != tt.want {
			t.Errorf("%s: %d are dropped, not %d", tt.name, got, tt.want)
		}
	}
}

// TestRecordsKeepNoPayloads: what is noted of a version for half an hour must not lie in the memory of its transaction, which has the payloads.
func TestRecordsKeepNoPayloads(t *testing.T) {
	s := openStore(t, t.TempDir(), testOptions())
	tb, err := s.Create(testMeta(1))
	if err != nil {
		t.Fatal(err)
	}
	large := strings.Repeat("x", inlineBytes+1)
	for txn, payload := range [][]byte{puts(t, row{1, "small", 1}), puts(t, row{2, large, 2})} {
		if err := prepare(tb, types.TxnID(txn+1), 0, payload); err != nil {
			t.Fatal(err)
		}
		tb.mu.Lock()
		p := tb.pending[types.TxnID(txn+1)]
		tb.mu.Unlock()
		version := types.InitialVersion + types.Version(txn+1)
		if err := tb.Publish(types.TxnID(txn+1), version); err != nil {
			t.Fatal(err)
		}
		if rec := tb.changes.record(version); len(rec.Parts) != 1 || &rec.Parts[0] == &p.entry[0] {
			t.Errorf("version %d: the record %+v keeps its transaction in memory", version, rec)
		}
	}
	if len(tb.changes.wide) != 1 {
		t.Errorf("%d records are kept in full", len(tb.changes.wide))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
