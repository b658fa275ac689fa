package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"stele/be/tablet"
	"stele/meta/journal"
)

// Disks that did not open are tried again, and those that have failed are opened anew when they take writes; DESIGN.md.

const (
	// firstPause is about what an operator waits for after a mount, and a look at a disk that is not there costs nothing.
	firstPause = time.Second
	// longestPause bounds how long a disk is away after it was repaired. ALTER SYSTEM OPEN DISK does not wait.
	longestPause = 2 * time.Minute
	// tryShare is the part of the time that may be spent on a disk which reads for minutes, and then does not open.
	tryShare = 20
)

// nextPause is how long a disk is left alone that was left alone for pause, and then was tried for so long.
func nextPause(pause, took time.Duration) time.Duration {
	return max(min(2*pause, longestPause), tryShare*took)
}

// OnJoin has f called with each disk that joins the others, and with the replicas that they have dropped for it. It is called once, before any of them
// may.
func (h *Host) OnJoin(f func(joined *tablet.Store, dropped []*tablet.Tablet)) { h.joined = f }

// KeepOpen tries disks that are not open again, and opens those anew that have failed, until ctx ends. They do not wait for one another: one
// that hangs holds up itself.
func (h *Host) KeepOpen(ctx context.Context) {
	var roots sync.WaitGroup
	for i := range h.roots {
		roots.Go(func() { h.keepOpen(ctx, i) })
	}
	roots.Wait()
}

func (h *Host) keepOpen(ctx context.Context, root int) {
	tick := time.NewTicker(firstPause)
	defer tick.Stop()
	pause, tried := firstPause, time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		idle := time.Since(tried)
		switch d := h.Disks()[root]; {
		case d.Store != nil && !d.Store.Failed():
			if idle > longestPause { // one that fails again at once is not opened again and again
				pause = firstPause
			}
		case idle >= pause:
			tried = time.Now()
			_, _ = h.openAgain(root, false) // what is wrong stands in the disk
			pause = nextPause(pause, time.Since(tried))
			tried = time.Now()
		}
	}
}

// ErrBlank refuses a root that nobody has said is to be a new disk.
var ErrBlank = errors.New("nothing of this be is there, as when its file system is not mounted: mount it. " +
	"ALTER SYSTEM OPEN DISK, and a restart of the be, make a new disk of it")

// Open opens a disk now that is not open or has failed, if it is one of this BE's or has nothing on it. It reports whether there was anything to do.
func (h *Host) Open(path string) (store *tablet.Store, opened bool, err error) {
	at := slices.IndexFunc(h.roots, func(r Root) bool { return filepath.Clean(r.Path) == filepath.Clean(path) })
	if at < 0 {
		return nil, false, fmt.Errorf("%s is not in the storage_root_path of this be", path)
	}
	if len(h.Disks()) == 0 {
		return nil, false, errors.New("this be has joined no cluster yet")
	}
	opened, err = h.openAgain(at, true)
	return h.Disks()[at].Store, opened, err
}

// openAgain opens a disk that is not open, or has failed; blank says that one with nothing on it may become a new one.
func (h *Host) openAgain(root int, blank bool) (opened bool, err error) {
	h.trying[root].Lock()
	defer h.trying[root].Unlock()
	d := h.Disks()[root]
	if d.Store != nil {
		if !d.Store.Failed() {
			return false, nil
		}
		if err := h.closeFailed(root, d); err != nil {
			return false, err
		}
		d, blank = h.Disks()[root], false
	}
	if !blank {
		err = h.refuseBlank(d.Root)
	}
	if err == nil {
		err = h.join(root, d.Root)
	}
	if err != nil {
		if err.Error() != d.Err.Error() { // else the log would have it for as long as it lasts
			h.log.Error("open disk", "path", d.Root.Path, "err", err)
		}
		h.list(root, &Disk{Root: d.Root, Err: err})
	}
	return err == nil, err
}

// errAnew is why a disk is closed for a moment.
var errAnew = errors.New("it has failed, takes writes again, and is opened anew")

// closeFailed closes a disk that has failed, if it takes writes again: one that does not can still be read, and could not be closed, as Badger
// writes its last tables for as long as the disk does not take them.
func (h *Host) closeFailed(root int, d *Disk) error {
	if err := probe(d.Root.Path); err != nil {
		return fmt.Errorf("disk %s has failed and still takes no writes, it can only be read: %w", d.Root.Path, err)
	}
	h.joining.Lock() // no clone ends on it meanwhile
	if h.closed {
		h.joining.Unlock()
		return errStops
	}
	h.list(root, &Disk{Root: d.Root, Err: errAnew})
	h.joining.Unlock()
	h.log.Warn("a disk that has failed takes writes again: it is opened anew", "path", d.Root.Path, "disk_id", d.Store.ID())
	if err := d.Store.Abandon(); err != nil {
		h.log.Warn("close a disk that has failed", "path", d.Root.Path, "err", err) // what its logs have is found when it is opened
	}
	return nil
}

// errStops refuses what comes after Close.
var errStops = errors.New("this be stops")

// probeFile is written to find out whether a disk takes writes.
const probeFile = "probe.tmp"

// probe writes and flushes a file, as a store does.
func probe(root string) error {
	path := filepath.Join(root, probeFile)
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, 4096))
	return errors.Join(err, f.Sync(), f.Close(), os.Remove(path), journal.SyncDir(root))
}

// refuseBlank refuses a root without a disk on it. At the start it becomes a new one; in between it is more likely the folder to which the disk is
// mounted, and a disk in there would be hidden a moment later.
func (h *Host) refuseBlank(r Root) error {
	owner, err := readIdentity(r.Path)
	if errors.Is(err, os.ErrNotExist) || err == nil && owner == h.Identity() && !tablet.Exists(storeDir(r)) {
		return fmt.Errorf("storage root %s: %w", r.Path, ErrBlank)
	}
	return err
}

// join opens a disk and lists it beside the others.
func (h *Host) join(root int, r Root) error {
	store, err := h.openRoot(r, h.Identity())
	if err != nil {
		return err
	}
	h.joining.Lock()
	defer h.joining.Unlock()
	dropped, err := h.clear(r, store, h.Disks())
	if err == nil && h.closed {
		err = errStops
	}
	if err != nil {
		return errors.Join(err, store.Close())
	}
	h.list(root, &Disk{Root: r, Store: store})
	h.log.Info("a disk is back", "path", r.Path, "disk_id", store.ID(), "tablets", store.TabletCount())
	if h.joined != nil {
		h.joined(store, dropped)
	}
	return nil
}

func (h *Host) list(root int, d *Disk) {
	h.mu.Lock()
	defer h.mu.Unlock()
	disks := slices.Clone(h.disks)
	disks[root] = d
	h.disks = disks
}

// Steadily runs f, which lists a replica on a disk, while no disk joins: else two that have looked for the tablet elsewhere would both have it.
func (h *Host) Steadily(f func() error) error {
	h.joining.RLock()
	defer h.joining.RUnlock()
	return f()
}

// Supersede drops older replicas of a tablet than t from the disks that t is not on. It is part of what runs Steadily.
func (h *Host) Supersede(t *tablet.Tablet) (dropped []*tablet.Tablet, err error) {
	for _, d := range h.Disks() {
		if d.Store == nil {
			continue
		}
		old, ok := d.Store.Tablet(t.ID())
		if !ok || old.Replica() >= t.Replica() {
			continue
		}
		gone, derr := d.Store.Discard([]tablet.Dropping{{Tablet: t.ID(), Replica: old.Replica()}})
		dropped, err = append(dropped, gone...), errors.Join(err, derr)
	}
	return dropped, err
}
