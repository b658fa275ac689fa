package tablet

import (
	"testing"

	"stele/meta/types"
	"stele/sql/vec"
)

// TestRowHashTellsRowsApart changes one thing at a time: the digest must notice each, and must not notice order or layout.
func TestRowHashTellsRowsApart(t *testing.T) {
	ids := []types.ColumnID{1, 2, 3, 4, 5, 6}
	rows := func() []row { return []row{{1, "a", 10}, {2, "b", 20}, {3, "c", -1}} }
	base := digestBatch(batchOf(rows()), ids)
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
		if digestBatch(batchOf(change(rows())), ids) == base {
			t.Errorf("%s: same digest", name)
		}
	}
	r := rows()
	r[0], r[2] = r[2], r[0]
	if digestBatch(batchOf(r), ids) != base {
		t.Error("the order of rows matters")
	}
	if digestBatch(batchOf(r[:1]), ids)+digestBatch(batchOf(r[1:]), ids) != base {
		t.Error("the cut into batches matters")
	}
	b := batchOf(append(rows(), row{4, "d", 4}))
	b.Sel = []int32{2, 0, 1}
	if digestBatch(b, ids) != base {
		t.Error("a selection is not the same as its rows")
	}
	b = batchOf(rows())
	b.Cols = append(b.Cols, vec.NewNull(types.ColumnType{Kind: types.KindInt}, b.N))
	if digestBatch(b, append(ids, 7)) != base {
		t.Error("a new column without values matters")
	}
	if digestBatch(batchOf(rows()), []types.ColumnID{1, 2, 3, 4, 5, 7}) == base {
		t.Error("the ids of columns do not matter")
	}
}

func BenchmarkRowHash(b *testing.B) {
	var rows []row
	for i := range vec.MaxRows {
		rows = append(rows, row{int64(i), "t", int64(i)})
	}
	batch, ids := batchOf(rows), []types.ColumnID{1, 2, 3, 4, 5, 6}
	for b.Loop() {
		digestBatch(batch, ids)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*vec.MaxRows), "ns/row")
}
