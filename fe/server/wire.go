package server

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	// payloadMax is the most bytes that one protocol packet carries; longer payloads are split.
	payloadMax = 1<<24 - 1
	// flushBytes is how much output is gathered before it is written: measured, larger buffers gained nothing.
	flushBytes = 16 << 10
	// keepBytes is the largest buffer that an idle connection keeps.
	keepBytes = 32 << 10
	// skipMax is the most bytes of a too long packet that are skipped: MySQL's largest max_allowed_packet.
	skipMax = 1 << 30
	// readStep is how much memory a packet's header alone can make us allocate.
	readStep = 64 << 10
)

var (
	errPacketTooLarge = errors.New("packet exceeds the limit")
	errPacketOrder    = errors.New("packets out of order")
)

// packetReader cuts the client's byte stream into payloads.
type packetReader struct {
	raw  *bufio.Reader // the socket
	src  io.Reader     // raw, or the decompressor over it
	comp *frameReader  // nil without compression
	seq  uint8         // number of the next packet
	buf  []byte        // the last payload
	lent int           // bytes at the beginning of raw's buffer that nextInPlace has returned
	rest int           // bytes of the current packet that were not read, after errPacketTooLarge
}

// buffered reports whether bytes of the client are here that nobody has read.
func (r *packetReader) buffered() bool {
	return r.raw.Buffered() > 0 || r.comp != nil && r.comp.left > 0
}

// next reads one payload of at most limit bytes; it is valid until the next call. After errPacketTooLarge the
// stream stands in the middle of a packet: see skip.
func (r *packetReader) next(limit int) ([]byte, error) {
	if cap(r.buf) > keepBytes {
		r.buf = nil
	}
	r.buf = r.buf[:0]
	for {
		n, err := r.header()
		if err != nil {
			return nil, err
		}
		if len(r.buf)+n > limit {
			r.rest = n
			return nil, errPacketTooLarge
		}
		if err := r.body(n); err != nil {
			return nil, err
		}
		if n < payloadMax {
			return r.buf, nil
		}
	}
}

// widen reads the socket through a larger buffer until the function that it returns is called. Compressed streams have buffers of
// their own.
func (r *packetReader) widen(size int) (narrow func()) {
	if r.comp != nil {
		return func() {}
	}
	small, wide := r.raw, bufio.NewReaderSize(r.raw, size)
	r.raw, r.src = wide, wide
	return func() {
		if r.inPlace(); wide.Buffered() == 0 { // else the client has sent on without waiting for an answer
			r.raw, r.src = small, small
		}
	}
}

// nextInPlace is next, without a copy of what lies in the buffer of the socket as a whole.
func (r *packetReader) nextInPlace(limit int) ([]byte, error) {
	r.inPlace()
	if r.comp != nil {
		return r.next(limit)
	}
	h, err := r.raw.Peek(4)
	if err != nil {
		return nil, err
	}
	n := int(h[0]) | int(h[1])<<8 | int(h[2])<<16
	if n+4 > r.raw.Size() || n > limit {
		return r.next(limit)
	}
	if _, err := r.header(); err != nil {
		return nil, err
	}
	piece, err := r.raw.Peek(n)
	if err != nil {
		return nil, noEOF(err)
	}
	r.lent = n
	return piece, nil
}

// inPlace passes over what nextInPlace returned last.
func (r *packetReader) inPlace() {
	_, _ = r.raw.Discard(r.lent) // it is in the buffer
	r.lent = 0
}

// skip reads past a payload that next has refused.
func (r *packetReader) skip() error {
	r.buf = nil
	for total := 0; total < skipMax; total += r.rest {
		if _, err := io.CopyN(io.Discard, r.src, int64(r.rest)); err != nil {
			return noEOF(err)
		}
		if r.rest < payloadMax {
			return nil
		}
		n, err := r.header()
		if err != nil {
			return noEOF(err)
		}
		r.rest = n
	}
	return errPacketTooLarge
}

func (r *packetReader) header() (int, error) {
	var h [4]byte
	if _, err := io.ReadFull(r.src, h[:]); err != nil {
		return 0, err
	}
	// Clients number the packets inside a compressed stream in different ways; the outer numbers are checked there.
	if r.comp == nil && h[3] != r.seq {
		return 0, fmt.Errorf("%w: got %d, want %d", errPacketOrder, h[3], r.seq)
	}
	r.seq = h[3] + 1
	return int(h[0]) | int(h[1])<<8 | int(h[2])<<16, nil
}

// body appends n bytes to buf, which grows only as fast as data arrives.
func (r *packetReader) body(n int) error {
	for n > 0 {
		step := min(n, max(readStep, len(r.buf)))
		at := len(r.buf)
		if cap(r.buf)-at < step {
			r.buf = append(make([]byte, 0, at+step), r.buf...)
		}
		r.buf = r.buf[:at+step]
		if _, err := io.ReadFull(r.src, r.buf[at:]); err != nil {
			return noEOF(err)
		}
		n -= step
	}
	return nil
}

// noEOF turns an end of stream inside a packet into an error that is not taken for a polite goodbye.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// packetWriter frames payloads and gathers them; out writes what is gathered to the socket.
type packetWriter struct {
	out   func([]byte) error
	comp  *frameWriter // nil without compression
	seq   uint8
	buf   []byte
	err   error // of a write: the stream is cut in the middle of a packet, nothing more can be sent
	start int   // of the packet being built
	open  bool  // a packet is being built
}

// begin opens a packet; the payload is then appended to w.buf.
func (w *packetWriter) begin() {
	w.start, w.open = len(w.buf), true
	w.buf = append(w.buf, 0, 0, 0, 0)
}

// cancel drops the packet being built, if there is one.
func (w *packetWriter) cancel() {
	if w.open {
		w.buf, w.open = w.buf[:w.start], false
	}
}

// end closes the packet and writes out the buffer when it is full.
func (w *packetWriter) end() error {
	w.open = false
	n := len(w.buf) - w.start - 4
	if n < payloadMax {
		putHeader(w.buf[w.start:], n, w.seq)
		w.seq++
	} else {
		w.split()
	}
	if len(w.buf) >= flushBytes {
		return w.flush()
	}
	return nil
}

// split breaks the long packet at w.start into full ones and a rest, which may be empty but must be there.
func (w *packetWriter) split() {
	payload := append([]byte(nil), w.buf[w.start+4:]...)
	w.buf = w.buf[:w.start]
	for {
		n := min(len(payload), payloadMax)
		at := len(w.buf)
		w.buf = append(w.buf, 0, 0, 0, 0)
		putHeader(w.buf[at:], n, w.seq)
		w.seq++
		w.buf = append(w.buf, payload[:n]...)
		payload = payload[n:]
		if n < payloadMax {
			return
		}
	}
}

// flush writes everything gathered. With compression a flush ends a compressed frame.
func (w *packetWriter) flush() error {
	if len(w.buf) == 0 || w.err != nil {
		w.buf = w.buf[:0]
		return w.err
	}
	out := w.buf
	if w.comp != nil {
		out = w.comp.wrap(out)
	}
	w.err = w.out(out)
	if cap(w.buf) > keepBytes {
		w.buf = nil
	}
	w.buf = w.buf[:0]
	return w.err
}

func putHeader(b []byte, n int, seq uint8) {
	b[0], b[1], b[2], b[3] = byte(n), byte(n>>8), byte(n>>16), seq
}

// appendLenInt appends n as a length-encoded integer.
func appendLenInt(b []byte, n uint64) []byte {
	switch {
	case n < 251:
		return append(b, byte(n))
	case n < 1<<16:
		return append(b, 0xfc, byte(n), byte(n>>8))
	case n < 1<<24:
		return append(b, 0xfd, byte(n), byte(n>>8), byte(n>>16))
	}
	return binary.LittleEndian.AppendUint64(append(b, 0xfe), n)
}

// appendLenBytes appends s with its length before it.
func appendLenBytes[T string | []byte](b []byte, s T) []byte {
	return append(appendLenInt(b, uint64(len(s))), s...)
}

// cursor reads fields from a payload. The first read beyond the end sets bad, and every later one returns zeros.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) take(n uint64) []byte {
	if c.bad || n > uint64(len(c.b)) {
		c.bad, c.b = true, nil
		return nil
	}
	out := c.b[:n:n]
	c.b = c.b[n:]
	return out
}

// uint reads a little-endian integer of n bytes.
func (c *cursor) uint(n int) uint64 {
	var v uint64
	for i, x := range c.take(uint64(n)) {
		v |= uint64(x) << (8 * i)
	}
	return v
}

// lenInt reads a length-encoded integer.
func (c *cursor) lenInt() uint64 {
	switch x := c.uint(1); x {
	case 0xfc:
		return c.uint(2)
	case 0xfd:
		return c.uint(3)
	case 0xfe:
		return c.uint(8)
	case 0xfb, 0xff: // NULL and the error mark are no lengths
		c.bad, c.b = true, nil
		return 0
	default:
		return x
	}
}

// lenBytes reads a length-encoded string.
func (c *cursor) lenBytes() []byte { return c.take(c.lenInt()) }

// cstring reads up to a NUL, or to the end of the payload if there is none.
func (c *cursor) cstring() string {
	for i, x := range c.b {
		if x == 0 {
			s := string(c.b[:i])
			c.b = c.b[i+1:]
			return s
		}
	}
	s := string(c.b)
	c.b = nil
	return s
}
