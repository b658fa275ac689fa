package session

import (
	"slices"

	"stele/meta/types"
	"stele/sql/plan"
	"stele/sql/vec"
)

// assignsKey reports whether an UPDATE may change an entry of a unique key: its columns, or what finds the row.
func (m *modifier) assignsKey() bool {
	for _, u := range m.keys {
		if slices.ContainsFunc(m.plan.Written(), func(column int) bool { return slices.Contains(u.from, column) }) {
			return true
		}
	}
	return false
}

// dropEntries removes the entries of rows that are deleted.
func (m *modifier) dropEntries(old *vec.Batch) error {
	for _, u := range m.keys {
		if err := m.addEntries(u, u.entries(old, nil), types.OpDelete); err != nil {
			return err
		}
	}
	return nil
}

// moveEntries has the entries of rows that are updated follow them.
func (m *modifier) moveEntries(old, next *vec.Batch, changed []int32) error {
	if !m.whole {
		return nil
	}
	for _, u := range m.keys {
		var gone, fresh, same []int32
		for _, i := range changed {
			before, after := u.hasEntry(old, int(i)), u.hasEntry(next, int(i))
			switch {
			case before && after && u.entry(old, int(i)) == u.entry(next, int(i)):
				same = append(same, i)
				continue
			case !before && !after:
				continue
			}
			if before {
				gone = append(gone, i)
			}
			if after {
				fresh = append(fresh, i)
			}
		}
		for _, part := range []struct {
			rows *vec.Batch
			pick []int32
			op   types.RowOp
		}{{old, gone, types.OpDelete}, {next, same, types.OpPut}, {next, fresh, types.OpInsert}} {
			if len(part.pick) == 0 || part.op == types.OpPut && !m.plan.MovesRows {
				continue
			}
			if err := m.addEntries(u, u.entries(part.rows, part.pick), part.op); err != nil {
				return err
			}
		}
	}
	return nil
}

// addEntries collects entries for the tablets of a unique key.
func (m *modifier) addEntries(u *uniqueKey, entries *vec.Batch, op types.RowOp) error {
	if entries.N == 0 {
		return nil
	}
	routes, err := plan.Route(u.index, entries)
	if err != nil {
		return err
	}
	for _, r := range routes {
		rows := gather(entries, r.Rows)
		m.rows, m.bytes = m.rows+rows.N, m.bytes+rows.Size()
		t := m.at(r.Tablet)
		t.index = true
		switch op {
		case types.OpDelete:
			t.deletes = append(t.deletes, rows)
		case types.OpPut:
			t.puts = append(t.puts, rows)
		default:
			t.inserts = append(t.inserts, rows)
		}
	}
	return nil
}
