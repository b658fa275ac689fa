package segment

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"stele/meta/journal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func record(i, size int) Record {
	r := rand.New(rand.NewPCG(uint64(i), 7))
	val := make([]byte, size)
	for k := range val {
		val[k] = byte(r.Uint32())
	}
	return Record{Key: fmt.Appendf(nil, "key%d", i), Value: val}
}

func openLog(t *testing.T, dir string, size int64) *Log {
	t.Helper()
	l, err := Open(dir, Options{Bytes: size})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// write appends records and counts them as alive.
func write(t *testing.T, l *Log, w *Writer, records ...Record) []Pointer {
	t.Helper()
	out, err := w.Append(records, false)
	if err == nil {
		err = w.Sync()
	}
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range out {
		if !l.Add(records[i].Key, p) {
			t.Fatalf("no segment %d", p.Segment)
		}
	}
	l.Settle(out)
	return out
}

func wantValue(t *testing.T, l *Log, r Record, p Pointer) {
	t.Helper()
	if err := l.View(r.Key, p, func(val []byte) error {
		if !bytes.Equal(val, r.Value) {
			return errors.New("another value")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := l.Verify(r.Key, p); err != nil {
		t.Fatal(err)
	}
}

func TestAppendReadReopen(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, 64<<10)
	w := l.NewWriter()
	sizes := []int{0, 1, 7, 8, 9, 4095, 4096, 40 << 10, 200 << 10, 63 << 10}
	var records []Record
	for i := range 60 {
		records = append(records, record(i, sizes[i%len(sizes)]))
	}
	pointers := write(t, l, w, records[:30]...)
	for i := 30; i < 60; i++ {
		pointers = append(pointers, write(t, l, w, records[i])...)
	}
	check := func(l *Log) {
		t.Helper()
		for i, r := range records {
			wantValue(t, l, r, pointers[i])
		}
	}
	check(l)
	if err := errors.Join(w.Seal(), l.Close()); err != nil {
		t.Fatal(err)
	}
	if err := l.Verify(records[0].Key, pointers[0]); !errors.Is(err, ErrGone) {
		t.Fatalf("of a closed log: %v", err)
	}
	l = openLog(t, dir, 64<<10)
	check(l)
	// A process writes to segments of its own.
	fresh := write(t, l, l.NewWriter(), record(100, 10))
	for _, p := range pointers {
		if p.Segment >= fresh[0].Segment {
			t.Fatalf("segment %d after %d", fresh[0].Segment, p.Segment)
		}
	}
	check(l)
}

// TestPointersAreProved: what is not the record of a pointer, or not of its key, is damage.
func TestPointersAreProved(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, 64<<10)
	w := l.NewWriter()
	a, b := record(1, 500), record(2, 500)
	p := write(t, l, w, a, b)
	for name, c := range map[string]struct {
		key []byte
		p   Pointer
	}{
		"another key":      {b.Key, p[0]},
		"another record":   {a.Key, p[1]},
		"another length":   {a.Key, Pointer{p[0].Segment, p[0].Offset, p[0].Length - 8, p[0].Sum}},
		"another checksum": {a.Key, Pointer{p[0].Segment, p[0].Offset, p[0].Length, p[0].Sum + 1}},
		"inside a value":   {a.Key, Pointer{p[0].Segment, p[0].Offset + 64, p[0].Length, p[0].Sum}},
		"behind the end":   {a.Key, Pointer{p[0].Segment, 64 << 10, p[0].Length, p[0].Sum}},
		"far behind":       {a.Key, Pointer{p[0].Segment, 1<<32 - 8, MaxValue, p[0].Sum}},
	} {
		if err := l.View(c.key, c.p, func([]byte) error { return nil }); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := l.View(a.Key, Pointer{Segment: 99}, nil); !errors.Is(err, ErrGone) {
		t.Error(err)
	}
	// A copy of the file under another number holds nothing.
	if err := w.Seal(); err != nil {
		t.Fatal(err)
	}
	body, err := os.ReadFile(filepath.Join(dir, "000001.seg"))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "000009.seg"), body, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	stale := p[0]
	stale.Segment = 9
	if err := openLog(t, dir, 64<<10).View(a.Key, stale, func([]byte) error { return nil }); !errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
}

func TestEveryFlippedBitIsNoticed(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, 64<<10)
	w := l.NewWriter()
	r := record(1, 99)
	p := write(t, l, w, r)[0]
	if err := w.Seal(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "000001.seg")
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for bit := range (headBytes + align(4) + 99) * 8 {
		at := bit / 8
		if at >= headBytes+int64(len(r.Key)) && at < headBytes+align(int64(len(r.Key))) {
			continue // zeros between key and value
		}
		if _, err := f.WriteAt([]byte{body[at] ^ 1<<(bit%8)}, at); err != nil {
			t.Fatal(err)
		}
		if err := l.Verify(r.Key, p); !errors.Is(err, ErrDamaged) {
			t.Fatalf("bit %d: %v", bit, err)
		}
		if found, err := Walk(1, path, nil); err != nil || found.Records != 0 || found.Damaged == 0 && found.Lost == 0 {
			t.Fatalf("bit %d: walking finds %+v, %v", bit, found, err)
		}
		if _, err := f.WriteAt(body[at:at+1], at); err != nil {
			t.Fatal(err)
		}
	}
	wantValue(t, l, r, p)
}

// TestWalkPassesDamage: behind what is damaged the next records are found, and in a file that a killed process left long.
func TestWalkPassesDamage(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, 1<<20)
	w := l.NewWriter()
	var records []Record
	for i := range 20 {
		records = append(records, record(i, 3000+i))
	}
	pointers := write(t, l, w, records...)
	path := filepath.Join(dir, "000001.seg")
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, at := range []int64{int64(pointers[3].Offset) + 9, int64(pointers[7].Offset) + 500} { // a head and a value
		if _, err := f.WriteAt([]byte{0xA5}, at); err != nil {
			t.Fatal(err)
		}
	}
	seen := 0
	found, err := Walk(1, path, func(r Record, p Pointer) error {
		for i := range records {
			if p == pointers[i] && bytes.Equal(r.Key, records[i].Key) && bytes.Equal(r.Value, records[i].Value) {
				seen++
			}
		}
		return nil
	})
	if err != nil || found.Records != 18 || seen != 18 || found.Damaged != 1 || found.Lost < 3000 || found.Lost > 3200 {
		t.Fatalf("%+v, %d of them right, %v", found, seen, err)
	}
}

func TestWhatIsWasteful(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, 64<<10)
	w := l.NewWriter()
	var records []Record
	for i := range 40 {
		records = append(records, record(i, 10<<10))
	}
	pointers := write(t, l, w, records...) // six a segment
	pinned, err := l.NewWriter().Append([]Record{record(99, 70<<10)}, false)
	if err != nil {
		t.Fatal(err)
	}
	if s := l.Wasteful(0.3); len(s) > 0 {
		t.Fatalf("%v are wasteful", s)
	}
	for _, i := range []int{0, 6, 7, 12, 13, 14} {
		l.Drop(records[i].Key, pointers[i])
	}
	if s := l.Wasteful(0.3); fmt.Sprint(s) != "[3 2]" {
		t.Fatalf("%v are wasteful", s)
	}
	for _, s := range l.Segments() {
		if s.ID == pinned[0].Segment && !s.Pinned {
			t.Fatal("what nobody knows of yet is not pinned")
		}
	}
	dead := l.Dead()
	if err := l.View(records[15].Key, pointers[15], func(val []byte) error { // in segment 3
		if err := l.Remove(3); err != nil {
			return err
		}
		if !bytes.Equal(val, records[15].Value) {
			return errors.New("another value")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := l.View(records[15].Key, pointers[15], nil); !errors.Is(err, ErrGone) {
		t.Fatal(err)
	}
	if now := l.Dead(); now >= dead {
		t.Fatalf("%d dead bytes, %d before", now, dead)
	}
}

// TestSmallSegmentsAreMerged: each start leaves a segment; when there are many, they count as worth a rewrite.
func TestSmallSegmentsAreMerged(t *testing.T) {
	dir := t.TempDir()
	for i := range maxSmall + 1 {
		l := openLog(t, dir, 1<<20)
		w := l.NewWriter()
		write(t, l, w, record(i, 4000))
		if s := l.Wasteful(0.3); len(s) > 0 && i == 0 {
			t.Fatalf("%v are wasteful", s)
		}
		if err := errors.Join(w.Seal(), l.Close()); err != nil {
			t.Fatal(err)
		}
	}
	l, all := openLog(t, dir, 1<<20), 0
	for id, path := range mustFiles(t, dir) {
		if _, err := Walk(id, path, func(r Record, p Pointer) error { l.Add(r.Key, p); all++; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if s := l.Wasteful(0.3); len(s) != maxSmall+1 || all != maxSmall+1 {
		t.Fatalf("%d of %d are wasteful", len(s), all)
	}
}

func mustFiles(t *testing.T, dir string) map[uint32]string {
	t.Helper()
	files, err := Files(dir)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// FuzzRecord reads records and pointers of any bytes: what is found is what was written at that place, or nothing.
func FuzzRecord(f *testing.F) {
	r := record(1, 50)
	p := Pointer{Segment: 3, Length: 50, Sum: SumOf(r.Key, r.Value)}
	sound := append(appendHead(nil, r.Key, p), r.Value...)
	f.Add(sound, uint32(0))
	f.Add(append(make([]byte, 8), sound...), uint32(8))
	f.Add(p.Encode(), uint32(0))
	f.Add([]byte{}, uint32(1<<31))
	f.Fuzz(func(t *testing.T, data []byte, offset uint32) {
		if p, ok := DecodePointer(data); ok && !bytes.Equal(p.Encode(), data) {
			t.Fatalf("%x is pointer %+v, which is %x", data, p, p.Encode())
		}
		if rec, p, ok := readRecord(data, 3, offset); ok {
			want := appendHead(nil, rec.Key, p)
			head := data[offset:][:headBytes+len(rec.Key)]
			if !bytes.Equal(head[24:32], want[24:32]) || int(p.Length) != len(rec.Value) || p.Offset != offset {
				t.Fatalf("%+v of %x", p, data)
			}
		}
		if _, err := walk(data, 3, nil); err != nil {
			t.Fatal(err)
		}
	})
}

// slowOutput is a file whose Sync says that it has begun, and ends when it is let go.
type slowOutput struct {
	Output
	syncs atomic.Int32
	begun chan struct{}
	end   chan struct{}
}

func (o *slowOutput) Sync() error {
	if o.syncs.Add(1) == 1 {
		close(o.begun)
		<-o.end
	}
	return o.Output.Sync()
}

// TestPastTheCache appends records through the page cache and past it, in turn, to a file system that takes them so, to one that will not
// open a file so, and to one that refuses a write in the middle; what is read, at once and when all is opened again, is what was written.
func TestPastTheCache(t *testing.T) {
	for name, refuse := range map[string]func(d *diskFile) error{
		"taken": func(*diskFile) error { return nil },
		"refused": func(d *diskFile) error {
			err := d.put(journal.Aligned(2 * blockBytes)[1:blockBytes+1], 3<<20) // no aligned memory
			if !d.past.refuse {
				return errors.New("it was taken")
			}
			return err
		},
		"unopened": func(d *diskFile) error {
			d.past.refuse = true
			return nil
		},
	} {
		dir := t.TempDir()
		var files []*diskFile
		l, err := Open(dir, Options{Bytes: 4 << 20, Create: func(path string, size int64) (Output, error) {
			f, err := createFile(path, size)
			files = append(files, f.(*diskFile))
			return f, err
		}})
		if err != nil {
			t.Fatal(err)
		}
		w := l.NewWriter()
		var records []Record
		var pointers []Pointer
		for i, sizes := range [][]int{{5}, {1 << 20, 1, 4096, 1<<20 - 200}, {3000}, {2<<20 + 17}, {70 << 10, 9}, {1 << 20}} {
			from := len(records)
			for _, size := range sizes {
				r := record(len(records), size)
				if size%2 == 0 {
					r.Sum = SumOf(r.Key, r.Value)
				}
				records = append(records, r)
			}
			out, err := w.Append(records[from:], i%3 != 2)
			if err == nil && i == 1 {
				err = refuse(files[len(files)-1])
			}
			if err = errors.Join(err, w.Sync()); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			pointers = append(pointers, out...)
			for k, r := range records {
				wantValue(t, l, r, pointers[k])
			}
		}
		if err := errors.Join(w.Seal(), l.Close()); err != nil {
			t.Fatal(err)
		}
		l = openLog(t, dir, 4<<20)
		for k, r := range records {
			wantValue(t, l, r, pointers[k])
		}
	}
}

// What is appended while a flush is under way may have missed it: the next Sync flushes again, and then no more.
func TestSyncBesideAppend(t *testing.T) {
	out := &slowOutput{begun: make(chan struct{}), end: make(chan struct{})}
	l, err := Open(t.TempDir(), Options{Bytes: 1 << 20, Create: func(path string, size int64) (Output, error) {
		f, err := createFile(path, size)
		out.Output = f
		return out, err
	}})
	if err != nil {
		t.Fatal(err)
	}
	w := l.NewWriter()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	first, err := w.Append([]Record{record(1, 5000)}, false)
	must(err)
	synced := make(chan error)
	go func() { synced <- w.Sync() }()
	<-out.begun
	second, err := w.Append([]Record{record(2, 5000)}, false)
	must(err)
	if first[0].Offset/blockBytes == second[0].Offset/blockBytes || second[0].Offset%blockBytes != 0 {
		t.Errorf("records at %d and %d: the second is in a block that is being made durable", first[0].Offset, second[0].Offset)
	}
	close(out.end)
	must(<-synced)
	for range 2 {
		must(w.Sync())
	}
	if n := out.syncs.Load(); n != 2 {
		t.Errorf("%d flushes, want one for each record", n)
	}
	must(errors.Join(w.Seal(), l.Close()))
}

// lossyOutput is a file whose first Sync loses what was written, as that of a kernel does: the next one has nothing to say of it.
type lossyOutput struct {
	Output
	lost error
}

func (o *lossyOutput) Sync() error {
	err := o.lost
	o.lost = nil
	return err
}

// The committer that turns to another segment flushes what the finisher has not flushed yet. When that fails, the finisher's own flush must
// fail as well, although the kernel has told of the loss by then.
func TestSyncAfterAFailedTurn(t *testing.T) {
	lost := errors.New("lost pages")
	l, err := Open(t.TempDir(), Options{Bytes: 8 << 10, Create: func(path string, size int64) (Output, error) {
		f, err := createFile(path, size)
		return &lossyOutput{f, lost}, err
	}})
	if err != nil {
		t.Fatal(err)
	}
	w := l.NewWriter()
	if _, err := w.Append([]Record{record(1, 5000)}, false); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Append([]Record{record(2, 5000)}, false); !errors.Is(err, lost) { // which does not fit behind it
		t.Fatalf("append that turns to another segment: %v", err)
	}
	if err := w.Sync(); !errors.Is(err, lost) {
		t.Errorf("sync of what was lost: %v", err)
	}
	if err := errors.Join(w.Abandon(), l.Close()); err != nil {
		t.Error(err)
	}
}

// TestPagesThatCannotBeRead has a file lose the pages behind its mapping, which then fail as those of a broken disk do.
func TestPagesThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, 64<<10)
	w := l.NewWriter()
	a := record(1, 20_000)
	p := write(t, l, w, a)[0]
	path := filepath.Join(dir, "000001.seg")
	for _, size := range []int64{8 << 10, 0} {
		if err := os.Truncate(path, size); err != nil {
			t.Fatal(err)
		}
		if err := l.Verify(a.Key, p); !errors.Is(err, ErrDamaged) {
			t.Fatalf("of %d bytes that are left: %v", size, err)
		}
	}
	if old := debug.SetPanicOnFault(false); old {
		t.Error("faults stay panics")
	}
}
