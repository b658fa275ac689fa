// Package group keeps the FEs of a cluster together. The catalog says which FEs there are to be and in which role; the
// leading FE makes the Raft group so, step by step, whoever leads: a new FE is let in when it asks, joins as a learner,
// and votes once it has caught up; one that is gone from the catalog is taken out.
//
// The leading FE sends beats to the others. A beat brings what is known of the BEs and asks how far the FE is. Who is
// leader is Raft's word alone; beats decide nothing but whether an FE's transactions may still be waited for.
//
// Everything but the catalog and Raft's configuration is memory of the present and is rebuilt within a beat. A crash at
// any step leaves a state from which the next leader goes on.
package group

import (
	"context"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"stele/fe/beclient"
	"stele/meta/catalog"
	"stele/meta/raftlog"
	"stele/meta/stranger"
	"stele/proto/fepb"
)

// Timings of beats and of what follows from them.
const (
	beatInterval = 300 * time.Millisecond
	beatTimeout  = 500 * time.Millisecond
	// aliveFor is for how long an FE counts as alive after it last answered.
	aliveFor = 2 * time.Second
	// DeadAfter is how long an FE may be silent before nobody waits for its transactions any more; where nobody listens at
	// its address they are not waited for at all. It cannot commit them without the leading FE, so that too early costs
	// it a retry and nothing else, and too late is time in which the rows that it has locked cannot be written.
	DeadAfter = 1200 * time.Millisecond
	// reconcileInterval is how often the Raft group is compared with the catalog.
	reconcileInterval = 200 * time.Millisecond
	// pausedFor is how late a round of Run is after which this process was paused, and what it knows of the others is old.
	pausedFor = 5 * time.Second
)

// Options are what a Group needs.
type Options struct {
	Log     *raftlog.Log
	Clients *beclient.Clients
	// View and Mirror give and take what is known of the BEs; see fe/cluster.
	View    func() (version uint64, encoded []byte, err error)
	Mirror  func(encoded []byte) error
	Version string
	Started time.Time
	Logger  *slog.Logger
	// Serves reports whether MySQL clients may come to this FE; nil = always.
	Serves func() bool
	// Strangers lists what of other clusters this FE has met; nil = nothing is known.
	Strangers func() []stranger.Stranger
	// OldestRead is for how long the oldest statement or transaction of this FE has read the state that it reads, 0 = none does; nil = none ever.
	OldestRead func() time.Duration
}

// Status is how another FE is, as the leading FE knows it.
type Status struct {
	Alive    bool
	Starting bool // it answers other nodes and takes no MySQL clients yet
	LastSeen time.Time
	Applied  uint64 // log index
	Behind   uint64 // entries that it had still to apply at the last beat
	Started  time.Time
	Version  string
	Err      string
	Clock    time.Duration // by how much its clock is ahead of that of the leading FE, 0 = not by much
	// Strangers is what of other clusters it has met.
	Strangers []stranger.Stranger
}

// Waiting is an FE with an empty meta_dir that has asked to join and may not yet.
type Waiting struct {
	Host     string
	RaftPort int
	RPCPort  int
	Version  string
	Since    time.Time
	Seen     time.Time
	Why      string
}

// Group is the view of one FE on all of them. It is safe for concurrent use.
type Group struct {
	o Options

	mu      sync.Mutex
	leading time.Time // since when this FE leads without a pause, zero = it does not
	round   time.Time // the last one of Run
	members map[string]*member
	waiting map[string]*Waiting // by host:raft_port

	heard heard
}

// member is another FE with its beat loop, on the leading FE.
type member struct {
	name    string
	address string
	wake    chan struct{}
	cancel  context.CancelFunc

	Status            // guarded by Group.mu
	view    uint64    // version of the view that it has
	gone    bool      // nobody listens at its address: the process has ended
	endedAt time.Time // when that was last seen
	asked   time.Time // when it last called
	reads   time.Time // since when its oldest statement or transaction reads, by the clock of this FE; zero = none did at the last beat
}

// New returns a group; Run makes it work while this FE leads.
func New(o Options) *Group {
	return &Group{o: o, members: map[string]*member{}, waiting: map[string]*Waiting{}}
}

// Run does the leading FE's part until ctx ends.
func (g *Group) Run(ctx context.Context) {
	var loops sync.WaitGroup
	defer g.rest()
	defer loops.Wait()
	loops.Go(func() { g.reconcileLoop(ctx) })
	tick := time.NewTicker(reconcileInterval)
	defer tick.Stop()
	for {
		g.goRound(time.Now())
		g.follow(ctx, &loops)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// goRound notes that this FE still leads as far as it knows. After a pause that counts from now on: nothing could be heard in it, and
// another FE may lead since.
func (g *Group) goRound(now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now.Sub(g.round) > pausedFor {
		g.leading = now
	}
	g.round = now
}

func (g *Group) rest() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.leading, g.round = time.Time{}, time.Time{}
	for _, m := range g.members {
		m.cancel()
	}
	clear(g.members)
	clear(g.waiting)
}

// follow starts and stops beat loops so that they match the catalog.
func (g *Group) follow(ctx context.Context, loops *sync.WaitGroup) {
	want := map[string]string{}
	for fe := range g.o.Log.Current().FEs() {
		if fe.Name != g.o.Log.ID() && fe.RPCPort != 0 {
			want[fe.Name] = beclient.Address(fe.Host, fe.RPCPort)
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for name, m := range g.members {
		if want[name] != m.address {
			m.cancel()
			delete(g.members, name)
		}
	}
	for name, address := range want {
		if g.members[name] != nil {
			continue
		}
		mctx, cancel := context.WithCancel(ctx)
		m := &member{name: name, address: address, wake: make(chan struct{}, 1), cancel: cancel}
		m.LastSeen = g.lastHeard(name)
		g.members[name] = m
		loops.Go(func() { g.beatLoop(mctx, m) })
	}
}

// Wake sends the next beats at once: something has changed that the others should know.
func (g *Group) Wake() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, m := range g.members {
		select {
		case m.wake <- struct{}{}:
		default:
		}
	}
}

func (g *Group) beatLoop(ctx context.Context, m *member) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-m.wake:
		}
		g.beat(ctx, m)
		timer.Reset(beatInterval)
	}
}

// beat sends one beat and takes in the answer.
func (g *Group) beat(ctx context.Context, m *member) {
	req := &fepb.BeatRequest{Leader: g.o.Log.ID(), Term: g.o.Log.Term()}
	version, view, err := g.o.View()
	if err != nil {
		g.o.Logger.Error("view of the bes", "err", err)
		return
	}
	req.ViewVersion = version
	g.mu.Lock()
	if m.view != version {
		req.View = view
	}
	g.mu.Unlock()
	committed := g.o.Log.CommitIndex()
	asked := time.Now()
	resp, err := g.call(ctx, m.address, req)
	if ctx.Err() != nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case err == nil && resp.Name != m.name:
		m.Err = "another frontend answers there: " + resp.Name
	case err == nil:
		m.Err, m.Alive, m.gone, m.LastSeen = "", true, false, time.Now()
		m.Starting = resp.Starting
		m.Applied, m.view, m.Version = resp.Applied, resp.ViewVersion, resp.Version
		m.reads = readsSince(asked, resp.OldestReadMs)
		m.Started, m.Strangers = time.UnixMilli(resp.StartTimeMs), strangersOf(resp)
		m.Behind = committed - min(resp.Applied, committed)
		g.compareClocks(m, clockOff(asked, m.LastSeen, resp.NowMs))
		return
	default:
		m.Err = beclient.Silence(err)
	}
	m.view = 0
	if m.gone = err != nil && beclient.Refused(err); m.gone {
		m.endedAt = asked
	}
	if time.Since(m.LastSeen) > aliveFor || m.gone {
		m.Alive = false
	}
}

// clockTolerance is how far apart the clocks of two FEs may be before an operator is told. Nothing depends on it but what clients see of the
// time: NOW() differs with the FE that they ask.
const clockTolerance = 5 * time.Second

// clockOff is by how much a clock is certainly ahead of this one, or behind (negative), that showed a time between two moments of
// this one. 0 is less than clockTolerance, or not known.
func clockOff(asked, answered time.Time, theirsMs int64) time.Duration {
	if theirsMs == 0 {
		return 0
	}
	switch theirs := time.UnixMilli(theirsMs).Round(0); { // without the monotonic clock
	case theirs.Sub(answered.Round(0)) > clockTolerance:
		return theirs.Sub(answered.Round(0))
	case asked.Round(0).Sub(theirs) > clockTolerance:
		return theirs.Sub(asked.Round(0))
	}
	return 0
}

// compareClocks notes how far the clock of an FE is from this one. Called with mu held.
func (g *Group) compareClocks(m *member, off time.Duration) {
	if off != 0 && m.Clock == 0 {
		g.o.Logger.Warn("the clock of another frontend is not like this one", "name", m.name, "ahead", off.Round(time.Second))
	}
	m.Clock = off
}

func (g *Group) call(ctx context.Context, address string, req *fepb.BeatRequest) (*fepb.BeatResponse, error) {
	fe, err := g.o.Clients.FE(address)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, beatTimeout)
	defer cancel()
	return fe.Beat(ctx, req)
}

// Called notes that another FE has called this one.
func (g *Group) Called(name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if m := g.members[name]; m != nil {
		m.asked = time.Now()
	}
}

// Silent returns for how long nothing was heard of another FE, by its answers or calls, since this one leads without a pause; 0 on an FE
// that does not.
func (g *Group) Silent(name string) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	m := g.members[name]
	if m == nil || time.Since(g.round) > pausedFor {
		return 0
	}
	last := g.leading
	for _, at := range []time.Time{m.LastSeen, m.asked} {
		if at.After(last) {
			last = at
		}
	}
	return time.Since(last)
}

// Statuses returns how the other FEs are, by name; empty on an FE that does not lead.
func (g *Group) Statuses() map[string]Status {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := make(map[string]Status, len(g.members))
	for name, m := range g.members {
		out[name] = m.Status
	}
	return out
}

// EndedAt returns when nobody listened at the address of another FE, so that all that it did before has ended; zero = that
// was not seen, or this FE does not lead.
func (g *Group) EndedAt(name string) time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	if m := g.members[name]; m != nil {
		return m.endedAt
	}
	return time.Time{}
}

// Waiting returns the FEs that ask to join and may not yet, by address.
func (g *Group) Waiting() []Waiting {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []Waiting
	for _, key := range slices.Sorted(maps.Keys(g.waiting)) {
		if time.Since(g.waiting[key].Seen) < waitingForget {
			out = append(out, *g.waiting[key])
		}
	}
	return out
}

func address(fe *catalog.FE) string { return net.JoinHostPort(fe.Host, strconv.Itoa(fe.RaftPort)) }
