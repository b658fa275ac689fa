package tablet

import (
	"fmt"
	"testing"

	"stele/be/tablet/sought"
	"stele/meta/types"
	"stele/sql/vec"
)

// TestSecondaryKeysSkip: a scan for one value of a column with a secondary key reads the parts that hold it and hardly any other,
// also where values lie all over the tablet and zone maps are of no use; of rowsets that are older than the key it reads all.
func TestSecondaryKeysSkip(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir(), testOptions())
	m := testMeta(1)
	tb, err := s.Create(m)
	if err != nil {
		t.Fatal(err)
	}
	const parts, values = 9, 10
	load := func(from int) {
		var rows []row
		for i := range parts * vec.MaxRows {
			rows = append(rows, row{int64(from + i), "t", int64((from + i) * 7919 % 1_000_003)})
		}
		commit(t, tb, puts(t, rows...))
		if err := tb.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	read := func(id int) (vectors int64) {
		snap, err := tb.Current()
		if err != nil {
			t.Fatal(err)
		}
		defer snap.Release()
		before := s.Counters()
		val := id * 7919 % 1_000_003
		p := sought.Predicate{Column: 6, Op: sought.OpEQ}
		p.Value.B = fmt.Appendf(nil, "value %d of row %d", val, id)
		if got := scanAll(t, snap, ScanOptions{Prune: []sought.Predicate{p}}); got[rowKey{int64(id), "t"}] != int64(val) {
			t.Fatalf("row %d is not found", id)
		}
		after := s.Counters()
		if skipped, read := after.SkippedByFilter-before.SkippedByFilter, after.VectorsRead-before.VectorsRead; skipped > 0 && skipped+read+after.SkippedByZone-before.SkippedByZone < parts {
			t.Fatalf("%d vectors skipped, %d read: some are not counted", skipped, read)
		}
		return after.VectorsRead - before.VectorsRead
	}
	load(0)
	if n := read(100); n < parts/2 {
		t.Fatalf("%d vectors are read without a key: this test proves nothing", n)
	}
	schema := m.Schema
	schema.Version, schema.Indexed = 2, []types.ColumnID{6}
	if err := tb.SetSchema(schema); err != nil {
		t.Fatal(err)
	}
	load(parts * vec.MaxRows)
	all := int64(0)
	for i := range values {
		all += read(parts*vec.MaxRows + i*1907)
	}
	if all > values*(parts+2) { // the rowset of before the key is read, of the other one vector
		t.Errorf("%d vectors are read for 10 values", all)
	}
	maintain(t, s)
	if err := tb.CompactAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	all = 0
	for i := range values {
		all += read(i * 1907)
	}
	if all > values*5/2 {
		t.Errorf("%d vectors are read for 10 values after a merge", all)
	}
}
