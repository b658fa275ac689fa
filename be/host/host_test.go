package host

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
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
	if h.Join("two", 3) == nil || h.Join("one", 4) == nil {
		t.Fatal("a be of one cluster joined another, or as another")
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
