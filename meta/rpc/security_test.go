package rpc_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
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
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
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

// TestCertificatesAreReplaced: node by node, without a restart and without a moment in which members do not talk; and a member
// of the old CA is turned away once it is out of tls_ca.
func TestCertificatesAreReplaced(t *testing.T) {
	old, fresh := rpctest.NewCA(t), rpctest.NewCA(t)
	dir := t.TempDir()
	put := func(node string, f rpctest.Files, cas ...string) rpctest.Files {
		t.Helper()
		to := rpctest.Files{Cert: filepath.Join(dir, node+".cert"), Key: filepath.Join(dir, node+".key"), CA: filepath.Join(dir, node+".ca")}
		for from, to := range map[string]string{f.Cert: to.Cert, f.Key: to.Key} {
			b, err := os.ReadFile(from)
			if err == nil {
				err = os.WriteFile(to, b, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		var all []byte
		for _, ca := range cas {
			b, err := os.ReadFile(ca)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, b...)
		}
		if err := os.WriteFile(to.CA, all, 0o600); err != nil {
			t.Fatal(err)
		}
		return to
	}
	oldNode, freshNode := old.Node("old"), fresh.Node("fresh")
	var clock atomic.Int64 // handshakes ask for the time in goroutines of their own
	loadAt := func(f rpctest.Files) *rpc.Security {
		s, err := rpc.LoadSecurityAt(f.Cert, f.Key, f.CA, func() time.Time { return time.Unix(0, clock.Load()) })
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	a, b := loadAt(put("a", oldNode, oldNode.CA)), loadAt(put("b", oldNode, oldNode.CA))
	talk := func(when string, server, client *rpc.Security, want bool) {
		t.Helper()
		clock.Add(int64(rpc.KeysChecked)) // as long as files go unlooked at
		if err := handshake(server.ServerTLS(), client.ClientTLS()); (err == nil) != want {
			t.Fatalf("%s: %v, want they talk = %v", when, err, want)
		}
	}
	talk("at first", a, b, true)
	put("a", oldNode, oldNode.CA, freshNode.CA)
	put("b", oldNode, oldNode.CA, freshNode.CA)
	put("a", freshNode, oldNode.CA, freshNode.CA)
	talk("one has a certificate of the new CA", a, load(t, freshNode), true)
	talk("and talks to the others", a, b, true)
	talk("the other way", b, a, true)
	put("b", freshNode, freshNode.CA)
	talk("both have one", b, load(t, freshNode), true)
	talk("both have one", a, b, true)
	talk("a member of the old CA", b, load(t, oldNode), false)
	if err := os.WriteFile(filepath.Join(dir, "a.cert"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	talk("with half a file", a, b, true)
}

// handshake has two sides shake hands and say a word each.
func handshake(server, client *tls.Config) error {
	lis, err := tls.Listen("tcp", "127.0.0.1:0", server)
	if err != nil {
		return err
	}
	defer lis.Close()
	side := make(chan error, 1)
	go func() {
		s, err := lis.Accept()
		if err == nil {
			_, err = io.ReadFull(s, make([]byte, 1))
		}
		if err == nil {
			_, err = s.Write([]byte{1})
		}
		side <- err
		if s != nil {
			_ = s.Close() // the error before it tells
		}
	}()
	c, err := tls.Dial("tcp", lis.Addr().String(), client)
	if err != nil {
		return errors.Join(err, <-side)
	}
	_, err = c.Write([]byte{1})
	if err == nil {
		_, err = io.ReadFull(c, make([]byte, 1))
	}
	_ = c.Close() // the error before it tells
	return errors.Join(err, <-side)
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
