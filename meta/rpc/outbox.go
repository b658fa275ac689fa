package rpc

import "sync"

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
		return w.post(build)
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

// batch is one goroutine's part in an outbox.
type batch struct {
	o    *Outbox
	open bool
}

func (b *batch) begin() {
	if !b.open {
		b.open = true
		b.o.begin()
	}
}

func (b *batch) end() {
	if b.open {
		b.open = false
		b.o.end()
	}
}
