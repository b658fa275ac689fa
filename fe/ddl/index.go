package ddl

import (
	"context"
	"fmt"
	"slices"
	"time"

	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
)

// indexTable describes the hidden table of a unique key, without ids of partitions and tablets: keyed, distributed and
// partitioned by the key's columns, it holds what finds the row of the owner.
func indexTable(owner *catalog.Table, k *catalog.UniqueKey) *catalog.Table {
	t := &catalog.Table{ID: k.Index, DatabaseID: owner.DatabaseID, Name: fmt.Sprintf("__stele_key_%d", k.Index), IndexOf: owner.ID,
		HashBy: slices.Clone(k.Columns), Buckets: owner.Buckets, Partition: owner.Partition, Replicas: owner.Replicas,
		Quorum: owner.Quorum, Medium: owner.Medium}
	t.Schema = types.Schema{TableID: k.Index, Version: 1, Key: slices.Clone(k.Columns)}
	columns := slices.Clone(k.Columns)
	for _, id := range owner.Locator() {
		if !slices.Contains(columns, id) {
			columns = append(columns, id)
		}
	}
	for i, id := range columns {
		of := &owner.Schema.Columns[owner.Schema.ColumnIndex(id)]
		c := types.Column{ID: id, Name: of.Name, Type: of.Type, Hidden: of.Hidden, Elems: of.Elems, Bits: of.Bits}
		if i < len(k.Columns) {
			c.Type.NotNull = true
		}
		t.Schema.Columns = append(t.Schema.Columns, c)
	}
	for i := range owner.Parts {
		p := owner.Parts[i]
		p.ID, p.Tablets, p.CreatedMs = 0, nil, 0
		t.Parts = append(t.Parts, p)
	}
	return t
}

// AddIndex adds a unique key to a table in the state of being built, with an empty hidden table; until is when its builder
// is taken for dead. It returns the key's hidden table.
func (d *Tables) AddIndex(ctx context.Context, table *catalog.Table, key catalog.UniqueKey, until time.Time) (types.TableID, error) {
	now := time.Now().UnixMilli()
	key.BuildUntilMs = until.UnixMilli()
	need := uint64(1)
	for i := range table.Parts {
		p := table.Parts[i]
		need += 1 + ask(table, &p, max(table.Buckets, len(p.Tablets)))
	}
	all, err := d.make(ctx, need, func(pl *placement, ids *idRange) ([]made, error) {
		key.Index = types.TableID(ids.next())
		m, err := pl.fill(indexTable(table, &key), ids, now)
		return []made{m}, err
	})
	if err != nil {
		return 0, err
	}
	cmd := &command.AddIndex{Table: table.ID, ExpectVersion: table.Schema.Version, Key: key, TimeMs: now,
		Index: &command.IndexTable{Table: *all[0].table, Tablets: all[0].tablets}}
	return key.Index, d.propose(ctx, cmd)
}
