package plan

import (
	"slices"
	"strings"

	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/errno"
	ast "stele/sql/parse"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

// partitionsNamed finds the partitions of PARTITION (…).
func partitionsNamed(t *catalog.Table, names []ast.CIStr) ([]types.PartitionID, error) {
	var out []types.PartitionID
	for _, name := range names {
		i := slices.IndexFunc(t.Parts, func(p catalog.Partition) bool { return strings.EqualFold(p.Name, name.O) })
		if i < 0 {
			return nil, errorf(errno.UnknownPartition, "Unknown partition '%s' in table '%s'", name.O, t.Name)
		}
		out = append(out, t.Parts[i].ID)
	}
	return out, nil
}

// within is the PARTITION (…) of an INSERT or LOAD DATA.
func (p *InsertPlan) within(names []ast.CIStr) (err error) {
	if len(names) > 0 && p.Table.Partition == nil {
		return errNotPartitioned()
	}
	p.Partitions, err = partitionsNamed(p.Table, names)
	return err
}

func errNotPartitioned() error {
	return errorf(errno.NotPartitioned, "PARTITION () clause on non partitioned table")
}

// Places reports whether Placed has anything to say.
func (p *InsertPlan) Places() bool {
	return p.Table.Partition != nil && (p.Partitions != nil || p.Mode == ModeIgnore)
}

// Placed returns those of some new rows that a partition takes, of those that the statement names. Another row is an error or, where
// the statement ignores such rows, a warning.
func (p *InsertPlan) Placed(rows *vec.Batch, left *Warnings) (*vec.Batch, error) {
	by := columnIndexes(nil, p.Table, p.Table.Partition.Columns)
	kept := make([]int32, 0, rows.Rows()) // not nil: that would be all
	var key []byte
	for _, row := range rowsOf(rows) {
		at, err := partitionFor(p.Table, rows, by, &key, row)
		if err == nil && p.Partitions != nil && !slices.Contains(p.Partitions, p.Table.Parts[at].ID) {
			err = errorf(errno.RowNotInPartitions, "Found a row not matching the given partition set")
		}
		switch what, known := sqltypes.AsError(err); {
		case err == nil:
			kept = append(kept, row)
		case p.Mode == ModeIgnore && known:
			left.add(what, "", 0)
		default:
			return nil, err
		}
	}
	if len(kept) == rows.Rows() {
		return rows, nil
	}
	return (&vec.Batch{Cols: rows.Cols, N: rows.N, Sel: kept}).Compact(), nil
}
