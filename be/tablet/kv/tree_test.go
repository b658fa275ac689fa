package kv

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"
)

func free(ctx context.Context, _ int64) error { return ctx.Err() }

// sweptOptions make a tree small enough that a test fills it.
func sweptOptions() Options {
	return Options{MemTableBytes: 1 << 20, ValueLogFileSize: 8 << 20, Front: true, Segments: true, ValueThreshold: 24 << 10, SegmentBytes: 1 << 20, SweepBytes: 256 << 10}
}

const treeKeys = 2000

// fillTree writes values that do not compress, and are too small for a segment, and deletes all but the first one of ten.
func fillTree(t testing.TB, db *DB) {
	t.Helper()
	for i := range treeKeys {
		if err := db.Commit(Entry{Key: []byte(keyNumber(i)), Value: sealedValue(keyNumber(i), 3000)}); err != nil {
			t.Fatal(err)
		}
	}
	var entries []Entry
	for i := range treeKeys {
		if i%10 != 0 {
			entries = append(entries, Entry{Key: []byte(keyNumber(i)), Delete: true})
		}
	}
	for some := range slices.Chunk(entries, 100) {
		if err := db.Commit(some...); err != nil {
			t.Fatal(err)
		}
	}
	db.behind.settle()
}

// TestSweepGivesTreeBack: small values that are deleted give their room back although nothing is written after them, what lives among them
// stays, and what is dead is known after a crash, too.
func TestSweepGivesTreeBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "db")
	db, err := Open(dir, sweptOptions())
	if err != nil {
		t.Fatal(err)
	}
	fillTree(t, db)
	crashed := copied(t, dir)
	sweeps := func(db *DB) {
		t.Helper()
		defer db.Close()
		before, _ := db.tables()
		if !db.SweepDue() {
			t.Fatalf("%d bytes of %d are dead, of which nothing is given back", db.TreeDead(), before)
		}
		if err := db.Sweep(t.Context(), free); err != nil {
			t.Fatal(err)
		}
		if after, _ := db.tables(); after > before/3 || db.SweepDue() {
			t.Errorf("%d bytes of tables became %d, with a tenth alive", before, after)
		}
		checkTree(t, db)
	}
	sweeps(db)
	if db, err = Open(crashed, sweptOptions()); err != nil {
		t.Fatal(err)
	}
	sweeps(db)
	if db, err = Open(dir, sweptOptions()); err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if db.SweepDue() {
		t.Errorf("after a restart %d bytes are dead", db.TreeDead())
	}
}

// TestSweepWithoutRoom: a disk that has no room for what a sweep writes is left as it is, and swept later.
func TestSweepWithoutRoom(t *testing.T) {
	db, err := Open(filepath.Join(t.TempDir(), "db"), sweptOptions())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	fillTree(t, db)
	full := errors.New("no room")
	if err := db.Sweep(t.Context(), func(context.Context, int64) error { return full }); !errors.Is(err, full) {
		t.Fatal(err)
	}
	if !db.SweepDue() {
		t.Error("what is dead was forgotten")
	}
}

// TestKilledWhileSweeping: when a process is killed during a sweep, what lives is there, what the sweep has written is not seen, and the next one
// gives the room back.
func TestKilledWhileSweeping(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "db")
	db, err := Open(dir, sweptOptions())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	fillTree(t, db)
	var killed []string
	pieces := 0
	if err := db.Sweep(t.Context(), func(context.Context, int64) error {
		if pieces++; pieces%300 == 2 {
			killed = append(killed, copied(t, dir))
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, dir := range append(killed, copied(t, dir)) {
		again, err := Open(dir, sweptOptions())
		if err != nil {
			t.Fatal(err)
		}
		checkTree(t, again)
		if err := again.Sweep(t.Context(), free); err != nil {
			t.Fatal(err)
		}
		checkTree(t, again)
		if again.SweepDue() {
			t.Errorf("%d bytes are dead", again.TreeDead())
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// checkTree reads what fillTree has left.
func checkTree(t *testing.T, db *DB) {
	t.Helper()
	keys := 0
	if err := db.ScanKeys(nil, func(key []byte) error {
		keys++
		return db.View(key, checked(string(key)))
	}); err != nil || keys != treeKeys/10 {
		t.Errorf("%d keys: %v", keys, err)
	}
}
