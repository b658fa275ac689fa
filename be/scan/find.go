package scan

import (
	"context"

	"stele/be/tablet"
	"stele/be/write"
	"stele/meta/types"
	"stele/sql/physical"
	"stele/sql/vec"
)

// Bounds of the rows that a search finds in a tablet: more are read and written by the general way, in chunks.
const (
	maxFoundRows  = 512
	maxFoundBytes = 256 << 10
)

// Search prepares the search for rows that a write is to change.
func (s *Scanner) Search(f *physical.Fragment, nowMicros int64) (write.Search, error) {
	ectx, err := exprContext(f, nowMicros)
	if err != nil {
		return nil, err
	}
	out := &search{s: s, f: f}
	if f.Keys == nil {
		out.early = newEarly(f, ectx, 1)
	}
	if f.Filter != nil {
		out.asker = &asker{filter: f.Filter, ectx: ectx}
	}
	return out, nil
}

// search is one search.
type search struct {
	s     *Scanner
	f     *physical.Fragment
	early *early
	asker *asker // of the filter; or nil
}

// Rows returns the rows of a tablet at a version, and where they lie.
func (q *search) Rows(ctx context.Context, t *tablet.Tablet, v types.Version, own *write.Overlay) (*vec.Batch, []tablet.Found, error) {
	q.s.running.Add(1)
	defer q.s.running.Add(-1)
	snap, err := t.Snapshot(v)
	if err != nil {
		return nil, nil, err
	}
	defer snap.Release()
	src := &source{id: t.ID(), snap: snap, f: q.f, overlay: own, early: q.early, most: lookedPart * maxFetchRows, places: own == nil}
	rows, err := q.all(ctx, src)
	if rows == nil || err != nil || own != nil {
		return rows, nil, err
	}
	rows, old := snap.Placed(rows, q.f.Columns)
	return rows, old, nil
}

// all returns all rows that pass, nil = there are none.
func (q *search) all(ctx context.Context, src *source) (*vec.Batch, error) {
	if q.f.Keys == nil {
		if n, err := src.toRead(); err != nil || n > maxFetchRows {
			return nil, orLarge(err)
		}
	}
	var found []*vec.Batch
	rows, bytes := 0, 0
	for {
		b, err := src.Next(ctx)
		switch {
		case err != nil:
			return nil, err
		case b == nil:
			return joined(found), nil
		}
		if b, err = q.picked(b); err != nil {
			return nil, err
		}
		if b.N == 0 {
			continue
		}
		if rows, bytes = rows+b.N, bytes+b.Size(); rows > maxFoundRows || bytes > maxFoundBytes {
			return nil, errLarge
		}
		found = append(found, b)
	}
}

func orLarge(err error) error {
	if err == nil {
		return errLarge
	}
	return err
}

// picked copies the rows that pass the filter: the batch is filled again by the next.
func (q *search) picked(b *vec.Batch) (*vec.Batch, error) {
	sel := b.Sel
	switch {
	case q.asker != nil:
		var err error
		if sel, err = q.asker.keep(b); err != nil {
			return nil, err
		}
	case sel == nil:
		sel = make([]int32, b.N)
		for i := range sel {
			sel[i] = int32(i)
		}
	}
	return (&vec.Batch{Cols: b.Cols, N: b.N, Sel: sel}).Compact(), nil
}

// joined puts batches together; nil = there are none.
func joined(bs []*vec.Batch) *vec.Batch {
	switch len(bs) {
	case 0:
		return nil
	case 1:
		return bs[0]
	}
	return vec.ConcatBatches(bs...)
}
