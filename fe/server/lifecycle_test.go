package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"
)

func TestKillQueryAndConnection(t *testing.T) {
	srv, e, addr := startServer(t, func(c *Config) { c.NodeID = 5 })
	db := dial(t, addr, "root", "")
	conn, err := db.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	id := e.lastOpened().ID
	if ConnNode(id) != 5 {
		t.Errorf("connection id %d names FE %d", id, ConnNode(id))
	}
	for _, queryOnly := range []bool{true, false} {
		result := make(chan error, 1)
		go func() {
			_, err := conn.ExecContext(context.Background(), "BLOCK")
			result <- err
		}()
		waitFor(t, func() bool {
			for _, c := range srv.Connections() {
				if c.Info.ID == id && c.Command == "Query" && c.SQL == "BLOCK" {
					return true
				}
			}
			return false
		})
		if !srv.Kill(id, queryOnly) {
			t.Fatal("connection unknown")
		}
		wantCode(t, <-result, 1317, "70100")
		if err := <-e.ended; err == nil {
			t.Error("the statement ended well")
		}
		if alive := conn.PingContext(context.Background()) == nil; alive != queryOnly {
			t.Errorf("queryOnly %v: alive %v", queryOnly, alive)
		}
	}
	waitFor(t, func() bool { return !srv.Kill(id, true) })
}

// waitFor polls until cond holds; it is for states that no event announces.
func waitFor(t *testing.T, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatal("condition never came true")
		}
		<-time.After(time.Millisecond)
	}
}

func TestVanishedClientCancelsItsStatement(t *testing.T) {
	for _, opts := range []string{"", "?tls=skip-verify", "?compress=true"} {
		srv, e, addr := startServer(t, nil)
		db := dial(t, addr, "root", opts)
		db.SetMaxOpenConns(1)
		if err := db.Ping(); err != nil { // the watcher's timer runs on from here, and rings too soon for the next command
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		result := make(chan error, 1)
		go func() {
			_, err := db.ExecContext(ctx, "BLOCK")
			result <- err
		}()
		waitFor(t, func() bool { return srv.Stats().Running == 1 })
		cancel() // the driver closes the socket
		if err := <-result; !errors.Is(err, context.Canceled) {
			t.Errorf("client got %v", err)
		}
		if cause := <-e.ended; !errors.Is(cause, errClientGone) {
			t.Errorf("statement ended by %v", cause)
		}
	}
}

// TestHalfClosedClientIsTold: a client whose connection ends for the server, and only for it, hears that its statement has ended, and the log says why.
func TestHalfClosedClientIsTold(t *testing.T) {
	var said logBuffer
	srv, e, addr := startServer(t, func(c *Config) { c.Log = slog.New(slog.NewTextHandler(&said, nil)) })
	nc := rawLogin(t, addr)
	sendRaw(t, nc, 0, append([]byte{mysql.COM_QUERY}, "BLOCK"...))
	waitFor(t, func() bool { return srv.Stats().Running == 1 })
	if err := nc.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	wantErrorPacket(t, readRaw(t, nc), 1317)
	if cause := <-e.ended; !errors.Is(cause, errClientGone) || !errors.Is(cause, io.EOF) {
		t.Errorf("statement ended by %v", cause)
	}
	waitFor(t, func() bool { return srv.Stats().Connections == 0 })
	if text := said.String(); !strings.Contains(text, "connection aborted") || !strings.Contains(text, errClientGone.Error()+": EOF") || srv.Stats().Aborted != 1 {
		t.Errorf("%d were aborted, the log says %q", srv.Stats().Aborted, text)
	}
}

// logBuffer is a log in memory.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func TestSlowClientHoldsBackTheRows(t *testing.T) {
	srv, e, addr := startServer(t, func(c *Config) { c.WriteTimeout = 500 * time.Millisecond })
	nc := rawLogin(t, addr)
	defer nc.Close()
	const rows = 5_000_000 // 500 MB
	sendRaw(t, nc, 0, append([]byte{3}, fmt.Sprintf("STREAM %d", rows)...))
	err := <-e.ended // nothing is read: the write times out
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("stream ended with %v", err)
	}
	e.mu.Lock()
	took := e.batches
	e.mu.Unlock()
	if took > rows/2048/4 {
		t.Errorf("writer took %d batches that nobody read", took)
	}
	waitFor(t, func() bool { return srv.Stats().Connections == 0 })
}

func TestTooManyConnections(t *testing.T) {
	srv, _, addr := startServer(t, func(c *Config) { c.MaxConnections = 1 })
	if err := dial(t, addr, "root", "").Ping(); err != nil {
		t.Fatal(err)
	}
	err := dial(t, addr, "root", "").Ping()
	if err == nil || !strings.Contains(err.Error(), "1040") {
		t.Errorf("got %v, want 1040", err)
	}
	srv.SetMaxConnections(2)
	if err := dial(t, addr, "root", "").Ping(); err != nil {
		t.Error(err)
	}
}

func TestStalledLoginIsCutOff(t *testing.T) {
	srv, _, addr := startServer(t, func(c *Config) { c.HandshakeTimeout = 50 * time.Millisecond })
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	waitFor(t, func() bool { return srv.Stats().LoginFailures == 1 && srv.Stats().Connections == 0 })
}

func TestCloseLetsStatementsFinish(t *testing.T) {
	srv, e, addr := startServer(t, nil)
	db := dial(t, addr, "root", "")
	result := make(chan error, 1)
	go func() {
		_, err := db.Exec("BLOCK")
		result <- err
	}()
	waitFor(t, func() bool { return srv.Stats().Running == 1 })
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := srv.Close(ctx); err != nil {
		t.Error(err)
	}
	wantCode(t, <-result, 1053, "08S01")
	if err := <-e.ended; err == nil {
		t.Error("the statement ended well")
	}
}

func TestCertificateIsKept(t *testing.T) {
	dir := t.TempDir() + "/tls"
	now := time.Now()
	first, key, err := EnsureCertificate(dir, []string{"127.0.0.1", "fe1"}, now)
	if err != nil {
		t.Fatal(err)
	}
	second, again, err := EnsureCertificate(dir, nil, now.AddDate(1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	if !key.Equal(again) || string(first.Certificates[0].Certificate[0]) != string(second.Certificates[0].Certificate[0]) {
		t.Error("a second start made another certificate")
	}
	cert, err := x509.ParseCertificate(first.Certificates[0].Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"127.0.0.1", "fe1"} {
		if err := cert.VerifyHostname(host); err != nil {
			t.Error(err)
		}
	}
	if first.MinVersion < tls.VersionTLS12 {
		t.Error("old TLS versions allowed")
	}
	st, err := os.Stat(dir + "/" + KeyFile)
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("key file: %v, %v", st.Mode(), err)
	}
}

// TestSessionSaysLimits: those of the session come before the server's.
func TestSessionSaysLimits(t *testing.T) {
	srv, e, addr := startServer(t, nil)
	e.idle, e.packet = 30*time.Millisecond, 1000
	nc := rawLogin(t, addr)
	if _, err := nc.Read(make([]byte, 1)); err == nil {
		t.Error("got bytes from an idle connection")
	}
	waitFor(t, func() bool { return srv.Stats().Connections == 0 })
	e.idle = time.Minute
	_, err := dial(t, addr, "root", "").Exec("LENGTH " + strings.Repeat("x", 1001))
	wantCode(t, err, 1153, "08S01")
}

func TestIdleConnectionIsClosed(t *testing.T) {
	srv, _, addr := startServer(t, func(c *Config) { c.IdleTimeout = 30 * time.Millisecond })
	nc := rawLogin(t, addr)
	if _, err := nc.Read(make([]byte, 1)); err == nil {
		t.Error("got bytes from an idle connection")
	}
	waitFor(t, func() bool { return srv.Stats().Connections == 0 })
}
