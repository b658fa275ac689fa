package tablet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"testing"

	"stele/be/tablet/wire"
	"stele/meta/types"
	"stele/sql/vec"
)

// changesOf returns the change sets of the versions (from, newest].
func changesOf(t testing.TB, tb *Tablet, from types.Version) (out []Change) {
	t.Helper()
	stream, err := tb.Changes(from, tb.Version())
	if err != nil {
		t.Fatal(err)
	}
	for {
		c, ok, err := stream.Next()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return out
		}
		out = append(out, c)
	}
}

// TestApplyChangesInRuns catches up 600 small versions and a large one in the middle: with few syncs, from any version on, with
// a transaction of them pending, and with all of it there after a restart.
func TestApplyChangesInRuns(t *testing.T) {
	t.Parallel()
	_, src := newTestTablet(t)
	want := make(map[rowKey]int64)
	for i := range 600 {
		r := row{int64(i % 97), "t", int64(i)}
		if want[rowKey{r.id, r.tag}] = r.val; i%5 == 4 {
			delete(want, rowKey{r.id, r.tag})
			commit(t, src, deletesPayload(t, r))
			continue
		}
		commit(t, src, puts(t, r))
		if i == 300 {
			many := manyRows(1000, 30_000)
			for _, r := range many {
				want[rowKey{r.id, r.tag}] = r.val
			}
			commit(t, src, puts(t, many...))
		}
	}
	changes := changesOf(t, src, 1)
	writes := 0
	opt := testOptions()
	opt.Faults.Write = func(instance string, durable bool) error {
		if durable && instance == "meta" {
			writes++
		}
		return nil
	}
	dir := t.TempDir()
	s := openStore(t, dir, opt)
	tb, err := s.Create(testMeta(1))
	if err != nil {
		t.Fatal(err)
	}
	txn, parts, err := wire.DecodeChange(changes[20].Payload)
	if err != nil {
		t.Fatal(err)
	}
	if err := tb.PreparePart(context.Background(), txn, 0, parts[0]); err != nil {
		t.Fatal(err)
	}
	if err := tb.ApplyChanges(changes[:10]); err != nil {
		t.Fatal(err)
	}
	before := writes
	if err := tb.ApplyChanges(changes[5:]); err != nil { // five are there already
		t.Fatal(err)
	}
	if n := writes - before; n > 12 {
		t.Fatalf("%d versions took %d writes", len(changes), n)
	}
	check := func(tb *Tablet) {
		t.Helper()
		sameDigest(t, src, tb)
		wantContents(t, tb, src.Version(), want)
		if p := tb.Pending(); len(p) != 0 {
			t.Fatalf("pending %v", p)
		}
	}
	check(tb)
	wantContents(t, tb, 150, contents(t, src, 150))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	tb, _ = openStore(t, dir, testOptions()).Tablet(1)
	check(tb)
	if err := tb.ApplyChanges([]Change{changes[7], {Version: 9000}, changes[8]}); err == nil {
		t.Fatal("a change set of nothing was applied")
	}
	gap := []Change{{Version: tb.Version() + 1, Payload: changes[0].Payload}, {Version: tb.Version() + 3, Payload: changes[1].Payload}}
	if err := tb.ApplyChanges(gap); !errors.Is(err, ErrGap) {
		t.Fatalf("a gap: %v", err)
	}
	check(tb)
}

// manyParts is a transaction of small parts that are too much for one request together.
func manyParts(t testing.TB) (parts [][]byte, want map[rowKey]int64) {
	t.Helper()
	r := rand.New(rand.NewPCG(7, 7))
	want = make(map[rowKey]int64)
	for part := range 16 {
		rows := make([]row, 400)
		for i := range rows {
			tag := make([]byte, 1000)
			for n := range tag {
				tag[n] = byte(r.Uint32())
			}
			rows[i] = row{int64(part*1_000 + i), string(tag), int64(i)}
			want[rowKey{rows[i].id, rows[i].tag}] = rows[i].val
		}
		p := puts(t, rows...)
		if len(p) >= largePart {
			t.Fatalf("a part has %d bytes", len(p))
		}
		parts = append(parts, p)
	}
	return parts, want
}

func TestApplyChangeOfManySmallParts(t *testing.T) {
	parts, want := manyParts(t)
	change := wire.EncodeChange(5, parts)
	if len(change) < 5<<20 {
		t.Fatalf("%d bytes are not too much for one request", len(change))
	}
	dir := t.TempDir()
	s := openStore(t, dir, testOptions())
	tb, err := s.Create(testMeta(1))
	if err != nil {
		t.Fatal(err)
	}
	if err := tb.ApplyChange(2, change); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got := contents(t, tb, 2); !maps.Equal(got, want) {
			t.Fatalf("%d rows of %d, or other ones", len(got), len(want))
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openStore(t, dir, testOptions())
		tb, _ = s.Tablet(1)
	}
}

// TestCrashBetweenRequestsOfAChange lets each write of a change set of several requests fail in turn: after a restart the
// transaction is not there at all, or is pending with all of its parts, but never with some, which a publish would make a
// version of.
func TestCrashBetweenRequestsOfAChange(t *testing.T) {
	t.Parallel()
	parts, want := manyParts(t)
	change := wire.EncodeChange(5, parts)
	failed := errors.New("the disk failed")
	for n := 1; ; n++ {
		opt := testOptions()
		armed, count := false, 0
		opt.Faults.Write = func(_ string, durable bool) error {
			if armed && durable {
				if count++; count >= n {
					return failed
				}
			}
			return nil
		}
		dir := t.TempDir()
		s := openStore(t, dir, opt)
		tb, err := s.Create(testMeta(1))
		if err != nil {
			t.Fatal(err)
		}
		armed = true
		err = tb.ApplyChange(2, change)
		armed = false
		_ = s.Close()
		if err == nil {
			if n < 3 {
				t.Fatalf("%d writes: the change set is too small", n-1)
			}
			return
		}
		tb, _ = openStore(t, dir, testOptions()).Tablet(1)
		whole := fmt.Sprint(tb.Pending()) == "[5]" && len(tb.pending[5].parts) == len(parts)
		if tb.Version() == 1 && len(tb.Pending()) != 0 && !whole {
			t.Fatalf("after write %d: pending %v, %d parts", n, tb.Pending(), len(tb.pending[5].parts))
		}
		if err := tb.ApplyChange(2, change); err != nil {
			t.Fatal(err)
		}
		if got := contents(t, tb, 2); !maps.Equal(got, want) || len(tb.Pending()) != 0 {
			t.Fatalf("after write %d: %d rows of %d, pending %v", n, len(got), len(want), tb.Pending())
		}
	}
}

// BenchmarkCatchUp brings a replica 2,000 versions of one row further.
func BenchmarkCatchUp(b *testing.B) {
	s := benchStore(b)
	src, err := s.Create(testMeta(1))
	if err != nil {
		b.Fatal(err)
	}
	for i := range 2000 {
		commit(b, src, puts(b, row{int64(i), "t", int64(i)}))
	}
	changes := changesOf(b, src, 1)
	id := types.TabletID(2)
	for name, apply := range map[string]func(*Tablet) error{
		"together": func(tb *Tablet) error { return tb.ApplyChanges(changes) },
		"one by one": func(tb *Tablet) error {
			for _, c := range changes {
				if err := tb.ApplyChange(c.Version, c.Payload); err != nil {
					return err
				}
			}
			return nil
		},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				tb, err := s.Create(testMeta(id))
				if err != nil {
					b.Fatal(err)
				}
				id++
				if err := apply(tb); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(changes)*b.N)/b.Elapsed().Seconds(), "versions/s")
		})
	}
}

// TestApplyChangesContainsAPanic has the decoder panic, on either of two processors, and in the caller where there is one: the replica is
// damaged, with nothing of the run applied, and the other replica of the disk goes on.
func TestApplyChangesContainsAPanic(t *testing.T) {
	_, src := newTestTablet(t)
	for i := range 8 {
		commit(t, src, puts(t, manyRows(i*1000, i*1000+900)...))
	}
	changes := changesOf(t, src, 1)
	for _, procs := range []int{1, 2} {
		t.Run(fmt.Sprint(procs), func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
			s, broken := newTestTablet(t)
			sound, err := s.Create(testMeta(2))
			if err != nil {
				t.Fatal(err)
			}
			broken.mu.Lock()
			broken.keyIdx = []int{len(broken.schema.Columns)} // what a decoder that trusts damaged bytes does
			broken.mu.Unlock()
			if err := broken.ApplyChanges(changes); !errors.Is(err, ErrCorrupt) {
				t.Errorf("a panic: %v", err)
			}
			if st := broken.Stats(); !st.Bad || broken.Version() != 1 {
				t.Errorf("the damaged replica is at version %d, bad: %v", broken.Version(), st.Bad)
			}
			if err := sound.ApplyChanges(changes); err != nil || sound.Stats().Bad {
				t.Errorf("the other replica: %v, bad: %v", err, sound.Stats().Bad)
			}
			sameDigest(t, src, sound)
		})
	}
}

// sameKeys writes some hundred versions that put and delete a few keys again and again, some of them large, and returns their change sets.
func sameKeys(t *testing.T, rnd *rand.Rand) (src *Tablet, changes []Change) {
	_, src = newTestTablet(t)
	draw := func(n int) (ops []types.RowOp, rows []row) {
		for range n {
			ops = append(ops, []types.RowOp{types.OpPut, types.OpPut, types.OpDelete}[rnd.IntN(3)])
			rows = append(rows, row{rnd.Int64N(12), string(rune('a' + rnd.IntN(2))), rnd.Int64N(1000)})
		}
		return ops, rows
	}
	for range 300 {
		n := 1 + rnd.IntN(4)
		if rnd.IntN(40) == 0 {
			n = 40
		}
		ops, rows := draw(n)
		commit(t, src, encode(t, ops, rows))
	}
	return src, changesOf(t, src, 1)
}

// TestRunsOfTheSameKeys: change sets that are applied together make of a replica what they make of it one by one, while it is flushed and
// merged, and after its process was killed.
func TestRunsOfTheSameKeys(t *testing.T) {
	t.Parallel()
	for seed := range upTo(40, 3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(uint64(seed), 3))
			src, changes := sameKeys(t, rnd)
			opt := testOptions()
			opt.bulkBytes = 1000 // change sets of 40 rows are published as rowsets
			opt.blockRows = 1 + rnd.IntN(3)
			dir := t.TempDir()
			s := openStore(t, dir, opt)
			tb, err := s.Create(testMeta(1))
			if err != nil {
				t.Fatal(err)
			}
			for tb.Version() < src.Version() {
				at := int(tb.Version()) - 1
				n := min(1+rnd.IntN(60), len(changes)-at)
				beside, over := rnd.IntN(4), make(chan error, 1)
				go func() { over <- disturb(t, tb, beside) }()
				apply := tb.ApplyChanges
				if rnd.IntN(2) == 0 {
					apply = func(changes []Change) error { return applyAhead(tb, changes) }
				}
				if err := errors.Join(apply(changes[at:at+n]), <-over); err != nil {
					t.Fatal(err)
				}
				if rnd.IntN(4) == 0 {
					tb = killed(t, &dir, opt)
				}
				wantContents(t, tb, tb.Version(), contents(t, src, tb.Version()))
				got, rows, err := tb.ScanDigest(t.Context(), tb.Version())
				if known, n, e := tb.Digest(tb.Version()); err != nil || e != nil || got != known || rows != n || rows != tb.Stats().Rows {
					t.Fatalf("version %d: digest %x of %d rows, known %x of %d; stats say %d (%v, %v)", tb.Version(), got, rows, known, n, tb.Stats().Rows, err, e)
				}
			}
			sameDigest(t, src, tb)
		})
	}
}

// applyAhead is ApplyChanges that has decoded all runs before it applies the first one.
func applyAhead(tb *Tablet, changes []Change) error {
	var runs []*changeRun
	for len(changes) > 0 {
		run, err := tb.decodeRun(changes)
		if err != nil {
			return err
		}
		runs, changes = append(runs, run), changes[run.len():]
	}
	for _, run := range runs {
		if err := run.apply(); err != nil {
			return err
		}
	}
	return nil
}

// TestRunOfAnOlderSchema: a run that was decoded before the schema changed has the columns of the new one when it is applied.
func TestRunOfAnOlderSchema(t *testing.T) {
	t.Parallel()
	_, src := newTestTablet(t)
	commit(t, src, puts(t, row{1, "a", 1}))
	commit(t, src, puts(t, row{2, "b", 2}))
	_, tb := newTestTablet(t)
	run, err := tb.decodeRun(changesOf(t, src, 1))
	if err != nil {
		t.Fatal(err)
	}
	next := testSchema()
	next.Version = 2
	next.Columns = append(next.Columns[:2:2], types.Column{ID: 9, Name: "new", Type: types.ColumnType{Kind: types.KindBigInt, NotNull: true}, Initial: &types.Initial{I: 42}})
	if err := tb.SetSchema(next); err != nil {
		t.Fatal(err)
	}
	if err := run.apply(); err != nil || run.len() != 2 || tb.Version() != 3 {
		t.Fatalf("%d change sets, the replica is at %d: %v", run.len(), tb.Version(), err)
	}
	b, found, _, err := tb.GetAt(3, vec.EncodeKeys(batchOf([]row{{2, "b", 2}}), tb.keyIdx)[0], []types.ColumnID{1, 9}, nil)
	if err != nil || !found || b.Cols[0].I64[0] != 2 || b.Cols[1].I64[0] != 42 {
		t.Fatalf("found %v, %v: %v", found, b, err)
	}
}

// disturb flushes or merges a tablet, or does nothing.
func disturb(t *testing.T, tb *Tablet, how int) error {
	for range 3 {
		switch how {
		case 0:
			return nil
		case 1:
			if err := tb.Flush(); err != nil {
				return err
			}
		default:
			if err := errors.Join(tb.Flush(), tb.CompactAll(t.Context())); err != nil {
				return err
			}
		}
	}
	return nil
}

// killed opens what is left of a store when its process is killed; dir becomes where that is.
func killed(t *testing.T, dir *string, opt Options) *Tablet {
	t.Helper()
	next := filepath.Join(t.TempDir(), "disk")
	if err := copyOpen(*dir, next); err != nil {
		t.Fatal(err)
	}
	*dir = next
	tb, ok := openStore(t, next, opt).Tablet(1)
	if !ok {
		t.Fatal("the tablet is gone")
	}
	return tb
}
