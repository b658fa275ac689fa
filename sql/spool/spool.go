// Package spool keeps an answer of another node aside, in memory and beyond a bound in a file, until it is complete: an
// answer is taken whole or not at all, so that the death of who gives it never shows a row twice.
//
// Files are unlinked as soon as they are open: a crash leaves none behind.
package spool

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"stele/sql/exec"
	"stele/sql/vec"
)

// spoolMemory is how much of an answer is kept in memory before the rest goes to a file.
const spoolMemory = 32 << 20

// Spool keeps the encoded batches of one answer until it is complete. It is used by one goroutine at a time.
type Spool struct {
	dir    string
	room   int // bytes that may be kept in memory
	memory [][]byte
	bytes  int
	file   *os.File
	w      *bufio.Writer
	r      *bufio.Reader
	at     int
}

// New returns an empty spool whose file, if it needs one, lies in dir ("" = where temporary files are).
func New(dir string) *Spool { return Sized(dir, spoolMemory) }

// Sized is New with another bound of what is kept in memory.
func Sized(dir string, room int) *Spool { return &Spool{dir: dir, room: room} }

// Add appends an encoded batch.
func (s *Spool) Add(b []byte) error {
	if s.file == nil && s.bytes+len(b) <= s.room {
		s.memory = append(s.memory, b)
		s.bytes += len(b)
		return nil
	}
	if s.file == nil {
		if err := s.open(); err != nil {
			return err
		}
	}
	var n [8]byte
	binary.LittleEndian.PutUint64(n[:], uint64(len(b)))
	if _, err := s.w.Write(n[:]); err != nil {
		return fmt.Errorf("spool an answer: %w", err)
	}
	if _, err := s.w.Write(b); err != nil {
		return fmt.Errorf("spool an answer: %w", err)
	}
	return nil
}

// open makes the file and unlinks it at once, so that no crash leaves it behind.
func (s *Spool) open() error {
	f, err := os.CreateTemp(s.dir, "scan-*.spool")
	if err != nil {
		return fmt.Errorf("spool an answer: %w", err)
	}
	s.file, s.w = f, bufio.NewWriterSize(f, 1<<20)
	return os.Remove(f.Name())
}

// Rewind ends writing.
func (s *Spool) Rewind() error {
	if s.file == nil {
		return nil
	}
	if err := s.w.Flush(); err != nil {
		return fmt.Errorf("spool an answer: %w", err)
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("spool an answer: %w", err)
	}
	s.r = bufio.NewReaderSize(s.file, 1<<20)
	return nil
}

// Next returns the next batch, nil at the end.
func (s *Spool) Next() (*vec.Batch, error) {
	if s.at < len(s.memory) {
		b := s.memory[s.at]
		s.memory[s.at] = nil
		s.at++
		return vec.Decode(b)
	}
	if s.r == nil {
		return nil, nil
	}
	var n [8]byte
	if _, err := io.ReadFull(s.r, n[:]); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		return nil, fmt.Errorf("read a spooled answer: %w", err)
	}
	b := make([]byte, binary.LittleEndian.Uint64(n[:]))
	if _, err := io.ReadFull(s.r, b); err != nil {
		return nil, fmt.Errorf("read a spooled answer: %w", err)
	}
	return vec.Decode(b)
}

// Close frees the memory and the file.
func (s *Spool) Close() {
	if s.file != nil {
		s.file.Close()
		s.file = nil
	}
	s.memory = nil
}

// Hold reads a stream to its end and returns it as one that is complete: a statement that writes what it reads must
// not meet its own rows. The stream is closed.
func Hold(ctx context.Context, in exec.Stream, dir string) (exec.Stream, error) {
	defer in.Close()
	sp := New(dir)
	for {
		b, err := in.Next(ctx)
		if err == nil && b != nil {
			err = sp.Add(vec.Encode(nil, b))
		}
		if err == nil && b == nil {
			err = sp.Rewind()
		}
		if err != nil {
			sp.Close()
			return nil, err
		}
		if b == nil {
			return sp.Stream(), nil
		}
	}
}

// Stream returns the rows of a spool that is complete. Closing it closes the spool.
func (s *Spool) Stream() exec.Stream { return held{s} }

// held is a stream over a complete spool.
type held struct{ sp *Spool }

// Next returns the next batch.
func (h held) Next(context.Context) (*vec.Batch, error) { return h.sp.Next() }

// Close frees the spool.
func (h held) Close() { h.sp.Close() }
