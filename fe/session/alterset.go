package session

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"stele/fe/ddl"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
	"stele/sql/plan"
	"stele/sql/syntax"
)

// setProperty changes one property of a table, as the reference system does.
func (s *Session) setProperty(ctx context.Context, t *catalog.Table, props []syntax.Prop) error {
	if len(props) != 1 {
		return sqlErr(1064, "42000", "Can only set one table property at a time")
	}
	next := *t
	cmd := &command.AlterTable{ExpectVersion: t.Schema.Version}
	key, value := strings.ToLower(props[0].Key), props[0].Value
	if err := s.property(&next, cmd, key, value); err != nil {
		return err
	}
	cmd.Table = next
	return s.apply(ctx, cmd)
}

// withoutEffect are properties that say how the reference system stores data and have no counterpart.
var withoutEffect = []string{"replicated_storage", "bucket_size", "mutable_bucket_num", "storage_cooldown_ttl", "default.storage_cooldown_ttl",
	"storage_cooldown_time", "enable_persistent_index", "in_memory", "primary_index_cache_expire_sec"}

// property puts one property into the table and the command.
func (s *Session) property(next *catalog.Table, cmd *command.AlterTable, key, value string) (err error) {
	switch {
	case key == "write_quorum":
		q, ok := types.ParseWriteQuorum(value)
		if !ok {
			return sqlErr(1064, "42000", "Property write_quorum not valid: '%s' is none of MAJORITY, ONE, ALL", value)
		}
		next.Quorum = q
	case next.Colocate != "" && (key == "replication_num" || key == "default.replication_num"):
		return colocated(next)
	case key == "default.replication_num":
		next.Replicas, err = s.replicas(value)
	case key == "replication_num":
		if next.Partition != nil {
			return sqlErr(1064, "42000", "This is a range partitioned table, you should specify partitions with MODIFY PARTITION clause. "+
				"If you want to set default replication number, please use 'default.replication_num' instead of 'replication_num'")
		}
		if next.Replicas, err = s.replicas(value); err == nil {
			setReplicas(cmd, next.Parts, next.Replicas)
		}
	case key == "colocate_with":
		if next.Colocate == value {
			s.warn("Note", 1105, fmt.Sprintf("table %s is in that group already", next.Name))
			return nil
		}
		next.Colocate, next.ColocatedMs = value, time.Now().UnixMilli()
		return ddl.FitsGroup(s.sh.Log.Current(), next)
	case key == "default.storage_medium":
		next.Medium, err = medium(value)
	case key == "storage_medium":
		if next.Medium, err = medium(value); err == nil {
			setMedium(cmd, next.Parts, next.Medium)
		}
	case slices.Contains(withoutEffect, key):
		if err = plan.CheckForeign(key, value, nil, time.Now().UnixMicro(), s.vars.zone()); err == nil {
			s.warn("Note", 1105, fmt.Sprintf("property %q has no effect", key))
		}
	default:
		return sqlErr(1064, "42000", "Unknown properties: {%s=%s}", key, value)
	}
	return err
}

// colocated refuses another number of replicas for a table of a colocate group: all tables of it have the same.
func colocated(t *catalog.Table) error {
	return sqlErr(1064, "42000", "table %s is colocate table, cannot change replicationNum: it is in group %s", t.Name, t.Colocate)
}

func setReplicas(cmd *command.AlterTable, parts []catalog.Partition, n int) {
	for i := range parts {
		cmd.PartReplicas = append(cmd.PartReplicas, command.PartitionReplicas{Partition: parts[i].ID, Replicas: n})
	}
}

func setMedium(cmd *command.AlterTable, parts []catalog.Partition, m types.Medium) {
	for i := range parts {
		cmd.PartMedia = append(cmd.PartMedia, command.PartitionMedium{Partition: parts[i].ID, Medium: m})
	}
}

func medium(value string) (types.Medium, error) {
	for _, m := range []types.Medium{types.MediumHDD, types.MediumSSD} {
		if strings.EqualFold(value, m.String()) {
			return m, nil
		}
	}
	return 0, sqlErr(1064, "42000", "Invalid storage medium: %s", value)
}

// replicas reads a replication_num that the available BEs can hold, each replica on one of its own.
func (s *Session) replicas(value string) (int, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n <= 0 {
		return 0, sqlErr(1064, "42000", "Replication num should larger than 0")
	}
	var available, away []string
	for be := range s.sh.Log.Current().BEs() {
		switch {
		case be.Decommission:
			away = append(away, fmt.Sprintf("%d is being decommissioned", be.ID))
		case !s.sh.Members.Alive(be.ID):
			away = append(away, fmt.Sprintf("%d does not answer", be.ID))
		default:
			available = append(available, be.ID.String())
		}
	}
	if n <= len(available) {
		return n, nil
	}
	text := fmt.Sprintf("Table replication num should be less than of equal to the number of available BE nodes. Replication num is %d, available BE nodes: %d. "+
		"Current alive backend is [%s].", n, len(available), strings.Join(available, ", "))
	if len(away) > 0 {
		text += " In the way: backend " + strings.Join(away, "; backend ") + "."
	}
	return 0, sqlErr(1064, "42000", "%s", text)
}

// modifyPartitions changes properties of partitions: replication_num and storage_medium.
func (s *Session) modifyPartitions(ctx context.Context, t *catalog.Table, a *syntax.AlterTable) error {
	parts, err := pickPartitions(t, a.Names, a.All)
	if err != nil {
		return err
	}
	if len(a.Properties) == 0 {
		return sqlErr(1064, "42000", "MODIFY PARTITION needs properties: replication_num or storage_medium")
	}
	cmd := &command.AlterTable{Table: *t, ExpectVersion: t.Schema.Version}
	for _, p := range a.Properties {
		switch key := strings.ToLower(p.Key); {
		case key == "replication_num" && t.Colocate != "":
			return colocated(t)
		case key == "replication_num":
			n, err := s.replicas(p.Value)
			if err != nil {
				return err
			}
			setReplicas(cmd, parts, n)
		case key == "storage_medium":
			m, err := medium(p.Value)
			if err != nil {
				return err
			}
			setMedium(cmd, parts, m)
		case slices.Contains(withoutEffect, key):
			s.warn("Note", 1105, fmt.Sprintf("property %q has no effect", key))
		default:
			return sqlErr(1064, "42000", "Unknown properties: {%s=%s}", p.Key, p.Value)
		}
	}
	return s.apply(ctx, cmd)
}
