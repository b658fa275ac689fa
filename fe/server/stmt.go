package server

import (
	"context"
	"encoding/binary"

	"github.com/go-mysql-org/go-mysql/mysql"

	"stele/sql/errno"
)

// paramsMax is the most parameters that the protocol can count.
const paramsMax = 65535

// stmt is a prepared statement of a connection.
type stmt struct {
	id      uint32
	prep    Prepared
	sql     string // as the process list shows it
	params  int
	types   []paramType // as bound last; a client need not send them again
	long    map[int][]byte
	longErr error // of COM_STMT_SEND_LONG_DATA, which has no answer: told at the next execution
	rows    *rowStore
}

func (c *conn) prepare(ctx context.Context, sql string) error {
	if len(c.stmts) >= c.s.cfg.MaxStatements {
		return clientErrorf(errno.TooManyPrepared,
			"Can't create more than max_prepared_stmt_count statements (current value: %d)", c.s.cfg.MaxStatements)
	}
	p, err := c.sess.Prepare(ctx, sql)
	if err != nil {
		return err
	}
	params, cols := p.Params(), p.Columns()
	if params > paramsMax || len(cols) > paramsMax {
		p.Close()
		return clientErrorf(errno.TooManyParameters, "Prepared statement contains too many placeholders")
	}
	for c.lastStmt++; c.stmts[c.lastStmt] != nil || c.lastStmt == 0; c.lastStmt++ {
	}
	st := &stmt{id: c.lastStmt, prep: p, params: params, sql: shownSQL(sql)}
	c.stmts[st.id] = st
	c.s.count.prepared.Add(1)
	return c.sendPrepared(st, cols)
}

func (c *conn) sendPrepared(st *stmt, cols []Column) error {
	c.w.begin()
	b := binary.LittleEndian.AppendUint32(append(c.w.buf, mysql.OK_HEADER), st.id)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(cols)))
	b = binary.LittleEndian.AppendUint16(b, uint16(st.params))
	c.w.buf = append(b, 0, 0, 0) // filler, warnings
	if err := c.w.end(); err != nil {
		return err
	}
	if st.params > 0 {
		param := paramColumn
		if err := c.sendColumns(st.params, func(int) *Column { return &param }); err != nil {
			return err
		}
	}
	if len(cols) == 0 {
		return nil
	}
	return c.sendColumns(len(cols), func(i int) *Column { return &cols[i] })
}

// sendColumns sends column definitions with the EOF that follows them for older clients.
func (c *conn) sendColumns(n int, col func(int) *Column) error {
	for i := range n {
		c.w.begin()
		c.w.buf = appendColumn(c.w.buf, col(i))
		if err := c.w.end(); err != nil {
			return err
		}
	}
	if c.caps&mysql.CLIENT_DEPRECATE_EOF != 0 {
		return nil
	}
	return c.sendEOF(Result{}, 0)
}

// stmtOf finds the statement that a command names in its first four bytes.
func (c *conn) stmtOf(arg []byte, command string) (*stmt, []byte, error) {
	if len(arg) < 4 {
		return nil, nil, errMalformed
	}
	id := binary.LittleEndian.Uint32(arg)
	if st := c.stmts[id]; st != nil {
		return st, arg[4:], nil
	}
	return nil, nil, clientErrorf(errno.UnknownStatementHandler,
		"Unknown prepared statement handler (%d) given to %s", id, command)
}

// execute runs a prepared statement: flags, a count that is always 1, NULL bitmap, types, values.
func (c *conn) execute(ctx context.Context, arg []byte) error {
	st, rest, err := c.stmtOf(arg, "mysqld_stmt_execute")
	if err != nil {
		return err
	}
	cur := cursor{b: rest}
	wantCursor := cur.uint(1)&uint64(mysql.CURSOR_TYPE_READ_ONLY) != 0
	cur.take(4)
	args, err := st.bind(&cur)
	c.clearLong(st)
	if err != nil {
		return err
	}
	st.rows = nil
	c.mu.Lock()
	c.sql = st.sql
	c.mu.Unlock()
	w := c.results(ctx, true)
	if wantCursor {
		w.store = &rowStore{max: c.s.cfg.CursorBytes - c.cursorBytes()}
	}
	if err := st.prep.Execute(ctx, args, w); err != nil {
		return err
	}
	if err := w.finished(); err != nil {
		return err
	}
	if w.store != nil && w.store.open {
		st.rows = w.store
	}
	return nil
}

// cursorBytes is what the open cursors of the connection hold.
func (c *conn) cursorBytes() int {
	n := 0
	for _, st := range c.stmts {
		if st.rows != nil {
			n += len(st.rows.data)
		}
	}
	return n
}

// bind decodes the arguments of an execution.
func (st *stmt) bind(cur *cursor) ([]Param, error) {
	if st.params == 0 {
		return nil, nil
	}
	nulls := cur.take(uint64(st.params+7) / 8)
	if cur.uint(1) == 1 {
		raw := cur.take(2 * uint64(st.params))
		if cur.bad {
			return nil, errMalformed
		}
		st.types = make([]paramType, st.params)
		for i := range st.types {
			st.types[i] = paramType{code: raw[2*i], unsigned: raw[2*i+1]&mysql.PARAM_UNSIGNED != 0}
		}
	}
	if st.longErr != nil {
		return nil, st.longErr
	}
	if cur.bad || len(st.types) != st.params {
		return nil, errMalformed
	}
	args := make([]Param, st.params)
	for i := range args {
		if data, ok := st.long[i]; ok {
			args[i] = st.types[i].long(data)
			continue
		}
		if nulls[i/8]&(1<<(i%8)) != 0 {
			args[i] = Param{Null: true}
			continue
		}
		args[i] = st.types[i].decode(cur)
	}
	if cur.bad {
		return nil, errMalformed
	}
	return args, nil
}

// longData gathers a parameter that is sent in pieces. The command has no answer.
func (c *conn) longData(arg []byte) {
	st, rest, err := c.stmtOf(arg, "mysqld_stmt_send_long_data")
	if err != nil {
		return // nobody to tell
	}
	cur := cursor{b: rest}
	i := int(cur.uint(2))
	if cur.bad || i >= st.params {
		st.longErr = clientErrorf(errno.WrongArguments, "Incorrect arguments to mysqld_stmt_send_long_data")
		return
	}
	if c.longBytes+len(cur.b) > c.maxPacket {
		c.clearLong(st)
		st.longErr = clientErrorf(errno.PacketTooLarge,
			"Parameter of prepared statement which is set through mysql_send_long_data() is longer than 'max_allowed_packet' bytes")
		return
	}
	if st.long == nil {
		st.long = map[int][]byte{}
	}
	c.longBytes += len(cur.b)
	st.long[i] = append(st.long[i], cur.b...)
}

// clearLong drops what was sent ahead for st.
func (c *conn) clearLong(st *stmt) {
	for _, data := range st.long {
		c.longBytes -= len(data)
	}
	st.long, st.longErr = nil, nil
}

func (c *conn) resetStmt(arg []byte) error {
	st, _, err := c.stmtOf(arg, "mysqld_stmt_reset")
	if err != nil {
		return err
	}
	c.clearLong(st)
	st.rows = nil
	return c.sendOK(Result{})
}

// closeStmt frees a statement. The command has no answer, also when there is no such statement.
func (c *conn) closeStmt(arg []byte) {
	if st, _, err := c.stmtOf(arg, ""); err == nil {
		c.freeStmt(st)
	}
}

func (c *conn) freeStmt(st *stmt) {
	delete(c.stmts, st.id)
	c.clearLong(st)
	c.s.count.prepared.Add(-1)
	st.prep.Close()
}

func (c *conn) closeStmts() {
	for _, st := range c.stmts {
		c.freeStmt(st)
	}
}

// fetch sends the next rows of a statement's cursor.
func (c *conn) fetch(arg []byte) error {
	st, rest, err := c.stmtOf(arg, "mysqld_stmt_fetch")
	if err != nil {
		return err
	}
	cur := cursor{b: rest}
	n := cur.uint(4)
	if cur.bad {
		return errMalformed
	}
	if st.rows == nil {
		return clientErrorf(errno.NoOpenCursor, "The statement (%d) has no open cursor.", st.id)
	}
	for ; n > 0; n-- {
		row, ok := st.rows.next()
		if !ok {
			break
		}
		c.w.begin()
		c.w.buf = append(c.w.buf, row...)
		if err := c.w.end(); err != nil {
			return err
		}
		c.s.count.rows.Add(1)
	}
	status := mysql.SERVER_STATUS_CURSOR_EXISTS
	if st.rows.empty() {
		status = mysql.SERVER_STATUS_LAST_ROW_SEND
	}
	r := st.rows.result
	if st.rows.empty() {
		st.rows = nil
	}
	return c.sendEOF(r, status)
}
