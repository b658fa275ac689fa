package session

import (
	"context"
	"slices"

	"stele/fe/server"
	"stele/sql/errno"
	"stele/sql/parse"
	"stele/sql/plan"
	"stele/sql/vec"
)

// selectInto runs SELECT ... INTO @a, @b. As in MySQL the first row is kept even if a second one makes the statement fail, and
// without a row the variables stay as they are.
func (s *Session) selectInto(ctx context.Context, n *parse.IntoStmt, params []plan.Param, out *output) error {
	w := &varWriter{s: s, names: n.Vars}
	if err := s.query(ctx, n.StmtNode, params, s.output(w)); err != nil {
		return err
	}
	if w.rows == 0 {
		s.warn("Warning", errno.NoData, "No data - zero rows fetched, selected, or processed")
	}
	return out.done(server.Result{AffectedRows: uint64(w.rows), Warnings: s.warningCount()})
}

// varWriter keeps a row in user variables.
type varWriter struct {
	s     *Session
	names []string
	rows  int
}

// Columns compares their number with that of the variables.
func (w *varWriter) Columns(cols []server.Column) error {
	if len(cols) != len(w.names) {
		return sqlErr(errno.UnionColumns, "The used SELECT statements have a different number of columns")
	}
	return nil
}

// Batch keeps the first row and refuses a second one.
func (w *varWriter) Batch(b *vec.Batch) error {
	n := b.Rows()
	if n > 0 && w.rows == 0 {
		for i, name := range w.names {
			v := b.Cols[i].Value(int(b.Row(0)))
			v.B = slices.Clone(v.B)
			w.s.vars.SetUser(name, v, b.Cols[i].Type)
		}
	}
	if w.rows += n; w.rows > 1 {
		return sqlErr(errno.TooManyRows, "Result consisted of more than one row")
	}
	return nil
}

// Done ends the query, whose statement goes on.
func (w *varWriter) Done(server.Result) error { return nil }

// MultiStatements is for the client's own writer.
func (w *varWriter) MultiStatements() bool { return false }
