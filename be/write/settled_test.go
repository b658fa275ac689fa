package write

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"

	"stele/meta/rpc"
)

// settling is a service of brief calls of which "settle" waits for a replica, as a locking read does.
type settling struct {
	grpc_health_v1.UnimplementedHealthServer
	r      *replica
	begins chan struct{}
}

func (s *settling) Check(ctx context.Context, req *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	if req.Service == "settle" {
		close(s.begins)
		s.r.settled(ctx)
	}
	return &grpc_health_v1.HealthCheckResponse{}, nil
}

// TestSettledHoldsUpNobody: while a transaction is being published for long, who waits for it to let go of its locks does not keep the calls
// behind it on the same connection, which may be of other tablets, and does so no longer than that.
func TestSettledHoldsUpNobody(t *testing.T) {
	leader := newPair(t).members[0]
	s := &settling{r: leader.w.replica(leader.tablet()), begins: make(chan struct{})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := rpc.ServerConfig{Cluster: rpc.NewCluster("c1"), Log: slog.New(slog.DiscardHandler)}
	g, p := rpc.NewServer(cfg), rpc.NewPipeServer(cfg)
	const check = grpc_health_v1.Health_Check_FullMethodName
	p.Brief(check)
	grpc_health_v1.RegisterHealthServer(p, s)
	grpc_health_v1.RegisterHealthServer(g, s)
	served := make(chan error, 1)
	others := p.Listen(l)
	go func() { served <- g.Serve(others) }()
	c, err := rpc.DialPiped(l.Addr().String(), rpc.DialConfig{Cluster: rpc.NewCluster("c1"), Timeout: time.Minute}, check)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		rpc.Stop(g, time.Second)
		p.Stop(time.Second)
		if err := <-served; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			t.Error(err)
		}
	})
	if _, err := grpc_health_v1.NewHealthClient(c).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}); err != nil {
		t.Fatal(err)
	}
	start := func(service string) chan error {
		told := make(chan error, 1)
		c.Start(check, &grpc_health_v1.HealthCheckRequest{Service: service}, &grpc_health_v1.HealthCheckResponse{}, 20*time.Second,
			func(err error) { told <- err })
		return told
	}
	s.r.letting.RLock()
	settled := start("settle")
	<-s.begins
	if err := <-start("of another tablet"); err != nil {
		t.Errorf("a call behind: %v", err)
	}
	s.r.letting.RUnlock()
	if err := <-settled; err != nil {
		t.Error(err)
	}
}
