package sched

import (
	"testing"

	"stele/meta/types"

	"pgregory.net/rapid"
)

// chaos lets a world suffer for a while.
func (w *world) chaos(rounds int) {
	for range rounds {
		w.run(int64(500 + w.rng.IntN(20_000)))
		be := &w.bes[w.rng.IntN(len(w.bes))]
		switch w.rng.IntN(14) {
		case 0, 1, 2:
			if be.Alive {
				w.kill(be.ID)
			}
		case 3, 4, 5, 6:
			if !be.Alive {
				w.revive(be.ID)
			}
		case 7:
			if be.Alive {
				w.wipe(be.ID)
			}
		case 8:
			be.Decommissioned = !be.Decommissioned
		case 11:
			d := &be.Disks[w.rng.IntN(len(be.Disks))]
			d.State = types.DiskDecommissioned - d.State // ONLINE and back
		case 12: // a source hangs
			for _, c := range w.clones {
				if c.src == be.ID {
					c.endMs, c.hung = 1<<60, true
				}
			}
		case 9:
			w.damage(w.tablets[w.rng.IntN(len(w.tablets))])
		case 10: // a new FE leads: all that the scheduler knew is gone
			s := New()
			s.GrantTasks(w.s.taskNext+1000, 1<<30)
			w.s = s
			for _, c := range w.clones {
				c.found = true
				w.found = append(w.found, FoundClone{Task: c.task, Tablet: c.tablet, BE: c.dst, Disk: c.spec.DestDisk})
			}
		}
		for range w.rng.IntN(20) {
			w.write(w.tablets[w.rng.IntN(len(w.tablets))])
		}
	}
}

// heal ends all suffering.
func (w *world) heal() { w.healFor(4 * 3600_000) }

func (w *world) healFor(ms int64) {
	for i := range w.bes {
		if !w.bes[i].Alive {
			w.revive(w.bes[i].ID)
		}
		w.bes[i].Decommissioned = false
		for j := range w.bes[i].Disks {
			w.bes[i].Disks[j].State = types.DiskOnline
		}
	}
	w.run(ms)
}

func TestChaos(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		bes := rapid.IntRange(1, 7).Draw(rt, "bes")
		w := newWorld(rt, seed, bes, rapid.IntRange(1, 3).Draw(rt, "disks"), rapid.IntRange(1, 30).Draw(rt, "tablets"),
			rapid.IntRange(1, 3).Draw(rt, "replicas"))
		if zones := rapid.IntRange(0, 4).Draw(rt, "zones"); zones > 0 {
			for i := range w.bes {
				w.bes[i].Zone = string(rune('a' + i%zones))
			}
		}
		w.chaos(rapid.IntRange(1, 40).Draw(rt, "rounds"))
		w.heal()
		w.checkHealthy()
		if s := leaderSpread(w.view(), LeaderScope{}, nil); len(planLeaders(w.view(), LeaderScope{}, leaderBudget{arcs: 1 << 30}).Moves) != 0 {
			rt.Fatalf("leaders are not even: %+v", s)
		}
		w.checkQuiet()
	})
}

func TestDecommission(t *testing.T) {
	w := newWorld(t, 3, 5, 2, 50, 3)
	w.run(1000)
	w.be(1).Decommissioned = true
	for range 100 {
		w.run(20_000)
		for _, tab := range w.tablets {
			if v := w.view(); v.copies(&tab.Tablet) < 3 {
				t.Fatalf("tablet %d fell below three copies: %+v", tab.ID, tab.Replicas)
			}
		}
	}
	for _, tab := range w.tablets {
		if tab.On(1) != nil {
			t.Fatalf("tablet %d is still on the decommissioned be; task %+v", tab.ID, w.s.tasks[tab.ID])
		}
	}
	w.checkHealthy()
	w.lim.DropDecommissioned = true
	in := Input{NowMs: w.now, View: w.view(), Scan: true, Limits: w.lim}
	out := w.s.Step(in)
	if len(out.Actions) != 1 || out.Actions[0].Kind != ActDropBE || out.Actions[0].BE != 1 {
		t.Fatalf("the empty be is not dropped: %+v", out.Actions)
	}
}

func TestNewBEGetsItsShare(t *testing.T) {
	w := newWorld(t, 4, 10, 2, 300, 3)
	w.run(60_000)
	be := w.addBE("new", 2)
	w.run(4 * 3600_000)
	n := 0
	for _, tab := range w.tablets {
		if tab.On(be.ID) != nil {
			n++
		}
	}
	if n < 70 { // 900 replicas on 11 BEs are 82 for each
		t.Fatalf("the new be has %d replicas", n)
	}
	if w.moves > 150 {
		t.Fatalf("%d moves to give the new be %d replicas", w.moves, n)
	}
	w.checkHealthy()
	w.checkQuiet()
}

func TestOnlyDeathMovesLeaders(t *testing.T) {
	for _, c := range []struct {
		name     string
		change   func(*world)
		failover bool
		moved    bool
	}{
		{"dead", func(w *world) { w.kill(1) }, true, true},
		{"dead, no failover", func(w *world) { w.kill(1) }, false, false},
		{"not heard of", func(w *world) { w.be(1).Alive, w.be(1).Unknown = false, true }, true, false},
	} {
		w := newWorld(t, 7, 3, 1, 9, 3)
		w.lim.AutoFailover = c.failover
		w.run(1000)
		c.change(w)
		w.settle()
		leads := func(be types.BEID) (n int) {
			for _, tab := range w.tablets {
				if tab.Leader == be {
					n++
				}
			}
			return n
		}
		if moved := leads(1) == 0; moved != c.moved {
			t.Errorf("%s: be 1 leads %d tablets", c.name, leads(1))
		} else if a, b := leads(2), leads(3); moved && (a-b > 1 || b-a > 1) {
			t.Errorf("%s: the others lead %d and %d tablets", c.name, a, b)
		}
	}
}

// TestDiskDecommission: replicas leave the disk for another of the same BE; without one, for another BE.
func TestDiskDecommission(t *testing.T) {
	for _, disks := range []int{2, 1} {
		w := newWorld(t, 8, 5, disks, 50, 3)
		w.lim.DisableBalance = true
		w.run(1000)
		gone := &w.be(1).Disks[0]
		gone.State = types.DiskDecommissioned
		moves := w.moves
		w.run(3600_000)
		for _, tab := range w.tablets {
			if r := tab.On(1); r != nil && r.Disk == gone.ID {
				t.Fatalf("%d disks: tablet %d is still on the disk: %s", disks, tab.ID, Health(&tab.Tablet, w.view(), w.s.clock()).Detail())
			}
		}
		if disks == 2 && w.moves != moves {
			t.Fatalf("%d replicas were made on other BEs", w.moves-moves)
		}
		w.checkHealthy()
	}
}

// TestHungSource: a clone from a source that sends nothing is given up long before its timeout, and another source serves.
func TestHungSource(t *testing.T) {
	w := newWorld(t, 9, 5, 1, 1, 3)
	w.lim.DisableBalance = true
	tab := w.tablets[0]
	r := &tab.Replicas[2]
	r.Bad = true
	w.deposed(tab, r)
	w.settle()
	if len(w.clones) != 1 {
		t.Fatalf("%d clones", len(w.clones))
	}
	hung, from := w.clones[0].src, w.now
	w.clones[0].endMs, w.clones[0].hung = 1<<60, true
	for len(w.clones) > 0 && w.clones[0].src == hung {
		w.run(1000)
	}
	if took := w.now - from; took > w.lim.StallMs+20_000 || took < w.lim.StallMs {
		t.Fatalf("given up after %d ms", took)
	}
	w.run(60_000)
	w.checkHealthy()
}

// TestStatusOrder: the first rule that fits decides.
func TestStatusOrder(t *testing.T) {
	for _, c := range []struct {
		v    Verdict
		want Status
		prio Priority
	}{
		{Verdict{Want: 3, Alive: 1, Free: 2}, ReplicaMissing, PriorityHigh},
		{Verdict{Want: 3, Alive: 2, Free: 1, Complete: 1}, ReplicaMissing, PriorityNormal},
		{Verdict{Want: 3, Alive: 2, Damaged: 1, Copies: 2, Complete: 2}, ForceRedundant, PriorityVeryHigh},
		{Verdict{Want: 3, Alive: 3, Complete: 1}, VersionIncomplete, PriorityHigh},
		{Verdict{Want: 3, Alive: 4, Complete: 4, Stable: 3}, Redundant, PriorityVeryHigh},
		{Verdict{Want: 3, Alive: 3, Complete: 3, Stable: 1}, ReplicaRelocating, PriorityNormal},
		{Verdict{Want: 3, Alive: 3, Complete: 3, Stable: 2}, ReplicaRelocating, PriorityLow},
		{Verdict{Want: 3, Alive: 3, Complete: 3, Stable: 3, DiskStays: 2}, DiskMigration, PriorityNormal},
		{Verdict{Want: 3, Alive: 3, Complete: 3, Stable: 3, DiskStays: 3, Followers: 4, Spread: 1, SpreadMax: 3}, Redundant, PriorityVeryHigh},
		{Verdict{Want: 3, Alive: 3, Complete: 3, Stable: 3, DiskStays: 3, Followers: 3, Spread: 2, SpreadMax: 3}, LocationMismatch, PriorityNormal},
		{Verdict{Want: 3, Alive: 3, Complete: 3, Stable: 3, DiskStays: 3, Followers: 3, Learners: 1}, NeedFurtherRepair, PriorityHigh},
		{Verdict{Want: 3, Alive: 3, Complete: 3, Stable: 3, DiskStays: 3, Followers: 3}, Healthy, PriorityNormal},
		{Verdict{Want: 3, Assigned: assigned{want: 3, here: 2}}, ColocateMismatch, PriorityHigh},
		{Verdict{Want: 3, Alive: 2, Assigned: assigned{want: 3, here: 3, damaged: 1}}, ColocateRedundant, PriorityVeryHigh},
		{Verdict{Want: 3, Assigned: assigned{want: 3, here: 3, incomplete: 1}}, VersionIncomplete, PriorityHigh},
		{Verdict{Want: 3, Followers: 4, Assigned: assigned{want: 3, here: 3}}, ColocateRedundant, PriorityHigh},
	} {
		if s, p := decide(&c.v); s != c.want || p != c.prio {
			t.Errorf("%+v: %s %s, want %s %s", c.v, s, p, c.want, c.prio)
		}
	}
}

// TestSafeToStop: what a stop would take away.
func TestSafeToStop(t *testing.T) {
	w := newWorld(t, 11, 3, 1, 5, 3)
	need := func(_ *Tablet, n int) int { return n/2 + 1 }
	if h := SafeToStop(w.view(), 1, need); len(h) != 0 {
		t.Fatalf("%+v", h)
	}
	w.kill(2)
	h := SafeToStop(w.view(), 1, need)
	if len(h) != 5 || h[0].Last || h[0].Copies != 1 || h[0].Need != 2 {
		t.Fatalf("%+v", h)
	}
	w.kill(3)
	if h := SafeToStop(w.view(), 1, need); len(h) != 5 || !h[0].Last {
		t.Fatalf("%+v", h)
	}
}

// TestDryRun: a dry run comes to what happens then, and changes nothing.
func TestDryRun(t *testing.T) {
	w := newWorld(t, 12, 5, 2, 40, 3)
	w.lim.DisableBalance = true
	w.run(20_000)
	v := w.view()
	on := 0
	for i := range v.Tablets {
		if v.Tablets[i].On(2) != nil {
			on++
		}
	}
	o := DryRun(v, w.lim, w.now, func(bes []BE) { bes[1].Decommissioned = true })
	adds, drops := 0, 0
	for _, s := range o.Steps {
		switch s.Action {
		case ActAdd:
			adds++
		case ActDrop:
			drops++
		}
	}
	if adds != on || drops != on || len(o.Stuck) != 0 || o.Cut {
		t.Fatalf("%d adds, %d drops of %d, stuck %+v", adds, drops, on, o.Stuck)
	}
	if again := w.view(); again.BEs[1].Decommissioned || v.BEs[1].Decommissioned || len(v.Tablets[0].Replicas) != 3 {
		t.Fatal("the dry run changed the cluster")
	}
}

// TestExplainAlwaysSaysWhy: every unhealthy tablet with a task that waits says for what, and no explanation is empty.
func TestExplainAlwaysSaysWhy(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(rt, rapid.Uint64().Draw(rt, "seed"), rapid.IntRange(1, 5).Draw(rt, "bes"), 1, 10, 3)
		w.chaos(rapid.IntRange(1, 10).Draw(rt, "rounds"))
		v := w.view()
		for _, task := range w.s.Pending() {
			tab := v.Tablet(task.Tablet)
			lines := Explain(v, tab, Clock{NowMs: w.now, ToleranceMs: w.lim.ToleranceMs}, w.lim, &task)
			if len(lines) < 4+len(tab.Replicas) {
				rt.Fatalf("%+v", lines)
			}
			if task.Wait == WaitNone && task.Err != "" || task.Wait != WaitNone && task.Err == "" {
				rt.Fatalf("waits for %s: %q", task.Wait, task.Err)
			}
		}
	})
}
