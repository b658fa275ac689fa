package tablet

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// spaceAge is how old a measurement of free space may be.
const spaceAge = time.Second

// spaceGauge caches what statfs says and counts what was promised since.
type spaceGauge struct {
	mu        sync.Mutex
	at        time.Time
	total     int64
	available int64
	err       error

	claims  sync.Mutex
	claimed int64 // by what takes it little by little
}

// eighths of the reserve are what has to stay when something begins that takes room. Below its reserve a disk takes what gives room back, and
// the more it gives the deeper it may go, so that no step stands in the way of the one that follows: deletes, the flush that has rowsets
// forget the rows, the merge that drops them, the collector that gives their segments back. Nothing begins in the last eighth: it is for what
// was promised before, such as publishing, and for Badger's memtables.
type eighths int64

const (
	leaveMove    eighths = 1 // what lives in a segment is copied so that the segment can go
	leaveMerge   eighths = 2 // of a rowset much of which is dead, and the flush of a tablet that has fewer rows than before
	leaveRemoval eighths = 4 // writes that only delete rows, and tablets without rows, as TRUNCATE makes them
	leaveFlush   eighths = 6 // of what was written before the disk was full: retention keeps its change sets until then
	leaveAll     eighths = 8
)

// Usage is the state of a disk.
type Usage struct {
	Total, Available int64 // of the file system
	DataUsed         int64 // by this disk's stores
	ReadOnly         bool
	Err              string // why it is read-only
}

// Usage returns the state of the disk.
func (s *Store) Usage() Usage {
	u := Usage{DataUsed: s.meta.Size() + s.data.Size()}
	var err error
	u.Total, u.Available, err = s.measure()
	if err == nil {
		err = s.writable()
	}
	if err != nil {
		u.ReadOnly, u.Err = true, err.Error()
	}
	return u
}

// writable refuses writes on a failed disk and below the flood stage (B6): a full disk would kill the process.
func (s *Store) writable() error {
	return s.leaves(leaveAll, 0)
}

// leaves refuses what takes need bytes if less than a part of the reserve would be left, or the disk has failed.
func (s *Store) leaves(part eighths, need int64) error {
	if why := s.failed.Load(); why != nil {
		return fmt.Errorf("%w: %s", ErrReadOnly, *why)
	}
	total, available, err := s.measure()
	if err != nil {
		return fmt.Errorf("measure free space: %w", err)
	}
	if reserve := s.reserve(total); available-need < reserve*int64(part)/8 {
		return fmt.Errorf("%d bytes are free, %d are reserved: %w", available, reserve, ErrDiskFull)
	}
	return nil
}

// tight reports whether the disk is below its reserve.
func (s *Store) tight() bool { return errors.Is(s.leaves(leaveAll, 0), ErrDiskFull) }

// removalCost is how many bytes the disk takes at most for one of a write that deletes rows: the part, its change set, and what Badger
// makes of them.
const removalCost = 4

// takes is writable for a write of these parts, or of none: below the reserve those are taken that only delete rows.
func (s *Store) takes(parts ...[]byte) error {
	err := s.writable()
	if !errors.Is(err, ErrDiskFull) {
		return err
	}
	bytes := 0
	for _, p := range parts {
		if !removes(p) {
			return err
		}
		bytes += len(p)
	}
	return s.leaves(leaveRemoval, removalCost*int64(bytes))
}

// fits reports whether a claim would be heard now.
func (s *Store) fits(part eighths, need int64) bool {
	g := &s.space
	g.claims.Lock()
	defer g.claims.Unlock()
	return s.leaves(part, g.claimed+need) == nil
}

// claim is leaves for what takes its bytes little by little, beside others that do. release ends it.
func (s *Store) claim(part eighths, need int64) (release func(), err error) {
	g := &s.space
	g.claims.Lock()
	defer g.claims.Unlock()
	if err := s.leaves(part, g.claimed+need); err != nil {
		return nil, err
	}
	g.claimed += need
	return func() {
		g.claims.Lock()
		defer g.claims.Unlock()
		g.claimed -= need
	}, nil
}

// reserve is what must stay free: as in StarRocks a disk is full when it is above the percentage and below
// the bytes.
func (s *Store) reserve(total int64) int64 {
	return min(s.opt.FloodBytes, total/100*int64(s.opt.FloodPercent))
}

func (s *Store) measure() (total, available int64, err error) {
	g := &s.space
	g.mu.Lock()
	defer g.mu.Unlock()
	now := s.opt.Now()
	if s.opt.Faults.Space != nil {
		return s.opt.Faults.Space()
	}
	if age := now.Sub(g.at); age < 0 || age > spaceAge || g.err != nil {
		g.total, g.available, g.err = statfs(s.dir)
		if most := s.opt.Capacity; most > 0 {
			g.total = min(g.total, most)
			g.available = min(g.available, max(most-s.meta.Size()-s.data.Size(), 0))
		}
		g.at = now
	}
	return g.total, g.available, g.err
}

// charge counts bytes that are about to be written against the cached measurement.
func (s *Store) charge(bytes int64) {
	s.space.mu.Lock()
	s.space.available -= bytes
	s.space.mu.Unlock()
}

func statfs(dir string) (total, available int64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, 0, err
	}
	return int64(st.Blocks) * st.Bsize, int64(st.Bavail) * st.Bsize, nil
}

// memGauge counts the bytes of decoded deltas of all tablets and lets writers wait while there are too many.
type memGauge struct {
	mu      sync.Mutex
	used    int64
	limit   int64
	changed chan struct{} // closed and replaced when used shrinks
}

func (g *memGauge) add(n int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.used += n
	if n < 0 {
		close(g.changed)
		g.changed = make(chan struct{})
	}
}

func (g *memGauge) over(part float64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return float64(g.used) > part*float64(g.limit)
}

// wait blocks while the limit is exceeded; poke asks for a flush.
func (g *memGauge) wait(ctx context.Context, poke func()) error {
	for {
		g.mu.Lock()
		full, changed := g.used > g.limit, g.changed
		g.mu.Unlock()
		if !full {
			return nil
		}
		poke()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
