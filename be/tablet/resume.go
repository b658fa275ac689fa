package tablet

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/fxamacker/cbor/v2"

	"stele/be/tablet/kv"
	"stele/be/tablet/space"
	"stele/meta/types"
	"stele/sql/rowset"
)

// A full clone that was interrupted, by a restart of either end too, goes on where it stopped: what was received stays for
// Options.ResumeAge, the target asks with a token that names it (ResumeToken), the source leaves it out (Exporter.Skip),
// and the next import of the same replica takes it over (BeginImport). Rowsets are immutable and never renamed, so that
// disk, incarnation and rowset name the same bytes whatever the source did meanwhile; the version may be another one.

// sourceRowset names a rowset of any disk.
type sourceRowset struct {
	Disk   types.DiskID `cbor:"1,keyasint"`
	UID    uint64       `cbor:"2,keyasint"`
	Rowset uint64       `cbor:"3,keyasint"`
}

// importRecord is the record R: which rowsets an unfinished import is made of. It is durable before their first row group.
type importRecord struct {
	UID     uint64          `cbor:"1,keyasint"`
	Replica types.ReplicaID `cbor:"2,keyasint"`
	AtMs    int64           `cbor:"3,keyasint"`
	Next    uint64          `cbor:"4,keyasint"` // rowset id
	Rowsets []importRowset  `cbor:"5,keyasint,omitempty"`
}

// importRowset is a rowset that an import has received, at least in part.
type importRowset struct {
	Source sourceRowset `cbor:"1,keyasint"`
	Local  uint64       `cbor:"2,keyasint"`
	Groups []groupEntry `cbor:"3,keyasint"`
}

// partialImport is what an interrupted import left behind. Guarded by the store's mu.
type partialImport struct {
	rec importRecord
	// have is which row groups are there and verified, by local rowset; nil when nobody has looked yet.
	have map[uint64]*roaring.Bitmap
}

// tokenEntry is a part of a resume token.
type tokenEntry struct {
	Source sourceRowset `cbor:"1,keyasint"`
	Groups []byte       `cbor:"2,keyasint"` // a roaring bitmap
	// Local and Kinds describe the same row groups for a source that knows nothing of Source.
	Local uint64       `cbor:"3,keyasint,omitempty"`
	Kinds []groupEntry `cbor:"4,keyasint,omitempty"` // in the order of Groups
}

func (p *partialImport) rowset(src sourceRowset) *importRowset {
	for i := range p.rec.Rowsets {
		if p.rec.Rowsets[i].Source == src {
			return &p.rec.Rowsets[i]
		}
	}
	return nil
}

// ResumeToken says what an interrupted import of the replica has left here, for Exporter.Skip on the source; nil when there
// is nothing. What is there is read and verified, once.
func (s *Store) ResumeToken(id types.TabletID, replica types.ReplicaID) []byte {
	s.mu.Lock()
	p := s.partial[id]
	if p == nil || p.rec.Replica != replica {
		s.mu.Unlock()
		return nil
	}
	rec, have := p.rec, p.have
	s.mu.Unlock()
	if have == nil {
		have = s.verifyPartial(&rec)
		s.mu.Lock()
		p.have = have
		s.mu.Unlock()
	}
	var entries []tokenEntry
	for _, r := range rec.Rowsets {
		if groups := have[r.Local]; groups != nil && !groups.IsEmpty() {
			entries = append(entries, tokenEntry{Source: r.Source, Groups: bitmapBytes(groups), Local: r.Local, Kinds: kindsOf(&r, groups)})
		}
	}
	if len(entries) == 0 {
		return nil
	}
	token, err := cbor.Marshal(entries)
	if err != nil {
		panic("BUG: encode resume token: " + err.Error())
	}
	return token
}

func (s *Store) verifyPartial(rec *importRecord) map[uint64]*roaring.Bitmap {
	have := make(map[uint64]*roaring.Bitmap)
	for _, r := range rec.Rowsets {
		have[r.Local] = roaring.New()
		for g := range r.Groups {
			id := rowset.GroupID{UID: rec.UID, Rowset: r.Local, Group: uint32(g)}
			err := s.viewGroup(id, func(group *rowset.Group) error {
				if group.Rows() != int(r.Groups[g].Rows) {
					return ErrCorrupt
				}
				return group.VerifyAll()
			})
			if err == nil { // else it has not arrived, and will be sent again
				have[r.Local].Add(uint32(g))
			}
		}
	}
	return have
}

func bitmapBytes(b *roaring.Bitmap) []byte {
	out, err := b.ToBytes()
	if err != nil {
		panic("BUG: a bitmap in memory cannot be encoded: " + err.Error())
	}
	return out
}

// Skip leaves out of the export what a target has already, as its ResumeToken says. It comes before the first Next.
func (e *Exporter) Skip(token []byte) error {
	if len(token) == 0 || e.err != nil {
		return nil
	}
	var entries []tokenEntry
	if err := cbor.Unmarshal(token, &entries); err != nil {
		return fmt.Errorf("resume token: %w: %w", ErrImport, err)
	}
	have := make(map[sourceRowset]*roaring.Bitmap)
	alike := make(map[groupKind]likeGroup)
	for _, t := range entries {
		groups := roaring.New()
		if err := groups.UnmarshalBinary(t.Groups); err != nil {
			return fmt.Errorf("resume token: %w: %w", ErrImport, err)
		}
		have[t.Source] = groups
		t.addKinds(alike, groups)
	}
	kept := e.groups[:0:0]
	for _, g := range e.groups {
		cr := &e.header.Rowsets[g.rowset]
		groups := have[cr.Source]
		switch like, ok := alike[kindOf(&cr.Groups[g.group])]; {
		case g.w != nil && groups != nil && groups.Contains(uint32(g.group)):
			cr.Skipped = append(cr.Skipped, uint32(g.group))
		case g.w != nil && ok:
			like.Group = uint32(g.group)
			cr.Alike = append(cr.Alike, like)
		default:
			kept = append(kept, g)
			continue
		}
		e.header.Bytes -= cr.Groups[g.group].Bytes
		e.skipped += cr.Groups[g.group].Bytes
	}
	e.groups = kept
	return nil
}

// SkippedBytes returns how many bytes of row groups Skip has left out.
func (e *Exporter) SkippedBytes() int64 { return e.skipped }

// Suspend ends an import that was interrupted and keeps what it has received for the next import of the same replica,
// for Options.ResumeAge. An import that has received nothing, or that turned out to be wrong, is aborted.
func (im *Import) Suspend() {
	if im.over {
		return
	}
	if im.refused || im.record == nil && im.from == nil {
		im.Abort()
		return
	}
	left := im.from // of the import before, when this one has not even begun
	if im.record != nil {
		left = &partialImport{rec: *im.record, have: im.have()}
	}
	im.over = true
	im.looking.Wait()
	s := im.s
	s.mu.Lock()
	defer s.mu.Unlock()
	s.relist(func() { delete(s.imports, im.t.uid) })
	im.t.retire() // no snapshot is left: nothing but Verify takes one
	s.partial[im.t.id] = left
}

// have makes durable what is queued and says what has been received; nil when that has to be looked at.
func (im *Import) have() map[uint64]*roaring.Bitmap {
	have := make(map[uint64]*roaring.Bitmap)
	if err := im.flush(); err != nil || im.unsure {
		im.s.log.Warn("what an interrupted clone has received is uncertain", "tablet_id", im.t.id, "err", err)
		return nil
	}
	for rs := range im.got {
		groups := roaring.New()
		for g, ok := range im.got[rs] {
			if ok {
				groups.Add(uint32(g))
			}
		}
		have[im.t.rowsets[rs].entry.ID] = groups
	}
	return have
}

// takePartialLocked returns what an earlier import of the replica left, without what was pending with it; what another
// replica left is dropped.
func (s *Store) takePartialLocked(m *Meta) (*partialImport, error) {
	p := s.partial[m.Tablet]
	if p == nil {
		return nil, nil
	}
	if p.rec.Replica != m.Replica {
		return nil, s.dropPartialLocked(m.Tablet)
	}
	for _, large := range []bool{false, true} {
		kind := byte(kPart)
		if large {
			kind = kLargePart
		}
		if err := deletePrefix(s.partDB(large), key1(kind, p.rec.UID)); err != nil {
			return nil, err
		}
	}
	delete(s.partial, m.Tablet)
	return p, nil
}

func (s *Store) dropPartialLocked(id types.TabletID) error {
	p := s.partial[id]
	if err := s.meta.Commit(kv.Entry{Key: key1(kImport, uint64(id)), Delete: true}); err != nil {
		return fmt.Errorf("drop interrupted import of tablet %d: %w", id, err)
	}
	delete(s.partial, id)
	s.garbage = append(s.garbage, garbage{uid: p.rec.UID})
	poke(s.wasted)
	return nil
}

// expirePartial drops what interrupted imports left too long ago, or all of it when the disk takes no clones anyway.
func (s *Store) expirePartial() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.partial) == 0 {
		return nil
	}
	full := errors.Is(s.allows(space.ForClone, 0), ErrDiskFull)
	oldest := s.opt.Now().Add(-s.opt.ResumeAge).UnixMilli()
	for id, p := range s.partial {
		if !full && p.rec.AtMs > oldest {
			continue
		}
		if err := s.dropPartialLocked(id); err != nil {
			return err
		}
	}
	return nil
}

// loadPartial reads the records R at open. One that is damaged is dropped: its row groups are orphans then.
func (s *Store) loadPartial() error {
	var damaged [][]byte
	err := s.meta.ScanEach([]byte{kImport}, func(key, val []byte, err error) error {
		p := &partialImport{}
		if err = openScanned(key, val, err, &p.rec); err != nil {
			s.log.Warn("record of an interrupted import is damaged", "tablet_id", keyUint(key, 0), "err", err)
			damaged = append(damaged, slices.Clone(key))
			return nil
		}
		s.partial[types.TabletID(keyUint(key, 0))] = p
		return nil
	})
	if err != nil || s.opt.offline {
		return err
	}
	return deleteKeys(s.meta, damaged)
}

// layRowsets decides under which ids the rowsets of the header lie here: those that an interrupted import has received keep
// theirs. Called with the tablet's mu held.
func (im *Import) layRowsets(h *cloneHeader) error {
	rec := &importRecord{UID: im.t.uid, Replica: im.t.meta.Replica, AtMs: im.s.opt.Now().UnixMilli(), Next: 1}
	if im.from != nil {
		rec.Next = im.from.rec.Next
	}
	for i, cr := range h.Rowsets {
		var old *importRowset
		if im.from != nil && cr.Source.Rowset != 0 {
			old = im.from.rowset(cr.Source)
		}
		id := rec.Next
		if old != nil {
			id = old.Local
		} else {
			rec.Next++
		}
		if err := im.layRowset(id, cr); err != nil {
			return fmt.Errorf("rowset %d: %w", i, err)
		}
		if cr.Source.Rowset != 0 {
			rec.Rowsets = append(rec.Rowsets, importRowset{Source: cr.Source, Local: id, Groups: cr.Groups})
		}
		if err := im.carryGroups(i, id, cr.Skipped); err != nil {
			return err
		}
		if err := im.announce(i, cr.Alike); err != nil {
			return err
		}
	}
	im.t.nextRowset, im.record = rec.Next, rec
	return nil
}

// storeRecord makes the record R durable, before any row group comes, and drops what the source no longer has.
func (im *Import) storeRecord() error {
	if err := im.s.meta.Commit(sealed(key1(kImport, uint64(im.t.id)), im.record)); err != nil {
		return err
	}
	if im.from == nil {
		return nil
	}
	if err := im.copyAlike(); err != nil {
		return err
	}
	for _, r := range im.from.rec.Rowsets {
		if im.record.local(r.Local) == nil {
			im.s.addGarbage(garbage{uid: im.t.uid, rowset: r.Local, groups: len(r.Groups)})
		}
	}
	return nil
}

func (r *importRecord) local(id uint64) *importRowset {
	for i := range r.Rowsets {
		if r.Rowsets[i].Local == id {
			return &r.Rowsets[i]
		}
	}
	return nil
}

// carryGroups counts what the source left out as received.
func (im *Import) carryGroups(rs int, local uint64, skipped []uint32) error {
	for _, g := range skipped {
		if im.from == nil || im.from.have[local] == nil || !im.from.have[local].Contains(g) || int(g) >= len(im.got[rs]) {
			return fmt.Errorf("row group %d of rowset %d was left out but is not here: %w", g, rs, ErrImport)
		}
		im.got[rs][g] = true
	}
	return nil
}

// touch keeps the record of a long import from looking old at a restart.
func (im *Import) touch() {
	now := im.s.opt.Now()
	if im.record == nil || now.Sub(time.UnixMilli(im.record.AtMs)) < im.s.opt.ResumeAge/4 {
		return
	}
	im.record.AtMs = now.UnixMilli()
	im.s.meta.CommitLazy([]kv.Entry{sealed(key1(kImport, uint64(im.t.id)), im.record)}, im.s.logFailure("import record"))
}
