package rowset

import (
	"bytes"
	"encoding/binary"
	"slices"
	"sort"

	"github.com/zeebo/xxh3"

	"stele/meta/types"
	"stele/sql/vec"
)

// Order has rows in the order of one column: who looks for a value finds the rows by binary search. A value is a code of eight bytes.
// That of an integer or a float is all of it; of a text or a wide decimal it is what comes behind a prefix that all rows share, and a
// tag tells most of the others of the same code. So what is found is a superset: who wants a value compares. Nobody changes an Order.
type Order struct {
	phys     types.Phys
	unsigned bool
	prefix   []byte   // of all values
	nulls    int      // the first rows are NULL, so many
	codes    []uint64 // of the rows behind them, ascending
	rows     []uint32 // of one code and tag ascending
	tags     []uint16 // of codes, where they are not exact; those of one code ascend
}

// Value is a bound of rows of an Order: row 0 of a vector of the column's type, or none.
type Value = *vec.Vector

// orderSlot is a row on its way into an Order.
type orderSlot struct {
	code uint64
	row  uint32
	tag  uint16
}

// NewOrder makes the order of rows whose values are in vs, in turn; the first of them is row first.
func NewOrder(t types.ColumnType, vs []*vec.Vector, first uint32) *Order {
	o := &Order{phys: t.Phys(), unsigned: t.Unsigned}
	if !o.exact() {
		o.prefix = o.sharedPrefix(vs)
	}
	o.fill(vs, first)
	return o
}

// exact reports whether equal codes are equal values.
func (o *Order) exact() bool { return o.phys == types.PhysInt64 || o.phys == types.PhysFloat64 }

// Exact reports whether rows that are found, but for NULLs, have the value that was sought, and come in the order of their values.
func (o *Order) Exact() bool { return o.exact() }

// Len returns how many rows the order has.
func (o *Order) Len() int { return len(o.rows) }

// Bytes is what the order takes in memory.
func (o *Order) Bytes() int64 {
	return int64(8*len(o.codes) + 4*len(o.rows) + 2*len(o.tags) + len(o.prefix) + 160)
}

// fill sorts the rows, whose values have the prefix.
func (o *Order) fill(vs []*vec.Vector, first uint32) {
	n := 0
	for _, v := range vs {
		n += v.N
	}
	slots := make([]orderSlot, 0, n)
	o.rows = make([]uint32, 0, n)
	row := first
	for _, v := range vs {
		for i := range v.N {
			if v.IsNull(i) {
				o.rows = append(o.rows, row)
			} else {
				code, tag := o.code(v, i)
				slots = append(slots, orderSlot{code: code, row: row, tag: tag})
			}
			row++
		}
	}
	o.nulls = len(o.rows)
	slots = sortSlots(slots, !o.exact())
	o.codes = make([]uint64, 0, len(slots))
	if !o.exact() {
		o.tags = make([]uint16, 0, len(slots))
	}
	for i := range slots {
		o.push(slots[i])
	}
}

func (o *Order) push(s orderSlot) {
	o.codes, o.rows = append(o.codes, s.code), append(o.rows, s.row)
	if !o.exact() {
		o.tags = append(o.tags, s.tag)
	}
}

// bytesOf returns the value of a row, which is not NULL, as bytes that compare as values do. It may use room.
func (o *Order) bytesOf(room []byte, v *vec.Vector, row int) []byte {
	if o.phys == types.PhysBytes {
		return v.Bytes(row)
	}
	room = binary.BigEndian.AppendUint64(room[:0], uint64(v.Dec[row].Hi)^1<<63)
	return binary.BigEndian.AppendUint64(room, v.Dec[row].Lo)
}

// code returns the code of a row that is not NULL and has the prefix.
func (o *Order) code(v *vec.Vector, row int) (code uint64, tag uint16) {
	if o.exact() {
		return Prefix(v, row), 0
	}
	var room [16]byte
	b := o.bytesOf(room[:0], v, row)[len(o.prefix):]
	return bytesCode(b), uint16(xxh3.Hash(b))
}

// bytesCode returns the first eight bytes, zeros where there are none.
func bytesCode(b []byte) uint64 {
	if len(b) >= 8 {
		return binary.BigEndian.Uint64(b)
	}
	var full [8]byte
	copy(full[:], b)
	return binary.BigEndian.Uint64(full[:])
}

// sharedPrefix returns what all values begin with.
func (o *Order) sharedPrefix(vs []*vec.Vector) []byte {
	var prefix []byte
	some := false
	for _, v := range vs {
		for i := range v.N {
			if v.IsNull(i) {
				continue
			}
			var room [16]byte
			b := o.bytesOf(room[:0], v, i)
			if !some {
				prefix, some = slices.Clone(b), true
			}
			prefix = prefix[:sharedLen(prefix, b)]
		}
	}
	return prefix
}

func sharedLen(a, b []byte) int {
	n := min(len(a), len(b))
	if bytes.Equal(a[:n], b[:n]) {
		return n
	}
	i := 0
	for a[i] == b[i] {
		i++
	}
	return i
}

// With returns the order of the rows of o and of those that follow them, whose values are in vs; nil when their values do not have its
// prefix: then one is to be made of all rows.
func (o *Order) With(vs []*vec.Vector) *Order {
	fresh := &Order{phys: o.phys, unsigned: o.unsigned, prefix: o.prefix}
	if len(o.prefix) > 0 {
		if shared := fresh.sharedPrefix(vs); sharedLen(shared, o.prefix) < len(o.prefix) {
			return nil
		}
	}
	fresh.fill(vs, uint32(len(o.rows)))
	return merged(o, fresh)
}

// merged merges orders of one prefix. The rows of b follow those of a.
func merged(a, b *Order) *Order {
	out := &Order{phys: a.phys, unsigned: a.unsigned, prefix: a.prefix, nulls: a.nulls + b.nulls}
	n := len(a.codes) + len(b.codes)
	out.codes, out.rows = make([]uint64, 0, n), make([]uint32, 0, n+out.nulls)
	if !out.exact() {
		out.tags = make([]uint16, 0, n)
	}
	out.rows = append(append(out.rows, a.rows[:a.nulls]...), b.rows[:b.nulls]...)
	i, j := 0, 0
	for i < len(a.codes) && j < len(b.codes) {
		if a.less(i, b, j) {
			out.push(a.slot(i))
			i++
		} else {
			out.push(b.slot(j))
			j++
		}
	}
	for ; i < len(a.codes); i++ {
		out.push(a.slot(i))
	}
	for ; j < len(b.codes); j++ {
		out.push(b.slot(j))
	}
	return out
}

// less reports whether entry i comes before entry j of another order, or with it.
func (o *Order) less(i int, other *Order, j int) bool {
	if o.codes[i] != other.codes[j] || o.exact() {
		return o.codes[i] <= other.codes[j]
	}
	return o.tags[i] <= other.tags[j]
}

func (o *Order) slot(i int) orderSlot {
	s := orderSlot{code: o.codes[i], row: o.rows[o.nulls+i]}
	if !o.exact() {
		s.tag = o.tags[i]
	}
	return s
}

// Nulls returns the rows that are NULL. They are not to be changed, as those of Rows.
func (o *Order) Nulls() []uint32 { return o.rows[:o.nulls] }

// All returns the rows that are not NULL, in order.
func (o *Order) All() []uint32 { return o.rows[o.nulls:] }

// Rows returns the rows of the values from lo to hi, in order; no value is no bound.
func (o *Order) Rows(lo, hi Value) []uint32 {
	from, to := o.span(lo, hi)
	return o.rows[o.nulls+from : o.nulls+to]
}

// span returns which codes are those of values from lo to hi.
func (o *Order) span(lo, hi Value) (from, to int) {
	to = len(o.codes)
	if lo != nil && lo == hi {
		return o.point(lo)
	}
	if lo != nil {
		from = o.place(lo, false)
	}
	if hi != nil {
		to = o.place(hi, true)
	}
	return from, max(from, to)
}

// point returns which codes are those of one value.
func (o *Order) point(v Value) (from, to int) {
	from, to = o.place(v, false), o.place(v, true)
	if o.exact() || from >= to {
		return from, max(from, to)
	}
	_, tag := o.code(v, 0)
	tags := o.tags[from:to]
	at := sort.Search(len(tags), func(i int) bool { return tags[i] >= tag })
	n := sort.Search(len(tags)-at, func(i int) bool { return tags[at+i] > tag })
	return from + at, from + at + n
}

// place returns the first code of a value that is not below v, or the first beyond those of v.
func (o *Order) place(v Value, beyond bool) int {
	if len(o.prefix) > 0 {
		var room [16]byte
		b := o.bytesOf(room[:0], v, 0)
		if n := sharedLen(b, o.prefix); n < len(o.prefix) {
			if n == len(b) || b[n] < o.prefix[n] {
				return 0
			}
			return len(o.codes)
		}
	}
	code, _ := o.code(v, 0)
	if !beyond {
		return lowerBound(len(o.codes), func(i int) bool { return o.codes[i] >= code })
	}
	return lowerBound(len(o.codes), func(i int) bool { return o.codes[i] > code })
}

// Tie reports whether entries i and i+1 of All may be of one value.
func (o *Order) Tie(i int) bool { return i+1 < len(o.codes) && o.codes[i] == o.codes[i+1] }

// From returns where in All the rows of the values from lo to hi are.
func (o *Order) From(lo, hi Value) (from, to int) { return o.span(lo, hi) }

// Code returns what row i of All is sorted by, of which another order by values of the same form says the same if both are Exact.
func (o *Order) Code(i int) uint64 { return o.codes[i] }

// Ints appends the values of the rows [from, to) of All, which is of integers, to v.
func (o *Order) Ints(v *vec.Vector, from, to int) {
	flip := uint64(1) << 63
	if o.unsigned {
		flip = 0
	}
	for _, c := range o.codes[from:to] {
		v.I64 = append(v.I64, int64(c^flip))
	}
	v.N += to - from
}

// sortSlots sorts slots by code and, if they have any, tag; rows of one stay in their order. Bytes that all have in common cost
// nothing.
func sortSlots(slots []orderSlot, tagged bool) []orderSlot {
	if len(slots) < 256 {
		slices.SortStableFunc(slots, func(a, b orderSlot) int {
			switch {
			case a.code != b.code && a.code < b.code, a.code == b.code && a.tag < b.tag:
				return -1
			case a.code == b.code && a.tag == b.tag:
				return 0
			}
			return 1
		})
		return slots
	}
	differ, tags := uint64(0), uint16(0)
	for i := range slots {
		differ |= slots[i].code ^ slots[0].code
		tags |= slots[i].tag ^ slots[0].tag
	}
	room := make([]orderSlot, len(slots))
	for shift := 0; tagged && shift < 16; shift += 8 {
		if tags>>shift&0xFF != 0 {
			radixPass(room, slots, func(s *orderSlot) byte { return byte(s.tag >> shift) })
			slots, room = room, slots
		}
	}
	for shift := 0; shift < 64; shift += 8 {
		if differ>>shift&0xFF != 0 {
			radixPass(room, slots, func(s *orderSlot) byte { return byte(s.code >> shift) })
			slots, room = room, slots
		}
	}
	return slots
}

// radixPass sorts slots by one byte.
func radixPass(dst, src []orderSlot, digit func(*orderSlot) byte) {
	var starts [257]int
	for i := range src {
		starts[int(digit(&src[i]))+1]++
	}
	for d := range 256 {
		starts[d+1] += starts[d]
	}
	for i := range src {
		d := digit(&src[i])
		dst[starts[d]] = src[i]
		starts[d]++
	}
}
