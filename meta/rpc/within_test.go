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
		call := func(ctx context.Context, d time.Duration) codes.Code {
			ctx, cancel := Within(ctx, d)
			defer cancel()
			_, err := c.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: "wait"})
			<-e.waiting
			<-e.cancelled
			return status.Code(err)
		}
		if _, err := c.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: "n"}); err != nil { // it is connected: the calls arrive
			t.Fatal(err)
		}
		if got := call(t.Context(), 200*time.Millisecond); got != codes.DeadlineExceeded {
			t.Errorf("%s: late: %v", name, got)
		}
		short, stop := context.WithTimeout(t.Context(), 200*time.Millisecond)
		if got := call(short, time.Hour); got != codes.DeadlineExceeded {
			t.Errorf("%s: the caller's deadline: %v", name, got)
		}
		stop()
		gone, leave := context.WithCancel(t.Context())
		time.AfterFunc(200*time.Millisecond, leave)
		if got := call(gone, time.Hour); got != codes.Canceled {
			t.Errorf("%s: cancelled: %v", name, got)
		}
		ctx, cancel := Within(t.Context(), time.Hour)
		if r, err := c.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: "nnn"}); err != nil || r.Status != 3 {
			t.Errorf("%s: %v, %v", name, r, err)
		}
		cancel()
	}
	if !conn.hasPipe() {
		t.Error("no pipe was used")
	}
}
