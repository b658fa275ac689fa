package rpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
)

// nearName is the name of the Unix socket beside a TCP one, in the abstract namespace: it belongs to the network namespace as the TCP
// address does, and ends with the process.
func nearName(at netip.AddrPort) *net.UnixAddr {
	return &net.UnixAddr{Net: "unix", Name: "@stele/rpc/" + at.String()}
}

// listenNear listens on the Unix socket beside a TCP one.
func listenNear(at netip.AddrPort) (*net.UnixListener, error) {
	return net.ListenUnix("unix", nearName(at))
}

// dialNear connects to the Unix socket beside a TCP one; nil = there is none that this process is to use.
func dialNear(ctx context.Context, at netip.AddrPort) net.Conn {
	d := net.Dialer{Timeout: nearTimeout}
	conn, err := d.DialContext(ctx, "unix", nearName(at).Name)
	if err != nil {
		return nil
	}
	if _, err := checkPeer(conn.(*net.UnixConn)); err != nil || !awaitWelcome(conn) {
		_ = conn.Close() // TCP is the way
		return nil
	}
	return conn
}

// checkPeer returns the number of the process at the other end of a Unix socket, if it runs as a user whom this process trusts.
func checkPeer(conn *net.UnixConn) (pid int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var who *syscall.Ucred
	var failed error
	err = raw.Control(func(fd uintptr) {
		who, failed = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	if err = errors.Join(err, failed); err != nil {
		return 0, err
	}
	if !mayTrust(os.Geteuid(), int(who.Uid)) {
		return 0, fmt.Errorf("process %d runs as user %d", who.Pid, who.Uid)
	}
	return int(who.Pid), nil
}
