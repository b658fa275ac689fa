package define

import (
	"bytes"
	"slices"
	"strings"

	"stele/meta/catalog"
	"stele/sql/errno"
	ast "stele/sql/parse"
	"stele/sql/syntax"
)

// PartitionBy works out ALTER TABLE … PARTITION BY, of which one of by and hash is set, and REMOVE PARTITIONING, of which none is.
func PartitionBy(ctx *Context, t *catalog.Table, by *syntax.PartitionBy, hash *ast.PartitionOptions) (*Change, error) {
	switch {
	case by == nil && hash == nil && t.Partition == nil && !t.HashParts:
		return nil, notPartitioned()
	case len(t.ForeignKeys)+len(t.ReferencedBy) > 0 && by != nil:
		return nil, errorf(errno.ForeignKeyOnPartitioned, "Foreign keys are not yet supported in conjunction with partitioning")
	case fixedRanges(by) && !t.StarRocks:
		return nil, refuse("ranges [a, b) of a table that was not declared in StarRocks' form; VALUES LESS THAN is")
	case t.Colocate != "" && hash != nil:
		return nil, refuse("PARTITION BY " + hash.Tp.String() + " of a table that shares its buckets with others (colocate_with)")
	}
	a := newTableAlterer(ctx, t)
	a.to.Partition, a.to.Parts, a.to.HashParts = nil, nil, false
	if hash != nil {
		a.to.HashBy = slices.Clone(a.to.Schema.Key)
	}
	c := &creator{definer: a.definer, table: a.to, stmt: &ast.CreateTableStmt{Partition: hash}, tail: &syntax.TableTail{Partition: by}}
	if !t.Schema.HasRowID() {
		c.primary = []string{}
	}
	if err := c.partition(); err != nil {
		return nil, err
	}
	return a.repartitioned()
}

// Reorganize works out ALTER TABLE … REORGANIZE PARTITION names INTO (defs).
func Reorganize(ctx *Context, t *catalog.Table, names []string, defs []syntax.PartitionDef) (*Change, error) {
	if t.Partition == nil {
		return nil, notPartitioned()
	}
	var old []int
	for _, name := range names {
		at := slices.IndexFunc(t.Parts, func(p catalog.Partition) bool { return strings.EqualFold(p.Name, name) })
		if at < 0 || slices.Contains(old, at) {
			return nil, errorf(errno.WrongPartitions, "Error in list of partitions to REORGANIZE")
		}
		old = append(old, at)
	}
	slices.Sort(old)
	if fixedRanges(&syntax.PartitionBy{Defs: defs}) && !t.StarRocks {
		return nil, refuse("ranges [a, b) of a table that was not declared in StarRocks' form; VALUES LESS THAN is")
	}
	r := &ranger{ctx: ctx.Context, table: t}
	for _, id := range t.Partition.Columns {
		r.cols = append(r.cols, t.Schema.Columns[t.Schema.ColumnIndex(id)])
	}
	again := r.reorganizeRanges
	if t.Partition.List {
		again = r.reorganizeLists
	}
	if err := again(old, defs); err != nil {
		return nil, err
	}
	a := newTableAlterer(ctx, t)
	a.to.Parts = r.parts
	return a.repartitioned()
}

// reorganizeRanges puts new ranges in the place of old ones, which lie beside one another. Together they are as wide as those; only the last
// ones of a table may reach further.
func (r *ranger) reorganizeRanges(old []int, defs []syntax.PartitionDef) error {
	first, last := old[0], old[len(old)-1]
	if last-first+1 != len(old) {
		return errorf(errno.PartitionsApart, "When reorganizing a set of partitions they must be in consecutive order")
	}
	from, to := &r.table.Parts[first], &r.table.Parts[last]
	r.parts = slices.Clone(r.table.Parts[:first])
	for i := range defs {
		if err := r.define(&defs[i]); err != nil {
			return err
		}
		if i == 0 && defs[0].From == nil {
			r.parts[first].Lower, r.parts[first].LowerText = from.Lower, from.LowerText
		}
	}
	made := r.parts[first:]
	slices.SortFunc(made, func(a, b catalog.Partition) int { return bytes.Compare(a.Lower, b.Lower) })
	low, high := made[0].Lower, made[len(made)-1].Upper
	further := last == len(r.table.Parts)-1 && (high == nil || to.Upper != nil && bytes.Compare(high, to.Upper) > 0)
	if !bytes.Equal(low, from.Lower) || (high == nil) != (to.Upper == nil) && !further || !bytes.Equal(high, to.Upper) && !further {
		return errorf(errno.ReorganizeOutside, "Reorganize of range partitions cannot change total ranges except for last partition where it can extend the range")
	}
	for _, p := range r.table.Parts[last+1:] {
		if err := r.add(p); err != nil {
			return err
		}
	}
	return r.check()
}

// reorganizeLists puts new lists where the first of the old ones was.
func (r *ranger) reorganizeLists(old []int, defs []syntax.PartitionDef) error {
	for i := range r.table.Parts {
		if !slices.Contains(old, i) {
			r.parts = append(r.parts, r.table.Parts[i])
		}
	}
	stay := len(r.parts)
	for i := range defs {
		if err := r.define(&defs[i]); err != nil {
			return err
		}
	}
	r.parts = slices.Concat(r.parts[:old[0]], r.parts[stay:], r.parts[old[0]:stay])
	return r.check()
}

// repartitioned settles what follows from other partitions: where a row lies, and what finds it.
func (a *tableAlterer) repartitioned() (*Change, error) {
	for i := range a.to.Parts {
		if p := &a.to.Parts[i]; p.Replicas == 0 {
			p.Replicas = a.to.Replicas
		}
	}
	a.notes = append(a.notes, byBytes(a.to.Schema.Columns, a.to.Locator())...)
	if err := checkLayout(a.to); err != nil {
		return nil, err
	}
	for i := range a.to.Unique {
		if err := fitsPartitions(a.to, &a.to.Unique[i]); err != nil {
			return nil, err
		}
	}
	a.rewrite, a.change.effective, a.change.Columns, a.change.Parted = "rows go to other partitions", true, true, true
	if err := a.rewritten(nil); err != nil {
		return nil, err
	}
	return a.finish()
}

func notPartitioned() error {
	return errorf(errno.NotPartitionedTable, "Partition management on a not partitioned table is not possible")
}
