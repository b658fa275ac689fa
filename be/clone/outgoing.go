package clone

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/zeebo/xxh3"

	"stele/be/host"
	"stele/be/tablet"
	"stele/be/write"
	"stele/meta/types"
	"stele/proto/bepb"
)

// ErrNoReplica says that this BE has no replica of the tablet.
var ErrNoReplica = errors.New("no replica here")

// Outgoing is the source side of clones: it cuts replicas of this BE into messages, inside the slots and under the rate of
// their disks. A full clone whose stream breaks goes on where it stopped: its snapshot is held for a while, and can be cut
// again from the same version after a restart, as long as that lies in the same rowsets. It is safe for concurrent use.
type Outgoing struct {
	host     *host.Host
	writer   *write.Writer
	slots    *Slots
	throttle *Throttle
	wait     time.Duration // for a version that is committed but not here yet

	mu     sync.Mutex
	held   []*export // whose streams broke, oldest first
	closed bool
}

// export is a snapshot in the course of being sent.
type export struct {
	tablet *tablet.Tablet
	snap   *tablet.Snapshot
	ex     *tablet.Exporter
	token  uint64 // of the plan of chunks: the same plan has the same token, also after a restart
	expiry *time.Timer
}

const (
	// holdFor is how long the snapshot of a broken stream is held; what it pins cannot be freed.
	holdFor = time.Minute
	// holdMost bounds the snapshots held at a time.
	holdMost = 16
	// frameBytes is when a message is full: small row groups and change sets travel together.
	frameBytes = 1 << 20
	// changePiece is the most of one change set in a message: a transaction may be larger than a message.
	changePiece = 4 << 20
	// signOfLife is how often a source that has nothing to send yet says that it is at work.
	signOfLife = 2 * time.Second
)

// NewOutgoing returns the source side over a host. wait bounds waiting for a version that is not here yet.
func NewOutgoing(h *host.Host, w *write.Writer, slots *Slots, throttle *Throttle, wait time.Duration) *Outgoing {
	return &Outgoing{host: h, writer: w, slots: slots, throttle: throttle, wait: wait}
}

// Close lets go of every snapshot.
func (o *Outgoing) Close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	for len(o.held) > 0 {
		o.dropLocked(0)
	}
}

// open finds a replica and takes a slot on its disk. ErrBusy, ErrNoReplica.
func (o *Outgoing) open(id types.TabletID, balance bool) (*tablet.Tablet, types.DiskID, func(), error) {
	store, ok := o.host.Store(id)
	if !ok {
		return nil, 0, nil, fmt.Errorf("tablet %d: %w", id, ErrNoReplica)
	}
	t, ok := store.Tablet(id)
	if !ok {
		return nil, 0, nil, fmt.Errorf("tablet %d: %w", id, ErrNoReplica)
	}
	release, ok := o.slots.Try(store.ID(), balance)
	if !ok {
		return nil, 0, nil, fmt.Errorf("disk %d: %w", store.ID(), ErrBusy)
	}
	return t, store.ID(), release, nil
}

// Changes sends the change sets after a version, those that are small together.
func (o *Outgoing) Changes(ctx context.Context, req *bepb.FetchChangesRequest, send func(*bepb.FetchChangesResponse) error) error {
	t, disk, release, err := o.open(types.TabletID(req.TabletId), req.Balance)
	if err != nil {
		return err
	}
	defer release()
	to := types.Version(req.To)
	if to == 0 {
		to = t.Version()
	}
	changes, err := t.Changes(types.Version(req.From), to)
	if err != nil {
		return err
	}
	out := &changeFrames{ctx: ctx, disk: disk, throttle: o.throttle, send: send}
	out.frame.TotalBytes = changes.Bytes()
	for {
		c, more, err := changes.Next()
		if err != nil {
			return err
		}
		if !more {
			return out.flush()
		}
		if err := out.add(c); err != nil {
			return err
		}
	}
}

// changeFrames gathers change sets into messages.
type changeFrames struct {
	ctx      context.Context
	disk     types.DiskID
	throttle *Throttle
	send     func(*bepb.FetchChangesResponse) error
	frame    bepb.FetchChangesResponse
	bytes    int
}

func (f *changeFrames) add(c tablet.Change) error {
	if len(c.Payload) < frameBytes {
		f.frame.Changes = append(f.frame.Changes, &bepb.FetchChangesResponse_Change{Version: uint64(c.Version), Payload: c.Payload})
		if f.bytes += len(c.Payload); f.bytes < frameBytes {
			return nil
		}
		return f.flush()
	}
	for piece := range slices.Chunk(c.Payload, changePiece) {
		f.frame.Version, f.frame.Payload = uint64(c.Version), piece
		f.bytes += len(piece)
		if err := f.flush(); err != nil {
			return err
		}
	}
	return nil
}

func (f *changeFrames) flush() error {
	if f.bytes == 0 {
		return nil
	}
	if err := f.throttle.Wait(f.ctx, f.disk, f.bytes); err != nil {
		return err
	}
	msg := &bepb.FetchChangesResponse{Version: f.frame.Version, Payload: f.frame.Payload, Changes: f.frame.Changes, TotalBytes: f.frame.TotalBytes}
	f.frame.Version, f.frame.Payload, f.frame.Changes, f.frame.TotalBytes, f.bytes = 0, nil, nil, 0, 0
	return f.send(msg)
}

// Snapshot sends a whole replica, from the chunk on where an earlier stream of it broke.
func (o *Outgoing) Snapshot(ctx context.Context, req *bepb.FetchSnapshotRequest, send func(*bepb.FetchSnapshotResponse) error) error {
	t, disk, release, err := o.open(types.TabletID(req.TabletId), req.Balance)
	if err != nil {
		return err
	}
	defer release()
	e, from, err := o.export(ctx, t, req)
	if err != nil {
		return err
	}
	broken := false
	err = o.send(ctx, e, disk, from, func(c *bepb.FetchSnapshotResponse) error {
		err := send(c)
		broken = broken || err != nil
		return err
	})
	if broken || ctx.Err() != nil {
		o.hold(e)
	} else {
		e.snap.Release()
	}
	return err
}

// export returns what an interrupted clone had begun with, and the chunk it wants next; or the newest version from the
// start.
func (o *Outgoing) export(ctx context.Context, t *tablet.Tablet, req *bepb.FetchSnapshotRequest) (*export, int, error) {
	if req.ResumeToken != 0 {
		if e := o.takeHeld(t, req.ResumeToken); e != nil {
			return e, int(req.FromSeq), nil
		}
		if e := cutAgain(ctx, t, req); e != nil {
			return e, int(req.FromSeq), nil
		}
	}
	if want := types.Version(req.MinVersion); !o.writer.WaitVersion(ctx, t, want, o.wait) {
		return nil, 0, &tablet.BehindError{Tablet: t.ID(), Have: t.Version(), Want: want}
	}
	snap, err := t.Current()
	if err != nil {
		return nil, 0, err
	}
	e, err := newExport(ctx, t, snap)
	return e, 0, err
}

// newExport plans the chunks of a snapshot, which it owns.
func newExport(ctx context.Context, t *tablet.Tablet, snap *tablet.Snapshot) (*export, error) {
	e := &export{tablet: t, snap: snap, ex: snap.Export()}
	head, _, err := e.ex.Next(ctx)
	if err != nil {
		snap.Release()
		return nil, err
	}
	e.token = xxh3.Hash(head.Bytes)
	return e, nil
}

// cutAgain cuts the version of an interrupted clone again; nil when that gives other chunks.
func cutAgain(ctx context.Context, t *tablet.Tablet, req *bepb.FetchSnapshotRequest) *export {
	snap, err := t.Snapshot(types.Version(req.AtVersion))
	if err != nil {
		return nil
	}
	e, err := newExport(ctx, t, snap)
	if err != nil {
		return nil
	}
	if e.token != req.ResumeToken {
		snap.Release()
		return nil
	}
	return e
}

// takeHeld returns the held export of a tablet; it is the caller's from then on.
func (o *Outgoing) takeHeld(t *tablet.Tablet, token uint64) *export {
	o.mu.Lock()
	defer o.mu.Unlock()
	at := slices.IndexFunc(o.held, func(e *export) bool { return e.tablet == t && e.token == token })
	if at < 0 {
		return nil
	}
	e := o.held[at]
	e.expiry.Stop()
	o.held = slices.Delete(o.held, at, at+1)
	return e
}

// hold keeps an export for a while.
func (o *Outgoing) hold(e *export) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		e.snap.Release()
		return
	}
	if len(o.held) == holdMost {
		o.dropLocked(0)
	}
	e.expiry = time.AfterFunc(holdFor, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		if at := slices.Index(o.held, e); at >= 0 {
			o.dropLocked(at)
		}
	})
	o.held = append(o.held, e)
}

func (o *Outgoing) dropLocked(at int) {
	o.held[at].expiry.Stop()
	o.held[at].snap.Release()
	o.held = slices.Delete(o.held, at, at+1)
}

func (o *Outgoing) send(ctx context.Context, e *export, disk types.DiskID, from int, send func(*bepb.FetchSnapshotResponse) error) error {
	e.ex.Seek(from)
	head := &bepb.FetchSnapshotResponse{Version: uint64(e.snap.Version()), TotalBytes: e.ex.TotalBytes(), ResumeToken: e.token, FromSeq: uint32(from)}
	if err := send(head); err != nil {
		return err
	}
	last := e.ex.Chunks() - 1
	for next := from; next <= last; {
		if next == last {
			if err := e.digest(ctx, send); err != nil {
				return err
			}
		}
		frame, bytes, err := e.frame(ctx, next, last)
		if err != nil {
			return err
		}
		if err := o.throttle.Wait(ctx, disk, bytes); err != nil {
			return err
		}
		if err := send(frame); err != nil {
			return err
		}
		next += 1 + len(frame.More)
	}
	digest, err := e.ex.Digest(ctx)
	if err != nil {
		return err
	}
	return send(&bepb.FetchSnapshotResponse{Version: uint64(e.snap.Version()), Last: true, Digest: digest})
}

// frame gathers the chunks from next on that fit in a message. The last chunk, which needs the digest, travels alone.
func (e *export) frame(ctx context.Context, next, last int) (*bepb.FetchSnapshotResponse, int, error) {
	frame := &bepb.FetchSnapshotResponse{Seq: uint32(next)}
	bytes := 0
	for seq := next; seq == next || seq < last && bytes < frameBytes; seq++ {
		chunk, _, err := e.ex.Next(ctx)
		if err != nil {
			return nil, 0, err
		}
		if seq == next {
			frame.Chunk = chunk.Bytes
		} else {
			frame.More = append(frame.More, chunk.Bytes)
		}
		bytes += len(chunk.Bytes)
	}
	return frame, bytes, nil
}

// digest computes the digest, which may read the whole replica, with signs of life meanwhile.
func (e *export) digest(ctx context.Context, send func(*bepb.FetchSnapshotResponse) error) error {
	done := make(chan error, 1)
	go func() {
		_, err := e.ex.Digest(ctx)
		done <- err
	}()
	tick := time.NewTicker(signOfLife)
	defer tick.Stop()
	var failed error // to send: the digest is waited for all the same, it uses the snapshot
	for {
		select {
		case err := <-done:
			return errors.Join(failed, err)
		case <-tick.C:
			if failed == nil {
				failed = send(&bepb.FetchSnapshotResponse{})
			}
		}
	}
}
