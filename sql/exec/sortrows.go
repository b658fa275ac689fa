package exec

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/vec"
)

// sortKeys evaluates ORDER BY items to keys whose byte order is the wanted order.
type sortKeys struct {
	exprs *exprSet
	desc  []bool
}

func compileSortKeys(keys []expr.SortKey, ectx expr.Context) (*sortKeys, error) {
	s := &sortKeys{}
	nodes := make([]*expr.Node, len(keys))
	for i, k := range keys {
		nodes[i] = k.Expr
		s.desc = append(s.desc, k.Desc)
	}
	var err error
	if s.exprs, err = compileAll(nodes, ectx); err != nil {
		return nil, fmt.Errorf("sort keys: %w", err)
	}
	return s, nil
}

// keyArena is the keys of the rows of one batch.
type keyArena struct {
	data []byte
	ends []uint32
}

func (k *keyArena) at(i int) []byte {
	start := uint32(0)
	if i > 0 {
		start = k.ends[i-1]
	}
	return k.data[start:k.ends[i]:k.ends[i]]
}

func (k *keyArena) bytes() int64 { return int64(cap(k.data)) + int64(cap(k.ends))*4 }

// maxKeyArena bounds the keys of one batch below what its offsets reach.
const maxKeyArena = 1 << 31

// encode returns the keys of the rows of b, which is dense.
func (s *sortKeys) encode(b *vec.Batch) (*keyArena, error) {
	cols, err := s.exprs.eval(b)
	if err != nil {
		return nil, err
	}
	out := &keyArena{data: make([]byte, 0, keyRoom(cols, b.N)), ends: make([]uint32, b.N)}
	for r := range b.N {
		for i, v := range cols {
			out.data = appendSortKey(out.data, v, r, s.desc[i])
		}
		if len(out.data) > maxKeyArena {
			return nil, fmt.Errorf("sort keys of one batch exceed %d bytes", maxKeyArena)
		}
		out.ends[r] = uint32(len(out.data))
	}
	return out, nil
}

// keyRoom is how many bytes the keys of n rows take, but for wide decimals and zero bytes in texts.
func keyRoom(cols []*vec.Vector, n int) int {
	size := 0
	for _, v := range cols {
		if size += 9 * n; v.Off != nil {
			size += int(v.Off[n]-v.Off[0]) - 6*n
		}
	}
	return size
}

// appendSortKey appends the key of one item; descending is its complement, so that NULLs come last.
func appendSortKey(dst []byte, v *vec.Vector, row int, desc bool) []byte {
	start := len(dst)
	dst = vec.AppendKey(dst, v, row)
	if desc {
		for i := start; i < len(dst); i++ {
			dst[i] = ^dst[i]
		}
	}
	return dst
}

// sortEntry is one row to be sorted; prefix is the first bytes of its key behind those that all keys share: they decide most
// comparisons in cache. It is set by mark.
type sortEntry struct {
	prefix uint64
	ref    rowRef
}

func keyPrefix(key []byte) uint64 {
	if len(key) >= 8 {
		return binary.BigEndian.Uint64(key)
	}
	var b [8]byte
	copy(b[:], key)
	return binary.BigEndian.Uint64(b[:])
}

// sortBuffer is rows with their keys in memory.
type sortBuffer struct {
	rows    rowStore
	keys    []*keyArena // of each chunk
	keySize int64
	entries []sortEntry
	types   []types.ColumnType
}

func (s *sortBuffer) add(b *vec.Batch, keys *keyArena) {
	if s.types == nil {
		s.types = vectorTypes(b.Cols)
	}
	chunk := len(s.keys)
	s.rows.add(b)
	s.keys = append(s.keys, keys)
	s.keySize += keys.bytes()
	s.entries = slices.Grow(s.entries, b.N)
	for r := range b.N {
		s.entries = append(s.entries, sortEntry{ref: refOf(chunk, r)})
	}
}

func (s *sortBuffer) bytes() int64 { return s.rows.size + s.keySize + int64(cap(s.entries))*16 }

func (s *sortBuffer) key(r rowRef) []byte { return s.keys[r.chunk()].at(r.row()) }

// sort orders the entries; equal keys stay in order of arrival.
func (s *sortBuffer) sort() {
	shared, decided := s.mark()
	compare := func(a, b sortEntry) int {
		switch {
		case a.prefix < b.prefix:
			return -1
		case a.prefix > b.prefix:
			return 1
		}
		if !decided {
			if c := bytes.Compare(s.key(a.ref)[shared:], s.key(b.ref)[shared:]); c != 0 {
				return c
			}
		}
		return int(a.ref - b.ref)
	}
	if ends, few := ascending(s.entries, compare); few {
		s.entries = mergeAscending(s.entries, ends, compare)
		return
	}
	slices.SortFunc(s.entries, compare)
}

// Of up to mostAscending ascending parts entries are merged: those of some tablets, each of which yields its rows in order. That takes as
// much room again, so they are mostMerged at most.
const (
	mostAscending = 16
	mostMerged    = 64 << 10
)

// ascending returns where the parts of entries end within which they ascend; few is false when they are too many.
func ascending(entries []sortEntry, compare func(a, b sortEntry) int) (ends []int, few bool) {
	if len(entries) > mostMerged {
		return nil, false
	}
	for i := 1; i < len(entries); i++ {
		if compare(entries[i-1], entries[i]) <= 0 {
			continue
		}
		if ends = append(ends, i); len(ends) == mostAscending {
			return nil, false
		}
	}
	return append(ends, len(entries)), true
}

// mergeAscending merges neighbouring parts until there is one.
func mergeAscending(entries []sortEntry, ends []int, compare func(a, b sortEntry) int) []sortEntry {
	var room []sortEntry
	for len(ends) > 1 {
		if room == nil {
			room = make([]sortEntry, 0, len(entries))
		}
		out, left, start := room[:0], ends[:0], 0
		for len(ends) > 0 {
			middle, end := ends[0], ends[min(1, len(ends)-1)]
			ends = ends[min(2, len(ends)):]
			out = mergeTwo(out, entries[start:middle], entries[middle:end], compare)
			left, start = append(left, end), end
		}
		entries, room, ends = out, entries, left
	}
	return entries
}

// mergeTwo appends the entries of two ascending parts in order.
func mergeTwo(out, a, b []sortEntry, compare func(a, b sortEntry) int) []sortEntry {
	for len(a) > 0 && len(b) > 0 {
		if compare(a[0], b[0]) <= 0 {
			out, a = append(out, a[0]), a[1:]
		} else {
			out, b = append(out, b[0]), b[1:]
		}
	}
	return append(append(out, a...), b...)
}

// mark sets the prefixes of the entries and returns how many bytes all keys share, and whether keys with equal prefixes are equal. One
// integer, whose key has nine bytes, is decided: its first byte says that it is not NULL, of which there are few.
func (s *sortBuffer) mark() (shared int, decided bool) {
	if len(s.entries) == 0 {
		return 0, true
	}
	first := s.key(s.entries[0].ref)
	shared, decided = len(first), true
	for _, e := range s.entries {
		key := s.key(e.ref)
		decided = decided && len(key) == len(first)
		if !bytes.HasPrefix(key, first[:shared]) {
			shared = commonLen(first[:shared], key)
		}
	}
	for i, e := range s.entries {
		s.entries[i].prefix = keyPrefix(s.key(e.ref)[shared:])
	}
	return shared, decided && len(first)-shared <= 8
}

// commonLen is how many bytes two keys begin with alike.
func commonLen(a, b []byte) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// truncate keeps the first n entries, which are sorted, and lets go of the memory of the others.
func (s *sortBuffer) truncate(n int) {
	kept := s.entries[:min(n, len(s.entries))]
	out := sortBuffer{types: s.types}
	for len(kept) > 0 {
		piece := kept[:min(len(kept), vec.MaxRows)]
		kept = kept[len(piece):]
		keys := &keyArena{ends: make([]uint32, 0, len(piece))}
		for _, e := range piece {
			keys.data = append(keys.data, s.key(e.ref)...)
			keys.ends = append(keys.ends, uint32(len(keys.data)))
		}
		out.add(s.gather(piece), keys)
	}
	*s = out
}

// gather copies the rows of entries.
func (s *sortBuffer) gather(entries []sortEntry) *vec.Batch {
	refs := make([]rowRef, len(entries))
	for i, e := range entries {
		refs[i] = e.ref
	}
	return &vec.Batch{Cols: s.rows.gather(s.types, refs), N: len(entries)}
}

// batchRows returns how many rows of the buffer's usual width make a batch of about size bytes.
func (s *sortBuffer) batchRows(size int64) int {
	if s.rows.n == 0 {
		return vec.MaxRows
	}
	width := s.bytes()/int64(s.rows.n) + 1
	return int(min(max(size/width, 16), vec.MaxRows))
}
