//go:build !linux

package cluster

import "syscall"

// procAttr leaves the supervisor in the process group of the test: a Ctrl-C ends both.
func procAttr() *syscall.SysProcAttr { return nil }
