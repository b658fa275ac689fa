package tabletctl

import (
	"slices"
	"time"

	"stele/fe/cluster"
	"stele/fe/ops"
	"stele/fe/sched"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
)

const (
	unknownGrace  = 10 * time.Second // a BE that this FE has never heard of counts as dead after this
	diskGoneGrace = 5 * time.Second  // a disk that is not reported counts as gone after this
	syncShare     = 20               // looking through the whole catalog takes at most one part in so many of the time
)

// world keeps the View up to date: what has not changed is not converted again. The catalog's tablets are immutable,
// so an equal pointer is an equal tablet.
type world struct {
	start    time.Time
	tablets  []sched.Tablet
	sources  []*catalog.Tablet // of tablets, by position
	syncedAt time.Time
	syncTook time.Duration
	scanAt   time.Time
	starts   map[types.BEID]time.Time
	absent   map[beDisk]time.Time            // disks with replicas that their BE does not report, and since when
	disks    map[beDisk]bool                 // usable disks, as reported last
	full     sched.FullDisks                 // as of the last step
	lost     map[lostReplica]types.ReplicaID // which replica was lost: a newer one on the same BE is not
	parts    map[types.PartitionID]partition
	groups   groups
	ordered  map[types.TabletID]bool // that operators' ops have in hand
}

type beDisk struct {
	be   types.BEID
	disk types.DiskID
}

type lostReplica struct {
	be     types.BEID
	tablet types.TabletID
}

// partition is what the tablets of a partition have in common.
type partition struct {
	want   int
	medium types.Medium
	hinted bool
}

func newWorld(now time.Time) world {
	return world{start: now, starts: map[types.BEID]time.Time{}, absent: map[beDisk]time.Time{}, lost: map[lostReplica]types.ReplicaID{}}
}

// input brings the View up to date and puts the scheduler's input together.
func (w *world) input(cat *catalog.Catalog, cl Cluster, in inbox, l sched.Limits, now time.Time) sched.Input {
	bes, restarted := w.backends(cat, cl, now)
	w.full = sched.MarkFull(bes, w.full, l, now.UnixMilli())
	before := w.ordered
	w.ordered = ops.Ordered(cat.Ops())
	for id := range before {
		if !w.ordered[id] { // what is left over is the scheduler's again
			in.dirty = noted(in.dirty, id)
		}
	}
	for id := range w.ordered {
		if !before[id] {
			in.dirty = noted(in.dirty, id)
		}
	}
	scan := !now.Before(w.scanAt)
	if scan {
		w.scanAt = now.Add(time.Duration(l.ScanMs) * time.Millisecond)
	}
	dirty := make([]types.TabletID, 0, len(in.dirty))
	for id := range in.dirty {
		dirty = append(dirty, id)
	}
	slices.Sort(dirty)
	if scan || in.nodes || now.Sub(w.syncedAt) >= max(idleMax, syncShare*w.syncTook) {
		begun := time.Now()
		dirty = append(dirty, w.sync(cat, cl, now, scan || in.nodes)...)
		w.syncedAt, w.syncTook = now, time.Since(begun)
		slices.Sort(dirty)
		dirty = slices.Compact(dirty)
	} else {
		w.refresh(cat, cl, dirty, now)
	}
	return sched.Input{NowMs: now.UnixMilli(), View: sched.NewView(bes, w.tablets), Dirty: dirty, Scan: scan, Outcomes: in.outcomes,
		Restarted: restarted, Limits: l}
}

func noted(dirty map[types.TabletID]struct{}, id types.TabletID) map[types.TabletID]struct{} {
	if dirty == nil {
		dirty = map[types.TabletID]struct{}{}
	}
	dirty[id] = struct{}{}
	return dirty
}

// backends converts the BEs, and finds those that have restarted.
func (w *world) backends(cat *catalog.Catalog, cl Cluster, now time.Time) ([]sched.BE, []types.BEID) {
	bes := make([]sched.BE, 0, cat.BECount())
	var restarted []types.BEID
	before := w.disks
	w.disks = make(map[beDisk]bool, len(before))
	for b := range cat.BEs() {
		be, known := w.backend(b, cl, now)
		for _, d := range known.Disks {
			if b.DiskState(d.ID, d.State).Usable() {
				w.disks[beDisk{b.ID, d.ID}] = true
				delete(w.absent, beDisk{b.ID, d.ID})
			}
		}
		if was := w.starts[b.ID]; !was.IsZero() && !known.LastStart.IsZero() && !was.Equal(known.LastStart) {
			restarted = append(restarted, b.ID)
		}
		if !known.LastStart.IsZero() {
			w.starts[b.ID] = known.LastStart
		}
		bes = append(bes, be)
	}
	for k := range before {
		if again := now.Add(diskGoneGrace); !w.disks[k] && again.Before(w.scanAt) {
			w.absent[k] = now
			w.scanAt = again // by then it is certain that the disk stays away
		}
	}
	return bes, restarted
}

// peek converts the BEs without noting anything.
func (w *world) peek(cat *catalog.Catalog, cl Cluster, l sched.Limits, now time.Time) []sched.BE {
	var bes []sched.BE
	for b := range cat.BEs() {
		be, _ := w.backend(b, cl, now)
		bes = append(bes, be)
	}
	sched.MarkFull(bes, w.full, l, now.UnixMilli())
	return bes
}

// backend converts one BE.
func (w *world) backend(b *catalog.BE, cl Cluster, now time.Time) (sched.BE, cluster.BE) {
	known, _ := cl.Get(b.ID)
	be := sched.BE{ID: b.ID, Host: b.Host, Zone: b.Location, Decommissioned: b.Decommission, Drained: b.Drained, LeaderWeight: b.LeaderWeight, Alive: known.Alive,
		Unreached: known.Unreached}
	if !be.Alive {
		be.Unknown, be.DeadSinceMs = w.deadSince(&known, now)
	}
	be.NoStorage = be.Alive && known.Seen && len(known.Disks) == 0
	for _, d := range known.Disks {
		be.Disks = append(be.Disks, sched.Disk{ID: d.ID, Medium: d.Medium, State: b.DiskState(d.ID, d.State), Total: d.Total, Available: d.Available,
			Used: d.DataUsed, Refuses: d.Refuses, Failed: d.Failed})
	}
	return be, known
}

// deadSince tells since when a BE is dead, by the clock of now, or that it is too early to say so.
func (w *world) deadSince(b *cluster.BE, now time.Time) (unknown bool, ms int64) {
	since := b.FirstMiss
	if since.IsZero() {
		since = b.LastHeartbeat
	}
	if !b.Seen && (since.IsZero() || since.Before(w.start)) {
		since = w.start
	}
	dead := now.Sub(since)
	return !b.Seen && dead < unknownGrace, now.Add(-dead).UnixMilli()
}

// sync walks the whole catalog and returns the tablets that have changed; all has every one converted again, for what
// BEs report has changed without a trace in the catalog.
func (w *world) sync(cat *catalog.Catalog, cl Cluster, now time.Time, all bool) []types.TabletID {
	w.loadPartitions(cat)
	w.groups.load(cat)
	var dirty []types.TabletID
	i := 0
	same := true
	for t := range cat.Tablets() {
		if i >= len(w.tablets) || w.tablets[i].ID != t.ID {
			same = false
			break
		}
		if p := w.parts[t.Partition]; all || w.sources[i] != t || !p.describes(&w.tablets[i], w.sources[i]) {
			if w.sources[i] != t || !p.describes(&w.tablets[i], w.sources[i]) {
				dirty = append(dirty, t.ID)
			}
			w.convert(i, t, cl, now)
		}
		i++
	}
	if same && i == len(w.tablets) {
		return dirty
	}
	return w.rebuild(cat, cl, now)
}

// rebuild converts everything: tablets have come or gone.
func (w *world) rebuild(cat *catalog.Catalog, cl Cluster, now time.Time) []types.TabletID {
	n := cat.TabletCount()
	w.tablets, w.sources = make([]sched.Tablet, n), make([]*catalog.Tablet, n)
	dirty := make([]types.TabletID, 0, n)
	i := 0
	for t := range cat.Tablets() {
		w.convert(i, t, cl, now)
		dirty = append(dirty, t.ID)
		i++
	}
	return dirty
}

// refresh converts single tablets. One that is new is found by the next sync.
func (w *world) refresh(cat *catalog.Catalog, cl Cluster, ids []types.TabletID, now time.Time) {
	for _, id := range ids {
		i, ok := slices.BinarySearchFunc(w.tablets, id, func(t sched.Tablet, id types.TabletID) int {
			return int(int64(t.ID) - int64(id))
		})
		t, there := cat.Tablet(id)
		if ok && there {
			w.convert(i, t, cl, now)
		} else if ok != there {
			w.syncedAt = time.Time{}
		}
	}
}

func (w *world) loadPartitions(cat *catalog.Catalog) {
	w.parts = make(map[types.PartitionID]partition, len(w.parts))
	for t := range cat.AllTables() {
		for i := range t.Parts {
			p := &t.Parts[i]
			want := p.Replicas
			if want == 0 {
				want = t.Replicas
			}
			w.parts[p.ID] = partition{want: max(want, 1), medium: t.MediumOf(p)}
		}
	}
	for h := range cat.Hints() {
		p := w.parts[h.Partition]
		p.hinted = true
		w.parts[h.Partition] = p
	}
}

func (p partition) describes(t *sched.Tablet, source *catalog.Tablet) bool {
	return t.Want == source.Wanted(p.want) && t.Medium == p.medium && t.Hinted == p.hinted
}

func (w *world) convert(i int, t *catalog.Tablet, cl Cluster, now time.Time) {
	p, out := w.parts[t.Partition], &w.tablets[i]
	replicas := out.Replicas[:0]
	if cap(replicas) < len(t.Replicas) {
		replicas = make([]sched.Replica, 0, len(t.Replicas)) // no more than it takes: there are millions
	}
	for j := range t.Replicas {
		r := &t.Replicas[j]
		reported, _ := cl.Replica(r.BE, t.ID)
		c := sched.Replica{ID: r.ID, BE: r.BE, Disk: r.Disk, Role: r.Role, Bad: r.Bad, Version: r.Version, LastFailed: r.LastFailed,
			Lost: w.isLost(t.ID, r, cl, now), Offline: r.OfflineMs != 0}
		if reported.ID == r.ID {
			c.Bytes = reported.Bytes
		}
		replicas = append(replicas, c)
	}
	trail, trailBytes := w.groups.behind(t, cl)
	*out = sched.Tablet{ID: t.ID, Assigned: w.groups.assigned(t, max(p.want, 1)), Trail: trail, TrailBytes: trailBytes, Table: t.Table, Partition: t.Partition, Want: t.Wanted(p.want), Medium: p.medium, Version: t.Version,
		Epoch: t.Epoch, Leader: t.Leader, Hinted: p.hinted, Ordered: w.ordered[t.ID], Replicas: replicas}
	w.sources[i] = t
}

// isLost reports whether a BE no longer has a replica: it says so, or it has lost the disk.
func (w *world) isLost(tablet types.TabletID, r *catalog.Replica, cl Cluster, now time.Time) bool {
	k := lostReplica{r.BE, tablet}
	if r.Role == types.RoleLearner {
		return false
	}
	if cl.Lost(r.BE, tablet) {
		if id, ok := w.lost[k]; !ok || id == r.ID {
			w.lost[k] = r.ID
			return true
		}
	} else {
		delete(w.lost, k)
	}
	return w.diskGone(r, cl, now)
}

// diskGone reports whether a live BE that has disks has had none with the replica's disk id for some time.
func (w *world) diskGone(r *catalog.Replica, cl Cluster, now time.Time) bool {
	k := beDisk{r.BE, r.Disk}
	if r.Disk == 0 || w.disks[k] {
		return false
	}
	be, ok := cl.Get(r.BE)
	if !ok || !be.Alive || len(be.Disks) == 0 {
		return false
	}
	since, ok := w.absent[k]
	if !ok {
		w.absent[k] = now
		return false
	}
	return now.Sub(since) >= diskGoneGrace
}

// hints ends the hints whose time is over, and those whose partitions are healthy.
func (w *world) hints(cat *catalog.Catalog, v *sched.View, now time.Time) []command.Command {
	var cmds []command.Command
	clock := sched.Clock{NowMs: now.UnixMilli()} // a dead BE that is still waited for is no reason to drop a hint
	expired := false
	for h := range cat.Hints() {
		if h.ExpiresMs <= clock.NowMs {
			expired = true
			continue
		}
		table, i, ok := cat.TableOfPartition(h.Partition)
		if ok && healthy(table.Parts[i].Tablets, v, clock) {
			cmds = append(cmds, &command.CancelRepairHint{Table: h.Table, Partitions: []types.PartitionID{h.Partition}})
		}
	}
	if expired {
		cmds = append(cmds, &command.ExpireHints{NowMs: clock.NowMs})
	}
	return cmds
}

func healthy(tablets []types.TabletID, v *sched.View, clock sched.Clock) bool {
	for _, id := range tablets {
		if t := v.Tablet(id); t == nil || sched.Health(t, v, clock).Status != sched.Healthy {
			return false
		}
	}
	return true
}
