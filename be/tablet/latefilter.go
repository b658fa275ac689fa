package tablet

import (
	"slices"

	"stele/meta/types"
	"stele/sql/rowset"
	"stele/sql/vec"
)

// Filter is what rows of a scan have to pass, as far as it helps the scan to read less: rows that fail may still be returned.
type Filter struct {
	Columns []int // that it looks at, by their places in the columns of the scan
	// Keep returns which rows of a batch pass, of which it has only those columns. After an error they are all returned: whoever wants them
	// asks again, and perhaps not all of them are wanted.
	Keep func(*vec.Batch) ([]int32, error)
	// Steps, when set, returns the conditions that Keep makes of all, in the order in which they are best asked: the columns of each are
	// read for the rows alone that those before it have left.
	Steps func() ([]Step, error)
}

// Step is one of the conditions of a filter that must all hold.
type Step struct {
	Columns []int                             // that it looks at
	Keep    func(*vec.Batch) ([]int32, error) // as that of a Filter; the batch has also the columns of the steps before it
}

const (
	// latePicked is up to how many rows of a vector the other columns are read for alone: where texts lie in blocks, those of the others
	// need not be decompressed. Numbers of more than plainPicked rows are decoded all at once, which costs less than to copy some.
	latePicked  = 64
	plainPicked = 3
	// latePart is of how many rows of a vector more than one passes when the next lateSkipped vectors are read whole.
	latePart    = 8
	lateSkipped = 31
)

// late is how a scan reads columns after its filter.
type late struct {
	*Filter
	steps []Step // once they were asked for
	most  int    // up to how many rows the columns that it does not look at are read for alone
	skip  int    // so many vectors
}

func (it *Iter) newLate(f *Filter) *late {
	if f == nil || len(f.Columns) == 0 || len(f.Columns) >= len(it.cols) && (f.Steps == nil || len(it.cols) < 2) {
		return nil
	}
	l := &late{Filter: f, most: plainPicked}
	for at, id := range it.cols {
		if !slices.Contains(f.Columns, at) && it.s.columnType(id).Phys() == types.PhysBytes {
			l.most = latePicked
		}
	}
	return l
}

// conditions returns the steps, of which there is one where nobody knows more.
func (l *late) conditions() ([]Step, error) {
	if l.steps == nil {
		l.steps = []Step{{Columns: l.Columns, Keep: l.Keep}}
		if l.Steps != nil {
			steps, err := l.Steps()
			if err != nil {
				return nil, err
			}
			l.steps = steps
		}
	}
	return l.steps, nil
}

// wanted reports whether the next vector is to be filtered before it is read.
func (l *late) wanted() bool {
	if l == nil {
		return false
	}
	if l.skip > 0 {
		l.skip--
		return false
	}
	return true
}

// decodeLate reads the rows [from, to) of vector i, of which sel are visible: step by step the columns of the filter, then, if any rows
// pass, the others; nil = none passes.
func (it *Iter) decodeLate(group *rowset.Group, i, from, to int, sel []int32) (*vec.Batch, error) {
	b := &vec.Batch{Cols: make([]*vec.Vector, len(it.cols)), N: to - from, Sel: sel}
	steps, err := it.late.conditions()
	if err != nil {
		return b, it.decodeRest(group, i, from, to, b)
	}
	visible := b.Rows()
	var kept []int32
	for k := range steps {
		if kept != nil {
			it.leave(b, kept)
		}
		for _, at := range steps[k].Columns {
			if err := it.decodeOne(group, i, from, to, b, at); err != nil {
				return nil, err
			}
		}
		if kept, err = steps[k].Keep(b); err != nil {
			return b, it.decodeRest(group, i, from, to, b)
		}
		if len(kept) == 0 {
			it.giveBack(b)
			return nil, nil
		}
	}
	if len(kept)*latePart > visible {
		it.late.skip = lateSkipped
	}
	if len(kept) <= it.late.most {
		return it.pickLate(group, i, from, b, kept)
	}
	it.leave(b, kept)
	return b, it.decodeRest(group, i, from, to, b)
}

// leave leaves some rows of a batch, so that nobody asks the filter about the others again.
func (it *Iter) leave(b *vec.Batch, kept []int32) {
	if b.Sel == nil {
		b.Sel = it.reused.selection(b.N)
	}
	b.Sel = append(b.Sel[:0], kept...)
}

// decodeRest reads the columns that have not been read.
func (it *Iter) decodeRest(group *rowset.Group, i, from, to int, b *vec.Batch) error {
	for at := range it.cols {
		if err := it.decodeOne(group, i, from, to, b, at); err != nil {
			return err
		}
	}
	return nil
}

// decodeOne reads a column, unless it has been read.
func (it *Iter) decodeOne(group *rowset.Group, i, from, to int, b *vec.Batch, at int) error {
	if b.Cols[at] != nil {
		return nil
	}
	v, err := it.s.decodeColumn(group, i, from, to, b.Sel, it.cols[at], func() *vec.Vector { return it.reused.vector(at) })
	if err != nil {
		return err
	}
	b.Cols[at] = v
	return nil
}

// pickLate makes a batch of a few rows of one in which the columns of the filter are.
func (it *Iter) pickLate(group *rowset.Group, i, from int, b *vec.Batch, kept []int32) (*vec.Batch, error) {
	rows := make([]int, len(kept))
	for k, row := range kept {
		rows[k] = i*vec.MaxRows + from + int(row)
	}
	out := &vec.Batch{Cols: make([]*vec.Vector, len(it.cols)), N: len(rows)}
	for at, id := range it.cols {
		if b.Cols[at] == nil {
			cols, err := it.s.pickColumns(group, rows, it.cols[at:at+1])
			if err != nil {
				return nil, err
			}
			out.Cols[at] = cols[0]
			continue
		}
		v := rowset.NewVector(it.s.columnType(id), len(rows))
		for _, row := range kept {
			rowset.AppendRow(v, b.Cols[at], int(row))
		}
		out.Cols[at] = v
	}
	it.giveBack(b)
	return out, nil
}

// giveBack has vectors that were decoded for nothing filled again.
func (it *Iter) giveBack(b *vec.Batch) {
	for at, v := range b.Cols {
		if v != nil {
			it.reused.give(at, v, len(b.Cols))
		}
	}
}
