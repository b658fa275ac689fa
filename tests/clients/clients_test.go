//go:build clients

package clients

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// startTimeout is how long a fresh cluster may take until it answers.
const startTimeout = 60 * time.Second

// TestClients runs every installed client against STELE_ENDPOINT (host:port; user STELE_USER or root, password
// STELE_PASSWORD), or against a cluster that it starts with bin/stele local.
func TestClients(t *testing.T) {
	e := Endpoint{Addr: os.Getenv("STELE_ENDPOINT"), User: os.Getenv("STELE_USER"), Password: os.Getenv("STELE_PASSWORD")}
	if e.User == "" {
		e.User = "root"
	}
	if e.Addr == "" {
		e.Addr = startLocal(t)
	}
	for _, s := range Stacks() {
		t.Run(s.Name, func(t *testing.T) {
			for _, mode := range []Endpoint{{}, {TLS: true, LoginOnly: true}, {Compress: true, LoginOnly: true}} {
				m := e
				m.TLS, m.Compress, m.LoginOnly = mode.TLS, mode.Compress, mode.LoginOnly
				ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
				err := s.Run(ctx, m)
				cancel()
				if errors.Is(err, ErrMissing) {
					t.Skip(err)
				}
				if err != nil {
					t.Errorf("tls %v, compressed %v: %v", m.TLS, m.Compress, err)
				}
			}
		})
	}
}

// startLocal starts a cluster of this checkout on a free port and returns its MySQL address.
func startLocal(t *testing.T) string {
	t.Helper()
	bin, err := filepath.Abs("../../bin/stele")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(bin); err != nil {
		t.Skip("no STELE_ENDPOINT, and no bin/stele to start: run make build")
	}
	port := freePort(t)
	args := []string{"local", "--dir", t.TempDir(), "--mysql-port", strconv.Itoa(port)}
	if extra := os.Getenv("STELE_LOCAL_ARGS"); extra != "" {
		args = append(args, extra)
	}
	cmd := exec.Command(bin, args...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // fails if it is gone already
		select {
		case <-exited:
		case <-time.After(30 * time.Second):
			_ = cmd.Process.Kill() // see above
			<-exited
		}
	})
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	waitFor(t, addr, exited)
	return addr
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// waitFor returns when addr takes connections.
func waitFor(t *testing.T, addr string, exited chan error) {
	t.Helper()
	deadline := time.Now().Add(startTimeout)
	for time.Now().Before(deadline) {
		nc, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			nc.Close()
			return
		}
		select {
		case err := <-exited:
			exited <- err
			t.Fatalf("the cluster ended: %v", err)
		case <-time.After(100 * time.Millisecond):
		}
	}
	t.Fatalf("nobody listens on %s after %s", addr, startTimeout)
}
