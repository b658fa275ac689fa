package server

import (
	"bufio"
	"net"
	"strings"
	"testing"
)

// countedSocket counts how often somebody waits for bytes, and looks whether the place is taken meanwhile.
type countedSocket struct {
	place        *lingering
	waits, alone int
}

func (s *countedSocket) Control(func(uintptr)) error    { return nil }
func (s *countedSocket) Write(func(uintptr) bool) error { return nil }
func (s *countedSocket) Read(func(uintptr) bool) error {
	s.waits++
	if s.place.taken.Load() {
		s.alone++
	}
	return nil
}

func TestLingerOnlyAlone(t *testing.T) {
	for _, tc := range []struct {
		name string
		set  func(*conn)
		want int
	}{
		{"alone", func(*conn) {}, 1},
		{"another runs a statement", func(c *conn) { c.s.count.running.Store(1) }, 0},
		{"another lingers", func(c *conn) { c.s.lingering.taken.Store(true) }, 0},
		{"one processor", func(c *conn) { c.s.lingering.never = true }, 0},
		{"the next command is here", func(c *conn) { _, _ = c.r.raw.Peek(1) }, 0},
		{"it is in a frame that is", func(c *conn) { c.r.comp = &frameReader{left: 5} }, 0},
		{"compressed", func(c *conn) { c.r.comp = &frameReader{} }, 1},
		{"TLS", func(c *conn) { c.socket = nil }, 0},
	} {
		c := &conn{s: &Server{}}
		socket := &countedSocket{place: &c.s.lingering}
		c.socket = socket
		c.r.raw = bufio.NewReader(strings.NewReader("\x01"))
		tc.set(c)
		taken := c.s.lingering.taken.Load()
		c.linger()
		if socket.waits != tc.want || socket.alone != tc.want || c.s.lingering.taken.Load() != taken {
			t.Errorf("%s: waited %d times, %d of them with the place, which is taken afterwards: %v; want %d", tc.name, socket.waits, socket.alone,
				c.s.lingering.taken.Load(), tc.want)
		}
	}
}

// A client that leaves, or whose connection ends here, ends the wait as bytes do: what there is is for the read behind it.
func TestLingerAtEnds(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, leave := range []func(here, there net.Conn){
		func(_, there net.Conn) { there.Close() },
		func(here, _ net.Conn) { here.Close() },
		func(_, there net.Conn) { _, _ = there.Write([]byte("x")) },
		func(net.Conn, net.Conn) {}, // silent: the time is up
	} {
		there, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		here, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		c := &conn{s: &Server{}, socket: socketOf(here)}
		c.r.raw = bufio.NewReader(here)
		if c.socket == nil {
			t.Fatal("a TCP connection has no socket")
		}
		leave(here, there)
		c.linger()
		if c.s.lingering.taken.Load() {
			t.Error("the place is still taken")
		}
		here.Close()
		there.Close()
	}
	if a, b := net.Pipe(); socketOf(a) != nil || socketOf(b) != nil {
		t.Error("a pipe within the process has a socket")
	}
}
