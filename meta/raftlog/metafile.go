package raftlog

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/hashicorp/raft-wal/metadb"
	waltypes "github.com/hashicorp/raft-wal/types"
)

const (
	metaFileName  = "state.json"
	metaFileMagic = "stele raft state 1"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// metaFile keeps what the log store must never misread: which segments there are, the current term, and whom this FE voted
// for. It is one small file with a checksum, replaced as a whole, so that no damage to it goes unseen: an FE that believed in
// an older term or forgot a vote could help two others to lead.
//
// It takes over what the bolt file of earlier versions holds, and removes that file then.
type metaFile struct {
	mu   sync.Mutex
	dir  string // "" = not loaded yet
	body metaBody
}

type metaBody struct {
	State  waltypes.PersistentState
	Stable map[string][]byte
}

// Load reads the file. A log directory with segments and without the file has lost it.
func (m *metaFile) Load(dir string) (waltypes.PersistentState, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	body, err := readMeta(filepath.Join(dir, metaFileName))
	if errors.Is(err, fs.ErrNotExist) {
		body, err = m.takeOver(dir)
	}
	if err != nil {
		return body.State, err
	}
	if body.Stable == nil {
		body.Stable = map[string][]byte{}
	}
	m.dir, m.body = dir, body
	return body.State, nil
}

// takeOver reads the bolt file of an earlier version, if there is one.
func (m *metaFile) takeOver(dir string) (metaBody, error) {
	old := filepath.Join(dir, metadb.FileName)
	if _, err := os.Stat(old); errors.Is(err, fs.ErrNotExist) {
		if segments, err := filepath.Glob(filepath.Join(dir, "*.wal")); err != nil || len(segments) > 0 {
			return metaBody{}, errors.Join(fmt.Errorf("%s is missing, %d log segments are there", metaFileName, len(segments)), err)
		}
		return metaBody{}, nil
	} else if err != nil {
		return metaBody{}, err
	}
	body, err := readBolt(dir)
	if err != nil {
		return body, err
	}
	if err := writeMeta(filepath.Join(dir, metaFileName), body); err != nil {
		return body, err
	}
	return body, os.Remove(old)
}

// readBolt reads the bolt file. Bolt panics on a damaged page.
func readBolt(dir string) (body metaBody, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%s is damaged: %v", metadb.FileName, p)
		}
	}()
	var db metadb.BoltMetaDB
	if body.State, err = db.Load(dir); err != nil {
		return body, errors.Join(err, db.Close())
	}
	body.Stable = map[string][]byte{}
	for _, key := range []string{"CurrentTerm", "LastVoteTerm", "LastVoteCand"} {
		v, gerr := db.GetStable([]byte(key))
		if v != nil {
			body.Stable[key] = v
		}
		err = errors.Join(err, gerr)
	}
	return body, errors.Join(err, db.Close())
}

// CommitState replaces the list of segments, durably.
func (m *metaFile) CommitState(state waltypes.PersistentState) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.replaceLocked(metaBody{State: state, Stable: m.body.Stable})
}

// GetStable returns a value, nil when there is none.
func (m *metaFile) GetStable(key []byte) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.body.Stable[string(key)], nil
}

// SetStable keeps a value, durably; nil removes it.
func (m *metaFile) SetStable(key, value []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	next := metaBody{State: m.body.State, Stable: map[string][]byte{}}
	for k, v := range m.body.Stable {
		next.Stable[k] = v
	}
	next.Stable[string(key)] = append([]byte(nil), value...)
	if value == nil {
		delete(next.Stable, string(key))
	}
	return m.replaceLocked(next)
}

func (m *metaFile) replaceLocked(next metaBody) error {
	if m.dir == "" {
		return errors.New("BUG: the state of the log is changed before it was loaded")
	}
	if err := writeMeta(filepath.Join(m.dir, metaFileName), next); err != nil {
		return fmt.Errorf("write the state of the log: %w", err)
	}
	m.body = next
	return nil
}

// Close does nothing: the file is open only while it is read or written.
func (m *metaFile) Close() error { return nil }

func writeMeta(path string, body metaBody) error {
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return writeSynced(path, append(fmt.Appendf(nil, "%s %08x %d\n", metaFileMagic, crc32.Checksum(b, castagnoli), len(b)), b...))
}

func readMeta(path string) (body metaBody, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return body, err
	}
	var sum uint32
	var size int
	head := len(metaFileMagic) + len(" 00000000 ")
	if len(b) < head || string(b[:len(metaFileMagic)]) != metaFileMagic {
		return body, fmt.Errorf("%s is damaged: it does not begin as it should", path)
	}
	if _, err := fmt.Sscanf(string(b[len(metaFileMagic):min(len(b), head+20)]), " %08x %d\n", &sum, &size); err != nil || size < 0 || size > len(b) {
		return body, fmt.Errorf("%s is damaged: its first line cannot be read", path)
	}
	if text := b[len(b)-size:]; crc32.Checksum(text, castagnoli) != sum {
		return body, fmt.Errorf("%s is damaged: its checksum is wrong", path)
	} else if err := json.Unmarshal(text, &body); err != nil {
		return body, fmt.Errorf("%s: %w", path, err)
	}
	return body, nil
}
