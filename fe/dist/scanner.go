// Package dist runs scan fragments on the BEs that hold the tablets and brings the rows back.
//
// A query reads one snapshot: the committed version of every tablet in one catalog (I4). A replica that does not
// have that version says so and another one is asked; rows of another version are never taken, nor those of a replica that the catalog
// does not have. The answer of one call
// is taken whole or not at all: it is kept aside, in memory and beyond a bound in a file, until its BE has said that
// it is complete. So the death of a BE in the middle of an answer costs a second call and never a row twice.
//
// A scan that looks as if it read few rows (bounds of the key, some keys, a LIMIT) is one call to one BE that is answered at once; the
// BE, which knows the keys, may leave it to the general way.
package dist

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"stele/fe/beclient"
	"stele/meta/catalog"
	"stele/meta/types"
	"stele/proto/bepb"
	"stele/sql/exec"
	"stele/sql/physical"
	"stele/sql/spool"
)

// Liveness tells which BEs answer, and takes hints that one may not.
type Liveness interface {
	Alive(types.BEID) bool
	Address(types.BEID) string
	Probe(types.BEID)
}

// Settings are read at each use.
type Settings struct {
	// Patience is how long a tablet without any replica that can serve the snapshot is tried again.
	Patience time.Duration
	MemLimit int64
	SpillDir string
}

// Scanner runs fragments. It is safe for concurrent use.
type Scanner struct {
	clients  *beclient.Clients
	live     Liveness
	current  func() *catalog.Catalog
	settings func() Settings
	bad      func(types.TabletID, types.BEID, error) // told of a replica that turned out damaged
	log      *slog.Logger

	queryNodes func() []types.BEID // nil = there are none
	turn       atomic.Uint64       // spreads queries over them
}

// New returns a scanner.
func New(clients *beclient.Clients, live Liveness, current func() *catalog.Catalog, settings func() Settings,
	bad func(types.TabletID, types.BEID, error), log *slog.Logger) *Scanner {
	return &Scanner{clients: clients, live: live, current: current, settings: settings, bad: bad, log: log}
}

// Query is what all scans of one query share.
type Query struct {
	Snapshot  *catalog.Catalog
	NowMicros int64
	// Txn is the open transaction whose own rows the query sees, 0 = none. Leads tells under which leader and epoch it
	// wrote to a tablet: nobody else has those rows, and they are gone when the epoch is.
	Txn   types.TxnID
	Leads func(types.TabletID) (types.BEID, types.Epoch, bool)
}

// LostRowsError says that rows which the reading transaction wrote are gone with the leader that held them. It has no number: whether they can be
// written again decides what the client hears.
type LostRowsError struct{ Tablet types.TabletID }

func (e *LostRowsError) Error() string {
	return fmt.Sprintf("the leader of tablet %d was replaced or restarted, the rows that the transaction wrote to it are gone", e.Tablet)
}

// ChangedError says that a tablet of the query's snapshot was dropped or truncated, or that nobody keeps its version
// any more.
type ChangedError struct {
	Tablet types.TabletID
	Why    string
	TooOld bool // replicas have given up what the state has
}

func (e *ChangedError) Error() string { return fmt.Sprintf("tablet %d: %s", e.Tablet, e.Why) }

// callsAtOnce bounds the calls of one scan that are under way together.
const callsAtOnce = 8

// retryPause is the pause before a tablet that no replica could serve is tried again.
const retryPause = 50 * time.Millisecond

// Scan starts a scan; the stream ends it.
func (s *Scanner) Scan(ctx context.Context, q *Query, scan *physical.Scan) (exec.Stream, error) {
	r := &run{s: s, q: q, fragment: fragment{of: scan.Fragment}, agg: scan.Fragment.Agg != nil, room: make(chan struct{}, callsAtOnce)}
	r.few.Store(ReadsFew(&scan.Fragment))
	tablets := make([]*target, 0, len(scan.Tablets))
	for _, id := range scan.Tablets {
		t, ok := q.Snapshot.Tablet(id)
		if !ok {
			return nil, fmt.Errorf("tablet %d is not in the snapshot", id)
		}
		g := &target{id: id, version: t.Version, tried: map[types.BEID]error{}}
		if q.Txn != 0 {
			// As of now: what the statement itself writes while it reads is not for it to see.
			g.leader, g.epoch, g.own = q.Leads(id)
		}
		tablets = append(tablets, g)
	}
	if r.few.Load() {
		return &fewRows{r: r, tablets: tablets}, nil
	}
	return r.gather(ctx, tablets), nil
}

// gather asks for tablets beside who reads their rows.
func (r *run) gather(ctx context.Context, tablets []*target) exec.Stream {
	return spool.Gather(ctx, func(ctx context.Context, give func(context.Context, *spool.Spool) error) error {
		r.give = give
		return r.all(ctx, tablets)
	})
}

// target is one tablet at the version of the snapshot. It is used by one goroutine at a time.
type target struct {
	id      types.TabletID
	version types.Version
	replica types.ReplicaID // that is asked

	own    bool // the transaction has written to it, under this leader and epoch
	leader types.BEID
	epoch  types.Epoch

	tried map[types.BEID]error // replicas that could not serve it in this pass
	stuck time.Time            // since when no replica can
	alone bool                 // to be asked for in a call of its own
}

// run is one scan under way.
type run struct {
	s        *Scanner
	q        *Query
	fragment fragment
	few      atomic.Bool   // as far as is known: worth a call that is answered at once, for all tablets of a BE
	agg      bool          // one call for all tablets of a BE, so that it aggregates them together
	room     chan struct{} // bounds the calls
	give     func(context.Context, *spool.Spool) error
}

// all serves every tablet, going back to those that failed with other replicas. A tablet that no replica can serve is
// tried again for as long as the settings' patience.
func (r *run) all(ctx context.Context, tablets []*target) error {
	for len(tablets) > 0 {
		cat := r.s.current()
		calls, stuck, err := r.assign(cat, tablets)
		if err != nil {
			return err
		}
		for _, t := range stuck {
			if err := r.giveUp(cat, t); err != nil {
				return err
			}
		}
		failed, err := spool.Round(ctx, r.room, calls, r.one)
		if err != nil {
			return err
		}
		tablets = append(failed, stuck...)
		if len(stuck) > 0 {
			select {
			case <-time.After(retryPause):
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	}
	return nil
}

// giveUp returns the error of a tablet that no replica can serve once waiting makes no sense; else every replica may
// be tried again.
func (r *run) giveUp(cat *catalog.Catalog, t *target) error {
	if _, ok := cat.Tablet(t.id); !ok {
		return &ChangedError{Tablet: t.id, Why: "it was dropped while it was read"}
	}
	gone := len(t.tried) > 0
	for _, err := range t.tried {
		gone = gone && beclient.Gone(err)
	}
	if gone {
		return &ChangedError{Tablet: t.id, Why: fmt.Sprintf("version %d is no longer kept", t.version), TooOld: true}
	}
	if t.stuck.IsZero() {
		t.stuck = time.Now()
	}
	if time.Since(t.stuck) > r.s.settings().Patience {
		return unserved(t)
	}
	clear(t.tried)
	return nil
}

// call is the tablets that one call asks of one BE.
type call struct {
	be      types.BEID
	tablets []*target
}

// assign picks a replica for every tablet, spreading over BEs; stuck are those that have none left to try.
func (r *run) assign(cat *catalog.Catalog, tablets []*target) (calls []call, stuck []*target, err error) {
	type place struct {
		be  types.BEID
		own bool // with rows of the transaction, which the call then asks for
	}
	byBE := map[place]int{}
	load := map[types.BEID]int{}
	whole := r.agg || r.few.Load()
	for _, t := range tablets {
		rep, err := r.choose(cat, t, load)
		if err != nil {
			return nil, nil, err
		}
		if rep == nil {
			stuck = append(stuck, t)
			continue
		}
		be := rep.BE
		t.replica = rep.ID
		load[be]++
		at, seen := byBE[place{be, t.own}]
		if !seen || !whole || t.alone {
			at = len(calls)
			if !t.alone {
				byBE[place{be, t.own}] = at
			}
			calls = append(calls, call{be: be})
		}
		calls[at].tablets = append(calls[at].tablets, t)
	}
	return calls, stuck, nil
}

// choose picks the replica for one tablet, nil = there is none: among those that are up to date on live BEs the one whose BE has the fewest
// tablets of this scan, or for few rows the most. A transaction reads what it wrote where it wrote it, at the leader of then.
func (r *run) choose(cat *catalog.Catalog, t *target, load map[types.BEID]int) (*catalog.Replica, error) {
	tab, ok := cat.Tablet(t.id)
	if t.own && (!ok || tab.Epoch != t.epoch) {
		return nil, &LostRowsError{Tablet: t.id}
	}
	if !ok {
		if tab, ok = r.q.Snapshot.Tablet(t.id); !ok { // dropped since: the BEs may still have it
			return nil, nil
		}
	}
	var best *catalog.Replica
	bestLoad, few := 0, r.few.Load()
	for _, at := range rand.Perm(len(tab.Replicas)) {
		rep := &tab.Replicas[at]
		if rep.Role == types.RoleLearner || rep.Bad || rep.OfflineMs != 0 || !r.s.live.Alive(rep.BE) || t.tried[rep.BE] != nil {
			continue
		}
		if rep.LastFailed != 0 && rep.Version < t.version || t.own && rep.BE != t.leader {
			continue
		}
		if best == nil || !few && load[rep.BE] < bestLoad || few && load[rep.BE] > bestLoad {
			best, bestLoad = rep, load[rep.BE]
		}
	}
	return best, nil
}

// one makes one call. It returns the tablets to try elsewhere when the BE could not serve them, and an error when the
// query itself is at fault.
func (r *run) one(ctx context.Context, c call) ([]*target, error) {
	req := r.request(c)
	sp := spool.New(r.s.settings().SpillDir)
	err := r.call(ctx, r.s.live.Address(c.be), req, sp.Add)
	if err == nil {
		err = sp.Rewind()
	}
	if err != nil {
		sp.Close()
		return r.failed(ctx, c, err)
	}
	return nil, r.give(ctx, sp)
}

// request is what a call asks.
func (r *run) request(c call) *bepb.ScanFragment {
	set := r.s.settings()
	req := &bepb.ScanFragment{ScanRequest: &bepb.ScanRequest{NowUs: r.q.NowMicros, MemLimitBytes: set.MemLimit}, Beside: &r.fragment}
	for _, t := range c.tablets {
		req.Tablets = append(req.Tablets, &bepb.ScanRequest_Tablet{TabletId: uint64(t.id), Version: uint64(t.version), ReplicaId: uint64(t.replica)})
		if t.own {
			req.TxnId = uint64(r.q.Txn)
		}
	}
	return req
}

// call asks one BE.
func (r *run) call(ctx context.Context, address string, req *bepb.ScanFragment, each func([]byte) error) error {
	if !r.few.Load() {
		return r.s.clients.Scan(ctx, address, req.Whole(), each)
	}
	return allOrMany(r.s.clients.Fetch(ctx, address, req, each))
}

func allOrMany(done bool, err error) error {
	if !done && err == nil {
		return errMany
	}
	return err
}

// failed decides whether an error sends the tablets to other replicas or ends the query.
func (r *run) failed(ctx context.Context, c call, err error) ([]*target, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	r.few.Store(false) // what does not go at once is given the time that it takes
	switch {
	case beclient.LostRows(err):
		return nil, &LostRowsError{Tablet: c.tablets[0].id}
	case errors.Is(err, errMany):
		return c.tablets, nil
	case beclient.Unreachable(err):
		r.s.live.Probe(c.be)
	case len(c.tablets) > 1 && (beclient.Corrupt(err) || beclient.Behind(err)):
		// Which of them is damaged, or not there? Asked one by one, each says it for itself.
		for _, t := range c.tablets {
			t.alone = true
		}
		return c.tablets, nil
	case beclient.Corrupt(err):
		r.s.bad(c.tablets[0].id, c.be, err)
	case beclient.Behind(err):
	default:
		return nil, err
	}
	r.s.log.Debug("scan goes to other replicas", "be_id", c.be, "tablets", len(c.tablets), "err", err)
	for _, t := range c.tablets {
		t.tried[c.be] = err
	}
	return c.tablets, nil
}

func unserved(t *target) error {
	msg := fmt.Sprintf("no replica of tablet %d can serve version %d now; see ADMIN SHOW REPLICA STATUS and SHOW BACKENDS", t.id, t.version)
	for be, err := range t.tried {
		msg += fmt.Sprintf(" (be %d: %v)", be, err)
	}
	return errors.New(msg)
}
