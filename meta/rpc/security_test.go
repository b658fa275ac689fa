package rpc_test

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"stele/meta/rpc"
	"stele/meta/rpc/rpctest"
)

func load(t *testing.T, f rpctest.Files) *rpc.Security {
	t.Helper()
	s, err := rpc.LoadSecurity(f.Cert, f.Key, f.CA)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSecurity: nodes with a certificate of the cluster's CA talk, others are turned away on either side.
func TestSecurity(t *testing.T) {
	ours, theirs := rpctest.NewCA(t), rpctest.NewCA(t)
	id := rpc.NewCluster("c")
	server := load(t, ours.Node("server"))
	s := rpc.NewServer(rpc.ServerConfig{Cluster: id, TLS: server.ServerTLS(), Log: slog.New(slog.DiscardHandler)})
	grpc_health_v1.RegisterHealthServer(s, health.NewServer())
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(lis) }()
	t.Cleanup(func() { s.Stop(); <-done })
	for name, tc := range map[string]struct {
		client *rpc.Security
		ok     bool
	}{
		"a member":                  {load(t, ours.Node("client")), true},
		"clear text":                {nil, false},
		"a member of another group": {load(t, theirs.Node("client")), false},
	} {
		conn, err := rpc.Dial(lis.Addr().String(), rpc.DialConfig{Cluster: id, TLS: tc.client.ClientTLS()})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		_, err = grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{})
		cancel()
		if (err == nil) != tc.ok {
			t.Errorf("%s: %v", name, err)
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestLoadSecurity(t *testing.T) {
	if s, err := rpc.LoadSecurity("", "", ""); s != nil || err != nil {
		t.Errorf("nothing configured: %v, %v", s, err)
	}
	f := rpctest.NewCA(t).Node("n")
	for want, args := range map[string][3]string{
		"needed together":      {f.Cert, f.Key, ""},
		"tls_cert and tls_key": {f.Cert, f.CA, f.CA},
		"tls_ca":               {f.Cert, f.Key, f.CA + "x"},
		"holds no certificate": {f.Cert, f.Key, f.Key},
	} {
		if _, err := rpc.LoadSecurity(args[0], args[1], args[2]); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", args, err, want)
		}
	}
}
