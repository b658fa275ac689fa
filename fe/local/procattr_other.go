//go:build !linux

package local

import "syscall"

// childAttr keeps a Ctrl-C at the terminal away from the node: the supervisor decides the order of stopping. Without
// Linux's parent-death signal a node outlives a killed supervisor; the next supervisor adopts it.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
