package ddl

import (
	"cmp"
	"slices"

	"stele/meta/catalog"
	"stele/meta/types"
)

// placement spreads the tablets of one statement over the BEs. Its choice follows from the catalog and what it has
// placed so far alone.
type placement struct {
	cat  *catalog.Catalog
	load []*beLoad
	cuts map[[2]types.BEID]bool // pairs that do not reach one another, the smaller id first
	// short counts the replicas that nobody could be given, and says who could not take any.
	short Shortage
	// needs is how many of its replicas each tablet that was placed needs.
	needs map[types.TabletID]int
}

// beLoad counts what a BE has.
type beLoad struct {
	be       types.BEID
	host     string
	location string // its host where nobody has said
	replicas int
	leaders  int
	drained  bool // an operator wants no leaders there
}

// placement counts replicas and leaders of the BEs that may get new replicas, by id. failed are those that have not made what they were
// asked for by this statement, and why.
func (d *Tables) placement(failed map[types.BEID]failure) *placement {
	cat := d.log.Current()
	pl := &placement{cat: cat, cuts: map[[2]types.BEID]bool{}, needs: map[types.TabletID]int{}}
	for be := range cat.BEs() {
		if !d.live.Stores(be.ID) {
			continue
		}
		if why := d.away(be, failed); why != "" {
			pl.short.Away = append(pl.short.Away, Away{be.ID, why})
			continue
		}
		l := &beLoad{be: be.ID, host: be.Host, location: "host " + be.Host, drained: be.Drained}
		if be.Location != "" {
			l.location = be.Location
		}
		for t := range cat.TabletsOn(be.ID) {
			l.replicas++
			if t.Leader == be.ID {
				l.leaders++
			}
		}
		pl.load = append(pl.load, l)
		for _, other := range d.live.Unreached(be.ID) {
			pl.cuts[[2]types.BEID{min(be.ID, other), max(be.ID, other)}] = true
		}
	}
	return pl
}

// away says why a BE cannot be given replicas now, "" = it can.
func (d *Tables) away(be *catalog.BE, failed map[types.BEID]failure) string {
	switch {
	case be.Decommission:
		return "is being decommissioned"
	case failed[be.ID].why != "":
		return failed[be.ID].why
	case !d.live.Alive(be.ID):
		return "does not answer"
	case !d.live.Takes(be.ID):
		return "has no disk that takes new replicas"
	}
	return ""
}

// place makes the tablets of a partition: replicas go to the BEs with the fewest, each to a location and host of its own as far
// as there are any, or to where the tablet of the same bucket of their group is (homes); leaders are spread evenly. A tablet gets as many
// replicas as there are BEs for now, but not less than it needs.
func (pl *placement) place(table *catalog.Table, p *catalog.Partition, buckets int, homes [][]types.BEID, ids *idRange) ([]catalog.Tablet, error) {
	need, n := needed(table.Quorum, p.Replicas), min(p.Replicas, len(pl.load))
	if n < need {
		return nil, &TooFewError{Want: p.Replicas, Need: need, Quorum: table.Quorum, Able: pl.able(), Away: pl.short.Away}
	}
	pl.short.Replicas, pl.short.Missing = pl.short.Replicas+buckets*p.Replicas, pl.short.Missing+buckets*(p.Replicas-n)
	tablets := make([]catalog.Tablet, buckets)
	p.Tablets = make([]types.TabletID, buckets)
	for b := range tablets {
		chosen := pl.choose(pl.home(homes, b, n), n)
		t := catalog.Tablet{ID: types.TabletID(ids.next()), Table: table.ID, Partition: p.ID, Bucket: int32(b),
			Version: types.InitialVersion, Epoch: 1}
		leader := slices.MinFunc(chosen, func(x, y *beLoad) int {
			return cmp.Or(pl.unreached(x, chosen)-pl.unreached(y, chosen), x.reluctance()-y.reluctance(), x.leaders-y.leaders)
		})
		pl.needs[t.ID] = need
		leader.leaders++
		t.Leader = leader.be
		for _, l := range chosen {
			l.replicas++
			t.Replicas = append(t.Replicas, catalog.Replica{ID: types.ReplicaID(ids.next()), BE: l.be, Version: types.InitialVersion,
				LastSuccess: types.InitialVersion, Settled: types.InitialVersion})
		}
		tablets[b], p.Tablets[b] = t, t.ID
	}
	return tablets, nil
}

// reluctance is 1 for a BE that is given a leader only where there is no other.
func (l *beLoad) reluctance() int {
	if l.drained {
		return 1
	}
	return 0
}

// able lists the BEs that can be given replicas.
func (pl *placement) able() []types.BEID {
	out := make([]types.BEID, len(pl.load))
	for i, l := range pl.load {
		out[i] = l.be
	}
	slices.Sort(out)
	return out
}

// choose adds to the chosen BEs until there are n, those with the fewest replicas first: of different locations, then of different hosts,
// then any. Each time those that reach one another come before the others: one that does not reach the leader would miss every write.
func (pl *placement) choose(chosen []*beLoad, n int) []*beLoad {
	slices.SortStableFunc(pl.load, func(x, y *beLoad) int { return x.replicas - y.replicas })
	for _, clash := range [...]func(x, y *beLoad) bool{
		func(x, y *beLoad) bool { return x.location == y.location || x.host == y.host },
		func(x, y *beLoad) bool { return x.location == y.location },
		func(x, y *beLoad) bool { return x.host == y.host },
		func(x, y *beLoad) bool { return x == y },
	} {
		for _, reach := range [...]bool{true, false} {
			for _, l := range pl.load {
				if len(chosen) < n && !slices.ContainsFunc(chosen, func(c *beLoad) bool { return c == l || clash(c, l) || reach && pl.cut(c, l) }) {
					chosen = append(chosen, l)
				}
			}
		}
	}
	return chosen
}

// cut reports whether two BEs do not reach one another.
func (pl *placement) cut(x, y *beLoad) bool {
	return len(pl.cuts) > 0 && pl.cuts[[2]types.BEID{min(x.be, y.be), max(x.be, y.be)}]
}

// unreached counts those of some BEs that one does not reach.
func (pl *placement) unreached(l *beLoad, others []*beLoad) (n int) {
	for _, o := range others {
		if pl.cut(l, o) {
			n++
		}
	}
	return n
}

// home returns those of the BEs that a tablet of a colocated table belongs on which can take it, n at the most.
func (pl *placement) home(homes [][]types.BEID, bucket, n int) []*beLoad {
	if bucket >= len(homes) {
		return nil
	}
	var chosen []*beLoad
	for _, be := range homes[bucket] {
		if i := slices.IndexFunc(pl.load, func(l *beLoad) bool { return l.be == be }); i >= 0 && len(chosen) < n {
			chosen = append(chosen, pl.load[i])
		}
	}
	return chosen
}

// homes are the BEs by bucket that the tablets of a colocated table belong on: those of the first partition of the table that
// leads its group. nil = it is the first of its group, or in none.
func (pl *placement) homes(t *catalog.Table) [][]types.BEID {
	if t.Colocate == "" {
		return nil
	}
	var lead *catalog.Table
	for other := range pl.cat.Tables(t.DatabaseID) {
		if other.Colocate == t.Colocate && len(other.Parts) > 0 && (lead == nil || other.LeadsGroup(lead)) {
			lead = other
		}
	}
	if lead == nil {
		return nil
	}
	var out [][]types.BEID
	for tab := range pl.cat.TabletsOf(&lead.Parts[0]) {
		out = append(out, votersOf(tab))
	}
	return out
}

func votersOf(t *catalog.Tablet) []types.BEID {
	var bes []types.BEID
	for i := range t.Replicas {
		if r := &t.Replicas[i]; r.Role == types.RoleFollower && !r.Bad {
			bes = append(bes, r.BE)
		}
	}
	return bes
}
