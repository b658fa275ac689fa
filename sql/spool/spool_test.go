package spool

import (
	"testing"

	"stele/meta/types"
	"stele/sql/vec"
)

// TestSpoolGoesToAFile keeps more than fits in memory, in order.
func TestSpoolGoesToAFile(t *testing.T) {
	sp := New(t.TempDir())
	defer sp.Close()
	const rows = 1 << 20
	const batches = 6
	for i := range batches {
		v := vec.New(types.ColumnType{Kind: types.KindBigInt}, rows)
		for k := range v.I64 {
			v.I64[k] = int64(i)<<40 | int64(k*7919)
		}
		if err := sp.Add(vec.Encode(nil, &vec.Batch{Cols: []*vec.Vector{v}, N: rows})); err != nil {
			t.Fatal(err)
		}
	}
	if sp.file == nil {
		t.Fatal("all of it stayed in memory")
	}
	if err := sp.Rewind(); err != nil {
		t.Fatal(err)
	}
	for i := range batches {
		b, err := sp.Next()
		if err != nil || b == nil || b.N != rows || b.Cols[0].I64[5] != int64(i)<<40|5*7919 {
			t.Fatalf("batch %d: %v, %v", i, b, err)
		}
	}
	if b, err := sp.Next(); b != nil || err != nil {
		t.Fatalf("after the end: %v, %v", b, err)
	}
}
