package clone

import (
	"context"
	"fmt"

	"golang.org/x/time/rate"

	"stele/be/tablet"
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
	t     *tablet.Tablet // set when it is complete
}

func (in *intake) take(ctx context.Context, c *bepb.FetchSnapshotResponse) error {
	if in.im == nil {
		if err := in.begin(c); err != nil {
			return err
		}
	}
	if len(c.Chunk) > 0 {
		if err := in.limit.WaitN(ctx, min(len(c.Chunk), max(in.limit.Burst(), 1))); err != nil && in.limit.Limit() != rate.Inf {
			return err
		}
		if err := in.im.Write(tablet.Chunk{Seq: int(c.Seq), Bytes: c.Chunk}); err != nil {
			return fmt.Errorf("store a chunk of tablet %d: %w", in.p.task.Tablet, err)
		}
		in.p.add(len(c.Chunk))
	}
	if c.Last {
		return in.commit(c.Digest)
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

// commit swaps the received replica in; the old incarnation, if any, is forgotten by the write path.
func (in *intake) commit(digest uint64) error {
	old, had := in.m.host.Tablet(in.p.task.Tablet)
	t, err := in.im.Commit(in.at, digest)
	if err != nil {
		return fmt.Errorf("complete tablet %d at version %d: %w", in.p.task.Tablet, in.at, err)
	}
	if had {
		in.m.writer.Forget(old)
	}
	in.t = t
	return nil
}

// abort drops what was received unless it has been committed.
func (in *intake) abort() {
	if in.im != nil {
		in.im.Abort()
	}
}
