package main

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"
)

const (
	// timerSlack is by how much the kernel may round the sleeps of a node up. The monitor thread of the Go runtime sleeps 20 µs
	// at a time while anything runs, and gives the processor of a thread that is in a system call for longer than that to another
	// one, which it wakes. With the usual slack of 50 µs its wake-ups are a sixth of the CPU time of small statements; with 500 µs
	// the other threads, woken for flushes of a log that are over by then, were still a fifth. Timers are late by no more than
	// this, and only on an idle node.
	timerSlack = 2 * time.Millisecond
	// slackVariable tells the started process that it has been started for that.
	slackVariable = "STELE_TIMER_SLACK"

	prSetTimerSlack = 29
	prGetTimerSlack = 30
)

// coarseTimers sets the timer slack of this process. Threads have it from the thread that made them, and the runtime has made
// some by now, so the program is executed anew, in the same process. Where that cannot be it goes on as it is.
func coarseTimers() error {
	if os.Getenv(slackVariable) != "" {
		return nil
	}
	runtime.LockOSThread() // the slack is the thread's until the program is executed
	defer runtime.UnlockOSThread()
	now, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, prGetTimerSlack, 0, 0)
	if errno != 0 || time.Duration(now) >= timerSlack {
		return nil
	}
	path, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find the program: %w", err)
	}
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, prSetTimerSlack, uintptr(timerSlack), 0); errno != 0 {
		return fmt.Errorf("set the timer slack: %w", errno)
	}
	return fmt.Errorf("execute %s: %w", path, syscall.Exec(path, os.Args, append(os.Environ(), slackVariable+"=1")))
}
