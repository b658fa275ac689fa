package raftlog

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/hashicorp/raft"
)

// snapshots shows Raft only the newest snapshot and remembers why it could not be opened. Left to itself, the library
// would go back to an older one without a word, and the log behind that may be gone.
type snapshots struct {
	raft.SnapshotStore
	dir string
	mu  sync.Mutex
	err error
}

// List returns the newest snapshot. One whose description cannot be read is an error: the library passes over it.
func (s *snapshots) List() ([]*raft.SnapshotMeta, error) {
	all, err := s.SnapshotStore.List()
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	whole := 0
	for _, e := range entries {
		if e.IsDir() && !strings.HasSuffix(e.Name(), ".tmp") {
			whole++
		}
	}
	if len(all) < min(whole, snapshotsRetained) {
		return nil, s.note(fmt.Errorf("%d of the snapshots in %s have no readable meta.json", whole-len(all), s.dir))
	}
	return all[:min(len(all), 1)], nil
}

// Open opens a snapshot; what reads it reports damage here as well.
func (s *snapshots) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	meta, r, err := s.SnapshotStore.Open(id)
	if err != nil {
		err = s.note(err)
	}
	return meta, r, err
}

func (s *snapshots) note(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
	return err
}

func (s *snapshots) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}
