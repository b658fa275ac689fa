package clone

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/time/rate"

	"stele/be/tablet"
	"stele/be/write"
	"stele/meta/types"
	"stele/proto/bepb"
)

// intake receives one full clone: header, chunks, trailer.
type intake struct {
	m     *Manager
	p     *progress
	disk  *tablet.Store
	limit *rate.Limiter
	im    *tablet.Import
	at    types.Version
	old   *tablet.Tablet // what the clone takes the place of, nil = nothing

	replacement *write.Replacement // of the same replica; nil = there is none, or another one
	t           *tablet.Tablet     // set when it is complete
}

func (in *intake) take(ctx context.Context, c *bepb.FetchSnapshotResponse) error {
	if in.im == nil {
		if err := in.begin(c); err != nil {
			return err
		}
	}
	if len(c.Chunk) > 0 {
		if err := throttle(ctx, in.limit, len(c.Chunk)); err != nil {
			return err
		}
		if err := in.im.Write(tablet.Chunk{Seq: int(c.Seq), Bytes: c.Chunk}); err != nil {
			return fmt.Errorf("store a chunk of tablet %d: %w", in.p.task.Tablet, err)
		}
		in.p.add(len(c.Chunk))
	}
	if c.Last {
		return in.commit(ctx, c.Digest)
	}
	return nil
}

func (in *intake) begin(c *bepb.FetchSnapshotResponse) (err error) {
	task := in.p.task
	in.at = types.Version(c.Version)
	in.p.update(func(s *bepb.CloneStatus) { s.BytesDone, s.BytesTotal = 0, c.TotalBytes })
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
	}
	if err != nil {
		return fmt.Errorf("complete tablet %d at version %d: %w", in.p.task.Tablet, in.at, err)
	}
	return nil
}

func (in *intake) flip(ctx context.Context) (*tablet.Tablet, error) {
	if in.replacement != nil {
		return in.replacement.Commit(ctx, in.im, in.at)
	}
	t, err := in.im.Flip()
	if err == nil && in.old != nil {
		in.m.writer.Forget(in.old)
	}
	return t, err
}

// abort drops what was received unless it has been committed.
func (in *intake) abort() {
	if in.im != nil {
		in.im.Abort()
	}
}

// changeIntake receives change sets. Messages with one version are pieces of one change set, which may be larger than a
// message.
type changeIntake struct {
	m       *Manager
	t       *tablet.Tablet
	version types.Version
	payload []byte
}

func (in *changeIntake) take(c *bepb.FetchChangesResponse) error {
	if types.Version(c.Version) != in.version {
		if err := in.finish(); err != nil {
			return err
		}
		in.version, in.payload = types.Version(c.Version), c.Payload
		return nil
	}
	in.payload = append(in.payload, c.Payload...)
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
