package tablet

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/fxamacker/cbor/v2"

	"stele/be/tablet/deletes"
	"stele/be/tablet/kv"
	"stele/be/tablet/memtable"
	"stele/be/tablet/space"
	"stele/meta/contain"
	"stele/meta/types"
	"stele/sql/rowset"
)

// Import receives a full clone under a new incarnation of the tablet. Nothing of it is visible, and the replica that the
// disk may hold goes on serving, until Commit flips the tablet's record in one transaction. If the process ends before
// that, what was received waits for the next import of the same replica (see resume.go) and is deleted if none comes.
//
// While it runs, the learner also receives new writes: Prepare stores them with the new incarnation. After Commit the
// replica is at the version of the clone with those transactions pending; it catches up with ApplyChange of the source's
// Changes (which settles the pending ones it covers) and from then on publishes like any replica.
//
// An Import is used by one goroutine, except for Prepare.
type Import struct {
	s      *Store
	t      *Tablet
	header *cloneHeader
	end    *cloneEnd
	got    [][]bool // by rowset and row group
	// contents are the hashes of the row groups that were verified as they came, as got; 0 = Verify does it.
	contents [][]uint64
	looking  sync.WaitGroup // at what was stored, which may clear contents
	next     int            // chunk
	version  types.Version
	queued   []kv.Entry
	bytes    int64        // queued
	free     []func()     // of the chunks that are queued
	fresh    []freshGroup // what of that was received
	writing  []chan error // on their way to the disk
	done     int64        // received
	over     bool
	// verified says that everything is there and has the right digest, refused that it has another one, or damage.
	verified, refused bool
	unsure            bool           // a write failed: nobody knows which row groups are there
	from              *partialImport // what an interrupted import left
	record            *importRecord  // nil before the header
	alike             []alikeCopy    // row groups to be copied from what another source has sent
}

// BeginImport prepares the disk for a full clone of size bytes. There is one import of a tablet at a time.
func (s *Store) BeginImport(m Meta, size int64) (*Import, error) {
	if err := checkMeta(&m); err != nil {
		return nil, err
	}
	if err := s.allows(space.ForClone, size); err != nil {
		return nil, fmt.Errorf("import tablet %d: %w", m.Tablet, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, im := range s.imports {
		if im.t.id == m.Tablet {
			return nil, fmt.Errorf("import tablet %d: another import runs: %w", m.Tablet, ErrExists)
		}
	}
	from, err := s.takePartialLocked(&m)
	if err != nil {
		return nil, fmt.Errorf("import tablet %d: %w", m.Tablet, err)
	}
	var uid uint64
	if from != nil {
		uid = from.rec.UID
	} else {
		uid = s.nextUIDLocked()
		if err := s.meta.Commit(s.superEntry()); err != nil {
			return nil, fmt.Errorf("import tablet %d: %w", m.Tablet, err)
		}
	}
	im := &Import{s: s, t: newTablet(s, uid, m.clone()), from: from}
	im.t.unlisted = true
	s.relist(func() { s.imports[uid] = im })
	return im, nil
}

// Next returns the number of the chunk that Write wants: where an interrupted clone goes on.
func (im *Import) Next() int { return im.next }

// Received returns how many bytes of row groups have arrived, and how many there are in all (0 before the first chunk).
func (im *Import) Received() (done, total int64) {
	if im.header == nil {
		return im.done, 0
	}
	return im.done, im.header.Bytes
}

// Prepare is Tablet.PreparePart for the replica that the import is making.
func (im *Import) Prepare(ctx context.Context, txn types.TxnID, part int, payload []byte) error {
	return im.t.PreparePart(ctx, txn, part, payload)
}

// SetSchema is Tablet.SetSchema for the replica that the import is making.
func (im *Import) SetSchema(schema types.Schema) error { return im.t.SetSchema(schema) }

// Discard is Tablet.Abort for the replica that the import is making.
func (im *Import) Discard(txn types.TxnID) error { return im.t.Abort(txn) }

// Write takes the next chunk, and keeps and changes its bytes. One that was there already is ignored.
func (im *Import) Write(c Chunk) error {
	if im.over {
		return fmt.Errorf("import tablet %d: import has ended: %w", im.t.id, ErrImport)
	}
	if c.Seq < im.next {
		return nil
	}
	if err := im.write(c); err != nil {
		return fmt.Errorf("import tablet %d: %w", im.t.id, err)
	}
	im.next++
	return nil
}

func (im *Import) write(c Chunk) error {
	if c.Seq != im.next || im.end != nil {
		return fmt.Errorf("chunk %d, not %d: %w", c.Seq, im.next, ErrImport)
	}
	kind, version, body, err := openChunk(c, im.t.id)
	if err != nil {
		return err
	}
	if c.Seq == 0 {
		im.version = version
	}
	if version != im.version || (kind == chunkHeader) != (c.Seq == 0) {
		return fmt.Errorf("chunk %d of kind %q at version %d: %w", c.Seq, kind, version, ErrImport)
	}
	switch kind {
	case chunkHeader:
		return im.begin(body)
	case chunkGroup, chunkSealed:
		return im.writeGroup(c, kind, body)
	case chunkEnd:
		im.end = &cloneEnd{}
		if err := cbor.Unmarshal(body, im.end); err != nil {
			return fmt.Errorf("end: %w: %w", ErrImport, err)
		}
		return im.flush()
	}
	return fmt.Errorf("chunk kind %q: %w", kind, ErrImport)
}

// begin reads the header and lays the rowsets out. The newer schema of the FE's and the source's is taken.
func (im *Import) begin(body []byte) error {
	h := &cloneHeader{}
	if err := cbor.Unmarshal(body, h); err != nil {
		return fmt.Errorf("header: %w: %w", ErrImport, err)
	}
	if h.Tablet != im.t.id || h.Version != im.version || !slices.Equal(h.Schema.Key, im.t.key) {
		return fmt.Errorf("header is of tablet %d at version %d: %w", h.Tablet, h.Version, ErrImport)
	}
	im.header = h
	if err := im.lay(h); err != nil {
		return err
	}
	return im.storeRecord()
}

func (im *Import) lay(h *cloneHeader) error {
	t := im.t
	t.mu.Lock()
	defer t.mu.Unlock()
	if h.Schema.Version > t.meta.Schema.Version {
		m := t.meta.clone()
		m.Schema = h.Schema
		t.setMeta(m)
		t.mems = []*memtable.Table{t.newMemtable()}
	}
	if err := im.layRowsets(h); err != nil {
		return err
	}
	t.version, t.manifestVersion, t.readFrom = h.Version, h.Version, h.Version
	t.restartAt(h.Version)
	t.digest = digestState{} // until Verify has scanned what arrived
	return nil
}

func (im *Import) layRowset(id uint64, cr cloneRowset) error {
	rows, size := uint64(0), int64(0)
	for _, g := range cr.Groups {
		rows += uint64(g.Rows)
		size += g.Bytes
	}
	hidden := roaring.New()
	if len(cr.Deletes) > 0 {
		if err := hidden.UnmarshalBinary(cr.Deletes); err != nil {
			return fmt.Errorf("delete vector: %w: %w", ErrImport, err)
		}
	}
	if rows >= uint64(dropped) || hidden.GetCardinality() > rows || !hidden.IsEmpty() && uint64(hidden.Maximum()) >= rows {
		return fmt.Errorf("%d rows with %d deleted: %w", rows, hidden.GetCardinality(), ErrImport)
	}
	// A row of a later version than the clone's is among the hidden ones: no row group shows rows beyond it.
	groups := slices.Clone(cr.Groups)
	for i := range groups {
		groups[i].MaxVersion = min(groups[i].MaxVersion, im.version)
	}
	r := newRowsetState(im.t.uid, rowsetEntry{ID: id, Rows: uint32(rows), Bytes: size}, groups)
	r.deletes = deletes.New(hidden, nil)
	if !hidden.IsEmpty() {
		r.entry.Deletes = sumOf(deletesEntry(r, &r.deletes, im.version).Value)
	}
	r.stored = im.version
	im.t.rowsets = append(im.t.rowsets, r)
	im.t.rows += int64(rows) - int64(hidden.GetCardinality())
	im.got = append(im.got, make([]bool, len(groups)))
	im.contents = append(im.contents, make([]uint64, len(groups)))
	return nil
}

// writeGroup gives a row group the identity that it has here, verifies it, and stores it. All that reads it through does so here, while the
// caches of the processor have it.
func (im *Import) writeGroup(c Chunk, kind byte, body []byte) error {
	if len(body) < groupPlace {
		return fmt.Errorf("row group of %d bytes: %w", len(body), ErrImport)
	}
	rs, g := int(binary.BigEndian.Uint32(body)), int(binary.BigEndian.Uint32(body[4:]))
	if rs >= len(im.got) || g >= len(im.got[rs]) {
		return fmt.Errorf("row group %d of rowset %d was not announced: %w", g, rs, ErrImport)
	}
	id := im.t.rowsets[rs].group(g)
	val := body[groupPlace:]
	content, err := uint64(0), error(nil)
	if kind == chunkSealed {
		err = openSealed(c, id)
	} else {
		err = rowset.Restamp(id, val)
	}
	if err == nil {
		content, err = contentOf(id, val)
	}
	if err != nil {
		return fmt.Errorf("row group %d of rowset %d: %w: %w", g, rs, ErrImport, err)
	}
	im.got[rs][g], im.contents[rs][g] = true, content
	im.fresh = append(im.fresh, freshGroup{id: id, entry: &im.t.rowsets[rs].groups[g], content: &im.contents[rs][g]})
	im.queued = append(im.queued, kv.Cold(groupKey(id), val))
	im.bytes += int64(len(val))
	if c.Free != nil {
		im.free = append(im.free, c.Free)
	}
	im.s.importing.Add(int64(len(val)))
	im.done += int64(len(val))
	if im.bytes < importPiece {
		return nil
	}
	return im.push()
}

// importPiece is how many bytes are handed to the disk at once, importAhead how many such pieces may be on their way while
// more is received: then the network, the checksums and the disk work at the same time. The committer puts pieces that wait
// together, so that they share a sync.
const (
	importPiece = 8 << 20
	importAhead = 2
)

// push hands what is queued to the disk, and waits for the oldest piece when too many are on their way.
func (im *Import) push() error {
	if len(im.queued) == 0 {
		return nil
	}
	if err := im.s.writable(); err != nil {
		return err
	}
	im.s.space.Charge(im.bytes)
	stored, bytes, free := make(chan error, 1), im.bytes, im.free
	im.s.data.CommitAsync(im.queued, func(err error) {
		im.s.importing.Add(-bytes)
		for _, f := range free {
			f()
		}
		stored <- err
	})
	done, fresh := make(chan error, 1), im.fresh
	im.looking.Go(func() {
		err := <-stored
		if err == nil {
			err = contain.Call(func() error { im.lookAt(fresh); return nil })
		}
		done <- err
	})
	im.writing = append(im.writing, done)
	im.queued, im.bytes, im.free, im.fresh = nil, 0, nil, nil
	im.touch()
	return im.settle(importAhead)
}

// settle waits until at most n pieces are on their way.
func (im *Import) settle(n int) error {
	for len(im.writing) > n {
		err := <-im.writing[0]
		im.writing = im.writing[1:]
		if err != nil {
			im.unsure = true
			return err
		}
	}
	return nil
}

// flush makes everything durable that was received.
func (im *Import) flush() error {
	return errors.Join(im.push(), im.settle(0))
}

// Commit checks that everything has arrived and that the rows have the digest that the source gave for version, and makes
// the import the replica of this disk. An older replica of the tablet is dropped.
func (im *Import) Commit(version types.Version, digest uint64) (*Tablet, error) {
	if err := im.Verify(version, digest); err != nil {
		return nil, err
	}
	return im.Flip()
}

// Flip is the second half of Commit, short: it puts the verified import in the place of the older replica, which is
// dropped.
func (im *Import) Flip() (*Tablet, error) {
	if !im.verified || im.over {
		return nil, fmt.Errorf("import tablet %d: not verified, or over: %w", im.t.id, ErrImport)
	}
	if err := im.flip(); err != nil {
		return nil, fmt.Errorf("import tablet %d: %w", im.t.id, err)
	}
	im.s.active.add(im.t)
	im.s.scrubSoon(im.t.id)
	return im.t, nil
}

// Carry copies, durably, what is pending on an older replica of the tablet to the import, so that rows which that one
// has acknowledged do not go with it. Nothing may be prepared on old meanwhile.
func (im *Import) Carry(ctx context.Context, old *Tablet) error {
	if err := im.t.SetSchema(*old.Schema()); err != nil {
		return err
	}
	for _, txn := range old.Pending() {
		old.mu.RLock()
		p := old.pending[txn]
		var entries []partEntry
		if p != nil {
			entries = entriesOf(p)
		}
		old.mu.RUnlock()
		for i, e := range entries {
			if p.parts[i].refused() {
				break // never acknowledged, nor what follows it
			}
			payload, err := old.loadPart(txn, i, e)
			if err != nil {
				return fmt.Errorf("carry over to import of tablet %d: %w", im.t.id, err)
			}
			if err := im.Prepare(ctx, txn, i, payload); err != nil {
				return err
			}
		}
	}
	return nil
}

func (im *Import) complete(version types.Version) error {
	if im.over || im.end == nil || im.version != version {
		return fmt.Errorf("clone of version %d is incomplete after %d chunks, or not of version %d: %w", im.version, im.next, version, ErrImport)
	}
	for rs := range im.got {
		if g := slices.Index(im.got[rs], false); g >= 0 {
			return fmt.Errorf("row group %d of rowset %d is missing: %w", g, rs, ErrImport)
		}
	}
	return nil
}

// storeIndexes writes what the manifest will name, all of it with one sync or few.
func (im *Import) storeIndexes() error {
	errs := make(chan error, 2*len(im.t.rowsets))
	n := 0
	store := func(db *kv.DB, e kv.Entry) {
		db.CommitAsync([]kv.Entry{e}, func(err error) { errs <- err })
		n++
	}
	for _, r := range im.t.rowsets {
		store(im.s.data, sealed(key2(kIndex, r.uid, r.entry.ID), &rowsetIndex{Groups: r.groups}))
		if r.entry.Deletes != 0 {
			store(im.s.meta, deletesEntry(r, &r.deletes, im.version))
		}
	}
	var err error
	for range n {
		err = errors.Join(err, <-errs)
	}
	return err
}

func (im *Import) flip() error {
	s, t := im.s, im.t
	t.manifesting.Lock() // it may be flushed or merged, once it has caught up
	defer t.manifesting.Unlock()
	s.lockTablets(t.id)
	defer s.mu.Unlock()
	old := s.tablets[t.id]
	if old != nil {
		old.record.Lock() // no record of the old incarnation may follow the new one
		defer old.record.Unlock()
	}
	t.record.Lock()
	defer t.record.Unlock()
	t.mu.RLock()
	entries := []kv.Entry{t.manifestEntry(), t.recordEntry(), {Key: key1(kImport, uint64(t.id)), Delete: true}}
	t.mu.RUnlock()
	if old != nil {
		entries = append(entries, old.noManifest())
	}
	if err := s.meta.Commit(entries...); err != nil {
		return err
	}
	im.over, t.unlisted = true, false
	s.relist(func() {
		delete(s.imports, t.uid)
		s.tablets[t.id] = t
	})
	if old != nil {
		s.retireLocked(old)
	}
	return nil
}

// Abort gives the import up and deletes what it received. After Commit it does nothing.
func (im *Import) Abort() {
	if im.over {
		return
	}
	im.over = true
	im.looking.Wait()
	s := im.s
	s.importing.Add(-im.bytes)
	im.queued, im.bytes, im.free, im.fresh = nil, 0, nil, nil
	s.mu.Lock()
	defer s.mu.Unlock()
	s.relist(func() { delete(s.imports, im.t.uid) })
	if im.record != nil {
		s.logFailure("drop import record")(s.meta.Commit(kv.Entry{Key: key1(kImport, uint64(im.t.id)), Delete: true}))
	}
	s.retireLocked(im.t)
}
