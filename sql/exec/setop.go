package exec

import (
	"context"
	"fmt"

	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/physical"
	"stele/sql/vec"
)

// newSetOp makes INTERSECT, EXCEPT and UNION DISTINCT of two or more children, from left to right. Rows are equal
// when all their columns are; here NULLs equal each other. Making rows distinct is left to the aggregation, which
// knows how to spill.
func newSetOp(n *physical.Node, children []Stream, env *Env) (Stream, error) {
	ts := schemaTypes(n.Schema)
	if len(children) < 2 || len(ts) == 0 {
		return nil, fmt.Errorf("build %s: %d children of %d columns", n.SetOp.Name, len(children), len(ts))
	}
	var s Stream
	switch n.SetOp.Name {
	case "union":
		s = &unionOp{ins: children, types: ts}
	case "intersect", "except":
		s = children[0]
		for _, right := range children[1:] {
			s = &setOp{env: env, spec: n.SetOp, types: ts, left: s, right: right, acct: account{mem: env.Mem}}
		}
	default:
		return nil, fmt.Errorf("build set operation %q: unknown", n.SetOp.Name)
	}
	if n.SetOp.All || n.SetOp.Name == "intersect" {
		return s, nil
	}
	return newDistinctRows(ts, s, env)
}

// newDistinctRows drops repeated rows.
func newDistinctRows(ts []types.ColumnType, in Stream, env *Env) (Stream, error) {
	spec := &physical.Agg{}
	for i, t := range ts {
		spec.Group = append(spec.Group, &expr.Node{Kind: expr.NodeColumn, Type: t, Col: i})
	}
	return newAgg(spec, in, env)
}

// setOp passes rows of the left child by how often the right child, which it holds, has them. Beyond the memory limit
// both go to files by the hash of the row, and each pair of files is done by itself.
type setOp struct {
	env         *Env
	spec        *physical.SetOp
	types       []types.ColumnType
	left, right Stream
	level       int

	built  bool
	table  *keyTable
	count  []int64 // of each right row that is left to match
	ids    []int32
	acct   account
	parts  *pairParts
	closed bool
}

func (s *setOp) Next(ctx context.Context) (*vec.Batch, error) {
	if s.closed {
		return nil, nil
	}
	if !s.built {
		if err := s.build(ctx); err != nil {
			return nil, err
		}
		s.built = true
	}
	if s.parts != nil {
		return s.parts.next(ctx)
	}
	for {
		b, err := s.pull(ctx, s.left)
		if err != nil || b == nil {
			return nil, err
		}
		if b = selectRows(b, s.choose(b)); b.Rows() > 0 {
			return b, nil
		}
	}
}

func (s *setOp) pull(ctx context.Context, in Stream) (*vec.Batch, error) {
	b, err := nextBatch(ctx, in)
	if err != nil || b == nil {
		return nil, err
	}
	if err := checkColumns(b, s.types); err != nil {
		return nil, fmt.Errorf("%s: %w", s.spec.Name, err)
	}
	return b, nil
}

// choose returns the left rows that pass.
func (s *setOp) choose(b *vec.Batch) []int32 {
	rows := rowsOf(b)
	s.ids = growTo(s.ids[:0], len(rows))
	s.table.find(b.Cols, rows, s.ids)
	sel := make([]int32, 0, len(rows))
	for i, id := range s.ids {
		found := id >= 0 && s.count[id] > 0
		switch {
		case !found:
		case s.spec.All:
			s.count[id]--
		case s.spec.Name == "intersect":
			s.count[id] = 0 // once only
		}
		if found == (s.spec.Name == "intersect") {
			sel = append(sel, rows[i])
		}
	}
	return sel
}

// build consumes the right child. Its rows are held until that is done, to be written to files if it cannot be.
func (s *setOp) build(ctx context.Context) error {
	s.table = newKeyTable(s.types)
	var rows rowStore
	for {
		b, err := s.pull(ctx, s.right)
		if err != nil {
			return err
		}
		if b == nil {
			s.right.Close()
			s.acct.force(s.table.bytes() + int64(cap(s.count))*8)
			return nil
		}
		s.addRight(rows.add(b))
		if s.acct.resize(rows.size + s.table.bytes() + int64(cap(s.count))*8) {
			continue
		}
		if s.level > 0 && s.table.len() == 1 || s.level >= spillLevels {
			return errOutOfMemory(s.env.Mem.limit)
		}
		return s.spill(ctx, rows.chunks)
	}
}

// spill writes both children to files, first the right rows that are held.
func (s *setOp) spill(ctx context.Context, held []*vec.Batch) error {
	s.parts = newPairParts(s.env, s.level, func(left, right Stream) Stream {
		return &setOp{env: s.env, spec: s.spec, types: s.types, left: left, right: right, level: s.level + 1,
			acct: account{mem: s.env.Mem}}
	})
	for _, b := range held {
		if err := s.parts.right.add(b, b.Cols, rowsOf(b)); err != nil {
			return err
		}
	}
	s.table, s.count = nil, nil
	s.acct.free()
	if err := s.drain(ctx, s.right, s.parts.right); err != nil {
		return err
	}
	return s.drain(ctx, s.left, s.parts.left)
}

func (s *setOp) drain(ctx context.Context, in Stream, to *partition) error {
	for {
		b, err := s.pull(ctx, in)
		if err != nil {
			return err
		}
		if b == nil {
			in.Close()
			return nil
		}
		if err := to.add(b, b.Cols, rowsOf(b)); err != nil {
			return err
		}
	}
}

func (s *setOp) addRight(b *vec.Batch) {
	rows := rowsOf(b)
	s.ids = growTo(s.ids[:0], len(rows))
	s.table.assign(b.Cols, rows, s.ids, nil)
	s.count = growTo(s.count, s.table.len())
	for _, id := range s.ids {
		s.count[id]++
	}
}

func (s *setOp) Close() {
	if s.closed {
		return
	}
	s.closed = true
	s.left.Close()
	s.right.Close()
	s.parts.close()
	s.table, s.count = nil, nil
	s.acct.free()
}
