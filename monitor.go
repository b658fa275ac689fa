package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// What a node asks of the monitor thread (sysmon) of the Go runtime. It takes the processor of a thread that stays in a system call and gives it
// to another one, which it wakes. It sleeps 20 µs at a time, where it has found nothing to do for some rounds up to 10 ms, and
// until it is woken when all goroutines wait.
const (
	// timerSlack is by how much the kernel may round the sleeps of a node up. With the usual slack of 50 µs the monitor's wake-ups are a
	// sixth of the CPU time of small statements; with 500 µs the other threads, woken for flushes of a log that are over by then,
	// were still a fifth.
	timerSlack = 2 * time.Millisecond

	// threadSlack is the usual slack, which the threads that run goroutines have. One that looks for work sleeps 3 µs before it takes what another
	// one has just made ready, and nobody else looks meanwhile: with the monitor's slack that took two fifths of the rate of 16 clients on a busy machine.
	// Threads of real-time priority have no slack: measurements with it show none of this.
	threadSlack = 50 * time.Microsecond

	// wakefulSetting keeps the monitor from falling asleep. With few clients all goroutines of a process wait for a moment several
	// times a statement; the next system call then wakes the monitor by a futex, and it begins with 20 µs again: with three replicas
	// that was a quarter of the CPU time of a statement. The runtime knows no setting for that alone: one that prints the scheduler's state
	// from time to time keeps the monitor awake for it. The time is the longest there is, 25 days in milliseconds. The first
	// line comes at once where the machine has run for longer, and a panic prints that state before its message. A process of both roles
	// seldom waits as a whole; there it gains nothing, and a disk with slow flushes has their threads keep the processors for longer.
	wakefulSetting = "schedtrace=2147483647"

	// executedVariable tells the started process that it has been started for the two.
	executedVariable = "STELE_EXECUTED"

	prSetTimerSlack = 29
	prGetTimerSlack = 30
)

// calmMonitor executes the program anew, in the same process, for what only the beginning of a program can have: a thread has its timer
// slack from the one that made it, and the runtime has made the monitor by now and has read its settings. Where that cannot be it goes on as it is.
func calmMonitor(role string) error {
	if os.Getenv(executedVariable) != "" {
		sharpenThreads()
		go keepThreadsSharp()
		return nil
	}
	runtime.LockOSThread() // the slack is the thread's until the program is executed
	defer runtime.UnlockOSThread()
	path, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find the program: %w", err)
	}
	now, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, prGetTimerSlack, 0, 0)
	if errno == 0 && time.Duration(now) < timerSlack {
		_, _, errno = syscall.RawSyscall(syscall.SYS_PRCTL, prSetTimerSlack, uintptr(timerSlack), 0)
	}
	if errno != 0 {
		fmt.Fprintf(os.Stderr, "stele: timers stay as they are: %v\n", errno)
	}
	environ := append(os.Environ(), executedVariable+"=1")
	if role != "node" {
		environ = wakeful(environ)
	}
	return fmt.Errorf("execute %s: %w", path, syscall.Exec(path, os.Args, environ))
}

// init is run by the first thread, which makes others.
func init() {
	if os.Getenv(executedVariable) != "" {
		sharpenThread()
	}
}

// keepThreadsSharp looks after the threads that were made by the monitor and have its slack.
func keepThreadsSharp() {
	for {
		time.Sleep(leastPause)
		awaitCollection()
		sharpenThreads()
	}
}

// sharpenThreads gives the threads that run goroutines the usual slack, each by itself: only privileged users set it for another one. The runtime gives
// work to the thread that has become idle last, so it is enough that as many as are ever in use have it in one round.
func sharpenThreads() {
	const rounds = 8 // a round may make threads: for locked ones the runtime does so in a thread that no goroutine runs in, whose slack is the monitor's
	for range rounds {
		if sharpenIdle(2*runtime.GOMAXPROCS(0)+4) == 0 {
			return
		}
	}
}

// sharpenIdle does so with some threads at once, and returns how many of them had another slack.
func sharpenIdle(threads int) int {
	var others atomic.Int64
	var together, ended sync.WaitGroup
	together.Add(threads)
	for range threads {
		ended.Go(func() {
			runtime.LockOSThread() // a thread of its own while it waits for the others
			defer runtime.UnlockOSThread()
			if sharpenThread() {
				others.Add(1)
			}
			together.Done()
			together.Wait()
		})
	}
	ended.Wait()
	return int(others.Load())
}

// sharpenThread tells whether the thread had another slack.
func sharpenThread() bool {
	before, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, prGetTimerSlack, 0, 0)
	if errno != 0 || time.Duration(before) == threadSlack {
		return false
	}
	_, _, errno = syscall.RawSyscall(syscall.SYS_PRCTL, prSetTimerSlack, uintptr(threadSlack), 0)
	return errno == 0
}

// wakeful returns an environment with the setting that keeps the monitor awake, unless it says something of it: GODEBUG=schedtrace=0 leaves the
// monitor its sleep.
func wakeful(environ []string) []string {
	const variable = "GODEBUG="
	i := slices.IndexFunc(environ, func(v string) bool { return strings.HasPrefix(v, variable) })
	if i < 0 {
		return append(environ, variable+wakefulSetting)
	}
	settings := environ[i][len(variable):]
	for s := range strings.SplitSeq(settings, ",") {
		if name, _, _ := strings.Cut(s, "="); name == "schedtrace" {
			return environ
		}
	}
	environ[i] = strings.TrimSuffix(variable+wakefulSetting+","+settings, ",") // in its place: the runtime reads the first one only
	return environ
}
