package tablet

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"stele/meta/types"
)

// smallDisk mounts a file system in memory, or skips: that takes root.
func smallDisk(t *testing.T, options string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounting a small file system takes root")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("no file system can be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// TestDiskThatFillsUpRefusesWrites fills a real file system: clones end first, then writes, both with an error that says why,
// and before Badger would meet the full disk, which kills the process. Reads go on, and so do writes when there is room again.
func TestDiskThatFillsUpRefusesWrites(t *testing.T) {
	t.Parallel()
	dir := smallDisk(t, "size=120m")
	opt := testOptions()
	opt.FloodBytes, opt.FloodPercent = 40<<20, 100
	var later atomic.Int64
	opt.Now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	s := openStore(t, dir+"/store", opt)
	tb, err := s.Create(testMeta(1))
	if err != nil {
		t.Fatal(err)
	}
	noise := rand.New(rand.NewPCG(1, 2))
	var refused error
	for n := 0; refused == nil; n++ {
		if n == 1000 {
			t.Fatal("120 MB have taken everything")
		}
		rows := make([]row, 5000)
		for i := range rows {
			rows[i] = row{int64(n)<<32 | int64(i), "t", noise.Int64() >> 1}
		}
		refused = tb.Prepare(t.Context(), types.TxnID(n+2), puts(t, rows...))
		if refused == nil {
			if err := tb.Publish(types.TxnID(n+2), tb.Version()+1); err != nil {
				t.Fatal(err)
			}
		}
		if n%20 == 19 {
			if err := tb.Flush(); err != nil && !errors.Is(err, ErrDiskFull) {
				t.Fatal(err)
			}
		}
		if _, available, err := s.space.Measure(); err == nil && available > 42<<20 && available < 2*40<<20 {
			if _, err := s.BeginImport(testMeta(9), 1); !errors.Is(err, ErrDiskFull) {
				t.Fatalf("with %d MiB free a clone is not refused: %v", available>>20, err)
			}
		}
	}
	if !errors.Is(refused, ErrDiskFull) {
		t.Fatalf("refused with %v", refused)
	}
	if u := s.Usage(); !u.ReadOnly || u.Err == "" || u.Available <= 0 {
		t.Fatalf("the disk reports %+v", u)
	}
	if _, rows, err := tb.ScanDigest(context.Background(), tb.Version()); err != nil || rows != tb.Stats().Rows {
		t.Fatalf("reading a full disk: %d rows, %v", rows, err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, "size=400m"); err != nil {
		t.Fatal(err)
	}
	later.Store(int64(time.Minute)) // the measurement is old
	commit(t, tb, puts(t, row{1, "again", 1}))
}

// TestRetentionEndsOnAFullDisk: deltas that a full disk does not take as a rowset do not keep what retention is done with: only that
// makes room where nobody drops anything.
func TestRetentionEndsOnAFullDisk(t *testing.T) {
	now, available := time.Unix(1_700_000_000, 0), int64(1<<30)
	opt := testOptions()
	opt.Now = func() time.Time { return now }
	opt.Flush.Rows = 10
	opt.Retention = Retention{Versions: 2, Age: time.Minute, Bytes: 1 << 30}
	opt.Faults.Space = func() (int64, int64, error) { return 1 << 30, available, nil }
	s := openStore(t, t.TempDir(), opt)
	tb, err := s.Create(testMeta(1))
	if err != nil {
		t.Fatal(err)
	}
	write := func(versions int) {
		for i := range versions {
			commit(t, tb, puts(t, row{int64(i), "t", int64(tb.Version())}))
		}
	}
	write(20)
	if err := tb.Flush(); err != nil {
		t.Fatal(err)
	}
	write(20)
	now, available = now.Add(time.Hour), 0
	if err := s.Maintain(t.Context()); !errors.Is(err, ErrDiskFull) {
		t.Fatalf("maintenance of a full disk: %v", err)
	}
	if st := tb.Stats(); st.OldestRetained <= 20 {
		t.Errorf("change sets are kept from version %d on", st.OldestRetained)
	}
	if n := len(contents(t, tb, tb.Version())); n != 20 {
		t.Errorf("there are %d rows", n)
	}
}

// TestDeletesGiveRoom fills a disk and deletes most of its rows: that is taken, and gives so much room back, without a restart, that rows are taken
// again, although what lives among the dead ones has to be copied first.
func TestDeletesGiveRoom(t *testing.T) {
	t.Parallel()
	const capacity, reserve = int64(32 << 20), int64(12 << 20)
	var s *Store
	least := capacity
	now := time.Unix(1_700_000_000, 0)
	opt := testOptions()
	opt.FloodBytes, opt.FloodPercent = reserve, 50
	opt.Now = func() time.Time { return now }
	opt.Faults.Space = func() (int64, int64, error) {
		if s == nil {
			return capacity, capacity, nil
		}
		available := capacity - s.meta.Size() - s.data.Size()
		least = min(least, available)
		return capacity, available, nil
	}
	s = openStore(t, t.TempDir(), opt)
	tb, err := s.Create(testMeta(1))
	if err != nil {
		t.Fatal(err)
	}
	const batch = 20_000
	schema := testSchema()
	noise := rand.New(rand.NewPCG(1, 2))
	rows := func(n int) []row {
		out := make([]row, batch)
		for i := range out {
			out[i] = row{int64(n)<<32 | int64(i), "t", noise.Int64() >> 1}
		}
		return out
	}
	txn := types.TxnID(1)
	write := func(payload []byte) error {
		txn++
		err := tb.Prepare(t.Context(), txn, payload)
		if err == nil {
			err = tb.Publish(txn, tb.Version()+1)
		}
		now = now.Add(time.Minute)
		return err
	}
	work := func() {
		if err := s.Maintain(t.Context()); err != nil && !errors.Is(err, ErrDiskFull) {
			t.Fatal(err)
		}
		if s.reclaimDue() {
			if err := s.Reclaim(t.Context()); err != nil && !errors.Is(err, ErrDiskFull) {
				t.Fatal(err)
			}
		}
	}
	batches := 0
	for err = nil; err == nil; batches++ {
		payload := puts(t, rows(batches)...)
		if batches%2 == 0 {
			payload = groupedPayload(t, &schema, payload)
		}
		if err = write(payload); err != nil || batches%4 == 0 {
			work()
		}
		if errors.Is(err, ErrDiskFull) { // what retention is done with has given room
			err = write(payload)
		}
	}
	if !errors.Is(err, ErrDiskFull) {
		t.Fatal(err)
	}
	work()
	if err := write(puts(t, row{1, "one", 1})); !errors.Is(err, ErrDiskFull) {
		t.Fatalf("%d bytes are free, and a row is taken: %v", least, err)
	}
	for n := range batches - 1 {
		var gone []row
		for i, r := range rows(n) {
			if i%10 != 0 {
				gone = append(gone, r)
			}
		}
		if err := write(deletesPayload(t, gone...)); err != nil {
			t.Fatalf("delete of batch %d of %d: %v", n, batches, err)
		}
	}
	for range 3 {
		now = now.Add(opt.withDefaults().Flush.Age)
		work()
	}
	t.Logf("%d batches; %d of %d bytes were free at the least, now %d", batches, least, capacity, capacity-s.meta.Size()-s.data.Size())
	if least < reserve/8 {
		t.Errorf("%d bytes were left of a reserve of %d", least, reserve)
	}
	again := batches / 4
	for n := range again {
		if err := write(puts(t, rows(batches+n)...)); err != nil {
			t.Fatalf("after the deletes, batch %d of %d: %v", n, batches, err)
		}
	}
	if _, n, err := tb.ScanDigest(t.Context(), tb.Version()); err != nil || n != int64(batch/10*(batches-1)+batch*again) {
		t.Errorf("%d rows of %d batches: %v", n, batches, err)
	}
}
