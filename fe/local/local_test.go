package local

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// freePorts finds a MySQL port whose whole block is free, below the ports that the kernel gives to clients.
func freePorts(t *testing.T, opts *Options) {
	t.Helper()
	for base := 11000 + os.Getpid()%100*100; base < 31000; base += 700 {
		opts.MySQLPort, opts.HTTPPort = base, base+650
		l := &layout{dir: opts.Dir}
		for number := 1; number <= 3; number++ {
			l.add(newNode(opts.Dir, "fe", number, *opts))
			l.add(newNode(opts.Dir, "be", number, *opts))
		}
		if busyPorts(l.all()) == nil {
			return
		}
	}
	t.Fatal("no free ports")
}

// testRun is a supervisor in this process over fake nodes.
type testRun struct {
	opts           Options
	cluster        *fakeCluster
	stdout, stderr *output
	cancel         context.CancelFunc
	done           chan error
}

func newTestRun(t *testing.T) *testRun {
	t.Setenv(fakeNodeEnv, "1")
	r := &testRun{opts: testOptions(t.TempDir()), cluster: &fakeCluster{}}
	freePorts(t, &r.opts)
	r.opts.dial = r.cluster.dial
	return r
}

func (r *testRun) start(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel, r.done = cancel, make(chan error, 1)
	r.stdout, r.stderr = newOutput(), newOutput()
	opts := r.opts
	opts.Stdout, opts.Stderr = r.stdout, r.stderr
	go func() { r.done <- Run(ctx, opts) }()
	t.Cleanup(cancel)
}

func (r *testRun) ready(t *testing.T) {
	t.Helper()
	r.start(t)
	for r.stdout.String() == "" {
		select {
		case err := <-r.done:
			t.Fatalf("the supervisor ended: %v\n%s", err, r.stderr)
		case <-r.stdout.changed:
		}
	}
}

func (r *testRun) stop(t *testing.T) {
	t.Helper()
	r.cancel()
	if err := <-r.done; err != nil {
		t.Fatalf("stopping: %v", err)
	}
	r.leftNothing(t)
}

// leftNothing checks that no node runs and no pid file names one.
func (r *testRun) leftNothing(t *testing.T) {
	t.Helper()
	l, err := readLayout(r.opts.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range l.all() {
		if pid := r.pid(t, n.name()); pid != 0 {
			t.Errorf("%s still runs as process %d", n.name(), pid)
		}
		if text, err := os.ReadFile(n.pidPath()); err != nil || len(text) != 0 {
			t.Errorf("%s left %q in its pid file (%v)", n.name(), text, err)
		}
	}
}

func (r *testRun) pid(t *testing.T, name string) int {
	t.Helper()
	pid, err := running(filepath.Join(r.opts.Dir, name, "stele.pid"))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// act runs `stele local VERB NODE` and returns what it prints.
func (r *testRun) act(t *testing.T, verb func(context.Context, Options, string) error, name string) string {
	t.Helper()
	out := newOutput()
	opts := r.opts
	opts.Stdout, opts.Stderr = out, out
	if err := verb(t.Context(), opts, name); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out.String())
}

func TestClusterLife(t *testing.T) {
	r := newTestRun(t)
	r.cluster.refuse = 2 // a frontend without a leader yet must not end the start
	r.ready(t)
	if want := fmt.Sprintf("ready: mysql -h 127.0.0.1 -P %d -u root\nin a browser: http://127.0.0.1:%d/\n", r.opts.MySQLPort, r.opts.HTTPPort); r.stdout.String() != want {
		t.Errorf("stdout is %q, want %q", r.stdout, want)
	}
	p := r.opts.MySQLPort
	want := []string{fmt.Sprintf(`ALTER SYSTEM ADD BACKEND "127.0.0.1:%d", "127.0.0.1:%d", "127.0.0.1:%d"`, p+400, p+401, p+402)}
	if got := r.cluster.statements(); !slices.Equal(got, want) {
		t.Errorf("statements %q, want %q", got, want)
	}

	if got := r.act(t, Kill, "be2"); got != "be2 killed" {
		t.Error(got)
	}
	r.stderr.await(t, "be2 died: signal: killed", 1)
	if r.pid(t, "be2") != 0 || r.pid(t, "be1") == 0 {
		t.Error("kill hit the wrong node, or the node came back")
	}
	if got := r.act(t, Kill, "be2"); got != "be2 is not running" {
		t.Error(got)
	}
	r.act(t, Start, "be2")
	r.stderr.await(t, fmt.Sprintf("be2 was started by somebody else, process %d", r.pid(t, "be2")), 1)
	if got, want := r.act(t, Start, "be2"), fmt.Sprintf("be2 is already running, process %d", r.pid(t, "be2")); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := r.act(t, Stop, "be1"); got != "be1 stopped" {
		t.Error(got)
	}
	r.stderr.await(t, "be1 stopped", 1)
	r.stop(t)

	conf := filepath.Join(r.opts.Dir, "be1", "be.conf")
	edited := []byte("# mine\n")
	old, err := os.ReadFile(conf)
	if err != nil {
		t.Fatal(err)
	}
	edited = append(edited, old...)
	if err := os.WriteFile(conf, edited, 0o600); err != nil {
		t.Fatal(err)
	}
	r.opts.MySQLPort, r.opts.HTTPPort = 0, 0
	r.ready(t)
	if len(r.cluster.statements()) != 1 {
		t.Error("known backends were added again")
	}
	if now, err := os.ReadFile(conf); err != nil || string(now) != string(edited) {
		t.Errorf("the configuration file was rewritten (%v): %q", err, now)
	}
	r.stop(t)
}

func TestGuardRestartsWhatDied(t *testing.T) {
	r := newTestRun(t)
	r.opts.Guard = true
	r.ready(t)
	before := r.pid(t, "be3")
	r.act(t, Kill, "be3")
	r.stderr.await(t, "be3 started again", 1)
	if now := r.pid(t, "be3"); now == before || now == 0 {
		t.Errorf("process %d before, %d after", before, now)
	}
	r.act(t, Stop, "be2")
	r.stderr.await(t, "be2 stopped", 1)
	r.act(t, Kill, "be3")
	r.stderr.await(t, "be3 started again", 2)
	if r.pid(t, "be2") != 0 {
		t.Error("the guard restarted a node that was stopped on purpose")
	}
	r.stop(t)
}

func TestBackoffGrowsAndStarts(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) { // where time stands still
		s := &supervisor{opts: Options{Guard: true, firstBackoff: time.Second, Stderr: newOutput()}}
		c := &child{node: &node{kind: "be", number: 1, dir: dir}, backoff: time.Second}
		s.children = []*child{c}
		var waits []time.Duration
		for i := range 8 {
			c.started = time.Now()
			if i == 7 {
				c.started = time.Now().Add(-2 * steadyAfter)
			}
			s.bury(exit{child: c, err: os.ErrProcessDone})
			waits = append(waits, time.Until(c.restart)/time.Second)
		}
		if want := []time.Duration{1, 2, 4, 8, 16, 30, 30, 1}; !slices.Equal(waits, want) {
			t.Errorf("waits %v, want %v", waits, want)
		}
	})
}

func TestStubbornNodeIsKilled(t *testing.T) {
	r := newTestRun(t)
	r.opts.stopTimeout = 200 * time.Millisecond
	r.opts.Backends = 1
	if _, err := completeLayout(r.opts.withDefaults()); err != nil {
		t.Fatal(err)
	}
	behave(t, r.opts.Dir, "be1", "stubborn")
	r.ready(t)
	opts := r.opts
	opts.Stdout = newOutput()
	if err := Stop(t.Context(), opts, "be1"); err == nil || !strings.Contains(err.Error(), "stele local kill be1") {
		t.Errorf("stop of a stubborn node: %v", err)
	}
	r.stop(t)
	r.stderr.await(t, "be1 did not stop within 200ms and is killed", 1)
}

func behave(t *testing.T, dir, name, how string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name, "behave"), []byte(how), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestDeathBeforeReadyTellsWhy(t *testing.T) {
	r := newTestRun(t)
	if _, err := completeLayout(r.opts.withDefaults()); err != nil {
		t.Fatal(err)
	}
	behave(t, r.opts.Dir, "be2", "die")
	r.start(t)
	err := <-r.done
	if err == nil || !strings.Contains(err.Error(), "be2 died") || !strings.Contains(err.Error(), "disk on fire") {
		t.Errorf("error %v", err)
	}
	r.stderr.await(t, "be2 died: exit status 3", 1)
	opts := r.opts
	opts.Stdout = newOutput()
	if err := Start(t.Context(), opts, "be2"); err == nil || !strings.Contains(err.Error(), "disk on fire") {
		t.Errorf("start of a node that dies: %v", err)
	}
	r.leftNothing(t)
}

func TestBusyPortIsNamed(t *testing.T) {
	r := newTestRun(t)
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", r.opts.MySQLPort+401))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := completeLayout(r.opts.withDefaults()); err != nil {
		t.Fatal(err)
	}
	r.act(t, Start, "be1")
	r.start(t)
	want := fmt.Sprintf("be2 rpc_port %d", r.opts.MySQLPort+401)
	if err := <-r.done; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %q", err, want)
	}
	if got := r.act(t, Kill, "be1"); got != "be1 killed" {
		t.Errorf("a start that was refused stopped a running node: %s", got)
	}
}

func TestTwoSupervisors(t *testing.T) {
	r := newTestRun(t)
	r.opts.Backends = 1
	r.ready(t)
	opts := r.opts
	opts.Stdout, opts.Stderr = newOutput(), newOutput()
	if err := Run(t.Context(), opts); err == nil || !strings.Contains(err.Error(), "is already running") {
		t.Errorf("second supervisor: %v", err)
	}
	r.stop(t)
}

// TestKilledSupervisor: its own children go with it, a detached node stays and is adopted by the next supervisor.
func TestKilledSupervisor(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux signals the death of a parent")
	}
	r := newTestRun(t)
	if _, err := completeLayout(r.opts.withDefaults()); err != nil {
		t.Fatal(err)
	}
	out := newOutput()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fakeSupervisorEnv+"="+r.opts.Dir)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out.await(t, "ready:", 1)
	r.act(t, Kill, "be1")
	r.act(t, Start, "be1")
	detached := r.pid(t, "be1")
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	awaitDeath(t, r.opts.Dir, "be2")
	if r.pid(t, "be1") != detached {
		t.Error("the detached node died with the supervisor")
	}
	r.ready(t)
	r.stderr.await(t, fmt.Sprintf("be1 is already running, process %d", detached), 1)
	r.stop(t)
}

// awaitDeath returns when no process runs in a node's folder: the lock of the pid file ends with the process.
func awaitDeath(t *testing.T, dir, name string) {
	t.Helper()
	lock, err := os.Open(filepath.Join(dir, name, "stele.pid"))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_SH); err != nil {
		t.Fatal(err)
	}
}

// TestLeftoverThatGoesAwayIsReplaced: a node of an earlier supervisor that dies while the cluster comes up must not
// leave the new supervisor waiting for it.
func TestLeftoverThatGoesAwayIsReplaced(t *testing.T) {
	r := newTestRun(t)
	r.opts.Backends = 1
	if _, err := completeLayout(r.opts.withDefaults()); err != nil {
		t.Fatal(err)
	}
	r.act(t, Start, "be1")
	leftover := r.pid(t, "be1")
	r.cluster.refuse = 1 << 30
	r.start(t)
	r.stderr.await(t, "be1 is already running", 1)
	r.act(t, Kill, "be1")
	r.stderr.await(t, fmt.Sprintf("be1 went away (process %d), starting it", leftover), 1)
	r.cluster.accept()
	r.stdout.await(t, "ready:", 1)
	r.stop(t)
}

// TestTakenPortsLeaveNoCluster: the next try may name other ports for the same folder.
func TestTakenPortsLeaveNoCluster(t *testing.T) {
	r := newTestRun(t)
	taken, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", r.opts.MySQLPort))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	r.opts.Stdout, r.opts.Stderr = newOutput(), newOutput()
	if err := Run(t.Context(), r.opts); err == nil || !strings.Contains(err.Error(), "--mysql-port and --http-port") {
		t.Errorf("error %v", err)
	}
	if _, err := findNode(r.opts.Dir, "fe1"); err == nil {
		t.Error("a cluster was laid out on ports that others have")
	}
}
