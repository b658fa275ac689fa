package kv

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// TestWithFront runs the tests of an instance once more with a front.
func TestWithFront(t *testing.T) {
	fronted = true
	defer func() { fronted = false }()
	for name, test := range map[string]func(*testing.T){
		"ConcurrentCommitsSurviveACopy": TestConcurrentCommitsSurviveACopy, "RequestsKeepTheirOrder": TestRequestsKeepTheirOrder,
		"DeleteAndScan": TestDeleteAndScan, "AnErrorLineEndsWriting": TestAnErrorLineEndsWriting, "ClosedRefuses": TestClosedRefuses,
		"OneSyncPerRequest": TestTrapOneSyncPerRequest, "OlderTimestamp": TestTrapOlderTimestamp, "TransactionTooBig": TestTrapTransactionTooBig,
		"CleanAndUncleanStarts": TestCleanAndUncleanStarts, "ReadOnly": TestReadOnly, "EveryWriteMayFail": TestEveryWriteMayFail,
	} {
		t.Run(name, test)
	}
}

// frontMachine is an instance with a front beside a map: it is written in small and large requests, read, scanned, killed at
// any moment with a torn tail, and closed.
type frontMachine struct {
	t     *testing.T
	dir   string
	db    *DB
	model map[string]string
	n     int
}

func (m *frontMachine) open(rt *rapid.T) {
	opt := smallOptions()
	opt.Front, opt.FrontBytes, opt.MemTableBytes = true, 64<<10, 16<<20 // they take turns often, and Badger moves no file while it is copied
	db, err := Open(m.dir, opt)
	if err != nil {
		rt.Fatalf("open: %v", err)
	}
	m.db = db
}

func (m *frontMachine) request(rt *rapid.T) []Entry {
	var out []Entry
	there := map[string]bool{} // by what this request does
	for range rapid.IntRange(1, 8).Draw(rt, "changes") {
		e := Entry{Key: fmt.Appendf(nil, "k%02d", rapid.IntRange(0, 30).Draw(rt, "key"))}
		if e.Delete = rapid.IntRange(0, 4).Draw(rt, "delete") < 2; !e.Delete {
			m.n++
			size := rapid.SampledFrom([]int{8, 100, 900, 3000, 9000}).Draw(rt, "size")
			e.Value = append(make([]byte, 0, size), fmt.Sprintf("%d ", m.n)...)
			e.Value = e.Value[:size]
			has, changed := there[string(e.Key)]
			if _, before := m.model[string(e.Key)]; !has && (changed || !before) {
				e.New = rapid.Bool().Draw(rt, "new")
			}
		}
		there[string(e.Key)] = !e.Delete
		out = append(out, e)
	}
	if rapid.IntRange(0, 15).Draw(rt, "large") == 0 { // it goes past the front
		m.n++
		value := make([]byte, 60<<10)
		copy(value, fmt.Sprint(m.n))
		out = append(out, Entry{Key: []byte("large"), Value: value})
	}
	return out
}

func (m *frontMachine) took(entries []Entry) {
	for _, e := range entries {
		if delete(m.model, string(e.Key)); !e.Delete {
			m.model[string(e.Key)] = string(e.Value)
		}
	}
}

// Write commits some requests at once.
func (m *frontMachine) Write(rt *rapid.T) {
	var wg sync.WaitGroup
	for range rapid.IntRange(1, 12).Draw(rt, "requests") {
		entries := m.request(rt)
		m.took(entries)
		wg.Add(1)
		commit := m.db.CommitAsync
		if rapid.Bool().Draw(rt, "lazy") {
			commit = m.db.CommitLazy
		}
		commit(entries, func(err error) {
			if err != nil {
				m.t.Error(err)
			}
			wg.Done()
		})
	}
	wg.Wait()
}

// Crash goes on with a copy of the files, behind whose front log lies what was never acknowledged.
func (m *frontMachine) Crash(rt *rapid.T) {
	to := copied(m.t, m.dir)
	_ = m.db.Close() // nobody looks at what it leaves
	m.dir = to
	f := m.db.front
	if f.off > 0 && rapid.Bool().Draw(rt, "torn") {
		f.group++
		rec := append(make([]byte, frontHead), "\x06torn"...)
		f.seal(rec, f.seq+1)
		rec[rapid.IntRange(0, len(rec)-1).Draw(rt, "at")] ^= 0x40
		file, err := os.OpenFile(frontName(to, f.at), os.O_RDWR, 0)
		if err == nil {
			_, err = file.WriteAt(rec, f.off)
			err = errors.Join(err, file.Close())
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			rt.Fatal(err)
		}
	}
	m.open(rt)
	m.same(rt)
}

// Reopen closes and opens.
func (m *frontMachine) Reopen(rt *rapid.T) {
	if err := m.db.Close(); err != nil {
		rt.Fatal(err)
	}
	if hasFront(m.dir) {
		rt.Fatal("a closed instance has a front")
	}
	m.open(rt)
}

func (m *frontMachine) same(rt *rapid.T) {
	for i := range 31 {
		m.sees(rt, fmt.Sprintf("k%02d", i))
	}
	m.sees(rt, "large")
}

func (m *frontMachine) sees(rt *rapid.T, key string) {
	want, there := m.model[key]
	err := m.db.View([]byte(key), func(val []byte) error {
		if string(val) != want {
			rt.Fatalf("%s has a value of %d bytes that begins %q, want %d, %q", key, len(val), val[:min(len(val), 8)], len(want), want[:min(len(want), 8)])
		}
		return nil
	})
	if there && err != nil || !there && !errors.Is(err, ErrNotFound) {
		rt.Fatalf("%s, there %v: %v", key, there, err)
	}
}

// Read looks at some keys, before or after they have reached Badger.
func (m *frontMachine) Read(rt *rapid.T) { m.same(rt) }

// Scan looks at all keys.
func (m *frontMachine) Scan(rt *rapid.T) {
	n := 0
	err := m.db.Scan(nil, func(key, val []byte) error {
		if want, ok := m.model[string(key)]; !ok || want != string(val) {
			rt.Fatalf("scan: %s has %d bytes, there %v", key, len(val), ok)
		}
		n++
		return nil
	})
	if err != nil || n != len(m.model) {
		rt.Fatalf("scan: %d keys of %d: %v", n, len(m.model), err)
	}
}

// TestFrontAgainstAMap is the property of a front: it is not there, but for the time that a commit takes.
func TestFrontAgainstAMap(t *testing.T) {
	draws(t, 10, 40)
	rapid.Check(t, func(rt *rapid.T) {
		m := &frontMachine{t: t, dir: filepath.Join(t.TempDir(), "db"), model: map[string]string{}}
		m.open(rt)
		defer func() { _ = m.db.Close() }()
		crashes := 0
		rt.Repeat(map[string]func(*rapid.T){
			"write": m.Write, "write again": m.Write, "read": m.Read, "scan": m.Scan,
			"crash": func(rt *rapid.T) {
				if crashes++; crashes > 2 { // a copy takes its time
					rt.Skip()
				}
				m.Crash(rt)
			},
			"reopen": func(rt *rapid.T) {
				if crashes++; crashes > 2 {
					rt.Skip()
				}
				m.Reopen(rt)
			},
		})
	})
}

// TestNewAndDeleted: of a new key that is deleted before anybody takes it, Badger hears nothing; of one that it has, or is being given,
// it hears of the deletion.
func TestNewAndDeleted(t *testing.T) {
	b := newBehind()
	seq := uint64(0)
	add := func(entries ...Entry) {
		seq++
		b.add([]*request{{entries: entries, seq: seq}})
	}
	take := func() string {
		group, _ := b.next(1000, 1<<20)
		out := ""
		for _, r := range group {
			for _, e := range r.entries {
				switch {
				case e.void:
				case e.Delete:
					out += "-" + string(e.Key)
				default:
					out += "+" + string(e.Key)
				}
			}
		}
		return out
	}
	fresh := func(key string) Entry { return Entry{Key: []byte(key), Value: []byte("v"), New: true} }
	gone := func(key string) Entry { return Entry{Key: []byte(key), Delete: true} }
	add(fresh("a"), fresh("b"), set("c", "v"), fresh("d"), gone("d"))
	add(gone("a"), gone("c"))
	add(gone("a"))
	if _, ok := b.get([]byte("b")); !ok || b.entries != 4 {
		t.Errorf("%d changes to apply", b.entries)
	}
	if _, ok := b.get([]byte("d")); ok {
		t.Error("what Badger never heard of is there")
	}
	group, _ := b.next(1000, 1<<20)
	if got := take(); got != "+b+c-c-a" {
		t.Errorf("applied: %s", got)
	}
	add(gone("b"))  // while the first are applied
	add(fresh("b")) // which the deletion before it makes new, but Badger has to hear of that one
	add(gone("b"))
	b.done(group)
	add(fresh("a"))
	add(gone("a"))
	if got := take(); got != "-b+b-b" || b.entries != 3 {
		t.Errorf("applied: %s, %d changes", got, b.entries)
	}
	group, _ = b.next(1000, 1<<20)
	b.done(group)
	if len(b.keys) != 0 || b.entries != 0 {
		t.Errorf("%d keys and %d changes are left", len(b.keys), b.entries)
	}
}

// TestFlippedBitInFront: damage before what was acknowledged last is told, not taken for the end. In the last group it
// cannot be told from a tear: there rows are missed, as after one, and the catalog knows of it.
func TestFlippedBitInFront(t *testing.T) {
	opt := smallOptions()
	opt.Front = true
	dir := filepath.Join(t.TempDir(), "db")
	db, err := Open(dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	var ends []int64
	for i := range 10 {
		if err := db.Commit(Entry{Key: []byte(keyNumber(i)), Value: sealedValue(keyNumber(i), 200)}); err != nil {
			t.Fatal(err)
		}
		ends = append(ends, db.front.off)
	}
	crashed := copied(t, dir)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for i, end := range ends {
		broken := copied(t, crashed)
		name := frontName(broken, 0)
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		raw[end-100] ^= 1
		if err := os.WriteFile(name, raw, 0o640); err != nil {
			t.Fatal(err)
		}
		again, err := Open(broken, opt)
		if told := errors.Is(err, ErrDamaged); told != (i < len(ends)-1) {
			t.Errorf("group %d is damaged: %v", i, err)
		}
		if err == nil {
			if err := again.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestLogShorterThanFront: Badger loses the end of its own log. What the front reaches back to is put in again; what lies
// before that is missed, and told.
func TestLogShorterThanFront(t *testing.T) {
	opt := smallOptions()
	opt.Front, opt.FrontBytes, opt.MemTableBytes, opt.ValueThreshold = true, 64<<10, 16<<20, 32<<10
	dir := filepath.Join(t.TempDir(), "db")
	db, err := Open(dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	const n = 200
	for i := range n {
		if err := db.Commit(Entry{Key: []byte(keyNumber(i)), Value: sealedValue(keyNumber(i), 3000)}); err != nil {
			t.Fatal(err)
		}
	}
	db.behind.settle()
	crashed := copied(t, dir)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	logs, err := filepath.Glob(filepath.Join(crashed, "*.mem"))
	if err != nil || len(logs) != 1 {
		t.Fatal(logs, err)
	}
	raw, err := os.ReadFile(logs[0])
	if err != nil {
		t.Fatal(err)
	}
	used := len(bytes.TrimRight(raw, "\x00"))
	for _, c := range []struct {
		lost int
		told bool
	}{{used / 2, true}, {20 << 10, false}, {0, false}} {
		cut := copied(t, crashed)
		short := append(slices.Clone(raw[:used-c.lost]), make([]byte, len(raw)-used+c.lost)...)
		if err := os.WriteFile(filepath.Join(cut, filepath.Base(logs[0])), short, 0o640); err != nil {
			t.Fatal(err)
		}
		again, err := Open(cut, opt)
		if errors.Is(err, ErrDamaged) != c.told || err != nil && !c.told {
			t.Fatalf("%d bytes of %d are lost: %v", c.lost, used, err)
		}
		if err != nil {
			continue
		}
		for i := range n {
			if err := again.View([]byte(keyNumber(i)), checked(keyNumber(i))); err != nil {
				t.Fatalf("%d bytes are lost: %s: %v", c.lost, keyNumber(i), err)
			}
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestGroupsPassTheFront queues requests while the committer is busy that pass the front one by one, and would not all together:
// none of them may wait for Badger. One that is too large by itself does.
func TestGroupsPassTheFront(t *testing.T) {
	opt := smallOptions()
	opt.Front, opt.MemTableBytes = true, 8<<20
	busy, held := make(chan struct{}), make(chan struct{})
	var first sync.Once
	opt.Faults.Before = func() error {
		first.Do(func() { close(busy); <-held })
		return nil
	}
	db, err := Open(filepath.Join(t.TempDir(), "db"), opt)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	const n, size = 40, 20 << 10
	done := make(chan error, n)
	for i := range n {
		db.CommitAsync([]Entry{set(keyNumber(i), string(make([]byte, size)))}, func(err error) { done <- err })
		if i == 0 {
			<-busy
		}
	}
	close(held)
	for range n {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	db.behind.mu.RLock()
	acked := db.behind.acked
	db.behind.mu.RUnlock()
	if acked != n {
		t.Fatalf("%d of %d requests have passed the front", acked, n)
	}
	if err := db.Commit(set("large", string(make([]byte, db.front.size/2)))); err != nil {
		t.Fatal(err)
	}
	if db.front.last != [2]uint64{} {
		t.Fatal("a request that is too large has passed the front")
	}
}

// FuzzReadFront: what is read of any bytes is well formed, and nothing panics.
func FuzzReadFront(f *testing.F) {
	log := newFront("", Options{MemTableBytes: 1 << 20})
	buf, _ := log.encode([]*request{{entries: []Entry{set("a", "b"), {Key: []byte("c"), Delete: true}}}, {}, {entries: []Entry{set("", "")}}})
	f.Add(buf)
	f.Add(buf[:len(buf)-9])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(frontName(dir, 0), raw, 0o600); err != nil {
			t.Fatal(err)
		}
		requests, err := readFront(dir)
		if err != nil && !errors.Is(err, ErrDamaged) {
			t.Fatal(err)
		}
		for i, r := range requests {
			if i > 0 && r.seq != requests[i-1].seq+1 {
				t.Fatalf("request %d follows %d", r.seq, requests[i-1].seq)
			}
		}
	})
}

// Somebody waits until Badger has what the front file holds that is to be begun again; what is added meanwhile gathers as ever.
func TestHurryEndsWithWhatIsWaitedFor(t *testing.T) {
	b := newBehind()
	change := func(seq uint64) *request {
		return &request{entries: []Entry{{Key: []byte{byte(seq)}, Value: []byte("v")}}, seq: seq}
	}
	b.add([]*request{change(1)})
	waited := make(chan bool)
	go func() { waited <- b.wait(1) }()
	for !b.hurried() {
		<-b.poke // of add, then of wait
	}
	group, _ := b.next(applyEntries, 1<<20)
	b.add([]*request{change(2)})
	if !b.hurried() {
		t.Error("what is waited for is not in Badger, and nobody hurries")
	}
	b.done(group)
	if !<-waited {
		t.Error("waited for what failed")
	}
	if b.hurried() {
		t.Error("what nobody waits for is applied by itself")
	}
}
