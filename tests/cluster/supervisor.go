package cluster

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
)

// supervisor is one run of `stele local`.
type supervisor struct {
	cmd    *exec.Cmd
	done   chan struct{} // closed when the process has ended and err is set
	err    error
	stderr *logBuffer
}

// startSupervisor returns when the cluster is ready.
func startSupervisor(binary, dir string, guard bool, timeout time.Duration) (*supervisor, error) {
	s := &supervisor{done: make(chan struct{}), stderr: new(logBuffer)}
	s.cmd = exec.Command(binary, "local", "--dir", dir, "--ready-timeout", timeout.String(), "--guard="+strconv.FormatBool(guard))
	s.cmd.Stderr, s.cmd.SysProcAttr = s.stderr, procAttr()
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("run %s local: %w", binary, err)
	}
	started, ready := make(chan error), make(chan string, 1)
	go s.run(stdout, started, ready)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("run %s local: %w", binary, err)
	}
	late := time.NewTimer(timeout + 30*time.Second)
	defer late.Stop()
	select {
	case <-ready:
		return s, nil
	case <-s.done:
		return nil, fmt.Errorf("stele local ended before it was ready: %w\n%s", errors.Join(s.err, errEnded), s.stderr)
	case <-late.C:
		err := fmt.Errorf("stele local printed no ready line within %v\n%s", timeout, s.stderr)
		return nil, errors.Join(err, s.stop())
	}
}

var errEnded = errors.New("process ended")

// run starts the process and waits for its end, on one thread: the kernel takes the end of the thread that started a
// process for the end of its parent.
func (s *supervisor) run(stdout io.Reader, started chan<- error, ready chan<- string) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := s.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "ready:") {
			ready <- lines.Text()
		}
	}
	s.err = s.cmd.Wait()
	close(s.done)
}

// stop ends the process, and with it every node.
func (s *supervisor) stop() error {
	_ = s.cmd.Process.Signal(orderly) // fails when it has ended by itself, which the error below tells
	late := time.NewTimer(90 * time.Second)
	defer late.Stop()
	select {
	case <-s.done:
	case <-late.C:
		_ = s.cmd.Process.Kill()
		<-s.done
		return fmt.Errorf("stele local did not stop and was killed\n%s", s.stderr)
	}
	if s.err != nil {
		return fmt.Errorf("stele local: %w\n%s", s.err, s.stderr)
	}
	return nil
}

// logBuffer keeps the end of what a process prints.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

const logBufferMax = 64 << 10

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if over := b.text.Len() + len(p) - logBufferMax; over > 0 {
		b.text.Next(over)
	}
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
