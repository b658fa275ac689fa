package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// The test binary plays the nodes itself: started with fakeNodeEnv it listens where its configuration file says and
// obeys the file `behave` in its folder. With fakeSupervisorEnv it runs a supervisor, so that one can be killed.
const (
	fakeNodeEnv       = "STELE_TEST_FAKE_NODE"
	fakeSupervisorEnv = "STELE_TEST_FAKE_SUPERVISOR"
)

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(fakeSupervisorEnv) != "":
		os.Exit(fakeSupervisor(os.Getenv(fakeSupervisorEnv)))
	case os.Getenv(fakeNodeEnv) != "":
		os.Exit(fakeNode(os.Args[1], os.Args[2:]))
	}
	goleak.VerifyTestMain(m)
}

func fakeNode(kind string, confPaths []string) int {
	n := emptyNode(kind, 1, filepath.Dir(confPaths[0]))
	for _, r := range n.roles() {
		if err := r.readConf(); err != nil {
			fmt.Println(err)
			return 2
		}
	}
	behave, _ := os.ReadFile(filepath.Join(n.dir, "behave"))
	if string(behave) == "die" {
		fmt.Println("disk on fire")
		return 3
	}
	terms := make(chan os.Signal, 1)
	signal.Notify(terms, syscall.SIGTERM)
	for _, s := range n.sockets() {
		l, err := net.Listen("tcp", s.addr)
		if err != nil {
			fmt.Println(err)
			return 4
		}
		defer l.Close()
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				c.Close()
			}
		}()
	}
	for range terms {
		if string(behave) != "stubborn" {
			return 0
		}
	}
	return 0
}

func fakeSupervisor(dir string) int {
	os.Unsetenv(fakeSupervisorEnv)
	os.Setenv(fakeNodeEnv, "1")
	opts := testOptions(dir)
	opts.dial = (&fakeCluster{}).dial
	opts.Stdout, opts.Stderr = os.Stdout, os.Stderr
	if err := Run(context.Background(), opts); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

func testOptions(dir string) Options {
	return Options{
		Dir: dir, ReadyTimeout: time.Minute, firstBackoff: 10 * time.Millisecond,
		stopTimeout: 10 * time.Second, pollInterval: 10 * time.Millisecond,
		Command: func(kind string, confPaths []string) []string {
			return append([]string{os.Args[0], kind}, confPaths...)
		},
	}
}

// fakeCluster answers as a frontend would: it knows the nodes that were added, and a node is alive when it listens.
type fakeCluster struct {
	mu       sync.Mutex
	backends []string
	added    []string // statements
	refuse   int      // further statements that fail
}

func (f *fakeCluster) dial(ctx context.Context, addr string) (session, error) {
	if err := listens(ctx, addr); err != nil {
		return nil, err
	}
	return f, nil
}

func listens(ctx context.Context, addr string) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr)
	if err == nil {
		c.Close()
	}
	return err
}

func (f *fakeCluster) Close() error { return nil }

func (f *fakeCluster) Rows(ctx context.Context, query string) ([]map[string]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if query != "SHOW BACKENDS" {
		return nil, errors.New("unexpected " + query)
	}
	var rows []map[string]string
	for _, addr := range f.backends {
		host, port, _ := strings.Cut(addr, ":")
		rows = append(rows, map[string]string{
			"ip": host, "heartbeatport": port, "beport": port, "alive": fmt.Sprint(listens(ctx, addr) == nil)})
	}
	return rows, nil
}

func (f *fakeCluster) Exec(_ context.Context, query string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refuse > 0 {
		f.refuse--
		return errors.New("there is no leading FE yet")
	}
	f.added = append(f.added, query)
	list, found := strings.CutPrefix(query, "ALTER SYSTEM ADD BACKEND ")
	if !found {
		return errors.New("unexpected " + query)
	}
	for _, quoted := range strings.Split(list, ", ") {
		f.backends = append(f.backends, strings.Trim(quoted, `"`))
	}
	return nil
}

// accept ends the refusals.
func (f *fakeCluster) accept() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refuse = 0
}

func (f *fakeCluster) statements() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.added
}

// output collects what a supervisor prints and lets a test wait for a text in it.
type output struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{}
}

func newOutput() *output { return &output{changed: make(chan struct{}, 1)} }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case o.changed <- struct{}{}:
	default:
	}
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// await returns when the text has been printed count times.
func (o *output) await(t *testing.T, text string, count int) {
	t.Helper()
	deadline := time.After(time.Minute)
	for strings.Count(o.String(), text) < count {
		select {
		case <-o.changed:
		case <-deadline:
			t.Fatalf("%q did not appear %d times in:\n%s", text, count, o.String())
		}
	}
}
