package rpc

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// directCalls is how many calls the direct connection has carried, 0 without one.
func (c *Conn) directCalls() uint64 {
	p, ok := c.ready().(*pipeConn)
	if !ok {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.side == nil || p.sideTaken {
		return 0
	}
	return p.side.last
}

func ask(ctx context.Context, h grpc_health_v1.HealthClient, name string) (int, error) {
	r, err := h.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: name})
	return int(r.GetStatus()), err
}

// goDirect makes calls until they take the direct connection.
func goDirect(t *testing.T, c *Conn, h grpc_health_v1.HealthClient) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		before := c.directCalls()
		if n, err := ask(t.Context(), h, "nn"); err != nil || n != 2 {
			t.Fatalf("call: %d, %v", n, err)
		}
		if c.directCalls() > before {
			return
		}
	}
	t.Fatal("calls that are alone take the pipe")
}

// TestDirectAnswersAsGRPC holds every outcome of a call on the direct connection against the same call by gRPC.
func TestDirectAnswersAsGRPC(t *testing.T) {
	_, addr, _ := servePiped(t, "c1")
	c, h := piped(t, addr, "c1")
	plain := client(t, addr, "c1")
	goDirect(t, c, h)
	for _, what := range []string{"", "n", fmt.Sprintf("n%050000d", 0), "error", "wrapped", "plain", "panic", "n"} {
		before := c.directCalls()
		a, aerr := ask(t.Context(), h, what)
		b, berr := ask(t.Context(), plain, what)
		if a != b || fmt.Sprint(aerr) != fmt.Sprint(berr) {
			t.Errorf("%.10q: %v, %v directly, %v, %v by gRPC", what, a, aerr, b, berr)
		}
		var x, y *Error
		if errors.As(aerr, &x) != errors.As(berr, &y) || x != nil && *x != *y {
			t.Errorf("%.10q: %+v directly, %+v by gRPC", what, x, y)
		}
		if c.directCalls() != before+1 {
			t.Errorf("%.10q took another way", what)
		}
	}
}

// TestDirectCallsEnd ends calls before their answer: the server hears of it, and no later call gets what was meant for them.
func TestDirectCallsEnd(t *testing.T) {
	rounds := func(end func(t *testing.T, e *echo, conn *Conn, h grpc_health_v1.HealthClient)) func(*testing.T) {
		return func(t *testing.T) {
			e, addr, _ := servePiped(t, "c1")
			conn, h := piped(t, addr, "c1")
			for round := range 3 {
				end(t, e, conn, h)
				if n, err := ask(t.Context(), h, "nnn"); err != nil || n != 3 {
					t.Errorf("round %d: the next call: %d, %v", round, n, err)
				}
			}
		}
	}
	t.Run("cancelled", rounds(func(t *testing.T, e *echo, conn *Conn, h grpc_health_v1.HealthClient) {
		goDirect(t, conn, h)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			e.waiting.await("wait")
			cancel()
		}()
		if _, err := ask(ctx, h, "wait"); status.Code(err) != codes.Canceled {
			t.Error(err)
		}
		e.cancelled.await("wait")
	}))
	t.Run("late", rounds(func(t *testing.T, e *echo, conn *Conn, h grpc_health_v1.HealthClient) {
		late, err := e.late("wait", func(service string, within time.Duration) error {
			goDirect(t, conn, h)
			ctx, cancel := Within(t.Context(), within)
			defer cancel()
			_, err := ask(ctx, h, service)
			return err
		})
		if status.Code(err) != codes.DeadlineExceeded {
			t.Fatal(err)
		}
		e.cancelled.await(late)
	}))
}

// TestDirectIsForOneCaller has calls come while another one has the direct connection, and after one by Start.
func TestDirectIsForOneCaller(t *testing.T) {
	e, addr, _ := servePiped(t, "c1")
	c, h := piped(t, addr, "c1")
	goDirect(t, c, h)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := ask(ctx, h, "wait")
		done <- err
	}()
	<-e.waiting
	if n, err := ask(t.Context(), h, "nnnn"); err != nil || n != 4 {
		t.Errorf("a call beside it: %d, %v", n, err)
	}
	cancel()
	if err := <-done; status.Code(err) != codes.Canceled {
		t.Error(err)
	}
	<-e.cancelled
	goDirect(t, c, h)
	before := c.directCalls()
	out := &grpc_health_v1.HealthCheckResponse{}
	c.Start(grpc_health_v1.Health_Check_FullMethodName, &grpc_health_v1.HealthCheckRequest{Service: "n"}, out, time.Minute, func(err error) { done <- err })
	if n, err := ask(t.Context(), h, "nn"); err != nil || n != 2 || c.directCalls() != before {
		t.Errorf("a call behind Start: %d, %v; %d and %d calls went directly", n, err, before, c.directCalls())
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestDirectEndsWithThePipe closes the connection, or the pipe fails, under a call.
func TestDirectEndsWithThePipe(t *testing.T) {
	for name, end := range map[string]func(c *Conn){
		"closed": func(c *Conn) { _ = c.Close() }, // closed again by the cleanup
		"silent": func(c *Conn) { c.ready().fail(status.Error(codes.Unavailable, "the peer is silent")) },
	} {
		t.Run(name, func(t *testing.T) {
			e, addr, _ := servePiped(t, "c1")
			c, h := piped(t, addr, "c1")
			goDirect(t, c, h)
			done := make(chan error, 1)
			go func() {
				_, err := ask(t.Context(), h, "wait")
				done <- err
			}()
			<-e.waiting
			end(c)
			if err := <-done; err == nil || status.Code(err) == codes.DeadlineExceeded {
				t.Errorf("a call outlived its pipe: %v", err)
			}
		})
	}
}
