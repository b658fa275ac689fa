package tablet

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"stele/be/tablet/kv"
	"stele/be/tablet/wire"
	"stele/meta/types"
)

// keysOf counts the keys of a kind that a tablet has in meta.
func keysOf(t *testing.T, tb *Tablet, kind byte) (n int) {
	t.Helper()
	if err := tb.s.meta.ScanKeys(key1(kind, tb.uid), func([]byte) error { n++; return nil }); err != nil {
		t.Fatal(err)
	}
	return n
}

// wantChanges checks that the change sets of the versions from 2 on are these parts.
func wantChanges(t *testing.T, tb *Tablet, want [][][]byte) {
	t.Helper()
	got := changesOf(t, tb, 1)
	if len(got) != len(want) {
		t.Fatalf("%d change sets, want %d", len(got), len(want))
	}
	for i, c := range got {
		txn, parts, err := wire.DecodeChange(c.Payload)
		if err != nil || txn != types.TxnID(c.Version) || !slices.EqualFunc(parts, want[i], slices.Equal) {
			t.Fatalf("change set of version %d: txn %d, %d parts, want %d: %v", c.Version, txn, len(parts), len(want[i]), err)
		}
	}
}

// TestVersionsInOneValue: the parts of small versions, light or durable, are in their records and nowhere else; those of larger ones
// lie apart. All of them can be read before the records are written and after, and nothing is left when retention drops them.
func TestVersionsInOneValue(t *testing.T) {
	dir := t.TempDir()
	opt := testOptions()
	opt.Retention = Retention{Versions: 1, Age: 1, Bytes: 1 << 20}
	s := openStore(t, dir, opt)
	tb, err := s.Create(testMeta(1))
	if err != nil {
		t.Fatal(err)
	}
	small := func(n int64) []byte { return puts(t, row{n, "a", n}) }
	large := puts(t, row{100, strings.Repeat("large", inlineBytes/5), 1})
	var want [][][]byte
	apart := 0
	for i, parts := range [][][]byte{{small(1)}, {small(2), small(3)}, {large}, {small(4), large}, {small(5)}} {
		for _, prepareOne := range []func(txn types.TxnID, part int, payload []byte) error{
			func(txn types.TxnID, part int, payload []byte) error { return prepare(tb, txn, part, payload) },
			func(txn types.TxnID, part int, payload []byte) error { light(t, tb, txn, part, payload); return nil },
		} {
			v := tb.Version() + 1
			for part, payload := range parts {
				if err := prepareOne(types.TxnID(v), part, payload); err != nil {
					t.Fatal(err)
				}
			}
			if err := tb.Publish(types.TxnID(v), v); err != nil {
				t.Fatal(err)
			}
			want = append(want, parts)
			wantChanges(t, tb, want)
			if i == 2 || i == 3 {
				apart += len(parts)
			}
		}
	}
	if err := s.meta.Commit(); err != nil {
		t.Fatal(err)
	}
	wantChanges(t, tb, want)
	if parts, versions := keysOf(t, tb, kPart), keysOf(t, tb, kVersion); parts != apart || versions < 4+2 || versions > len(want) {
		t.Fatalf("%d parts, want %d; %d records of %d versions", parts, apart, versions, len(want))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, dir, opt)
	tb, _ = s.Tablet(1)
	wantChanges(t, tb, want)
	if len(tb.Pending()) != 0 {
		t.Fatal(tb.Pending())
	}
	if err := tb.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := s.meta.Commit(); err != nil {
		t.Fatal(err)
	}
	if parts, versions := keysOf(t, tb, kPart), keysOf(t, tb, kVersion); parts != 0 || versions != 1 {
		t.Fatalf("%d parts and %d versions are left", parts, versions)
	}
}

// TestRecordBehindAGap: a record behind one that is lost proves nothing, and its parts are pending again.
func TestRecordBehindAGap(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, testOptions())
	tb, err := s.Create(testMeta(1))
	if err != nil {
		t.Fatal(err)
	}
	var parts [][]byte
	for n := range int64(3) {
		parts = append(parts, puts(t, row{n, "a", n}))
		commit(t, tb, parts[n])
		if err := s.meta.Commit(); err != nil { // which ends its run
			t.Fatal(err)
		}
	}
	txns := []types.TxnID{tb.changes.record(tb.changes.first).Txn, tb.changes.record(tb.changes.first + 1).Txn, tb.changes.record(tb.changes.first + 2).Txn}
	if err := s.meta.Commit(kv.Entry{Key: key2(kVersion, tb.uid, 3), Delete: true}); err != nil {
		t.Fatal(err)
	}
	for range 2 { // opened twice, it is pending as if it never had been more
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openStore(t, dir, testOptions())
		tb, _ = s.Tablet(1)
		if tb.Version() != 2 || !slices.Equal(tb.Pending(), txns[2:]) {
			t.Fatalf("version %d, pending %v", tb.Version(), tb.Pending())
		}
	}
	if err := errors.Join(prepare(tb, txns[1], 0, parts[1]), tb.Publish(txns[1], 3), tb.Publish(txns[2], 4)); err != nil {
		t.Fatal(err)
	}
	wantContents(t, tb, 4, map[rowKey]int64{{0, "a"}: 0, {1, "a"}: 1, {2, "a"}: 2})
}

// TestPartsBehindAGap: parts that a lost one makes useless are deleted when the disk is opened, as they come again.
func TestPartsBehindAGap(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, testOptions())
	tb, err := s.Create(testMeta(1))
	if err != nil {
		t.Fatal(err)
	}
	for part := range 3 {
		if err := prepare(tb, 7, part, puts(t, row{int64(part), "a", 1})); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.meta.Commit(kv.Entry{Key: partKey(tb.uid, 7, 1, false), Delete: true}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, dir, testOptions())
	tb, _ = s.Tablet(1)
	if n := tb.PendingParts(7); n != 1 {
		t.Fatalf("%d parts are pending", n)
	}
	if err := s.meta.Commit(); err != nil {
		t.Fatal(err)
	}
	if n := keysOf(t, tb, kPart); n != 1 {
		t.Fatalf("%d parts are on the disk", n)
	}
}

// TestDiskWithPartsApart: a disk of the release before, closed or killed, shows what it had: change sets, versions that are made again
// at open, pending transactions. It becomes one of this release.
func TestDiskWithPartsApart(t *testing.T) {
	root := t.TempDir()
	old := testOptions()
	old.format = segmentsFormat
	s := openStore(t, filepath.Join(root, "closed"), old)
	tb, err := s.Create(testMeta(1))
	if err != nil {
		t.Fatal(err)
	}
	want := map[rowKey]int64{}
	var parts [][][]byte
	write := func(tb *Tablet, n int64) {
		t.Helper()
		v := tb.Version() + 1
		payload := puts(t, row{n, "a", n})
		if n%2 == 0 {
			light(t, tb, types.TxnID(v), 0, payload)
		} else if err := prepare(tb, types.TxnID(v), 0, payload); err != nil {
			t.Fatal(err)
		}
		if err := tb.Publish(types.TxnID(v), v); err != nil {
			t.Fatal(err)
		}
		want[rowKey{n, "a"}] = n
		parts = append(parts, [][]byte{payload})
	}
	for n := range int64(8) {
		if write(tb, n); n == 3 {
			if err := tb.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	const pending = types.TxnID(1 << 40)
	if err := prepare(tb, pending, 0, puts(t, row{99, "a", 99})); err != nil {
		t.Fatal(err)
	}
	if n := keysOf(t, tb, kPart); n != 9 || s.Format() != segmentsFormat {
		t.Fatalf("%d parts, format %d", n, s.Format())
	}
	if err := copyOpen(filepath.Join(root, "closed"), filepath.Join(root, "killed")); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	before, wrote := len(parts), fmt.Sprint(want)
	for _, name := range []string{"closed", "killed"} {
		parts = parts[:before]
		delete(want, rowKey{99, "a"})
		delete(want, rowKey{8, "a"})
		if fmt.Sprint(want) != wrote {
			t.Fatal(want)
		}
		s := openStore(t, filepath.Join(root, name), testOptions())
		tb, _ := s.Tablet(1)
		if s.Format() != storeFormat || tb.Version() != 9 || !slices.Equal(tb.Pending(), []types.TxnID{pending}) {
			t.Fatalf("%s: format %d, version %d, pending %v", name, s.Format(), tb.Version(), tb.Pending())
		}
		wantContents(t, tb, 9, want)
		wantChanges(t, tb, parts)
		write(tb, 8)
		wantChanges(t, tb, parts)
		if err := tb.Publish(pending, tb.Version()+1); err != nil {
			t.Fatal(err)
		}
		want[rowKey{99, "a"}] = 99
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openStore(t, filepath.Join(root, name), testOptions())
		tb, _ = s.Tablet(1)
		wantContents(t, tb, 11, want)
		if n := keysOf(t, tb, kPart); n != 8 || len(tb.Pending()) != 0 {
			t.Fatalf("%s: %d parts, pending %v", name, n, tb.Pending())
		}
	}
}

// TestOpenVersionRefusesDamage: a record that ends early or goes on is refused, whatever its checksum says.
func TestOpenVersionRefusesDamage(t *testing.T) {
	_, tb := newTestTablet(t)
	parts := [][]byte{[]byte("one"), nil, []byte("three")}
	for n := 1; n <= 3; n++ {
		r := &versionRun{t: tb, first: 2, most: n}
		ends := map[int]int{} // how many records end where one of them does
		for i := range n {
			if !r.add(types.Version(2+i), &versionRecord{Txn: types.TxnID(300 + i), AtMs: -5, Parts: make([]partEntry, 3)}, parts, i%2 == 0) {
				t.Fatalf("record %d of %d is not taken", i, n)
			}
			ends[len(r.body)] = i + 1
		}
		if r.add(types.Version(2+n), &versionRecord{}, nil, false) {
			t.Fatalf("a run of %d takes one more", n)
		}
		entries := r.take()
		e := entries[len(entries)-1]
		if len(entries) != 1+n/2*3 {
			t.Fatalf("%d entries of %d versions", len(entries), n)
		}
		got, err := openVersions(e.Key, e.Value)
		if err != nil || len(got) != n {
			t.Fatal(got, err)
		}
		for i, v := range got {
			if v.rec.Txn != types.TxnID(300+i) || v.rec.AtMs != -5 || v.rec.run != 2 || !slices.EqualFunc(v.payloads, parts, slices.Equal) || len(v.rec.Parts) != 3 || v.rec.Parts[0].Bytes != 3 {
				t.Fatalf("record %d: %+v", i, v)
			}
		}
		body := e.Value[:len(e.Value)-sealBytes]
		for size := range len(body) {
			got, err := openVersions(e.Key, seal(e.Key, body[:size]))
			if whole := ends[size]; !errors.Is(err, ErrCorrupt) && (whole == 0 || whole != len(got)) {
				t.Fatalf("%d of %d bytes: %d records, %v", size, len(body), len(got), err)
			}
		}
		if _, err := openVersions(e.Key, seal(e.Key, append(slices.Clone(body), 0))); !errors.Is(err, ErrCorrupt) {
			t.Fatal(err)
		}
		if _, err := openVersions(key2(kVersion, tb.uid, 3), e.Value); !errors.Is(err, ErrCorrupt) {
			t.Fatal("the record of another version: ", err)
		}
	}
}
