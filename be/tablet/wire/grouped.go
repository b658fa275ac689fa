package wire

import (
	"bytes"
	"fmt"

	"stele/meta/types"
	"stele/sql/rowset"
	"stele/sql/rowset/groups"
	"stele/sql/vec"
)

// IsGrouped reports whether a payload is row groups.
func IsGrouped(payload []byte) bool { return groups.Is(payload) }

// EncodeGrouped encodes rows, which are to be put, as a grouped payload. They have the columns of the schema in order, and
// keys are theirs: ascending, each another.
func EncodeGrouped(schema *types.Schema, rows *vec.Batch, keys [][]byte) ([]byte, error) {
	return (&groups.Payload{Schema: uint64(schema.Version), Groups: groups.Encode(schema, rows, keys)}).Encode()
}

// Grouped is a grouped payload that has been opened; it aliases the payload.
type Grouped struct {
	groups.Payload
}

// OpenGrouped opens a grouped payload.
func OpenGrouped(payload []byte) (*Grouped, error) {
	p, err := groups.Open(payload)
	if err != nil {
		return nil, err
	}
	return &Grouped{Payload: *p}, nil
}

// open opens the row groups, and checks that their columns have the form of the schema's.
func (g *Grouped) open(schema *types.Schema) ([]*rowset.Group, error) {
	if err := knowsSchema(schema, g.Schema); err != nil {
		return nil, err
	}
	var out []*rowset.Group
	var last []byte
	for i := range g.Groups {
		e := &g.Groups[i]
		group, err := rowset.OpenGroup(rowset.GroupID{Group: uint32(i)}, e.Val)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", groups.ErrPayload, err)
		}
		if group.Rows() != e.Rows || bytes.Compare(e.MinKey, e.MaxKey) > 0 || i > 0 && bytes.Compare(last, e.MinKey) >= 0 {
			return nil, fmt.Errorf("row group %d is not what its write says: %w", i, groups.ErrPayload)
		}
		last = e.MaxKey
		for c := range schema.Columns {
			if at := group.Column(schema.Columns[c].ID); at >= 0 && group.ColumnType(at).Phys() != schema.Columns[c].Type.Phys() {
				return nil, fmt.Errorf("column %d is stored in another form: %w", schema.Columns[c].ID, groups.ErrPayload)
			}
		}
		for _, id := range schema.Key {
			if group.Column(id) < 0 {
				return nil, fmt.Errorf("row group %d has no key column %d: %w", i, id, groups.ErrPayload)
			}
		}
		out = append(out, group)
	}
	return out, nil
}

// decode returns the rows as those of the schema.
func (g *Grouped) decode(schema *types.Schema) ([]types.RowOp, *vec.Batch, error) {
	opened, err := g.open(schema)
	if err != nil {
		return nil, nil, err
	}
	budget := int64(maxDecodedBytes)
	rows := g.Rows()
	b := &vec.Batch{N: rows}
	for c := range schema.Columns {
		col := &schema.Columns[c]
		out := rowset.NewVector(col.Type, rows)
		for _, group := range opened {
			at := group.Column(col.ID)
			if at < 0 {
				rowset.AppendRange(out, rowset.Initial(col, group.Rows()), 0, group.Rows())
				continue
			}
			for i := range group.Vectors() {
				v, err := group.Decode(at, i)
				if err != nil {
					return nil, nil, fmt.Errorf("%w: %w", groups.ErrPayload, err)
				}
				if budget -= int64(len(v.Data) + 16*v.N); budget < 0 {
					return nil, nil, fmt.Errorf("decodes to too many bytes: %w", groups.ErrPayload)
				}
				rowset.AppendRange(out, v, 0, v.N)
			}
		}
		b.Cols = append(b.Cols, out)
	}
	return make([]types.RowOp, rows), b, nil // all of them puts
}

// Check verifies a payload, and opens it if it is grouped.
func Check(schema *types.Schema, payload []byte) (*Grouped, error) {
	if !IsGrouped(payload) {
		_, _, err := Decode(schema, payload)
		return nil, err
	}
	g, err := OpenGrouped(payload)
	if err == nil {
		_, err = g.open(schema)
	}
	return g, err
}
