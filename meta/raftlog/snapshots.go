package raftlog

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// sumFile lies in the folder of each snapshot, with the checksum of what meta.json says of it. The library proves only the
// state itself.
const sumFile = "meta.sum"

// snapshots shows Raft only the newest snapshot and remembers why it could not be opened. Left to itself, the library
// would go back to an older one without a word, and the log behind that may be gone.
type snapshots struct {
	raft.SnapshotStore
	dir string
	mu  sync.Mutex
	err error
}

// openSnapshots opens the snapshots of a metadata directory.
func openSnapshots(dir string, logger hclog.Logger) (*snapshots, error) {
	files, err := raft.NewFileSnapshotStoreWithLogger(dir, snapshotsRetained, logger)
	if err != nil {
		return nil, err
	}
	return &snapshots{SnapshotStore: files, dir: filepath.Join(dir, "snapshots")}, nil
}

// List returns the newest snapshot. One whose description cannot be read is an error: the library passes over it.
func (s *snapshots) List() ([]*raft.SnapshotMeta, error) {
	all, err := s.all()
	if err != nil {
		return nil, err
	}
	return all[:min(len(all), 1)], nil
}

// all returns the snapshots that are kept, the newest first.
func (s *snapshots) all() ([]*raft.SnapshotMeta, error) {
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
	for _, m := range all {
		if err := s.checkSum(m); err != nil {
			return nil, s.note(err)
		}
	}
	return all, nil
}

// checkSum compares what a snapshot is said to be with its checksum.
func (s *snapshots) checkSum(m *raft.SnapshotMeta) error {
	want, err := os.ReadFile(filepath.Join(s.dir, m.ID, sumFile))
	if errors.Is(err, fs.ErrNotExist) {
		if _, serr := os.Stat(filepath.Join(s.dir, m.ID)); serr == nil {
			return nil // of a version that wrote no checksums
		}
	}
	if err != nil {
		return fmt.Errorf("meta.json of snapshot %s: %w", m.ID, err)
	}
	if !bytes.Equal(want, metaSum(m)) {
		return fmt.Errorf("meta.json of snapshot %s is damaged: its checksum is wrong", m.ID)
	}
	return nil
}

func metaSum(m *raft.SnapshotMeta) []byte {
	text := fmt.Sprintf("%d %s %d %d %d %x", m.Version, m.ID, m.Index, m.Term, m.ConfigurationIndex, raft.EncodeConfiguration(m.Configuration))
	return fmt.Appendf(nil, "%08x\n", crc32.Checksum([]byte(text), castagnoli))
}

// Create begins a snapshot.
func (s *snapshots) Create(version raft.SnapshotVersion, index, term uint64, group raft.Configuration, groupIndex uint64,
	transport raft.Transport) (raft.SnapshotSink, error) {
	sink, err := s.SnapshotStore.Create(version, index, term, group, groupIndex, transport)
	if err != nil {
		return nil, err
	}
	meta := raft.SnapshotMeta{Version: version, ID: sink.ID(), Index: index, Term: term, Configuration: group, ConfigurationIndex: groupIndex}
	return &summedSink{SnapshotSink: sink, path: filepath.Join(s.dir, sink.ID()+".tmp", sumFile), sum: metaSum(&meta)}, nil
}

// summedSink leaves the checksum in the folder before the snapshot becomes visible.
type summedSink struct {
	raft.SnapshotSink
	path string
	sum  []byte
	done bool
}

// Close makes the snapshot visible.
func (k *summedSink) Close() error {
	if !k.done {
		k.done = true
		if err := writeSynced(k.path, k.sum); err != nil {
			return errors.Join(err, k.SnapshotSink.Cancel())
		}
	}
	return k.SnapshotSink.Close()
}

// Cancel gives the snapshot up.
func (k *summedSink) Cancel() error {
	k.done = true
	return k.SnapshotSink.Cancel()
}

// Open opens a snapshot; what reads it reports damage here as well.
func (s *snapshots) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	meta, r, err := s.SnapshotStore.Open(id)
	if err == nil {
		if err = s.checkSum(meta); err != nil {
			err = errors.Join(err, r.Close())
		}
	}
	if err != nil {
		return nil, nil, s.note(err)
	}
	return meta, r, nil
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
