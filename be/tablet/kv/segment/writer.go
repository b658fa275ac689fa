package segment

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"stele/meta/journal"
)

// Output is a file that a segment is written to.
type Output interface {
	// WriteAt writes all of the pieces, one behind the other.
	WriteAt(pieces [][]byte, offset int64) error
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
}

// NewWriter returns a writer, which begins a segment with its first record.
func (l *Log) NewWriter() *Writer { return &Writer{l: l} }

// Append writes records and returns their pointers, which are good after a Sync that begins later. The records stay until Settle is called
// with them. What is appended next begins in another block, so that no write ever touches what is durable, or is being made so.
func (w *Writer) Append(records []Record) ([]Pointer, error) {
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
		out[i] = Pointer{Segment: w.f.id, Offset: uint32(w.at), Length: uint32(len(r.Value)), Sum: sumOf(r.Key, r.Value)}
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
	if err := w.out.WriteAt(w.pieces, w.at-w.queued); err != nil {
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

// diskFile is an Output on the disk.
type diskFile struct{ f *os.File }

// createFile makes a file that is as long as it may become, without blocks, so that no write changes its length; its name is
// durable when it returns.
func createFile(path string, size int64) (Output, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(f.Truncate(size), journal.SyncDir(filepath.Dir(path))); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &diskFile{f}, nil
}

// stepBytes is how much is given to the kernel at once. For the cache it takes pages as large as a write, and large ones are rare, or, on
// a virtual machine, memory that its host has not given yet: writes of megabytes cost 1 to 2 CPU seconds a GB, these 0.4.
const stepBytes = 128 << 10

// behindBytes is how much of one write is in the cache when the disk is told to begin: then it works while the rest is copied, and Sync
// waits for the end alone.
const behindBytes = 2 << 20

func (d *diskFile) WriteAt(pieces [][]byte, offset int64) error {
	begun := offset
	for i, at := 0, 0; i < len(pieces); {
		var step [][]byte
		for room := stepBytes - int(offset%stepBytes); i < len(pieces) && room > 0 && len(step) < maxPieces; {
			b := pieces[i][at:]
			if len(b) > room {
				b = b[:room]
				at += room
			} else {
				i, at = i+1, 0
			}
			step, room = append(step, b), room-len(b)
		}
		n, err := d.writeStep(step, offset)
		if err != nil {
			return err
		}
		if offset += n; offset-begun >= behindBytes {
			// A hint, which waits for nothing: what goes wrong with the pages is told by Sync.
			_ = unix.SyncFileRange(int(d.f.Fd()), begun, offset-begun, unix.SYNC_FILE_RANGE_WRITE)
			begun = offset
		}
	}
	return nil
}

// maxPieces is how many pieces the kernel takes at once.
const maxPieces = 1024

// writeStep writes all of the pieces and returns how many bytes these are.
func (d *diskFile) writeStep(pieces [][]byte, offset int64) (all int64, err error) {
	for len(pieces) > 0 {
		n, err := unix.Pwritev(int(d.f.Fd()), pieces, offset+all)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return all, err
		}
		all += int64(n)
		for len(pieces) > 0 && n >= len(pieces[0]) {
			n -= len(pieces[0])
			pieces = pieces[1:]
		}
		if n > 0 {
			pieces[0] = pieces[0][n:]
		}
	}
	return all, nil
}

func (d *diskFile) Sync() error { return unix.Fdatasync(int(d.f.Fd())) }

func (d *diskFile) Cut(size int64) error { return d.f.Truncate(size) }

func (d *diskFile) Close() error { return d.f.Close() }
