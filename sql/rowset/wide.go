package rowset

import (
	"encoding/binary"

	"github.com/zeebo/xxh3"

	"stele/sql/vec"
)

// A column is wide where blockRows rows are more than a read of one of them should cost: documents, blobs. Its blocks have fewer rows, and a
// hash each, so that who reads a row decompresses and checks only what is around it. A vector of it is, little-endian,
//
//	head    length of the head 4, number of blocks 4, per block {length 4, hash 8}, then what any vector has before its blocks
//	blocks
//
// and the hash in the directory is the head's. Where a vector is not encoded in blocks, all of it is head.
const (
	wideTable = 8
	wideEntry = 12
)

// cut says of how many rows the blocks of a column are: of half as many as blockRows, cut times over. It is 0 where the column is not wide.
type cut uint8

// blockBytes is up to how many bytes the blocks of a wide column have, as long as they have more than one row. Smaller ones are read faster and
// repeat themselves less: see DESIGN.md.
const blockBytes = 256 << 10

// maxCut makes blocks of one row.
const maxCut cut = 9

func (c cut) rows() int { return blockRows >> c }

// blocks returns how many blocks n rows have.
func (c cut) blocks(n int) int { return (n + c.rows() - 1) / c.rows() }

// cutOf returns how to cut rows of so many bytes in all.
func cutOf(rows, bytes int) cut {
	c := cut(0)
	for bytes > blockBytes && c < maxCut && bytes/rows*c.rows() > blockBytes {
		c++
	}
	return c
}

// encoded is a vector as it is stored, checked but for the blocks of a wide column, which are checked one by one when they are read.
type encoded struct {
	src    []byte
	cut    cut
	table  []byte // of a wide column
	blocks []byte
}

// openWide takes a vector of a wide column apart; false when its head has another hash.
func openWide(src []byte, c cut, hash uint64) (encoded, bool) {
	if len(src) < wideTable {
		return encoded{}, false
	}
	size, n := uint64(binary.LittleEndian.Uint32(src)), uint64(binary.LittleEndian.Uint32(src[4:]))
	if size > uint64(len(src)) || wideTable+n*wideEntry > size || xxh3.Hash(src[:size]) != hash {
		return encoded{}, false
	}
	table := src[wideTable : wideTable+n*wideEntry]
	return encoded{src: src[wideTable+n*wideEntry : size], cut: c, table: table, blocks: src[size:]}, true
}

// headBytes returns how many bytes of a vector the hash in the directory is of.
func headBytes(src []byte, c cut) int {
	if c == 0 {
		return len(src)
	}
	return int(binary.LittleEndian.Uint32(src))
}

// verify checks all blocks.
func (e *encoded) verify() bool {
	rest := e.blocks
	for b := range len(e.table) / wideEntry {
		_, after, ok := e.block(b, rest)
		if !ok {
			return false
		}
		rest = after
	}
	return len(rest) == 0
}

// block returns block b of a wide column, with which rest begins.
func (e *encoded) block(b int, rest []byte) (block, after []byte, ok bool) {
	entry := e.table[b*wideEntry:]
	size := uint64(binary.LittleEndian.Uint32(entry))
	if size > uint64(len(rest)) || xxh3.Hash(rest[:size]) != binary.LittleEndian.Uint64(entry[4:]) {
		return nil, nil, false
	}
	return rest[:size], rest[size:], true
}

// before returns how many bytes the blocks before block b have.
func (e *encoded) before(b int) (at uint64) {
	for i := range b {
		at += uint64(binary.LittleEndian.Uint32(e.table[i*wideEntry:]))
	}
	return at
}

// blockAt returns the codec and block b of n rows as it is stored. after is what follows the lengths of the rows.
func (e *encoded) blockAt(n, b int, after []byte) (codec byte, block []byte, ok bool) {
	if e.cut == 0 {
		return blockAt(n, b, after)
	}
	if len(after) != 1 || len(e.table) != e.cut.blocks(n)*wideEntry {
		return 0, nil, false
	}
	at := e.before(b)
	if at > uint64(len(e.blocks)) {
		return 0, nil, false
	}
	block, _, ok = e.block(b, e.blocks[at:])
	return after[0], block, ok
}

// allBlocks returns the codec and all blocks of n rows as they are stored. after is what follows the lengths of the rows.
func (e *encoded) allBlocks(n int, after []byte) (codec byte, blocks [][]byte, err error) {
	if e.cut == 0 {
		return splitBlocks(n, after)
	}
	blocks = make([][]byte, e.cut.blocks(n))
	if len(after) != 1 || len(e.table) != len(blocks)*wideEntry {
		return 0, nil, ErrCorrupt
	}
	rest, ok := e.blocks, false
	for b := range blocks {
		if blocks[b], rest, ok = e.block(b, rest); !ok {
			return 0, nil, ErrCorrupt
		}
	}
	if len(rest) != 0 {
		return 0, nil, ErrCorrupt
	}
	return after[0], blocks, nil
}

// wideBlocks are the blocks of a vector in the making: they follow what is encoded beside them.
type wideBlocks struct {
	table []byte
	data  []byte
	head  []byte
}

// add appends the rows [from, to) of v.
func (w *wideBlocks) add(c cut, codec byte, v *vec.Vector, from, to int) {
	for at := from; at < to; at += c.rows() {
		block, start := v.Data[v.Off[at]:v.Off[min(at+c.rows(), to)]], len(w.data)
		w.data = appendBlock(w.data, codec, block)
		w.table = binary.LittleEndian.AppendUint32(w.table, uint32(len(w.data)-start))
		w.table = binary.LittleEndian.AppendUint64(w.table, xxh3.Hash(w.data[start:]))
	}
}

// appendWide appends the rows [from, to) of a wide column as a vector.
func (c *chunk) appendWide(dst []byte, from, to int) []byte {
	w := &c.wide
	w.table, w.data = w.table[:0], w.data[:0]
	w.head = c.appendHead(w.head[:0], from, to)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(wideTable+len(w.table)+len(w.head)))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(w.table)/wideEntry))
	return append(append(append(dst, w.table...), w.head...), w.data...)
}
