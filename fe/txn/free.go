package txn

import (
	"context"
	"slices"

	"stele/meta/types"
)

// WriteFree is Write without the rows that other transactions have locked, or have changed after ReadVersion. It waits for no lock, and
// returns which rows of each tablet it has left out, ascending. Each row has an op of its own.
func (t *Txn) WriteFree(ctx context.Context, writes []TabletWrite) (skipped map[types.TabletID][]uint64, err error) {
	t.skipped = map[types.TabletID][]uint64{}
	defer func() { t.skipped = nil }()
	counts, err := t.write(ctx, writes, 0)
	if err != nil {
		t.failed = true
		return nil, err
	}
	if kept := without(writes, t.skipped); len(kept) > 0 {
		t.done.add(kept, counts, 0)
	}
	return t.skipped, nil
}

// without is what of some writes was written: that is what is written again should it be needed.
func without(writes []TabletWrite, skipped map[types.TabletID][]uint64) []TabletWrite {
	var out []TabletWrite
	for _, w := range writes {
		left := skipped[w.Tablet]
		if len(left) == w.Rows.N {
			continue
		}
		if len(left) > 0 {
			keep := make([]int32, 0, w.Rows.N-len(left))
			var ops []byte
			for i := range w.Rows.N {
				if _, gone := slices.BinarySearch(left, uint64(i)); gone {
					continue
				}
				if keep = append(keep, int32(i)); len(w.Ops) > 1 {
					ops = append(ops, w.Ops[i])
				}
			}
			if len(w.Ops) == 1 {
				ops = w.Ops
			}
			rows := *w.Rows
			rows.Sel = keep
			w.Rows, w.Ops = rows.Compact(), ops
		}
		out = append(out, w)
	}
	return out
}
