package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// TestCalmMonitor has another process start itself anew and print its settings and the slack of some of its threads. It ends by a panic, before
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
		want := "GODEBUG " + c.want + "\n" + strings.Repeat(fmt.Sprintf("slack %d\n", timerSlack.Nanoseconds()), 4)
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
	panic("the end")
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
