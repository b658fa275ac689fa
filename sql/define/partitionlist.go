package define

import (
	"bytes"
	"slices"

	"stele/meta/catalog"
	"stele/sql/errno"
	"stele/sql/syntax"
	"stele/sql/vec"
)

// wrongValues says that a partition has the values of the other kind.
func wrongValues(in bool) error {
	if in {
		return errorf(errno.WrongValues, "Only LIST PARTITIONING can use VALUES IN in partition definition")
	}
	return errorf(errno.WrongValues, "Only RANGE PARTITIONING can use VALUES LESS THAN in partition definition")
}

// list reads the values of a partition, which no other one has.
func (r *ranger) list(rows [][]syntax.Bound) ([]catalog.Listed, error) {
	var out []catalog.Listed
	for _, row := range rows {
		l, err := r.listed(row)
		if err != nil {
			return nil, err
		}
		at, found := slices.BinarySearchFunc(out, l, func(a, b catalog.Listed) int { return bytes.Compare(a.Key, b.Key) })
		if found || slices.ContainsFunc(r.parts, func(p catalog.Partition) bool { return p.Lists(l.Key) }) {
			return nil, errorf(errno.ListedTwice, "Multiple definition of same constant in list partitioning")
		}
		out = slices.Insert(out, at, l)
	}
	return out, nil
}

// listed reads one row of values.
func (r *ranger) listed(row []syntax.Bound) (l catalog.Listed, err error) {
	if len(row) != len(r.cols) {
		return l, errColumnList()
	}
	for i, bd := range row {
		v, shown, err := r.value(bd, &r.cols[i])
		if err != nil {
			return l, err
		}
		t := r.cols[i].Type
		t.NotNull = false
		l.Key = vec.AppendValueKey(l.Key, v, t)
		text := &shown
		if v.Null {
			text = nil
		}
		l.Text = append(l.Text, text)
	}
	return l, nil
}
