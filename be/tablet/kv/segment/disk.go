package segment

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"stele/meta/journal"
)

// diskFile is an Output on the disk.
type diskFile struct {
	f    *os.File
	past pastFile
}

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
	return &diskFile{f: f}, nil
}

// stepBytes is how much is given to the kernel at once. For the cache it takes pages as large as a write, and large ones are rare, or, on
// a virtual machine, memory that its host has not given yet: writes of megabytes cost 1 to 2 CPU seconds a GB, these 0.4.
const stepBytes = 128 << 10

// behindBytes is how much of one write is in the cache when the disk is told to begin: then it works while the rest is copied, and Sync
// waits for the end alone.
const behindBytes = 2 << 20

func (d *diskFile) WriteAt(pieces [][]byte, offset int64, past bool) error {
	if past && offset%blockBytes == 0 && d.past.open(d.f.Name()) {
		return d.writePast(pieces, offset)
	}
	return d.writeCached(pieces, offset)
}

// writeCached writes through the page cache, for what is about to be read.
func (d *diskFile) writeCached(pieces [][]byte, offset int64) error {
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

func (d *diskFile) Close() error { return errors.Join(d.f.Close(), d.past.close()) }
