package ddl_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"stele/fe/ddl"
	"stele/fe/fakecluster"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
	"stele/proto/bepb"
)

// refuses has a BE answer so when it is asked to make replicas.
func refuses(be *fakecluster.BE, err error) {
	be.Set(func(b *fakecluster.BE) {
		b.OnCreate = func(*bepb.CreateReplicasRequest) (*bepb.CreateReplicasResponse, error) { return nil, err }
	})
}

// absences are the ways in which a BE cannot be given replicas, and the words for them.
var absences = []struct {
	why  string
	take func(w *fakecluster.Cluster, be *fakecluster.BE)
}{
	{"does not answer", func(w *fakecluster.Cluster, be *fakecluster.BE) { w.SetAlive(be.ID, false) }},
	{"does not answer", func(_ *fakecluster.Cluster, be *fakecluster.BE) { be.Stop() }}, // nobody knows yet
	{"has no disk that takes new replicas", func(w *fakecluster.Cluster, be *fakecluster.BE) { w.Fill(be.ID, true) }},
	{"has no disk that takes new replicas", func(_ *fakecluster.Cluster, be *fakecluster.BE) { refuses(be, fakecluster.DiskFull) }},
	{"input/output error", func(_ *fakecluster.Cluster, be *fakecluster.BE) {
		refuses(be, fakecluster.Broken)
	}},
	{"is being decommissioned", func(w *fakecluster.Cluster, be *fakecluster.BE) {
		if _, err := w.Log.Propose(context.Background(), &command.SetBEState{BE: be.ID, Decommission: true}); err != nil {
			panic(err)
		}
	}},
}

// TestGoesOnWithoutABackend: whatever makes tablets goes on while a majority of their replicas can be made, and says what is missing.
func TestGoesOnWithoutABackend(t *testing.T) {
	ctx := context.Background()
	for _, absence := range absences {
		w := fakecluster.New(t, 3, 1, types.QuorumMajority)
		gone := w.BEs[1]
		absence.take(w, gone)
		d := ddl.New(w.Log, w.Clients, w)
		short := func(what string, short ddl.Shortage, err error, missing int) {
			t.Helper()
			if err != nil {
				t.Fatalf("%s while a backend %s: %v", what, absence.why, err)
			}
			if short.Missing != missing || short.Replicas != 3*missing || len(short.Away) != 1 || short.Away[0].BE != gone.ID ||
				!strings.Contains(short.String(), absence.why) {
				t.Errorf("%s while a backend %s: %v", what, absence.why, short)
			}
		}
		made := table(w, "p", 2, 2, 3)
		made.Unique = []catalog.UniqueKey{{Name: "u", Columns: []types.ColumnID{2}, Unique: true}}
		_, lacks, err := d.Create(ctx, made)
		short("CREATE TABLE", lacks, err, 8)
		tab := find(t, w, "p")
		lacks, err = d.AddPartition(ctx, tab, catalog.Partition{Name: "later", Replicas: 3, Lower: []byte{9}, Upper: []byte{10}})
		short("ADD PARTITION", lacks, err, 4)
		tab = find(t, w, "p")
		lacks, err = d.Truncate(ctx, tab, []types.PartitionID{tab.Parts[0].ID}, true)
		short("TRUNCATE", lacks, err, 4)
		tab = find(t, w, "p")
		_, lacks, err = d.BeginChange(ctx, tab, tab, []catalog.UniqueKey{{Name: "v", Columns: []types.ColumnID{2}, Unique: true}}, time.Now().Add(time.Hour))
		short("ADD UNIQUE KEY", lacks, err, 6)
		wellMade(t, w, gone.ID)
	}
}

// wellMade checks the tablets of all tables that were made without a BE: two replicas of three, one of them the leader.
func wellMade(t *testing.T, w *fakecluster.Cluster, without types.BEID) {
	t.Helper()
	cat := w.Log.Current()
	for tab := range cat.Tablets() {
		if slices.Contains(w.Tablets, tab.ID) {
			continue
		}
		table, part, _ := cat.TableOfPartition(tab.Partition)
		if tab.Replica(tab.Leader) == nil || tab.Replica(without) != nil || len(tab.Replicas) != 2 || table.Parts[part].Replicas != 3 {
			t.Errorf("tablet %d of %s is led by %d and has %+v, its partition wants %d", tab.ID, table.Name, tab.Leader, tab.Replicas, table.Parts[part].Replicas)
		}
	}
}

func find(t *testing.T, w *fakecluster.Cluster, name string) *catalog.Table {
	t.Helper()
	db, _ := w.Log.Current().Database("d")
	tab, ok := w.Log.Current().Table(db.ID, name)
	if !ok {
		t.Fatalf("no table %s", name)
	}
	return tab
}

// TestTooFewBackends: below a majority, and without one of those that write_quorum ALL asks for, nothing is made.
func TestTooFewBackends(t *testing.T) {
	for _, tc := range []struct {
		replicas, away int
		quorum         types.WriteQuorum
		need           int // 0 = it is made
	}{
		{1, 2, types.QuorumMajority, 0}, {1, 3, types.QuorumMajority, 1},
		{2, 1, types.QuorumMajority, 0}, {2, 2, types.QuorumMajority, 2}, {2, 2, types.QuorumOne, 2},
		{3, 1, types.QuorumMajority, 0}, {3, 2, types.QuorumMajority, 2}, {3, 2, types.QuorumOne, 2}, {3, 1, types.QuorumAll, 3}, {3, 0, types.QuorumAll, 0},
		{5, 0, types.QuorumMajority, 0}, {5, 1, types.QuorumMajority, 3}, // of a table that is older than the loss of two BEs
	} {
		for _, known := range []bool{true, false} {
			w := fakecluster.New(t, 3, 1, types.QuorumMajority)
			for _, be := range w.BEs[:tc.away] {
				if be.Stop(); known {
					w.SetAlive(be.ID, false)
				}
			}
			tab := table(w, "p", 1, 2, tc.replicas)
			tab.Quorum = tc.quorum
			d := ddl.New(w.Log, w.Clients, w)
			d.SetPatience(0)
			_, short, err := d.Create(context.Background(), tab)
			var few *ddl.TooFewError
			switch {
			case tc.need == 0 && (err != nil || short.Missing != 2*max(0, tc.replicas-(3-tc.away))):
				t.Errorf("%+v, known %v: %v, %v", tc, known, short, err)
			case tc.need != 0 && (!errors.As(err, &few) || few.Need != tc.need || len(few.Able) != 3-tc.away || len(few.Away) != tc.away):
				t.Errorf("%+v, known %v: %v", tc, known, err)
			}
		}
	}
}

// TestWaitsForBackendsThatAreComing: an FE that has just begun has not heard of its BEs. What they are needed for waits for them, until it is
// ended or they have had their time; those that are coming and leave are waited for by nobody.
func TestWaitsForBackendsThatAreComing(t *testing.T) {
	w := fakecluster.New(t, 4, 1, types.QuorumMajority)
	d := ddl.New(w.Log, w.Clients, w)
	for i, be := range w.BEs {
		w.SetAlive(be.ID, false)
		left := i + 2
		w.SetComing(be.ID, func() bool {
			if left--; left == 0 {
				w.SetAlive(be.ID, true)
			}
			return left > 0
		})
	}
	w.Log.Must(t, &command.SetBEState{BE: w.BEs[3].ID, Decommission: true})
	w.SetComing(w.BEs[3].ID, func() bool { return true })
	if _, short, err := d.Create(t.Context(), table(w, "p", 1, 1, 3)); err != nil || short.Missing != 0 {
		t.Errorf("made while its BEs are coming: %v, %v", short, err)
	}

	ctx, kill := context.WithCancel(t.Context())
	w.SetAlive(w.BEs[0].ID, false)
	w.SetComing(w.BEs[0].ID, func() bool { kill(); return true })
	if _, _, err := d.Create(ctx, table(w, "q", 1, 1, 3)); !errors.Is(err, context.Canceled) {
		t.Errorf("killed while it waits: %v", err)
	}
}

// TestWaitsForBackendsThatAreRestarting: what cannot go on without BEs that were there a moment ago waits for as many of them as it needs. It does
// not while they could not be enough.
func TestWaitsForBackendsThatAreRestarting(t *testing.T) {
	w := fakecluster.New(t, 4, 1, types.QuorumMajority)
	d := ddl.New(w.Log, w.Clients, w)
	for _, be := range w.BEs[1:] {
		w.SetAlive(be.ID, false)
	}
	looks := 0
	w.SetReturning(w.BEs[1].ID, func() bool {
		if looks++; looks == 3 {
			w.SetAlive(w.BEs[1].ID, true)
		}
		return looks < 3
	})
	_, short, err := d.Create(t.Context(), table(w, "p", 1, 1, 3))
	if err != nil || short.Missing != 1 {
		t.Errorf("made while a BE is restarting: %v, %v", short, err)
	}

	strict := table(w, "strict", 1, 1, 3)
	strict.Quorum = types.QuorumAll
	w.SetReturning(w.BEs[2].ID, func() bool { return true })
	w.Log.Must(t, &command.SetBEState{BE: w.BEs[2].ID, Decommission: true})
	var few *ddl.TooFewError
	if _, _, err = d.Create(t.Context(), strict); !errors.As(err, &few) {
		t.Errorf("with too few, even if those that are restarting come back: %v", err)
	}

	ctx, kill := context.WithCancel(t.Context())
	w.SetReturning(w.BEs[3].ID, func() bool { kill(); return true })
	if _, _, err = d.Create(ctx, strict); !errors.Is(err, context.Canceled) {
		t.Errorf("killed while it waits: %v", err)
	}
}

// TestAsksAnewWhoHasRestarted: a BE that ends while it is asked, before heartbeats tell, is asked again once it is another process.
func TestAsksAnewWhoHasRestarted(t *testing.T) {
	w := fakecluster.New(t, 3, 1, types.QuorumMajority)
	w.SetAlive(w.BEs[2].ID, false)
	ends := w.BEs[1]
	refuses(ends, fakecluster.Ended)
	w.SetReturning(w.BEs[2].ID, func() bool { // asked where the statement waits
		ends.Set(func(b *fakecluster.BE) { b.OnCreate = nil })
		w.Log.Must(t, &command.StartBE{BE: ends.ID, StartMs: 1})
		return false
	})
	if _, short, err := ddl.New(w.Log, w.Clients, w).Create(t.Context(), table(w, "p", 1, 1, 3)); err != nil || short.Missing != 1 {
		t.Errorf("made across the restart of a BE: %v, %v", short, err)
	}
}

// TestEachTryLeavesOutMore: BEs that fail one after the other are gone round as long as there are others, and asked once.
func TestEachTryLeavesOutMore(t *testing.T) {
	w := fakecluster.New(t, 7, 1, types.QuorumMajority)
	for _, be := range w.BEs[:4] {
		refuses(be, fakecluster.Broken)
	}
	_, short, err := ddl.New(w.Log, w.Clients, w).Create(context.Background(), table(w, "p", 1, 1, 3))
	if err != nil || short.Missing != 0 {
		t.Fatalf("%v, %v", short, err)
	}
	for _, be := range w.BEs[:4] {
		be.Seen(func() {
			if len(be.Created) > 1 {
				t.Errorf("be %d was asked %d times", be.ID, len(be.Created))
			}
		})
	}
}

// TestColocatedWithoutABackend: what can lie where the group lies does, and nothing lies elsewhere without need.
func TestColocatedWithoutABackend(t *testing.T) {
	ctx := context.Background()
	for _, bes := range []int{3, 5} {
		w := fakecluster.New(t, bes, 1, types.QuorumMajority)
		d := ddl.New(w.Log, w.Clients, w)
		first := table(w, "a", 1, 4, 3)
		first.Colocate = "g"
		if _, _, err := d.Create(ctx, first); err != nil {
			t.Fatal(err)
		}
		gone := w.BEs[0].ID
		w.SetAlive(gone, false)
		second := table(w, "b", 1, 4, 3)
		second.Colocate = "g"
		if _, _, err := d.Create(ctx, second); err != nil {
			t.Fatal(err)
		}
		homes := map[int32][]types.BEID{}
		for tab := range tablets(t, w, "a") {
			homes[tab.Bucket] = on(tab)
		}
		for tab := range tablets(t, w, "b") {
			if len(tab.Replicas) != min(3, bes-1) {
				t.Errorf("%d BEs: tablet %d has %d replicas", bes, tab.ID, len(tab.Replicas))
			}
			for _, be := range homes[tab.Bucket] {
				if be != gone && tab.Replica(be) == nil {
					t.Errorf("%d BEs: bucket %d is on %v, its group on %v", bes, tab.Bucket, on(tab), homes[tab.Bucket])
				}
			}
		}
	}
}

func on(t *catalog.Tablet) (bes []types.BEID) {
	for i := range t.Replicas {
		bes = append(bes, t.Replicas[i].BE)
	}
	return bes
}

// TestDrainedLeadsNothing: a BE that is to lead nothing gets replicas and no leaders, unless there is nobody else.
func TestDrainedLeadsNothing(t *testing.T) {
	w := fakecluster.New(t, 3, 1, types.QuorumMajority)
	drained := w.BEs[2].ID
	w.Log.Must(t, &command.SetBELeading{BE: drained, Drained: true})
	d := ddl.New(w.Log, w.Clients, w)
	if _, _, err := d.Create(context.Background(), table(w, "p", 3, 3, 3)); err != nil {
		t.Fatal(err)
	}
	if replicas, leaders := spread(t, w, "p"); leaders[drained] != 0 || replicas[drained] != 9 {
		t.Errorf("leaders %v, replicas %v", leaders, replicas)
	}
}

// TestGoesOnWithoutOneThatHangs: a BE that takes the request and says nothing is not waited for until its time is up, and what the others have
// made beside it is dropped. Where every replica is needed it is waited for.
func TestGoesOnWithoutOneThatHangs(t *testing.T) {
	w := fakecluster.New(t, 3, 1, types.QuorumMajority)
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	hangs := w.BEs[1]
	hangs.Set(func(b *fakecluster.BE) {
		b.OnCreate = func(*bepb.CreateReplicasRequest) (*bepb.CreateReplicasResponse, error) {
			<-release
			return nil, fakecluster.Broken
		}
	})
	d := ddl.New(w.Log, w.Clients, w)
	d.SetGrace(0)
	id, short, err := d.Create(context.Background(), table(w, "hung", 2, 1, 3))
	if err != nil {
		t.Fatal(err)
	}
	if short.Missing != 2 || len(short.Away) != 1 || short.Away[0].BE != hangs.ID || !strings.Contains(short.String(), "in time") {
		t.Errorf("the statement lacks %v", short)
	}
	table, _ := w.Log.Current().TableByID(id)
	for _, b := range []*fakecluster.BE{w.BEs[0], w.BEs[2]} {
		b.Seen(func() {
			if len(b.Created) != 2 || len(b.Dropped) != 2 {
				t.Fatalf("backend %d was asked %d times, and dropped %d replicas, want 2 and 2", b.ID, len(b.Created), len(b.Dropped))
			}
			for i, it := range b.Created[0].Items {
				if got := b.Dropped[i]; got.TabletId != it.TabletId || got.ReplicaId != it.ReplicaId || slices.Contains(table.Parts[0].Tablets, types.TabletID(it.TabletId)) {
					t.Errorf("backend %d made %v in vain and dropped %v", b.ID, it, got)
				}
			}
		})
	}
}
