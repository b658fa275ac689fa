package server

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/go-mysql-org/go-mysql/mysql"
)

// saltLen is the length of a challenge.
const saltLen = 20

// loginConn is the socket as go-mysql's server package sees it during the login. It frames the packets itself, so
// that it can patch the greeting, terminate TLS, refuse what is malformed before the library parses it, and learn
// the salt. The library sees a plain connection throughout; after the login the bufio.Reader, which may already hold
// the first command, goes to the command loop.
type loginConn struct {
	net.Conn // the socket, or the TLS connection over it
	ctx      context.Context
	host     string
	id       uint32
	caps     uint32 // advertised
	tls      *tls.Config

	br       *bufio.Reader
	pending  []byte // of the packet that the library is reading
	greeted  bool
	hello    hello
	gotHello bool
	secure   bool
	version  string // of TLS
	cipher   string
	shift    uint8 // packets that the library does not know of (the TLS request)
	salt     []byte
	switched bool  // the client was asked to use another plugin
	fail     error // sent to the client in place of the library's own error
	state    *loginState
}

func newLoginConn(ctx context.Context, nc net.Conn, id uint32, cfg *tls.Config) *loginConn {
	l := &loginConn{Conn: nc, ctx: ctx, host: hostOf(nc.RemoteAddr()), id: id, caps: advertised, tls: cfg}
	if cfg != nil {
		l.caps |= mysql.CLIENT_SSL
	}
	l.br = bufio.NewReaderSize(nc, 4096)
	return l
}

func hostOf(a net.Addr) string {
	if host, _, err := net.SplitHostPort(a.String()); err == nil {
		return host
	}
	return a.String()
}

// hostAddr is an address without the port: the library puts it into the text of access-denied errors.
type hostAddr string

func (hostAddr) Network() string  { return "tcp" }
func (a hostAddr) String() string { return string(a) }

// RemoteAddr names the client's host only.
func (l *loginConn) RemoteAddr() net.Addr { return hostAddr(l.host) }

// Read hands out the client's packets, never more than one at a time.
func (l *loginConn) Read(p []byte) (int, error) {
	if len(l.pending) == 0 {
		packet, err := l.receive()
		if err != nil {
			if l.fail == nil {
				l.fail = err
			}
			return 0, err
		}
		l.pending = packet
	}
	n := copy(p, l.pending)
	l.pending = l.pending[n:]
	return n, nil
}

// receive reads one packet with its header, as the library is to see it.
func (l *loginConn) receive() ([]byte, error) {
	packet, err := l.readPacket()
	if err != nil || l.gotHello {
		return packet, err
	}
	if l.asksTLS(packet[4:]) {
		if err := l.startTLS(); err != nil {
			return nil, err
		}
		if packet, err = l.readPacket(); err != nil {
			return nil, err
		}
	}
	h, err := parseHello(packet[4:], l.caps)
	if err != nil {
		return nil, err
	}
	l.hello, l.gotHello = h, true
	// We read the attributes ourselves: the library loses them when it switches the plugin.
	binary.LittleEndian.PutUint32(packet[4:], h.caps&^(mysql.CLIENT_CONNECT_ATTRS|mysql.CLIENT_SSL))
	return packet, nil
}

func (l *loginConn) readPacket() ([]byte, error) {
	var h [4]byte
	if _, err := io.ReadFull(l.br, h[:]); err != nil {
		return nil, err
	}
	n := int(h[0]) | int(h[1])<<8 | int(h[2])<<16
	if n > loginPacketMax {
		return nil, errBadHandshake
	}
	packet := make([]byte, 4+n)
	copy(packet, h[:])
	packet[3] -= l.shift
	if _, err := io.ReadFull(l.br, packet[4:]); err != nil {
		return nil, noEOF(err)
	}
	return packet, nil
}

func (l *loginConn) asksTLS(payload []byte) bool {
	return len(payload) == sslRequestLen && l.caps&mysql.CLIENT_SSL != 0 &&
		binary.LittleEndian.Uint32(payload)&mysql.CLIENT_SSL != 0
}

func (l *loginConn) startTLS() error {
	// Clients start TLS without waiting, so the first of its bytes may be here already. They go to TLS: nothing sent
	// in the clear is taken for encrypted.
	ahead, err := l.br.Peek(l.br.Buffered())
	if err != nil {
		return err
	}
	tc := tls.Server(&aheadConn{Conn: l.Conn, ahead: slices.Clone(ahead)}, l.tls)
	if err := tc.HandshakeContext(l.ctx); err != nil {
		return err
	}
	state := tc.ConnectionState()
	l.version, l.cipher = strings.Replace(tls.VersionName(state.Version), "TLS ", "TLSv", 1), tls.CipherSuiteName(state.CipherSuite)
	l.Conn, l.secure, l.shift = tc, true, 1
	l.br.Reset(tc)
	return nil
}

// aheadConn is a connection of which some bytes have been read ahead.
type aheadConn struct {
	net.Conn
	ahead []byte
}

// Read hands out what was read ahead, then the connection's bytes.
func (a *aheadConn) Read(p []byte) (int, error) {
	if len(a.ahead) == 0 {
		return a.Conn.Read(p)
	}
	n := copy(p, a.ahead)
	a.ahead = a.ahead[n:]
	return n, nil
}

// Write sends one packet of the library, which writes each with a single call. Nothing is buffered: the connection
// may be closed right after an error packet.
func (l *loginConn) Write(p []byte) (int, error) {
	if len(p) < 5 {
		return 0, errors.New("BUG: login packet without payload")
	}
	out := slices.Clone(p)
	switch {
	case !l.greeted:
		l.greeted = true
		l.patchGreeting(out[4:])
	case out[4] == mysql.EOF_HEADER:
		l.noteSwitch(out[5:])
	case out[4] == mysql.ERR_HEADER && l.fail != nil:
		out = append(out[:4], errorPayload(explain(l.ctx, l.shown()))...)
		putHeader(out, len(out)-4, p[3])
	}
	out[3] += l.shift
	if _, err := l.Conn.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// shown is the failure as the client is told it: what broke before there was a login packet is no business of a
// stranger.
func (l *loginConn) shown() error {
	var me MySQLError
	if !l.gotHello && !errors.As(l.fail, &me) {
		return errBadHandshake
	}
	return l.fail
}

// patchGreeting sets what the library cannot be told: the connection id, more capabilities, the status flags.
func (l *loginConn) patchGreeting(b []byte) {
	at := 1 + bytes.IndexByte(b[1:], 0) + 1 // behind protocol number and version
	binary.LittleEndian.PutUint32(b[at:], l.id)
	caps := b[at+4+8+1:]
	binary.LittleEndian.PutUint16(caps, uint16(l.caps))
	binary.LittleEndian.PutUint16(caps[3:], StatusAutocommit)
	binary.LittleEndian.PutUint16(caps[5:], uint16(l.caps>>16))
	tail := caps[7+1+10:]
	l.salt = append(slices.Clone(b[at+4:at+4+8]), tail[:saltLen-8]...)
}

// noteSwitch learns the new salt from a request to switch the plugin.
func (l *loginConn) noteSwitch(b []byte) {
	l.switched = true
	if i := bytes.IndexByte(b, 0); i >= 0 && len(b) >= i+1+saltLen {
		l.salt = slices.Clone(b[i+1 : i+1+saltLen])
	}
}

// errorPayload builds the payload of an error packet.
func errorPayload(code uint16, state, msg string) []byte {
	b := []byte{mysql.ERR_HEADER, byte(code), byte(code >> 8), '#'}
	return append(append(b, state...), msg...)
}
