package tablet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"stele/be/tablet/kv"
	"stele/meta/types"
)

// loseRecord makes a disk with tablets 1 and 2 and takes the record of the first: change says what becomes of it, and of its manifest. It returns
// the record, and what the tablet had.
func loseRecord(t *testing.T, dir string, change func(record, manifest *kv.Entry)) (record kv.Entry, want map[rowKey]int64) {
	t.Helper()
	s := openStore(t, dir, testOptions())
	for id := types.TabletID(1); id <= 2; id++ {
		tb, err := s.Create(testMeta(id))
		if err != nil {
			t.Fatal(err)
		}
		commit(t, tb, puts(t, manyRows(0, 3000)...))
		if err := tb.Flush(); err != nil {
			t.Fatal(err)
		}
		commit(t, tb, puts(t, row{1, "a", 1}))
		want = contents(t, tb, tb.Version())
	}
	tb, _ := s.Tablet(1)
	record = tb.recordEntry()
	lost, manifest := record, entryOf(t, s, key1(kManifest, tb.uid))
	change(&lost, &manifest)
	if err := s.meta.Commit(lost, manifest); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return record, want
}

// entryOf returns the entry that is under a key of meta.
func entryOf(t *testing.T, s *Store, key []byte) kv.Entry {
	t.Helper()
	e := kv.Entry{Key: key}
	if err := s.meta.View(key, func(val []byte) error { e.Value = slices.Clone(val); return nil }); err != nil {
		t.Fatal(err)
	}
	return e
}

// restarted opens a disk and collects what it takes for garbage.
func restarted(t *testing.T, dir string) *Store {
	t.Helper()
	s := openStore(t, dir, testOptions())
	if err := s.Maintain(context.Background()); err != nil {
		t.Fatal(err)
	}
	return s
}

func damaged(e *kv.Entry) { e.Value = append(slices.Clone(e.Value[:9]), e.Value[10:]...) }

func hidden(e *kv.Entry) { e.Value, e.Delete = nil, true }

// storedKeys counts what a disk has of an incarnation.
func storedKeys(t *testing.T, s *Store, uid uint64) (n int) {
	t.Helper()
	for _, kind := range []byte{kManifest, kVersion, kGroup, kIndex, kLargePart} {
		keys, err := appendKeys(nil, s.instanceOf(kind), key1(kind, uid))
		if err != nil {
			t.Fatal(err)
		}
		n += len(keys)
	}
	return n
}

// bringBack stores a record again, as somebody who has it elsewhere would, and looks whether the rows are all there.
func bringBack(t *testing.T, dir string, record kv.Entry, want map[rowKey]int64) {
	t.Helper()
	s := restarted(t, dir)
	if err := errors.Join(s.meta.Commit(record), s.Close()); err != nil {
		t.Fatal(err)
	}
	s = restarted(t, dir)
	tb, ok := s.Tablet(1)
	if !ok || tb.Stats().Bad {
		t.Fatal("the replica does not come back with its record")
	}
	wantContents(t, tb, tb.Version(), want)
	if _, damage := s.VerifyTablet(context.Background(), tb); damage != nil {
		t.Fatalf("%+v", damage)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestLostRecordKeepsItsRows loses a record by damage: the replica is bad and its rows stay, start after start, until it is dropped.
func TestLostRecordKeepsItsRows(t *testing.T) {
	for name, lose := range map[string]func(*kv.Entry){"damaged": damaged, "hidden": hidden} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			record, want := loseRecord(t, dir, func(record, _ *kv.Entry) { lose(record) })
			for range 2 {
				s := restarted(t, dir)
				tb, ok := s.Tablet(1)
				if !ok || !tb.Stats().Bad || tb.Replica() != 10 || storedKeys(t, s, tb.uid) == 0 {
					t.Fatal("the replica of the lost record is not listed as bad, or its rows are gone")
				}
				if _, err := tb.Current(); !errors.Is(err, ErrBad) {
					t.Fatalf("read: %v", err)
				}
				if other, _ := s.Tablet(2); other.Stats().Bad {
					t.Fatal("the other replica is bad, too")
				}
				if records, err := s.Repair(context.Background()); err != nil || records != 0 {
					t.Fatalf("repair deleted %d records, %v", records, err)
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
			bringBack(t, dir, record, want)
		})
	}
}

// TestLostRecordIsReplaced has a clone take the place of the replica of a lost record. When damage then brings the older record to light, the rows
// of the clone stay, though the record names what it has replaced.
func TestLostRecordIsReplaced(t *testing.T) {
	src, v, want := sourceTablet(t)
	chunks, digest := export(t, src, v)
	dir := t.TempDir()
	older, _ := loseRecord(t, dir, func(record, _ *kv.Entry) { hidden(record) })
	s := restarted(t, dir)
	lost, _ := s.Tablet(1)
	next, err := receive(t, s, chunks).Commit(v, digest)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Maintain(context.Background()); err != nil {
		t.Fatal(err)
	}
	if storedKeys(t, s, lost.uid) != 0 {
		t.Fatal("rows of the replica that was replaced stay")
	}
	newer := next.recordEntry()
	if err := errors.Join(s.meta.Commit(older), s.Close()); err != nil {
		t.Fatal(err)
	}
	s = restarted(t, dir)
	if tb, _ := s.Tablet(1); !tb.Stats().Bad || tb.uid != next.uid {
		t.Fatal("the replica of the newer manifest is not the one that is bad")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	bringBack(t, dir, newer, want)
}

// TestLostRecordIsDropped drops the replica of a lost record: what it had goes.
func TestLostRecordIsDropped(t *testing.T) {
	dir := t.TempDir()
	loseRecord(t, dir, func(record, _ *kv.Entry) { damaged(record) })
	s := restarted(t, dir)
	lost, _ := s.Tablet(1)
	if err := s.Drop(1, 10); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil { // before anything is collected
		t.Fatal(err)
	}
	s = restarted(t, dir)
	if _, ok := s.Tablet(1); ok || storedKeys(t, s, lost.uid) != 0 {
		t.Fatal("the dropped replica is back, or its rows stay")
	}
	if damage := s.VerifyDisk(); len(damage) > 0 {
		t.Fatalf("%+v", damage)
	}
}

// TestNothingLeftButRows takes the manifest, too, or has it as an older release wrote it: whose rows they are nobody can say, and while a record is
// damaged they are kept. Repair deletes them.
func TestNothingLeftButRows(t *testing.T) {
	for name, lose := range map[string]func(*kv.Entry){"damaged": damaged, "hidden": hidden, "older": func(e *kv.Entry) { unnamed(t, e) }} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			loseRecord(t, dir, func(record, manifest *kv.Entry) { damaged(record); lose(manifest) })
			for range 2 {
				s := restarted(t, dir)
				if kept, err := s.Kept(); err != nil || len(kept) != 1 || kept[0].Keys == 0 || kept[0].Bytes == 0 {
					t.Fatalf("%+v is kept, %v", kept, err)
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
			s := restarted(t, dir)
			uid := s.kept[0].uid
			if records, err := s.Repair(context.Background()); err != nil || records != 1 || storedKeys(t, s, uid) != 0 {
				t.Fatalf("repair deleted %d records and left %d keys, %v", records, storedKeys(t, s, uid), err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if s = restarted(t, dir); len(s.kept) > 0 || len(s.VerifyDisk()) > 0 {
				t.Fatal("something is left after the repair")
			}
		})
	}
}

// TestWideRecordThatCannotBeRead has the record of a tablet with many columns in a segment, and takes that away: the disk opens, with one bad
// replica, which keeps its rows until it is dropped.
func TestWideRecordThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, testOptions())
	wide := testMeta(1)
	for id := types.ColumnID(100); id < 800; id++ {
		wide.Schema.Columns = append(wide.Schema.Columns, types.Column{ID: id, Name: fmt.Sprintf("column_with_a_long_name_%d", id), Type: types.ColumnType{Kind: types.KindInt}})
	}
	for _, m := range []Meta{wide, testMeta(2)} {
		tb, err := s.Create(m)
		if err != nil {
			t.Fatal(err)
		}
		commit(t, tb, puts(t, row{1, "a", 1}))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	segments, err := filepath.Glob(filepath.Join(dir, "meta", "*.seg"))
	if err != nil || len(segments) != 1 {
		t.Fatalf("the record is in segments %v, %v", segments, err)
	}
	if err := os.Remove(segments[0]); err != nil {
		t.Fatal(err)
	}
	s = restarted(t, dir)
	tb, ok := s.Tablet(1)
	if !ok || !tb.Stats().Bad || storedKeys(t, s, tb.uid) == 0 {
		t.Fatal("the replica of the record that cannot be read is not listed as bad, or its rows are gone")
	}
	sound, _ := s.Tablet(2)
	wantContents(t, sound, sound.Version(), map[rowKey]int64{{1, "a"}: 1})
	if err := errors.Join(s.Drop(1, 10), s.Close()); err != nil {
		t.Fatal(err)
	}
	if s = restarted(t, dir); s.TabletCount() != 1 || len(s.VerifyDisk()) > 0 {
		t.Fatal("something is left of the replica that was dropped")
	}
}

// unnamed makes a manifest one of an older release.
func unnamed(t *testing.T, e *kv.Entry) {
	t.Helper()
	var m manifest
	if err := openRecord(e.Key, e.Value, &m); err != nil {
		t.Fatal(err)
	}
	m.Of = nil
	*e = sealed(e.Key, &m)
}

// TestOlderManifestsAreNamed opens a disk of an older release: from then on a lost record is one of a replica that has a name.
func TestOlderManifestsAreNamed(t *testing.T) {
	dir := t.TempDir()
	record, want := loseRecord(t, dir, func(_, manifest *kv.Entry) { unnamed(t, manifest) })
	s := restarted(t, dir)
	hide := record
	hidden(&hide)
	if err := errors.Join(s.meta.Commit(hide), s.Close()); err != nil {
		t.Fatal(err)
	}
	s = restarted(t, dir)
	if tb, ok := s.Tablet(1); !ok || !tb.Stats().Bad {
		t.Fatal("the replica of the lost record is not listed")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	bringBack(t, dir, record, want)
}

// TestDroppedReplicaIsNotLost has a manifest come late, for a tablet that was dropped, and for an import that ends before its flip: neither looks like
// the replica of a lost record at the next start.
func TestDroppedReplicaIsNotLost(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, testOptions())
	tb, err := s.Create(testMeta(1))
	if err != nil {
		t.Fatal(err)
	}
	commit(t, tb, puts(t, row{1, "a", 1}))
	if err := s.Drop(1, 10); err != nil {
		t.Fatal(err)
	}
	if err := tb.commitManifest(tb.newManifest(2), nil); !errors.Is(err, ErrDropped) {
		t.Fatalf("manifest of a dropped tablet: %v", err)
	}
	im, err := s.BeginImport(testMeta(2), 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := im.t.commitManifest(im.t.newManifest(2), nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = restarted(t, dir)
	if s.TabletCount() != 0 || len(s.kept) != 0 || storedKeys(t, s, tb.uid) != 0 || storedKeys(t, s, im.t.uid) != 0 {
		t.Fatal("what was dropped, or never finished, is not collected")
	}
}
