package exec

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"

	"stele/sql/vec"
)

// spillFile is a sequence of batches in a temporary file: written once, then read. The file has no name from the
// start, so its space comes back when it is closed, also after a crash.
type spillFile struct {
	f    *os.File
	buf  []byte
	rows int64
	size int64
	mem  *Memory
}

const (
	spillHead   = 4 // the length in front of each batch
	spillBuffer = 32 << 10
	// maxSpillBatch rejects a length that only a damaged file can hold.
	maxSpillBatch = 1 << 31
)

func newSpillFile(env *Env) (*spillFile, error) {
	dir, err := env.SpillDir, error(nil)
	switch {
	case dir == NoSpill:
		return nil, errOutOfMemory(env.Mem.limit)
	case dir == "" && env.Mem.Folder != nil:
		if dir, err = env.Mem.Folder(); err != nil {
			return nil, err
		}
	}
	f, err := os.CreateTemp(dir, "stele-spill-*")
	if err != nil {
		return nil, fmt.Errorf("create temporary file for a query beyond query_mem_limit_bytes: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, fmt.Errorf("unlink temporary file %s: %w", f.Name(), err)
	}
	return &spillFile{f: f, mem: env.Mem}, nil
}

// write appends the rows of b that count.
func (s *spillFile) write(b *vec.Batch) error {
	if b.Rows() == 0 {
		return nil
	}
	s.buf = vec.Encode(append(s.buf[:0], 0, 0, 0, 0), b)
	n := len(s.buf) - spillHead
	if n > maxSpillBatch {
		return fmt.Errorf("write temporary file: batch of %d bytes", n)
	}
	binary.LittleEndian.PutUint32(s.buf, uint32(n))
	if _, err := s.f.Write(s.buf); err != nil {
		return fmt.Errorf("write temporary file: %w", err)
	}
	s.rows += int64(b.Rows())
	s.size += int64(len(s.buf))
	s.mem.spilled.Add(int64(len(s.buf)))
	return nil
}

// reader ends the writing and returns the batches; it takes the file over.
func (s *spillFile) reader() Stream {
	r := s.replay()
	r.file, s.f = s.f, nil
	return r
}

// replay returns the batches from the start; the file stays with the caller, who may replay it again.
func (s *spillFile) replay() *spillReader {
	s.buf = nil
	return &spillReader{r: bufio.NewReaderSize(io.NewSectionReader(s.f, 0, s.size), spillBuffer)}
}

// close is safe to call more than once.
func (s *spillFile) close() {
	if s != nil && s.f != nil {
		s.f.Close()
		s.f = nil
	}
}

type spillReader struct {
	r    *bufio.Reader
	buf  []byte
	file *os.File // to be closed with the reader, or nil
}

func (s *spillReader) Next(context.Context) (*vec.Batch, error) {
	if s.r == nil {
		return nil, nil
	}
	var head [spillHead]byte
	if _, err := io.ReadFull(s.r, head[:]); err == io.EOF {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("read temporary file: %w", err)
	}
	n := int(binary.LittleEndian.Uint32(head[:]))
	if n > maxSpillBatch {
		return nil, fmt.Errorf("read temporary file: batch of %d bytes", n)
	}
	s.buf = growTo(s.buf[:0], n)
	if _, err := io.ReadFull(s.r, s.buf); err != nil {
		return nil, fmt.Errorf("read temporary file: %w", err)
	}
	b, err := vec.Decode(s.buf)
	if err != nil {
		return nil, fmt.Errorf("read temporary file: %w", err)
	}
	return b, nil
}

func (s *spillReader) Close() {
	s.r, s.buf = nil, nil
	if s.file != nil {
		s.file.Close()
		s.file = nil
	}
}

// spillParts is how many ways one level of partitioning splits, spillLevels how often: rows that share all the bits
// that these use do so because their keys are equal, which no further level would part.
const (
	spillParts  = 16
	spillBits   = 4
	spillLevels = 6
)

// partition is rows spread over files by the hash of their key.
type partition struct {
	env   *Env
	level int
	files [spillParts]*spillFile
	// Splitting leaves few rows a part and batch; they are collected until a write is worth while.
	held  [spillParts]*vec.Builder
	count [spillParts]int // rows in held, also right without columns
	hash  []uint64
	rows  [spillParts][]int32
}

func newPartition(env *Env, level int) *partition { return &partition{env: env, level: level} }

// add writes those of rows of b to the files that the hash of their keys says; level picks the bits of the hash.
func (p *partition) add(b *vec.Batch, keys []*vec.Vector, rows []int32) error {
	p.hash = growTo(p.hash[:0], len(rows))
	hashRows(keys, rows, p.hash)
	for i := range p.rows {
		p.rows[i] = p.rows[i][:0]
	}
	for i, r := range rows {
		part := p.hash[i] >> (64 - spillBits*(p.level+1)) & (spillParts - 1)
		p.rows[part] = append(p.rows[part], r)
	}
	for part, sel := range p.rows {
		if len(sel) == 0 {
			continue
		}
		if err := p.hold(part, &vec.Batch{Cols: b.Cols, N: b.N, Sel: sel}); err != nil {
			return err
		}
	}
	return nil
}

// partBytes is how much a part collects: 16 parts of it are what minOperatorBytes allows an operator.
const partBytes = minOperatorBytes / spillParts

func (p *partition) hold(part int, b *vec.Batch) error {
	h := p.held[part]
	if h == nil {
		h = vec.NewBuilder(vectorTypes(b.Cols), 0)
		p.held[part] = h
	}
	h.AppendBatch(b)
	if p.count[part] += b.Rows(); p.count[part] >= vec.MaxRows/2 || h.Size() >= partBytes {
		return p.write(part)
	}
	return nil
}

// write puts what a part has collected into its file.
func (p *partition) write(part int) error {
	if p.count[part] == 0 {
		return nil
	}
	if p.files[part] == nil {
		f, err := newSpillFile(p.env)
		if err != nil {
			return err
		}
		p.files[part] = f
	}
	b := p.held[part].Cut()
	b.N, p.count[part] = p.count[part], 0
	return p.files[part].write(b)
}

// take gives up one part for reading; a part without rows is an empty stream.
func (p *partition) take(part int) (Stream, error) {
	if err := p.write(part); err != nil {
		return nil, err
	}
	f := p.files[part]
	p.files[part], p.held[part] = nil, nil
	if f == nil {
		return emptyStream{}, nil
	}
	return f.reader(), nil
}

// close removes the parts that nobody took. A nil partition has none.
func (p *partition) close() {
	if p == nil {
		return
	}
	for i, f := range p.files {
		f.close()
		p.files[i], p.held[i] = nil, nil
	}
}

type emptyStream struct{}

func (emptyStream) Next(context.Context) (*vec.Batch, error) { return nil, nil }
func (emptyStream) Close()                                   {}

// pairParts runs a binary operator over one pair of files after another.
type pairParts struct {
	left, right *partition
	run         func(left, right Stream) Stream
	at          int
	sub         Stream
}

func newPairParts(env *Env, level int, run func(left, right Stream) Stream) *pairParts {
	return &pairParts{left: newPartition(env, level), right: newPartition(env, level), run: run}
}

func (p *pairParts) next(ctx context.Context) (*vec.Batch, error) {
	for {
		if p.sub == nil {
			if p.at == spillParts {
				return nil, nil
			}
			left, err := p.left.take(p.at)
			if err != nil {
				return nil, err
			}
			right, err := p.right.take(p.at)
			if err != nil {
				left.Close()
				return nil, err
			}
			p.at++
			p.sub = p.run(left, right)
		}
		b, err := p.sub.Next(ctx)
		if b != nil || err != nil {
			return b, err
		}
		p.sub.Close()
		p.sub = nil
	}
}

// close removes the files. A nil pairParts has none.
func (p *pairParts) close() {
	if p == nil {
		return
	}
	if p.sub != nil {
		p.sub.Close()
	}
	p.left.close()
	p.right.close()
}
