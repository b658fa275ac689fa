package rowhash

import (
	"testing"

	"stele/meta/types"
	"stele/sql/vec"
)

// row is a key, a text, and a value in columns of every physical type; all of them are NULL when it is negative.
type row struct {
	id  int64
	tag string
	val int64
}

var ids = []types.ColumnID{1, 2, 3, 4, 5, 6}

func batchOf(rows []row) *vec.Batch {
	kinds := []types.Kind{types.KindBigInt, types.KindVarChar, types.KindBigInt, types.KindDouble, types.KindDecimal, types.KindText}
	b := &vec.Batch{N: len(rows)}
	for _, k := range kinds {
		b.Cols = append(b.Cols, &vec.Vector{Type: types.ColumnType{Kind: k, Length: types.MaxDecimalPrecision}, N: len(rows), Off: []uint32{0}})
	}
	c := b.Cols
	for _, v := range c[2:] {
		v.Valid = vec.AllValid(len(rows))
	}
	for i, r := range rows {
		c[0].I64 = append(c[0].I64, r.id)
		c[2].I64 = append(c[2].I64, r.val)
		c[3].F64 = append(c[3].F64, float64(r.val)/2)
		c[4].Dec = append(c[4].Dec, vec.Int128{Hi: r.val, Lo: uint64(r.val)})
		for _, v := range []*vec.Vector{c[1], c[5]} {
			v.Data = append(v.Data, r.tag...)
			v.Off = append(v.Off, uint32(len(v.Data)))
		}
		for _, v := range c[2:] {
			if r.val < 0 {
				v.Valid[i/64] &^= 1 << (i % 64)
			}
		}
	}
	return b
}

// TestTellsRowsApart changes one thing at a time: the sum must notice each, and must not notice order or layout.
func TestTellsRowsApart(t *testing.T) {
	rows := func() []row { return []row{{1, "a", 10}, {2, "b", 20}, {3, "c", -1}} }
	base := Sum(batchOf(rows()), ids)
	for name, change := range map[string]func(r []row) []row{
		"key":           func(r []row) []row { r[0].id = 9; return r },
		"text":          func(r []row) []row { r[1].tag = "bb"; return r },
		"value":         func(r []row) []row { r[1].val++; return r },
		"null":          func(r []row) []row { r[0].val = -1; return r },
		"row less":      func(r []row) []row { return r[:2] },
		"row twice":     func(r []row) []row { return append(r, r[0]) },
		"swapped cells": func(r []row) []row { r[0].val, r[1].val = r[1].val, r[0].val; return r },
		"swapped tags":  func(r []row) []row { r[0].tag, r[1].tag = r[1].tag, r[0].tag; return r },
	} {
		if Sum(batchOf(change(rows())), ids) == base {
			t.Errorf("%s: same sum", name)
		}
	}
	r := rows()
	r[0], r[2] = r[2], r[0]
	if Sum(batchOf(r), ids) != base {
		t.Error("the order of rows matters")
	}
	if Sum(batchOf(r[:1]), ids)+Sum(batchOf(r[1:]), ids) != base {
		t.Error("the cut into batches matters")
	}
	b := batchOf(append(rows(), row{4, "d", 4}))
	b.Sel = []int32{2, 0, 1}
	if Sum(b, ids) != base {
		t.Error("a selection is not the same as its rows")
	}
	b = batchOf(rows())
	b.Cols = append(b.Cols, vec.NewNull(types.ColumnType{Kind: types.KindInt}, b.N))
	if Sum(b, append(ids, 7)) != base {
		t.Error("a new column without values matters")
	}
	if Sum(batchOf(rows()), []types.ColumnID{1, 2, 3, 4, 5, 7}) == base {
		t.Error("the ids of columns do not matter")
	}
}

// TestStaysTheSame: disks hold sums, and replicas of two releases compare theirs.
func TestStaysTheSame(t *testing.T) {
	const want = 0x71cb632739d03fea
	if got := Sum(batchOf([]row{{1, "a", 10}, {2, "b", 20}, {3, "c", -1}}), ids); got != want {
		t.Errorf("%#x, and other releases have %#x", got, uint64(want))
	}
}

func BenchmarkSum(b *testing.B) {
	var rows []row
	for i := range vec.MaxRows {
		rows = append(rows, row{int64(i), "t", int64(i)})
	}
	batch := batchOf(rows)
	for b.Loop() {
		Sum(batch, ids)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*vec.MaxRows), "ns/row")
}
