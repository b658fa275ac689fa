package exec

import (
	"context"
	"fmt"

	"stele/sql/vec"
)

// blockJoin joins a right side that can be neither held nor partitioned: block by block, with the left side replayed
// from a file for each. What a left row found in earlier blocks is remembered in flags; when all blocks are through,
// a last replay yields what the rows yield by themselves.
type blockJoin struct {
	join  *joinOp
	left  *spillFile
	flags *leftFlags
	acct  account
	probe *probe
	last  bool // the right side is exhausted
	final bool // the last replay
}

// newBlockJoin begins with what the table of j holds as the first block.
func newBlockJoin(ctx context.Context, j *joinOp) (*blockJoin, error) {
	f, err := newSpillFile(j.env)
	if err != nil {
		return nil, err
	}
	b := &blockJoin{join: j, left: f, acct: account{mem: j.env.Mem}}
	for {
		batch, err := nextBatch(ctx, j.left)
		if err == nil && batch != nil {
			if err = checkColumns(batch, j.leftTypes); err == nil {
				err = f.write(batch)
			}
		}
		if err != nil {
			return b, fmt.Errorf("join, left side: %w", err)
		}
		if batch == nil {
			break
		}
	}
	j.left.Close()
	if !b.acct.resize(f.rows) {
		return b, errOutOfMemory(j.env.Mem.limit)
	}
	b.flags = &leftFlags{bits: make([]uint8, f.rows)}
	b.replay()
	return b, nil
}

// replay begins the next pass over the left side.
func (b *blockJoin) replay() {
	b.flags.at, b.flags.loaded = 0, 0
	b.probe = newProbe(b.join, b.left.replay())
	b.probe.flags = b.flags
}

func (b *blockJoin) next(ctx context.Context) (*vec.Batch, error) {
	for {
		if b.final {
			return b.nextUnmatched(ctx)
		}
		out, err := b.probe.next(ctx)
		if out != nil || err != nil {
			return out, err
		}
		if b.final = b.last; !b.final {
			if err := b.nextBlock(ctx); err != nil {
				return nil, err
			}
		}
		b.replay()
	}
}

// nextBlock reads as much of the right side as may be held, at least one batch.
func (b *blockJoin) nextBlock(ctx context.Context) error {
	j := b.join
	j.table = newBuildTable(j)
	j.acct.free()
	for {
		batch, err := nextBatch(ctx, j.right)
		if err != nil {
			return err
		}
		if batch == nil {
			b.last = true
			j.right.Close()
			return nil
		}
		if err := checkColumns(batch, j.rightTypes); err != nil {
			return fmt.Errorf("join, right side: %w", err)
		}
		if err := j.table.add(batch); err != nil {
			return err
		}
		if !j.acct.resize(j.table.bytes()) {
			j.acct.force(j.table.bytes())
			return nil
		}
	}
}

// nextUnmatched yields the left rows by what they found in all blocks.
func (b *blockJoin) nextUnmatched(ctx context.Context) (*vec.Batch, error) {
	for {
		if err := b.probe.takeBatch(ctx); err != nil || b.probe.batch == nil {
			return nil, err
		}
		out := b.probe.unmatched()
		b.probe.flags.store(b.probe.match, b.probe.maybe)
		b.probe.batch = nil
		if out != nil {
			return out, nil
		}
	}
}

// close is safe to call more than once, and on nil.
func (b *blockJoin) close() {
	if b == nil {
		return
	}
	b.left.close()
	b.acct.free()
	b.probe, b.flags = nil, nil
}

// leftFlags is what the rows of the left side have found so far, in the order of the file.
type leftFlags struct {
	bits   []uint8
	at     int // the first row of the batch in hand
	loaded int // the row after it
}

const (
	flagMatch = 1 << iota
	flagMaybe
)

// load sets what is known of the next rows. A nil leftFlags knows nothing.
func (f *leftFlags) load(match, maybe []bool) {
	if f == nil {
		return
	}
	f.at = f.loaded
	f.loaded += len(match)
	for i, x := range f.bits[f.at:f.loaded] {
		match[i], maybe[i] = x&flagMatch != 0, x&flagMaybe != 0
	}
}

// store keeps what is known of the rows of the last load.
func (f *leftFlags) store(match, maybe []bool) {
	for i := range match {
		x := uint8(0)
		if match[i] {
			x |= flagMatch
		}
		if maybe[i] {
			x |= flagMaybe
		}
		f.bits[f.at+i] = x
	}
}
