package rowset

import (
	"bytes"
	"sync"

	"stele/meta/types"
	"stele/sql/vec"
)

// Finder looks keys up in one row group and keeps the key vectors it has decoded: look keys up in ascending order.
type Finder struct {
	g       *Group
	keyCols []int
	first   [][]byte
	vector  int // the decoded one, or -1
	from    int // the first row of it whose key is not below last
	last    []byte
	sought  bool // the last key was sought: its values are in scratch
	few     bool // few keys are looked up: what they are found by may be in the cache of blocks, or belong there
	intsAt  int  // the vector that the scratch has the ints of, or -1
	noInts  bool // some key column has NULLs
	scratch *finderScratch
}

// finderScratch is what outlives a Finder: a point read needs one vector of each key column, and no more.
type finderScratch struct {
	first [][]byte
	keys  vec.Batch
	order []int // 0, 1, 2, ...: the columns of keys
	buf   []byte
	want  []int64   // the values of a key of integers
	ints  [][]int64 // the key columns of a vector, where all are integers; not to be changed
}

var finderPool = sync.Pool{New: func() any { return new(finderScratch) }}

// NewFinder returns a Finder, given the positions of the key columns in the row group.
func (g *Group) NewFinder(keyCols []int) (*Finder, error) {
	s := finderPool.Get().(*finderScratch)
	var err error
	if s.first, err = g.appendFirstKeys(s.first[:0]); err != nil {
		finderPool.Put(s)
		return nil, err
	}
	f := &Finder{g: g, keyCols: keyCols, first: s.first, vector: -1, intsAt: -1, scratch: s}
	s.order = s.order[:0]
	for i := range keyCols {
		s.order = append(s.order, i)
		if i == len(s.keys.Cols) {
			s.keys.Cols = append(s.keys.Cols, &vec.Vector{})
		}
	}
	return f, nil
}

// Close gives the buffers of the Finder back; it is not used afterwards.
func (f *Finder) Close() {
	clear(f.first) // it points into the row group, which may be gone when the next Finder comes
	clear(f.scratch.ints)
	finderPool.Put(f.scratch)
}

// Positions appends to out the rows whose key is key.
func (f *Finder) Positions(out []int, key []byte) ([]int, error) {
	if !f.noInts && f.wants(key) {
		if found, ok, err := f.within(out, key, f.intsOf); ok || err != nil {
			return found, err
		}
		f.noInts = true
	}
	return f.decoded(out, key)
}

// decoded is Positions by key vectors of any types.
func (f *Finder) decoded(out []int, key []byte) ([]int, error) {
	f.sought = false
	at := lowerBound(len(f.first), func(i int) bool { return bytes.Compare(f.first[i], key) >= 0 })
	for i := max(at-1, 0); i < len(f.first) && bytes.Compare(f.first[i], key) <= 0; i++ {
		if err := f.load(i); err != nil {
			return nil, err
		}
		n := f.scratch.keys.N
		row := f.seekFrom(key)
		for ; row < n && bytes.Equal(f.keyAt(row), key); row++ {
			out = append(out, i*vec.MaxRows+row)
		}
	}
	return out, nil
}

// seekFrom returns the first row of the decoded vector whose key is not below key. Keys come in ascending order, often many of them:
// it is near to that of the key before.
func (f *Finder) seekFrom(key []byte) int {
	n := f.scratch.keys.N
	lo := 0
	if bytes.Compare(f.last, key) <= 0 {
		lo = f.from
	}
	below := func(row int) bool { return bytes.Compare(f.keyAt(row), key) < 0 }
	hi := lo
	for step := 1; hi < n && below(hi); step *= 2 {
		lo, hi = hi+1, hi+step
	}
	hi = min(hi, n)
	f.from = lo + lowerBound(hi-lo, func(i int) bool { return !below(lo + i) })
	f.last = append(f.last[:0], key...)
	return f.from
}

// Key appends key column number at of a row that Positions or Seek has just found to dst. It is not ok when that is to be read like any
// other column.
func (f *Finder) Key(dst *vec.Vector, at, row int) bool {
	if f.sought {
		if dst.Type.Phys() != types.PhysInt64 {
			return false
		}
		dst.I64 = append(dst.I64, f.scratch.want[at])
		endValid(dst)
		return true
	}
	v := f.scratch.keys.Cols[at]
	if f.vector != row/vec.MaxRows || v.Type.Phys() != dst.Type.Phys() {
		return false
	}
	AppendRow(dst, v, row%vec.MaxRows)
	return true
}

func (f *Finder) keyAt(row int) []byte {
	s := f.scratch
	s.buf = vec.AppendRowKey(s.buf[:0], &s.keys, s.order, row)
	return s.buf
}

func (f *Finder) load(i int) error {
	if f.vector == i {
		return nil
	}
	f.vector, f.intsAt, f.from, f.scratch.keys.N = -1, -1, 0, f.g.VectorRows(i)
	for at, c := range f.keyCols {
		if err := f.decode(f.scratch.keys.Cols[at], c, i); err != nil {
			return err
		}
	}
	f.vector = i
	return nil
}

func (f *Finder) decode(v *vec.Vector, c, i int) error {
	if f.few {
		return f.g.DecodeRange(v, c, i, 0, f.g.VectorRows(i))
	}
	return f.g.DecodeInto(v, c, i)
}

// lowerBound returns the smallest i in [0, n) for which f is true, or n; f is monotone.
func lowerBound(n int, f func(int) bool) int {
	lo, hi := 0, n
	for lo < hi {
		if mid := (lo + hi) / 2; f(mid) {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return lo
}
