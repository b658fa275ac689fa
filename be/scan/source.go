package scan

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"stele/be/tablet"
	"stele/be/write"
	"stele/meta/types"
	"stele/sql/physical"
	"stele/sql/vec"
)

// source streams the wanted columns of one tablet at one version, with what the reading transaction itself has
// written laid over.
type source struct {
	id      types.TabletID
	snap    *tablet.Snapshot
	f       *physical.Fragment
	overlay *write.Overlay
	early   *early
	most    int64 // rows that it may look at; 0 = all
	places  bool  // rows have where they lie in a column behind the others; not with an overlay

	iter    *tablet.Iter
	started bool
	mine    []*vec.Batch // what is still to yield after iter
	cols    []types.ColumnID
}

// Close does nothing: the scan closes its sources.
func (s *source) Close() {}

// close lets go of the snapshot.
func (s *source) close() {
	s.snap.Release()
}

// Next returns the next batch of the fragment's columns.
func (s *source) Next(ctx context.Context) (*vec.Batch, error) {
	if !s.started {
		if err := s.start(); err != nil {
			return nil, err
		}
	}
	for s.iter != nil {
		b, err := s.iter.Next(ctx)
		if err != nil {
			return nil, fmt.Errorf("tablet %d: %w", s.id, err)
		}
		if b == nil {
			s.iter = nil
			break
		}
		if b = s.mask(b); b.Rows() > 0 {
			return b, nil
		}
	}
	if len(s.mine) == 0 {
		return nil, nil
	}
	b := s.mine[0]
	s.mine = s.mine[1:]
	return b, nil
}

// AddUp is Next, but rows whose totals are cheaper to find than they are themselves are added to totals, as many as it returns.
func (s *source) AddUp(ctx context.Context, totals []vec.Total) (rows int64, b *vec.Batch, err error) {
	if !s.started {
		if err := s.start(); err != nil {
			return 0, nil, err
		}
	}
	if s.iter == nil || s.overlay != nil {
		b, err = s.Next(ctx)
		return 0, b, err
	}
	if rows, b, err = s.iter.AddUp(ctx, totals); err != nil {
		return rows, nil, fmt.Errorf("tablet %d: %w", s.id, err)
	}
	return rows, b, nil
}

// toRead is about how many rows there are to read when no keys are named. It comes before the first is read.
func (s *source) toRead() (int64, error) {
	if err := s.start(); err != nil {
		return 0, err
	}
	return s.iter.ToRead() + int64(len(s.mine)*vec.MaxRows), nil
}

// start begins the scan or looks the keys up.
func (s *source) start() error {
	s.started = true
	s.cols = s.f.Columns
	if s.overlay != nil {
		s.cols = withKey(s.f.Columns, s.f.Schema.Key)
		s.mine = s.own()
	}
	if s.f.Keys == nil {
		opt := tablet.ScanOptions{
			Prune: s.early.prune, Filter: s.early.filter, Most: s.most,
			// A sort keeps batches; everything else has taken what it needs of one, or it is encoded, when it asks for the next.
			Reuse: s.f.Agg != nil || s.f.TopN == nil, Places: s.places,
		}
		if opt.First = s.early.first; opt.First != nil && s.overlay != nil { // it may hide rows that are among the first
			more := *opt.First
			more.N += s.overlay.Len()
			more.Best = nil
			opt.First = &more
		}
		s.iter = s.snap.Scan(s.cols, opt)
		return nil
	}
	get := s.snap.Get
	if s.places {
		get = s.snap.GetPlaces
	}
	b, found, err := get(s.f.KeysIn(s.id), s.cols)
	if err != nil {
		return fmt.Errorf("tablet %d: %w", s.id, err)
	}
	b = &vec.Batch{Cols: b.Cols, N: b.N}
	if slices.Contains(found, false) {
		b.Sel = []int32{} // not nil: that would be all rows
		for i, ok := range found {
			if ok {
				b.Sel = append(b.Sel, int32(i))
			}
		}
	}
	s.mine = append(pieces(s.mask(b)), s.mine...)
	return nil
}

// withKey appends the key columns that are not among cols.
func withKey(cols, key []types.ColumnID) []types.ColumnID {
	out := append([]types.ColumnID(nil), cols...)
	for _, k := range key {
		if position(out, k) < 0 {
			out = append(out, k)
		}
	}
	return out
}

func position(cols []types.ColumnID, id types.ColumnID) int {
	for i, c := range cols {
		if c == id {
			return i
		}
	}
	return -1
}

// mask drops the rows whose keys the transaction has written, and the columns that were only read for that.
func (s *source) mask(b *vec.Batch) *vec.Batch {
	if s.overlay == nil {
		return b
	}
	at := make([]int, len(s.f.Schema.Key))
	for i, k := range s.f.Schema.Key {
		at[i] = position(s.cols, k)
	}
	keys := vec.EncodeKeys(b, at)
	sel := make([]int32, 0, len(keys))
	for i, k := range keys {
		if _, written := s.overlay.Get(string(k)); !written {
			row := int32(i)
			if b.Sel != nil {
				row = b.Sel[i]
			}
			sel = append(sel, row)
		}
	}
	return &vec.Batch{Cols: b.Cols[:len(s.f.Columns)], N: b.N, Sel: sel}
}

// pieces cuts a batch into some that operators take.
func pieces(b *vec.Batch) []*vec.Batch {
	var out []*vec.Batch
	if b = b.Compact(); b.N > 0 && b.N <= vec.MaxRows {
		return []*vec.Batch{b}
	}
	for from := 0; from < b.N; from += vec.MaxRows {
		out = append(out, b.Slice(from, min(from+vec.MaxRows, b.N)))
	}
	return out
}

// own gathers the rows that the transaction has put, in key order so that a statement sees them the same way twice.
func (s *source) own() []*vec.Batch {
	rows := s.overlay.Rows()
	if s.f.Keys != nil {
		wanted := make(map[string]bool, len(s.f.Keys))
		for _, k := range s.f.Keys {
			wanted[string(k)] = true
		}
		maps.DeleteFunc(rows, func(k string, _ *write.OverlayRow) bool { return !wanted[k] })
	}
	keys := slices.Sorted(maps.Keys(rows))
	colTypes := make([]types.ColumnType, len(s.f.Columns))
	from := make([]int, len(s.f.Columns))
	for i, id := range s.f.Columns {
		from[i] = s.f.Schema.ColumnIndex(id)
		colTypes[i] = s.f.Schema.Columns[from[i]].Type
	}
	cols := make([]*vec.ColumnBuilder, len(from))
	for i := range from {
		cols[i] = vec.NewColumnBuilder(colTypes[i], len(keys))
		for _, k := range keys {
			row := rows[k]
			cols[i].AppendFrom(row.Batch.Cols[from[i]], row.Row)
		}
	}
	out := &vec.Batch{N: len(keys)}
	for _, c := range cols {
		out.Cols = append(out.Cols, c.Finish())
	}
	return pieces(out)
}
