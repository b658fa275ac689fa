package kv

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestMissingManifestTouchesNothing takes the manifest of an instance away: it is refused, and when the manifest is back all is there.
func TestMissingManifestTouchesNothing(t *testing.T) {
	dir := filled(t, 100, true)
	manifest, aside := filepath.Join(dir, "MANIFEST"), filepath.Join(t.TempDir(), "MANIFEST")
	if err := os.Rename(manifest, aside); err != nil {
		t.Fatal(err)
	}
	for _, readOnly := range []bool{true, false} {
		opt := smallOptions()
		opt.ReadOnly = readOnly
		if _, err := Open(dir, opt); !errors.Is(err, ErrDamaged) || !Exists(dir) {
			t.Fatalf("an instance without a manifest, read-only %v: %v", readOnly, err)
		}
	}
	if err := os.Rename(aside, manifest); err != nil {
		t.Fatal(err)
	}
	if o := readAll(t, open(t, dir)); o.good != trapKeys {
		t.Fatalf("%+v of %d keys", o, trapKeys)
	}
}

// TestDamagedRegistryIsMadeAnew damages the registry of keys, in which nothing is: the instance opens all the same.
func TestDamagedRegistryIsMadeAnew(t *testing.T) {
	for _, damaged := range []string{"", "too short", "0123456789abcdefHullo Badger", "0123456789abcdefHello Badger and more"} {
		dir := filled(t, 100, true)
		if err := os.WriteFile(filepath.Join(dir, "KEYREGISTRY"), []byte(damaged), 0o600); err != nil {
			t.Fatal(err)
		}
		opt := smallOptions()
		opt.ReadOnly = true
		if _, err := Open(dir, opt); !errors.Is(err, ErrUnclean) {
			t.Fatalf("registry %q, read-only: %v", damaged, err)
		}
		db := open(t, dir)
		if o := readAll(t, db); o.good != trapKeys {
			t.Fatalf("registry %q: %+v of %d keys", damaged, o, trapKeys)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if db, err := Open(dir, opt); err != nil || db.Close() != nil {
			t.Fatalf("registry made anew for %q: %v", damaged, err)
		}
	}
}
