package sched

import (
	"slices"
	"strings"
	"testing"

	"stele/meta/types"

	"pgregory.net/rapid"
)

// room gives a disk of the world so much room; below zero it refuses writes, as a BE tells it.
func (w *world) room(be types.BEID, disk int, bytes int64) {
	d := &w.be(be).Disks[disk]
	d.Refuses, d.Available = bytes < 0, max(bytes, 0)
}

const (
	noRoom     = -1
	littleRoom = 4 << 30 // less than the soft limit asks for
	muchRoom   = 1 << 39
)

// TestMarkFull: a disk is full from when it refuses writes until it has room below the soft limit, for whoever remembers.
func TestMarkFull(t *testing.T) {
	w := newWorld(t, 1, 1, 2, 1, 1)
	var full FullDisks
	for i, step := range []struct {
		room   int64
		forget bool
		since  int64
	}{{room: muchRoom}, {room: littleRoom}, {room: noRoom, since: 103}, {room: noRoom, since: 103}, {room: littleRoom, since: 103},
		{room: noRoom, since: 103}, {room: w.lim.SoftLimitReserve - 1, since: 103}, {room: w.lim.SoftLimitReserve}, {room: littleRoom},
		{room: noRoom, since: 110}, {room: littleRoom, forget: true}, {room: noRoom, since: 112}, {room: 1 << 40, since: 0}} {
		w.room(1, 1, step.room)
		if step.forget {
			full = nil
		}
		full = MarkFull(w.bes, full, w.lim, int64(101+i))
		if got := w.be(1).Disks[1].FullSinceMs; got != step.since || w.be(1).Disks[0].full() || (len(full) > 0) != (step.since != 0) {
			t.Errorf("step %d with %d bytes of room: full since %d, not %d: %v", i, step.room, got, step.since, full)
		}
	}
}

// writeAll commits n versions of each tablet, and fails where one is refused.
func (w *world) writeAll(n int) {
	w.t.Helper()
	for range n {
		for _, tab := range w.tablets {
			was := tab.Version
			if w.write(tab); tab.Version == was {
				w.t.Fatalf("a write to tablet %d is refused, led by be %d: %+v", tab.ID, tab.Leader, tab.Replicas)
			}
		}
		w.run(5000)
	}
}

// checkWrites: no tablet is led on a disk that refuses writes while it could be led on one that takes them.
func (w *world) checkWrites(t fataler) {
	t.Helper()
	v := w.view()
	for i := range v.Tablets {
		tab := &v.Tablets[i]
		for j := range tab.Replicas {
			if lead := tab.On(tab.Leader); lead != nil && v.refuses(lead) && v.isCopy(&tab.Replicas[j]) && !v.refuses(&tab.Replicas[j]) {
				t.Fatalf("tablet %d is led by be %d, whose disk refuses writes: %+v %v", tab.ID, tab.Leader, tab.Replicas, w.log)
			}
		}
	}
}

// TestLeadersLeaveAFullDisk: where the disk of one of three BEs refuses writes the two others lead, and nothing is copied to it. With room
// again it gets what it has missed, and leaders.
func TestLeadersLeaveAFullDisk(t *testing.T) {
	w := newWorld(t, 11, 3, 1, 30, 3)
	w.sound = true
	w.run(600_000)
	w.room(1, 0, noRoom)
	w.settle()
	w.writeAll(1)
	w.run(60_000) // the two others share the leaders evenly
	w.actions = 0
	w.writeAll(50)
	if w.actions != 0 {
		t.Fatalf("%d actions for a disk that takes nothing: %v", w.actions, w.log)
	}
	w.cloned = func(a *Action) {
		if _, has := w.tablet(a.Tablet).data[a.Replica]; !has {
			t.Errorf("a full clone: %+v", a)
		}
	}
	w.room(1, 0, muchRoom)
	w.run(600_000)
	w.checkHealthy()
	if s := leaderSpread(w.view(), LeaderScope{}, nil); s.Max-s.Min > 1 {
		t.Fatalf("leaders are not even again: %+v", s)
	}
	w.checkQuiet()
}

// TestLittleRoomBringsNoLeaders: a disk that takes writes now and then gets what it has missed each time, but no leaders before it has
// room that lasts.
func TestLittleRoomBringsNoLeaders(t *testing.T) {
	w := newWorld(t, 12, 3, 1, 20, 3)
	w.sound = true
	w.run(600_000)
	w.room(2, 0, noRoom)
	w.run(60_000) // the two others share the leaders evenly
	w.acts = func(a *Action) {
		if a.Kind == ActLeaders {
			t.Errorf("leaders move: %+v", a)
		}
	}
	for range 10 {
		w.writeAll(3)
		w.room(2, 0, littleRoom)
		w.run(60_000)
		w.checkHealthy()
		w.writeAll(3) // all three have it
		w.checkHealthy()
		w.room(2, 0, noRoom)
		w.run(1000)
	}
	w.acts = nil
	w.room(2, 0, muchRoom)
	w.run(600_000)
	if s := leaderSpread(w.view(), LeaderScope{}, nil); s.Max-s.Min > 1 {
		t.Fatalf("leaders are not even again: %+v", s)
	}
}

// TestReplicasLeaveAFullDisk: a replica that lags on a disk that refuses writes is made anew where there is room once that has lasted, and
// what is complete leaves by balance; nothing comes.
func TestReplicasLeaveAFullDisk(t *testing.T) {
	w := newWorld(t, 13, 4, 1, 40, 3)
	w.sound = true
	w.run(600_000)
	had := w.on(3)
	w.room(3, 0, noRoom)
	w.settle()
	w.acts = func(a *Action) {
		if (a.Kind == ActAdd || a.Kind == ActClone) && a.BE == 3 {
			t.Errorf("a clone to the full disk: %+v", a)
		}
	}
	lagging := 0
	for _, tab := range w.tablets[:20] {
		w.write(tab)
		if r := tab.On(3); r != nil && r.LastFailed != 0 {
			lagging++
		}
	}
	w.run(w.lim.DelayFactorMs / 2)
	for _, tab := range w.tablets[:20] {
		if len(tab.Replicas) != 3 {
			t.Fatalf("tablet %d is copied before the time: %+v", tab.ID, tab.Replicas)
		}
	}
	w.run(3600_000)
	w.checkHealthy()
	if left := w.on(3); lagging == 0 || left > had-lagging {
		t.Fatalf("%d of %d replicas are left on the full disk, %d lagged: %v", left, had, lagging, w.log)
	}
	w.checkQuiet()
}

// TestLaggingReplicaMovesBesideAFullDisk: where all BEs have a replica, one that lags on a disk that refuses writes moves to another disk of its BE
// once that has lasted, and is filled there. If the move fails, as from a disk that has failed, it is not tried again and again.
func TestLaggingReplicaMovesBesideAFullDisk(t *testing.T) {
	for _, fails := range []bool{false, true} {
		w := newWorld(t, 20, 3, 2, 12, 3)
		w.sound, w.lim.DisableBalance = true, true
		w.run(600_000)
		w.room(3, 0, noRoom)
		w.settle()
		lagging, tried := 0, 0
		for _, tab := range w.tablets {
			w.write(tab)
			if r := tab.On(3); r.LastFailed != 0 {
				lagging++
			}
		}
		w.acts = func(a *Action) {
			if a.Kind == ActAdd || a.Kind == ActDrop {
				t.Errorf("not moved but made anew: %+v", a)
			}
		}
		w.cloned = func(a *Action) {
			if a.Clone.SourceBE == 3 && a.BE == 3 {
				tried++
			}
		}
		w.breaks = func(c *worldClone) bool { return fails && c.src == c.dst }
		w.run(w.lim.DelayFactorMs / 2)
		if tried != 0 {
			t.Fatal("moved before the time")
		}
		w.run(3600_000)
		if lagging == 0 || tried != lagging {
			t.Fatalf("%d moves of %d replicas that lagged, failing %v: %v", tried, lagging, fails, w.log)
		}
		if fails {
			continue
		}
		w.checkHealthy()
		w.checkQuiet()
	}
}

// on counts the replicas on a BE.
func (w *world) on(be types.BEID) (n int) {
	for _, tab := range w.tablets {
		if tab.On(be) != nil {
			n++
		}
	}
	return n
}

// TestNothingComesToAFullDisk: also what has no size yet, with no room asked for, is not made on a disk that refuses writes.
func TestNothingComesToAFullDisk(t *testing.T) {
	w := newWorld(t, 18, 4, 1, 10, 3)
	w.sound, w.lim.DisableBalance, w.lim.SoftLimitReserve = true, true, 0
	for _, tab := range w.tablets {
		for i := range tab.Replicas {
			tab.Replicas[i].Bytes = 0
		}
	}
	w.run(60_000)
	w.room(4, 0, noRoom)
	w.settle()
	w.added = func(tablet types.TabletID, be types.BEID) {
		if be == 4 {
			t.Errorf("tablet %d gets a replica on the full disk", tablet)
		}
	}
	w.kill(1)
	w.run(2 * w.lim.ToleranceMs)
}

// TestLearnersOnAFullDisk: what is in the making on a disk that begins to refuse writes waits for room there, unless that lasts and there is
// room elsewhere; no clone to it is tried before.
func TestLearnersOnAFullDisk(t *testing.T) {
	for _, c := range []struct {
		name       string
		bes, disks int
		away       bool // the replica is made elsewhere in the end
	}{{"nowhere else", 3, 1, false}, {"another backend", 4, 1, true}, {"another disk", 3, 2, true}} {
		w := newWorld(t, 19, c.bes, c.disks, 1, 3)
		w.sound, w.lim.DisableBalance = true, true
		tab := w.tablets[0]
		late := &tab.Replicas[2]
		late.Role, late.LastFailed = types.RoleLearner, tab.Version
		be, disk := late.BE, late.Disk
		delete(tab.data, late.ID)
		w.room(be, int(disk)%10, noRoom)
		w.cloned = func(a *Action) {
			if a.BE == be && (a.Clone.DestDisk == disk || a.Clone.DestDisk == 0) {
				t.Errorf("%s: a clone to the full disk: %+v", c.name, a)
			}
		}
		w.run(w.lim.DelayFactorMs / 2)
		if w.moves != 0 || len(tab.Replicas) != 3 {
			t.Errorf("%s: given up before the time: %v", c.name, w.log)
		}
		w.run(3600_000)
		if r := tab.On(be); (w.moves != 0) != c.away || (r == nil || r.Disk != disk) != c.away {
			t.Errorf("%s: %d were made elsewhere: %+v %v", c.name, w.moves, tab.Replicas, w.log)
		}
		w.cloned = nil
		w.room(be, int(disk)%10, muchRoom)
		w.run(600_000)
		w.checkHealthy()
		w.checkQuiet()
	}
}

// TestRoomComesBeforeTheMove: a replica that lags on a full disk is filled there when the disk takes writes again in time.
func TestRoomComesBeforeTheMove(t *testing.T) {
	w := newWorld(t, 14, 4, 1, 4, 3)
	w.sound, w.lim.DisableBalance = true, true
	w.run(600_000)
	w.room(3, 0, noRoom)
	w.settle()
	w.moves = 0
	w.writeAll(1)
	w.room(3, 0, littleRoom)
	w.run(60_000)
	w.checkHealthy()
	if w.moves != 0 {
		t.Fatalf("%d replicas were made elsewhere: %v", w.moves, w.log)
	}
}

// TestAllDisksFull: where no disk takes writes everything stays as it is.
func TestAllDisksFull(t *testing.T) {
	w := newWorld(t, 15, 3, 1, 10, 3)
	w.sound = true
	w.run(600_000)
	for be := range w.bes {
		w.room(types.BEID(be+1), 0, noRoom)
	}
	w.checkQuietFor(600_000)
}

// TestStopBesideAFullDisk: of three BEs none may stop beside one whose disk refuses writes; that one may, for nothing can be written on it.
func TestStopBesideAFullDisk(t *testing.T) {
	w := newWorld(t, 17, 3, 1, 10, 3)
	need := func(_ *Tablet, followers int) int { return followers/2 + 1 }
	for full, hazards := range map[bool]int{false: 0, true: 10} {
		w.be(2).Disks[0].Refuses = full
		if n := len(SafeToStop(w.view(), 1, need)); n != hazards {
			t.Errorf("be 2 refuses writes %v: the stop of be 1 hurts %d tablets", full, n)
		}
		if n := len(SafeToStop(w.view(), 2, need)); n != 0 {
			t.Errorf("be 2 refuses writes %v: its own stop hurts %d tablets", full, n)
		}
	}
}

// TestFullDiskIsExplained: what waits for room says so, and so does a plan of leaders.
func TestFullDiskIsExplained(t *testing.T) {
	w := newWorld(t, 16, 3, 1, 1, 3)
	w.sound = true
	w.run(600_000)
	w.room(2, 0, noRoom)
	w.settle()
	w.writeAll(1)
	v := w.view()
	task, ok := w.s.Task(v.Tablets[0].ID)
	if !ok || task.Wait != WaitDestination || !strings.Contains(task.Err, "be 2 refuses writes") {
		t.Errorf("the task waits for %s: %s", task.Wait, task.Err)
	}
	said := slices.ContainsFunc(Explain(v, &v.Tablets[0], w.s.clock(), w.lim, &task), func(l Line) bool {
		return strings.Contains(l.Info, "its disk refuses writes") && strings.Contains(l.Advice, "free space")
	})
	if !said {
		t.Error("nothing is said of the disk")
	}
	if plan := PlanLeaderBalance(v, LeaderScope{}); !slices.Equal(plan.LeftOut, []types.BEID{2}) {
		t.Errorf("left out: %v", plan.LeftOut)
	}
}

// TestFullDisksProperty plays disks that fill up and are emptied under writes, and BEs that are drained. Once things are as they are for a
// moment no tablet is led on a disk that refuses writes while it could be led on another, nothing is copied to such a disk, and leaders
// come to rest. When all disks have room everything is healthy and even.
func TestFullDisksProperty(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n, disks := rapid.IntRange(2, 6).Draw(rt, "bes"), rapid.IntRange(1, 2).Draw(rt, "disks")
		w := newWorld(rt, rapid.Uint64().Draw(rt, "seed"), n, disks, rapid.IntRange(1, 12).Draw(rt, "tablets"), rapid.IntRange(2, 3).Draw(rt, "replicas"))
		w.sound = true
		w.run(600_000)
		w.cloned = func(a *Action) {
			if disk := a.Clone.DestDisk; disk != 0 && w.refuses(a.BE, disk) {
				rt.Fatalf("a clone to a disk that refuses writes: %+v %v", a, w.log)
			}
		}
		for range rapid.IntRange(1, 8).Draw(rt, "changes") {
			be := types.BEID(rapid.IntRange(1, n).Draw(rt, "be"))
			drain := rapid.IntRange(0, 4).Draw(rt, "what") == 0
			if drain {
				w.be(be).Drained = !w.be(be).Drained
			} else {
				w.room(be, rapid.IntRange(0, disks-1).Draw(rt, "disk"), rapid.SampledFrom([]int64{noRoom, littleRoom, muchRoom}).Draw(rt, "room"))
			}
			w.settle()
			w.checkWrites(rt)
			for range 10 {
				w.write(w.tablets[w.rng.IntN(len(w.tablets))])
			}
			w.run(rapid.Int64Range(1, 3*w.lim.DelayFactorMs).Draw(rt, "ms"))
			w.checkWrites(rt)
		}
		w.run(3600_000) // what lags is made elsewhere, and evenness
		led, from := w.leaders(), len(w.log)
		w.run(1800_000)
		if now := w.leaders(); !slices.Equal(now, led) {
			rt.Fatalf("leaders go on moving from %v to %v: %v", led, now, w.log[from:])
		}
		for i := range w.bes {
			w.bes[i].Drained = false
			for d := range w.bes[i].Disks {
				w.room(w.bes[i].ID, d, muchRoom)
			}
		}
		w.healFor(3600_000)
		w.checkHealthy()
		if plan := planLeaders(w.view(), LeaderScope{}, leaderBudget{arcs: 1 << 30}); len(plan.Moves) != 0 {
			rt.Fatalf("leaders are not even: %+v", plan)
		}
		w.checkQuietFor(1800_000)
	})
}

// TestReplicaIsGivenUpOnAFailedDisk: where all BEs have a replica, one that lags on a disk that has failed is made anew on another disk of its BE once
// that has lasted, and nothing is read from the failed one; never before there is a place for it, and a complete copy.
func TestReplicaIsGivenUpOnAFailedDisk(t *testing.T) {
	w := newWorld(t, 21, 3, 2, 12, 3)
	w.sound, w.lim.DisableBalance = true, true
	w.run(600_000)
	w.room(3, 0, noRoom)
	w.room(3, 1, noRoom)
	w.be(3).Disks[0].Failed = true
	failed := w.be(3).Disks[0].ID
	w.settle()
	lagging := map[types.TabletID]bool{}
	for _, tab := range w.tablets {
		w.write(tab)
		if r := tab.On(3); r.LastFailed != 0 && r.Disk == failed {
			lagging[tab.ID] = true
		}
	}
	gone := 0
	w.acts = func(a *Action) {
		switch {
		case a.Kind == ActDrop && !lagging[a.Tablet]:
			t.Errorf("a replica is dropped that is not on the failed disk: %+v", a)
		case a.Kind == ActDrop:
			gone++
		case (a.Kind == ActAdd || a.Kind == ActClone) && (a.Disk == failed || a.Clone.SourceDisk == failed):
			t.Errorf("a clone from the failed disk, or to it: %+v", a)
		}
	}
	w.run(w.lim.DelayFactorMs + 600_000)
	if len(lagging) == 0 || gone != 0 {
		t.Fatalf("%d of %d replicas are given up, and no other disk has room: %v", gone, len(lagging), w.log)
	}
	w.room(3, 1, muchRoom)
	w.run(3600_000)
	if gone != len(lagging) {
		t.Errorf("%d of %d replicas are given up: %v", gone, len(lagging), w.log)
	}
	for id := range lagging {
		if r := w.tablet(id).On(3); r == nil || r.Disk == failed || r.LastFailed != 0 {
			t.Errorf("tablet %d on the BE of the failed disk: %+v", id, r)
		}
	}
	w.checkHealthy()
	w.checkQuiet()
}

// TestCompleteReplicasLeaveAFailedDisk: a replica that lacks nothing leaves a disk that has failed once that has lasted: to another BE, else to another
// disk of its own; where its disk does not give it, and others are a majority, it is made anew there.
func TestCompleteReplicasLeaveAFailedDisk(t *testing.T) {
	for _, c := range []struct {
		name             string
		bes, disks, want int
		breaks, manual   bool // no move within a BE succeeds; auto_failover is off
		leaves           bool
	}{
		{"another backend", 4, 1, 3, false, false, true}, {"another disk", 3, 2, 3, false, false, true}, {"an only replica", 1, 2, 1, false, false, true},
		{"an only replica, another backend", 2, 1, 1, false, false, true}, {"made anew", 3, 2, 3, true, false, true},
		{"an only replica that cannot be read", 1, 2, 1, true, false, false}, {"nowhere", 3, 1, 3, false, false, false}, {"by hand", 4, 1, 3, false, true, false},
	} {
		w := newWorld(t, 22, c.bes, c.disks, 8, c.want)
		w.sound, w.lim.DisableBalance = true, true
		w.run(600_000)
		w.lim.AutoFailover = !c.manual
		w.breaks = func(clone *worldClone) bool { return c.breaks && clone.src == clone.dst }
		w.room(1, 0, noRoom)
		w.be(1).Disks[0].Failed = true
		failed := w.be(1).Disks[0].ID
		there := func() (n int) {
			for _, tab := range w.tablets {
				if r := tab.On(1); r != nil && r.Disk == failed {
					n++
				}
			}
			return n
		}
		had := there()
		w.run(w.lim.DelayFactorMs / 2)
		if had == 0 || there() != had {
			t.Fatalf("%s: %d of %d replicas are left before the time: %v", c.name, there(), had, w.log)
		}
		w.run(7200_000)
		if left := there(); c.leaves && left != 0 || !c.leaves && left != had {
			t.Errorf("%s: %d of %d replicas are left: %v", c.name, left, had, w.log)
			continue
		}
		if c.leaves {
			w.checkHealthy()
		}
		if c.leaves || !c.breaks { // else it is tried again, with pauses
			w.checkQuiet()
		}
	}
}

// TestFailedDiskThatIsWellInTime: nothing leaves a disk that has failed and takes writes again soon.
func TestFailedDiskThatIsWellInTime(t *testing.T) {
	w := newWorld(t, 23, 4, 1, 8, 3)
	w.sound, w.lim.DisableBalance = true, true
	w.run(600_000)
	w.moves = 0
	w.room(1, 0, noRoom)
	w.be(1).Disks[0].Failed = true
	w.run(w.lim.DelayFactorMs / 2)
	w.room(1, 0, muchRoom)
	w.be(1).Disks[0].Failed = false
	w.run(3600_000)
	if w.moves != 0 {
		t.Errorf("%d replicas were made elsewhere: %v", w.moves, w.log)
	}
	w.checkHealthy()
	w.checkQuiet()
}
