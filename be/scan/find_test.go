package scan_test

import (
	"context"
	"log/slog"
	"maps"
	"testing"
	"time"

	"pgregory.net/rapid"

	"stele/be/host"
	"stele/be/peer"
	"stele/be/scan"
	"stele/be/tablet"
	"stele/be/tablet/wire"
	"stele/be/write"
	"stele/meta/rpc"
	"stele/meta/types"
	"stele/proto/bepb"
	"stele/sql/expr"
	"stele/sql/physical"
	"stele/sql/vec"
)

var tiny = types.ColumnType{Kind: types.KindTinyInt}

// finding is a BE that leads two tablets, and what should be in them: rows of an id and a number, after each version.
type finding struct {
	first  types.TabletID
	w      *write.Writer
	h      *host.Host
	schema types.Schema
	next   uint64
	states map[types.TabletID][]map[int64]int64
	peers  *peer.Peers
}

func newFinding(t *testing.T) *finding {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	f := &finding{first: 1, next: 100, peers: peer.New(rpc.NewCluster("one")),
		schema: types.Schema{TableID: 1, Version: 1, Key: []types.ColumnID{1}, Indexed: []types.ColumnID{2},
			Columns: []types.Column{{ID: 1, Name: "id", Type: big}, {ID: 2, Name: "n", Type: tiny}}}}
	f.h = host.New([]host.Root{{Path: t.TempDir()}}, log, func(_ host.Root, c types.ClusterID) tablet.Options {
		return tablet.Options{ClusterID: c, Small: true, NoBackground: true, FloodBytes: 1, FloodPercent: 1, ReadAge: time.Hour}
	})
	if err := f.h.Join("one", 1); err != nil {
		t.Fatal(err)
	}
	f.w = write.New(f.h, f.peers, write.Options{ReplicateTimeout: time.Second, VersionWait: time.Second}, log)
	f.w.FindBy(scan.New(f.h, f.w))
	t.Cleanup(func() {
		f.w.Close()
		_ = f.peers.Close()
		_ = f.h.Close()
	})
	return f
}

// foundOf is how many rows a tablet has: enough for the orders of keys.
const foundOf = 300

// begin makes two tablets with rows, of which those of the first one lie in a rowset.
func (f *finding) begin(t *rapid.T) {
	f.first += 2
	f.states = map[types.TabletID][]map[int64]int64{}
	for _, id := range f.tablets() {
		tb, err := f.h.Disks()[0].Store.Create(tablet.Meta{Tablet: id, Table: 1, Partition: 1, Replica: types.ReplicaID(id), Schema: f.schema, Epoch: 1})
		if err != nil {
			t.Fatal(err)
		}
		first := map[int64]int64{}
		b := &vec.Batch{N: foundOf, Cols: []*vec.Vector{vec.New(big, foundOf), {Type: tiny, N: foundOf, I64: make([]int64, foundOf)}}}
		for i := range foundOf {
			b.Cols[0].I64[i], b.Cols[1].I64[i] = int64(i+1), int64(i%50)
			first[int64(i+1)] = int64(i % 50)
		}
		payload, err := wire.Encode(&f.schema, make([]types.RowOp, foundOf), b)
		if err == nil {
			err = tb.PreparePart(context.Background(), 9, 0, payload)
		}
		if err == nil {
			err = tb.Publish(9, 2)
		}
		if err == nil && id == f.first {
			err = tb.Flush()
		}
		if err != nil {
			t.Fatal(err)
		}
		f.states[id] = []map[int64]int64{{}, {}, first} // a tablet begins with version 1
	}
}

func (f *finding) tablets() []types.TabletID { return []types.TabletID{f.first, f.first + 1} }

// foundChange is UPDATE … SET n = n + by WHERE n BETWEEN lo AND hi, or DELETE, or the same for the rows with some ids.
type foundChange struct {
	delete bool
	by     int64
	lo, hi int64
	ids    []int64 // nil = by the condition
}

func drawChange(t *rapid.T) foundChange {
	c := foundChange{delete: rapid.IntRange(0, 3).Draw(t, "delete") == 0, by: rapid.SampledFrom([]int64{0, 1, 2, 125}).Draw(t, "by"),
		lo: rapid.Int64Range(0, 5).Draw(t, "lo")}
	c.hi = c.lo + rapid.Int64Range(0, 2).Draw(t, "width")
	if rapid.Bool().Draw(t, "by ids") {
		c.ids = rapid.SliceOfNDistinct(rapid.Int64Range(1, 14), 1, 4, rapid.ID[int64]).Draw(t, "ids")
	}
	return c
}

func (c foundChange) wants(id, n int64) bool {
	if c.ids == nil {
		return n >= c.lo && n <= c.hi
	}
	for _, x := range c.ids {
		if x == id {
			return true
		}
	}
	return false
}

func (c foundChange) request(f *finding, txn uint64) *bepb.ModifyRowsRequest {
	call := func(name string, args ...*expr.Node) *expr.Node {
		n, err := expr.Call(name, args...)
		if err != nil {
			panic(err)
		}
		return n
	}
	find := &physical.Fragment{Schema: f.schema, Columns: []types.ColumnID{1, 2}}
	if c.ids == nil {
		find.Filter = call("and", call(">=", expr.Col(1, tiny), expr.ConstInt(c.lo)), call("<=", expr.Col(1, tiny), expr.ConstInt(c.hi)))
	} else {
		find.Keys = vec.EncodeKeys(&vec.Batch{N: len(c.ids), Cols: []*vec.Vector{{Type: big, N: len(c.ids), I64: c.ids}}}, []int{0})
	}
	change := &physical.Change{Columns: []types.ColumnID{1, 2}, Strict: true, Delete: c.delete}
	if !c.delete {
		change.Assign = []physical.Assignment{{Column: 1, Value: call("+", expr.Col(1, tiny), expr.ConstInt(c.by)), To: types.Column{ID: 2, Type: tiny}}}
	}
	req := &bepb.ModifyRowsRequest{Write: &bepb.WriteRequest{TxnId: txn, LockWaitMs: 0}}
	var err error
	if req.Find, err = physical.EncodeFragment(find); err == nil {
		req.Change, err = physical.EncodeChange(change)
	}
	if err != nil {
		panic(err)
	}
	return req
}

// apply does a change to rows; ok is false where one would not fit.
func (c foundChange) apply(rows map[int64]int64) (next map[int64]int64, matched int64, changed []int64, ok bool) {
	next = maps.Clone(rows)
	for id, n := range rows {
		if !c.wants(id, n) {
			continue
		}
		matched++
		switch {
		case c.delete:
			delete(next, id)
		case n+c.by > 127:
			return rows, 0, nil, false
		default:
			next[id] = n + c.by
		}
		if c.delete || c.by != 0 {
			changed = append(changed, id)
		}
	}
	return next, matched, changed, true
}

func (f *finding) rows(t *rapid.T, id types.TabletID) map[int64]int64 {
	tb, _ := f.h.Tablet(id)
	snap, err := tb.Current()
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Release()
	out := map[int64]int64{}
	it := snap.Scan([]types.ColumnID{1, 2}, tablet.ScanOptions{})
	for {
		b, err := it.Next(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if b == nil {
			return out
		}
		for k := range b.Rows() {
			out[b.Cols[0].I64[b.Row(k)]] = b.Cols[1].I64[b.Row(k)]
		}
	}
}

// TestModifyRowsAgreesWithMaps: transactions change the rows that they find, in the newest state or an older one, what they have changed before among them, and are
// committed or aborted. They are refused where somebody has changed one of their rows since, and only there; what fails leaves nothing.
func TestModifyRowsAgreesWithMaps(t *testing.T) {
	f := newFinding(t)
	var generals, conflicts, written, both int
	rapid.Check(t, func(t *rapid.T) {
		f.begin(t)
		for range rapid.IntRange(1, 12).Draw(t, "transactions") {
			f.transaction(t, &generals, &conflicts, &written, &both)
			for _, id := range f.tablets() {
				states := f.states[id]
				if got, want := f.rows(t, id), states[len(states)-1]; !maps.Equal(got, want) {
					t.Fatalf("tablet %d has %v, not %v", id, got, want)
				}
				f.digest(t, id)
			}
		}
	})
	if generals == 0 || conflicts == 0 || written == 0 || both == 0 {
		t.Fatalf("drawn: %d general, %d conflicts, %d written, %d in both tablets", generals, conflicts, written, both)
	}
}

// digest holds the digest, which a flush moves on by what publishing was told of the rows that ended, against that of all rows.
func (f *finding) digest(t *rapid.T, id types.TabletID) {
	tb, _ := f.h.Tablet(id)
	if rapid.IntRange(0, 3).Draw(t, "flush") == 0 {
		if err := tb.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	digest, rows, err := tb.Digest(tb.Version())
	if err != nil {
		t.Fatal(err)
	}
	want, n, err := tb.ScanDigest(context.Background(), tb.Version())
	if err != nil || digest != want || rows != n {
		t.Fatalf("tablet %d: digest %x of %d rows, scanned %x of %d, %v", id, digest, rows, want, n, err)
	}
}

// transaction is some statements over one state, and their end.
func (f *finding) transaction(t *rapid.T, generals, conflicts, written, both *int) {
	f.next++
	x := &found{finding: f, explicit: rapid.Bool().Draw(t, "explicit"), of: map[types.TabletID]*foundIn{}}
	for _, id := range f.tablets() {
		states := f.states[id]
		read := max(2, len(states)-1-rapid.SampledFrom([]int{0, 0, 1}).Draw(t, "behind"))
		x.of[id] = &foundIn{read: read, own: states[read], touched: map[int64]bool{}}
	}
	statements := 1
	if x.explicit {
		statements = rapid.IntRange(1, 3).Draw(t, "statements")
	}
	for range statements {
		general, conflict, tablets := x.statement(t, drawChange(t))
		if tablets > 0 {
			*written++
		}
		if tablets > 1 {
			*both++
		}
		if general {
			*generals++
		}
		if conflict {
			*conflicts++
			f.abort(t)
			return
		}
	}
	if rapid.IntRange(0, 3).Draw(t, "abort") == 0 {
		f.abort(t)
		return
	}
	x.commit(t)
}

// found is one transaction.
type found struct {
	*finding
	explicit bool
	of       map[types.TabletID]*foundIn
}

// foundIn is what a transaction has made of one tablet.
type foundIn struct {
	read    int // the version that it reads
	seq     uint64
	own     map[int64]int64
	touched map[int64]bool
}

// statement says in how many tablets rows were written.
func (x *found) statement(t *rapid.T, c foundChange) (general, conflict bool, tablets int) {
	req := c.request(x.finding, x.next)
	req.Write.ExplicitTxn = x.explicit
	ok, matched, next, changed := true, int64(0), map[types.TabletID]map[int64]int64{}, map[types.TabletID][]int64{}
	for _, id := range x.tablets() {
		in, states := x.of[id], x.states[id]
		req.Write.Parts = append(req.Write.Parts, &bepb.WriteRequest_Part{TabletId: uint64(id), Epoch: 1, ReplicaId: uint64(id), Seq: in.seq, LeaderStartMs: 1, RedoBytes: 1 << 20,
			MinVersion: uint64(len(states) - 1), ReadVersion: uint64(in.read)})
		rows, m, ids, fits := c.apply(in.own)
		ok, matched, next[id] = ok && fits, matched+m, rows
		for _, row := range ids {
			was, had := states[in.read][row]
			is, has := states[len(states)-1][row]
			conflict = conflict || was != is || had != has
		}
		if len(ids) > 0 {
			changed[id] = ids
		}
	}
	resp := x.w.ModifyRows(context.Background(), req)
	switch {
	case !ok:
		if !resp.General {
			t.Fatalf("%+v: %v", c, resp)
		}
		return true, false, 0
	case conflict:
		if resp.Write.Refusal != bepb.WriteResponse_CONFLICT {
			t.Fatalf("%+v should be refused: %v", c, resp)
		}
		return false, true, 0
	case resp.General || resp.Write.Refusal != 0 || resp.Matched != matched || len(resp.Write.Parts) != len(changed):
		t.Fatalf("%+v: %d matched in %d tablets, answered %v", c, matched, len(changed), resp)
	}
	for i, p := range resp.Write.Parts {
		if x.explicit {
			if b, err := vec.Decode(resp.Rows[i]); err != nil || int64(b.N) != p.Replaced+p.Deleted {
				t.Fatalf("%+v: rows %v, %v", p, b, err)
			}
		}
	}
	for id, ids := range changed {
		in := x.of[id]
		in.seq, in.own = in.seq+1, next[id]
		for _, row := range ids {
			in.touched[row] = true
		}
	}
	return false, false, len(changed)
}

func (f *finding) abort(t *rapid.T) {
	for _, id := range f.tablets() {
		if err := f.w.Abort(types.TxnID(f.next), 0, id); err != nil {
			t.Fatal(err)
		}
	}
}

// commit publishes what was written: over the newest state, whatever was read.
func (x *found) commit(t *rapid.T) {
	for id, in := range x.of {
		if in.seq == 0 {
			continue
		}
		v := len(x.states[id])
		got := x.w.Publish(context.Background(), []*bepb.PublishRequest_Item{{TabletId: uint64(id), TxnId: x.next, Version: uint64(v), Parts: uint32(in.seq)}})
		if got[0] != uint64(v) {
			t.Fatalf("published %d, not %d", got[0], v)
		}
		now := maps.Clone(x.states[id][v-1])
		for row := range in.touched {
			if n, there := in.own[row]; there {
				now[row] = n
			} else {
				delete(now, row)
			}
		}
		x.states[id] = append(x.states[id], now)
	}
}
