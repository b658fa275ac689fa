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
	Error          string
	CloneSlotsUsed int
	Tablets        int
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
}

// New returns a cluster that knows nobody yet; Run starts the heartbeats.
func New(o Options) *Cluster {
	return &Cluster{clients: o.Clients, current: o.Current, settings: o.Settings, feAddresses: o.FEAddresses, log: o.Log,
		events: o.Events, term: o.Term, suspect: o.Suspect, bes: map[types.BEID]*member{}, replicas: map[types.BEID]*reported{},
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

// beat sends heartbeats to one BE.
func (c *Cluster) beat(ctx context.Context, m *member) {
	for {
		s := c.settings()
		err := c.heartbeat(ctx, m, s)
		if ctx.Err() != nil {
			return
		}
		pause := s.Interval
		if err != nil {
			pause = c.missed(m, err, s)
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		case <-m.probe:
			timer.Stop()
		}
	}
}

func (c *Cluster) heartbeat(ctx context.Context, m *member, s Settings) error {
	be, err := c.clients.BE(m.Address)
	if err != nil {
		return err
	}
	if !c.Alive(m.ID) {
		c.clients.Reset(m.Address) // a BE that is back must not wait for a back-off to end
	}
	req := &bepb.HeartbeatRequest{BeId: uint64(m.ID), FeAddresses: c.feAddresses(), CloneSlotsPerDisk: uint32(s.CloneSlots),
		BalanceSlotsPerDisk: uint32(s.BalanceSlots)}
	if c.term != nil {
		req.Term = c.term()
	}
	c.wishes(req)
	c.mu.RLock()
	for id := range m.seen {
		req.FinishedTasksSeen = append(req.FinishedTasksSeen, uint64(id))
	}
	c.mu.RUnlock()
	hctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	resp, err := be.Heartbeat(hctx, req)
	if err != nil {
		return err
	}
	c.answered(m, req, resp)
	return nil
}

// answered takes in a good heartbeat.
func (c *Cluster) answered(m *member, req *bepb.HeartbeatRequest, resp *bepb.HeartbeatResponse) {
	var events []Event
	c.mu.Lock()
	if c.bes[m.ID] != m { // removed while it answered
		c.mu.Unlock()
		return
	}
	started := time.UnixMilli(resp.StartTimeMs)
	switch {
	case resp.Stopping:
		if m.Alive {
			events = append(events, Event{Kind: BEDown, BE: m.ID})
		}
	case !m.Alive:
		events = append(events, Event{Kind: BEUp, BE: m.ID})
	case !m.LastStart.Equal(started):
		events = append(events, Event{Kind: BERestarted, BE: m.ID})
	}
	m.Alive, m.Seen, m.misses, m.Err = !resp.Stopping, true, 0, ""
	m.Stopping, m.LastHeartbeat, m.LastStart = resp.Stopping, time.Now(), started
	switch {
	case !resp.Stopping:
		m.FirstMiss = time.Time{}
	case m.FirstMiss.IsZero():
		m.FirstMiss = m.LastHeartbeat
	}
	m.Version, m.CPUCores, m.MemLimit, m.MemUsed = resp.Version, int(resp.CpuCores), resp.MemLimitBytes, resp.MemUsedBytes
	m.CPUUsed = resp.CpuUsed
	m.HTTPPort, m.RunningScans, m.Queries = int(resp.HttpPort), int(resp.RunningScans), int(resp.RunningQueries)
	m.QueriesEnded = resp.Queries
	m.Memory = nil
	for _, p := range resp.Memory {
		m.Memory = append(m.Memory, MemoryPart{Name: p.Name, Used: p.UsedBytes, Limit: p.LimitBytes, Info: p.Info})
	}
	m.Strangers = nil
	for _, s := range resp.Strangers {
		m.Strangers = append(m.Strangers, stranger.Stranger{Via: s.Via, Address: s.Address, Cluster: types.ClusterID(s.ClusterId), Detail: s.Detail,
			First: time.UnixMilli(s.FirstMs), Last: time.UnixMilli(s.LastMs), Count: s.Count})
	}
	m.Disks = m.Disks[:0:0]
	for _, d := range resp.Disks {
		m.Disks = append(m.Disks, Disk{ID: types.DiskID(d.DiskId), Path: d.Path, Medium: types.Medium(d.Medium), State: types.DiskState(d.State),
			Total: d.TotalBytes, Available: d.AvailableBytes, DataUsed: d.DataUsedBytes, Error: d.Error,
			CloneSlotsUsed: int(d.CloneSlotsUsed), Tablets: int(d.Tablets)})
	}
	events = append(events, c.clonesLocked(m, req, resp)...)
	c.mu.Unlock()
	for _, e := range events {
		c.events(e)
	}
}

// clonesLocked takes in clone progress; an outcome becomes an event once.
func (c *Cluster) clonesLocked(m *member, req *bepb.HeartbeatRequest, resp *bepb.HeartbeatResponse) []Event {
	for _, id := range req.FinishedTasksSeen {
		delete(m.seen, types.TaskID(id))
		delete(m.tasks, types.TaskID(id))
		delete(c.clones, types.TaskID(id))
	}
	var events []Event
	for _, s := range resp.Clones {
		id := types.TaskID(s.TaskId)
		if m.seen[id] {
			continue
		}
		c.clones[id], m.tasks[id] = s, true
		if s.State != bepb.CloneStatus_WAITING && s.State != bepb.CloneStatus_RUNNING {
			m.seen[id] = true
			events = append(events, Event{Kind: CloneEnded, BE: m.ID, Tablet: types.TabletID(s.TabletId), Clone: s})
		}
	}
	return events
}

// missed counts a failed heartbeat and returns when to send the next one. A BE that is gone for certain (nobody listens
// there) is dead at once; one that does not answer is dead after as many misses as configured, each of which costs no
// more than the timeout. Probes may ask for heartbeats more often than that; their misses do not count twice.
func (c *Cluster) missed(m *member, err error, s Settings) time.Duration {
	pause, now, refused := s.Interval, time.Now(), beclient.Refused(err)
	c.mu.Lock()
	if c.bes[m.ID] != m {
		c.mu.Unlock()
		return pause
	}
	first := m.misses == 0
	if first || now.Sub(m.lastMiss) >= min(s.Interval, s.Timeout)/2 {
		m.misses++
		m.lastMiss = now
	}
	m.Err = err.Error()
	if m.FirstMiss.IsZero() {
		m.FirstMiss = now
	}
	died := m.Alive && (m.misses >= s.Retries || refused)
	if died {
		m.Alive = false
	}
	switch {
	case !m.Alive:
	case beclient.Silent(err):
		pause = 0 // it was silent for the whole timeout already
	case first:
		pause = min(pause, brokenPause)
	}
	c.mu.Unlock()
	if died {
		c.log.Warn("be is dead", "be_id", m.ID, "address", m.Address, "err", err)
		// A process that hangs keeps its connections: calls under way would wait for it until their own deadlines, long
		// after its tablets have other leaders. Without the connection they fail now, and are tried elsewhere.
		c.clients.Drop(m.Address)
		c.events(Event{Kind: BEDown, BE: m.ID})
	}
	return pause
}

// brokenPause is how long after a broken connection the next heartbeat finds out whether the process is gone.
const brokenPause = 50 * time.Millisecond

// Probe asks for a heartbeat to a BE at once.
func (c *Cluster) Probe(id types.BEID) {
	c.mu.RLock()
	m, running := c.bes[id], c.running
	c.mu.RUnlock()
	if m == nil && !running && c.suspect != nil {
		c.suspect(id)
	}
	if m != nil {
		m.ask()
	}
}

// ask has the loop of a member send a heartbeat at once.
func (m *member) ask() {
	select {
	case m.probe <- struct{}{}:
	default:
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

// Alive reports whether a BE answers heartbeats.
func (c *Cluster) Alive(id types.BEID) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	b, ok := c.getLocked(id)
	return ok && b.Alive
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
