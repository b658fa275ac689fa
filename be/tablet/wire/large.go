package wire

import (
	"fmt"

	"stele/meta/types"
	"stele/sql/rowset"
	"stele/sql/rowset/groups"
	"stele/sql/vec"
)

// Large is a write that came as row groups, as its leader looks at it. It aliases the payload.
type Large struct {
	g      *Grouped
	schema types.Schema
	opened []*rowset.Group
}

// OpenLarge opens a grouped payload as rows of a schema.
func OpenLarge(schema *types.Schema, payload []byte) (*Large, error) {
	l := &Large{schema: *schema}
	var err error
	if l.g, err = OpenGrouped(payload); err == nil {
		l.opened, err = l.g.open(&l.schema)
	}
	if err == nil && len(l.opened) == 0 {
		err = fmt.Errorf("no row group: %w", groups.ErrPayload)
	}
	if err != nil {
		return nil, err
	}
	return l, nil
}

// Rows returns how many rows there are.
func (l *Large) Rows() int { return l.g.Rows() }

// Keys returns the keys of the rows, ascending. That they are each another is for whoever encoded them to see to, and is checked
// here because keys are locked by it.
func (l *Large) Keys() ([][]byte, error) {
	out := make([][]byte, 0, l.g.Rows())
	b := &vec.Batch{}
	order := make([]int, len(l.schema.Key))
	for n := range order {
		b.Cols, order[n] = append(b.Cols, &vec.Vector{}), n
	}
	for _, group := range l.opened {
		for i := range group.Vectors() {
			b.N = group.VectorRows(i)
			for n, id := range l.schema.Key {
				if err := group.DecodeInto(b.Cols[n], group.Column(id), i); err != nil {
					return nil, fmt.Errorf("%w: %w", groups.ErrPayload, err)
				}
			}
			out = append(out, vec.EncodeKeys(b, order)...)
		}
	}
	for i := 1; i < len(out); i++ {
		if string(out[i-1]) >= string(out[i]) {
			return nil, fmt.Errorf("keys %d and %d do not ascend: %w", i-1, i, groups.ErrPayload)
		}
	}
	return out, nil
}

// Decode returns the rows as those of the schema.
func (l *Large) Decode() (*vec.Batch, error) {
	_, b, err := l.g.decode(&l.schema)
	return b, err
}
