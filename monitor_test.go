package main

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestWakeMonitor has another process start itself anew and print its settings. It ends by a panic, before which a runtime that has taken the
// setting prints the scheduler's state.
func TestWakeMonitor(t *testing.T) {
	const child = "STELE_TEST_MONITOR"
	if os.Getenv(child) != "" {
		if err := wakeMonitor(); err != nil {
			t.Fatal(err)
		}
		fmt.Println("GODEBUG", os.Getenv("GODEBUG"))
		panic("the end")
	}
	for _, c := range []struct{ given, want string }{
		{"", wakefulSetting},
		{"gctrace=0", wakefulSetting + ",gctrace=0"},
		{"schedtrace=0", "schedtrace=0"},
	} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestWakeMonitor$", "-test.v")
		cmd.Env = append(os.Environ(), child+"=1", "GODEBUG="+c.given)
		out, err := cmd.CombinedOutput()
		if want := "GODEBUG " + c.want + "\n"; !strings.Contains(string(out), want) {
			t.Errorf("GODEBUG=%s: %v: printed\n%s\nwithout\n%s", c.given, err, out, want)
		}
		if taken := strings.Contains(string(out), "\nSCHED "); taken != strings.Contains(c.want, wakefulSetting) || !strings.Contains(string(out), "panic: the end") {
			t.Errorf("GODEBUG=%s: the runtime has taken it: %t; printed\n%s", c.given, taken, out)
		}
	}
}

func TestWakeful(t *testing.T) {
	for _, c := range []struct {
		given, want []string
		missing     bool
	}{
		{[]string{"A=1"}, []string{"A=1", "GODEBUG=" + wakefulSetting}, true},
		{[]string{"GODEBUG=", "A=1"}, []string{"GODEBUG=" + wakefulSetting, "A=1"}, true},
		{[]string{"GODEBUG=madvdontneed=1,netdns=go"}, []string{"GODEBUG=" + wakefulSetting + ",madvdontneed=1,netdns=go"}, true},
		{[]string{"GODEBUG=netdns=go,schedtrace=1000"}, []string{"GODEBUG=netdns=go,schedtrace=1000"}, false},
		{[]string{"GODEBUG=schedtrace=0"}, []string{"GODEBUG=schedtrace=0"}, false},
		{[]string{"GODEBUG=" + wakefulSetting}, []string{"GODEBUG=" + wakefulSetting}, false}, // or it would execute itself for ever
	} {
		got, missing := wakeful(slices.Clone(c.given))
		if !slices.Equal(got, c.want) || missing != c.missing {
			t.Errorf("wakeful(%q) = %q, %t, want %q, %t", c.given, got, missing, c.want, c.missing)
		}
	}
}
