package raftlog

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"stele/meta/rpc"
	"stele/meta/types"
)

// Handshake of a Raft connection, before anything of Raft:
//
//	dialer   "STLR" version | length, cluster id | length, server id
//	acceptor one byte of verdict
const (
	streamMagic       = "STLR"
	streamVersion     = 1
	maxHandshakeField = 255
	handshakeTimeout  = 5 * time.Second
	// maxHandshakes bounds the connections whose peer has not said yet who it is.
	maxHandshakes = 64
)

const (
	verdictOK byte = iota
	verdictWrongCluster
	verdictWrongVersion
)

// stream carries Raft between FEs of one cluster (raft.StreamLayer). A peer of another cluster is turned away at the
// door; a silent one holds nobody up, as each handshake has its own goroutine and deadline.
type stream struct {
	net.Listener
	cluster  types.ClusterID
	id       string
	addr     net.Addr
	log      *slog.Logger
	refused  func(address string, cluster types.ClusterID, what string) // nil = nobody is told
	server   *tls.Config                                                // nil = clear text
	client   *tls.Config
	lost     func(id string) // told that a connection of a peer has ended; nil = nobody is
	accepted chan net.Conn
	done     chan struct{}
	once     sync.Once
	wg       sync.WaitGroup
	mu       sync.Mutex
	open     map[net.Conn]struct{} // connections in their handshake
}

// advertised is an address that is only a text.
type advertised string

func (a advertised) Network() string { return "tcp" }
func (a advertised) String() string  { return string(a) }

func newStream(cfg *Config, lost func(id string)) *stream {
	s := &stream{
		Listener: cfg.Listener, cluster: cfg.ClusterID, id: cfg.ID, addr: advertised(cfg.Advertise), log: cfg.Log,
		refused: cfg.Refused, lost: lost, server: cfg.Server, client: cfg.Client, accepted: make(chan net.Conn), done: make(chan struct{}), open: map[net.Conn]struct{}{},
	}
	s.wg.Add(1)
	go s.acceptAll()
	return s
}

// Addr returns the address that others dial.
func (s *stream) Addr() net.Addr { return s.addr }

// Accept returns the next connection of a peer of this cluster.
func (s *stream) Accept() (net.Conn, error) {
	select {
	case c := <-s.accepted:
		return c, nil
	case <-s.done:
		return nil, net.ErrClosed
	}
}

// Close stops accepting and waits for the handshakes under way.
func (s *stream) Close() error {
	err := error(nil)
	s.once.Do(func() {
		close(s.done)
		err = s.Listener.Close()
		s.mu.Lock()
		for c := range s.open {
			c.Close()
		}
		s.mu.Unlock()
	})
	s.wg.Wait()
	return err
}

func (s *stream) acceptAll() {
	defer s.wg.Done()
	slots := make(chan struct{}, maxHandshakes)
	for {
		c, err := s.Listener.Accept()
		if err != nil {
			select {
			case <-s.done:
				return
			case <-time.After(50 * time.Millisecond): // out of descriptors, say: others are closed meanwhile
				if errors.Is(err, net.ErrClosed) {
					return
				}
				s.log.Warn("accept raft connection", "err", err)
				continue
			}
		}
		select {
		case slots <- struct{}{}:
		default:
			c.Close()
			continue
		}
		if !s.track(c) {
			c.Close()
			return
		}
		go func() {
			defer s.wg.Done()
			defer func() { <-slots }()
			s.admit(c)
		}()
	}
}

// track counts a handshake in, unless the stream is closed.
func (s *stream) track(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.done:
		return false
	default:
	}
	s.open[c] = struct{}{}
	s.wg.Add(1)
	return true
}

func (s *stream) admit(raw net.Conn) {
	c := raw
	if s.server != nil {
		c = tls.Server(raw, s.server) // its handshake is part of the first read, under the same deadline
	}
	id, err := s.greet(c)
	s.mu.Lock()
	delete(s.open, raw)
	s.mu.Unlock()
	if err != nil {
		level := slog.LevelWarn
		if errors.Is(err, ErrWrongCluster) && s.refused != nil {
			level = slog.LevelDebug // it tries again and again; who is told says it now and then
		}
		s.log.Log(context.Background(), level, "raft connection refused", "remote", c.RemoteAddr(), "err", err)
		c.Close()
		return
	}
	if s.lost != nil {
		c = &lostConn{Conn: c, id: id, lost: s.lost}
	}
	select {
	case s.accepted <- c:
	case <-s.done:
		c.Close()
	}
}

// greet reads who the peer is and answers with the verdict.
func (s *stream) greet(c net.Conn) (id string, err error) {
	if err := c.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return "", err
	}
	var head [len(streamMagic) + 1]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return "", fmt.Errorf("read handshake: %w", err)
	}
	if string(head[:len(streamMagic)]) != streamMagic {
		return "", errors.New("not a raft connection")
	}
	if v := head[len(streamMagic)]; v != streamVersion {
		_, _ = c.Write([]byte{verdictWrongVersion})
		return "", fmt.Errorf("handshake version %d, want %d", v, streamVersion)
	}
	cluster, err := readField(c)
	if err != nil {
		return "", err
	}
	if id, err = readField(c); err != nil {
		return "", err
	}
	if cluster != string(s.cluster) {
		_, _ = c.Write([]byte{verdictWrongCluster})
		s.tell(rpc.HostOf(c.RemoteAddr()), types.ClusterID(cluster), "frontend "+id+" wanted to talk Raft to this one")
		return "", fmt.Errorf("server %q %w (%q)", id, ErrWrongCluster, cluster)
	}
	if _, err := c.Write([]byte{verdictOK}); err != nil {
		return "", err
	}
	return id, c.SetDeadline(time.Time{})
}

func readField(r io.Reader) (string, error) {
	var n [1]byte
	if _, err := io.ReadFull(r, n[:]); err != nil {
		return "", fmt.Errorf("read handshake: %w", err)
	}
	b := make([]byte, n[0])
	if _, err := io.ReadFull(r, b); err != nil {
		return "", fmt.Errorf("read handshake: %w", err)
	}
	return string(b), nil
}

// Dial connects to a peer and makes sure that it is of this cluster.
func (s *stream) Dial(addr raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return s.dial(ctx, string(addr))
}

func (s *stream) dial(ctx context.Context, addr string) (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(handshakeTimeout)
	}
	if s.client != nil {
		c = tls.Client(c, s.client)
	}
	if err := s.present(c, deadline); err != nil {
		c.Close()
		if errors.Is(err, ErrWrongCluster) {
			s.tell(addr, "", "the frontend that answers there is of another cluster than the one that was there")
		}
		return nil, fmt.Errorf("raft handshake with %s: %w", addr, err)
	}
	return c, nil
}

// tell passes on that an FE of another cluster was met.
func (s *stream) tell(address string, cluster types.ClusterID, what string) {
	if s.refused != nil {
		s.refused(address, cluster, what)
	}
}

func (s *stream) present(c net.Conn, deadline time.Time) error {
	if err := c.SetDeadline(deadline); err != nil {
		return err
	}
	hello := append([]byte(streamMagic), streamVersion, byte(len(s.cluster)))
	hello = append(hello, s.cluster...)
	hello = append(hello, byte(len(s.id)))
	hello = append(hello, s.id...)
	if _, err := c.Write(hello); err != nil {
		return err
	}
	var verdict [1]byte
	if _, err := io.ReadFull(c, verdict[:]); err != nil {
		return err
	}
	switch verdict[0] {
	case verdictOK:
		return c.SetDeadline(time.Time{})
	case verdictWrongCluster:
		return fmt.Errorf("the peer %w than %q", ErrWrongCluster, s.cluster)
	}
	return fmt.Errorf("the peer refuses handshake version %d", streamVersion)
}
