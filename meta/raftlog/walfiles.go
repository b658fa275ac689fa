package raftlog

import (
	"path/filepath"

	"github.com/hashicorp/raft-wal/fs"
	waltypes "github.com/hashicorp/raft-wal/types"

	"stele/meta/journal"
)

// walFiles opens the files of the log: segments are journals.
type walFiles struct{ waltypes.VFS }

func newWALFiles() walFiles { return walFiles{fs.New()} }

// Create makes a file and allocates size bytes for it.
func (v walFiles) Create(dir, name string, size uint64) (waltypes.WritableFile, error) {
	return journal.Create(filepath.Join(dir, name), int64(size))
}

// OpenWriter opens a file that is there.
func (v walFiles) OpenWriter(dir, name string) (waltypes.WritableFile, error) {
	return journal.Open(filepath.Join(dir, name))
}
