package tablet

import (
	"cmp"
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"stele/be/tablet/sought"
	"stele/be/tablet/wire"
	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/rowset"
	"stele/sql/vec"
)

// narrowSchema is a key of two integers, one of them unsigned.
func narrowSchema() types.Schema {
	return types.Schema{TableID: 1, Version: 1, Key: []types.ColumnID{1, 2}, Columns: []types.Column{
		{ID: 1, Name: "a", Type: types.ColumnType{Kind: types.KindInt, NotNull: true}},
		{ID: 2, Name: "b", Type: types.ColumnType{Kind: types.KindBigInt, Unsigned: true, NotNull: true}},
		{ID: 3, Name: "n", Type: types.ColumnType{Kind: types.KindBigInt}},
		{ID: 4, Name: "s", Type: types.ColumnType{Kind: types.KindText}},
	}}
}

type narrowKey struct{ a, b int64 }

const narrowText = "text that is not short, so that it is compressed in blocks"

// narrowHistory is a tablet with the rows of some of its versions.
type narrowHistory struct {
	tb       *Tablet
	schema   types.Schema
	rnd      *rand.Rand
	as, bs   int64 // from how many values of a and b keys are drawn
	rows     map[narrowKey]int64
	versions map[types.Version]map[narrowKey]int64
}

func newNarrowHistory(t *testing.T, as, bs int64) *narrowHistory {
	t.Helper()
	store := openStore(t, t.TempDir(), testOptions())
	meta := testMeta(1)
	meta.Schema = narrowSchema()
	tb, err := store.Create(meta)
	if err != nil {
		t.Fatal(err)
	}
	return &narrowHistory{
		tb: tb, schema: meta.Schema, rnd: rand.New(rand.NewPCG(1, 2)), as: as, bs: bs,
		rows: map[narrowKey]int64{}, versions: map[types.Version]map[narrowKey]int64{},
	}
}

// write puts and deletes n rows.
func (h *narrowHistory) write(t *testing.T, n int) {
	b := &vec.Batch{N: n}
	for i := range h.schema.Columns {
		b.Cols = append(b.Cols, rowset.NewVector(h.schema.Columns[i].Type, n))
	}
	ops := make([]types.RowOp, n)
	for i := range ops {
		k := narrowKey{h.rnd.Int64N(h.as) - 2, h.rnd.Int64N(h.bs)}
		if k.b%10 == 9 {
			k.b = -k.b // beyond 2^63
		}
		val := h.rnd.Int64N(1000)
		text := string(make([]byte, val%50)) + narrowText
		rowset.AppendRange(b.Cols[0], &vec.Vector{N: 1, I64: []int64{k.a}}, 0, 1)
		rowset.AppendRange(b.Cols[1], &vec.Vector{N: 1, I64: []int64{k.b}}, 0, 1)
		rowset.AppendRow(b.Cols[2], &vec.Vector{N: 1, I64: []int64{val}}, 0)
		rowset.AppendRow(b.Cols[3], &vec.Vector{N: 1, Off: []uint32{0, uint32(len(text))}, Data: []byte(text)}, 0)
		if h.rnd.IntN(4) == 0 {
			ops[i] = types.OpDelete
			delete(h.rows, k)
		} else {
			h.rows[k] = val
		}
	}
	payload, err := wire.Encode(&h.schema, ops, b)
	if err != nil {
		t.Fatal(err)
	}
	h.versions[commit(t, h.tb, payload)] = maps.Clone(h.rows)
}

// draw returns some predicates on the key.
func (h *narrowHistory) draw() (out []sought.Predicate) {
	for range 1 + h.rnd.IntN(4) {
		p := sought.Predicate{Column: types.ColumnID(1 + h.rnd.IntN(2)), Op: sought.CompareOp(h.rnd.IntN(5))}
		p.Value.I = h.value(p.Column)
		if h.rnd.IntN(3) == 0 {
			p.Op, p.Ranges = sought.OpIn, h.ranges(p.Column)
		}
		out = append(out, p)
	}
	return out
}

// value returns a value of a key column.
func (h *narrowHistory) value(id types.ColumnID) int64 {
	if id == 2 {
		return h.rnd.Int64N(h.bs) * (1 - 2*int64(h.rnd.IntN(5)/4))
	}
	return h.rnd.Int64N(h.as+1) - 2
}

// ranges returns some ranges of values of a key column, as OpIn has them: single values as a rule, the ends of the outer ones open at times.
func (h *narrowHistory) ranges(id types.ColumnID) (out []sought.Range) {
	var ends []int64
	for range 1 + h.rnd.IntN(12) {
		ends = append(ends, h.value(id))
	}
	slices.SortFunc(ends, func(a, b int64) int { return compareKey(id, a, b) })
	ends = slices.Compact(ends)
	for i := 0; i < len(ends); i++ {
		r := sought.Range{Lo: expr.Value{I: ends[i]}, Hi: expr.Value{I: ends[i]}}
		if i+1 < len(ends) && h.rnd.IntN(4) == 0 {
			i++
			r.Hi.I = ends[i]
		}
		out = append(out, r)
	}
	out[0].Lo.Null = h.rnd.IntN(8) == 0
	out[len(out)-1].Hi.Null = h.rnd.IntN(8) == 0
	return out
}

// compareKey compares values of a key column, of which the second one has no sign.
func compareKey(id types.ColumnID, a, b int64) int {
	if id == 2 {
		return cmp.Compare(uint64(a), uint64(b))
	}
	return cmp.Compare(a, b)
}

// satisfies reports whether a key is one that predicates want.
func (k narrowKey) satisfies(prune []sought.Predicate) bool {
	for _, p := range prune {
		x := k.a
		if p.Column == 2 {
			x = k.b
		}
		if p.Op == sought.OpIn {
			if !slices.ContainsFunc(p.Ranges, func(r sought.Range) bool {
				return (r.Lo.Null || compareKey(p.Column, x, r.Lo.I) >= 0) && (r.Hi.Null || compareKey(p.Column, x, r.Hi.I) <= 0)
			}) {
				return false
			}
			continue
		}
		c := compareKey(p.Column, x, p.Value.I)
		if !(c == 0 && p.Op != sought.OpLT && p.Op != sought.OpGT || c < 0 && (p.Op == sought.OpLT || p.Op == sought.OpLE) || c > 0 && (p.Op == sought.OpGT || p.Op == sought.OpGE)) {
			return false
		}
	}
	return true
}

// check compares what a scan with predicates returns with the rows of the version.
func (h *narrowHistory) check(t *testing.T, v types.Version, s *Snapshot, prune []sought.Predicate) (read, wanted int) {
	want := h.versions[v]
	got := map[narrowKey]int64{}
	it := s.Scan([]types.ColumnID{4, 1, 2, 3}, ScanOptions{Prune: prune, Reuse: h.rnd.IntN(2) == 0})
	for {
		b, err := it.Next(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if b == nil {
			break
		}
		b = b.Compact()
		for i := range b.N {
			k := narrowKey{b.Cols[1].I64[i], b.Cols[2].I64[i]}
			if _, twice := got[k]; twice {
				t.Fatalf("version %d: key %v twice", v, k)
			}
			got[k] = b.Cols[3].I64[i]
			if val, there := want[k]; !there || val != got[k] || int64(len(b.Cols[0].Bytes(i))) != val%50+int64(len(narrowText)) {
				t.Fatalf("version %d: key %v with %d and %d bytes, want %d (there: %v)", v, k, got[k], len(b.Cols[0].Bytes(i)), val, there)
			}
		}
	}
	for k, val := range want {
		if !k.satisfies(prune) {
			continue
		}
		if wanted++; got[k] != val {
			t.Fatalf("version %d, %+v: key %v has %d, want %d", v, prune, k, got[k], val)
		}
	}
	return len(got), wanted
}

// TestNarrow: a scan with bounds on the key returns each row within them once as it was at its version, whatever is in memory, in
// rowsets or deleted since; and no others of rowsets where the bounds are those of the key.
func TestNarrow(t *testing.T) {
	h := newNarrowHistory(t, 4, 4000) // few values of a, so that ranges of it and of b are small and large
	tb := h.tb
	h.write(t, 9000)
	for range 25 {
		switch h.rnd.IntN(5) {
		case 0:
			if err := tb.Flush(); err != nil {
				t.Fatal(err)
			}
		case 1:
			if err := tb.CompactAll(context.Background()); err != nil {
				t.Fatal(err)
			}
		case 2:
			h.write(t, 3000)
		default:
			h.write(t, 1+h.rnd.IntN(20))
		}
		for _, v := range slices.Sorted(maps.Keys(h.versions)) {
			s, err := tb.Snapshot(v)
			if err != nil {
				delete(h.versions, v)
				continue
			}
			for range 3 {
				h.check(t, v, s, h.draw())
			}
			s.Release()
			if len(h.versions) > 6 && h.rnd.IntN(2) == 0 && v != tb.Version() {
				delete(h.versions, v)
			}
		}
	}
	if err := tb.Flush(); err != nil {
		t.Fatal(err)
	}
	s, err := tb.Current()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Release()
	where := func(col types.ColumnID, op sought.CompareOp, x int64) (p sought.Predicate) {
		p.Column, p.Op, p.Value.I = col, op, x
		return p
	}
	small := []sought.Predicate{where(1, sought.OpEQ, 1), where(2, sought.OpGE, 100), where(2, sought.OpLE, 180)}
	if read, wanted := h.check(t, tb.Version(), s, small); wanted == 0 || read != wanted {
		t.Errorf("%d rows read for %d wanted", read, wanted)
	}
	value := func(x int64) sought.Range { return sought.Range{Lo: expr.Value{I: x}, Hi: expr.Value{I: x}} }
	some := []sought.Predicate{where(1, sought.OpEQ, 1), {Column: 2, Op: sought.OpIn, Ranges: []sought.Range{value(17), value(300), value(301), value(900), {Lo: expr.Value{I: 1000}, Hi: expr.Value{I: 1020}}}}}
	if read, wanted := h.check(t, tb.Version(), s, some); wanted == 0 || read != wanted {
		t.Errorf("%d rows read for %d wanted in a list", read, wanted)
	}
}
