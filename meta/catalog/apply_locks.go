package catalog

import (
	"cmp"
	"slices"

	"stele/meta/command"
	"stele/meta/types"
)

// maxTableLocks bounds how many sessions have locked tables, or want to.
const maxTableLocks = 1 << 12

func (d *draft) applyLocks(cmd command.Command) (any, error, bool) {
	var result any
	var err error
	switch c := cmd.(type) {
	case *command.LockTables:
		result, err = d.lockTables(c)
	case *command.HoldLocks:
		err = d.holdLocks(c.ID)
	case *command.UnlockTables:
		d.locks = slices.DeleteFunc(slices.Clone(d.locks), func(l *TableLocks) bool { return l.ID == c.ID })
	default:
		return nil, nil, false
	}
	return result, err, true
}

// lockTables notes what a session asks for, behind what was asked for before.
func (d *draft) lockTables(c *command.LockTables) (any, error) {
	if len(d.locks) >= maxTableLocks {
		return nil, refused("%d sessions have locked tables, no more can", len(d.locks))
	}
	if c.All && len(c.Tables) > 0 || !slices.IsSortedFunc(c.Tables, func(a, b TableLock) int { return cmp.Compare(a.Table, b.Table) }) {
		return nil, refused("tables are locked by id, or all of them")
	}
	for _, l := range c.Tables {
		if t, ok := d.tables.get(l.Table); !ok || !t.Named() {
			return nil, notFound("table", l.Table)
		}
	}
	id := d.drawID()
	d.locks = append(slices.Clip(d.locks), &TableLocks{ID: id, Owner: c.Owner, Tables: c.Tables, All: c.All})
	return IDResult{ID: id}, nil
}

// holdLocks gives a session what it has asked for. Who came first has it first, so no two sessions wait for one another.
func (d *draft) holdLocks(id uint64) error {
	i := slices.IndexFunc(d.locks, func(l *TableLocks) bool { return l.ID == id })
	if i < 0 {
		return &ErrUnlocked{Locks: id}
	}
	held := *d.locks[i]
	for _, before := range d.locks[:i] {
		if before.Conflicts(&held) {
			return &ErrLocked{Locks: before.ID}
		}
	}
	held.Held = true
	d.locks = slices.Clone(d.locks)
	d.locks[i] = &held
	return nil
}

// checkLocks says whether a transaction may write to its tables: no other session holds one of them, and the locks under which it was written
// are held still.
func (d *draft) checkLocks(c *command.CommitTxn) error {
	if c.Locks != 0 {
		if own, ok := d.LocksByID(c.Locks); !ok || !own.Held {
			return &ErrUnlocked{Locks: c.Locks}
		}
	}
	for _, l := range d.locks {
		if !l.Held || l.ID == c.Locks {
			continue
		}
		for i := range c.Tablets {
			if t, ok := d.Lockable(c.Tablets[i].Tablet); ok && l.Bars(t, true) {
				return &ErrLocked{Locks: l.ID}
			}
		}
	}
	return nil
}

// Lockable returns the table that locks of a tablet's rows go by: of a hidden table it is the one that it belongs to. What only one session
// knows is locked by nobody.
func (c *Catalog) Lockable(id types.TabletID) (types.TableID, bool) {
	tab, ok := c.tablets.get(id)
	if !ok {
		return 0, false
	}
	t, ok := c.tables.get(tab.Table)
	if ok && t.IndexOf != 0 {
		t, ok = c.tables.get(t.IndexOf)
	}
	if !ok || t.Owner != nil {
		return 0, false
	}
	return t.ID, true
}
