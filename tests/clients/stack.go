// Package clients runs real MySQL client stacks against an endpoint: one small script for each, which connects, makes
// a database and a table, inserts, reads back through a prepared statement, compares types and checks error numbers.
//
// A script finds the endpoint in STELE_HOST, STELE_PORT, STELE_USER and STELE_PASSWORD. STELE_TLS and STELE_COMPRESS ask
// for an encrypted or compressed connection; with STELE_LOGIN_ONLY it logs in, asks SELECT 1 and leaves. It prints "ok"
// at its end, or fails with a reason. Scripts own the database named after them and drop it.
//
// The package never starts a server; its tests (build tag clients) do.
package clients

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// ErrMissing says that a client is not installed.
var ErrMissing = errors.New("client not installed (see tests/clients/install.sh)")

// connectorJ is where Debian's libmariadb-java puts MariaDB Connector/J.
const connectorJ = "/usr/share/java/mariadb-java-client.jar"

// Endpoint is where and how to connect.
type Endpoint struct {
	Addr      string // host:port
	User      string
	Password  string
	TLS       bool
	Compress  bool // where the client can: PyMySQL cannot
	LoginOnly bool
}

// Stack is one client stack.
type Stack struct {
	Name  string
	probe []string // succeeds if the stack is installed
	run   []string
}

// Stacks lists the client stacks that there are scripts for.
func Stacks() []Stack {
	return []Stack{
		{"mariadb", []string{"mariadb", "--version"}, []string{"sh", "client.sh"}},
		{"pymysql", []string{python(), "-c", "import pymysql"}, []string{python(), "client.py"}},
		{"mysql2", []string{"node", "-e", "require('mysql2')"}, []string{"node", "client.js"}},
		{"php", []string{"php", "-r", "exit(extension_loaded('mysqli') && extension_loaded('pdo_mysql') ? 0 : 1);"},
			[]string{"php", "client.php"}},
		{"connector-j", []string{"sh", "-c", "command -v javac && test -e " + connectorJ},
			[]string{"java", "-cp", connectorJ, "Client.java"}},
	}
}

// python prefers the distribution's interpreter, which is the one that python3-pymysql serves.
func python() string {
	if _, err := os.Stat("/usr/bin/python3"); err == nil {
		return "/usr/bin/python3"
	}
	return "python3"
}

// dir is where the scripts are.
func dir() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(file)
}

// Run runs the stack's script. The error holds what the script printed.
func (s Stack) Run(ctx context.Context, e Endpoint) error {
	probe := exec.CommandContext(ctx, s.probe[0], s.probe[1:]...)
	probe.Dir = dir()
	if err := probe.Run(); err != nil {
		return fmt.Errorf("%s: %w", s.Name, ErrMissing)
	}
	host, port, err := net.SplitHostPort(e.Addr)
	if err != nil {
		return fmt.Errorf("endpoint %q: %w", e.Addr, err)
	}
	cmd := exec.CommandContext(ctx, s.run[0], s.run[1:]...)
	cmd.Dir = dir()
	cmd.Env = append(os.Environ(), "STELE_HOST="+host, "STELE_PORT="+port, "STELE_USER="+e.User, "STELE_PASSWORD="+e.Password,
		"STELE_TLS="+flag(e.TLS), "STELE_COMPRESS="+flag(e.Compress), "STELE_LOGIN_ONLY="+flag(e.LoginOnly))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	if err == nil && !strings.HasSuffix(strings.TrimSpace(out.String()), "ok") {
		err = errors.New("did not come to its end")
	}
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", s.Name, err, out.String())
	}
	return nil
}

func flag(on bool) string {
	if on {
		return "1"
	}
	return ""
}
