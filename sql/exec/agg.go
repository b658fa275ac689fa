package exec

import (
	"context"

	"stele/meta/types"
	"stele/sql/physical"
	"stele/sql/vec"
)

// aggOp is hash aggregation in all its roles: rows or states in, states (Partial, States) or results out.
//
// Beyond the memory limit a partial aggregation hands out what it has and starts again, for the other side merges it
// anyway. A final one writes its states to files by the hash of the group and starts again; at the end each file is
// merged by itself, in the same way with other bits of the hash.
type aggOp struct {
	env   *Env
	spec  *physical.Agg
	merge bool // input is groups and states
	in    Stream
	level int

	input   *aggInput          // unless merge
	totals  *totals            // when the input adds its columns up itself
	inTypes []types.ColumnType // merge
	table   *groupTable
	acct    account
	part    *partition

	reader *groupReader
	nextIn int // the part to read next
	sub    Stream
	done   bool // input is exhausted
	closed bool
}

// partialGroups is when a partial aggregation stops hoping that groups come again: the table has long left the L2
// cache then, and the receiver must see all the groups anyway.
const partialGroups = 1 << 18

func newAgg(spec *physical.Agg, in Stream, env *Env) (Stream, error) {
	a, err := newAggAt(spec, spec.Merge, in, env, 0)
	if err != nil {
		return nil, err
	}
	return a, nil
}

func newAggAt(spec *physical.Agg, merge bool, in Stream, env *Env, level int) (*aggOp, error) {
	table, err := newGroupTable(spec, env.GroupConcatMaxLen)
	if err != nil {
		return nil, err
	}
	a := &aggOp{env: env, spec: spec, merge: merge, in: in, level: level, table: table, acct: account{mem: env.Mem}}
	if merge {
		if a.inTypes, err = PartialTypes(spec); err != nil {
			return nil, err
		}
		return a, nil
	}
	if a.input, err = newAggInput(spec, env.Expr); err != nil {
		return nil, err
	}
	return a, nil
}

func (a *aggOp) Next(ctx context.Context) (*vec.Batch, error) {
	if a.closed {
		return nil, nil
	}
	for {
		if a.reader != nil {
			b, err := a.reader.next()
			if b != nil || err != nil {
				return b, err
			}
			a.reader = nil
			if err := a.restart(); err != nil {
				return nil, err
			}
		}
		if !a.done {
			if err := a.consume(ctx); err != nil {
				return nil, err
			}
			continue
		}
		return a.nextPart(ctx)
	}
}

// restart makes room after the groups have gone somewhere else.
func (a *aggOp) restart() error {
	if a.done { // a global aggregate must not begin another group
		a.acct.free()
		return nil
	}
	if err := a.table.reset(); err != nil {
		return err
	}
	a.acct.force(a.table.size())
	return nil
}

// consume takes input until it ends, or until a partial aggregation has to hand out what it has.
func (a *aggOp) consume(ctx context.Context) error {
	for {
		b, err := a.nextInput(ctx)
		if err != nil {
			return err
		}
		if b == nil {
			return a.finish()
		}
		if err := a.add(b); err != nil {
			return err
		}
		fits := !a.table.full() && a.acct.resize(a.table.size())
		if !fits && a.table.dropDirect() {
			fits = !a.table.full() && a.acct.resize(a.table.size())
		}
		switch {
		case a.spec.Partial && (!fits || a.table.n >= partialGroups):
			a.reader = a.table.reader(true)
			return nil
		case !fits && a.level > 0 && a.table.n == 1: // no partitioning makes one group smaller
			return errOutOfMemory(a.env.Mem.limit)
		case !fits:
			if err := a.spill(); err != nil {
				return err
			}
		}
	}
}

func (a *aggOp) nextInput(ctx context.Context) (*vec.Batch, error) {
	if a.totals == nil {
		return nextBatch(ctx, a.in)
	}
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	return a.totals.next(ctx, a.table)
}

func (a *aggOp) add(b *vec.Batch) error {
	if a.merge {
		if err := checkColumns(b, a.inTypes); err != nil {
			return err
		}
		return a.table.merge(b)
	}
	if err := a.input.load(b); err != nil {
		return err
	}
	return a.table.update(a.input)
}

// spill writes all groups to the partition and starts again.
func (a *aggOp) spill() error {
	if a.table.keys == nil || a.level >= spillLevels {
		return errOutOfMemory(a.env.Mem.limit)
	}
	if a.part == nil {
		a.part = newPartition(a.env, a.level)
	}
	r := a.table.reader(true)
	for {
		b, err := r.next()
		if err != nil {
			return err
		}
		if b == nil {
			return a.restart()
		}
		if err := a.part.add(b, b.Cols[:len(a.table.types)], rowsOf(b)); err != nil {
			return err
		}
	}
}

// finish ends the input.
func (a *aggOp) finish() error {
	a.in.Close()
	if a.part == nil {
		a.reader = a.table.reader(a.spec.Partial || a.spec.States)
		a.done = true
		return nil
	}
	if err := a.spill(); err != nil {
		return err
	}
	a.done = true
	a.acct.free()
	return nil
}

// nextPart yields the groups of the files, one file after another.
func (a *aggOp) nextPart(ctx context.Context) (*vec.Batch, error) {
	for a.part != nil {
		if a.sub == nil {
			if a.nextIn == spillParts {
				return nil, nil
			}
			in, err := a.part.take(a.nextIn)
			if err != nil {
				return nil, err
			}
			a.nextIn++
			sub, err := newAggAt(a.spec, true, in, a.env, a.level+1)
			if err != nil {
				in.Close()
				return nil, err
			}
			a.sub = sub
		}
		b, err := a.sub.Next(ctx)
		if b != nil || err != nil {
			return b, err
		}
		a.sub.Close()
		a.sub = nil
	}
	return nil, nil
}

func (a *aggOp) Close() {
	if a.closed {
		return
	}
	a.closed = true
	a.in.Close()
	if a.sub != nil {
		a.sub.Close()
	}
	a.part.close()
	a.table, a.reader = nil, nil
	a.acct.free()
}
