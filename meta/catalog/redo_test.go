package catalog

import (
	"bytes"
	"cmp"
	"maps"
	"runtime"
	"slices"
	"testing"
	"weak"

	"pgregory.net/rapid"

	"stele/meta/command"
	"stele/meta/types"
)

// checkRedoing checks C9 but for what has been trimmed.
func checkRedoing(t *rapid.T, c *Catalog) {
	total, tablets := int64(0), 0
	for tab := range c.Tablets() {
		if tab.Redo != nil {
			tablets++
		}
		above := tab.Version + 1
		for r := tab.Redo; r != nil; r = r.Prev {
			if r.Version >= above || len(r.Parts) == 0 {
				t.Fatalf("C9: tablet %d has the rows of version %d below %d: %v", tab.ID, r.Version, above, r.Parts)
			}
			above, total = r.Version, total+r.Bytes()
		}
	}
	listed := 0
	for tab := range c.Redoing() {
		if tab == nil || tab.Redo == nil {
			t.Fatalf("C9: %+v is listed", tab)
		}
		listed++
	}
	if listed != tablets || c.RedoTablets() != tablets || total != c.RedoBytes() {
		t.Fatalf("C9: %d tablets (%d listed, %d said) with %d bytes (%d said)", tablets, listed, c.RedoTablets(), total, c.RedoBytes())
	}
}

// redoModel is what a catalog should know of the rows of commits, as plainly as can be.
type redoModel struct {
	version map[types.TabletID]types.Version
	epoch   map[types.TabletID]types.Epoch
	leader  map[types.TabletID]types.BEID
	rows    map[types.TabletID]map[types.Version][]string // of versions that were committed with rows and not trimmed
	started map[types.BEID]int64
}

func (m *redoModel) clone() *redoModel {
	c := &redoModel{maps.Clone(m.version), maps.Clone(m.epoch), maps.Clone(m.leader), map[types.TabletID]map[types.Version][]string{}, maps.Clone(m.started)}
	for id, rows := range m.rows {
		c.rows[id] = maps.Clone(rows)
	}
	return c
}

// redoWorld drives a catalog and its model.
type redoWorld struct {
	t       *rapid.T
	c       *Catalog
	m       *redoModel
	txn     types.TxnID
	next    types.TabletID // ids for what a truncate makes
	applied map[string]int
}

const redoTables = 3

func newRedoWorld(t *rapid.T, tb *testing.T, applied map[string]int) *redoWorld {
	b := newBench(tb)
	w := &redoWorld{t: t, m: &redoModel{map[types.TabletID]types.Version{}, map[types.TabletID]types.Epoch{}, map[types.TabletID]types.BEID{},
		map[types.TabletID]map[types.Version][]string{}, map[types.BEID]int64{}}, next: 10800, applied: applied}
	for i := range redoTables {
		cmd := table([]string{"a", "b", "c"}[i], types.TableID(10100+i*10), types.QuorumMajority, types.TabletID(10500+i*10))
		cmd.Tablets[0].Leader = []types.BEID{be1, be2, be1}[i]
		b.must(cmd)
	}
	w.c = b.c
	for tab := range w.c.Tablets() {
		w.born(tab.ID, tab.Leader)
	}
	return w
}

func (w *redoWorld) born(id types.TabletID, leader types.BEID) {
	w.m.version[id], w.m.epoch[id], w.m.leader[id], w.m.rows[id] = types.InitialVersion, 1, leader, map[types.Version][]string{}
}

func (w *redoWorld) gone(id types.TabletID) {
	delete(w.m.version, id)
	delete(w.m.epoch, id)
	delete(w.m.leader, id)
	delete(w.m.rows, id)
}

func (w *redoWorld) pick() types.TabletID {
	return rapid.SampledFrom(slices.Sorted(maps.Keys(w.m.version))).Draw(w.t, "tablet")
}

// commit draws a commit of one or two tablets and works out what is to come of it.
func (w *redoWorld) commit() (command.Command, func()) {
	w.txn++
	cmd := &command.CommitTxn{Txn: w.txn, TimeMs: 2000}
	stale := false
	named := map[types.TabletID]bool{}
	for range rapid.IntRange(1, 2).Draw(w.t, "parts") {
		id := w.pick()
		if named[id] {
			continue
		}
		named[id] = true
		part := command.TxnTablet{Tablet: id, Epoch: w.m.epoch[id], OK: []types.ReplicaID{types.ReplicaID(id + 1), types.ReplicaID(id + 2), types.ReplicaID(id + 3)}}
		if rapid.IntRange(0, 9).Draw(w.t, "stale") == 0 {
			part.Epoch, stale = part.Epoch-1, true
		}
		for range rapid.IntRange(0, 2).Draw(w.t, "payloads") {
			part.Redo = append(part.Redo, rapid.SliceOfN(rapid.Byte(), 1, 20).Draw(w.t, "payload"))
		}
		cmd.Tablets = append(cmd.Tablets, part)
	}
	if stale {
		return cmd, nil
	}
	return cmd, func() {
		for _, part := range cmd.Tablets {
			w.m.version[part.Tablet]++
			for _, p := range part.Redo {
				rows := w.m.rows[part.Tablet]
				rows[w.m.version[part.Tablet]] = append(rows[w.m.version[part.Tablet]], string(p))
			}
		}
		w.applied["commit"]++
	}
}

func (w *redoWorld) trim() (command.Command, func()) {
	cmd := &command.TrimRedo{}
	for range rapid.IntRange(1, 3).Draw(w.t, "trims") {
		id := types.TabletID(10999) // a tablet that was dropped meanwhile
		if rapid.IntRange(0, 9).Draw(w.t, "known") > 0 {
			id = w.pick()
		}
		v := types.Version(rapid.IntRange(0, int(w.m.version[id])+1).Draw(w.t, "upto"))
		cmd.Tablets = append(cmd.Tablets, command.TabletUpTo{Tablet: id, Version: v})
	}
	return cmd, func() {
		for _, upTo := range cmd.Tablets {
			for v := range w.m.rows[upTo.Tablet] {
				if v <= upTo.Version {
					delete(w.m.rows[upTo.Tablet], v)
					w.applied["trim"]++
				}
			}
		}
	}
}

func (w *redoWorld) start() (command.Command, func()) {
	cmd := &command.StartBE{BE: rapid.SampledFrom([]types.BEID{be1, be2, be3}).Draw(w.t, "be"), StartMs: int64(rapid.IntRange(1, 3).Draw(w.t, "start"))}
	return cmd, func() {
		if w.m.started[cmd.BE] == cmd.StartMs {
			w.applied["same start"]++
			return
		}
		w.m.started[cmd.BE] = cmd.StartMs
		for id, leader := range w.m.leader {
			if leader == cmd.BE {
				w.m.epoch[id]++
				w.applied["start"]++
			}
		}
	}
}

// drop truncates a table, or has an operator accept that a tablet starts again with nothing.
func (w *redoWorld) drop() (command.Command, func()) {
	id := w.pick()
	tab, _ := w.c.Tablet(id)
	w.next += 10
	fresh := w.next
	if rapid.Bool().Draw(w.t, "empty") {
		cmd := &command.AcceptLoss{Tablet: id, Replica: types.ReplicaID(fresh), Empty: be4, Version: tab.Version, Epoch: tab.Epoch}
		return cmd, func() { // only one replica is left, which this world does not write to
			w.gone(id)
			w.applied["empty"]++
		}
	}
	cmd := &command.TruncateTable{ID: tab.Table, Parts: []command.TruncatePartition{{Partition: tab.Partition, Tablets: []types.TabletID{fresh}}},
		Tablets: table("", 0, 0, fresh).Tablets}
	return cmd, func() {
		w.gone(id)
		w.born(fresh, be1)
		w.applied["truncate"]++
	}
}

func (w *redoWorld) draw() (command.Command, func()) {
	switch k := rapid.IntRange(0, 19).Draw(w.t, "kind"); {
	case k < 12:
		return w.commit()
	case k < 16:
		return w.trim()
	case k < 18 || len(w.m.version) < 2:
		return w.start()
	}
	return w.drop()
}

// check compares a catalog with a model.
func (m *redoModel) check(t *rapid.T, c *Catalog) {
	var with []types.TabletID
	for id, version := range m.version {
		tab, ok := c.Tablet(id)
		if !ok || tab.Version != version || tab.Epoch != m.epoch[id] || tab.Leader != m.leader[id] {
			t.Fatalf("tablet %d is %+v, not at version %d, epoch %d", id, tab, version, m.epoch[id])
		}
		if len(m.rows[id]) > 0 {
			with = append(with, id)
		}
		for v := range version + 2 {
			m.checkAfter(t, tab, v)
		}
	}
	slices.SortFunc(with, cmp.Compare)
	var listed []types.TabletID
	for tab := range c.Redoing() {
		listed = append(listed, tab.ID)
	}
	if !slices.Equal(with, listed) {
		t.Fatalf("%v have rows, %v are listed", with, listed)
	}
	for be, start := range m.started {
		if b, _ := c.BE(be); b.StartMs != start {
			t.Fatalf("backend %d was started at %d, not %d", be, b.StartMs, start)
		}
	}
	checkRedoing(t, c)
}

func (m *redoModel) checkAfter(t *rapid.T, tab *Tablet, v types.Version) {
	run := tab.RedoAfter(v)
	for i, r := range run {
		want := m.rows[tab.ID][v+1+types.Version(i)]
		if r.Version != v+1+types.Version(i) || r.Schema != 1 || !slices.EqualFunc(want, r.Parts, func(s string, b []byte) bool { return s == string(b) }) {
			t.Fatalf("tablet %d after %d: %+v in the place of %q", tab.ID, v, r, want)
		}
	}
	if more := m.rows[tab.ID][v+1+types.Version(len(run))]; more != nil {
		t.Fatalf("tablet %d after %d: ends before %q", tab.ID, v, more)
	}
}

// TestRedoAgainstModel: commits with rows, trims, starts of BEs and tablets that go leave what a dumb model says, one by one, in batches
// of decoded log entries and over snapshots; catalogs that were read before stay what they were.
func TestRedoAgainstModel(t *testing.T) {
	applied := map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		w := newRedoWorld(rt, t, applied)
		type snap struct {
			c *Catalog
			m *redoModel
		}
		var old []snap
		first := w.c
		var log []command.Command
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			cmd, effect := w.draw()
			log = append(log, cmd)
			next, _, err := Apply(w.c, cmd)
			if (err == nil) != (effect != nil) {
				rt.Fatalf("%s %+v: %v", cmd.Type(), cmd, err)
			}
			if w.c = next; effect != nil {
				effect()
			}
			if rapid.IntRange(0, 9).Draw(rt, "snapshot") == 0 {
				old = append(old, snap{w.c, w.m.clone()})
				back, err := ReadSnapshot(bytes.NewReader(snapshotOf(rt, w.c)))
				if err != nil {
					rt.Fatalf("read snapshot: %v", err)
				}
				w.c = back
			}
			w.m.check(rt, w.c)
		}
		for _, s := range old {
			s.m.check(rt, s.c)
		}
		if inBatches := applyEntries(rt, first, log); !bytes.Equal(snapshotOf(rt, inBatches), snapshotOf(rt, w.c)) {
			rt.Fatalf("in batches it came out otherwise")
		}
	})
	for _, must := range []string{"commit", "trim", "start", "same start", "truncate", "empty"} {
		if applied[must] == 0 {
			t.Errorf("no %s: the test proves nothing of it (%v)", must, applied)
		}
	}
}

// applyEntries applies commands as they come out of the log, several to an entry whose bytes are used again.
func applyEntries(t *rapid.T, c *Catalog, cmds []command.Command) *Catalog {
	eachEntry(t, cmds, func(batch command.Command) { c, _, _ = Apply(c, batch) })
	return c
}

func TestCommitRedoBounds(t *testing.T) {
	b := newBench(t)
	b.must(table("a", 10100, types.QuorumMajority, tabletA))
	for name, redo := range map[string][][]byte{
		"empty payload":     {{1}, {}},
		"too many payloads": slices.Repeat([][]byte{{1}}, MaxRedoParts+1),
		"too many bytes":    {make([]byte, MaxRedoBytes), {1}},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := b.commit(1, r1, r2)
			cmd.Tablets[0].Redo = redo
			fails[*ErrRefused](b, cmd)
		})
	}
	cmd := b.commit(1, r1, r2)
	cmd.Tablets[0].Redo = [][]byte{make([]byte, MaxRedoBytes)}
	b.must(cmd)
	if b.c.RedoBytes() < MaxRedoBytes {
		t.Errorf("%d bytes", b.c.RedoBytes())
	}
}

// TestStartBEFencesWrites: what was written at a leader before it was started again cannot be committed, what was written at others can.
func TestStartBEFencesWrites(t *testing.T) {
	b := newBench(t)
	b.must(table("a", 10100, types.QuorumMajority, tabletA))
	b.must(&command.StartBE{BE: be1, StartMs: 7})
	written := b.commit(1, r1, r2, r3)
	b.must(&command.StartBE{BE: be2, StartMs: 7}) // a follower
	b.must(&command.StartBE{BE: be1, StartMs: 7}) // heard of twice
	b.must(written)
	written = b.commit(2, r1, r2, r3)
	b.must(&command.StartBE{BE: be1, StartMs: 6}) // of a clock that was set back
	fails[*ErrStaleEpoch](b, written)
	if tab := b.tablet(); tab.Leader != be1 || !tab.Replica(be1).Complete() {
		t.Errorf("%+v", tab)
	}
	fails[*ErrRefused](b, &command.StartBE{BE: be1})
	fails[*ErrNotFound](b, &command.StartBE{BE: 99, StartMs: 1})
}

// TestTrimMarksWhoWasNotHeard: a replica that has not said that it has what is trimmed is none that is complete, until it says so.
func TestTrimMarksWhoWasNotHeard(t *testing.T) {
	b := newBench(t)
	b.must(table("a", 10100, types.QuorumMajority, tabletA))
	for txn := range types.TxnID(3) { // versions 2 to 4
		cmd := b.commit(txn+1, r1, r2, r3)
		cmd.Tablets[0].Redo = [][]byte{{byte(txn)}}
		b.must(cmd)
	}
	b.must(&command.TrimRedo{Tablets: []command.TabletUpTo{{Tablet: tabletA, Version: 1, Missed: []types.ReplicaID{r3}}}})
	if !b.tablet().ReplicaByID(r3).Complete() {
		t.Fatal("nothing was trimmed, and the replica is marked")
	}
	trim := &command.TrimRedo{Tablets: []command.TabletUpTo{{Tablet: tabletA, Version: 3, Missed: []types.ReplicaID{r3, 999}}}, TimeMs: 50}
	if res := b.must(trim).(CountResult); res.N != 2 {
		t.Fatalf("%d versions were trimmed", res.N)
	}
	was := b.tablet().Epoch
	if r := b.tablet().ReplicaByID(r3); r.Complete() || r.Version != 1 || r.LastFailed != 4 || r.LastFailedMs != 50 || r.Settled > 1 {
		t.Fatalf("%+v", r)
	}
	fails[*ErrQuorum](b, b.commit(5, r1, r3)) // it counts for nothing
	b.must(&command.ReportReplicas{Items: []command.ReplicaReport{{Tablet: tabletA, Replica: r3, BE: be3, Version: 3}}})
	if b.tablet().ReplicaByID(r3).Complete() {
		t.Fatal("it lacks version 4")
	}
	b.must(&command.ReportReplicas{Items: []command.ReplicaReport{{Tablet: tabletA, Replica: r3, BE: be3, Version: 4}}})
	if r := b.tablet().ReplicaByID(r3); !r.Complete() || b.tablet().Epoch != was {
		t.Fatalf("%+v", r)
	}
	if b.must(trim); !b.tablet().ReplicaByID(r3).Complete() {
		t.Fatal("heard of twice, it marks twice")
	}
	b.must(&command.TrimRedo{Tablets: []command.TabletUpTo{{Tablet: tabletA, Version: 4, Missed: []types.ReplicaID{r1}}}})
	if tab := b.tablet(); tab.Leader != 0 || tab.Epoch != was+1 { // the leader
		t.Fatalf("%+v", tab)
	}
}

// TestTrimmedRowsLeaveMemory: of a tablet that is written to all the time, some rows are kept at each trim; those must not hold what has
// been trimmed before.
func TestTrimmedRowsLeaveMemory(t *testing.T) {
	b := newBench(t)
	b.must(table("a", 10100, types.QuorumMajority, tabletA))
	txn := types.TxnID(0)
	commit := func() {
		t.Helper()
		txn++
		cmd := b.commit(txn, r1, r2, r3)
		cmd.Tablets[0].Redo = [][]byte{make([]byte, 1000)}
		b.must(cmd)
	}
	var trimmed []weak.Pointer[byte]
	commit()
	for range 5 {
		last := b.tablet()
		trimmed = append(trimmed, weak.Make(&last.Redo.Parts[0][0]))
		commit()
		b.must(&command.TrimRedo{Tablets: []command.TabletUpTo{{Tablet: tabletA, Version: last.Version}}})
	}
	if r := b.tablet().Redo; r == nil || r.Prev != nil {
		t.Fatal("not one version is kept")
	}
	runtime.GC()
	for i, p := range trimmed {
		if p.Value() != nil {
			t.Errorf("the rows of trim %d are in memory still", i)
		}
	}
	runtime.KeepAlive(b)
}
