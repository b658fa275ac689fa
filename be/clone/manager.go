// Package clone runs clone tasks on the destination BE: it pulls a replica's missing versions (incremental) or all of
// it (full) from a healthy peer, inside the slots of the disks on both ends and under a byte rate a disk.
//
// The destination decides between incremental and full, because only it knows what it has; the reason is reported.
// A full clone is received beside the old replica and replaces it in one step once it is complete and its digest
// fits: a crash before that leaves the old state, and the store drops the unfinished part at its next start. Changes
// are applied version by version, each durable, so an interrupted incremental clone goes on where it stopped.
package clone

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"stele/be/host"
	"stele/be/tablet"
	"stele/be/write"
	"stele/meta/types"
	"stele/proto/bepb"
)

// What a source may answer instead of data.
var (
	// ErrGone says that the source no longer retains the versions asked for.
	ErrGone = errors.New("versions are no longer retained")
	// ErrBusy says that the source disk has no free slot.
	ErrBusy = errors.New("no free slot on the source disk")
)

// errCancelled is the cause of a cancelled task.
var errCancelled = errors.New("cancelled")

// Source reads replicas of other BEs; each is called for every message of the stream.
type Source interface {
	FetchChanges(ctx context.Context, address string, req *bepb.FetchChangesRequest, each func(*bepb.FetchChangesResponse) error) error
	FetchSnapshot(ctx context.Context, address string, req *bepb.FetchSnapshotRequest, each func(*bepb.FetchSnapshotResponse) error) error
}

// sourceRetry is the pause before a busy source is asked again.
const sourceRetry = 200 * time.Millisecond

// keepFinished bounds the outcomes kept for an FE that has not taken them in yet.
const keepFinished = 10000

// Manager owns the clone tasks of one BE. It is safe for concurrent use.
type Manager struct {
	host   *host.Host
	writer *write.Writer
	source Source
	slots  *Slots
	rate   func(types.DiskID) *rate.Limiter
	log    *slog.Logger
	done   func(types.TabletID) // told of every replica that a clone has changed

	ctx  context.Context
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu    sync.Mutex
	tasks map[types.TaskID]*progress
}

// Options are what a Manager needs.
type Options struct {
	Host   *host.Host
	Writer *write.Writer
	Source Source
	Slots  *Slots
	// BytesPerSecond limits the clones of one disk; 0 = unlimited.
	BytesPerSecond int64
	Log            *slog.Logger
	// Done is called with each tablet whose replica here has changed by a clone.
	Done func(types.TabletID)
}

// NewManager returns a manager without tasks; Close ends it.
func NewManager(o Options) *Manager {
	ctx, stop := context.WithCancel(context.Background())
	return &Manager{host: o.Host, writer: o.Writer, source: o.Source, slots: o.Slots, rate: limiters(o.BytesPerSecond),
		log: o.Log, done: o.Done, ctx: ctx, stop: stop, tasks: map[types.TaskID]*progress{}}
}

// limiters hands out one limiter a disk.
func limiters(bytesPerSecond int64) func(types.DiskID) *rate.Limiter {
	if bytesPerSecond <= 0 {
		return func(types.DiskID) *rate.Limiter { return rate.NewLimiter(rate.Inf, 0) }
	}
	var mu sync.Mutex
	m := map[types.DiskID]*rate.Limiter{}
	return func(d types.DiskID) *rate.Limiter {
		mu.Lock()
		defer mu.Unlock()
		if m[d] == nil {
			m[d] = rate.NewLimiter(rate.Limit(bytesPerSecond), int(max(bytesPerSecond, 16<<20)))
		}
		return m[d]
	}
}

// Close cancels every task and waits for them.
func (m *Manager) Close() {
	m.stop()
	m.wg.Wait()
}

// Submit starts a task; one that is known already is left alone.
func (m *Manager) Submit(task Task) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.tasks[task.ID] != nil || m.ctx.Err() != nil {
		return
	}
	ctx, cancel := context.WithCancelCause(m.ctx)
	p := newProgress(task, cancel, time.Now())
	m.tasks[task.ID] = p
	m.wg.Go(func() { m.run(ctx, p) })
}

// Cancel ends a task; its outcome is reported as cancelled.
func (m *Manager) Cancel(id types.TaskID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.tasks[id]; p != nil {
		p.cancel(errCancelled)
	}
}

// Statuses returns the state of all tasks, and forgets the finished ones that the FE has seen.
func (m *Manager) Statuses(seen []uint64) []*bepb.CloneStatus {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range seen {
		if p := m.tasks[types.TaskID(id)]; p != nil && p.over() {
			delete(m.tasks, types.TaskID(id))
		}
	}
	out := make([]*bepb.CloneStatus, 0, len(m.tasks))
	for id, p := range m.tasks {
		if len(m.tasks) > keepFinished && p.over() {
			delete(m.tasks, id)
			continue
		}
		out = append(out, p.snapshot(time.Now()))
	}
	return out
}

func (m *Manager) run(parent context.Context, p *progress) {
	ctx, cancel := context.WithTimeoutCause(parent, p.task.Timeout, fmt.Errorf("clone took longer than %v", p.task.Timeout))
	defer cancel()
	err := m.clone(ctx, p)
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w (%v)", context.Cause(ctx), err)
	}
	p.finish(err, parent.Err() != nil, time.Now())
	p.cancel(nil)
	s := p.snapshot(time.Now())
	m.log.Info("clone ended", "task_id", s.TaskId, "tablet_id", s.TabletId, "state", s.State.String(), "full", s.Full,
		"reason", s.Reason, "bytes", s.BytesDone, "version", s.Version, "elapsed_ms", s.ElapsedMs)
	m.done(p.task.Tablet)
}

// clone does the work of one task: destination slot, then incremental if that is possible, else full and then the
// versions that were committed meanwhile.
func (m *Manager) clone(ctx context.Context, p *progress) error {
	disk, err := m.destination(p.task)
	if err != nil {
		return err
	}
	release, err := m.slots.Acquire(ctx, disk.ID(), p.task.Balance)
	if err != nil {
		return fmt.Errorf("wait for a slot on disk %d: %w", disk.ID(), err)
	}
	defer release()
	p.update(func(c *bepb.CloneStatus) { c.DiskId = uint64(disk.ID()) })
	t, ok := m.host.Tablet(p.task.Tablet)
	switch {
	case !ok:
		p.full("no replica here")
	case t.Meta().Replica != p.task.Replica:
		p.full("replica %d here is another one", t.Meta().Replica)
	case t.Stats().Bad:
		p.full("replica is bad: %s", t.Stats().BadReason)
	default:
		err := m.incremental(ctx, p, t, disk)
		if !errors.Is(err, ErrGone) {
			return err
		}
		p.full("source has dropped versions after %d", t.Version())
	}
	if t, err = m.fullClone(ctx, p, disk); err != nil {
		return err
	}
	return m.incremental(ctx, p, t, disk)
}

// destination is the disk of the replica if it is here already, else the one asked for, else one of this BE's choice.
func (m *Manager) destination(task Task) (*tablet.Store, error) {
	if s, ok := m.host.Store(task.Tablet); ok {
		return s, nil
	}
	if task.Disk != 0 {
		if s, ok := m.host.Disk(task.Disk); ok {
			return s, nil
		}
		return nil, fmt.Errorf("no disk %d on this be", task.Disk)
	}
	return m.host.Place(task.Medium)
}

// incremental applies the versions after the replica's own until it has the newest of the source.
func (m *Manager) incremental(ctx context.Context, p *progress, t *tablet.Tablet, disk *tablet.Store) error {
	limit := m.rate(disk.ID())
	err := m.whileBusy(ctx, p, func() error {
		req := &bepb.FetchChangesRequest{TaskId: uint64(p.task.ID), TabletId: uint64(p.task.Tablet), From: uint64(t.Version()),
			Balance: p.task.Balance}
		return m.source.FetchChanges(ctx, p.task.Source, req, func(c *bepb.FetchChangesResponse) error {
			if err := limit.WaitN(ctx, min(len(c.Payload), max(limit.Burst(), 1))); err != nil && limit.Limit() != rate.Inf {
				return err
			}
			p.add(len(c.Payload))
			return m.apply(t, types.Version(c.Version), c.Payload)
		})
	})
	if err != nil {
		return err
	}
	p.update(func(c *bepb.CloneStatus) { c.Version = uint64(t.Version()) })
	if t.Version() < p.task.MinVersion {
		return fmt.Errorf("source reached version %d only, %d was asked for", t.Version(), p.task.MinVersion)
	}
	return nil
}

// apply brings one version; one that a publish has brought in the meantime is skipped.
func (m *Manager) apply(t *tablet.Tablet, v types.Version, payload []byte) error {
	if v <= t.Version() {
		return nil
	}
	if err := t.ApplyChange(v, payload); err != nil && v > t.Version() {
		return fmt.Errorf("apply version %d of tablet %d: %w", v, t.ID(), err)
	}
	return m.writer.Advance(t)
}

// fullClone receives the whole replica beside the old one and swaps it in at the end.
func (m *Manager) fullClone(ctx context.Context, p *progress, disk *tablet.Store) (*tablet.Tablet, error) {
	var t *tablet.Tablet
	err := m.whileBusy(ctx, p, func() error {
		in := &intake{m: m, p: p, disk: disk, limit: m.rate(disk.ID())}
		defer func() { in.abort() }()
		req := &bepb.FetchSnapshotRequest{TaskId: uint64(p.task.ID), TabletId: uint64(p.task.Tablet), Balance: p.task.Balance,
			MinVersion: uint64(p.task.MinVersion)}
		err := m.source.FetchSnapshot(ctx, p.task.Source, req, func(c *bepb.FetchSnapshotResponse) error { return in.take(ctx, c) })
		if err == nil && in.t == nil {
			err = errors.New("source ended the stream without a trailer")
		}
		t = in.t
		return err
	})
	return t, err
}

// whileBusy repeats f for as long as the source has no slot; waiting is not a failure.
func (m *Manager) whileBusy(ctx context.Context, p *progress, f func() error) error {
	for {
		p.state(bepb.CloneStatus_RUNNING)
		err := f()
		if !errors.Is(err, ErrBusy) {
			return err
		}
		p.state(bepb.CloneStatus_WAITING)
		select {
		case <-time.After(sourceRetry):
		case <-ctx.Done():
			return fmt.Errorf("wait for a slot on the disk of be %d: %w", p.task.SourceBE, ctx.Err())
		}
	}
}
