package clone

import (
	"context"
	"errors"
	"fmt"

	"stele/be/tablet"
	"stele/be/write"
	"stele/meta/rpc"
	"stele/meta/types"
	"stele/proto/bepb"
)

// intake receives one full clone: header, chunks, trailer; over more than one stream when one breaks.
type intake struct {
	m    *Manager
	p    *progress
	disk *tablet.Store
	im   *tablet.Import
	at   types.Version
	owed int            // bytes that are stored and not paid for to the throttle
	head bool           // the header of the present stream has come
	old  *tablet.Tablet // what the clone takes the place of, nil = nothing

	replacement *write.Replacement // of the same replica; nil = there is none, or another one
	t           *tablet.Tablet     // set when it is complete
}

// request asks for the replica, and says what is here from an attempt before, of another process perhaps.
func (in *intake) request() *bepb.FetchSnapshotRequest {
	in.head = false
	task := &in.p.task
	return &bepb.FetchSnapshotRequest{TaskId: uint64(task.ID), TabletId: uint64(task.Tablet), ReplicaId: uint64(task.SourceReplica), Balance: task.Balance,
		MinVersion: uint64(task.MinVersion), ResumeToken: in.disk.ResumeToken(task.Tablet, task.Replica), Sealed: true}
}

func (in *intake) take(ctx context.Context, c *bepb.FetchSnapshotResponse) error {
	if !in.head {
		if err := in.begin(c); err != nil {
			return err
		}
		in.head = true
	}
	if len(c.Chunk) > 0 {
		for i, chunk := range append([][]byte{c.Chunk}, c.More...) {
			if err := in.chunk(ctx, int(c.Seq)+i, chunk); err != nil {
				return err
			}
		}
	}
	if c.Last {
		return in.commit(ctx, c.Digest)
	}
	return nil
}

// chunk stores a chunk, once the one before it is paid for: a chunk is whole when it is here, and its source has waited for it
// already. To wait for the same bytes again before they count would halve the rate of a tablet of one row group.
func (in *intake) chunk(ctx context.Context, seq int, bytes []byte) error {
	if err := in.m.throttle.Wait(ctx, in.disk.ID(), in.owed); err != nil {
		return err
	}
	in.owed = len(bytes)
	if err := in.im.Write(tablet.Chunk{Seq: seq, Bytes: bytes, Free: func() { rpc.Buffers.Put(&bytes) }}); err != nil {
		return fmt.Errorf("store a chunk of tablet %d: %w", in.p.task.Tablet, err)
	}
	in.p.add(len(bytes))
	return nil
}

func (in *intake) begin(c *bepb.FetchSnapshotResponse) (err error) {
	task := in.p.task
	in.at = types.Version(c.Version)
	in.p.update(func(s *bepb.CloneStatus) {
		s.BytesDone, s.BytesTotal, s.BytesKept = c.KeptBytes, c.KeptBytes+c.TotalBytes, c.KeptBytes
	})
	in.im, err = in.disk.BeginImport(tablet.Meta{Tablet: task.Tablet, Table: task.Table, Partition: task.Partition,
		Replica: task.Replica, Schema: task.Schema, Epoch: task.Epoch}, c.TotalBytes)
	if err != nil {
		return fmt.Errorf("begin to receive tablet %d: %w", task.Tablet, err)
	}
	return nil
}

// commit verifies the received replica and swaps it in.
func (in *intake) commit(ctx context.Context, digest uint64) error {
	err := in.im.Verify(in.at, digest)
	if err == nil {
		in.t, err = in.flip(ctx)
	}
	if errors.Is(err, write.ErrCaughtUp) {
		in.t, err = in.old, nil
		in.p.caughtUp()
	}
	if err != nil {
		return fmt.Errorf("complete tablet %d at version %d: %w", in.p.task.Tablet, in.at, err)
	}
	return nil
}

func (in *intake) flip(ctx context.Context) (t *tablet.Tablet, err error) {
	if in.replacement != nil {
		return in.replacement.Commit(ctx, in.im, in.at)
	}
	err = in.m.host.Steadily(func() error {
		if t, err = in.im.Flip(); err != nil {
			return err
		}
		return in.supersede(t)
	})
	return t, err
}

// supersede lets go of what was here before: on the disk, and on one that has joined the others meanwhile, or has failed.
func (in *intake) supersede(t *tablet.Tablet) error {
	if in.old != nil {
		in.m.writer.Forget(in.old)
	}
	elsewhere, err := in.m.host.Supersede(t)
	for _, old := range elsewhere {
		in.m.writer.Forget(old)
	}
	return err
}

// suspend ends a stream: what has come stays for the next attempt, unless it is committed or wrong.
func (in *intake) suspend() {
	if in.im != nil {
		in.im.Suspend()
		in.im = nil
	}
}

// changeIntake receives change sets. Messages with one version are pieces of one change set, which may be larger than a
// message.
type changeIntake struct {
	m       *Manager
	p       *progress
	t       *tablet.Tablet
	disk    types.DiskID
	owed    int // bytes that are here and not paid for to the throttle, as with a full clone
	version types.Version
	payload []byte
}

func (in *changeIntake) take(ctx context.Context, c *bepb.FetchChangesResponse) error {
	if c.TotalBytes > 0 {
		in.p.update(func(s *bepb.CloneStatus) { s.BytesTotal = s.BytesDone + c.TotalBytes })
	}
	bytes := len(c.Payload)
	for _, whole := range c.Changes {
		bytes += len(whole.Payload)
	}
	if err := in.m.throttle.Wait(ctx, in.disk, in.owed); err != nil {
		return err
	}
	in.owed = bytes
	in.p.add(bytes)
	if len(c.Changes) > 0 {
		if err := in.apply(c.Changes); err != nil {
			return err
		}
	}
	return in.piece(types.Version(c.Version), c.Payload)
}

// apply applies change sets that came together, those that a publish has brought in the meantime excepted.
func (in *changeIntake) apply(together []*bepb.FetchChangesResponse_Change) error {
	if err := in.finish(); err != nil {
		return err
	}
	var changes []tablet.Change
	for _, c := range together {
		if v := types.Version(c.Version); v > in.t.Version() {
			changes = append(changes, tablet.Change{Version: v, Payload: c.Payload})
		}
	}
	if len(changes) == 0 {
		return nil
	}
	if err := in.t.ApplyChanges(changes); err != nil && changes[len(changes)-1].Version > in.t.Version() {
		return fmt.Errorf("apply versions %d and on of tablet %d: %w", changes[0].Version, in.t.ID(), err)
	}
	return in.m.writer.Advance(in.t)
}

// piece takes a change set, or the next piece of one.
func (in *changeIntake) piece(v types.Version, payload []byte) error {
	if v == 0 {
		return nil
	}
	if v == in.version {
		in.payload = append(in.payload, payload...)
		return nil
	}
	if err := in.finish(); err != nil {
		return err
	}
	in.version, in.payload = v, payload
	return nil
}

// finish applies the change set that has been received; one that a publish has brought in the meantime is skipped.
func (in *changeIntake) finish() error {
	v, payload := in.version, in.payload
	in.version, in.payload = 0, nil
	if v <= in.t.Version() {
		return nil
	}
	if err := in.t.ApplyChange(v, payload); err != nil && v > in.t.Version() {
		return fmt.Errorf("apply version %d of tablet %d: %w", v, in.t.ID(), err)
	}
	return in.m.writer.Advance(in.t)
}
