package rowset

import "encoding/binary"

// maxSumWidth is the widest value of which vec.MaxRows add up within 64 bits.
const maxSumWidth = 52

// sumPacked adds up the first n packed values, which are as unpackInts takes them: at most vec.MaxRows of at most maxSumWidth bits.
// Nothing is unpacked: every second value stays where it is, and those between leave as many bits for the carries of its sum.
func sumPacked(src []byte, n int, width uint) uint64 {
	if width == 0 {
		return 0
	}
	whole, sum := n&^7, uint64(0)
	switch {
	case width <= 8:
		sum = sumEights(src, whole>>3, width)
	case width <= 16:
		sum = sumFours(src, whole>>3, width)
	case width <= 28:
		sum, whole = sumTwos(src, whole>>3, width)
	default:
		whole = 0
	}
	mask := uint64(1)<<width - 1
	bit := uint(whole) * width
	for range n - whole {
		sum += binary.LittleEndian.Uint64(src[bit>>3:]) >> (bit & 7) & mask
		bit += width
	}
	return sum
}

// sumEights is for widths up to 8: a load holds the eight values of a group.
func sumEights(src []byte, groups int, width uint) (sum uint64) {
	s := width & 63
	lanes := (uint64(1)<<s - 1) * (1 | 1<<(2*s&63) | 1<<(4*s&63) | 1<<(6*s&63))
	for groups > 0 {
		var even, odd uint64
		most := min(groups, 1<<s) // more would carry into the next lane
		for range most {
			x := binary.LittleEndian.Uint64(src)
			even += x & lanes
			odd += x >> s & lanes
			src = src[width:]
		}
		sum += foldLanes(even, 2*s) + foldLanes(odd, 2*s)
		groups -= most
	}
	return sum
}

// sumFours is for widths from 9 to 16: two loads hold the values of a group.
func sumFours(src []byte, groups int, width uint) (sum uint64) {
	s := width & 63
	lanes := (uint64(1)<<s - 1) * (1 | 1<<(2*s&63))
	half, shift := width*4>>3, width*4&7
	for groups > 0 {
		var even, odd uint64
		most := min(groups, 1<<(s-1)) // two values a group
		for range most {
			x := binary.LittleEndian.Uint64(src)
			y := binary.LittleEndian.Uint64(src[half:]) >> shift
			even += x & lanes
			odd += x >> s & lanes
			even += y & lanes
			odd += y >> s & lanes
			src = src[width:]
		}
		sum += foldLanes(even, 2*s) + foldLanes(odd, 2*s)
		groups -= most
	}
	return sum
}

// foldLanes adds up the lanes of a word.
func foldLanes(x uint64, width uint) (sum uint64) {
	for mask := uint64(1)<<(width&63) - 1; x != 0; x >>= width & 63 {
		sum += x & mask
	}
	return sum
}

// sumTwos is for widths from 17 to 28: a load holds two values. Their pairs are added up, and the upper values once more. It returns
// how many values it has come to: an array of constant size spares the loop its bounds checks, and does not reach the last groups.
func sumTwos(src []byte, groups int, width uint) (sum uint64, n int) {
	s := width & 31
	both := uint64(1)<<(2*s) - 1
	o1, s1 := width*2>>3&31, width*2&7
	o2, s2 := width*4>>3&31, width*4&7
	o3, s3 := width*6>>3&31, width*6&7
	var pairs, upper uint64
	for ; n < groups && len(src) >= groupReach; n++ {
		g := (*[groupReach]byte)(src)
		a := binary.LittleEndian.Uint64(g[:]) & both
		b := binary.LittleEndian.Uint64(g[o1:]) >> s1 & both
		c := binary.LittleEndian.Uint64(g[o2:]) >> s2 & both
		e := binary.LittleEndian.Uint64(g[o3:]) >> s3 & both
		pairs += a
		upper += a >> s
		pairs += b
		upper += b >> s
		pairs += c
		upper += c >> s
		pairs += e
		upper += e >> s
		src = src[s:]
	}
	return pairs - upper<<s + upper, 8 * n // what of pairs and upper<<s has left the 64 bits is the same
}
