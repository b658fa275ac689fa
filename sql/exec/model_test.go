package exec

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/physical"
	"stele/sql/vec"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	tInt    = types.ColumnType{Kind: types.KindBigInt}
	tUint   = types.ColumnType{Kind: types.KindBigInt, Unsigned: true}
	tDouble = types.ColumnType{Kind: types.KindDouble}
	tDec    = types.ColumnType{Kind: types.KindDecimal, Length: 12, Scale: 2}
	tWide   = types.ColumnType{Kind: types.KindDecimal, Length: 30, Scale: 4}
	tStr    = types.ColumnType{Kind: types.KindVarChar, Length: 20}
	allCols = []types.ColumnType{tInt, tUint, tDouble, tDec, tWide, tStr}
)

type row = []vec.Value

// table is the dumb form of a stream.
type table struct {
	types []types.ColumnType
	rows  []row
}

// genValue draws from a small domain, so that values meet, with the corners in it.
func genValue(t types.ColumnType) *rapid.Generator[vec.Value] {
	return rapid.Custom(func(rt *rapid.T) vec.Value {
		if rapid.IntRange(0, 4).Draw(rt, "null") == 0 {
			return vec.NullValue()
		}
		n := rapid.IntRange(-4, 6).Draw(rt, "n")
		switch {
		case t.Phys() == types.PhysFloat64 && n == 0:
			return vec.Float(math.Copysign(0, -float64(rapid.IntRange(0, 1).Draw(rt, "sign"))))
		case t.Phys() == types.PhysFloat64:
			return vec.Float(float64(n) / 2)
		case t.Phys() == types.PhysDec128:
			x, _ := vec.Int128Of(int64(n)).Mul(vec.Int128{Hi: 1 << 40, Lo: 7})
			return vec.Dec(x)
		case t.Phys() == types.PhysBytes:
			return vec.Str([]byte([]string{"", "a", "b", "ab", "a\x00", "\xff", "zz", "longer than eight bytes"}[(n+8)%8]))
		case t.Unsigned && n < 0:
			return vec.Int(int64(^uint64(0)>>1) + int64(-n)) // beyond the signed range
		}
		return vec.Int(int64(n))
	})
}

func genTable(ts []types.ColumnType, maxRows int) *rapid.Generator[*table] {
	return rapid.Custom(func(rt *rapid.T) *table {
		out := &table{types: ts}
		n := rapid.IntRange(0, maxRows).Draw(rt, "rows")
		for range n {
			r := make(row, len(ts))
			for i, t := range ts {
				r[i] = genValue(t).Draw(rt, "value")
			}
			out.rows = append(out.rows, r)
		}
		return out
	})
}

// stream cuts a table into batches, some of them with rows that do not count, and watches that it is closed.
func (t *table) stream(rt *rapid.T) *memStream {
	s := &memStream{}
	for at := 0; at < len(t.rows); {
		n := min(rapid.IntRange(1, 40).Draw(rt, "batch"), len(t.rows)-at)
		b := vec.NewBuilder(t.types, n)
		var sel []int32
		junk := rapid.Bool().Draw(rt, "sel")
		for i, r := range t.rows[at : at+n] {
			if junk && i%3 == 0 {
				b.AppendValues(t.rows[(at+i*7)%len(t.rows)]...)
			}
			sel = append(sel, int32(b.Len()))
			b.AppendValues(r...)
		}
		batch := b.Finish()
		if junk {
			batch.Sel = sel
		}
		s.batches = append(s.batches, batch)
		at += n
	}
	return s
}

type memStream struct {
	batches []*vec.Batch
	pulled  int
	closed  bool
}

func (s *memStream) Next(context.Context) (*vec.Batch, error) {
	if s.closed || s.pulled == len(s.batches) {
		return nil, nil
	}
	s.pulled++
	return s.batches[s.pulled-1], nil
}

func (s *memStream) Close() { s.closed = true }

// collect reads a stream to its end and closes it.
func collect(t fataler, s Stream) []row {
	t.Helper()
	rows, err := tryCollect(context.Background(), s)
	if err != nil {
		t.Fatalf("execute: %v", err)
	}
	return rows
}

func tryCollect(ctx context.Context, s Stream) ([]row, error) {
	defer s.Close()
	var out []row
	for {
		b, err := s.Next(ctx)
		if err != nil || b == nil {
			return out, err
		}
		if b.Rows() > vec.MaxRows {
			return nil, fmt.Errorf("batch of %d rows", b.Rows())
		}
		for k := range b.Rows() {
			r := make(row, len(b.Cols))
			for c, v := range b.Cols {
				r[c] = v.Value(b.Row(k))
				r[c].B = slices.Clone(r[c].B)
			}
			out = append(out, r)
		}
	}
}

type fataler interface {
	Helper()
	Fatalf(string, ...any)
}

func show(t types.ColumnType, v vec.Value) string {
	switch {
	case v.Null:
		return "NULL"
	case t.Phys() == types.PhysFloat64 && math.Abs(v.F) < 1e-7: // what rounding leaves of zero
		return "0"
	case t.Phys() == types.PhysFloat64:
		return fmt.Sprintf("%.7g", (v.F+0)*(1+1e-11)) // nudged off ties of the rounding
	case t.Phys() == types.PhysDec128:
		return v.Dec128().Big().String()
	case t.Phys() == types.PhysBytes:
		return fmt.Sprintf("%q", v.B)
	case t.Unsigned:
		return fmt.Sprint(uint64(v.I))
	}
	return fmt.Sprint(v.I)
}

func showRows(ts []types.ColumnType, rows []row) []string {
	out := make([]string, len(rows))
	for i, r := range rows {
		parts := make([]string, len(r))
		for c, v := range r {
			parts[c] = show(ts[c], v)
		}
		out[i] = strings.Join(parts, " | ")
	}
	return out
}

// wantSame compares rows; unless ordered, as bags.
func wantSame(t fataler, ts []types.ColumnType, got, want []row, ordered bool) {
	t.Helper()
	g, w := showRows(ts, got), showRows(ts, want)
	if !ordered {
		slices.Sort(g)
		slices.Sort(w)
	}
	if !slices.Equal(g, w) {
		t.Fatalf("got %d rows:\n  %s\nwant %d rows:\n  %s", len(g), strings.Join(g, "\n  "), len(w), strings.Join(w, "\n  "))
	}
}

// compare orders two values as ORDER BY ascending does.
func compare(t types.ColumnType, a, b vec.Value) int {
	switch {
	case a.Null && b.Null:
		return 0
	case a.Null:
		return -1
	case b.Null:
		return 1
	}
	v := vec.NewBuilder([]types.ColumnType{t}, 2)
	v.AppendValues(a)
	v.AppendValues(b)
	return compareRows(v.Finish().Cols[0], 0, 1)
}

// testEnv is an environment with plenty of memory, or with next to none: others have all of what queries share.
func testEnv(t interface{ TempDir() string }, tiny bool) *Env {
	env := &Env{Mem: NewMemory(1 << 26), SpillDir: t.TempDir()}
	if tiny {
		pool := NewMemory(1 << 20)
		pool.add(pool.limit, false)
		env.Mem = NewMemoryIn(pool, 1<<26)
		env.Mem.floor = 4 << 10
	}
	return env
}

// dirs lets property tests share the directory of the test around them.
type dirs string

func (d dirs) TempDir() string { return string(d) }

// source makes a plan leaf that yields the batches of a stream.
func source(ts []types.ColumnType, in Stream, env *Env) *physical.Node {
	n := &physical.Node{System: &physical.System{Table: fmt.Sprintf("t%p", in)}, Schema: schemaOf(ts)}
	before := env.System
	env.System = func(ctx context.Context, s *physical.System) (Stream, error) {
		if s == n.System {
			return in, nil
		}
		return before(ctx, s)
	}
	return n
}

func schemaOf(ts []types.ColumnType) []physical.OutColumn {
	out := make([]physical.OutColumn, len(ts))
	for i, t := range ts {
		out[i] = physical.OutColumn{Name: fmt.Sprintf("c%d", i), Type: t}
	}
	return out
}

func build(t fataler, n *physical.Node, env *Env) Stream {
	t.Helper()
	s, err := Build(n, env)
	if err != nil {
		t.Fatalf("build: %v", err)
	}
	return s
}

func cols(ts []types.ColumnType, at ...int) []*expr.Node {
	out := make([]*expr.Node, len(at))
	for i, c := range at {
		out[i] = expr.Col(c, ts[c])
	}
	return out
}

func wantFree(t fataler, m *Memory) {
	t.Helper()
	if m.Used() != 0 {
		t.Fatalf("%d bytes are still accounted after Close", m.Used())
	}
}
