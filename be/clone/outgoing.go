package clone

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"stele/be/host"
	"stele/be/tablet"
	"stele/be/write"
	"stele/meta/contain"
	"stele/meta/rpc"
	"stele/meta/types"
	"stele/proto/bepb"
)

// ErrNoReplica says that this BE has no replica of the tablet.
var ErrNoReplica = errors.New("no replica here")

// Outgoing is the source side of clones: it cuts replicas of this BE into messages, inside the slots and under the rate of
// their disks. A full clone whose stream broke goes on where it stopped, after a restart of either end too: the destination
// says what it has, and that is left out. It is safe for concurrent use.
type Outgoing struct {
	host     *host.Host
	writer   *write.Writer
	slots    *Slots
	throttle *Throttle
	wait     time.Duration // for a version that is committed but not here yet
}

// export is a snapshot in the course of being sent.
type export struct {
	snap *tablet.Snapshot
	ex   *tablet.Exporter
}

const (
	// frameBytes is when a message is full: small row groups and change sets travel together.
	frameBytes = 1 << 20
	// changePiece is the most of one change set in a message: a transaction may be larger than a message.
	changePiece = 4 << 20
	// signOfLife is how often a source that has nothing to send yet says that it is at work.
	signOfLife = 300 * time.Millisecond
)

// NewOutgoing returns the source side over a host. wait bounds waiting for a version that is not here yet.
func NewOutgoing(h *host.Host, w *write.Writer, slots *Slots, throttle *Throttle, wait time.Duration) *Outgoing {
	return &Outgoing{host: h, writer: w, slots: slots, throttle: throttle, wait: wait}
}

// open finds the replica that is meant and takes a slot on its disk. ErrBusy, ErrNoReplica, *tablet.OtherError.
func (o *Outgoing) open(id types.TabletID, meant types.ReplicaID, balance bool) (*tablet.Tablet, types.DiskID, func(), error) {
	store, ok := o.host.Store(id)
	if !ok {
		return nil, 0, nil, fmt.Errorf("tablet %d: %w", id, ErrNoReplica)
	}
	t, ok := store.Tablet(id)
	if !ok {
		return nil, 0, nil, fmt.Errorf("tablet %d: %w", id, ErrNoReplica)
	}
	if err := t.CheckReplica(meant); err != nil {
		return nil, 0, nil, err
	}
	release, ok := o.slots.Try(store.ID(), balance)
	if !ok {
		return nil, 0, nil, fmt.Errorf("disk %d: %w", store.ID(), ErrBusy)
	}
	return t, store.ID(), release, nil
}

// Changes sends the change sets after a version, those that are small together.
func (o *Outgoing) Changes(ctx context.Context, req *bepb.FetchChangesRequest, send func(*bepb.FetchChangesResponse) error) error {
	return behind(func() error { return o.changes(ctx, req, send) })
}

func (o *Outgoing) changes(ctx context.Context, req *bepb.FetchChangesRequest, send func(*bepb.FetchChangesResponse) error) error {
	t, disk, release, err := o.open(types.TabletID(req.TabletId), types.ReplicaID(req.ReplicaId), req.Balance)
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
	alive := func() error { return f.send(&bepb.FetchChangesResponse{}) }
	if err := f.throttle.waitTelling(f.ctx, f.disk, f.bytes, alive); err != nil {
		return err
	}
	msg := &bepb.FetchChangesResponse{Version: f.frame.Version, Payload: f.frame.Payload, Changes: f.frame.Changes, TotalBytes: f.frame.TotalBytes}
	f.frame.Version, f.frame.Payload, f.frame.Changes, f.frame.TotalBytes, f.bytes = 0, nil, nil, 0, 0
	return f.send(msg)
}

// Snapshot sends a whole replica at its newest version, but for what the destination has already.
func (o *Outgoing) Snapshot(ctx context.Context, req *bepb.FetchSnapshotRequest, send func(*bepb.FetchSnapshotResponse) error) error {
	return behind(func() error { return o.snapshot(ctx, req, send) })
}

// behind runs f on a thread that gives way to others, and waits for it.
func behind(f func() error) error {
	done := make(chan error, 1)
	go func() {
		stayBehind()
		done <- contain.Call(f)
	}()
	return <-done
}

func (o *Outgoing) snapshot(ctx context.Context, req *bepb.FetchSnapshotRequest, send func(*bepb.FetchSnapshotResponse) error) error {
	t, disk, release, err := o.open(types.TabletID(req.TabletId), types.ReplicaID(req.ReplicaId), req.Balance)
	if err != nil {
		return err
	}
	defer release()
	if want := types.Version(req.MinVersion); !o.writer.WaitVersion(ctx, t, want, o.wait) {
		return &tablet.BehindError{Tablet: t.ID(), Have: t.Version(), Want: want}
	}
	snap, err := t.Current()
	if err != nil {
		return err
	}
	defer snap.Release()
	e := &export{snap: snap, ex: snap.Export()}
	e.ex.Buffer = func(size int) []byte { return *rpc.Buffers.Get(size) } // the codec puts them back
	e.ex.Plain = !req.Sealed
	if err := e.ex.Skip(req.ResumeToken); err != nil {
		return err
	}
	return o.send(ctx, e, disk, send)
}

func (o *Outgoing) send(ctx context.Context, e *export, disk types.DiskID, send func(*bepb.FetchSnapshotResponse) error) error {
	head := &bepb.FetchSnapshotResponse{Version: uint64(e.snap.Version()), TotalBytes: e.ex.TotalBytes(), KeptBytes: e.ex.SkippedBytes()}
	if err := send(head); err != nil {
		return err
	}
	last := e.ex.Chunks() - 1
	for next := 0; next <= last; {
		if next == last {
			if err := e.digest(ctx, send); err != nil {
				return err
			}
		}
		frame, bytes, err := e.frame(ctx, next, last)
		if err != nil {
			return err
		}
		alive := func() error { return send(&bepb.FetchSnapshotResponse{}) }
		if err := o.throttle.waitTelling(ctx, disk, bytes, alive); err != nil {
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
		done <- contain.Call(func() error {
			_, err := e.ex.Digest(ctx)
			return err
		})
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
