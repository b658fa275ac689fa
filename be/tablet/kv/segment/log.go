package segment

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Options of a Log.
type Options struct {
	Bytes int64 // of a segment, 0 = DefaultBytes; a record that is larger has one to itself
	// Create makes a file to write a segment to; nil = on the disk. Tests lose power with it.
	Create func(path string, size int64) (Output, error)
}

// DefaultBytes is how large segments are.
const DefaultBytes = 128 << 20

const extension = ".seg"

// Log is the segments of a directory. It is safe for concurrent use; each Writer is for one goroutine.
type Log struct {
	dir string
	opt Options

	mu    sync.RWMutex
	files map[uint32]*file
	last  uint32 // highest number there ever was

	unreadable []error // why segments could not be opened
}

// Unreadable says of which segments nothing can be read, as Open has found.
func (l *Log) Unreadable() []error { return l.unreadable }

// Open maps the segments of a directory, which belongs to this process alone. It reads nothing of them. One that the disk cannot give is as one whose
// records are all damaged.
func Open(dir string, opt Options) (*Log, error) {
	if opt.Bytes == 0 {
		opt.Bytes = DefaultBytes
	}
	if opt.Create == nil {
		opt.Create = createFile
	}
	l := &Log{dir: dir, opt: opt, files: make(map[uint32]*file)}
	paths, err := Files(dir)
	if err != nil {
		return nil, err
	}
	for id, path := range paths {
		f, err := openFile(id, path)
		if oneFile(err) {
			l.unreadable = append(l.unreadable, fmt.Errorf("segment %s cannot be opened: %w", path, err))
			f, err = noFile(id, path), nil
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open segment: %w", err), l.Close())
		}
		l.files[id], l.last = f, max(l.last, id)
	}
	return l, nil
}

// Files returns the segments in a directory by their numbers.
func Files(dir string) (map[uint32]string, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*"+extension))
	if err != nil {
		return nil, err
	}
	out := make(map[uint32]string, len(paths))
	for _, path := range paths {
		id, err := strconv.ParseUint(strings.TrimSuffix(filepath.Base(path), extension), 10, 32)
		if err == nil && id > 0 {
			out[uint32(id)] = path
		}
	}
	return out, nil
}

// Close unmaps all segments; those that are being read, when that ends.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var errs []error
	for id, f := range l.files {
		delete(l.files, id)
		errs = append(errs, f.release())
	}
	return errors.Join(errs...)
}

func (l *Log) acquire(id uint32) *file {
	l.mu.RLock()
	defer l.mu.RUnlock()
	f := l.files[id]
	if f != nil {
		f.refs.Add(1)
	}
	return f
}

// View calls fn with the value that p, read under key, points to. The bytes are a mapping: they are valid only inside fn. Where
// the record is and whose is verified, the value itself is not: that is for fn. What it reads comes page by page, but for what WillNeed
// was told.
func (l *Log) View(key []byte, p Pointer, fn func(val []byte) error) (err error) {
	f := l.acquire(p.Segment)
	if f == nil {
		return fmt.Errorf("segment %d: %w", p.Segment, ErrGone)
	}
	defer func() {
		if failed := f.release(); err == nil {
			err = failed
		}
	}()
	return f.read(func() error {
		val, err := f.value(key, p)
		if err != nil {
			return err
		}
		return fn(val)
	})
}

// Verify reads the value that p points to and compares it with its checksum.
func (l *Log) Verify(key []byte, p Pointer) error {
	return l.View(key, p, func(val []byte) error {
		WillNeed(val)
		if SumOf(key, val) != p.Sum {
			return fmt.Errorf("value of %d bytes at %d of segment %d: checksum: %w", p.Length, p.Offset, p.Segment, ErrDamaged)
		}
		return nil
	})
}

// Add counts the record of a pointer as alive; false says that there is no such segment.
func (l *Log) Add(key []byte, p Pointer) bool { return l.count(key, p, 1) }

// Drop counts it as dead.
func (l *Log) Drop(key []byte, p Pointer) { l.count(key, p, -1) }

func (l *Log) count(key []byte, p Pointer, n int64) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	f := l.files[p.Segment]
	if f == nil {
		return false
	}
	f.live.Add(n * recordSize(len(key), int(p.Length)))
	f.values.Add(n)
	return true
}

// Settle ends the time in which the records of pointers that Append returned are kept although nothing names them.
func (l *Log) Settle(pointers []Pointer) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	for _, p := range pointers {
		if f := l.files[p.Segment]; f != nil {
			f.pins.Add(-1)
		}
	}
}

// Info describes a segment.
type Info struct {
	ID     uint32
	Disk   int64 // bytes that it takes
	Live   int64 // bytes of records that pointers name
	Values int64 // and how many these are
	Sealed bool  // nobody writes to it
	Pinned bool  // pointers to it may yet become known
}

// Segments describes all segments, by number.
func (l *Log) Segments() []Info {
	l.mu.RLock()
	defer l.mu.RUnlock()
	out := make([]Info, 0, len(l.files))
	for id, f := range l.files {
		// sealed before pins: no new pins come to a sealed one.
		sealed := f.sealed.Load()
		out = append(out, Info{ID: id, Sealed: sealed, Pinned: f.pins.Load() > 0, Disk: f.disk.Load(), Live: f.live.Load(), Values: f.values.Load()})
	}
	slices.SortFunc(out, func(a, b Info) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// Dead is how many bytes of all segments no pointer names.
func (l *Log) Dead() int64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	n := int64(0)
	for _, f := range l.files {
		n += f.dead()
	}
	return n
}

const (
	// smallPart of a segment makes one small; maxSmall of them are left alone.
	smallPart = 8
	maxSmall  = 8
)

// Wasteful returns the segments that are worth a rewrite, the worst first: those of which the part ratio is dead, and when there
// are many small ones, as restarts leave them, these too.
func (l *Log) Wasteful(ratio float64) []uint32 {
	var out, small []Info
	for _, s := range l.Segments() {
		switch {
		case !s.Sealed || s.Pinned:
		case s.wasteful(ratio):
			out = append(out, s)
		case s.Disk < l.opt.Bytes/smallPart:
			small = append(small, s)
		}
	}
	if len(small) > maxSmall {
		out = append(out, small...)
	}
	slices.SortStableFunc(out, func(a, b Info) int {
		return cmp.Compare(float64(a.Live)*float64(b.Disk), float64(b.Live)*float64(a.Disk))
	})
	ids := make([]uint32, len(out))
	for i, s := range out {
		ids[i] = s.ID
	}
	return ids
}

func (s Info) wasteful(ratio float64) bool {
	return s.Live <= 0 || float64(s.Disk-s.Live) >= ratio*float64(s.Disk)
}

// Remove deletes a segment to which no pointer is left. Who reads it reads on.
func (l *Log) Remove(id uint32) error {
	l.mu.Lock()
	f := l.files[id]
	delete(l.files, id)
	l.mu.Unlock()
	if f == nil {
		return nil
	}
	if err := f.remove(); err != nil {
		return fmt.Errorf("remove segment %d: %w", id, err)
	}
	return nil
}

// begin makes a new segment of at least size bytes.
func (l *Log) begin(size int64) (*file, Output, error) {
	l.mu.Lock()
	l.last++
	id := l.last
	l.mu.Unlock()
	path := filepath.Join(l.dir, fmt.Sprintf("%06d%s", id, extension))
	size = max(size, l.opt.Bytes)
	out, err := l.opt.Create(path, size)
	if err != nil {
		return nil, nil, fmt.Errorf("begin segment %d: %w", id, err)
	}
	from, err := os.Open(path)
	if err != nil {
		return nil, nil, errors.Join(err, out.Close())
	}
	f, err := mapFile(id, path, from, size)
	if err = errors.Join(err, from.Close()); err != nil {
		return nil, nil, errors.Join(err, out.Close())
	}
	l.mu.Lock()
	l.files[id] = f
	l.mu.Unlock()
	return f, out, nil
}
