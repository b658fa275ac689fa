package rpc

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// TestWithin: a call within a time ends with it, with its context, and in time for a deadline before it, by pipe and by gRPC.
func TestWithin(t *testing.T) {
	e, addr, _ := servePiped(t, "c1")
	conn, pipe := piped(t, addr, "c1")
	unpiped, err := DialPiped(addr, DialConfig{Cluster: NewCluster("c1")})
	if err != nil {
		t.Fatal(err)
	}
	defer unpiped.Close()
	for name, c := range map[string]grpc_health_v1.HealthClient{"pipe": pipe, "gRPC": grpc_health_v1.NewHealthClient(unpiped)} {
		if _, err := c.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: "n"}); err != nil { // it is connected: the calls arrive
			t.Fatal(err)
		}
		for limit, with := range map[string]func(time.Duration) (context.Context, context.CancelFunc){
			"the time": func(d time.Duration) (context.Context, context.CancelFunc) { return Within(t.Context(), d) },
			"the caller's deadline": func(d time.Duration) (context.Context, context.CancelFunc) {
				short, stop := context.WithTimeout(t.Context(), d)
				ctx, cancel := Within(short, time.Hour)
				return ctx, func() { cancel(); stop() }
			},
		} {
			late, err := e.late("wait", func(service string, within time.Duration) error {
				ctx, cancel := with(within)
				defer cancel()
				_, err := ask(ctx, c, service)
				return err
			})
			if status.Code(err) != codes.DeadlineExceeded {
				t.Fatalf("%s: %s: %v", name, limit, err)
			}
			e.cancelled.await(late)
		}
		gone, leave := context.WithCancel(t.Context())
		go func() {
			e.waiting.await("wait")
			leave()
		}()
		ctx, cancel := Within(gone, time.Hour)
		if _, err := ask(ctx, c, "wait"); status.Code(err) != codes.Canceled {
			t.Errorf("%s: cancelled: %v", name, err)
		}
		cancel()
		e.cancelled.await("wait")
		ctx, cancel = Within(t.Context(), time.Hour)
		if r, err := c.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: "nnn"}); err != nil || r.Status != 3 {
			t.Errorf("%s: %v, %v", name, r, err)
		}
		cancel()
	}
	if !conn.hasPipe() {
		t.Error("no pipe was used")
	}
}
