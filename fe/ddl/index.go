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

// BeginChange keeps others from writing to a table until a time, when whoever changes it is taken for dead, and makes the hidden tables
// of its new unique keys: those of keys, over the columns of to. It returns them.
func (d *Tables) BeginChange(ctx context.Context, table, to *catalog.Table, keys []catalog.UniqueKey, until time.Time) ([]types.TableID, Shortage, error) {
	now := time.Now().UnixMilli()
	cmd := &command.BeginChange{Table: table.ID, ExpectVersion: table.Schema.Version, UntilMs: until.UnixMilli(), TimeMs: now, Keys: slices.Clone(keys)}
	var out []types.TableID
	var short Shortage
	if len(keys) > 0 {
		all, lacks, err := d.makeIndexes(ctx, to, cmd.Keys, now)
		if err != nil {
			return nil, Shortage{}, err
		}
		short = lacks
		for i, m := range all {
			cmd.Indexes = append(cmd.Indexes, command.IndexTable{Table: *m.table, Tablets: m.tablets})
			out = append(out, cmd.Keys[i].Index)
		}
	}
	return out, short, d.propose(ctx, cmd)
}

// makeIndexes makes the hidden tables of keys, and gives the keys their ids.
func (d *Tables) makeIndexes(ctx context.Context, owner *catalog.Table, keys []catalog.UniqueKey, now int64) ([]made, Shortage, error) {
	need := uint64(0)
	for range keys {
		need++
		for i := range owner.Parts {
			p := owner.Parts[i]
			need += 1 + ask(owner, &p, max(owner.Buckets, len(p.Tablets)))
		}
	}
	return d.make(ctx, need, func(pl *placement, ids *idRange) ([]made, error) {
		var out []made
		for i := range keys {
			keys[i].Index = types.TableID(ids.next())
			m, err := pl.fill(indexTable(owner, &keys[i]), ids, now)
			if err != nil {
				return nil, err
			}
			out = append(out, m)
		}
		return out, nil
	})
}
