//go:build bench

package storage

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"stele/be/tablet"
	"stele/be/tablet/wire"
	"stele/meta/types"
	"stele/sql/vec"
)

// kvSchema is a narrow table: rows of about 130 bytes.
func kvSchema() types.Schema {
	return types.Schema{TableID: 2, Version: 1, Key: []types.ColumnID{1}, Columns: []types.Column{
		{ID: 1, Name: "id", Type: types.ColumnType{Kind: types.KindBigInt, NotNull: true}},
		{ID: 2, Name: "v", Type: types.ColumnType{Kind: types.KindVarChar, Length: 200}},
	}}
}

// inserter makes durable single-row inserts into some tablets.
type inserter struct {
	tablets []*tablet.Tablet
	locks   []sync.Mutex
	next    atomic.Int64
	text    []byte
}

func newInserter(s *tablet.Store, first types.TabletID, n int) (*inserter, error) {
	in := &inserter{locks: make([]sync.Mutex, n), text: []byte(strings.Repeat("x", 100))}
	for i := range n {
		m := metaOf(first + types.TabletID(i))
		m.Schema = kvSchema()
		t, err := s.Create(m)
		if err != nil {
			return nil, err
		}
		in.tablets = append(in.tablets, t)
	}
	return in, nil
}

// insert is what a tablet leader does for one row: make it durable, then publish it as the next version.
func (in *inserter) insert(int) error {
	id := in.next.Add(1)
	at := int(id) % len(in.tablets)
	t := in.tablets[at]
	schema := t.Schema()
	b := vec.NewBuilder([]types.ColumnType{schema.Columns[0].Type, schema.Columns[1].Type}, 1)
	b.AppendValues(vec.Int(id), vec.Str(in.text))
	payload, err := wire.Encode(schema, []types.RowOp{types.OpPut}, b.Finish())
	if err != nil {
		return err
	}
	if err := t.Prepare(context.Background(), types.TxnID(id), payload); err != nil {
		return err
	}
	in.locks[at].Lock()
	defer in.locks[at].Unlock()
	return t.Publish(types.TxnID(id), t.Version()+1)
}

// measureInserts compares durable inserts with the limit of the disk, and with MariaDB if there is one. As in a node the Go runtime has
// a processor more than there are cores, for both: the thread that waits for the disk keeps one.
func (b *benchmark) measureInserts(m *maria) error {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1))
	s, err := disk(b.path("inserts"), true)
	if err != nil {
		return err
	}
	defer s.Close()
	in, err := newInserter(s, 1, 16)
	if err != nil {
		return err
	}
	for _, n := range writers {
		limit, err := logLimit(b.dir, n, insertSpan)
		if err != nil {
			return err
		}
		var rate float64
		var took []time.Duration
		_, cpu, err := timed(func() (err error) { rate, took, err = writeLoop(n, insertSpan, in.insert); return err })
		if err != nil {
			return err
		}
		what := fmt.Sprintf("durable insert, %d writers", n)
		ours := fmt.Sprintf("%.0f/s, p99 %s, %.1f µs CPU", rate, ms(quantile(took, 0.99)), float64(cpu.Microseconds())/float64(len(took)))
		b.report.Ratio(what+", vs append+fdatasync", ours, fmt.Sprintf("%.0f/s", limit), rate/limit, 0.5, false)
		if m != nil {
			b.report.Ratio(what+", vs MariaDB", ours, fmt.Sprintf("%.0f/s", m.Insert[n]), rate/m.Insert[n], marks[n], false)
		}
	}
	return nil
}

// measureCompaction merges eight rowsets whose keys interleave, several times, each time those of a new tablet.
func (b *benchmark) measureCompaction() error {
	s, err := disk(b.path("compact"), false)
	if err != nil {
		return err
	}
	defer s.Close()
	parts, err := b.interleaved(8)
	if err != nil {
		return err
	}
	var took, spent time.Duration
	rows := 0
	for id := types.TabletID(1); id <= compactions; id++ {
		t, err := s.Create(metaOf(id))
		if err != nil {
			return err
		}
		rows = 0
		for _, p := range parts {
			if err := errors.Join(commit(t, make([]types.RowOp, p.N), p), t.Flush()); err != nil {
				return err
			}
			rows += p.N
		}
		wall, cpu, err := timed(func() error { return t.CompactAll(context.Background()) })
		if err != nil {
			return err
		}
		if spent == 0 || cpu < spent {
			took, spent = wall, cpu
		}
	}
	rate := perSecond(rows, spent) / 1e6
	b.report.Ratio("compaction of 8 interleaved rowsets, million rows a CPU second", fmt.Sprintf("%.2f (%.2f by the clock)", rate, perSecond(rows, took)/1e6), "1", rate, 1, false)
	return nil
}

// compactions is how many times a compaction is measured: one takes a quarter of a second.
const compactions = 3

// interleaved returns the rows of a transaction of the load, dealt out to so many batches.
func (b *benchmark) interleaved(ways int) (parts []*vec.Batch, err error) {
	err = readTSV(b.tsv, min(loadRows, b.rows), func(all *vec.Batch) error {
		if len(parts) > 0 {
			return nil // one batch is enough rows
		}
		for p := range ways {
			sel := make([]int32, 0, all.N/ways+1)
			for i := p; i < all.N; i += ways {
				sel = append(sel, int32(i))
			}
			part := &vec.Batch{Cols: all.Cols, N: all.N, Sel: sel}
			parts = append(parts, part.Compact())
		}
		return nil
	})
	return parts, err
}

// measureDeleted scans two tablets of the same rows in turn, both merged, one with 1 % of its rows deleted, all over it.
// The machine's speed drifts by more than the mark allows: only rounds that follow each other are compared.
func (b *benchmark) measureDeleted() (err error) {
	const twinID = 1 << 20
	twin, err := load(b.s, twinID, b.tsv)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.s.Drop(twinID, metaOf(twinID).Replica)) }()
	for _, t := range []*tablet.Tablet{b.t, twin} {
		if err := errors.Join(t.Flush(), t.CompactAll(context.Background())); err != nil {
			return err
		}
	}
	if err := errors.Join(b.change(twin, 100, types.OpDelete), twin.Flush()); err != nil {
		return err
	}
	const rounds = 15
	var clean, deleted []time.Duration
	var ratios []float64
	for range rounds {
		before, err := cpuOfQ1(b.t)
		if err != nil {
			return err
		}
		after, err := cpuOfQ1(twin)
		if err != nil {
			return err
		}
		clean, deleted, ratios = append(clean, before), append(deleted, after), append(ratios, ratio(after, before))
	}
	slices.Sort(ratios)
	b.report.Ratio("Q1 with 1 % of the rows deleted, vs without, in turn", ms(quantile(deleted, 0.5)), ms(quantile(clean, 0.5)), ratios[rounds/2], 1.1, true)
	return err
}

func cpuOfQ1(t *tablet.Tablet) (time.Duration, error) {
	snap, err := t.Current()
	if err != nil {
		return 0, err
	}
	defer snap.Release()
	_, cpu, err := timed(func() error { _, err := q1(snap, 1); return err })
	return cpu, err
}

// change puts or deletes every n-th row of the tablet in one transaction each 100,000 rows.
func (b *benchmark) change(t *tablet.Tablet, n int, op types.RowOp) error {
	at := 0
	return readTSV(b.tsv, loadRows, func(all *vec.Batch) error {
		var sel []int32
		for i := range all.N {
			if at++; at%n == 0 {
				sel = append(sel, int32(i))
			}
		}
		part := (&vec.Batch{Cols: all.Cols, N: all.N, Sel: sel}).Compact()
		return commit(t, slices.Repeat([]types.RowOp{op}, part.N), part)
	})
}
