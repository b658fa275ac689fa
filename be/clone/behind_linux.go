package clone

import (
	"runtime"
	"syscall"
)

// behindNice is the nice value of threads that clone: beside others that want the processor they get a ninth of a share.
const behindNice = 10

// stayBehind has the goroutine run on a thread of its own, which gives way to others, to its end; the thread ends with it.
func stayBehind() {
	runtime.LockOSThread()
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, syscall.Gettid(), behindNice) // one that is refused clones as fast as others work
}
