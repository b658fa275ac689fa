package vec

import "math/bits"

// Total is the sum of 64-bit values and how many they are; NULLs are none. Of fewer than 2^63 values it cannot overflow.
type Total struct {
	Sum Int128
	N   int64
}

// Add adds what o has added up.
func (t *Total) Add(o Total) {
	lo, carry := bits.Add64(t.Sum.Lo, o.Sum.Lo, 0)
	t.Sum = Int128{Hi: int64(uint64(t.Sum.Hi) + uint64(o.Sum.Hi) + carry), Lo: lo}
	t.N += o.N
}

// TotalOf adds up at most MaxRows values, of which n count: the others are zero.
func TotalOf(vals []int64, unsigned bool, n int64) Total {
	var lo uint64 // the low halves; the high ones carry the sign
	var hi int64
	if unsigned {
		for _, x := range vals {
			lo += uint64(uint32(x))
			hi += int64(uint64(x) >> 32)
		}
	} else {
		for _, x := range vals {
			lo += uint64(uint32(x))
			hi += x >> 32
		}
	}
	t := Total{Sum: Int128{Hi: hi >> 32, Lo: uint64(hi) << 32}, N: n}
	t.Add(Total{Sum: Int128OfUint(lo)})
	return t
}
