package rowset

import (
	"slices"
	"sync"

	"stele/sql/vec"
)

// BlockCache keeps decoded blocks of values, that reads of few rows come back to: to decompress one costs more than everything else
// that such a read does. What is in it was verified when it was decoded, and row groups never change. It is safe for concurrent use.
type BlockCache struct {
	limit int // bytes of a generation

	mu         sync.Mutex
	young, old map[blockKey]*block // when the young one is full it becomes the old one
	bytes      int                 // of young
	oldBytes   int                 // of old, with those that have gone back to young
	// asked are blocks that were decoded lately: one that is asked for once, among many, is not worth keeping. Nor is one that comes again
	// after more than the cache holds: where reads go all over a table, each would be kept and none found.
	asked   []askedBlock
	decoded int // bytes of all that were asked for so far
	// turned: it has been full, and what was old has gone. earned is how often an order was found since the last one that was paid for.
	turned bool
	earned int
	making map[blockKey]bool // orders that somebody makes
}

// Among how many blocks one that comes again is noticed: as many as twice the cache has room for, if they are of askedBytes.
const (
	askedBytes = 16 << 10
	leastAsked = 1024
)

// askedBlock is a block that was decoded, and how much had been decoded until then.
type askedBlock struct {
	key blockKey
	at  int
}

// blockKey names a block of a column of a row group.
type blockKey struct {
	group GroupID
	c, at int32
}

// intsKey names vector i of column c: blocks of text count from 0.
func intsKey(group GroupID, c, i int) blockKey {
	return blockKey{group: group, c: int32(c), at: int32(-1 - i)}
}

// block is the values of some rows, or a vector of integers.
type block struct {
	rows  int      // of a block of its column
	off   []uint32 // of each row, and the end of the last
	data  []byte
	valid []uint64 // as that of a vector, in which the block begins at bit
	bit   int
	ints  []int64 // without NULLs; then there is nothing else
	order *Order  // of a column of the row group; then there is nothing else
}

func (b *block) size() int {
	n := len(b.data) + 4*len(b.off) + 8*len(b.ints) + 128
	if b.order != nil {
		n += int(b.order.Bytes())
	}
	return n
}

// NewBlockCache returns a cache of at most limit bytes.
func NewBlockCache(limit int64) *BlockCache {
	return &BlockCache{limit: int(limit / 2), asked: make([]askedBlock, max(2*limit/askedBytes, leastAsked))}
}

// CacheBlocks has reads of few rows of the row group use a cache.
func (g *Group) CacheBlocks(c *BlockCache) { g.blocks = c }

func (c *BlockCache) get(k blockKey) *block {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.young[k]
	if b == nil {
		if b = c.old[k]; b != nil {
			c.putLocked(k, b)
		}
	}
	return b
}

// wants reports whether a block of so many bytes, which has just been decoded, is to be kept.
func (c *BlockCache) wants(k blockKey, size int) bool {
	if c == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.askedBefore(k, size)
}

// askedBefore reports whether a block was asked for lately, and notes that it is now.
func (c *BlockCache) askedBefore(k blockKey, size int) bool {
	slot := &c.asked[(k.group.UID*7919+k.group.Rowset*31+uint64(k.group.Group)*1031+uint64(k.c)*257+uint64(k.at))%uint64(len(c.asked))]
	again := slot.key == k && c.decoded-slot.at <= 2*c.limit
	c.decoded += size
	*slot = askedBlock{key: k, at: c.decoded}
	return again
}

func (c *BlockCache) put(k blockKey, b *block) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.putLocked(k, b)
}

func (c *BlockCache) putLocked(k blockKey, b *block) {
	size := b.size()
	if size > c.limit/4 && b.order == nil || size > c.limit {
		return
	}
	if c.young == nil || c.bytes+size > c.limit {
		c.turned = c.turned || len(c.old) > 0
		c.old, c.oldBytes, c.young, c.bytes = c.young, c.bytes, map[blockKey]*block{}, 0
	}
	if before := c.young[k]; before != nil {
		c.bytes -= before.size()
	}
	c.young[k] = b
	c.bytes += size
}

// Ints returns vector i of column c, which is of integers, by way of the cache; nil when it has NULLs. They are not to be changed, and
// may lie in room, which has them then.
func (g *Group) Ints(room *vec.Vector, c, i int) ([]int64, error) {
	k := intsKey(g.h.id, c, i)
	if b := g.blocks.get(k); b != nil {
		return b.ints, nil
	}
	if err := g.DecodeInto(room, c, i); err != nil || room.Valid != nil {
		return nil, err
	}
	if g.blocks.wants(k, 8*len(room.I64)) {
		g.blocks.put(k, &block{ints: slices.Clone(room.I64)})
	}
	return room.I64, nil
}

// keepInts keeps vector i of column c, which is src and has no NULLs, if it is asked for again and a row of it costs what is before it:
// uneven steps are added up, and lengths of runs.
func (g *Group) keepInts(c, i int, src []byte) {
	if src[0] != encRuns && (src[0] != encDelta || src[2+16] == 0) {
		return
	}
	k := intsKey(g.h.id, c, i)
	if !g.blocks.wants(k, 8*g.VectorRows(i)) {
		return
	}
	if v, err := g.Decode(c, i); err == nil {
		g.blocks.put(k, &block{ints: v.I64})
	}
}

// appendTo appends the value of a row of the vector to dst.
func (b *block) appendTo(dst *vec.Vector, row int) {
	if b.ints != nil {
		dst.I64 = append(dst.I64, b.ints[row%vec.MaxRows])
		endValid(dst)
		return
	}
	i := row % b.rows
	if at := b.bit + i; b.valid != nil && b.valid[at>>6]&(1<<(uint(at)&63)) == 0 {
		AppendNull(dst)
		return
	}
	dst.Data = append(dst.Data, b.data[b.off[i]:b.off[i+1]]...)
	dst.Off = append(dst.Off, uint32(len(dst.Data)))
	endValid(dst)
}
