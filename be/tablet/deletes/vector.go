package deletes

import (
	"math/bits"
	"slices"
	"sort"
	"sync/atomic"

	"github.com/RoaringBitmap/roaring/v2"

	"stele/meta/types"
)

const (
	// checkpointEvery is how many deletes follow a checkpoint before the next is made: asking whether one row is
	// deleted walks at most that many entries.
	checkpointEvery = 1024
	// maxCheckpoints bounds the memory of checkpoints; older ones are thinned out, which makes old snapshots slower.
	maxCheckpoints = 32
)

// Entry says that Version ended the row at Pos.
type Entry struct {
	Version types.Version
	Pos     uint32
}

// Vector is the delete vector of one rowset: which rows ended, and at which version. The log only grows and bitmaps
// are never changed once they are in a checkpoint, so that a copy of the struct is a snapshot of it. Its owner
// guards the original.
type Vector struct {
	log         []Entry // ascending versions
	checkpoints []checkpoint
	before      int // rows in the bitmap of checkpoints[0] beyond log[:0]: those whose version is forgotten
}

// checkpoint is the set of rows that had ended after the first n entries of the log.
type checkpoint struct {
	n     int
	rows  *roaring.Bitmap
	words []atomic.Pointer[rowWords] // by row / wordRows; nil entries are made when they are needed
}

// wordRows is of how many rows rowWords tells.
const wordRows = 1 << 16

// rowWords has one bit a row. Who looks for the ended rows of a small range finds them by it: where rows change often most of them have
// ended, and a bitmap hands them out one by one.
type rowWords [wordRows / 64]uint64

// noneEnded stands for all parts of which no row has ended. Nobody changes it.
var noneEnded rowWords

func newCheckpoint(n int, rows *roaring.Bitmap) checkpoint {
	c := checkpoint{n: n, rows: rows}
	if !rows.IsEmpty() {
		c.words = make([]atomic.Pointer[rowWords], rows.Maximum()/wordRows+1)
	}
	return c
}

// wordsOf returns the words of rows [part*wordRows, …).
func (c *checkpoint) wordsOf(part uint32) *rowWords {
	if w := c.words[part].Load(); w != nil {
		return w
	}
	w := &noneEnded
	if dead := Within(nil, c.rows, part*wordRows, wordRows); len(dead) > 0 {
		w = new(rowWords)
		for _, pos := range dead {
			w[pos%wordRows/64] |= 1 << (pos % 64)
		}
	}
	c.words[part].Store(w)
	return w
}

// deadIn appends the rows of [start, end) that had ended, ascending.
func (c *checkpoint) deadIn(dst []uint32, start, end uint32) []uint32 {
	for start < end && int(start/wordRows) < len(c.words) {
		part := start / wordRows
		stop := min(end-1, part*wordRows+wordRows-1) // the last row of this part
		dst = c.wordsOf(part).appendTo(dst, part*wordRows, start%wordRows, stop%wordRows)
		if stop == end-1 {
			return dst
		}
		start = stop + 1
	}
	return dst
}

// appendTo appends the set ones of rows [from, to], counted from base.
func (w *rowWords) appendTo(dst []uint32, base, from, to uint32) []uint32 {
	for i := from / 64; i <= to/64; i++ {
		word := w[i]
		if i == from/64 {
			word &= ^uint64(0) << (from % 64)
		}
		if i == to/64 {
			word &= ^uint64(0) >> (63 - to%64)
		}
		for ; word != 0; word &= word - 1 {
			dst = append(dst, base+i*64+uint32(bits.TrailingZeros64(word)))
		}
	}
	return dst
}

// New returns the vector of rows that ended by versions which are forgotten, and of a log of later ones, in the order of versions.
func New(base *roaring.Bitmap, log []Entry) Vector {
	if base == nil {
		base = roaring.New()
	}
	d := Vector{checkpoints: []checkpoint{newCheckpoint(0, base)}, before: int(base.GetCardinality())}
	for _, e := range log {
		d.Add(e.Version, e.Pos)
	}
	return d
}

// Count returns how many rows have ended.
func (d *Vector) Count() int { return d.before + len(d.log) }

// Bytes is how many bytes the record of all of them takes at most, when the versions up to drop are forgotten.
func (d *Vector) Bytes(drop types.Version) int64 {
	const entry = 14 // of a version and a row
	n := d.upTo(drop)
	return int64(d.Forgotten().GetSizeInBytes()) + 2*int64(n) + entry*int64(len(d.log)-n)
}

// Add notes that version v, which is no older than those before, ended the row at pos.
func (d *Vector) Add(v types.Version, pos uint32) {
	d.log = append(d.log, Entry{Version: v, Pos: pos})
	last := d.checkpoints[len(d.checkpoints)-1]
	if len(d.log)-last.n < checkpointEvery {
		return
	}
	rows := last.rows.Clone()
	for _, e := range d.log[last.n:] {
		rows.Add(e.Pos)
	}
	d.checkpoints = append(thin(d.checkpoints), newCheckpoint(len(d.log), rows))
}

// AddAll is Add for many rows that one version ended.
func (d *Vector) AddAll(v types.Version, pos *roaring.Bitmap) {
	n := pos.GetCardinality()
	if n < checkpointEvery {
		for it := pos.Iterator(); it.HasNext(); {
			d.Add(v, it.Next())
		}
		return
	}
	last := d.checkpoints[len(d.checkpoints)-1]
	rows := last.rows.Clone()
	for _, e := range d.log[last.n:] {
		rows.Add(e.Pos)
	}
	rows.Or(pos)
	log := slices.Grow(d.log, int(n))
	for it := pos.Iterator(); it.HasNext(); {
		log = append(log, Entry{Version: v, Pos: it.Next()})
	}
	d.log = log
	d.checkpoints = append(thin(d.checkpoints), newCheckpoint(len(log), rows))
}

// thin returns a copy of the checkpoints with room for one more: of too many, the base and every second one. The last one leaves its words to
// the snapshots of before: in all checkpoints of a large rowset they would be hundreds of megabytes.
func thin(all []checkpoint) []checkpoint {
	next := append(make([]checkpoint, 0, len(all)+1), all...)
	last := &next[len(next)-1]
	*last = newCheckpoint(last.n, last.rows)
	if len(next) >= maxCheckpoints {
		for i := 1; i < len(next); i++ {
			next = append(next[:i], next[i+1:]...)
		}
	}
	return next
}

// upTo returns the length of the log at version v.
func (d *Vector) upTo(v types.Version) int {
	return sort.Search(len(d.log), func(i int) bool { return d.log[i].Version > v })
}

// CountAt returns how many rows had ended at version v.
func (d *Vector) CountAt(v types.Version) int { return d.before + d.upTo(v) }

// Forgotten returns the rows that ended by versions which are forgotten; the caller must not change the bitmap.
func (d *Vector) Forgotten() *roaring.Bitmap { return d.checkpoints[0].rows }

// Until returns what ended by version v, of all whose version is known.
func (d *Vector) Until(v types.Version) []Entry { return d.log[:d.upTo(v)] }

// Between returns what ended behind version from, by version to.
func (d *Vector) Between(from, to types.Version) []Entry { return d.log[d.upTo(from):d.upTo(to)] }

// Changed reports whether something ended between two versions, of which the one is as old as the other or older.
func (d *Vector) Changed(from, to types.Version) bool { return d.upTo(from) != d.upTo(to) }

// at returns the rows of the checkpoint to start from and the entries to add to them for version v.
func (d *Vector) at(v types.Version) (*roaring.Bitmap, []Entry) {
	c, rest := d.from(v)
	return c.rows, rest
}

// from is at with the checkpoint as it is.
func (d *Vector) from(v types.Version) (*checkpoint, []Entry) {
	n := d.upTo(v)
	i := sort.Search(len(d.checkpoints), func(i int) bool { return d.checkpoints[i].n > n }) - 1
	c := &d.checkpoints[i]
	return c, d.log[c.n:n]
}

// Has reports whether the row at pos had ended at version v.
func (d *Vector) Has(pos uint32, v types.Version) bool {
	rows, rest := d.at(v)
	if rows.Contains(pos) {
		return true
	}
	for _, e := range rest {
		if e.Pos == pos {
			return true
		}
	}
	return false
}

// DeadIn appends which of the rows [start, start+n) had ended at version v, ascending. What of the log no bitmap holds yet is looked
// through: for a part of the rows that takes less than a bitmap of all of them.
func (d *Vector) DeadIn(dst []uint32, v types.Version, start, n uint32) []uint32 {
	c, rest := d.from(v)
	dst = c.deadIn(dst, start, start+n)
	held := len(dst)
	for _, e := range rest {
		if e.Pos-start < n { // below start it is huge
			dst = append(dst, e.Pos)
		}
	}
	if held == len(dst) {
		return dst
	}
	mergeTail(dst, held)
	return slices.Compact(dst) // releases before may have written a row twice
}

// mergeTail sorts rows of which the first ones, so many, are sorted.
func mergeTail(rows []uint32, sorted int) {
	slices.Sort(rows[sorted:])
	if sorted == 0 || rows[sorted-1] <= rows[sorted] {
		return
	}
	tail := slices.Clone(rows[sorted:])
	for i, j := sorted-1, len(tail)-1; j >= 0; {
		if i >= 0 && rows[i] > tail[j] {
			rows[i+j+1] = rows[i]
			i--
		} else {
			rows[i+j+1] = tail[j]
			j--
		}
	}
}

// Within appends the deleted rows of [start, start+n), ascending.
func Within(dst []uint32, deleted *roaring.Bitmap, start, n uint32) []uint32 {
	if deleted.IsEmpty() {
		return dst
	}
	dead := deleted.Iterator()
	for dead.AdvanceIfNeeded(start); dead.HasNext(); {
		pos := dead.Next()
		if pos >= start+n {
			break
		}
		dst = append(dst, pos)
	}
	return dst
}

// RowsAt returns the rows that had ended at version v; the caller must not change the bitmap.
func (d *Vector) RowsAt(v types.Version) *roaring.Bitmap {
	rows, rest := d.at(v)
	if len(rest) == 0 {
		return rows
	}
	rows = rows.Clone()
	for _, e := range rest {
		rows.Add(e.Pos)
	}
	return rows
}

// Collapse returns the same deletes with the versions up to v forgotten.
func (d *Vector) Collapse(v types.Version) Vector {
	return New(d.RowsAt(v).Clone(), append([]Entry(nil), d.log[d.upTo(v):]...))
}
