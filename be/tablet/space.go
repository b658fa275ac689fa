package tablet

import (
	"errors"
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"

	"stele/be/tablet/space"
	"stele/be/tablet/wire"
)

// Usage is the state of a disk.
type Usage struct {
	Total, Available int64 // of the file system
	DataUsed         int64 // by this disk's stores
	ReadOnly         bool
	Failed           bool   // it is read-only until it is opened anew
	Err              string // why it is read-only
}

// Usage returns the state of the disk.
func (s *Store) Usage() Usage {
	u := Usage{DataUsed: s.meta.Size() + s.data.Size(), Failed: s.Failed()}
	var err error
	u.Total, u.Available, err = s.space.Measure()
	if err == nil {
		err = s.writable()
	}
	if err != nil {
		u.ReadOnly, u.Err = true, err.Error()
	}
	return u
}

// newSpace returns the gauge of the disk's room.
func (s *Store) newSpace() *space.Gauge {
	return space.New(space.Options{
		Dir: s.dir, Capacity: s.opt.Capacity, Used: func() int64 { return s.meta.Size() + s.data.Size() },
		FloodBytes: s.opt.FloodBytes, FloodPercent: s.opt.FloodPercent, Now: s.opt.Now, Measure: s.opt.Faults.Space,
	})
}

// openingCost is what the files take that both instances make when they are opened: their first pages, and the registers beside them.
const openingCost = 4 << 20

// roomToOpen refuses a disk that has no room for what opening it writes: what its logs hold becomes tables, and Badger writes new logs through
// mappings, where a page that the disk cannot give ends the process, and with it the other disks of the BE.
func (s *Store) roomToOpen() error {
	need := int64(openingCost)
	for _, pattern := range []string{"*.mem", "FRONT.*"} {
		logs, err := filepath.Glob(filepath.Join(s.dir, "*", pattern))
		if err != nil {
			return err
		}
		for _, log := range logs {
			var st unix.Stat_t
			if err := unix.Stat(log, &st); err == nil { // Badger makes them larger than what they hold
				need += st.Blocks * 512
			}
		}
	}
	available, err := s.space.Outside()
	if err != nil {
		return fmt.Errorf("measure free space: %w", err)
	}
	if available < need {
		return fmt.Errorf("%d bytes are free and %d are needed to open it: make room on its file system, then it opens by itself: %w", available, need, ErrDiskFull)
	}
	return nil
}

// writable refuses writes on a failed disk and below the flood stage.
func (s *Store) writable() error { return s.allows(space.ForRows, 0) }

// allows refuses what takes need bytes if less than a part of the reserve would be left, or the disk has failed.
func (s *Store) allows(l space.Leave, need int64) error {
	if err := s.sound(); err != nil {
		return err
	}
	return s.space.Allows(l, need)
}

// sound says why the disk takes no writes, however much room it has.
func (s *Store) sound() error {
	if why := s.failed.Load(); why != nil {
		return fmt.Errorf("%w: %s", ErrReadOnly, *why)
	}
	return nil
}

// Failed reports whether a write to the disk has failed: nothing is written before it is opened anew.
func (s *Store) Failed() bool { return s.failed.Load() != nil }

// tight reports whether the disk is below its reserve.
func (s *Store) tight() bool { return errors.Is(s.writable(), ErrDiskFull) }

// fits reports whether a claim would be heard now.
func (s *Store) fits(l space.Leave, need int64) bool {
	return s.sound() == nil && s.space.Fits(l, need)
}

// claim is allows for what takes its bytes little by little, beside others that do. release ends it.
func (s *Store) claim(l space.Leave, need int64) (release func(), err error) {
	if err := s.sound(); err != nil {
		return nil, err
	}
	return s.space.Claim(l, need)
}

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
		if !wire.Removes(p) {
			return err
		}
		bytes += len(p)
	}
	return s.allows(space.ForRemoval, removalCost*int64(bytes))
}
