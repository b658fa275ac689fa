package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Listener takes connections in by TCP and, from processes of this machine, by a Unix socket beside it.
type Listener struct {
	tcp   net.Listener
	at    netip.AddrPort // where tcp is bound
	log   *slog.Logger
	calls bool         // of this process go straight to the handlers
	local atomic.Int64 // open connections by the Unix socket

	conns chan accepted
	ctx   context.Context // ends with Close
	stop  context.CancelFunc
	close func() error
	byTCP sync.WaitGroup // who takes connections in
	near  sync.WaitGroup // likewise
}

// accepted is what Accept returns.
type accepted struct {
	conn net.Conn
	err  error
}

// Listen listens on a TCP address. If local is set and the system knows abstract Unix sockets, processes of this machine that dial the
// address come by such a socket.
func Listen(address string, local bool, log *slog.Logger) (*Listener, error) {
	tcp, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	l := &Listener{tcp: tcp, at: addrPort(tcp.Addr()), log: log, calls: local, conns: make(chan accepted)}
	l.ctx, l.stop = context.WithCancel(context.Background())
	l.close = sync.OnceValue(l.end)
	l.byTCP.Go(l.takeTCP)
	if !local {
		return l, nil
	}
	near, err := listenNear(l.at)
	if errors.Is(err, errors.ErrUnsupported) {
		return l, nil
	}
	if err != nil {
		log.Warn("processes of this machine come by tcp until the unix socket is free", "address", l.at.String(), "err", err)
	}
	l.near.Go(func() { l.takeNear(near) })
	return l, nil
}

// Accept returns the next connection, whichever way it comes.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case a := <-l.conns:
		return a.conn, a.err
	case <-l.ctx.Done():
		return nil, fmt.Errorf("accept at %s: %w", l.at, net.ErrClosed)
	}
}

// Addr returns the TCP address.
func (l *Listener) Addr() net.Addr { return l.tcp.Addr() }

// Local returns how many connections are open that came by the Unix socket.
func (l *Listener) Local() int64 { return l.local.Load() }

// Close ends both ways in. Connections that Accept has returned go on.
func (l *Listener) Close() error { return l.close() }

func (l *Listener) end() error {
	l.stop()
	leaveInside(l.at)
	l.near.Wait() // first: who has the TCP address next finds the name of the Unix socket free
	err := l.tcp.Close()
	l.byTCP.Wait()
	return err
}

// takeTCP hands on what comes by TCP, and errors: the caller of Accept knows which of them pass.
func (l *Listener) takeTCP() {
	for l.ctx.Err() == nil {
		conn, err := l.tcp.Accept()
		l.hand(accepted{conn, err})
	}
}

// hand gives a connection to Accept.
func (l *Listener) hand(a accepted) {
	select {
	case l.conns <- a:
	case <-l.ctx.Done():
		if a.conn != nil {
			_ = a.conn.Close() // nobody has used it
		}
	}
}

// nearAgain is the pause before the Unix socket is tried for again: a process that is about to end may have its name.
const nearAgain = time.Second

// takeNear hands on what comes by the Unix socket; nil = it is still to be had.
func (l *Listener) takeNear(lis *net.UnixListener) {
	for {
		if lis != nil {
			l.acceptNear(lis)
		}
		if !l.pause(nearAgain) {
			return
		}
		lis, _ = listenNear(l.at) // why it is not to be had the log says once
	}
}

// acceptNear admits processes of this machine until the Unix socket fails.
func (l *Listener) acceptNear(lis *net.UnixListener) {
	defer lis.Close()
	defer context.AfterFunc(l.ctx, func() { _ = lis.Close() })() // AcceptUnix tells
	for {
		conn, err := lis.AcceptUnix()
		switch {
		case err == nil:
			if c := l.welcome(conn); c != nil {
				l.hand(accepted{conn: c})
			}
		case !noFiles(err) || !l.pause(sniffPause):
			return
		}
	}
}

// welcome returns the connection of a process that may come by the Unix socket, which is told so; nil = it is to come by TCP.
func (l *Listener) welcome(conn *net.UnixConn) net.Conn {
	pid, err := checkPeer(conn)
	if err == nil {
		_, err = conn.Write([]byte{nearWelcome})
	}
	if err != nil {
		l.log.Debug("unix connection refused", "address", l.at.String(), "err", err)
		_ = conn.Close() // it comes by TCP
		return nil
	}
	l.local.Add(1)
	return newNearConn(conn, l.at.Addr(), pid, func() { l.local.Add(-1) })
}

// pause is false when the listener was closed meanwhile.
func (l *Listener) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-l.ctx.Done():
		return false
	}
}

// noFiles reports whether there are too many open files, which passes.
func noFiles(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// addrPort returns a TCP address in the one form that it has everywhere.
func addrPort(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	at := tcp.AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}
