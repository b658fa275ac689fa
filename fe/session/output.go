package session

import (
	"context"

	"stele/fe/server"
	"stele/sql/exec"
	"stele/sql/physical"
	"stele/sql/vec"
)

// output sends the result of one statement of a text.
type output struct {
	s    *Session
	w    server.ResultWriter
	more bool
	rows bool // a result set was announced
}

// output is where a statement of this session answers.
func (s *Session) output(w server.ResultWriter) *output {
	return &output{s: s, w: w}
}

// done ends a statement.
func (o *output) done(r server.Result) error {
	r.More = o.more
	o.s.affected = int64(r.AffectedRows) // what ROW_COUNT() tells the next statement
	if o.rows {
		o.s.affected = -1
	}
	return o.w.Done(r)
}

// ok ends a statement that has nothing to tell.
func (o *output) ok() error { return o.done(server.Result{}) }

// warned ends a statement that has nothing to tell but warnings.
func (o *output) warned(n uint16) error { return o.done(server.Result{Warnings: n}) }

// columns announces a result set.
func (o *output) columns(schema []physical.OutColumn) error {
	return o.head(serverColumns(schema, o.s.vars.Zone()))
}

// head announces a result set of columns as the client sees them.
func (o *output) head(columns []server.Column) error {
	o.rows = true
	return o.w.Columns(columns)
}

// stream sends a result set as it comes and returns how many rows there were.
func (o *output) stream(ctx context.Context, schema []physical.OutColumn, rows exec.Stream, warnings uint16) (int64, error) {
	if err := o.columns(schema); err != nil {
		return 0, err
	}
	return o.rest(ctx, rows, warnings)
}

// rest is stream behind the columns.
func (o *output) rest(ctx context.Context, rows exec.Stream, warnings uint16) (int64, error) {
	var n int64
	for {
		b, err := rows.Next(ctx)
		if err != nil {
			return n, err
		}
		if b == nil {
			return n, o.done(server.Result{Warnings: warnings})
		}
		n += int64(b.Rows())
		if err := o.w.Batch(b); err != nil {
			return n, err
		}
	}
}

// batches is a stream over batches that are there already.
type batches struct{ left []*vec.Batch }

// Next returns the next batch.
func (s *batches) Next(context.Context) (*vec.Batch, error) {
	if len(s.left) == 0 {
		return nil, nil
	}
	b := s.left[0]
	s.left = s.left[1:]
	return b, nil
}

// Close does nothing.
func (s *batches) Close() {}
