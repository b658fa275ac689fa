// Package space says how much room a disk has, and lets what takes room begin only where enough is left: a disk that is really full would
// kill the process (B6).
//
// A part of the disk is its reserve. Below it the disk takes what gives room back, and the more it gives the deeper it may go (Leave), so
// that no step stands in the way of the one that follows. What is needed is counted before it begins:
//
//	what                                                            needs, at most                            leaves, of the reserve
//	writes of rows; merges for their own sake                       of a merge, 5/4 of the rows that stay     all; clones twice as much
//	flush of what was written before                                the memtables, without deleted keys       6/8
//	writes that only delete rows; tablets without rows (TRUNCATE)   four times the payload, which has keys    4/8
//	flush of a tablet that has fewer rows than its manifest         its delete vectors, as far as is read     2/8
//	merge of one rowset, of which much is dead                      5/4 of the rows that stay                 2/8
//	collector, sweep                                                what it copies at once; the tables        1/8
//
// The last eighth is for what was promised before: publishing, deletions by retention, Badger's memtables.
package space

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// ErrFull says that the disk is below its reserve and takes no writes.
var ErrFull = errors.New("disk is below its reserve")

// Leave is how many eighths of the reserve have to stay when something begins that takes room.
type Leave int64

// What begins.
const (
	ForMove    Leave = 1  // what lives in a segment is copied so that the segment can go
	ForMerge   Leave = 2  // of a rowset much of which is dead, and the flush of a tablet that has fewer rows than before
	ForRemoval Leave = 4  // writes that only delete rows, and tablets without rows, as TRUNCATE makes them
	ForFlush   Leave = 6  // of what was written before the disk was full: retention keeps its change sets until then
	ForRows    Leave = 8  // and all else
	ForClone   Leave = 16 // a disk near its reserve takes none
)

// Options describe a disk.
type Options struct {
	Dir string
	// Capacity bounds the bytes of it; 0 = what its file system has. Used says how many of them it has taken.
	Capacity int64
	Used     func() int64
	// As in StarRocks a disk is full when it is above the percentage and below the bytes: the reserve is the lesser of both.
	FloodBytes   int64
	FloodPercent int

	Now func() time.Time
	// Measure replaces statfs, for tests.
	Measure func() (total, available int64, err error)
}

// Gauge caches what statfs says, counts what was promised since, and who takes room little by little.
type Gauge struct {
	opt Options

	mu        sync.Mutex
	at        time.Time
	total     int64
	available int64
	err       error

	claims  sync.Mutex
	claimed int64 // by what takes it little by little
}

// fresh is how old a measurement may be.
const fresh = time.Second

// New returns the gauge of a disk.
func New(o Options) *Gauge { return &Gauge{opt: o} }

// Measure returns how many bytes the disk has, and how many of them are free.
func (g *Gauge) Measure() (total, available int64, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.opt.Now()
	if g.opt.Measure != nil {
		return g.opt.Measure()
	}
	if age := now.Sub(g.at); age < 0 || age > fresh || g.err != nil {
		g.total, g.available, g.err = statfs(g.opt.Dir)
		if most := g.opt.Capacity; most > 0 {
			g.total = min(g.total, most)
			g.available = min(g.available, max(most-g.opt.Used(), 0))
		}
		g.at = now
	}
	return g.total, g.available, g.err
}

// Outside returns how many bytes the file system has for everybody, whatever Capacity leaves of them.
func (g *Gauge) Outside() (available int64, err error) {
	if g.opt.Measure != nil {
		_, available, err = g.opt.Measure()
		return available, err
	}
	_, available, err = statfs(g.opt.Dir)
	return available, err
}

func statfs(dir string) (total, available int64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, 0, err
	}
	return int64(st.Blocks) * st.Bsize, int64(st.Bavail) * st.Bsize, nil
}

// Charge counts bytes that are about to be written against the cached measurement.
func (g *Gauge) Charge(bytes int64) {
	g.mu.Lock()
	g.available -= bytes
	g.mu.Unlock()
}

// Allows refuses what takes need bytes, ErrFull, if less than its part of the reserve would be left.
func (g *Gauge) Allows(l Leave, need int64) error {
	total, available, err := g.Measure()
	if err != nil {
		return fmt.Errorf("measure free space: %w", err)
	}
	if left := g.reserve(total) * int64(l) / 8; available-need < left {
		return fmt.Errorf("%d bytes are free, %d are needed and %d must be left: %w", available, need, left, ErrFull)
	}
	return nil
}

func (g *Gauge) reserve(total int64) int64 {
	return min(g.opt.FloodBytes, total/100*int64(g.opt.FloodPercent))
}

// Fits reports whether a claim would be heard now.
func (g *Gauge) Fits(l Leave, need int64) bool {
	g.claims.Lock()
	defer g.claims.Unlock()
	return g.Allows(l, g.claimed+need) == nil
}

// Claim is Allows for what takes its bytes little by little, beside others that do. release ends it.
func (g *Gauge) Claim(l Leave, need int64) (release func(), err error) {
	g.claims.Lock()
	defer g.claims.Unlock()
	if err := g.Allows(l, g.claimed+need); err != nil {
		return nil, err
	}
	g.claimed += need
	return func() {
		g.claims.Lock()
		defer g.claims.Unlock()
		g.claimed -= need
	}, nil
}
