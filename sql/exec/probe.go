package exec

import (
	"context"
	"fmt"

	"stele/meta/types"
	"stele/sql/physical"
	"stele/sql/vec"
)

// probe runs the left side of a join against its table, a left batch at a time: it walks the candidates of each left
// row, checks them in pieces of vec.MaxRows pairs, and at the end of the batch knows which rows found a match.
type probe struct {
	join   *joinOp
	left   Stream
	flags  *leftFlags // what other blocks of the right side found, or nil
	table  *buildTable
	pairs  bool // matched pairs are output
	outs   []types.ColumnType
	batch  *vec.Batch    // the left batch in hand, nil = take another
	keys   []*vec.Vector // dense, as ids, match and maybe: position k is the row rows[k]
	ids    []int32       // key of each row, -1 = none
	rows   []int32
	row    int   // index into rows
	cand   int32 // next candidate of that row, -1 = none left
	end    int32 // of the candidates by key
	match  []bool
	maybe  []bool // JoinAntiNull: the answer is unknown
	second bool   // JoinAntiNull: walking the rows with NULLs
	piece  int    // pairs checked at once
	lrows  []int32
	rrefs  []rowRef
	// pending is the left rows of the last batch that found no match, when matches had to go first.
	pending *vec.Batch
}

func newProbe(j *joinOp, left Stream) *probe {
	p := &probe{join: j, left: left, table: j.table, pairs: yieldsPairs(j.spec.Kind)}
	if !j.table.ready {
		j.table.group()
	}
	p.outs = append([]types.ColumnType(nil), j.rightTypes...)
	if j.spec.Kind != physical.JoinInner {
		for i := range p.outs {
			p.outs[i].NotNull = false
		}
	}
	return p
}

func (p *probe) next(ctx context.Context) (*vec.Batch, error) {
	kind := p.join.spec.Kind
	if p.table.rows.n == 0 && (kind == physical.JoinInner || kind == physical.JoinSemi) {
		return nil, nil // the left side need not be read at all
	}
	if b := p.pending; b != nil {
		p.pending = nil
		return b, nil
	}
	for {
		if p.batch == nil {
			if err := p.takeBatch(ctx); err != nil || p.batch == nil {
				return nil, err
			}
		}
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		more := p.collect()
		out, err := p.check()
		if err != nil {
			return nil, err
		}
		if !more {
			out = p.endBatch(out)
		}
		if out != nil && out.Rows() > 0 {
			return out, nil
		}
	}
}

// maxPieceBytes bounds the bytes that one piece of pairs can copy, below what 32-bit offsets reach: a join may repeat a
// wide row any number of times.
const maxPieceBytes = 3 << 30

func (p *probe) takeBatch(ctx context.Context) error {
	j := p.join
	b, err := nextBatch(ctx, p.left)
	if err != nil || b == nil {
		return err
	}
	if err := checkColumns(b, j.leftTypes); err != nil {
		return fmt.Errorf("join, left side: %w", err)
	}
	if p.keys, err = j.keysL.eval(b); err != nil {
		return err
	}
	p.piece = int(min(max(maxPieceBytes/(p.table.widest+batchBytes(b)), 1), vec.MaxRows))
	p.batch, p.rows, p.row, p.second = b, rowsOf(b), 0, false
	p.match = growTo(p.match[:0], len(p.rows))
	p.maybe = growTo(p.maybe[:0], len(p.rows))
	clear(p.match)
	clear(p.maybe)
	p.flags.load(p.match, p.maybe)
	if p.table.keys != nil {
		p.ids = growTo(p.ids[:0], len(p.rows))
		p.table.keys.find(p.keys, denseRows(len(p.rows)), p.ids)
		for _, k := range p.keys {
			if k.Valid == nil {
				continue
			}
			for i := range p.rows {
				if k.IsNull(i) {
					p.ids[i] = -1
				}
			}
		}
	}
	p.start()
	return nil
}

// start finds the first candidate of the row at p.row.
func (p *probe) start() {
	p.cand = -1
	switch {
	case p.row >= len(p.rows):
	case p.table.keys == nil:
		if p.table.rows.n > 0 {
			p.cand = 0
		}
	case p.second:
		p.startUnknown()
	case p.ids[p.row] >= 0:
		p.cand, p.end = p.table.span(p.ids[p.row])
	}
}

// startUnknown begins the rows with which NOT IN can be unknown: those with a NULL key, or all of them for a left row
// with one. The candidates are then positions in nulls, or row numbers.
func (p *probe) startUnknown() {
	if p.match[p.row] {
		return
	}
	if p.leftNull() && p.table.rows.n > 0 || len(p.table.nulls) > 0 {
		p.cand = 0
	}
}

func (p *probe) leftNull() bool {
	for _, k := range p.keys {
		if k.IsNull(p.row) {
			return true
		}
	}
	return false
}

// advance returns the row number of the candidate in hand and moves to the next.
func (p *probe) advance() int32 {
	c := p.cand
	switch {
	case p.table.keys == nil:
		if p.cand++; int(p.cand) == p.table.rows.n {
			p.cand = -1
		}
	case p.second && p.leftNull():
		if p.cand++; int(p.cand) == p.table.rows.n {
			p.cand = -1
		}
	case p.second:
		c = p.table.nulls[c]
		if p.cand++; int(p.cand) == len(p.table.nulls) {
			p.cand = -1
		}
	}
	return c
}

// collect gathers pairs until a piece is full (true) or the batch is through (false).
func (p *probe) collect() bool {
	p.lrows, p.rrefs = p.lrows[:0], p.rrefs[:0]
	switch {
	case p.table.keys == nil || p.second:
	case p.table.start == nil:
		return p.collectByUniqueKey()
	default:
		return p.collectByKey()
	}
	for p.row < len(p.rows) {
		if !p.pairs && !p.second && p.match[p.row] { // an earlier piece decided
			p.cand = -1
		}
		for p.cand >= 0 {
			if len(p.lrows) == p.piece {
				return true
			}
			r := p.advance()
			if p.second && !p.unknownPair(r) {
				continue
			}
			p.lrows = append(p.lrows, int32(p.row))
			p.rrefs = append(p.rrefs, p.table.all[r])
			if !p.pairs && p.join.on == nil { // one match decides
				p.cand = -1
			}
		}
		p.row++
		p.start()
	}
	return false
}

// collectByKey is collect of the rows with a key, which are as a rule by far the most: nothing is called in its loop.
func (p *probe) collectByKey() bool {
	t, row, cand, end, lrows, rrefs := p.table, p.row, p.cand, p.end, p.lrows, p.rrefs
	one := !p.pairs && p.join.on == nil // one match decides
	for row < len(p.rows) {
		if cand >= 0 && (p.pairs || !p.match[row]) { // unless an earlier piece decided
			if one {
				end = cand + 1
			}
			n := min(int(end-cand), p.piece-len(lrows))
			for _, ref := range t.byKey[cand : cand+int32(n)] {
				lrows, rrefs = append(lrows, int32(row)), append(rrefs, ref)
			}
			if cand += int32(n); cand < end {
				p.row, p.cand, p.end, p.lrows, p.rrefs = row, cand, end, lrows, rrefs
				return true
			}
		}
		cand = -1
		if row++; row < len(p.rows) && p.ids[row] >= 0 {
			cand, end = t.start[p.ids[row]], t.start[p.ids[row]+1]
		}
	}
	p.row, p.cand, p.lrows, p.rrefs = row, cand, lrows, rrefs
	return false
}

// collectByUniqueKey is collectByKey where no key has two rows: as a rule one side of a join refers to a key of the other.
func (p *probe) collectByUniqueKey() bool {
	row, lrows, rrefs, byKey := p.row, p.lrows, p.rrefs, p.table.byKey
	for ; row < len(p.rows) && len(lrows) < p.piece; row++ {
		if id := p.ids[row]; id >= 0 && (p.pairs || !p.match[row]) {
			lrows, rrefs = append(lrows, int32(row)), append(rrefs, byKey[id])
		}
	}
	p.row, p.lrows, p.rrefs = row, lrows, rrefs
	return row < len(p.rows)
}

// unknownPair reports whether no key pair of the left row and right row r differs for certain.
func (p *probe) unknownPair(r int32) bool {
	ref := p.table.all[r]
	for i, l := range p.keys {
		right := p.table.vals[ref.chunk()][i]
		if l.IsNull(p.row) || right.IsNull(ref.row()) {
			continue
		}
		if string(appendRaw(nil, l, p.row)) != string(appendRaw(nil, right, ref.row())) {
			return false
		}
	}
	return true
}

// check applies On to the pairs collected, marks what matched, and returns the pairs when they are output.
func (p *probe) check() (*vec.Batch, error) {
	if len(p.lrows) == 0 {
		return nil, nil
	}
	sel := denseRows(len(p.lrows))
	var cols []*vec.Vector
	if p.join.on != nil {
		var err error
		cols = p.gather(p.join.asked, nil)
		if sel, err = p.filter(&vec.Batch{Cols: cols, N: len(p.lrows)}); err != nil {
			return nil, err
		}
	}
	for _, i := range sel {
		row := p.lrows[i]
		if p.second {
			p.maybe[row] = true
			continue
		}
		if p.match[row] && p.join.spec.Kind == physical.JoinScalar {
			return nil, errSubqueryRows()
		}
		p.match[row] = true
	}
	if !p.pairs || len(sel) == 0 {
		return nil, nil
	}
	if len(sel) < len(p.lrows) {
		p.pick(sel)
		cols = nil
	}
	return p.output(p.gather(p.join.kept, cols), len(sel)), nil
}

// pick leaves only some of the pairs, given by ascending positions.
func (p *probe) pick(sel []int32) {
	for i, s := range sel {
		p.lrows[i], p.rrefs[i] = p.lrows[s], p.rrefs[s]
	}
	p.lrows, p.rrefs = p.lrows[:len(sel)], p.rrefs[:len(sel)]
}

// filter evaluates On. Without keys it also marks the left rows for which JoinAntiNull is unknown.
func (p *probe) filter(joined *vec.Batch) ([]int32, error) {
	if p.join.spec.Kind != physical.JoinAntiNull || p.table.keys != nil {
		return p.join.on.EvalFilter(joined)
	}
	v, err := p.join.on.Eval(joined)
	if err != nil {
		return nil, err
	}
	for i := range joined.N {
		if v.IsNull(i) {
			p.maybe[p.lrows[i]] = true
		}
	}
	return p.join.on.EvalFilter(joined)
}

// gather copies some columns of the pairs, unless they are there, and returns those of both sides: nil for one that was not asked for.
func (p *probe) gather(which pairColumns, cols []*vec.Vector) []*vec.Vector {
	width := len(p.join.leftTypes)
	if cols == nil {
		cols = make([]*vec.Vector, width+len(p.outs))
	}
	if p.eachOnce() {
		for _, c := range which.left {
			cols[c] = p.batch.Cols[c]
		}
	} else if len(which.left) > 0 {
		lrows := make([]int32, len(p.lrows))
		for i, k := range p.lrows {
			lrows[i] = p.rows[k]
		}
		for _, c := range which.left {
			if cols[c] == nil {
				cols[c] = p.batch.Cols[c].Gather(lrows)
			}
		}
	}
	for _, c := range which.right {
		if cols[width+c] == nil {
			cols[width+c] = p.table.rows.gatherColumn(p.outs[c], c, p.rrefs)
		}
	}
	return cols
}

// output is a batch of the columns that come out, of those of both sides.
func (p *probe) output(cols []*vec.Vector, rows int) *vec.Batch {
	kept, width := p.join.kept, len(p.join.leftTypes)
	out := &vec.Batch{N: rows, Cols: make([]*vec.Vector, 0, len(kept.left)+len(kept.right))}
	for _, c := range kept.left {
		out.Cols = append(out.Cols, cols[c])
	}
	for _, c := range kept.right {
		out.Cols = append(out.Cols, cols[width+c])
	}
	return out
}

// eachOnce reports whether the pairs have each row of the left batch once, and in its order: they do as a rule where rows that match nothing
// were left out by the scan, and the others refer to a key.
func (p *probe) eachOnce() bool {
	if p.batch.Sel != nil || len(p.lrows) != p.batch.N {
		return false
	}
	for i, k := range p.lrows {
		if int(k) != i {
			return false
		}
	}
	return true
}

// endBatch returns what a left batch yields when all its candidates are known, after out.
func (p *probe) endBatch(out *vec.Batch) *vec.Batch {
	kind := p.join.spec.Kind
	if kind == physical.JoinAntiNull && !p.second && p.table.keys != nil {
		p.row, p.second = 0, true
		p.start()
		return out
	}
	if p.flags != nil {
		p.flags.store(p.match, p.maybe)
		p.batch = nil
		return out
	}
	rest := p.unmatched()
	p.batch = nil
	if rest == nil {
		return out
	}
	if out == nil || out.Rows() == 0 {
		return rest
	}
	p.pending = rest
	return out
}

// unmatched returns what the rows of the left batch themselves yield, by what they found: nil, those rows, or those
// rows with NULLs for the right side.
func (p *probe) unmatched() *vec.Batch {
	kind := p.join.spec.Kind
	if kind == physical.JoinInner {
		return nil
	}
	var sel []int32
	for i, r := range p.rows {
		if p.match[i] == (kind == physical.JoinSemi) && !p.maybe[i] {
			sel = append(sel, r)
		}
	}
	switch {
	case len(sel) == 0:
		return nil
	case !p.pairs:
		out := p.output(p.batch.Cols, p.batch.N)
		out.Sel = p.batch.Sel
		return selectRows(out, sel)
	}
	cols := make([]*vec.Vector, len(p.join.leftTypes)+len(p.outs))
	for _, c := range p.join.kept.left {
		cols[c] = p.batch.Cols[c].Gather(sel)
	}
	for _, c := range p.join.kept.right {
		cols[len(p.join.leftTypes)+c] = vec.NewNull(p.outs[c], len(sel))
	}
	return p.output(cols, len(sel))
}
