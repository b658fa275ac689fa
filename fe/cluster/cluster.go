// Package cluster is what the leading FE knows of its BEs beyond the catalog: who is alive, their disks, the replicas
// as reported, and clone progress. All of it is memory of the present: it is rebuilt from heartbeats and reports
// within seconds, so losing it with a leader costs nothing.
//
// Liveness is decided here and only here: by heartbeats over gRPC. Gossip may ask for a heartbeat at once (Probe); it
// never decides.
package cluster

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"stele/fe/beclient"
	"stele/meta/catalog"
	"stele/meta/stranger"
	"stele/meta/types"
	"stele/proto/bepb"
	"stele/proto/fepb"
)

// Replica is a replica as its BE reported it last.
type Replica struct {
	Disk           types.DiskID
	ID             types.ReplicaID
	Version        types.Version
	Rows           int64
	Bytes          int64
	VersionCount   int
	Rowsets        int
	OldestRetained types.Version
	Bad            bool
	Reason         string
	// The content digest of a version, where the BE knows one; DigestVersion 0 = it does not.
	DigestVersion types.Version
	Digest        uint64
	DigestSchema  uint32
}

// Disk is a disk as its BE reported it last.
type Disk struct {
	ID             types.DiskID
	Path           string
	Medium         types.Medium
	State          types.DiskState
	Total          int64
	Available      int64
	DataUsed       int64
	Refuses        bool // writes: it is below its reserve, or has failed
	Failed         bool // it takes no writes before its BE has opened it anew
	Error          string
	CloneSlotsUsed int
	Tablets        int
}

// Writes reports whether a disk of the BE takes writes, as far as is known.
func (b *BE) Writes(id types.DiskID) bool {
	return !slices.ContainsFunc(b.Disks, func(d Disk) bool { return d.ID == id && d.Refuses })
}

// MemoryPart is something that takes memory of a BE; Limit is 0 when it has none of its own.
type MemoryPart struct {
	Name        string
	Used, Limit int64
	Info        string
}

// BE is the state of one BE.
type BE struct {
	ID            types.BEID
	Address       string
	Alive         bool
	Seen          bool // it has answered at least once
	Stopping      bool
	LastHeartbeat time.Time // last good one
	LastStart     time.Time
	FirstMiss     time.Time // when it began to be dead
	LastReport    time.Time // last full report
	ReportedStart time.Time // when the process that sent it had started
	Err           string
	Version       string
	CPUCores      int
	MemLimit      int64
	MemUsed       int64
	CPUUsed       float64 // of all its processors lately, 0 to 1; negative = not measured
	Memory        []MemoryPart
	HTTPPort      int
	RunningScans  int
	Queries       int // that it runs as a query node
	QueriesEnded  uint64
	Disks         []Disk
	Strangers     []stranger.Stranger // what of other clusters it has met
	Unreached     []types.BEID        // sorted: give it no sign although they owe one, and are well for this FE
}

// Heard reports whether the process that answers now has said what it holds. What an earlier process of the BE has said may
// be true no more. Both times are the BE's, so that clocks need not agree.
func (b *BE) Heard() bool { return !b.LastReport.IsZero() && b.ReportedStart.Equal(b.LastStart) }

// EventKind says what happened.
type EventKind uint8

// Events.
const (
	BEUp EventKind = iota
	BEDown
	BERestarted
	CloneEnded
	ReplicaChanged
	ReachChanged // a BE reaches others that it did not, or no longer
	DisksChanged // a disk refuses writes that it took, or takes them again; one that was not open is
)

// Event is something that the control loop should look at before its next scan.
type Event struct {
	Kind   EventKind
	BE     types.BEID
	Tablet types.TabletID
	Clone  *bepb.CloneStatus
}

// Settings are read at each use, so that ADMIN SET FRONTEND CONFIG takes effect.
type Settings struct {
	Interval     time.Duration
	Timeout      time.Duration
	Retries      int
	CloneSlots   int
	BalanceSlots int
}

// Cluster keeps the state of all BEs. It is safe for concurrent use.
type Cluster struct {
	clients     *beclient.Clients
	current     func() *catalog.Catalog
	settings    func() Settings
	feAddresses func() []string
	log         *slog.Logger
	events      func(Event)
	term        func() uint64
	suspect     func(types.BEID)
	readmit     func(ctx context.Context, added, known types.BEID)
	started     func(ctx context.Context, be types.BEID, startMs int64) error
	oldestRead  func() (age time.Duration, known bool)

	mu       sync.RWMutex
	bes      map[types.BEID]*member
	replicas map[types.BEID]*reported
	clones   map[types.TaskID]*bepb.CloneStatus
	running  bool              // this FE leads and sends heartbeats
	mirror   map[types.BEID]BE // what the leading FE knows, when it is another one
}

// member is a BE with its heartbeat loop.
type member struct {
	BE
	misses   int
	lastMiss time.Time
	told     time.Time                          // when the last report of it came
	seen     map[types.TaskID]bool              // clone outcomes passed on and not yet forgotten by the BE
	tasks    map[types.TaskID]bool              // clones of the BE that are in Cluster.clones
	lost     map[types.TabletID]types.ReplicaID // replicas that the BE has said twice it does not have
	probe    chan struct{}
	cancel   context.CancelFunc
}

// Options are what a Cluster needs.
type Options struct {
	Clients     *beclient.Clients
	Current     func() *catalog.Catalog
	Settings    func() Settings
	FEAddresses func() []string
	Log         *slog.Logger
	// Events is called for each event, from many goroutines; it must not block.
	Events func(Event)
	// Term is the Raft term that this FE leads; BEs obey the leader of the highest. Nil = 0.
	Term func() uint64
	// Suspect passes a Probe on to the leading FE when this one does not lead; nil = nobody.
	Suspect func(types.BEID)
	// Readmit is called when the BE at the address of one that was added says that it is another one of this cluster. It may propose.
	Readmit func(ctx context.Context, added, known types.BEID)
	// Started is called when a BE turns out to be another process than the catalog has noted, before anything of what it says is used. It
	// proposes that; nil = nobody wants to know.
	Started func(ctx context.Context, be types.BEID, startMs int64) error
	// OldestRead is for how long the oldest statement or transaction of all FEs has read the state that it reads, 0 = none does, if that is known;
	// nil = it never is.
	OldestRead func() (age time.Duration, known bool)
}

// New returns a cluster that knows nobody yet; Run starts the heartbeats.
func New(o Options) *Cluster {
	return &Cluster{clients: o.Clients, current: o.Current, settings: o.Settings, feAddresses: o.FEAddresses, log: o.Log,
		events: o.Events, term: o.Term, suspect: o.Suspect, readmit: o.Readmit, started: o.Started, oldestRead: o.OldestRead, bes: map[types.BEID]*member{}, replicas: map[types.BEID]*reported{},
		clones: map[types.TaskID]*bepb.CloneStatus{}}
}

// Run keeps one heartbeat loop for each BE of the catalog until ctx ends. It begins with what the leader before knew, so
// that no BE is dead before it could answer; afterwards what was known last stays as a view until another FE sends one.
func (c *Cluster) Run(ctx context.Context) {
	var loops sync.WaitGroup
	c.start()
	defer c.forgetAll()
	defer loops.Wait()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		c.follow(ctx, &loops)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (c *Cluster) forgetAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mirror = map[types.BEID]BE{}
	for _, m := range c.bes {
		c.mirror[m.ID] = m.BE // until the next leader tells
		c.forgetLocked(m)
	}
	c.running = false
}

// forgetLocked ends the loop of a member and drops all that is known of it.
func (c *Cluster) forgetLocked(m *member) {
	m.cancel()
	for id := range m.tasks {
		delete(c.clones, id)
	}
	delete(c.replicas, m.ID)
	delete(c.bes, m.ID)
}

// follow starts and stops loops so that they match the catalog.
func (c *Cluster) follow(ctx context.Context, loops *sync.WaitGroup) {
	want := map[types.BEID]string{}
	for be := range c.current().BEs() {
		want[be.ID] = beclient.Address(be.Host, be.Port)
	}
	var gone []string
	defer func() { c.drop(gone) }()
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, m := range c.bes {
		if want[id] != m.Address {
			c.forgetLocked(m)
			gone = append(gone, m.Address)
		}
	}
	for id, address := range want {
		if c.bes[id] != nil {
			continue
		}
		bctx, cancel := context.WithCancel(ctx)
		m := &member{BE: BE{ID: id, Address: address}, seen: map[types.TaskID]bool{}, tasks: map[types.TaskID]bool{},
			lost: map[types.TabletID]types.ReplicaID{}, probe: make(chan struct{}, 1), cancel: cancel}
		if known, ok := c.mirror[id]; ok && known.Address == address {
			m.BE = known
		}
		c.bes[id] = m
		loops.Go(func() { c.beat(bctx, m) })
	}
}

// Get returns the state of a BE.
func (c *Cluster) Get(id types.BEID) (BE, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.getLocked(id)
}

// Stores reports whether a BE holds replicas: it has said that it has disks, or nothing at all yet.
func (c *Cluster) Stores(be types.BEID) bool {
	known, ok := c.Get(be)
	return !ok || !known.Alive || len(known.Disks) > 0
}

// Takes reports whether a BE has a disk for new replicas, as far as is known: one that is online and takes writes.
func (c *Cluster) Takes(id types.BEID) bool {
	known, _ := c.Get(id)
	be, ok := c.current().BE(id)
	return !ok || len(known.Disks) == 0 || slices.ContainsFunc(known.Disks, func(d Disk) bool {
		return !d.Refuses && be.DiskState(d.ID, d.State) == types.DiskOnline
	})
}

// Unreached returns the BEs that a live BE says it does not reach, although this FE does.
func (c *Cluster) Unreached(id types.BEID) []types.BEID {
	known, _ := c.Get(id)
	if !known.Alive {
		return nil
	}
	return known.Unreached
}

// Alive reports whether a BE answers heartbeats.
func (c *Cluster) Alive(id types.BEID) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	b, ok := c.getLocked(id)
	return ok && b.Alive
}

// comingBeats is for how many heartbeats a BE that has never answered is looked for before it counts as away: the processes of a cluster start
// one after another.
const comingBeats = 10

// Coming reports whether a BE has given no sign yet, to this FE or the one that leads, and has not been looked for long enough to say that
// it is away.
func (c *Cluster) Coming(id types.BEID) bool {
	known, _ := c.Get(id)
	return !known.Seen && (known.FirstMiss.IsZero() || time.Since(known.FirstMiss) < comingBeats*c.settings().Interval)
}

// returningBeats is for how many heartbeats a BE that has answered and does no more may just be restarting.
const returningBeats = 20

// Returning reports whether a BE was alive a moment ago and is not now.
func (c *Cluster) Returning(id types.BEID) bool {
	known, _ := c.Get(id)
	return known.Seen && !known.Alive && time.Since(known.FirstMiss) < returningBeats*c.settings().Interval
}

// Writes reports whether a disk of a BE takes writes, as far as this FE knows.
func (c *Cluster) Writes(id types.BEID, disk types.DiskID) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	b, ok := c.getLocked(id)
	return ok && b.Writes(disk)
}

// Away reports whether a BE is dead for at least so long, and has reported nothing since. One that this FE has not tried to reach, or
// not for long enough, may be there.
func (c *Cluster) Away(id types.BEID, least time.Duration) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	m := c.bes[id]
	return m != nil && !m.Alive && !m.FirstMiss.IsZero() && !m.told.After(m.FirstMiss) && time.Since(m.FirstMiss) >= least
}

// Address returns where a BE is reached, "" for an unknown one.
func (c *Cluster) Address(id types.BEID) string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	b, _ := c.getLocked(id)
	return b.Address
}

// Clone returns the progress of a clone task, nil when its BE has not reported any.
func (c *Cluster) Clone(id types.TaskID) *bepb.CloneStatus {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.clones[id]
}

// Replica returns a replica as reported last.
func (c *Cluster) Replica(be types.BEID, tablet types.TabletID) (Replica, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.replicas[be].get(tablet)
}

// Lost reports whether a BE has told twice that it does not have the replica which the catalog puts there.
func (c *Cluster) Lost(be types.BEID, tablet types.TabletID) bool {
	c.mu.RLock()
	var lost types.ReplicaID
	if m := c.bes[be]; m != nil {
		lost = m.lost[tablet]
	}
	c.mu.RUnlock()
	if lost == 0 {
		return false // by far the most are not: the catalog is not asked
	}
	tab, ok := c.current().Tablet(tablet)
	if !ok {
		return false
	}
	r := tab.Replica(be)
	return r != nil && r.ID == lost
}

func (c *Cluster) setLost(be types.BEID, tablet types.TabletID, replica types.ReplicaID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m := c.bes[be]; m != nil {
		m.lost[tablet] = replica
	}
}

// allDisksOpen reports whether a BE has said that all its disks are open, so that one it does not name is no more.
func (c *Cluster) allDisksOpen(be types.BEID) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	m := c.bes[be]
	if m == nil || len(m.Disks) == 0 {
		return false
	}
	return !slices.ContainsFunc(m.Disks, func(d Disk) bool { return d.State != types.DiskOnline || d.ID == 0 })
}

// store keeps the replicas of a report.
func (c *Cluster) store(be types.BEID, req *fepb.ReportRequest, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.bes[be]
	if m == nil {
		return
	}
	if m.told = now; !m.Alive {
		m.ask() // it has come back, and the next heartbeat may be far
	}
	if !req.Full && len(m.tasks) > len(m.seen) {
		m.ask() // a clone may have ended: its outcome comes with a heartbeat
	}
	all := c.replicas[be]
	if req.Full || all == nil {
		all = newReported(len(req.Replicas))
		c.replicas[be] = all
		m.LastReport, m.ReportedStart = now, time.UnixMilli(req.StartTimeMs)
	}
	for _, r := range req.Replicas {
		id := types.TabletID(r.TabletId)
		if m.lost[id] == types.ReplicaID(r.ReplicaId) {
			delete(m.lost, id)
		}
		all.put(r)
	}
}
