package cluster

import (
	"context"
	"time"

	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
	"stele/proto/fepb"
)

// Ledger reconciles what BEs report with the catalog.
type Ledger struct {
	cluster *Cluster
	log     Log
	active  func(types.TxnID) bool // transactions of this FE that are still undecided
	dropAge func() time.Duration

	unknown map[foreignKey]time.Time
	absent  map[replicaKey]uint64    // full report in which a replica of the catalog was first missing
	suspect map[replicaKey]suspicion // replicas seen below their tablet's version
	gate    chan struct{}            // one report at a time
}

// Log is the metadata log.
type Log interface {
	Current() *catalog.Catalog
	Propose(ctx context.Context, cmds ...command.Command) ([]catalog.Result, error)
}

type replicaKey struct {
	be     types.BEID
	tablet types.TabletID
}

type foreignKey struct {
	replicaKey
	replica types.ReplicaID
}

// suspicion is a replica that was below the version its tablet had then, although the catalog counts it as complete.
type suspicion struct {
	have, want types.Version
}

// NewLedger returns a ledger. active tells whether a transaction of this FE is undecided; dropAge how long a replica
// that only the BE knows is kept.
func NewLedger(c *Cluster, log Log, active func(types.TxnID) bool, dropAge func() time.Duration) *Ledger {
	return &Ledger{cluster: c, log: log, active: active, dropAge: dropAge, unknown: map[foreignKey]time.Time{},
		absent: map[replicaKey]uint64{}, suspect: map[replicaKey]suspicion{}, gate: make(chan struct{}, 1)}
}

// Report takes in a report and answers which replicas to drop.
func (l *Ledger) Report(ctx context.Context, req *fepb.ReportRequest) (*fepb.ReportResponse, error) {
	l.gate <- struct{}{}
	defer func() { <-l.gate }()
	be := types.BEID(req.BeId)
	now := time.Now()
	l.cluster.store(be, req, now)
	cat := l.log.Current()
	resp := &fepb.ReportResponse{}
	cmd := &command.ReportReplicas{TimeMs: now.UnixMilli()}
	seen := make(map[types.TabletID]bool, len(req.Replicas))
	for _, r := range req.Replicas {
		id := types.TabletID(r.TabletId)
		seen[id] = true
		tab, ok := cat.Tablet(id)
		var known *catalog.Replica
		if ok {
			known = tab.Replica(be)
		}
		if known == nil || uint64(known.ID) != r.ReplicaId {
			if l.foreign(be, r, now) {
				resp.Drops = append(resp.Drops, &fepb.ReportResponse_Drop{TabletId: r.TabletId, ReplicaId: r.ReplicaId})
			}
			continue
		}
		if item, changed := l.compare(be, tab, known, r, req.Full); changed {
			cmd.Items = append(cmd.Items, item)
		}
	}
	if req.Full {
		l.missing(be, cat, req, seen)
	}
	if len(cmd.Items) == 0 {
		return resp, nil
	}
	if _, err := l.log.Propose(ctx, cmd); err != nil {
		return nil, err
	}
	for _, it := range cmd.Items {
		l.cluster.events(Event{Kind: ReplicaChanged, BE: be, Tablet: it.Tablet})
	}
	return resp, nil
}

// foreign notes a replica that the catalog does not know; true when it has been so for long enough to drop it. A table
// that is being created, or a clone that has just been asked for, is known only to its BE at first.
func (l *Ledger) foreign(be types.BEID, r *fepb.Replica, now time.Time) bool {
	k := foreignKey{replicaKey{be, types.TabletID(r.TabletId)}, types.ReplicaID(r.ReplicaId)}
	first, ok := l.unknown[k]
	if !ok {
		l.unknown[k] = now
		return false
	}
	if now.Sub(first) < l.dropAge() {
		return false
	}
	delete(l.unknown, k)
	return true
}

// compare finds out whether the catalog must learn something of a replica. A full report always settles versions, so
// that the catalog may forget outcomes that nobody will ask for.
func (l *Ledger) compare(be types.BEID, tab *catalog.Tablet, known *catalog.Replica, r *fepb.Replica, full bool) (command.ReplicaReport, bool) {
	k := replicaKey{be, tab.ID}
	delete(l.absent, k)
	v := types.Version(r.Version)
	item := command.ReplicaReport{Tablet: tab.ID, Replica: known.ID, BE: be, Disk: types.DiskID(r.DiskId), Version: v, Bad: r.Bad}
	item.LostFrom = l.lost(k, tab, known, r)
	changed := item.Disk != known.Disk || r.Bad && !known.Bad || item.LostFrom != 0 ||
		item.Version > known.Settled && (full || known.LastFailed != 0 || known.Role == types.RoleLearner || v == tab.Version)
	return item, changed
}

// lost returns the first version that a replica lacks although the catalog counts on it. A BE that knows says so; one
// that has forgotten (its pending rows went with a disk) is found out by standing still below what its tablet had
// already at the report before.
func (l *Ledger) lost(k replicaKey, tab *catalog.Tablet, known *catalog.Replica, r *fepb.Replica) types.Version {
	v := types.Version(r.Version)
	if known.LastFailed != 0 || v >= tab.Version {
		delete(l.suspect, k)
		return 0
	}
	if r.MissingVersion != 0 {
		return types.Version(r.MissingVersion)
	}
	s, ok := l.suspect[k]
	if ok && s.have == v && s.want > v && r.Pending == 0 {
		delete(l.suspect, k)
		return v + 1
	}
	if !ok || s.have != v {
		l.suspect[k] = suspicion{have: v, want: tab.Version}
	}
	return 0
}

// missing finds replicas of the catalog that a full report lacks. They count as lost at the second full report in a
// row, because the first may have been written before the replica was.
func (l *Ledger) missing(be types.BEID, cat *catalog.Catalog, req *fepb.ReportRequest, seen map[types.TabletID]bool) {
	for tab := range cat.TabletsOn(be) {
		known := tab.Replica(be)
		if seen[tab.ID] || known == nil || known.Role == types.RoleLearner {
			continue
		}
		k := replicaKey{be, tab.ID}
		first, ok := l.absent[k]
		if !ok {
			l.absent[k] = req.Sequence
			continue
		}
		if req.Sequence > first {
			l.cluster.setLost(be, tab.ID)
			l.cluster.events(Event{Kind: ReplicaChanged, BE: be, Tablet: tab.ID})
		}
	}
}

// Resolve answers what became of pending transactions. One that is neither decided nor active is aborted here and now,
// so that it cannot be committed later; that holds for the transactions of this FE only.
func (l *Ledger) Resolve(ctx context.Context, req *fepb.ResolveRequest) (*fepb.ResolveResponse, error) {
	cat := l.log.Current()
	abort := &command.AbortTxns{TimeMs: time.Now().UnixMilli()}
	for _, it := range req.Items {
		id := types.TxnID(it.TxnId)
		if o, _ := cat.Outcome(id, types.TabletID(it.TabletId)); o == catalog.OutcomeUndecided && !l.active(id) {
			abort.Txns = append(abort.Txns, id)
		}
	}
	if len(abort.Txns) > 0 {
		if _, err := l.log.Propose(ctx, abort); err != nil {
			return nil, err
		}
		cat = l.log.Current()
	}
	resp := &fepb.ResolveResponse{}
	for _, it := range req.Items {
		o, v := cat.Outcome(types.TxnID(it.TxnId), types.TabletID(it.TabletId))
		out := &fepb.ResolveResponse_Item{Outcome: fepb.ResolveResponse_UNDECIDED, Version: uint64(v)}
		switch o {
		case catalog.OutcomeCommitted:
			out.Outcome = fepb.ResolveResponse_COMMITTED
		case catalog.OutcomeAborted:
			out.Outcome = fepb.ResolveResponse_ABORTED
		}
		resp.Items = append(resp.Items, out)
	}
	return resp, nil
}
