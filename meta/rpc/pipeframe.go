package rpc

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// A pipe is a plain TCP connection for many small unary calls at once: no header frames, no goroutine a direction, and
// what is sent at the same time shares a system call. A pipe comes in on the port of the gRPC server, told apart by its
// first bytes.
//
//	client: magic, length(1), cluster id      server: admitted, or refused and a status frame
//	request:  length(4) kind(1) id(8) timeout in ms(4) length(1) method, message
//	response: length(4) kind(1) id(8), message or status
//
// Integers are little-endian; length counts what follows it.
const (
	pipeMagic = "STELEPIPE1\r\n"

	pipeAdmitted = byte('A') // an HTTP/2 server begins with 0
	pipeRefused  = byte('R')

	frameCall   = byte(1)
	frameCancel = byte(2)
	framePing   = byte(3)
	frameReply  = byte(4)
	frameError  = byte(5)

	frameHead     = 4 + 1 + 8
	pipeBuffer    = 64 << 10
	keptBuffer    = 1 << 20 // larger ones go back to the collector
	maxMethodName = 255
)

// Liveness of pipes, as keepaliveTime and keepaliveTimeout are for gRPC.
const (
	pipePing     = 5 * time.Second
	pipeSilence  = keepaliveTime + keepaliveTimeout
	pipeWriteMax = keepaliveTime
)

var errFrame = errors.New("malformed frame")

// frameWriter sends frames of many goroutines. Whoever finds nobody sending sends for all, until nothing is left.
type frameWriter struct {
	conn net.Conn
	raw  syscall.RawConn // nil when conn has none
	rest sync.WaitGroup  // goroutines that go on sending

	mu      sync.Mutex
	over    bool   // no goroutine starts any more
	buf     []byte // frames to send
	spare   []byte
	sending bool
	queued  int64 // bytes, since the beginning
	given   int64 // of them the kernel has, or may have by now
	ending  bool  // the connection is closed when all is sent
	err     error
	taken   *sync.Cond // of mu: some of buf has been sent, or there is an error

	listed bool // in an outbox, whose lock guards it
}

// init sets the connection.
func (w *frameWriter) init(conn net.Conn) {
	w.conn, w.taken = conn, sync.NewCond(&w.mu)
	if c, ok := conn.(syscall.Conn); ok {
		w.raw, _ = c.SyscallConn() // without it all writes are patient
	}
}

// send queues what build appends and sees that it is sent.
func (w *frameWriter) send(build func(dst []byte) ([]byte, error)) error {
	w.mu.Lock()
	if err := w.queueLocked(build); err != nil {
		w.mu.Unlock()
		return err
	}
	return w.flushLocked(true)
}

// post is send for who must not wait for a peer that takes nothing: then another goroutine sends. end is where the frame ends among all bytes
// (see lost).
func (w *frameWriter) post(build func(dst []byte) ([]byte, error)) (end int64, err error) {
	w.mu.Lock()
	if err := w.queueLocked(build); err != nil {
		w.mu.Unlock()
		return notQueued, err
	}
	end = w.queued
	return end, w.flushLocked(false)
}

// notQueued is the end of a frame that was not even queued.
const notQueued = math.MaxInt64

// lost reports whether the peer does not have a frame that ends there, at least not all of it, and will not get it.
func (w *frameWriter) lost(end int64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return end == notQueued || w.err != nil && end > w.given
}

// queue is send without sending: that comes with pass, or with what somebody sends.
func (w *frameWriter) queue(build func(dst []byte) ([]byte, error)) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.queueLocked(build)
}

// pass sends what is queued, and does not wait for a peer that takes nothing, nor for others that may have frames.
func (w *frameWriter) pass() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.sending && len(w.buf) > 0 {
		w.sending = true
		w.drainLocked(nil, nil, false)
	}
	return w.err
}

// heeds waits while the peer leaves much of what it has been sent; before it does it ends the batch, of which others have parts.
func (w *frameWriter) heeds(b *batch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.buf) > keptBuffer && w.sending && w.err == nil {
		if b.open {
			w.mu.Unlock()
			b.end()
			w.mu.Lock()
			continue
		}
		w.taken.Wait()
	}
}

func (w *frameWriter) queueLocked(build func(dst []byte) ([]byte, error)) error {
	if w.err != nil {
		return w.err
	}
	start := len(w.buf)
	out, err := build(append(w.buf, 0, 0, 0, 0))
	if err == nil && len(out)-start-4 > MaxMessage {
		err = fmt.Errorf("message of %d bytes exceeds the limit of %d", len(out)-start-4, MaxMessage)
	}
	if err != nil {
		return err // w.buf still ends before the frame
	}
	binary.LittleEndian.PutUint32(out[start:], uint32(len(out)-start-4))
	w.queued += int64(len(out) - start)
	w.buf = out
	return nil
}

// flushLocked sends what is queued and unlocks. Who is not patient leaves what the peer does not take at once to a goroutine,
// which ends with the connection.
func (w *frameWriter) flushLocked(patient bool) error {
	defer w.mu.Unlock()
	if w.sending || len(w.buf) == 0 {
		return w.err
	}
	w.sending = true
	// Others that are ready to run may have frames for the same system call.
	w.mu.Unlock()
	runtime.Gosched()
	w.mu.Lock()
	w.drainLocked(nil, nil, patient)
	return w.err
}

// drainLocked sends all there is: the rest of out first. It leaves sending set when a goroutine goes on.
func (w *frameWriter) drainLocked(out, rest []byte, patient bool) {
	for (len(w.buf) > 0 || len(rest) > 0) && w.err == nil {
		if len(rest) == 0 {
			out = w.buf
			rest, w.buf = out, w.spare[:0]
			w.given += int64(len(out))
		}
		w.mu.Unlock()
		var err error
		rest, err = w.some(rest)
		if err == nil && len(rest) > 0 && !patient {
			w.mu.Lock()
			left := rest
			w.restLocked(func() {
				w.mu.Lock()
				defer w.mu.Unlock()
				w.drainLocked(out, left, true)
			})
			return
		}
		if err == nil && len(rest) > 0 {
			rest, err = w.all(rest)
		}
		w.mu.Lock()
		if w.spare = nil; cap(out) <= keptBuffer {
			w.spare = out[:0]
		}
		if err != nil {
			w.err = err
			w.given -= int64(len(rest))
		}
		w.taken.Broadcast()
	}
	w.sending = false
	if w.ending {
		// Close waits for who reads, and that may be the caller, which ends its batch before it waits for more to read.
		w.restLocked(func() { _ = w.conn.Close() }) // the reader learns it
	}
}

// restLocked has a goroutine run f, which is not needed once the connection is closed and awaited.
func (w *frameWriter) restLocked(f func()) {
	if !w.over {
		w.rest.Go(f)
	}
}

// await returns when no goroutine sends any more. The connection is closed.
func (w *frameWriter) await() {
	w.fail(net.ErrClosed)
	w.mu.Lock()
	w.over = true
	w.mu.Unlock()
	w.rest.Wait()
}

// some writes what the peer takes at once.
func (w *frameWriter) some(out []byte) (rest []byte, err error) {
	if w.raw == nil {
		return out, nil
	}
	werr := w.raw.Write(func(fd uintptr) bool {
		var n int
		n, err = syscall.Write(int(fd), out)
		out = out[max(n, 0):]
		return true
	})
	if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EINTR) {
		err = nil
	}
	return out, errors.Join(err, werr)
}

// all writes to a peer that is slow, and gives it up when it is too slow.
func (w *frameWriter) all(out []byte) (rest []byte, err error) {
	if err := w.conn.SetWriteDeadline(time.Now().Add(pipeWriteMax)); err != nil {
		return out, err
	}
	if n, err := w.conn.Write(out); err != nil {
		return out[n:], err
	}
	return nil, w.conn.SetWriteDeadline(time.Time{})
}

// end closes the connection once all is sent.
func (w *frameWriter) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ending = true; !w.sending {
		w.sending = true
		w.drainLocked(nil, nil, false)
	}
}

// failed reports whether nothing can be sent any more.
func (w *frameWriter) failed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err != nil
}

// fail makes later sends fail.
func (w *frameWriter) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
	}
	w.taken.Broadcast()
}

// appendHead appends the part of a frame that all kinds have.
func appendHead(dst []byte, kind byte, id uint64) []byte {
	return binary.LittleEndian.AppendUint64(append(dst, kind), id)
}

// frame is one received frame.
type frame struct {
	kind   byte
	id     uint64
	body   []byte
	shared bool // body is the reader's, and valid until that reads on
}

// own returns part of the body for keeps.
func (f *frame) own(part []byte) []byte {
	if f.shared {
		return bytes.Clone(part)
	}
	return part
}

// readFrame reads one frame.
func readFrame(r *bufio.Reader) (frame, error) {
	head, err := r.Peek(frameHead)
	if err != nil {
		return frame{}, err
	}
	n := int(binary.LittleEndian.Uint32(head))
	f := frame{kind: head[4], id: binary.LittleEndian.Uint64(head[5:])}
	if n < frameHead-4 || n > MaxMessage {
		return frame{}, fmt.Errorf("%w: length %d", errFrame, n)
	}
	if f.shared = 4+n <= r.Size(); f.shared {
		whole, err := r.Peek(4 + n)
		if err != nil {
			return frame{}, err
		}
		f.body = whole[frameHead:]
		_, err = r.Discard(4 + n)
		return f, err
	}
	if _, err := r.Discard(frameHead); err != nil {
		return frame{}, err
	}
	f.body = make([]byte, n-(frameHead-4))
	_, err = io.ReadFull(r, f.body)
	return f, err
}

// isReset reports whether the peer has hung up hard.
func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.ErrUnexpectedEOF)
}
