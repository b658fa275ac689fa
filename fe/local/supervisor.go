package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"stele/conf"
)

const (
	// maxBackoff bounds the wait before a guarded node is started again.
	maxBackoff = 30 * time.Second
	// lookInterval is how often the supervisor looks for processes that it did not start itself.
	lookInterval = 500 * time.Millisecond
	// steadyAfter is how long a guarded node has to live for its next death to count as the first one again.
	steadyAfter = time.Minute
)

// child is what the supervisor knows about one node. Only the goroutine of Run touches it.
type child struct {
	*node
	started time.Time
	backoff time.Duration
	restart time.Time // zero, or when the guard starts it again
	own     bool      // its process is a child of this one
	foreign int       // the process when somebody else started it, else 0
}

// exit is the end of a process that the supervisor started.
type exit struct {
	child *child
	state *os.ProcessState
	err   error // of waiting, when there is no state
}

// supervisor owns the child processes of one Run.
type supervisor struct {
	opts     Options
	layout   *layout
	children []*child
	spawner  *spawner
	exits    chan exit // buffered for one exit of each node: a node is not started again before its exit was taken
	waiting  int       // goroutines that wait for a child
}

// Run starts the cluster of a folder, prints the ready line, and stops every node when ctx ends.
func Run(ctx context.Context, opts Options) error {
	opts = opts.withDefaults()
	if err := os.MkdirAll(opts.Dir, 0o750); err != nil {
		return fmt.Errorf("make cluster folder: %w", err)
	}
	own, err := lockPID(filepath.Join(opts.Dir, "stele.pid"))
	if errors.Is(err, errRunning) {
		return fmt.Errorf("the cluster in %s %w: use `stele local start|stop|kill NODE --dir %s`", opts.Dir, err, opts.Dir)
	}
	if err != nil {
		return err
	}
	defer func() { _ = own.Truncate(0); _ = own.Close() }() // the lock is what counts
	if err := writePID(own, os.Getpid()); err != nil {
		return err
	}
	l, want, err := planLayout(opts)
	if err != nil {
		return err
	}
	if err := awaitPorts(ctx, l.fresh, opts.pollInterval); err != nil {
		return err
	}
	if err := l.layOut(want); err != nil {
		return err
	}
	s := &supervisor{opts: opts, layout: l, spawner: newSpawner()}
	for _, n := range l.all() {
		s.children = append(s.children, &child{node: n, backoff: opts.firstBackoff})
	}
	s.exits = make(chan exit, len(s.children))
	defer s.spawner.close()
	down, err := s.lookFirst(ctx)
	if err != nil {
		return err // nothing was touched, so nothing is stopped
	}
	if err = s.startAll(down); err == nil {
		err = s.supervise(ctx)
	}
	return errors.Join(err, s.stopAll())
}

// lookFirst returns the nodes that do not run yet, or why they cannot be started.
func (s *supervisor) lookFirst(ctx context.Context) ([]*child, error) {
	var down []*child
	var nodes []*node
	for _, c := range s.children {
		pid, err := running(c.pidPath())
		if err != nil {
			return nil, err
		}
		if pid != 0 {
			c.foreign = pid
			s.say("%s is already running, process %d", c.name(), pid)
			continue
		}
		clearPID(c.pidPath())
		down, nodes = append(down, c), append(nodes, c.node)
	}
	return down, awaitPorts(ctx, nodes, s.opts.pollInterval)
}

func (s *supervisor) startAll(down []*child) error {
	for _, c := range down {
		if err := s.start(c); err != nil {
			return err
		}
	}
	return nil
}

func (s *supervisor) start(c *child) error {
	cmd, err := c.spawn(s.opts.Command(c.kind, c.confPaths()), childAttr(), s.spawner.start)
	if err != nil {
		return err
	}
	c.started, c.restart, c.own, c.foreign = time.Now(), time.Time{}, true, 0
	s.waiting++
	go func() { s.exits <- waitFor(c, cmd) }()
	return nil
}

func waitFor(c *child, cmd *exec.Cmd) exit {
	err := cmd.Wait()
	return exit{c, cmd.ProcessState, err}
}

// supervise waits for the cluster to come up, then for nodes to die, until ctx ends.
func (s *supervisor) supervise(ctx context.Context) error {
	readyCtx, cancel := context.WithTimeout(ctx, s.opts.ReadyTimeout)
	ready := make(chan error, 1)
	var work sync.WaitGroup
	work.Go(func() { ready <- bringUp(readyCtx, s.opts, s.layout) })
	defer func() { cancel(); work.Wait() }()
	up := false
	look := time.NewTicker(lookInterval)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-ready:
			up = true
			if ctx.Err() != nil {
				return nil
			}
			if err != nil {
				return err
			}
			fe1 := s.layout.frontends[0]
			fmt.Fprintf(s.opts.Stdout, "ready: mysql -h %s -P %d -u root\nin a browser: http://%s/\n", fe1.host, fe1.port(conf.QueryPort.Key), fe1.addr(conf.FEHTTPPort.Key))
		case e := <-s.exits:
			s.waiting--
			s.bury(e)
			if !up && !s.opts.Guard {
				return fmt.Errorf("%s died before the cluster was ready:\n%s", e.child.name(), tail(e.child.logPath()))
			}
		case <-s.nextRestart():
			s.restartDue()
		case <-look.C:
			if err := s.lookAround(up); err != nil {
				return err
			}
		}
	}
}

// lookAround follows the nodes whose process is not a child of this one. One that goes away while the cluster is still
// coming up was a leftover of an earlier supervisor and is started; later it is somebody else's business.
func (s *supervisor) lookAround(up bool) error {
	for _, c := range s.children {
		if c.own {
			continue
		}
		pid, err := running(c.pidPath())
		if err != nil {
			return err
		}
		was := c.foreign
		c.foreign = pid
		switch {
		case pid == was:
		case pid != 0:
			c.restart = time.Time{}
			s.say("%s was started by somebody else, process %d; no guard watches it", c.name(), pid)
		case up:
			clearPID(c.pidPath())
			s.say("%s is gone (process %d, started by somebody else)", c.name(), was)
		default:
			s.say("%s went away (process %d), starting it", c.name(), was)
			if err := s.start(c); err != nil && !errors.Is(err, errRunning) {
				return err
			}
		}
	}
	return nil
}

// bury says how a node ended and plans its restart.
func (s *supervisor) bury(e exit) {
	c := e.child
	c.own = false
	clearPID(c.pidPath())
	if e.state != nil && e.state.Success() {
		s.say("%s stopped", c.name())
		return
	}
	how := fmt.Sprint(e.err)
	if e.state != nil {
		how = e.state.String() // "exit status 1" or "signal: killed"
	}
	if !s.opts.Guard {
		s.say("%s died: %s (its output: %s); start it with `stele local start %s --dir %s`",
			c.name(), how, c.logPath(), c.name(), s.layout.dir)
		return
	}
	if time.Since(c.started) > steadyAfter {
		c.backoff = s.opts.firstBackoff
	}
	s.say("%s died: %s (its output: %s); starting it again in %v", c.name(), how, c.logPath(), c.backoff)
	c.restart = time.Now().Add(c.backoff)
	c.backoff = min(2*c.backoff, maxBackoff)
}

// nextRestart fires when the next planned restart is due, never when none is planned.
func (s *supervisor) nextRestart() <-chan time.Time {
	var next time.Time
	for _, c := range s.children {
		if !c.restart.IsZero() && (next.IsZero() || c.restart.Before(next)) {
			next = c.restart
		}
	}
	if next.IsZero() {
		return nil
	}
	return time.After(time.Until(next))
}

func (s *supervisor) restartDue() {
	for _, c := range s.children {
		if c.restart.IsZero() || time.Now().Before(c.restart) {
			continue
		}
		err := s.start(c)
		switch {
		case errors.Is(err, errRunning):
			c.restart = time.Time{} // lookAround tells who has it
		case err != nil:
			c.restart = time.Now().Add(c.backoff)
			c.backoff = min(2*c.backoff, maxBackoff)
			s.say("%v; trying again in %v", err, time.Until(c.restart).Round(time.Millisecond))
		default:
			s.say("%s started again", c.name())
		}
	}
}

// stopAll ends every node of the folder, frontends first and backends last, and kills what does not end in time.
func (s *supervisor) stopAll() error {
	ctx, cancel := context.WithTimeout(context.Background(), s.opts.stopTimeout)
	defer cancel()
	var errs []error
	for _, nodes := range s.layout.groups() {
		results := make(chan error, len(nodes))
		for _, n := range nodes {
			go func() { results <- s.stopOne(ctx, n) }()
		}
		for range nodes {
			errs = append(errs, <-results)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err // a process that even SIGKILL does not end would be waited for forever
	}
	for ; s.waiting > 0; s.waiting-- {
		<-s.exits
	}
	s.say("all nodes are stopped")
	return nil
}

func (s *supervisor) stopOne(ctx context.Context, n *node) error {
	_, err := n.signalAndWait(ctx, syscall.SIGTERM, s.opts.pollInterval)
	if err == nil || ctx.Err() == nil {
		return err
	}
	s.say("%s did not stop within %v and is killed", n.name(), s.opts.stopTimeout)
	killCtx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_, err = n.signalAndWait(killCtx, syscall.SIGKILL, s.opts.pollInterval)
	return err
}

// say prints one line about the cluster. A single Write keeps lines of several goroutines apart.
func (s *supervisor) say(format string, args ...any) {
	fmt.Fprintf(s.opts.Stderr, format+"\n", args...)
}

// tail returns the last lines of a node's output: the reason why it died is there.
func tail(path string) string {
	const lines, window = 10, 8 << 10
	text, err := os.ReadFile(path) // bounded by maxOutLog and what one process adds
	if err != nil {
		return err.Error()
	}
	if len(text) > window {
		text = text[len(text)-window:]
	}
	all := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(slices.Insert(all[max(0, len(all)-lines):], 0, "  its output in "+path+" ends with:"), "\n  ")
}
