package ddl_test

import (
	"context"
	"errors"
	"testing"

	"stele/fe/ddl"
	"stele/fe/fakecluster"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/model"
	"stele/meta/types"
	"stele/proto/bepb"
)

// table is a table of so many partitions by range.
func table(w *fakecluster.Cluster, name string, parts, buckets, replicas int) catalog.Table {
	db, _ := w.Log.Current().Database("d")
	t := catalog.Table{DatabaseID: db.ID, Name: name, Replicas: replicas, Buckets: buckets, HashBy: []types.ColumnID{1}, Schema: fakecluster.Schema(0),
		Partition: &model.Partitioning{Columns: []types.ColumnID{1}}}
	for i := range parts {
		t.Parts = append(t.Parts, catalog.Partition{Name: string(rune('a' + i)), Replicas: replicas, Lower: []byte{byte(i + 1)}, Upper: []byte{byte(i + 2)}})
	}
	return t
}

// spread counts replicas and leaders of a table by BE, and checks that no tablet has two replicas on one BE.
func spread(t *testing.T, w *fakecluster.Cluster, name string) (replicas, leaders map[types.BEID]int) {
	t.Helper()
	db, _ := w.Log.Current().Database("d")
	tab, ok := w.Log.Current().Table(db.ID, name)
	if !ok {
		t.Fatalf("no table %s", name)
	}
	replicas, leaders = map[types.BEID]int{}, map[types.BEID]int{}
	for x := range w.Log.Current().TabletsOfTable(tab) {
		seen := map[types.BEID]bool{}
		leaders[x.Leader]++
		for _, r := range x.Replicas {
			if seen[r.BE] {
				t.Errorf("tablet %d has two replicas on be %d", x.ID, r.BE)
			}
			if r.Disk != types.DiskID(r.BE+1000) {
				t.Errorf("replica %d: disk %d", r.ID, r.Disk)
			}
			seen[r.BE] = true
			replicas[r.BE]++
		}
	}
	return replicas, leaders
}

func even(t *testing.T, what string, n map[types.BEID]int, bes, total int) {
	t.Helper()
	for be, c := range n {
		if c < total/bes || c > (total+bes-1)/bes {
			t.Errorf("%s: be %d has %d of %d", what, be, c, total)
		}
	}
	if len(n) != bes {
		t.Errorf("%s: %d BEs have some, want %d", what, len(n), bes)
	}
}

func TestCreateAndTruncateSpread(t *testing.T) {
	w := fakecluster.New(t, 4, 1, types.QuorumMajority)
	d := ddl.New(w.Log, w.Clients, w)
	if _, _, err := d.Create(context.Background(), table(w, "p", 5, 2, 2)); err != nil {
		t.Fatal(err)
	}
	for _, again := range []bool{false, true} {
		replicas, leaders := spread(t, w, "p")
		even(t, "replicas", replicas, 4, 20)
		for be, n := range leaders {
			if n > 4 {
				t.Errorf("be %d leads %d of 10 tablets", be, n)
			}
		}
		if again {
			break
		}
		db, _ := w.Log.Current().Database("d")
		tab, _ := w.Log.Current().Table(db.ID, "p")
		var ids []types.PartitionID
		for _, p := range tab.Parts {
			ids = append(ids, p.ID)
		}
		if _, err := d.Truncate(context.Background(), tab, ids, true); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCreateGoesRoundADeadBE(t *testing.T) {
	w := fakecluster.New(t, 3, 1, types.QuorumMajority)
	d := ddl.New(w.Log, w.Clients, w)
	w.BEs[1].Stop() // nobody knows yet
	if _, _, err := d.Create(context.Background(), table(w, "p", 2, 2, 2)); err != nil {
		t.Fatal(err)
	}
	if replicas, _ := spread(t, w, "p"); replicas[w.BEs[1].ID] != 0 {
		t.Errorf("replicas %v: %d on the dead BE", replicas, replicas[w.BEs[1].ID])
	}
	if w.Probes(w.BEs[1].ID) == 0 {
		t.Error("nobody looks after the BE that did not answer")
	}
}

// TestFullBEIsGoneRound: a BE whose disks are full, disabled or decommissioned gets no new replicas.
func TestFullBEIsGoneRound(t *testing.T) {
	w := fakecluster.New(t, 2, 1, types.QuorumMajority)
	d := ddl.New(w.Log, w.Clients, w)
	w.BEs[0].Set(func(b *fakecluster.BE) {
		b.OnCreate = func(*bepb.CreateReplicasRequest) (*bepb.CreateReplicasResponse, error) {
			return nil, fakecluster.DiskFull
		}
	})
	if _, _, err := d.Create(context.Background(), table(w, "p", 1, 1, 1)); err != nil {
		t.Fatal(err)
	}
	if replicas, _ := spread(t, w, "p"); replicas[w.BEs[0].ID] != 0 {
		t.Errorf("replicas %v: %d on the full BE", replicas, replicas[w.BEs[0].ID])
	}
}

func TestRefusalOfABEIsNotGoneRound(t *testing.T) {
	w := fakecluster.New(t, 2, 1, types.QuorumMajority)
	d := ddl.New(w.Log, w.Clients, w)
	w.BEs[0].Set(func(b *fakecluster.BE) {
		b.OnCreate = func(*bepb.CreateReplicasRequest) (*bepb.CreateReplicasResponse, error) {
			return nil, fakecluster.BadQuery
		}
	})
	if _, _, err := d.Create(context.Background(), table(w, "p", 1, 1, 1)); err == nil {
		t.Fatal("created although the BE could not")
	}
	w.BEs[1].Seen(func() {
		if len(w.BEs[1].Created) != 0 {
			t.Error("tried elsewhere")
		}
	})
}

func TestTruncateOfADroppedTableFails(t *testing.T) {
	w := fakecluster.New(t, 2, 1, types.QuorumMajority)
	d := ddl.New(w.Log, w.Clients, w)
	tab, _ := w.Log.Current().TableByID(w.Table)
	w.Log.Must(t, &command.DropTable{ID: w.Table})
	_, err := d.Truncate(context.Background(), tab, []types.PartitionID{tab.Parts[0].ID}, true)
	var none *catalog.ErrNotFound
	if !errors.As(err, &none) {
		t.Errorf("got %v", err)
	}
}

// TestCreateRacesInAGroup: of two tables that begin a colocate group at the same time and do not fit one another, the second is refused as
// it would be a moment later.
func TestCreateRacesInAGroup(t *testing.T) {
	for name, differ := range map[string]func(*catalog.Table){
		"buckets":  func(tab *catalog.Table) { tab.Buckets = 3 },
		"replicas": func(tab *catalog.Table) { tab.Replicas, tab.Parts[0].Replicas = 1, 1 },
		"columns":  func(tab *catalog.Table) { tab.HashBy = []types.ColumnID{1, 2} },
		"":         func(*catalog.Table) {},
	} {
		w := fakecluster.New(t, 3, 1, types.QuorumMajority)
		d := ddl.New(w.Log, w.Clients, w)
		first, second := table(w, "a", 1, 2, 2), table(w, "b", 1, 2, 2)
		first.Colocate, second.Colocate = "g", "g"
		differ(&second)
		var other error
		late := &overtaken{Log: w.Log, by: func() { _, _, other = d.Create(context.Background(), first) }}
		_, _, err := ddl.New(late, w.Clients, w).Create(context.Background(), second)
		var known interface {
			MySQL() (code uint16, state, msg string)
		}
		if other != nil {
			t.Fatal(other)
		}
		if name == "" && err != nil || name != "" && !errors.As(err, &known) {
			t.Errorf("other %s: %v", name, err)
		} else if name != "" {
			if code, _, _ := known.MySQL(); code != 5063 {
				t.Errorf("other %s: %v", name, err)
			}
		}
	}
}

// overtaken is a log in which something else comes before a table that is created.
type overtaken struct {
	*fakecluster.Log
	by func()
}

func (l *overtaken) Propose(ctx context.Context, cmds ...command.Command) ([]catalog.Result, error) {
	if _, ok := cmds[0].(*command.CreateTable); ok {
		l.by()
	}
	return l.Log.Propose(ctx, cmds...)
}
