// Package journal has the file under a log that is flushed for every commit: the log of the FE group, the front log of a disk. A flush
// should cost one write of the disk and one order to its cache, nothing else, so
//
//   - its blocks are allocated and written with zeros a step ahead. A file system keeps blocks that were never written as such, and a
//     flush behind the first write has to commit to its own journal that they are no more, which takes about as long as the write.
//   - it passes the page cache where the file system lets it (O_DIRECT), and write and flush are one system call (RWF_DSYNC). Whole blocks
//     are written then; the last one is written again with what follows in it, as the page cache does too.
//
// Records of 300 bytes and 2 KB on ext4, a disk that flushes in some 30 µs: 51 and 49 µs in the median by pwrite and fdatasync, 34 and 32 so, and
// 19 and 18 µs of a processor against 9.
package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// block is what writes that pass the page cache are aligned to, in file and memory. No disk in use asks for more.
	block = 4 << 10
	// zeroStep is how many bytes are written with zeros at a time: few enough that the flush that carries them is hardly longer, many
	// enough that it is one of some hundred. What is longer than half of it is not worth to be written twice.
	zeroStep = 256 << 10
	// keepBytes of memory stay with a file between two flushes.
	keepBytes = 256 << 10
)

var zeros = Aligned(zeroStep)

// Aligned returns memory that begins at a multiple of block, as writes past the page cache ask for.
func Aligned(n int) []byte {
	b := make([]byte, n+block)
	at := int(-uintptr(unsafe.Pointer(unsafe.SliceData(b))) & (block - 1))
	return b[at : at+n : at+n]
}

func down(off int64) int64 { return off &^ (block - 1) }
func up(off int64) int64   { return down(off + block - 1) }

// File is written at its end, or again from its start, by one goroutine. What is written counts, and can be read, once Sync has returned.
type File struct {
	f      *os.File // reads; writes too where the page cache cannot be passed by
	direct int      // descriptor that passes the page cache by; -1 = none
	size   int64    // bytes that are allocated
	zeroed int64    // where the zeros end, or what was written; 0 = unknown or nothing
	// window has the bytes of whole blocks from base on, until end: first what stands in the file before the next write, then what
	// was written since the last Sync.
	window    []byte
	base, end int64
	dirty     bool
}

// Create makes a file that is not there, with size bytes allocated where the file system can. The file is there after a crash.
func Create(path string, size int64) (*File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return nil, err
	}
	if err := allocate(f, size); err != nil {
		return nil, errors.Join(fmt.Errorf("allocate %s: %w", path, err), f.Close(), os.Remove(path))
	}
	return with(f, size), nil
}

func allocate(f *os.File, size int64) error {
	var err error = unix.EINTR
	for errors.Is(err, unix.EINTR) {
		err = unix.Fallocate(int(f.Fd()), 0, 0, size)
	}
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		err = f.Truncate(size)
	}
	return errors.Join(err, f.Sync(), SyncDir(filepath.Dir(f.Name())))
}

// SyncDir makes the names in a folder durable.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Open opens a file that is there, to be written on. What can be read of it is durable when Open returns: a process that was killed may have
// left it in the page cache, and to flush what is written next reaches no further than that. How far it has been written with zeros is not known; that is done again from where the
// next write begins.
func Open(path string) (*File, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	if err := f.Sync(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return with(f, info.Size()), nil
}

func with(f *os.File, size int64) *File {
	direct, err := unix.Open(f.Name(), unix.O_WRONLY|unix.O_DIRECT|unix.O_CLOEXEC, 0)
	if err != nil { // EINVAL: not on this file system
		direct = -1
	}
	return &File{f: f, direct: direct, size: size}
}

// ReadAt reads what was there before the last Sync returned.
func (f *File) ReadAt(b []byte, off int64) (int, error) { return f.f.ReadAt(b, off) }

// WriteAt takes bytes that belong where the write before ended, or before that: then nothing behind them counts any more.
func (f *File) WriteAt(b []byte, off int64) (int, error) {
	if err := f.move(off); err != nil {
		return 0, err
	}
	end := off + int64(len(b))
	f.reserve(end)
	n := copy(f.window[off-f.base:], b)
	clear(f.window[end-f.base:])
	f.end, f.dirty = end, true
	return n, nil
}

// move has the window hold what stands before off.
func (f *File) move(off int64) error {
	if f.dirty && (off < f.base || off > f.end) {
		return fmt.Errorf("write %s at %d: %d to %d is not flushed", f.f.Name(), off, f.base, f.end)
	}
	if f.window != nil && off >= f.base && off <= f.end {
		return nil
	}
	f.base, f.end = down(off), off
	f.reserve(f.base + block)
	if off == f.base {
		return nil
	}
	if _, err := f.f.ReadAt(f.window[:off-f.base], f.base); err != nil {
		f.window = nil // else the next write would put what it has over what stands there
		return fmt.Errorf("read the block before %d of %s: %w", off, f.f.Name(), err)
	}
	return nil
}

// reserve makes the window reach to the end of the block before end, and no further.
func (f *File) reserve(end int64) {
	size := int(up(end) - f.base)
	if size > cap(f.window) {
		grown := Aligned(max(size, 2*cap(f.window)))
		copy(grown, f.window)
		f.window = grown
	}
	f.window = f.window[:size]
}

// Sync makes what was written durable. After an error it is not known what of it is; it may be written again.
func (f *File) Sync() error {
	if !f.dirty {
		return nil
	}
	if err := f.prepare(); err != nil {
		return fmt.Errorf("write zeros into %s: %w", f.f.Name(), err)
	}
	if err := f.flush(); err != nil {
		return fmt.Errorf("write %s: %w", f.f.Name(), err)
	}
	f.dirty = false
	f.shift()
	return nil
}

// prepare writes zeros behind the window when there are no more.
func (f *File) prepare() error {
	end := f.base + int64(len(f.window))
	if end <= f.zeroed {
		return nil
	}
	first := max(end, f.zeroed)
	f.zeroed = end
	if len(f.window) > zeroStep/2 {
		return nil
	}
	until := min(first+zeroStep, down(f.size))
	if until <= first {
		return nil
	}
	if err := f.put(zeros[:until-first], first, 0); err != nil {
		return err
	}
	f.zeroed = until
	return nil
}

// flush writes the window.
func (f *File) flush() error {
	if err := f.put(f.window, f.base, unix.RWF_DSYNC); err != nil {
		return err
	}
	if f.direct >= 0 {
		return nil
	}
	return os.NewSyscallError("fdatasync", unix.Fdatasync(int(f.f.Fd())))
}

// put writes whole blocks. A file system that will not have them past the page cache after all gets them through it, from then on.
func (f *File) put(b []byte, off int64, flags int) error {
	for f.direct >= 0 && len(b) > 0 {
		n, err := unix.Pwritev2(f.direct, [][]byte{b}, off, flags)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EINVAL), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS), err == nil && (n == 0 || n%block != 0):
			if err := f.cached(); err != nil {
				return err
			}
		case err != nil:
			return os.NewSyscallError("pwritev2", err)
		default:
			b, off = b[n:], off+int64(n)
		}
	}
	if len(b) == 0 {
		return nil
	}
	_, err := f.f.WriteAt(b, off)
	return err
}

// cached closes the way past the page cache.
func (f *File) cached() error {
	if f.direct < 0 {
		return nil
	}
	err := unix.Close(f.direct)
	f.direct = -1
	return os.NewSyscallError("close", err)
}

// shift keeps the last block, if there is room in it, and gives much memory back.
func (f *File) shift() {
	last := down(f.end)
	rest := f.window[last-f.base:]
	if cap(f.window) > keepBytes {
		f.window = Aligned(block)[:0]
	}
	f.window = f.window[:copy(f.window[:len(rest)], rest)]
	f.base = last
}

// Close closes the file. What was not flushed is dropped.
func (f *File) Close() error {
	return errors.Join(f.f.Close(), f.cached())
}
