package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"

	"stele/sql/errno"
)

// phase is what a connection is doing.
type phase uint8

// Phases of a connection: login → (idle ⇄ busy)* → gone.
const (
	phaseLogin phase = iota
	phaseIdle        // waiting for a command
	phaseBusy        // running one
)

// past is a deadline that has expired, which wakes a blocked read.
var past = time.Unix(1, 0)

// conn is one client connection.
type conn struct {
	s    *Server
	id   uint64
	nc   net.Conn // the socket, for deadlines and closing
	sess Session

	stream net.Conn        // nc, or TLS over it
	socket syscall.RawConn // of a stream in clear text, nil = none to linger at
	r      packetReader
	w      packetWriter
	caps   uint32
	multi  bool // multi-statements are on
	schema string

	stmts     map[uint32]*stmt
	lastStmt  uint32
	longBytes int   // of parameters sent ahead, over all statements; at most maxPacket
	quit      bool  // end after this command
	gone      error // why: the client was not there any more while its statement ran; nil = it was

	maxIdle   time.Duration // between two commands
	maxPacket int           // bytes of one command

	result   resultWriter // of the command
	readEnd  time.Time    // deadline of the socket, but for what retire sets
	writeEnd time.Time    // likewise, but for what hurry sets; guarded by mu

	ctx    context.Context // of the connection
	cancel context.CancelCauseFunc
	watch  watcher

	statement *statement // nil = the next one gets a new context

	mu       sync.Mutex
	phase    phase
	closing  bool // no further command
	hurried  bool // writes get killGrace only
	info     ConnInfo
	command  string
	sql      string
	since    time.Time
	stmtStop context.CancelCauseFunc // of the running statement
}

func newConn(s *Server, nc net.Conn, id uint64) *conn {
	c := &conn{s: s, id: id, nc: nc, command: "Connect", since: time.Now(), stmts: map[uint32]*stmt{}}
	c.info = ConnInfo{ID: id, Host: hostOf(nc.RemoteAddr()), Address: nc.RemoteAddr().String()}
	c.ctx, c.cancel = context.WithCancelCause(s.ctx)
	return c
}

// serve logs the client in and runs its commands. It is the connection's goroutine.
func (c *conn) serve() {
	defer c.cancel(nil)
	st, err := c.s.login(c.ctx, c.nc, uint32(c.id))
	if err != nil {
		c.s.cfg.Log.Debug("login failed", "conn", c.id, "host", c.info.Host, "err", err)
		return
	}
	c.begin(st)
	defer c.end()
	if err := c.loop(); err != nil {
		c.s.count.aborted.Add(1)
		level := slog.LevelInfo
		if errors.Is(err, io.EOF) && c.gone == nil {
			level = slog.LevelDebug // a client that leaves between two commands without a word
		}
		c.s.cfg.Log.Log(c.s.ctx, level, "connection aborted", "conn", c.id, "user", c.info.User, "host", c.info.Host, "err", err)
	}
}

// begin takes over the stream from the login.
func (c *conn) begin(st *loginState) {
	l := st.conn
	c.sess, c.stream, c.caps = st.session, l.Conn, l.hello.caps
	c.multi = c.caps&mysql.CLIENT_MULTI_STATEMENTS != 0
	c.r = packetReader{raw: l.br, src: l.br}
	c.w = packetWriter{out: c.write}
	if c.caps&mysql.CLIENT_COMPRESS != 0 {
		c.r.comp = &frameReader{raw: l.br}
		c.r.src = c.r.comp
		c.w.comp = &frameWriter{}
	}
	if l.secure {
		c.s.count.tls.Add(1)
	} else {
		c.socket = socketOf(c.nc)
	}
	c.schema = st.info.DB
	c.mu.Lock()
	c.info = st.info
	c.mu.Unlock()
}

// end frees what the connection holds. A panic of the session must not keep it registered.
func (c *conn) end() {
	if r := recover(); r != nil {
		c.s.panicked(c, r)
		c.apologise()
	}
	c.closeStmts()
	c.sess.Close()
}

// apologise tells the client of a panic, as well as it can.
func (c *conn) apologise() {
	c.watch.stop(c)
	c.w.cancel()
	if err := c.sendError(clientErrorf(errno.UnknownError, "internal error; the connection is closed, see the FE's log")); err == nil {
		_ = c.w.flush() // the connection ends either way
	}
}

// loop runs commands until the client leaves. A nil error is a polite end.
func (c *conn) loop() error {
	for c.idle() {
		c.r.seq = 0
		c.linger()
		payload, err := c.r.next(c.maxPacket)
		if errors.Is(err, errPacketTooLarge) {
			c.s.count.packetsTooLong.Add(1)
			if err := c.refuseLong(); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return c.readFailed(err)
		}
		c.s.count.bytesReceived.Add(uint64(len(payload)) + 4)
		c.answer()
		c.run(payload)
		if err := c.w.flush(); err != nil {
			return err
		}
		if c.quit {
			return c.gone
		}
	}
	return nil
}

// answer makes the packets written next carry on from the numbers of those read.
func (c *conn) answer() {
	c.w.seq = c.r.seq
	if c.w.comp != nil {
		c.w.comp.seq = c.r.comp.seq + 1
	}
}

// idle waits for nothing yet: it arms the idle timeout, unless the connection is to end.
func (c *conn) idle() bool {
	c.takeLimits()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return false
	}
	c.phase, c.command, c.sql, c.since = phaseIdle, "Sleep", "", time.Now()
	if stands(c.readEnd, c.since, c.maxIdle) {
		return true
	}
	return c.readUntil(c.since.Add(slack(c.maxIdle))) == nil
}

// takeLimits follows those of the session, which its client may have changed.
func (c *conn) takeLimits() {
	c.maxIdle, c.maxPacket = c.sess.Limits()
	if c.maxIdle == 0 {
		c.maxIdle = c.s.cfg.IdleTimeout
	}
	if c.maxPacket == 0 {
		c.maxPacket = c.s.cfg.MaxPacket
	}
}

// readUntil sets the deadline of reads.
func (c *conn) readUntil(t time.Time) error {
	c.readEnd = t
	return c.nc.SetReadDeadline(t)
}

// Deadlines are set a little late, so that they need not be set for each statement anew.

// slack is a timeout with the room that a deadline is given.
func slack(d time.Duration) time.Duration { return d + d/16 }

// stands reports whether a deadline still is between a timeout from now and the same with its slack.
func stands(deadline, now time.Time, d time.Duration) bool {
	left := deadline.Sub(now)
	return left >= d && left <= slack(d)
}

// readFailed judges why no command came.
func (c *conn) readFailed(err error) error {
	switch {
	case c.isClosing():
		return nil
	case errors.Is(err, errPacketOrder):
		_ = c.sendError(streamError(err))
		_ = c.w.flush() // the stream is beyond repair
		return err
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errors.New("idle for too long")
	}
	return err // io.EOF included: a client that leaves says COM_QUIT
}

// streamError gives what is wrong with the packets of a client the number that MySQL has for it.
func streamError(err error) error {
	switch {
	case errors.Is(err, errPacketOrder):
		return clientErrorf(errno.PacketsOutOfOrder, "Got packets out of order")
	case errors.Is(err, errPacketTooLarge):
		return clientErrorf(errno.PacketTooLarge, "Got a packet bigger than 'max_allowed_packet' bytes")
	}
	return err
}

// refuseLong answers a packet beyond the limit. The client is still sending and would not hear us, so the rest of
// the packet is read first; behind it the stream is in order again.
func (c *conn) refuseLong() error {
	if err := c.readUntil(time.Now().Add(c.s.cfg.WriteTimeout)); err != nil {
		return err
	}
	skipErr := c.r.skip()
	c.answer()
	err := c.sendError(streamError(errPacketTooLarge))
	if err == nil {
		err = c.w.flush()
	}
	return errors.Join(skipErr, err)
}

func (c *conn) isClosing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closing
}

// write sends bytes to the client within the write timeout.
func (c *conn) write(b []byte) error {
	if err := c.armWrite(); err != nil {
		return err
	}
	c.s.count.bytesSent.Add(uint64(len(b)))
	_, err := c.stream.Write(b)
	return err
}

// armWrite sets the deadline of a write.
func (c *conn) armWrite() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	switch {
	case c.hurried:
		return c.nc.SetWriteDeadline(now.Add(killGrace))
	case stands(c.writeEnd, now, c.s.cfg.WriteTimeout):
		return nil
	}
	c.writeEnd = now.Add(slack(c.s.cfg.WriteTimeout))
	return c.nc.SetWriteDeadline(c.writeEnd)
}

// kill interrupts the running statement and, unless queryOnly, ends the connection.
func (c *conn) kill(queryOnly bool) {
	if !queryOnly {
		c.retire()
		c.cancel(errKilled)
		c.hurry()
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock() // the next statement may get the same context
	if c.stmtStop != nil {
		c.stmtStop(errKilled)
	}
}

// retire makes the connection end when it has no statement running.
func (c *conn) retire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closing = true
	switch c.phase {
	case phaseLogin:
		c.nc.Close()
	case phaseIdle:
		_ = c.nc.SetReadDeadline(past) // fails only on a closed socket, whose read returns anyway
	}
}

// hurry frees a write that waits for a slow client.
func (c *conn) hurry() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hurried = true
	_ = c.nc.SetWriteDeadline(time.Now().Add(killGrace)) // see retire
}

func (c *conn) snapshot() ConnState {
	c.mu.Lock()
	defer c.mu.Unlock()
	return ConnState{Info: c.info, Command: c.command, SQL: shownSQL(c.sql), Since: c.since}
}

// watcher notices a client that vanishes while its statement runs, by peeking at the socket. Its timer serves all statements of
// the connection: it runs on when one ends, and looks for how long the one has run that it finds.
type watcher struct {
	done chan struct{} // of capacity 1: what the timer does is done

	mu      sync.Mutex
	timer   *time.Timer
	ticks   bool // the timer runs
	on      bool // a statement runs
	since   time.Time
	peeking bool
	cancel  context.CancelCauseFunc
}

// start watches a statement that has begun at since: after watchAfter a vanished client cancels it.
func (w *watcher) start(c *conn, since time.Time, cancel context.CancelCauseFunc) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cancel, w.on, w.since = cancel, true, since
	switch {
	case w.ticks:
	case w.timer == nil:
		w.done = make(chan struct{}, 1)
		w.timer = time.AfterFunc(watchAfter, func() { w.look(c) })
	default:
		w.timer.Reset(watchAfter)
	}
	w.ticks = true
}

// look is what the timer does.
func (w *watcher) look(c *conn) {
	if !w.due() {
		return
	}
	if _, err := c.r.raw.Peek(1); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		w.cancel(fmt.Errorf("%w: %w", errClientGone, err))
	}
	w.done <- struct{}{}
}

// due reports whether the statement has run for long enough; then the reader of the socket is the watcher's until stop.
func (w *watcher) due() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ticks = false
	if !w.on {
		return false
	}
	if left := watchAfter - time.Since(w.since); left > 0 {
		w.timer.Reset(left)
		w.ticks = true
		return false
	}
	w.peeking = true
	return true
}

// stop ends the watch and waits for it, so that the reader is the connection's again.
func (w *watcher) stop(c *conn) {
	w.mu.Lock()
	peeking := w.peeking
	w.on, w.peeking = false, false
	w.mu.Unlock()
	if peeking {
		_ = c.readUntil(past) // fails only on a closed socket, whose read returns anyway
		<-w.done
		_ = c.readUntil(time.Time{})
	}
}
