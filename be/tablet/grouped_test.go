package tablet

import (
	"bytes"
	"context"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/zeebo/xxh3"
	"stele/be/tablet/wire"
	"stele/meta/types"
	"stele/sql/rowset/groups"
	"stele/sql/vec"
)

// regrouped returns a payload of puts as a leader would send a large one, every other time; others as they are.
func regrouped(tb testing.TB, schema *types.Schema, payload []byte) []byte {
	tb.Helper()
	if payload[len(payload)-1]&1 == 0 {
		return payload
	}
	return groupedPayload(tb, schema, payload)
}

func groupedPayload(tb testing.TB, schema *types.Schema, payload []byte) []byte {
	tb.Helper()
	ops, b, err := wire.Decode(schema, payload)
	if err != nil {
		tb.Fatal(err)
	}
	if slices.Contains(ops, types.OpDelete) || b.N == 0 {
		return payload
	}
	keys := vec.EncodeKeys(b, schema.KeyIndexes())
	order := lastOfEachKey(keys)
	sel := make([]int32, len(order))
	sorted := make([][]byte, len(order))
	for i, at := range order {
		sel[i], sorted[i] = int32(at), keys[at]
	}
	b.Sel = sel
	out, err := wire.EncodeGrouped(schema, b.Compact(), sorted)
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

func groupedPuts(t testing.TB, rows ...row) []byte {
	schema := testSchema()
	return groupedPayload(t, &schema, puts(t, rows...))
}

// stored counts the values of data under a prefix.
func stored(t testing.TB, tb *Tablet, kind byte) (n int, size int64) {
	t.Helper()
	if err := tb.s.data.Scan(key1(kind, tb.uid), func(_, val []byte) error {
		n, size = n+1, size+int64(len(val))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return n, size
}

func TestGroupedIsStoredOnce(t *testing.T) {
	opt := testOptions()
	dir := t.TempDir()
	s := openStore(t, dir, opt)
	tb, err := s.Create(testMeta(1))
	if err != nil {
		t.Fatal(err)
	}
	payload := groupedPuts(t, row{3, "c", 30}, row{1, "a", 10}, row{2, "b", 20})
	prepare := func(txn types.TxnID) {
		t.Helper()
		if err := tb.Prepare(context.Background(), txn, payload); err != nil {
			t.Fatal(err)
		}
	}
	prepare(1)
	if n, _ := stored(t, tb, kGroup); n != 1 {
		t.Fatalf("%d row groups after a prepare", n)
	}
	if n, size := stored(t, tb, kLargePart); n != 1 || size >= int64(len(payload)) {
		t.Fatalf("%d parts of %d bytes beside a rowset", n, size)
	}
	// An abort takes the rowset with it.
	if err := tb.Abort(1); err != nil {
		t.Fatal(err)
	}
	if err := s.collect(context.Background()); err != nil {
		t.Fatal(err)
	}
	if n, _ := stored(t, tb, kGroup); n != 0 {
		t.Fatalf("%d row groups after an abort", n)
	}
	// A crash between prepare and publish leaves it pending, and publishing makes that rowset the tablet's.
	prepare(2)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, dir, opt)
	tb, _ = s.Tablet(1)
	if err := s.collect(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := tb.Publish(2, types.InitialVersion+1); err != nil {
		t.Fatal(err)
	}
	if n, _ := stored(t, tb, kGroup); n != 1 {
		t.Fatalf("%d row groups after a restart and a publish", n)
	}
	// The change set is the payload again.
	got, err := tb.loadPart(2, 0, tb.changes.record(tb.changes.first).Parts[0])
	if err != nil || !bytes.Equal(got, payload) {
		t.Fatalf("the part came back as %d bytes, not the %d it was: %v", len(got), len(payload), err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestGroupedChangeIsStoredOnce applies a change set that another replica has as row groups, and passes it on.
func TestGroupedChangeIsStoredOnce(t *testing.T) {
	dir, opt := t.TempDir(), testOptions()
	s := openStore(t, dir, opt)
	tb, err := s.Create(testMeta(1))
	if err != nil {
		t.Fatal(err)
	}
	payload := groupedPuts(t, row{1, "a", 10}, row{2, "b", 20})
	if err := tb.Prepare(context.Background(), 7, payload); err != nil { // what it has pending of the same transaction is overwritten
		t.Fatal(err)
	}
	if err := tb.ApplyChange(types.InitialVersion+1, wire.EncodeChange(7, [][]byte{payload})); err != nil {
		t.Fatal(err)
	}
	check := func(when string) {
		t.Helper()
		if err := s.collect(context.Background()); err != nil {
			t.Fatal(err)
		}
		if n, _ := stored(t, tb, kGroup); n != 1 {
			t.Fatalf("%s: %d row groups", when, n)
		}
		if n, size := stored(t, tb, kLargePart); n != 1 || size >= int64(len(payload)) {
			t.Fatalf("%s: %d parts of %d bytes beside the rowset", when, n, size)
		}
		got, err := tb.loadPart(7, 0, tb.changes.record(tb.changes.first).Parts[0])
		if err != nil || !bytes.Equal(got, payload) {
			t.Fatalf("%s: the change set came back as %d bytes, not %d: %v", when, len(got), len(payload), err)
		}
	}
	check("applied")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, dir, opt)
	tb, _ = s.Tablet(1)
	if st := tb.Stats(); st.Bad || st.Rows != 2 {
		t.Fatalf("after a restart: %d rows, %s", st.Rows, st.BadReason)
	}
	check("opened again")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestGroupedOutlivesItsRowset merges a rowset away that a retained change set is made of: it goes with the change set.
func TestGroupedOutlivesItsRowset(t *testing.T) {
	opt := testOptions()
	opt.ReadAge = 1
	dir := t.TempDir()
	s := openStore(t, dir, opt)
	tb, err := s.Create(testMeta(1))
	if err != nil {
		t.Fatal(err)
	}
	payload := groupedPuts(t, row{1, "a", 10}, row{2, "b", 20})
	commit(t, tb, payload)
	commit(t, tb, groupedPuts(t, row{2, "b", 21}, row{4, "d", 40}))
	if err := tb.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := tb.CompactAll(context.Background()); err != nil {
		t.Fatal(err)
	}
	check := func(when string) {
		t.Helper()
		if err := s.collect(context.Background()); err != nil {
			t.Fatal(err)
		}
		if n, _ := stored(t, tb, kGroup); n != 3 {
			t.Fatalf("%s: %d row groups, not that of the merge and those of two change sets", when, n)
		}
		got, err := tb.loadPart(tb.changes.record(tb.changes.first).Txn, 0, tb.changes.record(tb.changes.first).Parts[0])
		if err != nil || !bytes.Equal(got, payload) {
			t.Fatalf("%s: the change set came back as %d bytes, not %d: %v", when, len(got), len(payload), err)
		}
	}
	check("merged")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, dir, opt)
	tb, _ = s.Tablet(1)
	check("opened again")
	if n := tb.changes.len(); n != 2 {
		t.Fatalf("%d change sets", n)
	}
	for i := range 2 {
		rec := tb.changes.record(tb.changes.first + types.Version(i))
		for n, e := range rec.Parts {
			tb.deletePart(rec.Txn, n, e)
		}
		if err := s.collect(context.Background()); err != nil {
			t.Fatal(err)
		}
		if n, _ := stored(t, tb, kGroup); n != 2-i {
			t.Fatalf("%d row groups after %d change sets were dropped", n, i+1)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func FuzzOpenGrouped(f *testing.F) {
	schema := testSchema()
	f.Add(groupedPuts(f, row{1, "a", 1}, row{2, "b", 2}))
	f.Add([]byte{groups.Magic, groups.Format, 1, 1, 1})
	f.Fuzz(func(t *testing.T, p []byte) {
		ops, b, err := wire.Decode(&schema, resealed(p))
		if err == nil && len(ops) != b.N {
			t.Fatalf("%d ops for %d rows", len(ops), b.N)
		}
	})
}

// resealed makes the checksum of a payload right, so that a fuzzer gets beyond it.
func resealed(p []byte) []byte {
	if len(p) < 10 {
		return p
	}
	return binary.LittleEndian.AppendUint64(bytes.Clone(p[:len(p)-8]), xxh3.Hash(p[:len(p)-8]))
}

// TestEveryRowReplaced ends, in one version, more rows of a rowset than CBOR takes for an array by default: the record of the
// delete vector must be readable after a restart.
func TestEveryRowReplaced(t *testing.T) {
	const n = 140_000
	dir, opt := t.TempDir(), testOptions()
	s := openStore(t, dir, opt)
	tb, err := s.Create(testMeta(1))
	if err != nil {
		t.Fatal(err)
	}
	rows := make([]row, n)
	for round := range int64(2) {
		for i := range rows {
			rows[i] = row{int64(i), "a", round}
		}
		commit(t, tb, groupedPuts(t, rows...))
	}
	if err := tb.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, dir, opt)
	tb, _ = s.Tablet(1)
	if st := tb.Stats(); st.Bad || st.Rows != n {
		t.Fatalf("after a restart: %d rows, %s", st.Rows, st.BadReason)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
