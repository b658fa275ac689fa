package exec

import (
	"math"
	"math/bits"
	"slices"

	"stele/sql/vec"
)

// intTable numbers distinct integers, and NULL, 0,1,2,… in the order of their first appearance. As long as each is at least the one before,
// as in rows that lie in the order of their key, a list is all there is. Then, while they lie close together, as the values
// of most keys do, there is a slot for each that may come; else open addressing with linear probing.
type intTable struct {
	keys   []int64  // by id; that of NULL has 0
	null   int32    // the id of NULL, -1 = it has not come
	rising bool     // keys rise, without NULL, and there are no slots yet
	slots  []uint32 // id+1, 0 = free
	dense  bool     // an integer x is in slot x-base
	base   int64
	shift  int // otherwise: x belongs into slot hashInt(x)>>shift
}

// denseSlots is how many slots a key may take for them to be dense: with those of a hash table, which are two to four, go comparisons.
const denseSlots = 6

func newIntTable() *intTable { return &intTable{null: -1, rising: true} }

func (t *intTable) len() int { return len(t.keys) }

// bytes is what the table takes, with the slots that a list of rising keys will have when one of them is sought.
func (t *intTable) bytes() int64 {
	slots := len(t.slots)
	if n := len(t.keys); t.rising && n > 0 {
		slots, _, _ = slotsFor(t.keys[0], t.keys[n-1], n)
	}
	return int64(cap(t.keys))*8 + int64(slots)*4
}

// hashInt is Fibonacci hashing (Knuth, The Art of Computer Programming 6.4): its upper bits are the slot.
func hashInt(x int64) uint64 { return (uint64(x) ^ uint64(x)>>32) * 0x9E3779B97F4A7C15 }

// assign writes to ids the number of the key of each of rows, adding keys that are new; fresh collects the rows that brought a new one, in
// the order of their ids.
func (t *intTable) assign(v *vec.Vector, rows, ids, fresh []int32) []int32 {
	if t.rising {
		var done int
		if done, fresh = t.assignRising(v, rows, ids, fresh); done == len(rows) {
			return fresh
		}
		rows, ids = rows[done:], ids[done:]
		t.settle(len(rows))
	}
	t.reserve(v, rows)
	if v.Valid == nil {
		return t.assignPresent(v, rows, ids, fresh)
	}
	for i, r := range rows {
		if !v.IsNull(int(r)) {
			fresh = t.assignPresent(v, rows[i:i+1], ids[i:i+1], fresh)
			continue
		}
		if t.null < 0 {
			t.null = int32(len(t.keys))
			t.keys = append(t.keys, 0)
			fresh = append(fresh, r)
		}
		ids[i] = t.null
	}
	return fresh
}

// assignRising is assign as far as the keys go on rising: it returns how many rows it did.
func (t *intTable) assignRising(v *vec.Vector, rows, ids, fresh []int32) (int, []int32) {
	last := len(t.keys) - 1
	for i, r := range rows {
		if v.Valid != nil && v.IsNull(int(r)) {
			return i, fresh
		}
		x := v.I64[r]
		if last < 0 || x > t.keys[last] {
			t.keys = append(t.keys, x)
			fresh = append(fresh, r)
			last++
		} else if x < t.keys[last] {
			return i, fresh
		}
		ids[i] = int32(last)
	}
	return len(rows), fresh
}

// settle gives rising keys, and some more, slots.
func (t *intTable) settle(more int) {
	if t.rising = false; len(t.keys) > 0 {
		n := len(t.keys)
		t.grow(t.keys[0], t.keys[n-1], n+more)
	}
}

// assignPresent is assign for rows without NULL, for which there is room.
func (t *intTable) assignPresent(v *vec.Vector, rows, ids, fresh []int32) []int32 {
	if t.dense {
		return t.assignDense(v, rows, ids, fresh)
	}
	for len(rows) > 0 {
		n := min(len(rows), keyBlockRows)
		fresh = t.assignHashed(v, rows[:n], ids, fresh)
		rows, ids = rows[n:], ids[n:]
	}
	return fresh
}

func (t *intTable) assignDense(v *vec.Vector, rows, ids, fresh []int32) []int32 {
	slots, base := t.slots, t.base
	for i, r := range rows {
		x := v.I64[r]
		at := uint64(x) - uint64(base)
		if slots[at] == 0 {
			t.keys = append(t.keys, x)
			slots[at] = uint32(len(t.keys))
			fresh = append(fresh, r)
		}
		ids[i] = int32(slots[at] - 1)
	}
	return fresh
}

// assignHashed is for a block of rows: that the slots of all are looked at first lets the processor wait for many of them, which lie
// all over the memory, at the same time.
func (t *intTable) assignHashed(v *vec.Vector, rows, ids, fresh []int32) []int32 {
	slots, shift := t.slots, t.shift&63
	for i, r := range rows {
		ids[i] = int32(slots[hashInt(v.I64[r])>>shift])
	}
	for i, r := range rows {
		x := v.I64[r]
		if id := ids[i]; id != 0 && t.keys[id-1] == x {
			ids[i] = id - 1
			continue
		}
		at := t.slot(x)
		if slots[at] == 0 {
			t.keys = append(t.keys, x)
			slots[at] = uint32(len(t.keys))
			fresh = append(fresh, r)
		}
		ids[i] = int32(slots[at] - 1)
	}
	return fresh
}

// slot returns where x is among hashed slots, or the free one where it belongs.
func (t *intTable) slot(x int64) int {
	for at := int(hashInt(x) >> (t.shift & 63)); ; at = (at + 1) & (len(t.slots) - 1) {
		if id := t.slots[at]; id == 0 || t.keys[id-1] == x {
			return at
		}
	}
}

// find writes to ids the number of the key of each of rows, or -1.
func (t *intTable) find(v *vec.Vector, rows, ids []int32) {
	if t.rising && len(t.keys) > 0 {
		t.settle(0)
	}
	switch {
	case len(t.slots) == 0:
		for i := range rows {
			ids[i] = -1
		}
	case t.dense:
		t.findDense(v, rows, ids)
	default:
		for done := 0; done < len(rows); done += keyBlockRows {
			end := min(done+keyBlockRows, len(rows))
			t.findHashed(v, rows[done:end], ids[done:end])
		}
	}
	if v.Valid == nil {
		return
	}
	for i, r := range rows {
		if v.IsNull(int(r)) {
			ids[i] = t.null
		}
	}
}

func (t *intTable) findDense(v *vec.Vector, rows, ids []int32) {
	slots, base := t.slots, t.base
	for i, r := range rows {
		id := uint32(0)
		if at := uint64(v.I64[r]) - uint64(base); at < uint64(len(slots)) {
			id = slots[at]
		}
		ids[i] = int32(id) - 1
	}
}

func (t *intTable) findHashed(v *vec.Vector, rows, ids []int32) {
	slots, shift := t.slots, t.shift&63
	for i, r := range rows {
		ids[i] = int32(slots[hashInt(v.I64[r])>>shift])
	}
	for i, r := range rows {
		id := ids[i]
		if x := v.I64[r]; id != 0 && t.keys[id-1] != x {
			id = int32(slots[t.slot(x)])
		}
		ids[i] = id - 1
	}
}

// reserve makes room for the keys of some rows.
func (t *intTable) reserve(v *vec.Vector, rows []int32) {
	n := len(t.keys) + len(rows)
	if n > cap(t.keys) {
		t.keys = slices.Grow(t.keys, max(len(t.keys), len(rows)))
	}
	if !t.dense && n*2 <= len(t.slots) {
		return
	}
	lo, hi, any := extentOf(v, rows)
	if any && !(t.dense && lo >= t.base && uint64(hi)-uint64(t.base) < uint64(len(t.slots))) {
		t.grow(lo, hi, n)
	}
}

// extentOf returns the least and the greatest integer of some rows, if one is not NULL.
func extentOf(v *vec.Vector, rows []int32) (lo, hi int64, any bool) {
	lo, hi = math.MaxInt64, math.MinInt64
	if v.Valid == nil {
		for _, r := range rows {
			lo, hi = min(lo, v.I64[r]), max(hi, v.I64[r])
		}
		return lo, hi, len(rows) > 0
	}
	for _, r := range rows {
		if !v.IsNull(int(r)) {
			lo, hi = min(lo, v.I64[r]), max(hi, v.I64[r])
		}
	}
	return lo, hi, lo <= hi
}

// grow makes slots for up to n keys, among them new ones from lo to hi.
func (t *intTable) grow(lo, hi int64, n int) {
	for id, x := range t.keys {
		if int32(id) != t.null {
			lo, hi = min(lo, x), max(hi, x)
		}
	}
	var size int
	if size, t.base, t.dense = slotsFor(lo, hi, n); !t.dense {
		t.shift = 64 - bits.TrailingZeros(uint(size))
	}
	t.slots = make([]uint32, size)
	for id, x := range t.keys {
		switch {
		case int32(id) == t.null:
		case t.dense:
			t.slots[uint64(x)-uint64(t.base)] = uint32(id + 1)
		default:
			t.slots[t.slot(x)] = uint32(id + 1)
		}
	}
}

// slotsFor returns how many slots n keys from lo to hi take: dense ones from base on, or those of a hash table.
func slotsFor(lo, hi int64, n int) (size int, base int64, dense bool) {
	span := uint64(hi) - uint64(lo)
	if span >= uint64(n)*denseSlots {
		return max(1<<bits.Len(uint(n*2-1)), initialSlots), 0, false
	}
	// Room on both sides leaves it at a few times when keys come in their order.
	room := max(span/4, initialSlots/8)
	below, above := min(room, uint64(lo)-1<<63), min(room, math.MaxInt64-uint64(hi))
	return int(below + span + 1 + above), lo - int64(below), true
}
