package catalog

import (
	"stele/meta/command"
	"stele/meta/types"
)

func (d *draft) applyOther(cmd command.Command) (any, error, bool) {
	var result any
	var err error
	switch c := cmd.(type) {
	case *command.AllocIDs:
		result, err = d.allocIDs(c)
	case *command.SetConfig:
		if c.Unset {
			d.config = d.config.del(d.o, c.Key)
		} else {
			d.config = d.config.set(d.o, c.Key, c.Value)
		}
	case *command.SetRepairHint:
		err = d.setHints(c)
	case *command.CancelRepairHint:
		result, err = d.cancelHints(c)
	case *command.ExpireHints:
		result = d.dropHints(func(h *RepairHint) bool { return h.ExpiresMs <= c.NowMs })
	default:
		return nil, nil, false
	}
	return result, err, true
}

func (d *draft) allocIDs(c *command.AllocIDs) (any, error) {
	if c.N > 1<<40 || c.AtLeast > maxCounter {
		return nil, refused("%d numbers from %d on are more than a counter gives", c.N, c.AtLeast)
	}
	switch c.Counter {
	case command.CounterIDs:
		first := d.nextID
		d.nextID += c.N
		return AllocResult{First: first, N: c.N}, nil
	case command.CounterTxns:
		return AllocResult{First: uint64(d.txns.draw(c.N, c.TimeMs)), N: c.N}, nil
	case command.CounterRowIDs, command.CounterAutoInc:
	default:
		return nil, refused("counter %d is unknown", c.Counter)
	}
	n, ok := d.counters.get(c.Table)
	if !ok {
		return nil, notFound("table", c.Table)
	}
	counter := &n.Row
	if c.Counter == command.CounterAutoInc {
		counter = &n.Auto
		*counter = max(*counter, c.AtLeast)
		n.Fence = max(n.Fence, c.Fence)
	}
	first := *counter
	if first > maxCounter {
		return nil, refused("the counter of table %d is used up", c.Table)
	}
	*counter += c.N
	d.counters = d.counters.set(d.o, c.Table, n)
	return AllocResult{First: first, N: c.N}, nil
}

func (d *draft) setHints(c *command.SetRepairHint) error {
	for i := range c.Hints {
		h := c.Hints[i]
		if id, ok := d.parts.get(h.Partition); !ok || (h.Table != 0 && id != h.Table) {
			return notFound("partition", h.Partition)
		} else {
			h.Table = id
		}
		d.hints = d.hints.set(d.o, h.Partition, &h)
	}
	return nil
}

func (d *draft) cancelHints(c *command.CancelRepairHint) (any, error) {
	if _, ok := d.tables.get(c.Table); !ok {
		return nil, notFound("table", c.Table)
	}
	named := make(map[types.PartitionID]bool, len(c.Partitions))
	for _, p := range c.Partitions {
		named[p] = true
	}
	return d.dropHints(func(h *RepairHint) bool {
		return h.Table == c.Table && (len(named) == 0 || named[h.Partition])
	}), nil
}

func (d *draft) dropHints(which func(*RepairHint) bool) CountResult {
	var gone []types.PartitionID
	for h := range d.Hints() {
		if which(h) {
			gone = append(gone, h.Partition)
		}
	}
	for _, p := range gone {
		d.hints = d.hints.del(d.o, p)
	}
	return CountResult{N: len(gone)}
}
