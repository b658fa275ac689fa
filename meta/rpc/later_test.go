package rpc

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// deferring is a service that answers later. What is named "later" waits in held for whoever answers.
type deferring struct {
	grpc_health_v1.UnimplementedHealthServer
	held chan func(proto.Message, error)
}

func (d *deferring) Check(ctx context.Context, r *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	resp := &grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_ServingStatus(len(r.Service))}
	answer, ok := Later(ctx)
	if !ok {
		return resp, nil
	}
	switch r.Service {
	case "later":
		d.held <- func(proto.Message, error) { answer(resp, nil) }
	case "refused":
		d.held <- answer
	case "error":
		return nil, status.Error(codes.Aborted, "not so")
	case "panic":
		panic("as told")
	case "twice":
		answer(resp, nil)
		answer(nil, errors.New("and again"))
	case "waits":
		Waits(ctx)
		<-d.held
		answer(resp, nil)
	default:
		answer(resp, nil)
	}
	return nil, nil
}

// serveDeferring serves d, with an outbox; stop ends it.
func serveDeferring(t *testing.T, d *deferring, o *Outbox) (addr string, stop func()) {
	t.Helper()
	l := listenFor(t, "127.0.0.1:0")
	cfg := ServerConfig{Cluster: NewCluster("c1"), Log: slog.New(slog.DiscardHandler), Outbox: o}
	g, p := NewServer(cfg), NewPipeServer(cfg)
	p.Brief(grpc_health_v1.Health_Check_FullMethodName)
	grpc_health_v1.RegisterHealthServer(p, d)
	grpc_health_v1.RegisterHealthServer(g, d)
	served := make(chan error, 1)
	others := p.Listen(l) // first: who connects finds it
	go func() { served <- g.Serve(others) }()
	stop = sync.OnceFunc(func() {
		Stop(g, time.Second)
		p.Stop(5 * time.Second)
		if err := <-served; err != nil && !errors.Is(err, grpc.ErrServerStopped) { // it had not begun
			t.Errorf("serve: %v", err)
		}
	})
	t.Cleanup(stop)
	return l.Addr().String(), stop
}

// TestLater has calls answered after their handlers have returned, in every way, while others are answered at once.
func TestLater(t *testing.T) {
	d := &deferring{held: make(chan func(proto.Message, error), 100)}
	o := &Outbox{}
	addr, stop := serveDeferring(t, d, o)
	c, client := piped(t, addr, "c1")
	check := func(name string) (int, error) {
		resp, err := client.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: name})
		return int(resp.GetStatus()), err
	}
	if n, err := check("first"); n != 5 || err != nil || !c.hasPipe() {
		t.Fatal(n, err)
	}
	type outcome struct {
		n   int
		err error
	}
	ended := make(chan outcome, 100)
	start := func(name string) {
		out := &grpc_health_v1.HealthCheckResponse{}
		c.Start(grpc_health_v1.Health_Check_FullMethodName, &grpc_health_v1.HealthCheckRequest{Service: name}, out, time.Minute,
			func(err error) { ended <- outcome{int(out.Status), err} })
	}
	for range 20 {
		start("later")
	}
	for _, name := range []string{"now", "twice", "later than"} { // none of them is held up
		if n, err := check(name); n != len(name) || err != nil {
			t.Fatalf("%s: %d, %v", name, n, err)
		}
	}
	if len(ended) != 0 {
		t.Fatalf("%d calls were answered that nobody has answered", len(ended))
	}
	o.Batch(func() { // as after one flush of a disk
		for range 20 {
			(<-d.held)(nil, nil)
		}
	})
	for range 20 {
		if got := <-ended; got != (outcome{len("later"), nil}) {
			t.Fatal(got)
		}
	}
	start("refused")
	(<-d.held)(nil, status.Error(codes.ResourceExhausted, "full"))
	if got := <-ended; status.Code(got.err) != codes.ResourceExhausted {
		t.Error(got)
	}
	for name, want := range map[string]codes.Code{"error": codes.Aborted, "panic": codes.Internal} {
		if _, err := check(name); status.Code(err) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	start("waits")
	if n, err := check("now"); n != 3 || err != nil {
		t.Fatal(n, err)
	}
	d.held <- nil
	if got := <-ended; got != (outcome{len("waits"), nil}) {
		t.Error(got)
	}
	// A server that stops answers what it has taken.
	start("later")
	last := <-d.held
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		stop()
	}()
	last(nil, nil)
	if got := <-ended; got != (outcome{len("later"), nil}) {
		t.Error(got)
	}
	<-stopped
}

// TestOutbox: a frame goes at once where there is no batch, else at the end of the next batch that ends.
func TestOutbox(t *testing.T) {
	near, far := net.Pipe()
	t.Cleanup(func() {
		_ = near.Close()
		_ = far.Close()
	})
	arrived := make(chan byte, 10)
	go func() {
		b := make([]byte, 5)
		for {
			if _, err := far.Read(b); err != nil {
				close(arrived)
				return
			}
			arrived <- b[4]
		}
	}()
	var w frameWriter
	w.init(near)
	o := &Outbox{}
	put := func(o *Outbox, what byte) {
		t.Helper()
		if err := o.put(&w, func(dst []byte) ([]byte, error) { return append(dst, what), nil }); err != nil {
			t.Fatal(err)
		}
	}
	want := func(letters string) {
		t.Helper()
		for i := range len(letters) {
			select {
			case got := <-arrived:
				if got != letters[i] {
					t.Fatalf("%q came, want %q", got, letters[i])
				}
			case <-time.After(time.Minute):
				t.Fatalf("%q does not come", letters[i])
			}
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		for w.sending {
			w.taken.Wait() // who still sends would take along what is queued next
		}
		if len(arrived) > 0 || w.err != nil {
			t.Fatalf("something came too early: %d frames, %v", len(arrived), w.err)
		}
	}
	put(nil, 'a')
	want("a")
	put(o, 'b')
	want("b")
	o.begin()
	o.begin()
	put(o, 'c')
	want("")
	o.end() // the first one to end sends all
	want("c")
	put(o, 'd')
	put(o, 'e')
	want("")
	o.end()
	want("de")
	put(o, 'f')
	want("f")
}

// TestPeerThatDoesNotRead: while a peer takes no answers its calls are not read, and what a batch has for others goes all the same.
func TestPeerThatDoesNotRead(t *testing.T) {
	near, far := net.Pipe()
	otherNear, otherFar := net.Pipe()
	t.Cleanup(func() {
		for _, c := range []net.Conn{near, far, otherNear, otherFar} {
			_ = c.Close()
		}
	})
	var stuck, other frameWriter
	stuck.init(near)
	other.init(otherNear)
	o := &Outbox{}
	frame := func(size int) func([]byte) ([]byte, error) {
		return func(dst []byte) ([]byte, error) { return append(dst, make([]byte, size)...), nil }
	}
	for range 2 { // the first is on its way, the second waits
		if err := o.put(&stuck, frame(2*keptBuffer)); err != nil {
			t.Fatal(err)
		}
	}
	b := newBatch(o, near)
	b.begin()
	if err := o.put(&other, frame(1)); err != nil {
		t.Fatal(err)
	}
	goesOn := make(chan struct{})
	go func() {
		defer close(goesOn)
		stuck.heeds(b)
	}()
	got := make([]byte, 5)
	if _, err := io.ReadFull(otherFar, got); err != nil {
		t.Fatal(err)
	}
	select {
	case <-goesOn:
		t.Fatal("went on before anything was taken")
	default:
	}
	if _, err := io.CopyN(io.Discard, far, 2*(2*keptBuffer+4)); err != nil {
		t.Fatal(err)
	}
	<-goesOn
}

// TestStopBesideAnswers stops servers whose last answers the readers are about to send.
func TestStopBesideAnswers(t *testing.T) {
	for range 50 {
		addr, stop := serveDeferring(t, &deferring{held: make(chan func(proto.Message, error), 1)}, &Outbox{})
		c, client := piped(t, addr, "c1")
		if _, err := client.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: "first"}); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 20)
		for range cap(ended) {
			c.Start(grpc_health_v1.Health_Check_FullMethodName, &grpc_health_v1.HealthCheckRequest{Service: "now"},
				&grpc_health_v1.HealthCheckResponse{}, 10*time.Second, func(err error) { ended <- err })
		}
		stop()
		for range cap(ended) {
			<-ended // answered, or told that the server is gone
		}
	}
}

type testKey struct{}

// TestContextOfACall: the context of a call ends with its deadline, its cancellation and its end, and so do contexts made of it,
// whenever they are looked at first.
func TestContextOfACall(t *testing.T) {
	newCall := func(after time.Duration) *servedCall {
		return &servedCall{Context: context.WithValue(t.Context(), testKey{}, "value"), deadline: time.Now().Add(after)}
	}
	c := newCall(time.Millisecond)
	child, cancel := context.WithCancel(c)
	defer cancel()
	<-child.Done()
	if !errors.Is(c.Err(), context.DeadlineExceeded) || !errors.Is(context.Cause(child), context.DeadlineExceeded) {
		t.Errorf("after the deadline: %v, %v", c.Err(), context.Cause(child))
	}
	c = newCall(time.Hour)
	if d, ok := c.Deadline(); !ok || time.Until(d) < time.Minute || c.Err() != nil || c.Value(testKey{}) != "value" {
		t.Errorf("a call under way: %v, %v, %v", d, c.Err(), c.Value(testKey{}))
	}
	child, cancel = context.WithTimeout(c, time.Minute)
	defer cancel()
	c.cancel()
	<-child.Done()
	if !errors.Is(context.Cause(child), context.Canceled) || child.Value(testKey{}) != "value" {
		t.Errorf("after a cancellation: %v", context.Cause(child))
	}
	c = newCall(time.Hour)
	c.cancel()
	if !errors.Is(c.Err(), context.Canceled) {
		t.Errorf("looked at after its end: %v", c.Err())
	}
}
