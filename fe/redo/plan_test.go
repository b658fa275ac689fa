package redo

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"stele/meta/types"
)

// The model is as dumb as can be: a replica is the set of versions that it holds in memory and of those on its disk, the log is the set
// of versions whose rows it has. BEs crash at any moment, are away, come back and wait for what they have acknowledged.
type modelReplica struct {
	id         types.ReplicaID
	be         types.BEID
	memory     map[types.Version]bool
	disk       map[types.Version]bool
	lastFailed types.Version
	known      types.Version // what the catalog takes it to have
	waits      types.Version // takes nothing before it has this one
}

type modelTablet struct {
	id       types.TabletID
	version  types.Version
	leader   types.BEID
	need     int
	log      map[types.Version]bool
	replicas []*modelReplica
}

type modelBE struct{ dead, away bool }

type model struct {
	t       *rapid.T
	bes     map[types.BEID]*modelBE
	tablets []*modelTablet
	plan    *Planner
	asked   []Ask // whose answers have not come yet
	by      map[types.ReplicaID]types.BEID
}

// onDisk returns the version up to which everything is on disk.
func (r *modelReplica) onDisk() types.Version {
	v := types.Version(1)
	for r.disk[v+1] {
		v++
	}
	return v
}

// has returns the version up to which everything is there.
func (r *modelReplica) has() types.Version {
	v := types.Version(1)
	for r.disk[v+1] || r.memory[v+1] {
		v++
	}
	return v
}

func (r *modelReplica) flush() {
	for v := range r.memory {
		r.disk[v] = true
	}
	clear(r.memory)
}

func newModel(t *rapid.T) *model {
	m := &model{t: t, bes: map[types.BEID]*modelBE{}, plan: NewPlanner(), by: map[types.ReplicaID]types.BEID{}}
	for be := range types.BEID(3) {
		m.bes[be+1] = &modelBE{}
	}
	for i := range rapid.IntRange(1, 2).Draw(t, "tablets") {
		n := rapid.SampledFrom([]int{1, 2, 3}).Draw(t, "replicas")
		tab := &modelTablet{id: types.TabletID(i + 1), version: 1, leader: 1, log: map[types.Version]bool{},
			need: rapid.SampledFrom([]types.WriteQuorum{types.QuorumMajority, types.QuorumOne, types.QuorumAll}).Draw(t, "quorum").Need(n)}
		for be := range n {
			r := &modelReplica{id: types.ReplicaID(10*i + be + 1), be: types.BEID(be + 1), memory: map[types.Version]bool{}, disk: map[types.Version]bool{1: true}, known: 1}
			tab.replicas, m.by[r.id] = append(tab.replicas, r), r.be
		}
		m.tablets = append(m.tablets, tab)
	}
	return m
}

func (m *model) tablet() *modelTablet { return rapid.SampledFrom(m.tablets).Draw(m.t, "tablet") }

func (m *model) be() (types.BEID, *modelBE) {
	be := types.BEID(rapid.IntRange(1, len(m.bes)).Draw(m.t, "be"))
	return be, m.bes[be]
}

// commit has the replicas that can, and happen to, acknowledge a write, and counts as the catalog does.
func (m *model) commit(t *rapid.T) {
	tab, light := m.tablet(), rapid.Bool().Draw(t, "light")
	var ok []*modelReplica
	have, leads := 0, false
	for _, r := range tab.replicas {
		if m.bes[r.be].dead || r.waits > r.has() || rapid.IntRange(0, 9).Draw(t, "misses") == 0 {
			continue
		}
		if r.be == tab.leader && r.has() < tab.version {
			return // it cannot check keys yet
		}
		ok = append(ok, r)
		if r.lastFailed == 0 {
			have++
			leads = leads || r.be == tab.leader
		}
	}
	if have < tab.need || !leads {
		return
	}
	tab.version++
	if light {
		tab.log[tab.version] = true
	}
	for _, r := range tab.replicas {
		if slices.Contains(ok, r) && r.lastFailed == 0 {
			r.known = tab.version
		}
		switch {
		case !slices.Contains(ok, r):
			r.lastFailed = tab.version
		case light:
			r.memory[tab.version] = true
		default:
			r.disk[tab.version] = true
		}
	}
}

func (m *model) flush(*rapid.T) {
	tab := m.tablet()
	if r := rapid.SampledFrom(tab.replicas).Draw(m.t, "replica"); !m.bes[r.be].dead {
		r.flush()
	}
}

func (m *model) crash(*rapid.T) {
	be, b := m.be()
	b.dead = true
	for _, tab := range m.tablets {
		for _, r := range tab.replicas {
			if r.be == be {
				clear(r.memory)
			}
		}
	}
}

// back starts a BE again: its first full report is answered.
func (m *model) back(*rapid.T) {
	be, b := m.be()
	b.dead, b.away = false, false
	for _, tab := range m.tablets {
		for _, r := range tab.replicas {
			if r.be == be && (r.lastFailed == 0 || slices.ContainsFunc(after(r.has(), tab.version), func(v types.Version) bool { return v > r.lastFailed })) {
				r.waits = tab.version
			}
		}
	}
}

func after(v, to types.Version) (out []types.Version) {
	for v++; v <= to; v++ {
		out = append(out, v)
	}
	return out
}

func (m *model) away(*rapid.T) {
	if _, b := m.be(); b.dead {
		b.away = true
	}
}

// failover gives a tablet a leader that lives.
func (m *model) failover(*rapid.T) {
	tab := m.tablet()
	for _, r := range tab.replicas {
		if r.lastFailed == 0 && !m.bes[r.be].dead {
			tab.leader = r.be
			return
		}
	}
}

// clone brings a replica that is known to have a gap up to date.
func (m *model) clone(*rapid.T) {
	tab := m.tablet()
	for _, r := range tab.replicas {
		if m.bes[r.be].dead || r.lastFailed == 0 {
			continue
		}
		for _, src := range tab.replicas {
			if !m.bes[src.be].dead && src.lastFailed == 0 && src.has() == tab.version {
				for _, v := range after(0, tab.version) {
					r.disk[v] = true
				}
				r.lastFailed, r.known = 0, tab.version
			}
		}
	}
}

// views is what the catalog says.
func (m *model) views() (out []Tablet) {
	for _, tab := range m.tablets {
		w := Tablet{ID: tab.id, Version: tab.version, Oldest: m.oldest(tab), Need: tab.need, Leader: tab.leader}
		if w.Oldest == 0 {
			continue
		}
		for _, r := range tab.replicas {
			w.Replicas = append(w.Replicas, Replica{ID: r.id, BE: r.be, Voter: true, Known: r.known})
		}
		out = append(out, w)
	}
	return out
}

// oldest returns the first version that the log has, 0 = it has none.
func (m *model) oldest(tab *modelTablet) (v types.Version) {
	for l := range tab.log {
		if v == 0 || l < v {
			v = l
		}
	}
	return v
}

// round is one of the driver's. Whatever is forgotten must be where it has to be.
func (m *model) round(t *rapid.T) {
	trims, asks := m.plan.Round(m.views(), func(be types.BEID) bool { return m.bes[be].away })
	for _, trim := range trims {
		tab := m.find(trim.Tablet)
		have := 0
		for _, r := range tab.replicas {
			missed := slices.Contains(trim.Missed, r.id)
			switch {
			case r.onDisk() >= trim.Version && !missed:
				have++
			case r.onDisk() < r.known && !missed:
				t.Fatalf("tablet %d is trimmed up to %d, replica %d of %d has %d on disk", tab.id, trim.Version, r.id, r.known, r.onDisk())
			case missed && (!m.bes[r.be].away || r.be == tab.leader):
				t.Fatalf("tablet %d is trimmed up to %d, replica %d is passed over but not away, or leads", tab.id, trim.Version, r.id)
			}
			if missed {
				r.lastFailed, r.known = tab.version, min(r.known, m.oldest(tab)-1)
			}
		}
		if have < tab.need {
			t.Fatalf("tablet %d is trimmed up to %d, which %d replicas have on disk", tab.id, trim.Version, have)
		}
		for v := range tab.log {
			if v <= trim.Version {
				delete(tab.log, v)
			}
		}
	}
	for be, items := range asks {
		if !m.bes[be].dead {
			m.asked = append(m.asked, items...)
		}
	}
	slices.SortFunc(m.asked, func(a, b Ask) int { return int(a.Replica) - int(b.Replica) })
}

func (m *model) find(id types.TabletID) *modelTablet { return m.tablets[id-1] }

func (m *model) replica(a Ask) *modelReplica {
	tab := m.find(a.Tablet)
	return tab.replicas[slices.IndexFunc(tab.replicas, func(r *modelReplica) bool { return r.id == a.Replica })]
}

// answer brings the answer to one question; whoever lacks something is given what the log has.
func (m *model) answer(t *rapid.T) {
	if len(m.asked) == 0 {
		return
	}
	n := rapid.IntRange(0, len(m.asked)-1).Draw(t, "answer")
	m.answered(m.asked[n])
	m.asked = slices.Delete(m.asked, n, n+1)
}

func (m *model) answered(a Ask) {
	r := m.replica(a)
	if m.bes[r.be].dead {
		return
	}
	r.flush()
	m.plan.Heard(a.Tablet, a.Replica, r.onDisk())
	tab := m.find(a.Tablet)
	for v := r.has() + 1; v <= a.Want && tab.log[v]; v++ {
		r.disk[v] = true
	}
	if r.has() >= r.lastFailed {
		r.lastFailed, r.known = 0, tab.version
	} else {
		r.known = max(r.known, r.has())
	}
}

// poke has a BE looked at between two rounds.
func (m *model) poke(*rapid.T) {
	be, b := m.be()
	if !b.dead {
		m.asked = append(m.asked, m.plan.AsksOf(be, m.views(), rapid.Bool().Draw(m.t, "anew"))...)
	}
}

// check: every version that a replica lacks can be had, from the log or from the disk of another one; and every version is where it was
// acknowledged to be, or in the log.
func (m *model) check(t *rapid.T) {
	for _, tab := range m.tablets {
		for v := types.Version(2); v <= tab.version; v++ {
			on := 0
			for _, r := range tab.replicas {
				if r.disk[v] {
					on++
				}
			}
			if !tab.log[v] && on < tab.need {
				t.Fatalf("version %d of tablet %d is on %d disks and not in the log", v, tab.id, on)
			}
			for _, r := range tab.replicas {
				if !tab.log[v] && !r.disk[v] && v <= r.known {
					t.Fatalf("replica %d of tablet %d lacks version %d, which neither the log has nor the catalog misses: %s", r.id, tab.id, v, tab.describe())
				}
			}
		}
	}
}

// settle brings everything back. Then the log is empty soon, and nobody who counts as complete lacks anything.
func (m *model) settle(t *rapid.T) {
	for be := range m.bes {
		m.bes[be].dead, m.bes[be].away = false, false
	}
	for range 20 {
		m.round(t)
		for _, a := range m.asked {
			m.answered(a)
		}
		m.asked = nil
		m.check(t)
	}
	for _, tab := range m.tablets {
		if len(tab.log) > 0 {
			t.Fatalf("the log has %v of tablet %d for good: %s", tab.log, tab.id, tab.describe())
		}
		for _, r := range tab.replicas {
			if r.lastFailed == 0 && r.onDisk() < tab.version {
				t.Fatalf("tablet %d: %s", tab.id, tab.describe())
			}
		}
	}
}

func (tab *modelTablet) describe() (s string) {
	for _, r := range tab.replicas {
		s += fmt.Sprintf("[replica %d: %d of %d on disk, last failed %d, waits for %d]", r.id, r.onDisk(), tab.version, r.lastFailed, r.waits)
	}
	return s
}

func TestPlannerProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(t)
		t.Repeat(map[string]func(*rapid.T){"": m.check, "commit": m.commit, "commit again": m.commit, "flush": m.flush, "crash": m.crash, "back": m.back, "away": m.away,
			"failover": m.failover, "clone": m.clone, "round": m.round, "answer": m.answer, "answer again": m.answer, "poke": m.poke})
		m.settle(t)
	})
}

// TestTrim: who holds up that rows are forgotten, and who does not.
func TestTrim(t *testing.T) {
	for name, c := range map[string]struct {
		durable [3]types.Version
		away    types.BEID
		leader  types.BEID
		gap     types.ReplicaID // a replica that has missed a version, and what it is taken to have
		known   types.Version
		aside   types.ReplicaID
		need    int
		want    types.Version
		missed  []types.ReplicaID
	}{
		"all have all":                     {durable: [3]types.Version{9, 9, 9}, need: 2, want: 9},
		"up to the lowest":                 {durable: [3]types.Version{9, 7, 8}, need: 2, want: 7},
		"below what there is":              {durable: [3]types.Version{9, 4, 9}, need: 2},
		"nothing heard of one":             {durable: [3]types.Version{9, 0, 9}, need: 2},
		"one is away":                      {durable: [3]types.Version{9, 9, 0}, away: 3, need: 2, want: 9, missed: []types.ReplicaID{3}},
		"one is away and had all":          {durable: [3]types.Version{9, 9, 9}, away: 3, need: 2, want: 9},
		"one is away, all are needed":      {durable: [3]types.Version{9, 9, 8}, away: 3, need: 3},
		"the leader is away":               {durable: [3]types.Version{0, 9, 9}, away: 1, need: 2},
		"one has a gap":                    {durable: [3]types.Version{9, 9, 7}, gap: 3, known: 7, need: 2, want: 9},
		"one has a gap and less than that": {durable: [3]types.Version{9, 9, 6}, gap: 3, known: 7, need: 2, want: 6},
		"one has a gap and is needed":      {durable: [3]types.Version{9, 9, 7}, gap: 3, known: 7, need: 3},
		"one has a gap and is away":        {durable: [3]types.Version{9, 9, 2}, gap: 3, known: 7, away: 3, need: 2, want: 9, missed: []types.ReplicaID{3}},
		"one does not count":               {durable: [3]types.Version{9, 0, 9}, aside: 3, away: 2, need: 2},
		"one does not count, but lives":    {durable: [3]types.Version{9, 9, 6}, aside: 3, need: 2, want: 6},
		"an old gap, but everything here":  {durable: [3]types.Version{9, 9, 9}, gap: 3, need: 3, want: 9},
	} {
		p := NewPlanner()
		tab := Tablet{ID: 1, Version: 9, Oldest: 5, Need: c.need, Leader: 1}
		for i, v := range c.durable {
			id, known := types.ReplicaID(i+1), types.Version(9)
			if id == c.gap {
				known = c.known
			}
			tab.Replicas = append(tab.Replicas, Replica{ID: id, BE: types.BEID(id), Voter: id != c.aside, Known: known})
			p.Heard(1, id, v)
		}
		v, missed := p.trim(&tab, func(be types.BEID) bool { return be == c.away })
		if v != c.want || !slices.Equal(missed, c.missed) {
			t.Errorf("%s: up to %d without %v, want %d without %v", name, v, missed, c.want, c.missed)
		}
	}
}

// TestWantsWhatWasCommittedARoundAgo: a version that was committed just now is under way to its replicas, and is not given to them.
func TestWantsWhatWasCommittedARoundAgo(t *testing.T) {
	p := NewPlanner()
	tab := Tablet{ID: 1, Version: 9, Oldest: 5, Need: 1, Leader: 1, Replicas: []Replica{{ID: 7, BE: 1, Voter: true, Known: 9}}}
	never := func(types.BEID) bool { return false }
	_, asks := p.Round([]Tablet{tab}, never)
	if a := asks[1][0]; a.Want != 0 {
		t.Errorf("first %+v", a)
	}
	tab.Version = 12
	_, asks = p.Round([]Tablet{tab}, never)
	if a := asks[1][0]; a.Want != 9 {
		t.Errorf("then %+v", a)
	}
	if a := p.AsksOf(1, []Tablet{tab}, false)[0]; a.Want != 12 {
		t.Errorf("when somebody waits %+v", a)
	}
	tab.Version = 14
	if a := p.AsksOf(1, []Tablet{tab}, true)[0]; a.Want != 14 {
		t.Errorf("when it begins anew %+v", a)
	}
	tab.Version = 12
	p.Heard(1, 7, 12)
	if trims, asks := p.Round([]Tablet{tab}, never); len(trims) != 1 || len(asks) != 0 {
		t.Errorf("trims %v, and asks about what is over %v", trims, asks)
	}
	if p.Round(nil, never); len(p.durable)+len(p.committed) != 0 {
		t.Error("it remembers tablets without redo")
	}
}
