package plan

import (
	"slices"

	"stele/sql/errno"
	sqltypes "stele/sql/types"
)

// MaxWarnings is how many warnings of a statement are kept; the others are counted.
const MaxWarnings = 64

// What is wrong with a line of LOAD DATA; warning.text names the line.
var fewFields, manyFields = &Error{Code: errno.TooFewFields}, &Error{Code: errno.TooManyFields}

// Warnings are what a statement has done otherwise than its text says: values that were bent to fit their columns, rows that were
// left out. The first of them are kept and all are counted.
type Warnings struct {
	Count int
	kept  []warning
}

// warning is one of them; what it says of its column and row is put together where it is read, because a LOAD DATA learns late which
// row of the file the first one of a piece is.
type warning struct {
	what   *Error
	column string
	row    int // from 1, 0 = it is of none
}

// add keeps the warnings of the first rows: those of many rows come column by column.
func (w *Warnings) add(what *Error, column string, row int) {
	w.Count++
	at := len(w.kept)
	for row > 0 && at > 0 && w.kept[at-1].row > row {
		at--
	}
	x := warning{what, column, row}
	switch {
	case at < len(w.kept): // a copy: who has to take warnings back has kept the others
		w.kept = slices.Concat(w.kept[:at], []warning{x}, w.kept[at:min(len(w.kept), MaxWarnings-1)])
	case at < MaxWarnings:
		w.kept = append(w.kept, x)
	}
}

// violations adds those of rows that do not meet a condition.
func (w *Warnings) violations(failed []*Error) {
	for _, e := range failed {
		w.add(e, "", 0)
	}
}

// Append adds those of a later part of the statement, whose rows were counted from the one after rowsBefore.
func (w *Warnings) Append(later *Warnings, rowsBefore int) {
	w.Count += later.Count
	for _, x := range later.kept[:min(len(later.kept), MaxWarnings-len(w.kept))] {
		if x.row > 0 {
			x.row += rowsBefore
		}
		w.kept = append(w.kept, x)
	}
}

// Kept returns the first warnings, in the order of the rows.
func (w *Warnings) Kept() []*Error {
	slices.SortStableFunc(w.kept, func(a, b warning) int { return a.row - b.row })
	out := make([]*Error, len(w.kept))
	for i := range w.kept {
		out[i] = w.kept[i].text()
	}
	return out
}

func (w *warning) text() *Error {
	switch w.what.Code {
	case errno.TooFewFields:
		return errorf(errno.TooFewFields, "Row %d doesn't contain data for all columns", w.row)
	case errno.TooManyFields:
		return errorf(errno.TooManyFields, "Row %d was truncated; it contained more data than there were input columns", w.row)
	}
	if w.column == "" {
		return w.what
	}
	out, _ := sqltypes.AsError(sqltypes.WithColumn(w.what, w.column, w.row))
	return out
}
