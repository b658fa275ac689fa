package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// What a node asks of the monitor thread (sysmon) of the Go runtime. It takes the processor of a thread that stays in a system call and gives it
// to another one, which it wakes. It sleeps 20 µs at a time, where it has found nothing to do for some rounds up to 10 ms, and
// until it is woken when all goroutines wait.
const (
	// timerSlack is by how much the kernel may round the sleeps of a node up. With the usual slack of 50 µs the monitor's wake-ups are a
	// sixth of the CPU time of small statements; with 500 µs the other threads, woken for flushes of a log that are over by then,
	// were still a fifth. Timers are late by no more than this, and only on an idle node.
	timerSlack = 2 * time.Millisecond

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

// calmMonitor executes the program anew, in the same process, for what only the beginning of a program can have: threads have their timer
// slack from the thread that made them, and the runtime has made some by now and has read its settings. Where that cannot be it goes on as it is.
func calmMonitor(role string) error {
	if os.Getenv(executedVariable) != "" {
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
