package server

import (
	"context"
	"crypto/rsa"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"
	lib "github.com/go-mysql-org/go-mysql/server"

	"stele/sql/errno"
)

// Defaults of Config.
const (
	DefaultMaxConnections   = 4096
	DefaultMaxPacket        = 64 << 20
	DefaultMaxStatements    = 16382
	DefaultCursorBytes      = 16 << 20
	DefaultHandshakeTimeout = 10 * time.Second
	DefaultWriteTimeout     = 60 * time.Second
	DefaultIdleTimeout      = 8 * time.Hour
)

const (
	// serialBits of a connection id count the connections of an FE; the rest names the FE.
	serialBits = 22
	// watchAfter is when a running statement gets a watcher for a vanished client: short ones do without.
	watchAfter = 50 * time.Millisecond
	// killGrace is how long a killed connection may still write.
	killGrace = time.Second
	// closeGrace is how long Close waits for cancelled statements after its context has ended.
	closeGrace = 5 * time.Second
)

// collation is utf8mb4_bin, the one that strings are compared in. Clients also learn from it how many bytes a character
// takes; those that are older than MySQL 8 do not know the numbers above 247.
const collation = 46

// Config tells a Server what it is to know. Zero values mean the defaults.
type Config struct {
	Version          string // shown as @@version; keep it "8.0.x-name", connectors branch on it
	NodeID           uint32 // of this FE; its low 10 bits make connection ids unique in the cluster
	TLS              *tls.Config
	Key              *rsa.PrivateKey // for caching_sha2_password without TLS
	MaxConnections   int
	MaxPacket        int // bytes of one command, like max_allowed_packet
	MaxStatements    int // prepared statements of one connection
	CursorBytes      int // rows kept for the cursors of a connection; what does not fit is streamed as if none had been asked for
	HandshakeTimeout time.Duration
	WriteTimeout     time.Duration // of 16 KiB to a client
	IdleTimeout      time.Duration // between two commands
	Log              *slog.Logger
}

func (c *Config) setDefaults() {
	def := func(p *int, v int) {
		if *p == 0 {
			*p = v
		}
	}
	defTime := func(p *time.Duration, v time.Duration) {
		if *p == 0 {
			*p = v
		}
	}
	if c.Version == "" {
		c.Version = "8.0.36-stele"
	}
	def(&c.MaxConnections, DefaultMaxConnections)
	def(&c.MaxPacket, DefaultMaxPacket)
	def(&c.MaxStatements, DefaultMaxStatements)
	def(&c.CursorBytes, DefaultCursorBytes)
	defTime(&c.HandshakeTimeout, DefaultHandshakeTimeout)
	defTime(&c.WriteTimeout, DefaultWriteTimeout)
	defTime(&c.IdleTimeout, DefaultIdleTimeout)
	if c.Log == nil {
		c.Log = slog.Default()
	}
}

// ErrClosed is returned by Serve after Close.
var ErrClosed = errors.New("mysql server closed")

// Server is the MySQL endpoint of an FE.
type Server struct {
	cfg      Config
	engine   Engine
	lib      *lib.Server
	auth     *authenticator
	count    counters
	refusals refusals
	maxConn  atomic.Int64

	lingering lingering

	ctx    context.Context // of all connections
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup // one for each connection

	mu        sync.Mutex
	listeners map[net.Listener]struct{}
	conns     map[uint64]*conn
	serial    uint64
	closing   bool
}

// New makes a server that is not listening yet.
func New(cfg Config, engine Engine) (*Server, error) {
	cfg.setDefaults()
	a, err := newAuthenticator(cfg.Key)
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, engine: engine, auth: a, listeners: map[net.Listener]struct{}{}, conns: map[uint64]*conn{}, lingering: newLingering()}
	// The library gets no TLS configuration: loginConn terminates TLS.
	s.lib = lib.NewServerWithAuth(cfg.Version, collation, PluginNative, nil, nil, provider{a})
	s.maxConn.Store(int64(cfg.MaxConnections))
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	return s, nil
}

// SetMaxConnections changes how many connections may be open; open ones stay.
func (s *Server) SetMaxConnections(n int) { s.maxConn.Store(int64(n)) }

// ConnNode returns the low 10 bits of the NodeID of the FE that a connection id belongs to.
func ConnNode(id uint64) uint32 { return uint32(id>>serialBits) & (1<<(32-serialBits) - 1) }

// Serve accepts connections from l until Close and then returns ErrClosed. It closes l.
func (s *Server) Serve(l net.Listener) error {
	defer l.Close()
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		return ErrClosed
	}
	s.listeners[l] = struct{}{}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.listeners, l)
		s.mu.Unlock()
	}()
	wait := 5 * time.Millisecond
	for {
		nc, err := l.Accept()
		if err == nil {
			wait = 5 * time.Millisecond
			s.start(nc)
			continue
		}
		if s.ctx.Err() != nil || s.isClosing() {
			return ErrClosed
		}
		if errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("accept on %s: %w", l.Addr(), err)
		}
		// Out of file descriptors, or a connection that was gone before it was taken: try again, ever more slowly.
		s.cfg.Log.Warn("accept failed", "addr", l.Addr().String(), "err", err)
		select {
		case <-time.After(wait):
		case <-s.ctx.Done():
			return ErrClosed
		}
		wait = min(2*wait, time.Second)
	}
}

func (s *Server) isClosing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}

// start registers nc and gives it its goroutine, or turns it away.
func (s *Server) start(nc net.Conn) {
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		nc.Close()
		return
	}
	if int64(len(s.conns)) >= s.maxConn.Load() {
		s.mu.Unlock()
		s.refuse(nc)
		return
	}
	c := newConn(s, nc, s.nextIDLocked())
	s.conns[c.id] = c
	s.wg.Add(1)
	s.mu.Unlock()
	s.count.accepted.Add(1)
	s.count.connections.Add(1)
	go func() {
		defer s.wg.Done()
		defer s.drop(c)
		c.serve()
	}()
}

// nextIDLocked draws a connection id that no open connection has. The greeting has room for 32 bits.
func (s *Server) nextIDLocked() uint64 {
	for {
		s.serial = (s.serial + 1) & (1<<serialBits - 1)
		id := uint64(s.cfg.NodeID&(1<<(32-serialBits)-1))<<serialBits | s.serial
		if _, taken := s.conns[id]; !taken && id != 0 {
			return id
		}
	}
}

// refuse tells a client that there are too many. The few bytes fit the socket's buffer, so this does not block.
func (s *Server) refuse(nc net.Conn) {
	s.count.refused.Add(1)
	defer nc.Close()
	msg := "Too many connections"
	b := append([]byte{0, 0, 0, 0, mysql.ERR_HEADER, 0, 0}, msg...) // no SQLSTATE before the greeting
	putHeader(b, len(b)-4, 0)
	b[5], b[6] = byte(errno.TooManyConnections&0xff), byte(errno.TooManyConnections>>8)
	if err := nc.SetWriteDeadline(time.Now().Add(killGrace)); err == nil {
		_, _ = nc.Write(b) // the client is refused whether it hears of it or not
	}
}

// drop ends a connection's registration; it runs last in the connection's goroutine and contains its panics.
func (s *Server) drop(c *conn) {
	if r := recover(); r != nil {
		s.panicked(c, r)
	}
	c.nc.Close()
	s.mu.Lock()
	delete(s.conns, c.id)
	s.mu.Unlock()
	s.count.connections.Add(-1)
}

func (s *Server) panicked(c *conn, r any) {
	s.count.panics.Add(1)
	s.cfg.Log.Error("connection panicked", "conn", c.id, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
}

// Kill interrupts the statement (queryOnly) or ends the connection id. It reports whether there is such a one here.
func (s *Server) Kill(id uint64, queryOnly bool) bool {
	s.mu.Lock()
	c := s.conns[id]
	s.mu.Unlock()
	if c == nil {
		return false
	}
	s.count.killed.Add(1)
	c.kill(queryOnly)
	return true
}

// ConnState is one connection as SHOW PROCESSLIST shows it.
type ConnState struct {
	Info    ConnInfo // as of the login or the last COM_CHANGE_USER; DB is the current database as far as known here
	Command string   // Sleep, Query, Execute, …; Connect during the login
	SQL     string   // the running statement
	Since   time.Time
}

// Connections lists the open connections by id.
func (s *Server) Connections() []ConnState {
	s.mu.Lock()
	conns := make([]*conn, 0, len(s.conns))
	for _, c := range s.conns {
		conns = append(conns, c)
	}
	s.mu.Unlock()
	out := make([]ConnState, len(conns))
	for i, c := range conns {
		out[i] = c.snapshot()
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Info.ID < out[j].Info.ID })
	return out
}

// Close stops listening, ends idle connections at once and lets running statements finish until ctx ends; then it
// cancels them. It returns when every connection is gone, or with an error some seconds after ctx has ended.
func (s *Server) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	for l := range s.listeners {
		l.Close()
	}
	conns := make([]*conn, 0, len(s.conns))
	for _, c := range s.conns {
		conns = append(conns, c)
	}
	s.mu.Unlock()
	for _, c := range conns {
		c.retire()
	}
	done := make(chan struct{})
	go func() {
		s.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
		s.cancel(errShutdown)
		return nil
	case <-ctx.Done():
	}
	s.cancel(errShutdown)
	for _, c := range conns {
		c.hurry()
	}
	grace := time.NewTimer(closeGrace)
	defer grace.Stop()
	select {
	case <-done:
		return nil
	case <-grace.C:
		return fmt.Errorf("close mysql server: %d connections still run a statement", s.count.connections.Load())
	}
}
