package process

import (
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"
)

// TestAllowedMemory: the least of the machine and of all groups that the process is in.
func TestAllowedMemory(t *testing.T) {
	const none = int64(math.MaxInt64)
	machine := "MemTotal:       4096 kB\nMemFree:           1 kB\n"
	for name, c := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"nothing is known": {nil, none},
		"no group":         {map[string]string{"proc/meminfo": machine}, 4 << 20},
		"version 2": {map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "0::/a/b\n",
			"sys/fs/cgroup/a/b/memory.max": "max\n", "sys/fs/cgroup/a/memory.max": "3000000\n"}, 3_000_000},
		"version 2, high": {map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "0::/a\n",
			"sys/fs/cgroup/a/memory.max": "3000000\n", "sys/fs/cgroup/a/memory.high": "2000000\n"}, 2_000_000},
		"version 2, a name of outside": {map[string]string{"proc/self/cgroup": "0::/../../docker/x\n",
			"sys/fs/cgroup/memory.max": "7000\n"}, 7000},
		"version 1": {map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "5:freezer:/\n4:hugetlb,memory:/a\n0::/\n",
			"sys/fs/cgroup/memory/a/memory.limit_in_bytes": "1000000\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 1_000_000},
		"more than the machine has": {map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "4:memory:/a\n",
			"sys/fs/cgroup/memory/a/memory.limit_in_bytes": "9223372036854771712\n"}, 4 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for file, text := range c.files {
				file = filepath.Join(root, file)
				if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if got := allowedMemory(root); got != c.want {
				t.Errorf("%d, not %d", got, c.want)
			}
		})
	}
}

// TestLimitMemory: the least counts, whoever comes first.
func TestLimitMemory(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	t.Cleanup(func() { memory.lowest = 0; debug.SetMemoryLimit(before) })
	most := LimitMemory(math.MaxInt64)
	if allowed := allowedMemory("/"); most > allowed {
		t.Errorf("%d of %d bytes", most, allowed)
	}
	for _, c := range []struct{ asked, want int64 }{{100 << 20, 100 << 20}, {200 << 20, 100 << 20}, {50 << 20, 50 << 20}} {
		got := LimitMemory(c.asked)
		if inForce := debug.SetMemoryLimit(-1); got != c.want || inForce != c.want {
			t.Errorf("after %d it is %d, and %d in force, not %d", c.asked, got, inForce, c.want)
		}
	}
}
