package tablet

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"stele/meta/types"
)

const crashDirEnv = "STELE_TEST_CRASH_DIR"

// TestCrashChild is the process that TestKilledProcessLosesNothing kills: it writes without end and says what is durable.
// Transaction n is version n and puts row n; it also deletes row n-5.
func TestCrashChild(t *testing.T) {
	dir := os.Getenv(crashDirEnv)
	if dir == "" {
		t.Skip("runs only as a child process")
	}
	opt := testOptions()
	opt.NoBackground = false
	opt.Flush = FlushLimits{Rows: 30, Bytes: 1 << 20, Versions: 1000}
	opt.ReadAge = 1
	s := openStore(t, dir, opt)
	tb := ofTheTrialBefore(t, s, 1)
	for n := tb.Version() + 1; ; n++ {
		if err := prepare(tb, types.TxnID(n), 0, crashPayload(t, int64(n))); err != nil {
			t.Fatal(err)
		}
		fmt.Println("durable", n)
		if err := tb.Publish(types.TxnID(n), n); err != nil {
			t.Fatal(err)
		}
	}
}

// ofTheTrialBefore returns a tablet, which is made by the first trial.
func ofTheTrialBefore(t *testing.T, s *Store, id types.TabletID) *Tablet {
	t.Helper()
	if tb, ok := s.Tablet(id); ok {
		return tb
	}
	tb, err := s.Create(testMeta(id))
	if err != nil {
		t.Fatal(err)
	}
	return tb
}

func crashPayload(t *testing.T, n int64) []byte {
	return encode(t, []types.RowOp{types.OpPut, types.OpDelete}, []row{{n, "a", n}, {n - 5, "a", 0}})
}

// TestKilledProcessLosesNothing kills a writing process with SIGKILL, again and again, and plays the FE afterwards: every
// transaction that was acknowledged is there, published or pending, and publishing the pending ones gives the same rows.
func TestKilledProcessLosesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "disk")
	for round := range 4 {
		acked := runAndKill(t, dir, 60+round*37)
		s, err := Open(dir, testOptions())
		if err != nil {
			t.Fatal(err)
		}
		tb, ok := s.Tablet(1)
		if !ok {
			t.Fatal("the tablet is gone")
		}
		for v := tb.Version() + 1; v <= acked; v++ {
			if err := tb.Publish(types.TxnID(v), v); err != nil {
				t.Fatalf("round %d: acknowledged transaction %d: %v", round, v, err)
			}
		}
		for _, txn := range tb.Pending() { // prepared, but the acknowledgement did not arrive
			if err := tb.Publish(txn, types.Version(txn)); err != nil {
				t.Fatal(err)
			}
		}
		want := make(map[rowKey]int64)
		for n := max(2, int64(tb.Version())-4); n <= int64(tb.Version()); n++ {
			want[rowKey{n, "a"}] = n
		}
		wantContents(t, tb, tb.Version(), want)
		if st := tb.Stats(); st.Bad || int(st.Rows) != len(want) {
			t.Fatalf("round %d: %+v", round, st)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// runAndKill lets a child write until it has acknowledged n transactions, kills it, and returns the last acknowledged one.
func runAndKill(t *testing.T, dir string, n int) types.Version {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestCrashChild$")
	cmd.Env = append(os.Environ(), crashDirEnv+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	last := uint64(0)
	seen := 0
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var v string
		if _, err := fmt.Sscanf(lines.Text(), "durable %s", &v); err != nil {
			continue
		}
		if last, err = strconv.ParseUint(v, 10, 64); err != nil {
			t.Fatal(err)
		}
		if seen++; seen == n {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait() // "signal: killed"
	if seen < n {
		t.Fatalf("the child ended after %d transactions", seen)
	}
	return types.Version(last)
}
