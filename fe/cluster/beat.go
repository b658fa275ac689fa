package cluster

import (
	"context"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"stele/fe/beclient"
	"stele/meta/stranger"
	"stele/meta/types"
	"stele/proto/bepb"
)

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
			if known := beclient.OtherBE(err); known != 0 && known != m.ID && c.readmit != nil {
				c.readmit(ctx, m.ID, known)
			}
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
	if c.oldestRead != nil {
		if age, known := c.oldestRead(); known {
			req.OldestReadMs = proto.Uint64(uint64(age.Milliseconds()))
		}
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
	if err := c.began(hctx, m.ID, resp.StartTimeMs, false); err != nil { // the next heartbeat tries again
		c.log.Warn("note the start of a be", "be_id", m.ID, "err", err)
	}
	c.answered(m, req, resp)
	return nil
}

// began has the catalog note that a BE is a process that it does not know: the locks and the rows in memory of the one before are
// gone. What is answered to a question is of the process that runs. A report may be late; then it tells of an older one, if clocks
// are right, and if they are not the next heartbeat makes up for it.
func (c *Cluster) began(ctx context.Context, id types.BEID, startMs int64, late bool) error {
	be, ok := c.current().BE(id)
	if !ok || c.started == nil || startMs <= 0 || startMs == be.StartMs || late && startMs < be.StartMs {
		return nil
	}
	return c.started(ctx, id, startMs)
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
	if unreached := c.unreachedLocked(resp.SilentPeers); !slices.Equal(unreached, m.Unreached) {
		m.Unreached = unreached
		c.log.Warn("reach of a be", "be_id", m.ID, "does_not_reach", unreached)
		events = append(events, Event{Kind: ReachChanged, BE: m.ID})
	}
	if c.disksLocked(m, resp.Disks) {
		events = append(events, Event{Kind: DisksChanged, BE: m.ID})
	}
	events = append(events, c.clonesLocked(m, req, resp)...)
	c.mu.Unlock()
	for _, e := range events {
		c.events(e)
	}
}

// disksLocked takes in the disks of a BE, and reports whether one of them refuses writes that it took, or takes them again, or is open at last.
func (c *Cluster) disksLocked(m *member, reported []*bepb.Disk) (changed bool) {
	disks := make([]Disk, 0, len(reported))
	for _, d := range reported {
		disk := Disk{ID: types.DiskID(d.DiskId), Path: d.Path, Medium: types.Medium(d.Medium), State: types.DiskState(d.State),
			Total: d.TotalBytes, Available: d.AvailableBytes, DataUsed: d.DataUsedBytes, Refuses: d.RefusesWrites, Failed: d.Failed, Error: d.Error,
			CloneSlotsUsed: int(d.CloneSlotsUsed), Tablets: int(d.Tablets)}
		if m.Writes(disk.ID) == disk.Refuses {
			changed = true
			c.log.Warn("writes to a disk", "be_id", m.ID, "disk_id", d.DiskId, "refused", d.RefusesWrites, "why", d.Error)
		}
		if disk.ID != 0 && len(m.Disks) > 0 && !slices.ContainsFunc(m.Disks, func(was Disk) bool { return was.ID == disk.ID }) {
			changed = true
			c.log.Info("a disk is open", "be_id", m.ID, "disk_id", d.DiskId, "path", d.Path)
		}
		disks = append(disks, disk)
	}
	m.Disks = disks
	return changed
}

// unreachedLocked returns which of the BEs that another one does not hear of this FE does hear of: those that hang hang for all, and who has
// moved is silent where it was.
func (c *Cluster) unreachedLocked(silent []*bepb.SilentPeer) []types.BEID {
	var out []types.BEID
	for _, p := range silent {
		if m := c.bes[types.BEID(p.BeId)]; m != nil && m.Alive && m.misses == 0 && (p.Address == "" || p.Address == m.Address) {
			out = append(out, m.ID)
		}
	}
	slices.Sort(out)
	return out
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
	if be, ok := c.current().BE(m.ID); ok && beclient.Address(be.Host, be.Port) != m.Address {
		return pause // it has moved, and follow is about to look for it there: that nobody is left here says nothing of it
	}
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
	m.Err = beclient.Silence(err)
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
