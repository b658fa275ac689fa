package kv

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"stele/be/tablet/kv/segment"
)

// TestWithSegments runs the tests of an instance once more with its large values in segments, without a front and with one.
func TestWithSegments(t *testing.T) {
	withSegments(t)
	t.Run("alone", testWithSegments)
	t.Run("front", func(t *testing.T) {
		fronted = true
		defer func() { fronted = false }()
		testWithSegments(t)
	})
}

func testWithSegments(t *testing.T) {
	for name, test := range map[string]func(*testing.T){
		"ConcurrentCommitsSurviveACopy": TestConcurrentCommitsSurviveACopy, "RequestsKeepTheirOrder": TestRequestsKeepTheirOrder,
		"DeleteAndScan": TestDeleteAndScan, "AnErrorLineEndsWriting": TestAnErrorLineEndsWriting, "ClosedRefuses": TestClosedRefuses,
		"OneSyncPerRequest": TestTrapOneSyncPerRequest, "OlderTimestamp": TestTrapOlderTimestamp,
		"CleanAndUncleanStarts": TestCleanAndUncleanStarts, "ReadOnly": TestReadOnly, "EveryWriteMayFail": TestEveryWriteMayFail,
	} {
		t.Run(name, test)
	}
}

// powerFile is a segment that forgets, in a power cut, part of what was not synced. WriteAt may fail half way, Sync with nothing
// known: as with a kernel's, no later Sync makes durable what one has failed for.
type powerFile struct {
	disk *powerDisk
	name string
	f    *os.File
}

// powerDisk is what its files have in common.
type powerDisk struct {
	mu       sync.Mutex
	unsynced map[string]map[int64]bool // pages by file; false = a flush of them has failed
	fail     func(step string) error
}

const pageBytes = 4 << 10 // what a disk writes as a whole: nothing durable may be in one that is written

func (d *powerDisk) create(path string, size int64) (segment.Output, error) {
	if err := d.fault("create"); err != nil {
		return nil, err
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	return &powerFile{d, filepath.Base(path), f}, f.Truncate(size)
}

func (d *powerDisk) fault(step string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail == nil {
		return nil
	}
	return d.fail(step)
}

func (p *powerFile) WriteAt(pieces [][]byte, offset int64, _ bool) error {
	err := p.disk.fault("write")
	for i, b := range pieces {
		if err != nil && i == len(pieces)/2 {
			return err
		}
		if _, err := p.f.WriteAt(b, offset); err != nil {
			return err
		}
		p.disk.mu.Lock()
		pages := p.disk.unsynced[p.name]
		if pages == nil {
			pages = make(map[int64]bool)
			p.disk.unsynced[p.name] = pages
		}
		for at := offset / pageBytes; at*pageBytes < offset+int64(len(b)); at++ {
			pages[at] = true
		}
		p.disk.mu.Unlock()
		offset += int64(len(b))
	}
	return err
}

func (p *powerFile) Sync() error {
	p.disk.mu.Lock()
	pages := maps.Clone(p.disk.unsynced[p.name]) // what is written beside it may not be durable
	p.disk.mu.Unlock()
	runtime.Gosched()
	err := p.disk.fault("sync")
	p.disk.mu.Lock()
	defer p.disk.mu.Unlock()
	for at, lasting := range pages {
		switch {
		case err != nil:
			p.disk.unsynced[p.name][at] = false
		case lasting:
			delete(p.disk.unsynced[p.name], at)
		}
	}
	return err
}

func (p *powerFile) Cut(size int64) error {
	return errors.Join(p.disk.fault("cut"), p.f.Truncate(size))
}

func (p *powerFile) Close() error { return p.f.Close() }

// cut takes each unsynced page from a copy of the files, or leaves it.
func (d *powerDisk) cut(dir string, keep func() bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for name, pages := range d.unsynced {
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY, 0)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		for at := range pages {
			if !keep() {
				if _, err := f.WriteAt(make([]byte, pageBytes), at*pageBytes); err != nil {
					return err
				}
			}
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	d.unsynced = make(map[string]map[int64]bool)
	return nil
}

// valueMachine is an instance with segments, and perhaps a front, beside a map: it is written, read, scanned and collected; writes and syncs fail; the
// power is cut at any step of a commit or a collection; it is closed and opened again.
type valueMachine struct {
	t     *testing.T
	dir   string
	n     int
	db    *DB
	disk  *powerDisk
	model map[string]string
	rng   *rand.Rand
	front bool
}

func (m *valueMachine) open(rt *rapid.T) {
	opt := smallOptions()
	opt.Segments, opt.SegmentBytes, opt.MemTableBytes, opt.createSegment = true, 64<<10, 16<<20, m.disk.create
	opt.GroupBytes = 32 << 10                     // so that some requests are a group, and others share one
	opt.Front, opt.FrontBytes = m.front, 2*32<<10 // and some do not pass the front
	db, err := Open(m.dir, opt)
	if err != nil {
		rt.Fatalf("open: %v", err)
	}
	m.db = db
}

func (m *valueMachine) request(rt *rapid.T) []Entry {
	var out []Entry
	for range rapid.IntRange(1, 6).Draw(rt, "changes") {
		e := Entry{Key: fmt.Appendf(nil, "k%02d", rapid.IntRange(0, 15).Draw(rt, "key"))}
		if e.Delete = rapid.IntRange(0, 3).Draw(rt, "delete") == 0; !e.Delete {
			m.n++
			size := rapid.SampledFrom([]int{8, 1023, 1024, 1025, 5000, 20 << 10}).Draw(rt, "size")
			e.Value = []byte(strings.Repeat(fmt.Sprintf("%d ", m.n), size)[:size])
			if rapid.Bool().Draw(rt, "cold") {
				e = Cold(e.Key, e.Value)
			}
		}
		out = append(out, e)
	}
	return out
}

func took(model map[string]string, entries []Entry) map[string]string {
	model = maps.Clone(model)
	for _, e := range entries {
		if delete(model, string(e.Key)); !e.Delete {
			model[string(e.Key)] = string(e.Value)
		}
	}
	return model
}

// lose cuts the power: what is there then is one of the states that are given.
func (m *valueMachine) lose(rt *rapid.T, states ...map[string]string) {
	next := filepath.Join(m.t.TempDir(), "next")
	copyTo(m.t, m.dir, next)
	if err := m.disk.cut(next, func() bool { return m.rng.IntN(2) == 0 }); err != nil {
		rt.Fatal(err)
	}
	_ = m.db.Close() // the old one may be failed
	if err := os.RemoveAll(m.dir); err != nil {
		rt.Fatal(err)
	}
	m.dir = next
	m.disk.mu.Lock()
	m.disk.fail, m.disk.unsynced = nil, make(map[string]map[int64]bool)
	m.disk.mu.Unlock()
	m.open(rt)
	got := m.contents(rt)
	for _, s := range states {
		if maps.Equal(got, s) {
			m.model = got
			return
		}
	}
	may := ""
	for _, s := range states {
		may += "\n  " + summary(s)
	}
	rt.Fatalf("after a power cut there are\n  %s, not one of%s", summary(got), may)
}

func (m *valueMachine) contents(rt *rapid.T) map[string]string {
	got := make(map[string]string)
	if err := m.db.Scan(nil, func(k, v []byte) error { got[string(k)] = string(v); return nil }); err != nil {
		rt.Fatalf("scan: %v", err)
	}
	return got
}

func summary(m map[string]string) (out string) {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out += fmt.Sprintf("%s=%.6s(%d) ", k, m[k], len(m[k]))
	}
	return out
}

func (m *valueMachine) check(rt *rapid.T) {
	if got := m.contents(rt); !maps.Equal(got, m.model) {
		rt.Fatalf("there are %s, not %s", summary(got), summary(m.model))
	}
	for k, want := range m.model {
		if err := m.db.View([]byte(k), func(val []byte) error {
			if string(val) != want {
				return errBadValue
			}
			return nil
		}); err != nil {
			rt.Fatalf("key %s: %v", k, err)
		}
	}
	live := int64(0)
	values := 0
	for _, v := range m.model {
		if int64(len(v)) >= m.db.threshold {
			values++
			live += int64(len(v))
		}
	}
	counted, n := int64(0), int64(0)
	for _, s := range m.db.values.log.Segments() {
		counted, n = counted+s.Live, n+s.Values
		if s.Pinned {
			rt.Fatalf("segment %d is pinned", s.ID)
		}
	}
	if n != int64(values) || counted < live || counted > live+n*64 {
		rt.Fatalf("%d values of %d bytes are counted, there are %d of %d", n, counted, values, live)
	}
}

func (m *valueMachine) commit(rt *rapid.T) {
	entries := m.request(rt)
	if err := m.db.Commit(entries...); err != nil {
		rt.Fatal(err)
	}
	m.model = took(m.model, entries)
}

// fail has a step of a commit, or of a collection, fail, and cuts the power then.
func (m *valueMachine) fail(rt *rapid.T) {
	left := rapid.IntRange(0, 4).Draw(rt, "steps")
	m.disk.mu.Lock()
	m.disk.fail = func(step string) error {
		if left--; left < 0 {
			return errors.New(step + " failed")
		}
		return nil
	}
	m.disk.mu.Unlock()
	states := []map[string]string{m.model}
	if rapid.Bool().Draw(rt, "collect") {
		_ = m.db.Reclaim(m.t.Context(), noPace)
	} else {
		entries := m.request(rt)
		next := took(m.model, entries)
		if err := m.db.Commit(entries...); err == nil {
			states[0] = next
		} else {
			states = append(states, next)
			if err := m.db.Commit(set("k00", "x")); !errors.Is(err, ErrReadOnly) {
				rt.Fatalf("a commit after a failed one: %v", err)
			}
		}
		m.reach()
	}
	m.lose(rt, states...)
}

// reach waits until Badger has what the front has, or has failed.
func (m *valueMachine) reach() {
	if m.front {
		m.db.behind.settle()
	}
}

// burst has many requests, in groups that overlap, while a step fails, once or from then on, and cuts the power. Then there is what the
// requests before some one of them have made; that one is not before the last that was acknowledged.
func (m *valueMachine) burst(rt *rapid.T) {
	left, lasting := rapid.IntRange(0, 12).Draw(rt, "steps"), rapid.Bool().Draw(rt, "lasting")
	m.disk.mu.Lock()
	m.disk.fail = func(step string) error {
		if left--; left == -1 || left < 0 && lasting {
			return errors.New(step + " failed")
		}
		return nil
	}
	m.disk.mu.Unlock()
	states := []map[string]string{m.model}
	var all sync.WaitGroup
	var mu sync.Mutex
	acked := 0
	for i := range rapid.IntRange(2, 20).Draw(rt, "requests") {
		entries := m.request(rt)
		states = append(states, took(states[i], entries))
		all.Add(1)
		m.db.CommitAsync(entries, func(err error) {
			mu.Lock()
			defer mu.Unlock()
			if err == nil && acked != i {
				rt.Errorf("request %d is acknowledged, and %d before it", i, acked)
			}
			if err == nil {
				acked = i + 1
			}
			all.Done()
		})
	}
	all.Wait()
	m.reach()
	m.lose(rt, states[acked:]...)
}

// TestValuesAgainstAMap plays histories of an instance with segments.
func TestValuesAgainstAMap(t *testing.T) {
	draws(t, 6, 100)
	rapid.Check(t, func(rt *rapid.T) {
		m := &valueMachine{t: t, dir: filepath.Join(t.TempDir(), "db"), model: map[string]string{},
			disk: &powerDisk{unsynced: make(map[string]map[int64]bool)}, rng: rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1)),
			front: rapid.Bool().Draw(rt, "front")}
		m.open(rt)
		defer func() { _ = m.db.Close() }()
		rt.Repeat(map[string]func(*rapid.T){
			"":       m.check,
			"commit": m.commit,
			"again":  m.commit,
			"reclaim": func(rt *rapid.T) {
				if err := m.db.Reclaim(t.Context(), noPace); err != nil {
					rt.Fatal(err)
				}
				if s := m.db.values.log.Wasteful(deadRatio); len(s) > 0 {
					rt.Fatalf("segments %v are still worth a rewrite", s)
				}
			},
			"flatten": func(rt *rapid.T) {
				if err := m.db.flatten(); err != nil {
					rt.Fatal(err)
				}
			},
			"power cut": func(rt *rapid.T) { m.lose(rt, m.model) },
			"fail":      m.fail,
			"burst":     m.burst,
			"close": func(rt *rapid.T) {
				if err := m.db.Close(); err != nil {
					rt.Fatal(err)
				}
				m.open(rt)
			},
		})
	})
}

// heldOutput is a file whose first Sync waits until it is let go, and returns what it is told.
type heldOutput struct {
	segment.Output
	once   *sync.Once
	begun  chan struct{}
	wrote  chan struct{} // one for each write
	result chan error
}

func (o *heldOutput) WriteAt(pieces [][]byte, offset int64, past bool) error {
	o.wrote <- struct{}{}
	return o.Output.WriteAt(pieces, offset, past)
}

func (o *heldOutput) Sync() (err error) {
	o.once.Do(func() {
		close(o.begun)
		err = <-o.result
	})
	return errors.Join(err, o.Output.Sync())
}

// The values of a group are written while the one before it is made durable. If that fails, nothing of either can be read, and both are
// refused: the second one does not overtake the first.
func TestGroupsOverlap(t *testing.T) {
	for _, failure := range []error{nil, errors.New("the disk fails")} {
		held := &heldOutput{once: new(sync.Once), begun: make(chan struct{}), wrote: make(chan struct{}, 2), result: make(chan error)}
		disk := &powerDisk{unsynced: make(map[string]map[int64]bool)}
		opt := smallOptions()
		opt.Segments, opt.SegmentBytes, opt.createSegment = true, 1<<20, func(path string, size int64) (segment.Output, error) {
			f, err := disk.create(path, size)
			held.Output = f
			return held, err
		}
		db, err := Open(t.TempDir(), opt)
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 2)
		commit := func(key string) {
			value := bytes.Repeat([]byte(key), 9000)
			db.CommitAsync([]Entry{{Key: []byte(key), Value: value}}, func(err error) { done <- err })
			<-held.wrote
		}
		commit("a")
		<-held.begun
		commit("b") // hangs when it waits for the flush of a
		if len(done) > 0 {
			t.Error("a group is told of before it is durable")
		}
		held.result <- failure
		for range 2 {
			if err := <-done; !errors.Is(err, failure) { // nil is only nil
				t.Errorf("commit: %v, want %v", err, failure)
			}
		}
		for _, key := range []string{"a", "b"} {
			err := db.View([]byte(key), func([]byte) error { return nil })
			if errors.Is(err, ErrNotFound) != (failure != nil) || failure == nil && err != nil {
				t.Errorf("read %s after %v: %v", key, failure, err)
			}
		}
		_ = db.Close() // the failed one says so again
	}
}

// TestScanEachGoesOn scans values in a segment that ends in the middle of one, before it is mapped and after that: a scan tells of each that it
// cannot read, and of all others what they are.
func TestScanEachGoesOn(t *testing.T) {
	withSegments(t)
	const values = 6
	for _, mapped := range []bool{false, true} {
		dir := t.TempDir()
		db := open(t, dir)
		var entries []Entry
		for i := range values {
			entries = append(entries, Entry{Key: []byte{byte(i)}, Value: bytes.Repeat([]byte{byte(i)}, 20_000)})
		}
		if err := errors.Join(db.Commit(entries...), db.Close()); err != nil {
			t.Fatal(err)
		}
		cut := func() {
			if err := os.Truncate(filepath.Join(dir, "000001.seg"), 52<<10); err != nil {
				t.Fatal(err)
			}
		}
		if !mapped {
			cut()
		}
		db = open(t, dir)
		if mapped {
			cut()
		}
		unread := 0
		if err := db.ScanEach(nil, func(key, val []byte, err error) error {
			switch {
			case errors.Is(err, ErrDamaged) && key[0] >= 2:
				unread++
			case err != nil || !bytes.Equal(val, entries[key[0]].Value):
				t.Errorf("value %d: %d bytes, %v", key[0], len(val), err)
			}
			return nil
		}); err != nil || unread != values-2 {
			t.Fatalf("%d of %d values were not read, %v", unread, values, err)
		}
		if err := db.Scan(nil, func(_, val []byte) error { _ = slices.Max(val); return nil }); !errors.Is(err, ErrDamaged) {
			t.Fatalf("a scan of values that cannot be read: %v", err)
		}
	}
}
