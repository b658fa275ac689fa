package conf

import (
	"os"
	"strings"
	"testing"
)

// TestSystemdUnits checks what the shipped units promise: a process that died comes back, with a growing pause, without end,
// and one that was stopped on purpose does not.
func TestSystemdUnits(t *testing.T) {
	for role, flags := range map[string]string{"fe": "--conf /etc/stele/fe.conf", "be": "--conf /etc/stele/be.conf",
		"node": "--fe /etc/stele/fe.conf --be /etc/stele/be.conf"} {
		text, err := os.ReadFile("systemd/stele-" + role + ".service")
		if err != nil {
			t.Fatal(err)
		}
		items, section := map[string]string{}, ""
		for line := range strings.Lines(string(text)) {
			line = strings.TrimSpace(line)
			switch {
			case line == "" || strings.HasPrefix(line, "#"):
			case strings.HasPrefix(line, "["):
				section = strings.Trim(line, "[]")
			default:
				key, value, ok := strings.Cut(line, "=")
				if !ok || section == "" {
					t.Errorf("%s: %q is no item", role, line)
				}
				items[section+"."+key] = value
			}
		}
		for key, want := range map[string]string{"Unit.StartLimitIntervalSec": "0", "Service.Restart": "on-failure", "Service.RestartSec": "1",
			"Service.RestartSteps": "6", "Service.RestartMaxDelaySec": "60", "Service.KillSignal": "SIGTERM",
			"Service.ExecStart": "/opt/stele/bin/stele " + role + " " + flags, "Install.WantedBy": "multi-user.target"} {
			if items[key] != want {
				t.Errorf("%s: %s is %q, want %q", role, key, items[key], want)
			}
		}
	}
}
