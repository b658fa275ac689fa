package cluster

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/rpc"
	"stele/meta/types"
	"stele/proto/fepb"
)

// Ledger reconciles what BEs report with the catalog.
type Ledger struct {
	cluster *Cluster
	log     Log
	active  Active
	dropAge func() time.Duration
	redo    Redo

	gate chan struct{} // one report at a time; it guards all below
	bes  map[types.BEID]*heard
}

// Active tells which of some transactions a live FE still works on. Whatever it leaves out is aborted for good.
type Active func(ctx context.Context, ids []types.TxnID) map[types.TxnID]bool

// Redo gives BEs what they lack of commits that carry their rows. Both calls return at once.
type Redo interface {
	// Poke says that a BE lacks a version, or that somebody waits for one there.
	Poke(be types.BEID)
	// Restarted says that a BE begins anew.
	Restarted(be types.BEID)
}

// Log is the metadata log.
type Log interface {
	Current() *catalog.Catalog
	Propose(ctx context.Context, cmds ...command.Command) ([]catalog.Result, error)
	// ReadIndex returns when Current holds everything that was committed before the call, and fails on an FE that
	// does not lead.
	ReadIndex(ctx context.Context) (uint64, error)
}

type replicaKey struct {
	tablet  types.TabletID
	replica types.ReplicaID
}

// heard is what is remembered between the reports of one BE.
type heard struct {
	start    int64 // of the process that reported last
	sequence uint64
	disks    []uint64                 // that its last full report spoke for
	foreign  map[replicaKey]time.Time // replicas that the catalog does not know, and since when
	absent   map[replicaKey]bool      // replicas of the catalog that the last full report lacked
	suspect  map[replicaKey]suspicion // replicas seen below their tablet's version
}

// suspicion is a replica that was below the version its tablet had then, although the catalog counts it as complete.
type suspicion struct {
	have, want types.Version
}

// NewLedger returns a ledger. dropAge tells how long a replica that only the BE knows is kept.
func NewLedger(c *Cluster, log Log, active Active, redo Redo, dropAge func() time.Duration) *Ledger {
	return &Ledger{cluster: c, log: log, active: active, redo: redo, dropAge: dropAge, bes: map[types.BEID]*heard{}, gate: make(chan struct{}, 1)}
}

// itemsAtOnce bounds the replicas that one command speaks of.
const itemsAtOnce = 4096

// Report takes in a report and answers which replicas to drop. Only the leading FE, with all that is committed, may
// judge what a BE has: a catalog that lags would take the replicas of new tables for foreign.
func (l *Ledger) Report(ctx context.Context, req *fepb.ReportRequest) (*fepb.ReportResponse, error) {
	_, err := l.log.ReadIndex(ctx)
	if err != nil {
		return nil, err
	}
	select {
	case l.gate <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-l.gate }()
	be, now := types.BEID(req.BeId), time.Now()
	if _, ok := l.log.Current().BE(be); !ok {
		delete(l.bes, be)
		return nil, &rpc.Error{Msg: fmt.Sprintf("be %d is not a member of the cluster", be), Reason: "not_a_member"}
	}
	if err := l.cluster.began(ctx, be, req.StartTimeMs, true); err != nil {
		return nil, fmt.Errorf("note the start of be %d: %w", be, err)
	}
	cat := l.log.Current()
	h, fresh := l.hear(be, req)
	if h == nil {
		return &fepb.ReportResponse{Behind: behind(cat, be, req)}, nil // a newer one was here before it
	}
	l.cluster.store(be, req, now)
	if cat, err = l.notOlder(ctx, cat, be, req, now); err != nil {
		return nil, err
	}
	if r := cat.Restoring(); r != nil {
		return l.adopt(ctx, r, be, req, now)
	}
	f := l.judge(cat, h, be, req, now)
	if err := l.propose(ctx, f.items, now); err != nil {
		return nil, err
	}
	for _, e := range f.events {
		l.cluster.events(e)
	}
	switch lacks := f.lacks || len(f.resp.Behind) > 0; {
	case lacks && fresh:
		l.redo.Restarted(be)
	case lacks:
		l.redo.Poke(be)
	}
	return &f.resp, nil
}

// findings are what follows from a report.
type findings struct {
	items  []command.ReplicaReport
	events []Event
	lacks  bool // a replica would be lost, but the log has what it lacks
	resp   fepb.ReportResponse
}

// judge compares a report with the catalog.
func (l *Ledger) judge(cat *catalog.Catalog, h *heard, be types.BEID, req *fepb.ReportRequest, now time.Time) *findings {
	f := &findings{}
	seen := make(map[replicaKey]bool, len(req.Replicas))
	for _, r := range req.Replicas {
		k := replicaKey{types.TabletID(r.TabletId), types.ReplicaID(r.ReplicaId)}
		seen[k] = true
		tab, ok := cat.Tablet(k.tablet)
		var known *catalog.Replica
		if ok {
			known = tab.Replica(be)
		}
		if known == nil || known.ID != k.replica {
			if h.drop(k, now, l.dropAge()) {
				f.resp.Drops = append(f.resp.Drops, &fepb.ReportResponse_Drop{TabletId: r.TabletId, ReplicaId: r.ReplicaId})
			}
			continue
		}
		delete(h.foreign, k)
		lostFrom, covered := h.lost(k, tab, known, r)
		f.lacks = f.lacks || covered
		item, changed, urgent := compare(be, tab, known, r, req.Full, lostFrom)
		if changed {
			f.items = append(f.items, item)
		}
		if urgent {
			f.events = append(f.events, Event{Kind: ReplicaChanged, BE: be, Tablet: k.tablet})
		}
	}
	if req.Full {
		var lost []Event
		lost, f.resp.Again = l.missing(be, cat, req, h, seen)
		f.events = append(f.events, lost...)
		f.resp.Behind = behind(cat, be, req)
	}
	return f
}

// notOlder returns the catalog, which is being restored from now on if a replica is ahead of it. All that was ever committed is in it, unless
// somebody has put an older copy of meta_dir in its place, or has ended a restore without the BE: then versions would be given twice, and BEs
// pass over what comes second.
func (l *Ledger) notOlder(ctx context.Context, cat *catalog.Catalog, be types.BEID, req *fepb.ReportRequest, now time.Time) (*catalog.Catalog, error) {
	if cat.Restoring() != nil {
		return cat, nil
	}
	for _, r := range req.Replicas {
		item := itemOf(be, r)
		if !cat.Outrun(&item) {
			continue
		}
		l.cluster.log.Error("the metadata is older than what a backend holds, as when an older copy of meta_dir is put in its place: "+
			"nothing is committed before all backends have told what they hold (ADMIN SHOW METADATA RESTORE)",
			"be_id", be, "tablet_id", item.Tablet, "replica_id", item.Replica, "version", item.Version)
		err := l.proposeOne(ctx, &command.RestoreInPlace{Proof: item, TimeMs: now.UnixMilli()})
		return l.log.Current(), err
	}
	return cat, nil
}

// itemOf is what a BE says of a replica, as commands have it.
func itemOf(be types.BEID, r *fepb.Replica) command.ReplicaReport {
	return command.ReplicaReport{Tablet: types.TabletID(r.TabletId), Replica: types.ReplicaID(r.ReplicaId), BE: be, Disk: types.DiskID(r.DiskId),
		Version: types.Version(r.Version), Bad: r.Bad}
}

// behind lists the replicas of a full report that lack versions on which the catalog counts: they were acknowledged, and a process that
// ended may have had them in memory only.
func behind(cat *catalog.Catalog, be types.BEID, req *fepb.ReportRequest) (out []*fepb.ReportResponse_Behind) {
	if !req.Full {
		return nil
	}
	for _, r := range req.Replicas {
		tab, ok := cat.Tablet(types.TabletID(r.TabletId))
		if !ok || types.Version(r.Version) >= tab.Version {
			continue
		}
		known := tab.Replica(be)
		if known == nil || known.ID != types.ReplicaID(r.ReplicaId) {
			continue
		}
		want := known.LastSuccess // a replica with a gap has stored what came after it
		if known.LastFailed == 0 {
			want = tab.Version
		}
		if types.Version(r.Version) < want {
			out = append(out, &fepb.ReportResponse_Behind{TabletId: r.TabletId, ReplicaId: r.ReplicaId, Version: uint64(want)})
		}
	}
	return out
}

// adopt has a catalog that is being restored learn what a BE holds. Until every BE has told, nothing else is made of
// reports: what the catalog does not know may be what came after it.
func (l *Ledger) adopt(ctx context.Context, r *catalog.Restore, be types.BEID, req *fepb.ReportRequest, now time.Time) (*fepb.ReportResponse, error) {
	if !slices.Contains(r.Waiting, be) || req.Partial || !l.cluster.allDisksOpen(be) {
		return &fepb.ReportResponse{}, nil
	}
	if !req.Full {
		return &fepb.ReportResponse{Again: true}, nil
	}
	cmd := &command.AdoptReplicas{BE: be, TimeMs: now.UnixMilli()}
	for i, rep := range req.Replicas {
		cmd.Items = append(cmd.Items, itemOf(be, rep))
		if len(cmd.Items) == itemsAtOnce && i < len(req.Replicas)-1 {
			if err := l.proposeOne(ctx, cmd); err != nil {
				return nil, err
			}
			cmd = &command.AdoptReplicas{BE: be, TimeMs: now.UnixMilli()}
		}
	}
	cmd.Last = true
	if err := l.proposeOne(ctx, cmd); err != nil {
		return nil, err
	}
	return &fepb.ReportResponse{}, nil
}

// proposeOne proposes a command; its refusal is an error.
func (l *Ledger) proposeOne(ctx context.Context, cmd command.Command) error {
	out, err := l.log.Propose(ctx, cmd)
	if err == nil {
		err = out[0].Err
	}
	return err
}

// hear notes a report; nil when it is older than one before it. What an earlier process said does not count against
// this one, which is fresh; so is one that has opened a disk since.
func (l *Ledger) hear(be types.BEID, req *fepb.ReportRequest) (h *heard, fresh bool) {
	h = l.bes[be]
	switch {
	case h == nil || req.StartTimeMs != h.start: // another process; clocks may go back
		foreign := map[replicaKey]time.Time{}
		if h != nil {
			foreign = h.foreign // by age, which a restart does not change
		}
		h = &heard{start: req.StartTimeMs, foreign: foreign, absent: map[replicaKey]bool{}, suspect: map[replicaKey]suspicion{}}
		l.bes[be], fresh = h, true
	case req.Sequence <= h.sequence:
		return nil, false
	}
	h.sequence = req.Sequence
	if req.Full {
		fresh = fresh || slices.ContainsFunc(req.DiskIds, func(d uint64) bool { return !slices.Contains(h.disks, d) })
		h.disks = req.DiskIds
	}
	return h, fresh
}

func (l *Ledger) propose(ctx context.Context, items []command.ReplicaReport, now time.Time) error {
	for chunk := range slices.Chunk(items, itemsAtOnce) {
		if err := l.proposeOne(ctx, &command.ReportReplicas{TimeMs: now.UnixMilli(), Items: chunk}); err != nil {
			return err
		}
	}
	return nil
}

// drop notes a replica that the catalog does not know; true when it has been so for long enough to drop it. A table
// that is being created, or a clone that has just been asked for, is known only to its BE at first.
func (h *heard) drop(k replicaKey, now time.Time, age time.Duration) bool {
	first, ok := h.foreign[k]
	if !ok {
		h.foreign[k] = now
		return false
	}
	return now.Sub(first) >= age
}

// compare finds out whether the catalog must learn something of a replica, and whether the control loop should look
// at once. A full report always settles versions, so that the catalog may forget outcomes that nobody will ask for.
func compare(be types.BEID, tab *catalog.Tablet, known *catalog.Replica, r *fepb.Replica, full bool, lostFrom types.Version) (item command.ReplicaReport, changed, urgent bool) {
	item = itemOf(be, r)
	item.LostFrom = lostFrom
	v := item.Version
	grows := known.LastFailed != 0 || known.Role == types.RoleLearner
	urgent = r.Bad && !known.Bad || lostFrom != 0 || grows && v > known.Version
	changed = urgent || item.Disk != known.Disk || v > known.Settled && (full || grows || v == tab.Version)
	return item, changed, urgent
}

// lost returns the first version that a replica lacks although the catalog counts on it. Nothing is lost that the log has (covered).
func (h *heard) lost(k replicaKey, tab *catalog.Tablet, known *catalog.Replica, r *fepb.Replica) (from types.Version, covered bool) {
	from = h.missed(k, tab, known, r)
	if from != 0 && tab.RedoAfter(types.Version(r.Version)) != nil {
		return 0, true
	}
	return from, false
}

// missed returns the first version that a replica lacks for certain. A BE may say so itself, but
// while rows are pending the version may only wait for its publish. Then, and when the BE has forgotten (its pending
// rows went with a disk), standing still below what the tablet had already at the report before is the proof.
func (h *heard) missed(k replicaKey, tab *catalog.Tablet, known *catalog.Replica, r *fepb.Replica) types.Version {
	v := types.Version(r.Version)
	if known.LastFailed != 0 || v >= tab.Version {
		delete(h.suspect, k)
		return 0
	}
	if r.MissingVersion != 0 && r.Pending == 0 {
		delete(h.suspect, k)
		return types.Version(r.MissingVersion)
	}
	s, ok := h.suspect[k]
	if !ok || s.have != v {
		h.suspect[k] = suspicion{have: v, want: tab.Version}
		return 0
	}
	if s.want > v && (r.Pending == 0 || r.MissingVersion != 0) {
		delete(h.suspect, k)
		return v + 1
	}
	return 0
}

// missing finds replicas of the catalog that a full report lacks. They count as lost at the second full report in a
// row, because the first may have been written before the replica was; and only if their disk is open or no more,
// because a report says nothing about a disk that could not be opened. The second report is asked for at once (again).
func (l *Ledger) missing(be types.BEID, cat *catalog.Catalog, req *fepb.ReportRequest, h *heard, seen map[replicaKey]bool) (events []Event, again bool) {
	allOpen := !req.Partial && l.cluster.allDisksOpen(be)
	absent := map[replicaKey]bool{}
	for tab := range cat.TabletsOn(be) {
		known := tab.Replica(be)
		if known == nil || known.Role == types.RoleLearner {
			continue
		}
		k := replicaKey{tab.ID, known.ID}
		if seen[k] || !allOpen && !slices.Contains(req.DiskIds, uint64(known.Disk)) {
			continue
		}
		absent[k] = true
		if !h.absent[k] {
			again = true
			continue
		}
		l.cluster.setLost(be, tab.ID, known.ID)
		events = append(events, Event{Kind: ReplicaChanged, BE: be, Tablet: tab.ID})
	}
	h.absent = absent
	maps.DeleteFunc(h.foreign, func(k replicaKey, _ time.Time) bool { return !seen[k] })
	maps.DeleteFunc(h.suspect, func(k replicaKey, _ suspicion) bool { return !seen[k] })
	return events, again
}
