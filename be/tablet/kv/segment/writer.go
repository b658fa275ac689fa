package segment

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// Output is a file that a segment is written to.
type Output interface {
	// WriteAt writes all of the pieces, one behind the other; past = past the page cache where that can be, with zeros up to the end of the
	// last block then. The offset is that of a block.
	WriteAt(pieces [][]byte, offset int64, past bool) error
	// Sync makes what was written durable.
	Sync() error
	// Cut ends the file: nothing was written behind size.
	Cut(size int64) error
	Close() error
}

// Writer appends to a segment, and begins another one when that is full. After an error it is of no more use: what is on disk is
// not known. One goroutine uses it, but for Sync, which another one may call.
type Writer struct {
	l       *Log
	f       *file // nil = none is begun
	at      int64 // where the next record goes
	written atomic.Int64

	mu     sync.Mutex // held by Sync, and while out changes
	out    Output
	synced int64 // of written
	failed error // of the first flush that failed: the kernel tells of lost pages once, so another flush would succeed

	pieces [][]byte // to be written
	heads  []byte   // what the pieces are made of, beside values
	queued int64    // bytes in pieces
	past   bool     // they pass the page cache
}

// NewWriter returns a writer, which begins a segment with its first record.
func (l *Log) NewWriter() *Writer { return &Writer{l: l} }

// Append writes records and returns their pointers, which are good after a Sync that begins later. The records stay until Settle is called
// with them. What is appended next begins in another block, so that no write ever touches what is durable, or is being made so. past = they
// pass the page cache, where the file system lets them: nobody is about to read them.
func (w *Writer) Append(records []Record, past bool) ([]Pointer, error) {
	w.past = past
	out := make([]Pointer, len(records))
	size := 0
	for _, r := range records {
		size += headBytes + len(r.Key) + recordAlign
	}
	w.heads = make([]byte, 0, size) // never grows: pieces alias it
	for i, r := range records {
		n := recordSize(len(r.Key), len(r.Value))
		if len(r.Key) > MaxKey || len(r.Value) > MaxValue {
			return nil, fmt.Errorf("record with a key of %d bytes and a value of %d is too large", len(r.Key), len(r.Value))
		}
		if w.f == nil || w.at > 0 && w.at+n > w.l.opt.Bytes {
			if err := w.turn(n); err != nil {
				return nil, err
			}
		}
		out[i] = Pointer{Segment: w.f.id, Offset: uint32(w.at), Length: uint32(len(r.Value)), Sum: r.sum()}
		w.add(r, out[i])
		w.f.pins.Add(1)
	}
	err := w.write()
	w.at = (w.at + blockBytes - 1) &^ (blockBytes - 1)
	return out, err
}

// add queues the pieces of a record.
func (w *Writer) add(r Record, p Pointer) {
	from := len(w.heads)
	w.heads = appendHead(w.heads, r.Key, p)
	w.pieces = append(w.pieces, w.heads[from:], r.Value)
	if pad := align(int64(len(r.Value))) - int64(len(r.Value)); pad > 0 {
		w.pieces = append(w.pieces, zeros[:pad])
	}
	n := recordSize(len(r.Key), len(r.Value))
	w.at, w.queued = w.at+n, w.queued+n
}

// write writes what is queued.
func (w *Writer) write() error {
	if w.queued == 0 {
		return nil
	}
	if err := w.out.WriteAt(w.pieces, w.at-w.queued, w.past); err != nil {
		return fmt.Errorf("write to segment %d: %w", w.f.id, err)
	}
	w.written.Add(w.queued)
	w.pieces, w.queued = nil, 0
	w.f.disk.Store(w.at)
	w.f.end.Store(w.at)
	return nil
}

// blockBytes is what a disk writes as a whole, or more.
const blockBytes = 4 << 10

// Sync makes all that was appended durable.
func (w *Writer) Sync() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sync()
}

// sync is Sync with mu held.
func (w *Writer) sync() error {
	if w.failed != nil {
		return w.failed
	}
	written := w.written.Load() // before the flush: of what is written beside it not all may be durable
	if written == w.synced {
		return nil
	}
	if err := w.out.Sync(); err != nil {
		w.failed = fmt.Errorf("sync segment: %w", err)
		return w.failed
	}
	w.synced = written
	return nil
}

// turn leaves the present segment and begins one that takes a record of n bytes.
func (w *Writer) turn(n int64) error {
	if err := w.Seal(); err != nil {
		return err
	}
	f, out, err := w.l.begin(n)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.f, w.out, w.at = f, out, 0
	return err
}

// Seal leaves the present segment, so that it can be rewritten.
func (w *Writer) Seal() error {
	if w.f == nil {
		return nil
	}
	if err := w.write(); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.sync(); err != nil {
		return err
	}
	out, f := w.out, w.f
	w.out, w.f = nil, nil
	if err := errors.Join(out.Cut(w.at), out.Close()); err != nil {
		return fmt.Errorf("end segment %d: %w", f.id, err)
	}
	f.sealed.Store(true)
	return nil
}

// Waste is how many bytes of the segment that is written no pointer names, and how many there are.
func (w *Writer) Waste() (dead, all int64) {
	if w.f == nil {
		return 0, 0
	}
	return w.f.dead(), w.at
}

// Abandon closes the file after an error.
func (w *Writer) Abandon() error {
	if w.out == nil {
		return nil
	}
	out := w.out
	w.out, w.f = nil, nil
	return out.Close()
}
