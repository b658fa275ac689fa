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
}

// beLoad counts what a BE has.
type beLoad struct {
	be       types.BEID
	host     string
	location string // its host where nobody has said
	replicas int
	leaders  int
}

// placement counts replicas and leaders of the BEs that may get new replicas, by id.
func (d *Tables) placement(avoid map[types.BEID]bool) *placement {
	cat := d.log.Current()
	pl := &placement{cat: cat, cuts: map[[2]types.BEID]bool{}}
	for be := range cat.BEs() {
		if be.Decommission || avoid[be.ID] || !d.live.Alive(be.ID) || !d.live.Stores(be.ID) {
			continue
		}
		l := &beLoad{be: be.ID, host: be.Host, location: "host " + be.Host}
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

// place makes the tablets of a partition: replicas go to the BEs with the fewest, each to a location and host of its own as far
// as there are any, or to where the tablet of the same bucket of their group is (homes); leaders are spread evenly.
func (pl *placement) place(table types.TableID, p *catalog.Partition, buckets int, homes [][]types.BEID, ids *idRange) ([]catalog.Tablet, error) {
	if len(pl.load) < p.Replicas {
		alive := make([]types.BEID, len(pl.load))
		for i, l := range pl.load {
			alive[i] = l.be
		}
		slices.Sort(alive)
		return nil, &TooFewError{Want: p.Replicas, Alive: alive}
	}
	tablets := make([]catalog.Tablet, buckets)
	p.Tablets = make([]types.TabletID, buckets)
	for b := range tablets {
		chosen := pl.home(homes, b, p.Replicas)
		if chosen == nil {
			chosen = pl.choose(p.Replicas)
		}
		t := catalog.Tablet{ID: types.TabletID(ids.next()), Table: table, Partition: p.ID, Bucket: int32(b),
			Version: types.InitialVersion, Epoch: 1}
		leader := slices.MinFunc(chosen, func(x, y *beLoad) int {
			return cmp.Or(pl.unreached(x, chosen)-pl.unreached(y, chosen), x.leaders-y.leaders)
		})
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

// choose picks n BEs, those with the fewest replicas first: of different locations, then of different hosts, then any. Each time those that
// reach one another come before the others: one that does not reach the leader would miss every write.
func (pl *placement) choose(n int) []*beLoad {
	slices.SortStableFunc(pl.load, func(x, y *beLoad) int { return x.replicas - y.replicas })
	var chosen []*beLoad
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

// home returns the BEs that a tablet of a colocated table belongs on, nil when they cannot all take it.
func (pl *placement) home(homes [][]types.BEID, bucket, n int) []*beLoad {
	if bucket >= len(homes) || len(homes[bucket]) != n {
		return nil
	}
	var chosen []*beLoad
	for _, be := range homes[bucket] {
		i := slices.IndexFunc(pl.load, func(l *beLoad) bool { return l.be == be })
		if i < 0 {
			return nil
		}
		chosen = append(chosen, pl.load[i])
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
