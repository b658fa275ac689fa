package session

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
	"stele/sql/plan"
	"stele/sql/syntax"
)

// alterTable runs the forms of ALTER TABLE that MySQL lacks: properties and partitions.
func (s *Session) alterTable(ctx context.Context, a *syntax.AlterTable, out *output) error {
	if err := s.commit(ctx); err != nil {
		return err
	}
	if _, err := s.sh.Log.ReadIndex(ctx); err != nil {
		return err
	}
	cat := s.sh.Log.Current()
	_, t, err := s.findTable(cat, a.Table.DB, a.Table.Table)
	if err != nil {
		return err
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
		err = sqlErr(1235, "42000", "This version of Stele doesn't yet support 'ALTER TABLE ... %s'", a.Op)
	}
	if err != nil {
		return err
	}
	return out.ok()
}

// setProperty changes one property of a table, as the reference system does.
func (s *Session) setProperty(ctx context.Context, t *catalog.Table, props []syntax.Prop) error {
	if len(props) != 1 {
		return sqlErr(1064, "42000", "Can only set one table property at a time")
	}
	next := *t
	cmd := &command.AlterTable{ExpectVersion: t.Schema.Version}
	value := props[0].Value
	switch key := strings.ToLower(props[0].Key); key {
	case "write_quorum":
		q, ok := types.ParseWriteQuorum(value)
		if !ok {
			return sqlErr(1064, "42000", "Property write_quorum not valid: '%s' is none of MAJORITY, ONE, ALL", value)
		}
		next.Quorum = q
	case "default.replication_num":
		n, err := s.replicas(value)
		if err != nil {
			return err
		}
		next.Replicas = n
	case "replication_num":
		if t.Partition != nil {
			return sqlErr(1064, "42000", "This is a range partitioned table, you should specify partitions with MODIFY PARTITION clause. "+
				"If you want to set default replication number, please use 'default.replication_num' instead of 'replication_num'")
		}
		n, err := s.replicas(value)
		if err != nil {
			return err
		}
		next.Replicas = n
		for i := range t.Parts {
			cmd.PartReplicas = append(cmd.PartReplicas, command.PartitionReplicas{Partition: t.Parts[i].ID, Replicas: n})
		}
	default:
		return sqlErr(1064, "42000", "Unknown properties: {%s=%s}", key, value)
	}
	cmd.Table = next
	return s.apply(ctx, cmd)
}

// replicas reads a replication_num that the alive BEs can hold.
func (s *Session) replicas(value string) (int, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n <= 0 {
		return 0, sqlErr(1064, "42000", "Replication num should larger than 0")
	}
	alive := 0
	for be := range s.sh.Log.Current().BEs() {
		if s.sh.Members.Alive(be.ID) && !be.Decommission {
			alive++
		}
	}
	if n > alive {
		return 0, sqlErr(1064, "42000", "Replication num %d is larger than the number of available backends, %d", n, alive)
	}
	return n, nil
}

// modifyPartitions changes replication_num of partitions.
func (s *Session) modifyPartitions(ctx context.Context, t *catalog.Table, a *syntax.AlterTable) error {
	if len(a.Properties) != 1 || !strings.EqualFold(a.Properties[0].Key, "replication_num") {
		return sqlErr(1235, "42000", "This version of Stele doesn't yet support 'MODIFY PARTITION' of anything but replication_num")
	}
	n, err := s.replicas(a.Properties[0].Value)
	if err != nil {
		return err
	}
	parts, err := pickPartitions(t, a.Names, a.All)
	if err != nil {
		return err
	}
	cmd := &command.AlterTable{Table: *t, ExpectVersion: t.Schema.Version}
	for _, p := range parts {
		cmd.PartReplicas = append(cmd.PartReplicas, command.PartitionReplicas{Partition: p.ID, Replicas: n})
	}
	return s.apply(ctx, cmd)
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
			return nil, sqlErr(1735, "HY000", "Unknown partition '%s' in table '%s'", name, t.Name)
		}
		out = append(out, t.Parts[i])
	}
	return out, nil
}

func (s *Session) addPartitions(ctx context.Context, cat *catalog.Catalog, t *catalog.Table, a *syntax.AlterTable) error {
	parts, err := plan.RangePartitions(s.planContext(cat, time.Now(), nil), t, a.Defs, a.Batches)
	if err != nil {
		return err
	}
	for _, p := range parts {
		if a.IfNotExists && slices.ContainsFunc(t.Parts, func(x catalog.Partition) bool { return strings.EqualFold(x.Name, p.Name) }) {
			continue
		}
		if p.Replicas == 0 {
			p.Replicas = t.Replicas
		}
		if err := s.sh.Tables.AddPartition(ctx, t, p); err != nil {
			return err
		}
	}
	return nil
}

func (s *Session) removePartitions(ctx context.Context, t *catalog.Table, a *syntax.AlterTable) error {
	parts, err := pickPartitions(t, a.Names, false)
	if err != nil {
		if a.IfExists {
			s.warn("Note", 1735, err.Error())
			return nil
		}
		return err
	}
	if a.Op == syntax.AlterTruncatePartition {
		ids := make([]types.PartitionID, len(parts))
		for i, p := range parts {
			ids[i] = p.ID
		}
		return s.sh.Tables.Truncate(ctx, t, ids)
	}
	for _, p := range parts {
		if err := s.apply(ctx, &command.DropPartition{Table: t.ID, Partition: p.ID}); err != nil {
			return err
		}
	}
	return nil
}
