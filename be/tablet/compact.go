package tablet

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"stele/be/tablet/deletes"
	"stele/be/tablet/kv"
	"stele/be/tablet/space"
	"stele/meta/types"
	"stele/sql/rowset"
)

// defaultCompaction: reads merge at most 20 rowsets, and each byte is rewritten about log6(size/flush) times.
var defaultCompaction = CompactionLimits{FanIn: 6, MaxRowsets: 20, DeadPercent: 20}

const (
	// compactMax is how many rowsets are merged at once, compactSmall how many that make no more than a row group together.
	compactMax, compactSmall = 10, 64
	// compactRatio is how far apart sizes may be to count as similar.
	compactRatio = 4
	// maxRowsetRows bounds one merge.
	maxRowsetRows = 8 << 20
)

// Compact merges one group of rowsets, if some are worth it, and reports whether it did. Readers and writers go on
// meanwhile. If the process ends before the manifest is durable, the new rowset is an orphan; after it, the old ones are.
// What needs more room than there is above the reserve is not merged; then a rowset much of which is dead may take some of the reserve.
func (t *Tablet) Compact(ctx context.Context) (bool, error) {
	limits := t.s.tuning().Compaction
	limits.apart = t.fewApart()
	did, err := t.compact(ctx, space.ForRows, func(rs []*rowsetState, drop types.Version) []*rowsetState { return pickCompaction(limits, rs, drop) })
	if !errors.Is(err, ErrDiskFull) {
		return did, err
	}
	did, dead := t.compact(ctx, space.ForMerge, func(rs []*rowsetState, drop types.Version) []*rowsetState { return t.s.pickDead(limits, rs, drop) })
	if did || dead != nil {
		return did, dead
	}
	return false, err // nothing is dead, or there is no room for what lives beside it
}

// CompactAll merges all rowsets into one.
func (t *Tablet) CompactAll(ctx context.Context) error {
	_, err := t.compact(ctx, space.ForRows, func(rs []*rowsetState, _ types.Version) []*rowsetState {
		if len(rs) == 1 && rs[0].deletes.Count() == 0 {
			return nil
		}
		return rs
	})
	return err
}

func (t *Tablet) compact(ctx context.Context, leave space.Leave, pick func([]*rowsetState, types.Version) []*rowsetState) (bool, error) {
	t.maint.Lock()
	defer t.maint.Unlock()
	c, err := t.beginCompaction(leave, pick)
	if err != nil || c == nil {
		return false, err
	}
	defer c.release()
	if err := c.run(ctx); err != nil {
		t.s.counters.compactionFailures.Add(1)
		return false, fmt.Errorf("compact tablet %d: %w", t.id, t.checkBad(err))
	}
	return true, nil
}

// compaction merges rowsets.
type compaction struct {
	t       *Tablet
	in      []rowsetView
	drop    types.Version // rows that ended at or before it are dropped
	version types.Version // of the manifest, which a compaction does not change
	rowset  uint64
	snap    *Snapshot // keeps the inputs, and reads columns of the present schema
	pos     [][]uint32
	release func() // ends the claim to room
}

func (t *Tablet) beginCompaction(leave space.Leave, pick func([]*rowsetState, types.Version) []*rowsetState) (*compaction, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.usable(); err != nil {
		return nil, err
	}
	drop := t.advanceHorizon(t.manifestVersion)
	var named []*rowsetState
	for _, r := range t.rowsets {
		if !r.floats(t.manifestVersion) {
			named = append(named, r)
		}
	}
	in := pick(named, drop)
	if len(in) == 0 {
		return nil, nil
	}
	release, err := t.s.claim(leave, mergeNeeds(in, drop))
	if err != nil {
		return nil, err
	}
	c := &compaction{t: t, drop: drop, version: t.manifestVersion, rowset: t.nextRowset, release: release}
	for _, r := range in {
		c.in = append(c.in, rowsetView{r: r, deletes: r.deletes})
		c.pos = append(c.pos, make([]uint32, r.entry.Rows))
	}
	t.nextRowset++
	c.snap = t.snapshotLocked(t.version)
	return c, nil
}

// pickCompaction chooses what to merge: a rowset with much to drop, rowsets of similar size, or the smallest of too many.
func pickCompaction(l CompactionLimits, all []*rowsetState, drop types.Version) []*rowsetState {
	for _, r := range all {
		if r.dead(drop)*100 > l.DeadPercent*int(r.entry.Rows) {
			return []*rowsetState{r}
		}
	}
	rs := beneath(all, max(l.apart, fewApart))
	slices.SortStableFunc(rs, func(a, b *rowsetState) int { return cmp.Compare(a.entry.Rows, b.entry.Rows) })
	for from := 0; from+l.FanIn <= len(rs); from++ {
		to, sum := from, uint64(0)
		for to < len(rs) && uint64(rs[to].entry.Rows) <= compactRatio*uint64(rs[from].entry.Rows) {
			if most := max(compactMax, l.FanIn); to-from >= most && (to-from >= compactSmall || sum+uint64(rs[to].entry.Rows) > rowset.MaxGroupRows) {
				break
			}
			if sum += uint64(rs[to].entry.Rows); sum > maxRowsetRows {
				break
			}
			to++
		}
		if to-from >= l.FanIn {
			return rs[from:to]
		}
	}
	if len(rs) <= l.MaxRowsets {
		return nil
	}
	n, sum := 0, uint64(0)
	for n < min(compactMax, len(rs)) && sum+uint64(rs[n].entry.Rows) <= maxRowsetRows {
		sum += uint64(rs[n].entry.Rows)
		n++
	}
	if n < 2 {
		return nil
	}
	return rs[:n]
}

// pickDead chooses, of those for which there is room, the one of which the greatest part can be dropped.
func (s *Store) pickDead(l CompactionLimits, all []*rowsetState, drop types.Version) []*rowsetState {
	var most []*rowsetState
	part := float64(l.DeadPercent) / 100
	for _, r := range all {
		if p := float64(r.dead(drop)) / float64(r.entry.Rows); p > part && s.fits(space.ForMerge, mergeNeeds([]*rowsetState{r}, drop)) {
			part, most = p, []*rowsetState{r}
		}
	}
	return most
}

// dead returns how many rows a merge drops.
func (r *rowsetState) dead(drop types.Version) int { return r.deletes.CountAt(drop) }

// mergeSlack is what a merge or a flush writes beside rows: an index, delete vectors, a manifest.
const mergeSlack = 64 << 10

// mergeNeeds is how many bytes a merge writes at most: the rows that stay, which may be encoded a little worse than before.
func mergeNeeds(in []*rowsetState, drop types.Version) int64 {
	need := int64(mergeSlack)
	for _, r := range in {
		if rows := int64(r.entry.Rows); rows > 0 {
			need += r.entry.Bytes / rows * (rows - int64(r.dead(drop))) * 5 / 4
		}
		need += r.deletes.Bytes(drop)
	}
	return need
}

const (
	// maxApart is how many rowsets may stay apart from all merging.
	maxApart = 256
	// apartRows or apartBytes make a rowset large enough to stay apart for good.
	apartRows, apartBytes = rowset.MaxGroupRows / 4, 512 << 10
	// fewApart is up to how many smaller ones stay apart for good, manyApart while more keep coming: merged sooner, they would be merged
	// once more before they are large.
	fewApart, manyApart = 16, compactSmall
	// quietAfter is how long after a write nothing more is expected.
	quietAfter = 2 * time.Second
)

// fewApart is from how many small rowsets on that lie apart are merged now.
func (t *Tablet) fewApart() int {
	if t.quietFor() < quietAfter {
		return manyApart
	}
	return fewApart
}

// quietFor is how long ago the tablet was last written to.
func (t *Tablet) quietFor() time.Duration {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.s.opt.Now().Sub(t.published)
}

// beneath returns the rowsets that merging is about: not those whose keys lie apart from those of all others and that are large,
// as a load leaves them, or fewer than few. A reader finds a key in one of them by its range.
func beneath(all []*rowsetState, few int) []*rowsetState {
	byKey := slices.Clone(all)
	slices.SortFunc(byKey, func(a, b *rowsetState) int { return bytes.Compare(a.minKey(), b.minKey()) })
	var rest, small []*rowsetState
	var last []byte // the highest key so far
	for i, r := range byKey {
		alone := (i == 0 || bytes.Compare(last, r.minKey()) < 0) && (i+1 == len(byKey) || bytes.Compare(r.maxKey(), byKey[i+1].minKey()) < 0)
		switch {
		case !alone || len(r.groups) == 0:
			rest = append(rest, r)
		case r.entry.Rows < apartRows && r.entry.Bytes < apartBytes:
			small = append(small, r)
		}
		if bytes.Compare(last, r.maxKey()) < 0 {
			last = r.maxKey()
		}
	}
	if len(small) >= few {
		rest = append(rest, small...)
	}
	if len(all)-len(rest) > maxApart {
		return slices.Clone(all)
	}
	return rest
}

func (r *rowsetState) minKey() []byte {
	if len(r.groups) == 0 {
		return nil
	}
	return r.groups[0].MinKey
}

func (r *rowsetState) maxKey() []byte {
	if len(r.groups) == 0 {
		return nil
	}
	return r.groups[len(r.groups)-1].MaxKey
}

func (c *compaction) run(ctx context.Context) error {
	defer c.snap.Release()
	w := newRowsetWriter(c.t, c.rowset, &c.snap.schema)
	w.expect(c.rows())
	w.pace = func(bytes int64) error { // it has read about as much
		return c.t.s.spend(ctx, c.t.s.budget, 2*bytes)
	}
	err := c.merge(ctx, w)
	var out *rowsetState
	if err == nil {
		out, err = w.finish()
	}
	if err != nil {
		c.t.s.addGarbage(w.orphan())
		return err
	}
	err = c.t.renewManifest(func() (*manifest, []kv.Entry) { return c.manifest(out) }, func() { c.install(out) })
	if errors.Is(err, ErrDropped) {
		c.t.s.addGarbage(w.orphan())
	}
	if err == nil {
		c.t.s.counters.compactions.Add(1)
		c.t.s.counters.compacted.Add(w.written)
	}
	return err
}

// rows is how many rows the inputs have.
func (c *compaction) rows() (n int) {
	for _, pos := range c.pos {
		n += len(pos)
	}
	return n
}

// manifest returns what one transaction has to write: the manifest, at the version it had, with the inputs replaced.
func (c *compaction) manifest(out *rowsetState) (m *manifest, entries []kv.Entry) {
	t := c.t
	t.mu.RLock()
	defer t.mu.RUnlock()
	m = t.newManifest(c.version)
	for _, r := range t.rowsets {
		if c.input(r) >= 0 || r.floats(c.version) {
			continue
		}
		m.Rowsets = append(m.Rowsets, r.entry)
		m.LiveRows += int64(r.entry.Rows) - int64(r.deletes.CountAt(c.version))
	}
	if out != nil {
		entries = m.addMade(out, c.deletesOf(c.version))
	}
	return m, entries
}

// addMade has the manifest name a rowset that comes with it, and returns the record of the rowset's deletes if there are any.
func (m *manifest) addMade(r *rowsetState, dels []deletes.Entry) []kv.Entry {
	var records []kv.Entry
	if len(dels) > 0 {
		d := deletes.New(nil, dels)
		entry := deletesEntry(r, &d, m.Version)
		records = append(records, entry)
		r.entry.Deletes = sumOf(entry.Value)
	}
	m.Rowsets = append(m.Rowsets, r.entry)
	m.LiveRows += int64(r.entry.Rows) - int64(len(dels))
	return records
}

func (c *compaction) input(r *rowsetState) int {
	return slices.IndexFunc(c.in, func(w rowsetView) bool { return w.r == r })
}

// deletesOf returns the deletes of the inputs up to version v as positions in the output. Called with mu held.
func (c *compaction) deletesOf(v types.Version) []deletes.Entry {
	var out []deletes.Entry
	for i, w := range c.in {
		for _, e := range w.r.deletes.Until(v) {
			if pos := c.pos[i][e.Pos]; pos != dropped {
				out = append(out, deletes.Entry{Version: e.Version, Pos: pos})
			}
		}
	}
	slices.SortFunc(out, func(a, b deletes.Entry) int {
		return cmp.Or(cmp.Compare(a.Version, b.Version), cmp.Compare(a.Pos, b.Pos))
	})
	return out
}

// install puts the output in the place of the inputs.
func (c *compaction) install(out *rowsetState) {
	t := c.t
	t.write.Lock()
	defer t.write.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	var rest []*rowsetState
	for _, r := range t.rowsets {
		if c.input(r) < 0 {
			rest = append(rest, r)
		}
	}
	if out != nil {
		out.deletes = deletes.New(nil, c.deletesOf(maxVersion))
		out.stored = c.version
		rest = append(rest, out)
	}
	t.rowsets = rest
	for _, w := range c.in {
		w.r.replaced = true // the compaction's own snapshot still holds them: its release makes them garbage
	}
}
