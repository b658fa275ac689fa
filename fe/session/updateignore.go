package session

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"stele/fe/server"
	"stele/sql/plan"
)

// codeDuplicate is the number of the error of a key that is there already.
const codeDuplicate = 1062

// runEach is run for UPDATE IGNORE of key columns, and UPDATE and DELETE IGNORE where foreign keys are to be kept: each row is written by
// itself, and one that meets a key, refers to nothing or is referred to stays as it is, with a warning. A refused write is undone by writing what came before it again, which is dear; but such updates are few and small.
func (m *modifier) runEach(ctx context.Context) error {
	m.t.Keep()
	for {
		b, err := m.source.Next(ctx)
		if err != nil || b == nil {
			return err
		}
		b = b.Compact()
		for i := range b.N {
			mark, matched, changed := m.t.Mark(), m.matched, m.changed
			if err := m.take(gather(b, []int32{int32(i)})); err != nil {
				return err
			}
			err := m.flush(ctx)
			var known server.MySQLError
			if err == nil || !errors.As(err, &known) {
				if err != nil {
					return err
				}
				continue
			}
			code, _, msg := known.MySQL()
			if !slices.Contains([]uint16{codeDuplicate, plan.CodeNoReferencedRow, codeHasChild}, code) {
				return err
			}
			if rerr := m.t.RollbackTo(ctx, mark); rerr != nil {
				return fmt.Errorf("go back behind a row that is left out (%s): %w", msg, rerr) // which is the error: all is undone
			}
			m.refs.forget()
			if m.changed = changed; len(m.plan.Assign) == 0 {
				m.matched = matched
			}
			m.s.warn("Warning", code, msg)
		}
	}
}
