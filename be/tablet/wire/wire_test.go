package wire

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/zeebo/xxh3"

	"stele/meta/types"
	"stele/sql/rowset"
	"stele/sql/vec"
)

// testSchemaOfWrites has a key and a text.
var testSchemaOfWrites = types.Schema{
	Columns: []types.Column{
		{ID: 1, Type: types.ColumnType{Kind: types.KindBigInt, NotNull: true}},
		{ID: 2, Type: types.ColumnType{Kind: types.KindVarBinary}},
	},
	Key: []types.ColumnID{1},
}

// someWrite encodes n rows, of which every third has no text, with the same operation.
func someWrite(t testing.TB, op types.RowOp, n int) []byte {
	id, text := rowset.NewVector(testSchemaOfWrites.Columns[0].Type, n), rowset.NewVector(testSchemaOfWrites.Columns[1].Type, n)
	for i := range n {
		rowset.AppendValue(id, int64(i), 0, 0, nil)
		if i%3 == 2 {
			rowset.AppendNull(text)
		} else {
			rowset.AppendValue(text, 0, 0, 0, []byte("some text")[:i%9])
		}
	}
	p, err := Encode(&testSchemaOfWrites, slices.Repeat([]types.RowOp{op}, n), &vec.Batch{N: n, Cols: []*vec.Vector{id, text}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func FuzzDecodeWrite(f *testing.F) {
	schema := testSchemaOfWrites
	for _, p := range [][]byte{someWrite(f, types.OpPut, 0), someWrite(f, types.OpPut, 5), someWrite(f, types.OpDelete, 2)} {
		f.Add(p[:len(p)-8])
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		p := binary.LittleEndian.AppendUint64(slices.Clone(body), xxh3.Hash(body)) // past the checksum
		ops, b, err := Decode(&schema, p)
		if err != nil {
			return
		}
		again, err := Encode(&schema, ops, b)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := Decode(&schema, again); err != nil {
			t.Fatalf("what was decoded and encoded is refused: %v", err)
		}
	})
}

func FuzzDecodeChange(f *testing.F) {
	for _, c := range [][]byte{EncodeChange(7, nil), EncodeChange(8, [][]byte{someWrite(f, types.OpPut, 1), {}})} {
		f.Add(c[:len(c)-8])
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		txn, parts, err := DecodeChange(binary.LittleEndian.AppendUint64(slices.Clone(body), xxh3.Hash(body)))
		if err != nil {
			return
		}
		again, same, err := DecodeChange(EncodeChange(txn, parts))
		if err != nil || again != txn || len(same) != len(parts) {
			t.Fatalf("what was decoded and encoded is %d, %d parts, %v", again, len(same), err)
		}
	})
}
