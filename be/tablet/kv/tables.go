package kv

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/dgraph-io/badger/v4/table"
	"github.com/dgraph-io/ristretto/v2/z"
)

// Badger opens tables in goroutines of its own, and some flipped bits make it panic there: the process would end, at every
// start again, with all disks of the BE. So each table that it is about to open is opened here first, where a panic is an
// error. The same reading, without Badger's caches, lets a scrub verify tables at a pace.

// tryTables opens every table that the manifest names.
func tryTables(dir string, opt badger.Options) error {
	f, err := os.Open(filepath.Join(dir, badger.ManifestFilename))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // a new instance
	}
	if err != nil {
		return err
	}
	defer f.Close()
	m, _, err := badger.ReplayManifestFile(f, opt.ExternalMagicVersion, opt)
	if err != nil {
		return nil // Badger refuses it, in so many words
	}
	for id, t := range m.Tables {
		if err := withTable(dir, id, t.Compression, opt.BlockSize, func(*table.Table) error { return nil }); err != nil {
			return err
		}
	}
	return nil
}

// withTable opens a table to read it. A table that is not there is no error: Badger says so itself, or has just removed it.
func withTable(dir string, id uint64, compression options.CompressionType, blockSize int, fn func(*table.Table) error) (err error) {
	path := table.NewFilename(id, dir)
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true)) // of a page that cannot be read
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("table %s: %v: %w", path, r, ErrDamaged)
		}
	}()
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	file, err := z.OpenMmapFile(path, os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("table %s: %w", path, err)
	}
	defer func() { _ = file.Close(-1) }() // it was only read
	t, err := table.OpenTable(file, table.Options{ReadOnly: true, Compression: compression, BlockSize: blockSize, ChkMode: options.NoVerification})
	if err != nil {
		return fmt.Errorf("table %s: %w: %w", path, ErrDamaged, err)
	}
	if err := fn(t); err != nil {
		return fmt.Errorf("table %s: %w: %w", path, ErrDamaged, err)
	}
	return nil
}

// VerifyTables reads every table and checks its checksums, at the speed that pace allows; it is called with the size of each.
func (db *DB) VerifyTables(ctx context.Context, pace func(ctx context.Context, bytes int64) error) error {
	opt := db.bdb.Opts()
	for _, info := range db.bdb.Tables() {
		var size int64
		err := withTable(opt.Dir, info.ID, opt.Compression, opt.BlockSize, func(t *table.Table) error {
			size = t.Size()
			return t.VerifyChecksum()
		})
		if err != nil {
			return err
		}
		if err := pace(ctx, size); err != nil {
			return err
		}
	}
	return nil
}
