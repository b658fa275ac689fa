package exec

import (
	"stele/meta/types"
	"stele/sql/vec"
)

// directKeys finds the groups of keys that have few possible values by a table with an entry for each, without hashing: flags of
// one letter, small integers, days of some months. It is a cache before a keyTable, which alone knows what is a new group, and
// holds for a batch only if all of its keys are within the table.
type directKeys struct {
	parts []directPart
	slots []uint16 // by code: the group + 1, or 0 when it is not known here
	codes []uint32 // scratch
	tries int      // tables before this one, which were too small
}

// directPart is one column of the key: NULL has code 0. The values lo to hi have been seen, base has code 1.
type directPart struct {
	bytes        bool
	lo, hi, base int64
	size         uint64 // codes
	stride       uint32
}

const (
	maxDirectCodes  = 1 << 17
	maxDirectGroups = 1<<16 - 2 // they fit a slot
	maxDirectTries  = 4
	byteCodes       = 2 + 256 // NULL, the empty string, strings of one byte
)

// widen returns a table for the keys of a batch beside those that d, which may be nil, is for; nil when there should be none.
func (d *directKeys) widen(keys []*vec.Vector, n int) *directKeys {
	out := &directKeys{parts: make([]directPart, len(keys))}
	if d != nil {
		out.tries = d.tries + 1
		copy(out.parts, d.parts)
	}
	total := uint64(1)
	for i, k := range keys {
		p := &out.parts[i]
		if !p.widen(k, n, d == nil) || out.tries >= maxDirectTries {
			return nil
		}
		p.stride = uint32(total)
		if total *= p.size; total > maxDirectCodes {
			return nil
		}
	}
	out.slots = make([]uint16, total)
	return out
}

// widen makes room for the values of a batch.
func (p *directPart) widen(v *vec.Vector, n int, first bool) bool {
	switch v.Type.Phys() {
	case types.PhysBytes:
		p.bytes, p.size = true, byteCodes
		return fitsByteCodes(v, n)
	case types.PhysInt64:
		lo, hi := extent(v.I64[:n])
		if !first {
			lo, hi = min(lo, p.lo), max(hi, p.hi)
		}
		span := uint64(hi) - uint64(lo)
		// Room for as many values around leaves it at a few tables when keys come in their order.
		p.lo, p.hi, p.base, p.size = lo, hi, lo-int64(span/2), 2*span+4
		return span < maxDirectCodes
	}
	return false
}

func fitsByteCodes(v *vec.Vector, n int) bool {
	for i := range n {
		if v.Off[i+1]-v.Off[i] > 1 {
			return false
		}
	}
	return true
}

func extent(vals []int64) (lo, hi int64) {
	if len(vals) == 0 {
		return 0, 0
	}
	lo, hi = vals[0], vals[0]
	for _, x := range vals {
		lo, hi = min(lo, x), max(hi, x)
	}
	return lo, hi
}

func (d *directKeys) size() int64 { return int64(len(d.slots))*2 + int64(cap(d.codes))*4 }

// find writes the slot of each of the n rows to out, and 0 for those that sel does not name (nil = all). ok is false when a key
// is not within the table; known is false when a row has no slot yet.
func (d *directKeys) find(keys []*vec.Vector, n int, sel, out []int32) (known, ok bool) {
	if d == nil {
		return false, false
	}
	if cap(d.codes) < n {
		d.codes = make([]uint32, max(n, vec.MaxRows))
	}
	codes := d.codes[:n]
	clear(codes)
	for i := range d.parts {
		if !d.parts[i].addTo(codes, keys[i]) {
			return false, false
		}
	}
	slots, missing := d.slots, int32(0)
	out = out[:len(codes)]
	if sel != nil {
		clear(out)
		for _, r := range sel {
			s := int32(slots[codes[r]])
			out[r] = s
			missing |= s - 1
		}
		return missing >= 0, true
	}
	for i, c := range codes {
		s := int32(slots[c])
		out[i] = s
		missing |= s - 1
	}
	return missing >= 0, true
}

// learn remembers the group of a row of the batch that find was called for.
func (d *directKeys) learn(row, group int32) {
	if group <= maxDirectGroups {
		d.slots[d.codes[row]] = uint16(group + 1)
	}
}

// addTo adds the codes of a column; it reports false when a value has none.
func (p *directPart) addTo(codes []uint32, v *vec.Vector) bool {
	switch {
	case !p.bytes:
		return p.addInts(codes, v)
	case v.Valid == nil && v.Off[len(codes)]-v.Off[0] == uint32(len(codes)):
		return p.addSingles(codes, v.Off, v.Data[v.Off[0]:]) || p.addBytes(codes, v)
	}
	return p.addBytes(codes, v)
}

// addSingles is addBytes for values that all have one byte; it reports false, and has added nothing, when one has not.
func (p *directPart) addSingles(codes, off []uint32, data []byte) bool {
	off, data = off[:len(codes)], data[:len(codes)]
	first, stride, other := off[0], p.stride, uint32(0)
	for i, b := range data {
		other |= off[i] - first ^ uint32(i)
		codes[i] += (2 + uint32(b)) * stride
	}
	if other == 0 {
		return true
	}
	for i, b := range data {
		codes[i] -= (2 + uint32(b)) * stride
	}
	return false
}

func (p *directPart) addBytes(codes []uint32, v *vec.Vector) bool {
	for i := range codes {
		b := v.Bytes(i)
		switch {
		case v.IsNull(i):
		case len(b) == 0:
			codes[i] += p.stride
		case len(b) == 1:
			codes[i] += (2 + uint32(b[0])) * p.stride
		default:
			return false
		}
	}
	return true
}

func (p *directPart) addInts(codes []uint32, v *vec.Vector) bool {
	size, beyond := p.size-1, false
	for i, x := range v.I64[:len(codes)] {
		if v.Valid != nil && v.IsNull(i) {
			continue
		}
		at := uint64(x) - uint64(p.base)
		beyond = beyond || at >= size
		codes[i] += (1 + uint32(at)) * p.stride
	}
	return !beyond
}
