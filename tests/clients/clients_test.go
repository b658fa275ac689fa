//go:build clients

package clients

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// startTimeout is how long a fresh cluster may take until it is ready.
const startTimeout = 2 * time.Minute

// scriptTimeout is how long one script may take.
const scriptTimeout = 3 * time.Minute

// unsupported are the cases, as stack/case, that fail for what Stele refuses, and what that is. A case that passes must
// leave the list.
var unsupported = map[string]string{}

// TestClients runs every installed client against STELE_ENDPOINT (host:port; user STELE_USER or root, password
// STELE_PASSWORD), or against a cluster that it starts with bin/stele local.
func TestClients(t *testing.T) {
	e := endpoint(t)
	for _, s := range Stacks() {
		t.Run(s.Name, func(t *testing.T) {
			for _, mode := range []Endpoint{{}, {TLS: true}, {Compress: true, LoginOnly: true}} {
				m := e
				m.TLS, m.Compress, m.LoginOnly = mode.TLS, mode.Compress, mode.LoginOnly
				ctx, cancel := context.WithTimeout(context.Background(), scriptTimeout)
				err := s.Run(ctx, m)
				cancel()
				if errors.Is(err, ErrMissing) {
					t.Skip(err)
				}
				if err != nil {
					t.Errorf("tls %v, compressed %v: %v", m.TLS, m.Compress, err)
				}
			}
			t.Run("everyday", func(t *testing.T) { everyday(t, s, e) })
			e.TLS = true
			t.Run("everyday with TLS", func(t *testing.T) { everyday(t, s, e) })
		})
	}
}

// TestApplications runs every application that is there against the same endpoint as TestClients, or a cluster of its own.
func TestApplications(t *testing.T) {
	apps := Applications()
	var e Endpoint
	if slices.ContainsFunc(apps, func(s Stack) bool { return s.Installed(t.Context()) == nil }) {
		e = endpoint(t)
	}
	for _, s := range apps {
		t.Run(s.Name, func(t *testing.T) {
			if err := s.Installed(t.Context()); err != nil {
				t.Skip(err)
			}
			everyday(t, s, e)
		})
	}
}

func endpoint(t *testing.T) Endpoint {
	t.Helper()
	e := Endpoint{Addr: os.Getenv("STELE_ENDPOINT"), User: os.Getenv("STELE_USER"), Password: os.Getenv("STELE_PASSWORD")}
	if e.User == "" {
		e.User = "root"
	}
	if e.Addr == "" {
		e.Addr = startLocal(t)
	}
	return e
}

// everyday runs the cases of a stack; each is a test of its own.
func everyday(t *testing.T, s Stack, e Endpoint) {
	ctx, cancel := context.WithTimeout(context.Background(), scriptTimeout)
	defer cancel()
	cases, err := s.Everyday(ctx, e)
	if err != nil {
		t.Error(err)
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			why, refused := unsupported[s.Name+"/"+c.Name]
			switch {
			case refused && c.Why == "":
				t.Errorf("passes now: take it off the list of what is unsupported (%s)", why)
			case refused:
				t.Skipf("not supported (%s): %s", why, c.Why)
			case c.Why != "":
				t.Error(c.Why)
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
	cmd := exec.Command(bin, "local", "--dir", t.TempDir(), "--mysql-port", strconv.Itoa(port),
		"--http-port", strconv.Itoa(freePort(t)), "--ready-timeout", startTimeout.String())
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // fails if it is gone already
		stop := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
		defer stop.Stop()
		_, _ = io.Copy(io.Discard, stdout) // ends with the process
		_ = cmd.Wait()                     // killed by us: no news
	})
	// The one line that it prints says that the cluster is ready.
	if _, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		t.Fatalf("stele local did not come up: %v", err)
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
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
