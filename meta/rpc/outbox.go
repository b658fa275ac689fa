package rpc

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
)

// Outbox gathers the frames that are sent while what has come in together is worked off, so that they share system calls: the
// answers of a batch of calls, the calls that these make, the answers to all whose rows one flush of a disk has made durable. It
// belongs to all pipes of a process. It is safe for concurrent use; a nil one gathers nothing.
//
// Nothing stays: a frame goes at the end of the next batch that ends, whosever it is, and at once while there is no batch.
type Outbox struct {
	mu    sync.Mutex
	open  int            // batches
	dirty []*frameWriter // have frames queued
}

// Batch runs f, which must not block, and sends what was queued meanwhile.
func (o *Outbox) Batch(f func()) {
	o.begin()
	defer o.end()
	f()
}

func (o *Outbox) begin() {
	if o == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.open++
}

func (o *Outbox) end() {
	if o == nil {
		return
	}
	var some [8]*frameWriter // nearly always all of them
	o.mu.Lock()
	o.open--
	dirty := append(some[:0], o.dirty...)
	for _, w := range dirty {
		w.listed = false
	}
	clear(o.dirty)
	o.dirty = o.dirty[:0]
	o.mu.Unlock()
	for _, w := range dirty {
		_ = w.pass() // a failure breaks the pipe, which its reader finds
	}
}

// put queues a frame. It does not wait for a peer that takes nothing.
func (o *Outbox) put(w *frameWriter, build func(dst []byte) ([]byte, error)) error {
	if o == nil {
		_, err := w.post(build)
		return err
	}
	if err := w.queue(build); err != nil {
		return err
	}
	o.mu.Lock()
	if o.open == 0 {
		o.mu.Unlock()
		return w.pass()
	}
	if !w.listed {
		w.listed = true
		o.dirty = append(o.dirty, w)
	}
	o.mu.Unlock()
	return nil
}

// maxBatch is how many frames are worked off before what they have queued goes, however many more there are.
const maxBatch = 64

// batch is what is read from a pipe and worked off before its reader waits for more. It is the source of that reader.
type batch struct {
	o      *Outbox
	conn   net.Conn
	raw    syscall.RawConn // nil when conn has none
	open   bool
	frames int

	into []byte // of the read under way
	n    int
	err  error
	try  func(fd uintptr) bool // b.read, made once
}

func newBatch(o *Outbox, conn net.Conn) *batch {
	b := &batch{o: o, conn: conn}
	b.try = b.read
	if c, ok := conn.(syscall.Conn); ok {
		b.raw, _ = c.SyscallConn() // without it the batch ends before each read
	}
	return b
}

func (b *batch) begin() {
	if b.frames++; b.frames > maxBatch {
		b.end()
	}
	if !b.open {
		b.open = true
		b.o.begin()
	}
}

func (b *batch) end() {
	b.frames = 0
	if b.open {
		b.open = false
		b.o.end()
	}
}

// Read reads what there is, and ends the batch before it waits for something to come.
func (b *batch) Read(p []byte) (int, error) {
	if b.raw == nil {
		b.end()
		return b.conn.Read(p)
	}
	b.into = p
	err := b.raw.Read(b.try)
	switch {
	case err != nil:
		return 0, err
	case b.err != nil:
		return 0, os.NewSyscallError("read", b.err)
	case b.n == 0:
		return 0, io.EOF
	}
	return b.n, nil
}

func (b *batch) read(fd uintptr) bool {
	b.n, b.err = syscall.Read(int(fd), b.into)
	for errors.Is(b.err, syscall.EINTR) {
		b.n, b.err = syscall.Read(int(fd), b.into)
	}
	if errors.Is(b.err, syscall.EAGAIN) {
		b.end()
		return false
	}
	return true
}
