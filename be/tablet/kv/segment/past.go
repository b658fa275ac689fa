package segment

import (
	"errors"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"stele/meta/journal"
)

// pastFile is a second way into a file, which passes the page cache (O_DIRECT). What takes it is on the disk when the write returns, but for
// the cache of the disk and what the file system keeps of it in its journal, which Sync sees to: nothing gathers that a flush would have to wait
// for, nobody's pages have to go, and no copy is made for the cache. 256 MiB on ext4 in pieces of 1 MiB: 1.75 GB/s and 0.08 CPU seconds
// a GB, by the cache and fdatasync 1.2 and 0.34.
type pastFile struct {
	fd     int  // if opened and not refused
	opened bool // or it was tried
	refuse bool // the file system will not have it
}

// open reports whether there is a way past the page cache.
func (p *pastFile) open(path string) bool {
	if p.opened || p.refuse {
		return !p.refuse
	}
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_DIRECT|unix.O_CLOEXEC, 0)
	p.fd, p.opened, p.refuse = fd, err == nil, err != nil // EINVAL: not on this file system
	return err == nil
}

func (p *pastFile) close() error {
	if !p.opened {
		return nil
	}
	p.opened, p.refuse = false, true
	return os.NewSyscallError("close", unix.Close(p.fd))
}

// pastBytes is how much is written at once.
const pastBytes = 1 << 20

// pastBuffers are aligned as such writes ask for. Each file that is written has two of them, one on its way while the other is filled.
var pastBuffers = sync.Pool{New: func() any {
	b := journal.Aligned(pastBytes)
	return &b
}}

// writePast writes past the page cache, with zeros up to the end of the last block.
func (d *diskFile) writePast(pieces [][]byte, offset int64) error {
	full, written := make(chan []byte), make(chan error, 1)
	go func() { written <- d.drain(full, offset) }()
	buf, n := *pastBuffers.Get().(*[]byte), 0
	for _, p := range pieces {
		for len(p) > 0 {
			c := copy(buf[n:], p)
			n, p = n+c, p[c:]
			if n == len(buf) {
				full <- buf
				buf, n = *pastBuffers.Get().(*[]byte), 0
			}
		}
	}
	end := (n + blockBytes - 1) &^ (blockBytes - 1)
	clear(buf[n:end])
	full <- buf[:end]
	close(full)
	return <-written
}

// drain writes buffers, one behind the other. After an error it only takes them.
func (d *diskFile) drain(full <-chan []byte, offset int64) (err error) {
	for buf := range full {
		if err == nil {
			err = d.put(buf, offset)
		}
		offset += int64(len(buf))
		buf = buf[:pastBytes]
		pastBuffers.Put(&buf)
	}
	return err
}

// put writes whole blocks. A file system that will not have them past the page cache after all gets them through it, from then on.
func (d *diskFile) put(b []byte, offset int64) error {
	for len(b) > 0 && !d.past.refuse {
		n, err := unix.Pwrite(d.past.fd, b, offset)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EINVAL), errors.Is(err, unix.EOPNOTSUPP), err == nil && (n == 0 || n%blockBytes != 0):
			if err := d.past.close(); err != nil {
				return err
			}
		case err != nil:
			return os.NewSyscallError("pwrite", err)
		default:
			b, offset = b[n:], offset+int64(n)
		}
	}
	if len(b) == 0 {
		return nil
	}
	return d.writeCached([][]byte{b}, offset)
}
