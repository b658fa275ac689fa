// Package consistency compares the replicas of a tablet by the digest of their rows (I3), and has those that differ from
// most others repaired.
//
// It compares on demand (ADMIN CHECK), and on the leading FE all the time: BEs report the digest of a version with their
// replicas, and where two differ at one version all replicas of the tablet are read and verified. Only what that
// confirms is acted upon: the minority is marked bad, with a hint to repair it first. Replicas that differ without a
// majority are told apart by nobody but an operator; they are kept, counted and logged.
//
// Nothing here outlives a change of leader but the marks, which are in the catalog: what still differs is found again.
package consistency

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/fxamacker/cbor/v2"

	"stele/fe/beclient"
	"stele/fe/cluster"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/contain"
	"stele/meta/types"
	"stele/proto/bepb"
)

// Log proposes commands.
type Log interface {
	Current() *catalog.Catalog
	Propose(ctx context.Context, cmds ...command.Command) ([]catalog.Result, error)
}

// Members is what is known of BEs.
type Members interface {
	Alive(types.BEID) bool
	Replica(types.BEID, types.TabletID) (cluster.Replica, bool)
}

// Options are what a Checker needs.
type Options struct {
	Log     Log
	Members Members
	// Digest asks a BE for the digest of a replica.
	Digest  func(context.Context, types.BEID, *bepb.DigestRequest) (*bepb.DigestResponse, error)
	Timeout func() time.Duration // of one comparison
	// Manual reports that nothing is repaired unless an operator orders it: what is found damaged waits for him. nil = never.
	Manual func() bool
	// Kick has the control loop look at a tablet.
	Kick   func(...types.TabletID)
	Logger *slog.Logger
}

// Bounds.
const (
	// MaxJobs bounds the comparisons that wait at a time.
	MaxJobs = 100_000
	// keepResults bounds the results that are remembered.
	keepResults = 10_000
	// versionTries is how often a newer version is taken because a BE no longer keeps the one asked for.
	versionTries = 3
	// marksPerMinute bounds the replicas that are marked without anyone asking: more than that is no damage but a fault of
	// the comparison, and an operator should look.
	marksPerMinute = 30
	hintLife       = 4 * time.Hour
)

// Checker compares replicas. It is safe for concurrent use.
type Checker struct {
	o Options

	mu      sync.Mutex
	queue   []types.TabletID
	queued  map[types.TabletID]bool
	results map[types.TabletID]Result
	order   []types.TabletID // of results, oldest first
	wake    chan struct{}
	marks   []time.Time // of the last minute
}

// New returns a checker; Run compares by itself.
func New(o Options) *Checker {
	return &Checker{o: o, queued: map[types.TabletID]bool{}, results: map[types.TabletID]Result{}, wake: make(chan struct{}, 1)}
}

// Submit has tablets compared, each by reading every row; it returns how many were not waiting already. What is found is
// acted upon.
func (c *Checker) Submit(tablets ...types.TabletID) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, id := range tablets {
		if c.queued[id] {
			continue
		}
		if len(c.queue) >= MaxJobs {
			return n, fmt.Errorf("%d comparisons wait already", len(c.queue))
		}
		c.queued[id] = true
		c.queue = append(c.queue, id)
		n++
	}
	select {
	case c.wake <- struct{}{}:
	default:
	}
	return n, nil
}

// Waiting returns how many comparisons wait or run.
func (c *Checker) Waiting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.queued)
}

// Last returns the newest result of a tablet.
func (c *Checker) Last(id types.TabletID) (Result, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, ok := c.results[id]
	return r, ok
}

// Results returns what is remembered, oldest first.
func (c *Checker) Results() []Result {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]Result, 0, len(c.order))
	for _, id := range c.order {
		out = append(out, c.results[id])
	}
	return out
}

// Check compares the replicas of a tablet now; verify has every row read.
func (c *Checker) Check(ctx context.Context, id types.TabletID, verify bool) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, c.o.Timeout())
	defer cancel()
	var r Result
	for range versionTries {
		tab, ok := c.o.Log.Current().Tablet(id)
		if !ok {
			return r, fmt.Errorf("tablet %d does not exist", id)
		}
		var gone bool
		if r, gone = c.compare(ctx, tab, verify); !gone {
			break
		}
	}
	judge(r.Replicas)
	c.remember(r)
	return r, ctx.Err()
}

// compare asks all replicas at once for the digest of the version that is committed now; gone says that one of them keeps
// that version no more.
func (c *Checker) compare(ctx context.Context, tab *catalog.Tablet, verify bool) (Result, bool) {
	r := Result{Tablet: tab.ID, Version: tab.Version, At: time.Now(), Verified: verify, Replicas: make([]Replica, len(tab.Replicas))}
	gone := make([]bool, len(tab.Replicas))
	var wg sync.WaitGroup
	for i := range tab.Replicas {
		wg.Go(func() {
			rep := &tab.Replicas[i]
			err := contain.Call(func() error { r.Replicas[i], gone[i] = c.ask(ctx, tab, rep, verify); return nil })
			if err != nil {
				r.Replicas[i] = Replica{ID: rep.ID, BE: rep.BE, Verdict: Skipped, Why: err.Error()}
			}
		})
	}
	wg.Wait()
	return r, slices.Contains(gone, true)
}

func (c *Checker) ask(ctx context.Context, tab *catalog.Tablet, rep *catalog.Replica, verify bool) (out Replica, gone bool) {
	out = Replica{ID: rep.ID, BE: rep.BE, Verdict: Skipped}
	switch {
	case rep.Role == types.RoleLearner:
		out.Why = "it is being cloned"
	case rep.Bad:
		out.Why = "it is marked bad"
	case rep.LastFailed != 0:
		out.Why = fmt.Sprintf("it lacks version %d", rep.LastFailed)
	case !c.o.Members.Alive(rep.BE):
		out.Why = "its BE does not answer"
	}
	if out.Why != "" {
		return out, false
	}
	schema, version, err := c.schema(tab)
	if err != nil {
		out.Why = err.Error()
		return out, false
	}
	resp, err := c.o.Digest(ctx, rep.BE, &bepb.DigestRequest{TabletId: uint64(tab.ID), ReplicaId: uint64(rep.ID), Version: uint64(tab.Version), Verify: verify, Schema: schema})
	switch {
	case err == nil && version > 1 && resp.SchemaVersion != version: // altered meanwhile: other columns are another digest
		out.Why = fmt.Sprintf("it has schema version %d, not %d", resp.SchemaVersion, version)
	case err == nil:
		out.Verdict, out.Digest, out.Rows = Agrees, resp.Digest, resp.Rows
	case beclient.Corrupt(err):
		out.Verdict, out.Why = Unreadable, beclient.Reason(err)
	default:
		out.Why = beclient.Reason(err)
	}
	return out, beclient.Gone(err)
}

// schema returns the schema by which the replicas of a tablet are compared: one that has not heard of it learns it.
func (c *Checker) schema(tab *catalog.Tablet) (encoded []byte, version uint32, err error) {
	t, ok := c.o.Log.Current().TableByID(tab.Table)
	if !ok {
		return nil, 0, fmt.Errorf("table %d does not exist", tab.Table)
	}
	encoded, err = cbor.Marshal(t.Schema)
	return encoded, t.Schema.Version, err
}

func (c *Checker) remember(r Result) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.results[r.Tablet]; ok {
		c.order = slices.DeleteFunc(c.order, func(id types.TabletID) bool { return id == r.Tablet })
	}
	c.results[r.Tablet] = r
	if c.order = append(c.order, r.Tablet); len(c.order) > keepResults {
		delete(c.results, c.order[0])
		c.order = c.order[1:]
	}
}

// Act marks the replicas bad that a comparison found damaged or different from most others, and has the tablet repaired
// first of all. It returns how many it marked.
func (c *Checker) Act(ctx context.Context, r *Result, owner string) (int, error) {
	tab, ok := c.o.Log.Current().Tablet(r.Tablet)
	if !ok {
		return 0, nil
	}
	var cmds []command.Command
	marked := 0
	for _, rep := range r.Replicas {
		now := tab.ReplicaByID(rep.ID)
		if (rep.Verdict != Diverges && rep.Verdict != Unreadable) || now == nil || now.Bad {
			continue
		}
		marked++
		cmds = append(cmds, &command.SetReplicaBad{Tablet: tab.ID, Replica: rep.ID, Bad: true},
			&command.AddOp{Op: catalog.Op{Kind: "replica_marked_bad", Target: fmt.Sprintf("replica %d of tablet %d on backend %d", rep.ID, tab.ID, rep.BE),
				Owner: owner, State: catalog.OpDone, StartedMs: r.At.UnixMilli(), EndedMs: time.Now().UnixMilli(),
				Message: fmt.Sprintf("%s at version %d: %s", rep.Verdict, r.Version, rep.Why)}})
	}
	if marked == 0 {
		return 0, nil
	}
	if now := time.Now(); c.o.Manual == nil || !c.o.Manual() {
		cmds = append(cmds, &command.SetRepairHint{Hints: []catalog.RepairHint{{Partition: tab.Partition, Table: tab.Table, Owner: owner,
			AddedMs: now.UnixMilli(), ExpiresMs: now.Add(hintLife).UnixMilli()}}})
	}
	out, err := c.o.Log.Propose(ctx, cmds...)
	if err == nil {
		err = catalog.BatchResult(out).Err()
	}
	if err != nil {
		return 0, fmt.Errorf("mark %d replicas of tablet %d: %w", marked, tab.ID, err)
	}
	c.o.Logger.Warn("replicas marked bad", "tablet_id", tab.ID, "version", r.Version, "replicas", marked, "owner", owner)
	c.o.Kick(tab.ID)
	return marked, nil
}

// errTooMany says that more replicas differ than damage explains.
var errTooMany = errors.New("too many replicas differ: none is marked any more, compare them with ADMIN CHECK TABLE")

// permit takes n marks out of what a minute allows.
func (c *Checker) permit(n int, now time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.marks = slices.DeleteFunc(c.marks, func(t time.Time) bool { return now.Sub(t) > time.Minute })
	if len(c.marks)+n > marksPerMinute {
		return errTooMany
	}
	for range n {
		c.marks = append(c.marks, now)
	}
	return nil
}
