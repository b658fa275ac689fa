package rowset

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/zeebo/xxh3"

	"stele/meta/types"
	"stele/sql/vec"
)

// The filters of a column, behind its vectors: the lengths of the filters (4 bytes each, one filter a vector), the hash of the
// lengths, the filters. Each is a blocked bloom filter over the distinct values of its vector, NULLs left out, and empty when
// the vector has none.

// filterFlag is where the directory entry of a column says that it has filters.
const filterFlag = 6

// ValueHash is the hash of a value, which is not NULL, that filters are asked with.
func ValueHash(v *vec.Vector, row int) uint64 {
	const seed = 0x5354454C45464C54
	switch v.Type.Phys() {
	case types.PhysInt64:
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], uint64(v.I64[row]))
		return xxh3.HashSeed(b[:], seed)
	case types.PhysDec128:
		var b [16]byte
		binary.LittleEndian.PutUint64(b[:], uint64(v.Dec[row].Hi))
		binary.LittleEndian.PutUint64(b[8:], v.Dec[row].Lo)
		return xxh3.HashSeed(b[:], seed)
	default:
		return xxh3.HashSeed(v.Bytes(row), seed)
	}
}

// filterable reports whether equal values of the column are equal bytes: floats have two zeros.
func filterable(v *vec.Vector) bool { return v.Type.Phys() != types.PhysFloat64 }

func appendFilters(dst []byte, v *vec.Vector, rows int) []byte {
	n := vectorsOf(rows)
	sizes := len(dst)
	dst = append(dst, make([]byte, 4*n+8)...)
	seen := make(map[uint64]struct{}, min(rows, vec.MaxRows))
	hashes := make([]uint64, 0, min(rows, vec.MaxRows))
	for i := range n {
		clear(seen)
		hashes = hashes[:0]
		for row := i * vec.MaxRows; row < min((i+1)*vec.MaxRows, rows); row++ {
			if v.IsNull(row) {
				continue
			}
			h := ValueHash(v, row)
			if _, again := seen[h]; !again {
				seen[h] = struct{}{}
				hashes = append(hashes, h)
			}
		}
		filter := buildBloom(hashes)
		binary.LittleEndian.PutUint32(dst[sizes+4*i:], uint32(len(filter)))
		dst = append(dst, filter...)
	}
	binary.LittleEndian.PutUint64(dst[sizes+4*n:], xxh3.Hash(dst[sizes:sizes+4*n]))
	return dst
}

// HasFilters reports whether column c has filters.
func (g *Group) HasFilters(c int) bool { return g.dir[c*columnEntry+filterFlag] == 1 }

// filters returns the filters of column c, which has some.
func (g *Group) filters(c int) ([][]byte, error) {
	corrupt := func() ([][]byte, error) { return nil, fmt.Errorf("filters of column %d: %w", c, ErrCorrupt) }
	n := g.Vectors()
	if n == 0 {
		return nil, nil
	}
	last := g.entry(c, n-1)
	at := uint64(binary.LittleEndian.Uint32(last)) + uint64(binary.LittleEndian.Uint32(last[4:]))
	if at+uint64(4*n)+8 > uint64(len(g.val)) {
		return corrupt()
	}
	sizes := g.val[at : at+uint64(4*n)]
	rest := g.val[at+uint64(4*n):]
	if xxh3.Hash(sizes) != binary.LittleEndian.Uint64(rest) {
		return corrupt()
	}
	rest = rest[8:]
	out := make([][]byte, n)
	for i := range out {
		size := binary.LittleEndian.Uint32(sizes[4*i:])
		if size > math.MaxInt32 || int(size) > len(rest) || size%bloomBlock != 0 {
			return corrupt()
		}
		out[i], rest = rest[:size:size], rest[size:]
	}
	return out, nil
}

// MayHold asks the filters of column c, which has some, which of the vectors wanted may hold a value with one of the ValueHashes, and
// takes the others from wanted. It returns how many that were.
func (g *Group) MayHold(c int, hashes []uint64, wanted []bool) (skipped int, err error) {
	filters, err := g.filters(c)
	if err != nil {
		return 0, err
	}
	for i, f := range filters {
		if !wanted[i] {
			continue
		}
		may := false
		for at := 0; at < len(hashes) && len(f) > 0 && !may; at++ {
			if may, err = bloomMayContain(f, hashes[at]); err != nil {
				return 0, fmt.Errorf("filters of column %d: %w", c, err)
			}
		}
		if !may {
			wanted[i] = false
			skipped++
		}
	}
	return skipped, nil
}

func (g *Group) verifyFilters() error {
	for c := range int(g.h.cols) {
		if !g.HasFilters(c) {
			continue
		}
		filters, err := g.filters(c)
		if err != nil {
			return err
		}
		for _, f := range filters {
			if err := verifyBloom(f); err != nil {
				return fmt.Errorf("filters of column %d: %w", c, err)
			}
		}
	}
	return nil
}
