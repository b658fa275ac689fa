package session

import (
	"context"
	"slices"

	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/plan"
	"stele/sql/vec"
)

// Hidden row ids and AUTO_INCREMENT values of new rows, and what keeps given values from being drawn.

// numbers reports whether number has anything to fill.
func (i *inserter) numbers() bool { return i.plan.NeedsRowID || i.plan.AutoIncrement >= 0 }

// number fills the hidden row ids and the AUTO_INCREMENT column.
func (i *inserter) number(ctx context.Context, rows *vec.Batch) (*vec.Batch, error) {
	if !i.plan.NeedsRowID && i.plan.AutoIncrement < 0 {
		return rows, nil
	}
	out := &vec.Batch{Cols: append([]*vec.Vector(nil), rows.Cols...), N: rows.N}
	if i.plan.NeedsRowID {
		at := i.plan.Table.Schema.KeyIndexes()[0]
		first, err := i.s.sh.sequences.RowIDs(ctx, i.plan.Numbers().ID, rows.N)
		if err != nil {
			return nil, err
		}
		v := vec.New(i.plan.Table.Schema.Columns[at].Type, rows.N)
		for k := range v.I64 {
			v.I64[k] = int64(first) + int64(k)
		}
		out.Cols[at] = v
	}
	if at := i.plan.AutoIncrement; at >= 0 {
		v, err := i.autoIncrement(ctx, rows.Cols[at])
		if err != nil {
			return nil, err
		}
		out.Cols[at] = v
	}
	return out, nil
}

// autoIncrement draws a value for every NULL; a given value keeps later ones above it. As in MySQL that goes row by
// row: the values drawn between two given ones are consecutive.
func (i *inserter) autoIncrement(ctx context.Context, in *vec.Vector) (*vec.Vector, error) {
	seq := i.s.sh.sequences.AutoIncrement(i.plan.Numbers())
	v := vec.New(in.Type, in.N)
	for from := 0; from < in.N; {
		to := from + 1
		for to < in.N && in.IsNull(to) == in.IsNull(from) {
			to++
		}
		if in.IsNull(from) {
			first, err := seq.Take(ctx, uint64(to-from))
			if err != nil {
				return nil, err
			}
			if !fits(in.Type, first+uint64(to-from)-1) {
				return nil, sqlErr(errno.AutoIncrementFailed, "Failed to read auto-increment value from storage engine")
			}
			i.drawn.add(first, uint64(to-from))
			for k := from; k < to; k++ {
				v.I64[k] = int64(first) + int64(k-from)
			}
		} else if err := i.given(ctx, in.I64[from:to], v.I64[from:to]); err != nil {
			return nil, err
		}
		from = to
	}
	return v, nil
}

// given takes over values that the statement gives.
func (i *inserter) given(ctx context.Context, in, out []int64) error {
	copy(out, in)
	highest := slices.Max(in)
	i.lastID = uint64(in[len(in)-1])
	return i.s.keepNumber(ctx, i.plan.Numbers(), highest)
}

// fits reports whether an integer column holds n.
func fits(t types.ColumnType, n uint64) bool {
	bits := map[types.Kind]uint{types.KindTinyInt: 8, types.KindSmallInt: 16, types.KindMediumInt: 24, types.KindInt: 32}[t.Kind]
	if bits == 0 {
		return n <= 1<<63-1
	}
	if !t.Unsigned {
		bits--
	}
	return n < 1<<bits
}

// keepNumbers keeps AUTO_INCREMENT values that assignments give to rows from being handed out.
func (s *Session) keepNumbers(ctx context.Context, t *catalog.Table, list []plan.Assign, next *vec.Batch) error {
	for _, a := range list {
		if a.Keeps || !t.Schema.Columns[a.Column].AutoIncrement || next.N == 0 {
			continue
		}
		if err := s.keepNumber(ctx, t, slices.Max(next.Cols[a.Column].I64)); err != nil {
			return err
		}
	}
	return nil
}

// keepNumber is that for the highest of some values.
func (s *Session) keepNumber(ctx context.Context, t *catalog.Table, highest int64) error {
	if highest <= 0 {
		return nil
	}
	return s.sh.sequences.Raise(ctx, t, min(uint64(highest), 1<<63-2)) // the very last value leaves no next one: the draw after it says so
}
