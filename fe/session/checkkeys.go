package session

import (
	"context"
	"fmt"
	"hash/maphash"
	"time"

	"stele/fe/dist"
	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/physical"
	"stele/sql/vec"
)

// staleKeys finds the unique keys of a table whose entries are not those of its rows, in one snapshot: the hidden table is older than the table, or
// newer, as after a restore of metadata from before the key was dropped. Nobody but the key itself would notice: its replicas agree.
func (sh *Shared) staleKeys(cat *catalog.Catalog) func(context.Context, *catalog.Table) ([]string, error) {
	return func(ctx context.Context, t *catalog.Table) ([]string, error) {
		var stale []string
		seed := maphash.MakeSeed()
		for _, k := range t.Unique {
			index, ok := cat.TableByID(k.Index)
			if !k.Enforced() || !ok {
				continue
			}
			u := newUniqueKey(t, k.Name, index)
			columns := columnIDs(&index.Schema) // which the owner has under the same ids
			want, err := sh.fingerprint(ctx, cat, t, columns, seed, func(b *vec.Batch) *vec.Batch { return u.entries(ofOwner(t, u, b), nil) })
			if err != nil {
				return nil, err
			}
			have, err := sh.fingerprint(ctx, cat, index, columns, seed, func(b *vec.Batch) *vec.Batch { return b })
			if err != nil {
				return nil, fmt.Errorf("unique key %s: %w", k.Name, err)
			}
			if have != want {
				stale = append(stale, k.Name)
			}
		}
		return stale, nil
	}
}

// ofOwner puts the columns of an entry where the owner has them.
func ofOwner(t *catalog.Table, u *uniqueKey, b *vec.Batch) *vec.Batch {
	out := &vec.Batch{Cols: make([]*vec.Vector, len(t.Schema.Columns)), N: b.N}
	for i, at := range u.from {
		out.Cols[at] = b.Cols[i]
	}
	return out
}

// fingerprint stands for entries in whatever order.
type fingerprint struct{ entries, sum uint64 }

// fingerprint reads some columns of all rows of a table, and takes that of what is made of them.
func (sh *Shared) fingerprint(ctx context.Context, cat *catalog.Catalog, t *catalog.Table, columns []types.ColumnID, seed maphash.Seed,
	entries func(*vec.Batch) *vec.Batch) (f fingerprint, err error) {
	scan := &physical.Scan{TableID: t.ID, Fragment: physical.Fragment{Schema: t.Schema, Columns: columns}}
	for i := range t.Parts {
		scan.Tablets = append(scan.Tablets, t.Parts[i].Tablets...)
	}
	rows, err := sh.Scanner.Scan(ctx, &dist.Query{Snapshot: cat, NowMicros: time.Now().UnixMicro()}, scan)
	if err != nil {
		return f, err
	}
	defer rows.Close()
	all := make([]int, len(columns))
	for i := range all {
		all[i] = i
	}
	for {
		b, err := rows.Next(ctx)
		if err != nil || b == nil {
			return f, err
		}
		for _, key := range vec.EncodeKeys(entries(b.Compact()), all) {
			f.entries++
			f.sum += maphash.Bytes(seed, key)
		}
	}
}
