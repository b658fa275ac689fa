package tablet

import (
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"stele/be/tablet/kv"
	"stele/be/tablet/wire"
	"stele/meta/types"
)

// pausedDisk is a disk that can be told to write nothing for a while.
type pausedDisk struct {
	mu          sync.Mutex
	paused, end chan struct{}
}

func (p *pausedDisk) options(o Options) Options {
	o.Faults.Write = func(instance string, _ bool) error {
		p.mu.Lock()
		paused, end := p.paused, p.end
		if instance == "meta" {
			p.paused = nil
		}
		p.mu.Unlock()
		if instance == "meta" && paused != nil {
			close(paused)
			<-end
		}
		return nil
	}
	return o
}

// during calls f while the disk writes nothing: what it publishes is one run. It is on the disk afterwards.
func (p *pausedDisk) during(t *testing.T, s *Store, f func()) {
	t.Helper()
	paused, end := make(chan struct{}), make(chan struct{})
	p.mu.Lock()
	p.paused, p.end = paused, end
	p.mu.Unlock()
	first := make(chan error, 1)
	s.meta.CommitAsync(nil, func(err error) { first <- err })
	<-paused
	f()
	close(end)
	if err := errors.Join(<-first, s.meta.Commit()); err != nil {
		t.Fatal(err)
	}
}

// runMaker writes rows of one tablet, some of them light, as runs.
type runMaker struct {
	t     *testing.T
	disk  pausedDisk
	s     *Store
	tb    *Tablet
	want  map[rowKey]int64
	parts [][][]byte // of each version from 2 on
}

func newRunMaker(t *testing.T, dir string, opt Options) *runMaker {
	t.Helper()
	m := &runMaker{t: t, want: map[rowKey]int64{}}
	m.s = openStore(t, dir, m.disk.options(opt))
	var err error
	if m.tb, err = m.s.Create(testMeta(1)); err != nil {
		t.Fatal(err)
	}
	return m
}

// run publishes n versions in one run.
func (m *runMaker) run(n int) {
	m.t.Helper()
	first := m.tb.Version() + 1
	for v := first; v < first+types.Version(n); v++ {
		payload := puts(m.t, row{int64(v), "a", int64(v)})
		if v%3 == 0 {
			light(m.t, m.tb, types.TxnID(v), 0, payload)
		} else if err := prepare(m.tb, types.TxnID(v), 0, payload); err != nil {
			m.t.Fatal(err)
		}
		m.want[rowKey{int64(v), "a"}] = int64(v)
		m.parts = append(m.parts, [][]byte{payload})
	}
	m.disk.during(m.t, m.s, func() {
		for v := first; v < first+types.Version(n); v++ {
			if err := m.tb.Publish(types.TxnID(v), v); err != nil {
				m.t.Fatal(err)
			}
		}
	})
}

// reopen closes the disk and opens it again.
func (m *runMaker) reopen(dir string, opt Options) {
	m.t.Helper()
	if err := m.s.Close(); err != nil {
		m.t.Fatal(err)
	}
	m.s = openStore(m.t, dir, m.disk.options(opt))
	m.tb, _ = m.s.Tablet(1)
}

func (m *runMaker) wantKeys(versions, parts int) {
	m.t.Helper()
	if err := m.s.meta.Commit(); err != nil {
		m.t.Fatal(err)
	}
	if v, p := keysOf(m.t, m.tb, kVersion), keysOf(m.t, m.tb, kPart); v != versions || p != parts {
		m.t.Fatalf("%d keys of versions and %d of parts, want %d and %d", v, p, versions, parts)
	}
}

// TestRuns: versions that are published while the disk is busy are one value, up to a bound. A disk that was killed or closed has all
// of them.
func TestRuns(t *testing.T) {
	dir := t.TempDir()
	m := newRunMaker(t, filepath.Join(dir, "disk"), testOptions())
	m.run(5)
	m.wantKeys(1, 0)
	m.run(runLength + 3)
	m.wantKeys(1+2, 0)
	if m.s.inRuns.Load() != 0 || len(m.tb.runs) != 0 {
		t.Fatalf("%d versions are on their way, %d runs in memory", m.s.inRuns.Load(), len(m.tb.runs))
	}
	wantChanges(t, m.tb, m.parts)
	if err := copyOpen(filepath.Join(dir, "disk"), filepath.Join(dir, "killed")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"disk", "killed"} {
		m.reopen(filepath.Join(dir, name), testOptions())
		wantContents(t, m.tb, m.tb.Version(), m.want)
		wantChanges(t, m.tb, m.parts)
		if len(m.tb.Pending()) != 0 {
			t.Fatal(m.tb.Pending())
		}
	}
	m.run(2)
	m.wantKeys(1+2+1, 0)
}

// TestStreamReadsARunOnce: for all of the versions in it, not for each.
func TestStreamReadsARunOnce(t *testing.T) {
	m := newRunMaker(t, t.TempDir(), testOptions())
	m.run(5)
	stream, err := m.tb.Changes(1, m.tb.Version())
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range m.parts {
		c, ok, err := stream.Next()
		if err != nil || !ok {
			t.Fatal(i, ok, err)
		}
		if _, parts, err := wire.DecodeChange(c.Payload); err != nil || !slices.EqualFunc(parts, want, slices.Equal) {
			t.Fatal(i, parts, err)
		}
		if err := m.s.meta.Commit(kv.Entry{Key: key2(kVersion, m.tb.uid, 2), Delete: true}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRunBehindAGap: a run behind one that is lost proves nothing; all of its parts are pending again, also when the process ends
// between their being stored and the end of the run.
func TestRunBehindAGap(t *testing.T) {
	dir := t.TempDir()
	m := newRunMaker(t, dir, testOptions())
	for _, n := range []int{2, 3, 4} { // 2 and 3, 4 to 6, 7 to 10
		m.run(n)
	}
	key := key2(kVersion, m.tb.uid, 7)
	var last []byte
	if err := m.s.meta.View(key, func(val []byte) error { last = slices.Clone(val); return nil }); err != nil {
		t.Fatal(err)
	}
	if err := m.s.meta.Commit(kv.Entry{Key: key2(kVersion, m.tb.uid, 4), Delete: true}); err != nil {
		t.Fatal(err)
	}
	pending := []types.TxnID{7, 8, 9, 10}
	for i := range 3 {
		m.reopen(dir, testOptions())
		if m.tb.Version() != 3 || !slices.Equal(m.tb.Pending(), pending) {
			t.Fatalf("version %d, pending %v", m.tb.Version(), m.tb.Pending())
		}
		m.wantKeys(1, len(pending))
		if i == 0 { // as if it had not been deleted
			if err := m.s.meta.Commit(kv.Entry{Key: key, Value: last}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for v := types.Version(4); v <= 10; v++ {
		if v <= 6 {
			light(t, m.tb, types.TxnID(v), 0, m.parts[v-2][0])
		}
		if err := m.tb.Publish(types.TxnID(v), v); err != nil {
			t.Fatal(err)
		}
	}
	m.reopen(dir, testOptions())
	wantContents(t, m.tb, 10, m.want)
	wantChanges(t, m.tb, m.parts)
}

// TestLargeDeletesAreInNoRun: a transaction that only deletes may be a large one, and yet take few bytes. It names no rowset, and its
// parts, which nobody has read when it is published, stay where they are.
func TestLargeDeletesAreInNoRun(t *testing.T) {
	dir := t.TempDir()
	m := newRunMaker(t, dir, testOptions())
	m.run(3) // 2 to 4
	opt := testOptions()
	opt.bulkBytes = 1
	m.reopen(dir, opt)
	payload := encode(t, []types.RowOp{types.OpDelete, types.OpDelete}, []row{{2, "a", 0}, {4, "a", 0}})
	if err := prepare(m.tb, 5, 0, payload); err != nil {
		t.Fatal(err)
	}
	if err := m.tb.Publish(5, 5); err != nil {
		t.Fatal(err)
	}
	delete(m.want, rowKey{2, "a"})
	delete(m.want, rowKey{4, "a"})
	m.parts = append(m.parts, [][]byte{payload})
	m.wantKeys(2, 1)
	for range 2 {
		wantContents(t, m.tb, 5, m.want)
		wantChanges(t, m.tb, m.parts)
		m.reopen(dir, opt)
	}
}

// TestRetentionInsideARun: a run stays until all of its versions are dropped, and no run has both what is flushed and what is not.
func TestRetentionInsideARun(t *testing.T) {
	dir := t.TempDir()
	opt := testOptions()
	opt.Retention = Retention{Versions: 3, Age: 1, Bytes: 1 << 20}
	var asked atomic.Int64
	start := time.Now()
	opt.Now = func() time.Time { return start.Add(time.Duration(asked.Add(1)) * time.Millisecond) } // ages count in milliseconds
	m := newRunMaker(t, dir, opt)
	flush := func(oldest types.Version) {
		t.Helper()
		if err := m.tb.Flush(); err != nil {
			t.Fatal(err)
		}
		if got := m.tb.Stats().OldestRetained; got != oldest {
			t.Fatalf("the oldest version that is retained is %d, not %d", got, oldest)
		}
	}
	m.run(6) // 2 to 7
	m.run(2) // 8 and 9
	flush(7)
	m.wantKeys(2, 0)
	m.reopen(dir, opt) // all of a run that it has any of
	if got := m.tb.Stats().OldestRetained; got != 2 {
		t.Fatalf("after a restart, version %d is the oldest", got)
	}
	wantChanges(t, m.tb, m.parts)
	m.run(1)
	flush(8)
	m.wantKeys(2, 0)
	m.disk.during(t, m.s, func() { // a flush between two versions ends the run
		light(t, m.tb, 11, 0, puts(t, row{11, "a", 11}))
		if err := m.tb.Publish(11, 11); err != nil {
			t.Fatal(err)
		}
		if f, err := m.tb.freeze(); err != nil || f == nil {
			t.Fatal(f, err)
		}
		light(t, m.tb, 12, 0, puts(t, row{12, "a", 12}))
		if err := m.tb.Publish(12, 12); err != nil {
			t.Fatal(err)
		}
	})
	m.wantKeys(2+2, 0)
	m.reopen(dir, opt)
	flush(10)
	m.wantKeys(3, 0)
}

// TestDiskWithoutRuns: a disk of the release before has each version in a record of its own; it shows what it had and becomes one of
// this release.
func TestDiskWithoutRuns(t *testing.T) {
	dir := t.TempDir()
	old := testOptions()
	old.format = inlineFormat
	m := newRunMaker(t, dir, old)
	m.run(5)
	m.wantKeys(5, 0)
	m.reopen(dir, testOptions())
	if m.s.Format() != storeFormat {
		t.Fatalf("format %d", m.s.Format())
	}
	m.run(5)
	m.wantKeys(5+1, 0)
	m.reopen(dir, testOptions())
	wantContents(t, m.tb, 11, m.want)
	wantChanges(t, m.tb, m.parts)
}

func FuzzOpenVersions(f *testing.F) {
	key := key2(kVersion, 1, 7)
	run := appendInline(nil, &versionRecord{Txn: 3, AtMs: 9}, [][]byte{[]byte("part")})
	f.Add(slices.Clone(run))
	run = appendInline(run, &versionRecord{Txn: 4, AtMs: -9}, [][]byte{nil, []byte("two")})
	run[0] = runMagic
	f.Add(run)
	one := sealed(key, &versionRecord{Txn: 3, Parts: []partEntry{{Bytes: 4}}})
	f.Add(one.Value[:len(one.Value)-sealBytes])
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := openVersions(key, seal(key, body))
		if err != nil || body[0] != inlineMagic && body[0] != runMagic {
			return
		}
		var again []byte
		for i := range got {
			again = appendInline(again, &got[i].rec, got[i].payloads)
		}
		again[0] = body[0]
		same, err := openVersions(key, seal(key, again))
		if err != nil || len(same) != len(got) {
			t.Fatalf("%d records are %d when encoded again: %v", len(got), len(same), err)
		}
		for i := range got {
			if same[i].rec.Txn != got[i].rec.Txn || same[i].rec.AtMs != got[i].rec.AtMs || !slices.EqualFunc(same[i].payloads, got[i].payloads, slices.Equal) {
				t.Fatalf("record %d: %+v, again %+v", i, got[i], same[i])
			}
		}
	})
}
