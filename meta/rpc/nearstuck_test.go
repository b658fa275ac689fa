//go:build linux

package rpc

import (
	"bufio"
	"context"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// admitting returns the address of a server that admits pipes and leaves their ends of the ducts to the test.
func admitting(t *testing.T) (addr string, admitted chan *duct) {
	t.Helper()
	s := serveAt(t, "127.0.0.1:0", false, "c1", nil)
	admitted = make(chan *duct, 8)
	squat(t, s.lis.at, func(c net.Conn) {
		welcomes(c)
		if _, err := io.ReadFull(c, make([]byte, len(pipeMagic)+1+len("c1"))); err != nil {
			return
		}
		d, err := newNearConn(c.(*net.UnixConn), s.lis.at.Addr(), 0, func() {}).admit()
		if err != nil {
			t.Error(err)
			return
		}
		t.Cleanup(func() { _ = d.Close() }) // some tests have closed it
		admitted <- d.(*duct)
	})
	return s.addr, admitted
}

// begun waits until the other side has written something.
func begun(t *testing.T, d *duct) {
	t.Helper()
	if _, err := io.ReadFull(d, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
}

// large is a request that no pipe of the kernel takes at once.
var large = strings.Repeat("n", 200<<10)

// TestCallOfAPeerThatHangs: a call ends with its context while the peer leaves half of it in the pipe.
func TestCallOfAPeerThatHangs(t *testing.T) {
	ends := func(t *testing.T, call func(ctx context.Context) error, peer func() *duct) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- call(ctx) }()
		begun(t, peer())
		cancel()
		select {
		case err := <-done:
			if status.Code(err) != codes.Canceled {
				t.Error(err)
			}
		case <-time.After(pipeWriteMax / 2):
			t.Error("it waits for the peer")
		}
	}
	t.Run("pipe", func(t *testing.T) {
		addr, admitted := admitting(t)
		_, h := piped(t, addr, "c1")
		ends(t, func(ctx context.Context) error {
			_, err := ask(ctx, h, large)
			return err
		}, func() *duct { return <-admitted })
	})
	t.Run("direct", func(t *testing.T) {
		conn, peer := ducts(t)
		t.Cleanup(func() { _ = peer.Close() })
		d := &direct{p: &pipeConn{}, conn: conn, r: bufio.NewReader(conn)}
		ends(t, func(ctx context.Context) error {
			return d.call(ctx, "m", &grpc_health_v1.HealthCheckRequest{Service: large}, &grpc_health_v1.HealthCheckResponse{}, time.Minute)
		}, func() *duct { return peer })
	})
}

// TestLastAnswersOfAPeer: a peer that stops answers what it has taken. A call that finds its end closed takes none of that away.
func TestLastAnswersOfAPeer(t *testing.T) {
	addr, admitted := admitting(t)
	c, h := piped(t, addr, "c1")
	first := make(chan error, 1)
	go func() { // the next calls find the pipe connected
		_, err := ask(t.Context(), h, "first")
		first <- err
	}()
	peer := <-admitted
	r := bufio.NewReader(peer)
	answer := func() {
		t.Helper()
		f, err := readFrame(r)
		for err == nil && f.kind != frameCall { // pings
			f, err = readFrame(r)
		}
		if err != nil {
			t.Fatal(err)
		}
		reply := appendHead([]byte{frameHead - 4, 0, 0, 0}, frameReply, f.id) // no message: all fields are zero
		if _, err := peer.Write(reply); err != nil {
			t.Fatal(err)
		}
	}
	answer()
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	start := func(done func(error)) {
		c.Start(grpc_health_v1.Health_Check_FullMethodName, &grpc_health_v1.HealthCheckRequest{}, &grpc_health_v1.HealthCheckResponse{}, time.Minute, done)
	}
	held, release := make(chan error, 1), make(chan struct{})
	start(func(err error) {
		held <- err
		<-release // the receiver does not read on
	})
	answer()
	if err := <-held; err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 2)
	start(func(err error) { ended <- err })
	answer()
	if err := peer.Close(); err != nil {
		t.Fatal(err)
	}
	start(func(err error) { ended <- err })
	if err := <-ended; status.Code(err) != codes.Unavailable {
		t.Errorf("the call after the end: %v", err)
	}
	close(release)
	if err := <-ended; err != nil {
		t.Errorf("the call that was answered: %v", err)
	}
}

// TestDuctThatDoesNotArrive: a process that is out of files when it is given a duct has no connection.
func TestDuctThatDoesNotArrive(t *testing.T) {
	at := at("127.0.0.1")(1) // nobody has that port
	before := openFiles(t)
	for round := range 20 {
		n := 1 + 2*(round%2)
		leave := squat(t, at, func(c net.Conn) {
			welcomes(c)
			if _, err := io.ReadFull(c, make([]byte, len(pipeMagic)+1+len("c1"))); err != nil {
				return
			}
			ends := []int{syscall.Stdin, syscall.Stdin, syscall.Stdin}[:n]
			_, _, _ = c.(*net.UnixConn).WriteMsgUnix([]byte{pipeAdmitted}, syscall.UnixRights(ends...), nil) // the client tells
		})
		conn := dialNear(t.Context(), at)
		if conn == nil {
			t.Fatal("not let in")
		}
		if got, err := greet(conn, NewCluster("c1")); status.Code(err) != codes.Unavailable {
			t.Errorf("with %d ends greeted by %T, %v", n, got, err)
		}
		leave()
	}
	if after := openFiles(t); after > before+5 {
		t.Errorf("%d files open, %d before", after, before)
	}
}

// TestDuctOfOnePage: a user with very many pipes gets small ones.
func TestDuctOfOnePage(t *testing.T) {
	const setSize = 1031 // F_SETPIPE_SZ
	postAndRead(t, func() (net.Conn, net.Conn) {
		a, b := ducts(t)
		raw, err := a.w.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		var failed syscall.Errno
		err = raw.Control(func(fd uintptr) {
			_, _, failed = syscall.Syscall(syscall.SYS_FCNTL, fd, setSize, uintptr(os.Getpagesize()))
		})
		if err != nil || failed != 0 {
			t.Fatal(err, failed)
		}
		return a, b
	})
}
