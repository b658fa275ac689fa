package session

import (
	"context"
	"time"

	"stele/fe/txn"
	"stele/meta/contain"
	"stele/sql/vec"
)

// Bounds of what is sent to the leaders at once: large enough to make the fsync cheap, small enough to keep a
// statement's memory bounded.
const (
	chunkRows  = 32768
	chunkBytes = 8 << 20
)

// inChunks gathers batches until they make a chunk. next returns nil at the end, and how many bytes a batch takes; take is told
// whether another chunk follows.
func inChunks(next func() (*vec.Batch, int, error), take func(chunk []*vec.Batch, more bool) error) error {
	var pending []*vec.Batch
	size, count := 0, 0
	for {
		b, bytes, err := next()
		if err != nil {
			return err
		}
		// With the next batch at hand it is known whether there is more than one chunk.
		if count > 0 && (b == nil || count >= chunkRows || size >= chunkBytes) {
			if err := take(pending, b != nil); err != nil {
				return err
			}
			pending, size, count = nil, 0, 0
		}
		if b == nil {
			return nil
		}
		pending = append(pending, b)
		size, count = size+bytes, count+b.Rows()
	}
}

// inSlices hands out rows in pieces that are no larger than a chunk.
func inSlices(rows *vec.Batch, take func(part *vec.Batch, more bool) error) error {
	if rows.N == 0 {
		return nil
	}
	if rows.N <= chunkRows && rows.Size() <= chunkBytes {
		return take(rows, false)
	}
	step := max(1, min(chunkRows, chunkBytes/(rows.Size()/rows.N+1)))
	for from := 0; from < rows.N; from += step {
		part := rows.Slice(from, min(from+step, rows.N)).Compact()
		if err := take(part, from+step < rows.N); err != nil {
			return err
		}
	}
	return nil
}

// flight is a write that goes on while what comes next is made ready; a transaction has one at a time.
type flight struct {
	landed chan landing // nil when there is none
}

type landing struct {
	counts txn.Counts
	err    error
}

// begin starts a write; none may be under way. Whoever begins it calls land, whatever happens.
func (f *flight) begin(write func() (txn.Counts, error)) {
	landed := make(chan landing, 1)
	f.landed = landed
	go func() {
		var l landing
		l.err = contain.Call(func() (err error) {
			l.counts, err = write()
			return err
		})
		landed <- l
	}()
}

// land waits for the write that is under way.
func (f *flight) land() (txn.Counts, error) {
	if f.landed == nil {
		return txn.Counts{}, nil
	}
	l := <-f.landed
	f.landed = nil
	return l.counts, l.err
}

// launch has the leaders take rows that are routed, behind those of the write before it. Where more follows it does not wait: land
// does. In an explicit transaction it waits: what the statement reads meanwhile looks at what the transaction has written. name says what an error means to the user.
func (i *inserter) launch(ctx context.Context, writes []txn.TabletWrite, name func(error) error) error {
	if err := i.land(); err != nil || len(writes) == 0 {
		return err
	}
	wait, referral := i.s.lockWait(), i.refs.take()
	if i.ahead && !i.s.inTx {
		i.flight.begin(func() (txn.Counts, error) { return i.write(ctx, writes, referral, wait, name) })
		return nil
	}
	counts, err := i.write(ctx, writes, referral, wait, name)
	if err == nil {
		i.add(counts)
	}
	return err
}

func (i *inserter) write(ctx context.Context, writes []txn.TabletWrite, r referral, wait time.Duration, name func(error) error) (txn.Counts, error) {
	counts, err := i.refs.write(writes, r, func(writes []txn.TabletWrite) (txn.Counts, error) { return i.t.Write(ctx, writes, wait) })
	if err != nil {
		err = name(err)
	}
	return counts, err
}

// land waits for the write that is under way, and counts what it did.
func (i *inserter) land() error {
	counts, err := i.flight.land()
	if err == nil {
		i.add(counts)
	}
	return err
}
