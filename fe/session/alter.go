package session

import (
	"context"
	"slices"
	"strings"

	"stele/fe/ddl"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
	"stele/sql/define"
	"stele/sql/errno"
	"stele/sql/parse"
	"stele/sql/syntax"
)

// alterTable runs the forms of ALTER TABLE that MySQL lacks: properties and partitions.
func (s *Session) alterTable(ctx context.Context, st *parse.Statement, out *output) error {
	a := st.Alter
	if err := s.commit(ctx); err != nil {
		return err
	}
	if _, err := s.sh.Log.ReadIndex(ctx); err != nil {
		return err
	}
	end, err := s.mayDefine(ctx, st)
	if err != nil {
		return err
	}
	defer end()
	if a.Op == syntax.AlterReorganize || a.Op == syntax.AlterPartitionBy || a.Op == syntax.AlterRemovePartitions {
		return s.repartition(ctx, a, out)
	}
	cat := s.sh.Log.Current()
	_, t, err := s.findTable(cat, a.Table.DB, a.Table.Table)
	if err != nil {
		return err
	}
	if a.Op == syntax.AlterAddPartition || a.Op == syntax.AlterDropPartition || a.Op == syntax.AlterTruncatePartition {
		if t, err = s.unaltered(ctx, t); err != nil {
			return err
		}
		cat = s.sh.Log.Current()
	}
	switch a.Op {
	case syntax.AlterSet:
		err = s.setProperty(ctx, t, a.Properties)
	case syntax.AlterModifyPartition:
		err = s.modifyPartitions(ctx, t, a)
	case syntax.AlterAddPartition:
		err = s.addPartitions(ctx, cat, t, a)
	case syntax.AlterDropPartition, syntax.AlterTruncatePartition:
		err = s.removePartitions(ctx, t, a)
	default:
		err = sqlErr(errno.NotSupported, "This version of Stele doesn't yet support 'ALTER TABLE ... %s'", a.Op)
	}
	if err != nil {
		return err
	}
	return out.warned(s.warningCount())
}

// repartition runs REORGANIZE PARTITION, PARTITION BY and REMOVE PARTITIONING, each of which writes all rows anew.
func (s *Session) repartition(ctx context.Context, a *syntax.AlterTable, out *output) error {
	name := &parse.TableName{Schema: parse.NewCIStr(a.Table.DB), Name: parse.NewCIStr(a.Table.Table)}
	return s.changeTable(ctx, name, out, func(dctx *define.Context, t *catalog.Table) (*define.Change, error) {
		if a.Op == syntax.AlterReorganize {
			return define.Reorganize(dctx, t, a.Names, a.Defs)
		}
		return define.PartitionBy(dctx, t, a.Partition, nil)
	})
}

// pickPartitions finds partitions by name, without case.
func pickPartitions(t *catalog.Table, names []string, all bool) ([]catalog.Partition, error) {
	if all {
		return t.Parts, nil
	}
	var out []catalog.Partition
	for _, name := range names {
		i := slices.IndexFunc(t.Parts, func(p catalog.Partition) bool { return strings.EqualFold(p.Name, name) })
		if i < 0 {
			return nil, sqlErr(errno.UnknownPartition, "Unknown partition '%s' in table '%s'", name, t.Name)
		}
		out = append(out, t.Parts[i])
	}
	return out, nil
}

func notPartitioned() error {
	return sqlErr(errno.NotPartitionedTable, "Partition management on a not partitioned table is not possible")
}

// addPartitions adds partitions one by one: what a statement has added when it fails stays.
func (s *Session) addPartitions(ctx context.Context, cat *catalog.Catalog, t *catalog.Table, a *syntax.AlterTable) error {
	if t.Partition == nil {
		return notPartitioned()
	}
	defs := a.Defs
	if a.IfNotExists {
		defs = slices.DeleteFunc(slices.Clone(defs), func(d syntax.PartitionDef) bool { return s.hasPartition(t, d.Name) })
	}
	parts, err := define.Partitions(s.planContext(cat, s.clock(), nil), t, defs, a.Batches)
	if err != nil {
		return err
	}
	var short ddl.Shortage
	defer func() { s.warnShort(short) }()
	for _, p := range parts {
		if p.Replicas == 0 {
			p.Replicas = t.Replicas
		} else if err := s.holdable(p.Replicas); err != nil {
			return err
		}
		lacks, err := s.sh.Tables.AddPartition(ctx, t, p)
		if err != nil {
			return err
		}
		short = short.With(lacks)
		if t, err = s.fresh(ctx, t.ID); err != nil {
			return err
		}
	}
	return nil
}

// hasPartition reports whether a table has a partition of that name, and notes it.
func (s *Session) hasPartition(t *catalog.Table, name string) bool {
	has := slices.ContainsFunc(t.Parts, func(p catalog.Partition) bool { return strings.EqualFold(p.Name, name) })
	if has {
		s.warn("Note", errno.SamePartitionName, "Duplicate partition name "+name)
	}
	return has
}

func (s *Session) removePartitions(ctx context.Context, t *catalog.Table, a *syntax.AlterTable) error {
	switch {
	case a.Op == syntax.AlterTruncatePartition:
	case t.HashParts:
		return sqlErr(errno.OnlyRangeOrList, "DROP PARTITION can only be used on RANGE/LIST partitions")
	case t.Partition == nil: // what it has is no partition of its definition, and has the name of the table
		return notPartitioned()
	}
	parts, err := pickPartitions(t, a.Names, false)
	if err != nil {
		if a.IfExists {
			s.warn("Note", errno.UnknownPartition, err.Error())
			return nil
		}
		return err
	}
	if a.Op == syntax.AlterTruncatePartition {
		ids := make([]types.PartitionID, len(parts))
		for i, p := range parts {
			ids[i] = p.ID
		}
		short, err := s.sh.Tables.Truncate(ctx, t, ids, s.checksForeignKeys())
		s.warnShort(short)
		return err
	}
	if len(parts) >= len(t.Parts) {
		return lastPartition()
	}
	for _, p := range parts {
		if err := s.apply(ctx, &command.DropPartition{Table: t.ID, Partition: p.ID}); err != nil {
			now, nerr := s.fresh(ctx, t.ID)
			if nerr == nil && len(now.Parts) == 1 && now.Parts[0].ID == p.ID { // others were dropped meanwhile
				return lastPartition()
			}
			return err
		}
	}
	return nil
}

func lastPartition() error {
	return sqlErr(errno.LastPartition, "Cannot remove all partitions, use DROP TABLE instead")
}
