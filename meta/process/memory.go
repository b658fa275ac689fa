package process

import (
	"math"
	"os"
	"path"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
)

// memoryNumerator of memoryDenominator parts of what there is are for what the runtime knows of; the rest is for pages of files, code in huge
// pages, the kernel and what else runs.
const memoryNumerator, memoryDenominator = 3, 5

var memory struct {
	mu     sync.Mutex
	lowest int64 // 0 = nobody has asked yet
}

// LimitMemory has the collector keep the memory of this process below the least that anybody in it has asked for, and below three fifths of what
// the machine has or the control groups of the process allow, whichever is less: a container that takes more is killed. It returns the limit
// that is in force; what may grow has bounds of its own, which follow from it.
func LimitMemory(asked int64) int64 {
	memory.mu.Lock()
	defer memory.mu.Unlock()
	limit := min(asked, allowedMemory("/")/memoryDenominator*memoryNumerator)
	if memory.lowest == 0 || limit < memory.lowest {
		memory.lowest = limit
		debug.SetMemoryLimit(limit)
	}
	return memory.lowest
}

// allowedMemory returns how many bytes the machine has, or the control groups of this process allow if that is less, from the files below
// root; where nothing is known it is without end.
func allowedMemory(root string) int64 {
	allowed := int64(math.MaxInt64)
	for line := range strings.Lines(readText(path.Join(root, "proc/meminfo"))) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "MemTotal:" {
			if kib, err := strconv.ParseInt(f[1], 10, 64); err == nil {
				allowed = min(allowed, kib<<10)
			}
		}
	}
	for line := range strings.Lines(readText(path.Join(root, "proc/self/cgroup"))) {
		// "0::/a/b" is a group of version 2, "4:memory:/a/b" one of version 1.
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 {
			continue
		}
		folder, files := "", []string(nil)
		switch {
		case f[1] == "":
			folder, files = "sys/fs/cgroup", []string{"memory.max", "memory.high"}
		case strings.Contains(","+f[1]+",", ",memory,"):
			folder, files = "sys/fs/cgroup/memory", []string{"memory.limit_in_bytes"}
		}
		for _, name := range files {
			allowed = min(allowed, groupLimit(path.Join(root, folder), f[2], name))
		}
	}
	return allowed
}

// groupLimit is the least that a file of a group, or of a group that it lies in, says. A container may see its own group as the topmost
// one, under whatever name it has outside.
func groupLimit(folder, group, file string) int64 {
	least := int64(math.MaxInt64)
	for group = path.Clean("/" + group); ; group = path.Dir(group) {
		if n, err := strconv.ParseInt(strings.TrimSpace(readText(path.Join(folder, group, file))), 10, 64); err == nil { // "max" is none
			least = min(least, n)
		}
		if group == "/" {
			return least
		}
	}
}

// readText is empty for a file that cannot be read: other systems have none of them.
func readText(name string) string {
	b, err := os.ReadFile(name)
	if err != nil {
		return ""
	}
	return string(b)
}
