package raftlog

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stele/meta/catalog"
	"stele/meta/command"
)

// TestOfflineSeesWhatTheFELeft reads the directory of a stopped FE: log only, then snapshot and log.
func TestOfflineSeesWhatTheFELeft(t *testing.T) {
	dir := t.TempDir()
	l := open(t, bootstrapped(t, dir))
	lead(t, l)
	propose(t, l, &command.CreateDatabase{Name: "before"})
	if _, err := OpenOffline(dir); err == nil {
		t.Fatal("a directory in use was opened")
	}
	if err := l.Snapshot(testContext(t)); err != nil {
		t.Fatal(err)
	}
	propose(t, l, &command.CreateDatabase{Name: "after"})
	want := l.Current()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	o, err := OpenOffline(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	got, group, err := o.Catalog()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(dump(t, got), dump(t, want)) {
		t.Error("the catalog read offline differs from the one that ran")
	}
	if len(group) != 1 || group[0].ID != "fe1" || !group[0].Voter {
		t.Errorf("members: %+v", group)
	}
}

func dump(t *testing.T, c *catalog.Catalog) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := c.WithIndex(0).WriteSnapshot(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestOfflineRefusesADamagedSnapshot flips one byte.
func TestOfflineRefusesADamagedSnapshot(t *testing.T) {
	dir := t.TempDir()
	l := open(t, bootstrapped(t, dir))
	lead(t, l)
	if err := l.Snapshot(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "snapshots", "*", "state.bin"))
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(files[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := OpenOffline(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	if _, _, err := o.Catalog(); err == nil || !strings.Contains(err.Error(), "snapshot") {
		t.Errorf("a damaged snapshot was read: %v", err)
	}
}

// TestRestore makes an FE from a backup. It goes on from there, forgets the other FEs, repeats no number, and commits
// only when its BEs have told what they hold.
func TestRestore(t *testing.T) {
	l := open(t, bootstrapped(t, t.TempDir()))
	lead(t, l)
	propose(t, l, &command.AddFE{FE: catalog.FE{Name: "fe2", Host: "h2"}})
	propose(t, l, &command.AddBE{BE: catalog.BE{Host: "b", Port: 1}})
	propose(t, l, &command.CreateDatabase{Name: "db"})
	was := l.Current()
	var backup bytes.Buffer
	if err := was.WriteSnapshot(&backup); err != nil {
		t.Fatal(err)
	}
	cfg := config(t, "fe2", t.TempDir())
	spec := RestoreConfig{Dir: cfg.Dir, Name: "fe2", Addr: cfg.Listener.Addr().String(), Now: time.UnixMilli(9)}
	for name, bad := range map[string]RestoreConfig{"unknown frontend": {Dir: cfg.Dir, Name: "fe9", Addr: "h:1"}, "a directory with a file": {Dir: "testdata", Name: "fe2"}} {
		if name == "a directory with a file" {
			bad.Dir = t.TempDir()
			if err := os.WriteFile(filepath.Join(bad.Dir, "x"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := Restore(bad, bytes.NewReader(backup.Bytes())); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if id, err := Restore(spec, bytes.NewReader(backup.Bytes())); err != nil || id != cluster {
		t.Fatalf("restored %q: %v", id, err)
	}
	restored := open(t, cfg)
	lead(t, restored)
	now := restored.Current()
	if _, ok := now.Database("db"); !ok {
		t.Error("the database of the backup is gone")
	}
	if _, ok := now.FEByName("fe1"); ok {
		t.Error("the other frontend is still there")
	}
	if now.NextID() <= was.NextID() || restored.Term() <= l.Term() {
		t.Errorf("ids from %d (were %d), term %d (was %d)", now.NextID(), was.NextID(), restored.Term(), l.Term())
	}
	r := now.Restoring()
	if r == nil || len(r.Waiting) != 1 {
		t.Fatalf("restoring: %+v", r)
	}
	propose(t, restored, &command.AdoptReplicas{BE: r.Waiting[0], Last: true})
	if r := restored.Current().Restoring(); r != nil {
		t.Errorf("still restoring: %+v", r)
	}
}
