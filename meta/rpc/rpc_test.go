package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"stele/meta/types"
)

// service answers by the name of the service asked for.
type service struct {
	grpc_health_v1.UnimplementedHealthServer
}

var refusal = &Error{Code: 1205, State: "HY000", Msg: "Lock wait timeout exceeded", Reason: "lock_timeout"}

func (service) Check(ctx context.Context, r *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	switch r.Service {
	case "error":
		return nil, refusal
	case "wrapped":
		return nil, fmt.Errorf("write tablet 7: %w", refusal)
	case "plain":
		return nil, errors.New("plain")
	case "panic":
		panic("boom")
	case "deadline":
		if _, ok := ctx.Deadline(); !ok {
			return nil, errors.New("no deadline")
		}
	}
	return &grpc_health_v1.HealthCheckResponse{}, nil
}

func (service) Watch(r *grpc_health_v1.HealthCheckRequest, s grpc.ServerStreamingServer[grpc_health_v1.HealthCheckResponse]) error {
	if r.Service == "panic" {
		panic("boom")
	}
	if err := s.Send(&grpc_health_v1.HealthCheckResponse{}); err != nil {
		return err
	}
	if r.Service == "error" {
		return refusal
	}
	return nil
}

func serve(t *testing.T, id types.ClusterID, fresh func(string) bool) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(ServerConfig{Cluster: NewCluster(id), AllowFresh: fresh, Log: slog.New(slog.DiscardHandler)})
	grpc_health_v1.RegisterHealthServer(s, service{})
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Stop()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return l.Addr().String()
}

func client(t *testing.T, addr string, id types.ClusterID) grpc_health_v1.HealthClient {
	t.Helper()
	conn, err := Dial(addr, DialConfig{Cluster: NewCluster(id), Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return grpc_health_v1.NewHealthClient(conn)
}

func check(t *testing.T, c grpc_health_v1.HealthClient, what string) error {
	t.Helper()
	_, err := c.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: what})
	return err
}

func TestClusterIsChecked(t *testing.T) {
	all := func(string) bool { return true }
	for _, tc := range []struct {
		name           string
		server, client types.ClusterID
		fresh          func(string) bool
		want           string
	}{
		{"same", "a", "a", nil, ""},
		{"other", "a", "b", nil, `the caller belongs to cluster "b", this node to "a"`},
		{"other where the fresh may call", "a", "b", all, `the caller belongs to cluster "b", this node to "a"`},
		{"fresh caller", "a", "", nil, "the caller does not belong to a cluster yet"},
		{"fresh caller allowed", "a", "", all, ""},
		{"fresh server", "", "a", nil, "this node does not belong to a cluster yet"},
		{"fresh server allowed", "", "a", all, ""},
		{"both fresh", "", "", nil, "does not belong to a cluster yet"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := client(t, serve(t, tc.server, tc.fresh), tc.client)
			unary := check(t, c, "deadline")
			s, err := c.Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{})
			if err == nil {
				_, err = s.Recv()
			}
			for kind, err := range map[string]error{"unary": unary, "stream": err} {
				if tc.want == "" {
					if err != nil {
						t.Errorf("%s: %v", kind, err)
					}
					continue
				}
				if status.Code(err) != codes.PermissionDenied || !strings.Contains(err.Error(), tc.want) || Reason(err) == "" {
					t.Errorf("%s: got %v, want %s", kind, err, tc.want)
				}
			}
		})
	}
}

// TestBothSidesAreToldOfAStranger: by unary calls, streams and pipes, and the caller hears whose node it has met.
func TestBothSidesAreToldOfAStranger(t *testing.T) {
	var mu sync.Mutex
	told := map[string]int{}
	note := func(side string) func(string, types.ClusterID, string) {
		return func(address string, cluster types.ClusterID, method string) {
			mu.Lock()
			defer mu.Unlock()
			told[side+" "+string(cluster)+" "+method[strings.LastIndexByte(method, '/')+1:]]++
			if address == "" || strings.Contains(address, "passthrough") {
				t.Errorf("%s is told of address %q", side, address)
			}
		}
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := ServerConfig{Cluster: NewCluster("a"), Log: slog.New(slog.DiscardHandler), Refused: note("callee")}
	server, pipes := NewServer(cfg), NewPipeServer(cfg)
	grpc_health_v1.RegisterHealthServer(server, service{})
	grpc_health_v1.RegisterHealthServer(pipes, service{})
	done := make(chan error, 1)
	others := pipes.Listen(lis) // first: who connects finds it
	go func() { done <- server.Serve(others) }()
	defer func() {
		server.Stop()
		pipes.Stop(0)
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	}()
	dial := DialConfig{Cluster: NewCluster("b"), Timeout: 10 * time.Second, Met: note("caller")}
	plain, err := Dial(lis.Addr().String(), dial)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	c := grpc_health_v1.NewHealthClient(plain)
	if err := check(t, c, ""); Reason(err) != ReasonWrongCluster {
		t.Errorf("unary: %v", err)
	}
	if s, err := c.Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{}); err != nil {
		t.Error(err)
	} else if _, err := s.Recv(); Reason(err) != ReasonWrongCluster {
		t.Errorf("stream: %v", err)
	}
	piped, err := DialPiped(lis.Addr().String(), dial, grpc_health_v1.Health_Check_FullMethodName)
	if err != nil {
		t.Fatal(err)
	}
	defer piped.Close()
	if err := check(t, grpc_health_v1.NewHealthClient(piped), ""); Reason(err) != ReasonWrongCluster {
		t.Errorf("pipe: %v", err)
	}
	mu.Lock()
	defer mu.Unlock()
	for _, want := range []string{"callee b Check", "callee b Watch", "callee b pipe", "caller a Check", "caller a Watch", "caller a pipe"} {
		if told[want] == 0 {
			t.Errorf("nobody noted %q: %v", want, told)
		}
	}
}

func TestAdopt(t *testing.T) {
	c := NewCluster("")
	if err := c.Adopt(""); err == nil {
		t.Error("adopted nothing")
	}
	if err := errors.Join(c.Adopt("a"), c.Adopt("a")); err != nil || c.ID() != "a" {
		t.Errorf("adopt: %v, id %q", err, c.ID())
	}
	if err := c.Adopt("b"); Reason(err) != ReasonWrongCluster {
		t.Errorf("adopted a second cluster: %v", err)
	}
}

func TestErrorsKeepTheirDetail(t *testing.T) {
	c := client(t, serve(t, "a", nil), "a")
	for what, msg := range map[string]string{"error": refusal.Msg, "wrapped": "write tablet 7: " + refusal.Error()} {
		e := (*Error)(nil)
		if err := check(t, c, what); !errors.As(err, &e) || e.Code != 1205 || e.State != "HY000" || e.Reason != "lock_timeout" || e.Msg != msg {
			t.Errorf("%s: got %#v", what, err)
		}
	}
	if err := check(t, c, "plain"); status.Code(err) != codes.Unknown || Reason(err) != "" {
		t.Errorf("plain: %v", err)
	}
	s, err := c.Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: "error"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recv(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recv(); Reason(err) != "lock_timeout" {
		t.Errorf("stream: %v", err)
	}
	s, err = c.Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recv(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("end of stream: %v", err)
	}
}

func TestPanicIsAnAnswer(t *testing.T) {
	c := client(t, serve(t, "a", nil), "a")
	if err := check(t, c, "panic"); status.Code(err) != codes.Internal || Reason(err) != ReasonPanic {
		t.Errorf("unary: %v", err)
	}
	s, err := c.Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: "panic"})
	if err == nil {
		_, err = s.Recv()
	}
	if status.Code(err) != codes.Internal {
		t.Errorf("stream: %v", err)
	}
	if err := check(t, c, "fine"); err != nil {
		t.Errorf("after a panic: %v", err)
	}
}

// TestUnprintable: an error that names a value which is no UTF-8 keeps its number, and shows the bytes as MySQL does.
func TestUnprintable(t *testing.T) {
	var e *Error
	err := fromStatus(toStatus(&Error{Code: 1292, State: "22007", Msg: "Incorrect datetime value: 'é\xff\x00'"}))
	if !errors.As(err, &e) || e.Code != 1292 || e.State != "22007" || e.Msg != "Incorrect datetime value: 'é\\xFF\x00'" {
		t.Errorf("got %#v", err)
	}
	for _, err := range []error{errors.New("read '\xc3('"), status.Error(codes.DataLoss, "read '\xc3('")} {
		b, _ := encodeStatus(nil, toStatus(err))
		if got := decodeStatus(b); status.Code(got) != status.Code(err) || status.Convert(got).Message() != `read '\xC3('` {
			t.Errorf("got %v", got)
		}
	}
}
