package segment

import (
	"os"
	"slices"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

var pageSize = uintptr(os.Getpagesize())

// WillNeed starts reading what is not in memory of b, which is part of a mapping: nobody else does, as mappings read no page that they are
// not asked for. On other memory it does nothing.
func WillNeed(b []byte) {
	if len(b) == 0 {
		return
	}
	// Addresses are only handed to the kernel: no pointer is made of them.
	start := uintptr(unsafe.Pointer(&b[0])) &^ (pageSize - 1)
	end := uintptr(unsafe.Pointer(&b[len(b)-1])) + 1
	slot, now := seenAt(start, end)
	if slot.Load() == now {
		return
	}
	all := true
	var state [256]byte
	for from := start; from < end; from += pageSize * uintptr(len(state)) {
		size := min(end-from, pageSize*uintptr(len(state)))
		pages := state[:(size+pageSize-1)/pageSize]
		_, _, errno := unix.Syscall(unix.SYS_MINCORE, from, size, uintptr(unsafe.Pointer(&pages[0])))
		if errno == 0 && slices.ContainsFunc(pages, func(p byte) bool { return p&1 == 0 }) {
			all = false
			_, _, _ = unix.Syscall(unix.SYS_MADVISE, from, size, unix.MADV_WILLNEED)
		}
	}
	if all {
		slot.Store(now)
	}
}

// seen has ranges that were all in memory a moment ago, each in the place that seenAt gives it: to ask the kernel about each of them again
// would take a twentieth of a statement that reads some rows. What it has let go of since is waited for.
var (
	seen  [1024]atomic.Uint64
	began = time.Now()
)

// seenAt returns the place of a range, and what is there if it was seen in this second.
func seenAt(start, end uintptr) (*atomic.Uint64, uint64) {
	h := (uint64(start)*31 + uint64(end)) * 0x9E3779B97F4A7C15
	const seconds = 1<<16 - 1
	return &seen[h>>54], h&^seconds | uint64(time.Since(began)/time.Second)&seconds
}

// Ahead starts reading the first bytes of the value that p, read under key, points to, without a look at it, which might have to wait.
func (l *Log) Ahead(key []byte, p Pointer, bytes int64) {
	f := l.acquire(p.Segment)
	if f == nil {
		return
	}
	from, end := int64(p.Offset), min(f.end.Load(), int64(len(f.data)))
	if to := min(from+headBytes+align(int64(len(key)))+min(bytes, int64(p.Length)), end); from < to {
		WillNeed(f.data[from:to])
	}
	_ = f.release() // who reads the value hears of it
}
