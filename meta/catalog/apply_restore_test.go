package catalog

import (
	"slices"
	"testing"

	"stele/meta/command"
	"stele/meta/types"
)

// TestRestorePassesOverAlters: the columns and schemas of a table that was altered after the backup are on BEs. A column that is
// added now gets none of their values, and BEs take the schema of the backup for the newer one.
func TestRestorePassesOverAlters(t *testing.T) {
	b := newBench(t)
	b.must(table("t", 10400, types.QuorumMajority, tabletA))
	alter := func(expect uint32, id types.ColumnID) *command.AlterColumns {
		return &command.AlterColumns{Table: 10400, ExpectVersion: expect, LastColumn: id,
			Columns: []types.Column{{ID: 1, Name: "k"}, {ID: id, Name: "v"}}}
	}
	backup := b.c
	b.must(alter(1, 2))
	lost := b.c.tables
	b.c = backup
	b.must(&command.RestoreMetadata{KeepFE: 10001})
	was, _ := lost.get(10400)
	now, _ := b.c.tables.get(10400)
	if now.Schema.Version <= was.Schema.Version {
		t.Errorf("schema version %d, BEs know %d", now.Schema.Version, was.Schema.Version)
	}
	fails[*ErrRefused](b, alter(now.Schema.Version, 2))
	b.must(alter(now.Schema.Version, now.HighestColumn()+1))
}

// TestEndRestoreReplacesForks: versions that only backends had which were not waited for are given again. Where these are enough to
// have taken any, what they have is bad as soon as another copy goes on.
func TestEndRestoreReplacesForks(t *testing.T) {
	for _, c := range []struct {
		name   string
		quorum types.WriteQuorum
		told   []types.BEID
		bad    []types.BEID
	}{
		{"one of three", types.QuorumMajority, []types.BEID{be1, be2}, nil},
		{"two of three", types.QuorumMajority, []types.BEID{be1}, []types.BEID{be2, be3}},
		{"three of three", types.QuorumMajority, nil, nil},
		{"one is a quorum", types.QuorumOne, []types.BEID{be1, be2}, []types.BEID{be3}},
		{"all are a quorum", types.QuorumAll, []types.BEID{be1}, nil},
	} {
		b := newBench(t)
		b.must(table("t", 10400, c.quorum, tabletA))
		b.must(&command.RestoreMetadata{KeepFE: 10001})
		for i := range 5 {
			be := be1 + types.BEID(i)
			if tab, _ := b.c.tablets.get(tabletA); tab.Replica(be) == nil || slices.Contains(c.told, be) {
				b.must(&command.AdoptReplicas{BE: be, Last: true})
			}
		}
		b.must(&command.EndRestore{})
		tab, _ := b.c.tablets.get(tabletA)
		var bad []types.BEID
		for _, r := range tab.Replicas {
			if r.Bad {
				bad = append(bad, r.BE)
			}
		}
		if !slices.Equal(bad, c.bad) || b.c.Restoring() != nil {
			t.Errorf("%s: bad on %v, want %v", c.name, bad, c.bad)
		}
		if r := tab.Replica(tab.Leader); tab.Leader != 0 && (r == nil || r.Bad) {
			t.Errorf("%s: a bad replica leads: %+v", c.name, tab)
		}
	}
}

// TestRestoreInPlace: only a sound replica that is ahead of the catalog proves that this is older; then commits of before are refused, and
// what backends tell is believed.
func TestRestoreInPlace(t *testing.T) {
	b := newBench(t)
	b.must(table("t", 10400, types.QuorumMajority, tabletA))
	was, _ := b.c.tablets.get(tabletA)
	proof := command.ReplicaReport{Tablet: tabletA, Replica: r1, BE: be1, Version: was.Version}
	fails[*ErrRefused](b, &command.RestoreInPlace{Proof: proof})
	proof.Version++
	for _, wrong := range []command.ReplicaReport{
		{Tablet: tabletA + 100, Replica: r1, BE: be1, Version: proof.Version}, {Tablet: tabletA, Replica: r2, BE: be1, Version: proof.Version},
		{Tablet: tabletA, Replica: r1, BE: be1, Version: proof.Version, Bad: true},
	} {
		fails[*ErrRefused](b, &command.RestoreInPlace{Proof: wrong})
	}
	for _, made := range []command.ReplicaReport{{Tablet: types.TabletID(b.c.nextID), Replica: r1, BE: be1}, {Tablet: tabletA, Replica: types.ReplicaID(b.c.nextID), BE: be2}} {
		if next, _, err := Apply(b.c, &command.RestoreInPlace{Proof: made}); err != nil || next.Restoring() == nil {
			t.Errorf("an id that was not drawn proves nothing: %v", err)
		}
		made.BE = 10999
		fails[*ErrRefused](b, &command.RestoreInPlace{Proof: made})
	}
	fes := len(slices.Collect(b.c.FEs()))
	b.must(&command.RestoreInPlace{Proof: proof, TimeMs: 7})
	fails[*ErrRefused](b, &command.RestoreInPlace{Proof: proof})
	if r := b.c.Restoring(); r == nil || len(r.Waiting) != 5 || r.SinceMs != 7 || len(slices.Collect(b.c.FEs())) != fes {
		t.Fatalf("restoring: %+v", r)
	}
	if b.c.PassedOver() != 1 {
		t.Errorf("numbers were passed over %d times", b.c.PassedOver())
	}
	if now, _ := b.c.tablets.get(tabletA); now.Epoch <= was.Epoch {
		t.Errorf("a commit of before could go on at epoch %d", now.Epoch)
	}
	b.must(&command.AdoptReplicas{BE: be1, Items: []command.ReplicaReport{proof}, Last: true})
	if now, _ := b.c.tablets.get(tabletA); now.Version != proof.Version || !now.Replica(be1).Complete() || now.Replica(be2).Complete() {
		t.Errorf("the tablet after it was told of: %+v", now)
	}
}

// TestCommitIsNewer: what a replica knows to be committed was given before, or the catalog is an older one and gives nothing.
func TestCommitIsNewer(t *testing.T) {
	b := newBench(t)
	b.must(table("t", 10400, types.QuorumMajority, tabletA))
	was := b.tablet().Version
	for _, known := range []types.Version{0, was} {
		c := b.commit(types.TxnID(2+known), r1, r2)
		c.Tablets[0].Newest = known
		b.must(c)
	}
	c := b.commit(9, r1, r2)
	c.Tablets[0].Newest = was + 3
	if err := fails[*ErrOlder](b, c); err.Tablet != tabletA || err.Version != was+2 || err.Newest != was+3 {
		t.Errorf("refused for %+v", err)
	}
	c.Tablets[0].Newest = was + 2
	b.must(c)
}

// TestCommitNeedsWhatIsWanted: while replicas are still to be made, a commit is in as many as it is in later, if there are so many.
func TestCommitNeedsWhatIsWanted(t *testing.T) {
	for _, c := range []struct {
		quorum              types.WriteQuorum
		wanted, extra, need int
	}{
		{types.QuorumMajority, 3, 0, 2}, {types.QuorumMajority, 4, 0, 3}, {types.QuorumMajority, 5, 0, 3}, {types.QuorumMajority, 9, 0, 3},
		{types.QuorumMajority, 1, 0, 2}, {types.QuorumMajority, 3, 2, 3}, {types.QuorumOne, 5, 0, 1}, {types.QuorumAll, 5, 0, 3}, {types.QuorumAll, 2, 0, 3},
	} {
		b := newBench(t)
		made := table("t", 10400, c.quorum, tabletA)
		made.Table.Parts[0].Replicas = c.wanted
		b.must(made)
		b.must(&command.AdjustReplicas{Tablet: tabletA, Extra: c.extra})
		of, _ := b.c.TableByID(10400)
		if got := of.CommitNeed(b.tablet()); got != c.need {
			t.Errorf("%v of %d + %d, of which there are three: %d, want %d", c.quorum, c.wanted, c.extra, got, c.need)
		}
	}
	b := newBench(t)
	b.must(table("t", 10400, types.QuorumMajority, tabletA))
	c := b.commit(9, r1, r2)
	c.Tablets[0].Need = 3
	if err := fails[*ErrQuorum](b, c); err.Have != 2 || err.Need != 3 {
		t.Errorf("refused for %+v", err)
	}
	c.Tablets[0].OK = append(c.Tablets[0].OK, r3)
	b.must(c)
}
