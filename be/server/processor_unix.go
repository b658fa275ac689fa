//go:build unix

package server

import (
	"syscall"
	"time"
)

// processorTime is the time that all threads of this process have run, in user and kernel mode.
func processorTime() (time.Duration, bool) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, false
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), true
}
