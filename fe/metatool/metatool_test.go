package metatool_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stele/fe/metatool"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/raftlog"
)

// metadata makes the directory of an FE that is not running.
func metadata(t *testing.T) string {
	t.Helper()
	c := catalog.New()
	for _, cmd := range []command.Command{
		&command.InitCluster{ClusterID: "one", FE: catalog.FE{Name: "fe1", Host: "h1", RaftPort: 9010}},
		&command.AddFE{FE: catalog.FE{Name: "fe2", Host: "h2", RaftPort: 9010}},
		&command.CreateDatabase{Name: "shop"},
	} {
		next, _, err := catalog.Apply(c, cmd)
		if err != nil {
			t.Fatal(err)
		}
		c = next
	}
	var b bytes.Buffer
	if err := c.WriteSnapshot(&b); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "meta")
	if _, err := raftlog.Restore(raftlog.RestoreConfig{Dir: dir, Name: "fe1", Addr: "127.0.0.1:1", Now: time.UnixMilli(5)}, &b); err != nil {
		t.Fatal(err)
	}
	return dir
}

func run(args ...string) (code int, out string) {
	var stdout, stderr bytes.Buffer
	code = metatool.Command(context.Background(), args, &stdout, &stderr)
	return code, stdout.String() + stderr.String()
}

// expect runs a command and wants an exit code and words.
func expect(t *testing.T, code int, says string, args ...string) {
	t.Helper()
	if got, out := run(args...); got != code || !strings.Contains(out, says) {
		t.Errorf("stele fe tool %s: exit code %d, want %d and %q:\n%s", strings.Join(args, " "), got, code, says, out)
	}
}

func TestUsage(t *testing.T) {
	dir := metadata(t)
	expect(t, 2, "usage: stele fe tool")
	expect(t, 0, "usage: stele fe tool", "--help")
	expect(t, 0, "usage: stele fe tool", "help")
	expect(t, 2, `unknown command "wipe"`, "wipe", dir)
	expect(t, 2, `unexpected argument "`+dir+`"`, "ls", dir, dir)
	expect(t, 2, "1 arguments, not 2", "backup", dir)
	expect(t, 2, "flag provided but not defined: -fe", "ls", "--fe", "x", dir)
	expect(t, 0, "usage: stele fe tool", "restore", "-h")
	expect(t, 1, "no frontend has used it", "ls", t.TempDir())
	expect(t, 1, "no frontend has used it", "verify", filepath.Join(t.TempDir(), "nowhere"))
}

// TestBackupAndRestore takes a backup around: whole, into a directory in use, damaged, of a newer version, of nobody.
func TestBackupAndRestore(t *testing.T) {
	dir := metadata(t)
	file := filepath.Join(t.TempDir(), "backup")
	expect(t, 0, "cluster  one", "ls", dir)
	expect(t, 0, "are sound", "verify", dir)
	expect(t, 0, "1 databases", "backup", dir, file)
	expect(t, 1, "exists", "backup", dir, file)
	fresh := filepath.Join(t.TempDir(), "meta")
	expect(t, 1, "fe1 (127.0.0.1:1)", "restore", file, fresh)
	expect(t, 1, "say with --fe", "restore", "--fe", "fe9", file, fresh)
	expect(t, 1, "is not empty", "restore", "--fe", "fe1", file, dir)
	expect(t, 1, "address", "restore", "--fe", "fe1", "--address", "nonsense", file, fresh)
	expect(t, 0, "the only frontend of cluster one", "restore", "--fe", "fe1", "--address", "10.9.9.9:9012", file, fresh)
	expect(t, 0, "member   fe1 10.9.9.9:9012 voter", "ls", fresh)
	again := filepath.Join(t.TempDir(), "backup") // where it is now is what the catalog says, too
	expect(t, 0, "bytes", "backup", fresh, again)
	expect(t, 1, "fe1 (10.9.9.9:9012)", "restore", again, filepath.Join(t.TempDir(), "meta"))
	expect(t, 0, "are sound", "verify", fresh)

	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	spoil := func(at int, by byte) string {
		b := bytes.Clone(whole)
		b[at] += by
		path := filepath.Join(t.TempDir(), "spoilt")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	into := func() string { return filepath.Join(t.TempDir(), "meta") }
	expect(t, 1, "newer format", "restore", "--fe", "fe1", spoil(7, 1), into())
	expect(t, 1, "corrupt catalog snapshot", "restore", "--fe", "fe1", spoil(len(whole)/2, 1), into())
	expect(t, 1, "corrupt catalog snapshot", "restore", "--fe", "fe1", spoil(0, 1), into())
	empty := into()
	run("restore", "--fe", "fe1", spoil(len(whole)/2, 1), empty)
	if entries, err := os.ReadDir(empty); err == nil && len(entries) > 0 {
		t.Errorf("a refused restore leaves %v behind", entries)
	}

	states, err := filepath.Glob(filepath.Join(fresh, "snapshots", "*", "state.bin"))
	if err != nil || len(states) != 1 {
		t.Fatalf("snapshots %v, %v", states, err)
	}
	if err := os.WriteFile(states[0], whole[:len(whole)-3], 0o600); err != nil {
		t.Fatal(err)
	}
	expect(t, 1, "remedy: ", "verify", fresh)
	expect(t, 1, "snapshot", "backup", fresh, filepath.Join(t.TempDir(), "b"))
}
