package exec

import (
	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/fn"
	"stele/sql/physical"
	"stele/sql/vec"
)

// StateTypes returns the state columns that a partial aggregation yields for f: those of fn.ResolveAgg, but one BLOB
// for group_concat and for what must keep its distinct values.
func StateTypes(f expr.AggFunc) ([]types.ColumnType, error) {
	blob := []types.ColumnType{{Kind: types.KindBlob}}
	switch f.Name {
	case "group_concat":
		return blob, nil
	case "count", "sum", "avg", "stddev_pop", "stddev_samp", "var_pop", "var_samp", "bit_xor":
		if f.Distinct {
			return blob, nil
		}
	}
	arg := types.ColumnType{}
	if f.Arg != nil {
		arg = f.Arg.Type
	}
	_, _, state, err := fn.ResolveAgg(f.Name, arg, f.Distinct)
	return state, err
}

// PartialTypes returns the columns that a partial aggregation yields: the groups, then the states.
func PartialTypes(a *physical.Agg) ([]types.ColumnType, error) {
	ts := nodeTypes(a.Group)
	for _, f := range a.Aggs {
		st, err := StateTypes(f)
		if err != nil {
			return nil, err
		}
		ts = append(ts, st...)
	}
	return ts, nil
}

// groupTable is the groups of an aggregation with the states of their aggregates.
type groupTable struct {
	spec   *physical.Agg
	maxLen int64
	types  []types.ColumnType   // group columns
	states [][]types.ColumnType // of each aggregate
	keys   *keyTable            // nil without GROUP BY
	cols   []*vec.ColumnBuilder // values of the group columns
	accs   []accumulator
	n      int
	ids    []int32
	fresh  []int32
	group  grouping
}

func newGroupTable(spec *physical.Agg, maxLen int64) (*groupTable, error) {
	t := &groupTable{spec: spec, maxLen: maxLen, types: nodeTypes(spec.Group)}
	for _, f := range spec.Aggs {
		st, err := StateTypes(f)
		if err != nil {
			return nil, err
		}
		t.states = append(t.states, st)
	}
	return t, t.reset()
}

// reset drops all groups. Without GROUP BY there is always one.
func (t *groupTable) reset() error {
	t.accs = t.accs[:0]
	for _, f := range t.spec.Aggs {
		s := aggSpec{f: f, maxLen: t.maxLen}
		if f.Arg != nil {
			s.arg = f.Arg.Type
		}
		acc, err := newAccumulator(s)
		if err != nil {
			return err
		}
		t.accs = append(t.accs, acc)
	}
	t.n, t.keys, t.cols = 0, nil, nil
	t.group.direct, t.group.hopeless = nil, false
	if len(t.types) == 0 {
		t.grow(1)
		return nil
	}
	t.keys = newKeyTable(t.types)
	for _, c := range t.types {
		t.cols = append(t.cols, vec.NewColumnBuilder(c, 0))
	}
	return nil
}

func (t *groupTable) grow(n int) {
	t.n = n
	for _, a := range t.accs {
		a.grow(n)
	}
}

// groupsOf returns the group of each of rows, making those that are new.
func (t *groupTable) groupsOf(keys []*vec.Vector, rows []int32) []int32 {
	t.ids = growTo(t.ids[:0], len(rows))
	if t.keys == nil {
		clear(t.ids)
		return t.ids
	}
	t.fresh = t.keys.assign(keys, rows, t.ids, t.fresh[:0])
	if len(t.fresh) > 0 {
		for c, k := range keys {
			t.cols[c].AppendRows(k, t.fresh)
		}
		t.grow(t.keys.len())
	}
	return t.ids
}

// merge adds a batch of groups and states.
func (t *groupTable) merge(b *vec.Batch) error {
	rows := rowsOf(b)
	ids := t.groupsOf(b.Cols[:len(t.types)], rows)
	at := len(t.types)
	for i, a := range t.accs {
		end := at + len(t.states[i])
		if err := a.merge(ids, rows, b.Cols[at:end]); err != nil {
			return err
		}
		at = end
	}
	return nil
}

func (t *groupTable) size() int64 {
	n := int64(cap(t.ids)+cap(t.fresh))*4 + t.group.size()
	if t.keys != nil {
		n += t.keys.bytes()
	}
	for _, c := range t.cols {
		n += int64(c.Size()) * 5 / 4 // what append keeps in reserve
	}
	for _, a := range t.accs {
		n += a.size()
	}
	return n
}

// maxKeyBytes bounds the bytes of one group column well below what 32-bit offsets reach.
const maxKeyBytes = 1 << 31

func (t *groupTable) full() bool {
	for _, c := range t.cols {
		if c.Size() > maxKeyBytes {
			return true
		}
	}
	return false
}

// groupReader hands the groups of a table out, as states or as results. The table can only be reset after it.
type groupReader struct {
	table  *groupTable
	states bool
	keys   []*vec.Vector
	pos    int
}

func (t *groupTable) reader(states bool) *groupReader {
	r := &groupReader{table: t, states: states}
	for _, c := range t.cols {
		r.keys = append(r.keys, c.Finish())
	}
	return r
}

// next returns up to vec.MaxRows groups, or nil.
func (r *groupReader) next() (*vec.Batch, error) {
	t := r.table
	if r.pos >= t.n {
		return nil, nil
	}
	lo, hi := r.pos, min(r.pos+vec.MaxRows, t.n)
	r.pos = hi
	out := &vec.Batch{N: hi - lo}
	for _, k := range r.keys {
		out.Cols = append(out.Cols, k.Slice(lo, hi))
	}
	for i, a := range t.accs {
		if r.states {
			b := vec.NewBuilder(t.states[i], hi-lo)
			a.emitState(b.Cols, lo, hi)
			out.Cols = append(out.Cols, b.Finish().Cols...)
			continue
		}
		c := vec.NewColumnBuilder(t.spec.Aggs[i].Type, hi-lo)
		if err := a.emit(c, lo, hi); err != nil {
			return nil, err
		}
		out.Cols = append(out.Cols, c.Finish())
	}
	return out, nil
}
