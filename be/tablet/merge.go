package tablet

import (
	"bytes"
	"context"
	"fmt"
	"sort"

	"github.com/RoaringBitmap/roaring/v2"

	"stele/be/tablet/deletes"
	"stele/meta/types"
	"stele/sql/rowset"
	"stele/sql/vec"
)

// merge writes the rows of the inputs in the order of their keys.
func (c *compaction) merge(ctx context.Context, w *rowsetWriter) error {
	m := &merged{w: w}
	for i := range c.in {
		cur := &cursor{c: c, in: i, dead: c.in[i].deletes.RowsAt(c.drop)}
		if err := cur.load(); err != nil {
			return err
		}
		if !cur.ended {
			cur.src = int32(len(m.sources))
			m.sources, m.order = append(m.sources, cur), append(m.order, cur)
		}
	}
	sort.Slice(m.order, func(a, b int) bool { return m.order[a].less(m.order[b]) })
	for n := 0; len(m.order) > 0; n++ {
		if n%64 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if err := m.step(); err != nil {
			return err
		}
	}
	return m.flush()
}

// merged gathers the pieces of the inputs, in the order of the output, until they are written column by column: rows that inputs
// take turns in would otherwise cost a call a column each.
type merged struct {
	w       *rowsetWriter
	sources []*cursor
	order   []*cursor // those with rows left, by their next row
	pieces  []rowset.Piece
	rows    int // in pieces
	bytes   int // no more than they have in columns of bytes
}

// mergeBytes bounds the bytes that are gathered.
const mergeBytes = 1 << 20

// step takes the rows of the least cursor that come before those of all others.
func (m *merged) step() error {
	cur, bound := m.order[0], (*cursor)(nil)
	if len(m.order) > 1 {
		bound = m.order[1]
	}
	if err := cur.emit(m, cur.before(bound)); err != nil {
		return err
	}
	if cur.row == len(cur.keys) {
		if err := m.flush(); err != nil { // pieces name the vectors that are filled again
			return err
		}
		if err := cur.load(); err != nil {
			return err
		}
	}
	if cur.ended {
		m.order = m.order[1:]
		return nil
	}
	rest := m.order[1:]
	n := sort.Search(len(rest), func(i int) bool { return cur.less(rest[i]) })
	copy(m.order, rest[:n])
	m.order[n] = cur
	return nil
}

// add gathers the n rows that cur is at.
func (m *merged) add(cur *cursor, n int) error {
	pos := m.w.rows + uint32(m.rows)
	positions := cur.c.pos[cur.in][cur.pos:][:n]
	for i := range positions {
		positions[i] = pos + uint32(i)
	}
	for from, to := cur.row, cur.row+n; from < to; {
		k := min(to-from, m.w.room()-m.rows, max(1, (mergeBytes-m.bytes)/max(cur.widest, 1)))
		m.pieces = append(m.pieces, rowset.Piece{Src: cur.src, From: int32(from), To: int32(from + k)})
		m.rows += k
		m.bytes += k * cur.widest
		from += k
		if m.rows == m.w.room() || m.bytes >= mergeBytes {
			if err := m.flush(); err != nil {
				return err
			}
		}
	}
	cur.row += n
	cur.pos += uint32(n)
	return nil
}

// flush writes what is gathered.
func (m *merged) flush() error {
	if m.rows == 0 {
		return nil
	}
	err := m.w.addPieces(m.sources, m.pieces, m.rows)
	m.pieces, m.rows, m.bytes = m.pieces[:0], 0, 0
	return err
}

// cursor walks the rows of one input in key order.
type cursor struct {
	c             *compaction
	in            int
	src           int32 // its number among the sources of the merge
	dead          *roaring.Bitmap
	group, vector int // the next to load
	ended         bool
	cols          []*vec.Vector
	versions      []int64
	keys          [][]byte
	row           int
	pos           uint32   // of row
	gone          []uint32 // positions of the dead rows from row on
	widest        int      // bytes that a row has at most in columns of bytes
}

// vectorOf returns the last vector of a column, which has been copied, to be filled again.
func (cur *cursor) vectorOf(at int) *vec.Vector {
	if at < len(cur.cols) {
		return cur.cols[at]
	}
	return &vec.Vector{}
}

func (cur *cursor) less(o *cursor) bool {
	if d := bytes.Compare(cur.keys[cur.row], o.keys[o.row]); d != 0 {
		return d < 0
	}
	return cur.versions[cur.row] < o.versions[o.row]
}

// emit hands the rows up to row to of the present vector to m, but for those that are dropped, and steps beyond them.
func (cur *cursor) emit(m *merged, to int) error {
	for cur.row < to {
		n := to - cur.row
		if len(cur.gone) > 0 {
			n = min(n, int(cur.gone[0]-cur.pos))
		}
		if n == 0 {
			cur.c.pos[cur.in][cur.pos] = dropped
			cur.gone = cur.gone[1:]
			cur.row++
			cur.pos++
			continue
		}
		if err := m.add(cur, n); err != nil {
			return err
		}
	}
	return nil
}

// before returns where the rows end that have a lower key than that of bound, but the present row at the least.
func (cur *cursor) before(bound *cursor) int {
	if bound == nil {
		return len(cur.keys)
	}
	key := bound.keys[bound.row]
	lo, step := cur.row+1, 1 // galloping: where inputs take turns, it takes one look
	for lo+step <= len(cur.keys) {
		if bytes.Compare(cur.keys[lo+step-1], key) >= 0 {
			break
		}
		lo += step
		step *= 2
	}
	rest := cur.keys[lo:min(lo+step-1, len(cur.keys))]
	return lo + sort.Search(len(rest), func(i int) bool { return bytes.Compare(rest[i], key) >= 0 })
}

// load decodes the next vector.
func (cur *cursor) load() error {
	r := cur.c.in[cur.in].r
	cur.row = 0
	if cur.group == len(r.groups) {
		cur.ended = true
		return nil
	}
	vectors, view := 0, cur.c.t.s.viewSome
	if cur.vector == 0 { // the others come with it
		view = cur.c.t.s.viewGroup
	}
	err := view(r.group(cur.group), func(g *rowset.Group) error {
		if g.Rows() != int(r.groups[cur.group].Rows) {
			return fmt.Errorf("row group has %d rows, not %d: %w", g.Rows(), r.groups[cur.group].Rows, ErrCorrupt)
		}
		vectors = g.Vectors()
		return cur.decode(g)
	})
	if err != nil {
		return err
	}
	if cur.vector++; cur.vector == vectors {
		cur.group, cur.vector = cur.group+1, 0
	}
	cur.gone = deletes.Within(cur.gone[:0], cur.dead, cur.pos, uint32(len(cur.keys)))
	cur.widest = widest(cur.cols)
	return nil
}

// widest returns the bytes that a row has at most in columns of bytes.
func widest(cols []*vec.Vector) (sum int) {
	for _, v := range cols {
		most := uint32(0)
		for i := 1; i < len(v.Off); i++ {
			most = max(most, v.Off[i]-v.Off[i-1])
		}
		sum += int(most)
	}
	return sum
}

func (cur *cursor) decode(g *rowset.Group) error {
	snap := cur.c.snap
	ids := make([]types.ColumnID, len(snap.schema.Columns))
	for i := range ids {
		ids[i] = snap.schema.Columns[i].ID
	}
	cols, err := snap.decodeColumns(g, cur.vector, 0, g.VectorRows(cur.vector), ids, cur.vectorOf)
	if err != nil {
		return err
	}
	versions, err := cur.c.in[cur.in].r.versionsOf(g, cur.vector)
	if err != nil {
		return err
	}
	cur.cols, cur.versions = cols, versions
	cur.keys = vec.EncodeKeys(&vec.Batch{Cols: cols, N: len(versions)}, snap.schema.KeyIndexes())
	return nil
}
