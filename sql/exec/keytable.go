package exec

import (
	"encoding/binary"
	"hash/maphash"
	"math"
	"slices"

	"stele/meta/types"
	"stele/sql/vec"
)

// hashSeed is one for the process: both sides of a join, and every level of a spilled aggregation, must agree.
var hashSeed = maphash.MakeSeed()

// keyTable numbers distinct keys 0,1,2,… in the order of their first appearance: open addressing with linear probing
// over ids, so that growing moves four bytes a key. A single integer has a table of its own. Other keys of one or two columns whose values
// fit eight bytes (numbers but for wide decimals, strings of up to packedBytes) are compared as integers; every other key as encoded bytes. The
// first string that is longer turns the table over. NULLs equal each other here: who wants otherwise leaves those
// rows out.
type keyTable struct {
	single *intTable // of keys of one integer, and then there is nothing else
	packed bool
	phys   []types.Phys
	slots  []uint32 // id+1, 0 = free
	mask   uint64
	hashes []uint64
	pairs  []intKey // packed
	arena  []byte   // otherwise: key id is arena[ends[id-1]:ends[id]]
	ends   []int
	enc    []byte // scratch
	block  *keyBlock
}

// keyBlock is the packed keys of some rows with the ids that their slots hold. That they are looked up for all of them first lets
// the processor wait for many slots, which lie all over the memory, at the same time.
type keyBlock struct {
	keys   []intKey
	hashes []uint64
	ids    []uint32 // +1, 0 = free
}

// A block is for keyBlockRows, or for fewKeyRows as long as no more come at once: most statements bring a few.
const (
	keyBlockRows = 256
	fewKeyRows   = 16
)

// newKeyBlock makes a block for some rows.
func newKeyBlock(rows int) *keyBlock {
	n := fewKeyRows
	if rows > n {
		n = keyBlockRows
	}
	return &keyBlock{keys: make([]intKey, n), hashes: make([]uint64, n), ids: make([]uint32, n)}
}

type intKey struct{ a, b, nulls uint64 }

const (
	initialSlots = 64
	packedBytes  = 7        // the eighth byte holds the length
	mostRoom     = 16 << 10 // for keys that may never come
)

func newKeyTable(ts []types.ColumnType) *keyTable {
	if len(ts) == 1 && ts[0].Phys() == types.PhysInt64 {
		return &keyTable{single: newIntTable()}
	}
	t := &keyTable{packed: len(ts) == 1 || len(ts) == 2, slots: make([]uint32, initialSlots), mask: initialSlots - 1}
	for _, c := range ts {
		t.phys = append(t.phys, c.Phys())
		t.packed = t.packed && c.Phys() != types.PhysDec128
	}
	return t
}

func (t *keyTable) len() int {
	if t.single != nil {
		return t.single.len()
	}
	return len(t.hashes)
}

func (t *keyTable) bytes() int64 {
	if t.single != nil {
		return t.single.bytes()
	}
	return int64(len(t.slots))*4 + int64(cap(t.hashes))*8 + int64(cap(t.pairs))*24 + int64(cap(t.arena)) + int64(cap(t.ends))*8
}

// assign writes to ids the number of the key of each of rows, adding keys that are new; fresh collects the rows that
// brought a new one, in the order of their ids.
func (t *keyTable) assign(keys []*vec.Vector, rows []int32, ids []int32, fresh []int32) []int32 {
	if t.single != nil {
		return t.single.assign(keys[0], rows, ids, fresh)
	}
	t.reserve(len(rows))
	done := 0
	if t.packed {
		if done, fresh = t.assignPacked(keys, rows, ids, fresh); done == len(rows) {
			return fresh
		}
		t.unpack()
	}
	for i := done; i < len(rows); i++ {
		t.enc = appendHashKey(t.enc[:0], keys, int(rows[i]))
		h := maphash.Bytes(hashSeed, t.enc)
		slot := t.findBytes(h)
		if t.slots[slot] == 0 {
			t.keep(len(rows) - i)
			t.add(slot, h)
			fresh = append(fresh, rows[i])
		}
		ids[i] = int32(t.slots[slot] - 1)
	}
	return fresh
}

// keep appends the key in enc to the others. more is how many rows there are from it on: a full arena gets room for as many keys that
// are as long, as those of a few rows would have it copied with each doubling.
func (t *keyTable) keep(more int) {
	if cap(t.arena)-len(t.arena) < len(t.enc) {
		t.arena = slices.Grow(t.arena, max(len(t.enc), min(more*len(t.enc), mostRoom)))
	}
	t.arena = append(t.arena, t.enc...)
	t.ends = append(t.ends, len(t.arena))
}

// assignPacked is assign as far as the keys can be packed: it returns how many rows it did.
func (t *keyTable) assignPacked(keys []*vec.Vector, rows []int32, ids []int32, fresh []int32) (int, []int32) {
	for done := 0; done < len(rows); {
		some := rows[done:min(done+keyBlockRows, len(rows))]
		n := t.load(keys, some)
		b, out := t.block, ids[done:done+n]
		for i := range out {
			if id := b.ids[i]; id != 0 && t.pairs[id-1] == b.keys[i] {
				out[i] = int32(id - 1)
				continue
			}
			slot := t.findInts(b.keys[i], b.hashes[i])
			if t.slots[slot] == 0 {
				t.pairs = append(t.pairs, b.keys[i])
				t.add(slot, b.hashes[i])
				fresh = append(fresh, some[i])
			}
			out[i] = int32(t.slots[slot] - 1)
		}
		if done += n; n < len(some) {
			return done, fresh
		}
	}
	return len(rows), fresh
}

// load packs the keys of a block of rows and looks their slots up. It returns for how many it could.
func (t *keyTable) load(keys []*vec.Vector, rows []int32) int {
	if t.block == nil || len(t.block.keys) < len(rows) {
		if _, ok := t.pack(keys, int(rows[0])); !ok {
			return 0
		}
		t.block = newKeyBlock(len(rows))
	}
	b := t.block
	n := t.packBlock(keys, rows)
	slots, mask := t.slots, t.mask
	for i := range b.keys[:n] {
		b.hashes[i] = b.keys[i].hash()
	}
	for i, h := range b.hashes[:n] {
		b.ids[i] = slots[h&mask]
	}
	return n
}

// packBlock packs the keys of a block of rows, up to a string that is too long for that.
func (t *keyTable) packBlock(keys []*vec.Vector, rows []int32) int {
	out := t.block.keys[:len(rows)]
	for i, r := range rows {
		k, ok := t.pack(keys, int(r))
		if !ok {
			return i
		}
		out[i] = k
	}
	return len(rows)
}

// unpack turns packed keys into encoded ones. The ids stay.
func (t *keyTable) unpack() {
	t.packed = false
	for id, k := range t.pairs {
		start := len(t.arena)
		t.arena = appendUnpacked(t.arena, t.phys[0], k.a, k.nulls&1 != 0)
		if len(t.phys) == 2 {
			t.arena = appendUnpacked(t.arena, t.phys[1], k.b, k.nulls&2 != 0)
		}
		t.ends = append(t.ends, len(t.arena))
		t.hashes[id] = maphash.Bytes(hashSeed, t.arena[start:])
	}
	t.pairs = nil
	t.rehash(len(t.slots))
}

// appendUnpacked appends what appendHashKey would for a packed value.
func appendUnpacked(dst []byte, phys types.Phys, x uint64, null bool) []byte {
	if null {
		return append(dst, 0)
	}
	dst = append(dst, 1)
	if phys != types.PhysBytes {
		return binary.LittleEndian.AppendUint64(dst, x)
	}
	n := int(x >> 56)
	dst = binary.AppendUvarint(dst, uint64(n))
	for i := n - 1; i >= 0; i-- {
		dst = append(dst, byte(x>>(8*i)))
	}
	return dst
}

// find writes to ids the number of the key of each of rows, or -1.
func (t *keyTable) find(keys []*vec.Vector, rows []int32, ids []int32) {
	if t.single != nil {
		t.single.find(keys[0], rows, ids)
		return
	}
	for len(rows) > 0 {
		n := 0
		if t.packed {
			n = t.findPacked(keys, rows[:min(keyBlockRows, len(rows))], ids)
		}
		if n == 0 { // not packed, or a string that no key of this table is as long as
			ids[0] = -1
			if !t.packed {
				t.enc = appendHashKey(t.enc[:0], keys, int(rows[0]))
				ids[0] = int32(t.slots[t.findBytes(maphash.Bytes(hashSeed, t.enc))]) - 1
			}
			n = 1
		}
		rows, ids = rows[n:], ids[n:]
	}
}

// findPacked is find for a block, as far as its keys can be packed: it returns how many rows it did.
func (t *keyTable) findPacked(keys []*vec.Vector, rows []int32, ids []int32) int {
	n := t.load(keys, rows)
	b := t.block
	for i := range ids[:n] {
		id := b.ids[i]
		if id != 0 && t.pairs[id-1] != b.keys[i] {
			id = t.slots[t.findInts(b.keys[i], b.hashes[i])]
		}
		ids[i] = int32(id) - 1
	}
	return n
}

// findInts returns the slot of k, or the free one where it belongs.
func (t *keyTable) findInts(k intKey, h uint64) uint64 {
	for slot := h & t.mask; ; slot = (slot + 1) & t.mask {
		id := t.slots[slot]
		if id == 0 || t.pairs[id-1] == k {
			return slot
		}
	}
}

func (t *keyTable) findBytes(h uint64) uint64 {
	for slot := h & t.mask; ; slot = (slot + 1) & t.mask {
		id := t.slots[slot]
		if id == 0 || t.hashes[id-1] == h && string(t.key(id-1)) == string(t.enc) {
			return slot
		}
	}
}

func (t *keyTable) key(id uint32) []byte {
	start := 0
	if id > 0 {
		start = t.ends[id-1]
	}
	return t.arena[start:t.ends[id]]
}

func (t *keyTable) add(slot, h uint64) {
	t.hashes = append(t.hashes, h)
	t.slots[slot] = uint32(len(t.hashes))
}

// reserve makes room for n more keys at a load of at most one half.
func (t *keyTable) reserve(n int) {
	size := len(t.slots)
	for (len(t.hashes)+n)*2 > size {
		size *= 2
	}
	if size == len(t.slots) {
		return
	}
	t.rehash(size)
}

func (t *keyTable) rehash(size int) {
	t.slots, t.mask = make([]uint32, size), uint64(size-1)
	t.hashes = slices.Grow(t.hashes, size/2-len(t.hashes))
	if t.packed {
		t.pairs = slices.Grow(t.pairs, size/2-len(t.pairs))
	}
	for id, h := range t.hashes {
		slot := h & t.mask
		for t.slots[slot] != 0 {
			slot = (slot + 1) & t.mask
		}
		t.slots[slot] = uint32(id + 1)
	}
}

// pack returns the key of a row as integers; ok is false when a string is too long for that.
func (t *keyTable) pack(keys []*vec.Vector, row int) (k intKey, ok bool) {
	if ok = true; keys[0].IsNull(row) {
		k.nulls = 1
	} else {
		k.a, ok = packValue(t.phys[0], keys[0], row)
	}
	if len(keys) == 1 || !ok {
		return k, ok
	}
	if keys[1].IsNull(row) {
		k.nulls |= 2
	} else {
		k.b, ok = packValue(t.phys[1], keys[1], row)
	}
	return k, ok
}

// packValue packs a value that is not NULL.
func packValue(phys types.Phys, v *vec.Vector, row int) (uint64, bool) {
	switch phys {
	case types.PhysInt64:
		return uint64(v.I64[row]), true
	case types.PhysFloat64:
		return floatBits(v.F64[row]), true
	}
	from, to := v.Off[row], v.Off[row+1]
	if to-from > packedBytes {
		return 0, false
	}
	x := uint64(to-from) << 56
	y := uint64(0)
	for _, b := range v.Data[from:to] {
		y = y<<8 | uint64(b)
	}
	return x | y, true
}

// ints returns the values of a column of the keys, none of which is NULL, if they are integers; nil of others, and of keys that are not
// packed. They are the caller's to read only.
func (t *keyTable) ints(col int) []int64 {
	if t.single != nil {
		return t.single.keys
	}
	if !t.packed || t.phys[col] != types.PhysInt64 {
		return nil
	}
	out := make([]int64, len(t.pairs))
	for i, k := range t.pairs {
		if out[i] = int64(k.a); col == 1 {
			out[i] = int64(k.b)
		}
	}
	return out
}

// hash mixes as MurmurHash3's finalizer does: consecutive integers must not fall into consecutive slots.
func (k intKey) hash() uint64 {
	h := k.a*0x9E3779B97F4A7C15 ^ k.b*0xC2B2AE3D27D4EB4F ^ k.nulls<<32
	h = (h ^ h>>33) * 0xFF51AFD7ED558CCD
	h = (h ^ h>>33) * 0xC4CEB9FE1A85EC53
	return h ^ h>>33
}

// appendHashKey appends a form of the row's values in which equal rows, and only they, are equal. It does not keep
// the order, which makes strings cheaper than in vec.AppendKey.
func appendHashKey(dst []byte, keys []*vec.Vector, row int) []byte {
	for _, v := range keys {
		if v.IsNull(row) {
			dst = append(dst, 0)
			continue
		}
		dst = append(dst, 1)
		dst = appendRaw(dst, v, row)
	}
	return dst
}

// appendRaw appends one value that is not NULL so that decodeRaw can read it back; -0.0 becomes 0.0.
func appendRaw(dst []byte, v *vec.Vector, row int) []byte {
	le := binary.LittleEndian
	switch v.Type.Phys() {
	case types.PhysInt64:
		return le.AppendUint64(dst, uint64(v.I64[row]))
	case types.PhysFloat64:
		return le.AppendUint64(dst, floatBits(v.F64[row]))
	case types.PhysDec128:
		return le.AppendUint64(le.AppendUint64(dst, v.Dec[row].Lo), uint64(v.Dec[row].Hi))
	default:
		b := v.Bytes(row)
		return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
	}
}

// decodeRaw appends the value at the front of src to c and returns what follows; ok is false when src is too short.
func decodeRaw(c *vec.ColumnBuilder, phys types.Phys, src []byte) (rest []byte, ok bool) {
	le := binary.LittleEndian
	switch phys {
	case types.PhysBytes:
		n, w := binary.Uvarint(src)
		if w <= 0 || uint64(len(src)-w) < n {
			return nil, false
		}
		c.AppendBytes(src[w : w+int(n)])
		return src[w+int(n):], true
	case types.PhysDec128:
		if len(src) < 16 {
			return nil, false
		}
		c.AppendDec(vec.Int128{Lo: le.Uint64(src), Hi: int64(le.Uint64(src[8:]))})
		return src[16:], true
	}
	if len(src) < 8 {
		return nil, false
	}
	if phys == types.PhysFloat64 {
		c.AppendFloat(math.Float64frombits(le.Uint64(src)))
	} else {
		c.AppendInt(int64(le.Uint64(src)))
	}
	return src[8:], true
}

func floatBits(f float64) uint64 {
	if f == 0 {
		return 0
	}
	return math.Float64bits(f)
}

// hashRows writes the hash of the key of each of rows, the same for equal keys of the same types in any table.
func hashRows(keys []*vec.Vector, rows []int32, out []uint64) {
	var enc []byte
	for i, r := range rows {
		enc = appendHashKey(enc[:0], keys, int(r))
		out[i] = maphash.Bytes(hashSeed, enc)
	}
}
