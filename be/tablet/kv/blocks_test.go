package kv

import (
	"fmt"
	"testing"
)

// TestUncompressedBlocksAreNotCached: a cache of them would count the rest of its table as the size of each, keep next to none, and have Badger warn
// each minute that it is too small. What is compressed has a cache.
func TestUncompressedBlocksAreNotCached(t *testing.T) {
	for _, compress := range []bool{false, true} {
		opt := smallOptions()
		opt.Compress = compress
		dir := t.TempDir()
		fillTables(t, dir, opt)
		db, err := Open(dir, opt)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		for i := range tableKeys {
			if got, ok := get(t, db, tableKey(i)); !ok || got != fmt.Sprint(i) {
				t.Fatalf("key %d: %q, %v", i, got, ok)
			}
		}
		blocks := db.bdb.BlockCacheMetrics()
		if vain := blocks.KeysEvicted() + blocks.SetsRejected(); !compress && vain > 0 {
			t.Errorf("%d blocks have come to the cache in vain", vain)
		}
		if compress && blocks.Hits() == 0 {
			t.Error("blocks that were decompressed are not kept")
		}
	}
}

const tableKeys = 40_000

func tableKey(i int) string { return fmt.Sprintf("key %08d", i) }

// fillTables leaves an instance with tableKeys keys, all of them in tables.
func fillTables(t testing.TB, dir string, opt Options) {
	t.Helper()
	db, err := Open(dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	const each = 500
	for from := 0; from < tableKeys; from += each {
		var entries []Entry
		for i := from; i < from+each; i++ {
			entries = append(entries, set(tableKey(i), fmt.Sprint(i)))
		}
		if err := db.Commit(entries...); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}
