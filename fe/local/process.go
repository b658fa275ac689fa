package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func thisProgram(kind string, confPaths []string) []string {
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	if kind == "node" {
		return []string{self, kind, "--fe", confPaths[0], "--be", confPaths[1]}
	}
	return []string{self, kind, "--conf", confPaths[0]}
}

// errRunning says that a process already holds a node's folder.
var errRunning = errors.New("is already running")

// lockPID opens a pid file and takes its lock, or fails with errRunning. A reader that looks whether the file is
// locked holds it for an instant, therefore the few attempts.
func lockPID(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return nil, fmt.Errorf("open pid file: %w", err)
	}
	for attempt := 0; ; attempt++ {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) || attempt == 20 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	_ = f.Close() // nothing was written
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, errRunning
	}
	return nil, fmt.Errorf("lock %s: %w", path, err)
}

// running returns the process that holds a pid file, or 0. The number is read while the lock is held, so it belongs to
// a live process; a holder that has not written its number yet is given a moment.
func running(path string) (int, error) {
	for range 200 {
		f, err := os.Open(path)
		if errors.Is(err, os.ErrNotExist) {
			return 0, nil
		}
		if err != nil {
			return 0, fmt.Errorf("open pid file: %w", err)
		}
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
		text, readErr := io.ReadAll(io.LimitReader(f, 32))
		_ = f.Close() // also releases the lock
		if err == nil {
			return 0, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return 0, fmt.Errorf("lock %s: %w", path, err)
		}
		if readErr != nil {
			return 0, fmt.Errorf("read pid file: %w", readErr)
		}
		if pid, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil && pid > 1 {
			return pid, nil
		}
		time.Sleep(5 * time.Millisecond)
	}
	return 0, fmt.Errorf("%s is locked but names no process", path)
}

// clearPID empties the pid file of a process that is gone, so that no script signals a stranger of the same number.
func clearPID(path string) {
	if f, err := lockPID(path); err == nil {
		_ = f.Truncate(0) // best effort: the lock, not the number, is what this package believes
		_ = f.Close()
	}
}

func writePID(f *os.File, pid int) error {
	if err := f.Truncate(0); err != nil {
		return fmt.Errorf("write pid file: %w", err)
	}
	if _, err := f.WriteAt([]byte(strconv.Itoa(pid)+"\n"), 0); err != nil {
		return fmt.Errorf("write pid file: %w", err)
	}
	return nil
}

// maxOutLog bounds the captured output of a node; the node's own log rotates by itself.
const maxOutLog = 16 << 20

// spawn starts the node's process. The process inherits the lock of the pid file. The error wraps errRunning when
// another process has it. run performs the start itself: see spawner.
func (n *node) spawn(argv []string, attr *syscall.SysProcAttr, run func(*exec.Cmd) error) (*exec.Cmd, error) {
	pidFile, err := lockPID(n.pidPath())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", n.name(), err)
	}
	defer pidFile.Close()
	out, err := n.openLog()
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = n.dir, out, out, attr
	cmd.ExtraFiles = []*os.File{pidFile}
	if err := run(cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", n.name(), err)
	}
	if err := writePID(pidFile, cmd.Process.Pid); err != nil {
		_ = cmd.Process.Kill() // a process that nobody can find again must not stay
		_ = cmd.Wait()
		return nil, fmt.Errorf("start %s: %w", n.name(), err)
	}
	return cmd, nil
}

func (n *node) openLog() (*os.File, error) {
	path := n.logPath()
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, fmt.Errorf("start %s: %w", n.name(), err)
	}
	if info, err := os.Stat(path); err == nil && info.Size() > maxOutLog {
		if err := os.Rename(path, path+".1"); err != nil {
			return nil, fmt.Errorf("start %s: %w", n.name(), err)
		}
	}
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o640)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", n.name(), err)
	}
	return out, nil
}

// portGrace is how long ports may still be in use after their process gave up its lock: the kernel closes the files of
// a dying process one after the other.
const portGrace = 2 * time.Second

// awaitPorts returns when all ports of the nodes are free, or names those that stay in use.
func awaitPorts(ctx context.Context, nodes []*node, poll time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, portGrace)
	defer cancel()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		err := busyPorts(nodes)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}

// busyPorts names the ports of the nodes that something else listens on.
func busyPorts(nodes []*node) error {
	var busy []string
	for _, n := range nodes {
		for _, s := range n.sockets() {
			if err := portFree(s.addr, s.udp); err != nil {
				busy = append(busy, s.what+" "+s.addr[strings.LastIndexByte(s.addr, ':')+1:])
			}
		}
	}
	if busy == nil {
		return nil
	}
	return fmt.Errorf("ports are in use by other programs: %s; stop those or take other ports: for a new cluster --mysql-port and "+
		"--http-port, for one that is there the .conf files in its folder", strings.Join(busy, ", "))
}

func portFree(addr string, udp bool) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	if err := l.Close(); err != nil || !udp {
		return err
	}
	p, err := net.ListenPacket("udp", addr)
	if err != nil {
		return err
	}
	return p.Close()
}

// signalAndWait sends a signal to the process in the node's folder and waits until it is gone. It reports whether
// there was one.
func (n *node) signalAndWait(ctx context.Context, sig syscall.Signal, poll time.Duration) (bool, error) {
	pid, err := running(n.pidPath())
	if err != nil || pid == 0 {
		return false, err
	}
	if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return true, fmt.Errorf("%s: signal process %d: %w", n.name(), pid, err)
	}
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		now, err := running(n.pidPath())
		if err != nil {
			return true, err
		}
		if now != pid {
			clearPID(n.pidPath())
			return true, nil
		}
		select {
		case <-ctx.Done():
			return true, fmt.Errorf("%s (process %d) is still running: %w", n.name(), pid, ctx.Err())
		case <-tick.C:
		}
	}
}
