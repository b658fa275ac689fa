package local

import (
	"os/exec"
	"runtime"
)

// spawner starts processes from one operating system thread that lives as long as the spawner. Linux sends the
// parent-death signal when the thread that started the child ends, not the process, and Go's threads come and go.
type spawner struct {
	requests chan spawnRequest
	done     chan struct{}
}

type spawnRequest struct {
	cmd    *exec.Cmd
	result chan error
}

func newSpawner() *spawner {
	s := &spawner{requests: make(chan spawnRequest), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		for r := range s.requests {
			r.result <- r.cmd.Start()
		}
	}()
	return s
}

func (s *spawner) start(cmd *exec.Cmd) error {
	r := spawnRequest{cmd, make(chan error, 1)}
	s.requests <- r
	return <-r.result
}

// close ends the thread, and with it, on Linux, every child that still runs.
func (s *spawner) close() {
	close(s.requests)
	<-s.done
}
