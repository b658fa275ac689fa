package session

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"stele/fe/txn"
	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/exec"
	"stele/sql/parse"
	"stele/sql/physical"
	"stele/sql/plan"
	"stele/sql/vec"
)

// picked are the rows that a SELECT ... SKIP LOCKED has got the locks of: its scan reads no others.
type picked struct {
	tablets []types.TabletID
	keys    [][]byte
}

// only has a scan read what was picked. The conditions of the query hold for it: nobody has changed it since.
func (p *picked) only(scan *physical.Scan) *physical.Scan {
	out := *scan
	out.Tablets, out.Fragment.Keys, out.Fragment.Homes, out.Via = []types.TabletID{}, [][]byte{}, nil, nil
	for _, id := range p.tablets {
		if slices.Contains(scan.Tablets, id) {
			out.Tablets = append(out.Tablets, id)
		}
	}
	out.Fragment.Keys = append(out.Fragment.Keys, p.keys...)
	slices.SortFunc(out.Fragment.Keys, bytes.Compare)
	return &out
}

// lockFree takes the locks of SELECT ... SKIP LOCKED: in the order of the query it asks for one row after the other, leaves out what others have
// locked, or have changed since the snapshot (they had it locked while the statement ran, or this transaction could not write it), and ends when
// LIMIT has its rows. The query then reads these and no others.
func (s *Session) lockFree(ctx context.Context, n *parse.SelectStmt, params []plan.Param) error {
	return s.write(ctx, func(ctx context.Context, cat *catalog.Catalog, t *txn.Txn) error {
		now := s.clock()
		f := &freeRows{s: s, cat: cat, t: t, share: shares(n), judged: map[string]struct{}{}}
		s.picked = &f.picked
		t.SetLocking(txn.LockNow)
		for limit := firstFree(plan.LockedFree(s.planContext(cat, now, params), n, 0)); ; limit *= 8 {
			pctx := s.planContext(cat, now, params)
			p, want, err := plan.LockedFree(pctx, n, limit)
			if err != nil || p == nil {
				return err
			}
			if err := s.mayLock(p); err != nil {
				return err
			}
			f.plan, f.want = p, want
			source, err := s.source(ctx, p.Source, cat, now)
			if err != nil {
				return err
			}
			read, err := f.take(ctx, source)
			source.Close()
			if err != nil || limit < 0 || f.missing() == 0 || read < limit {
				return err
			}
		}
	})
}

// firstFree is how many rows are looked at first: twice as many as are wanted, as others may have some.
func firstFree(_ *plan.ModifyPlan, want int64, err error) int64 {
	const least, most = 64, 1 << 40
	if err != nil || want < 0 || want > most {
		return -1
	}
	return max(2*want, least)
}

// freeRows is one try of lockFree.
type freeRows struct {
	s      *Session
	cat    *catalog.Catalog
	t      *txn.Txn
	plan   *plan.ModifyPlan
	want   int64               // negative = all
	share  bool                // together with others that only read them
	judged map[string]struct{} // by key: the rows that were asked for
	picked picked
}

// missing is how many rows are to be asked for next.
func (f *freeRows) missing() int64 {
	if f.want < 0 {
		return chunkRows
	}
	return min(chunkRows, f.want-int64(len(f.picked.keys)))
}

// take asks for the rows of a source that were not asked for, until there are as many as are wanted, and returns how many it has read.
func (f *freeRows) take(ctx context.Context, source exec.Stream) (read int64, err error) {
	width := len(f.plan.Table.Schema.Columns)
	for f.missing() > 0 {
		b, err := source.Next(ctx)
		if err != nil || b == nil {
			return read, err
		}
		b = b.Compact()
		read += int64(b.N)
		rows := &vec.Batch{Cols: b.Cols[:width], N: b.N}
		keys := vec.EncodeKeys(rows, f.plan.Table.Schema.KeyIndexes())
		var next []int32
		for i, key := range keys {
			if _, asked := f.judged[string(key)]; !asked {
				f.judged[string(key)] = struct{}{}
				next = append(next, int32(i))
			}
			if n := int64(len(next)); n > 0 && (n == f.missing() || i == len(keys)-1) {
				if err := f.lock(ctx, rows, keys, b.Cols[f.plan.TabletColumn].I64, next); err != nil {
					return read, err
				}
				if next = nil; f.missing() == 0 {
					break
				}
			}
		}
	}
	return read, nil
}

// lock asks the leaders for some rows of a batch.
func (f *freeRows) lock(ctx context.Context, b *vec.Batch, keys [][]byte, tablets []int64, rows []int32) error {
	by := map[types.TabletID][]int32{}
	for _, at := range rows {
		id := types.TabletID(tablets[at])
		by[id] = append(by[id], at)
	}
	var writes []txn.TabletWrite
	for id, at := range by {
		tab, ok := f.cat.Tablet(id)
		if !ok {
			return &txn.RetryError{Err: fmt.Errorf("tablet %d is no more", id)}
		}
		w := txn.TabletWrite{Tablet: id, Ops: slices.Repeat([]byte{byte(types.OpPut)}, len(at)), Rows: gather(b, at), Schema: f.plan.Table.Schema.Version}
		if f.share {
			w = sharedRows(f.plan.Table, id, w.Rows)
		}
		w.ReadVersion = tab.Version
		writes = append(writes, w)
	}
	skipped, err := f.t.WriteFree(ctx, writes)
	if err != nil {
		return err
	}
	for id, at := range by {
		if len(at) > len(skipped[id]) && !slices.Contains(f.picked.tablets, id) {
			f.picked.tablets = append(f.picked.tablets, id)
		}
		for i, row := range at {
			if _, left := slices.BinarySearch(skipped[id], uint64(i)); !left {
				f.picked.keys = append(f.picked.keys, keys[row])
			}
		}
	}
	return nil
}
