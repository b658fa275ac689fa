package tool

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"stele/be/tablet"
	"stele/be/tablet/kv"
	"stele/be/tablet/wire"
	"stele/meta/types"
	"stele/sql/vec"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func testSchema() types.Schema {
	return types.Schema{TableID: 5, Version: 1, Key: []types.ColumnID{1}, Columns: []types.Column{
		{ID: 1, Name: "id", Type: types.ColumnType{Kind: types.KindBigInt, NotNull: true}},
		{ID: 2, Name: "name", Type: types.ColumnType{Kind: types.KindVarChar, Length: 50}},
	}}
}

func openDisk(t *testing.T, dir string) *tablet.Store {
	t.Helper()
	s, err := tablet.Open(dir, tablet.Options{ClusterID: "c", Small: true, NoBackground: true, FloodBytes: 1, FloodPercent: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// put commits rows, whose names may be NULL (""), as the next version.
func put(t *testing.T, tb *tablet.Tablet, first int64, names ...string) {
	t.Helper()
	schema := testSchema()
	b := vec.NewBuilder([]types.ColumnType{schema.Columns[0].Type, schema.Columns[1].Type}, len(names))
	for i, n := range names {
		name := vec.Str([]byte(n))
		if n == "" {
			name = vec.NullValue()
		}
		b.AppendValues(vec.Int(first+int64(i)), name)
	}
	p, err := wire.Encode(&schema, make([]types.RowOp, len(names)), b.Finish())
	if err != nil {
		t.Fatal(err)
	}
	v := tb.Version() + 1
	if err := tb.Prepare(context.Background(), types.TxnID(v), p); err != nil {
		t.Fatal(err)
	}
	if err := tb.Publish(types.TxnID(v), v); err != nil {
		t.Fatal(err)
	}
}

// newDisk makes a disk with tablets 1 and 2: two rowsets and a delta each.
func newDisk(t *testing.T) (dir string, s *tablet.Store) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "disk")
	s = openDisk(t, dir)
	for id := types.TabletID(1); id <= 2; id++ {
		tb, err := s.Create(tablet.Meta{Tablet: id, Table: 5, Partition: 6, Replica: types.ReplicaID(id) * 10, Schema: testSchema(), Epoch: 3})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 2 {
			var names []string
			for j := range 3000 {
				names = append(names, fmt.Sprintf("tablet %d round %d name %d", id, i, j*j))
			}
			put(t, tb, int64(i)*10_000, names...)
			if err := tb.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		put(t, tb, 50_000, "tab\tand \\ and\nline", "")
	}
	return dir, s
}

func closed(t *testing.T) string {
	t.Helper()
	dir, s := newDisk(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func runTool(t *testing.T, want int, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	if code := Command(context.Background(), args, &out, &errs); code != want {
		t.Fatalf("%v: code %d, not %d\n%s%s", args, code, want, out.String(), errs.String())
	}
	return out.String() + errs.String()
}

func wants(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%q is not in\n%s", p, text)
		}
	}
}

func TestUsage(t *testing.T) {
	wants(t, runTool(t, 2), "usage: stele be tool")
	wants(t, runTool(t, 0, "--help"), "repair")
	wants(t, runTool(t, 2, "fry"), `unknown command "fry"`)
	wants(t, runTool(t, 2, "ls"), "0 arguments, not 1")
	wants(t, runTool(t, 2, "dump", "x"), "1 arguments, not 2")
	wants(t, runTool(t, 0, "ls", "--help"), "usage: stele be tool ls [flags] DIR\n", "--rowsets")
	wants(t, runTool(t, 0, "dump", "--help"), "usage: stele be tool dump [flags] DIR TABLET\n")
	wants(t, runTool(t, 2, "dump", "x", "y"), `tablet "y" is not a number`)
	empty := t.TempDir()
	wants(t, runTool(t, 1, "ls", empty), "not a disk of Stele")
	if left, err := os.ReadDir(empty); err != nil || len(left) > 0 {
		t.Fatalf("an empty folder has %v now, %v", left, err)
	}
}

func TestListAndDump(t *testing.T) {
	dir := closed(t)
	before := fingerprint(t, dir)
	wants(t, runTool(t, 0, "ls", "--rowsets", dir), "cluster c", "2 replicas", "6002", "rowset 1: 3000 rows, 0 of them ended, 1 row groups")
	out := runTool(t, 0, "dump", dir, "2")
	wants(t, out, "id\tname\n", "50000\ttab\\tand \\\\ and\\nline\n", "50001\t\\N\n", "10001\ttablet 2 round 1 name 1\n")
	if n := strings.Count(out, "\n"); n != 6003 {
		t.Errorf("%d lines", n)
	}
	if n := strings.Count(runTool(t, 0, "dump", "--version", "2", "--header=false", dir, "1"), "\n"); n != 3000 {
		t.Errorf("%d lines at version 2", n)
	}
	wants(t, runTool(t, 1, "dump", dir, "9"), "tablet 9 is not on this disk")
	wants(t, runTool(t, 1, "dump", dir, "1", "--version", "99"), "behind 99")
	wants(t, runTool(t, 0, "verify", dir), "tablet 1: ok at version 4, 6002 rows", "ok: 2 replicas")
	wants(t, runTool(t, 0, "repair", dir), "nothing to repair")
	if after := fingerprint(t, dir); !slices.Equal(before, after) {
		t.Errorf("looking changed the disk:\n%v\n%v", before, after)
	}
}

// fingerprint is the names and contents of the files, without the lock and the statistics that Badger maps on open.
func fingerprint(t *testing.T, dir string) (out []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if name := filepath.Base(f); name == "LOCK" || name == "DISCARD" {
			continue
		}
		body, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprintf("%s %d %x", f, len(body), crc(body)))
	}
	return out
}

func crc(b []byte) (h uint64) {
	for _, x := range b {
		h = h*1099511628211 ^ uint64(x)
	}
	return h
}

func TestDiskInUse(t *testing.T) {
	dir, _ := newDisk(t)
	for _, c := range []string{"ls", "verify", "repair"} {
		wants(t, runTool(t, 1, c, dir), "is its BE still running?")
	}
	wants(t, runTool(t, 1, "repair", "--yes", "--recover", dir), "is its BE still running?")
}

// TestKilledBE copies the disk of a running store: what a killed process leaves.
func TestKilledBE(t *testing.T) {
	dir, _ := newDisk(t)
	killed := dir + "-killed"
	if out, err := exec.Command("cp", "-a", "--sparse=always", dir, killed).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	wants(t, runTool(t, 1, "verify", killed), "--recover")
	wants(t, runTool(t, 0, "verify", "--recover", killed), "ok: 2 replicas")
	wants(t, runTool(t, 0, "verify", killed), "ok: 2 replicas")
}

// damage flips a bit of a value of tablet 1 in a segment of data.
func damage(t *testing.T, dir string) {
	t.Helper()
	const group = "SRG1\x02\x00" // how a row group begins; its 8 bytes from the 8th on are the incarnation
	files, err := filepath.Glob(filepath.Join(dir, "data", "*.seg"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		body, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for at := bytes.Index(body, []byte(group)); at >= 0; {
			if body[at+8] != 1 {
				next := bytes.Index(body[at+1:], []byte(group))
				if at += 1 + next; next < 0 {
					break
				}
				continue
			}
			body[at+600] ^= 4
			if err := os.WriteFile(f, body, 0o600); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatal("no segment has a row group of tablet 1")
}

func TestVerifyAndRepair(t *testing.T) {
	dir := closed(t)
	wants(t, runTool(t, 0, "segments", dir), "SEGMENT", "000001.seg")
	damage(t, dir)
	if out := runTool(t, 1, "segments", dir); !regexp.MustCompile(`seg +[1-9][0-9]* +[1-9][0-9]* +1 +0\n`).MatchString(out) {
		t.Errorf("a flipped bit shows as %s", out)
	}
	wants(t, runTool(t, 1, "verify", dir), "DAMAGED tablet 1: row groups", "tablet 2: ok", "1 damaged")
	before := fingerprint(t, dir)
	wants(t, runTool(t, 1, "repair", dir), "would mark the replica of tablet 1 bad", "nothing was changed")
	if !slices.Equal(before, fingerprint(t, dir)) {
		t.Error("repair without --yes changed the disk")
	}
	wants(t, runTool(t, 0, "repair", "--yes", dir), "mark the replica of tablet 1 bad", "repaired: 1 replicas bad")
	wants(t, runTool(t, 0, "ls", dir), "bad: stele be tool repair: row groups")
	s := openDisk(t, dir)
	if tb, ok := s.Tablet(1); !ok || !tb.Stats().Bad {
		t.Fatal("the replica is not bad for the BE")
	}
	if tb, ok := s.Tablet(2); !ok || tb.Stats().Bad || tb.Stats().Rows != 6002 {
		t.Fatal("the other replica was touched")
	}
}

// TestSegmentThatCannotBeRead has a folder in the place of one, which cannot be mapped.
func TestSegmentThatCannotBeRead(t *testing.T) {
	dir := closed(t)
	if err := os.Mkdir(filepath.Join(dir, "meta", "000009.seg"), 0o755); err != nil {
		t.Fatal(err)
	}
	out := runTool(t, 1, "segments", dir)
	if !regexp.MustCompile(`meta/000009.seg +cannot be read: .*\n`).MatchString(out) || !regexp.MustCompile(`data/000001.seg +[1-9].* 0 +0\n`).MatchString(out) {
		t.Errorf("segments, one of which cannot be read: %s", out)
	}
}

// TestLostRecord damages the record of tablet 1: the tool names the replica as bad, and repair leaves its rows alone.
func TestLostRecord(t *testing.T) {
	dir := closed(t)
	meta, err := kv.Open(filepath.Join(dir, "meta"), kv.Options{Front: true, Segments: true, MemTableBytes: 4 << 20})
	if err != nil {
		t.Fatal(err)
	}
	record := binary.BigEndian.AppendUint64([]byte("T"), 1)
	if err := errors.Join(meta.Commit(kv.Entry{Key: record, Value: []byte("not what was written")}), meta.Close()); err != nil {
		t.Fatal(err)
	}
	const bad = "its record is lost to damage"
	wants(t, runTool(t, 0, "ls", dir), "2 replicas", "bad: "+bad)
	wants(t, runTool(t, 1, "verify", dir), "DAMAGED tablet 1: replica: "+bad, "tablet 2: ok", "1 damaged")
	for range 2 {
		wants(t, runTool(t, 0, "repair", "--yes", dir), "mark the replica of tablet 1 bad", "1 replicas bad, 0 records deleted")
	}
	if out := runTool(t, 0, "segments", dir); !regexp.MustCompile(`data/[0-9]+.seg +4 `).MatchString(out) {
		t.Errorf("the two row groups of each replica are not there after the repair: %s", out)
	}
}

func TestRepairDeletesOrphans(t *testing.T) {
	dir, s := newDisk(t)
	if err := s.Drop(1, 10); err != nil { // its data is still there: nothing has collected it
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wants(t, runTool(t, 0, "ls", dir), "1 replicas", "orphan: incarnation 1")
	wants(t, runTool(t, 1, "repair", dir), "would delete 1 orphans")
	wants(t, runTool(t, 0, "repair", "--yes", dir), "delete 1 orphans")
	if out := runTool(t, 0, "ls", dir); strings.Contains(out, "orphan") {
		t.Error(out)
	}
	wants(t, runTool(t, 0, "verify", dir), "ok: 1 replicas")
}
