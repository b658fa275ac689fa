package sched

import (
	"math"

	"stele/meta/types"
)

// diskKey names a disk of a BE.
type diskKey struct {
	be   types.BEID
	disk types.DiskID
}

// diskBalancer evens the disks of BEs out, by the same score as that of BEs. The moves that run count as done.
type diskBalancer struct {
	s       *Scheduler
	used    map[diskKey]*Load
	movable map[diskKey][]types.TabletID
}

// balanceDisks starts at most room moves between the disks of BEs, and returns how many. It looks at all tablets, so it
// comes round seldom in a large cluster.
func (s *Scheduler) balanceDisks(room int) int {
	if s.disksMs != 0 && s.in.NowMs-s.disksMs < s.refreshMs() || !s.severalDisks() || len(s.in.Outcomes) > 0 { // what has ended is not where it is seen
		return 0
	}
	s.disksMs = s.in.NowMs
	b := &diskBalancer{s: s, used: map[diskKey]*Load{}, movable: map[diskKey][]types.TabletID{}}
	b.count()
	started := 0
	for i := range s.in.View.BEs {
		be := &s.in.View.BEs[i]
		for m := range s.in.View.media {
			rows := b.rows(be, types.Medium(m))
			for started < room && be.Available() && len(rows.rows) > 1 && b.move(be, rows) {
				started++
			}
		}
	}
	return started
}

// severalDisks reports whether any BE has two disks of one medium.
func (s *Scheduler) severalDisks() bool {
	for i := range s.in.View.BEs {
		var n [2]int
		for _, d := range s.in.View.BEs[i].Disks {
			if n[d.Medium]++; n[d.Medium] > 1 {
				return true
			}
		}
	}
	return false
}

// count adds up what is on each disk, and lists what could leave it.
func (b *diskBalancer) count() {
	going := map[types.TabletID]*Task{}
	for _, t := range b.s.running {
		if t.Local {
			going[t.Tablet] = t
		}
	}
	for i := range b.s.in.View.Tablets {
		t := &b.s.in.View.Tablets[i]
		movable := b.s.movableNow(t)
		for j := range t.Replicas {
			r := &t.Replicas[j]
			k := diskKey{r.BE, r.Disk}
			if task := going[t.ID]; task != nil && task.DestBE == r.BE {
				k.disk = task.DestDisk
			}
			row := b.used[k]
			if row == nil {
				row = &Load{}
				b.used[k] = row
			}
			row.Used += weight(t, r)
			row.Replicas++
			if movable && len(b.movable[k]) < candidatesMax {
				b.movable[k] = append(b.movable[k], t.ID)
			}
		}
	}
}

// diskLoads is the load of the disks of one medium of a BE, in the order of disks.
type diskLoads struct {
	mediumLoads
	disks []types.DiskID
}

func (b *diskBalancer) rows(be *BE, m types.Medium) *diskLoads {
	out := &diskLoads{mediumLoads: mediumLoads{l: &b.s.in.Limits}}
	for _, d := range be.Disks {
		if d.Medium != m || d.State != types.DiskOnline {
			continue
		}
		row := Load{BE: be.ID, Medium: m, Available: true, Capacity: d.Used + d.Available}
		if have := b.used[diskKey{be.ID, d.ID}]; have != nil {
			row.Used, row.Replicas = have.Used, have.Replicas
		}
		out.rows, out.disks = append(out.rows, row), append(out.disks, d.ID)
	}
	out.rate()
	return out
}

// move starts one move from the fullest disk to the emptiest, if that makes the BE more even.
func (b *diskBalancer) move(be *BE, l *diskLoads) bool {
	if l.even() {
		return false
	}
	src, dst := 0, 0
	for i := range l.rows {
		if l.rows[i].Score > l.rows[src].Score {
			src = i
		}
		if l.rows[i].Score < l.rows[dst].Score {
			dst = i
		}
	}
	from, to := diskKey{be.ID, l.disks[src]}, diskKey{be.ID, l.disks[dst]}
	s := b.s
	if src == dst || !s.slots.free(from.be, from.disk, true) || !s.slots.free(to.be, to.disk, true) || s.taskNext >= s.taskEnd {
		return false
	}
	t, bytes := b.choose(from, l, src, dst)
	if t == nil || !s.fits(be.disk(to.disk), bytes) {
		return false
	}
	s.moveLocally(s.newMove(t), t, t.On(be.ID), to.disk, true)
	for _, c := range [...]struct {
		k    diskKey
		at   int
		sign int
	}{{from, src, -1}, {to, dst, 1}} {
		l.rows[c.at].Used += int64(c.sign) * bytes
		l.rows[c.at].Replicas += c.sign
	}
	l.rate()
	return true
}

// choose picks the tablet whose move evens two disks most.
func (b *diskBalancer) choose(from diskKey, l *diskLoads, src, dst int) (*Tablet, int64) {
	var best *Tablet
	var bestBytes int64
	bestGain := l.minGain()
	for looked, id := range b.movable[from] {
		if looked >= looksMax {
			break
		}
		t := b.s.in.View.Tablet(id)
		if t == nil || t.Ordered || b.s.touched[id] || b.s.tasks[id] != nil {
			continue
		}
		r := t.On(from.be)
		if r == nil || !b.s.in.View.isCopy(r) {
			continue
		}
		if gain := l.gain(&l.rows[src], &l.rows[dst], r.Bytes, 1); gain > bestGain && !math.IsInf(gain, 0) {
			best, bestBytes, bestGain = t, r.Bytes, gain
		}
	}
	return best, bestBytes
}
