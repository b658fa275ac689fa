package tablet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"stele/be/tablet/kv"
	"stele/be/tablet/kv/segment"
	"stele/meta/types"
	"stele/sql/rowset"
)

// OpenOffline opens the disk of a stopped BE, whatever its cluster, to look at it: nothing is written. A disk that a BE
// has open is refused by Badger's lock, one that was not closed cleanly with ErrUnclean: see RecoverOffline.
func OpenOffline(dir string, opt Options) (*Store, error) {
	if !Exists(dir) {
		return nil, fmt.Errorf("open disk %s: %w", dir, ErrNoDisk)
	}
	opt.offline, opt.NoBackground = true, true
	return Open(dir, opt)
}

// Exists reports whether a folder has both instances, damaged or not.
func Exists(dir string) bool {
	return kv.Exists(filepath.Join(dir, "meta")) && kv.Exists(filepath.Join(dir, "data"))
}

// RecoverOffline lets the key-value stores of a disk replay their logs, as a BE does when it starts, and changes nothing
// else.
func RecoverOffline(dir string, opt Options) error {
	if !Exists(dir) {
		return fmt.Errorf("recover disk %s: %w", dir, ErrNoDisk)
	}
	s := &Store{dir: dir, opt: opt.withDefaults()}
	s.log = s.opt.Logger
	if err := s.openStores(); err != nil {
		return fmt.Errorf("recover disk %s: %w", dir, err)
	}
	return s.closeStores()
}

// Cluster returns the id of the cluster that the disk belongs to.
func (s *Store) Cluster() types.ClusterID { return s.super.Cluster }

// Format returns the format of what is on the disk.
func (s *Store) Format() int { return s.super.Format }

// Orphan is data that no record names: what a crash, a drop or a clone left. The next BE to open the disk deletes it.
type Orphan struct {
	UID, Rowset uint64 // Rowset is 0 for all of an incarnation
	Keys        int
	Bytes       int64
}

// Orphans measures the orphans that opening the disk found.
func (s *Store) Orphans() ([]Orphan, error) {
	s.mu.Lock()
	todo := slices.Clone(s.garbage)
	s.mu.Unlock()
	return s.measureOrphans(todo)
}

// Kept measures what no record names and is kept all the same: damage may have taken the record. Repair deletes it.
func (s *Store) Kept() ([]Orphan, error) { return s.measureOrphans(s.kept) }

func (s *Store) measureOrphans(todo []garbage) ([]Orphan, error) {
	var out []Orphan
	for _, g := range todo {
		o := Orphan{UID: g.uid, Rowset: g.rowset}
		count := func(key, val []byte, _ error) error { // of a value that cannot be read nothing is known
			o.Keys, o.Bytes = o.Keys+1, o.Bytes+int64(len(key)+len(val))
			return nil
		}
		for _, kind := range []byte{kVersion, kPart, kDeletes, kManifest, kGroup, kIndex, kLargePart} {
			prefix := key1(kind, g.uid)
			if g.rowset != 0 {
				prefix = key2(kind, g.uid, g.rowset)
			}
			if g.rowset != 0 && kind != kGroup && kind != kIndex && kind != kDeletes {
				continue
			}
			if err := s.instanceOf(kind).ScanEach(prefix, count); err != nil {
				return nil, fmt.Errorf("orphans of incarnation %d: %w", g.uid, err)
			}
		}
		out = append(out, o)
	}
	return out, nil
}

func (s *Store) instanceOf(kind byte) *kv.DB {
	if kind == kGroup || kind == kIndex || kind == kLargePart {
		return s.data
	}
	return s.meta
}

// RowsetInfo describes a rowset of a tablet.
type RowsetInfo struct {
	ID     uint64
	Rows   int64
	Hidden int64 // rows that some version has ended
	Groups int
	Bytes  int64
}

// Rowsets describes the rowsets, oldest first.
func (t *Tablet) Rowsets() []RowsetInfo {
	t.mu.RLock()
	defer t.mu.RUnlock()
	var out []RowsetInfo
	for _, r := range t.rowsets {
		out = append(out, RowsetInfo{ID: r.entry.ID, Rows: int64(r.entry.Rows), Hidden: int64(r.deletes.Count()), Groups: len(r.groups), Bytes: r.entry.Bytes})
	}
	return out
}

// SegmentInfo is what is in a segment, dead or alive.
type SegmentInfo struct {
	Path           string
	Records, Bytes int64 // that are sound
	Damaged        int64 // records that are not what was written
	Lost           int64 // bytes of no record
	Err            error // why it cannot be read; then nothing is known of what is in it
}

// Segments walks the segments of a disk by themselves, whatever the state of its key-value stores. One that cannot be read keeps no other from
// being walked.
func Segments(ctx context.Context, dir string) (out []SegmentInfo, err error) {
	for _, instance := range []string{"meta", "data"} {
		of, err := segmentsOf(ctx, filepath.Join(dir, instance))
		if out = append(out, of...); err != nil {
			return out, err
		}
	}
	return out, nil
}

func segmentsOf(ctx context.Context, dir string) (out []SegmentInfo, err error) {
	files, err := segment.Files(dir)
	if err != nil {
		return nil, err
	}
	for _, id := range slices.Sorted(maps.Keys(files)) {
		if err := ctx.Err(); err != nil {
			return out, err
		}
		found, err := segment.Walk(id, files[id], nil)
		out = append(out, SegmentInfo{Path: files[id], Records: found.Records, Bytes: found.Bytes, Damaged: found.Damaged, Lost: found.Lost, Err: err})
	}
	return out, nil
}

// Damage is something on a disk that is not what was stored.
type Damage struct {
	Tablet types.TabletID // 0 when it belongs to no tablet that can be named
	What   string
	Err    error
}

// Check is what VerifyTablet found out about a sound replica.
type Check struct {
	Version types.Version
	Rows    int64
	Digest  uint64
	Bytes   int64
}

// VerifyDisk looks for damage that belongs to no readable tablet: in the tables of both instances and in records T.
func (s *Store) VerifyDisk() (out []Damage) {
	for _, db := range []struct {
		name string
		kv   *kv.DB
	}{{"meta", s.meta}, {"data", s.data}} {
		if err := db.kv.Verify(); err != nil {
			out = append(out, Damage{What: "instance " + db.name, Err: err})
		}
	}
	bad, err := s.damagedRecords()
	for _, id := range bad {
		out = append(out, Damage{Tablet: id, What: "record of the tablet", Err: ErrCorrupt})
	}
	if err != nil {
		out = append(out, Damage{What: "records of tablets", Err: err})
	}
	return out
}

// damagedRecords returns the tablets whose record T is damaged and whose manifest is not there, either: nothing else is known of them.
func (s *Store) damagedRecords() (out []types.TabletID, err error) {
	err = s.meta.ScanEach([]byte{kTablet}, func(key, val []byte, err error) error {
		var rec tabletRecord
		if id := types.TabletID(keyUint(key, 0)); s.tablets[id] == nil && openScanned(key, val, err, &rec) != nil {
			out = append(out, id)
		}
		return nil
	})
	return out, err
}

// VerifyTablet reads everything of a replica: all bytes of all row groups, every row of the newest version, all retained
// change sets and pending transactions. What is wrong makes the replica bad and is returned.
func (s *Store) VerifyTablet(ctx context.Context, t *Tablet) (Check, *Damage) {
	if st := t.Stats(); st.Bad {
		return Check{}, &Damage{Tablet: t.id, What: "replica", Err: fmt.Errorf("%s: %w", st.BadReason, ErrBad)}
	}
	c := Check{Version: t.Version()}
	damage := func(what string, err error) (Check, *Damage) {
		return Check{}, &Damage{Tablet: t.id, What: what, Err: err}
	}
	for _, r := range t.Rowsets() {
		c.Bytes += r.Bytes
	}
	if err := t.Scrub(ctx, func(context.Context, int64) error { return nil }); err != nil {
		return damage("row groups", err)
	}
	if err := t.verifyGroups(); err != nil {
		return damage("row groups", err)
	}
	var err error
	if c.Digest, c.Rows, err = t.ScanDigest(ctx, c.Version); err != nil {
		return damage("rows", err)
	}
	if want := t.Stats().Rows; c.Rows != want {
		return damage("rows", fmt.Errorf("%d rows are visible, the manifest has %d: %w", c.Rows, want, ErrCorrupt))
	}
	if err := t.verifyChanges(c.Version); err != nil {
		return damage("change sets", err)
	}
	return c, nil
}

// verifyGroups decodes every vector of every row group, seen or not, and compares each group with its index.
func (t *Tablet) verifyGroups() error {
	s, err := t.Current()
	if err != nil {
		return err
	}
	defer s.Release()
	for _, w := range s.rowsets {
		for g, want := range w.r.groups {
			err := t.s.viewGroup(w.r.group(g), func(group *rowset.Group) error {
				if group.Rows() != int(want.Rows) {
					return fmt.Errorf("row group has %d rows, its index %d: %w", group.Rows(), want.Rows, ErrCorrupt)
				}
				return group.DecodeAll()
			})
			if err != nil {
				return fmt.Errorf("rowset %d group %d: %w", w.r.entry.ID, g, t.checkBad(err))
			}
		}
	}
	return nil
}

func (t *Tablet) verifyChanges(upTo types.Version) error {
	first := t.Stats().OldestRetained
	if first > upTo {
		return nil
	}
	changes, err := t.Changes(first-1, upTo)
	if err != nil {
		return err
	}
	for {
		if _, ok, err := changes.Next(); err != nil || !ok {
			return err
		}
	}
}

// Repair deletes what nothing on an offline disk can be made of any more: records T that are damaged and whose manifest is not there, and all that no
// record names, Kept included. The disk was opened by Open, for writing. It returns how many records it deleted.
func (s *Store) Repair(ctx context.Context) (int, error) {
	bad, err := s.damagedRecords()
	if err != nil {
		return 0, fmt.Errorf("repair disk: %w", err)
	}
	for _, id := range bad {
		if err := s.meta.Commit(kv.Entry{Key: key1(kTablet, uint64(id)), Delete: true}); err != nil {
			return 0, fmt.Errorf("repair disk: delete the record of tablet %d: %w", id, err)
		}
	}
	s.mu.Lock()
	s.garbage, s.kept = append(s.garbage, s.kept...), nil
	s.mu.Unlock()
	return len(bad), errors.Join(s.collect(ctx), s.Reclaim(ctx))
}

// kv returns the faults of one instance.
func (f Faults) kv(instance string) kv.Faults {
	if f.Write == nil {
		return kv.Faults{}
	}
	return kv.Faults{
		Before:  func() error { return f.Write(instance, false) },
		Between: func() error { return f.Write(instance, false) },
		After:   func() error { return f.Write(instance, true) },
	}
}
