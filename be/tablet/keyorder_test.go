package tablet

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"stele/be/tablet/sought"
	"stele/be/tablet/wire"
	"stele/meta/types"
	"stele/sql/collation"
	"stele/sql/expr"
	"stele/sql/rowset"
	"stele/sql/vec"
)

// orderSchema has a column of a secondary key of each form: integers of both signs, texts with long beginnings in common, decimals of both
// widths, dates and floats.
func orderSchema() types.Schema {
	return types.Schema{TableID: 1, Version: 1, Key: []types.ColumnID{1}, Indexed: []types.ColumnID{2, 3, 4, 5, 6, 7}, Columns: []types.Column{
		{ID: 1, Name: "id", Type: types.ColumnType{Kind: types.KindBigInt, NotNull: true}},
		{ID: 2, Name: "k", Type: types.ColumnType{Kind: types.KindInt}},
		{ID: 3, Name: "s", Type: types.ColumnType{Kind: types.KindVarChar, Length: 100}},
		{ID: 4, Name: "w", Type: types.ColumnType{Kind: types.KindDecimal, Length: 30, Scale: 2}},
		{ID: 5, Name: "d", Type: types.ColumnType{Kind: types.KindDate}},
		{ID: 6, Name: "f", Type: types.ColumnType{Kind: types.KindDouble}},
		{ID: 7, Name: "u", Type: types.ColumnType{Kind: types.KindBigInt, Unsigned: true, NotNull: true}},
		{ID: 8, Name: "pad", Type: types.ColumnType{Kind: types.KindText}},
	}}
}

// orderRow is the values of a row, without its id.
type orderRow [7]expr.Value

// orderHistory is a tablet with the rows of some of its versions.
type orderHistory struct {
	tb       *Tablet
	schema   types.Schema
	rnd      *rand.Rand
	rows     map[int64]orderRow
	versions map[types.Version]map[int64]orderRow
	batches  map[types.Version]*vec.Batch
}

var orderCols = []types.ColumnID{8, 1, 2, 3, 4, 5, 6, 7}

func (h *orderHistory) value(c int) (v expr.Value) {
	if c != 7 && c != 1 && h.rnd.IntN(12) == 0 {
		return expr.Value{Null: true}
	}
	n := h.rnd.Int64N(700)
	switch c {
	case 1:
		v.I = h.rnd.Int64N(9000)
	case 2:
		v.I = n - 350
	case 3:
		v.B = [][]byte{fmt.Appendf(nil, "https://example.org/a/long/path/%d", n), fmt.Appendf(nil, []string{"https://example.org/%d", "HTTPS://Example.org/%d  "}[n%2], n), bytes.Repeat([]byte{0}, int(n%12))}[h.rnd.IntN(20)/9]
	case 4:
		v.I, v.Hi = n*1_000_003, (n-350)%5
	case 5:
		v.I = 10_000 + n
	case 6:
		v.F = float64(n-350) / 8
	case 7:
		v.I = n - 350 // half of them are beyond 2^63
	case 8:
		v.B = fmt.Appendf(nil, "a text of some length, of row %d", n)
	}
	return v
}

func (h *orderHistory) write(t *testing.T, n int) {
	b := &vec.Batch{N: n}
	for i := range h.schema.Columns {
		b.Cols = append(b.Cols, rowset.NewVector(h.schema.Columns[i].Type, n))
	}
	ops := make([]types.RowOp, n)
	for i, id := range h.rnd.Perm(9000)[:n] {
		var r orderRow
		one := rowset.NewVector(h.schema.Columns[0].Type, 1)
		rowset.AppendValue(one, int64(id), 0, 0, nil)
		rowset.AppendRow(b.Cols[0], one, 0)
		for c := 2; c <= 8; c++ {
			r[c-2] = h.value(c)
			h.append(b.Cols[c-1], r[c-2])
		}
		if h.rnd.IntN(5) == 0 {
			ops[i] = types.OpDelete
			delete(h.rows, int64(id))
		} else {
			h.rows[int64(id)] = r
		}
	}
	payload, err := wire.Encode(&h.schema, ops, b)
	if err != nil {
		t.Fatal(err)
	}
	h.versions[commit(t, h.tb, payload)] = maps.Clone(h.rows)
}

func (h *orderHistory) append(v *vec.Vector, x expr.Value) {
	if x.Null {
		rowset.AppendNull(v)
		return
	}
	one := rowset.NewVector(v.Type, 1)
	rowset.AppendValue(one, x.I, x.Hi, x.F, x.B)
	rowset.AppendRow(v, one, 0)
}

// key returns the memcomparable form of a value of a column.
func (h *orderHistory) key(c types.ColumnID, x expr.Value) string {
	v := rowset.NewVector(h.schema.Columns[c-1].Type, 1)
	h.append(v, x)
	return string(vec.AppendKey(nil, v, 0))
}

// collationsDrawn are those by which texts are compared, that of bytes the most often.
var collationsDrawn = []types.Collation{types.CollationBinary, types.CollationBinary, types.CollationGeneralCI, types.Collation0900AI}

// sought returns a value that a predicate may compare with.
func (h *orderHistory) sought(p *sought.Predicate) expr.Value {
	v := h.value(int(p.Column))
	if !v.Null && p.By != types.CollationBinary {
		v.B = collation.AppendKey(nil, p.By, v.B)
	}
	return v
}

// draw returns a predicate on one of the columns with a key, or on the primary one.
func (h *orderHistory) draw() sought.Predicate {
	p := sought.Predicate{Column: types.ColumnID(1 + h.rnd.IntN(7)), Op: sought.CompareOp(h.rnd.IntN(5))}
	if p.Column == 3 {
		p.By = collationsDrawn[h.rnd.IntN(len(collationsDrawn))]
	}
	if h.rnd.IntN(2) == 0 {
		p.Op = sought.OpEQ
	}
	for p.Value = h.sought(&p); p.Value.Null; p.Value = h.sought(&p) {
	}
	if h.rnd.IntN(3) > 0 {
		return p
	}
	values := map[string]expr.Value{}
	for range 1 + h.rnd.IntN(6) {
		if v := h.sought(&p); !v.Null {
			values[h.key(p.Column, v)] = v
		}
	}
	keys := slices.Sorted(maps.Keys(values))
	p.Op, p.Null = sought.OpIn, h.rnd.IntN(3) == 0
	for i := 0; i < len(keys); i++ {
		r := sought.Range{Lo: values[keys[i]], Hi: values[keys[i]]}
		if h.rnd.IntN(3) == 0 && i+1 < len(keys) {
			i++
			r.Hi = values[keys[i]]
		}
		p.Ranges = append(p.Ranges, r)
	}
	return p
}

// test returns whether a value, by its key, is one that a predicate wants.
func (h *orderHistory) test(p *sought.Predicate) func(key []byte) bool {
	ranges := p.Ranges
	none := expr.Value{Null: true}
	switch p.Op {
	case sought.OpEQ:
		ranges = []sought.Range{{Lo: p.Value, Hi: p.Value}}
	case sought.OpGE, sought.OpGT:
		ranges = []sought.Range{{Lo: p.Value, Hi: none}}
	case sought.OpLE, sought.OpLT:
		ranges = []sought.Range{{Lo: none, Hi: p.Value}}
	}
	keys := make([][2]string, len(ranges))
	for i, r := range ranges {
		keys[i] = [2]string{h.key(p.Column, r.Lo), h.key(p.Column, r.Hi)}
	}
	return func(key []byte) bool {
		if len(key) == 1 {
			return p.Null
		}
		return slices.ContainsFunc(keys, func(k [2]string) bool {
			lo, hi := cmp.Compare(k[0], string(key)), cmp.Compare(string(key), k[1])
			if len(k[1]) == 1 { // none
				hi = -1
			}
			return (lo < 0 || lo == 0 && p.Op != sought.OpGT) && (hi < 0 || hi == 0 && p.Op != sought.OpLT)
		})
	}
}

// check compares what a scan returns with the rows of a version, as they pass the predicates.
func (h *orderHistory) check(t *testing.T, s *Snapshot, prune []sought.Predicate, first *First) {
	t.Helper()
	tests := make([]func([]byte) bool, len(prune))
	for i := range prune {
		tests[i] = h.test(&prune[i])
	}
	var room []byte
	keep := func(b *vec.Batch) (sel []int32, err error) {
		for i := range b.Rows() {
			row := i
			if b.Sel != nil {
				row = int(b.Sel[i])
			}
			pass := true
			for k := 0; k < len(prune) && pass; k++ {
				room = appendSought(room[:0], prune[k].By, b.Cols[slices.Index(orderCols, prune[k].Column)], row)
				pass = tests[k](room)
			}
			if pass {
				sel = append(sel, int32(row))
			}
		}
		return sel, nil
	}
	opt := ScanOptions{Prune: prune, First: first, Reuse: first == nil && h.rnd.IntN(2) == 0}
	if first != nil || h.rnd.IntN(2) == 0 {
		opt.Filter = &Filter{Keep: keep}
		for _, p := range prune {
			if at := slices.Index(orderCols, p.Column); !slices.Contains(opt.Filter.Columns, at) {
				opt.Filter.Columns = append(opt.Filter.Columns, at)
			}
		}
	}
	got := map[string]int{}
	for b := range h.inTurn(t, s, opt) {
		sel, _ := keep(b)
		for _, row := range sel {
			got[string(h.rowKey(first, b.Cols, int(row)))]++
		}
	}
	want := map[string]int{}
	all := h.batch(s.version)
	sel, _ := keep(all)
	for _, row := range sel {
		want[string(h.rowKey(first, all.Cols, int(row)))]++
	}
	if first != nil {
		got, want = firstOf(got, first.N), firstOf(want, first.N)
	}
	if !maps.Equal(got, want) {
		t.Fatalf("version %d, predicates %+v, first %+v: %d rows, want %d", s.version, prune, first, len(got), len(want))
	}
}

// inTurn yields what a scan returns, or, if it is for the first rows, at times several scans in turn that have the rows together.
func (h *orderHistory) inTurn(t *testing.T, s *Snapshot, opt ScanOptions) iter.Seq[*vec.Batch] {
	scans := []*Iter{s.Scan(orderCols, opt)}
	if opt.First != nil && h.rnd.IntN(2) == 0 {
		n, first := 2+h.rnd.IntN(2), *opt.First
		first.Best, opt.First, opt.Shards, scans = NewBest(n), &first, n, nil
		for opt.Shard = range n {
			scans = append(scans, s.Scan(orderCols, opt))
		}
	}
	return func(yield func(*vec.Batch) bool) {
		for at := 0; len(scans) > 0; at++ {
			at %= len(scans)
			b, err := scans[at].Next(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			if b == nil {
				scans = slices.Delete(scans, at, at+1)
				at--
			} else if !yield(b) {
				return
			}
		}
	}
}

// rowKey is what rows are compared by: all of a row, behind the column by which first ones are wanted; only that column where ties may be
// left out.
func (h *orderHistory) rowKey(first *First, cols []*vec.Vector, row int) (key []byte) {
	if first != nil {
		key = appendSought(key, first.By, cols[slices.Index(orderCols, first.Column)], row)
		if first.Desc {
			for i := range key {
				key[i] ^= 0xFF
			}
			key = append(key, 0xFF) // NULL, one byte, comes last
		}
		if !first.Ties {
			return key
		}
	}
	for _, v := range cols {
		key = vec.AppendKey(key, v, row)
	}
	return key
}

// appendSought appends what a row is found by.
func appendSought(key []byte, by types.Collation, v *vec.Vector, row int) []byte {
	if by == types.CollationBinary || v.IsNull(row) {
		return vec.AppendKey(key, v, row)
	}
	return vec.AppendKey(key, rowset.CollationKeys(by, rowset.Constant(v, row, 1)), 0)
}

// batch returns the rows of a version.
func (h *orderHistory) batch(version types.Version) *vec.Batch {
	if b := h.batches[version]; b != nil {
		return b
	}
	b := &vec.Batch{N: len(h.versions[version])}
	ids := slices.Sorted(maps.Keys(h.versions[version]))
	for _, c := range orderCols {
		v := rowset.NewVector(h.schema.Columns[c-1].Type, len(ids))
		for _, id := range ids {
			if c == 1 {
				h.append(v, expr.Value{I: id})
			} else {
				h.append(v, h.versions[version][id][c-2])
			}
		}
		b.Cols = append(b.Cols, v)
	}
	h.batches[version] = b
	return b
}

// firstOf returns the first n of rows.
func firstOf(rows map[string]int, n int) map[string]int {
	out := map[string]int{}
	for _, k := range slices.Sorted(maps.Keys(rows)) {
		if out[k] = min(rows[k], n); n <= rows[k] {
			break
		}
		n -= rows[k]
	}
	return out
}

// TestKeyOrders compares scans with a dumb model: rows are in memory, in rowsets and deleted, versions are old, and orders are there, made,
// dropped or do not fit.
func TestKeyOrders(t *testing.T) {
	t.Parallel()
	for seed := range upTo(60, 3) { // as many as there are sizes
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(uint64(seed), 11))
			opt := testOptions()
			opt.OrderBytes = []int64{1, 400 << 10, 64 << 20}[seed%3]
			s := openStore(t, t.TempDir(), opt)
			h := &orderHistory{schema: orderSchema(), rnd: rnd, rows: map[int64]orderRow{}, versions: map[types.Version]map[int64]orderRow{},
				batches: map[types.Version]*vec.Batch{}}
			m := testMeta(1)
			m.Schema = h.schema
			var err error
			if h.tb, err = s.Create(m); err != nil {
				t.Fatal(err)
			}
			for range upTo(6, 4) {
				h.write(t, 1+rnd.IntN(6000))
				old, err := h.tb.Current()
				if err != nil {
					t.Fatal(err)
				}
				h.write(t, 1+rnd.IntN(800))
				switch rnd.IntN(4) {
				case 0, 1:
					err = h.tb.Flush()
				case 2:
					err = h.tb.CompactAll(t.Context())
				}
				if err != nil {
					t.Fatal(err)
				}
				now, err := h.tb.Current()
				if err != nil {
					t.Fatal(err)
				}
				for range upTo(8, 2) {
					h.ask(t, []*Snapshot{old, now})
				}
				old.Release()
				now.Release()
			}
			if m := s.Memory(); m.Orders > m.OrderLimit {
				t.Errorf("orders take %d bytes of %d", m.Orders, m.OrderLimit)
			}
		})
	}
}

// ask asks the same several times: an order is made by the second one.
func (h *orderHistory) ask(t *testing.T, of []*Snapshot) {
	prune := []sought.Predicate{h.draw()}
	for h.rnd.IntN(3) == 0 {
		prune = append(prune, h.draw())
	}
	var first *First
	if h.rnd.IntN(2) == 0 {
		first = &First{Column: types.ColumnID(1 + h.rnd.IntN(7)), Desc: h.rnd.IntN(2) == 0, N: 1 + h.rnd.IntN(30), Ties: h.rnd.IntN(2) == 0}
		if h.rnd.IntN(4) == 0 {
			first.N *= 10
		} else if h.rnd.IntN(6) == 0 { // more than a vector
			first.N += 1500
		}
		if first.Column == 3 {
			first.By = collationsDrawn[h.rnd.IntN(len(collationsDrawn))]
		}
		if h.rnd.IntN(3) == 0 {
			prune = nil
		}
	}
	for range 4 {
		h.check(t, of[h.rnd.IntN(len(of))], prune, first)
	}
}

// loadOrdered makes a tablet of n rows that are flushed, in row groups of which each has all values.
func loadOrdered(t *testing.T, opt Options, n int) (*Store, *orderHistory) {
	s := openStore(t, t.TempDir(), opt)
	h := &orderHistory{schema: orderSchema(), rnd: rand.New(rand.NewPCG(1, 2)), rows: map[int64]orderRow{}, versions: map[types.Version]map[int64]orderRow{},
		batches: map[types.Version]*vec.Batch{}}
	m := testMeta(1)
	m.Schema = h.schema
	var err error
	if h.tb, err = s.Create(m); err != nil {
		t.Fatal(err)
	}
	h.write(t, n)
	return s, h
}

// readBy counts what a scan by predicates reads.
func (h *orderHistory) readBy(t *testing.T, s *Store, prune []sought.Predicate, first *First) (vectors, rows int64) {
	t.Helper()
	snap, err := h.tb.Current()
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Release()
	before := s.Counters()
	h.check(t, snap, prune, first)
	after := s.Counters()
	return after.VectorsRead - before.VectorsRead, after.RowsPicked - before.RowsPicked
}

// TestKeyOrdersReadFew: once there is an order, a scan by it reads the rows that it returns and no other.
func TestKeyOrdersReadFew(t *testing.T) {
	t.Parallel()
	s, h := loadOrdered(t, Options{ClusterID: testCluster, NoBackground: true, FloodBytes: 1, FloodPercent: 1}, 8900)
	if err := h.tb.Flush(); err != nil {
		t.Fatal(err)
	}
	for _, q := range []struct {
		name  string
		prune []sought.Predicate
		first *First
		most  int64 // vectors
	}{
		{"last ones", nil, &First{Column: 5, N: 3, Desc: true}, 10},
		{"first of few, of which there is no order yet", []sought.Predicate{{Column: 2, Op: sought.OpEQ, Value: expr.Value{I: 7}}}, &First{Column: 5, N: 3}, 20},
		{"one value", []sought.Predicate{{Column: 2, Op: sought.OpEQ, Value: expr.Value{I: 1000}}}, nil, 0},
		{"a range", []sought.Predicate{{Column: 7, Op: sought.OpIn, Ranges: []sought.Range{{Lo: expr.Value{I: 5}, Hi: expr.Value{I: 7}}}}}, nil, 20},
		{"a text", []sought.Predicate{{Column: 3, Op: sought.OpEQ, Value: expr.Value{B: []byte("https://example.org/a/long/path/none")}}}, nil, 0},
		{"first ones", nil, &First{Column: 2, N: 3}, 10},
		{"first by key", nil, &First{Column: 1, N: 3}, 2},
		{"last by key", nil, &First{Column: 1, N: 3, Desc: true, Ties: true}, 2},
		{"page by key", []sought.Predicate{{Column: 1, Op: sought.OpGT, Value: expr.Value{I: 4000}}}, &First{Column: 1, N: 3}, 2},
		{"first of some", []sought.Predicate{{Column: 7, Op: sought.OpGT, Value: expr.Value{I: 5}}}, &First{Column: 7, N: 3}, 10},
	} {
		for range 3 { // asked, made, used
			h.readBy(t, s, q.prune, q.first)
		}
		if vectors, rows := h.readBy(t, s, q.prune, q.first); vectors > q.most || rows > 100 || q.first != nil && rows == 0 {
			t.Errorf("%s: %d vectors are read, %d rows picked", q.name, vectors, rows)
		}
	}
	if s.Counters().OrdersMade == 0 {
		t.Error("no order is made")
	}
}

// TestKeyOrdersOfMemory: rows in memory are found by their order, not by looking at each.
func TestKeyOrdersOfMemory(t *testing.T) {
	t.Parallel()
	s, h := loadOrdered(t, testOptions(), 8900)
	p := sought.Predicate{Column: 3, Op: sought.OpEQ, Value: expr.Value{B: []byte("https://example.org/a/long/path/7")}}
	snap, err := h.tb.Current()
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Release()
	it := snap.Scan(orderCols, ScanOptions{Prune: []sought.Predicate{p}})
	read := 0
	for {
		b, err := it.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if b == nil {
			break
		}
		read += b.Rows()
	}
	if read == 0 || read > 100 {
		t.Errorf("%d rows of 8900 are read for one value", read)
	}
	if used := s.Memory().Orders; used == 0 {
		t.Error("orders of memtables are not in the gauge")
	}
	if err := h.tb.Flush(); err != nil {
		t.Fatal(err)
	}
	if used, _ := s.memOrders.Usage(); used != 0 {
		t.Errorf("after a flush the orders of memtables take %d bytes", used)
	}
}

// TestKeyOrdersOfRowsetsGo: with a rowset its orders go.
func TestKeyOrdersOfRowsetsGo(t *testing.T) {
	t.Parallel()
	s, h := loadOrdered(t, Options{ClusterID: testCluster, NoBackground: true, FloodBytes: 1, FloodPercent: 1}, 8900)
	if err := h.tb.Flush(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		h.readBy(t, s, []sought.Predicate{{Column: 2, Op: sought.OpEQ, Value: expr.Value{I: 3}}}, nil)
	}
	if used, _ := s.orders.Used(); used == 0 {
		t.Fatal("there is no order")
	}
	h.write(t, 100)
	if err := h.tb.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := h.tb.CompactAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if used, _ := s.orders.Used(); used != 0 {
		t.Errorf("orders of rowsets that were merged away take %d bytes", used)
	}
}

// TestKeyOrdersBesideMerges reads by keys while orders are dropped and rowsets are merged; it is for the race detector.
func TestKeyOrdersBesideMerges(t *testing.T) {
	t.Parallel()
	opt := testOptions()
	opt.OrderBytes = 300 << 10
	_, h := loadOrdered(t, opt, 8900)
	rows := h.versions[h.tb.Version()]
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for r := range 3 {
		mine := &orderHistory{tb: h.tb, schema: h.schema, rnd: rand.New(rand.NewPCG(uint64(r), 5)), versions: map[types.Version]map[int64]orderRow{h.tb.Version(): rows},
			batches: map[types.Version]*vec.Batch{}}
		snap, err := h.tb.Current()
		if err != nil {
			t.Fatal(err)
		}
		readers.Go(func() {
			defer snap.Release()
			for {
				select {
				case <-stop:
					return
				default:
					mine.check(t, snap, []sought.Predicate{mine.draw()}, nil)
				}
			}
		})
	}
	for range 5 {
		h.write(t, 3000)
		if err := h.tb.Flush(); err != nil {
			t.Error(err)
		}
		if err := h.tb.CompactAll(t.Context()); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	readers.Wait()
}

// TestKeyOrdersHaveValues: where no other column is wanted a scan by an order opens no row group, and returns neither rows that are
// deleted nor those of later versions.
func TestKeyOrdersHaveValues(t *testing.T) {
	t.Parallel()
	s, h := loadOrdered(t, Options{ClusterID: testCluster, NoBackground: true, FloodBytes: 1, FloodPercent: 1}, 8900)
	if err := h.tb.Flush(); err != nil {
		t.Fatal(err)
	}
	between := sought.Predicate{Column: 2, Op: sought.OpIn, Ranges: []sought.Range{{Lo: expr.Value{I: -20}, Hi: expr.Value{I: 20}}}}
	test := h.test(&between)
	count := func(snap *Snapshot, want bool) {
		t.Helper()
		before := s.Counters()
		n, all := 0, h.batch(snap.version)
		it := snap.Scan([]types.ColumnID{2}, ScanOptions{Prune: []sought.Predicate{between}})
		for {
			b, err := it.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if b == nil {
				break
			}
			for i := range b.Rows() {
				row := i
				if b.Sel != nil {
					row = int(b.Sel[i])
				}
				if test(vec.AppendKey(nil, b.Cols[0], row)) {
					n++
				}
			}
		}
		for row := range all.N {
			if test(vec.AppendKey(nil, all.Cols[slices.Index(orderCols, types.ColumnID(2))], row)) {
				n--
			}
		}
		if n != 0 {
			t.Fatalf("version %d: %d rows too many", snap.version, n)
		}
		if read := s.Counters().VectorsRead - before.VectorsRead; want && read != 0 {
			t.Errorf("%d vectors are read", read)
		}
	}
	old, err := h.tb.Current()
	if err != nil {
		t.Fatal(err)
	}
	defer old.Release()
	for i := range 4 {
		count(old, i == 3)
	}
	h.write(t, 4000)
	now, err := h.tb.Current()
	if err != nil {
		t.Fatal(err)
	}
	defer now.Release()
	count(now, false)
	count(old, true)
}

// TestKeyOrdersOfLaterColumns: a key on a column that rowsets and memtables are older than finds all of their rows by the one value that
// they have in it, and reads none for another one; a key that comes later finds what is older.
func TestKeyOrdersOfLaterColumns(t *testing.T) {
	t.Parallel()
	s, h := loadOrdered(t, Options{ClusterID: testCluster, NoBackground: true, FloodBytes: 1, FloodPercent: 1}, 8900)
	if err := h.tb.Flush(); err != nil {
		t.Fatal(err)
	}
	h.write(t, 1000)
	rows := len(h.rows)
	later := h.schema
	later.Version = 2
	later.Columns = append(slices.Clone(later.Columns), types.Column{ID: 9, Name: "later", Type: types.ColumnType{Kind: types.KindInt},
		Initial: &types.Initial{I: 5}})
	later.Indexed = append(slices.Clone(later.Indexed), 9, 8)
	if err := h.tb.SetSchema(later); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		snap, err := h.tb.Current()
		if err != nil {
			t.Fatal(err)
		}
		for value, want := range map[int64]int{5: rows, 6: 0} {
			before, found := s.Counters().VectorsRead, 0
			it := snap.Scan([]types.ColumnID{1, 9}, ScanOptions{Prune: []sought.Predicate{{Column: 9, Op: sought.OpEQ, Value: expr.Value{I: value}}}})
			for {
				b, err := it.Next(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if b == nil {
					break
				}
				for i := range b.Rows() {
					row := i
					if b.Sel != nil {
						row = int(b.Sel[i])
					}
					if b.Cols[1].I64[row] == value {
						found++
					}
				}
			}
			if found != want {
				t.Fatalf("%d rows of %d have %d in a column that came later", found, want, value)
			}
			if read := s.Counters().VectorsRead - before; value == 6 && read != 0 {
				t.Errorf("%d vectors are read for a value that no row has", read)
			}
		}
		h.check(t, snap, []sought.Predicate{{Column: 8, Op: sought.OpEQ, Value: expr.Value{B: []byte("a text of some length, of row 77")}}}, nil)
		snap.Release()
	}
}

// TestFilterThatFails: a filter that cannot tell which rows pass has all of them returned, of rowsets and of memory, by an order and
// without: an error is that of who wants the rows, and a transaction that has changed them does not.
func TestFilterThatFails(t *testing.T) {
	t.Parallel()
	_, h := loadOrdered(t, Options{ClusterID: testCluster, NoBackground: true, FloodBytes: 1, FloodPercent: 1}, 8900)
	for range 2 {
		for i := range 8 {
			asked := 0
			opt := ScanOptions{Filter: &Filter{Columns: []int{2}, Keep: func(b *vec.Batch) ([]int32, error) {
				if asked++; asked > i {
					return nil, ErrCorrupt
				}
				return allRows(b.N), nil
			}}}
			if i%2 == 0 {
				opt.First = &First{Column: 2, N: 3, Desc: i%4 == 0}
			}
			snap, err := h.tb.Current()
			if err != nil {
				t.Fatal(err)
			}
			rows := 0
			for it := snap.Scan(orderCols, opt); ; {
				b, err := it.Next(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if b == nil {
					break
				}
				rows += b.Rows()
			}
			snap.Release()
			if all := len(h.rows); rows > all || opt.First == nil && rows < all || rows < 3 || i == 0 && rows != all {
				t.Errorf("%d rows of %d, first %v, when the filter fails at call %d", rows, all, opt.First, i)
			}
		}
		if err := h.tb.Flush(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestMostRows: a scan that may look at some rows only says when there are more, and one that finds its rows among them does not.
func TestMostRows(t *testing.T) {
	t.Parallel()
	s, h := loadOrdered(t, Options{ClusterID: testCluster, NoBackground: true, FloodBytes: 1, FloodPercent: 1}, 8900)
	none := &Filter{Columns: []int{1}, Keep: func(*vec.Batch) ([]int32, error) { return nil, nil }}
	for _, flushed := range []bool{false, true} {
		if flushed {
			if err := h.tb.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		snap, err := h.tb.Current()
		if err != nil {
			t.Fatal(err)
		}
		for name, q := range map[string]struct {
			opt  ScanOptions
			many bool
		}{
			"all":              {ScanOptions{Most: 2000}, true},
			"all there are":    {ScanOptions{Most: 12000}, false},
			"first":            {ScanOptions{Most: 2000, First: &First{Column: 1, N: 20}}, false},
			"none of them are": {ScanOptions{Most: 2000, First: &First{Column: 1, N: 20}, Filter: none}, true},
		} {
			it := snap.Scan(orderCols, q.opt)
			for b := new(vec.Batch); b != nil && err == nil; {
				b, err = it.Next(t.Context())
			}
			if errors.Is(err, ErrMany) != q.many || err != nil && !q.many {
				t.Errorf("%s, flushed %v: %v", name, flushed, err)
			}
			err = nil
		}
		snap.Release()
	}
	if err := h.tb.usable(); err != nil || s == nil {
		t.Errorf("the replica is not usable: %v", err)
	}
}
