package exec

import (
	"context"
	"fmt"
	"slices"

	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/fn"
	"stele/sql/keyset"
	"stele/sql/physical"
	"stele/sql/vec"
)

const (
	// maxGiven is up to how many values of a key a join gives to scans one by one.
	maxGiven = 1024
	// maxGivenBytes is how long these values may be together: they are sent to each BE, and looked at for each row.
	maxGivenBytes = 256 << 10
	// maxAhead is how many rows of its left side a join reads to find out whether they are few, and maxAheadBytes how long they may be.
	maxAhead      = 1 << 20
	maxAheadBytes = 64 << 20
)

// given is what a join has read of a key on one side: its values, or where they are too many a set of integers, which may say yes to
// some that it does not have.
type given struct {
	values []*expr.Node
	set    []byte
}

// taken returns a scan that reads only rows with the values that joins have given so far; false when there are none such.
func taken(s *physical.Scan, all map[int]given) (*physical.Scan, bool) {
	out := *s
	out.Takes = nil
	var conds []*expr.Node
	if s.Fragment.Filter != nil {
		conds = append(conds, s.Fragment.Filter)
	}
	for _, t := range s.Takes {
		g, ok := all[t.ID]
		if !ok {
			continue
		}
		if g.set == nil && len(g.values) == 0 {
			return nil, false
		}
		out.Takes = append(out.Takes, t)
		conds = append(conds, g.holds(t.Expr))
	}
	if len(conds) == 1 {
		out.Fragment.Filter = conds[0]
	} else if len(conds) > 1 {
		out.Fragment.Filter = &expr.Node{Kind: expr.NodeCall, Func: "and", Type: boolType, Args: flatten(conds)}
	}
	return &out, true
}

var boolType = types.ColumnType{Kind: types.KindBool}

// flatten makes one list of conditions that must all hold.
func flatten(conds []*expr.Node) []*expr.Node {
	if c := conds[0]; c.Kind == expr.NodeCall && c.Func == "and" {
		return append(slices.Clone(c.Args), conds[1:]...)
	}
	return conds
}

// holds is a condition that an expression has one of the values.
func (g *given) holds(e *expr.Node) *expr.Node {
	switch {
	case g.set != nil:
		set := expr.Const(vec.Value{B: g.set}, setType)
		return &expr.Node{Kind: expr.NodeCall, Func: fn.AmongKeys, Type: boolType, Args: []*expr.Node{e, set}}
	case len(g.values) == 1:
		return &expr.Node{Kind: expr.NodeCall, Func: "=", Type: boolType, Args: []*expr.Node{e, g.values[0]}}
	}
	return &expr.Node{Kind: expr.NodeCall, Func: "in", Type: boolType, Args: append([]*expr.Node{e}, g.values...)}
}

var setType = types.ColumnType{Kind: types.KindBlob, NotNull: true}

// gives reports whether some scan takes keys of the join.
func (j *joinOp) gives() bool {
	return slices.ContainsFunc(j.spec.Gives, func(id int) bool { return id != 0 })
}

// give tells the scans which values the keys have that are in vectors of the side which was read first. Of a key with too many values
// nothing is told.
func (j *joinOp) give(sets []*vec.Batch) {
	for k, id := range j.spec.Gives {
		if id == 0 {
			continue
		}
		if values, few := distinct(sets, k); few {
			j.env.given[id] = given{values: values}
			continue
		}
		var ints []int64
		for _, b := range sets {
			if v := b.Cols[k]; v.Type.Phys() == types.PhysInt64 {
				ints = appendInts(ints, v)
			}
		}
		j.giveSet(k, ints)
	}
}

// appendInts appends the values of a dense vector that are not NULL.
func appendInts(to []int64, v *vec.Vector) []int64 {
	if v.Valid == nil {
		return append(to, v.I64[:v.N]...)
	}
	for i, x := range v.I64[:v.N] {
		if !v.IsNull(i) {
			to = append(to, x)
		}
	}
	return to
}

// giveSet gives the integers of a key as a set, if they are not too many for that.
func (j *joinOp) giveSet(key int, ints []int64) {
	most := keyset.FewBytes
	if key < len(j.spec.MostBytes) { // an FE of a release before does not say
		most = j.spec.MostBytes[key]
	}
	if set := keyset.Of(ints, most); set != nil {
		j.env.given[j.spec.Gives[key]] = given{set: set}
	}
}

// distinct returns the values that are in a column of dense batches, without NULL, unless they are too many.
func distinct(sets []*vec.Batch, col int) (values []*expr.Node, few bool) {
	values = []*expr.Node{}
	if len(sets) == 0 {
		return values, true
	}
	table, size := newKeyTable([]types.ColumnType{sets[0].Cols[col].Type}), 0
	for _, b := range sets {
		v := b.Cols[col]
		rows := withoutNulls([]*vec.Vector{v}, denseRows(b.N))
		ids := make([]int32, len(rows))
		for _, r := range table.assign([]*vec.Vector{v}, rows, ids, nil) {
			if len(values) == maxGiven {
				return nil, false
			}
			value := v.Value(int(r))
			if size += len(value.B); size > maxGivenBytes {
				return nil, false
			}
			values = append(values, expr.Const(value, v.Type))
		}
	}
	return values, true
}

// giveRight gives the keys of the right side, all rows of which are in the table.
func (j *joinOp) giveRight() error {
	t := j.table
	if j.spec.LeftFirst || !j.gives() {
		return nil
	}
	if t.keys.len() > maxGiven {
		for k, id := range j.spec.Gives {
			if id != 0 {
				j.giveSet(k, t.keys.ints(k))
			}
		}
		return nil
	}
	refs := make([]rowRef, t.keys.len())
	for id := range refs {
		from, _ := t.span(int32(id))
		refs[id] = t.byKey[from]
	}
	keys, err := j.keysR.eval(&vec.Batch{Cols: t.rows.gather(j.rightTypes, refs), N: len(refs)})
	if err != nil {
		return err
	}
	j.give([]*vec.Batch{{Cols: keys, N: len(refs)}})
	return nil
}

// readAhead reads the left side until it ends or is too much. At its end it gives the keys; whatever was read comes first when the left
// side is asked for its rows.
func (j *joinOp) readAhead(ctx context.Context) (empty bool, err error) {
	h := &ahead{in: j.left, acct: account{mem: j.env.Mem}}
	j.left = h
	var sets []*vec.Batch
	for rows := 0; rows <= maxAhead; {
		b, err := nextBatch(ctx, h.in)
		if err != nil {
			return false, err
		}
		if b == nil {
			h.in.Close()
			h.ended = true
			j.give(sets)
			return rows == 0, nil
		}
		if err := checkColumns(b, j.leftTypes); err != nil {
			return false, fmt.Errorf("join, left side: %w", err)
		}
		keys, err := j.keysL.eval(b)
		if err != nil {
			return false, err
		}
		rows += b.Rows()
		sets = append(sets, &vec.Batch{Cols: keys, N: b.Rows()})
		h.rows, h.size = append(h.rows, b), h.size+batchBytes(b)
		if !h.acct.resize(h.size) {
			h.acct.force(h.size)
			return false, nil
		}
		if h.size > maxAheadBytes {
			return false, nil
		}
	}
	return false, nil
}

// ahead is a stream of which some rows were read already.
type ahead struct {
	in    Stream
	rows  []*vec.Batch
	size  int64
	acct  account
	ended bool
}

func (a *ahead) Next(ctx context.Context) (*vec.Batch, error) {
	if len(a.rows) > 0 {
		b := a.rows[0]
		a.rows = a.rows[1:]
		return b, nil
	}
	a.acct.free()
	if a.ended {
		return nil, nil
	}
	return a.in.Next(ctx)
}

func (a *ahead) Close() {
	a.rows, a.ended = nil, true
	a.acct.free()
	a.in.Close()
}
