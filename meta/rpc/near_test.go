//go:build linux

package rpc

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"stele/meta/rpc/rpctest"
	"stele/meta/types"
)

// Other processes may take all processors for a while.
func init() { nearTimeout = 30 * time.Second }

// nearServer serves both ways at an address.
type nearServer struct {
	*echo
	lis     *Listener
	addr    string
	refused chan string
	stop    func()
}

func serveAt(t *testing.T, address string, local bool, cluster types.ClusterID, secure *Security) *nearServer {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	lis, err := Listen(address, local, log)
	if err != nil {
		t.Fatal(err)
	}
	lis.calls = false
	s := &nearServer{echo: newEcho(), lis: lis, addr: lis.Addr().String(),
		refused: make(chan string, 16)}
	cfg := ServerConfig{Cluster: NewCluster(cluster), Log: log, TLS: secure.ServerTLS(),
		Refused: func(address string, _ types.ClusterID, _ string) { s.refused <- address }}
	g, p := NewServer(cfg), NewPipeServer(cfg)
	grpc_health_v1.RegisterHealthServer(g, s.echo)
	grpc_health_v1.RegisterHealthServer(p, s.echo)
	piped := p.Listen(lis)
	done := make(chan error, 1)
	go func() { done <- g.Serve(piped) }()
	s.stop = sync.OnceFunc(func() {
		Stop(g, time.Second)
		p.Stop(time.Second)
		if err := <-done; err != nil && !errors.Is(err, grpc.ErrServerStopped) { // it had not begun
			t.Errorf("serve: %v", err)
		}
		if n := lis.Local(); n != 0 {
			t.Errorf("%d connections are left", n)
		}
	})
	t.Cleanup(s.stop)
	return s
}

// near reports whether a new connection to an address comes by a Unix socket.
func near(t *testing.T, address string) bool {
	t.Helper()
	conn, err := connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, ok := conn.(*net.UnixConn)
	return ok
}

// TestNearCarriesAllCalls counts connections: the pipe, the one beside it for direct calls, and gRPC.
func TestNearCarriesAllCalls(t *testing.T) {
	s := serveAt(t, "127.0.0.1:0", true, "c1", nil)
	c, h := piped(t, s.addr, "c1")
	goDirect(t, c, h)
	if n := s.lis.Local(); n != 2 {
		t.Errorf("%d connections by the unix socket, not a pipe and a direct one", n)
	}
	for _, conn := range []net.Conn{c.ready().(*pipeConn).conn, c.ready().(*pipeConn).side.conn} {
		if _, ok := conn.(*duct); !ok {
			t.Errorf("calls go by %T", conn)
		}
	}
	if n, err := ask(t.Context(), h, "n"+strings.Repeat("n", maxPiped)); err != nil || n != maxPiped+1 {
		t.Errorf("a large call: %d, %v", n, err)
	}
	if n := s.lis.Local(); n != 3 {
		t.Errorf("%d connections by the unix socket: gRPC came another way", n)
	}
	if _, err := ask(t.Context(), h, "error"); err == nil {
		t.Error("no error came")
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	s.stop() // no connection is left
	if conn := dialNear(t.Context(), s.lis.at); conn != nil {
		t.Error("the unix socket outlives its listener")
	}
}

// TestNearAsTCP runs tests of pipes over the Unix socket.
func TestNearAsTCP(t *testing.T) {
	for name, test := range map[string]func(*testing.T){
		"answers": TestPipeAnswersAsGRPC, "many at once": TestPipeCarriesManyCallsAtOnce, "cancelled": TestPipeCancelsCalls,
		"another cluster": TestPipeOfAnotherClusterIsRefused, "again": TestPipeConnectsAgain, "direct": TestDirectAnswersAsGRPC,
		"direct calls end": TestDirectCallsEnd, "one caller": TestDirectIsForOneCaller, "with the pipe": TestDirectEndsWithThePipe,
		"started": TestStartAnswers, "brief": TestBriefCalls, "later": TestLater, "stopped": TestStopBesideAnswers,
	} {
		t.Run(name, test)
	}
}

// ducts returns the two ends of a duct.
func ducts(t *testing.T) (*duct, *duct) {
	t.Helper()
	mine, theirs, err := makeDuct()
	if err != nil {
		t.Fatal(err)
	}
	return mine.open(nearAddr{}, func() {}), theirs.open(nearAddr{}, func() {})
}

func TestNearPostDoesNotWait(t *testing.T) {
	postAndRead(t, func() (net.Conn, net.Conn) { return ducts(t) })
}

// TestDuctIsAConn: a duct has deadlines and an end as TCP has.
func TestDuctIsAConn(t *testing.T) {
	a, b := ducts(t)
	if err := a.SetDeadline(past); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read after the deadline: %v", err)
	}
	if _, err := a.Write(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("write after the deadline: %v", err)
	}
	if err := a.SetDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Write([]byte("last")); err != nil {
		t.Fatal(err)
	}
	waits := make(chan error, 1)
	go func() {
		_, err := a.Read(make([]byte, 1))
		waits <- err
	}()
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-waits; err == nil {
		t.Error("a read outlived its connection")
	}
	if got, err := io.ReadAll(b); string(got) != "last" || err != nil {
		t.Errorf("the other side got %q, %v", got, err)
	}
	if _, err := b.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("write to the end that is closed: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

// openFiles counts what this process has open.
func openFiles(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip(err)
	}
	return len(all)
}

// TestNearLeavesNoFiles connects and disconnects in every way and counts what this process has open.
func TestNearLeavesNoFiles(t *testing.T) {
	connectAll := func() {
		s := serveAt(t, "127.0.0.1:0", true, "c1", nil)
		c, h := piped(t, s.addr, "c1")
		goDirect(t, c, h)
		_, other := piped(t, s.addr, "c2")
		if _, err := ask(t.Context(), other, "n"); Reason(err) != ReasonWrongCluster {
			t.Error(err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		s.stop()
	}
	connectAll()
	before := openFiles(t)
	for range 20 {
		connectAll()
	}
	if after := openFiles(t); after > before+5 {
		t.Errorf("%d files open, %d before", after, before)
	}
}

// TestGreetWithoutDuct has a server that cannot make one, and takes calls on the connection itself.
func TestGreetWithoutDuct(t *testing.T) {
	at := at("127.0.0.1")(1) // nobody has that port
	squat(t, at, func(c net.Conn) {
		welcomes(c)
		if _, err := io.ReadFull(c, make([]byte, len(pipeMagic)+1+len("c1"))); err == nil {
			_, _ = c.Write([]byte{pipeAdmitted}) // the client tells
		}
	})
	conn := dialNear(t.Context(), at)
	if conn == nil {
		t.Fatal("not let in")
	}
	defer conn.Close()
	if got, err := greet(conn, NewCluster("c1")); err != nil || got != conn {
		t.Errorf("greeted by %T, %v", got, err)
	}
}

// TestNearEnds ends a server, with calls under way, and starts another one at its address, again and again.
func TestNearEnds(t *testing.T) {
	s := serveAt(t, "127.0.0.1:0", true, "c1", nil)
	c, h := piped(t, s.addr, "c1")
	for round := range 5 {
		done := make(chan error, 1)
		go func() {
			_, err := ask(t.Context(), h, "wait")
			done <- err
		}()
		<-s.waiting
		s.stop()
		if err := <-done; err == nil {
			t.Fatal("a call outlived its server")
		}
		if _, err := ask(t.Context(), h, "n"); status.Code(err) != codes.Unavailable {
			t.Fatalf("call to a server that is gone: %v", err)
		}
		if _, err := connect(t.Context(), s.addr); err == nil || !strings.Contains(err.Error(), "connection refused") {
			t.Fatalf("connect to a server that is gone: %v", err)
		}
		s = serveAt(t, s.addr, true, "c1", nil)
		c.ResetConnectBackoff()
		if n, err := ask(t.Context(), h, "nn"); err != nil || n != 2 || s.lis.Local() == 0 {
			t.Fatalf("round %d: %d, %v by %d connections", round, n, err, s.lis.Local())
		}
	}
}

// TestNearOrTCP has clients come by TCP wherever the Unix socket is not that of the server that they called, or not in order.
func TestNearOrTCP(t *testing.T) {
	for name, c := range map[string]struct {
		bind string
		call string // host
		off  bool
		name func(port uint16) netip.AddrPort // of a Unix socket of somebody else
		be   func(net.Conn)                   // what that one does
		want bool
	}{
		"bound to the address":              {bind: "127.0.0.1:0", call: "127.0.0.1", want: true},
		"another address of the machine":    {bind: "127.0.0.7:0", call: "127.0.0.7", want: true},
		"IPv6":                              {bind: "[::1]:0", call: "::1", want: true},
		"a host name":                       {bind: "127.0.0.1:0", call: "localhost", want: true},
		"bound to all":                      {bind: "0.0.0.0:0", call: "127.0.0.1", want: true},
		"bound to all of IPv6":              {bind: "[::]:0", call: "::1", want: true},
		"bound to all, another address":     {bind: ":0", call: "127.0.0.9", want: true},
		"mapped":                            {bind: "127.0.0.1:0", call: "::ffff:127.0.0.1", want: true},
		"switched off":                      {bind: "127.0.0.1:0", call: "127.0.0.1", off: true},
		"same port at another address":      {bind: "127.0.0.1:0", call: "127.0.0.1", off: true, name: at("127.0.0.2"), be: welcomes},
		"same port at an address elsewhere": {bind: "127.0.0.1:0", call: "127.0.0.1", off: true, name: at("192.0.2.1"), be: welcomes},
		"refused":                           {bind: "127.0.0.1:0", call: "127.0.0.1", off: true, name: at("127.0.0.1"), be: func(c net.Conn) { _ = c.Close() }},
		"something else":                    {bind: "127.0.0.1:0", call: "127.0.0.1", off: true, name: at("127.0.0.1"), be: func(c net.Conn) { _, _ = c.Write([]byte("A")) }},
	} {
		t.Run(name, func(t *testing.T) {
			if strings.Contains(c.bind, "[") || c.call == "::1" {
				if l, err := net.Listen("tcp", "[::1]:0"); err != nil {
					t.Skip("no IPv6 here")
				} else {
					_ = l.Close()
				}
			}
			s := serveAt(t, c.bind, !c.off, "c1", nil)
			if c.name != nil {
				squat(t, c.name(s.lis.at.Port()), c.be)
			}
			target := net.JoinHostPort(c.call, strconv.Itoa(int(s.lis.at.Port())))
			if got := near(t, target); got != c.want {
				t.Errorf("by the unix socket: %v", got)
			}
			_, h := piped(t, target, "c1")
			if n, err := ask(t.Context(), h, "nnn"); err != nil || n != 3 {
				t.Errorf("call: %d, %v", n, err)
			}
		})
	}
}

// TestNearHangs: a server that does not answer by its Unix socket is called by TCP.
func TestNearHangs(t *testing.T) {
	patience := nearTimeout
	t.Cleanup(func() { nearTimeout = patience })
	nearTimeout = 10 * time.Millisecond
	s := serveAt(t, "127.0.0.1:0", false, "c1", nil)
	squat(t, s.lis.at, func(net.Conn) {})
	if near(t, s.addr) {
		t.Error("by the unix socket")
	}
	_, h := piped(t, s.addr, "c1")
	if n, err := ask(t.Context(), h, "nnn"); err != nil || n != 3 {
		t.Errorf("call: %d, %v", n, err)
	}
}

func at(host string) func(uint16) netip.AddrPort {
	return func(port uint16) netip.AddrPort { return netip.AddrPortFrom(netip.MustParseAddr(host), port) }
}

func welcomes(c net.Conn) { _, _ = c.Write([]byte{nearWelcome}) } // fails if the client has gone

// squat listens on the Unix socket beside an address in the place of the server there.
func squat(t *testing.T, at netip.AddrPort, be func(net.Conn)) (leave func()) {
	t.Helper()
	lis, err := listenNear(at)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := lis.Accept()
			if err != nil {
				return
			}
			be(conn)
			defer conn.Close()
		}
	}()
	leave = sync.OnceFunc(func() { _ = lis.Close(); <-done }) // Accept tells
	t.Cleanup(leave)
	return leave
}

// TestNearNameIsTaken: a server serves without its Unix socket, and has it once it is free.
func TestNearNameIsTaken(t *testing.T) {
	probe, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := addrPort(probe.Addr())
	if err := probe.Close(); err != nil {
		t.Fatal(err)
	}
	leave := squat(t, at, func(c net.Conn) { _ = c.Close() })
	s := serveAt(t, at.String(), true, "c1", nil)
	_, h := piped(t, s.addr, "c1")
	if n, err := ask(t.Context(), h, "nn"); err != nil || n != 2 || s.lis.Local() != 0 {
		t.Errorf("%d, %v by %d connections", n, err, s.lis.Local())
	}
	leave()
	for end := time.Now().Add(time.Minute); !near(t, s.addr); {
		if time.Now().After(end) {
			t.Fatal("the unix socket is free and not taken")
		}
	}
}

// TestNearWithTLS: the same certificates are asked for.
func TestNearWithTLS(t *testing.T) {
	ours, theirs := rpctest.NewCA(t), rpctest.NewCA(t)
	load := func(f rpctest.Files) *Security {
		s, err := LoadSecurity(f.Cert, f.Key, f.CA)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	server := load(ours.Node("server"))
	for name, tc := range map[string]struct {
		client *Security
		ok     bool
	}{
		"a member":                  {load(ours.Node("client")), true},
		"clear text":                {nil, false},
		"a member of another group": {load(theirs.Node("client")), false},
	} {
		t.Run(name, func(t *testing.T) {
			s := serveAt(t, "127.0.0.1:0", true, "c1", server) // its own: connections of another client may end later
			c, err := DialPiped(s.addr, DialConfig{Cluster: NewCluster("c1"), TLS: tc.client.ClientTLS(), Timeout: time.Minute},
				grpc_health_v1.Health_Check_FullMethodName)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := ask(t.Context(), grpc_health_v1.NewHealthClient(c), "n"); (err == nil) != tc.ok {
				t.Error(err)
			}
			if n := s.lis.Local(); tc.ok && n != 1 {
				t.Errorf("%d connections by the unix socket", n)
			}
		})
	}
}

// TestNearStrangersHaveAnAddress: who is turned away is named by the host that it would have come from by TCP.
func TestNearStrangersHaveAnAddress(t *testing.T) {
	for bind, want := range map[string]string{"127.0.0.3:0": "127.0.0.3", "0.0.0.0:0": "127.0.0.1"} {
		s := serveAt(t, bind, true, "c1", nil)
		_, port, err := net.SplitHostPort(s.addr)
		if err != nil {
			t.Fatal(err)
		}
		target := net.JoinHostPort(want, port)
		_, pipe := piped(t, target, "c2")
		plain := client(t, target, "c2")
		for way, h := range map[string]grpc_health_v1.HealthClient{"pipe": pipe, "gRPC": plain} {
			if _, err := ask(t.Context(), h, "n"); Reason(err) != ReasonWrongCluster {
				t.Errorf("by %s: %v", way, err)
			}
			if got := <-s.refused; got != want {
				t.Errorf("by %s: %q was refused, not %q", way, got, want)
			}
		}
	}
}

// TestMayTrust: a user trusts itself and root.
func TestMayTrust(t *testing.T) {
	for _, c := range []struct {
		mine, theirs int
		want         bool
	}{{0, 0, true}, {1000, 1000, true}, {1000, 0, true}, {0, 1000, false}, {1000, 1001, false}, {1000, 65534, false}} {
		if got := mayTrust(c.mine, c.theirs); got != c.want {
			t.Errorf("user %d trusts %d: %v", c.mine, c.theirs, got)
		}
	}
}

func TestOfThisMachine(t *testing.T) {
	a := netip.MustParseAddr
	for _, c := range []struct {
		remote, local string
		want          bool
	}{
		{"127.0.0.1", "127.0.0.1", true},
		{"127.0.0.2", "127.0.0.1", true},
		{"::1", "::1", true},
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"2001:db8::1", "2001:db8::2", false},
	} {
		if got := ofThisMachine(a(c.remote), a(c.local)); got != c.want {
			t.Errorf("%s from %s: %v", c.remote, c.local, got)
		}
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range own { // one from which the kernel does not connect to itself is known all the same
		ip, _ := netip.AddrFromSlice(n.(*net.IPNet).IP)
		if !ofThisMachine(ip.Unmap(), a("192.0.2.2")) {
			t.Errorf("%s is not of this machine", ip)
		}
	}
}

// TestListenerCloses closes a listener while connections come: none is left open that nobody has.
func TestListenerCloses(t *testing.T) {
	for range 20 {
		lis, err := Listen("127.0.0.1:0", true, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		var clients sync.WaitGroup
		for range 8 {
			clients.Go(func() {
				conn, err := connect(context.Background(), lis.Addr().String())
				if err != nil {
					return
				}
				defer conn.Close()
				_, err = io.ReadAll(conn) // until the other side closes it
				if err != nil && !isReset(err) {
					t.Error(err)
				}
			})
		}
		conn, err := lis.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(conn.Close(), lis.Close(), lis.Close()); err != nil {
			t.Error(err)
		}
		if conn, err := lis.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("accept: %v, %v", conn, err)
		}
		clients.Wait()
		if n := lis.Local(); n != 0 {
			t.Errorf("%d connections are left", n)
		}
	}
}
