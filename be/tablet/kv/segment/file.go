package segment

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// file is one segment, mapped to be read.
type file struct {
	id     uint32
	path   string
	data   []byte       // the mapping: as long as the file was when it was mapped
	end    atomic.Int64 // of what may be read of it: the file may have been cut behind
	disk   atomic.Int64 // bytes that it takes
	live   atomic.Int64 // bytes of records that pointers name
	values atomic.Int64 // and how many these are
	pins   atomic.Int64 // records whose pointers are not known yet
	refs   atomic.Int64 // readers, and one for the log
	sealed atomic.Bool  // nobody writes to it
}

// mapFile maps a segment of size bytes.
func mapFile(id uint32, path string, from *os.File, size int64) (*file, error) {
	f := &file{id: id, path: path}
	f.refs.Store(1)
	if size == 0 {
		return f, nil
	}
	data, err := unix.Mmap(int(from.Fd()), 0, int(size), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map segment %s: %w", path, err)
	}
	// Of a value a scan wants some columns, and a point read some pages. The kernel would read as much as megabytes around each page that
	// it misses, and then on: who wants more than a page says so (WillNeed).
	_ = unix.Madvise(data, unix.MADV_RANDOM)
	f.data = data
	return f, nil
}

// openFile maps a segment that another process has left.
func openFile(id uint32, path string) (*file, error) {
	from, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer from.Close()
	info, err := from.Stat()
	if err != nil {
		return nil, err
	}
	f, err := mapFile(id, path, from, info.Size())
	if err != nil {
		return nil, err
	}
	f.end.Store(info.Size())
	f.disk.Store(info.Size())
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		f.disk.Store(min(info.Size(), st.Blocks*512)) // a killed process leaves it as long as it might have become
	}
	f.sealed.Store(true)
	return f, nil
}

// noFile stands for a segment that cannot be opened: what points to it finds no record there.
func noFile(id uint32, path string) *file {
	f := &file{id: id, path: path}
	f.refs.Store(1)
	f.sealed.Store(true)
	return f
}

// oneFile reports whether an error says that a file is damaged, or is none, as against what the process, or the whole disk, lacks.
func oneFile(err error) bool {
	for _, damaged := range []error{unix.EIO, unix.EUCLEAN, unix.EBADMSG, unix.ENODEV, unix.ENXIO} {
		if errors.Is(err, damaged) {
			return true
		}
	}
	return false
}

// value returns the value of a pointer, which is that of key; it is not verified.
func (f *file) value(key []byte, p Pointer) ([]byte, error) {
	end := min(f.end.Load(), int64(len(f.data)))
	rec, found, ok := readRecord(f.data[:end], f.id, p.Offset)
	if !ok || found != p || !bytes.Equal(rec.Key, key) {
		return nil, fmt.Errorf("no value of %d bytes at %d of segment %s: %w", p.Length, p.Offset, f.path, ErrDamaged)
	}
	return rec.Value, nil
}

// read calls fn, which reads the mapping. A page that the disk cannot give, or that the file does not have any more, would end the process
// with all its disks: it is damage of what fn reads instead.
func (f *file) read(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		r := recover()
		if r == nil {
			return
		}
		fault, ok := r.(interface{ Addr() uintptr })
		if !ok || !f.maps(fault.Addr()) {
			panic(r)
		}
		err = fmt.Errorf("segment %s cannot be read at %d: %w", f.path, fault.Addr()-f.base(), ErrDamaged)
	}()
	return fn()
}

// maps reports whether an address is in the mapping.
func (f *file) maps(at uintptr) bool { return at >= f.base() && at-f.base() < uintptr(len(f.data)) }

func (f *file) base() uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(f.data))) }

func (f *file) release() error {
	if f.refs.Add(-1) > 0 || f.data == nil {
		return nil
	}
	data := f.data
	f.data = nil
	return unix.Munmap(data)
}

// dead is how many bytes a rewrite would give back.
func (f *file) dead() int64 { return max(f.disk.Load()-f.live.Load(), 0) }

// remove deletes the file; its mapping goes with the last reader.
func (f *file) remove() error {
	err := os.Remove(f.path)
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, f.release())
}
