package raftlog

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
	"github.com/hashicorp/raft-wal/metadb"

	"stele/meta/command"
)

// used makes a metadata directory with two snapshots, several log segments, and entries of which no snapshot knows.
func used(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	cfg := bootstrapped(t, dir)
	cfg.SegmentBytes, cfg.TrailingLogs = 4<<10, 20
	l := open(t, cfg)
	lead(t, l)
	for i := range 4 {
		propose(t, l, &command.CreateDatabase{Name: fmt.Sprintf("old%d", i)})
	}
	for i := range 2 {
		if err := l.Snapshot(testContext(t)); err != nil {
			t.Fatal(err)
		}
		for k := range 26 {
			propose(t, l, &command.CreateDatabase{Name: fmt.Sprintf("%s_%d_%d", strings.Repeat("n", 300), i, k)})
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if segments, _ := filepath.Glob(filepath.Join(dir, "log", "*.wal")); len(segments) < 3 {
		t.Fatalf("segments: %v", segments)
	}
	return dir
}

// reading is all that an FE would believe of its directory.
type reading struct {
	catalog []byte
	rest    string // group, term and vote
}

func readDir(t *testing.T, dir string) (r reading, err error) {
	t.Helper()
	o, err := OpenOffline(dir)
	if err != nil {
		return r, err
	}
	defer o.Close()
	if _, err := o.snaps.List(); err != nil {
		return r, err
	}
	c, group, err := o.Catalog()
	if err != nil {
		return r, err
	}
	term, terr := o.wal.GetUint64([]byte("CurrentTerm"))
	voted, verr := o.wal.Get([]byte("LastVoteCand"))
	id := o.Identity()
	return reading{dump(t, c), fmt.Sprint(id.ClusterID, id.ID, id.Used, group, term, string(voted))}, errors.Join(terr, verr)
}

func copyDir(t *testing.T, from string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return to
}

// newest returns the last file by the numbers in its name.
func newest(at, pattern string) string {
	files, _ := filepath.Glob(filepath.Join(at, pattern))
	return slices.MaxFunc(files, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b)) })
}

// TestNoDamageGoesUnseen flips bits all over every file of a metadata directory. Whatever is hit, the directory is refused or
// says what it said before; only the last batch of the log counts as torn when it is not whole.
func TestNoDamageGoesUnseen(t *testing.T) {
	dir := used(t)
	want, err := readDir(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	refused, torn := map[string]int{}, 0
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "lock" {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		size := len(bytes.TrimRight(b, "\x00")) + 16
		step := max(size/24, 1)
		whole, _ := wholeBatches(b[:min(size-17, len(b))]) // without the last batch
		tail := strings.HasSuffix(path, ".wal") && path == newest(dir, "log/*.wal")
		scratch, rel := copyDir(t, dir), strings.TrimPrefix(path, dir)
		for at := 0; at < min(size, len(b)); at += step {
			spoilt := bytes.Clone(b)
			spoilt[at] ^= 1 << (at % 8)
			if err := os.WriteFile(filepath.Join(scratch, rel), spoilt, 0o600); err != nil {
				return err
			}
			got, err := readDir(t, scratch)
			switch {
			case err != nil:
				refused[filepath.Base(filepath.Dir(path))]++
			case !bytes.Equal(got.catalog, want.catalog) && tail && at >= whole:
				torn++
			case !bytes.Equal(got.catalog, want.catalog) || got.rest != want.rest:
				t.Errorf("%s, byte %d: believed, although it says something else now\n%s\n%s", rel, at, want.rest, got.rest)
			}
			if err := errors.Join(os.RemoveAll(scratch), os.CopyFS(scratch, os.DirFS(dir))); err != nil { // reading mends
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("refused: %v; taken for a torn end: %d", refused, torn)
	if refused["log"] < 60 || torn == 0 || torn > 60 {
		t.Error("the log is not proved")
	}
}

// TestOpenSaysWhatIsDamaged: an FE does not start on a directory that lacks something or is damaged, and names the remedy.
func TestOpenSaysWhatIsDamaged(t *testing.T) {
	dir := used(t)
	spoil := func(path string, part int) error {
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		b[len(bytes.TrimRight(b, "\x00"))/part] ^= 4
		return os.WriteFile(path, b, 0o600)
	}
	for _, tc := range []struct {
		name string
		do   func(at string) error
		says string
	}{
		{"a segment is damaged", func(at string) error { return spoil(newest(at, "log/*.wal"), 4) }, "damaged"},
		{"a sealed segment is damaged", func(at string) error {
			files, _ := filepath.Glob(filepath.Join(at, "log", "*.wal"))
			return spoil(files[len(files)-2], 2)
		}, "log entry"},
		{"a segment is gone", func(at string) error {
			files, _ := filepath.Glob(filepath.Join(at, "log", "*.wal"))
			return os.Remove(files[len(files)-2])
		}, "no such file"},
		{"state.json is gone", func(at string) error { return os.Remove(filepath.Join(at, "log", metaFileName)) }, "has lost its log"},
		{"state.json is damaged", func(at string) error { return spoil(filepath.Join(at, "log", metaFileName), 2) }, "checksum is wrong"},
		{"the log is gone", func(at string) error { return os.RemoveAll(filepath.Join(at, "log")) }, "has lost its log"},
		{"the snapshots are gone", func(at string) error { return os.RemoveAll(filepath.Join(at, "snapshots")) }, "are missing"},
		{"the newest snapshot lacks its state", func(at string) error { return os.Remove(newest(at, "snapshots/*/state.bin")) }, "snapshot"},
		{"the newest snapshot lacks its description", func(at string) error { return os.Remove(newest(at, "snapshots/*/meta.json")) }, "meta.json"},
		{"the description is damaged", func(at string) error {
			path := newest(at, "snapshots/*/meta.json")
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			return os.WriteFile(path, bytes.Replace(b, []byte(`"Term":`), []byte(`"Term":1`), 1), 0o600)
		}, "checksum is wrong"},
		{"the identity is gone", func(at string) error { return os.Remove(filepath.Join(at, identityFile)) }, "has lost its identity.json"},
		{"the identity is damaged", func(at string) error {
			path := filepath.Join(at, identityFile)
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			return os.WriteFile(path, bytes.Replace(b, []byte("cluster-a"), []byte("cluster-b"), 1), 0o600)
		}, "checksum is wrong"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			at := copyDir(t, dir)
			if err := tc.do(at); err != nil {
				t.Fatal(err)
			}
			l, err := Open(bootstrapped(t, at))
			if err == nil {
				l.Close()
				t.Fatal("it was opened")
			}
			if !strings.Contains(err.Error(), tc.says) || !strings.Contains(err.Error(), "remedy: ") {
				t.Errorf("got %v\nwant %q and a remedy", err, tc.says)
			}
			if _, err := readDir(t, at); err == nil {
				t.Error("the offline tool finds nothing wrong")
			}
		})
	}
	whole := open(t, config(t, "fe1", copyDir(t, dir)))
	lead(t, whole)
}

// TestDamageWhileItRuns: an FE that reads a damaged entry stops, and says so.
func TestDamageWhileItRuns(t *testing.T) {
	dir := used(t)
	l := open(t, config(t, "fe1", dir))
	files, _ := filepath.Glob(filepath.Join(dir, "log", "*.wal"))
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for i := segmentHeader; i < len(b); i += 64 {
		b[i] ^= 1
	}
	if err := os.WriteFile(files[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	first, err := l.wal.FirstIndex()
	if err != nil {
		t.Fatal(err)
	}
	var e raft.Log
	if err := l.wal.GetLog(first, &e); err == nil {
		t.Fatal("a damaged entry was read")
	}
	select {
	case <-l.Failed():
	case <-testContext(t).Done():
		t.Fatal("it goes on")
	}
	if !errors.Is(l.Failure(), ErrLogUnusable) || !strings.Contains(l.Failure().Error(), "remedy: ") {
		t.Errorf("failure: %v", l.Failure())
	}
}

// TestTornTail: what a crash leaves of the last batch is dropped, the entries before it stay.
func TestTornTail(t *testing.T) {
	dir := used(t)
	files, _ := filepath.Glob(filepath.Join(dir, "log", "*.wal"))
	tail := files[len(files)-1]
	b, err := os.ReadFile(tail)
	if err != nil {
		t.Fatal(err)
	}
	end := len(bytes.TrimRight(b, "\x00"))
	for _, lost := range []int{1, 9, 40, 200} {
		torn := bytes.Clone(b)
		clear(torn[end-lost:])
		if err := os.WriteFile(tail, torn, 0o600); err != nil {
			t.Fatal(err)
		}
		l := open(t, config(t, "fe1", copyDir(t, dir)))
		lead(t, l)
		if _, ok := l.Current().Database(strings.Repeat("n", 300) + "_1_24"); !ok {
			t.Errorf("%d bytes were torn off the last batch, and the one before it is gone", lost)
		}
		propose(t, l, &command.CreateDatabase{Name: "on"})
	}
}

// TestStateOfAnEarlierVersion: segments, term and vote of the bolt file are taken over.
func TestStateOfAnEarlierVersion(t *testing.T) {
	dir := t.TempDir()
	var bolt metadb.BoltMetaDB
	old, err := wal.Open(dir, wal.WithMetaStore(&bolt))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(old.StoreLog(&raft.Log{Index: 1, Term: 7, Data: []byte("x")}), old.SetUint64([]byte("CurrentTerm"), 7),
		old.Set([]byte("LastVoteCand"), []byte("fe2")), old.Close(), bolt.Close()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		s, err := openLogStore(dir, 1<<20, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		var l raft.Log
		term, terr := s.GetUint64([]byte("CurrentTerm"))
		vote, verr := s.Get([]byte("LastVoteCand"))
		if err := errors.Join(s.GetLog(1, &l), terr, verr); err != nil || string(l.Data) != "x" || term != 7 || string(vote) != "fe2" {
			t.Errorf("entry %q, term %d, vote %q, %v", l.Data, term, vote, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLogBehindSnapshot: a crash came between taking over the snapshot of another FE and dropping the log that it replaces.
func TestLogBehindSnapshot(t *testing.T) {
	s, err := openLogStore(t.TempDir(), 1<<20, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ext := []byte("ext")
	for i := range uint64(5) {
		if err := s.StoreLog(&raft.Log{Index: i + 1, Term: 1, Extensions: ext}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.check(5); err != nil {
		t.Fatal(err)
	}
	if err := s.check(100); err != nil {
		t.Fatal(err)
	}
	if err := s.StoreLog(&raft.Log{Index: 101, Term: 2, Extensions: ext}); err != nil {
		t.Fatal(err)
	}
	var l raft.Log
	if err := s.GetLog(101, &l); err != nil || !bytes.Equal(l.Extensions, ext) {
		t.Errorf("entry with extensions %q: %v", l.Extensions, err)
	}
	if err := s.check(99); err == nil || !strings.Contains(err.Error(), "entries 100 to 100 are missing") {
		t.Errorf("a gap: %v", err)
	}
}
