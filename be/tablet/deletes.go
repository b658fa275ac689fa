package tablet

import (
	"slices"
	"sort"

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

// delEntry says that version ended the row at pos.
type delEntry struct {
	Version types.Version
	Pos     uint32
}

// deletes is the delete vector of one rowset: which rows ended, and at which version. The log only grows and bitmaps
// are never changed once they are in a checkpoint, so that a copy of the struct is a snapshot of it. The tablet's mu
// guards the original.
type deletes struct {
	log         []delEntry // ascending versions
	checkpoints []checkpoint
	before      int // rows in the bitmap of checkpoints[0] beyond log[:0]: those whose version is forgotten
}

// checkpoint is the set of rows that had ended after the first n entries of the log.
type checkpoint struct {
	n    int
	rows *roaring.Bitmap
}

func newDeletes(base *roaring.Bitmap, log []delEntry) deletes {
	if base == nil {
		base = roaring.New()
	}
	d := deletes{checkpoints: []checkpoint{{rows: base}}, before: int(base.GetCardinality())}
	for _, e := range log {
		d.add(e.Version, e.Pos)
	}
	return d
}

// count returns how many rows have ended.
func (d *deletes) count() int { return d.before + len(d.log) }

func (d *deletes) add(v types.Version, pos uint32) {
	d.log = append(d.log, delEntry{Version: v, Pos: pos})
	last := d.checkpoints[len(d.checkpoints)-1]
	if len(d.log)-last.n < checkpointEvery {
		return
	}
	rows := last.rows.Clone()
	for _, e := range d.log[last.n:] {
		rows.Add(e.Pos)
	}
	d.checkpoints = append(thin(d.checkpoints), checkpoint{n: len(d.log), rows: rows})
}

// addAll is add for many rows that one version ended.
func (d *deletes) addAll(v types.Version, pos *roaring.Bitmap) {
	n := pos.GetCardinality()
	if n < checkpointEvery {
		for it := pos.Iterator(); it.HasNext(); {
			d.add(v, it.Next())
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
		log = append(log, delEntry{Version: v, Pos: it.Next()})
	}
	d.log = log
	d.checkpoints = append(thin(d.checkpoints), checkpoint{n: len(log), rows: rows})
}

// thin returns a copy of the checkpoints with room for one more: of too many, the base and every second one.
func thin(all []checkpoint) []checkpoint {
	next := append(make([]checkpoint, 0, len(all)+1), all...)
	if len(next) >= maxCheckpoints {
		for i := 1; i < len(next); i++ {
			next = append(next[:i], next[i+1:]...)
		}
	}
	return next
}

// upTo returns the length of the log at version v.
func (d *deletes) upTo(v types.Version) int {
	return sort.Search(len(d.log), func(i int) bool { return d.log[i].Version > v })
}

// at returns the checkpoint to start from and the entries to add to it for version v.
func (d *deletes) at(v types.Version) (*roaring.Bitmap, []delEntry) {
	n := d.upTo(v)
	i := sort.Search(len(d.checkpoints), func(i int) bool { return d.checkpoints[i].n > n }) - 1
	c := d.checkpoints[i]
	return c.rows, d.log[c.n:n]
}

// has reports whether the row at pos had ended at version v.
func (d *deletes) has(pos uint32, v types.Version) bool {
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

// deadIn appends which of the rows [start, start+n) had ended at version v, ascending. What of the log no bitmap holds yet is looked
// through: for a part of the rows that takes less than a bitmap of all of them.
func (d *deletes) deadIn(dst []uint32, v types.Version, start, n uint32) []uint32 {
	rows, rest := d.at(v)
	dst = deadRows(dst, rows, start, n)
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

// deadRows appends the deleted rows of [start, start+n), ascending.
func deadRows(dst []uint32, deleted *roaring.Bitmap, start, n uint32) []uint32 {
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

// rowsAt returns the rows that had ended at version v; the caller must not change the bitmap.
func (d *deletes) rowsAt(v types.Version) *roaring.Bitmap {
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

// collapse returns the same deletes with the versions up to v forgotten.
func (d *deletes) collapse(v types.Version) deletes {
	return newDeletes(d.rowsAt(v).Clone(), append([]delEntry(nil), d.log[d.upTo(v):]...))
}
