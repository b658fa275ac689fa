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
	"stele/sql/define"
	"stele/sql/errno"
	"stele/sql/syntax"
)

// setProperty changes one property of a table, as StarRocks does.
func (s *Session) setProperty(ctx context.Context, t *catalog.Table, props []syntax.Prop) error {
	if len(props) != 1 {
		return sqlErr(errno.WrongArguments, "Can only set one table property at a time")
	}
	cmd := newAlter(t)
	key, value := strings.ToLower(props[0].Key), props[0].Value
	if err := s.property(t, cmd, key, value); err != nil {
		return err
	}
	return s.apply(ctx, cmd)
}

// newAlter changes nothing of a table yet.
func newAlter(t *catalog.Table) *command.AlterTable {
	return &command.AlterTable{Table: catalog.Table{ID: t.ID}, Set: &command.TableSet{Alone: true}}
}

// withoutEffect are properties that say how StarRocks stores data and have no counterpart.
var withoutEffect = []string{"replicated_storage", "bucket_size", "mutable_bucket_num", "storage_cooldown_ttl", "default.storage_cooldown_ttl",
	"storage_cooldown_time", "enable_persistent_index", "in_memory", "primary_index_cache_expire_sec"}

// property puts one property of a table into the command.
func (s *Session) property(t *catalog.Table, cmd *command.AlterTable, key, value string) (err error) {
	switch {
	case key == "write_quorum":
		q, ok := types.ParseWriteQuorum(value)
		if !ok {
			return sqlErr(errno.WrongArguments, "Property write_quorum not valid: '%s' is none of MAJORITY, ONE, ALL", value)
		}
		cmd.Set.Quorum = &q
	case t.Colocate != "" && (key == "replication_num" || key == "default.replication_num"):
		return colocated(t)
	case key == "default.replication_num":
		cmd.Set.Replicas, err = s.replicas(value)
	case key == "replication_num":
		if t.Partition != nil {
			return sqlErr(errno.WrongArguments, "This is a range partitioned table, you should specify partitions with MODIFY PARTITION clause. "+
				"If you want to set default replication number, please use 'default.replication_num' instead of 'replication_num'")
		}
		if cmd.Set.Replicas, err = s.replicas(value); err == nil {
			setReplicas(cmd, t.Parts, cmd.Set.Replicas)
		}
	case key == "colocate_with":
		return s.colocateWith(t, cmd, value)
	case key == "default.storage_medium":
		cmd.Set.Medium, err = medium(value)
	case key == "storage_medium":
		if cmd.Set.Medium, err = medium(value); err == nil {
			setMedium(cmd, t.Parts, *cmd.Set.Medium)
		}
	case slices.Contains(withoutEffect, key):
		if err = define.CheckProperty(key, value, nil, time.Now().UnixMicro(), s.vars.Zone()); err == nil {
			s.warn("Note", errno.UnknownError, fmt.Sprintf("property %q has no effect", key))
		}
	default:
		return sqlErr(errno.UnknownProperty, "Unknown properties: {%s=%s}", key, value)
	}
	return err
}

// colocateWith has the table join a group.
func (s *Session) colocateWith(t *catalog.Table, cmd *command.AlterTable, group string) error {
	if t.Colocate == group {
		s.warn("Note", errno.UnknownError, fmt.Sprintf("table %s is in that group already", t.Name))
		return nil
	}
	cmd.Set.Colocate, cmd.Set.ColocatedMs = &group, time.Now().UnixMilli()
	next := *t
	next.Colocate = group
	return ddl.FitsGroup(s.sh.Log.Current(), &next)
}

// colocated refuses another number of replicas for a table of a colocate group: all tables of it have the same.
func colocated(t *catalog.Table) error {
	return sqlErr(errno.WrongArguments, "table %s is colocate table, cannot change replicationNum: it is in group %s", t.Name, t.Colocate)
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

func medium(value string) (*types.Medium, error) {
	for _, m := range []types.Medium{types.MediumHDD, types.MediumSSD} {
		if strings.EqualFold(value, m.String()) {
			return &m, nil
		}
	}
	return nil, sqlErr(errno.WrongArguments, "Invalid storage medium: %s", value)
}

// replicas reads a replication_num that the BEs of the cluster can hold.
func (s *Session) replicas(value string) (int, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n <= 0 {
		return 0, sqlErr(errno.WrongArguments, "Replication num should larger than 0")
	}
	return n, s.holdable(n)
}

// modifyPartitions changes properties of partitions: replication_num and storage_medium.
func (s *Session) modifyPartitions(ctx context.Context, t *catalog.Table, a *syntax.AlterTable) error {
	parts, err := pickPartitions(t, a.Names, a.All)
	if err != nil {
		return err
	}
	if len(a.Properties) == 0 {
		return sqlErr(errno.WrongArguments, "MODIFY PARTITION needs properties: replication_num or storage_medium")
	}
	cmd := newAlter(t)
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
			setMedium(cmd, parts, *m)
		case slices.Contains(withoutEffect, key):
			s.warn("Note", errno.UnknownError, fmt.Sprintf("property %q has no effect", key))
		default:
			return sqlErr(errno.UnknownProperty, "Unknown properties: {%s=%s}", p.Key, p.Value)
		}
	}
	return s.apply(ctx, cmd)
}
