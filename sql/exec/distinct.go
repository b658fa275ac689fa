package exec

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"

	"stele/meta/types"
	"stele/sql/vec"
)

// groupSet remembers which values a group has seen. Values are in the form of appendRaw.
type groupSet struct {
	table *keyTable
	next  []int32 // entry -> the one before it in its group, -1 = none
	last  []int32 // group -> its newest entry, -1 = none
}

func newGroupSet() *groupSet { return &groupSet{table: newKeyTable(nil)} }

func (s *groupSet) grow(n int) {
	for len(s.last) < n {
		s.last = append(s.last, -1)
	}
}

// begin starts the entry of a value of group g; the caller appends the value and passes the result to insert.
func (s *groupSet) begin(g int32) []byte {
	return binary.LittleEndian.AppendUint32(s.table.enc[:0], uint32(g))
}

// insert reports whether the entry is new.
func (s *groupSet) insert(g int32, entry []byte) bool {
	t := s.table
	t.enc = entry
	t.reserve(1)
	h := maphash.Bytes(hashSeed, entry)
	slot := t.findBytes(h)
	if t.slots[slot] != 0 {
		return false
	}
	t.arena = append(t.arena, entry...)
	t.ends = append(t.ends, len(t.arena))
	t.add(slot, h)
	s.next = append(s.next, s.last[g])
	s.last[g] = int32(t.len() - 1)
	return true
}

// appendValues appends the values of group g, newest first.
func (s *groupSet) appendValues(dst []byte, g int) []byte {
	for e := s.last[g]; e >= 0; e = s.next[e] {
		dst = append(dst, s.table.key(uint32(e))[4:]...)
	}
	return dst
}

func (s *groupSet) size() int64 { return s.table.bytes() + int64(cap(s.next)+cap(s.last))*4 }

// distinctAcc feeds each value of a group once to the aggregate inside. State: the values one after another (BLOB).
type distinctAcc struct {
	inner accumulator
	arg   types.ColumnType
	set   *groupSet
}

func newDistinct(inner accumulator, arg types.ColumnType) *distinctAcc {
	return &distinctAcc{inner: inner, arg: arg, set: newGroupSet()}
}

func (a *distinctAcc) grow(n int) {
	a.inner.grow(n)
	a.set.grow(n)
}

func (a *distinctAcc) update(ids, rows []int32, args []*vec.Vector) error {
	v := args[0]
	freshIDs, freshRows := make([]int32, 0, len(ids)), make([]int32, 0, len(ids))
	for i, g := range ids {
		r := rows[i]
		if v.IsNull(int(r)) {
			continue
		}
		if a.set.insert(g, appendRaw(a.set.begin(g), v, int(r))) {
			freshIDs, freshRows = append(freshIDs, g), append(freshRows, r)
		}
	}
	return a.inner.update(freshIDs, freshRows, args)
}

func (a *distinctAcc) merge(ids, rows []int32, state []*vec.Vector) error {
	var fresh []int32
	values := vec.NewColumnBuilder(a.arg, len(ids))
	one := vec.NewColumnBuilder(a.arg, 1)
	for i, g := range ids {
		rest := state[0].Bytes(int(rows[i]))
		for len(rest) > 0 {
			after, ok := decodeRaw(one, a.arg.Phys(), rest)
			if !ok {
				return fmt.Errorf("merge distinct values: state of %d bytes is cut off", len(rest))
			}
			v := one.Cut()
			if a.set.insert(g, append(a.set.begin(g), rest[:len(rest)-len(after)]...)) {
				values.AppendFrom(v, 0)
				fresh = append(fresh, g)
			}
			rest = after
		}
	}
	return a.inner.update(fresh, countTo(len(fresh)), []*vec.Vector{values.Finish()})
}

func (a *distinctAcc) emitState(dst []*vec.ColumnBuilder, lo, hi int) {
	var buf []byte
	for g := lo; g < hi; g++ {
		buf = a.set.appendValues(buf[:0], g)
		dst[0].AppendBytes(buf)
	}
}

func (a *distinctAcc) emit(dst *vec.ColumnBuilder, lo, hi int) error {
	return a.inner.emit(dst, lo, hi)
}

func (a *distinctAcc) size() int64 { return a.inner.size() + a.set.size() }
