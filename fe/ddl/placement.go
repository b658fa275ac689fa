package ddl

import (
	"slices"

	"stele/meta/catalog"
	"stele/meta/types"
)

// placement spreads the tablets of one statement over the BEs. Its choice follows from the catalog and what it has
// placed so far alone.
type placement struct{ load []*beLoad }

// beLoad counts what a BE has.
type beLoad struct {
	be       types.BEID
	replicas int
	leaders  int
}

// placement counts replicas and leaders of the BEs that may get new replicas, by id.
func (d *Tables) placement(avoid map[types.BEID]bool) *placement {
	cat := d.log.Current()
	pl := &placement{}
	for be := range cat.BEs() {
		if be.Decommission || avoid[be.ID] || !d.live.Alive(be.ID) || !d.live.Stores(be.ID) {
			continue
		}
		l := &beLoad{be: be.ID}
		for t := range cat.TabletsOn(be.ID) {
			l.replicas++
			if t.Leader == be.ID {
				l.leaders++
			}
		}
		pl.load = append(pl.load, l)
	}
	return pl
}

// place makes the tablets of a partition: replicas go to the BEs with the fewest, leaders are spread evenly.
func (pl *placement) place(table types.TableID, p *catalog.Partition, buckets int, ids *idRange) ([]catalog.Tablet, error) {
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
		slices.SortStableFunc(pl.load, func(x, y *beLoad) int { return x.replicas - y.replicas })
		chosen := slices.Clone(pl.load[:p.Replicas])
		t := catalog.Tablet{ID: types.TabletID(ids.next()), Table: table, Partition: p.ID, Bucket: int32(b),
			Version: types.InitialVersion, Epoch: 1}
		leader := slices.MinFunc(chosen, func(x, y *beLoad) int { return x.leaders - y.leaders })
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
