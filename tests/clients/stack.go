// Package clients runs real MySQL client stacks against an endpoint, with two small scripts for each: one that connects,
// makes a database and a table, inserts, reads back through a prepared statement, compares types and checks error
// numbers; and one with the everyday use of that client, in cases. Applications that people run on MySQL are installed and used likewise.
//
// A script finds the endpoint in STELE_HOST, STELE_PORT, STELE_USER and STELE_PASSWORD. STELE_TLS and STELE_COMPRESS ask
// for an encrypted or compressed connection; with STELE_LOGIN_ONLY it logs in, asks SELECT 1 and leaves. It prints "ok"
// at its end, or fails with a reason. A script of cases prints a line "pass CASE" or "FAIL CASE: why" for each of them,
// goes on after a failed one, and prints "ok" when it has tried them all. Scripts own the databases named after them and
// drop them.
//
// The package never starts a server; its tests (build tag clients) do.
package clients

import (
	"bufio"
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
	"time"
)

// ErrMissing says that a client is not installed.
var ErrMissing = errors.New("client not installed (see tests/clients/install.sh)")

// connectorJ is where Debian's libmariadb-java puts MariaDB Connector/J.
const connectorJ = "/usr/share/java/mariadb-java-client.jar"

// waitDelay is how long a killed script's children may hold its output open.
const waitDelay = 5 * time.Second

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
	Name     string
	probe    []string // succeeds if the stack is installed
	run      []string
	everyday []string
}

// Case is the outcome of one case of a script.
type Case struct {
	Name string
	Why  string // of its failure; "" = it passed
}

// Stacks lists the client stacks that there are scripts for.
func Stacks() []Stack {
	java := []string{"java", "-cp", connectorJ}
	return []Stack{
		{"mariadb", []string{"sh", "-c", "command -v mariadb && command -v mariadb-dump"},
			[]string{"sh", "client.sh"}, []string{"sh", "everyday.sh"}},
		{"pymysql", []string{python(), "-c", "import pymysql"},
			[]string{python(), "client.py"}, []string{python(), "everyday.py"}},
		{"sqlalchemy", []string{python(), "-c", "import sqlalchemy, pymysql"},
			[]string{python(), "orm.py"}, []string{python(), "orm.py"}},
		{"mysql2", []string{"node", "-e", "require('mysql2')"},
			[]string{"node", "client.js"}, []string{"node", "everyday.js"}},
		{"php", []string{"php", "-r", "exit(extension_loaded('mysqli') && extension_loaded('pdo_mysql') ? 0 : 1);"},
			[]string{"php", "client.php"}, []string{"php", "-d", "memory_limit=1G", "everyday.php"}},
		{"connector-j", []string{"sh", "-c", "command -v javac && test -e " + connectorJ},
			append(java[:3:3], "Client.java"), append(java[:3:3], "Everyday.java")},
	}
}

// Applications lists the applications that there are scripts for: they are all cases.
func Applications() []Stack {
	return []Stack{
		{"wordpress", []string{"sh", "-c", "test -e apps/usr/share/wordpress/wp-settings.php && php -r \"exit(extension_loaded('mysqli') ? 0 : 1);\""},
			nil, []string{"php", "-d", "memory_limit=1G", "wordpress.php"}},
		{"mediawiki", []string{"sh", "-c", "test -e apps/usr/share/mediawiki/maintenance/install.php && " +
			"php -r \"exit(extension_loaded('mysqli') && extension_loaded('intl') && extension_loaded('mbstring') && extension_loaded('xml') ? 0 : 1);\""},
			nil, []string{"php", "mediawiki.php"}},
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

// Run runs the stack's first script. The error holds what the script printed.
func (s Stack) Run(ctx context.Context, e Endpoint) error {
	_, err := s.script(ctx, e, s.run)
	return err
}

// Everyday runs the stack's cases. The error says that the script did not come to its end; the cases are those it came to.
func (s Stack) Everyday(ctx context.Context, e Endpoint) ([]Case, error) {
	out, err := s.script(ctx, e, s.everyday)
	var cases []Case
	lines := bufio.NewScanner(strings.NewReader(out))
	lines.Buffer(nil, len(out)+1)
	for lines.Scan() {
		if name, ok := strings.CutPrefix(lines.Text(), "pass "); ok {
			cases = append(cases, Case{Name: withoutTime(name)})
		} else if failed, ok := strings.CutPrefix(lines.Text(), "FAIL "); ok {
			name, why, _ := strings.Cut(failed, ":")
			cases = append(cases, Case{Name: name, Why: "failed:" + why})
		}
	}
	if err == nil && len(cases) == 0 {
		err = fmt.Errorf("%s: no case in:\n%s", s.Name, out)
	}
	return cases, err
}

// withoutTime cuts the time that a case took off its line: "big_table 2.0s".
func withoutTime(line string) string {
	at := strings.LastIndexByte(line, ' ')
	if at < 0 {
		return line
	}
	if _, err := time.ParseDuration(line[at+1:]); err != nil {
		return line
	}
	return line[:at]
}

// Installed returns ErrMissing if the stack is not there.
func (s Stack) Installed(ctx context.Context) error {
	probe := exec.CommandContext(ctx, s.probe[0], s.probe[1:]...)
	probe.Dir = dir()
	if err := probe.Run(); err != nil {
		return fmt.Errorf("%s: %w", s.Name, ErrMissing)
	}
	return nil
}

// script runs one script and returns what it printed.
func (s Stack) script(ctx context.Context, e Endpoint, args []string) (string, error) {
	if err := s.Installed(ctx); err != nil {
		return "", err
	}
	host, port, err := net.SplitHostPort(e.Addr)
	if err != nil {
		return "", fmt.Errorf("endpoint %q: %w", e.Addr, err)
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir, cmd.WaitDelay = dir(), waitDelay
	cmd.Env = append(os.Environ(), "STELE_HOST="+host, "STELE_PORT="+port, "STELE_USER="+e.User, "STELE_PASSWORD="+e.Password,
		"STELE_TLS="+flag(e.TLS), "STELE_COMPRESS="+flag(e.Compress), "STELE_LOGIN_ONLY="+flag(e.LoginOnly))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	if err == nil && !strings.HasSuffix(strings.TrimSpace(out.String()), "ok") {
		err = errors.New("did not come to its end")
	}
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s", s.Name, err, out.String())
	}
	return out.String(), err
}

func flag(on bool) string {
	if on {
		return "1"
	}
	return ""
}
