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
		switch w.rng.IntN(12) {
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
func (w *world) heal() {
	for i := range w.bes {
		if !w.bes[i].Alive {
			w.revive(w.bes[i].ID)
		}
		w.bes[i].Decommissioned = false
	}
	w.run(8 * 3600_000)
}

func TestChaos(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		bes := rapid.IntRange(1, 7).Draw(rt, "bes")
		w := newWorld(rt, seed, bes, rapid.IntRange(1, 3).Draw(rt, "disks"), rapid.IntRange(1, 30).Draw(rt, "tablets"),
			rapid.IntRange(1, 3).Draw(rt, "replicas"))
		w.chaos(rapid.IntRange(1, 40).Draw(rt, "rounds"))
		w.heal()
		w.checkHealthy()
		if s := leaderSpread(w.view(), LeaderScope{}, nil); len(planLeaders(w.view(), LeaderScope{}, leaderBudget{arcs: 1 << 30}).Moves) != 0 {
			rt.Fatalf("leaders are not even: %+v", s)
		}
		w.checkQuiet()
	})
}

func TestSameInputsSameDecisions(t *testing.T) {
	for seed := uint64(1); seed <= 5; seed++ {
		run := func() uint64 {
			w := newWorld(t, seed, 6, 2, 40, 3)
			w.chaos(30)
			w.heal()
			return w.sum
		}
		if a, b := run(), run(); a != b {
			t.Fatalf("seed %d: two runs decided differently", seed)
		}
	}
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

func TestHopelessTabletBlocksNobody(t *testing.T) {
	w := newWorld(t, 5, 5, 1, 40, 3)
	for i := range 20 {
		for j := range w.tablets[i].Replicas {
			r := &w.tablets[i].Replicas[j]
			r.Bad = true
			w.deposed(w.tablets[i], r)
		}
	}
	w.lim.MaxScheduling = 20
	w.run(60_000)
	for _, tab := range w.tablets[20:] {
		tab.Replicas[0].Bad = true
		w.deposed(tab, &tab.Replicas[0])
	}
	w.run(3600_000)
	v := w.view()
	for i, tab := range w.tablets {
		d := Health(&tab.Tablet, v, w.s.clock())
		if i >= 20 && d.Status != Healthy {
			t.Fatalf("tablet %d was not repaired: %s", tab.ID, d.Detail())
		}
		if i < 20 && (len(tab.Replicas) != 3 || d.Status == Healthy) {
			t.Fatalf("tablet %d without a sound replica: %s, %+v", tab.ID, d.Detail(), tab.Replicas)
		}
	}
	for _, task := range w.s.Pending() {
		if task.Err == "" {
			t.Fatalf("a waiting tablet does not say why: %+v", task)
		}
	}
}

func TestDangerFirst(t *testing.T) {
	w := newWorld(t, 6, 6, 1, 12, 3)
	w.lim.RepairSlots, w.lim.DisableBalance = 1, true
	w.run(1000)
	lag := func(tab *worldTablet, n int) {
		tab.Version = 2
		for i := range tab.Replicas {
			r := &tab.Replicas[i]
			if i >= 3-n {
				r.LastFailed = 2
			} else {
				r.Version = 2
				tab.data[r.ID] = 2
			}
		}
		w.dirty = append(w.dirty, tab.ID)
	}
	for i, tab := range w.tablets {
		tab.Leader = tab.Replicas[0].BE
		if i == 11 {
			lag(tab, 2)
		} else {
			lag(tab, 1)
		}
	}
	out := w.step()
	if len(out.Actions) == 0 || out.Actions[0].Kind != ActClone || out.Actions[0].Tablet != w.tablets[11].ID {
		t.Fatalf("the tablet with one copy left is not first: %+v", out.Actions)
	}
	for _, task := range w.s.Pending() {
		if task.FailedSched != 0 {
			t.Fatalf("waiting for a slot counts as a failure: %+v", task)
		}
	}
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
