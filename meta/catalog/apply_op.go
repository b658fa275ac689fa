package catalog

import (
	"stele/meta/command"
)

// MaxOps bounds the operation log. The oldest ended entry makes room; when none can, nothing more is taken.
const MaxOps = 10_000

func (d *draft) applyOp(cmd command.Command) (any, error, bool) {
	var result any
	var err error
	switch c := cmd.(type) {
	case *command.AddOp:
		result, err = d.addOp(c)
	case *command.FinishOp:
		err = d.finishOp(c)
	case *command.AddOps:
		result, err = d.addOps(c)
	case *command.UpdateOp:
		err = d.updateOp(c)
	case *command.CancelOp:
		result, err = d.cancelOp(c)
	case *command.DeleteOps:
		result, err = d.deleteOps(c)
	default:
		return nil, nil, false
	}
	return result, err, true
}

func (d *draft) addOp(c *command.AddOp) (any, error) {
	op := c.Op
	if op.ID == 0 {
		op.ID = d.drawID()
	} else if err := d.drawn("op", op.ID); err != nil {
		return nil, err
	} else if _, ok := d.ops.get(op.ID); ok {
		return nil, exists("op", op.ID)
	}
	if err := d.roomForOps(1); err != nil {
		return nil, err
	}
	d.putOp(op)
	return IDResult{ID: op.ID}, nil
}

func (d *draft) putOp(op Op) { d.ops = d.ops.set(d.o, op.ID, &op) }

// roomForOps forgets the oldest ended ops until n more fit, then those that only record what somebody does. An op that
// has not been taken back yet has not ended.
func (d *draft) roomForOps(n int) error {
	over := d.ops.len() + n - MaxOps
	var gone []uint64
	for _, rank := range [...]func(*Op) bool{
		func(op *Op) bool { return op.Ended() && !op.Undo },
		func(op *Op) bool { return !op.Ended() && op.Type == 0 },
	} {
		if len(gone) >= over {
			break
		}
		for op := range d.Ops() {
			if len(gone) < over && rank(op) {
				gone = append(gone, op.ID)
			}
		}
	}
	if len(gone) < over {
		return refused("%d operations are too many: the operation log takes %d that have not ended", d.ops.len()+n, MaxOps)
	}
	for _, id := range gone {
		d.ops = d.ops.del(d.o, id)
	}
	return nil
}

func (d *draft) addOps(c *command.AddOps) (any, error) {
	if err := d.roomForOps(len(c.Ops)); err != nil {
		return nil, err
	}
	first := d.nextID
	for _, op := range c.Ops {
		op.ID, op.Group, op.Rev, op.State = d.drawID(), first, 1, OpInited
		op.CreatedMs, op.Root = c.TimeMs, op.ID
		d.putOp(op)
	}
	return AllocResult{First: first, N: uint64(len(c.Ops))}, nil
}

// updateOp lets nothing but an undo happen to an op that has ended.
func (d *draft) updateOp(c *command.UpdateOp) error {
	old, ok := d.ops.get(c.Op.ID)
	switch {
	case !ok:
		return notFound("op", c.Op.ID)
	case old.Rev != c.Op.Rev:
		return refused("op %d has changed meanwhile", old.ID)
	case old.Ended() && (!old.Undo || c.Op.State != old.State || len(c.Children) > 0):
		return refused("op %d is %s already", old.ID, old.State)
	case c.Op.State > OpInited:
		return refused("op state %d is unknown", c.Op.State)
	}
	if err := d.roomForOps(len(c.Children)); err != nil {
		return err
	}
	op := c.Op
	op.Rev++
	op.Group, op.Root, op.Lane = old.Group, old.Root, old.Lane
	if op.Ended() && op.EndedMs == 0 {
		op.EndedMs = c.TimeMs
	}
	d.putOp(op)
	for _, child := range c.Children {
		child.ID, child.Group, child.Root, child.Lane = d.drawID(), old.Group, old.Root, old.Lane
		child.Rev, child.State, child.CreatedMs = 1, OpInited, c.TimeMs
		d.putOp(child)
	}
	return nil
}

// cancelOp always ends the op. What it has begun is for the op engine to take back.
func (d *draft) cancelOp(c *command.CancelOp) (any, error) {
	op, ok := d.ops.get(c.ID)
	if !ok {
		return nil, notFound("op", c.ID)
	}
	if op.Ended() || op.Type == 0 {
		return nil, refused("op %d is %s already", op.ID, op.State)
	}
	ids := []uint64{op.ID}
	if c.Group {
		ids = ids[:0]
		for other := range d.Ops() {
			if other.Group == op.Group && !other.Ended() {
				ids = append(ids, other.ID)
			}
		}
	}
	for _, id := range ids {
		old, _ := d.ops.get(id)
		next := *old
		next.Undo = old.State == OpRunning
		next.State, next.EndedMs, next.Waiting = OpCancelled, c.TimeMs, ""
		next.Rev++
		d.putOp(next)
	}
	return CountResult{N: len(ids)}, nil
}

func (d *draft) deleteOps(c *command.DeleteOps) (any, error) {
	var gone []uint64
	if c.ID != 0 {
		op, ok := d.ops.get(c.ID)
		if !ok {
			return nil, notFound("op", c.ID)
		}
		if !op.Ended() || op.Undo {
			return nil, refused("op %d has not ended", op.ID)
		}
		gone = append(gone, c.ID)
	} else {
		for op := range d.Ops() {
			if op.State == c.State && op.Ended() && !op.Undo {
				gone = append(gone, op.ID)
			}
		}
	}
	for _, id := range gone {
		d.ops = d.ops.del(d.o, id)
	}
	return CountResult{N: len(gone)}, nil
}

func (d *draft) finishOp(c *command.FinishOp) error {
	old, ok := d.ops.get(c.ID)
	if !ok {
		return notFound("op", c.ID)
	}
	if old.State != OpRunning || old.Type != 0 {
		return refused("op %d is %s already", c.ID, old.State)
	}
	if c.State > OpCancelled {
		return refused("op state %d is unknown", c.State)
	}
	op := *old
	op.State, op.Done, op.Total = c.State, max(op.Done, c.Done), max(op.Total, c.Total)
	if c.Message != "" {
		op.Message = c.Message
	}
	if c.State != OpRunning {
		op.EndedMs = c.TimeMs
	}
	d.putOp(op)
	return nil
}
