package kv

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/zeebo/xxh3"
)

// The traps of Badger, one test each. What they have in common: Badger reports damage as
// absence, as empty values or as other values, so a value counts only if the caller's own checksum over key and value is
// right (B1), which these tests play by checked.

var errBadValue = errors.New("bad value")

// sealedValue is a value of n bytes with a checksum over it and its key.
func sealedValue(key string, n int) []byte {
	body := make([]byte, n)
	for i := range body {
		body[i] = byte(xxh3.HashSeed([]byte(key), uint64(i/8)) >> (i % 8 * 8))
	}
	return binary.LittleEndian.AppendUint64(body, xxh3.HashSeed(body, xxh3.HashString(key)))
}

// checked is what every caller of View does.
func checked(key string) func(val []byte) error {
	return func(val []byte) error {
		n := len(val) - 8
		if n < 0 || xxh3.HashSeed(val[:n], xxh3.HashString(key)) != binary.LittleEndian.Uint64(val[n:]) {
			return fmt.Errorf("%d bytes: %w", len(val), errBadValue)
		}
		if !bytes.Equal(val, sealedValue(key, n)) {
			panic("wrong bytes with the right checksum")
		}
		return nil
	}
}

func keyNumber(i int) string { return fmt.Sprintf("key%04d", i) }

const trapKeys = 300

// filled returns a folder with an instance of trapKeys values of a size, closed or as a killed process leaves it.
func filled(t *testing.T, size int, clean bool) string {
	t.Helper()
	root := t.TempDir()
	dir := filepath.Join(root, "db")
	db := open(t, dir)
	const together = 10
	for i := 0; i < trapKeys; i += together {
		var entries []Entry
		for j := i; j < i+together; j++ {
			entries = append(entries, Entry{Key: []byte(keyNumber(j)), Value: sealedValue(keyNumber(j), size)})
		}
		if err := db.Commit(entries...); err != nil {
			t.Fatal(err)
		}
	}
	if !clean {
		return copied(t, dir)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func copied(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	copyTo(t, dir, to)
	return to
}

// copyTo copies an instance that may be open. Badger may begin and remove files while they are copied: then they are copied again.
func copyTo(t testing.TB, dir, to string) {
	t.Helper()
	for before := ""; ; {
		if err := os.RemoveAll(to); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("cp", "-a", "--sparse=always", dir, to).CombinedOutput()
		after := names(t, dir)
		if err == nil && before == after && names(t, to) == after {
			return
		}
		if before == after && err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		before = after
	}
}

func names(t testing.TB, dir string) (out string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		out += e.Name() + " "
	}
	return out
}

// flip flips a bit of the n-th file with the suffix (negative: from the end), at a part of what is used of it.
func flip(t *testing.T, dir, suffix string, n int, part float64) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
	if err != nil || len(files) == 0 {
		t.Fatalf("no file *%s: %v", suffix, err)
	}
	slices.Sort(files)
	if n < 0 {
		n += len(files)
	}
	body, err := os.ReadFile(files[n])
	if err != nil {
		t.Fatal(err)
	}
	used := len(bytes.TrimRight(body, "\x00"))
	body[int(float64(used)*part)] ^= 0x10
	if err := os.WriteFile(files[n], body, 0o600); err != nil {
		t.Fatal(err)
	}
}

// outcome counts what reading all keys gave: no wrong value can be among the good ones, as checked looks at every byte.
type outcome struct{ good, missing, bad int }

func readAll(t *testing.T, db *DB) (o outcome) {
	t.Helper()
	for i := range trapKeys {
		err := db.View([]byte(keyNumber(i)), checked(keyNumber(i)))
		switch {
		case err == nil:
			o.good++
		case errors.Is(err, ErrNotFound):
			o.missing++
		case errors.Is(err, errBadValue), errors.Is(err, ErrDamaged):
			o.bad++
		default:
			t.Fatalf("key %d: %v", i, err)
		}
	}
	return o
}

// tryOpen opens an instance that may be beyond opening.
func tryOpen(t *testing.T, dir string) *DB {
	t.Helper()
	db, err := Open(dir, smallOptions())
	if err != nil {
		return nil
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func TestTrapFlippedBitInTable(t *testing.T) {
	noticed := 0
	for part := 0.05; part < 0.75; part += 0.2 { // behind the blocks are the index and the bloom filter
		dir := filled(t, 100, true)
		flip(t, dir, ".sst", 0, part)
		db := tryOpen(t, dir)
		if db == nil {
			noticed++
			continue
		}
		o := readAll(t, db)
		if err := db.Verify(); err == nil {
			t.Errorf("a flipped bit at %.2f of a table: Verify finds nothing, reading gave %+v", part, o)
		} else if !errors.Is(err, ErrDamaged) {
			t.Errorf("verify: %v", err)
		} else {
			noticed++
		}
	}
	if noticed == 0 {
		t.Fatal("nothing was noticed")
	}
}

func TestVerifyOfASoundInstance(t *testing.T) {
	db := open(t, filled(t, 100, true))
	if err := db.Verify(); err != nil {
		t.Fatal(err)
	}
	if o := readAll(t, db); o.good != trapKeys {
		t.Fatalf("%+v", o)
	}
}

// TestTrapFlippedBitInOlderValueLog: Badger returns the bytes as they are, or, when it verifies them, empty and no error.
func TestTrapFlippedBitInOlderValueLog(t *testing.T) {
	dir := filled(t, 40<<10, true) // several files of 4 MiB
	flip(t, dir, ".vlog", 0, 0.5)
	db := open(t, dir)
	if o := readAll(t, db); o.bad != 1 || o.good != trapKeys-1 {
		t.Fatalf("%+v", o)
	}
}

// TestTrapFlippedBitInLastValueLog: at open Badger cuts the file at the flip, and what was behind it is empty, without an
// error: an empty value is a bad one.
func TestTrapFlippedBitInLastValueLog(t *testing.T) {
	dir := filled(t, 10<<10, false)
	flip(t, dir, ".vlog", -1, 0.4)
	db := tryOpen(t, dir)
	if db == nil {
		return // refused as a whole: the disk is reported
	}
	if o := readAll(t, db); o.bad == 0 && o.missing == 0 || o.good == trapKeys {
		t.Fatalf("damage was not noticed: %+v", o)
	}
}

// TestTrapFlippedBitInMemtableLog: replay ends at the flip, silently. What is left is a prefix, so that a chain of versions
// proves how far it reaches (B3, B4).
func TestTrapFlippedBitInMemtableLog(t *testing.T) {
	dir := filled(t, 100, false)
	flip(t, dir, ".mem", 0, 0.5)
	db := tryOpen(t, dir)
	if db == nil {
		return
	}
	o := readAll(t, db)
	if o.good == 0 || o.good == trapKeys || o.bad > 0 {
		t.Fatalf("%+v", o)
	}
	for i := range trapKeys {
		if err := db.View([]byte(keyNumber(i)), checked(keyNumber(i))); (err == nil) != (i < o.good) {
			t.Fatalf("key %d of %d that are left: %v", i, o.good, err)
		}
	}
}

func TestTrapFlippedBitInManifest(t *testing.T) {
	dir := filled(t, 100, true)
	flip(t, dir, "MANIFEST", 0, 0.6)
	if db, err := Open(dir, smallOptions()); err == nil {
		o := readAll(t, db)
		_ = db.Close()
		if o.good != trapKeys {
			t.Fatalf("opened with %+v", o)
		}
		t.Fatal("a damaged MANIFEST was not noticed")
	}
}

// TestTrapValueMovedBetweenGetAndValue: value log GC removes the file that an item points to before its value is read, and so does
// our own collector.
func TestTrapValueMovedBetweenGetAndValue(t *testing.T) {
	t.Run("value log", func(t *testing.T) {
		movedBetween(t, func(db *DB) error { return errors.Join(db.learnDead(), db.collectLogs(t.Context(), noPace)) })
	})
	t.Run("segments", func(t *testing.T) {
		segmented = true
		defer func() { segmented = false }()
		movedBetween(t, func(db *DB) error { return db.Reclaim(t.Context(), noPace) })
	})
}

func movedBetween(t *testing.T, reclaim func(*DB) error) {
	dir := filled(t, 40<<10, true)
	db := open(t, dir)
	for i := range trapKeys {
		if i%3 != 0 {
			if err := db.Commit(Entry{Key: []byte(keyNumber(i)), Delete: true}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := suspectOldLogs(dir); err != nil {
		t.Fatal(err)
	}
	db = open(t, dir)
	before := db.Size()
	reclaimed := 0
	db.betweenGetAndValue = func() {
		if reclaimed++; reclaimed == 1 {
			if err := reclaim(db); err != nil {
				t.Error(err)
			}
		}
	}
	for i := 0; i < trapKeys; i += 3 {
		if err := db.View([]byte(keyNumber(i)), checked(keyNumber(i))); err != nil {
			t.Fatalf("key %d: %v", i, err)
		}
	}
	if after := db.Size(); reclaimed < 1 || after > before/2 {
		t.Fatalf("nothing happened between Get and Value: %d bytes became %d", before, after)
	}
}

// TestTrapOneSyncPerRequest: Badger syncs once for every transaction, so that writers do not share. Ours do.
func TestTrapOneSyncPerRequest(t *testing.T) {
	var groups atomic.Int64
	opt := smallOptions()
	hold := make(chan struct{})
	opt.Faults.Before = func() error {
		if groups.Add(1) == 1 {
			<-hold // while the first group is written, the others gather
		}
		return nil
	}
	db, err := Open(t.TempDir(), opt)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	const n = 500
	var group sync.WaitGroup
	group.Add(n)
	for i := range n {
		db.CommitAsync([]Entry{set(keyNumber(i), "v")}, func(err error) {
			if err != nil {
				t.Error(err)
			}
			group.Done()
		})
	}
	close(hold)
	group.Wait()
	if got := groups.Load(); got > 5 {
		t.Fatalf("%d writes took %d groups", n, got)
	}
}

// TestTrapUnsyncedWrites: without SyncWrites a power cut makes every large value unreadable, also old ones.
func TestTrapUnsyncedWrites(t *testing.T) {
	db := open(t, t.TempDir())
	if o := db.bdb.Opts(); !o.SyncWrites || o.DetectConflicts || o.VerifyValueChecksum || o.IndexCacheSize == 0 || o.NumVersionsToKeep != 1 {
		t.Fatalf("options %+v", o)
	}
}

// TestTrapOlderTimestamp: a key is never written with an older timestamp than it has, also after a restart.
func TestTrapOlderTimestamp(t *testing.T) {
	dir := t.TempDir()
	for round := range 4 {
		db, err := Open(dir, smallOptions())
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			if err := db.Commit(set("k", fmt.Sprint(round, i))); err != nil {
				t.Fatal(err)
			}
		}
		if got, _ := get(t, db, "k"); got != fmt.Sprint(round, 2) {
			t.Fatalf("round %d has %q", round, got)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTrapTransactionTooBig: what does not fit Badger's transactions together is written apart, and what does not fit by
// itself is refused by itself: the instance goes on.
func TestTrapTransactionTooBig(t *testing.T) {
	hold, first := make(chan struct{}), true
	opt := smallOptions()
	opt.ValueThreshold = 1 << 20
	opt.Faults.Before = func() error {
		if first {
			<-hold
		}
		first = false
		return nil
	}
	db, err := Open(t.TempDir(), opt)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var huge []Entry // many values just below the threshold
	for i := range 60 {
		huge = append(huge, Entry{Key: []byte(fmt.Sprintf("huge%d", i)), Value: sealedValue(fmt.Sprintf("huge%d", i), 15<<10)})
	}
	errs := make([]error, 6)
	var group sync.WaitGroup
	commit := func(i int, entries ...Entry) {
		group.Add(1)
		db.CommitAsync(entries, func(err error) { errs[i] = err; group.Done() })
	}
	commit(0, set("first", "x"))
	commit(1, huge[:30]...)
	commit(2, huge...)
	commit(3, huge[30:]...)
	commit(4, set("last", "x"))
	close(hold)
	group.Wait()
	for i, want := range []bool{true, true, false, true, true} {
		if (errs[i] == nil) != want {
			t.Errorf("request %d: %v", i, errs[i])
		}
	}
	if err := db.Err(); err != nil {
		t.Fatalf("the instance has failed: %v", err)
	}
	for i := range huge {
		key := fmt.Sprintf("huge%d", i)
		if err := db.View([]byte(key), checked(key)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCleanAndUncleanStarts(t *testing.T) {
	for _, clean := range []bool{true, false} {
		dir := filled(t, 100, clean)
		opt := smallOptions()
		opt.ReadOnly = true
		reader, err := Open(dir, opt)
		if errors.Is(err, ErrUnclean) == clean {
			t.Fatalf("clean %v: opened for reading: %v", clean, err)
		}
		if err == nil {
			if err := reader.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if o := readAll(t, open(t, dir)); o.good != trapKeys {
			t.Fatalf("clean %v: %+v", clean, o)
		}
	}
}

func TestReadOnly(t *testing.T) {
	dir := filled(t, 100, true)
	opt := smallOptions()
	opt.ReadOnly = true
	db, err := Open(dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if o := readAll(t, db); o.good != trapKeys {
		t.Fatalf("%+v", o)
	}
	if err := db.Commit(set("k", "v")); !errors.Is(err, ErrReadOnly) {
		t.Fatal(err)
	}
	if _, err := Open(dir, smallOptions()); err == nil || !strings.Contains(err.Error(), "lock") {
		t.Fatalf("opened for writing beside a reader: %v", err)
	}
}

func TestInstanceInUse(t *testing.T) {
	dir := t.TempDir()
	open(t, dir)
	for _, readOnly := range []bool{true, false} {
		opt := smallOptions()
		opt.ReadOnly = readOnly
		if _, err := Open(dir, opt); !errors.Is(err, ErrInUse) {
			t.Fatalf("read-only %v: %v", readOnly, err)
		}
	}
}

// TestEveryWriteMayFail fails the n-th write, before or after it is durable, for every n. The instance refuses everything
// from then on; after a restart it has what was acknowledged, and at most the one whose outcome was not known.
func TestEveryWriteMayFail(t *testing.T) {
	writes := sample(3, 6)
	for fail := range writes {
		for _, durable := range []bool{false, true} {
			dir := t.TempDir()
			n := 0
			opt := smallOptions()
			fault := func() error {
				if n++; n == fail+1 {
					return errors.New("disk on fire")
				}
				return nil
			}
			if durable {
				opt.Faults.After = fault
			} else {
				opt.Faults.Before = fault
			}
			db, err := Open(dir, opt)
			if err != nil {
				t.Fatal(err)
			}
			for i := range writes {
				err := db.Commit(Entry{Key: []byte(keyNumber(i)), Value: sealedValue(keyNumber(i), 3000)}, set("last", keyNumber(i)))
				if (err == nil) != (i < fail) {
					t.Fatalf("write %d when number %d fails: %v", i, fail, err)
				}
				if i > fail && !errors.Is(err, ErrReadOnly) {
					t.Fatalf("write %d after a failed one: %v", i, err)
				}
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			want := fail
			if durable {
				want++
			}
			again := open(t, dir)
			for i := range writes {
				err := again.View([]byte(keyNumber(i)), checked(keyNumber(i)))
				if (err == nil) != (i < want) || err != nil && !errors.Is(err, ErrNotFound) {
					t.Fatalf("durable %v, number %d failed: write %d: %v", durable, fail, i, err)
				}
			}
			if err := again.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestReopenBesideForks: a child that is about to become another program holds what was open, and its locks, for an instant. An
// instance that was closed is opened again all the same.
func TestReopenBesideForks(t *testing.T) {
	dir := t.TempDir()
	db, err := Open(dir, smallOptions())
	if err != nil {
		t.Fatal(err)
	}
	held, err := os.Open(dir) // as Badger locks it
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(int(held.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(20*time.Millisecond, func() { held.Close() })
	if db, err = Open(dir, smallOptions()); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestTableThatCannotBeRead cuts an open table: the page that is missing then is an error, of a look-up, a scan and a verification.
func TestTableThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	key := []byte("a")
	db := open(t, dir)
	if err := db.Commit(Entry{Key: key, Value: []byte("value")}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = open(t, dir)
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil || len(tables) != 1 {
		t.Fatalf("tables %v, %v", tables, err)
	}
	if err := os.Truncate(tables[0], 0); err != nil {
		t.Fatal(err)
	}
	nothing := func([]byte) error { return nil }
	if err := db.View(key, nothing); !errors.Is(err, ErrDamaged) {
		t.Errorf("look-up: %v", err)
	}
	if err := db.ScanKeys(nil, nothing); !errors.Is(err, ErrDamaged) {
		t.Errorf("scan: %v", err)
	}
}
