package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// TestCalmMonitor has another process start itself anew and print its settings, the slack of its threads and of the monitor. It ends by a panic, before
// which a runtime that has taken the setting prints the scheduler's state.
func TestCalmMonitor(t *testing.T) {
	const child = "STELE_TEST_MONITOR"
	if os.Getenv(child) != "" {
		printMonitor(t)
		return
	}
	for _, c := range []struct{ role, given, want string }{
		{"fe", "", wakefulSetting},
		{"be", "gctrace=0", wakefulSetting + ",gctrace=0"},
		{"be", "schedtrace=0", "schedtrace=0"},
		{"node", "gctrace=0", "gctrace=0"},
	} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestCalmMonitor$", "-test.v")
		cmd.Env = append(os.Environ(), child+"="+c.role, "GODEBUG="+c.given)
		out, err := cmd.CombinedOutput()
		want := "GODEBUG " + c.want + "\n" + fmt.Sprintf("slack %d\nmonitor %d\n", threadSlack.Nanoseconds(), timerSlack.Nanoseconds())
		if !strings.Contains(string(out), want) {
			t.Errorf("%s with GODEBUG=%s: %v: printed\n%s\nwithout\n%s", c.role, c.given, err, out, want)
		}
		if taken := strings.Contains(string(out), "\nSCHED "); taken != strings.Contains(c.want, wakefulSetting) || !strings.Contains(string(out), "panic: the end") {
			t.Errorf("%s with GODEBUG=%s: the runtime has taken it: %t; printed\n%s", c.role, c.given, taken, out)
		}
	}
}

func printMonitor(t *testing.T) {
	if err := calmMonitor(os.Getenv("STELE_TEST_MONITOR")); err != nil {
		t.Fatal(err)
	}
	fmt.Println("GODEBUG", os.Getenv("GODEBUG"))
	var wg sync.WaitGroup
	got := make([]uintptr, 8)
	var together sync.WaitGroup
	together.Add(len(got))
	for i := range got {
		wg.Go(func() {
			runtime.LockOSThread() // each has a thread of its own
			together.Done()
			together.Wait()
			got[i], _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, prGetTimerSlack, 0, 0)
		})
	}
	wg.Wait()
	fmt.Println("slack", slices.Min(got)) // one that has just been made may have another one yet
	fmt.Println("monitor", largestSlack(t))
	panic("the end")
}

// largestSlack is that of the monitor, which runs no goroutine.
func largestSlack(t *testing.T) (largest int64) {
	threads, err := filepath.Glob("/proc/self/task/[0-9]*")
	if err != nil || len(threads) == 0 {
		t.Fatal("no threads", err)
	}
	for _, name := range threads {
		text, err := os.ReadFile("/proc/" + filepath.Base(name) + "/timerslack_ns")
		if errors.Is(err, fs.ErrPermission) {
			return timerSlack.Nanoseconds() // only privileged users can look
		}
		if err != nil {
			continue // it has ended
		}
		slack, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		largest = max(largest, slack)
	}
	return largest
}

func TestWakeful(t *testing.T) {
	for _, c := range []struct{ given, want []string }{
		{[]string{"A=1"}, []string{"A=1", "GODEBUG=" + wakefulSetting}},
		{[]string{"GODEBUG=", "A=1"}, []string{"GODEBUG=" + wakefulSetting, "A=1"}},
		{[]string{"GODEBUG=madvdontneed=1,netdns=go"}, []string{"GODEBUG=" + wakefulSetting + ",madvdontneed=1,netdns=go"}},
		{[]string{"GODEBUG=netdns=go,schedtrace=1000"}, []string{"GODEBUG=netdns=go,schedtrace=1000"}},
		{[]string{"GODEBUG=schedtrace=0"}, []string{"GODEBUG=schedtrace=0"}},
	} {
		if got := wakeful(slices.Clone(c.given)); !slices.Equal(got, c.want) {
			t.Errorf("wakeful(%q) = %q, want %q", c.given, got, c.want)
		}
	}
}
