package server

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/go-mysql-org/go-mysql/mysql"

	"stele/sql/vec"
)

// sessionTrackSchema marks the change of the default database in an OK packet.
const sessionTrackSchema = 0x01

// resultWriter implements ResultWriter for one command.
type resultWriter struct {
	ctx    context.Context // of the statement, which ends before the writer does
	c      *conn
	binary bool
	cols   []Column
	encode []encoder
	store  *rowStore // not nil: rows are kept for a cursor
	inRows bool      // Columns was called and Done was not
	done   bool      // the last result is complete
}

// results returns the writer of the connection for its next command.
func (c *conn) results(ctx context.Context, binaryRows bool) *resultWriter {
	c.result = resultWriter{ctx: ctx, c: c, binary: binaryRows, encode: c.result.encode[:0]}
	return &c.result
}

// MultiStatements implements ResultWriter.
func (w *resultWriter) MultiStatements() bool { return w.c.multi }

// Columns implements ResultWriter.
func (w *resultWriter) Columns(cols []Column) error {
	if w.inRows || w.done {
		return errors.New("BUG: Columns within a result or behind the last one")
	}
	if len(cols) == 0 {
		return errors.New("BUG: result set without columns")
	}
	w.cols, w.inRows = cols, true
	w.encode = appendEncoders(w.encode[:0], cols, w.binary)
	if w.store != nil {
		w.store.cols = cols
		return nil
	}
	return w.sendHead(0)
}

// sendHead sends the column count, the definitions and, where it is due, the EOF with the given status.
func (w *resultWriter) sendHead(status uint16) error {
	pw := &w.c.w
	pw.begin()
	pw.buf = appendLenInt(pw.buf, uint64(len(w.cols)))
	if err := pw.end(); err != nil {
		return err
	}
	for i := range w.cols {
		pw.begin()
		pw.buf = appendColumn(pw.buf, &w.cols[i])
		if err := pw.end(); err != nil {
			return err
		}
	}
	// Clients without the old EOF still get one when a cursor was opened: it is where they learn of it.
	if w.c.caps&mysql.CLIENT_DEPRECATE_EOF != 0 && status == 0 {
		return nil
	}
	return w.c.sendEOF(Result{}, status)
}

// Batch implements ResultWriter.
func (w *resultWriter) Batch(b *vec.Batch) error {
	if !w.inRows {
		return errors.New("BUG: rows without columns")
	}
	if len(b.Cols) != len(w.cols) {
		return fmt.Errorf("BUG: batch of %d columns in a result of %d", len(b.Cols), len(w.cols))
	}
	for i, v := range b.Cols {
		if v.Type.Phys() != w.encode[i].phys {
			return fmt.Errorf("BUG: column %d (%s) announced as %+v holds %+v", i, w.cols[i].Name, w.cols[i].Type, v.Type)
		}
	}
	if err := w.ctx.Err(); err != nil {
		return err
	}
	w.c.s.count.rows.Add(uint64(b.Rows()))
	for k := range b.Rows() {
		i := k
		if b.Sel != nil {
			i = int(b.Sel[k])
		}
		if err := w.row(b, i); err != nil {
			return err
		}
	}
	return nil
}

// row encodes row i straight into the output.
func (w *resultWriter) row(b *vec.Batch, i int) error {
	pw := &w.c.w
	pw.begin()
	if w.binary {
		pw.buf = appendBinaryRow(pw.buf, w.encode, b.Cols, i)
	} else {
		pw.buf = appendTextRow(pw.buf, w.encode, b.Cols, i)
	}
	if w.store == nil {
		return pw.end()
	}
	row := pw.buf[pw.start+4:]
	fits := w.store.add(row)
	if fits {
		pw.cancel()
		return nil
	}
	row = append([]byte(nil), row...)
	pw.cancel()
	return w.spill(row)
}

// spill gives up the cursor: the rows kept so far and row are sent, and later ones follow at once.
func (w *resultWriter) spill(row []byte) error {
	store := w.store
	w.store = nil
	if err := w.sendHead(0); err != nil {
		return err
	}
	for r, ok := store.next(); ok; r, ok = store.next() {
		if err := w.c.sendRaw(r); err != nil {
			return err
		}
	}
	return w.c.sendRaw(row)
}

// Done implements ResultWriter.
func (w *resultWriter) Done(r Result) error {
	if w.done {
		return errors.New("BUG: Done behind the last result")
	}
	w.done = !r.More
	if !w.inRows {
		return w.c.sendOK(r)
	}
	w.inRows = false
	if w.store != nil {
		w.store.result, w.store.open = r, true
		return w.sendHead(mysql.SERVER_STATUS_CURSOR_EXISTS)
	}
	return w.c.sendEOF(r, 0)
}

// finished checks that the engine has completed the answer.
func (w *resultWriter) finished() error {
	if !w.done {
		return errors.New("BUG: statement returned without a complete result")
	}
	return nil
}

func (c *conn) sendRaw(payload []byte) error {
	c.w.begin()
	c.w.buf = append(c.w.buf, payload...)
	return c.w.end()
}

func (c *conn) status(r *Result, extra uint16) uint16 {
	st := c.sess.Status() | extra
	if r.More {
		st |= mysql.SERVER_MORE_RESULTS_EXISTS
	}
	return st
}

// sendOK ends a statement without a result set.
func (c *conn) sendOK(r Result) error { return c.sendOKAs(mysql.OK_HEADER, r, 0) }

// sendEOF ends a result set or a list of definitions: with an OK packet in disguise for clients that know it.
func (c *conn) sendEOF(r Result, status uint16) error {
	if c.caps&mysql.CLIENT_DEPRECATE_EOF != 0 {
		return c.sendOKAs(mysql.EOF_HEADER, r, status)
	}
	c.w.begin()
	b := binary.LittleEndian.AppendUint16(append(c.w.buf, mysql.EOF_HEADER), r.Warnings)
	c.w.buf = binary.LittleEndian.AppendUint16(b, c.status(&r, status))
	return c.w.end()
}

func (c *conn) sendOKAs(header byte, r Result, extra uint16) error {
	changed := r.Schema != "" && r.Schema != c.schema
	if changed {
		c.schema = r.Schema
		c.mu.Lock()
		c.info.DB = r.Schema
		c.mu.Unlock()
	}
	track := changed && c.caps&mysql.CLIENT_SESSION_TRACK != 0
	st := c.status(&r, extra)
	if track {
		st |= mysql.SERVER_SESSION_STATE_CHANGED
	}
	c.w.begin()
	b := append(c.w.buf, header)
	b = appendLenInt(appendLenInt(b, r.AffectedRows), r.LastInsertID)
	b = binary.LittleEndian.AppendUint16(b, st)
	b = binary.LittleEndian.AppendUint16(b, r.Warnings)
	if r.Info != "" || track {
		b = appendLenBytes(b, r.Info)
	}
	if track {
		state := appendLenBytes(nil, r.Schema)
		state = append([]byte{sessionTrackSchema}, appendLenBytes(nil, state)...)
		b = appendLenBytes(b, state)
	}
	c.w.buf = b
	return c.w.end()
}

// sendError answers with an error packet.
func (c *conn) sendError(err error) error { return c.sendErrorOf(context.Background(), err) }

func (c *conn) sendErrorOf(ctx context.Context, err error) error {
	c.w.cancel() // a row may have been half encoded
	return c.sendRaw(errorPayload(explain(ctx, err)))
}
