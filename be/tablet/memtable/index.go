package memtable

import (
	"iter"
	"math/rand/v2"
	"unsafe"

	"stele/sql/rowset"
)

// index finds the newest row of a key in a memtable: a table of hashes of keys, of which the rows have the bytes. A slot takes 8
// bytes, where a map of Go with the key in it takes 30, and who knows the row that is replaced finds the slot without comparing keys.
type index struct {
	slots  []indexSlot // a power of two of them, a third free at least; a key is in the first free one from its hash on
	n      int
	buried []string // keys that have no row here

	fetched int32 // of no meaning: what expect reads has to go somewhere
}

// slotSpread is an odd number that each process draws: who knows how keys are hashed cannot write keys that all meet in one slot.
var slotSpread = rand.Uint64() | 1

// slotHash returns the hash of a slot for the hash of a key.
func slotHash(hash uint64) uint32 { return uint32(hash * slotSpread >> 32) }

// indexSlot is a key: its slotHash, and where the key is. 0 = free, above 0 a row + 1, below 0 the number of a buried key.
type indexSlot struct {
	hash uint32
	head int32
}

func headOf(row int32) int32 { return row + 1 }

// row is the newest row of the slot's key, or NoRow.
func (s indexSlot) row() int32 { return max(s.head, 0) - 1 }

// keyOf returns the key of a slot that is not free.
func (x *index) keyOf(s indexSlot, keys []string) string {
	if s.head > 0 {
		return keys[s.head-1]
	}
	return x.buried[-s.head-1]
}

// find returns the slot of a key, or the free one where it belongs. keys are those of the rows. There is a free slot.
func (x *index) find(keys []string, hash uint32, key string) *indexSlot {
	mask := uint32(len(x.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		if s := &x.slots[i]; s.head == 0 || s.hash == hash && x.keyOf(*s, keys) == key {
			return s
		}
	}
}

// findRow returns the slot of the key whose newest row is row.
func (x *index) findRow(hash uint32, row int32) *indexSlot {
	mask := uint32(len(x.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		switch s := &x.slots[i]; s.head {
		case headOf(row):
			return s
		case 0:
			panic("BUG: a row is not in the index of its memtable")
		}
	}
}

// get returns the newest row of a key, which may be NoRow; ok is false when the key is not here.
func (x *index) get(keys []string, key []byte) (row int32, ok bool) {
	if x.n == 0 {
		return NoRow, false
	}
	s := x.find(keys, slotHash(rowset.KeyHash(key)), unsafe.String(unsafe.SliceData(key), len(key))) // find keeps nothing
	return s.row(), s.head != 0
}

// grow makes room for n more keys.
func (x *index) grow(n int) {
	size := max(len(x.slots), 4)
	for (x.n+n)*3 > size*2 {
		size *= 2
	}
	if size == len(x.slots) {
		return
	}
	before, mask := x.slots, uint32(size-1)
	x.slots = make([]indexSlot, size)
	for _, s := range before {
		if s.head == 0 {
			continue
		}
		i := s.hash & mask
		for x.slots[i].head != 0 {
			i = (i + 1) & mask
		}
		x.slots[i] = s
	}
}

// expect reads the slots where the search for some keys begins. Each is far from the one before in memory: here the processor fetches
// several at once, where findRow would wait for one after the other.
func (x *index) expect(hashes []uint64) {
	if x.n == 0 || len(hashes) == 1 {
		return
	}
	mask := uint32(len(x.slots) - 1)
	var sum int32
	for _, hash := range hashes {
		sum ^= x.slots[slotHash(hash)&mask].head
	}
	x.fetched = sum
}

// put makes head that of a key, in a slot which find or findRow has returned.
func (x *index) put(s *indexSlot, hash uint32, head int32) {
	if s.head == 0 {
		x.n++
	}
	*s = indexSlot{hash, head}
}

// all iterates over the keys.
func (x *index) all(keys []string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, s := range x.slots {
			if s.head != 0 && !yield(x.keyOf(s, keys)) {
				return
			}
		}
	}
}
