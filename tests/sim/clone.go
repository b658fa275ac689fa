package sim

import (
	"container/heap"
	"slices"

	"stele/fe/sched"
	"stele/meta/types"
)

// disk is the bandwidth of a disk: what comes in shares it evenly, and so does what goes out.
type disk struct {
	in, out []*clone
	slots   [2]int // repair and balance slots taken
	foreign int64  // bytes of others
}

// grow counts bytes that a disk got, or lost.
func (w *World) grow(k diskKey, bytes int64) {
	be := w.be(k.be)
	for i := range be.Disks {
		if d := &be.Disks[i]; d.ID == k.disk {
			d.Used += bytes
		}
	}
}

// A disk with less room than both of these refuses writes, as a BE has it by default.
const (
	floodBytes   = 4 << 30
	floodPercent = 5
)

// report has the BEs say how much room their disks have, and which of them refuse writes: these have none to speak of.
func (w *World) report() {
	for i := range w.bes {
		for j := range w.bes[i].Disks {
			d := &w.bes[i].Disks[j]
			d.Available = d.Total - d.Used - w.disks[diskKey{w.bes[i].ID, d.ID}].foreign
			if d.Refuses = d.Available < min(floodBytes, d.Total/100*floodPercent); d.Refuses {
				d.Available = 0
			}
		}
	}
	w.full = sched.MarkFull(w.bes, w.full, w.shape.Limits, w.now)
}

// fill has others take all the room that there is on the disks of BEs, or give it back.
func (w *World) fill(ids []types.BEID, full bool) {
	for _, id := range ids {
		be := w.be(id)
		for j := range be.Disks {
			d := w.disks[diskKey{id, be.Disks[j].ID}]
			if d.foreign = 0; full {
				d.foreign = be.Disks[j].Total - be.Disks[j].Used
			}
		}
	}
	w.report()
}

// refuses reports whether a disk refuses writes.
func (w *World) refuses(k diskKey) bool {
	be := w.be(k.be)
	return be != nil && slices.ContainsFunc(be.Disks, func(d sched.Disk) bool { return d.ID == k.disk && d.Refuses })
}

// clone is one that runs.
type clone struct {
	task     types.TaskID
	tablet   types.TabletID
	replica  types.ReplicaID
	src, dst diskKey
	balance  bool
	full     bool
	version  types.Version
	bytes    int64
	left     float64 // bytes, at atMs
	rate     float64 // bytes a millisecond
	atMs     int64
	begunMs  int64
	endMs    int64
	index    int // in the queue
}

// settleMs is what a clone takes beyond its bytes: snapshot, swap, report.
const settleMs = 50

// cloneQueue is ordered by the end of the clones.
type cloneQueue []*clone

func (q cloneQueue) Len() int { return len(q) }
func (q cloneQueue) Less(i, j int) bool {
	return q[i].endMs < q[j].endMs || q[i].endMs == q[j].endMs && q[i].task < q[j].task
}
func (q cloneQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

// Push adds a clone.
func (q *cloneQueue) Push(x any) {
	c := x.(*clone)
	c.index = len(*q)
	*q = append(*q, c)
}

// Pop takes the last.
func (q *cloneQueue) Pop() any {
	old := *q
	c := old[len(old)-1]
	*q = old[:len(old)-1]
	return c
}

// begin starts a clone.
func (w *World) begin(c *clone) {
	c.left, c.atMs, c.begunMs = float64(c.bytes), w.now, w.now
	w.clones[c.task] = c
	heap.Push(&w.queue, c)
	src, dst := w.disks[c.src], w.disks[c.dst]
	src.out, dst.in = append(src.out, c), append(dst.in, c)
	src.slots[kind(c.balance)]++
	dst.slots[kind(c.balance)]++
	w.reflow(src, dst)
	w.Stats.Clones++
	if c.full {
		w.Stats.Fulls++
	}
	if w.Stats.FirstMs == 0 {
		w.Stats.FirstMs = w.now
	}
}

func kind(balance bool) int {
	if balance {
		return 1
	}
	return 0
}

// remove ends a clone, however far it is.
func (w *World) remove(c *clone) {
	delete(w.clones, c.task)
	heap.Remove(&w.queue, c.index)
	src, dst := w.disks[c.src], w.disks[c.dst]
	src.out, dst.in = without(src.out, c), without(dst.in, c)
	src.slots[kind(c.balance)]--
	dst.slots[kind(c.balance)]--
	w.reflow(src, dst)
}

func without(list []*clone, c *clone) []*clone {
	for i := range list {
		if list[i] == c {
			return append(list[:i], list[i+1:]...)
		}
	}
	return list
}

// reflow shares the bandwidth of disks anew.
func (w *World) reflow(disks ...*disk) {
	for _, d := range disks {
		for _, c := range d.out {
			w.pace(c)
		}
		for _, c := range d.in {
			w.pace(c)
		}
	}
}

func (w *World) pace(c *clone) {
	c.left -= c.rate * float64(w.now-c.atMs)
	c.atMs = w.now
	share := float64(max(len(w.disks[c.src].out), len(w.disks[c.dst].in)))
	c.rate = float64(w.shape.Bandwidth) / 1000 / share
	c.endMs = w.now + settleMs + int64(max(c.left, 0)/c.rate)
	heap.Fix(&w.queue, c.index)
}

// breakClones ends the clones that a dead BE takes part in: what it received is known only to itself, what it sent fails
// at the other end.
func (w *World) breakClones(be types.BEID) {
	for _, id := range w.taskIDs() {
		switch c := w.clones[id]; be {
		case c.dst.be:
			w.remove(c)
		case c.src.be:
			w.remove(c)
			w.ended = append(w.ended, sched.Outcome{Task: id, Tablet: c.tablet, BE: c.dst.be, Reason: "source: connection refused"})
		}
	}
}

// endClones completes the clones that are due.
func (w *World) endClones() {
	for len(w.queue) > 0 && w.queue[0].endMs <= w.now {
		c := w.queue[0]
		w.remove(c)
		t := w.tablet(c.tablet)
		o := sched.Outcome{Task: c.task, Tablet: c.tablet, BE: c.dst.be, Disk: c.dst.disk, Full: c.full, ElapsedMs: w.now - c.begunMs, Bytes: c.bytes}
		if r := t.On(c.dst.be); r != nil && r.ID == c.replica && t.On(c.src.be) != nil {
			r.Bytes = t.On(c.src.be).Bytes
			o.Done, o.Version = true, c.version
			w.Stats.Bytes += c.bytes
			w.Stats.LastMs = w.now
			if !c.balance {
				w.Stats.RepairedMs = w.now
			}
		} else {
			o.Reason = "source or destination replica is gone"
			w.Stats.Failed++
		}
		w.ended = append(w.ended, o)
		w.dirty = append(w.dirty, c.tablet)
	}
}
