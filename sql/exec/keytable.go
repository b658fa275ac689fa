package exec

import (
	"encoding/binary"
	"hash/maphash"
	"math"

	"stele/meta/types"
	"stele/sql/vec"
)

// hashSeed is one for the process: both sides of a join, and every level of a spilled aggregation, must agree.
var hashSeed = maphash.MakeSeed()

// keyTable numbers distinct keys 0,1,2,… in the order of their first appearance: open addressing with linear probing
// over ids, so that growing moves four bytes a key. One or two 64-bit columns are compared as integers; every other
// key as encoded bytes. NULLs equal each other here: who wants otherwise leaves those rows out.
type keyTable struct {
	ints   bool
	slots  []uint32 // id+1, 0 = free
	mask   uint64
	hashes []uint64
	pairs  []intKey // ints
	arena  []byte   // otherwise: key id is arena[ends[id-1]:ends[id]]
	ends   []int
	enc    []byte // scratch
}

type intKey struct{ a, b, nulls uint64 }

const initialSlots = 64

func newKeyTable(ts []types.ColumnType) *keyTable {
	t := &keyTable{ints: len(ts) == 1 || len(ts) == 2, slots: make([]uint32, initialSlots), mask: initialSlots - 1}
	for _, c := range ts {
		t.ints = t.ints && c.Phys() == types.PhysInt64
	}
	return t
}

func (t *keyTable) len() int { return len(t.hashes) }

func (t *keyTable) bytes() int64 {
	return int64(len(t.slots))*4 + int64(cap(t.hashes))*8 + int64(cap(t.pairs))*24 + int64(cap(t.arena)) + int64(cap(t.ends))*8
}

// assign writes to ids the number of the key of each of rows, adding keys that are new; fresh collects the rows that
// brought a new one, in the order of their ids.
func (t *keyTable) assign(keys []*vec.Vector, rows []int32, ids []int32, fresh []int32) []int32 {
	t.reserve(len(rows))
	if t.ints {
		return t.assignInts(keys, rows, ids, fresh)
	}
	for i, r := range rows {
		t.enc = appendHashKey(t.enc[:0], keys, int(r))
		h := maphash.Bytes(hashSeed, t.enc)
		slot := t.findBytes(h)
		if t.slots[slot] == 0 {
			t.arena = append(t.arena, t.enc...)
			t.ends = append(t.ends, len(t.arena))
			t.add(slot, h)
			fresh = append(fresh, r)
		}
		ids[i] = int32(t.slots[slot] - 1)
	}
	return fresh
}

func (t *keyTable) assignInts(keys []*vec.Vector, rows []int32, ids []int32, fresh []int32) []int32 {
	for i, r := range rows {
		k := intKeyOf(keys, int(r))
		h := k.hash()
		slot := t.findInts(k, h)
		if t.slots[slot] == 0 {
			t.pairs = append(t.pairs, k)
			t.add(slot, h)
			fresh = append(fresh, r)
		}
		ids[i] = int32(t.slots[slot] - 1)
	}
	return fresh
}

// find writes to ids the number of the key of each of rows, or -1.
func (t *keyTable) find(keys []*vec.Vector, rows []int32, ids []int32) {
	for i, r := range rows {
		var slot uint64
		if t.ints {
			k := intKeyOf(keys, int(r))
			slot = t.findInts(k, k.hash())
		} else {
			t.enc = appendHashKey(t.enc[:0], keys, int(r))
			slot = t.findBytes(maphash.Bytes(hashSeed, t.enc))
		}
		ids[i] = int32(t.slots[slot]) - 1
	}
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
	t.slots, t.mask = make([]uint32, size), uint64(size-1)
	for id, h := range t.hashes {
		slot := h & t.mask
		for t.slots[slot] != 0 {
			slot = (slot + 1) & t.mask
		}
		t.slots[slot] = uint32(id + 1)
	}
}

func intKeyOf(keys []*vec.Vector, row int) intKey {
	k := intKey{a: uint64(keys[0].I64[row])}
	if keys[0].IsNull(row) {
		k.a, k.nulls = 0, 1
	}
	if len(keys) == 2 {
		k.b = uint64(keys[1].I64[row])
		if keys[1].IsNull(row) {
			k.b = 0
			k.nulls |= 2
		}
	}
	return k
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
