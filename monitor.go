package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
)

// wakefulSetting keeps the monitor thread (sysmon) of the Go runtime from falling asleep. It takes the processor of a thread that stays in a system call
// and gives it to another one. It sleeps 20 µs at a time, where it has found nothing to do for some rounds up to 10 ms, and until it is woken when all
// goroutines wait. With few clients all goroutines of a process do so for a moment several
// times a statement; the next system call then wakes the monitor by a futex, and it begins with 20 µs again: with three replicas
// that was a quarter of the CPU time of a statement. The runtime knows no setting for that alone: one that prints the scheduler's state
// from time to time keeps the monitor awake for it. The time is the longest there is, 25 days in milliseconds. The first
// line comes at once where the machine has run for longer, and a panic prints that state before its message. A process of both roles
// seldom waits as a whole; there it gains nothing, and a disk with slow flushes has their threads keep the processors for longer.
const wakefulSetting = "schedtrace=2147483647"

// wakeMonitor executes the program anew, in the same process, with the setting, which the runtime has read by now. Where its environment says
// something of it already, or that cannot be, the program goes on as it is.
func wakeMonitor() error {
	environ, missing := wakeful(os.Environ())
	if !missing {
		return nil
	}
	path, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find the program: %w", err)
	}
	return fmt.Errorf("execute %s: %w", path, syscall.Exec(path, os.Args, environ))
}

// wakeful returns an environment with the setting that keeps the monitor awake; false = it says something of it: GODEBUG=schedtrace=0 leaves the
// monitor its sleep.
func wakeful(environ []string) ([]string, bool) {
	const variable = "GODEBUG="
	i := slices.IndexFunc(environ, func(v string) bool { return strings.HasPrefix(v, variable) })
	if i < 0 {
		return append(environ, variable+wakefulSetting), true
	}
	settings := environ[i][len(variable):]
	for s := range strings.SplitSeq(settings, ",") {
		if name, _, _ := strings.Cut(s, "="); name == "schedtrace" {
			return environ, false
		}
	}
	environ[i] = strings.TrimSuffix(variable+wakefulSetting+","+settings, ",") // in its place: the runtime reads the first one only
	return environ, true
}
