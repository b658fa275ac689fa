// Package host holds the disks of one BE: it opens a tablet store on each storage root path, finds the replica of a
// tablet whichever disk it lies on, and picks the disk of a new one.
//
// It owns the identity of the BE (cluster id and BE id, kept on every disk) and refuses a disk of another cluster
// without touching it. A disk that fails to open is reported OFFLINE and tried again (again.go); the others go on. One that another process has
// open when this one starts is that process's, which is this BE already: nothing is opened beside it.
//
// Invariants: no two open disks have one id, and no two of them list one tablet, but for the moment in which a replica moves between them: a
// disk joins the others when it has been cleared of what is older than theirs, or they of what is older than its.
package host

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"stele/be/tablet"
	"stele/meta/types"
)

// Root is one entry of storage_root_path.
type Root struct {
	Path     string
	Medium   types.Medium
	Capacity int64 // bytes; 0 = what the file system has
}

// Disk is a root with its open store; Store is nil when it could not be opened, and Err says why. It does not change: what was tried again is
// another one.
type Disk struct {
	Root  Root
	Store *tablet.Store
	Err   error
}

// Host is the set of disks of a BE. It is safe for concurrent use.
type Host struct {
	roots   []Root
	options func(Root, types.ClusterID) tablet.Options
	log     *slog.Logger

	trying  []sync.Mutex // one try at a time to open a root; taken before joining
	joining sync.RWMutex // held to list a disk, and shared to list a replica on one; taken before mu
	closed  bool         // by Close; guarded by joining

	mu       sync.RWMutex
	identity Identity
	disks    []*Disk // by root; replaced as a whole
	opened   bool
	joined   func(*tablet.Store, []*tablet.Tablet)
	wishes   map[types.DiskID]types.DiskState // what the operator wants of disks; ONLINE ones are left out
	ready    chan struct{}                    // closed when the disks are open
}

// New returns a host that has opened nothing yet. options gives the store options of a root.
func New(roots []Root, log *slog.Logger, options func(Root, types.ClusterID) tablet.Options) *Host {
	return &Host{roots: roots, options: options, log: log, trying: make([]sync.Mutex, len(roots)), ready: make(chan struct{})}
}

// Ready is closed once the disks are open.
func (h *Host) Ready() <-chan struct{} { return h.ready }

// OpenKnown opens the disks if any of them says which cluster this BE belongs to; a BE whose disks are all blank
// stays closed until Join.
func (h *Host) OpenKnown() error {
	if id := h.readIdentity(); id.Cluster != "" {
		return h.open(id)
	}
	return nil
}

// readIdentity reads the identity files of all roots. When they do not agree nobody can say here which are foreign: it
// is as if there were none, and the first heartbeat decides.
func (h *Host) readIdentity() Identity {
	var found Identity
	for _, r := range h.roots {
		id, err := readIdentity(r.Path)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			h.log.Error("read the identity of a storage root", "path", r.Path, "err", err) // open says so of the disk
			continue
		}
		if found.Cluster != "" && found != id {
			h.log.Warn("storage roots belong to different clusters or bes: this be waits for the frontend that knows it, and then "+
				"opens only the roots that are its own", "path", r.Path, "its_cluster", id.Cluster, "its_be", id.BE,
				"other_cluster", found.Cluster, "other_be", found.BE)
			return Identity{}
		}
		found = id
	}
	return found
}

// Identity returns who this BE is; the zero value before it has joined.
func (h *Host) Identity() Identity {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.identity
}

// Join makes this BE the member be of cluster: blank disks are stamped and opened. It is idempotent, and refuses
// when the BE already belongs elsewhere.
func (h *Host) Join(cluster types.ClusterID, be types.BEID) error {
	want := Identity{Cluster: cluster, BE: be}
	h.mu.RLock()
	have, opened := h.identity, h.opened
	h.mu.RUnlock()
	if opened {
		if have != want {
			return &MistakenError{Is: have, Asked: want}
		}
		return nil
	}
	return h.open(want)
}

// open stamps and opens every root. One bad disk does not keep the others closed; one that another process has open does.
func (h *Host) open(id Identity) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.opened {
		return nil
	}
	if err := h.ownsOne(id); err != nil {
		return err
	}
	disks, err := h.openRoots(id)
	if err != nil {
		return err
	}
	h.identity, h.disks = id, disks
	h.opened = true
	close(h.ready)
	return nil
}

// openRoots opens the stores of all roots, or none where another process has one of them.
func (h *Host) openRoots(id Identity) ([]*Disk, error) {
	var disks []*Disk
	for _, r := range h.roots {
		d := &Disk{Root: r}
		if d.Store, d.Err = h.openRoot(r, id); errors.Is(d.Err, tablet.ErrInUse) {
			return nil, errors.Join(&InUseError{Path: r.Path, Identity: id, Err: d.Err}, closeAll(disks))
		}
		if d.Err == nil {
			_, d.Err = h.clear(r, d.Store, disks)
		}
		if d.Err != nil {
			h.log.Error("open disk", "path", r.Path, "err", d.Err)
		}
		if d.Err != nil && d.Store != nil {
			d.Err, d.Store = errors.Join(d.Err, d.Store.Close()), nil
		}
		disks = append(disks, d)
	}
	return disks, nil
}

// openRoot opens the store of a root if it is this BE's.
func (h *Host) openRoot(r Root, id Identity) (*tablet.Store, error) {
	if err := foreign(r, id); err != nil {
		return nil, err
	}
	return openStore(r, id, h.options(r, id.Cluster))
}

// TwinError refuses a storage root that is a copy of another one.
type TwinError struct {
	Path, Of string
	Disk     types.DiskID
}

func (e *TwinError) Error() string {
	return fmt.Sprintf("storage root %s holds disk %d, which is open as %s: one is a copy of the other. Take the one that is older out of "+
		"storage_root_path, or empty it by hand", e.Path, e.Disk, e.Of)
}

// InUseError refuses to be a BE that another process of the machine is already.
type InUseError struct {
	Path     string
	Identity Identity
	Err      error
}

func (e *InUseError) Error() string {
	return fmt.Sprintf("storage root %s of be %d of cluster %s is in use by another process, which is that be: stop it first, or take the path out of "+
		"storage_root_path if it belongs to it: %s", e.Path, e.Identity.BE, e.Identity.Cluster, e.Err)
}

func (e *InUseError) Unwrap() error { return e.Err }

// ForeignError refuses a storage root that belongs to another cluster or BE. Nothing on it is touched.
type ForeignError struct {
	Path  string
	Owner Identity
	Mine  Identity
}

func (e *ForeignError) Error() string {
	whose := fmt.Sprintf("storage root %s belongs to cluster %s as be %d, this is be %d of cluster %s: it is left alone. ",
		e.Path, e.Owner.Cluster, e.Owner.BE, e.Mine.BE, e.Mine.Cluster)
	if e.Owner.Cluster != e.Mine.Cluster {
		return whose + "Take it out of storage_root_path or, if nobody needs what is on it, empty it by hand"
	}
	return whose + fmt.Sprintf("Its replicas are missing on be %d: put the disk back there (SHOW BACKENDS names its host) and start both bes again. "+
		"Empty it by hand only if be %[1]d was dropped, or if all replicas of the cluster are complete without it (ADMIN SHOW REPLICA STATUS)", e.Owner.BE)
}

// MistakenError refuses a heartbeat that is meant for another BE than the one that the disks here make this.
type MistakenError struct {
	Is    Identity
	Asked Identity
}

func (e *MistakenError) Error() string {
	if e.Is.Cluster != e.Asked.Cluster {
		return fmt.Sprintf("the disks here make this be %d of cluster %s: it cannot join cluster %s as be %d. Have storage_root_path name disks of that one "+
			"or blank ones, or drop the backend that is not here (ALTER SYSTEM DROP BACKEND)", e.Is.BE, e.Is.Cluster, e.Asked.Cluster, e.Asked.BE)
	}
	return fmt.Sprintf("the disks here are those of be %d, be %d is expected here: put them back where be %[1]d is (SHOW BACKENDS names its host), and those of be %[2]d here, "+
		"and start both bes again", e.Is.BE, e.Asked.BE)
}

// foreign refuses a root that says it belongs to somebody else, or does not say it legibly.
func foreign(r Root, mine Identity) error {
	owner, err := readIdentity(r.Path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case owner != mine:
		return &ForeignError{Path: r.Path, Owner: owner, Mine: mine}
	}
	return nil
}

// ownsOne refuses to become id when some roots belong to somebody and none to id: whoever asks is mistaken about this BE.
func (h *Host) ownsOne(id Identity) error {
	var refused error
	for _, r := range h.roots {
		owner, err := readIdentity(r.Path)
		if err == nil && owner == id {
			return nil
		}
		if err == nil {
			refused = &ForeignError{Path: r.Path, Owner: owner, Mine: id}
		}
	}
	return refused
}

// clear has each tablet of a disk that is about to join the others be on one of them: a move between disks that a crash has interrupted in its
// last step leaves it on both, with the same rows, and a disk that was away may have kept a replica that was made anew on another one: ids grow. It
// returns what the others have dropped. One that is a copy of another is refused.
func (h *Host) clear(r Root, store *tablet.Store, others []*Disk) (dropped []*tablet.Tablet, err error) {
	for _, d := range others {
		if d.Store != nil && d.Store.ID() == store.ID() {
			return nil, &TwinError{Path: r.Path, Of: d.Root.Path, Disk: store.ID()}
		}
	}
	for _, t := range store.Tablets() {
		for _, d := range others {
			if d.Store == nil {
				continue
			}
			other, ok := d.Store.Tablet(t.ID())
			if !ok {
				continue
			}
			kept, from, loser := d.Store, store, t
			if newer(t, other) {
				kept, from, loser = store, d.Store, other
			}
			h.log.Warn("two disks have the tablet: dropping one", "tablet_id", t.ID(), "kept_disk", kept.ID(), "dropped_disk", from.ID())
			gone, err := from.Discard([]tablet.Dropping{{Tablet: t.ID(), Replica: loser.Replica()}})
			if err != nil {
				return dropped, fmt.Errorf("drop the second replica of tablet %d: %w", t.ID(), err)
			}
			if from == store {
				break
			}
			dropped = append(dropped, gone...)
		}
	}
	return dropped, nil
}

// newer reports whether a is to be kept rather than b, which is open already.
func newer(a, b *tablet.Tablet) bool {
	if ra, rb := a.Meta().Replica, b.Meta().Replica; ra != rb {
		return ra > rb
	}
	return !a.Stats().Bad && (b.Stats().Bad || a.Version() > b.Version())
}

// storeDir is where the store of a root is.
func storeDir(r Root) string { return filepath.Join(r.Path, "store") }

// openStore opens the store first and stamps the identity last: a crash between leaves a blank disk, not a BE
// that believes in a store which is not there.
func openStore(r Root, id Identity, opt tablet.Options) (*tablet.Store, error) {
	if err := os.MkdirAll(r.Path, 0o755); err != nil {
		return nil, err
	}
	s, err := tablet.Open(storeDir(r), opt)
	if err != nil {
		return nil, err
	}
	if err := writeIdentity(r.Path, id); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Disks returns the disks, open or not.
func (h *Host) Disks() []*Disk {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.disks
}

// Tablet finds the replica of a tablet on this BE.
func (h *Host) Tablet(id types.TabletID) (*tablet.Tablet, bool) {
	for _, d := range h.Disks() {
		if d.Store == nil {
			continue
		}
		if t, ok := d.Store.Tablet(id); ok {
			return t, true
		}
	}
	return nil, false
}

// Store finds the disk on which a tablet lies.
func (h *Host) Store(id types.TabletID) (*tablet.Store, bool) {
	for _, d := range h.Disks() {
		if d.Store == nil {
			continue
		}
		if _, ok := d.Store.Tablet(id); ok {
			return d.Store, true
		}
	}
	return nil, false
}

// Disk finds the store of a disk by its id.
func (h *Host) Disk(id types.DiskID) (*tablet.Store, bool) {
	for _, d := range h.Disks() {
		if d.Store != nil && d.Store.ID() == id {
			return d.Store, true
		}
	}
	return nil, false
}

// SetWishes takes in what the operator wants of disks: new replicas go to ONLINE ones only.
func (h *Host) SetWishes(wishes map[types.DiskID]types.DiskState) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.wishes = wishes
}

// DiskState returns the state of an open disk.
func (h *Host) DiskState(id types.DiskID) types.DiskState {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.wishes[id]
}

// Place picks the disk for a new replica: ONLINE, of the wanted medium if there is one, writable, with the fewest replicas.
func (h *Host) Place(medium types.Medium) (*tablet.Store, error) {
	places, err := h.PlaceAll(medium, 1)
	if err != nil {
		return nil, err
	}
	return places[0], nil
}

// PlaceAll is Place for each of n replicas, as if those before it were made already.
func (h *Host) PlaceAll(medium types.Medium, n int) ([]*tablet.Store, error) {
	counts := h.placeable(medium)
	if len(counts) == 0 {
		return nil, fmt.Errorf("no writable disk that takes new replicas on this be: %w", tablet.ErrReadOnly)
	}
	places := make([]*tablet.Store, n)
	for i := range places {
		least := slices.MinFunc(counts, func(a, b diskCount) int { return cmp.Compare(a.replicas, b.replicas) })
		at := slices.Index(counts, least)
		counts[at].replicas++
		places[i] = least.store
	}
	return places, nil
}

// diskCount is how many replicas a disk has.
type diskCount struct {
	store    *tablet.Store
	replicas int
}

// placeable returns the disks that take new replicas: those of the wanted medium, or all if there is none.
func (h *Host) placeable(medium types.Medium) (counts []diskCount) {
	var others []diskCount
	for _, d := range h.Disks() {
		switch {
		case d.Store == nil || d.Store.Usage().ReadOnly || h.DiskState(d.Store.ID()) != types.DiskOnline:
		case d.Root.Medium == medium:
			counts = append(counts, diskCount{d.Store, d.Store.TabletCount()})
		default:
			others = append(others, diskCount{d.Store, d.Store.TabletCount()})
		}
	}
	if len(counts) == 0 {
		return others
	}
	return counts
}

// Close closes every store. No disk joins afterwards.
func (h *Host) Close() error {
	h.joining.Lock()
	defer h.joining.Unlock()
	h.closed = true
	return closeAll(h.Disks())
}

func closeAll(disks []*Disk) error {
	var errs []error
	for _, d := range disks {
		if d.Store != nil {
			errs = append(errs, d.Store.Close())
		}
	}
	return errors.Join(errs...)
}
