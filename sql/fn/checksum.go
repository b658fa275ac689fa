package fn

import (
	"encoding/binary"
	"math"

	"github.com/zeebo/xxh3"

	"stele/meta/types"
	"stele/sql/vec"
)

// RowChecksum is the function of which CHECKSUM TABLE makes its sum. A replica's digest will not do for that: it tells columns apart by
// their ids and counts the hidden row id, so that equal tables have other digests, and it knows nothing of what a transaction has written.
const RowChecksum = "row_checksum"

// RowChecksumBits is how many bits the function has: what it gives is a positive BIGINT.
const RowChecksumBits = 63

func init() {
	register(Def{Name: RowChecksum, Group: "encoding", Syntax: "ROW_CHECKSUM(value, ...)", Min: 1, Max: -1, TakesNull: true,
		Doc: "A number of 63 bits for the values of a row, equal for equal values of equal types. CHECKSUM TABLE adds up those of all rows.",
		Rule: func(_ string, a []T) ([]T, T, error) {
			return a, T{Kind: types.KindBigInt, NotNull: true}, nil
		}, Row: rowChecksum})
}

// rowChecksum hashes the values one after the other, each with the hash of those before it as its seed, so that their order counts.
func rowChecksum(c *Call, a []vec.Value) (vec.Value, error) {
	h := uint64(0)
	for i := range a {
		h = valueChecksum(c.Args[i], &a[i], h)
	}
	return vec.Int(int64(h >> (64 - RowChecksumBits))), nil
}

// valueChecksum hashes one value: a NULL as one byte, a number as sixteen, a text after its length.
func valueChecksum(t T, v *vec.Value, seed uint64) uint64 {
	var number [16]byte
	switch {
	case v.Null:
		return xxh3.HashSeed(number[:1], seed)
	case t.Phys() == types.PhysFloat64:
		binary.LittleEndian.PutUint64(number[:], math.Float64bits(v.F))
	case t.Phys() == types.PhysDec128:
		binary.LittleEndian.PutUint64(number[:], uint64(v.I))
		binary.LittleEndian.PutUint64(number[8:], uint64(v.Hi))
	case t.Phys() == types.PhysInt64:
		binary.LittleEndian.PutUint64(number[:], uint64(v.I))
	default:
		binary.LittleEndian.PutUint64(number[:], uint64(len(v.B)))
		return xxh3.HashSeed(v.B, xxh3.HashSeed(number[:8], seed))
	}
	return xxh3.HashSeed(number[:], seed)
}
