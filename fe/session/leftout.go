package session

import (
	"context"
	"errors"
	"fmt"

	"stele/fe/server"
	"stele/fe/stmt"
	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/plan"
	"stele/sql/vec"
)

// namedRows is how many rows INSERT IGNORE names for whose keys nothing had to be asked to write them.
const namedRows = 1024

// leftOut are the rows that INSERT IGNORE has not inserted, as the errors that they would have been: the first of them, and how many
// are known by name.
type leftOut struct {
	first []stmt.Warning
	named int64
}

func (l *leftOut) add(err error) {
	l.named++
	var known server.MySQLError
	if errors.As(err, &known) && len(l.first) < plan.MaxWarnings {
		code, _, msg := known.MySQL()
		l.first = append(l.first, stmt.Warning{Level: "Warning", Code: code, Message: msg})
	}
}

// leave notes a row that meets another by a key.
func (i *inserter) leave(rows *vec.Batch, row, key int) {
	i.passOver(rows, int32(row))
	if len(i.leftOut.first) < plan.MaxWarnings {
		i.leftOut.add(i.duplicate(rows, row, key))
	} else {
		i.leftOut.named++
	}
}

// sendIgnoring inserts rows of a table without further keys, of which leaders leave out those that are there. They only say how many
// that were: which, is asked for afterwards in the snapshot, or worked out before in a transaction, whose reads see what it writes.
func (i *inserter) sendIgnoring(ctx context.Context, rows *vec.Batch) error {
	names := !i.ahead && rows.N <= namedRows && !i.plan.Table.Schema.HasRowID()
	if names && rows.N > 1 && i.readsOwn() {
		return i.meet(ctx, rows)
	}
	before := i.counts.Ignored
	if err := i.send(ctx, rows, types.OpInsertIgnore); err != nil || !names || i.counts.Ignored == before {
		return err
	}
	if rows.N == 1 {
		i.leave(rows, 0, 0)
		return nil
	}
	keys, err := i.askKeys(ctx, rows, false)
	if err == nil {
		keys.unmet(&keysSeen{}, func(row, key int) { i.leave(rows, row, key) })
	}
	return nil // the rows are written, whether they have names or not
}

// warnLeftOut tells of the rows that were left out.
func (i *inserter) warnLeftOut() {
	l := &i.leftOut
	i.s.warnRows(&i.misplaced)
	for _, w := range l.first {
		i.s.warn(w.Level, w.Code, w.Message)
	}
	i.s.warnings.count += int(l.named) - len(l.first)
	if n := i.counts.Ignored - l.named - int64(i.misplaced.Count); n > 0 { // among many rows, or their keys came after the statement had begun
		i.s.warn("Warning", errno.DuplicateEntry, fmt.Sprintf("%d of %d rows left out: rows with their keys exist", n, i.rows))
	}
}
