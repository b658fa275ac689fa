package local

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"syscall"
	"time"
)

// detachedAttr gives the node a session of its own: it outlives the command that started it and its terminal.
func detachedAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// Start starts one node of the folder detached, if it does not run, and returns when the node listens on its first
// port. A node that dies at once is an error.
func Start(ctx context.Context, opts Options, name string) error {
	opts = opts.withDefaults()
	n, err := findNode(opts.Dir, name)
	if err != nil {
		return err
	}
	pid, err := running(n.pidPath())
	if err != nil {
		return err
	}
	if pid != 0 {
		fmt.Fprintf(opts.Stdout, "%s is already running, process %d\n", name, pid)
		return nil
	}
	if err := awaitPorts(ctx, []*node{n}, opts.pollInterval); err != nil {
		return err
	}
	cmd, err := n.spawn(opts.Command(n.kind, n.confPaths()), detachedAttr(), (*exec.Cmd).Start)
	if errors.Is(err, errRunning) {
		fmt.Fprintf(opts.Stdout, "%s is already running\n", name)
		return nil
	}
	if err != nil {
		return err
	}
	// The goroutine ends with the node or with this program, whichever is first: Start is called by programs that end.
	died := make(chan struct{})
	go func() { _ = cmd.Wait(); close(died) }()
	return n.awaitListening(ctx, opts, cmd, died)
}

func (n *node) awaitListening(ctx context.Context, opts Options, cmd *exec.Cmd, died <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, opts.ListenTimeout)
	defer cancel()
	tick := time.NewTicker(opts.pollInterval)
	defer tick.Stop()
	addr := n.sockets()[0].addr
	for {
		var dialer net.Dialer
		if c, err := dialer.DialContext(ctx, "tcp", addr); err == nil {
			_ = c.Close()
			fmt.Fprintf(opts.Stdout, "%s started, process %d\n", n.name(), cmd.Process.Pid)
			return nil
		}
		select {
		case <-died:
			clearPID(n.pidPath())
			return fmt.Errorf("%s died at once: %v\n%s", n.name(), cmd.ProcessState, tail(n.logPath()))
		case <-ctx.Done():
			fmt.Fprintf(opts.Stdout, "%s started, process %d, but does not listen on %s yet\n", n.name(), cmd.Process.Pid, addr)
			return nil
		case <-tick.C:
		}
	}
}

// Stop ends one node with SIGTERM and waits until it is gone. A node that does not run is fine.
func Stop(ctx context.Context, opts Options, name string) error {
	return end(ctx, opts, name, syscall.SIGTERM, "stopped")
}

// Kill ends one node with SIGKILL, as a power cut would, and waits until it is gone. A node that does not run is fine.
func Kill(ctx context.Context, opts Options, name string) error {
	return end(ctx, opts, name, syscall.SIGKILL, "killed")
}

func end(ctx context.Context, opts Options, name string, sig syscall.Signal, done string) error {
	opts = opts.withDefaults()
	n, err := findNode(opts.Dir, name)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, opts.stopTimeout)
	defer cancel()
	found, err := n.signalAndWait(ctx, sig, opts.pollInterval/5)
	switch {
	case err != nil && sig == syscall.SIGTERM && ctx.Err() != nil:
		return fmt.Errorf("%w; `stele local kill %s` ends it the hard way", err, name)
	case err != nil:
		return err
	case !found:
		fmt.Fprintf(opts.Stdout, "%s is not running\n", name)
	default:
		fmt.Fprintf(opts.Stdout, "%s %s\n", name, done)
	}
	return nil
}

func findNode(dir, name string) (*node, error) {
	l, err := readLayout(dir)
	if err != nil {
		return nil, err
	}
	return l.find(name)
}
