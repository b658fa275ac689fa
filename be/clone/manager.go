// Package clone runs clone tasks on the destination BE: it pulls a replica's missing versions (incremental) or all of
// it (full) from a healthy peer, inside the slots of the disks on both ends and under a byte rate a disk.
//
// The destination decides between incremental and full, because only it knows what it has; the reason is reported.
// A full clone is received beside the old replica and replaces it in one step once it is complete and its digest
// fits: a crash before that leaves the old state, and what has come for the next attempt. Changes are applied version by
// version, each durable, so an interrupted incremental clone goes on where it stopped, too.
package clone

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"stele/be/host"
	"stele/be/tablet"
	"stele/be/write"
	"stele/meta/contain"
	"stele/meta/types"
	"stele/proto/bepb"
)

// What a source may answer instead of data.
var (
	// ErrGone says that the source no longer retains the versions asked for.
	ErrGone = errors.New("versions are no longer retained")
	// ErrBusy says that the source disk has no free slot.
	ErrBusy = errors.New("no free slot on the source disk")
	// ErrUnreachable says that the connection to the source is gone: it may be back soon.
	ErrUnreachable = errors.New("source cannot be reached")
	// ErrStalled says that the source keeps its connection and sends nothing.
	ErrStalled = errors.New("source has stalled")
)

// ReasonNoSlot is the reason that ErrBusy travels with.
const ReasonNoSlot = "no_clone_slot"

// errCancelled is the cause of a cancelled task.
var errCancelled = errors.New("cancelled")

// Source reads replicas of other BEs; each is called for every message of the stream.
type Source interface {
	FetchChanges(ctx context.Context, address string, req *bepb.FetchChangesRequest, each func(*bepb.FetchChangesResponse) error) error
	FetchSnapshot(ctx context.Context, address string, req *bepb.FetchSnapshotRequest, each func(*bepb.FetchSnapshotResponse) error) error
}

// sourceRetry is the pause before a busy source is asked again.
const sourceRetry = 200 * time.Millisecond

// publishTries is how often a source is asked for a version that is committed but that it has not heard of yet.
const publishTries = 25

// defaultTimeout ends a task whose FE gave none.
const defaultTimeout = 2 * time.Hour

// keepFinished bounds the outcomes kept for an FE that has not taken them in yet.
const keepFinished = 10000

// Manager owns the clone tasks of one BE. It is safe for concurrent use.
type Manager struct {
	host     *host.Host
	writer   *write.Writer
	source   Source
	slots    *Slots
	throttle *Throttle
	log      *slog.Logger
	done     func(types.TabletID) // told of every replica that a clone has changed

	ctx  context.Context
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu    sync.Mutex
	tasks map[types.TaskID]*progress
	last  map[types.TabletID]*progress // the newest task of a tablet, while it runs
}

// Options are what a Manager needs.
type Options struct {
	Host   *host.Host
	Writer *write.Writer
	Source Source
	Slots  *Slots
	// Throttle limits the clones of one disk; nil = unlimited.
	Throttle *Throttle
	Log      *slog.Logger
	// Done is called with each tablet whose replica here has changed by a clone.
	Done func(types.TabletID)
}

// NewManager returns a manager without tasks; Close ends it.
func NewManager(o Options) *Manager {
	ctx, stop := context.WithCancel(context.Background())
	if o.Throttle == nil {
		o.Throttle = NewThrottle(func() int64 { return 0 }, nil)
	}
	return &Manager{host: o.Host, writer: o.Writer, source: o.Source, slots: o.Slots, throttle: o.Throttle,
		log: o.Log, done: o.Done, ctx: ctx, stop: stop, tasks: map[types.TaskID]*progress{}, last: map[types.TabletID]*progress{}}
}

// Close cancels every task and waits for them; none begins afterwards.
func (m *Manager) Close() {
	m.mu.Lock() // a Submit that has found ctx alive has counted its task in
	m.stop()
	m.mu.Unlock()
	m.wg.Wait()
}

// Submit starts a task; one that is known already is left alone. A tablet has one task at a time: an older one is
// cancelled, as the FE that asks for a new one has given it up, and the new one begins when it has ended.
func (m *Manager) Submit(task Task) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.tasks[task.ID] != nil || m.ctx.Err() != nil {
		return
	}
	if task.Timeout <= 0 {
		task.Timeout = defaultTimeout
	}
	ctx, cancel := context.WithCancelCause(m.ctx)
	p := newProgress(task, cancel, time.Now())
	before := m.last[task.Tablet]
	if before != nil {
		before.cancel(fmt.Errorf("task %d takes its place", task.ID))
	}
	m.tasks[task.ID], m.last[task.Tablet] = p, p
	m.wg.Go(func() {
		if before != nil {
			<-before.done
		}
		stayBehind()
		m.run(ctx, p)
	})
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
	err := contain.Call(func() error { return m.clone(ctx, p) })
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w (%w)", context.Cause(ctx), err)
	}
	p.finish(err, parent.Err() != nil, time.Now())
	p.cancel(nil)
	m.mu.Lock()
	if m.last[p.task.Tablet] == p {
		delete(m.last, p.task.Tablet)
	}
	m.mu.Unlock()
	close(p.done)
	s := p.snapshot(time.Now())
	m.log.Info("clone ended", "task_id", s.TaskId, "tablet_id", s.TabletId, "state", s.State.String(), "full", s.Full,
		"reason", s.Reason, "bytes", s.BytesDone, "kept", s.BytesKept, "version", s.Version, "elapsed_ms", s.ElapsedMs)
	m.done(p.task.Tablet)
}

// clone does the work of one task: incremental if that is possible, else full and then the versions that were committed
// meanwhile.
func (m *Manager) clone(ctx context.Context, p *progress) error {
	if from, t, ok := m.moveFrom(&p.task); ok {
		return m.move(ctx, p, t, from)
	}
	disk, err := m.destination(p.task)
	if err != nil {
		return err
	}
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

// destination is the disk of the replica if it is here already, else the one asked for, else one of this BE's choice. What an older replica
// has on a disk that has failed keeps the new one from no other.
func (m *Manager) destination(task Task) (*tablet.Store, error) {
	if s, ok := m.host.Store(task.Tablet); ok && (task.Disk == 0 || !s.Failed() || !older(s, &task)) {
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

// older reports whether a disk has another replica of the tablet than the task's.
func older(s *tablet.Store, task *Task) bool {
	t, ok := s.Tablet(task.Tablet)
	return ok && t.Replica() < task.Replica
}

// incremental applies the versions after the replica's own until it has the newest of the source. A source that has
// not heard yet of the version that is wanted is asked again.
func (m *Manager) incremental(ctx context.Context, p *progress, t *tablet.Tablet, disk *tablet.Store) error {
	for try := 1; ; try++ {
		err := m.patiently(ctx, p, func() error {
			return m.withSlot(ctx, p, disk, func() error { return m.pullChanges(ctx, p, t, disk) })
		})
		if err != nil {
			return err
		}
		p.update(func(c *bepb.CloneStatus) { c.Version = uint64(t.Version()) })
		if t.Version() >= p.task.MinVersion {
			return nil
		}
		if try == publishTries {
			return fmt.Errorf("source reached version %d only, %d was asked for", t.Version(), p.task.MinVersion)
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}

func (m *Manager) pullChanges(ctx context.Context, p *progress, t *tablet.Tablet, disk *tablet.Store) error {
	if err := t.SetSchema(p.task.Schema); err != nil {
		return err
	}
	in := &changeIntake{m: m, p: p, t: t, disk: disk.ID()}
	req := &bepb.FetchChangesRequest{TaskId: uint64(p.task.ID), TabletId: uint64(p.task.Tablet), From: uint64(t.Version()),
		ReplicaId: uint64(p.task.SourceReplica), Balance: p.task.Balance}
	err := m.watched(ctx, p, func(ctx context.Context) error {
		return m.source.FetchChanges(ctx, p.task.Source, req, func(c *bepb.FetchChangesResponse) error {
			p.heard()
			defer p.ask()
			return in.take(ctx, c)
		})
	})
	if err != nil {
		return err
	}
	return in.finish()
}

// fullClone receives the whole replica beside the old one and swaps it in at the end. An old replica that has caught up
// by itself meanwhile stays. A stream that breaks goes on where it stopped if the source is back soon.
func (m *Manager) fullClone(ctx context.Context, p *progress, disk *tablet.Store) (*tablet.Tablet, error) {
	in := &intake{m: m, p: p, disk: disk}
	err := m.patiently(ctx, p, func() error {
		return m.withSlot(ctx, p, disk, func() error { return m.receive(ctx, p, in) })
	})
	return in.t, err
}

// patiently runs f again when the source went away in the middle of it, for as long as a source may stall: one that
// restarts is back by then, and what it has sent is not asked for again.
func (m *Manager) patiently(ctx context.Context, p *progress, f func() error) error {
	var lost time.Time // since when the source cannot be reached
	var had int64
	for {
		err := f()
		if err == nil || !errors.Is(err, ErrUnreachable) || ctx.Err() != nil {
			return err
		}
		if bytes := p.bytes(); lost.IsZero() || bytes != had {
			lost, had = time.Now(), bytes
		}
		if patience := p.task.Stall; patience > 0 && time.Since(lost) > patience {
			return fmt.Errorf("source be %d has been away for more than %v: %w", p.task.SourceBE, patience, err)
		}
		if perr := pause(ctx); perr != nil {
			return errors.Join(perr, err)
		}
	}
}

// receive reads one stream of a full clone. The old incarnation takes no new rows meanwhile.
func (m *Manager) receive(ctx context.Context, p *progress, in *intake) error {
	defer in.suspend()
	in.old, in.replacement = nil, nil
	if old, ok := m.host.Tablet(p.task.Tablet); ok && old.Meta().Replica == p.task.Replica {
		in.old, in.replacement = old, m.writer.BeginReplace(old)
		defer in.replacement.End()
	} else if ok {
		in.old = old
	}
	req := in.request()
	err := m.watched(ctx, p, func(ctx context.Context) error {
		return m.source.FetchSnapshot(ctx, p.task.Source, req, func(c *bepb.FetchSnapshotResponse) error {
			p.heard()
			defer p.ask()
			return in.take(ctx, c)
		})
	})
	if err == nil && in.t == nil {
		err = errors.New("source ended the stream without a trailer")
	}
	return err
}

// watched runs f, which hears from the source, and gives it up when the source owes a message for too long: one that hangs
// keeps its connections.
func (m *Manager) watched(ctx context.Context, p *progress, f func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var watch sync.WaitGroup
	p.ask()
	defer watch.Wait()
	defer cancel(nil)
	defer p.heard()
	watch.Go(func() {
		tick := time.NewTicker(watchStep)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case now := <-tick.C:
				if most := p.task.Stall; most > 0 && p.idle(now) > most {
					cancel(fmt.Errorf("source be %d has sent nothing for %v: %w", p.task.SourceBE, most, ErrStalled))
				}
			}
		}
	})
	err := f(ctx)
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, ErrStalled) {
		return fmt.Errorf("%w (%w)", cause, err)
	}
	return err
}

// watchStep is how often a source is looked at.
const watchStep = 100 * time.Millisecond

// withSlot runs f with a slot on the destination disk, again for as long as the source has none; waiting is not a
// failure. Nothing is held while it waits: two disks that clone from one another would wait for ever.
func (m *Manager) withSlot(ctx context.Context, p *progress, disk *tablet.Store, f func() error) error {
	for {
		p.state(bepb.CloneStatus_WAITING)
		release, err := m.slots.Acquire(ctx, disk.ID(), p.task.Balance)
		if err != nil {
			return fmt.Errorf("wait for a slot on disk %d: %w", disk.ID(), err)
		}
		p.state(bepb.CloneStatus_RUNNING)
		err = f()
		release()
		if !errors.Is(err, ErrBusy) {
			return err
		}
		p.state(bepb.CloneStatus_WAITING)
		if err := pause(ctx); err != nil {
			return fmt.Errorf("wait for a slot on the disk of be %d: %w", p.task.SourceBE, err)
		}
	}
}

// pause waits sourceRetry, somewhat more or less so that two BEs do not meet again and again.
func pause(ctx context.Context) error {
	timer := time.NewTimer(sourceRetry/2 + rand.N(sourceRetry))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
