package raftlog

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/hashicorp/raft"

	"stele/meta/catalog"
	"stele/meta/command"
)

func newTraces() *traces { return &traces{open: map[[16]byte]*Trace{}} }

// raftModel is a Raft group of which only the rules count: who may be elected, what a leader may commit, and that a follower's log becomes
// its leader's. Proposals come to a leader late, and may come when it has lost its place and won it back.
type raftModel struct {
	rnd      *rand.Rand
	logs     [][]*raft.Log
	commit   []int
	term     []uint64
	leads    []uint64 // the term that a replica believes to lead, 0 = none
	onItsWay []*proposal
	traces   []*traces // of each replica
	applied  []int
}

func newRaftModel(seed uint64, n int) *raftModel {
	m := &raftModel{rnd: rand.New(rand.NewPCG(seed, 24)), logs: make([][]*raft.Log, n), commit: make([]int, n), term: make([]uint64, n),
		leads: make([]uint64, n), applied: make([]int, n)}
	for range n {
		m.traces = append(m.traces, newTraces())
	}
	return m
}

func last(entries []*raft.Log) (term uint64, length int) {
	if len(entries) == 0 {
		return 0, 0
	}
	return entries[len(entries)-1].Term, len(entries)
}

// elect lets a replica stand for election; it wins with the votes of a random majority whose logs are not ahead of its own.
func (m *raftModel) elect(at int) {
	term := slices.Max(m.term) + 1
	voters := m.rnd.Perm(len(m.logs))[:len(m.logs)/2+1]
	if !slices.Contains(voters, at) {
		voters[0] = at
	}
	lastTerm, length := last(m.logs[at])
	for _, v := range voters {
		if t, n := last(m.logs[v]); t > lastTerm || t == lastTerm && n > length {
			return
		}
	}
	for _, v := range voters {
		m.term[v], m.leads[v] = term, 0
	}
	m.leads[at] = term
	m.store(at, &raft.Log{Term: term, Data: []byte("the first of a term")})
}

// store appends an entry to the log of a leader, unless it comes too late.
func (m *raftModel) store(at int, e *raft.Log) {
	if e.Term = m.leads[at]; !tooLate([]*raft.Log{e}) {
		m.logs[at] = append(m.logs[at], e)
	}
}

// replicate has a follower take over a leader's log, and the leader commit what a majority has.
func (m *raftModel) replicate(at, to int) {
	if at == to || m.term[to] > m.leads[at] {
		return
	}
	m.term[to], m.leads[to] = m.leads[at], 0
	m.logs[to] = slices.Clone(m.logs[at])
	m.commit[to] = max(m.commit[to], m.commit[at])
	for n := len(m.logs[at]); n > m.commit[at]; n-- {
		have := 0
		for _, other := range m.logs {
			if len(other) >= n && other[n-1] == m.logs[at][n-1] {
				have++
			}
		}
		if have > len(m.logs)/2 && m.logs[at][n-1].Term == m.leads[at] {
			m.commit[at] = n
		}
	}
}

// apply has a replica apply some of what is committed.
func (m *raftModel) apply(at, most int) {
	for ; m.applied[at] < m.commit[at] && most > 0; most-- {
		e := m.logs[at][m.applied[at]]
		m.traces[at].landed(e, catalog.BatchResult{{Value: e}, {Value: e}})
		m.applied[at]++
	}
}

// trace begins to follow a proposal of a replica, and sends it off.
func (m *raftModel) trace(at int) *Trace {
	t := &Trace{log: &Log{}, tag: Tag{Until: m.term[at]}, settled: make(chan struct{})}
	for i := range t.tag.ID {
		t.tag.ID[i] = byte(m.rnd.Uint32())
	}
	m.traces[at].open[t.tag.ID] = t
	m.traces[at].count.Add(1)
	m.onItsWay = append(m.onItsWay, &proposal{encoded: make([][]byte, 2), tag: t.tag})
	return t
}

func (m *raftModel) step() *Trace {
	at, to := m.rnd.IntN(len(m.logs)), m.rnd.IntN(len(m.logs))
	switch m.rnd.IntN(8) {
	case 0:
		m.elect(at)
	case 1:
		return m.trace(at)
	case 2, 3:
		if n := len(m.onItsWay); n > 0 && m.leads[at] != 0 {
			i := m.rnd.IntN(n)
			m.store(at, &raft.Log{Extensions: tagsOf([]*proposal{m.onItsWay[i]})})
			m.onItsWay = slices.Delete(m.onItsWay, i, i+1)
		}
	case 4, 5, 6:
		if m.leads[at] != 0 {
			m.replicate(at, to)
		}
	default:
		m.apply(at, 1+m.rnd.IntN(3))
	}
	return nil
}

// TestFatesAreTrue: whatever becomes of leaders and of proposals that are late, what a trace says stays true, and it says something once a
// later leader's first entry is applied.
func TestFatesAreTrue(t *testing.T) {
	told := map[Fate]int{}
	for seed := range uint64(400) {
		m := newRaftModel(seed, 3)
		var all []*Trace
		for range 300 {
			if one := m.step(); one != nil {
				all = append(all, one)
			}
		}
		m.finish()
		final := m.logs[slices.Index(m.commit, slices.Max(m.commit))][:slices.Max(m.commit)]
		for _, one := range all {
			at := slices.IndexFunc(final, func(e *raft.Log) bool {
				_, parts, _ := readTags(e.Extensions)
				return len(parts) == 1 && parts[0].id == one.tag.ID
			})
			told[one.fate]++
			switch {
			case one.fate == Unsettled:
				t.Fatalf("seed %d: nothing is known of a proposal of term %d", seed, one.tag.Until)
			case (one.fate == Applied) != (at >= 0):
				t.Fatalf("seed %d: a proposal is said to be %d and is entry %d of the log", seed, one.fate, at)
			case at >= 0 && (len(one.results) != 2 || one.results[0].Value != any(final[at])):
				t.Fatalf("seed %d: the results of a proposal are %v", seed, one.results)
			}
		}
	}
	if told[Applied] < 100 || told[Never] < 100 {
		t.Errorf("the fates are %v: that proves little", told)
	}
}

// finish has proposals that are late come to one more leader, and all replicas apply all.
func (m *raftModel) finish() {
	for slices.Max(m.leads) <= slices.Max(m.term)-1 || slices.Max(m.leads) == 0 {
		m.elect(m.rnd.IntN(len(m.logs)))
	}
	at := slices.Index(m.leads, slices.Max(m.leads))
	for _, p := range m.onItsWay {
		if p.tag.Until < m.leads[at] {
			m.store(at, &raft.Log{Extensions: tagsOf([]*proposal{p})})
		}
	}
	term := m.leads[at]
	for m.leads[at] == term || m.leads[at] == 0 { // whom the last proposals of that term are known by
		for range 3 {
			m.elect(at)
			if m.leads[at] > term {
				break
			}
		}
	}
	for range 2 {
		for to := range m.logs {
			m.replicate(at, to)
			m.apply(to, len(m.logs[at]))
		}
	}
	m.apply(at, len(m.logs[at]))
}

// TestTagsAreRead: what an entry says of its proposals is read back, and anything else is nobody's.
func TestTagsAreRead(t *testing.T) {
	if tagsOf([]*proposal{{encoded: make([][]byte, 3)}}) != nil {
		t.Error("an entry without tags has some")
	}
	one, two := Tag{ID: [16]byte{1}, Until: 7}, Tag{ID: [16]byte{2}, Until: 5}
	b := tagsOf([]*proposal{{encoded: make([][]byte, 3)}, {encoded: make([][]byte, 200), tag: one}, {encoded: make([][]byte, 1), tag: two}})
	until, parts, ok := readTags(b)
	if want := []tagged{{one.ID, 3, 200}, {two.ID, 203, 1}}; !ok || until != 5 || !slices.Equal(parts, want) {
		t.Errorf("read %v %v %v", until, parts, ok)
	}
	for n := range b {
		if _, parts, ok := readTags(b[:n]); ok && len(parts) == 2 {
			t.Errorf("%d bytes of %d are read as all", n, len(b))
		}
	}
	if _, _, ok := readTags(append([]byte{tagsFormat + 1}, b[1:]...)); ok {
		t.Error("a newer format is read")
	}
}

// TestSnapshotHidesFate: what stands in a snapshot may have held the proposal.
func TestSnapshotHidesFate(t *testing.T) {
	l := open(t, bootstrapped(t, t.TempDir()))
	lead(t, l)
	trace := l.Trace()
	defer trace.End()
	l.traces.skipped()
	l.traces.landed(&raft.Log{Term: trace.tag.Until + 1}, nil)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if fate, _ := trace.Await(ended); fate != Unsettled {
		t.Errorf("the fate is %d", fate)
	}
}

// TestTraceAcrossLeaders: an FE that leads no more, and one that has forwarded, know what became of their proposals: one that is in no
// other log is given up when the next leader's first entry comes, and no earlier leader can bring it back.
func TestTraceAcrossLeaders(t *testing.T) {
	n, all := apart(t)
	old, ctx := all[0], testContext(t)
	kept := all[1].Trace()
	defer kept.End()
	encoded, err := command.Encode(&command.CreateDatabase{Name: "kept"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := old.ProposeEncoded(ctx, kept.Tag(), [][]byte{encoded}); err != nil {
		t.Fatal(err)
	}
	if fate, results := kept.Await(ctx); fate != Applied || len(results) != 1 || results[0].Err != nil {
		t.Errorf("a proposal that is in the log: %d, %v", fate, results)
	}
	if _, ok := all[1].Current().Database("kept"); !ok {
		t.Error("a proposal is applied, and its effect is not seen")
	}

	n.isolate("fe1", true)
	lost, late := old.Trace(), old.Trace()
	defer lost.End()
	defer late.End()
	done := make(chan error, 1)
	go func() {
		_, err := old.ProposeTagged(ctx, lost.Tag(), &command.CreateDatabase{Name: "lost"})
		done <- err
	}()
	fresh := nextLeader(t, ctx, all[1:])
	<-done
	n.isolate("fe1", false)
	if fate, _ := lost.Await(ctx); fate != Never {
		t.Errorf("a proposal that no other has: %d", fate)
	}
	if err := fresh.TransferLeadership(ctx, "fe1"); err != nil {
		t.Fatal(err)
	}
	lead(t, old)
	if _, err := old.ProposeTagged(ctx, late.Tag(), &command.CreateDatabase{Name: "late"}); err == nil {
		t.Error("a proposal of an earlier term was taken")
	}
	entry := &raft.Log{Index: 1 << 40, Term: old.Term(), Extensions: tagsOf([]*proposal{{encoded: make([][]byte, 1), tag: late.Tag()}})}
	if err := old.logs.StoreLogs([]*raft.Log{entry}); !errors.Is(err, errTooLate) {
		t.Errorf("an entry of an earlier term is stored: %v", err)
	}
}
