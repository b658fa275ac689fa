package catalog

import (
	"slices"

	"stele/meta/command"
	"stele/meta/types"
)

func (d *draft) applyReplica(cmd command.Command) (any, error, bool) {
	var result any
	var err error
	switch c := cmd.(type) {
	case *command.AddReplica:
		result, err = d.addReplica(c)
	case *command.PromoteReplica:
		result, err = d.promoteReplica(c)
	case *command.DropReplica:
		result, err = d.dropReplica(c)
	case *command.SetLeaders:
		res := LeadersResult{Epochs: make([]types.Epoch, len(c.Items)), Errs: make([]error, len(c.Items))}
		for i := range c.Items {
			res.Epochs[i], res.Errs[i] = d.setLeader(&c.Items[i])
		}
		result = res
	case *command.ReportReplicas:
		result = d.reportReplicas(c)
	case *command.SetReplicaBad:
		err = d.setReplicaBad(c)
	default:
		return nil, nil, false
	}
	return result, err, true
}

func (d *draft) addReplica(c *command.AddReplica) (any, error) {
	old, ok := d.tablets.get(c.Tablet)
	if !ok {
		return nil, notFound("tablet", c.Tablet)
	}
	if _, ok := d.bes.get(c.Replica.BE); !ok {
		return nil, notFound("be", c.Replica.BE)
	}
	if old.Replica(c.Replica.BE) != nil {
		return nil, refused("tablet %d has a replica on backend %d already", c.Tablet, c.Replica.BE)
	}
	id := c.Replica.ID
	if id == 0 {
		id = types.ReplicaID(d.drawID())
	} else if err := d.drawn("replica", uint64(id)); err != nil {
		return nil, err
	}
	if old.ReplicaByID(id) != nil {
		return nil, exists("replica", id)
	}
	t := cloneTablet(old)
	t.Replicas = append(t.Replicas, Replica{
		ID: id, BE: c.Replica.BE, Disk: c.Replica.Disk, Role: types.RoleLearner, State: types.ReplicaClone,
		LastFailed: t.Version, LastFailedMs: c.TimeMs, // it lacks all that was committed before it came
	})
	d.putTablet(t)
	return IDResult{ID: uint64(id)}, nil
}

func (d *draft) promoteReplica(c *command.PromoteReplica) (any, error) {
	old, ok := d.tablets.get(c.Tablet)
	if !ok {
		return nil, notFound("tablet", c.Tablet)
	}
	t := cloneTablet(old)
	r := t.ReplicaByID(c.Replica)
	if r == nil {
		return nil, notFound("replica", c.Replica)
	}
	if r.Role != types.RoleLearner {
		return nil, refused("tablet %d replica %d is not a learner", t.ID, r.ID)
	}
	if c.Version > t.Version {
		return nil, &ErrNotReady{Tablet: t.ID, Replica: r.ID, Why: "it is said to be ahead of the catalog"}
	}
	raise(t, r, c.Version)
	if r.Bad {
		return nil, &ErrNotReady{Tablet: t.ID, Replica: r.ID, Why: "it is bad"}
	}
	if r.LastFailed != 0 {
		return nil, &ErrNotReady{Tablet: t.ID, Replica: r.ID, Why: "it lacks version " + r.LastFailed.String()}
	}
	r.Role, r.State = types.RoleFollower, types.ReplicaNormal
	t.Epoch++
	d.putTablet(t)
	return EpochResult{Epoch: t.Epoch, Leader: t.Leader}, nil
}

func (d *draft) dropReplica(c *command.DropReplica) (any, error) {
	old, ok := d.tablets.get(c.Tablet)
	if !ok {
		return nil, notFound("tablet", c.Tablet)
	}
	if c.ExpectEpoch != 0 && c.ExpectEpoch != old.Epoch {
		return nil, &ErrStaleEpoch{Tablet: old.ID, Given: c.ExpectEpoch, Current: old.Epoch}
	}
	t := cloneTablet(old)
	at := slices.IndexFunc(t.Replicas, func(r Replica) bool { return r.ID == c.Replica })
	if at < 0 {
		return nil, notFound("replica", c.Replica)
	}
	gone := t.Replicas[at]
	t.Replicas = slices.Delete(t.Replicas, at, at+1)
	if gone.Role == types.RoleFollower {
		if !c.Force && !slices.ContainsFunc(t.Replicas, func(r Replica) bool { return r.Complete() }) {
			return nil, &ErrLastCopy{Tablet: t.ID, Replica: gone.ID}
		}
		t.Epoch++
	}
	if t.Leader == gone.BE {
		t.Leader = 0
		if r := t.Replica(c.NewLeader); r != nil && r.Complete() {
			t.Leader = c.NewLeader
		}
	}
	d.onBE = d.onBE.del(d.o, gone.BE, t.ID)
	d.tablets = d.tablets.set(d.o, t.ID, t)
	return EpochResult{Epoch: t.Epoch, Leader: t.Leader}, nil
}

func (d *draft) setLeader(c *command.SetLeader) (types.Epoch, error) {
	old, ok := d.tablets.get(c.Tablet)
	if !ok {
		return 0, notFound("tablet", c.Tablet)
	}
	if c.ExpectEpoch != 0 && c.ExpectEpoch != old.Epoch {
		return 0, &ErrStaleEpoch{Tablet: old.ID, Given: c.ExpectEpoch, Current: old.Epoch}
	}
	r := old.Replica(c.BE)
	if r == nil {
		return 0, refused("tablet %d has no replica on backend %d", c.Tablet, c.BE)
	}
	if !r.Complete() {
		return 0, &ErrNotReady{Tablet: old.ID, Replica: r.ID, Why: "it is a learner, bad, or lacks a committed version"}
	}
	t := cloneTablet(old)
	if lost := t.Replica(t.Leader); c.Failover && lost != nil && t.Leader != c.BE {
		lost.Deposed = true
	}
	t.Replica(c.BE).Deposed = false
	t.Leader = c.BE
	t.Epoch++
	d.tablets = d.tablets.set(d.o, t.ID, t)
	return t.Epoch, nil
}

// reportReplicas takes items that say something new; it does not touch the tablets of the others.
func (d *draft) reportReplicas(c *command.ReportReplicas) ReportResult {
	var res ReportResult
	for i := range c.Items {
		item := &c.Items[i]
		old, ok := d.tablets.get(item.Tablet)
		if !ok || item.Version > old.Version {
			res.Ignored++
			continue
		}
		was := old.Replica(item.BE)
		if was == nil || (item.Replica != 0 && was.ID != item.Replica) {
			res.Ignored++
			continue
		}
		t := cloneTablet(old)
		r := t.ReplicaByID(was.ID)
		report(t, r, item, c.TimeMs)
		if *r == *was {
			continue
		}
		res.Changed++
		if was.LastFailed != 0 && r.LastFailed == 0 {
			res.CaughtUp = append(res.CaughtUp, t.ID)
		}
		if depose(t) {
			res.Deposed = append(res.Deposed, t.ID)
		}
		d.tablets = d.tablets.set(d.o, t.ID, t)
	}
	return res
}

// report applies one item to a replica.
func report(t *Tablet, r *Replica, item *command.ReplicaReport, timeMs int64) {
	if item.Disk != 0 {
		r.Disk = item.Disk
	}
	if item.Bad {
		r.Bad = true
	}
	if item.LostFrom != 0 && item.LostFrom <= t.Version {
		lose(t, r, max(item.Version, item.LostFrom-1), timeMs)
		return
	}
	raise(t, r, item.Version)
	r.Settled = max(r.Settled, item.Version)
}

// lose records that a replica may lack versions above one, until it has said that it has them all.
func lose(t *Tablet, r *Replica, above types.Version, timeMs int64) {
	r.Version = min(r.Version, above)
	r.LastFailed, r.LastFailedMs = t.Version, timeMs
	r.Settled = min(r.Settled, r.Version)
}

// raise records that a replica holds every version up to v. LastFailed is the last version that the replica missed,
// so it stored every one after it; once it has LastFailed itself, it has them all.
func raise(t *Tablet, r *Replica, v types.Version) {
	if r.LastFailed == 0 {
		return
	}
	if v >= r.LastFailed {
		r.Version, r.LastSuccess = t.Version, t.Version
		r.LastFailed, r.LastFailedMs = 0, 0
		r.Deposed = r.Deposed && !r.Complete() // one that is set aside is not
		return
	}
	r.Version = max(r.Version, v)
}

// depose takes the lead from a replica that may not lead any more (C3).
func depose(t *Tablet) bool {
	if t.Leader == 0 {
		return false
	}
	if r := t.Replica(t.Leader); r != nil && r.Complete() {
		return false
	}
	t.Leader = 0
	t.Epoch++
	return true
}

func (d *draft) setReplicaBad(c *command.SetReplicaBad) error {
	old, ok := d.tablets.get(c.Tablet)
	if !ok {
		return notFound("tablet", c.Tablet)
	}
	t := cloneTablet(old)
	r := t.ReplicaByID(c.Replica)
	if c.Replica == 0 {
		r = t.Replica(c.BE)
	}
	if r == nil {
		return refused("tablet %d has no replica %d on backend %d", c.Tablet, c.Replica, c.BE)
	}
	r.Bad = c.Bad
	depose(t)
	d.tablets = d.tablets.set(d.o, t.ID, t)
	return nil
}
