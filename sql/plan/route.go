package plan

import (
	"bytes"
	"slices"
	"sort"
	"strings"

	"github.com/zeebo/xxh3"

	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/errno"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

// Bucket tells in which of a partition's buckets a row belongs: keyBytes is the memcomparable form of its distribution
// columns. The answer decides where rows lie on disks and must never change.
func Bucket(keyBytes []byte, buckets int) int {
	return int(xxh3.Hash(keyBytes) % uint64(buckets))
}

// TabletRows are the rows of a batch that belong to one tablet.
type TabletRows struct {
	Partition types.PartitionID
	Tablet    types.TabletID
	Rows      []int32 // physical positions in the batch, in its order

	order int // by partition, then bucket
}

// Route sends each row that counts in a batch to its tablet. The batch has the table's columns in schema order, in their
// types. A row that no partition takes is error 1526. Tablets come in the order of partitions and buckets.
func Route(t *catalog.Table, b *vec.Batch) ([]TabletRows, error) {
	var room [2][4]int
	hash := columnIndexes(room[0][:0], t, t.HashBy)
	var by []int
	if t.Partition != nil {
		by = columnIndexes(room[1][:0], t, t.Partition.Columns)
	}
	if b.Rows() == 1 { // most statements
		return routeOne(t, b, by, hash)
	}
	rows := rowsOf(b)
	keys := vec.EncodeKeys(b, hash)
	slots := make([][]int32, len(t.Parts)) // by partition and bucket: 1 + where it is in out
	var out []TabletRows
	var key []byte
	for k, row := range rows {
		at, err := partitionFor(t, b, by, &key, row)
		if err != nil {
			return nil, err
		}
		part := &t.Parts[at]
		if slots[at] == nil {
			slots[at] = make([]int32, len(part.Tablets))
		}
		bucket := Bucket(keys[k], len(part.Tablets))
		slot := slots[at][bucket]
		if slot == 0 {
			out = append(out, TabletRows{Partition: part.ID, Tablet: part.Tablets[bucket], order: at<<16 | bucket})
			slot = int32(len(out))
			slots[at][bucket] = slot
		}
		out[slot-1].Rows = append(out[slot-1].Rows, row)
	}
	// One order for all statements, so that equal statements lock in equal order.
	slices.SortFunc(out, func(a, b TabletRows) int { return a.order - b.order })
	return out, nil
}

// routeOne routes the only row of a batch without the tables that many rows are worth.
func routeOne(t *catalog.Table, b *vec.Batch, by, hash []int) ([]TabletRows, error) {
	row := int32(0)
	if b.Sel != nil {
		row = b.Sel[0]
	}
	var room [64]byte
	key := room[:0]
	at, err := partitionFor(t, b, by, &key, row)
	if err != nil {
		return nil, err
	}
	part := &t.Parts[at]
	key = vec.AppendRowKey(key[:0], b, hash, int(row))
	one := &struct { // piece of memory
		to   [1]TabletRows
		rows [1]int32
	}{rows: [1]int32{row}}
	one.to[0] = TabletRows{Partition: part.ID, Tablet: part.Tablets[Bucket(key, len(part.Tablets))], Rows: one.rows[:]}
	return one.to[:], nil
}

// partitionFor finds the partition of a row by the columns by; key is room for them.
func partitionFor(t *catalog.Table, b *vec.Batch, by []int, key *[]byte, row int32) (int, error) {
	if by == nil {
		return 0, nil
	}
	*key = vec.AppendRowKey((*key)[:0], b, by, int(row))
	at := partitionOf(t, *key)
	if at < 0 {
		return 0, errorf(errno.NoPartitionForValue, "Table has no partition for value %s", rowText(b, by, int(row)))
	}
	return at, nil
}

// rowsOf lists the positions that count.
func rowsOf(b *vec.Batch) []int32 {
	if b.Sel != nil {
		return b.Sel
	}
	rows := make([]int32, b.N)
	for i := range rows {
		rows[i] = int32(i)
	}
	return rows
}

// columnIndexes appends the positions in the schema of the columns with some ids.
func columnIndexes(to []int, t *catalog.Table, ids []types.ColumnID) []int {
	for _, id := range ids {
		to = append(to, t.Schema.ColumnIndex(id))
	}
	return to
}

// partitionOf finds the partition that takes the key, or -1; ranges are in order and do not overlap.
func partitionOf(t *catalog.Table, key []byte) int {
	if t.Partition.List {
		for i := range t.Parts {
			if t.Parts[i].Lists(key) {
				return i
			}
		}
		return -1
	}
	i := sort.Search(len(t.Parts), func(i int) bool {
		return t.Parts[i].Upper == nil || bytes.Compare(key, t.Parts[i].Upper) < 0
	})
	if i == len(t.Parts) || bytes.Compare(key, t.Parts[i].Lower) < 0 {
		return -1
	}
	return i
}

// rowText shows the values of some columns of a row in an error.
func rowText(b *vec.Batch, cols []int, row int) string {
	var parts []string
	for _, c := range cols {
		v := b.Cols[c]
		if v.IsNull(row) {
			parts = append(parts, "NULL")
			continue
		}
		parts = append(parts, string(sqltypes.AppendVectorText(nil, v, row, nil)))
	}
	return strings.Join(parts, ",")
}
