// Package rowhash hashes rows by what is in them, so that replicas can be compared whatever their layout: the digest of some rows is the
// sum of their hashes.
//
// The hash of a row is a chain over its columns, in the order of their ids: a NULL leaves it as it is, so that a new column
// without a default changes nothing, and any other value goes through a 128-bit multiplication together with the column's
// id and what came before. It is taken column by column, a vector at a time: about a nanosecond a number, where encoding
// rows one by one took ten times that, and a clone or a scrub has to hash everything.
//
// Digests are stored and compared between releases: a row has the same hash for ever.
package rowhash

import (
	"math"
	"math/bits"

	"github.com/zeebo/xxh3"

	"stele/meta/types"
	"stele/sql/vec"
)

const (
	start = 0x9E3779B97F4A7C15
	prime = 0xD6E8FEB86659FD93
)

// every is the selection of all rows of a batch.
var every = upTo(vec.MaxRows)

func upTo(n int) []int32 {
	out := make([]int32, n)
	for i := range out {
		out[i] = int32(i)
	}
	return out
}

// Sum returns the sum of the hashes of the rows that count. The columns are those of ids, ascending.
func Sum(b *vec.Batch, ids []types.ColumnID) uint64 {
	var buf [vec.MaxRows]uint64
	hashes := buf[:]
	if n := b.Rows(); n > len(buf) {
		hashes = make([]uint64, n)
	}
	sum := uint64(0)
	for _, h := range each(hashes[:b.Rows()], b, ids) {
		sum += h
	}
	return sum
}

// Each returns the hashes of the rows that count.
func Each(b *vec.Batch, ids []types.ColumnID) []uint64 {
	return each(make([]uint64, b.Rows()), b, ids)
}

// each puts the hashes of the rows that count into as many words.
func each(hashes []uint64, b *vec.Batch, ids []types.ColumnID) []uint64 {
	rows := b.Sel
	if rows == nil {
		rows = every
		if b.N > len(every) {
			rows = upTo(b.N)
		}
		rows = rows[:b.N]
	}
	for i := range hashes {
		hashes[i] = start
	}
	for c, v := range b.Cols {
		hashColumn(hashes, v, rows, Mix(uint64(ids[c])+1, start))
	}
	for i, h := range hashes {
		hashes[i] = Mix(h, start)
	}
	return hashes
}

// Mix folds the 128-bit product of what is hashed so far and the next word.
func Mix(h, x uint64) uint64 {
	hi, lo := bits.Mul64(h^x, prime)
	return hi ^ lo
}

// hashColumn takes the values of one column into the hashes of their rows. seed tells columns apart.
func hashColumn(hashes []uint64, v *vec.Vector, rows []int32, seed uint64) {
	if v.Valid != nil {
		for k, row := range rows {
			if !v.IsNull(int(row)) {
				hashes[k] = Mix(hashes[k]^seed, hashOfValue(v, int(row), seed))
			}
		}
		return
	}
	switch v.Type.Phys() {
	case types.PhysInt64:
		vals := v.I64
		for k, row := range rows {
			hashes[k] = Mix(hashes[k]^seed, uint64(vals[row]))
		}
	default:
		for k, row := range rows {
			hashes[k] = Mix(hashes[k]^seed, hashOfValue(v, int(row), seed))
		}
	}
}

// hashOfValue makes one word of a value that is not NULL.
func hashOfValue(v *vec.Vector, row int, seed uint64) uint64 {
	switch v.Type.Phys() {
	case types.PhysInt64:
		return uint64(v.I64[row])
	case types.PhysFloat64:
		return math.Float64bits(v.F64[row])
	case types.PhysDec128:
		return Mix(uint64(v.Dec[row].Hi)^seed, v.Dec[row].Lo)
	default:
		return xxh3.HashSeed(v.Bytes(row), seed)
	}
}
