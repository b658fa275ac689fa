package ddl

import (
	"fmt"

	"stele/meta/catalog"
	"stele/sql/errno"
	sqltypes "stele/sql/types"
)

// FitsGroup refuses a table whose buckets cannot lie where those of its group do: all tables of a group have as many
// buckets and replicas, and columns of the same types to distribute by. The scheduler brings the replicas together.
func FitsGroup(cat *catalog.Catalog, t *catalog.Table) error {
	if t.Colocate == "" {
		return nil
	}
	refuse := func(what string, want any) error {
		return sqltypes.Errorf(errno.ColocateMismatch, "Colocate tables must have same %s: group %s has %s", what, t.Colocate, fmt.Sprint(want))
	}
	for i := range t.Parts {
		p := &t.Parts[i]
		switch {
		case p.Replicas != 0 && p.Replicas != t.Replicas:
			return sqltypes.Errorf(errno.ColocateMismatch, "Colocate tables must have same replication num: partition %s has %d, table %s has %d", p.Name,
				p.Replicas, t.Name, t.Replicas)
		case len(p.Tablets) != 0 && len(p.Tablets) != t.Buckets:
			return sqltypes.Errorf(errno.ColocateMismatch, "Colocate tables must have same bucket num: partition %s has %d, table %s has %d", p.Name,
				len(p.Tablets), t.Name, t.Buckets)
		}
	}
	for other := range cat.Tables(t.DatabaseID) {
		if other.ID == t.ID || other.Colocate != t.Colocate {
			continue
		}
		switch {
		case other.Buckets != t.Buckets:
			return refuse("bucket num", other.Buckets)
		case other.Replicas != t.Replicas:
			return refuse("replication num", other.Replicas)
		case len(other.HashBy) != len(t.HashBy):
			return refuse("number of distribution columns", len(other.HashBy))
		}
		for i := range t.HashBy {
			a, b := other.Schema.Columns[other.Schema.ColumnIndex(other.HashBy[i])], t.Schema.Columns[t.Schema.ColumnIndex(t.HashBy[i])]
			if a.Type.Kind != b.Type.Kind {
				return refuse("distribution column data types", a.Name)
			}
		}
	}
	return nil
}
