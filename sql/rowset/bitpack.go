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

// appendPacked appends the values less base in width bits each (they must fit), least significant bit first.
func appendPacked(dst []byte, vals []int64, base uint64, width uint) []byte {
	end := len(dst) + packedLen(len(vals), width)
	acc, fill := uint64(0), uint(0)
	for _, v := range vals {
		x := uint64(v) - base
		acc |= x << (fill & 63)
		if fill += width; fill >= 64 {
			dst = binary.LittleEndian.AppendUint64(dst, acc)
			fill -= 64
			acc = x >> (width - fill) // what did not fit: nothing when all 64 bits did, as then width-fill is width
		}
	}
	for ; fill > 0; fill -= min(fill, 8) {
		dst = append(dst, byte(acc))
		acc >>= 8
	}
	for len(dst) < end {
		dst = append(dst, 0)
	}
	return dst
}

// unpackInts sets dst[i] = base + packed value i. The caller has checked that src has packedLen bytes. Eight values end on a
// byte whatever their width, so that narrow ones need one, two or four loads for eight: this is the hottest loop of a scan.
func unpackInts(dst []int64, src []byte, base uint64, width uint) {
	whole := len(dst) &^ 7
	switch {
	case width == 0:
		for i := range dst {
			dst[i] = int64(base)
		}
		return
	case width <= 8:
		unpackEights(dst[:whole], src, base, width)
	case width <= 16:
		unpackFours(dst[:whole], src, base, width)
	case width <= 28:
		whole = unpackTwos(dst[:whole], src, base, width)
	default:
		whole = 0
	}
	mask := uint64(1)<<width - 1
	bit := uint(whole) * width
	rest := dst[whole:]
	for i := range rest {
		w := binary.LittleEndian.Uint64(src[bit>>3:]) >> (bit & 7)
		rest[i] = int64(base + w&mask)
		bit += width
	}
}

// unpackEights is for widths up to 8: one load holds eight values.
func unpackEights(dst []int64, src []byte, base uint64, width uint) {
	mask := uint64(1)<<width - 1
	s := width & 63
	for at := uint(0); len(dst) >= 8; at += width {
		x := binary.LittleEndian.Uint64(src[at:])
		d := (*[8]int64)(dst)
		d[0] = int64(base + x&mask)
		x >>= s
		d[1] = int64(base + x&mask)
		x >>= s
		d[2] = int64(base + x&mask)
		x >>= s
		d[3] = int64(base + x&mask)
		x >>= s
		d[4] = int64(base + x&mask)
		x >>= s
		d[5] = int64(base + x&mask)
		x >>= s
		d[6] = int64(base + x&mask)
		x >>= s
		d[7] = int64(base + x&mask)
		dst = dst[8:]
	}
}

// unpackFours is for widths from 9 to 16: two loads hold eight values, the second begins within a byte when width is odd.
func unpackFours(dst []int64, src []byte, base uint64, width uint) {
	mask := uint64(1)<<width - 1
	s := width & 63
	half, shift := width*4>>3, width*4&7
	for at := uint(0); len(dst) >= 8; at += width {
		x := binary.LittleEndian.Uint64(src[at:])
		y := binary.LittleEndian.Uint64(src[at+half:]) >> shift
		d := (*[8]int64)(dst)
		d[0] = int64(base + x&mask)
		d[4] = int64(base + y&mask)
		x, y = x>>s, y>>s
		d[1] = int64(base + x&mask)
		d[5] = int64(base + y&mask)
		x, y = x>>s, y>>s
		d[2] = int64(base + x&mask)
		d[6] = int64(base + y&mask)
		x, y = x>>s, y>>s
		d[3] = int64(base + x&mask)
		d[7] = int64(base + y&mask)
		dst = dst[8:]
	}
}

// groupReach is what the loads of eight values of up to 28 bits may reach: 31 bytes and a word.
const groupReach = 40

// unpackTwos is for widths from 17 to 28: a load holds two values. It returns how many it has come to: an array of constant size
// spares the loop its bounds checks, and does not reach the last groups.
func unpackTwos(dst []int64, src []byte, base uint64, width uint) (n int) {
	s := width & 31
	mask := uint64(1)<<s - 1
	o1, s1 := width*2>>3&31, width*2&7
	o2, s2 := width*4>>3&31, width*4&7
	o3, s3 := width*6>>3&31, width*6&7
	for ; len(dst) >= 8 && len(src) >= groupReach; n += 8 {
		g := (*[groupReach]byte)(src)
		a := binary.LittleEndian.Uint64(g[:])
		b := binary.LittleEndian.Uint64(g[o1:]) >> s1
		c := binary.LittleEndian.Uint64(g[o2:]) >> s2
		e := binary.LittleEndian.Uint64(g[o3:]) >> s3
		d := (*[8]int64)(dst)
		d[0] = int64(base + a&mask)
		d[1] = int64(base + a>>s&mask)
		d[2] = int64(base + b&mask)
		d[3] = int64(base + b>>s&mask)
		d[4] = int64(base + c&mask)
		d[5] = int64(base + c>>s&mask)
		d[6] = int64(base + e&mask)
		d[7] = int64(base + e>>s&mask)
		dst, src = dst[8:], src[s:]
	}
	return n
}

// unpackOne returns packed value row.
func unpackOne(src []byte, row int, width uint) int64 {
	bit := uint(row) * width
	return int64(binary.LittleEndian.Uint64(src[bit>>3:]) >> (bit & 7) & (1<<width - 1))
}
