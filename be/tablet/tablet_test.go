package tablet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"stele/be/tablet/sought"
	"stele/be/tablet/wire"
	"stele/meta/types"
	"stele/sql/rowset"
	"stele/sql/vec"
)

const testCluster = types.ClusterID("test-cluster")

// testSchema has a two-column key, and a column of every physical form.
func testSchema() types.Schema {
	return types.Schema{
		TableID: 1, Version: 1, Key: []types.ColumnID{2, 1},
		Columns: []types.Column{
			{ID: 1, Name: "id", Type: types.ColumnType{Kind: types.KindBigInt, NotNull: true}},
			{ID: 2, Name: "tag", Type: types.ColumnType{Kind: types.KindVarChar, Length: 10, NotNull: true}},
			{ID: 3, Name: "n", Type: types.ColumnType{Kind: types.KindInt}},
			{ID: 4, Name: "f", Type: types.ColumnType{Kind: types.KindDouble}},
			{ID: 5, Name: "d", Type: types.ColumnType{Kind: types.KindDecimal, Length: 30, Scale: 2}},
			{ID: 6, Name: "s", Type: types.ColumnType{Kind: types.KindText}},
		},
	}
}

func testMeta(id types.TabletID) Meta {
	return Meta{Tablet: id, Table: 1, Partition: 1, Replica: types.ReplicaID(id) * 10, Schema: testSchema(), Epoch: 1}
}

func testOptions() Options {
	return Options{ClusterID: testCluster, Small: true, NoBackground: true, FloodBytes: 1, FloodPercent: 1}
}

// hangingWrite has the first write to meta after hangs is set say so and wait until goOn is closed.
func hangingWrite(opt *Options) (hangs *atomic.Bool, hanging, goOn chan struct{}) {
	hangs, hanging, goOn = &atomic.Bool{}, make(chan struct{}, 1), make(chan struct{})
	opt.Faults.Write = func(instance string, _ bool) error {
		if instance == "meta" && hangs.CompareAndSwap(true, false) {
			hanging <- struct{}{}
			<-goOn
		}
		return nil
	}
	return hangs, hanging, goOn
}

func openStore(t testing.TB, dir string, opt Options) *Store {
	t.Helper()
	s, err := Open(dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// row is a row of testSchema; val < 0 makes every column but the key NULL.
type row struct {
	id  int64
	tag string
	val int64
}

func batchOf(rows []row) *vec.Batch {
	schema := testSchema()
	b := &vec.Batch{N: len(rows)}
	for i := range schema.Columns {
		b.Cols = append(b.Cols, rowset.NewVector(schema.Columns[i].Type, len(rows)))
	}
	for _, r := range rows {
		c := b.Cols
		c[0].I64, c[0].N = append(c[0].I64, r.id), c[0].N+1
		appendBytes(c[1], r.tag)
		if r.val < 0 {
			for _, v := range c[2:] {
				rowset.AppendNull(v)
			}
			continue
		}
		one := &vec.Vector{N: 1, I64: []int64{r.val}, F64: []float64{float64(r.val) / 2}, Dec: []vec.Int128{{Hi: r.val, Lo: uint64(r.val)}}}
		text := fmt.Sprintf("value %d of row %d", r.val, r.id)
		one.Off, one.Data = []uint32{0, uint32(len(text))}, []byte(text)
		for _, v := range c[2:] {
			rowset.AppendRow(v, one, 0)
		}
	}
	return b
}

func appendBytes(v *vec.Vector, s string) {
	v.Data = append(v.Data, s...)
	v.Off = append(v.Off, uint32(len(v.Data)))
	if v.N++; v.Valid != nil {
		panic("BUG: test vector of NOT NULL column has a validity bitmap")
	}
}

func encode(t testing.TB, ops []types.RowOp, rows []row) []byte {
	t.Helper()
	schema := testSchema()
	p, err := wire.Encode(&schema, ops, batchOf(rows))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func puts(t testing.TB, rows ...row) []byte {
	return encode(t, make([]types.RowOp, len(rows)), rows)
}

func deletesPayload(t testing.TB, rows ...row) []byte {
	return encode(t, slices.Repeat([]types.RowOp{types.OpDelete}, len(rows)), rows)
}

// prepare is PreparePart, every other time by PrepareLater.
func prepare(tb *Tablet, txn types.TxnID, part int, payload []byte) error {
	ended := make(chan error, 1)
	if txn%2 == 0 && tb.PrepareLater(txn, part, payload, func(err error) { ended <- err }) {
		return <-ended
	}
	return tb.PreparePart(context.Background(), txn, part, payload)
}

// commit prepares and publishes a payload as the next version.
func commit(t testing.TB, tb *Tablet, payload []byte) types.Version {
	t.Helper()
	v := tb.Version() + 1
	txn := types.TxnID(1000 + v)
	if err := prepare(tb, txn, 0, payload); err != nil {
		t.Fatal(err)
	}
	if err := tb.Publish(txn, v); err != nil {
		t.Fatal(err)
	}
	return v
}

type rowKey struct {
	id  int64
	tag string
}

var allColumns = []types.ColumnID{1, 2, 3, 4, 5, 6}

// readBatch turns a batch of allColumns into rows and checks that the columns of each row agree.
func readBatch(t testing.TB, b *vec.Batch, into map[rowKey]int64) {
	t.Helper()
	sel := b.Sel
	if sel == nil {
		sel = allRows(b.N)
	}
	for _, i := range sel {
		k := rowKey{b.Cols[0].I64[i], string(b.Cols[1].Bytes(int(i)))}
		val := int64(-1)
		if !b.Cols[2].IsNull(int(i)) {
			val = b.Cols[2].I64[i]
		}
		want := batchOf([]row{{k.id, k.tag, val}})
		for c := range b.Cols {
			got, exp := vec.AppendKey(nil, b.Cols[c], int(i)), vec.AppendKey(nil, want.Cols[c], 0)
			if !slices.Equal(got, exp) {
				t.Fatalf("row %v column %d is %x, want %x", k, c, got, exp)
			}
		}
		if _, twice := into[k]; twice {
			t.Fatalf("row %v twice", k)
		}
		into[k] = val
	}
}

func scanAll(t testing.TB, s *Snapshot, opt ScanOptions) map[rowKey]int64 {
	t.Helper()
	out := make(map[rowKey]int64)
	it := s.Scan(allColumns, opt)
	for {
		b, err := it.Next(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if b == nil {
			return out
		}
		if b.Rows() == 0 || b.N > vec.MaxRows {
			t.Fatalf("batch of %d rows of %d", b.Rows(), b.N)
		}
		readBatch(t, b, out)
	}
}

func contents(t testing.TB, tb *Tablet, v types.Version) map[rowKey]int64 {
	t.Helper()
	s, err := tb.Snapshot(v)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Release()
	return scanAll(t, s, ScanOptions{})
}

func wantContents(t testing.TB, tb *Tablet, v types.Version, want map[rowKey]int64) {
	t.Helper()
	if got := contents(t, tb, v); !maps.Equal(got, want) {
		t.Fatalf("version %d has %v, want %v", v, got, want)
	}
}

func keyOf(k rowKey) []byte {
	return vec.AppendRowKey(nil, batchOf([]row{{k.id, k.tag, 0}}), []int{1, 0}, 0)
}

func newTestTablet(t testing.TB) (*Store, *Tablet) {
	t.Helper()
	s := openStore(t, t.TempDir(), testOptions())
	tb, err := s.Create(testMeta(1))
	if err != nil {
		t.Fatal(err)
	}
	return s, tb
}

func TestVersionsStayReadableAcrossFlushAndCompaction(t *testing.T) {
	_, tb := newTestTablet(t)
	v2 := commit(t, tb, puts(t, row{1, "a", 10}, row{2, "b", 20}, row{3, "c", -1}))
	v3 := commit(t, tb, encode(t, []types.RowOp{types.OpPut, types.OpDelete, types.OpPut}, []row{{1, "a", 11}, {2, "b", 0}, {4, "d", 40}}))
	at2 := map[rowKey]int64{{1, "a"}: 10, {2, "b"}: 20, {3, "c"}: -1}
	at3 := map[rowKey]int64{{1, "a"}: 11, {3, "c"}: -1, {4, "d"}: 40}
	check := func(step string) {
		t.Helper()
		t.Log(step)
		wantContents(t, tb, 1, map[rowKey]int64{})
		wantContents(t, tb, v2, at2)
		wantContents(t, tb, v3, at3)
	}
	check("deltas")
	if err := tb.Flush(); err != nil {
		t.Fatal(err)
	}
	check("flushed")
	v4 := commit(t, tb, puts(t, row{1, "a", 12}, row{5, "e", 50}))
	if err := tb.Flush(); err != nil {
		t.Fatal(err)
	}
	check("flushed twice")
	if err := tb.CompactAll(context.Background()); err != nil {
		t.Fatal(err)
	}
	check("compacted")
	wantContents(t, tb, v4, map[rowKey]int64{{1, "a"}: 12, {3, "c"}: -1, {4, "d"}: 40, {5, "e"}: 50})
	if st := tb.Stats(); st.Rows != 4 || st.Rowsets != 1 || st.Deltas != 0 {
		t.Fatalf("stats %+v", st)
	}
}

func TestPublishOrder(t *testing.T) {
	_, tb := newTestTablet(t)
	ctx := context.Background()
	if err := tb.Publish(7, 2); !errors.Is(err, ErrUnknownTxn) {
		t.Fatalf("publish of nothing: %v", err)
	}
	if err := tb.PreparePart(ctx, 7, 1, puts(t, row{1, "a", 1})); !errors.Is(err, ErrPartGap) {
		t.Fatalf("part 1 first: %v", err)
	}
	for range 2 { // a repeated part is one part
		if err := tb.PreparePart(ctx, 7, 0, puts(t, row{1, "a", 1})); err != nil {
			t.Fatal(err)
		}
	}
	if err := tb.PreparePart(ctx, 7, 1, puts(t, row{1, "a", 2})); err != nil {
		t.Fatal(err)
	}
	if err := tb.Publish(7, 3); !errors.Is(err, ErrGap) {
		t.Fatalf("gap: %v", err)
	}
	for range 2 {
		if err := tb.Publish(7, 2); err != nil {
			t.Fatal(err)
		}
	}
	wantContents(t, tb, 2, map[rowKey]int64{{1, "a"}: 2})
	if err := tb.PreparePart(ctx, 7, 0, puts(t, row{1, "a", 1})); err != nil || len(tb.Pending()) != 0 {
		t.Fatalf("a part that comes late: %v, pending %v", err, tb.Pending())
	}
	if err := tb.Prepare(ctx, 8, puts(t, row{9, "z", 9})); err != nil {
		t.Fatal(err)
	}
	if err := tb.Abort(8); err != nil || len(tb.Pending()) != 0 {
		t.Fatalf("abort: %v, pending %v", err, tb.Pending())
	}
	var behind *BehindError
	if _, err := tb.Snapshot(3); !errors.As(err, &behind) || behind.Have != 2 || !errors.Is(err, ErrBehind) {
		t.Fatalf("snapshot of the future: %v", err)
	}
}

func TestGetAndExists(t *testing.T) {
	_, tb := newTestTablet(t)
	v2 := commit(t, tb, puts(t, row{1, "a", 10}, row{2, "b", 20}))
	if err := tb.Flush(); err != nil {
		t.Fatal(err)
	}
	v3 := commit(t, tb, encode(t, []types.RowOp{types.OpPut, types.OpDelete}, []row{{3, "c", 30}, {2, "b", 0}}))
	keys := [][]byte{keyOf(rowKey{3, "c"}), keyOf(rowKey{2, "b"}), keyOf(rowKey{9, "x"}), keyOf(rowKey{1, "a"})}
	for _, c := range []struct {
		v     types.Version
		found []bool
		rows  map[rowKey]int64
	}{
		{v2, []bool{false, true, false, true}, map[rowKey]int64{{2, "b"}: 20, {1, "a"}: 10}},
		{v3, []bool{true, false, false, true}, map[rowKey]int64{{3, "c"}: 30, {1, "a"}: 10}},
	} {
		s, err := tb.Snapshot(c.v)
		if err != nil {
			t.Fatal(err)
		}
		b, found, err := s.Get(keys, allColumns)
		s.Release()
		if err != nil || !slices.Equal(found, c.found) {
			t.Fatalf("version %d: found %v, %v", c.v, found, err)
		}
		got := make(map[rowKey]int64)
		readBatch(t, b, got)
		if !maps.Equal(got, c.rows) || b.N != len(keys) {
			t.Fatalf("version %d: got %v of %d", c.v, got, b.N)
		}
	}
	if found, err := tb.Exists(keys); err != nil || !slices.Equal(found, []bool{true, false, false, true}) {
		t.Fatalf("exists %v, %v", found, err)
	}
}

func TestLastChange(t *testing.T) {
	_, tb := newTestTablet(t)
	v2 := commit(t, tb, puts(t, row{1, "a", 10}))
	v3 := commit(t, tb, deletesPayload(t, row{1, "a", 0}, row{2, "b", 0}))
	if v, known := tb.LastChange(keyOf(rowKey{1, "a"})); !known || v != v3 {
		t.Fatalf("deleted row changed at %d, %v", v, known)
	}
	if _, known := tb.LastChange(keyOf(rowKey{2, "b"})); known {
		t.Fatal("a delete of nothing counts as a change")
	}
	if from := tb.ChangesKnownFrom(); from >= v2 {
		t.Fatalf("known from %d", from)
	}
}

func TestReopen(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, testOptions())
	tb, err := s.Create(testMeta(1))
	if err != nil {
		t.Fatal(err)
	}
	commit(t, tb, puts(t, row{1, "a", 1}, row{2, "b", 2}))
	if err := tb.Flush(); err != nil {
		t.Fatal(err)
	}
	v := commit(t, tb, encode(t, []types.RowOp{types.OpDelete, types.OpPut}, []row{{1, "a", 0}, {3, "c", 3}}))
	if err := tb.Prepare(context.Background(), 77, puts(t, row{4, "d", 4})); err != nil {
		t.Fatal(err)
	}
	id := s.ID()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, dir, testOptions())
	if s.ID() != id {
		t.Fatalf("disk id %d became %d", id, s.ID())
	}
	tb, ok := s.Tablet(1)
	if !ok || tb.Version() != v || !slices.Equal(tb.Pending(), []types.TxnID{77}) {
		t.Fatalf("tablet %v at %d with pending %v", ok, tb.Version(), tb.Pending())
	}
	wantContents(t, tb, v, map[rowKey]int64{{2, "b"}: 2, {3, "c"}: 3})
	if err := tb.Publish(77, v+1); err != nil {
		t.Fatal(err)
	}
	wantContents(t, tb, v+1, map[rowKey]int64{{2, "b"}: 2, {3, "c"}: 3, {4, "d"}: 4})
	if st := tb.Stats(); st.Rows != 3 {
		t.Fatalf("stats %+v", st)
	}
}

func TestForeignDiskIsRefused(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, testOptions())
	if _, err := s.Create(testMeta(1)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	other := testOptions()
	other.ClusterID = "another"
	if _, err := Open(dir, other); !errors.Is(err, ErrForeignDisk) {
		t.Fatalf("open by another cluster: %v", err)
	}
	if _, ok := openStore(t, dir, testOptions()).Tablet(1); !ok {
		t.Fatal("the tablet is gone")
	}
}

func TestCreateAndDrop(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, testOptions())
	tb, err := s.Create(testMeta(1))
	if err != nil {
		t.Fatal(err)
	}
	if again, err := s.Create(testMeta(1)); err != nil || again != tb {
		t.Fatalf("create again: %v", err)
	}
	other := testMeta(1)
	other.Replica++
	if _, err := s.Create(other); !errors.Is(err, ErrExists) {
		t.Fatalf("create another replica: %v", err)
	}
	alien := testMeta(1)
	alien.Table++
	if _, err := s.Create(alien); !errors.Is(err, ErrExists) {
		t.Fatalf("create a replica of another table: %v", err)
	}
	commit(t, tb, puts(t, row{1, "a", 1}))
	if _, err := s.Create(testMeta(1)); !errors.Is(err, ErrExists) {
		t.Fatalf("create a replica that has rows: %v", err)
	}
	if err := tb.Flush(); err != nil {
		t.Fatal(err)
	}
	snap, err := tb.Current()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Drop(1, other.Replica); err != nil {
		t.Fatal(err)
	}
	if _, ok := s.Tablet(1); !ok {
		t.Fatal("dropping another replica dropped this one")
	}
	if err := s.Drop(1, tb.Meta().Replica); err != nil {
		t.Fatal(err)
	}
	if err := s.Maintain(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := scanAll(t, snap, ScanOptions{}); len(got) != 1 {
		t.Fatalf("a pinned snapshot lost its rows: %v", got)
	}
	snap.Release()
	if err := tb.Prepare(context.Background(), 5, puts(t, row{2, "b", 1})); !errors.Is(err, ErrDropped) {
		t.Fatalf("write to a dropped tablet: %v", err)
	}
	if err := s.Maintain(context.Background()); err != nil {
		t.Fatal(err)
	}
	wantNoKeys(t, s)
}

// wantNoKeys checks that only the superblock is left.
func wantNoKeys(t *testing.T, s *Store) {
	t.Helper()
	visit := func(key []byte) error {
		if key[0] != kSuper {
			t.Errorf("key %x is left", key)
		}
		return nil
	}
	if err := errors.Join(s.meta.ScanKeys(nil, visit), s.data.ScanKeys(nil, visit)); err != nil {
		t.Fatal(err)
	}
}

func TestHorizonForgetsOldVersions(t *testing.T) {
	now := time.Unix(1000, 0)
	opt := testOptions()
	opt.Now = func() time.Time { return now }
	opt.ReadAge = time.Minute
	s := openStore(t, t.TempDir(), opt)
	tb, err := s.Create(testMeta(1))
	if err != nil {
		t.Fatal(err)
	}
	v2 := commit(t, tb, puts(t, row{1, "a", 1}))
	now = now.Add(30 * time.Second)
	v3 := commit(t, tb, puts(t, row{1, "a", 2}))
	pin, err := tb.Snapshot(v2)
	if err != nil {
		t.Fatal(err)
	}
	now = now.Add(10 * time.Minute)
	if err := tb.Flush(); err != nil {
		t.Fatal(err)
	}
	if got := scanAll(t, pin, ScanOptions{}); !maps.Equal(got, map[rowKey]int64{{1, "a"}: 1}) {
		t.Fatalf("pinned version has %v", got)
	}
	pin.Release()
	if err := tb.CompactAll(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, err := tb.Snapshot(v2); !errors.Is(err, ErrGone) {
		t.Fatalf("old version: %v", err)
	}
	wantContents(t, tb, v3, map[rowKey]int64{{1, "a"}: 2})
	if n := tb.rowsets[0].entry.Rows; n != 1 {
		t.Fatalf("%d rows are stored", n)
	}
}

func TestScanPrunes(t *testing.T) {
	_, tb := newTestTablet(t)
	var rows []row
	for i := range 5000 {
		rows = append(rows, row{int64(i), "t", int64(i)})
	}
	v := commit(t, tb, puts(t, rows...))
	if err := tb.Flush(); err != nil {
		t.Fatal(err)
	}
	s, err := tb.Snapshot(v)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Release()
	value := func(i int64) (p sought.Predicate) { p.Column, p.Value.I = 3, i; return p }
	eq := value(4999)
	if got := scanAll(t, s, ScanOptions{Prune: []sought.Predicate{eq}}); len(got) != 5000-2*vec.MaxRows || got[rowKey{4999, "t"}] != 4999 {
		t.Fatalf("%d rows for one value", len(got))
	}
	none := value(5000)
	if got := scanAll(t, s, ScanOptions{Prune: []sought.Predicate{none}}); len(got) != 0 {
		t.Fatalf("%d rows for no value", len(got))
	}
	if got := scanAll(t, s, ScanOptions{MaxRows: 3000}); len(got) != 3000 {
		t.Fatalf("%d rows of at most 3000", len(got))
	}
	if b, err := s.Scan(nil, ScanOptions{}).Next(context.Background()); err != nil || b.N != vec.MaxRows || len(b.Cols) != 0 {
		t.Fatalf("scan of no columns: %v, %v", b, err)
	}
}

func TestDecodeWriteRefusesDamage(t *testing.T) {
	schema := testSchema()
	p := encode(t, []types.RowOp{types.OpPut, types.OpDelete}, []row{{1, "a", 1}, {2, "b", -1}})
	for i := range p {
		bad := slices.Clone(p)
		bad[i] ^= 1
		if _, _, err := wire.Decode(&schema, bad); !errors.Is(err, ErrPayload) {
			t.Fatalf("byte %d flipped: %v", i, err)
		}
	}
}

// TestDeletesAreSmall: of rows that are deleted the payload has the keys, whatever else the writer knows of them.
func TestDeletesAreSmall(t *testing.T) {
	rows := manyRows(0, 3000)
	for i := range rows {
		rows[i].val = int64(i) * 0x9E3779B97F4A7C
	}
	schema := testSchema()
	all, gone := puts(t, rows...), deletesPayload(t, rows...)
	if len(gone) > len(all)/2 {
		t.Errorf("%d bytes delete what %d bytes have put", len(gone), len(all))
	}
	ops, b, err := wire.Decode(&schema, gone)
	if err != nil || len(ops) != len(rows) || b.N != len(rows) {
		t.Fatalf("%d operations, %v", len(ops), err)
	}
	for i, r := range rows {
		if ops[i] != types.OpDelete || b.Cols[0].I64[i] != r.id {
			t.Fatalf("row %d: %v of %d", i, ops[i], b.Cols[0].I64[i])
		}
	}
	_, tb := newTestTablet(t)
	commit(t, tb, all)
	wantContents(t, tb, commit(t, tb, gone), nil)
}
