package kv

import (
	"bytes"
	"crypto/aes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"
)

// Badger has two files beside what it stores, and does the wrong thing when they are damaged.

// Exists reports whether an instance was made in dir, whatever became of it.
func Exists(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, badger.ManifestFilename))
	return err == nil || len(tablesIn(dir)) > 0
}

func tablesIn(dir string) []string {
	tables, _ := filepath.Glob(filepath.Join(dir, "*.sst")) // the pattern is right
	return tables
}

// refuseWithoutManifest refuses an instance with tables of which nothing says which ones are its own. Badger would take it for a new one, and
// delete them all. Badger makes the manifest before any table, durably, so no crash leaves that; without tables there is nothing to lose.
func refuseWithoutManifest(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, badger.ManifestFilename)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	tables := tablesIn(dir)
	if len(tables) == 0 {
		return nil
	}
	return fmt.Errorf("%s is missing but %d tables are there, which are left as they are: bring it back, or empty the storage root "+
		"if its replicas are elsewhere: %w", badger.ManifestFilename, len(tables), ErrDamaged)
}

// registrySanity is how the registry of keys ends, behind random bytes, when there is no key in it.
const registrySanity = "Hello Badger"

// registryDamaged reports whether the registry of keys is there and not as Badger wrote it. Badger would refuse it, and the instance with it; but
// nothing is encrypted, so there is nothing in it, and Badger makes another one where there is none.
func registryDamaged(dir string) bool {
	body, err := os.ReadFile(filepath.Join(dir, badger.KeyRegistryFileName))
	if errors.Is(err, fs.ErrNotExist) {
		return false
	}
	return err != nil || len(body) != aes.BlockSize+len(registrySanity) || !bytes.HasSuffix(body, []byte(registrySanity))
}
