package consistency

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"stele/fe/cluster"
	"stele/fe/fakecluster"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
	"stele/proto/bepb"
)

// bench is a catalog with one tablet on n BEs, 1 … n, whose answers are set.
type bench struct {
	mu       sync.Mutex
	cat      *catalog.Catalog
	tablet   types.TabletID
	answers  map[types.BEID]any // digest, or an error
	dead     types.BEID
	reported map[types.BEID]cluster.Replica
	kicked   chan types.TabletID
}

func newBench(t testing.TB, n int) *bench {
	b := &bench{cat: catalog.New(), answers: map[types.BEID]any{}, reported: map[types.BEID]cluster.Replica{}, kicked: make(chan types.TabletID, 100)}
	must := func(cmd command.Command) {
		t.Helper()
		next, _, err := catalog.Apply(b.cat, cmd)
		if err != nil {
			t.Fatal(err)
		}
		b.cat = next
	}
	must(&command.InitCluster{ClusterID: "c", FE: catalog.FE{Name: "fe"}})
	for i := range n {
		must(&command.AddBE{BE: catalog.BE{Host: fmt.Sprint("h", i), Port: 1}})
	}
	must(&command.CreateDatabase{Name: "d"})
	db, _ := b.cat.Database("d")
	bes := slices.Collect(b.cat.BEs())
	first := b.cat.NextID()
	must(&command.AllocIDs{N: 100})
	tbl := catalog.Table{ID: types.TableID(first), DatabaseID: db.ID, Name: "t", Replicas: n, Buckets: 1, HashBy: []types.ColumnID{1},
		Schema: types.Schema{TableID: types.TableID(first), Version: 1, Key: []types.ColumnID{1}, Columns: []types.Column{{ID: 1, Name: "id", Type: types.ColumnType{Kind: types.KindBigInt, NotNull: true}}}},
		Parts:  []catalog.Partition{{ID: types.PartitionID(first + 1), Name: "t", Tablets: []types.TabletID{types.TabletID(first + 2)}, Replicas: n}}}
	tab := catalog.Tablet{ID: types.TabletID(first + 2), Table: tbl.ID, Partition: tbl.Parts[0].ID, Version: 1, Epoch: 1, Leader: bes[0].ID}
	for i, be := range bes {
		tab.Replicas = append(tab.Replicas, catalog.Replica{ID: types.ReplicaID(first + 10 + uint64(i)), BE: be.ID, Version: 1, LastSuccess: 1, Settled: 1})
	}
	must(&command.CreateTable{Table: tbl, Tablets: []catalog.Tablet{tab}})
	b.tablet = tab.ID
	return b
}

func (b *bench) Current() *catalog.Catalog {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cat
}

func (b *bench) Propose(_ context.Context, cmds ...command.Command) ([]catalog.Result, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]catalog.Result, len(cmds))
	for i, cmd := range cmds {
		b.cat, out[i].Value, out[i].Err = catalog.Apply(b.cat, cmd)
	}
	return out, nil
}

func (b *bench) Alive(be types.BEID) bool { return be != b.dead }
func (b *bench) Replica(be types.BEID, _ types.TabletID) (cluster.Replica, bool) {
	r, ok := b.reported[be]
	return r, ok
}

func (b *bench) Digest(_ context.Context, be types.BEID, req *bepb.DigestRequest) (*bepb.DigestResponse, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if tab, _ := b.cat.Tablet(b.tablet); tab.Replica(be).ID != types.ReplicaID(req.ReplicaId) {
		return nil, fakecluster.Behind
	}
	switch a := b.answers[be].(type) {
	case int:
		return &bepb.DigestResponse{Digest: uint64(a), Rows: 1, Version: req.Version}, nil
	case []error: // one a call
		if len(a) > 0 {
			b.answers[be] = a[1:]
			return nil, a[0]
		}
		return &bepb.DigestResponse{Digest: 7, Rows: 1, Version: req.Version}, nil
	case error:
		return nil, a
	}
	return nil, fakecluster.NoReplica
}

func (b *bench) checker() *Checker {
	return New(Options{Log: b, Members: b, Digest: b.Digest, Timeout: func() time.Duration { return time.Minute }, Logger: slog.New(slog.DiscardHandler),
		Kick: func(ids ...types.TabletID) { b.kicked <- ids[0] }})
}

func TestCheckAndAct(t *testing.T) {
	for _, c := range []struct {
		name    string
		answers []any
		dead    int // replica whose BE does not answer, from 1
		want    string
		marked  int
	}{
		{"all agree", []any{7, 7, 7}, 0, "OK OK OK", 0},
		{"a minority", []any{7, 8, 7}, 0, "OK DIVERGED OK", 1},
		{"two of five", []any{7, 8, 7, 9, 7}, 0, "OK DIVERGED OK DIVERGED OK", 2},
		{"no majority", []any{7, 8}, 0, "UNDECIDED UNDECIDED", 0},
		{"half is none", []any{7, 7, 8, 8}, 0, "UNDECIDED UNDECIDED UNDECIDED UNDECIDED", 0},
		{"the third may decide, but is away", []any{7, 8, 7}, 3, "UNDECIDED UNDECIDED SKIPPED", 0},
		{"damaged", []any{7, fakecluster.Corrupt, 7}, 0, "OK UNREADABLE OK", 1},
		{"damaged, the others differ", []any{7, fakecluster.Corrupt, 8}, 0, "UNDECIDED UNREADABLE UNDECIDED", 1},
		{"one has dropped the version at first", []any{7, []error{fakecluster.Gone}, 7}, 0, "OK OK OK", 0},
		{"only one", []any{7}, 0, "OK", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, len(c.answers))
			tab, _ := b.cat.Tablet(b.tablet)
			for i, a := range c.answers {
				b.answers[tab.Replicas[i].BE] = a
			}
			if c.dead > 0 {
				b.dead = tab.Replicas[c.dead-1].BE
			}
			ch := b.checker()
			r, err := ch.Check(context.Background(), b.tablet, true)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, rep := range r.Replicas {
				got = append(got, rep.Verdict.String())
				if strings.Contains(rep.Why, "rpc error") {
					t.Errorf("the words of the protocol are in the reason %q", rep.Why)
				}
			}
			if s := strings.Join(got, " "); s != c.want {
				t.Fatalf("verdicts %s, want %s", s, c.want)
			}
			marked, err := ch.Act(context.Background(), &r, "ann")
			if err != nil || marked != c.marked {
				t.Fatalf("%d marked, want %d: %v", marked, c.marked, err)
			}
			b.checkMarks(t, got, c.marked)
			if again, _ := ch.Act(context.Background(), &r, "ann"); again != 0 {
				t.Errorf("%d marked twice", again)
			}
		})
	}
}

// checkMarks looks for what the catalog must say after a comparison.
func (b *bench) checkMarks(t *testing.T, verdicts []string, marked int) {
	t.Helper()
	tab, _ := b.cat.Tablet(b.tablet)
	for i := range tab.Replicas {
		if want := verdicts[i] == "DIVERGED" || verdicts[i] == "UNREADABLE"; tab.Replicas[i].Bad != want {
			t.Errorf("replica %d is bad: %v", i, tab.Replicas[i].Bad)
		}
	}
	hint, hinted := b.cat.Hint(tab.Partition)
	ops := slices.Collect(b.cat.Ops())
	if hinted != (marked > 0) || hinted && hint.Owner != "ann" || len(ops) != marked {
		t.Errorf("hint %+v, operations %v", hint, ops)
	}
}

// TestDivergenceIsFoundByItself reports digests as BEs do, and waits for the mark.
func TestDivergenceIsFoundByItself(t *testing.T) {
	b := newBench(t, 3)
	tab, _ := b.cat.Tablet(b.tablet)
	for i, digest := range []int{7, 7, 9} {
		be := tab.Replicas[i].BE
		b.answers[be] = digest
		b.reported[be] = cluster.Replica{ID: tab.Replicas[i].ID, DigestVersion: 1, Digest: uint64(digest), DigestSchema: 1}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { b.checker().Run(ctx) })
	if id := <-b.kicked; id != b.tablet {
		t.Fatalf("kicked %d", id)
	}
	tab, _ = b.Current().Tablet(b.tablet)
	if !tab.Replicas[2].Bad || tab.Replicas[0].Bad {
		t.Fatalf("%+v", tab.Replicas)
	}
}

func TestReportsThatCannotBeCompared(t *testing.T) {
	b := newBench(t, 3)
	tab, _ := b.cat.Tablet(b.tablet)
	ch := b.checker()
	set := func(i int, version types.Version, digest uint64, schema uint32) {
		b.reported[tab.Replicas[i].BE] = cluster.Replica{ID: tab.Replicas[i].ID, DigestVersion: version, Digest: digest, DigestSchema: schema}
	}
	set(0, 5, 1, 1)
	set(1, 4, 2, 1) // another version
	set(2, 5, 3, 2) // another schema
	if ch.differs(tab) {
		t.Error("digests of different versions or schemas are compared")
	}
	set(1, 5, 2, 1)
	if !ch.differs(tab) {
		t.Error("a difference is not seen")
	}
	b.reported[tab.Replicas[1].BE] = cluster.Replica{ID: 99, DigestVersion: 5, Digest: 2, DigestSchema: 1}
	if ch.differs(tab) {
		t.Error("what was reported of an older replica counts")
	}
}

func TestMarksAreBounded(t *testing.T) {
	ch := newBench(t, 1).checker()
	now := time.Now()
	for range marksPerMinute {
		if err := ch.permit(1, now); err != nil {
			t.Fatal(err)
		}
	}
	if ch.permit(1, now) == nil || ch.permit(1, now.Add(2*time.Minute)) != nil {
		t.Error("the bound does not hold for a minute")
	}
}

// TestJudge: whoever is marked is in a minority, and a majority is never marked.
func TestJudge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 7).Draw(t, "n")
		replicas := make([]Replica, n)
		votes, voters := map[uint64]int{}, 0
		for i := range replicas {
			replicas[i] = Replica{Digest: rapid.Uint64Range(1, 3).Draw(t, "digest"), Verdict: rapid.SampledFrom([]Verdict{Agrees, Agrees, Agrees, Skipped, Unreadable}).Draw(t, "v")}
			if replicas[i].Verdict == Agrees {
				votes[replicas[i].Digest]++
				voters++
			}
		}
		judge(replicas)
		for _, r := range replicas {
			most := 2*votes[r.Digest] > voters
			switch {
			case r.Verdict == Diverges && (most || len(votes) < 2), r.Verdict == Undecided && most, r.Verdict == Agrees && len(votes) > 1 && !most:
				t.Fatalf("%+v: %d of %d hold it", r, votes[r.Digest], voters)
			}
		}
	})
}
