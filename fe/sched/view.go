package sched

import "stele/meta/types"

// View is the cluster at one moment: plain values in dense slices. A Step only reads it.
type View struct {
	BEs     []BE     // by id
	Tablets []Tablet // by id

	index     beIndex
	cuts      []cutPair
	available int
	places    int    // locations with an available BE
	media     [2]int // available BEs with an online disk of a medium
}

// BE is a backend that belongs to the cluster.
type BE struct {
	ID             types.BEID
	Host           string
	Zone           string // where it stands, "" = nobody has said
	Alive          bool
	Unknown        bool // neither heard of nor missed for long enough since this FE became leader
	Decommissioned bool
	NoStorage      bool         // it has no disks, and is there for queries alone
	DeadSinceMs    int64        // when it is neither alive nor unknown
	Drained        bool         // an operator wants no leaders on it
	LeaderWeight   int          // its share of leaders in percent of that of others, 0 = 100
	Unreached      []types.BEID // that are well for this FE, and have given this BE no sign for some time although they owed one
	Disks          []Disk

	place int32 // its zone, else its host, as a number of the View
}

// dead tells what is known to be dead, as against not yet heard of.
func (b *BE) dead() bool { return !b.Alive && !b.Unknown }

// Available reports whether the BE may be given replicas and leaders.
func (b *BE) Available() bool { return b.Alive && !b.Decommissioned && !b.NoStorage }

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
	Refuses   bool  // writes: its BE says so
	Failed    bool  // it does until its BE has opened it anew, however much room it has
	// FullSinceMs is since when it is full (MarkFull), 0 = it is not.
	FullSinceMs int64
	// Leave says that it has failed for so long that complete replicas leave it, too (MarkFull).
	Leave bool
}

// Tablet is a tablet with its replicas.
type Tablet struct {
	ID        types.TabletID
	Table     types.TableID
	Partition types.PartitionID
	Want      int // replication_num
	Version   types.Version
	Epoch     types.Epoch
	Leader    types.BEID // 0 = none
	Medium    types.Medium
	Hinted    bool // an operator wants it first
	Ordered   bool // an operator's op has it in hand: fill what is there, do nothing else
	// Trail is how many tablets follow this one wherever it goes, those of the same bucket in the rest of its colocate group, and
	// TrailBytes what one replica of each of them takes.
	Trail      uint16
	TrailBytes int64
	// Assigned are the BEs that a colocated tablet belongs on, because the tablet that its group follows is there; nil =
	// the tablet is on its own.
	Assigned []types.BEID
	Replicas []Replica
}

// Replica is a copy of a tablet.
type Replica struct {
	ID         types.ReplicaID
	BE         types.BEID
	Disk       types.DiskID // 0 = not known yet
	Version    types.Version
	LastFailed types.Version // 0 = it has every version
	Bytes      int64
	Role       types.Role
	Bad        bool // its data is damaged
	Lost       bool // its BE has it no more, or its disk is gone
	Offline    bool // an operator has set it aside
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

// beIndex finds the position of a BE by its id: a hash table that is quick to make and quicker to ask, for a check of all
// tablets asks for every replica.
type beIndex struct {
	keys []types.BEID // 0 = empty
	pos  []int32
	mask uint64
}

func newBEIndex(bes []BE) beIndex {
	size := 8
	for size < 2*len(bes) {
		size *= 2
	}
	x := beIndex{keys: make([]types.BEID, size), pos: make([]int32, size), mask: uint64(size - 1)}
	for i := range bes {
		at := x.hash(bes[i].ID)
		for x.keys[at] != 0 {
			at = (at + 1) & x.mask
		}
		x.keys[at], x.pos[at] = bes[i].ID, int32(i)
	}
	return x
}

func (x *beIndex) hash(id types.BEID) uint64 { return uint64(id) * 0x9E3779B97F4A7C15 >> 20 & x.mask }

// at returns the position of a BE.
func (x *beIndex) at(id types.BEID) (int32, bool) {
	if len(x.keys) == 0 || id == 0 {
		return 0, false
	}
	for at := x.hash(id); x.keys[at] != 0; at = (at + 1) & x.mask {
		if x.keys[at] == id {
			return x.pos[at], true
		}
	}
	return 0, false
}

// NewView returns a view; both slices must be sorted by id.
func NewView(bes []BE, tablets []Tablet) *View {
	v := &View{BEs: bes, Tablets: tablets, index: newBEIndex(bes)}
	v.cuts = findCuts(bes, &v.index)
	numbers, open := map[string]int32{}, map[int32]bool{}
	for i := range bes {
		be := &bes[i]
		name := "host " + be.Host
		if be.Zone != "" {
			name = "zone " + be.Zone
		}
		place, ok := numbers[name]
		if !ok {
			place = int32(len(numbers))
			numbers[name] = place
		}
		be.place = place
		if !be.Available() {
			continue
		}
		v.available++
		if !open[place] {
			open[place] = true
			v.places++
		}
		for m := range v.media {
			if be.has(types.Medium(m)) {
				v.media[m]++
			}
		}
	}
	return v
}

// has reports whether the BE has an online disk of a medium.
func (b *BE) has(m types.Medium) bool {
	for i := range b.Disks {
		if b.Disks[i].State == types.DiskOnline && b.Disks[i].Medium == m {
			return true
		}
	}
	return false
}

// disk returns a disk of the BE, or nil.
func (b *BE) disk(id types.DiskID) *Disk {
	for i := range b.Disks {
		if b.Disks[i].ID == id {
			return &b.Disks[i]
		}
	}
	return nil
}

// diskStays reports whether a replica may stay on its disk: it is not being emptied, has not failed for long, and is of the right medium unless
// that medium is nowhere else to be had.
func (v *View) diskStays(t *Tablet, r *Replica, be *BE) bool {
	d := be.disk(r.Disk)
	if d == nil {
		return true
	}
	if d.State == types.DiskDecommissioned || d.Leave {
		return false
	}
	return d.Medium == t.Medium || !be.has(t.Medium) && v.media[t.Medium] < t.Want
}

// BE returns a BE, or nil.
func (v *View) BE(id types.BEID) *BE {
	if i, ok := v.index.at(id); ok {
		return &v.BEs[i]
	}
	return nil
}

// Tablet returns a tablet, or nil.
func (v *View) Tablet(id types.TabletID) *Tablet {
	if i, ok := v.position(id); ok {
		return &v.Tablets[i]
	}
	return nil
}

// position finds a tablet. Written out, for the generic search copies what it compares.
func (v *View) position(id types.TabletID) (int, bool) {
	lo, hi := 0, len(v.Tablets)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if v.Tablets[mid].ID < id {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, lo < len(v.Tablets) && v.Tablets[lo].ID == id
}

// isCopy reports whether a replica can be read and copied from now: complete, on a live BE.
func (v *View) isCopy(r *Replica) bool {
	if !r.complete() {
		return false
	}
	be := v.BE(r.BE)
	return be != nil && be.Alive
}

// sharesPlace reports whether a BE is in the location of another replica than leaving (nil = of any that stays).
func (v *View) sharesPlace(t *Tablet, be *BE, leaving *Replica) bool {
	for i := range t.Replicas {
		r := &t.Replicas[i]
		if other := v.BE(r.BE); r != leaving && other != nil && other.place == be.place && (leaving != nil || v.remains(r, other)) {
			return true
		}
	}
	return false
}

// sharesHost reports whether a BE is on the host of another replica than leaving (nil = of any that stays).
func (v *View) sharesHost(t *Tablet, be *BE, leaving *Replica) bool {
	for i := range t.Replicas {
		r := &t.Replicas[i]
		if other := v.BE(r.BE); r != leaving && other != nil && other.Host == be.Host && (leaving != nil || v.remains(r, other)) {
			return true
		}
	}
	return false
}

// remains reports whether a replica is there to stay: what is dead, leaving or damaged leaves its location free.
func (v *View) remains(r *Replica, be *BE) bool {
	return !be.dead() && !be.Decommissioned && !r.damaged()
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
