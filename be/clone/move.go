package clone

import (
	"context"
	"fmt"

	"stele/be/tablet"
	"stele/meta/types"
	"stele/proto/bepb"
)

// moveRounds is how often a copy is brought nearer to a replica that goes on before writes have to wait for the rest.
const moveRounds = 3

// moveFrom returns the disk that a task moves a replica away from: it names this BE as its source, and another disk than
// the replica lies on.
func (m *Manager) moveFrom(task *Task) (*tablet.Store, *tablet.Tablet, bool) {
	if task.Disk == 0 || task.SourceBE == 0 || task.SourceBE != m.host.Identity().BE {
		return nil, nil, false
	}
	from, ok := m.host.Store(task.Tablet)
	if !ok {
		return nil, nil, false
	}
	t, ok := from.Tablet(task.Tablet)
	return from, t, ok && t.Meta().Replica == task.Replica
}

// move copies a replica to another disk of this BE while it serves, then puts the copy in its place in one step. Both disks
// give a slot and part of their rate.
func (m *Manager) move(ctx context.Context, p *progress, t *tablet.Tablet, from *tablet.Store) error {
	if from.ID() == p.task.Disk {
		p.update(func(c *bepb.CloneStatus) { c.Version = uint64(t.Version()) })
		return nil // an earlier task has moved it
	}
	to, ok := m.host.Disk(p.task.Disk)
	if !ok {
		return fmt.Errorf("no disk %d on this be", p.task.Disk)
	}
	p.full("moves from disk %d", from.ID())
	return m.withSlot(ctx, p, to, func() error {
		release, ok := m.slots.Try(from.ID(), p.task.Balance)
		if !ok {
			return ErrBusy
		}
		defer release()
		im, err := m.copy(ctx, p, t, from, to)
		if err != nil {
			return err
		}
		defer im.Abort()
		for range moveRounds {
			if err := im.CatchUp(t, t.Version()); err != nil {
				return err
			}
		}
		moved, err := m.writer.Move(ctx, t, im, func() error { return dropOne(t.Meta(), from, to) })
		if err == nil {
			p.update(func(c *bepb.CloneStatus) { c.Version = uint64(moved.Version()) })
		}
		return err
	})
}

// dropOne drops the replica from the disk that it has left, or from the other when that fails. One that has failed drops nothing for good: opened anew
// it has the replica again, with the rows of now at most, and the other one wins (be/host).
func dropOne(meta tablet.Meta, from, to *tablet.Store) error {
	_, err := from.Discard([]tablet.Dropping{{Tablet: meta.Tablet, Replica: meta.Replica}})
	if err == nil {
		return nil
	}
	if undo := to.Drop(meta.Tablet, meta.Replica); undo != nil {
		return fmt.Errorf("%w; and the copy on disk %d stays: %w", err, to.ID(), undo)
	}
	return err
}

// copy makes a verified import of the replica's present version on another disk.
func (m *Manager) copy(ctx context.Context, p *progress, t *tablet.Tablet, from, to *tablet.Store) (*tablet.Import, error) {
	snap, err := t.Current()
	if err != nil {
		return nil, err
	}
	defer snap.Release()
	ex := snap.Export()
	p.update(func(c *bepb.CloneStatus) { c.BytesDone, c.BytesTotal = 0, ex.TotalBytes() })
	im, err := to.BeginImport(t.Meta(), ex.TotalBytes())
	if err != nil {
		return nil, err
	}
	if err := m.fill(ctx, p, ex, im, from.ID(), to.ID()); err != nil {
		im.Abort()
		return nil, err
	}
	digest, err := ex.Digest(ctx)
	if err == nil {
		err = im.Verify(snap.Version(), digest)
	}
	if err != nil {
		im.Abort()
		return nil, err
	}
	return im, nil
}

func (m *Manager) fill(ctx context.Context, p *progress, ex *tablet.Exporter, im *tablet.Import, from, to types.DiskID) error {
	for {
		chunk, more, err := ex.Next(ctx)
		if err != nil || !more {
			return err
		}
		for _, disk := range []types.DiskID{from, to} {
			if err := m.throttle.Wait(ctx, disk, len(chunk.Bytes)); err != nil {
				return err
			}
		}
		if err := im.Write(chunk); err != nil {
			return err
		}
		p.add(len(chunk.Bytes))
	}
}
