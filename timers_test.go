package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// TestCoarseTimers has another process set its timers and print the slack of some of its threads.
func TestCoarseTimers(t *testing.T) {
	const child = "STELE_TEST_TIMERS"
	if os.Getenv(child) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestCoarseTimers$", "-test.v")
		cmd.Env = append(os.Environ(), child+"=1")
		out, err := cmd.CombinedOutput()
		if want := strings.Repeat(fmt.Sprintf("slack %d\n", timerSlack.Nanoseconds()), 4); err != nil || !strings.Contains(string(out), want) {
			t.Fatalf("%v: printed\n%s\nwithout\n%s", err, out, want)
		}
		return
	}
	if err := coarseTimers(); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	got := make([]string, 4)
	var together sync.WaitGroup
	together.Add(len(got))
	for i := range got {
		wg.Go(func() {
			runtime.LockOSThread() // each has a thread of its own
			together.Done()
			together.Wait()
			slack, _, _ := syscall.RawSyscall(syscall.SYS_PRCTL, prGetTimerSlack, 0, 0)
			got[i] = fmt.Sprintf("slack %d\n", slack)
		})
	}
	wg.Wait()
	fmt.Print(strings.Join(got, ""))
}
