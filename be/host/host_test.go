package host

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stele/be/tablet"
	"stele/meta/types"
)

func newHost(t *testing.T, roots ...string) *Host {
	t.Helper()
	var rs []Root
	for _, p := range roots {
		rs = append(rs, Root{Path: p})
	}
	h := New(rs, slog.New(slog.DiscardHandler), func(_ Root, c types.ClusterID) tablet.Options {
		return tablet.Options{ClusterID: c, Small: true, NoBackground: true, FloodBytes: 1, FloodPercent: 1}
	})
	t.Cleanup(func() { _ = h.Close() })
	return h
}

func closed(t *testing.T, h *Host) {
	t.Helper()
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestJoinIsForGood(t *testing.T) {
	root := t.TempDir()
	h := newHost(t, root)
	if err := h.OpenKnown(); err != nil || len(h.Disks()) != 0 {
		t.Fatalf("a blank be opened %d disks: %v", len(h.Disks()), err)
	}
	for range 2 {
		if err := h.Join("one", 3); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		cluster types.ClusterID
		be      types.BEID
		says    string
	}{{"two", 3, "be 3 of cluster one: it cannot join cluster two"}, {"one", 4, "put them back where be 3 is"}} {
		var refusal *MistakenError
		if err := h.Join(c.cluster, c.be); !errors.As(err, &refusal) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("be 3 of cluster one was asked to be %d of %s: %v", c.be, c.cluster, err)
		}
	}
	closed(t, h)
	again := newHost(t, root)
	if err := again.OpenKnown(); err != nil || again.Identity() != (Identity{Cluster: "one", BE: 3}) {
		t.Fatalf("%+v, %v", again.Identity(), err)
	}
}

func TestForeignDiskIsRefusedAndLeftAlone(t *testing.T) {
	mine, foreign := t.TempDir(), t.TempDir()
	for root, cluster := range map[string]types.ClusterID{mine: "one", foreign: "two"} {
		h := newHost(t, root)
		if err := h.Join(cluster, 1); err != nil {
			t.Fatal(err)
		}
		closed(t, h)
	}
	both := newHost(t, mine, foreign)
	if err := both.OpenKnown(); err != nil || len(both.Disks()) != 0 {
		t.Fatalf("disks of two clusters: %d are open before anybody said which are this be's, %v", len(both.Disks()), err)
	}
	var refusal *ForeignError
	if err := both.Join("three", 1); !errors.As(err, &refusal) {
		t.Fatalf("a third cluster claims the be: %v", err)
	}
	if err := both.Join("one", 1); err != nil {
		t.Fatal(err)
	}
	if d := both.Disks()[1]; d.Store != nil || !errors.As(d.Err, &refusal) || refusal.Owner != (Identity{Cluster: "two", BE: 1}) {
		t.Fatalf("foreign disk: %v", d.Err)
	}
	if both.Disks()[0].Store == nil {
		t.Fatalf("the own disk stayed closed: %v", both.Disks()[0].Err)
	}
	closed(t, both)
	if id, err := readIdentity(foreign); err != nil || id.Cluster != "two" {
		t.Fatalf("the foreign disk says %+v now, %v", id, err)
	}
	// Its identity lost, the store itself still says whose it is.
	if err := os.Remove(filepath.Join(foreign, identityFile)); err != nil {
		t.Fatal(err)
	}
	h := newHost(t, mine, foreign)
	if err := h.OpenKnown(); err != nil {
		t.Fatal(err)
	}
	if d := h.Disks()[1]; d.Store != nil || !errors.Is(d.Err, tablet.ErrForeignDisk) {
		t.Fatalf("foreign disk: %v", d.Err)
	}
	if h.Disks()[0].Store == nil {
		t.Fatalf("the own disk stayed closed: %v", h.Disks()[0].Err)
	}
	if _, err := os.Stat(filepath.Join(foreign, identityFile)); !errors.Is(err, os.ErrNotExist) {
		t.Fatal("the foreign disk was stamped")
	}
}

// TestDisksOfAnotherBE: disks that were mounted on the wrong machine of the same cluster are refused and left alone, also when two
// machines have each other's; put back, all of them are as they were.
func TestDisksOfAnotherBE(t *testing.T) {
	a, b, c, d := t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir()
	for be, roots := range map[types.BEID][]string{1: {a, b}, 2: {c, d}} {
		h := newHost(t, roots...)
		if err := h.Join("one", be); err != nil {
			t.Fatal(err)
		}
		closed(t, h)
	}
	for be, roots := range map[types.BEID][]string{1: {a, c}, 2: {b, d}} { // b and c are swapped
		h := newHost(t, roots...)
		if err := errors.Join(h.OpenKnown(), h.Join("one", be)); err != nil {
			t.Fatalf("be %d with a disk of its own: %v", be, err)
		}
		for i, disk := range h.Disks() {
			mine := (be == 1) == (i == 0)
			var refusal *ForeignError
			if (disk.Store != nil) != mine || !mine && (!errors.As(disk.Err, &refusal) || refusal.Owner.BE != 3-be) {
				t.Errorf("be %d, disk %s: open %v, %v", be, disk.Root.Path, disk.Store != nil, disk.Err)
			}
			if remedy := fmt.Sprintf("missing on be %d: put the disk back there", 3-be); !mine && !strings.Contains(disk.Err.Error(), remedy) {
				t.Errorf("be %d does not say what to do: %v", be, disk.Err)
			}
		}
		closed(t, h)
	}
	for be, roots := range map[types.BEID][]string{1: {c, d}, 2: {a, b}} { // all are
		h := newHost(t, roots...)
		if err := h.OpenKnown(); err != nil {
			t.Fatal(err)
		}
		if err := h.Join("one", be); err == nil || !strings.Contains(err.Error(), "put them back") {
			t.Errorf("be %d with the disks of the other: %v", be, err)
		}
		closed(t, h)
	}
	for be, roots := range map[types.BEID][]string{1: {a, b}, 2: {c, d}} {
		h := newHost(t, roots...)
		if err := h.OpenKnown(); err != nil || h.Identity().BE != be || h.Disks()[0].Store == nil || h.Disks()[1].Store == nil {
			t.Errorf("be %d put back: %v", be, err)
		}
		closed(t, h)
	}
}

// TestDamagedIdentity: a root that cannot say whose it is stays closed and as it is; the others go on.
func TestDamagedIdentity(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	h := newHost(t, a, b)
	if err := h.Join("one", 3); err != nil {
		t.Fatal(err)
	}
	closed(t, h)
	file := filepath.Join(b, identityFile)
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, spoilt := range map[string][]byte{
		"another be":      bytes.Replace(whole, []byte(`"be_id":3`), []byte(`"be_id":7`), 1),
		"another cluster": bytes.Replace(whole, []byte(`"one"`), []byte(`"onE"`), 1),
		"cut short":       whole[:len(whole)/2],
		"empty":           nil,
	} {
		if err := os.WriteFile(file, spoilt, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, roots := range [][]string{{a, b}, {b}} {
			h := newHost(t, roots...)
			if err := errors.Join(h.OpenKnown(), h.Join("one", 3)); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			d := h.Disks()[len(roots)-1]
			if d.Store != nil || d.Err == nil || !strings.Contains(d.Err.Error(), "is damaged") {
				t.Errorf("%s: %v", name, d.Err)
			}
			if len(roots) == 2 && h.Disks()[0].Store == nil {
				t.Errorf("%s: the other root stays closed, too: %v", name, h.Disks()[0].Err)
			}
			closed(t, h)
		}
		if now, err := os.ReadFile(file); err != nil || !bytes.Equal(now, spoilt) {
			t.Errorf("%s: the root was stamped anew: %s, %v", name, now, err)
		}
	}
}

func TestWipedDiskIsAnother(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	h := newHost(t, a, b)
	if err := h.Join("one", 1); err != nil {
		t.Fatal(err)
	}
	before := [2]types.DiskID{h.Disks()[0].Store.ID(), h.Disks()[1].Store.ID()}
	closed(t, h)
	if err := os.RemoveAll(b); err != nil {
		t.Fatal(err)
	}
	h = newHost(t, a, b)
	if err := h.OpenKnown(); err != nil {
		t.Fatal(err)
	}
	after := [2]types.DiskID{h.Disks()[0].Store.ID(), h.Disks()[1].Store.ID()}
	if after[0] != before[0] || after[1] == before[1] {
		t.Fatalf("disks %v became %v", before, after)
	}
}

// TestDiskOfARunningBE: a BE is not started beside another process that has one of its disks, and leaves the others to whoever is.
func TestDiskOfARunningBE(t *testing.T) {
	own, shared := t.TempDir(), t.TempDir()
	first := newHost(t, own, shared)
	if err := first.Join("one", 1); err != nil {
		t.Fatal(err)
	}
	closed(t, first)
	first = newHost(t, shared)
	if err := first.OpenKnown(); err != nil {
		t.Fatal(err)
	}
	second := newHost(t, own, shared)
	var inUse *InUseError
	if err := second.OpenKnown(); !errors.As(err, &inUse) || inUse.Path != shared || !errors.Is(err, tablet.ErrInUse) {
		t.Fatalf("opened a disk that another process has: %v", err)
	}
	if len(second.Disks()) != 0 || second.Identity() != (Identity{}) {
		t.Fatalf("%+v has %d disks, beside the process that it is", second.Identity(), len(second.Disks()))
	}
	closed(t, first)
	if err := second.OpenKnown(); err != nil || second.Disks()[0].Store == nil || second.Disks()[1].Store == nil {
		t.Fatalf("with nobody there any more: %v", err)
	}
}

// TestPlacesSpread: replicas that are placed together go where those before them leave the fewest, to disks of the wanted medium only as
// long as there is one.
func TestPlacesSpread(t *testing.T) {
	roots := []string{t.TempDir(), t.TempDir(), t.TempDir()}
	h := newHost(t, roots...)
	if err := h.Join("one", 1); err != nil {
		t.Fatal(err)
	}
	ssd := types.Medium(1) - h.Disks()[0].Root.Medium
	spread := func(medium types.Medium, n int) map[*tablet.Store]int {
		places, err := h.PlaceAll(medium, n)
		if err != nil || len(places) != n {
			t.Fatalf("%d places of %d, %v", len(places), n, err)
		}
		counts := map[*tablet.Store]int{}
		for _, p := range places {
			counts[p]++
		}
		return counts
	}
	if counts := spread(ssd, 7); len(counts) != 3 || counts[h.Disks()[0].Store] != 3 {
		t.Errorf("7 replicas on 3 disks of another medium: %v", counts)
	}
	h.Disks()[1].Root.Medium = ssd
	if counts := spread(ssd, 4); counts[h.Disks()[1].Store] != 4 {
		t.Errorf("4 replicas with one disk of the medium: %v", counts)
	}
}
