package cluster

import "syscall"

// procAttr has the kernel ask the supervisor to stop when the test process dies: it then also stops the nodes that run
// detached. A Ctrl-C at the terminal reaches the supervisor that way, too.
func procAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
