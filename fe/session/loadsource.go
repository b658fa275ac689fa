package session

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"stele/sql/plan"
)

// Bounds of what is kept of a file.
const (
	loadPiece   = 1 << 20
	loadAhead   = 8        // pieces that are read before anybody wants them
	loadKept    = 64 << 20 // bytes in memory, for when the statement has to start anew; older ones go to a file
	loadSpilled = 16 << 30 // bytes in that file
	loadMaxLine = 64 << 20 // a line longer than that is none
)

// loadSource is the file of a LOAD DATA as pieces of whole lines. A client sends its file once, but the statement may have to
// start anew when a tablet has lost its leader: all pieces are kept, in memory and beyond a bound in a file that is unlinked
// as soon as it is open. One goroutine receives, another one takes.
type loadSource struct {
	dir    string
	most   int64 // bytes that are kept in memory
	format plan.LoadFormat
	text   []byte // received and not cut yet

	mu      sync.Mutex
	reading map[*byte]bool // texts that were taken, by where they begin; true: nobody else has them
	free    [][]byte       // buffers of texts that nobody has
	changed chan struct{}  // closed and replaced with every change
	pieces  []sourcePiece
	next    int   // what is taken next
	inFile  int   // pieces before it are in the file
	kept    int64 // bytes of those in memory
	ended   bool  // there will be no more pieces
	err     error // why it has ended early
	lost    error // why it cannot be taken once more

	file *os.File
	size int64 // of file
}

// sourcePiece is some lines: text, or where they lie in the file.
type sourcePiece struct {
	text []byte
	at   int64
	n    int
}

func newLoadSource(dir string, format plan.LoadFormat) *loadSource {
	return &loadSource{dir: dir, most: loadKept, format: format, changed: make(chan struct{}), reading: map[*byte]bool{}}
}

// receive takes in bytes of the file. It waits when they come faster than they are wanted.
func (s *loadSource) receive(piece []byte) error {
	s.text = append(s.text, piece...)
	if len(s.text) < loadPiece {
		return nil
	}
	cut := s.format.Cut(s.text)
	if cut == 0 {
		if len(s.text) > loadMaxLine {
			return sqlErr(1153, "08S01", "Got a line bigger than %d bytes", loadMaxLine)
		}
		return nil
	}
	whole := s.text[:cut]
	s.text = append(s.buffer(loadPiece+2*len(piece)), s.text[cut:]...)
	return s.put(whole)
}

// buffer returns an empty one with room for size bytes: clearing the pages of new ones costs more than the copy into them.
func (s *loadSource) buffer(size int) []byte {
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

// release gives back a text that was taken.
func (s *loadSource) release(text []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reading[&text[0]] {
		s.freeLocked(text)
	}
	delete(s.reading, &text[0])
}

func (s *loadSource) freeLocked(text []byte) {
	if len(s.free) < loadAhead {
		s.free = append(s.free, text[:0])
	}
}

// finish says that the file is there, or why not.
func (s *loadSource) finish(err error) {
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

func (s *loadSource) put(text []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.err == nil && len(s.pieces)-s.next >= loadAhead {
		s.waitLocked(nil)
	}
	if s.err != nil {
		return s.err
	}
	s.pieces = append(s.pieces, sourcePiece{text: text, n: len(text)})
	s.kept += int64(len(text))
	for s.kept > s.most && s.inFile < s.next {
		s.spillLocked()
	}
	s.wakeLocked()
	return nil
}

// spillLocked moves the oldest piece in memory to the file. Where that fails the load goes on, and cannot start anew.
func (s *loadSource) spillLocked() {
	p := &s.pieces[s.inFile]
	text := p.text
	defer s.dropLocked(text)
	p.text = nil
	p.at = s.size
	s.kept -= int64(p.n)
	s.inFile++
	if s.lost == nil && s.size+int64(p.n) > loadSpilled {
		s.lost = fmt.Errorf("the file is larger than %d bytes", loadSpilled)
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
func (s *loadSource) dropLocked(text []byte) {
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

// take returns the next piece, until release; ok is false at the end of the file.
func (s *loadSource) take(ctx context.Context) (text []byte, ok bool, err error) {
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

// rewind goes back to the beginning of the file.
func (s *loadSource) rewind() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next = 0
	s.wakeLocked()
	return s.lost
}

// stop says that no more pieces are wanted.
func (s *loadSource) stop(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
	s.wakeLocked()
}

// close drops the pieces. Nobody receives or takes any more.
func (s *loadSource) close() {
	s.pieces = nil
	if s.file != nil {
		_ = s.file.Close() // it is unlinked: nothing of it matters any more
	}
}

func (s *loadSource) wakeLocked() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// waitLocked waits for a change, or for done.
func (s *loadSource) waitLocked(done <-chan struct{}) {
	changed := s.changed
	s.mu.Unlock()
	defer s.mu.Lock()
	select {
	case <-changed:
	case <-done:
	}
}
