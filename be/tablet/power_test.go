package tablet

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"stele/meta/types"
)

const (
	powerDirEnv    = "STELE_TEST_POWER_DIR"
	powerTrialsEnv = "STELE_POWER_TRIALS"
	powerWriters   = 6
	// powerLarge is how many rows every tenth transaction has: its payload goes to a segment.
	powerLarge = 30_000
	// powerRetained is how many bytes of change sets a tablet keeps, and powerSpace what the disk may take then: what lives, a fifth more, which
	// may be dead, and the files that are begun.
	powerRetained = 4 << 20
	powerSpace    = 160 << 20
	// powerCloned is a tablet that comes by clones alone, each of a later version.
	powerCloned = types.TabletID(101)
)

// TestPowerChild is the process that TestPowerCut cuts off: several writers, a tablet each, with flushes and compactions in
// the background. Transaction n of a tablet is version n; it puts row n and deletes row n-5, and every tenth is large.
func TestPowerChild(t *testing.T) {
	dir := os.Getenv(powerDirEnv)
	if dir == "" {
		t.Skip("runs only as a child process")
	}
	opt := testOptions()
	opt.NoBackground, opt.ReadAge, opt.Retention.Bytes = false, 1, powerRetained
	opt.Flush = FlushLimits{Rows: 60, Bytes: 1 << 20, Versions: 1000}
	s, err := Open(dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	var out sync.Mutex
	var group sync.WaitGroup
	for id := types.TabletID(1); id <= powerWriters; id++ {
		tb := ofTheTrialBefore(t, s, id)
		group.Go(func() {
			for n := tb.Version() + 1; ; n++ {
				write := powerDurable
				if id%2 == 0 {
					write = powerLight
				}
				said := func(v types.Version) {
					out.Lock()
					fmt.Println("durable", id, v)
					out.Unlock()
				}
				if err := write(tb, n, powerPayload(t, int64(n)), said); err != nil {
					fmt.Println("refused", id, n, err) // the disk is gone, or else the parent complains
					return
				}
			}
		})
	}
	source := openStore(t, filepath.Join(filepath.Dir(dir), fmt.Sprint("../source", os.Getpid())), testOptions())
	group.Go(func() {
		err := powerClones(t, source, s, func(v types.Version) {
			out.Lock()
			fmt.Println("durable", powerCloned, v)
			out.Unlock()
		})
		fmt.Println("refused", powerCloned, 0, err)
	})
	group.Wait()
	_, _ = io.Copy(io.Discard, os.Stdin) // Close could hang or write: the parent kills this process
}

// powerClones brings a tablet from a disk whose power stays to one that is cut off, again and again, and says which versions are there.
func powerClones(t *testing.T, from, to *Store, durable func(types.Version)) error {
	src, err := from.Create(testMeta(powerCloned))
	if err != nil {
		return err
	}
	for {
		n := int64(src.Version()) + 1
		if n%10 != 0 {
			commit(t, src, deletesPayload(t, row{-1, "large", 0}))
			continue
		}
		rows := make([]row, powerLarge)
		for i := range rows {
			rows[i] = row{int64(i), "large", n*int64(i) ^ 0x5DEECE66D}
		}
		commit(t, src, puts(t, rows...))
		if had, ok := to.Tablet(powerCloned); ok && had.Version() >= src.Version() { // of the trial before
			continue
		}
		if err := src.Flush(); err != nil {
			return err
		}
		chunks, digest := export(t, src, src.Version())
		m := testMeta(powerCloned)
		m.Replica = types.ReplicaID(1000 + src.Version())
		im, err := to.BeginImport(m, 1<<20)
		if err != nil {
			return err
		}
		for _, c := range chunks {
			if err := im.Write(c); err != nil {
				return err
			}
		}
		if _, err := im.Commit(src.Version(), digest); err != nil {
			return err
		}
		durable(src.Version())
	}
}

// powerDurable makes a version of rows that are durable before it is published.
func powerDurable(tb *Tablet, n types.Version, payload []byte, durable func(types.Version)) error {
	if err := prepare(tb, types.TxnID(n), 0, payload); err != nil {
		return err
	}
	durable(n)
	return tb.Publish(types.TxnID(n), n)
}

// powerLight makes a version of rows that are in memory until then, if they are small, and now and then waits for the disk.
func powerLight(tb *Tablet, n types.Version, payload []byte, durable func(types.Version)) error {
	taken, err := tb.PrepareLight(types.TxnID(n), 0, payload)
	if err == nil && !taken {
		err = prepare(tb, types.TxnID(n), 0, payload)
	}
	if err == nil {
		err = tb.Publish(types.TxnID(n), n)
	}
	if err != nil || n%5 != 0 {
		return err
	}
	v, err := tb.Queued()
	if err != nil {
		return err
	}
	written := make(chan error, 1)
	tb.s.Barrier(func(err error) { written <- err })
	if err := <-written; err != nil {
		return err
	}
	for n -= 4; n <= v; n++ {
		durable(n)
	}
	return nil
}

func powerPayload(t testing.TB, n int64) []byte {
	rows := []row{{n, "a", n}, {n - 5, "a", 0}}
	ops := []types.RowOp{types.OpPut, types.OpDelete}
	if n%10 == 0 {
		for i := range powerLarge {
			rows, ops = append(rows, row{int64(i), "large", n*int64(i) ^ 0x5DEECE66D}), append(ops, types.OpPut)
		}
	}
	schema := testSchema()
	return regrouped(t, &schema, encode(t, ops, rows))
}

// TestPowerCut emulates power cuts: a file system of its own is shut down without writing anything back, mounted again, and
// the store must have all that was acknowledged, and take no more space than that needs. STELE_POWER_TRIALS says how often (make powercut: 20 times).
func TestPowerCut(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to mount a file system on a loop device")
	}
	trials := 1
	if s := os.Getenv(powerTrialsEnv); s != "" {
		var err error
		if trials, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	fs := newLoopFS(t)
	for trial := range trials {
		acked := runAndCut(t, fs, 150+trial*97%300)
		fs.mount(t)
		checkAfterCut(t, fs, acked)
		t.Logf("trial %d: acknowledged %v, nothing lost", trial, acked)
	}
}

// loopFS is an ext4 in a file.
type loopFS struct{ image, dir string }

func newLoopFS(t *testing.T) *loopFS {
	t.Helper()
	root := t.TempDir()
	// A process that makes a mount namespace meanwhile takes a copy of every mount, which keeps the dead file system alive; of a
	// mount below a shared one it loses the copy as well when it is unmounted here.
	for _, args := range [][]string{{"--bind", root, root}, {"--make-shared", root}} {
		if out, err := exec.Command("mount", args...).CombinedOutput(); err != nil {
			t.Skipf("nothing can be mounted: %v: %s", err, out)
		}
	}
	t.Cleanup(func() { _ = exec.Command("umount", "-l", root).Run() })
	fs := &loopFS{image: filepath.Join(root, "image"), dir: filepath.Join(root, "mnt")}
	if err := os.Mkdir(fs.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(fs.image)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(2 << 30); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", fs.image).CombinedOutput(); err != nil {
		t.Skipf("no ext4 can be made: %v: %s", err, out)
	}
	if out, err := exec.Command("mount", "-o", "loop", fs.image, fs.dir).CombinedOutput(); err != nil {
		t.Skipf("no loop device can be mounted: %v: %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("umount", "-l", fs.dir).Run() })
	return fs
}

// mount mounts a copy of the file: whatever still holds the dead file system, perhaps a mount namespace that was made meanwhile, does
// not hold the copy.
func (fs *loopFS) mount(t *testing.T) {
	t.Helper()
	if out, err := exec.Command("umount", fs.dir).CombinedOutput(); err != nil {
		t.Fatalf("umount: %v: %s", err, out)
	}
	dead := fs.image
	fs.image += "'"
	if out, err := exec.Command("cp", "--sparse=always", dead, fs.image).CombinedOutput(); err != nil {
		t.Fatalf("copy the file system: %v: %s", err, out)
	}
	if err := os.Remove(dead); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-o", "loop", fs.image, fs.dir).CombinedOutput(); err != nil {
		t.Fatalf("mount: %v: %s", err, out)
	}
}

// cut shuts the file system down: nothing that is not on disk yet will be, not even the journal.
func (fs *loopFS) cut(t *testing.T) {
	t.Helper()
	const (
		shutdown   = 0x8004587D // EXT4_IOC_SHUTDOWN
		noLogFlush = 2
	)
	d, err := os.Open(fs.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := unix.IoctlSetPointerInt(int(d.Fd()), shutdown, noLogFlush); err != nil {
		t.Skipf("the kernel does not shut file systems down: %v", err)
	}
}

// runAndCut lets a child write until it has acknowledged n transactions and a clone, cuts the power and returns what was acknowledged
// by then. Lines after the cut do not count: their writes may have been refused.
func runAndCut(t *testing.T, fs *loopFS, n int) map[types.TabletID]types.Version {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestPowerChild$")
	cmd.Stderr = os.Stderr
	cmd.Env = append(os.Environ(), powerDirEnv+"="+filepath.Join(fs.dir, "disk"))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	acked := make(map[types.TabletID]types.Version)
	seen := 0
	lines := bufio.NewScanner(out)
	for (seen < n || acked[powerCloned] == 0) && lines.Scan() {
		var id, v uint64
		if strings.HasPrefix(lines.Text(), "refused") {
			t.Errorf("before the cut: %s", lines.Text())
			break
		}
		if _, err := fmt.Sscanf(lines.Text(), "durable %d %d", &id, &v); err != nil {
			continue
		}
		acked[types.TabletID(id)] = types.Version(v)
		seen++
	}
	fs.cut(t)
	_ = cmd.Process.Kill()
	_, _ = io.Copy(io.Discard, out)
	_ = cmd.Wait() // "signal: killed", or SIGBUS on a page that cannot be read any more
	if seen < n || acked[powerCloned] == 0 {
		t.Fatalf("the child ended after %d transactions", seen)
	}
	return acked
}

// checkAfterCut plays the FE: what was acknowledged is published or pending, and gives the right rows.
func checkAfterCut(t *testing.T, fs *loopFS, acked map[types.TabletID]types.Version) {
	t.Helper()
	opt := testOptions()
	opt.ReadAge, opt.Retention.Bytes = 1, powerRetained
	s, err := Open(filepath.Join(fs.dir, "disk"), opt)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for id, want := range acked {
		tb, ok := s.Tablet(id)
		if !ok {
			t.Fatalf("tablet %d is gone", id)
		}
		if id == powerCloned && tb.Version() < want {
			t.Fatalf("the clone of version %d is gone, %d is there", want, tb.Version())
		}
		for v := tb.Version() + 1; v <= want; v++ {
			if err := tb.Publish(types.TxnID(v), v); err != nil {
				t.Fatalf("tablet %d: acknowledged transaction %d: %v", id, v, err)
			}
		}
		for _, txn := range tb.Pending() {
			if err := tb.Abort(txn); err != nil {
				t.Fatal(err)
			}
		}
		checkPowerRows(t, tb)
		if err := tb.Scrub(context.Background(), func(context.Context, int64) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	checkPowerSpace(t, s, fs)
}

// checkPowerSpace gives back what can be given back: no cut may have left anything that stays for ever.
func checkPowerSpace(t *testing.T, s *Store, fs *loopFS) {
	t.Helper()
	if err := errors.Join(s.Maintain(t.Context()), s.Reclaim(t.Context()), s.Sweep(t.Context())); err != nil {
		t.Fatal(err)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(fs.dir, &st); err != nil {
		t.Fatal(err)
	}
	taken := int64(st.Blocks-st.Bfree) * st.Bsize
	t.Logf("%d bytes are taken, of which the store knows %d, %d of them dead", taken, s.meta.Size()+s.data.Size(), s.data.Dead())
	if taken > powerSpace {
		t.Errorf("%d bytes are taken, more than %d", taken, powerSpace)
	}
}

// checkPowerRows compares a tablet with what the transactions up to its version have written.
func checkPowerRows(t *testing.T, tb *Tablet) {
	t.Helper()
	last := int64(tb.Version())
	got := contents(t, tb, tb.Version())
	small, large := 0, 0
	for k, v := range got {
		if k.tag == "a" {
			if small++; k.id < last-4 || v != k.id {
				t.Fatalf("tablet %d at version %d has row %v = %d", tb.ID(), last, k, v)
			}
			continue
		}
		if large++; int32(v) != int32(last/10*10*k.id^0x5DEECE66D) {
			t.Fatalf("tablet %d at version %d has row %v = %d", tb.ID(), last, k, v)
		}
	}
	wantSmall := min(5, last-1)
	if tb.ID() == powerCloned {
		wantSmall = 0
	}
	if int64(small) != wantSmall || last >= 10 && large != powerLarge || last < 10 && large != 0 {
		t.Fatalf("tablet %d at version %d has %d small rows and %d large ones", tb.ID(), last, small, large)
	}
}
