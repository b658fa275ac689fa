package rowset

import (
	"fmt"
	"sync"

	"stele/sql/vec"
)

// fewPicked rows of a vector are read one by one. A row of a text costs what the block around it does, and a vector has four blocks: of
// more rows the whole vector is cheaper, and it is not decoded twice.
const fewPicked = 4

// pickedPool keeps the vectors that AppendRows decodes; it copies what it needs of them.
var pickedPool = sync.Pool{New: func() any { return new(vec.Vector) }}

// AppendRows appends some rows of column c, in ascending order, to dst, which has the column's physical type.
func (g *Group) AppendRows(dst *vec.Vector, c int, rows []int) error {
	if columnType(g.dir[c*columnEntry:]).Phys() != dst.Type.Phys() {
		return fmt.Errorf("stored in another form: %w", ErrCorrupt)
	}
	one := g.NewRowReader(c)
	for len(rows) > 0 {
		i, n := rows[0]/vec.MaxRows, 1
		for n < len(rows) && rows[n]/vec.MaxRows == i {
			n++
		}
		if err := g.appendOf(dst, one, i, rows[:n]); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// appendOf appends rows of vector i.
func (g *Group) appendOf(dst *vec.Vector, one *RowReader, i int, rows []int) error {
	if len(rows) < fewPicked {
		for _, row := range rows {
			if err := one.Append(dst, row); err != nil {
				return err
			}
		}
		return nil
	}
	v := pickedPool.Get().(*vec.Vector)
	defer func() {
		if cap(v.Data) <= maxScratchBlock {
			pickedPool.Put(v)
		}
	}()
	if err := g.DecodeInto(v, one.c, i); err != nil {
		return err
	}
	for len(rows) > 0 { // runs of rows are copied at once
		from, n := rows[0]%vec.MaxRows, 1
		for n < len(rows) && rows[n] == rows[0]+n {
			n++
		}
		if n == 1 {
			AppendRow(dst, v, from)
		} else {
			AppendRange(dst, v, from, from+n)
		}
		rows = rows[n:]
	}
	return nil
}
