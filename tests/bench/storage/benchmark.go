//go:build bench

package storage

import (
	"errors"
	"flag"
	"path/filepath"

	"stele/be/tablet"
)

var scale = flag.Float64("scale", 1, "TPC-H scale factor of lineitem: 1 is 6 million rows")

// writers is how many writers insert at once, marks what they must reach beside MariaDB.
var (
	writers = []int{1, 16, 64}
	marks   = map[int]float64{1: 0.8, 16: 1.2, 64: 2}
)

// benchmark is one run.
type benchmark struct {
	report Report
	dir    string
	root   string // of the disk with the rows
	tsv    string
	rows   int
	bytes  int64 // of the TSV
	chunks int   // of it, each of which a load makes a version of; 0 = not known
	s      *tablet.Store
	t      *tablet.Tablet
}

func (b *benchmark) path(name string) string { return filepath.Join(b.dir, name) }

// reopen opens the disk that was closed, or that an earlier run has left, with its tablet.
func (b *benchmark) reopen() (err error) {
	if b.s, err = disk(storeIn(b.root), false); err != nil {
		return err
	}
	var ok bool
	if b.t, ok = b.s.Tablet(1); !ok {
		return errors.New("the tablet is gone")
	}
	return nil
}
