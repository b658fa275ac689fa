package rpc

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"
)

// duct is a connection of two pipes of the kernel, one for each direction. Nothing is cheaper for small messages: a Unix socket wakes not
// only who waits for a message but also, when it has been read, who has sent it, because that might wait to send more. A pipe does so
// only if it was full.
//
// A server makes it for a client that has come by its Unix socket, and sends the other ends with its verdict.
type duct struct {
	r, w   *os.File
	remote net.Addr
	closed func()
}

// Read implements net.Conn.
func (d *duct) Read(b []byte) (int, error) { return d.r.Read(b) }

// Write implements net.Conn.
func (d *duct) Write(b []byte) (int, error) { return d.w.Write(b) }

// SyscallConn implements syscall.Conn.
func (d *duct) SyscallConn() (syscall.RawConn, error) {
	r, err := d.r.SyscallConn()
	if err != nil {
		return nil, err
	}
	w, err := d.w.SyscallConn()
	return ductConn{r, w}, err
}

// ductConn reads from one pipe and writes to the other.
type ductConn struct {
	syscall.RawConn
	w syscall.RawConn
}

// Write implements syscall.RawConn.
func (c ductConn) Write(f func(fd uintptr) bool) error { return c.w.Write(f) }

// Close closes both pipes.
func (d *duct) Close() error {
	defer d.closed()
	return errors.Join(d.r.Close(), d.w.Close())
}

// LocalAddr implements net.Conn: it is the same machine.
func (d *duct) LocalAddr() net.Addr { return d.remote }

// RemoteAddr implements net.Conn.
func (d *duct) RemoteAddr() net.Addr { return d.remote }

// SetDeadline implements net.Conn.
func (d *duct) SetDeadline(t time.Time) error {
	return errors.Join(d.SetReadDeadline(t), d.SetWriteDeadline(t))
}

// SetReadDeadline implements net.Conn.
func (d *duct) SetReadDeadline(t time.Time) error { return d.r.SetReadDeadline(t) }

// SetWriteDeadline implements net.Conn.
func (d *duct) SetWriteDeadline(t time.Time) error { return d.w.SetWriteDeadline(t) }
