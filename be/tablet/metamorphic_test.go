package tablet

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"

	"stele/be/tablet/sought"
	"stele/be/tablet/wire"
	"stele/meta/types"
	"stele/sql/rowset"
	"stele/sql/vec"
)

// history is what is done to a tablet of a random schema, drawn once and then played to stores of different options.
type history struct {
	first  types.Schema
	schema types.Schema // as it is at the step that is being drawn
	last   types.ColumnID
	keyIdx []int
	cols   []types.ColumnID // as they are at the step that is being played
	steps  []historyStep
}

// historyStep is a version, with what a map of rows by key would be after it, or another deed.
type historyStep struct {
	payload []byte
	rows    map[string]string
	deed    string
	alter   *alteration
}

var anyKinds = []types.ColumnType{
	{Kind: types.KindTinyInt}, {Kind: types.KindSmallInt}, {Kind: types.KindMediumInt}, {Kind: types.KindInt}, {Kind: types.KindBigInt},
	{Kind: types.KindBigInt, Unsigned: true}, {Kind: types.KindFloat}, {Kind: types.KindDouble}, {Kind: types.KindDecimal, Length: 12, Scale: 2},
	{Kind: types.KindDecimal, Length: 38, Scale: 6}, {Kind: types.KindChar, Length: 9}, {Kind: types.KindVarChar, Length: 99}, {Kind: types.KindText},
	{Kind: types.KindBinary, Length: 4}, {Kind: types.KindVarBinary, Length: 99}, {Kind: types.KindBlob}, {Kind: types.KindDate},
	{Kind: types.KindDateTime}, {Kind: types.KindTimestamp}, {Kind: types.KindTime}, {Kind: types.KindYear}, {Kind: types.KindJSON}, {Kind: types.KindBool},
}

func drawHistory(t *rapid.T, tb testing.TB) *history {
	h := &history{schema: types.Schema{TableID: 1, Version: 1}}
	n := rapid.IntRange(1, 8).Draw(t, "columns")
	for i := range n {
		ct := rapid.SampledFrom(anyKinds).Draw(t, "type")
		if i == 0 || i < 3 && rapid.Bool().Draw(t, "in key") {
			ct.NotNull = true
			h.schema.Key = append(h.schema.Key, types.ColumnID(i+1))
			h.keyIdx = append(h.keyIdx, i)
		}
		h.schema.Columns = append(h.schema.Columns, types.Column{ID: types.ColumnID(i + 1), Name: fmt.Sprint("c", i), Type: ct})
		if rapid.Bool().Draw(t, "indexed") {
			h.schema.Indexed = append(h.schema.Indexed, types.ColumnID(i+1))
		}
	}
	h.first, h.last = h.schema, types.ColumnID(n)
	rows := make(map[string]string)
	for range rapid.IntRange(3, 14).Draw(t, "steps") {
		deed := rapid.SampledFrom([]string{"write", "write", "write", "flush", "merge", "maintain", "reopen", "crash", "clone", "follow", "abort", "alter"}).Draw(t, "deed")
		if deed == "abort" { // of rows that nobody ever sees
			h.steps = append(h.steps, historyStep{deed: deed, payload: h.drawWrite(t, tb, maps.Clone(rows))})
			continue
		}
		if deed == "alter" { // with a write by the old schema that is published by the new one
			rows = maps.Clone(rows)
			step := historyStep{deed: deed, payload: h.drawWrite(t, tb, rows)}
			step.alter = h.drawAlteration(t)
			rows = step.alter.of(rows)
			step.rows = rows
			h.steps = append(h.steps, step)
			continue
		}
		if deed != "write" {
			h.steps = append(h.steps, historyStep{deed: deed})
			continue
		}
		rows = maps.Clone(rows)
		h.steps = append(h.steps, historyStep{payload: h.drawWrite(t, tb, rows), rows: rows})
	}
	return h
}

// drawWrite changes rows as what it returns changes a tablet. Keys come from a few values, so that they come again.
func (h *history) drawWrite(t *rapid.T, tb testing.TB, rows map[string]string) []byte {
	n := rapid.SampledFrom([]int{1, 2, 9, 300}).Draw(t, "rows")
	seed := rapid.Uint64().Draw(t, "seed")
	next := func() uint64 {
		seed = seed*6364136223846793005 + 1442695040888963407
		return seed >> 20
	}
	b := &vec.Batch{N: n}
	for _, c := range h.schema.Columns {
		v := rowset.NewVector(c.Type, n)
		for range n {
			x := int64(next() % 40)
			if !c.Type.NotNull && x < 8 {
				rowset.AppendNull(v)
				continue
			}
			text := fmt.Sprint("v", x)
			if !c.Type.NotNull && x == 39 {
				text = fmt.Sprintf("%0999d", next())
			}
			rowset.AppendRow(v, &vec.Vector{Type: c.Type, N: 1, I64: []int64{x}, F64: []float64{float64(x) / 4}, Dec: []vec.Int128{{Lo: uint64(x)}},
				Off: []uint32{0, uint32(len(text))}, Data: []byte(text)}, 0)
		}
		b.Cols = append(b.Cols, v)
	}
	ops := make([]types.RowOp, n)
	for i := range ops {
		key := string(vec.AppendRowKey(nil, b, h.keyIdx, i))
		if next()%4 == 0 {
			ops[i] = types.OpDelete
			delete(rows, key)
		} else {
			rows[key] = rowImage(b, i)
		}
	}
	payload, err := wire.Encode(&h.schema, ops, b)
	if err != nil {
		tb.Fatal(err)
	}
	return regrouped(tb, &h.schema, payload)
}

func rowImage(b *vec.Batch, row int) string {
	var out []byte
	for _, c := range b.Cols {
		out = append(out, columnImage(c, row)...)
	}
	return string(out)
}

// columnImage begins with its length.
func columnImage(c *vec.Vector, row int) []byte {
	image := vec.AppendKey(nil, c, row)
	return append(binary.AppendUvarint(nil, uint64(len(image))), image...)
}

// read returns all rows by key.
func (h *history) read(t *rapid.T, s *Snapshot) map[string]string {
	out := make(map[string]string)
	it := s.Scan(h.cols, ScanOptions{})
	for {
		b, err := it.Next(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if b == nil {
			return out
		}
		sel := b.Sel
		if sel == nil {
			sel = allRows(b.N)
		}
		for _, i := range sel {
			key := string(vec.AppendRowKey(nil, b, h.keyIdx, int(i)))
			if _, twice := out[key]; twice {
				t.Fatalf("key %x twice", key)
			}
			out[key] = rowImage(b, int(i))
		}
	}
}

// checkSkipping reads the rows that have one value in a column, for a value of each column: skipping must not lose any.
func (h *history) checkSkipping(t *rapid.T, s *Snapshot) {
	all := h.batches(t, s, ScanOptions{})
	if len(all) == 0 {
		return
	}
	first := all[0]
	for c, id := range h.cols {
		v := first.Cols[c]
		if v.IsNull(0) || v.Type.Phys() != types.PhysInt64 && v.Type.Phys() != types.PhysBytes {
			continue
		}
		p := sought.Predicate{Column: id, Op: sought.OpEQ}
		if v.Type.Phys() == types.PhysInt64 {
			p.Value.I = v.I64[0]
		} else {
			p.Value.B = v.Bytes(0)
		}
		count := func(bs []*vec.Batch) (n int) {
			want := string(vec.AppendKey(nil, v, 0))
			for _, b := range bs {
				for row := range b.N {
					if string(vec.AppendKey(nil, b.Cols[c], row)) == want {
						n++
					}
				}
			}
			return n
		}
		least, most := p, p
		least.Op, most.Op = sought.OpGE, sought.OpLE
		for _, prune := range [][]sought.Predicate{{p}, {least, most}, {most}} {
			if got, want := count(h.batches(t, s, ScanOptions{Prune: prune})), count(all); got != want {
				t.Fatalf("column %d: %d rows with a value are found when skipping, %d are there", c, got, want)
			}
		}
	}
}

// batches returns all rows of a scan.
func (h *history) batches(t *rapid.T, s *Snapshot, opt ScanOptions) (out []*vec.Batch) {
	it := s.Scan(h.cols, opt)
	for {
		b, err := it.Next(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if b == nil {
			return out
		}
		out = append(out, b.Compact())
	}
}

// follower is a replica on a disk of its own that catches up now and then, as the FE has one do.
type follower struct {
	store *Store
	tab   *Tablet
}

// follow brings the follower to the version of tb: by change sets if they are retained, else by a full clone.
func (f *follower) follow(t *rapid.T, tb *Tablet, dir string, opt Options) {
	check := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	if f.store == nil {
		s, err := Open(dir, opt)
		check(err)
		m := tb.Meta()
		m.Replica++
		f.store = s
		f.tab, err = s.Create(m)
		check(err)
	}
	for {
		stream, err := tb.Changes(f.tab.Version(), tb.Version())
		if errors.Is(err, ErrGone) {
			f.tab = cloneTo(t, f.store, f.tab.Meta(), tb)
			break
		}
		check(err)
		var changes []Change
		for {
			c, ok, err := stream.Next()
			check(err)
			if !ok {
				break
			}
			changes = append(changes, c)
		}
		err = f.tab.ApplyChanges(changes)
		if !errors.Is(err, wire.ErrSchema) {
			check(err)
			break
		}
		if f.tab.SchemaVersion() >= tb.SchemaVersion() {
			t.Fatal(err)
		}
		check(f.tab.SetSchema(*tb.Schema()))
	}
	check(f.tab.SetSchema(*tb.Schema())) // it may have no change by it
	mine, n, err := f.tab.ScanDigest(context.Background(), tb.Version())
	check(err)
	theirs, m, err := tb.Digest(tb.Version())
	check(err)
	if mine != theirs || n != m {
		t.Fatalf("the follower has %d rows with digest %x, not %d with %x", n, mine, m, theirs)
	}
}

// prepareAny prepares a transaction of one part, every other one light if it can be.
func prepareAny(tb *Tablet, txn types.TxnID, payload []byte) error {
	if txn/2%2 == 0 {
		if taken, err := tb.PrepareLight(txn, 0, payload); taken || err != nil {
			return err
		}
	}
	return prepare(tb, txn, 0, payload)
}

// play does all of it to a new store and returns the digest and number of rows in the end.
func (h *history) play(t *rapid.T, dir string, opt Options) (digest uint64, rows int64) {
	check := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	s, err := Open(dir, opt)
	check(err)
	defer func() { _ = s.Close() }()
	tb, err := s.Create(Meta{Tablet: 1, Table: 1, Partition: 1, Replica: 10, Schema: h.first, Epoch: 1})
	check(err)
	h.cols = columnIDs(&h.first)
	wanted := []map[string]string{1: {}} // by version
	far := &follower{}
	defer func() {
		if far.store != nil {
			_ = far.store.Close()
		}
	}()
	const aborted = types.TxnID(1 << 40)
	for i, step := range h.steps {
		switch step.deed {
		case "":
			v := tb.Version() + 1
			check(prepareAny(tb, types.TxnID(v), step.payload))
			check(tb.Publish(types.TxnID(v), v))
			wanted = append(wanted, step.rows)
		case "alter":
			v := tb.Version() + 1
			check(prepareAny(tb, types.TxnID(v), step.payload))
			check(tb.SetSchema(step.alter.schema))
			h.cols = columnIDs(&step.alter.schema)
			for old := range wanted {
				wanted[old] = step.alter.of(wanted[old])
			}
			check(tb.Publish(types.TxnID(v), v))
			wanted = append(wanted, step.rows)
		case "flush":
			check(tb.Flush())
		case "merge":
			check(tb.CompactAll(context.Background()))
		case "maintain":
			check(s.Maintain(context.Background()))
		case "reopen":
			check(s.Close())
			s, err = Open(dir, opt)
			check(err)
			tb, _ = s.Tablet(1)
		case "crash":
			check(s.meta.Commit()) // version records are not waited for: the crash comes after they are written
			next := fmt.Sprint(dir, "-", i)
			check(copyOpen(dir, next))
			check(s.Close())
			dir = next
			s, err = Open(dir, opt)
			check(err)
			tb, _ = s.Tablet(1)
		case "abort":
			check(prepare(tb, aborted, 0, step.payload))
			if i%2 == 0 {
				check(s.Close())
				s, err = Open(dir, opt)
				check(err)
				tb, _ = s.Tablet(1)
			}
			if pending := tb.Pending(); len(pending) != 1 || pending[0] != aborted {
				t.Fatalf("pending %v", pending)
			}
			check(tb.Abort(aborted))
		case "clone":
			tb = cloneTo(t, s, tb.Meta(), tb)
		case "follow":
			far.follow(t, tb, filepath.Join(filepath.Dir(dir), "far"+filepath.Base(dir)), opt)
		}
		for v := tb.Stats().OldestReadable; v <= tb.Version(); v++ {
			snap, err := tb.Snapshot(v)
			check(err)
			if got := h.read(t, snap); !maps.Equal(got, wanted[v]) {
				t.Fatalf("after %q: version %d has %d rows, want %d, or other ones", step.deed, v, len(got), len(wanted[v]))
			}
			if v == tb.Version() {
				h.checkSkipping(t, snap)
			}
			snap.Release()
		}
	}
	kept, n, err := tb.Digest(tb.Version())
	check(err)
	digest, rows, err = tb.ScanDigest(context.Background(), tb.Version())
	check(err)
	if kept != digest || n != rows {
		t.Fatalf("digest %x of %d rows, by a scan %x of %d", kept, n, digest, rows)
	}
	return digest, rows
}

// cloneTo puts a full clone of a replica on a disk, in the place of what is there.
func cloneTo(t *rapid.T, s *Store, m Meta, tb *Tablet) *Tablet {
	snap, err := tb.Current()
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Release()
	im, err := s.BeginImport(m, 0)
	if err != nil {
		t.Fatal(err)
	}
	e := snap.Export()
	for {
		c, ok, err := e.Next(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		if err := im.Write(c); err != nil {
			t.Fatal(err)
		}
	}
	digest, err := e.Digest(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	tb, err = im.Commit(snap.Version(), digest)
	if err != nil {
		t.Fatal(err)
	}
	return tb
}

// TestOptionsDoNotShow plays one history of a random schema of all types to stores of different options: each shows what a map
// would show, at every version that can be read, and all have the same digest, whatever lies on their disks.
func TestOptionsDoNotShow(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		h := drawHistory(rt, t)
		root, err := os.MkdirTemp(t.TempDir(), "options")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(root)
		var digest uint64
		for i := range upTo(3, 2) {
			opt := testOptions()
			if i > 0 { // the first is the plain one
				opt.bulkBytes = rapid.SampledFrom([]int64{0, 1, 500}).Draw(rt, "bulk bytes")
				opt.blockRows = rapid.SampledFrom([]int{0, 1, 3}).Draw(rt, "block rows")
				opt.Flush.Rows = rapid.SampledFrom([]int{0, 1, 50}).Draw(rt, "flush rows")
				opt.ReadAge = rapid.SampledFrom([]time.Duration{0, 1}).Draw(rt, "read age")
				opt.NoBackground = rapid.Bool().Draw(rt, "no background")
				opt.CacheBytes = rapid.SampledFrom([]int64{0, 4 << 20}).Draw(rt, "cache")
			}
			d, _ := h.play(rt, filepath.Join(root, fmt.Sprint(i)), opt)
			if i > 0 && d != digest {
				rt.Fatalf("digest %x with options %d, %x with the plain ones", d, i, digest)
			}
			digest = d
		}
	})
}
