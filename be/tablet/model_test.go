package tablet

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"stele/be/tablet/wire"
	"stele/meta/types"
)

// model is what a tablet must be, as a map for each version.
type model struct {
	versions []map[rowKey]int64 // index 0 is version 1
	payloads [][][]byte         // parts of the transaction that made a version
	pending  map[types.TxnID][][]byte
	effects  map[types.TxnID][]effect
	light    map[types.TxnID]bool // pending in memory alone
	txns     []types.TxnID        // that made version 2, 3, …
	nextTxn  types.TxnID
}

type effect struct {
	op  types.RowOp
	row row
}

func (m *model) version() types.Version { return types.Version(len(m.versions)) }

// machine drives one replica and the model. Steps are drawn by rapid.
type machine struct {
	t     *rapid.T
	tb    testing.TB
	opt   Options
	root  string
	dir   string
	dirs  int
	store *Store
	tab   *Tablet
	m     model
	snaps []*Snapshot
	free  int64 // on the disk, of which modelReserve is reserved
}

const (
	modelReserve = int64(8 << 20)
	modelAmple   = int64(1 << 30)
)

// fill has the disk become fuller, or emptier.
func (x *machine) fill() {
	x.free = rapid.SampledFrom([]int64{modelAmple, modelReserve - 1, modelReserve * 5 / 8, modelReserve * 3 / 8, 0}).Draw(x.t, "free")
}

// checkRoom is check of what a disk below its reserve may refuse.
func (x *machine) checkRoom(err error) {
	if x.free >= modelReserve || !errors.Is(err, ErrDiskFull) {
		x.check(err)
	}
}

func (x *machine) check(err error) {
	if err != nil {
		x.t.Fatal(err)
	}
}

// open opens the disk; one of the release before may become one of this.
func (x *machine) open() {
	if x.opt.format != 0 && rapid.Bool().Draw(x.t, "upgrade") {
		x.opt.format = 0
	}
	s, err := Open(x.dir, x.opt)
	x.check(err)
	tab, ok := s.Tablet(1)
	if !ok {
		x.t.Fatal("tablet is missing")
	}
	x.store, x.tab = s, tab
}

func (x *machine) drawWrite() ([]byte, []effect) {
	n := rapid.IntRange(1, 6).Draw(x.t, "rows")
	ops := make([]types.RowOp, n)
	rows := make([]row, n)
	effects := make([]effect, n)
	for i := range rows {
		if rapid.IntRange(0, 3).Draw(x.t, "op") == 0 {
			ops[i] = types.OpDelete
		}
		rows[i] = row{
			id: rapid.Int64Range(-3, 3).Draw(x.t, "id"), tag: rapid.SampledFrom([]string{"", "a", "a\x00", "b"}).Draw(x.t, "tag"),
			val: rapid.Int64Range(-1, 50).Draw(x.t, "val"),
		}
		effects[i] = effect{ops[i], rows[i]}
	}
	schema := testSchema()
	return regrouped(x.tb, &schema, encode(x.tb, ops, rows)), effects
}

func (x *machine) prepare() {
	txn := x.m.nextTxn
	if open := slices.Sorted(maps.Keys(x.m.pending)); len(open) > 0 && rapid.Bool().Draw(x.t, "same txn") {
		txn = rapid.SampledFrom(open).Draw(x.t, "txn")
	} else {
		x.m.nextTxn++
	}
	payload, effects := x.drawWrite()
	part := len(x.m.pending[txn])
	removes := !slices.ContainsFunc(effects, func(e effect) bool { return e.op != types.OpDelete })
	for range rapid.IntRange(1, 2).Draw(x.t, "sends") {
		err := x.send(txn, part, payload)
		if full := x.free < modelReserve && (!removes || x.free < modelReserve/2); full != errors.Is(err, ErrDiskFull) {
			x.t.Fatalf("with %d bytes free a write that removes rows only (%v): %v", x.free, removes, err)
		} else if full {
			return
		}
		x.check(err)
	}
	x.m.pending[txn] = append(x.m.pending[txn], payload)
	x.m.effects[txn] = append(x.m.effects[txn], effects...)
}

// send prepares a part: light, if the rest of the transaction is and it may be, or durable, and the rest with it.
func (x *machine) send(txn types.TxnID, part int, payload []byte) error {
	if rapid.Bool().Draw(x.t, "light") {
		there := x.tab.PendingParts(txn) > part // a repetition changes nothing
		taken, err := x.tab.PrepareLight(txn, part, payload)
		if err != nil {
			return err
		}
		if taken && !there {
			x.m.light[txn] = true
		}
		if taken {
			return nil
		}
	}
	err := prepare(x.tab, txn, part, payload)
	if err == nil {
		delete(x.m.light, txn)
	}
	return err
}

// forgetLight is what a restart does to what is in memory alone.
func (x *machine) forgetLight() {
	for txn := range x.m.light {
		delete(x.m.pending, txn)
		delete(x.m.effects, txn)
	}
	clear(x.m.light)
}

// crashNow opens what is left when the process is killed at once. Versions that were not written yet are lost, but only the last
// ones; brought again they are the same. What was aborted may be pending again.
func (x *machine) crashNow() {
	x.release()
	x.free = modelAmple // for what is brought again
	x.dirs++
	next := filepath.Join(x.root, "crash", string(rune('a'+x.dirs%26)), "disk")
	x.check(os.MkdirAll(filepath.Dir(next), 0o755))
	x.check(copyOpen(x.dir, next))
	x.check(x.store.Close())
	x.check(os.RemoveAll(x.dir))
	x.dir = next
	x.open()
	x.forgetLight()
	if x.tab.Version() > x.m.version() {
		x.t.Fatalf("version %d became %d", x.m.version(), x.tab.Version())
	}
	for v := x.tab.Version() + 1; v <= x.m.version(); v++ {
		txn := x.m.txns[v-2]
		for part, payload := range x.m.payloads[v-2] {
			x.check(x.tab.PreparePart(context.Background(), txn, part, payload))
		}
		x.check(x.tab.Publish(txn, v))
	}
	for _, txn := range x.tab.Pending() {
		if _, open := x.m.pending[txn]; !open {
			x.check(x.tab.Abort(txn))
		}
	}
}

func (x *machine) drawPending() (types.TxnID, bool) {
	open := slices.Sorted(maps.Keys(x.m.pending))
	if len(open) == 0 {
		return 0, false
	}
	return rapid.SampledFrom(open).Draw(x.t, "txn"), true
}

func (x *machine) publish() {
	txn, ok := x.drawPending()
	if !ok {
		return
	}
	x.check(x.tab.Publish(txn, x.m.version()+1))
	next := maps.Clone(x.m.versions[len(x.m.versions)-1])
	for _, e := range x.m.effects[txn] {
		k := rowKey{e.row.id, e.row.tag}
		if delete(next, k); e.op == types.OpPut {
			next[k] = e.row.val
		}
	}
	x.m.versions = append(x.m.versions, next)
	x.m.payloads = append(x.m.payloads, x.m.pending[txn])
	x.m.txns = append(x.m.txns, txn)
	delete(x.m.pending, txn)
	delete(x.m.light, txn)
}

func (x *machine) abort() {
	if txn, ok := x.drawPending(); ok {
		x.check(x.tab.Abort(txn))
		delete(x.m.pending, txn)
		delete(x.m.effects, txn)
		delete(x.m.light, txn)
	}
}

func (x *machine) reopen() {
	x.release()
	x.check(x.store.Close())
	x.open()
	x.forgetLight()
}

// crash opens a copy of the directory that is taken while the store is open: what a killed process leaves.
func (x *machine) crash() {
	x.release()
	acked := x.m.version()
	x.dirs++
	next := filepath.Join(x.root, "crash", string(rune('a'+x.dirs%26)), "disk")
	x.check(os.MkdirAll(filepath.Dir(next), 0o755))
	x.check(x.store.meta.Commit()) // version records are not waited for; here the crash comes after they are written
	x.check(x.store.data.Commit()) // nor are deletions of large parts
	x.check(copyOpen(x.dir, next))
	x.check(x.store.Close())
	x.check(os.RemoveAll(x.dir))
	x.dir = next
	x.open()
	x.forgetLight()
	if x.tab.Version() != acked {
		x.t.Fatalf("version %d became %d", acked, x.tab.Version())
	}
}

func (x *machine) release() {
	for _, s := range x.snaps {
		s.Release()
	}
	x.snaps = nil
}

func (x *machine) snapshot() {
	v := types.Version(rapid.IntRange(1, len(x.m.versions)).Draw(x.t, "version"))
	s, err := x.tab.Snapshot(v)
	if errors.Is(err, ErrGone) {
		return
	}
	x.check(err)
	x.snaps = append(x.snaps, s)
}

// fullClone replaces the replica by a full clone of itself at a version that is still readable.
func (x *machine) fullClone() {
	x.free = modelAmple
	st := x.tab.Stats() // a disk that was full has few change sets
	v := types.Version(rapid.IntRange(int(max(st.OldestReadable, st.OldestRetained-1)), len(x.m.versions)).Draw(x.t, "version"))
	s, err := x.tab.Snapshot(v)
	x.check(err)
	im, err := x.store.BeginImport(x.tab.Meta(), 0)
	x.check(err)
	x.check(im.Carry(context.Background(), x.tab))
	clear(x.m.light)
	e := s.Export()
	for {
		c, ok, err := e.Next(context.Background())
		x.check(err)
		if !ok {
			break
		}
		x.check(im.Write(c))
	}
	digest, err := e.Digest(context.Background())
	x.check(err)
	src := x.tab
	var later []Change
	if v < src.Version() {
		stream, err := src.Changes(v, src.Version())
		x.check(err)
		for {
			c, ok, err := stream.Next()
			x.check(err)
			if !ok {
				break
			}
			later = append(later, c)
		}
	}
	s.Release()
	x.release()
	x.tab, err = im.Commit(v, digest)
	x.check(err)
	x.check(x.tab.ApplyChanges(later))
}

// changes reads a change set, which may not be on the disk yet.
func (x *machine) changes() {
	newest := x.m.version()
	if newest == 1 || x.tab.Stats().OldestRetained > newest {
		return
	}
	stream, err := x.tab.Changes(newest-1, newest)
	x.check(err)
	c, _, err := stream.Next()
	x.check(err)
	txn, parts, err := wire.DecodeChange(c.Payload)
	x.check(err)
	if want := x.m.payloads[newest-2]; txn != x.m.txns[newest-2] || !slices.EqualFunc(parts, want, slices.Equal) {
		x.t.Fatalf("the change set of version %d is of txn %d with %d parts, want %d with %d", newest, txn, len(parts), x.m.txns[newest-2], len(want))
	}
}

func (x *machine) verify() {
	if x.tab.Version() != x.m.version() {
		x.t.Fatalf("version %d, want %d", x.tab.Version(), x.m.version())
	}
	if want := slices.Sorted(maps.Keys(x.m.pending)); !slices.Equal(x.tab.Pending(), want) {
		x.t.Fatalf("pending %v, want %v", x.tab.Pending(), want)
	}
	st := x.tab.Stats()
	if newest := x.m.versions[len(x.m.versions)-1]; int(st.Rows) != len(newest) || st.Bad {
		x.t.Fatalf("stats %+v, want %d rows", st, len(newest))
	}
	x.verifyExists()
	for v := st.OldestReadable; v <= x.m.version(); v++ {
		x.verifyVersion(v)
	}
	for _, s := range x.snaps {
		if got := scanAll(x.tb, s, ScanOptions{}); !maps.Equal(got, x.m.versions[s.version-1]) {
			x.t.Fatalf("pinned version %d has %v, want %v", s.version, got, x.m.versions[s.version-1])
		}
	}
}

// verifyExists asks for every key that any version has had, and one that none has.
func (x *machine) verifyExists() {
	keys := []rowKey{{1 << 40, "never"}}
	for _, rows := range x.m.versions {
		keys = slices.AppendSeq(keys, maps.Keys(rows))
	}
	encoded := make([][]byte, len(keys))
	for i, k := range keys {
		encoded[i] = keyOf(k)
	}
	found, err := x.tab.Exists(encoded)
	x.check(err)
	newest := x.m.versions[len(x.m.versions)-1]
	for i, k := range keys {
		if _, ok := newest[k]; found[i] != ok {
			x.t.Fatalf("key %v exists: %v, want %v", k, found[i], ok)
		}
	}
}

func (x *machine) verifyVersion(v types.Version) {
	want := x.m.versions[v-1]
	s, err := x.tab.Snapshot(v)
	x.check(err)
	defer s.Release()
	if got := scanAll(x.tb, s, ScanOptions{}); !maps.Equal(got, want) {
		x.t.Fatalf("version %d has %v, want %v", v, got, want)
	}
	x.verifyDigestOf(s)
	k := rowKey{rapid.Int64Range(-3, 3).Draw(x.t, "get id"), "a"}
	b, found, err := s.Get([][]byte{keyOf(k)}, allColumns)
	x.check(err)
	val, ok := want[k]
	got := make(map[rowKey]int64)
	readBatch(x.tb, b, got)
	if found[0] != ok || ok && got[k] != val {
		x.t.Fatalf("version %d key %v: found %v %v, want %v %v", v, k, found, got, ok, val)
	}
}

// verifyDigestOf compares the digest that is derived from what changed with one by a scan.
func (x *machine) verifyDigestOf(s *Snapshot) {
	derived, rows, err := s.Digest(context.Background())
	x.check(err)
	scanned, n, err := s.ScanDigest(context.Background())
	x.check(err)
	if derived != scanned || rows != n {
		x.t.Fatalf("version %d: derived digest %x of %d rows, scanned %x of %d", s.version, derived, rows, scanned, n)
	}
}

// TestModel checks that a replica shows what a map would show, whatever is flushed, merged, cloned, closed or killed in
// between.
func TestModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		root, err := os.MkdirTemp(t.TempDir(), "model")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(root)
		opt := testOptions()
		opt.bulkBytes = rapid.SampledFrom([]int64{0, 1, 130}).Draw(rt, "bulk bytes")
		opt.blockRows = rapid.SampledFrom([]int{0, 1, 2}).Draw(rt, "block rows")
		opt.format = rapid.SampledFrom([]int{0, 0, segmentsFormat}).Draw(rt, "format")
		if rapid.Bool().Draw(rt, "forgetful") {
			opt.ReadAge = 1 // a nanosecond: every flush and merge drops what no snapshot pins
		}
		x := &machine{t: rt, tb: t, opt: opt, root: root, dir: filepath.Join(root, "disk"), free: modelAmple}
		x.opt.FloodBytes, x.opt.FloodPercent = modelReserve, 50
		x.opt.Faults.Space = func() (int64, int64, error) { return modelAmple, x.free, nil }
		x.m = model{versions: []map[rowKey]int64{{}}, pending: map[types.TxnID][][]byte{}, effects: map[types.TxnID][]effect{},
			light: map[types.TxnID]bool{}, nextTxn: 1}
		s, err := Open(x.dir, x.opt)
		x.check(err)
		_, err = s.Create(testMeta(1))
		x.check(err)
		x.store = s
		x.tab, _ = s.Tablet(1)
		defer func() { x.release(); _ = x.store.Close() }()
		steps := []func(){
			x.prepare, x.prepare, x.prepare, x.publish, x.publish, x.publish, x.abort, x.snapshot, x.reopen, x.crash, x.crashNow, x.fullClone,
			x.changes, x.fill,
			func() { x.checkRoom(x.tab.Flush()) },
			func() { x.checkRoom(x.tab.Flush()) },
			func() { x.checkRoom(x.tab.CompactAll(context.Background())) },
			func() { x.checkRoom(x.store.Maintain(context.Background())) },
			func() { x.checkRoom(x.store.Reclaim(context.Background())) },
			func() { x.check(x.tab.advanceDigest(context.Background())) },
		}
		for range rapid.IntRange(5, 25).Draw(rt, "steps") {
			steps[rapid.IntRange(0, len(steps)-1).Draw(rt, "step")]()
			x.verify()
		}
		x.verifyDigest()
	})
}

// verifyDigest rebuilds the newest version in another layout and compares digests.
func (x *machine) verifyDigest() {
	x.free = modelAmple
	other, err := x.store.Create(testMeta(2))
	x.check(err)
	for i, parts := range x.m.payloads {
		x.check(other.ApplyChange(types.Version(i+2), wire.EncodeChange(types.TxnID(i+1), parts)))
	}
	got, rows, err := x.tab.Digest(x.m.version())
	x.check(err)
	want, wantRows, err := other.Digest(x.m.version())
	x.check(err)
	if got != want || rows != wantRows {
		x.t.Fatalf("digest %x of %d rows, other layout %x of %d", got, rows, want, wantRows)
	}
}
