package rpc

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// nearWelcome is the first byte from a server to whom it lets in by its Unix socket.
const nearWelcome = byte('N')

// nearTimeout is how long a server may take to say it. One that hangs is found hung by TCP after it. Tests are more patient.
var nearTimeout = 250 * time.Millisecond

// connect connects to an address, by the Unix socket beside it where there is one. TCP comes first: it says whether anybody answers, which
// address of a name does, and whether that is of this machine. It is what remains whenever anything else is not as it should be.
func connect(ctx context.Context, address string) (net.Conn, error) {
	conn, remote, err := reach(ctx, address)
	if err != nil {
		return nil, err
	}
	return nearer(ctx, conn, remote), nil
}

// reach connects by TCP. remote is where that led, if it is on this machine.
func reach(ctx context.Context, address string) (conn net.Conn, remote netip.AddrPort, err error) {
	d := net.Dialer{Timeout: connectTimeout}
	if conn, err = d.DialContext(ctx, "tcp", address); err != nil {
		return nil, netip.AddrPort{}, err
	}
	remote = addrPort(conn.RemoteAddr())
	if !ofThisMachine(remote.Addr(), addrPort(conn.LocalAddr()).Addr()) {
		return conn, netip.AddrPort{}, nil
	}
	return conn, remote, nil
}

// nearer returns a connection by the Unix socket in place of one by TCP, if there is one.
func nearer(ctx context.Context, conn net.Conn, remote netip.AddrPort) net.Conn {
	if !remote.IsValid() {
		return conn
	}
	for _, at := range boundFor(remote) {
		if near := dialNear(ctx, at); near != nil {
			_ = conn.Close() // nothing was said on it
			return near
		}
	}
	return conn
}

// ofThisMachine reports whether an address that a connection reaches is one of this machine, where the connection comes from local.
func ofThisMachine(remote, local netip.Addr) bool {
	if remote.IsLoopback() || remote == local {
		return true
	}
	own, _ := net.InterfaceAddrs() // without them it is another machine
	return slices.ContainsFunc(own, func(a net.Addr) bool {
		n, ok := a.(*net.IPNet)
		return ok && n.IP.Equal(remote.AsSlice())
	})
}

// boundFor lists where the server may be bound that answers at an address: there, or to all addresses. No two can be at once.
func boundFor(at netip.AddrPort) []netip.AddrPort {
	all := []netip.AddrPort{at, netip.AddrPortFrom(netip.IPv6Unspecified(), at.Port())} // of both families
	if at.Addr().Is4() {
		all = append(all, netip.AddrPortFrom(netip.IPv4Unspecified(), at.Port()))
	}
	return all
}

// awaitWelcome is false when the server behind a Unix socket does not let this process in, or says nothing.
func awaitWelcome(conn net.Conn) bool {
	if conn.SetDeadline(time.Now().Add(nearTimeout)) != nil {
		return false
	}
	var first [1]byte
	n, _ := conn.Read(first[:]) // it is a byte, or none
	return n == 1 && first[0] == nearWelcome && conn.SetDeadline(time.Time{}) == nil
}

// mayTrust reports whether a process of user mine talks by a Unix socket to one of user theirs. Anybody can take the name of such a socket
// as long as it is free, also while the server that it should belong to has the TCP address.
func mayTrust(mine, theirs int) bool { return theirs == mine || theirs == 0 }

// nearAddr says where a process of this machine is. It has no port: its number stands in that place.
type nearAddr struct {
	host netip.Addr
	pid  int
}

// Network implements net.Addr.
func (nearAddr) Network() string { return "unix" }

// String implements net.Addr.
func (a nearAddr) String() string {
	return net.JoinHostPort(a.host.String(), fmt.Sprintf("pid-%d", a.pid))
}

// nearConn is a connection that a server has taken in by its Unix socket.
type nearConn struct {
	*net.UnixConn
	remote nearAddr
	closed func()
}

// newNearConn returns a connection from process pid to the server that is bound to at. closed is called when it is closed.
func newNearConn(conn *net.UnixConn, at netip.Addr, pid int, closed func()) *nearConn {
	if at.IsUnspecified() {
		at = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return &nearConn{conn, nearAddr{at, pid}, sync.OnceFunc(closed)}
}

// RemoteAddr returns the address of this machine, from which such a process would have come by TCP.
func (c *nearConn) RemoteAddr() net.Addr { return c.remote }

// Close closes the connection.
func (c *nearConn) Close() error {
	defer c.closed()
	return c.UnixConn.Close()
}
