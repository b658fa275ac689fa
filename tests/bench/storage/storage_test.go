//go:build bench

package storage

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"stele/be/tablet"
	"stele/meta/types"
	"stele/sql/vec"
)

var (
	parts = flag.String("parts", "duckdb,mariadb,sql,tpch,load,query,cold,get,inserts,deleted,compaction,clone,segments,beside,reclaim,reopen", "what to measure; those behind load need it")
	keep  = flag.String("dir", "", "folder to work in, whose rows and disk are used again by the next run with it; default is a temporary one")
)

// ofStore are the parts that measure the rows of a store.
var ofStore = []string{"load", "query", "cold", "get", "inserts", "deleted", "compaction", "clone", "segments", "beside", "reclaim", "reopen"}

// wanted reports whether a part is to be measured.
func wanted(part string) bool { return slices.Contains(strings.Split(*parts, ","), part) }

// TestStorage prints the report. It fails only when something is wrong, never for being slow.
func TestStorage(t *testing.T) {
	b := &benchmark{}
	if err := b.makeFolders(t); err != nil {
		t.Fatal(err)
	}
	defer func() { fmt.Println(&b.report) }()
	if err := b.makeTSV(); err != nil {
		t.Fatal(err)
	}
	b.report.Fact("rows", fmt.Sprintf("%d, %.0f MB as TSV", b.rows, float64(b.bytes)/1e6))
	d, m := b.peers(t)
	step := func(name string, f func() error) {
		if !wanted(name) {
			return
		}
		start := time.Now()
		if err := f(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		t.Logf("%s took %v", name, time.Since(start).Round(time.Millisecond))
	}
	step("sql", func() error { return b.measureSQL(t, d, m) })
	step("tpch", func() error { return b.measureTPCH(t) })
	if !slices.ContainsFunc(ofStore, wanted) {
		return
	}
	if b.useAgain() {
		t.Log("the disk in the folder is used again: load is not measured")
	} else {
		step("load", func() error { return b.measureLoad(d, m) })
	}
	if b.t == nil {
		t.Fatal("nothing works without load, or a folder that holds what one has loaded")
	}
	defer func() {
		if err := b.s.Close(); err != nil {
			t.Error(err)
		}
	}()
	var hot, full time.Duration
	step("query", func() (err error) { hot, err = b.measureQueries(d, m); return err })
	step("cold", func() error { return b.measureCold(hot) })
	step("get", b.measureGets)
	step("clone", func() (err error) {
		if full, err = b.measureClones(); err == nil {
			err = b.measureIncremental(full)
		}
		return err
	})
	step("segments", b.measureSegments)
	step("beside", b.measureInsertsBesideClone)
	step("reopen", b.measureReopen)
	step("deleted", b.measureDeleted)
	step("inserts", func() error { return b.measureInserts(m) })
	step("compaction", b.measureCompaction)
	step("reclaim", b.measureReclaim)
	b.report.Fact("acknowledged writes lost in 20 power cuts", "make powercut")
	b.report.Fact("flipped bit in any file of a replica", "TestFlippedBitsOnDisk, TestTrap… of be/tablet/kv")
	b.report.Fact("durable INSERT, point SELECT and UPDATE through SQL, three replicas, Galera", "make bench")
}

// makeFolders makes the folder of the run, and the one in which the rows and the disk that holds them stay for the next run.
func (b *benchmark) makeFolders(t *testing.T) (err error) {
	if b.dir = t.TempDir(); *keep != "" {
		if b.dir, err = os.MkdirTemp(*keep, "run"); err != nil {
			return err
		}
		t.Cleanup(func() { _ = os.RemoveAll(b.dir) })
	}
	b.root = b.path("main")
	b.tsv = b.path("lineitem.tsv")
	if *keep != "" {
		b.root, b.tsv = filepath.Join(*keep, "main"), filepath.Join(*keep, "lineitem.tsv")
	}
	return os.Chmod(b.dir, 0o755)
}

func (b *benchmark) peers(t *testing.T) (d *duck, m *maria) {
	var err error
	if wanted("duckdb") {
		if d, err = runDuck(t.Context(), b.dir, b.tsv); err != nil {
			b.report.Missing("DuckDB", err)
		}
	}
	if wanted("mariadb") {
		if m, err = runMaria(t.Context(), b.tsv, writers); err != nil {
			b.report.Missing("MariaDB", err)
			m = nil
		}
	}
	return d, m
}

func (b *benchmark) measureLoad(d *duck, m *maria) (err error) {
	if b.s, err = disk(storeIn(b.root), false); err != nil {
		return err
	}
	wall, cpu, err := timed(func() (err error) { b.t, err = load(b.s, 1, b.tsv); return err })
	if err != nil {
		return err
	}
	ours := fmt.Sprintf("%.2f s, %.2f million rows/s, %.1f CPU-s", wall.Seconds(), perSecond(b.rows, wall)/1e6, cpu.Seconds())
	size := b.t.Stats().Bytes
	sizes := fmt.Sprintf("%.1f MB, %.1f bytes a row", float64(size)/1e6, float64(size)/float64(b.rows))
	b.report.Fact("load from TSV", ours)
	b.report.Ratio("size vs TSV", sizes, fmt.Sprintf("%.1f MB", float64(b.bytes)/1e6), float64(size)/float64(b.bytes), 0.3, true)
	if m != nil {
		b.report.Ratio("load from TSV, vs MariaDB", ours, fmt.Sprintf("%.2f s", m.Load.Seconds()), ratio(m.Load, wall), 6, false)
		b.report.Ratio("size vs InnoDB", sizes, fmt.Sprintf("%.1f MB", float64(m.Bytes)/1e6), float64(size)/float64(m.Bytes), 0.25, true)
	}
	if d != nil {
		b.report.Ratio("load from TSV, vs DuckDB "+d.Version, ours, fmt.Sprintf("%.2f s, %.1f CPU-s", d.Load.Wall, d.Load.CPU), d.Load.Wall/wall.Seconds(), 1.5, false)
		b.report.Ratio("size vs DuckDB", sizes, fmt.Sprintf("%.1f MB", float64(d.Bytes)/1e6), float64(size)/float64(d.Bytes), 1.15, true)
	}
	return nil
}

func (b *benchmark) measureQueries(d *duck, m *maria) (hot time.Duration, err error) {
	snap, err := b.t.Current()
	if err != nil {
		return 0, err
	}
	defer snap.Release()
	var a1, a6 string
	run := func(threads int, text *string) func() error {
		return func() (err error) { *text, err = q1(snap, threads); return err }
	}
	run6 := func() error {
		n, err := q6(snap, 1)
		a6 = fmt.Sprint(n)
		return err
	}
	w1, c1, err := best(7, run(1, &a1))
	if err != nil {
		return 0, err
	}
	var again string
	w2, c2, err := best(7, run(2, &again))
	if err != nil {
		return 0, err
	}
	if again != a1 {
		return 0, errors.New("two threads have another answer")
	}
	w6, c6, err := best(7, run6)
	if err != nil {
		return 0, err
	}
	_, cs, err := best(7, func() error { _, err := sumOf(snap, colPrice); return err })
	if err != nil {
		return 0, err
	}
	apart, err := queriesAtOnce(snap)
	if err != nil {
		return 0, err
	}
	b.report.Ratio("Q1, 2 threads vs 1", ms(w2), ms(w1), ratio(w1, w2), 1.7, false)
	b.report.Fact("the same of two loops in registers, which share nothing but the cores: the machine's own limit", fmt.Sprintf("%.2f", coreGain()))
	b.report.Fact("the same of two queries by 1 thread each, at once and one after the other", fmt.Sprintf("%.2f", 2*ratio(w1, apart)))
	b.report.Ratio("Q1, CPU of 2 threads vs 1: 1.18 at most leaves room for 1.7 on idle cores", ms(c2), ms(c1), ratio(c2, c1), 1.18, true)
	if m != nil {
		b.report.Ratio("Q1, 1 thread, vs MariaDB", ms(w1), ms(m.Q1), ratio(m.Q1, w1), 40, false)
		b.report.Ratio("Q6, 1 thread, vs MariaDB", ms(w6), ms(m.Q6), ratio(m.Q6, w6), 15, false)
	}
	if d == nil {
		b.report.Fact("Q1, Q6, sum of a column: CPU of 1 thread", ms(c1)+", "+ms(c6)+", "+ms(cs))
	} else {
		for _, q := range []struct {
			name string
			ours time.Duration
			duck float64
		}{{"Q1", c1, d.Q1x1.CPU}, {"Q6", c6, d.Q6x1.CPU}, {"sum of a column", cs, d.Sum.CPU}} {
			b.report.Ratio(q.name+", CPU of 1 thread, vs DuckDB", ms(q.ours), fmt.Sprintf("%.1f ms", q.duck*1000), q.ours.Seconds()/q.duck, 1.5, true)
		}
		if d.Q1 != a1 || d.Q6 != a6 {
			return 0, fmt.Errorf("DuckDB has other answers:\n%s\n%s\nnot\n%s\n%s", d.Q1, d.Q6, a1, a6)
		}
	}
	return w1, nil
}

// queriesAtOnce runs Q1 twice at once, by one thread each.
func queriesAtOnce(snap *tablet.Snapshot) (time.Duration, error) {
	wall, _, err := best(7, func() error {
		errs := make([]error, 2)
		var both sync.WaitGroup
		for i := range errs {
			both.Go(func() { _, errs[i] = q1(snap, 1) })
		}
		both.Wait()
		return errors.Join(errs...)
	})
	return wall, err
}

// coreGain is how much more two goroutines get done than one where nothing but the cores can be in their way: what is less than 2
// are hyperthreads of one core, or other work on the machine.
func coreGain() float64 {
	var took [2]time.Duration
	for n := range took {
		took[n], _, _ = best(7, func() error { // spin cannot fail
			var all sync.WaitGroup
			for range n + 1 {
				all.Go(spin)
			}
			all.Wait()
			return nil
		})
	}
	return 2 * ratio(took[0], took[1])
}

// spun keeps the compiler from leaving spin out.
var spun atomic.Uint64

func spin() {
	x := uint64(1)
	for range 50_000_000 {
		x = x*6364136223846793005 + 1442695040888963407
		x ^= x >> 29
	}
	spun.Add(x)
}

// measureCold drops the page cache before each scan, which takes root; the disk is closed, as mapped pages stay.
func (b *benchmark) measureCold(hot time.Duration) error {
	var cold time.Duration
	for i := range 3 {
		if err := b.s.Close(); err != nil {
			return err
		}
		if err := os.WriteFile("/proc/sys/vm/drop_caches", []byte("1"), 0); err != nil {
			b.report.Missing("cold Q1 (only root can drop the page cache)", err)
		}
		if err := b.reopen(); err != nil {
			return err
		}
		snap, err := b.t.Current()
		if err != nil {
			return err
		}
		wall, _, err := timed(func() error { _, err := q1(snap, 1); return err })
		snap.Release()
		if err != nil {
			return err
		}
		if i == 0 || wall < cold {
			cold = wall
		}
	}
	b.report.Ratio("Q1 with a cold page cache, vs hot", ms(cold), ms(hot), ratio(cold, hot), 2, true)
	return nil
}

// useAgain opens the disk that an earlier run has left in the folder, if it is as it was loaded: some parts change rows.
func (b *benchmark) useAgain() bool {
	if _, err := os.Stat(storeIn(b.root)); err != nil {
		return false
	}
	if err := b.reopen(); err == nil && b.t.Version() == types.InitialVersion+types.Version(b.chunks) {
		return true
	}
	if b.s != nil {
		_ = b.s.Close() // it is thrown away
	}
	b.s, b.t = nil, nil
	return os.RemoveAll(b.root) != nil
}

// measureGets reads whole rows by key, all over the tablet.
func (b *benchmark) measureGets() error {
	var keys [][]byte
	if err := readTSV(b.tsv, loadRows, func(x *vec.Batch) error {
		all := vec.EncodeKeys(x, []int{0, 3})
		for i := 0; i < len(all); i += 997 {
			keys = append(keys, all[i])
		}
		return nil
	}); err != nil {
		return err
	}
	_, cpu, err := best(3, func() error {
		for i := range keys {
			at := i * 7919 % len(keys)
			if err := getOne(b.t, keys[at:at+1]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	us := float64(cpu.Nanoseconds()) / 1000 / float64(len(keys))
	b.report.Ratio("row by key, all 16 columns, hot: µs", fmt.Sprintf("%.1f µs", us), "prototype 31 µs", us/31, 1, true)
	return nil
}
