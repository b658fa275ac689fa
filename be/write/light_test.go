package write

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"stele/be/tablet"
	"stele/meta/types"
	"stele/proto/bepb"
	"stele/sql/vec"
)

// member is a BE of a pair: a process that can be killed, over a disk that stays.
type member struct {
	p       *pair
	replica uint64
	dir     string
	store   *tablet.Store
	w       *Writer
	startMs int64
	dead    atomic.Bool  // nothing reaches the disk any more
	writes  atomic.Int64 // groups that were written to it
}

// pair is two replicas of tablet 5, of which the first leads.
type pair struct {
	members [2]*member
	cut     bool // copies do not arrive
	light   int  // copies that were to be light
}

func (m *member) Tablet(id types.TabletID) (*tablet.Tablet, bool) { return m.store.Tablet(id) }

func (m *member) Forward(_ string, req *bepb.ReplicateRequest, _ time.Duration, done func(*bepb.ReplicateResponse, error)) {
	if m.p.cut {
		done(nil, errors.New("the link is cut"))
		return
	}
	if req.Parts[0].Redo {
		m.p.light++
	}
	m.p.members[1].w.Follow(context.Background(), req, func(r *bepb.ReplicateResponse) { done(r, nil) })
}

func (m *member) fault(_ string, durable bool) error {
	if m.dead.Load() {
		return errors.New("power is off")
	}
	if durable {
		m.writes.Add(1)
	}
	return nil
}

func (m *member) open() error {
	m.dead.Store(false)
	s, err := tablet.Open(m.dir, tablet.Options{ClusterID: "pair", Small: true, NoBackground: true, FloodBytes: 1, FloodPercent: 1, Faults: tablet.Faults{Write: m.fault}})
	if err != nil {
		return err
	}
	m.store = s
	m.startMs++
	m.w = New(m, m, Options{ReplicateTimeout: time.Second, VersionWait: time.Millisecond, StartMs: m.startMs}, slog.New(slog.DiscardHandler))
	return nil
}

// kill ends the process without what has not been written yet, and starts another one.
func (m *member) kill() error {
	m.dead.Store(true)
	m.w.Close()
	_ = m.store.Close() // it fails, as it should
	if err := m.open(); err != nil {
		return err
	}
	if t, ok := m.Tablet(5); ok {
		m.w.Adopt(t)
	}
	return nil
}

func (m *member) tablet() *tablet.Tablet {
	t, _ := m.Tablet(5)
	return t
}

func newPair(t testing.TB) *pair {
	t.Helper()
	p := openPair(t)
	t.Cleanup(func() { p.close(t) })
	return p
}

func openPair(t testing.TB) *pair {
	t.Helper()
	p := &pair{}
	for i := range p.members {
		m := &member{p: p, replica: uint64(50 + i), dir: t.TempDir(), startMs: 1000}
		p.members[i] = m
		if err := m.open(); err != nil {
			t.Fatal(err)
		}
		if _, err := m.store.Create(tablet.Meta{Tablet: 5, Table: 1, Partition: 1, Replica: types.ReplicaID(m.replica), Schema: pairSchema(), Epoch: 1}); err != nil {
			t.Fatal(err)
		}
		m.reported()
	}
	return p
}

// reported answers a full report of the member's disk.
func (m *member) reported(behind ...Behind) { m.w.Reported([]*tablet.Store{m.store}, behind) }

func (p *pair) close(t testing.TB) {
	for _, m := range p.members {
		m.w.Close()
		if err := errors.Join(m.store.Close(), os.RemoveAll(m.dir)); err != nil {
			t.Error(err)
		}
	}
}

// write leads one part of rows with the value n, of which those below zero are deletes.
func (p *pair) write(txn types.TxnID, seq int, epoch types.Epoch, least types.Version, budget uint32, n int64, ids ...int64) *bepb.WriteResponse {
	ops := make([]byte, len(ids))
	rows := &vec.Batch{N: len(ids), Cols: []*vec.Vector{{Type: bigint, N: len(ids)}, {Type: narrow, N: len(ids)}}}
	for i, id := range ids {
		ops[i] = byte(types.OpPut)
		if id < 0 {
			ops[i], id = byte(types.OpDelete), -id
		}
		rows.Cols[0].I64, rows.Cols[1].I64 = append(rows.Cols[0].I64, id), append(rows.Cols[1].I64, n)
	}
	lead := p.members[0]
	return lead.w.Write(context.Background(), &bepb.WriteRequest{TxnId: uint64(txn), Parts: []*bepb.WriteRequest_Part{{
		TabletId: 5, ReplicaId: lead.replica, Epoch: uint64(epoch), MinVersion: uint64(least), Seq: uint64(seq), Ops: ops, Rows: vec.Encode(nil, rows),
		Others: []*bepb.ReplicaAddress{{ReplicaId: p.members[1].replica, Address: "other"}}, RedoBytes: budget, LeaderStartMs: lead.startMs,
	}}})
}

func (m *member) publish(v types.Version, txn types.TxnID, parts int) types.Version {
	got := m.w.Publish(context.Background(), []*bepb.PublishRequest_Item{{TabletId: 5, TxnId: uint64(txn), Version: uint64(v), Parts: uint32(parts)}})
	return types.Version(got[0])
}

func (m *member) redo(versions ...*bepb.RedoRequest_Version) types.Version {
	return types.Version(m.w.Redo(context.Background(), []*bepb.RedoRequest_Tablet{{TabletId: 5, ReplicaId: m.replica, Versions: versions}})[0])
}

// contents returns the rows at the newest version.
func (m *member) contents(t interface{ Fatal(...any) }) map[int64]int64 {
	s, err := m.tablet().Current()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Release()
	out := map[int64]int64{}
	it := s.Scan([]types.ColumnID{1, 2}, tablet.ScanOptions{})
	for {
		b, err := it.Next(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if b == nil {
			return out
		}
		b = b.Compact()
		for i := range b.N {
			out[b.Cols[0].I64[i]] = b.Cols[1].I64[i]
		}
	}
}

// TestLightWrite: what the commit can carry is written by nobody before it is published, and then once; a restart takes what was
// not, and Redo gives it back, however often.
func TestLightWrite(t *testing.T) {
	p := newPair(t)
	lead, other := p.members[0], p.members[1]
	before := [2]int64{lead.writes.Load(), other.writes.Load()}
	resp := p.write(10, 0, 1, 1, 1<<10, 7, 1, 2)
	if resp.Refusal != 0 || len(resp.Parts[0].Redo) == 0 || !slices.Equal(resp.Parts[0].OkReplicas, []uint64{51, 50}) || p.light != 1 {
		t.Fatalf("%v, %d light copies", resp, p.light)
	}
	if again := p.write(10, 0, 1, 1, 1<<10, 8, 1, 2); !slices.Equal(again.Parts[0].Redo, resp.Parts[0].Redo) {
		t.Fatal("a repeated part is answered with other rows than those that are kept")
	}
	for i, m := range p.members {
		if n := m.writes.Load() - before[i]; n != 0 || m.tablet().PendingParts(10) != 1 {
			t.Fatalf("member %d has %d parts after %d writes", i, m.tablet().PendingParts(10), n)
		}
		asked := 0
		m.w.Unsettled(func(txn types.TxnID, _ types.TabletID) { asked += int(txn) })
		if asked != 10 {
			t.Fatalf("member %d asks about %d", i, asked)
		}
	}
	if v := lead.publish(2, 10, 1); v != 2 {
		t.Fatalf("version %d", v)
	}
	for _, m := range p.members { // the one before its version is written, the other before it is told
		if err := m.kill(); err != nil {
			t.Fatal(err)
		}
		if have := m.tablet(); have.Version() != 1 || len(have.Pending()) != 0 {
			t.Fatalf("version %d, pending %v after a crash", have.Version(), have.Pending())
		}
		version := &bepb.RedoRequest_Version{TxnId: 10, Version: 2, Parts: [][]byte{resp.Parts[0].Redo}}
		for range 2 {
			if v := m.redo(version); v != 2 {
				t.Fatalf("version %d after redo", v)
			}
		}
		if err := m.kill(); err != nil {
			t.Fatal(err)
		}
		if got := m.contents(t); !maps.Equal(got, map[int64]int64{1: 7, 2: 7}) {
			t.Fatalf("%v", got)
		}
	}
	if v := other.redo(&bepb.RedoRequest_Version{TxnId: 12, Version: 4, Parts: [][]byte{resp.Parts[0].Redo}}); v != 2 {
		t.Fatalf("version %d after a redo beyond a gap", v)
	}
}

// TestDurableTakesLightWithIt: a part that the commit cannot carry makes the parts before it durable, and no later one is light.
func TestDurableTakesLightWithIt(t *testing.T) {
	p := newPair(t)
	for seq, budget := range []uint32{1 << 10, 10, 1 << 10} {
		resp := p.write(10, seq, 1, 1, budget, int64(seq), int64(seq))
		if resp.Refusal != 0 || len(resp.Parts[0].OkReplicas) != 2 || (len(resp.Parts[0].Redo) > 0) != (seq == 0) {
			t.Fatalf("part %d: %v", seq, resp)
		}
	}
	if p.light != 1 {
		t.Fatalf("%d copies are light", p.light)
	}
	for i, m := range p.members {
		if err := m.kill(); err != nil {
			t.Fatal(err)
		}
		if n := m.tablet().PendingParts(10); n != 3 {
			t.Fatalf("member %d has %d parts after a crash", i, n)
		}
		if v := m.publish(2, 10, 3); v != 2 {
			t.Fatalf("version %d", v)
		}
		if got := m.contents(t); !maps.Equal(got, map[int64]int64{0: 0, 1: 1, 2: 2}) {
			t.Fatalf("%v", got)
		}
	}
}

// TestRepeatedAsDurable: a part that is light becomes durable when it comes again for a commit that cannot carry it.
func TestRepeatedAsDurable(t *testing.T) {
	p := newPair(t)
	p.write(10, 0, 1, 1, 1<<10, 1, 1)
	if resp := p.write(10, 0, 1, 1, 0, 1, 1); resp.Refusal != 0 || len(resp.Parts[0].Redo) > 0 {
		t.Fatal(resp)
	}
	for i, m := range p.members {
		if err := m.kill(); err != nil {
			t.Fatal(err)
		}
		if n := m.tablet().PendingParts(10); n != 1 {
			t.Fatalf("member %d has %d parts", i, n)
		}
	}
}

// TestOneDurableOfARequest: of several parts of a tablet in one request none is light behind one that is not, and the budget is that
// of all together.
func TestOneDurableOfARequest(t *testing.T) {
	p := newPair(t)
	r := p.members[0].w.replica(p.members[0].tablet())
	mk := func(budget uint32, sizes ...int) (light []bool) {
		var parts []*part
		for i, n := range sizes {
			parts = append(parts, &part{r: r, payload: make([]byte, n), req: &bepb.WriteRequest_Part{Seq: uint64(i), RedoBytes: budget, LeaderStartMs: 1}})
		}
		chooseLight(10, parts)
		for _, p := range parts {
			light = append(light, p.light)
		}
		return light
	}
	for _, c := range []struct {
		budget uint32
		sizes  []int
		want   []bool
	}{
		{100, []int{40, 60}, []bool{true, true}},
		{100, []int{40, 61}, []bool{true, false}},
		{100, []int{101, 1}, []bool{false, false}},
		{0, []int{1}, []bool{false}},
	} {
		if got := mk(c.budget, c.sizes...); !slices.Equal(got, c.want) {
			t.Errorf("%v of %d: %v, want %v", c.sizes, c.budget, got, c.want)
		}
	}
}

// TestRestarted: a BE that begins again leads nothing that was meant for the process before, and takes no rows before it knows what it
// lacks, and has it.
func TestRestarted(t *testing.T) {
	p := newPair(t)
	lead, other := p.members[0], p.members[1]
	if err := other.kill(); err != nil {
		t.Fatal(err)
	}
	failure := func(txn types.TxnID) string {
		t.Helper()
		resp := p.write(txn, 0, 1, 1, 1<<10, 1, int64(txn))
		if resp.Refusal != 0 {
			t.Fatal(resp)
		}
		if f := resp.Parts[0].Failures; len(f) > 0 {
			return f[0].Error
		}
		return ""
	}
	if failure(10) == "" {
		t.Fatal("rows were taken before the first report is answered")
	}
	payload := p.write(11, 0, 1, 1, 1<<10, 1, 99).Parts[0].Redo
	if other.w.Reported([]*tablet.Store{lead.store}, nil); failure(16) == "" {
		t.Fatal("the answer to a report of another disk opened the gate")
	}
	other.reported(Behind{Tablet: 5, Replica: 51, Version: 2})
	if failure(12) == "" {
		t.Fatal("rows were taken above a version that is missing")
	}
	other.reported() // a later report
	if failure(13) == "" {
		t.Fatal("a later report opened the gate")
	}
	if v := other.redo(&bepb.RedoRequest_Version{TxnId: 11, Version: 2, Parts: [][]byte{payload}}); v != 2 {
		t.Fatal(v)
	}
	if why := failure(14); why != "" {
		t.Fatalf("rows are refused although nothing is missing: %s", why)
	}

	if err := lead.kill(); err != nil {
		t.Fatal(err)
	}
	if got := p.write(15, 0, 2, 1, 1<<10, 1, 5).Refusal; got != bepb.WriteResponse_BEHIND {
		t.Fatalf("%v: led before the first report is answered", got)
	}
	lead.reported()
	lead.startMs--
	got := p.write(15, 0, 2, 1, 1<<10, 1, 5).Refusal
	lead.startMs++
	if got != bepb.WriteResponse_STALE_EPOCH {
		t.Fatalf("%v: led what the process before was meant to", got)
	}
	if got := p.write(15, 0, 2, 1, 1<<10, 1, 5); got.Refusal != 0 || len(got.Parts[0].Redo) == 0 {
		t.Fatal(got)
	}
}

// TestMadeSinceTheStart: a replica that was made since has lost nothing, and takes rows.
func TestMadeSinceTheStart(t *testing.T) {
	o := newOneTablet(t)
	o.w = New(o, o, Options{VersionWait: time.Second, StartMs: 7}, slog.New(slog.DiscardHandler))
	if err := o.w.restart.refuses(o.t); err != nil {
		t.Fatal(err)
	}
}

// carried is a transaction as its FE knows it.
type carried struct {
	id    types.TxnID
	parts int
	redo  [][]byte
	ok    map[uint64]bool
	disk  bool // a part is not carried, so none is
	rows  map[int64]int64
	gone  []int64
}

// histories is an FE beside a pair, and what the tablet must hold.
type histories struct {
	t         *rapid.T
	p         *pair
	epoch     types.Epoch
	next      types.TxnID
	open      map[types.TxnID]*carried
	committed []*carried // of version 2, 3, …
	trimmed   types.Version
}

func (h *histories) version() types.Version { return types.Version(len(h.committed) + 1) }

func (h *histories) write() {
	c := &carried{id: h.next, ok: map[uint64]bool{50: true, 51: true}, rows: map[int64]int64{}}
	if ids := slices.Sorted(maps.Keys(h.open)); len(ids) > 0 && rapid.Bool().Draw(h.t, "same") {
		c = h.open[rapid.SampledFrom(ids).Draw(h.t, "txn")]
	} else {
		h.next++
		h.open[c.id] = c
	}
	budget := rapid.SampledFrom([]uint32{1 << 12, 1 << 12, 0}).Draw(h.t, "budget")
	if c.disk {
		budget = 0
	}
	id, n := rapid.Int64Range(1, 5).Draw(h.t, "id"), rapid.Int64Range(0, 100).Draw(h.t, "n")
	if rapid.IntRange(0, 3).Draw(h.t, "delete") == 0 {
		id = -id
	}
	h.p.cut = rapid.IntRange(0, 9).Draw(h.t, "cut") == 0
	resp := h.p.write(c.id, c.parts, h.epoch, h.version(), budget, n, id)
	h.p.cut = false
	if resp.Refusal != 0 {
		h.abort(c)
		return
	}
	part := resp.Parts[0]
	c.parts++
	for replica := range c.ok {
		c.ok[replica] = c.ok[replica] && slices.Contains(part.OkReplicas, replica)
	}
	if len(part.Redo) == 0 {
		c.disk, c.redo = true, nil
	} else {
		c.redo = append(c.redo, part.Redo)
	}
	if id < 0 {
		c.gone = append(c.gone, -id)
		delete(c.rows, -id)
	} else {
		c.rows[id] = n
	}
}

func (h *histories) abort(c *carried) {
	delete(h.open, c.id)
	for _, m := range h.p.members {
		if err := m.w.Abort(c.id, 0, 5); err != nil {
			h.t.Fatal(err)
		}
	}
}

// commit gives a transaction its version, if both replicas have it or its rows travel, and tells some.
func (h *histories) commit() {
	ids := slices.Sorted(maps.Keys(h.open))
	if len(ids) == 0 {
		return
	}
	c := h.open[rapid.SampledFrom(ids).Draw(h.t, "commit")]
	if !c.ok[50] || !c.ok[51] || c.parts == 0 {
		h.abort(c)
		return
	}
	delete(h.open, c.id)
	h.committed = append(h.committed, c)
	for _, m := range h.p.members {
		if rapid.IntRange(0, 3).Draw(h.t, "told") > 0 {
			m.publish(h.version(), c.id, 0)
		}
	}
}

// kill has a process die at this moment. What its leader has led is over: the epoch is another one.
func (h *histories) kill() {
	i := rapid.IntRange(0, 1).Draw(h.t, "member")
	m := h.p.members[i]
	if err := m.kill(); err != nil {
		h.t.Fatal(err)
	}
	if i == 0 {
		h.epoch++
		for _, c := range h.open {
			h.abort(c)
		}
	}
	if have := m.tablet().Version(); have < h.version() {
		if have < h.trimmed {
			h.t.Fatalf("member %d has version %d, %d was durable", i, have, h.trimmed)
		}
		m.reported(Behind{Tablet: 5, Replica: types.ReplicaID(m.replica), Version: h.version()})
	} else {
		m.reported()
	}
}

// resolve answers what a BE asks about.
func (h *histories) resolve(m *member) {
	var asked []types.TxnID
	m.w.Unsettled(func(txn types.TxnID, _ types.TabletID) { asked = append(asked, txn) })
	for _, txn := range asked {
		if h.open[txn] != nil {
			continue
		}
		at := slices.IndexFunc(h.committed, func(c *carried) bool { return c.id == txn })
		if err := m.w.Resolved(5, txn, types.Version(max(at+2, 0)*min(at+1, 1))); err != nil {
			h.t.Fatal(err)
		}
	}
}

// redo pushes what a replica lacks and the log still has.
func (h *histories) redo(m *member) {
	var versions []*bepb.RedoRequest_Version
	for v := m.tablet().Version() + 1; v <= h.version(); v++ {
		c := h.committed[v-2]
		if c.disk || v <= h.trimmed {
			break
		}
		versions = append(versions, &bepb.RedoRequest_Version{TxnId: uint64(c.id), Version: uint64(v), Parts: c.redo})
	}
	m.redo(versions...)
}

// trim forgets the rows of versions that both replicas have on disk.
func (h *histories) trim() {
	least := h.version()
	for _, m := range h.p.members {
		v, err := m.tablet().Queued()
		if err != nil {
			h.t.Fatal(err)
		}
		written := make(chan error, 1)
		m.store.Barrier(func(err error) { written <- err })
		if err := <-written; err != nil {
			h.t.Fatal(err)
		}
		least = min(least, v)
	}
	h.trimmed = max(h.trimmed, least)
}

// settle has both replicas come to the committed version, by what is told, asked and pushed.
func (h *histories) settle() {
	want := map[int64]int64{}
	for _, c := range h.committed {
		for _, id := range c.gone {
			delete(want, id)
		}
		maps.Copy(want, c.rows)
	}
	for i, m := range h.p.members {
		for range len(h.committed) + 1 {
			h.resolve(m)
			h.redo(m)
		}
		if m.tablet().Version() != h.version() {
			h.t.Fatalf("member %d has version %d of %d, %d are trimmed", i, m.tablet().Version(), h.version(), h.trimmed)
		}
		if got := m.contents(h.t); !maps.Equal(got, want) {
			h.t.Fatalf("member %d has %v, want %v", i, got, want)
		}
	}
}

// TestRedoHistories: whatever is killed between whatever steps, light or durable, both replicas come to hold what was committed, out of
// their disks and what the log still has.
func TestRedoHistories(t *testing.T) {
	checks := flag.Lookup("rapid.checks")
	if checks.Value.String() == checks.DefValue && os.Getenv("RAPID_CHECKS") == "" { // each opens disks
		defer flag.Set("rapid.checks", checks.DefValue) //nolint:errcheck // it was that
		if err := flag.Set("rapid.checks", "25"); err != nil {
			t.Fatal(err)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		p := openPair(t)
		defer p.close(t) // thousands would not fit into the memory
		h := &histories{t: rt, p: p, epoch: 1, next: 10, open: map[types.TxnID]*carried{}, trimmed: 1}
		steps := []func(){h.write, h.write, h.write, h.commit, h.commit, h.kill, h.trim,
			func() { h.resolve(h.p.members[rapid.IntRange(0, 1).Draw(rt, "asks")]) },
			func() { h.redo(h.p.members[rapid.IntRange(0, 1).Draw(rt, "redo")]) },
			h.settle,
		}
		for range rapid.IntRange(5, 30).Draw(rt, "steps") {
			steps[rapid.IntRange(0, len(steps)-1).Draw(rt, "step")]()
		}
		h.settle()
	})
}

// TestLearnersAreNeverLight: what a learner has must be on its disk, whatever the others keep in memory.
func TestLearnersAreNeverLight(t *testing.T) {
	of := &part{light: true, req: &bepb.WriteRequest_Part{Others: []*bepb.ReplicaAddress{{ReplicaId: 1, Address: "a"}, {ReplicaId: 2, Address: "b", Learner: true}}}}
	for _, r := range fanOut(10, []*part{of}) {
		if want := r.address == "a"; r.req.Parts[0].Redo != want {
			t.Errorf("the copy for %s is light: %v", r.address, !want)
		}
	}
}
