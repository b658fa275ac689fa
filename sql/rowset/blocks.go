package rowset

import (
	"encoding/binary"
	"slices"
	"sync"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"stele/sql/vec"
)

// Codecs of a block. The numbers are stored.
const (
	codecRaw  = 0
	codecLZ4  = 1
	codecZstd = 2
)

const (
	// blockRows is how many rows are compressed together, fewer of a wide column: what a point read has to decompress.
	blockRows = 512
	// minBlock is the least number of bytes of a vector worth trying to compress.
	minBlock = 256
	// codecGain is the saving below which decompression costs more than it is worth: LZ4 takes 8 ns a row of comments to decode, where numbers take 0.6.
	codecGain = 0.12
	// zstdGain is how much smaller zstd must be than LZ4 to be worth three times its decoding time.
	zstdGain = 0.35
	// maxExpansion bounds what a block may claim to decode to, before any of it is trusted.
	maxExpansion = 255
)

// lz4Compressors are kept: a new one clears its whole hash table first.
var lz4Compressors = sync.Pool{New: func() any { return new(lz4.Compressor) }}

// zstdEncoder compresses literals even where nothing repeats: digits and hex, which LZ4 cannot shrink at all.
var zstdEncoder = sync.OnceValue(func() *zstd.Encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithAllLitEntropyCompression(true),
		zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true), zstd.WithEncoderConcurrency(4))
	if err != nil {
		panic("BUG: zstd options: " + err.Error())
	}
	return e
})

var zstdDecoder = sync.OnceValue(func() *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderMaxMemory(maxVectorBytes))
	if err != nil {
		panic("BUG: zstd options: " + err.Error())
	}
	return d
})

// appendCompressed appends data in the codec; false, and dst as it was, when it does not get smaller.
func appendCompressed(dst []byte, codec byte, data []byte) ([]byte, bool) {
	start := len(dst)
	switch codec {
	case codecLZ4:
		c := lz4Compressors.Get().(*lz4.Compressor)
		defer lz4Compressors.Put(c)
		dst = slices.Grow(dst, len(data))
		n, err := c.CompressBlock(data, dst[start:start+len(data)])
		if err != nil || n == 0 || n >= len(data) {
			return dst, false
		}
		return dst[:start+n], true
	case codecZstd:
		out := zstdEncoder().EncodeAll(data, dst)
		if n := len(out) - start; n >= len(data) || n*maxExpansion < len(data) {
			return out[:start], false
		}
		return out, true
	}
	return dst, false
}

// decompressBlock fills out, whose length is that of the decoded block.
func decompressBlock(codec byte, out, src []byte) error {
	if len(out) > maxExpansion*len(src) {
		return ErrCorrupt
	}
	switch codec {
	case codecLZ4:
		if n, err := lz4.UncompressBlock(src, out); err != nil || n != len(out) {
			return ErrCorrupt
		}
		return nil
	case codecZstd:
		got, err := zstdDecoder().DecodeAll(src, out[:0:len(out)])
		if err != nil || len(got) != len(out) {
			return ErrCorrupt
		}
		return nil
	}
	return ErrCorrupt
}

// sampleCodec tries the codecs on some rows in the middle of a chunk: most chunks are alike all through.
func sampleCodec(v *vec.Vector, rows int, c cut) byte {
	from := max(0, rows/2-c.rows()/2)
	to := min(rows, from+c.rows())
	data := v.Data[v.Off[from]:v.Off[to]]
	if len(data) < minBlock {
		return codecLZ4 // the vectors themselves decide
	}
	fast, small := len(data), len(data)
	if out, ok := appendCompressed(nil, codecLZ4, data); ok {
		fast = len(out)
	}
	if out, ok := appendCompressed(nil, codecZstd, data); ok {
		small = len(out)
	}
	if float64(small) <= float64(fast)*(1-zstdGain) {
		return codecZstd
	}
	if float64(fast) > float64(len(data))*(1-codecGain/2) {
		return codecRaw // not even half of what would make it worth it: spare the vectors the attempt
	}
	return codecLZ4
}

// appendBlock appends data compressed, or as it is, which its size says.
func appendBlock(dst []byte, codec byte, data []byte) []byte {
	dst, smaller := appendCompressed(dst, codec, data)
	if !smaller {
		dst = append(dst, data...)
	}
	return dst
}

// appendBlocks appends the bytes of the rows [from, to) as compressed blocks: codec, sizes, blocks. It returns false, and
// dst as it was, when that saves too little.
func appendBlocks(dst []byte, codec byte, v *vec.Vector, from, to int) ([]byte, bool) {
	raw := int(v.Off[to] - v.Off[from])
	if codec == codecRaw || raw < minBlock || raw > maxVectorBytes {
		return dst, false
	}
	start := len(dst)
	n := blocksOf(to - from)
	dst = append(dst, codec)
	sizes := len(dst)
	dst = append(dst, make([]byte, 4*n)...)
	for i := range n {
		data := v.Data[v.Off[from+i*blockRows]:v.Off[min(from+(i+1)*blockRows, to)]]
		at := len(dst)
		dst = appendBlock(dst, codec, data)
		binary.LittleEndian.PutUint32(dst[sizes+4*i:], uint32(len(dst)-at))
	}
	if float64(len(dst)-start) > float64(raw)*(1-codecGain) {
		return dst[:start], false
	}
	return dst, true
}

func blocksOf(rows int) int { return (rows + blockRows - 1) / blockRows }

// decodeBlocks decompresses all blocks of a vector whose rows begin at off, into data if they fit. after is what follows their lengths.
func decodeBlocks(off []uint32, data []byte, e *encoded, after []byte) ([]byte, error) {
	codec, blocks, err := e.allBlocks(len(off)-1, after)
	if err != nil {
		return nil, err
	}
	packed := 0
	for _, b := range blocks {
		packed += len(b)
	}
	total := int(off[len(off)-1])
	if total > maxExpansion*packed {
		return nil, ErrCorrupt
	}
	data = reuse(data, total)
	rows := e.cut.rows()
	for i, b := range blocks {
		out := data[off[i*rows]:off[min((i+1)*rows, len(off)-1)]]
		if err := decodeBlock(codec, out, b); err != nil {
			return nil, err
		}
	}
	return data, nil
}

func decodeBlock(codec byte, out, block []byte) error {
	if len(block) == len(out) {
		copy(out, block)
		return nil
	}
	return decompressBlock(codec, out, block)
}

// blockAt returns the codec and block b as it is stored.
func blockAt(rows, b int, src []byte) (codec byte, block []byte, ok bool) {
	n := blocksOf(rows)
	if len(src) < 1+4*n {
		return 0, nil, false
	}
	sizes, rest := src[1:], src[1+4*n:]
	for i := range b + 1 {
		size := int64(binary.LittleEndian.Uint32(sizes[4*i:]))
		if size > int64(len(rest)) {
			return 0, nil, false
		}
		block, rest = rest[:size], rest[size:]
	}
	return src[0], block, true
}

// splitBlocks returns the codec and the blocks as they are stored.
func splitBlocks(rows int, src []byte) (codec byte, blocks [][]byte, err error) {
	n := blocksOf(rows)
	if len(src) < 1+4*n {
		return 0, nil, ErrCorrupt
	}
	codec = src[0]
	sizes, rest := src[1:], src[1+4*n:]
	blocks = make([][]byte, n)
	for i := range blocks {
		size := int64(binary.LittleEndian.Uint32(sizes[4*i:]))
		if size > int64(len(rest)) {
			return 0, nil, ErrCorrupt
		}
		blocks[i], rest = rest[:size], rest[size:]
	}
	if len(rest) != 0 {
		return 0, nil, ErrCorrupt
	}
	return codec, blocks, nil
}
