package host

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"stele/be/tablet"
	"stele/meta/types"
)

// create makes a replica of a tablet on a disk.
func create(t *testing.T, s *tablet.Store, id types.TabletID, replica types.ReplicaID) *tablet.Tablet {
	t.Helper()
	bigint := types.ColumnType{Kind: types.KindBigInt, NotNull: true}
	tb, err := s.Create(tablet.Meta{Tablet: id, Table: 1, Partition: 1, Replica: replica, Epoch: 1,
		Schema: types.Schema{TableID: 1, Version: 1, Key: []types.ColumnID{1}, Columns: []types.Column{{ID: 1, Name: "id", Type: bigint}}}})
	if err != nil {
		t.Fatal(err)
	}
	return tb
}

// away takes what is under a root aside; back puts it there again.
func away(t *testing.T, root string) (back func()) {
	t.Helper()
	aside := filepath.Join(t.TempDir(), "aside")
	if err := os.Rename(root, aside); err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if err := errors.Join(os.RemoveAll(root), os.Rename(aside, root)); err != nil {
			t.Fatal(err)
		}
	}
}

// twoDisks is a BE with two disks, and b has tablet 5 as replica 50; it is closed.
func twoDisks(t *testing.T) (a, b string) {
	t.Helper()
	a, b = filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")
	h := newHost(t, a, b)
	if err := h.Join("one", 1); err != nil {
		t.Fatal(err)
	}
	create(t, h.Disks()[1].Store, 5, 50)
	closed(t, h)
	return a, b
}

// brokenDisk opens the BE of twoDisks without its second disk, in whose place there is a file.
func brokenDisk(t *testing.T, roots ...string) (h *Host, back func()) {
	t.Helper()
	back = away(t, roots[1])
	if err := os.WriteFile(roots[1], nil, 0o600); err != nil {
		t.Fatal(err)
	}
	h = newHost(t, roots...)
	if err := h.OpenKnown(); err != nil {
		t.Fatal(err)
	}
	if h.Disks()[0].Store == nil || h.Disks()[1].Store != nil || h.Disks()[1].Err == nil {
		t.Fatalf("%+v, %+v", h.Disks()[0], h.Disks()[1])
	}
	return h, back
}

// TestDiskComesBack: a disk that did not open is opened when it is well, and then its replicas are found; no other thing that is there meanwhile is
// taken for it, and nothing is written there.
func TestDiskComesBack(t *testing.T) {
	a, b := twoDisks(t)
	h, back := brokenDisk(t, a, b)
	var joined []*tablet.Store
	h.OnJoin(func(s *tablet.Store, dropped []*tablet.Tablet) {
		if joined = append(joined, s); len(dropped) > 0 {
			t.Errorf("the others have dropped %v", dropped)
		}
	})
	refused := func(what, why string) {
		t.Helper()
		opened, err := h.openAgain(1, false)
		if d := h.Disks()[1]; opened || err == nil || d.Store != nil || !errors.Is(err, d.Err) || !strings.Contains(d.Err.Error(), why) {
			t.Fatalf("%s: opened %v, %v, the disk says %v", what, opened, err, d.Err)
		}
	}
	refused("a file", "not a directory")
	if err := errors.Join(os.Remove(b), os.Mkdir(b, 0o755)); err != nil {
		t.Fatal(err)
	}
	refused("a folder to which nothing is mounted", ErrBlank.Error())
	if err := writeIdentity(b, Identity{Cluster: "one", BE: 1}); err != nil {
		t.Fatal(err)
	}
	refused("an identity without a store", ErrBlank.Error())
	if err := errors.Join(os.Remove(filepath.Join(b, identityFile)), writeIdentity(b, Identity{Cluster: "one", BE: 2})); err != nil {
		t.Fatal(err)
	}
	refused("the disk of another BE", "as be 2")
	if entries, err := os.ReadDir(b); err != nil || len(entries) != 1 {
		t.Fatalf("there is %v, %v", entries, err)
	}
	back()
	if opened, err := h.openAgain(1, false); !opened || err != nil {
		t.Fatalf("opened %v, %v", opened, err)
	}
	store := h.Disks()[1].Store
	if tb, ok := h.Tablet(5); !ok || tb.Replica() != 50 || tb.Store() != store || len(joined) != 1 || joined[0] != store {
		t.Fatalf("joined %v, found %v", joined, ok)
	}
	if opened, err := h.openAgain(1, false); opened || err != nil || len(joined) != 1 {
		t.Fatalf("opened twice: %v", err)
	}
}

// TestKeepOpen: nobody has to ask for it.
func TestKeepOpen(t *testing.T) {
	a, b := twoDisks(t)
	h, back := brokenDisk(t, a, b)
	ctx, cancel := context.WithCancel(context.Background())
	back()
	joined, ended := make(chan *tablet.Store, 1), make(chan struct{})
	h.OnJoin(func(s *tablet.Store, _ []*tablet.Tablet) { joined <- s })
	go func() {
		h.KeepOpen(ctx)
		close(ended)
	}()
	if s := <-joined; s.TabletCount() != 1 {
		t.Errorf("%d replicas are back", s.TabletCount())
	}
	cancel()
	<-ended
}

func TestNextPause(t *testing.T) {
	for _, c := range []struct{ pause, took, want time.Duration }{
		{firstPause, 0, 2 * time.Second}, {64 * time.Second, time.Second, longestPause}, {longestPause, time.Second, longestPause},
		{firstPause, time.Minute, 20 * time.Minute},
	} {
		if got := nextPause(c.pause, c.took); got != c.want {
			t.Errorf("after %v and a try of %v: %v, want %v", c.pause, c.took, got, c.want)
		}
	}
}

// TestOpenTakesABlankDisk: who says so has a new disk made of a path that has lost its own.
func TestOpenTakesABlankDisk(t *testing.T) {
	a, b := twoDisks(t)
	h, _ := brokenDisk(t, a, b)
	if _, opened, err := h.Open(b); opened || err == nil {
		t.Fatalf("opened a file: %v", err)
	}
	if _, _, err := h.Open(filepath.Join(b, "c")); err == nil || !strings.Contains(err.Error(), "storage_root_path") {
		t.Fatalf("another path: %v", err)
	}
	if err := os.Remove(b); err != nil {
		t.Fatal(err)
	}
	store, opened, err := h.Open(b + "/")
	if err != nil || !opened || store.TabletCount() != 0 || h.Disks()[1].Store != store {
		t.Fatalf("opened %v, %v", opened, err)
	}
	if again, opened, err := h.Open(b); opened || err != nil || again != store {
		t.Fatalf("opened twice: %v", err)
	}
}

// TestReplicasMadeMeanwhile: of a tablet that another disk has as well, one replica is left when a disk is back: the newer one, else the one that serves.
func TestReplicasMadeMeanwhile(t *testing.T) {
	for _, c := range []struct {
		made types.ReplicaID
		kept types.ReplicaID
		disk int
	}{{60, 60, 0}, {50, 50, 0}, {40, 50, 1}} {
		a, b := twoDisks(t)
		h, back := brokenDisk(t, a, b)
		served := create(t, h.Disks()[0].Store, 5, c.made)
		var dropped []*tablet.Tablet
		h.OnJoin(func(_ *tablet.Store, d []*tablet.Tablet) { dropped = d })
		back()
		if opened, err := h.openAgain(1, false); !opened || err != nil {
			t.Fatalf("opened %v, %v", opened, err)
		}
		check := func(when string) {
			t.Helper()
			if tb, ok := h.Tablet(5); !ok || tb.Replica() != c.kept || tb.Store() != h.Disks()[c.disk].Store {
				t.Errorf("%d made meanwhile, %s: found %v", c.made, when, ok)
			}
			if _, both := h.Disks()[1-c.disk].Store.Tablet(5); both {
				t.Errorf("%d made meanwhile, %s: both disks have the tablet", c.made, when)
			}
		}
		check("at once")
		if want := c.disk == 1; want != (len(dropped) == 1 && dropped[0] == served) {
			t.Errorf("%d made meanwhile: dropped %v", c.made, dropped)
		}
		closed(t, h)
		h = newHost(t, a, b)
		if err := h.OpenKnown(); err != nil {
			t.Fatal(err)
		}
		check("after a restart")
	}
}

// TestSupersede: a clone that ends when a disk with an older replica has joined the others drops that one.
func TestSupersede(t *testing.T) {
	a, b := twoDisks(t)
	h := newHost(t, a, b)
	if err := h.OpenKnown(); err != nil {
		t.Fatal(err)
	}
	old, _ := h.Tablet(5)
	err := h.Steadily(func() error {
		dropped, err := h.Supersede(create(t, h.Disks()[0].Store, 5, 60))
		if len(dropped) != 1 || dropped[0] != old {
			t.Errorf("dropped %v", dropped)
		}
		return err
	})
	if tb, ok := h.Tablet(5); err != nil || !ok || tb.Replica() != 60 || h.Disks()[1].Store.TabletCount() != 0 {
		t.Fatalf("found %v, %v", ok, err)
	}
}

// TestCopiedDisk: two disks with one id are never open at a time, at the start and later.
func TestCopiedDisk(t *testing.T) {
	a, b := twoDisks(t)
	twin := filepath.Join(t.TempDir(), "c")
	if err := os.CopyFS(twin, os.DirFS(b)); err != nil {
		t.Fatal(err)
	}
	h := newHost(t, a, b, twin)
	if err := h.OpenKnown(); err != nil {
		t.Fatal(err)
	}
	var refusal *TwinError
	check := func(when string) {
		t.Helper()
		if d := h.Disks()[2]; d.Store != nil || !errors.As(d.Err, &refusal) || refusal.Of != b {
			t.Errorf("%s: the copy is open: %v, %v", when, d.Store != nil, d.Err)
		}
		if tb, ok := h.Tablet(5); !ok || tb.Store() != h.Disks()[1].Store {
			t.Errorf("%s: the replica is gone with it", when)
		}
	}
	check("at the start")
	if _, _, err := h.Open(twin); !errors.As(err, &refusal) {
		t.Errorf("opened: %v", err)
	}
	check("later")
}

// TestFailedDiskIsOpenedAnew: a disk that has failed is opened anew when it takes writes; as long as it does not it can be read.
func TestFailedDiskIsOpenedAnew(t *testing.T) {
	a, b := twoDisks(t)
	var burns atomic.Bool
	h := New([]Root{{Path: a}, {Path: b}}, slog.New(slog.DiscardHandler), func(r Root, c types.ClusterID) tablet.Options {
		opt := tablet.Options{ClusterID: c, Small: true, NoBackground: true, FloodBytes: 1, FloodPercent: 1}
		opt.Faults.Write = func(string, bool) error {
			if r.Path == b && burns.Load() {
				return errors.New("disk on fire")
			}
			return nil
		}
		return opt
	})
	t.Cleanup(func() { _ = h.Close() })
	if err := h.OpenKnown(); err != nil {
		t.Fatal(err)
	}
	joined := 0
	h.OnJoin(func(*tablet.Store, []*tablet.Tablet) { joined++ })
	failed := h.Disks()[1].Store
	if opened, err := h.openAgain(1, false); opened || err != nil {
		t.Fatalf("a disk that is well is opened %v, %v", opened, err)
	}
	burns.Store(true)
	if err := failed.Drop(5, 50); err == nil || !failed.Failed() {
		t.Fatalf("dropped on a burning disk: %v", err)
	}
	inTheWay := filepath.Join(b, probeFile)
	if err := os.Mkdir(inTheWay, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, opened, err := h.Open(b); opened || err == nil || !strings.Contains(err.Error(), "it can only be read") {
		t.Errorf("a disk that takes no writes is opened %v, %v", opened, err)
	}
	tb, ok := h.Tablet(5)
	if !ok {
		t.Fatal("its replicas are not listed")
	}
	snap, err := tb.Current()
	if err != nil {
		t.Fatalf("it cannot be read: %v", err)
	}
	snap.Release()
	burns.Store(false)
	if err := os.Remove(inTheWay); err != nil {
		t.Fatal(err)
	}
	if opened, err := h.openAgain(1, false); !opened || err != nil || joined != 1 {
		t.Fatalf("opened %v, %v, joined %d times", opened, err, joined)
	}
	store := h.Disks()[1].Store
	if now, ok := h.Tablet(5); !ok || now == tb || now.Store() != store || store == failed || store.Failed() || store.ID() != failed.ID() {
		t.Fatalf("found %v on the new store", ok)
	}
	if _, err := tb.Current(); !errors.Is(err, tablet.ErrDropped) {
		t.Errorf("the tablet as it was before is read: %v", err)
	}
	if left, err := filepath.Glob(inTheWay); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
