package tablet

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"stele/be/tablet/memtable"
	"stele/be/tablet/rowhash"
	"stele/meta/types"
	"stele/sql/rowset"
	"stele/sql/vec"
)

const (
	// digestStep is how far apart the versions are at which replicas that are written to all the time keep a digest, so
	// that two of them have one of the same version.
	digestStep = 256
	// digestQuiet is how long nothing is published before the digest of the newest version is worth keeping.
	digestQuiet = 2 * time.Second
)

// DigestPoint is the content of a replica at one version, as a number: the sum, modulo 2^64, of a hash of every row. It is
// the same on all replicas whatever their layout, so that replicas can be compared (I3); only points of one schema version
// may be.
type DigestPoint struct {
	Version types.Version `cbor:"1,keyasint"`
	Digest  uint64        `cbor:"2,keyasint"`
	Rows    int64         `cbor:"3,keyasint"`
	Schema  uint32        `cbor:"4,keyasint"`
}

// digestState is what is known of a tablet's digests. Guarded by the tablet's mu.
//
// No write pays for a digest: the point moves forward later, by hashing what was created and what ended since. That
// needs the ended rows, so the horizon never passes a known point.
type digestState struct {
	known   bool
	point   DigestPoint
	compare DigestPoint // of the newest version that other replicas keep one of too; Version 0 = none
	// ended are rows of rowsets that ended after the point, of which the hash is known, by version: who has replaced one had read it.
	ended []endedRow
}

// endedRow is a row of a rowset that a version ended.
type endedRow struct {
	rowRef
	version types.Version
	hash    uint64
}

// maxEnded bounds the memory of rows that have ended: digests read those beyond it. A flush, which moves the point, comes sooner.
const maxEnded = 16 << 10

// end notes that a row has ended. f may be nil.
func (d *digestState) end(f *Found, version types.Version) {
	if d.known && f != nil && f.hashed && f.schema == d.point.Schema && len(d.ended) < maxEnded {
		d.ended = append(d.ended, endedRow{f.rowRef, version, f.hash})
	}
}

// forget drops the rows that ended up to the point.
func (d *digestState) forget() {
	n := sort.Search(len(d.ended), func(i int) bool { return d.ended[i].version > d.point.Version })
	d.ended = append([]endedRow(nil), d.ended[n:]...)
}

// Digest returns the content digest of version v and its number of rows. It reads what has changed between v and the
// version whose digest is known, and all of the tablet only when none is.
func (t *Tablet) Digest(v types.Version) (digest uint64, rows int64, err error) {
	s, err := t.Snapshot(v)
	if err != nil {
		return 0, 0, err
	}
	defer s.Release()
	return s.Digest(context.Background())
}

// ScanDigest is Digest by reading and verifying every row of version v, so that it finds damage.
func (t *Tablet) ScanDigest(ctx context.Context, v types.Version) (digest uint64, rows int64, err error) {
	s, err := t.Snapshot(v)
	if err != nil {
		return 0, 0, err
	}
	defer s.Release()
	return s.ScanDigest(ctx)
}

// ComparePoint returns the digest to compare with other replicas' without any work: of the newest version when the tablet
// has been quiet for a while, else of the last version that is a multiple of digestStep. ok is false while there is none.
func (t *Tablet) ComparePoint() (p DigestPoint, ok bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.digest.compare, t.digest.compare.Version != 0
}

// Digest is Tablet.Digest of the snapshot's version.
func (s *Snapshot) Digest(ctx context.Context) (digest uint64, rows int64, err error) {
	t := s.t
	t.mu.Lock()
	known, p := t.digest.known, t.digest.point
	if !known || p.Schema != s.schema.Version {
		t.mu.Unlock()
		return s.ScanDigest(ctx)
	}
	later, sign := s, uint64(1)
	if p.Version > s.version { // both are pinned: the horizon is at or before s
		later, sign = t.snapshotLocked(p.Version), ^uint64(0)
		defer later.Release()
	}
	t.mu.Unlock()
	sum, n, err := later.digestSince(ctx, min(p.Version, s.version), nil)
	if err != nil {
		return 0, 0, err
	}
	return p.Digest + sign*sum, p.Rows + int64(sign)*n, nil
}

// ScanDigest is Tablet.ScanDigest of the snapshot's version.
func (s *Snapshot) ScanDigest(ctx context.Context) (digest uint64, rows int64, err error) {
	return s.scanDigest(ctx, func(context.Context, int64) error { return nil })
}

// scanDigest is ScanDigest that lets pace wait for what it has read, by the average size of a row.
func (s *Snapshot) scanDigest(ctx context.Context, pace func(ctx context.Context, bytes int64) error) (digest uint64, rows int64, err error) {
	ids := s.digestColumns()
	stored, of := int64(0), int64(0)
	for _, w := range s.rowsets {
		stored += w.r.entry.Bytes
		of += int64(w.r.entry.Rows)
	}
	it := s.Scan(ids, ScanOptions{Reuse: true})
	for {
		b, err := it.Next(ctx)
		if err != nil {
			return 0, 0, fmt.Errorf("digest: %w", err)
		}
		if b == nil {
			break
		}
		digest += rowhash.Sum(b, ids)
		rows += int64(b.Rows())
		if err := pace(ctx, int64(b.N)*stored/max(of, 1)); err != nil {
			return 0, 0, err
		}
	}
	s.t.learnDigest(DigestPoint{Version: s.version, Digest: digest, Rows: rows, Schema: s.schema.Version})
	return digest, rows, nil
}

// learnDigest takes a scanned digest when none was known. The version must be pinned.
func (t *Tablet) learnDigest(p DigestPoint) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.digest.known && p.Schema == t.meta.Schema.Version {
		t.digest.known, t.digest.point = true, p
		t.digest.forget()
		t.s.active.add(t)
	}
}

// digestColumns returns all columns in the order of their ids, which is the same in every schema.
func (s *Snapshot) digestColumns() []types.ColumnID {
	ids := make([]types.ColumnID, len(s.schema.Columns))
	for i := range ids {
		ids[i] = s.schema.Columns[i].ID
	}
	slices.Sort(ids)
	return ids
}

// digestSince returns how digest and rows differ between version from and the snapshot's, which must be a later one: the
// rows that were created in between and live, less those that were there and ended. Of the rows in ended it has the hash.
func (s *Snapshot) digestSince(ctx context.Context, from types.Version, ended []endedRow) (digest uint64, rows int64, err error) {
	d := digestDiff{s: s, ids: s.digestColumns(), from: from, ended: ended}
	if from < s.version {
		for i := range s.mems {
			d.memory(&s.mems[i])
		}
		for i := range s.rowsets {
			if err := d.rowset(ctx, &s.rowsets[i]); err != nil {
				return 0, 0, fmt.Errorf("digest of tablet %d: %w", s.t.id, s.t.checkBad(err))
			}
		}
	}
	return d.sum, d.rows, nil
}

// digestDiff adds up what changed after version from.
type digestDiff struct {
	s     *Snapshot
	ids   []types.ColumnID
	from  types.Version
	ended []endedRow
	sum   uint64
	rows  int64
}

// sign says what a row counts for: 1 when it is new, -1 when it is gone, 0 when nothing has changed.
func (d *digestDiff) sign(created, ended types.Version) int {
	before := created <= d.from && (ended == 0 || ended > d.from)
	after := created <= d.s.version && (ended == 0 || ended > d.s.version)
	switch {
	case after && !before:
		return 1
	case before && !after:
		return -1
	}
	return 0
}

func (d *digestDiff) add(b *vec.Batch, plus, minus []int32) {
	if len(plus) > 0 {
		d.sum += rowhash.Sum(&vec.Batch{Cols: b.Cols, N: b.N, Sel: plus}, d.ids)
	}
	if len(minus) > 0 {
		d.sum -= rowhash.Sum(&vec.Batch{Cols: b.Cols, N: b.N, Sel: minus}, d.ids)
	}
	d.rows += int64(len(plus)) - int64(len(minus))
}

func (d *digestDiff) memory(w *memtable.View) {
	for from := 0; from < w.Rows(); from += vec.MaxRows {
		to := min(from+vec.MaxRows, w.Rows())
		var plus, minus []int32
		for row := from; row < to; row++ {
			switch d.sign(w.CreatedBy(row), w.EndedBy(row)) {
			case 1:
				plus = append(plus, int32(row-from))
			case -1:
				minus = append(minus, int32(row-from))
			}
		}
		if len(plus)+len(minus) > 0 {
			d.add(d.s.memoryColumns(w, d.ids, to-from, func(at int) *vec.Vector { return w.Column(at, from, to) }), plus, minus)
		}
	}
}

// rowset walks the row groups in which something was created or ended meanwhile.
func (d *digestDiff) rowset(ctx context.Context, w *rowsetView) error {
	ended, counted := roaring.New(), d.known(w)
	for _, e := range w.deletes.Between(d.from, d.s.version) {
		ended.Add(e.Pos)
	}
	ended.AndNot(counted)
	if ended.IsEmpty() && !slices.ContainsFunc(w.r.groups, func(g groupEntry) bool { return g.MaxVersion > d.from }) {
		return nil
	}
	before, after := roaring.Or(w.deletes.RowsAt(d.from), counted), w.deletes.RowsAt(d.s.version)
	for g := range w.r.groups {
		start, ge := w.r.starts[g], &w.r.groups[g]
		fresh := ge.MaxVersion > d.from
		gone := ended.CardinalityInRange(uint64(start), uint64(start)+uint64(ge.Rows))
		if !fresh && gone == 0 {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		part := digestDiff{s: d.s, ids: d.ids, from: d.from}
		err := d.view(w, g, fresh || gone*pickedRows > uint64(ge.Rows), func(group *rowset.Group) error {
			part.sum, part.rows = 0, 0
			for i := range group.Vectors() {
				if err := part.vector(w, g, group, i, ended, before, after); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		d.sum += part.sum
		d.rows += part.rows
	}
	return nil
}

// view opens a row group to read most of it, or some rows.
func (d *digestDiff) view(w *rowsetView, g int, most bool, fn func(*rowset.Group) error) error {
	if most {
		return d.s.t.s.viewGroup(w.r.group(g), fn)
	}
	return d.s.t.s.viewRows(w.r, g, fn)
}

// known counts the rows that have ended and of which the hash is known, and returns them. Those of a row group with rows that are younger
// than from are left out, as they may be such rows.
func (d *digestDiff) known(w *rowsetView) *roaring.Bitmap {
	counted := roaring.New()
	for _, e := range d.ended {
		if e.rowset != w.r || e.version <= d.from || e.version > d.s.version || w.r.groups[groupOf(e.rowRef).g].MaxVersion > d.from {
			continue
		}
		if counted.CheckedAdd(e.pos) {
			d.sum -= e.hash
			d.rows--
		}
	}
	return counted
}

func (d *digestDiff) vector(w *rowsetView, g int, group *rowset.Group, i int, ended, before, after *roaring.Bitmap) error {
	start, n := w.r.starts[g]+uint32(i*vec.MaxRows), group.VectorRows(i)
	fresh := w.r.groups[g].MaxVersion > d.from
	if !fresh && ended.CardinalityInRange(uint64(start), uint64(start)+uint64(n)) == 0 {
		return nil
	}
	var created []int64
	if fresh {
		versions, err := w.r.versionsOf(group, i)
		if err != nil {
			return err
		}
		created = versions
	}
	var plus, minus []int32
	for row := range n {
		pos, at := start+uint32(row), types.Version(0)
		if created != nil {
			at = types.Version(created[row])
		}
		was := at <= d.from && !before.Contains(pos)
		is := at <= d.s.version && !after.Contains(pos)
		switch {
		case is && !was:
			plus = append(plus, int32(row))
		case was && !is:
			minus = append(minus, int32(row))
		}
	}
	if len(plus)+len(minus) == 0 {
		return nil
	}
	if (len(plus)+len(minus))*pickedRows <= n {
		if err := d.pick(group, i*vec.MaxRows, plus, 1); err != nil {
			return err
		}
		return d.pick(group, i*vec.MaxRows, minus, -1)
	}
	cols, err := d.s.decodeColumns(group, i, 0, n, d.ids, newVector)
	if err != nil {
		return err
	}
	d.add(&vec.Batch{Cols: cols, N: n}, plus, minus)
	return nil
}

// pickedRows is as many rows as one costs that is read alone.
const pickedRows = 32

// pick adds rows of a row group, counted from one, without decoding those between them, or takes them off.
func (d *digestDiff) pick(group *rowset.Group, from int, rows []int32, sign int64) error {
	if len(rows) == 0 {
		return nil
	}
	at := make([]int, len(rows))
	for i, row := range rows {
		at[i] = from + int(row)
	}
	cols, err := d.s.pickColumns(group, at, d.ids)
	if err != nil {
		return err
	}
	d.sum += uint64(sign) * rowhash.Sum(&vec.Batch{Cols: cols, N: len(rows)}, d.ids)
	d.rows += sign * int64(len(rows))
	return nil
}

// advanceDigest brings the known digest to the newest version and keeps the one that other replicas keep too. It costs
// what has changed since, and takes no lock but for a moment.
func (t *Tablet) advanceDigest(ctx context.Context) error {
	t.digesting.Lock()
	defer t.digesting.Unlock()
	t.mu.RLock()
	known, at, newest := t.digest.known, t.digest.point.Version, t.version
	t.mu.RUnlock()
	if !known {
		return nil // a scan that somebody needs, or the scrubber, finds it
	}
	if aligned := newest / digestStep * digestStep; aligned > at && aligned < newest {
		if err := t.moveDigest(ctx, aligned); err != nil {
			return err
		}
	}
	return t.moveDigest(ctx, newest)
}

func (t *Tablet) moveDigest(ctx context.Context, to types.Version) error {
	t.mu.Lock()
	p, ended := t.digest.point, t.digest.ended
	if err := t.usable(); err != nil || !t.digest.known || to <= p.Version || p.Schema != t.meta.Schema.Version {
		t.mu.Unlock()
		return err
	}
	s := t.snapshotLocked(to) // not below the point, so not below the horizon either
	t.mu.Unlock()
	defer s.Release()
	sum, rows, err := s.digestSince(ctx, p.Version, ended)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.digest.known && t.digest.point == p {
		t.digest.point = DigestPoint{Version: to, Digest: p.Digest + sum, Rows: p.Rows + rows, Schema: p.Schema}
		t.digest.forget()
		if to%digestStep == 0 {
			t.digest.compare = t.digest.point
		}
	}
	return nil
}

// settleDigest is the turn of the background worker: it advances the digest of a tablet that has become quiet or that has
// passed a version of which every replica keeps one.
func (t *Tablet) settleDigest(ctx context.Context) error {
	t.mu.RLock()
	d, v, quiet := t.digest, t.version, t.s.opt.Now().Sub(t.published) >= digestQuiet
	t.mu.RUnlock()
	if !d.known || !quiet && v/digestStep == d.point.Version/digestStep || d.compare.Version == v {
		return nil
	}
	if err := t.advanceDigest(ctx); err != nil || !quiet {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.digest.known && t.digest.point.Version == t.version {
		t.digest.compare = t.digest.point
	}
	return nil
}

// resetDigest is called, with mu held, when the schema has changed: other columns are other hashes, unless all that came
// are columns that are NULL in every row.
func (t *Tablet) resetDigest(old *types.Schema) {
	d := &t.digest
	next := &t.meta.Schema
	same := d.known && d.point.Schema == old.Version
	for i := range old.Columns {
		same = same && next.ColumnIndex(old.Columns[i].ID) >= 0
	}
	for i := range next.Columns {
		if c := &next.Columns[i]; old.ColumnIndex(c.ID) < 0 {
			same = same && rowset.Initial(c, 1).IsNull(0)
		}
	}
	d.known, d.compare = same, DigestPoint{}
	if !same {
		d.ended = nil
	}
	t.s.active.add(t)
	d.point.Schema = next.Version
}

// restoreDigest takes the digest that a manifest holds, when it still says something about the replica.
func (t *Tablet) restoreDigest(p *DigestPoint) {
	t.digest = digestState{}
	if p != nil && p.Schema == t.meta.Schema.Version && p.Version <= t.version && p.Version >= t.readFrom {
		t.digest.known, t.digest.point = true, *p
	}
}

// storedDigest returns what a manifest keeps. Called with mu held in either mode.
func (t *Tablet) storedDigest() *DigestPoint {
	if !t.digest.known {
		return nil
	}
	p := t.digest.point
	return &p
}
