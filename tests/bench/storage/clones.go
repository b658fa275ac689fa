//go:build bench

package storage

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"stele/be/tablet"
	"stele/meta/types"
	"stele/sql/vec"
)

// measureClones clones the tablet from one BE to another, which is empty each time.
func (b *benchmark) measureClones() (full time.Duration, err error) {
	ctx := context.Background()
	var took, cpu time.Duration
	var bytes int64
	if err := b.s.Close(); err != nil {
		return 0, err
	}
	source, err := startNode(b.root, 1)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, source.close(), b.reopen()) }()
	from, ok := source.disk.Tablet(1)
	if !ok {
		return 0, errors.New("the tablet is gone")
	}
	if _, _, err := from.Digest(from.Version()); err != nil { // known, as it is on a replica that has been there for a while
		return 0, err
	}
	const times = 3
	for i := range times {
		target, err := startNode(b.path(fmt.Sprint("clone", i)), 2)
		if err != nil {
			return 0, err
		}
		w, c, err := timed(func() error {
			bytes, err = target.pull(ctx, source, from)
			return err
		})
		if t, ok := target.disk.Tablet(1); err == nil && ok && i == 0 {
			err = sameDigest(from, t)
		}
		if err = errors.Join(err, target.close()); err != nil {
			return 0, err
		}
		if i == 0 || w < took {
			took, cpu = w, c
		}
	}
	rate := mbps(bytes, took)
	ours := fmt.Sprintf("%.0f MB/s, %.1f CPU-s/GB", rate, cpu.Seconds()/(float64(bytes)/1e9))
	var copied int64
	wall, _, err := best(3, func() (err error) {
		copied, err = copyAll(storeIn(b.root), b.path("copy"))
		return err
	})
	if err != nil {
		return 0, err
	}
	cp := mbps(copied, wall)
	b.report.Ratio("full clone, vs cp and fsync", ours, fmt.Sprintf("%.0f MB/s", cp), rate/cp, 0.3, false)
	if err := b.measureSmallClones(ctx); err != nil {
		return 0, err
	}
	raw, err := b.rawGRPC(ctx)
	if err != nil {
		return 0, err
	}
	b.report.Ratio("full clone, vs bare gRPC", ours, fmt.Sprintf("%.0f MB/s", raw), rate/raw, 0.2, false)
	write, err := diskRate(b.dir, 1<<30)
	if err != nil {
		return 0, err
	}
	b.report.Ratio("full clone, vs writing to the disk", ours, fmt.Sprintf("%.0f MB/s", write), rate/write, 0.5, false)
	return took, nil
}

// measureSmallClones clones tablets of two row groups each: what a disk of many small tablets costs.
func (b *benchmark) measureSmallClones(ctx context.Context) (err error) {
	const tablets = 64
	source, err := startNode(b.path("small"), 1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.close()) }()
	all, err := b.smallTablets(source.disk, tablets)
	if err != nil {
		return err
	}
	target, err := startNode(b.path("smallclone"), 2)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.close()) }()
	var bytes int64
	wall, cpu, err := timed(func() (err error) { bytes, err = target.pull(ctx, source, all...); return err })
	if err != nil {
		return err
	}
	b.report.Fact(fmt.Sprintf("full clone of %d tablets of %.1f MB", tablets, float64(bytes)/tablets/1e6),
		fmt.Sprintf("%.0f MB/s, %.0f tablets/s, %.1f CPU-s/GB", mbps(bytes, wall), tablets/wall.Seconds(), cpu.Seconds()/(float64(bytes)/1e9)))
	return nil
}

// smallTablets makes n tablets of 100,000 rows.
func (b *benchmark) smallTablets(s *tablet.Store, n int) (out []*tablet.Tablet, err error) {
	var batch *vec.Batch
	if err := readTSV(b.tsv, min(100_000, b.rows), func(x *vec.Batch) error {
		if batch == nil {
			batch = x
		}
		return nil
	}); err != nil {
		return nil, err
	}
	for id := range n {
		t, err := s.Create(metaOf(types.TabletID(id + 1)))
		if err != nil {
			return nil, err
		}
		if err := commit(t, make([]types.RowOp, batch.N), batch); err != nil {
			return nil, err
		}
		if err := t.Flush(); err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

func (b *benchmark) rawGRPC(ctx context.Context) (float64, error) {
	const total, message = 2 << 30, 1 << 20
	block := make([]byte, message)
	start := time.Now()
	err := pipe(ctx, func(send func([]byte) error) error {
		for range total / message {
			if err := send(block); err != nil {
				return err
			}
		}
		return nil
	}, func([]byte) error { return nil })
	return mbps(total, time.Since(start)), err
}

// measureIncremental changes 1 % of the rows, several times, and has the clone catch up each time.
func (b *benchmark) measureIncremental(full time.Duration) (err error) {
	if err := b.s.Close(); err != nil {
		return err
	}
	source, err := startNode(b.root, 1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.close(), b.reopen()) }()
	target, err := startNode(b.path("clone0"), 2)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.close()) }()
	from, ok := source.disk.Tablet(1)
	to, also := target.disk.Tablet(1)
	if !ok || !also {
		return errors.New("the tablet or its clone is gone")
	}
	var took, cpu time.Duration
	var bytes int64
	for round := range 3 {
		if err := b.change(from, 100, types.OpPut); err != nil {
			return err
		}
		var n int64
		w, c, err := timed(func() error { n, err = target.pull(context.Background(), source, from); return err })
		if err != nil {
			return err
		}
		if round == 0 || w < took {
			took = w
		}
		if round == 0 || c < cpu {
			cpu = c
		}
		bytes = n
	}
	if err := sameDigest(from, to); err != nil {
		return err
	}
	all := from.Stats().Bytes
	b.report.Ratio("incremental clone, 1 % changed: bytes vs full clone", fmt.Sprintf("%.2f MB", float64(bytes)/1e6), fmt.Sprintf("%.1f MB", float64(all)/1e6), float64(bytes)/float64(all), 0.02, true)
	b.report.Ratio("incremental clone, 1 % changed: time vs full clone", ms(took)+", "+ms(cpu)+" CPU", ms(full), ratio(took, full), 0.1, true)
	return nil
}

func sameDigest(a, b *tablet.Tablet) error {
	x, n, err := a.ScanDigest(context.Background(), a.Version())
	if err != nil {
		return err
	}
	y, m, err := b.ScanDigest(context.Background(), b.Version())
	if err != nil {
		return err
	}
	if x != y || n != m {
		return fmt.Errorf("clone has %d rows with digest %x, not %d with %x", m, y, n, x)
	}
	return nil
}

// measureInsertsBesideClone has one writer insert into the disk that receives a clone of 100 MB/s.
func (b *benchmark) measureInsertsBesideClone() error {
	s, err := disk(b.path("beside"), true)
	if err != nil {
		return err
	}
	defer s.Close()
	in, err := newInserter(s, 1000, 16)
	if err != nil {
		return err
	}
	_, idle, err := writeLoop(16, insertSpan, in.insert)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	var cloneErr error
	clones := 0
	group.Go(func() {
		for ctx.Err() == nil && cloneErr == nil {
			cloneErr = throttled(ctx, b.t, s, 100e6)
			clones++
		}
	})
	_, took, err := writeLoop(16, 2*insertSpan, in.insert)
	cancel()
	group.Wait()
	if err == nil {
		err = cloneErr
	}
	if err != nil {
		return err
	}
	p99 := quantile(took, 0.99)
	b.report.Ratio("insert p99 of 16 writers beside a clone of 100 MB/s, in ms", fmt.Sprintf("%s, %d clones", ms(p99), clones), "idle "+ms(quantile(idle, 0.99)),
		float64(p99.Microseconds())/1000, 20, true)
	return nil
}

// throttled clones a tablet into a disk and gives it up: what counts is the load.
func throttled(ctx context.Context, from *tablet.Tablet, to *tablet.Store, perSecond float64) error {
	snap, err := from.Current()
	if err != nil {
		return err
	}
	defer snap.Release()
	e := snap.Export()
	im, err := to.BeginImport(from.Meta(), e.TotalBytes())
	if err != nil {
		return err
	}
	defer im.Abort()
	start, sent := time.Now(), 0
	for ctx.Err() == nil && e.Chunks() > im.Next()+1 { // the end would compute a digest
		c, ok, err := e.Next(ctx)
		if err != nil || !ok {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		if err := im.Write(c); err != nil {
			return err
		}
		sent += len(c.Bytes)
		due := start.Add(time.Duration(float64(sent) / perSecond * float64(time.Second)))
		select {
		case <-time.After(time.Until(due)):
		case <-ctx.Done():
		}
	}
	return nil
}

// measureReclaim drops half of ten tablets and gives the space back, beside readers and writers.
func (b *benchmark) measureReclaim() error {
	s, err := disk(b.path("reclaim"), true)
	if err != nil {
		return err
	}
	defer s.Close()
	key, err := b.tenTablets(s)
	if err != nil {
		return err
	}
	in, err := newInserter(s, 1000, 4)
	if err != nil {
		return err
	}
	for id := types.TabletID(1); id <= 10; id += 2 {
		if err := s.Drop(id, types.ReplicaID(id)); err != nil {
			return err
		}
	}
	before := s.Usage().DataUsed
	t, _ := s.Tablet(2)
	done := make(chan struct{})
	reads := b.longest(done, func() error { return getOne(t, key) })
	commits := b.longest(done, func() error { return in.insert(0) })
	wall, _, err := timed(func() error { return s.Reclaim(context.Background()) })
	close(done)
	read, commit := <-reads, <-commits
	if err != nil {
		return err
	}
	after := s.Usage().DataUsed
	live := int64(0) // what was written meanwhile too; change sets are retained by count: what lives is the row groups and they
	for _, t := range s.Tablets() {
		st := t.Stats()
		live += st.Bytes + st.RetainedBytes
	}
	b.report.Ratio("disk after dropping half and one reclaim, vs live bytes", fmt.Sprintf("%.0f MB in %s (%.0f MB before)", float64(after)/1e6, ms(wall), float64(before)/1e6),
		fmt.Sprintf("%.0f MB", float64(live)/1e6), float64(after)/float64(live), 1.15, true)
	b.report.Ratio("longest read during reclaim, in ms", ms(read), "", float64(read.Microseconds())/1000, 100, true)
	b.report.Ratio("longest commit during reclaim, in ms", ms(commit), "", float64(commit.Microseconds())/1000, 100, true)
	return nil
}

// tenTablets loads the same rows into tablets 1 to 10 and returns the key of one.
func (b *benchmark) tenTablets(s *tablet.Store) (key [][]byte, err error) {
	var batch *vec.Batch
	if err := readTSV(b.tsv, min(loadRows, b.rows), func(x *vec.Batch) error {
		if batch == nil {
			batch = x
		}
		return nil
	}); err != nil {
		return nil, err
	}
	for id := types.TabletID(1); id <= 10; id++ {
		t, err := s.Create(metaOf(id))
		if err != nil {
			return nil, err
		}
		if err := commit(t, make([]types.RowOp, batch.N), batch); err != nil {
			return nil, err
		}
		if err := t.Flush(); err != nil {
			return nil, err
		}
	}
	return vec.EncodeKeys(batch, []int{0, 3})[:1], nil
}

// longest calls f until done is closed and then sends the longest time that a call took.
func (b *benchmark) longest(done <-chan struct{}, f func() error) <-chan time.Duration {
	out := make(chan time.Duration, 1)
	go func() {
		worst := time.Duration(0)
		defer func() { out <- worst }()
		for {
			select {
			case <-done:
				return
			default:
			}
			start := time.Now()
			if err := f(); err != nil {
				b.report.Missing("beside reclaim", err)
				return
			}
			worst = max(worst, time.Since(start))
		}
	}()
	return out
}

// getOne reads a whole row as a BE does for a point query that its row cache does not know.
func getOne(t *tablet.Tablet, keys [][]byte) error {
	_, found, _, err := t.GetAt(t.Version(), keys[0], []types.ColumnID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, nil)
	if err == nil && !found {
		err = fmt.Errorf("row is not found")
	}
	return err
}

func closing(s *tablet.Store, err error) error {
	if e := s.Close(); err == nil {
		err = e
	}
	return err
}
