package raftlog

import (
	"os"

	"github.com/hashicorp/raft-wal/fs"
	waltypes "github.com/hashicorp/raft-wal/types"
	"golang.org/x/sys/unix"
)

// zeroStep is how many bytes of a segment are written with zeros at a time: few enough that the one flush that carries them
// is hardly longer, many enough that it is one of some hundred.
const zeroStep = 256 << 10

// walFiles opens the files of the log. A file system keeps the blocks of a preallocated file as "unwritten" until something is
// written there, and the flush after that has to commit to its journal that they are no more, which takes about as long as the
// entry itself. So zeros are written a step ahead of the entries, and nearly all flushes have nothing but data to write.
type walFiles struct{ waltypes.VFS }

func newWALFiles() walFiles { return walFiles{fs.New()} }

// Create makes a file and allocates size bytes for it.
func (v walFiles) Create(dir, name string, size uint64) (waltypes.WritableFile, error) {
	f, err := v.VFS.Create(dir, name, size)
	if err != nil {
		return nil, err
	}
	return &walFile{WritableFile: f, size: int64(size)}, nil
}

// OpenWriter opens a file that is there. What of it has been written with zeros is not known; it is done again from where the
// next entry begins.
func (v walFiles) OpenWriter(dir, name string) (waltypes.WritableFile, error) {
	f, err := v.VFS.OpenWriter(dir, name)
	if err != nil {
		return nil, err
	}
	w := &walFile{WritableFile: f}
	if s, ok := f.(interface{ Stat() (os.FileInfo, error) }); ok {
		if info, err := s.Stat(); err == nil {
			w.size = info.Size()
		}
	}
	return w, nil
}

// walFile is a segment that is appended to, by one goroutine. Every write begins where the one before ended, or before that if
// a crash has left behind what does not count.
type walFile struct {
	waltypes.WritableFile
	size   int64 // bytes that are allocated
	zeroed int64 // where the zeros end; 0 = nothing has been written since it was opened
	synced bool  // once: its name is durable
}

// WriteAt writes entries, and zeros behind them when there are no more.
func (f *walFile) WriteAt(b []byte, off int64) (int, error) {
	end := off + int64(len(b))
	if end > f.zeroed {
		until := max(min(end+zeroStep, f.size), end)
		if _, err := f.WritableFile.WriteAt(make([]byte, until-end), end); err != nil {
			return 0, err
		}
		f.zeroed = until
	}
	return f.WritableFile.WriteAt(b, off)
}

// Sync makes what was written durable; the first one the file's name too.
func (f *walFile) Sync() error {
	fd, ok := f.WritableFile.(interface{ Fd() uintptr })
	if ok && f.synced {
		return os.NewSyscallError("fdatasync", unix.Fdatasync(int(fd.Fd())))
	}
	err := f.WritableFile.Sync()
	f.synced = err == nil
	return err
}
