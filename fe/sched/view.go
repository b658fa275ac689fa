package sched

import (
	"cmp"
	"slices"

	"stele/meta/types"
)

// View is the cluster at one moment: plain values in dense slices. A Step only reads it.
type View struct {
	BEs     []BE     // by id
	Tablets []Tablet // by id

	index     map[types.BEID]int32
	available int
}

// BE is a backend that belongs to the cluster.
type BE struct {
	ID             types.BEID
	Host           string
	Alive          bool
	Unknown        bool // neither heard of nor missed for long enough since this FE became leader
	Decommissioned bool
	DeadSinceMs    int64 // when it is neither alive nor unknown
	Drained        bool  // an operator wants no leaders on it
	LeaderWeight   int   // its share of leaders in percent of that of others, 0 = 100
	Disks          []Disk
}

// dead tells what is known to be dead, as against not yet heard of.
func (b *BE) dead() bool { return !b.Alive && !b.Unknown }

// Available reports whether the BE may be given replicas and leaders.
func (b *BE) Available() bool { return b.Alive && !b.Decommissioned }

// mayLead reports whether the BE is to be given leaders.
func (b *BE) mayLead() bool { return b.Available() && !b.Drained }

// Disk is a disk of a BE.
type Disk struct {
	ID        types.DiskID
	Medium    types.Medium
	State     types.DiskState
	Total     int64 // bytes
	Available int64 // bytes
	Used      int64 // bytes of Stele's data
}

// Tablet is a tablet with its replicas.
type Tablet struct {
	ID        types.TabletID
	Table     types.TableID
	Partition types.PartitionID
	Want      int // replication_num
	Medium    types.Medium
	Version   types.Version
	Epoch     types.Epoch
	Leader    types.BEID // 0 = none
	Hinted    bool       // an operator wants it first
	Ordered   bool       // an operator's op has it in hand: fill what is there, do nothing else
	Replicas  []Replica
}

// Replica is a copy of a tablet.
type Replica struct {
	ID           types.ReplicaID
	BE           types.BEID
	Disk         types.DiskID // 0 = not known yet
	Role         types.Role
	Bad          bool // its data is damaged
	Lost         bool // its BE has it no more, or its disk is gone
	Offline      bool // an operator has set it aside
	Version      types.Version
	LastFailed   types.Version // 0 = it has every version
	LastFailedMs int64
	Bytes        int64
}

func (r *Replica) damaged() bool { return r.Bad || r.Lost }

// complete reports whether the replica has every version and counts in a quorum.
func (r *Replica) complete() bool {
	return r.Role == types.RoleFollower && !r.damaged() && !r.Offline && r.LastFailed == 0
}

// Bytes is the size of the tablet's largest replica.
func (t *Tablet) Bytes() int64 {
	var n int64
	for i := range t.Replicas {
		n = max(n, t.Replicas[i].Bytes)
	}
	return n
}

// On returns the replica on a BE, or nil.
func (t *Tablet) On(be types.BEID) *Replica {
	for i := range t.Replicas {
		if t.Replicas[i].BE == be {
			return &t.Replicas[i]
		}
	}
	return nil
}

// NewView returns a view; both slices must be sorted by id.
func NewView(bes []BE, tablets []Tablet) *View {
	v := &View{BEs: bes, Tablets: tablets, index: make(map[types.BEID]int32, len(bes))}
	for i := range bes {
		v.index[bes[i].ID] = int32(i)
		if bes[i].Available() {
			v.available++
		}
	}
	return v
}

// BE returns a BE, or nil.
func (v *View) BE(id types.BEID) *BE {
	if i, ok := v.index[id]; ok {
		return &v.BEs[i]
	}
	return nil
}

// Tablet returns a tablet, or nil.
func (v *View) Tablet(id types.TabletID) *Tablet {
	i, ok := slices.BinarySearchFunc(v.Tablets, id, func(t Tablet, id types.TabletID) int { return cmp.Compare(t.ID, id) })
	if !ok {
		return nil
	}
	return &v.Tablets[i]
}

// isCopy reports whether a replica can be read and copied from now: complete, on a live BE.
func (v *View) isCopy(r *Replica) bool {
	if !r.complete() {
		return false
	}
	be := v.BE(r.BE)
	return be != nil && be.Alive
}

// copies counts the replicas of a tablet that can be read and copied from now.
func (v *View) copies(t *Tablet) int {
	n := 0
	for i := range t.Replicas {
		if v.isCopy(&t.Replicas[i]) {
			n++
		}
	}
	return n
}
