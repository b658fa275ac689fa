package local

import "syscall"

// childAttr keeps a Ctrl-C at the terminal away from the node (the supervisor decides the order of stopping) and has
// the kernel kill the node when the supervisor dies: nobody would be left to stop it. Nodes survive SIGKILL by design,
// and a restart right after finds the ports free.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
