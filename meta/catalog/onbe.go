package catalog

import (
	"cmp"
	"iter"

	"stele/meta/types"
)

// onBE says which tablets have a replica on a BE: a tree of tablets for each BE. There are as many entries as replicas, so
// each is as small as can be.
type onBE struct {
	bes tree[types.BEID, tree[types.TabletID, struct{}]]
	n   int
}

func newOnBE() onBE {
	return onBE{bes: newTree[types.BEID, tree[types.TabletID, struct{}]](cmp.Compare)}
}

// len is the number of replicas.
func (x onBE) len() int { return x.n }

// count is the number of replicas on one BE.
func (x onBE) count(be types.BEID) int {
	tablets, _ := x.bes.get(be)
	return tablets.len()
}

// set returns the index with a replica of a tablet on be.
func (x onBE) set(o *owner, be types.BEID, id types.TabletID) onBE {
	tablets, ok := x.bes.get(be)
	if !ok {
		tablets = newTree[types.TabletID, struct{}](cmp.Compare)
	}
	return x.put(o, be, tablets, tablets.set(o, id, struct{}{}))
}

// del returns the index without it.
func (x onBE) del(o *owner, be types.BEID, id types.TabletID) onBE {
	tablets, ok := x.bes.get(be)
	if !ok {
		return x
	}
	return x.put(o, be, tablets, tablets.del(o, id))
}

func (x onBE) put(o *owner, be types.BEID, before, after tree[types.TabletID, struct{}]) onBE {
	x.n += after.len() - before.len()
	if after.len() == 0 {
		x.bes = x.bes.del(o, be)
	} else {
		x.bes = x.bes.set(o, be, after)
	}
	return x
}

// on yields the tablets with a replica on be, by id.
func (x onBE) on(be types.BEID) iter.Seq[types.TabletID] {
	return func(yield func(types.TabletID) bool) {
		tablets, _ := x.bes.get(be)
		for id := range tablets.all() {
			if !yield(id) {
				return
			}
		}
	}
}
