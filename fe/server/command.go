package server

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"

	"stele/sql/errno"
	"stele/sql/syntax"
)

// commandNames are the names that SHOW PROCESSLIST gives to commands.
var commandNames = map[byte]string{
	mysql.COM_QUIT: "Quit", mysql.COM_INIT_DB: "Init DB", mysql.COM_QUERY: "Query", mysql.COM_FIELD_LIST: "Field List",
	mysql.COM_STATISTICS: "Statistics", mysql.COM_PROCESS_KILL: "Kill", mysql.COM_PING: "Ping",
	mysql.COM_CHANGE_USER: "Change user", mysql.COM_STMT_PREPARE: "Prepare", mysql.COM_STMT_EXECUTE: "Execute",
	mysql.COM_STMT_SEND_LONG_DATA: "Long Data", mysql.COM_STMT_CLOSE: "Close stmt", mysql.COM_STMT_RESET: "Reset stmt",
	mysql.COM_REFRESH: "Refresh", mysql.COM_SET_OPTION: "Set option", mysql.COM_STMT_FETCH: "Fetch", mysql.COM_RESET_CONNECTION: "Reset Connection",
}

// shownSQLMax is how much of a statement the process list shows.
const shownSQLMax = 1024

// run executes one command under its own context and answers it, with an error packet if need be.
func (c *conn) run(payload []byte) {
	ctx := c.begun()
	stop := ctx.cancel
	var cmd byte
	if len(payload) > 0 {
		cmd = payload[0]
	}
	c.s.count.command(cmd)
	var sql string
	if cmd == mysql.COM_QUERY || cmd == mysql.COM_STMT_PREPARE {
		sql = string(bytes.TrimSuffix(payload[1:], []byte{0})) // mysqlslap sends the end of its C string, too
	}
	begun := time.Now()
	c.busy(cmd, sql, begun, stop)
	defer c.s.count.running.Add(-1)
	c.watch.start(c, begun, stop)
	err := c.dispatch(ctx, payload, sql)
	c.watch.stop(c)
	c.mu.Lock()
	c.stmtStop = nil
	c.mu.Unlock()
	defer c.ended(ctx)
	if err == nil {
		return
	}
	if cause := context.Cause(ctx); errors.Is(cause, errClientGone) {
		c.gone, c.quit = cause, true
		c.hurry() // it may have ended only its own half: it is told, but not waited for
	}
	c.s.count.errors.Add(1)
	if err := c.sendErrorOf(ctx, err); err != nil {
		c.quit = true // a broken socket: the loop's flush fails as well
	}
}

// busy notes what runs, for the process list and KILL QUERY.
func (c *conn) busy(cmd byte, sql string, begun time.Time, stop context.CancelCauseFunc) {
	name, known := commandNames[cmd]
	if !known {
		name = "Error"
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.phase, c.command, c.sql, c.since, c.stmtStop = phaseBusy, name, sql, begun, stop
	c.s.count.running.Add(1)
}

// shownSQL is a statement as the process list shows it.
func shownSQL(sql string) string { return strings.ToValidUTF8(sql[:min(len(sql), shownSQLMax)], "") }

// dispatch runs the command in payload; sql is the text of one that has one. Its error is sent to the client.
func (c *conn) dispatch(ctx context.Context, payload []byte, sql string) error {
	if len(payload) == 0 {
		return errMalformed
	}
	arg := payload[1:]
	switch payload[0] {
	case mysql.COM_QUERY:
		return c.query(ctx, sql)
	case mysql.COM_STMT_PREPARE:
		return c.prepare(ctx, sql)
	case mysql.COM_STMT_EXECUTE:
		return c.execute(ctx, arg)
	case mysql.COM_STMT_SEND_LONG_DATA:
		c.longData(arg)
		return nil
	case mysql.COM_STMT_CLOSE:
		c.closeStmt(arg)
		return nil
	case mysql.COM_STMT_RESET:
		return c.resetStmt(arg)
	case mysql.COM_STMT_FETCH:
		return c.fetch(arg)
	case mysql.COM_PING:
		return c.sendOK(Result{})
	case mysql.COM_QUIT:
		c.quit = true
		return nil
	}
	return c.dispatchRare(ctx, payload[0], arg)
}

func (c *conn) dispatchRare(ctx context.Context, cmd byte, arg []byte) error {
	switch cmd {
	case mysql.COM_INIT_DB:
		return c.useDB(ctx, string(arg))
	case mysql.COM_FIELD_LIST:
		return c.fieldList(ctx, arg)
	case mysql.COM_STATISTICS:
		c.w.begin()
		c.w.buf = append(c.w.buf, c.sess.Statistics()...)
		return c.w.end()
	case mysql.COM_PROCESS_KILL:
		return c.processKill(ctx, arg)
	case mysql.COM_CHANGE_USER:
		return c.changeUser(ctx, arg)
	case mysql.COM_RESET_CONNECTION:
		c.closeStmts()
		if err := c.sess.Reset(ctx); err != nil {
			return err
		}
		return c.sendOK(Result{})
	case mysql.COM_SET_OPTION:
		return c.setOption(arg)
	case mysql.COM_REFRESH:
		return c.refresh(ctx, arg)
	}
	return clientErrorf(errno.UnknownCommand, "Unknown command")
}

var errMalformed = clientErrorf(errno.MalformedPacket, "Malformed communication packet.")

func (c *conn) query(ctx context.Context, sql string) error {
	w := c.results(ctx, false)
	if err := c.sess.Query(ctx, sql, w); err != nil {
		return err
	}
	return w.finished()
}

func (c *conn) useDB(ctx context.Context, db string) error {
	if err := c.sess.UseDB(ctx, db); err != nil {
		return err
	}
	return c.sendOK(Result{Schema: db})
}

// setOption switches multi-statements on (0) or off (1).
func (c *conn) setOption(arg []byte) error {
	if len(arg) < 2 {
		return errMalformed
	}
	switch binary.LittleEndian.Uint16(arg) {
	case mysql.MYSQL_OPTION_MULTI_STATEMENTS_ON:
		c.multi = true
	case mysql.MYSQL_OPTION_MULTI_STATEMENTS_OFF:
		c.multi = false
	default:
		return clientErrorf(errno.UnknownCommand, "Unknown command")
	}
	return c.sendEOF(Result{}, 0)
}

// refreshResets are those of the bits of COM_REFRESH that would forget binary logs: RESET SLAVE and RESET MASTER.
const refreshResets = 1<<6 | 1<<7

// refresh answers the command by which mysqldump --flush-logs and mysqladmin refresh say FLUSH.
func (c *conn) refresh(ctx context.Context, arg []byte) error {
	if len(arg) < 1 {
		return errMalformed
	}
	if arg[0]&refreshResets != 0 {
		return clientErrorf(errno.UnknownCommand, "Unknown command")
	}
	return c.query(ctx, "FLUSH LOGS")
}

func (c *conn) processKill(ctx context.Context, arg []byte) error {
	if len(arg) < 4 {
		return errMalformed
	}
	if err := c.s.engine.Kill(ctx, c.info, uint64(binary.LittleEndian.Uint32(arg)), false); err != nil {
		return err
	}
	return c.sendOK(Result{})
}

// fieldList answers the old command for a table's columns, which the CLI uses for completion.
func (c *conn) fieldList(ctx context.Context, arg []byte) error {
	cur := cursor{b: arg}
	table, pattern := cur.cstring(), string(cur.b)
	p, err := c.sess.Prepare(ctx, "SELECT * FROM "+syntax.QuoteName(table))
	if err != nil {
		return err
	}
	defer p.Close()
	for _, col := range p.Columns() {
		if pattern != "" && !like(strings.ToLower(col.Name), strings.ToLower(pattern)) {
			continue
		}
		c.w.begin()
		c.w.buf = append(appendColumn(c.w.buf, &col), 0xfb) // default value: NULL
		if err := c.w.end(); err != nil {
			return err
		}
	}
	return c.sendEOF(Result{}, 0)
}

// like matches s against a LIKE pattern without escapes.
func like(s, pattern string) bool {
	for pattern != "" {
		switch pattern[0] {
		case '%':
			for i := 0; i <= len(s); i++ {
				if like(s[i:], pattern[1:]) {
					return true
				}
			}
			return false
		case '_':
		default:
			if s == "" || s[0] != pattern[0] {
				return false
			}
		}
		if s == "" {
			return false
		}
		s, pattern = s[1:], pattern[1:]
	}
	return s == ""
}
