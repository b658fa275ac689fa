//go:build !linux

package rpc

import (
	"context"
	"errors"
	"net"
	"net/netip"
)

// listenNear says that there are no abstract Unix sockets.
func listenNear(netip.AddrPort) (*net.UnixListener, error) { return nil, errors.ErrUnsupported }

// dialNear finds none.
func dialNear(context.Context, netip.AddrPort) net.Conn { return nil }

// checkPeer is never called: nobody comes.
func checkPeer(*net.UnixConn) (int, error) { return 0, errors.ErrUnsupported }

// admit is never called either.
func (c *nearConn) admit() (net.Conn, error) { return nil, errors.ErrUnsupported }

// verdictNear is never called either.
func verdictNear(*net.UnixConn) (byte, *duct, error) { return 0, nil, errors.ErrUnsupported }
