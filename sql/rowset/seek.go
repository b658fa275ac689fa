package rowset

import (
	"bytes"
	"encoding/binary"

	"stele/meta/types"
	"stele/sql/vec"
)

// Seek is Positions for who looks few keys up. In columns of integers it decodes no vector, but goes by the values that lead to
// the row: to decode two key columns takes a quarter of a point read. Blocks of text come from the cache of the row group.
func (f *Finder) Seek(out []int, key []byte) ([]int, error) {
	f.few = true
	if !f.wants(key) {
		return f.decoded(out, key)
	}
	if found, ok, err := f.within(out, key, f.rowsOf); ok || err != nil {
		return found, err
	}
	return f.decoded(out, key)
}

// within appends to out the rows of a key of integers, which rowsOf finds in a vector; not ok when that cannot tell.
func (f *Finder) within(out []int, key []byte, rowsOf func(i int) (lo, hi int, ok bool, err error)) (found []int, ok bool, err error) {
	at := lowerBound(len(f.first), func(i int) bool { return bytes.Compare(f.first[i], key) >= 0 })
	found = out
	for i := max(at-1, 0); i < len(f.first) && bytes.Compare(f.first[i], key) <= 0; i++ {
		lo, hi, ok, err := rowsOf(i)
		if !ok || err != nil {
			return nil, false, err
		}
		for row := lo; row < hi; row++ {
			found = append(found, i*vec.MaxRows+row)
		}
	}
	f.sought = true
	return found, true, nil
}

// intsOf is rowsOf by whole vectors, which come from the cache of the row group or stay decoded: for who looks many keys up.
func (f *Finder) intsOf(i int) (lo, hi int, ok bool, err error) {
	s := f.scratch
	if f.intsAt != i {
		f.vector, f.intsAt = -1, -1 // the room of decoded keys is taken
		s.ints = s.ints[:0]
		for k, c := range f.keyCols {
			ints, err := f.g.Ints(s.keys.Cols[k], c, i)
			if ints == nil || err != nil {
				return 0, 0, false, err
			}
			s.ints = append(s.ints, ints)
		}
		f.intsAt = i
	}
	hi = f.g.VectorRows(i)
	for k, c := range f.keyCols {
		ints := s.ints[k]
		lo, hi = among(func(row int) int64 { return ints[row] }, lo, hi, s.want[k], f.g.ColumnType(c).Unsigned)
	}
	return lo, hi, true, nil
}

// wants reads the values of the key; false when they are no integers.
func (f *Finder) wants(key []byte) bool {
	s := f.scratch
	s.want = s.want[:0]
	for k, c := range f.keyCols {
		t := f.g.ColumnType(c)
		x, ok := vec.KeyInt(key, k, t.Unsigned)
		if !ok || t.Phys() != types.PhysInt64 {
			return false
		}
		s.want = append(s.want, x)
	}
	return len(key) == len(f.keyCols)*vec.KeyIntSize
}

// rowsOf returns the rows [lo, hi) of vector i that have the wanted values; not ok when the encoding of a column does not tell.
func (f *Finder) rowsOf(i int) (lo, hi int, ok bool, err error) {
	n := f.g.VectorRows(i)
	lo, hi = 0, n
	for k, c := range f.keyCols {
		x, unsigned := f.scratch.want[k], f.g.ColumnType(c).Unsigned
		if kept := f.g.blocks.get(intsKey(f.g.h.id, c, i)); kept != nil {
			lo, hi = among(func(row int) int64 { return kept.ints[row] }, lo, hi, x, unsigned)
		} else {
			src, err := f.g.vectorBytes(c, i)
			if err != nil {
				return 0, 0, false, err
			}
			if len(src) < 2 || src[1] != validAll {
				return 0, 0, false, nil
			}
			if lo, hi, ok = narrow(n, src[0], src[2:], lo, hi, x, unsigned); !ok {
				return 0, 0, false, nil
			}
			f.g.keepInts(c, i, src)
		}
		if lo == hi {
			break
		}
	}
	return lo, hi, true, nil
}

// among returns which of the rows [lo, hi), in which the values ascend, are x.
func among(value func(row int) int64, lo, hi int, x int64, unsigned bool) (from, to int) {
	flip := int64(0)
	if unsigned {
		flip = -1 << 63
	}
	from = lo + lowerBound(hi-lo, func(i int) bool { return value(lo+i)^flip >= x^flip })
	to = from + lowerBound(hi-from, func(i int) bool { return value(from+i)^flip > x^flip })
	return from, to
}

// narrow returns which of the rows [lo, hi) of n ints, in which they ascend, are x.
func narrow(n int, enc byte, src []byte, lo, hi int, x int64, unsigned bool) (from, to int, ok bool) {
	if n > vec.MaxRows {
		return 0, 0, false
	}
	if enc == encRuns {
		return narrowRuns(n, src, lo, hi, x)
	}
	at := func(row int) int64 {
		y, fine := pickInt(n, row, enc, src)
		ok = ok && fine
		return y
	}
	if enc == encDelta {
		room := scratchPool.Get().(*scratch)
		defer scratchPool.Put(room)
		vals := room.ints[0][:n]
		if _, err := decodeDelta(vals, src); err != nil {
			return 0, 0, false
		}
		at = func(row int) int64 { return vals[row] }
	}
	ok = true
	from, to = among(at, lo, hi, x, unsigned)
	return from, to, ok
}

// narrowRuns is narrow where run lengths are stored: runs are walked, not rows.
func narrowRuns(n int, src []byte, lo, hi int, x int64) (from, to int, ok bool) {
	if len(src) < 3 {
		return 0, 0, false
	}
	runs := int(binary.LittleEndian.Uint16(src))
	if runs == 0 || runs > n {
		return 0, 0, false
	}
	room := scratchPool.Get().(*scratch)
	defer scratchPool.Put(room)
	values, lengths := room.ints[0][:runs], room.ints[1][:runs]
	rest, err := decodeFlatInts(values, src[2], src[3:])
	if err != nil || len(rest) < 1 {
		return 0, 0, false
	}
	if _, err := decodeFlatInts(lengths, rest[0], rest[1:]); err != nil {
		return 0, 0, false
	}
	from, to = hi, hi
	start := 0
	for i, length := range lengths {
		if length < 1 || length > int64(n-start) {
			return 0, 0, false
		}
		end := start + int(length)
		if values[i] == x && end > lo && start < hi {
			if from == hi {
				from = max(start, lo)
			}
			to = min(end, hi)
		}
		start = end
	}
	return from, to, start == n
}
