// Package load is the way of a LOAD DATA at both its ends: the file that a client sends, as pieces of whole lines that are kept in case the statement
// starts anew (Source), and the rows that were made of it, as row groups for the leaders of their tablets (Groups). What lies between them, and the
// transaction, is the session's.
package load

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"stele/sql/errno"
	"stele/sql/plan"
	sqltypes "stele/sql/types"
)

// Bounds of what is kept of a file.
const (
	pieceBytes   = 1 << 20
	ahead        = 8        // pieces that are read before anybody wants them
	keptBytes    = 64 << 20 // bytes in memory, for when the statement has to start anew; older ones go to a file
	spilledBytes = 16 << 30 // bytes in that file
	maxLine      = 64 << 20 // a line longer than that is none
)

// Source is the file of a LOAD DATA as pieces of whole lines. A client sends its file once, but the statement may have to
// start anew when a tablet has lost its leader: all pieces are kept, in memory and beyond a bound in a file that is unlinked
// as soon as it is open. One goroutine receives, another one takes.
type Source struct {
	dir    string
	most   int64 // bytes that are kept in memory
	format plan.LoadFormat
	text   []byte // received and not cut yet

	mu      sync.Mutex
	reading map[*byte]bool // texts that were taken, by where they begin; true: nobody else has them
	free    [][]byte       // buffers of texts that nobody has
	changed chan struct{}  // closed and replaced with every change
	pieces  []piece
	next    int   // what is taken next
	inFile  int   // pieces before it are in the file
	kept    int64 // bytes of those in memory
	ended   bool  // there will be no more pieces
	err     error // why it has ended early
	lost    error // why it cannot be taken once more

	file *os.File
	size int64 // of file
}

// piece is some lines: text, or where they lie in the file.
type piece struct {
	text []byte
	at   int64
	n    int
}

// NewSource returns one that keeps in dir what becomes too much for memory.
func NewSource(dir string, format plan.LoadFormat) *Source {
	return &Source{dir: dir, most: keptBytes, format: format, changed: make(chan struct{}), reading: map[*byte]bool{}}
}

// Receive takes in bytes of the file. It waits when they come faster than they are wanted.
func (s *Source) Receive(bytes []byte) error {
	s.text = append(s.text, bytes...)
	if len(s.text) < pieceBytes {
		return nil
	}
	cut := s.format.Cut(s.text)
	if cut == 0 {
		if len(s.text) > maxLine {
			return sqltypes.Errorf(errno.PacketTooLarge, "Got a line bigger than %d bytes", maxLine)
		}
		return nil
	}
	whole := s.text[:cut]
	s.text = append(s.buffer(pieceBytes+2*len(bytes)), s.text[cut:]...)
	return s.put(whole)
}

// buffer returns an empty one with room for size bytes: clearing the pages of new ones costs more than the copy into them.
func (s *Source) buffer(size int) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := len(s.free); n > 0; n = len(s.free) {
		b := s.free[n-1]
		if s.free = s.free[:n-1]; cap(b) >= size {
			return b[:0]
		}
	}
	return make([]byte, 0, size)
}

// Release gives back a text that was taken.
func (s *Source) Release(text []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reading[&text[0]] {
		s.freeLocked(text)
	}
	delete(s.reading, &text[0])
}

func (s *Source) freeLocked(text []byte) {
	if len(s.free) < ahead {
		s.free = append(s.free, text[:0])
	}
}

// Finish says that the file is there, or why not.
func (s *Source) Finish(err error) {
	if err == nil && len(s.text) > 0 {
		err = s.put(s.text)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	if s.err == nil {
		s.err = err
	}
	s.wakeLocked()
}

func (s *Source) put(text []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.err == nil && len(s.pieces)-s.next >= ahead {
		s.waitLocked(nil)
	}
	if s.err != nil {
		return s.err
	}
	s.pieces = append(s.pieces, piece{text: text, n: len(text)})
	s.kept += int64(len(text))
	for s.kept > s.most && s.inFile < s.next {
		s.spillLocked()
	}
	s.wakeLocked()
	return nil
}

// spillLocked moves the oldest piece in memory to the file. Where that fails the load goes on, and cannot start anew.
func (s *Source) spillLocked() {
	p := &s.pieces[s.inFile]
	text := p.text
	defer s.dropLocked(text)
	p.text = nil
	p.at = s.size
	s.kept -= int64(p.n)
	s.inFile++
	if s.lost == nil && s.size+int64(p.n) > spilledBytes {
		s.lost = fmt.Errorf("the file is larger than %d bytes", spilledBytes)
	}
	if s.lost == nil && s.file == nil {
		s.file, s.lost = openUnlinked(s.dir)
	}
	if s.lost != nil {
		return
	}
	if _, s.lost = s.file.WriteAt(text, s.size); s.lost == nil {
		s.size += int64(p.n)
	}
}

// dropLocked gives up the text of a piece that has gone to the file, or is lost.
func (s *Source) dropLocked(text []byte) {
	if _, ok := s.reading[&text[0]]; ok {
		s.reading[&text[0]] = true
		return
	}
	s.freeLocked(text)
}

func openUnlinked(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "stele-load-")
	if err != nil {
		return nil, fmt.Errorf("keep the lines of a load: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(fmt.Errorf("keep the lines of a load: %w", err), f.Close())
	}
	return f, nil
}

// Take returns the next piece, until Release; ok is false at the end of the file.
func (s *Source) Take(ctx context.Context) (text []byte, ok bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.next == len(s.pieces) && !s.ended && s.err == nil && ctx.Err() == nil {
		s.waitLocked(ctx.Done())
	}
	if ctx.Err() != nil {
		return nil, false, context.Cause(ctx)
	}
	if s.err != nil || s.next == len(s.pieces) {
		return nil, false, s.err
	}
	p := s.pieces[s.next]
	if text = p.text; text == nil {
		text = make([]byte, p.n)
		if _, err := s.file.ReadAt(text, p.at); err != nil {
			return nil, false, fmt.Errorf("read the lines of a load again: %w", err)
		}
	}
	s.reading[&text[0]] = p.text == nil
	s.next++
	s.wakeLocked()
	return text, true, nil
}

// Rewind goes back to the beginning of the file.
func (s *Source) Rewind() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next = 0
	s.wakeLocked()
	return s.lost
}

// Stop says that no more pieces are wanted.
func (s *Source) Stop(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
	s.wakeLocked()
}

// Close drops the pieces. Nobody receives or takes any more.
func (s *Source) Close() {
	s.pieces = nil
	if s.file != nil {
		_ = s.file.Close() // it is unlinked: nothing of it matters any more
	}
}

func (s *Source) wakeLocked() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// waitLocked waits for a change, or for done.
func (s *Source) waitLocked(done <-chan struct{}) {
	changed := s.changed
	s.mu.Unlock()
	defer s.mu.Lock()
	select {
	case <-changed:
	case <-done:
	}
}
