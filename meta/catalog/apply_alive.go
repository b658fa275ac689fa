package catalog

import (
	"stele/meta/command"
	"stele/meta/types"
)

// maxLeaderWeight bounds the share of leaders of a BE, in percent.
const maxLeaderWeight = 1000

func (d *draft) applyAlive(cmd command.Command) (any, error, bool) {
	var result any
	var err error
	switch c := cmd.(type) {
	case *command.SetReplicaAlive:
		n := 0
		for i := range c.Items {
			if d.setAlive(&c.Items[i], c.TimeMs) {
				n++
			}
		}
		result = CountResult{N: n}
	case *command.SetBELeading:
		if c.Weight < 0 || c.Weight > maxLeaderWeight {
			return nil, refused("a leader weight is 0 to %d percent, not %d", maxLeaderWeight, c.Weight), true
		}
		err = d.changeBE(c.BE, func(b *BE) error { b.Drained, b.LeaderWeight = c.Drained, c.Weight; return nil })
	case *command.SetQueryRole:
		err = d.changeBE(c.BE, func(b *BE) error {
			b.QueryMs = 0
			if c.On {
				b.QueryMs = max(c.TimeMs, 1)
			}
			return nil
		})
	case *command.AdjustReplicas:
		err = d.adjustReplicas(c)
	case *command.AcceptLoss:
		result, err = d.acceptLoss(c)
	default:
		return nil, nil, false
	}
	return result, err, true
}

// setAlive sets a replica aside, or takes it into use. Both change of how many replicas a write needs a quorum, so that
// what was prepared before must not be committed after (C6).
func (d *draft) setAlive(item *command.ReplicaAlive, timeMs int64) bool {
	old, ok := d.tablets.get(item.Tablet)
	if !ok {
		return false
	}
	was := old.Replica(item.BE)
	if was == nil || (was.OfflineMs == 0) == item.Alive {
		return false
	}
	t := cloneTablet(old)
	r := t.Replica(item.BE)
	if item.Alive {
		r.OfflineMs = 0
		r.Deposed = r.Deposed && !r.Complete()
	} else {
		r.OfflineMs = max(timeMs, 1)
		r.Deposed = r.Deposed || t.Leader == r.BE
	}
	if !depose(t) && r.Role == types.RoleFollower {
		t.Epoch++
	}
	d.putTablet(t)
	return true
}

func (d *draft) adjustReplicas(c *command.AdjustReplicas) error {
	old, ok := d.tablets.get(c.Tablet)
	if !ok {
		return notFound("tablet", c.Tablet)
	}
	if c.Extra < -100 || c.Extra > 100 {
		return refused("tablet %d cannot have %d more replicas than its partition says", c.Tablet, c.Extra)
	}
	t := *old
	t.Extra = int32(c.Extra)
	d.tablets = d.tablets.set(d.o, t.ID, &t)
	return nil
}

// acceptLoss makes one replica all there is of a tablet. Its BE is told later to pass over the versions that it lacks.
func (d *draft) acceptLoss(c *command.AcceptLoss) (any, error) {
	old, ok := d.tablets.get(c.Tablet)
	if !ok {
		return nil, notFound("tablet", c.Tablet)
	}
	if c.Epoch != old.Epoch {
		return nil, &ErrStaleEpoch{Tablet: old.ID, Given: c.Epoch, Current: old.Epoch}
	}
	if c.Version != old.Version {
		return nil, refused("tablet %d is at version %d, not %d", old.ID, old.Version, c.Version)
	}
	keep, err := d.survivor(old, c)
	if err != nil {
		return nil, err
	}
	t := cloneTablet(old)
	for i := range t.Replicas {
		d.onBE = d.onBE.del(d.o, t.Replicas[i].BE, t.ID)
	}
	r := keep
	r.OfflineMs, r.Deposed = 0, false
	r.Version, r.LastSuccess, r.LastFailed, r.LastFailedMs = t.Version, t.Version, 0, 0
	t.Replicas = append(t.Replicas[:0:0], r)
	t.Leader = r.BE
	if c.Empty != 0 { // nothing is what it is to have
		t.Rows, t.Redo = 0, nil
		d.redo = d.redo.drop(d.o, old)
	}
	t.Epoch++
	d.putTablet(t)
	return EpochResult{Epoch: t.Epoch, Leader: t.Leader}, nil
}

// survivor is the replica that a tablet goes on with after a loss: one that it has, or a new one with nothing in it.
func (d *draft) survivor(t *Tablet, c *command.AcceptLoss) (Replica, error) {
	keep := t.ReplicaByID(c.Replica)
	switch {
	case c.Empty != 0 && keep != nil:
		return Replica{}, exists("replica", c.Replica)
	case c.Empty != 0:
		if _, ok := d.bes.get(c.Empty); !ok {
			return Replica{}, notFound("be", c.Empty)
		}
		return Replica{ID: c.Replica, BE: c.Empty}, d.drawn("replica", uint64(c.Replica))
	case keep == nil:
		return Replica{}, notFound("replica", c.Replica)
	case keep.Bad || keep.Role != types.RoleFollower:
		return Replica{}, &ErrNotReady{Tablet: t.ID, Replica: keep.ID, Why: "it is a learner or bad"}
	}
	return *keep, nil
}
