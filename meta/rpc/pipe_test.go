package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"stele/meta/types"
)

// echo answers with the length of the name of the service asked for, or waits until its call is cancelled.
type echo struct {
	service
	waiting   signal
	cancelled signal
	calls     atomic.Int64
	tries     atomic.Int64 // of late calls
}

func newEcho() *echo { return &echo{waiting: newSignal(), cancelled: newSignal()} }

// signal tells of calls by the service that they ask for.
type signal chan string

// newSignal has room for calls that nobody asks about.
func newSignal() signal { return make(signal, 100) }

// await waits for a call, and passes over others: those that came too late for late.
func (s signal) await(service string) {
	for <-s != service {
		continue
	}
}

// has says whether a call has come. It passes over others, too.
func (s signal) has(service string) bool {
	for len(s) > 0 {
		if <-s == service {
			return true
		}
	}
	return false
}

// late makes calls with more and more time until one has arrived before its time was up: on a busy machine none may in a little. It
// returns how that call ended, or the first that ended otherwise, and the service that it asked for.
func (e *echo) late(kind string, call func(service string, within time.Duration) error) (service string, err error) {
	for within := 20 * time.Millisecond; ; within *= 2 {
		service = fmt.Sprint(kind, e.tries.Add(1))
		err = call(service, within)
		if e.waiting.has(service) || status.Code(err) != codes.DeadlineExceeded {
			return service, err
		}
	}
}

func (e *echo) Check(ctx context.Context, r *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	e.calls.Add(1)
	if strings.HasPrefix(r.Service, "wait") {
		e.waiting <- r.Service
		<-ctx.Done()
		e.cancelled <- r.Service
		return nil, ctx.Err()
	}
	if strings.HasPrefix(r.Service, "n") {
		return &grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_ServingStatus(len(r.Service))}, nil
	}
	return e.service.Check(ctx, r)
}

// listenFor listens by TCP, in tests of the Unix socket by that, and in those of calls within a process for these.
func listenFor(t *testing.T, address string) *Listener {
	t.Helper()
	inside := strings.HasPrefix(t.Name(), "TestInside")
	l, err := Listen(address, inside || strings.HasPrefix(t.Name(), "TestNear"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	l.calls = inside
	return l
}

// servePiped serves both ways on one port; stop ends it.
func servePiped(t *testing.T, id types.ClusterID) (e *echo, addr string, stop func()) {
	t.Helper()
	l := listenFor(t, "127.0.0.1:0")
	e = newEcho()
	cfg := ServerConfig{Cluster: NewCluster(id), Log: slog.New(slog.DiscardHandler)}
	g, p := NewServer(cfg), NewPipeServer(cfg)
	grpc_health_v1.RegisterHealthServer(g, e)
	grpc_health_v1.RegisterHealthServer(p, e)
	done := make(chan error, 1)
	others := p.Listen(l) // first: who connects finds it
	go func() { done <- g.Serve(others) }()
	stop = sync.OnceFunc(func() {
		Stop(g, time.Second)
		p.Stop(time.Second)
		if err := <-done; err != nil && !errors.Is(err, grpc.ErrServerStopped) { // it had not begun
			t.Errorf("serve: %v", err)
		}
	})
	t.Cleanup(stop)
	return e, l.Addr().String(), stop
}

func piped(t *testing.T, addr string, id types.ClusterID) (*Conn, grpc_health_v1.HealthClient) {
	t.Helper()
	c, err := DialPiped(addr, DialConfig{Cluster: NewCluster(id), Timeout: 10 * time.Second}, grpc_health_v1.Health_Check_FullMethodName)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() }) // some tests have closed it
	return c, grpc_health_v1.NewHealthClient(c)
}

func (c *Conn) hasPipe() bool {
	return c.ready() != nil
}

// TestPipeAnswersAsGRPC holds every outcome of a piped call against the same call by gRPC.
func TestPipeAnswersAsGRPC(t *testing.T) {
	_, addr, _ := servePiped(t, "c1")
	c, pipe := piped(t, addr, "c1")
	plain := client(t, addr, "c1")
	for _, what := range []string{"", "n", "nnnnn", "error", "wrapped", "plain", "panic", "deadline"} {
		a, aerr := pipe.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: what})
		b, berr := plain.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: what})
		if a.GetStatus() != b.GetStatus() || status.Code(aerr) != status.Code(berr) || fmt.Sprint(aerr) != fmt.Sprint(berr) {
			t.Errorf("%q: %v, %v by pipe, %v, %v by gRPC", what, a, aerr, b, berr)
		}
		var x, y *Error
		if errors.As(aerr, &x) != errors.As(berr, &y) || x != nil && *x != *y {
			t.Errorf("%q: %+v by pipe, %+v by gRPC", what, x, y)
		}
	}
	if !c.hasPipe() {
		t.Fatal("no pipe was used")
	}
}

func TestPipeCarriesManyCallsAtOnce(t *testing.T) {
	e, addr, _ := servePiped(t, "c1")
	_, pipe := piped(t, addr, "c1")
	const clients, calls = 16, 200
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for i := 1; i <= calls; i++ {
				r, err := pipe.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: strings.Repeat("n", i)})
				if err != nil || int(r.Status) != i {
					t.Errorf("answer %v, %v to call of %d", r, err, i)
					return
				}
			}
		})
	}
	wg.Wait()
	if n := e.calls.Load(); n != clients*calls {
		t.Errorf("%d calls arrived, not %d", n, clients*calls)
	}
}

func TestPipeCancelsCalls(t *testing.T) {
	e, addr, _ := servePiped(t, "c1")
	_, pipe := piped(t, addr, "c1")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := pipe.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: "wait"})
		done <- err
	}()
	<-e.waiting
	cancel()
	if err := <-done; status.Code(err) != codes.Canceled {
		t.Errorf("cancelled call: %v", err)
	}
	<-e.cancelled
	late, err := e.late("wait", func(service string, within time.Duration) error {
		short, cancel := context.WithTimeout(t.Context(), within)
		defer cancel()
		_, err := ask(short, pipe, service)
		return err
	})
	if status.Code(err) != codes.DeadlineExceeded {
		t.Fatalf("late call: %v", err)
	}
	e.cancelled.await(late)
}

func TestPipeOfAnotherClusterIsRefused(t *testing.T) {
	e, addr, _ := servePiped(t, "c1")
	_, pipe := piped(t, addr, "c2")
	_, err := pipe.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: "n"})
	if status.Code(err) != codes.PermissionDenied && Reason(err) != ReasonWrongCluster || e.calls.Load() != 0 {
		t.Errorf("call from another cluster: %v", err)
	}
}

func TestPipeFallsBackToGRPC(t *testing.T) {
	addr := serve(t, "c1", nil)
	c, pipe := piped(t, addr, "c1")
	for range 3 {
		if _, err := pipe.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}); err != nil {
			t.Fatalf("call to a peer without pipes: %v", err)
		}
	}
	if c.hasPipe() {
		t.Error("a pipe to a peer that knows none")
	}
	_, addr, _ = servePiped(t, "c1")
	c, pipe = piped(t, addr, "c1")
	if r, err := pipe.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: strings.Repeat("n", maxPiped+1)}); err != nil || r.Status != maxPiped+1 {
		t.Errorf("large call: %v, %v", r, err)
	}
	if c.hasPipe() {
		t.Error("a large message took the pipe")
	}
}

// TestPipeConnectsAgain restarts the server on its port: calls fail while it is away and work when it is back.
func TestPipeConnectsAgain(t *testing.T) {
	_, addr, stop := servePiped(t, "c1")
	c, pipe := piped(t, addr, "c1")
	if _, err := pipe.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}); err != nil {
		t.Fatal(err)
	}
	stop()
	if _, err := pipe.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}); status.Code(err) != codes.Unavailable {
		t.Fatalf("call to a server that is gone: %v", err)
	}
	l := listenFor(t, addr)
	cfg := ServerConfig{Cluster: NewCluster("c1"), Log: slog.New(slog.DiscardHandler)}
	g, p := NewServer(cfg), NewPipeServer(cfg)
	grpc_health_v1.RegisterHealthServer(p, &echo{})
	others := p.Listen(l)
	go func() { _ = g.Serve(others) }() // ends with Stop
	defer func() { Stop(g, time.Second); p.Stop(time.Second) }()
	c.ResetConnectBackoff()
	if _, err := pipe.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}); err != nil {
		t.Errorf("call to a server that is back: %v", err)
	}
}

func FuzzPipeServer(f *testing.F) {
	f.Add([]byte(pipeMagic + "\x02c1"))
	f.Add([]byte(pipeMagic + "\x02c1\x0e\x00\x00\x00\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff"))
	f.Add([]byte(pipeMagic + "\x02c1\xff\xff\xff\xff\x01"))
	f.Add([]byte("STELE"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		p := NewPipeServer(ServerConfig{Cluster: NewCluster("c1"), Log: slog.New(slog.DiscardHandler)})
		grpc_health_v1.RegisterHealthServer(p, service{})
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Skip(err)
		}
		wrapped := p.Listen(l)
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Skip(err)
		}
		_, _ = conn.Write(sent) // the server may hang up
		_ = conn.Close()
		_ = wrapped.Close()
		p.Stop(time.Second)
	})
}
