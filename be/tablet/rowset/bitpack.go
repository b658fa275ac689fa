package rowset

import (
	"encoding/binary"
	"math/bits"
)

// maxPackWidth is the widest value that one unaligned 8-byte load can fetch at any bit offset.
const maxPackWidth = 56

// packPad follows packed bits, so that the 8-byte load of the last value stays inside the slice.
const packPad = 8

func packedLen(n int, width uint) int { return (n*int(width)+7)/8 + packPad }

// widthOf returns how many bits the largest of the values needs.
func widthOf(largest uint64) uint { return uint(bits.Len64(largest)) }

// appendPacked appends n values of width bits each (get(i) must fit), least significant bit first.
func appendPacked(dst []byte, n int, width uint, get func(i int) uint64) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, packedLen(n, width))...)
	out := dst[start:]
	for i := range n {
		bit := uint(i) * width
		at := out[bit>>3:]
		binary.LittleEndian.PutUint64(at, binary.LittleEndian.Uint64(at)|get(i)<<(bit&7))
	}
	return dst
}

// unpackInts sets dst[i] = base + packed value i. The caller has checked that src has packedLen bytes.
func unpackInts(dst []int64, src []byte, base uint64, width uint) {
	mask := uint64(1)<<width - 1
	bit := uint(0)
	for i := range dst {
		w := binary.LittleEndian.Uint64(src[bit>>3:]) >> (bit & 7)
		dst[i] = int64(base + w&mask)
		bit += width
	}
}
