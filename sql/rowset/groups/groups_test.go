package groups

import (
	"bytes"
	"errors"
	"testing"

	"stele/meta/types"
	"stele/sql/rowset"
	"stele/sql/vec"
)

func schemaOf() *types.Schema {
	return &types.Schema{TableID: 1, Version: 3, Key: []types.ColumnID{1}, Columns: []types.Column{
		{ID: 1, Name: "k", Type: types.ColumnType{Kind: types.KindBigInt, NotNull: true}},
		{ID: 2, Name: "s", Type: types.ColumnType{Kind: types.KindVarChar, Length: 4000}},
	}}
}

// groupsOf returns n rows as row groups, each with a text of some bytes.
func groupsOf(n, text int, first int64) []Group {
	schema := schemaOf()
	k, s := vec.NewColumnBuilder(schema.Columns[0].Type, n), vec.NewColumnBuilder(schema.Columns[1].Type, n)
	for i := range n {
		k.AppendInt(first + int64(i))
		s.AppendBytes(bytes.Repeat([]byte{byte('a' + i%26)}, text))
	}
	rows := &vec.Batch{N: n, Cols: []*vec.Vector{k.Finish(), s.Finish()}}
	return Encode(schema, rows, vec.EncodeKeys(rows, []int{0}))
}

// TestGroupsEnd: a row group ends by its rows, or by the bytes of its rows.
func TestGroupsEnd(t *testing.T) {
	for _, c := range []struct{ rows, text, want int }{{10, 10, 1}, {rowset.MaxGroupRows, 10, 1}, {rowset.MaxGroupRows + 1, 10, 2}, {9000, 3000, 3}} {
		total := 0
		gs := groupsOf(c.rows, c.text, 0)
		for i, g := range gs {
			total += g.Rows
			if i > 0 && bytes.Compare(gs[i-1].MaxKey, g.MinKey) >= 0 {
				t.Errorf("row group %d begins before the one before it ends", i)
			}
		}
		if len(gs) != c.want || total != c.rows {
			t.Errorf("%d rows of %d bytes: %d row groups of %d rows, want %d", c.rows, c.text, len(gs), total, c.want)
		}
	}
}

// TestWideRowsEndGroups: rows that are so wide that a batch of them is more than a row group are cut by their bytes.
func TestWideRowsEndGroups(t *testing.T) {
	for _, c := range []struct{ rows, text, most int }{
		{500, 100 << 10, RawBytes + RawBytes/8}, {3000, 5000, RawBytes + RawBytes/8}, {20, 3 << 20, RawBytes + 3<<20},
	} {
		total := 0
		gs := groupsOf(c.rows, c.text, 0)
		for i, g := range gs {
			total += g.Rows
			if raw := g.Rows * (c.text + 16); raw > c.most {
				t.Errorf("rows of %d bytes: row group %d of %d has %d bytes of them, more than %d", c.text, i, len(gs), raw, c.most)
			}
			if raw := g.Rows * (c.text + 16); raw < RawBytes && i+1 < len(gs) {
				t.Errorf("rows of %d bytes: row group %d of %d has but %d bytes of them", c.text, i, len(gs), raw)
			}
		}
		if total != c.rows {
			t.Errorf("%d of %d rows", total, c.rows)
		}
	}
}

// TestPayload puts row groups that were encoded apart from one another together: each is read under the number that it has there.
func TestPayload(t *testing.T) {
	p := &Payload{Schema: 3, Groups: append(groupsOf(5000, 20, 0), groupsOf(3000, 20, 5000)...)}
	sent, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Open(sent)
	if err != nil || got.Rows() != 8000 || got.Schema != 3 || len(got.Groups) != 2 {
		t.Fatalf("%d rows in %d row groups of schema %d: %v", got.Rows(), len(got.Groups), got.Schema, err)
	}
	for i, g := range got.Groups {
		group, err := rowset.OpenGroup(rowset.GroupID{Group: uint32(i)}, g.Val)
		if err != nil || group.Rows() != g.Rows || !bytes.Equal(g.MinKey, p.Groups[i].MinKey) || !bytes.Equal(g.MaxKey, p.Groups[i].MaxKey) {
			t.Fatalf("row group %d: %v", i, err)
		}
	}
	for at := range sent { // a byte that is another one is noticed
		if at%997 == 0 {
			broken := bytes.Clone(sent)
			broken[at] ^= 1
			if _, err := Open(broken); !errors.Is(err, ErrPayload) {
				t.Fatalf("byte %d: %v", at, err)
			}
		}
	}
	many := &Payload{}
	for range MaxRows/5000 + 1 {
		many.Groups = append(many.Groups, Group{Rows: 5000, Val: p.Groups[0].Val})
	}
	if _, err := many.Encode(); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too many rows: %v", err)
	}
}
