package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"stele/meta/types"
)

// TestInsideAsPipe runs tests of pipes on calls within the process.
func TestInsideAsPipe(t *testing.T) {
	for name, test := range map[string]func(*testing.T){
		"answers": TestPipeAnswersAsGRPC, "many at once": TestPipeCarriesManyCallsAtOnce, "cancelled": TestPipeCancelsCalls,
		"another cluster": TestPipeOfAnotherClusterIsRefused, "again": TestPipeConnectsAgain,
		"started": TestStartAnswers, "brief": TestBriefCalls, "later": TestLater, "stopped": TestStopBesideAnswers,
	} {
		t.Run(name, test)
	}
}

func isInside(c *Conn) bool {
	_, ok := c.ready().(*inside)
	return ok
}

// watcher is a service whose brief calls tell what they do: "wait" until their context ends, "hold" until they are let go after Waits,
// "block" until they are let go, "order" notes when it comes.
type watcher struct {
	*echo
	goes chan struct{}

	mu   sync.Mutex
	came []string
}

func (w *watcher) Check(ctx context.Context, r *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	if name, ok := strings.CutPrefix(r.Service, "order"); ok {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.came = append(w.came, name)
		return &grpc_health_v1.HealthCheckResponse{}, nil
	}
	if waits := strings.HasPrefix(r.Service, "hold"); waits || r.Service == "block" {
		w.waiting <- r.Service
		if waits {
			Waits(ctx)
		}
		<-w.goes
		return &grpc_health_v1.HealthCheckResponse{Status: 4}, nil
	}
	if strings.HasPrefix(r.Service, "wait") || r.Service == "heed" {
		Waits(ctx)
	}
	if r.Service == "heed" {
		Heeds(ctx)
		r.Service = "wait"
	}
	return w.echo.Check(ctx, r)
}

// serveWatcher serves brief calls; stop ends the server as fast as grace says.
func serveWatcher(t *testing.T, id types.ClusterID, grace time.Duration) (w *watcher, addr string, stop func()) {
	t.Helper()
	l := listenFor(t, "127.0.0.1:0")
	w = &watcher{echo: newEcho(), goes: make(chan struct{})}
	cfg := ServerConfig{Cluster: NewCluster(id), Log: slog.New(slog.DiscardHandler)}
	g, p := NewServer(cfg), NewPipeServer(cfg)
	p.Brief(grpc_health_v1.Health_Check_FullMethodName)
	grpc_health_v1.RegisterHealthServer(p, w)
	grpc_health_v1.RegisterHealthServer(g, w)
	served := make(chan error, 1)
	others := p.Listen(l) // first: who connects finds it
	go func() { served <- g.Serve(others) }()
	stop = sync.OnceFunc(func() {
		Stop(g, grace)
		p.Stop(grace)
		if err := <-served; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			t.Errorf("serve: %v", err)
		}
	})
	t.Cleanup(stop)
	return w, l.Addr().String(), stop
}

// timed are the ways to limit the time of a call.
var timed = map[string]func(context.Context, time.Duration) (context.Context, context.CancelFunc){
	"within": Within, "deadline": context.WithTimeout,
}

// TestInsideBriefCallsEnd ends brief calls, which run in the goroutine of their callers, in every way.
func TestInsideBriefCallsEnd(t *testing.T) {
	w, addr, stop := serveWatcher(t, "c1", time.Millisecond)
	c, h := piped(t, addr, "c1")
	if n, err := ask(t.Context(), h, "nn"); err != nil || n != 2 || !isInside(c) {
		t.Fatal(n, err, isInside(c))
	}
	if n, err := ask(t.Context(), h, "n"+strings.Repeat("n", maxPiped)); err != nil || n != maxPiped+1 {
		t.Errorf("a large call: %d, %v", n, err)
	}
	for name, with := range timed {
		late, err := w.late("wait", func(service string, within time.Duration) error {
			ctx, cancel := with(t.Context(), within)
			defer cancel()
			_, err := ask(ctx, h, service)
			return err
		})
		if status.Code(err) != codes.DeadlineExceeded {
			t.Fatalf("%s: %v", name, err)
		}
		w.cancelled.await(late)
	}
	ctx, cancel := context.WithCancel(t.Context())
	for _, c := range []struct {
		what string
		end  func()
		code codes.Code
	}{{"cancelled", cancel, codes.Canceled}, {"when its server ended", stop, codes.Unavailable}} {
		done := make(chan error, 1)
		go func() {
			_, err := ask(ctx, h, "wait")
			done <- err
		}()
		w.waiting.await("wait")
		c.end()
		if err := <-done; status.Code(err) != c.code {
			t.Errorf("a call %s: %v", c.what, err)
		}
		w.cancelled.await("wait")
		ctx = t.Context()
	}
	if _, err := ask(t.Context(), h, "n"); status.Code(err) != codes.Unavailable {
		t.Errorf("a call to a server that has ended: %v", err)
	}
}

// TestInsideLeavesWhatHangs: while a handler hangs, as on a disk, other calls are left when their time is up, as by a pipe, and when none hangs any
// more they are run by their callers again. A handler that says that it heeds its context hangs for nobody.
func TestInsideLeavesWhatHangs(t *testing.T) {
	w, addr, stop := serveWatcher(t, "c1", time.Second)
	defer stop()
	c, h := piped(t, addr, "c1")
	if _, err := ask(t.Context(), h, "n"); err != nil || !isInside(c) {
		t.Fatal(err, isInside(c))
	}
	watch := &c.ready().(*inside).s.inside
	first := make(chan error, 1)
	go func() {
		_, err := ask(t.Context(), h, "hold")
		first <- err
	}()
	<-w.waiting
	for !watch.hangs() {
		runtime.Gosched()
	}
	for name, with := range timed {
		_, err := w.late("hold", func(service string, within time.Duration) error {
			ctx, cancel := with(t.Context(), within)
			defer cancel()
			_, err := ask(ctx, h, service)
			return err
		})
		if status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n, err := ask(t.Context(), h, "nn"); err != nil || n != 2 {
		t.Errorf("a call that does not hang: %d, %v", n, err)
	}
	close(w.goes)
	if err := <-first; err != nil {
		t.Error(err)
	}
	for watch.hangs() {
		runtime.Gosched()
	}
	ctx, cancel := context.WithCancel(t.Context())
	heeds := make(chan error, 1)
	go func() {
		_, err := ask(ctx, h, "heed")
		heeds <- err
	}()
	w.waiting.await("wait")
	for beats := watch.beat.Load(); watch.begun[0].Load()+watch.begun[1].Load() > 0 && watch.beat.Load() < beats+2; {
		runtime.Gosched()
	}
	if watch.hangs() {
		t.Error("a handler that heeds its context counts as one that hangs")
	}
	cancel()
	if err := <-heeds; status.Code(err) != codes.Canceled {
		t.Error(err)
	}
	w.cancelled.await("wait")
}

// TestInsideConnectionCloses closes a connection under calls: one that runs in its caller, one that was started, and one behind it.
func TestInsideConnectionCloses(t *testing.T) {
	d := &deferring{held: make(chan func(proto.Message, error), 3)}
	addr, _ := serveDeferring(t, d, &Outbox{})
	c, h := piped(t, addr, "c1")
	if _, err := ask(t.Context(), h, "nn"); err != nil || !isInside(c) {
		t.Fatal(err, isInside(c))
	}
	ended := make(chan error, 3)
	out := &grpc_health_v1.HealthCheckResponse{}
	c.Start(grpc_health_v1.Health_Check_FullMethodName, &grpc_health_v1.HealthCheckRequest{Service: "later"}, out, time.Minute,
		func(err error) { ended <- err })
	for range 2 {
		go func() {
			_, err := ask(t.Context(), h, "later")
			ended <- err
		}()
	}
	var late []func(proto.Message, error)
	for range 3 {
		late = append(late, <-d.held)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	for range 3 {
		if err := <-ended; status.Code(err) != codes.Canceled {
			t.Errorf("a call on a connection that was closed: %v", err)
		}
	}
	for _, answer := range late { // nobody is there any more
		answer(nil, nil)
	}
	if out.Status != 0 || len(ended) > 0 {
		t.Errorf("an answer that came too late was taken: %v", out)
	}
}

// TestInsideKeepsOrder: what was started is not overtaken by what is started later, and holds no call up.
func TestInsideKeepsOrder(t *testing.T) {
	w, addr, _ := serveWatcher(t, "c1", time.Second)
	c, h := piped(t, addr, "c1")
	if _, err := ask(t.Context(), h, "n"); err != nil || !isInside(c) {
		t.Fatal(err, isInside(c))
	}
	var started sync.WaitGroup
	start := func(name string, by func(string, proto.Message, proto.Message, time.Duration, func(error))) {
		started.Add(1)
		by(grpc_health_v1.Health_Check_FullMethodName, &grpc_health_v1.HealthCheckRequest{Service: name},
			&grpc_health_v1.HealthCheckResponse{}, time.Minute, func(err error) {
				if err != nil {
					t.Error(err)
				}
				started.Done()
			})
	}
	start("hold", c.Start) // holds nothing up
	<-w.waiting
	start("block", c.Start)
	<-w.waiting
	var want []string
	for i := range 500 {
		name := "order" + fmt.Sprint(i)
		want = append(want, fmt.Sprint(i))
		if i%10 < 7 {
			start(name, c.Start)
		} else {
			start(name, c.StartHere)
		}
	}
	if _, err := ask(t.Context(), h, "order first"); err != nil { // it waits for none of them
		t.Fatal(err)
	}
	w.goes <- struct{}{}
	w.goes <- struct{}{}
	started.Wait()
	if got := strings.Join(w.came, " "); got != " first "+strings.Join(want, " ") {
		t.Errorf("came as %s", got)
	}
}

// TestInsideStartsHere: where nothing was started before, the handler has ended when StartHere returns.
func TestInsideStartsHere(t *testing.T) {
	w, addr, _ := serveWatcher(t, "c1", time.Second)
	c, h := piped(t, addr, "c1")
	if _, err := ask(t.Context(), h, "n"); err != nil || !isInside(c) {
		t.Fatal(err, isInside(c))
	}
	told := false
	c.StartHere(grpc_health_v1.Health_Check_FullMethodName, &grpc_health_v1.HealthCheckRequest{Service: "order1"}, &grpc_health_v1.HealthCheckResponse{},
		time.Minute, func(err error) { told = err == nil })
	if !told || len(w.came) != 1 {
		t.Errorf("told %v, came %v", told, w.came)
	}
}

// TestInsideIsForTheAddress has calls take another way wherever the server of this process is not whom TCP reaches, or asks for certificates.
func TestInsideIsForTheAddress(t *testing.T) {
	for _, tc := range []struct {
		bind, call string
		want       bool
	}{
		{"127.0.0.1:0", "127.0.0.1", true},
		{"127.0.0.1:0", "localhost", true},
		{"0.0.0.0:0", "127.0.0.1", true},
		{":0", "127.0.0.5", true},
		{"127.0.0.7:0", "127.0.0.7", true},
	} {
		l := listenFor(t, tc.bind)
		cfg := ServerConfig{Cluster: NewCluster("c1"), Log: slog.New(slog.DiscardHandler)}
		p := NewPipeServer(cfg)
		grpc_health_v1.RegisterHealthServer(p, service{})
		p.Listen(l)
		target := fmt.Sprintf("%s:%d", tc.call, l.at.Port())
		c, h := piped(t, target, "c1")
		if _, err := ask(t.Context(), h, "n"); err != nil || isInside(c) != tc.want {
			t.Errorf("%s called at %s: %v, inside %v", tc.bind, tc.call, err, isInside(c))
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		p.Stop(time.Second)
		if s := servedInside(l.at); s != nil {
			t.Errorf("%s is known after its end", tc.bind)
		}
	}
}

// TestInsideSharesNothing changes a request after its call and an answer after it was given.
func TestInsideSharesNothing(t *testing.T) {
	l := listenFor(t, "127.0.0.1:0")
	k := &keeper{}
	p := NewPipeServer(ServerConfig{Cluster: NewCluster("c1"), Log: slog.New(slog.DiscardHandler)})
	p.Brief(grpc_health_v1.Health_Check_FullMethodName)
	grpc_health_v1.RegisterHealthServer(p, k)
	p.Listen(l)
	t.Cleanup(func() {
		_ = l.Close()
		p.Stop(time.Second)
	})
	c, h := piped(t, l.Addr().String(), "c1")
	req := &grpc_health_v1.HealthCheckRequest{Service: "mine"}
	resp, err := h.Check(t.Context(), req)
	if err != nil || !isInside(c) {
		t.Fatal(err, isInside(c))
	}
	req.Service = "changed"
	k.resp.Status = 7
	if k.req.Service != "mine" || resp.Status != 1 {
		t.Errorf("the handler has %q, the caller %v", k.req.Service, resp.Status)
	}
}

// keeper keeps what it was asked and what it has answered.
type keeper struct {
	grpc_health_v1.UnimplementedHealthServer
	req  *grpc_health_v1.HealthCheckRequest
	resp *grpc_health_v1.HealthCheckResponse
}

func (k *keeper) Check(_ context.Context, r *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	k.req, k.resp = r, &grpc_health_v1.HealthCheckResponse{Status: 1}
	return k.resp, nil
}
