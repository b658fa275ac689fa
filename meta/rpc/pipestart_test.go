package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// TestStartAnswers makes calls with Start, before and after the pipe is connected, and ends them in every way.
func TestStartAnswers(t *testing.T) {
	e, addr, stop := servePiped(t, "c1")
	c, client := piped(t, addr, "c1")
	start := func(name string, timeout time.Duration) (*grpc_health_v1.HealthCheckResponse, chan error) {
		out, done := &grpc_health_v1.HealthCheckResponse{}, make(chan error, 2)
		c.Start(grpc_health_v1.Health_Check_FullMethodName, &grpc_health_v1.HealthCheckRequest{Service: name}, out, timeout, func(err error) { done <- err })
		return out, done
	}
	for round := range 2 {
		out, done := start("nnn", time.Minute)
		if err := <-done; err != nil || out.Status != 3 {
			t.Fatalf("round %d: %v, %v", round, out.Status, err)
		}
	}
	if !c.hasPipe() {
		t.Fatal("no pipe: the calls went another way")
	}
	late, err := e.late("wait", func(service string, within time.Duration) error {
		_, done := start(service, within)
		return <-done
	})
	if status.Code(err) != codes.DeadlineExceeded {
		t.Fatalf("a late call ended with %v", err)
	}
	e.cancelled.await(late) // the server was told
	_, done := start("wait", time.Minute)
	e.waiting.await("wait")
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		stop()
	}()
	if err := <-done; err == nil {
		t.Error("a call outlived its server")
	}
	e.cancelled.await("wait")
	<-stopped
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	_, done = start("n", time.Second)
	if err := <-done; err == nil {
		t.Error("a call on a closed connection succeeded")
	}
	if _, err := client.Check(context.Background(), &grpc_health_v1.HealthCheckRequest{Service: "n"}); err == nil {
		t.Error("a call on a closed connection succeeded")
	}
	select {
	case err := <-done:
		t.Errorf("done was called twice, with %v", err)
	default:
	}
}

// brief is a service whose calls run where they are read; one named "wait" says so and waits for one named "go".
type brief struct {
	echo
	goes chan struct{}
}

func (b *brief) Check(ctx context.Context, r *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	switch r.Service {
	case "wait":
		Waits(ctx)
		Waits(ctx) // once is enough, twice does no harm
		select {
		case <-b.goes:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	case "go":
		b.goes <- struct{}{}
	}
	return &grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_ServingStatus(len(r.Service))}, nil
}

// TestBriefCalls has calls that run in the reader, and some that let it go: none holds up another.
func TestBriefCalls(t *testing.T) {
	l := listenFor(t, "127.0.0.1:0")
	b := &brief{goes: make(chan struct{})}
	cfg := ServerConfig{Cluster: NewCluster("c1"), Log: slog.New(slog.DiscardHandler)}
	g, p := NewServer(cfg), NewPipeServer(cfg)
	p.Brief(grpc_health_v1.Health_Check_FullMethodName)
	grpc_health_v1.RegisterHealthServer(p, b)
	served := make(chan error, 1)
	others := p.Listen(l) // first: who connects finds it
	go func() { served <- g.Serve(others) }()
	t.Cleanup(func() {
		Stop(g, time.Second)
		p.Stop(time.Second)
		if err := <-served; err != nil && !errors.Is(err, grpc.ErrServerStopped) { // it had not begun
			t.Errorf("serve: %v", err)
		}
	})
	c, client := piped(t, l.Addr().String(), "c1")
	if _, err := client.Check(context.Background(), &grpc_health_v1.HealthCheckRequest{Service: "first"}); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	errs := make(chan error, 300)
	for i := range 100 {
		for _, name := range []string{"wait", "go", fmt.Sprint("plain", i)} {
			wg.Add(1)
			out := &grpc_health_v1.HealthCheckResponse{}
			c.Start(grpc_health_v1.Health_Check_FullMethodName, &grpc_health_v1.HealthCheckRequest{Service: name}, out, 10*time.Second, func(err error) {
				defer wg.Done()
				if err == nil && int(out.Status) != len(name) {
					err = fmt.Errorf("%s got the answer %d", name, out.Status)
				}
				if err != nil {
					errs <- err
				}
			})
		}
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
}
