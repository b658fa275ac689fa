package session

import (
	"stele/sql/plan"
	"stele/sql/vec"
)

// drawn are the AUTO_INCREMENT values that a statement has drawn and that a row may have come in with. The first of them is what
// LAST_INSERT_ID() returns: the first row that IGNORE leaves out, or that ON DUPLICATE KEY UPDATE makes an update, gives it up to the next.
type drawn struct {
	runs []run
}

// run are values that follow one another.
type run struct{ first, n uint64 }

// add notes values that were drawn.
func (d *drawn) add(first, n uint64) {
	if last := len(d.runs) - 1; last >= 0 && d.runs[last].first+d.runs[last].n == first {
		d.runs[last].n += n
		return
	}
	d.runs = append(d.runs, run{first: first, n: n})
}

// first is the first value that has not been given up, 0 = there is none.
func (d *drawn) first() uint64 {
	if len(d.runs) == 0 {
		return 0
	}
	return d.runs[0].first
}

// giveUp is told of each row, in their order, that has not been inserted.
func (d *drawn) giveUp(value uint64) {
	if len(d.runs) == 0 || d.runs[0].first != value {
		return
	}
	d.runs[0].first++
	if d.runs[0].n--; d.runs[0].n == 0 {
		d.runs = d.runs[1:]
	}
}

// passOver is told of rows that were not inserted.
func (i *inserter) passOver(rows *vec.Batch, which ...int32) {
	at := i.plan.AutoIncrement
	if at < 0 {
		return
	}
	for _, row := range which {
		i.drawn.giveUp(uint64(rows.Cols[at].I64[row]))
	}
}

// tell keeps the number of a row that ON DUPLICATE KEY UPDATE has changed: the client hears of the last if no row was inserted.
func (i *inserter) tell(row *vec.Batch) {
	if at := i.plan.AutoIncrement; at >= 0 {
		i.lastID = uint64(row.Cols[at].I64[0])
	}
}

// toldID is the value of LAST_INSERT_ID(x) that a statement has assigned last, nil = none.
type toldID struct{ value *uint64 }

// hear looks for it among the rows that assignments have made.
func (t *toldID) hear(list []plan.Assign, next *vec.Batch) {
	for _, a := range list {
		if last := next.N - 1; a.Tells && last >= 0 && !next.Cols[a.Column].IsNull(last) {
			told := uint64(next.Cols[a.Column].I64[last])
			t.value = &told
		}
	}
}

// or is the value, or another one if there is none.
func (t *toldID) or(other uint64) uint64 {
	if t.value == nil {
		return other
	}
	return *t.value
}
