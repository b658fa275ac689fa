package tablet

import (
	"context"

	"stele/sql/rowset"
	"stele/sql/vec"
)

// AddUp adds the rows that come next to totals, one of each column of the scan, as far as whole vectors can be added up without
// being decoded, and returns how many that were. Rows that must be looked at one by one it returns as a batch, as Next does:
// those of memtables, those beside deleted ones, columns of other types. No batch is the end.
func (it *Iter) AddUp(ctx context.Context, totals []vec.Total) (rows int64, b *vec.Batch, err error) {
	if it.left < 0 {
		it.adding = &adding{sums: totals, part: make([]vec.Total, len(totals))}
		defer func() { it.adding = nil }()
	}
	if b, err = it.Next(ctx); it.adding != nil {
		rows = it.adding.rows
	}
	return rows, b, err
}

// adding is what a scan adds up. What it finds in a row group counts when that was read without an error.
type adding struct {
	sums, part     []vec.Total
	rows, partRows int64
}

func (a *adding) begin() {
	if a != nil {
		clear(a.part)
		a.partRows = 0
	}
}

func (a *adding) keep() {
	if a == nil {
		return
	}
	for i := range a.part {
		a.sums[i].Add(a.part[i])
	}
	a.rows += a.partRows
}

// addVector adds up vector i of a row group, all of whose rows count; false when that takes decoding it.
func (it *Iter) addVector(group *rowset.Group, i int) (bool, error) {
	a := it.adding
	var few [8]vec.Total
	found := few[:0]
	for _, id := range it.cols {
		c := group.Column(id)
		if c < 0 {
			return false, nil
		}
		t, ok, err := group.Total(c, i, it.s.columnType(id))
		if err != nil || !ok {
			return false, err
		}
		found = append(found, t)
	}
	for at, t := range found {
		a.part[at].Add(t)
	}
	a.partRows += int64(group.VectorRows(i))
	return true, nil
}
