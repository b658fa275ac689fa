package sched

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"testing"

	"stele/meta/types"
)

// world is a cluster in virtual time: BEs die, return and lose disks, clones take time, writes go on. It carries out
// the Actions of a Scheduler by the catalog's rules and checks S1 to S3 as it goes.
type world struct {
	t       fataler
	rng     *rand.Rand
	now     int64
	s       *Scheduler
	lim     Limits
	bes     []BE
	tablets []*worldTablet
	clones  []*worldClone
	nextID  types.ReplicaID
	follow  func() // keeps colocated tablets assigned
	added   func(types.TabletID, types.BEID)
	cloned  func(*Action)
	acts    func(*Action) // looks at what is about to be carried out
	sound   bool          // no clone breaks, but those that breaks says
	breaks  func(*worldClone) bool
	full    FullDisks
	dirty   []types.TabletID
	ended   []Outcome
	restart []types.BEID
	found   []FoundClone
	scanAt  int64
	actions int // of the last settle
	drops   int
	moves   int
	log     []string
	sum     uint64 // of everything that was decided
}

type fataler interface {
	Fatalf(format string, args ...any)
	Helper()
}

type worldTablet struct {
	Tablet
	data map[types.ReplicaID]types.Version // what each replica really holds; absent = nothing
}

type worldClone struct {
	task     types.TaskID
	tablet   types.TabletID
	replica  types.ReplicaID
	src, dst types.BEID
	spec     CloneSpec
	endMs    int64
	full     bool
	hung     bool // it gets nothing since begunMs
	begunMs  int64
	found    bool // of an earlier leader: its source and kind of slot are not known
}

func newWorld(t fataler, seed uint64, bes, disks, tablets, want int) *world {
	w := &world{t: t, rng: rand.New(rand.NewPCG(seed, 1)), now: 1_000_000, s: New(), lim: DefaultLimits(), nextID: 1}
	w.lim.ToleranceMs, w.lim.DelayFactorMs, w.lim.DropDecommissioned = 60_000, 10_000, false
	w.s.GrantTasks(1, 1<<30)
	for i := range bes {
		w.addBE(fmt.Sprintf("h%d", i), disks)
	}
	for i := range tablets {
		wt := &worldTablet{Tablet: Tablet{ID: types.TabletID(1000 + i), Table: types.TableID(500 + i%3), Partition: types.PartitionID(600 + i%3),
			Want: min(want, bes), Version: 1, Epoch: 1}, data: map[types.ReplicaID]types.Version{}}
		size := int64(1+w.rng.IntN(100)) << 20
		for j := range wt.Want {
			be := &w.bes[(i+j)%bes]
			r := Replica{ID: w.nextID, BE: be.ID, Disk: be.Disks[w.rng.IntN(disks)].ID, Version: 1, Bytes: size}
			w.nextID++
			wt.Replicas = append(wt.Replicas, r)
			wt.data[r.ID] = 1
		}
		wt.Leader = wt.Replicas[0].BE
		w.tablets = append(w.tablets, wt)
	}
	return w
}

func (w *world) addBE(host string, disks int) *BE {
	be := BE{ID: types.BEID(1 + len(w.bes)), Host: host, Alive: true}
	for d := range disks {
		be.Disks = append(be.Disks, Disk{ID: types.DiskID(int(be.ID)*10 + d), Total: 1 << 40, Available: 1 << 39, Used: 1 << 30})
	}
	w.bes = append(w.bes, be)
	return &w.bes[len(w.bes)-1]
}

func (w *world) view() *View {
	tablets := make([]Tablet, len(w.tablets))
	for i, t := range w.tablets {
		tablets[i] = t.Tablet
		tablets[i].Replicas = slices.Clone(t.Replicas)
	}
	return NewView(slices.Clone(w.bes), tablets)
}

func (w *world) be(id types.BEID) *BE {
	for i := range w.bes {
		if w.bes[i].ID == id {
			return &w.bes[i]
		}
	}
	return nil
}

func (w *world) tablet(id types.TabletID) *worldTablet { return w.tablets[int(id)-1000] }

// cut reports whether one of two BEs says that it does not reach the other.
func (w *world) cut(a, b types.BEID) bool {
	return slices.Contains(w.be(a).Unreached, b) || slices.Contains(w.be(b).Unreached, a)
}

func (w *world) alive(id types.BEID) bool { be := w.be(id); return be != nil && be.Alive }

// step runs one Step and carries out what it says.
func (w *world) step() Output {
	if w.follow != nil {
		w.follow()
	}
	w.full = MarkFull(w.bes, w.full, w.lim, w.now)
	in := Input{NowMs: w.now, View: w.view(), Dirty: w.dirty, Outcomes: w.ended, Restarted: w.restart, Found: w.found, Limits: w.lim,
		Scan: w.now >= w.scanAt, Clones: w.progress()}
	if in.Scan {
		w.scanAt = w.now + w.lim.ScanMs
	}
	w.dirty, w.ended, w.restart, w.found = nil, nil, nil, nil
	out := w.s.Step(in)
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %d %+v", w.sum, w.now, out)
	w.sum = h.Sum64()
	for i := range out.Actions {
		w.carryOut(&out.Actions[i])
	}
	w.checkSlots()
	return out
}

// progress is how far clones are: those that hang have been idle since they began.
func (w *world) progress() []CloneProgress {
	var out []CloneProgress
	for _, c := range w.clones {
		p := CloneProgress{Task: c.task}
		if c.hung {
			p.IdleMs = w.now - c.begunMs
		}
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b CloneProgress) int { return cmp.Compare(a.Task, b.Task) })
	return out
}

// settle steps until nothing more is decided at this moment.
func (w *world) settle() int64 {
	for n := 0; ; n++ {
		out := w.step()
		w.actions += len(out.Actions)
		if len(out.Actions) == 0 {
			return out.WakeMs
		}
		if n > 2000 {
			w.t.Fatalf("the scheduler does not come to rest at %d: %+v", w.now, out.Actions)
		}
	}
}

// run lets virtual time pass.
func (w *world) run(ms int64) {
	for end := w.now + ms; w.now < end; {
		next := min(w.settle(), end)
		for _, c := range w.clones {
			next = min(next, c.endMs)
		}
		w.now = max(next, w.now+1)
		w.endClones()
	}
	w.settle()
}

func (w *world) carryOut(a *Action) {
	if w.acts != nil {
		w.acts(a)
	}
	w.log = append(w.log, fmt.Sprintf("%d %s tablet %d replica %d be %d: %s", w.now, a.Kind, a.Tablet, a.Replica, a.BE, a.Why))
	if a.Tablet != 0 {
		w.dirty = append(w.dirty, a.Tablet)
	}
	switch a.Kind {
	case ActReport:
		w.raise(w.tablet(a.Tablet), a.Replica, a.Version)
		if r := w.replica(w.tablet(a.Tablet), a.Replica); r != nil && a.Disk != 0 {
			r.Disk = a.Disk
		}
	case ActPromote:
		w.promote(a)
	case ActDrop:
		w.drop(a)
	case ActAdd:
		w.add(a)
	case ActClone:
		w.clone(a, a.Replica)
	case ActCancel:
		w.clones = slices.DeleteFunc(w.clones, func(c *worldClone) bool { return c.task == a.Task })
	case ActLeaders:
		w.lead(a)
	default:
		w.t.Fatalf("unexpected action %+v", a)
	}
}

func (w *world) replica(t *worldTablet, id types.ReplicaID) *Replica {
	for i := range t.Replicas {
		if t.Replicas[i].ID == id {
			return &t.Replicas[i]
		}
	}
	return nil
}

func (w *world) raise(t *worldTablet, id types.ReplicaID, v types.Version) {
	r := w.replica(t, id)
	if r == nil || r.LastFailed == 0 {
		return
	}
	if v >= r.LastFailed {
		r.LastFailed, r.Version = 0, t.Version
	} else {
		r.Version = max(r.Version, v)
	}
}

func (w *world) promote(a *Action) {
	t := w.tablet(a.Tablet)
	w.raise(t, a.Replica, a.Version)
	r := w.replica(t, a.Replica)
	if r == nil || r.Role != types.RoleLearner || r.LastFailed != 0 || r.Bad {
		return // refused
	}
	if t.data[r.ID] != t.Version {
		w.t.Fatalf("tablet %d: promoted replica %d at version %d of %d", t.ID, r.ID, t.data[r.ID], t.Version)
	}
	r.Role = types.RoleFollower
	t.Epoch++
}

func (w *world) drop(a *Action) {
	t := w.tablet(a.Tablet)
	r := w.replica(t, a.Replica)
	if r == nil || a.Epoch != t.Epoch {
		return
	}
	w.drops++
	left := 0
	for i := range t.Replicas {
		o := &t.Replicas[i]
		if o.ID != r.ID && o.complete() && w.alive(o.BE) && t.data[o.ID] == t.Version {
			left++
		}
	}
	if r.Role == types.RoleFollower {
		t.Epoch++
		if left == 0 {
			w.t.Fatalf("tablet %d: dropping replica %d (%s) leaves no complete copy: %+v\n%v", t.ID, r.ID, a.Why, t.Replicas, w.log)
		}
	}
	if t.Leader == r.BE {
		t.Leader = a.NewLeader
	}
	delete(t.data, r.ID)
	t.Replicas = slices.DeleteFunc(t.Replicas, func(o Replica) bool { return o.ID == a.Replica })
}

func (w *world) add(a *Action) {
	t := w.tablet(a.Tablet)
	if be := w.be(a.BE); t.On(a.BE) != nil || be == nil || !be.Available() {
		w.t.Fatalf("tablet %d: new replica on be %d: %+v", t.ID, a.BE, t.Replicas)
	}
	w.moves++
	if w.added != nil {
		w.added(t.ID, a.BE)
	}
	t.Replicas = append(t.Replicas, Replica{ID: w.nextID, BE: a.BE, Disk: a.Disk, Role: types.RoleLearner, LastFailed: t.Version})
	w.nextID++
	w.clone(a, w.nextID-1)
}

func (w *world) clone(a *Action, replica types.ReplicaID) {
	for _, c := range w.clones {
		if c.tablet == a.Tablet {
			w.t.Fatalf("tablet %d: clone %d begins while %d runs", a.Tablet, a.Task, c.task)
		}
	}
	t := w.tablet(a.Tablet)
	if w.cloned != nil {
		w.cloned(a)
	}
	_, has := t.data[replica]
	ms := int64(1000)
	if !has || a.Clone.SourceBE == a.BE {
		ms += t.Bytes() / 20_000
	}
	if !w.alive(a.BE) || !w.alive(a.Clone.SourceBE) {
		w.t.Fatalf("clone between dead bes: %+v", a)
	}
	w.clones = append(w.clones, &worldClone{task: a.Task, tablet: a.Tablet, replica: replica, src: a.Clone.SourceBE, dst: a.BE,
		spec: a.Clone, begunMs: w.now, endMs: w.now + ms, full: !has})
}

func (w *world) endClones() {
	var left []*worldClone
	for _, c := range w.clones {
		if c.endMs > w.now {
			left = append(left, c)
			continue
		}
		t := w.tablet(c.tablet)
		o := Outcome{Task: c.task, Tablet: c.tablet, BE: c.dst, Disk: c.spec.DestDisk, Full: c.full, ElapsedMs: 1000, Bytes: t.Bytes()}
		src, dst := t.On(c.src), w.replica(t, c.replica)
		switch {
		case !w.alive(c.dst):
			continue
		case src == nil || dst == nil || !w.alive(c.src) || w.cut(c.src, c.dst) || !w.sound && w.rng.IntN(20) == 0,
			w.breaks != nil && w.breaks(c):
			o.Reason = "stream broke"
		case w.refuses(c.dst, c.spec.DestDisk):
			o.Reason = "disk is below its reserve"
		default:
			dst.Bytes = src.Bytes
			t.data[dst.ID] = t.data[src.ID]
			o.Done, o.Version = true, t.data[src.ID]
		}
		w.ended = append(w.ended, o)
	}
	w.clones = left
}

func (w *world) lead(a *Action) {
	for _, m := range a.Leaders {
		t := w.tablet(m.Tablet)
		w.dirty = append(w.dirty, t.ID)
		if t.Epoch != m.Epoch {
			continue
		}
		r := t.On(m.To)
		if r == nil || !r.complete() || !w.alive(m.To) {
			w.t.Fatalf("tablet %d: leader on be %d: %+v", t.ID, m.To, t.Replicas)
		}
		t.Leader = m.To
		t.Epoch++
	}
}

func (w *world) refuses(id types.BEID, disk types.DiskID) bool {
	d := w.be(id).disk(disk)
	return d != nil && d.Refuses
}

// write commits one version of a tablet on whoever can store it.
func (w *world) write(t *worldTablet) {
	lead := t.On(t.Leader)
	if lead == nil || !w.alive(t.Leader) {
		return
	}
	followers, ok := 0, 0
	stores := func(r *Replica) bool {
		return w.alive(r.BE) && t.data[r.ID] == t.Version && !w.cut(t.Leader, r.BE) && !w.refuses(r.BE, r.Disk) && (w.sound || w.rng.IntN(15) > 0)
	}
	stored := map[types.ReplicaID]bool{}
	for i := range t.Replicas {
		r := &t.Replicas[i]
		stored[r.ID] = stores(r)
		if r.Role == types.RoleFollower {
			followers++
			if stored[r.ID] && r.complete() {
				ok++
			}
		}
	}
	if ok < followers/2+1 || !stored[lead.ID] {
		return
	}
	t.Version++
	for i := range t.Replicas {
		r := &t.Replicas[i]
		if !stored[r.ID] {
			r.LastFailed = t.Version
			continue
		}
		t.data[r.ID] = t.Version
		if r.LastFailed == 0 {
			r.Version = t.Version
		}
	}
	w.dirty = append(w.dirty, t.ID)
}

// lag has the last n replicas of a tablet miss a version.
func (w *world) lag(tab *worldTablet, n int) {
	tab.Version++
	for i := range tab.Replicas {
		r := &tab.Replicas[i]
		if i >= len(tab.Replicas)-n {
			r.LastFailed = tab.Version
		} else {
			r.Version = tab.Version
			tab.data[r.ID] = tab.Version
		}
	}
	w.dirty = append(w.dirty, tab.ID)
}

// checkSlots proves S2 by counting what really runs.
func (w *world) checkSlots() {
	used := map[slotKey]int{}
	for _, c := range w.clones {
		if c.found {
			continue
		}
		src := w.tablet(c.tablet).On(c.src)
		if src != nil {
			used[slotKey{c.src, c.spec.SourceDisk, c.spec.Balance}]++
		}
		used[slotKey{c.dst, c.spec.DestDisk, c.spec.Balance}]++
	}
	for k, n := range used {
		limit := w.lim.RepairSlots
		if k.balance {
			limit = w.lim.BalanceSlots
		}
		if n > limit {
			w.t.Fatalf("be %d disk %d runs %d clones (balance %v), %d are allowed", k.be, k.disk, n, k.balance, limit)
		}
	}
}

func (w *world) kill(id types.BEID) {
	be := w.be(id)
	be.Alive, be.DeadSinceMs = false, w.now
}

// revive brings a BE back; its clones are gone if it restarted.
func (w *world) revive(id types.BEID) {
	w.be(id).Alive = true
	w.clones = slices.DeleteFunc(w.clones, func(c *worldClone) bool { return c.dst == id })
	w.restart = append(w.restart, id)
}

// wipe takes the data of a BE, unless that would be the last of a tablet.
func (w *world) wipe(id types.BEID) {
	for _, t := range w.tablets {
		if r := t.On(id); r != nil && !w.otherCopy(t, r) {
			return
		}
	}
	for _, t := range w.tablets {
		if r := t.On(id); r != nil && r.Role == types.RoleFollower {
			r.Lost = true
			delete(t.data, r.ID)
			w.deposed(t, r)
		}
	}
}

func (w *world) otherCopy(t *worldTablet, r *Replica) bool {
	for i := range t.Replicas {
		o := &t.Replicas[i]
		if o != r && o.complete() && t.data[o.ID] == t.Version {
			return true
		}
	}
	return false
}

func (w *world) damage(t *worldTablet) {
	r := &t.Replicas[w.rng.IntN(len(t.Replicas))]
	if w.otherCopy(t, r) {
		r.Bad = true
		w.deposed(t, r)
	}
}

func (w *world) deposed(t *worldTablet, r *Replica) {
	w.dirty = append(w.dirty, t.ID)
	if t.Leader == r.BE {
		t.Leader = 0
		t.Epoch++
	}
}

func (w *world) checkHealthy() {
	w.t.Helper()
	v := w.view()
	for i := range v.Tablets {
		t := &v.Tablets[i]
		if d := Health(t, v, Clock{NowMs: w.now, ToleranceMs: w.lim.ToleranceMs}); d.Status != Healthy || d.Copies != t.Want || !w.alive(t.Leader) {
			w.t.Fatalf("tablet %d after all has healed: %s leader %d\n%+v\ntask %+v", t.ID, d.Detail(), t.Leader, t.Replicas, w.s.tasks[t.ID])
		}
	}
}

// checkQuiet proves S4: with nothing to do, nothing is done, for hours.
func (w *world) checkQuiet() {
	w.t.Helper()
	w.checkQuietFor(3 * 3600_000)
}

func (w *world) checkQuietFor(ms int64) {
	w.t.Helper()
	w.actions = 0
	from := len(w.log)
	w.run(ms)
	if w.actions != 0 {
		w.t.Fatalf("%d actions in a healthy, even cluster: %v", w.actions, w.log[from:min(len(w.log), from+20)])
	}
}

func TestDeadBE(t *testing.T) {
	w := newWorld(t, 1, 5, 2, 60, 3)
	w.run(1000)
	w.kill(2)
	w.settle()
	for _, tab := range w.tablets {
		if tab.Leader == 2 {
			t.Fatalf("tablet %d is still led by the dead be", tab.ID)
		}
	}
	w.run(w.lim.ToleranceMs - 2000)
	if w.moves != 0 {
		t.Fatalf("%d replicas were replaced before the tolerance was over", w.moves)
	}
	w.run(600_000)
	for _, tab := range w.tablets {
		if tab.On(2) != nil {
			t.Fatalf("tablet %d still has a replica on the dead be: %+v", tab.ID, tab.Replicas)
		}
	}
	w.checkHealthy()
	w.revive(2)
	w.run(3600_000)
	w.checkHealthy()
	spread := leaderSpread(w.view(), LeaderScope{}, nil)
	if spread.Max-spread.Min > 1 {
		t.Fatalf("leaders are spread %+v", spread)
	}
	n := 0
	for _, tab := range w.tablets {
		if tab.On(2) != nil {
			n++
		}
	}
	if n < 20 {
		t.Fatalf("the be that came back empty has %d of 180 replicas", n)
	}
	w.checkQuiet()
}
