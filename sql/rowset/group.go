package rowset

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync"

	"github.com/zeebo/xxh3"

	"stele/meta/contain"
	"stele/meta/types"
	"stele/sql/vec"
)

// The layout of a row group, little-endian:
//
//	header     64 bytes, see header.encode
//	hash       XXH3 of header and directory: the identity is part of it, so a value under the wrong key is corrupt
//	directory  per column {id 4, kind 1, unsigned 1, filters 1, cut 1, length 4, scale 4, dictionary offset 4, length 4, hash 8},
//	           then per column and vector {offset 4, length 4, hash 8, zone min 8, zone max 8}
//	vectors    encoded values, of a wide column as wide.go says; a dictionary precedes the vectors that share it; a column with filters
//	           has them behind its vectors (see filter.go)
//	bloom      filter over the keys, in hashed blocks
//	keys       first key of each vector: nvec+1 offsets 4, bytes, hash
const (
	groupMagic   = 0x31475253 // "SRG1"
	groupFormat  = 2          // 1 had neither runs nor shared dictionaries
	wideFormat   = 3          // of row groups with wide columns
	headerSize   = 64
	dirStart     = headerSize + 8
	columnEntry  = 32
	vectorEntry  = 32
	maxGroupCols = 4096
	cutAt        = 7 // in a column's entry
)

// GroupID names a row group within a disk.
type GroupID struct {
	UID    uint64 // tablet incarnation
	Rowset uint64
	Group  uint32
}

// Columns is what a row group is made from: vectors of equal length, in key order of the rows.
type Columns struct {
	IDs  []types.ColumnID
	Vecs []*vec.Vector
	// Filtered are the columns that get a filter over the values of each vector.
	Filtered []types.ColumnID
}

// EncodeGroup encodes rows as row group id. keys are the memcomparable keys of the rows, ascending.
func EncodeGroup(id GroupID, cols Columns, keys [][]byte) []byte {
	rows := len(keys)
	nvec := vectorsOf(rows)
	dirLen := len(cols.IDs) * (columnEntry + nvec*vectorEntry)
	scratch := groupScratch.Get().(*[]byte)
	defer groupScratch.Put(scratch)
	out := append((*scratch)[:0], make([]byte, dirStart+dirLen)...)
	dir := out[dirStart:]
	for c, cid := range cols.IDs {
		putColumnEntry(dir[c*columnEntry:], cid, cols.Vecs[c].Type)
	}
	entry, format := len(cols.IDs)*columnEntry, uint16(groupFormat)
	for i, v := range cols.Vecs {
		c := chooseChunk(v, rows)
		if c.values != nil {
			start := len(out)
			out = appendDictValues(out, c.values)
			putDictEntry(out[dirStart+i*columnEntry:], start, out[start:])
		}
		if out[dirStart+i*columnEntry+cutAt] = byte(c.cut); c.cut > 0 {
			format = wideFormat
		}
		for from := 0; from < rows; from += vec.MaxRows {
			to := min(from+vec.MaxRows, rows)
			start := len(out)
			out = appendVector(out, c, from, to)
			e := out[dirStart+entry:]
			binary.LittleEndian.PutUint32(e, uint32(start))
			binary.LittleEndian.PutUint32(e[4:], uint32(len(out)-start))
			binary.LittleEndian.PutUint64(e[8:], xxh3.Hash(out[start:start+headBytes(out[start:], c.cut)]))
			z := c.zoneOf(from, to)
			binary.LittleEndian.PutUint64(e[16:], z.Min)
			binary.LittleEndian.PutUint64(e[24:], z.Max)
			entry += vectorEntry
		}
		if slices.Contains(cols.Filtered, cols.IDs[i]) && filterable(v) {
			out = appendFilters(out, v, rows)
			out[dirStart+i*columnEntry+filterFlag] = 1
		}
	}
	bloomOff := len(out)
	out = append(out, buildBloom(hashesOf(keys))...)
	keysOff := len(out)
	out = appendHashed(out, firstKeys(keys))
	h := header{format: format, id: id, rows: uint32(rows), cols: uint16(len(cols.IDs)), bloomOff: uint32(bloomOff), keysOff: uint32(keysOff), size: uint32(len(out))}
	h.encode(out)
	sealGroup(out, dirLen)
	*scratch = out
	return slices.Clone(out)
}

// groupScratch are buffers in which row groups grow: nobody knows their size before.
var groupScratch = sync.Pool{New: func() any { return new([]byte) }}

// Group reads a row group in place. It is valid as long as the bytes it was opened on.
type Group struct {
	h     header
	val   []byte
	dir   []byte
	dicts map[int]*dictionary // by column, once they are needed: a Group is used by one goroutine

	blocks *BlockCache // of point reads, or none
}

// OpenGroup checks that val is row group id and returns a reader of it.
func OpenGroup(id GroupID, val []byte) (*Group, error) {
	g := &Group{val: val}
	if err := g.open(); err != nil {
		return nil, fmt.Errorf("row group %d/%d/%d of %d bytes: %w", id.UID, id.Rowset, id.Group, len(val), err)
	}
	if g.h.id != id {
		return nil, fmt.Errorf("row group %d/%d/%d found as %d/%d/%d: %w", g.h.id.UID, g.h.id.Rowset, g.h.id.Group, id.UID, id.Rowset, id.Group, ErrCorrupt)
	}
	return g, nil
}

// Restamp gives the row group val, once it is verified, the identity id, in place.
func Restamp(id GroupID, val []byte) error {
	g := &Group{val: val}
	if err := g.open(); err != nil {
		return err
	}
	if err := g.VerifyAll(); err != nil {
		return err
	}
	g.stamp(id)
	return nil
}

// Rename gives the row group val the identity id, in place, and returns the hash of its content, as it would be after VerifyAll. Of
// the vectors it looks at nothing: that hash stands for theirs, which the directory has.
func Rename(id GroupID, val []byte) (content uint64, err error) {
	g := &Group{val: val}
	if err := g.open(); err != nil {
		return 0, err
	}
	g.stamp(id)
	return g.Content(), nil
}

// Stamp gives val, which OpenGroup takes, the identity id.
func Stamp(id GroupID, val []byte) {
	g := &Group{val: val}
	if err := g.open(); err != nil {
		panic("BUG: stamp what is no row group: " + err.Error())
	}
	g.stamp(id)
}

func (g *Group) stamp(id GroupID) {
	g.h.id = id
	g.h.encode(g.val)
	sealGroup(g.val, len(g.dir))
}

// Content returns a hash of everything but the identity, given that VerifyAll was successful: the directory holds the
// hashes of what it names.
func (g *Group) Content() uint64 { return xxh3.HashSeed(g.val[g.h.bloomOff:], xxh3.Hash(g.dir)) }

// ColumnType returns the type that column c was stored with.
func (g *Group) ColumnType(c int) types.ColumnType { return columnType(g.dir[c*columnEntry:]) }

// HeadBytes is how long the part of a row group is that says where everything else is.
func HeadBytes(columns, rows int) int64 {
	return dirStart + int64(columns)*(columnEntry+int64(vectorsOf(rows))*vectorEntry)
}

// Rows returns the number of rows.
func (g *Group) Rows() int { return int(g.h.rows) }

// Vectors returns the number of vectors of each column.
func (g *Group) Vectors() int { return vectorsOf(g.Rows()) }

// VectorRows returns the number of rows of vector i.
func (g *Group) VectorRows(i int) int { return min(vec.MaxRows, g.Rows()-i*vec.MaxRows) }

// Column returns the position of column id, or -1 when the row group is older than the column.
func (g *Group) Column(id types.ColumnID) int {
	for c := range int(g.h.cols) {
		if types.ColumnID(binary.LittleEndian.Uint32(g.dir[c*columnEntry:])) == id {
			return c
		}
	}
	return -1
}

// Zone returns the zone of vector i of column c.
func (g *Group) Zone(c, i int) Zone {
	e := g.entry(c, i)
	return Zone{Min: binary.LittleEndian.Uint64(e[16:]), Max: binary.LittleEndian.Uint64(e[24:])}
}

// Decode returns vector i of column c as a copy. The vector has the type that the column was stored with.
func (g *Group) Decode(c, i int) (*vec.Vector, error) {
	v := &vec.Vector{}
	if err := g.DecodeInto(v, c, i); err != nil {
		return nil, err
	}
	return v, nil
}

// DecodeInto is Decode into a vector that nobody uses any more, whose buffers are used again. After an error v is undefined.
func (g *Group) DecodeInto(v *vec.Vector, c, i int) error {
	e, err := g.vector(c, i)
	if err != nil {
		return err
	}
	shared, err := g.dictionary(c)
	if err != nil {
		return err
	}
	if err := decodeVector(v, columnType(g.dir[c*columnEntry:]), g.VectorRows(i), e, shared); err != nil {
		return fmt.Errorf("column %d vector %d: %w", c, i, err)
	}
	return nil
}

// DecodeRows is DecodeInto for who looks at some rows of the vector only: what is in the others is undefined.
func (g *Group) DecodeRows(v *vec.Vector, c, i int, rows []int32) error {
	n, t := g.VectorRows(i), columnType(g.dir[c*columnEntry:])
	if t.Phys() != types.PhysInt64 || len(rows)*fewDecoded > n {
		return g.DecodeInto(v, c, i)
	}
	src, err := g.vectorBytes(c, i)
	if err != nil {
		return err
	}
	if len(src) < 2 || src[0] != encFOR || src[1] == validBitmap {
		return g.DecodeInto(v, c, i)
	}
	v.Type, v.N, v.Valid, v.I64 = t, n, nil, reuse(v.I64, n)
	if err := unpackRows(v.I64, src[2:], rows); err != nil {
		return fmt.Errorf("column %d vector %d: %w", c, i, err)
	}
	return nil
}

// ColumnBytes returns where the vectors [from, to) of column c lie, and what all of its vectors share. They are not looked at.
func (g *Group) ColumnBytes(c, from, to int) (vectors, shared []byte) {
	if from >= to {
		return nil, nil
	}
	first, last, d := g.entry(c, from), g.entry(c, to-1), g.dir[c*columnEntry:]
	end := uint64(binary.LittleEndian.Uint32(last)) + uint64(binary.LittleEndian.Uint32(last[4:]))
	at := uint64(binary.LittleEndian.Uint32(d[16:]))
	return g.between(uint64(binary.LittleEndian.Uint32(first)), end), g.between(at, at+uint64(binary.LittleEndian.Uint32(d[20:])))
}

// between returns a range of the row group, nothing where there is none.
func (g *Group) between(from, to uint64) []byte {
	if from > to || to > uint64(len(g.val)) {
		return nil
	}
	return g.val[from:to]
}

// MayContain asks the bloom filter for a key by its KeyHash.
func (g *Group) MayContain(hash uint64) (bool, error) {
	may, err := bloomMayContain(g.val[g.h.bloomOff:g.h.keysOff], hash)
	if err != nil {
		return false, fmt.Errorf("bloom filter: %w", err)
	}
	return may, nil
}

// FirstKeys returns the first key of each vector, aliasing the row group.
func (g *Group) FirstKeys() ([][]byte, error) { return g.appendFirstKeys(nil) }

// appendFirstKeys is FirstKeys into out, which is empty; after an error nothing is in it.
func (g *Group) appendFirstKeys(out [][]byte) ([][]byte, error) {
	body, err := verifyHashed(g.val[g.h.keysOff:])
	n := g.Vectors()
	if err != nil || len(body) < 4*(n+1) {
		return out[:0], fmt.Errorf("key index: %w", ErrCorrupt)
	}
	data := body[4*(n+1):]
	out = slices.Grow(out, n)
	for i := range n {
		from, to := binary.LittleEndian.Uint32(body[4*i:]), binary.LittleEndian.Uint32(body[4*i+4:])
		if from > to || int(to) > len(data) {
			clear(out)
			return out[:0], fmt.Errorf("key index: %w", ErrCorrupt)
		}
		out = append(out, data[from:to:to])
	}
	return out, nil
}

// VerifyAll checks the hash of every part: what a scrub and a clone do.
func (g *Group) VerifyAll() error {
	for c := range int(g.h.cols) {
		if _, err := g.dictionary(c); err != nil {
			return err
		}
		for i := range g.Vectors() {
			e, err := g.vector(c, i)
			if err != nil {
				return err
			}
			if !e.verify() {
				return fmt.Errorf("checksum of a block of column %d vector %d: %w", c, i, ErrCorrupt)
			}
		}
	}
	if err := g.verifyFilters(); err != nil {
		return err
	}
	filter := g.val[g.h.bloomOff:g.h.keysOff]
	if err := verifyBloom(filter); err != nil {
		return fmt.Errorf("bloom filter: %w", err)
	}
	_, err := g.FirstKeys()
	return err
}

// DecodeAll decodes every vector: what a thorough check does beside VerifyAll.
func (g *Group) DecodeAll() error {
	for c := range int(g.h.cols) {
		for i := range g.Vectors() {
			if _, err := g.Decode(c, i); err != nil {
				return err
			}
		}
	}
	return nil
}

func (g *Group) entry(c, i int) []byte {
	at := int(g.h.cols)*columnEntry + (c*g.Vectors()+i)*vectorEntry
	return g.dir[at : at+vectorEntry]
}

// cut returns how the blocks of column c are cut; 0 = it is not wide.
func (g *Group) cut(c int) cut { return cut(g.dir[c*columnEntry+cutAt]) }

// vector returns vector i of column c as it is stored.
func (g *Group) vector(c, i int) (encoded, error) {
	e := g.entry(c, i)
	off, size, hash := uint64(binary.LittleEndian.Uint32(e)), uint64(binary.LittleEndian.Uint32(e[4:])), binary.LittleEndian.Uint64(e[8:])
	if off+size > uint64(len(g.val)) {
		return encoded{}, fmt.Errorf("column %d vector %d out of bounds: %w", c, i, ErrCorrupt)
	}
	v, ok := encoded{src: g.val[off : off+size]}, false
	if how := g.cut(c); how > 0 {
		v, ok = openWide(v.src, how, hash)
	} else {
		ok = xxh3.Hash(v.src) == hash
	}
	if !ok {
		return encoded{}, fmt.Errorf("checksum of column %d vector %d: %w", c, i, ErrCorrupt)
	}
	return v, nil
}

// vectorBytes is vector where there are no blocks.
func (g *Group) vectorBytes(c, i int) ([]byte, error) {
	e, err := g.vector(c, i)
	return e.src, err
}

// dictionary returns what the vectors of column c share, or nil.
func (g *Group) dictionary(c int) (*dictionary, error) {
	if d := g.dicts[c]; d != nil {
		return d, nil
	}
	src, err := g.dictionaryBytes(c)
	if err != nil || src == nil {
		return nil, err
	}
	d, rest, err := parseDict(src)
	if err != nil || len(rest) != 0 {
		return nil, fmt.Errorf("dictionary of column %d: %w", c, ErrCorrupt)
	}
	if g.dicts == nil {
		g.dicts = make(map[int]*dictionary)
	}
	g.dicts[c] = d
	return d, nil
}

// dictionaryBytes returns the dictionary of column c as it is stored, or nil.
func (g *Group) dictionaryBytes(c int) ([]byte, error) {
	e := g.dir[c*columnEntry : (c+1)*columnEntry]
	off, size := uint64(binary.LittleEndian.Uint32(e[16:])), uint64(binary.LittleEndian.Uint32(e[20:]))
	if size == 0 {
		return nil, nil
	}
	if off+size > uint64(len(g.val)) || xxh3.Hash(g.val[off:off+size]) != binary.LittleEndian.Uint64(e[24:]) {
		return nil, fmt.Errorf("dictionary of column %d: %w", c, ErrCorrupt)
	}
	return g.val[off : off+size], nil
}

func putDictEntry(e []byte, start int, body []byte) {
	binary.LittleEndian.PutUint32(e[16:], uint32(start))
	binary.LittleEndian.PutUint32(e[20:], uint32(len(body)))
	binary.LittleEndian.PutUint64(e[24:], xxh3.Hash(body))
}

func (g *Group) open() (err error) {
	defer contain.As(&err, ErrCorrupt)
	if len(g.val) >= dirStart && binary.LittleEndian.Uint32(g.val) == groupMagic {
		if f := binary.LittleEndian.Uint16(g.val[4:]); f != groupFormat && f != wideFormat {
			return fmt.Errorf("row group format %d, this release reads %d and %d: %w", f, groupFormat, wideFormat, ErrCorrupt)
		}
	}
	if !g.h.decode(g.val) {
		return ErrCorrupt
	}
	h := g.h
	dirLen := int(h.cols) * (columnEntry + vectorsOf(int(h.rows))*vectorEntry)
	end := dirStart + dirLen
	if int(h.size) != len(g.val) || end > len(g.val) || int(h.bloomOff) < end || h.keysOff < h.bloomOff || h.keysOff > h.size {
		return ErrCorrupt
	}
	if groupHash(g.val, dirLen) != binary.LittleEndian.Uint64(g.val[headerSize:]) {
		return fmt.Errorf("directory checksum: %w", ErrCorrupt)
	}
	g.dir = g.val[dirStart:end]
	return g.checkCuts()
}

// checkCuts refuses cuts that nobody makes.
func (g *Group) checkCuts() error {
	if g.h.format != wideFormat {
		return nil
	}
	for c := range int(g.h.cols) {
		if g.cut(c) > maxCut || g.cut(c) > 0 && g.ColumnType(c).Phys() != types.PhysBytes {
			return fmt.Errorf("column %d is cut %d times: %w", c, g.cut(c), ErrCorrupt)
		}
	}
	return nil
}

type header struct {
	format                  uint16
	id                      GroupID
	rows                    uint32
	cols                    uint16
	bloomOff, keysOff, size uint32
}

func (h *header) encode(out []byte) {
	le := binary.LittleEndian
	le.PutUint32(out, groupMagic)
	le.PutUint16(out[4:], h.format)
	le.PutUint16(out[6:], h.cols)
	le.PutUint64(out[8:], h.id.UID)
	le.PutUint64(out[16:], h.id.Rowset)
	le.PutUint32(out[24:], h.id.Group)
	le.PutUint32(out[28:], h.rows)
	le.PutUint32(out[32:], h.bloomOff)
	le.PutUint32(out[36:], h.keysOff)
	le.PutUint32(out[40:], h.size)
}

func (h *header) decode(val []byte) bool {
	le := binary.LittleEndian
	if len(val) < dirStart || le.Uint32(val) != groupMagic {
		return false
	}
	h.format = le.Uint16(val[4:])
	h.cols = le.Uint16(val[6:])
	h.id = GroupID{UID: le.Uint64(val[8:]), Rowset: le.Uint64(val[16:]), Group: le.Uint32(val[24:])}
	h.rows, h.bloomOff, h.keysOff, h.size = le.Uint32(val[28:]), le.Uint32(val[32:]), le.Uint32(val[36:]), le.Uint32(val[40:])
	return (h.format == groupFormat || h.format == wideFormat) && h.rows > 0 && h.rows <= MaxGroupRows && h.cols <= maxGroupCols
}

func sealGroup(out []byte, dirLen int) {
	binary.LittleEndian.PutUint64(out[headerSize:], groupHash(out, dirLen))
}

func groupHash(val []byte, dirLen int) uint64 {
	return xxh3.HashSeed(val[dirStart:dirStart+dirLen], xxh3.Hash(val[:headerSize]))
}

func putColumnEntry(e []byte, id types.ColumnID, t types.ColumnType) {
	binary.LittleEndian.PutUint32(e, uint32(id))
	e[4] = byte(t.Kind)
	if t.Unsigned {
		e[5] = 1
	}
	binary.LittleEndian.PutUint32(e[8:], uint32(t.Length))
	binary.LittleEndian.PutUint32(e[12:], uint32(t.Scale))
}

func columnType(e []byte) types.ColumnType {
	return types.ColumnType{
		Kind: types.Kind(e[4]), Unsigned: e[5] == 1,
		Length: int32(binary.LittleEndian.Uint32(e[8:])), Scale: int32(binary.LittleEndian.Uint32(e[12:])),
	}
}

func vectorsOf(rows int) int { return (rows + vec.MaxRows - 1) / vec.MaxRows }

func hashesOf(keys [][]byte) []uint64 {
	out := make([]uint64, len(keys))
	for i, k := range keys {
		out[i] = KeyHash(k)
	}
	return out
}

func firstKeys(keys [][]byte) []byte {
	n := vectorsOf(len(keys))
	out := make([]byte, 4*(n+1))
	for i := range n {
		out = append(out, keys[i*vec.MaxRows]...)
		binary.LittleEndian.PutUint32(out[4*(i+1):], uint32(len(out)-4*(n+1)))
	}
	return out
}
