package tablet

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/fxamacker/cbor/v2"
	"github.com/zeebo/xxh3"

	"stele/be/tablet/rowhash"
	"stele/meta/types"
	"stele/sql/rowset"
	"stele/sql/vec"
)

// Chunk is one piece of a full clone. Chunks are applied in order of Seq, from 0; each is checksummed together with the
// tablet, the version and its number.
type Chunk struct {
	Seq   int
	Bytes []byte
	// Free, if it is set, is called when Bytes are of no more use to the Import that has got them. It must not block.
	Free func()
}

// Chunk kinds: one header, the row groups as they are stored, one end. At the end of each is a hash, of all of it but for a sealed
// row group: there it is one of the envelope and of the row group's content, whose directory has the hashes of all the rest.
const (
	chunkHeader = 'H'
	chunkGroup  = 'G' // for a target of an older release, or from such a source
	chunkSealed = 'S'
	chunkEnd    = 'E'
	chunkFixed  = 1 + 8 + 8 + 4 // kind, tablet, version, seq
)

// cloneHeader says what will come.
type cloneHeader struct {
	Tablet  types.TabletID `cbor:"1,keyasint"`
	Version types.Version  `cbor:"2,keyasint"`
	Schema  types.Schema   `cbor:"3,keyasint"`
	Rowsets []cloneRowset  `cbor:"5,keyasint,omitempty"`
	Bytes   int64          `cbor:"6,keyasint"`
}

// cloneRowset is a rowset with the rows of it that the version does not see.
type cloneRowset struct {
	Groups  []groupEntry `cbor:"1,keyasint"`
	Deletes []byte       `cbor:"2,keyasint,omitempty"` // a roaring bitmap
	Source  sourceRowset `cbor:"3,keyasint"`           // zero for the deltas, which are encoded anew each time
	Skipped []uint32     `cbor:"4,keyasint,omitempty"` // row groups that the target said it has
	Alike   []likeGroup  `cbor:"5,keyasint,omitempty"` // row groups that it has from another source
}

// cloneEnd says what must have arrived.
type cloneEnd struct {
	Rows   int64  `cbor:"1,keyasint"`
	Digest uint64 `cbor:"2,keyasint"`
	// Proof is the hash of all row groups as they are stored but for their identity, in order: what the target reads back
	// must have the same. 0 comes from a source that does not know of it.
	Proof uint64 `cbor:"3,keyasint,omitempty"`
}

// Exporter cuts a snapshot into chunks for a full clone: rowsets as they are stored, with delete vectors of the
// snapshot's version, and the deltas as one more rowset. The plan of chunks depends on the snapshot alone, so that an
// interrupted clone goes on with Seek while the snapshot is held. Used by one goroutine; the snapshot must outlive it.
type Exporter struct {
	s      *Snapshot
	header cloneHeader
	groups []exportGroup
	end    *cloneEnd
	next   int
	err    error // found while planning
	// skipped is how many bytes are left out.
	skipped int64
	// Buffer gives the memory of chunks, of that length or more of capacity, to be had back when they are sent; nil = new memory.
	Buffer func(size int) []byte
	// Plain has the chunks of row groups hashed as a whole: for a target that knows no sealed ones.
	Plain bool
	// contents are the hashes of the row groups that were read, by rowset and row group; 0 = not yet.
	contents [][]uint64
}

// exportGroup is one row group to send: a stored one, or an encoded one of the deltas.
type exportGroup struct {
	rowset, group int
	w             *rowsetView
	val           []byte
}

// Export plans a full clone of the snapshot; what goes wrong is returned by Next.
func (s *Snapshot) Export() *Exporter {
	e := &Exporter{s: s, header: cloneHeader{Tablet: s.t.id, Version: s.version, Schema: s.schema}}
	e.err = e.plan()
	return e
}

// TotalBytes returns how many bytes of row groups will be sent.
func (e *Exporter) TotalBytes() int64 { return e.header.Bytes }

// Chunks returns how many chunks there are.
func (e *Exporter) Chunks() int { return len(e.groups) + 2 }

// Seek makes seq the next chunk.
func (e *Exporter) Seek(seq int) { e.next = max(seq, 0) }

// Digest returns the content digest of what is exported: what Import.Commit wants. The target finds it again by a scan.
func (e *Exporter) Digest(ctx context.Context) (uint64, error) {
	if e.end == nil {
		digest, rows, err := e.s.Digest(ctx)
		if err != nil {
			return 0, err
		}
		e.end = &cloneEnd{Rows: rows, Digest: digest}
	}
	return e.end.Digest, nil
}

// Next returns the next chunk; ok is false at the end.
func (e *Exporter) Next(ctx context.Context) (c Chunk, ok bool, err error) {
	if e.next >= e.Chunks() {
		return Chunk{}, false, nil
	}
	if e.err == nil {
		c, e.err = e.chunk(ctx, e.next)
	}
	if e.err != nil {
		return Chunk{}, false, fmt.Errorf("export tablet %d at version %d: %w", e.s.t.id, e.s.version, e.s.t.checkBad(e.err))
	}
	e.next++
	return c, true, nil
}

func (e *Exporter) chunk(ctx context.Context, seq int) (Chunk, error) {
	if err := ctx.Err(); err != nil {
		return Chunk{}, err
	}
	var out []byte
	var err error
	switch {
	case seq == 0:
		if out, err = cbor.Marshal(&e.header); err == nil {
			out = e.seal(chunkHeader, seq, out)
		}
	case seq <= len(e.groups):
		out, err = e.groupChunk(&e.groups[seq-1], seq)
	default:
		if _, err = e.Digest(ctx); err == nil {
			e.end.Proof, err = e.proof(ctx)
		}
		if err == nil {
			if out, err = cbor.Marshal(e.end); err == nil {
				out = e.seal(chunkEnd, seq, out)
			}
		}
	}
	return Chunk{Seq: seq, Bytes: out}, err
}

func (e *Exporter) seal(kind byte, seq int, body []byte) []byte {
	return sealChunk(kind, e.header.Tablet, e.header.Version, seq, body)
}

// groupChunk copies a row group out of the mapping, once, and verifies the copy: damage must not travel.
func (e *Exporter) groupChunk(g *exportGroup, seq int) (out []byte, err error) {
	content := &e.contents[g.rowset][g.group]
	if g.val != nil {
		out = append(e.beginGroup(g, seq, len(g.val)), g.val...)
		return e.endGroup(out, *content), nil
	}
	id := g.w.r.group(g.group)
	key := groupKey(id)
	err = e.s.t.s.viewData(key, func(val []byte) error {
		out = append(e.beginGroup(g, seq, len(val)), val...)
		*content, err = contentOf(id, out[len(out)-len(val):])
		return err
	})
	if err != nil {
		return nil, missingIsCorrupt(key, err)
	}
	return e.endGroup(out, *content), nil
}

// groupPlace is where a row group belongs, before it in a chunk: rowset and row group.
const groupPlace = 4 + 4

// beginGroup returns a chunk up to the row group, which has size bytes.
func (e *Exporter) beginGroup(g *exportGroup, seq, size int) []byte {
	kind := byte(chunkSealed)
	if e.Plain {
		kind = chunkGroup
	}
	out := beginChunk(e.buffer(groupPlace+size), kind, e.header.Tablet, e.header.Version, seq)
	out = binary.BigEndian.AppendUint32(out, uint32(g.rowset))
	return binary.BigEndian.AppendUint32(out, uint32(g.group))
}

func (e *Exporter) endGroup(out []byte, content uint64) []byte {
	if e.Plain {
		return endChunk(out)
	}
	return binary.LittleEndian.AppendUint64(out, sealOf(out, content))
}

// sealOf is the hash of a chunk with a row group of that content.
func sealOf(chunk []byte, content uint64) uint64 {
	return xxh3.HashSeed(chunk[:chunkFixed+groupPlace], content)
}

// buffer returns room for a chunk with a body of size bytes.
func (e *Exporter) buffer(size int) []byte {
	if e.Buffer == nil {
		return make([]byte, 0, chunkSize(size))
	}
	return e.Buffer(chunkSize(size))[:0]
}

// contentOf verifies row group id in all its parts and returns the hash of its content.
func contentOf(id rowset.GroupID, val []byte) (uint64, error) {
	group, err := rowset.OpenGroup(id, val)
	if err == nil {
		err = group.VerifyAll()
	}
	if err != nil {
		return 0, err
	}
	return group.Content(), nil
}

// proof returns the hash over all row groups. Those that were sent have been read; those that the target has already are
// looked at.
func (e *Exporter) proof(ctx context.Context) (uint64, error) {
	for at := range e.s.rowsets {
		r := e.s.rowsets[at].r
		for g := range r.groups {
			if e.contents[at][g] != 0 {
				continue
			}
			if err := ctx.Err(); err != nil {
				return 0, err
			}
			err := e.s.t.s.viewSome(r.group(g), func(group *rowset.Group) error {
				e.contents[at][g] = group.Content()
				return nil
			})
			if err != nil {
				return 0, err
			}
		}
	}
	return proofOf(e.contents), nil
}

// proofOf combines the contents of row groups, by rowset. It is never 0.
func proofOf(contents [][]uint64) uint64 {
	h := uint64(len(contents))
	for _, groups := range contents {
		h = rowhash.Mix(h, uint64(len(groups)))
		for _, c := range groups {
			h = rowhash.Mix(h, c)
		}
	}
	return max(h, 1)
}

func (e *Exporter) plan() error {
	for i := range e.s.rowsets {
		w := &e.s.rowsets[i]
		hidden, err := e.s.hiddenRows(w)
		if err != nil {
			return err
		}
		for g := range w.r.groups {
			e.groups = append(e.groups, exportGroup{rowset: len(e.header.Rowsets), group: g, w: w})
			e.header.Bytes += w.r.groups[g].Bytes
		}
		body, err := hidden.ToBytes()
		if err != nil {
			return err
		}
		e.header.Rowsets = append(e.header.Rowsets, cloneRowset{Groups: w.r.groups, Deletes: body,
			Source: sourceRowset{Disk: e.s.t.s.ID(), UID: w.r.uid, Rowset: w.r.entry.ID}})
		e.contents = append(e.contents, make([]uint64, len(w.r.groups)))
	}
	return e.planDeltas()
}

// hiddenRows returns the rows of a rowset that the snapshot does not see: ended, or not yet there.
func (s *Snapshot) hiddenRows(w *rowsetView) (*roaring.Bitmap, error) {
	hidden := w.deletes.RowsAt(s.version).Clone()
	for g := range w.r.groups {
		if w.r.groups[g].MaxVersion <= s.version {
			continue
		}
		err := s.t.s.viewSome(w.r.group(g), func(group *rowset.Group) error {
			for i := range group.Vectors() {
				versions, err := w.r.versionsOf(group, i)
				if err != nil {
					return err
				}
				for row, v := range versions {
					if types.Version(v) > s.version {
						hidden.Add(w.r.starts[g] + uint32(i*vec.MaxRows+row))
					}
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return hidden, nil
}

// planDeltas encodes the rows of the memtables as a rowset of their own.
func (e *Exporter) planDeltas() error {
	s := e.s
	f := frozen{schema: s.schema, views: s.mems}
	var rows []memRow
	cols := make([][]*vec.Vector, len(s.mems))
	for m := range s.mems {
		cols[m] = f.columns(&s.mems[m])
		for row := range s.mems[m].Rows() {
			if s.mems[m].Visible(row, s.version) {
				rows = append(rows, memRow{mem: m, row: row})
			}
		}
	}
	if len(rows) == 0 {
		return nil
	}
	keyIdx := s.schema.KeyIndexes()
	keys := make(map[memRow][]byte, len(rows))
	for _, r := range rows {
		keys[r] = vec.AppendRowKey(nil, &vec.Batch{Cols: cols[r.mem]}, keyIdx, r.row)
	}
	slices.SortFunc(rows, func(a, b memRow) int { return cmp.Or(bytes.Compare(keys[a], keys[b]), cmp.Compare(a.row, b.row)) })
	n := len(e.header.Rowsets)
	w := newMemoryWriter(&s.schema)
	for _, r := range rows {
		if _, err := w.add(keys[r], cols[r.mem], r.row, s.mems[r.mem].CreatedBy(r.row)); err != nil {
			return err
		}
	}
	if err := w.endGroup(); err != nil {
		return err
	}
	contents := make([]uint64, len(w.groups))
	for g := range w.groups {
		val := w.queued[g].Value
		content, err := contentOf(rowset.GroupID{UID: w.uid, Rowset: w.id, Group: uint32(g)}, val)
		if err != nil {
			return err
		}
		contents[g] = content
		e.groups = append(e.groups, exportGroup{rowset: n, group: g, val: val})
		e.header.Bytes += w.groups[g].Bytes
	}
	e.contents = append(e.contents, contents)
	e.header.Rowsets = append(e.header.Rowsets, cloneRowset{Groups: w.groups})
	return nil
}

func sealChunk(kind byte, tablet types.TabletID, version types.Version, seq int, body []byte) []byte {
	room := make([]byte, 0, chunkSize(len(body)))
	return endChunk(append(beginChunk(room, kind, tablet, version, seq), body...))
}

// chunkSize is the length of a chunk with a body of so many bytes.
func chunkSize(body int) int { return chunkFixed + body + 8 }

// beginChunk appends a chunk up to its body.
func beginChunk(out []byte, kind byte, tablet types.TabletID, version types.Version, seq int) []byte {
	out = append(out, kind)
	out = binary.BigEndian.AppendUint64(out, uint64(tablet))
	out = binary.BigEndian.AppendUint64(out, uint64(version))
	return binary.BigEndian.AppendUint32(out, uint32(seq))
}

func endChunk(out []byte) []byte { return binary.LittleEndian.AppendUint64(out, xxh3.Hash(out)) }

// openChunk reads the envelope of a chunk. Its hash is compared, but for a sealed one's, which openSealed does.
func openChunk(c Chunk, tablet types.TabletID) (kind byte, version types.Version, body []byte, err error) {
	n := len(c.Bytes) - 8
	if n < chunkFixed || c.Bytes[0] != chunkSealed && xxh3.Hash(c.Bytes[:n]) != binary.LittleEndian.Uint64(c.Bytes[n:]) {
		return 0, 0, nil, chunkDamaged(c)
	}
	if got := types.TabletID(binary.BigEndian.Uint64(c.Bytes[1:])); got != tablet {
		return 0, 0, nil, fmt.Errorf("chunk %d is of tablet %d: %w", c.Seq, got, ErrImport)
	}
	if got := binary.BigEndian.Uint32(c.Bytes[17:]); int(got) != c.Seq {
		return 0, 0, nil, fmt.Errorf("chunk %d says that it is %d: %w", c.Seq, got, ErrImport)
	}
	return c.Bytes[0], types.Version(binary.BigEndian.Uint64(c.Bytes[9:])), c.Bytes[chunkFixed:n], nil
}

func chunkDamaged(c Chunk) error {
	return fmt.Errorf("chunk %d of %d bytes: checksum: %w", c.Seq, len(c.Bytes), ErrImport)
}

// openSealed gives the row group in a sealed chunk another identity, and refuses a chunk that is damaged anywhere but in a vector or a
// dictionary: those are compared with the directory once they are stored.
func openSealed(c Chunk, id rowset.GroupID) error {
	end := len(c.Bytes) - 8
	content, err := rowset.Rename(id, c.Bytes[chunkFixed+groupPlace:end])
	if err != nil {
		return fmt.Errorf("%w: %w", chunkDamaged(c), err)
	}
	if sealOf(c.Bytes, content) != binary.LittleEndian.Uint64(c.Bytes[end:]) {
		return chunkDamaged(c)
	}
	return nil
}
