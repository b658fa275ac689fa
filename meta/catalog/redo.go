package catalog

import (
	"cmp"
	"fmt"
	"iter"
	"slices"

	"stele/meta/command"
	"stele/meta/command/canon"
	"stele/meta/types"
)

// Bounds of the rows that one commit may carry. Whoever proposes more gets no versions for it, so writers stay far below.
const (
	MaxRedoBytes = 4 << 20
	MaxRedoParts = 1 << 16
)

// redoing says which tablets have rows that their commits carried, and how many bytes they are.
type redoing struct {
	tablets tree[types.TabletID, struct{}]
	bytes   int64
}

func newRedoing() redoing {
	return redoing{tablets: newTree[types.TabletID, struct{}](cmp.Compare)}
}

// drop forgets all that a tablet has.
func (x redoing) drop(o *owner, t *Tablet) redoing {
	if t.Redo == nil {
		return x
	}
	for r := t.Redo; r != nil; r = r.Prev {
		x.bytes -= r.Bytes()
	}
	x.tablets = x.tablets.del(o, t.ID)
	return x
}

// Redoing yields the tablets that have rows which their commits carried (Tablet.Redo), by id.
func (c *Catalog) Redoing() iter.Seq[*Tablet] {
	return func(yield func(*Tablet) bool) {
		for id := range c.redo.tablets.all() {
			if t, _ := c.tablets.get(id); !yield(t) {
				return
			}
		}
	}
}

// RedoTablets returns how many tablets Redoing yields.
func (c *Catalog) RedoTablets() int { return c.redo.tablets.len() }

// RedoBytes returns about how much memory, and room in a snapshot, the rows of commits take.
func (c *Catalog) RedoBytes() int64 { return c.redo.bytes }

func (d *draft) applyRedo(cmd command.Command) (any, error, bool) {
	switch c := cmd.(type) {
	case *command.StartBE:
		n, err := d.startBE(c)
		return CountResult{N: n}, err, true
	case *command.TrimRedo:
		n := 0
		for i := range c.Tablets {
			n += d.trimRedo(&c.Tablets[i], c.TimeMs)
		}
		return CountResult{N: n}, nil, true
	}
	return nil, nil, false
}

// startBE notes which process a BE is. What its tablets were written with as leaders, its row locks and what was only in its
// memory, is gone with the one before; so is the epoch of those writes. A follower has lost rows as well, but they are in the commit.
func (d *draft) startBE(c *command.StartBE) (int, error) {
	if c.StartMs <= 0 {
		return 0, refused("backend %d cannot have been started at %d", c.BE, c.StartMs)
	}
	if b, ok := d.bes.get(c.BE); ok && b.StartMs == c.StartMs {
		return 0, nil
	}
	if err := d.changeBE(c.BE, func(b *BE) error { b.StartMs = c.StartMs; return nil }); err != nil {
		return 0, err
	}
	n := 0
	for id := range d.onBE.on(c.BE) {
		old, _ := d.tablets.get(id)
		if old.Leader != c.BE {
			continue
		}
		t := *old // its replicas are shared: they stay what they are
		t.Epoch++
		d.tablets = d.tablets.set(d.o, id, &t)
		n++
	}
	return n, nil
}

// checkRedo refuses a commit that carries more than a commit may, or a payload that is none.
func checkRedo(c *command.CommitTxn) error {
	parts, size := 0, 0
	for i := range c.Tablets {
		for _, payload := range c.Tablets[i].Redo {
			if len(payload) == 0 {
				return refused("transaction %d: tablet %d: an empty payload", c.Txn, c.Tablets[i].Tablet)
			}
			parts, size = parts+1, size+len(payload)
		}
	}
	if parts > MaxRedoParts || size > MaxRedoBytes {
		return refused("transaction %d carries %d payloads of %d bytes, at most %d of %d are possible", c.Txn, parts, size, MaxRedoParts, MaxRedoBytes)
	}
	return nil
}

// keepRedo hangs the rows of a new version on its tablet. They are copied: a payload is a part of its log entry, which holds those of
// hundreds of transactions and would live as long as the tablet that is trimmed last. Nothing of a Redo may lie in one piece of memory with it:
// the copies that cutRedo makes would keep it, and by its Prev all that was ever trimmed.
func (d *draft) keepRedo(t *Tablet, txn types.TxnID, payloads [][]byte) {
	r := &Redo{Version: t.Version, Txn: txn, Parts: copyPayloads(payloads), Prev: t.Redo}
	if table, ok := d.tables.get(t.Table); ok && !table.Hidden() {
		r.Schema = table.Schema.Version
	}
	d.pushRedo(t, r)
}

// pushRedo makes r, whose Prev is the tablet's list, the newest of it.
func (d *draft) pushRedo(t *Tablet, r *Redo) {
	if t.Redo == nil {
		d.redo.tablets = d.redo.tablets.set(d.o, t.ID, struct{}{})
	}
	d.redo.bytes += r.Bytes()
	t.Redo = r
}

// copyPayloads copies into one piece of memory.
func copyPayloads(from [][]byte) [][]byte {
	size := 0
	for _, p := range from {
		size += len(p)
	}
	all := make([]byte, 0, size)
	to := make([][]byte, 0, len(from))
	for _, p := range from {
		at := len(all)
		all = append(all, p...)
		to = append(to, all[at:len(all):len(all)])
	}
	return to
}

// trimRedo forgets the rows of the versions of a tablet up to one, and says how many they were. A replica that may lack one of them
// can get it from nowhere but another replica from now on, so it must not count as complete.
func (d *draft) trimRedo(upTo *command.TabletUpTo, timeMs int64) int {
	old, ok := d.tablets.get(upTo.Tablet)
	if !ok {
		return 0
	}
	t := cloneTablet(old)
	var oldest *Redo
	n := 0
	for r := d.cutRedo(t, upTo.Version); r != nil; r = r.Prev {
		d.redo.bytes -= r.Bytes()
		oldest = r
		n++
	}
	if n == 0 {
		return 0
	}
	for _, id := range upTo.Missed {
		if r := t.ReplicaByID(id); r != nil {
			lose(t, r, oldest.Version-1, timeMs)
		}
	}
	depose(t)
	d.tablets = d.tablets.set(d.o, t.ID, t)
	return n
}

// cutRedo leaves a tablet what is above a version, and returns the rest of the list.
func (d *draft) cutRedo(t *Tablet, v types.Version) *Redo {
	var kept []*Redo
	rest := t.Redo
	for ; rest != nil && rest.Version > v; rest = rest.Prev {
		kept = append(kept, rest)
	}
	if rest == nil {
		return nil
	}
	t.Redo = nil
	for _, r := range slices.Backward(kept) { // what older catalogs have is not changed
		again := *r
		again.Prev = t.Redo
		t.Redo = &again
	}
	if t.Redo == nil {
		d.redo.tablets = d.redo.tablets.del(d.o, t.ID)
	}
	return rest
}

// writeRedo writes the rows of commits, by tablet and oldest first.
func (c *Catalog) writeRedo(s *snapshotWriter) {
	for t := range c.Redoing() {
		var list []*Redo
		for r := t.Redo; r != nil; r = r.Prev {
			list = append(list, r)
		}
		for _, r := range slices.Backward(list) {
			if !s.record(kindRedo, redoRecord{t.ID, r.Version, r.Txn, r.Parts, r.Schema}) {
				return
			}
		}
	}
}

// loadRedo takes one version in. Its tablet has been loaded, and nobody else has seen it yet.
func (d *draft) loadRedo(body []byte) error {
	var v redoRecord
	if err := canon.Dec.Unmarshal(body, &v); err != nil {
		return err
	}
	t, ok := d.tablets.get(v.Tablet)
	if !ok || v.Version > t.Version || t.Redo != nil && v.Version <= t.Redo.Version {
		return fmt.Errorf("rows of version %d of tablet %d, which has no room for them", v.Version, v.Tablet)
	}
	d.pushRedo(t, &Redo{Version: v.Version, Txn: v.Txn, Parts: v.Parts, Schema: v.Schema, Prev: t.Redo})
	return nil
}
