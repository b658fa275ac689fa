package userlock

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"stele/proto/fepb"
)

// world is FEs whose messages are late, overtake one another and are lost, and whose leader changes, in virtual time.
type world struct {
	now    time.Time
	term   uint64
	leader int
	fes    []*simFE
	sent   []*message
	rnd    *rand.Rand
	got    int // locks given
}

// simFE is one FE: its keeper and the table that it has if it leads.
type simFE struct {
	w      *world
	name   string
	start  int64
	keeper *Keeper
	table  *Table
	down   time.Time // zero = it runs
	ended  time.Time // when that was last seen, also of the process before
	busy   map[uint64]bool
}

// message is a request on its way: to the FE that was the leader when it was verified, through its table, and back.
type message struct {
	from    *simFE
	keeper  *Keeper
	req     *fepb.UserLockRequest
	sent    time.Time
	to      *simFE
	table   *Table
	lead    Lead
	resp    *fepb.UserLockResponse
	unheard bool // nobody waits for the answer
}

var errNoAnswer = errors.New("no answer")

func newWorld(seed uint64, n int) *world {
	w := &world{rnd: rand.New(rand.NewPCG(seed, 1)), now: time.Unix(1000, 0), term: 1}
	for i := range n {
		fe := &simFE{w: w, name: fmt.Sprintf("fe%d", i), busy: map[uint64]bool{}}
		fe.begin()
		w.fes = append(w.fes, fe)
	}
	return w
}

// begin starts the FE's process.
func (fe *simFE) begin() {
	fe.start++
	fe.down, fe.busy = time.Time{}, map[uint64]bool{}
	fe.table = NewTable(nil)
	fe.keeper = NewKeeper(Options{FE: fe.name, StartMs: fe.start, Now: func() time.Time { return fe.w.now },
		Term: func() uint64 { return fe.w.term }, End: func(uint64) {}, Logger: slog.New(slog.DiscardHandler),
		Call: func(_ context.Context, req *fepb.UserLockRequest) (*fepb.UserLockResponse, error) {
			fe.w.sent = append(fe.w.sent, &message{from: fe, keeper: fe.keeper, req: req, sent: fe.w.now, unheard: true})
			return nil, errNoAnswer
		}})
}

func (w *world) send(fe *simFE, kind fepb.UserLockRequest_Kind, lock *fepb.HeldLock) *message {
	req, sent := fe.keeper.ask(kind, lock)
	m := &message{from: fe, keeper: fe.keeper, req: req, sent: sent}
	w.sent = append(w.sent, m)
	return m
}

// move takes a message one step further; done = it is over.
func (w *world) move(m *message) (done bool) {
	leader := w.fes[w.leader]
	switch {
	case m.table == nil:
		if !leader.down.IsZero() {
			return w.lose(m)
		}
		m.to, m.table, m.lead = leader, leader.table, Lead{Term: w.term, Members: w.members()}
	case m.resp == nil:
		if m.table != m.to.table || !m.to.down.IsZero() {
			return w.lose(m)
		}
		resp, change := m.table.step(m.req, m.lead, w.now)
		if change == nil || m.req.WaitMs == 0 {
			m.resp = resp
			m.table.stopWaiting(m.req)
			break
		}
		m.table = nil // it waits, and is verified again
	default:
		w.deliver(m)
		return true
	}
	return false
}

func (w *world) members() []Member {
	var out []Member
	for _, fe := range w.fes {
		if !fe.down.IsZero() {
			fe.ended = w.now
		}
		out = append(out, Member{Name: fe.name, Ended: fe.ended})
	}
	return out
}

// lose ends a message that nobody answers.
func (w *world) lose(m *message) bool {
	if m.req.Kind == fepb.UserLockRequest_GET && m.keeper == m.from.keeper && !m.unheard {
		m.keeper.got(m.req, m.sent, nil, errNoAnswer)
		delete(m.from.busy, m.req.Lock.Connection)
	}
	return true
}

func (w *world) deliver(m *message) {
	if m.unheard || m.keeper != m.from.keeper || !m.from.down.IsZero() {
		return
	}
	switch m.req.Kind {
	case fepb.UserLockRequest_GET:
		if counts, _ := m.keeper.got(m.req, m.sent, m.resp, nil); counts && m.resp.Done {
			w.got++
		}
		delete(m.from.busy, m.req.Lock.Connection)
	case fepb.UserLockRequest_RENEW:
		m.keeper.renewed(m.req, m.sent, m.resp)
	}
}

// believers are the connections that may take a lock for theirs.
func (w *world) believers(name string) (out []string) {
	for _, fe := range w.fes {
		if h := fe.keeper.held[name]; fe.down.IsZero() && h != nil && fe.keeper.lease.Runs() {
			out = append(out, fmt.Sprintf("%s/%d", fe.name, h.connection))
		}
	}
	return out
}

// connection is one of an FE's, by a number that no other FE has.
func (fe *simFE) connection(n int) uint64 { return uint64(fe.name[2]-'0')*100 + uint64(n) }

// renews reports whether a RENEW of an FE is on its way.
func (w *world) renews(fe *simFE) bool {
	return slices.ContainsFunc(w.sent, func(m *message) bool { return m.keeper == fe.keeper && m.req.Kind == fepb.UserLockRequest_RENEW })
}

// act does one thing that may happen.
func (w *world) act(t *testing.T) {
	fe := w.fes[w.rnd.IntN(len(w.fes))]
	up := fe.down.IsZero()
	connection := fe.connection(w.rnd.IntN(2))
	name := []string{"x", "y"}[w.rnd.IntN(2)]
	switch w.rnd.IntN(100) {
	case 0, 1, 2, 3, 4, 5:
		if up && !fe.busy[connection] {
			if mine, err := fe.keeper.again(name, connection); !mine && err == nil {
				fe.busy[connection] = true
				m := w.send(fe, fepb.UserLockRequest_GET, &fepb.HeldLock{Name: name, Connection: connection})
				m.req.WaitMs = []int64{0, 2000}[w.rnd.IntN(2)]
			}
		}
	case 6, 7:
		if h := fe.keeper.held[name]; up && h != nil && !fe.busy[h.connection] {
			if _, _, err := fe.keeper.Release(context.Background(), name, h.connection); err != nil {
				t.Fatal(err)
			}
		}
	case 8:
		if up && !fe.busy[connection] {
			fe.keeper.Ended(connection)
		}
	case 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20:
		if fe.keeper.lapse(); up && fe.keeper.due() && (!w.renews(fe) || w.rnd.IntN(10) == 0) {
			w.send(fe, fepb.UserLockRequest_RENEW, nil)
		}
	case 21, 25, 26:
		if down := !w.fes[w.leader].down.IsZero(); up && (down || w.rnd.IntN(12) == 0) {
			w.term, w.leader = w.term+1, int(fe.name[2]-'0')
		}
	case 22, 27, 28:
		if up && w.rnd.IntN(20) == 0 {
			fe.down = w.now
		} else if !up {
			fe.begin()
		}
	case 23, 24:
		w.now = w.now.Add(time.Duration(1+w.rnd.IntN(2000)) * time.Millisecond)
	default:
		w.pick(t)
	}
}

// pick moves some message on, or loses it, or only has nobody wait for its answer any more.
func (w *world) pick(t *testing.T) {
	if len(w.sent) == 0 {
		return
	}
	i := w.rnd.IntN(len(w.sent))
	m := w.sent[i]
	if w.rnd.IntN(15) == 0 {
		w.lose(m)
		if m.unheard = true; w.rnd.IntN(2) == 0 {
			return
		}
	} else if !w.move(m) {
		return
	}
	w.sent = append(w.sent[:i], w.sent[i+1:]...)
}

func (w *world) finish(m *message) {
	for !w.move(m) {
	}
}

// settle has all FEs run, ask all the time and the leader stay; what is on its way arrives when nobody waits for it.
func (w *world) settle(t *testing.T) {
	late := w.sent
	for _, m := range late {
		w.lose(m)
		m.unheard = true
	}
	for _, fe := range w.fes {
		if !fe.down.IsZero() {
			fe.begin()
		}
	}
	for range 20 {
		w.now = w.now.Add(lookInterval * 2)
		for _, fe := range w.fes {
			fe.keeper.lapse()
			for fe.keeper.due() {
				w.finish(w.send(fe, fepb.UserLockRequest_RENEW, nil))
			}
			w.finish(w.send(fe, fepb.UserLockRequest_HOLDER, &fepb.HeldLock{Name: "x"}))
		}
		late = slices.DeleteFunc(late, func(m *message) bool { return w.rnd.IntN(3) == 0 && w.move(m) })
	}
	leader := w.fes[w.leader].table
	leader.expire(w.members(), w.now) // as any request does
	held := 0
	for _, fe := range w.fes {
		for name, h := range fe.keeper.held {
			held++
			if l := leader.locks[name]; l == nil || l.by != (owner{fe.name, h.connection}) {
				t.Fatalf("%s has %s for connection %d, the leader says %+v", fe.name, name, h.connection, l)
			}
		}
	}
	if n := len(leader.locks); n != held {
		t.Fatalf("the leader has %d locks, FEs hold %d", n, held)
	}
}

// TestOneHolder: whatever happens, no two connections take one lock for theirs, and in the end the leader knows who has which.
func TestOneHolder(t *testing.T) {
	given := 0
	for seed := range uint64(120) {
		w := newWorld(seed, 3)
		for range 6000 {
			w.act(t)
			for _, name := range []string{"x", "y"} {
				if who := w.believers(name); len(who) > 1 {
					t.Fatalf("seed %d: %s is held by %v", seed, name, who)
				}
			}
		}
		w.settle(t)
		given += w.got
	}
	if given < 120*10 {
		t.Fatalf("only %d locks were given: that proves nothing", given)
	}
}
