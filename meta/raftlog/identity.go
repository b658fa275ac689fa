package raftlog

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"stele/meta/types"
)

const (
	identityFile   = "identity.json"
	identityFormat = 1
)

// Identity says to which FE of which cluster a metadata directory belongs.
type Identity struct {
	Format    int             `json:"format"`
	ClusterID types.ClusterID `json:"cluster_id"`
	ID        string          `json:"server_id"`
	// Used says that the directory has had a log: one that has none any more has lost it.
	Used bool `json:"used,omitempty"`
	// Sum is the checksum of the others, "" = of a version that wrote none.
	Sum string `json:"sum,omitempty"`
}

func (id *Identity) sum() string {
	text := fmt.Sprintf("%d %q %q %v", id.Format, id.ClusterID, id.ID, id.Used)
	return fmt.Sprintf("%08x", crc32.Checksum([]byte(text), castagnoli))
}

// ReadIdentity returns the identity of a metadata directory; ok is false when it has none yet.
func ReadIdentity(dir string) (id Identity, ok bool, err error) {
	b, err := os.ReadFile(filepath.Join(dir, identityFile))
	if errors.Is(err, fs.ErrNotExist) {
		return id, false, unowned(dir)
	}
	if err != nil {
		return id, false, fmt.Errorf("read metadata identity: %w", err)
	}
	if err := json.Unmarshal(b, &id); err != nil {
		return id, false, fmt.Errorf("read metadata identity %s: %w (remedy: %s)", filepath.Join(dir, identityFile), err, Remedy)
	}
	if id.Format != identityFormat {
		return id, false, fmt.Errorf("metadata directory %s is of format %d, this binary knows %d: upgrade this FE", dir, id.Format, identityFormat)
	}
	if id.Sum != "" && id.Sum != id.sum() {
		return id, false, fmt.Errorf("metadata identity %s is damaged: its checksum is wrong (remedy: %s)", filepath.Join(dir, identityFile), Remedy)
	}
	if id.Used && lostLog(dir) {
		return id, false, fmt.Errorf("metadata directory %s of frontend %s has lost its log: %w (remedy: %s)", dir, id.ID, ErrLogUnusable, Remedy)
	}
	return id, true, nil
}

// unowned refuses a directory without identity that has a log or snapshots: as an empty one it would be given a new
// identity, and an FE would take what is there for its own.
func unowned(dir string) error {
	for _, sub := range []string{"log", "snapshots"} {
		entries, err := os.ReadDir(filepath.Join(dir, sub))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if len(entries) > 0 {
			return fmt.Errorf("metadata directory %s has lost its %s, but not its %s: nobody can say whose it is (remedy: put the file back, or %s)",
				dir, identityFile, sub, Remedy)
		}
	}
	return nil
}

// writeIdentity makes a directory that FE's, for good.
func writeIdentity(dir string, id Identity) error {
	id.Format = identityFormat
	id.Sum = id.sum()
	b, err := json.Marshal(id)
	if err != nil {
		return err
	}
	return writeSynced(filepath.Join(dir, identityFile), b)
}

// markUsed notes that the directory has a log.
func markUsed(dir string) error {
	id, ok, err := ReadIdentity(dir)
	if err != nil || !ok || id.Used {
		return err
	}
	id.Used = true
	return writeIdentity(dir, id)
}

// lockDir keeps other processes out of a directory until the file is closed. Without it the log store would wait for
// ever for a directory that is in use.
func lockDir(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o640)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("the directory is in use by another process: %w", err), f.Close())
	}
	return f, nil
}

// claimDir makes a fresh directory this FE's, or checks that it is.
func claimDir(cfg *Config) error {
	id, ok, err := ReadIdentity(cfg.Dir)
	if err != nil {
		return err
	}
	want := Identity{ClusterID: cfg.ClusterID, ID: cfg.ID}
	if ok {
		if id.ClusterID != want.ClusterID {
			return fmt.Errorf("the directory %w: %q, not %q", ErrWrongCluster, id.ClusterID, want.ClusterID)
		}
		if id.ID != want.ID {
			return fmt.Errorf("the directory belongs to frontend %q, not %q", id.ID, want.ID)
		}
		return nil
	}
	return writeIdentity(cfg.Dir, want)
}

// writeSynced writes a file so that after a crash it is there whole or not at all.
func writeSynced(path string, b []byte) error {
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
