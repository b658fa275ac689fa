package tabletctl

import (
	"math"
	"slices"

	"stele/meta/catalog"
	"stele/meta/types"
)

// groups are the colocated tables. The first partition of the table that came into a group first leads: its tablets are repaired and
// balanced like any other, and the tablets of the same bucket in all other partitions belong on the same BEs.
type groups struct {
	cat   *catalog.Catalog
	leads map[types.PartitionID][]types.TabletID     // of a partition that follows: the leading tablets, by bucket
	trail map[types.PartitionID][]*catalog.Partition // of a partition that leads: those that follow
}

type groupKey struct {
	db   types.DatabaseID
	name string
}

// Group is one group of colocated tables, in the order in which they came into it.
type Group struct {
	DB     types.DatabaseID
	Name   string
	Tables []*catalog.Table
	Leads  []types.TabletID // the tablets that all others follow, by bucket
}

// Groups lists the groups of a catalog by their oldest table.
func Groups(cat *catalog.Catalog) []Group {
	var out []Group
	at := map[groupKey]int{}
	for t := range cat.AllTables() {
		if t.Colocate == "" {
			continue
		}
		k := groupKey{t.DatabaseID, t.Colocate}
		i, ok := at[k]
		if !ok {
			i, at[k] = len(out), len(out)
			out = append(out, Group{DB: t.DatabaseID, Name: t.Colocate})
		}
		out[i].Tables = append(out[i].Tables, t)
	}
	for i := range out {
		g := &out[i]
		slices.SortStableFunc(g.Tables, func(a, b *catalog.Table) int {
			if a.LeadsGroup(b) {
				return -1
			}
			return 1
		})
		if at := slices.IndexFunc(g.Tables, func(t *catalog.Table) bool { return len(t.Parts) > 0 }); at >= 0 {
			g.Leads = g.Tables[at].Parts[0].Tablets
		}
	}
	return out
}

// load finds the groups of a catalog.
func (g *groups) load(cat *catalog.Catalog) {
	g.cat, g.leads, g.trail = cat, map[types.PartitionID][]types.TabletID{}, map[types.PartitionID][]*catalog.Partition{}
	for _, group := range Groups(cat) {
		var first types.PartitionID
		for _, t := range group.Tables {
			for i := range t.Parts {
				if first == 0 {
					first = t.Parts[i].ID
					continue
				}
				g.leads[t.Parts[i].ID] = group.Leads
				g.trail[first] = append(g.trail[first], &t.Parts[i])
			}
		}
	}
}

// assigned are the BEs that a tablet belongs on, nil when it follows none: those of the leading tablet's sound followers.
// While that has too few of them, its learners count as well, so that both are repaired to the same BEs at once.
func (g *groups) assigned(t *catalog.Tablet, want int) []types.BEID {
	leads := g.leads[t.Partition]
	if int(t.Bucket) >= len(leads) {
		return nil
	}
	lead, ok := g.cat.Tablet(leads[t.Bucket])
	if !ok {
		return nil
	}
	var out []types.BEID
	for _, role := range [...]types.Role{types.RoleFollower, types.RoleLearner} {
		for i := range lead.Replicas {
			r := &lead.Replicas[i]
			if be, ok := g.cat.BE(r.BE); ok && r.Role == role && !r.Bad && !be.Decommission && len(out) < want {
				out = append(out, r.BE)
			}
		}
	}
	return out
}

// behind counts the tablets that follow a leading one, and what one replica of each takes by what BEs have reported.
func (g *groups) behind(t *catalog.Tablet, cl Cluster) (n uint16, bytes int64) {
	for _, p := range g.trail[t.Partition] {
		if int(t.Bucket) >= len(p.Tablets) || n == math.MaxUint16 {
			continue
		}
		follower, ok := g.cat.Tablet(p.Tablets[t.Bucket])
		if !ok {
			continue
		}
		n++
		var largest int64
		for i := range follower.Replicas {
			r, _ := cl.Replica(follower.Replicas[i].BE, follower.ID)
			largest = max(largest, r.Bytes)
		}
		bytes += largest
	}
	return n, bytes
}
