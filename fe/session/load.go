package session

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"stele/fe/server"
	"stele/fe/txn"
	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/parse"
	"stele/sql/plan"
	"stele/sql/vec"
)

// Bounds of LOAD DATA: what is sent to the leaders at once is so large that each tablet's part of it becomes a rowset of its
// own, which spares it the memtable and a flush. It begins small, so that the leaders have something to do soon, and grows,
// so that a long load leaves few rowsets.
const (
	loadTabletRows = 20 << 10 // at least, for each bucket
	loadRows       = 256 << 10
	loadBytes      = 24 << 20
	loadsAtOnce    = 3 // pieces that are converted or wait to be written
	loadTries      = 5
)

// load runs LOAD DATA LOCAL INFILE: the client sends the file, whose lines are converted by several goroutines while
// the pieces before them are written, all in one transaction.
func (s *Session) load(ctx context.Context, n *parse.LoadDataStmt, out *output) error {
	if n.FileLocRef != parse.FileLocClient {
		return sqlErr(1290, "HY000", "The MySQL server is running with the --secure-file-priv option so it cannot execute this statement: "+
			"files of the server cannot be loaded, use LOAD DATA LOCAL")
	}
	files, ok := out.w.(server.FileReceiver)
	if !ok {
		return sqlErr(1235, "42000", "This version of Stele doesn't yet support 'LOAD DATA' here")
	}
	l := &loader{s: s, n: n, files: files, retry: s.retrier()}
	err := s.writeWith(ctx, l.retry, l.run)
	if l.source != nil {
		l.source.stop(err)
		l.reading.Wait() // the client sends the file to its end, whatever became of it
		l.source.close()
	}
	if err != nil {
		return err
	}
	return out.done(l.result())
}

// loader is one LOAD DATA.
type loader struct {
	s     *Session
	n     *parse.LoadDataStmt
	files server.FileReceiver
	retry *retrier

	source  *loadSource // nil until the client has been asked
	reading sync.WaitGroup
	tries   int

	plan *plan.LoadPlan
	ins  *inserter
	odd  int64 // lines with too few or too many values
}

// loadJob is a piece on its way to rows; done is closed when they are there.
type loadJob struct {
	text []byte
	done chan struct{}
	rows *vec.Batch
	odd  int
	err  error
}

// run is one try.
func (l *loader) run(ctx context.Context, cat *catalog.Catalog, t *txn.Txn) error {
	pctx := l.s.planContext(cat, time.Now(), nil)
	p, err := plan.Load(pctx, l.n)
	if err != nil {
		return err
	}
	if err := l.s.mayWrite(insertPrivileges(&p.InsertPlan), p.Database, p.Table); err != nil {
		return err
	}
	l.plan, l.odd = p, 0
	keys, err := l.s.keysOf(ctx, cat, p.Table)
	if err != nil {
		return err
	}
	lockFor(t, keys, l.s.inTx, l.s.contended)
	l.ins = &inserter{s: l.s, cat: cat, t: t, plan: &p.InsertPlan, pctx: pctx, keys: keys}
	if len(keys) > 0 && t.Empty() {
		// Later pieces read the rows of earlier ones. Without unique keys their primary keys are enough, which leaders keep.
		t.Remember()
		l.ins.remembers = true
	}
	if err := l.begin(); err != nil {
		return err
	}
	defer l.retry.extend(l.s.sh.Settings().WriteTimeout) // how long the rows took to get here does not count
	return l.feed(ctx)
}

// begin asks the client for the file, or goes back to what it has sent of it so far.
func (l *loader) begin() error {
	if l.tries++; l.source == nil {
		l.source = newLoadSource(l.s.sh.Settings().SpillDir, l.plan.Format)
		l.reading.Go(func() { l.source.finish(l.files.ReceiveFile(l.n.Path, l.source.receive)) })
		return nil
	}
	err := l.source.rewind()
	if err == nil && l.tries > loadTries {
		err = fmt.Errorf("%d tries failed", loadTries)
	}
	if err != nil {
		return sqlErr(1205, "HY000", "LOAD DATA was interrupted and nothing of it was kept, run it again: %s", err)
	}
	return nil
}

// feed brings the file into the table: one goroutine has pieces converted, this one makes writes of them, a third one sends.
func (l *loader) feed(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	jobs, writes := make(chan *loadJob, loadsAtOnce), make(chan []txn.TabletWrite, 1)
	var wg sync.WaitGroup
	var reads, sends error
	wg.Go(func() {
		defer close(jobs)
		if reads = l.read(ctx, jobs); reads != nil {
			cancel(reads)
		}
	})
	wg.Go(func() {
		if sends = l.send(ctx, writes); sends != nil {
			cancel(sends)
		}
	})
	err := l.gather(ctx, jobs, writes)
	if err != nil {
		cancel(err)
	}
	for j := range jobs {
		<-j.done
	}
	close(writes)
	wg.Wait()
	switch { // what came of it first is what the others only heard of
	case sends != nil:
		return sends
	case err != nil && !errors.Is(err, context.Canceled):
		return err
	case reads != nil:
		return reads
	}
	return err
}

// read has pieces converted, as many at once as there is room for in jobs.
func (l *loader) read(ctx context.Context, jobs chan<- *loadJob) error {
	skip := l.plan.Skip
	for {
		text, ok, err := l.source.take(ctx)
		if err != nil || !ok {
			return err
		}
		if skip > 0 {
			var n uint64
			text, n = l.plan.Format.SkipLines(text, skip)
			if skip -= n; len(text) == 0 {
				continue
			}
		}
		j := &loadJob{text: text, done: make(chan struct{})}
		select {
		case jobs <- j:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		go func() { // whoever takes the job waits for it
			defer close(j.done)
			j.rows, j.odd, j.err = l.plan.LoadRows(j.text, 1)
			j.text = nil
		}()
	}
}

// gather makes writes of the rows, in the order of the file.
func (l *loader) gather(ctx context.Context, jobs <-chan *loadJob, writes chan<- []txn.TabletWrite) error {
	var rows []*vec.Batch
	first := min(loadRows, loadTabletRows*max(1, l.plan.Table.Buckets))
	count, size, total, want := 0, 0, 0, first
	flush := func() error {
		if count == 0 {
			return nil
		}
		chunk := rows
		total += count
		rows, count, size = nil, 0, 0
		want = min(loadRows, max(first, total/3)) // the last one, which nothing runs beside, is a part of the whole
		if len(l.ins.keys) > 0 {
			return l.ins.insertRows(ctx, vec.ConcatBatches(chunk...))
		}
		routed, err := l.ins.route(ctx, chunk)
		if err != nil {
			return err
		}
		select {
		case writes <- routed:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	for j := range jobs {
		<-j.done
		if j.err != nil {
			return j.err
		}
		l.odd += int64(j.odd)
		if j.rows.N > 0 {
			rows = append(rows, j.rows)
			count, size = count+j.rows.N, size+j.rows.Size()
		}
		if count >= want || size >= loadBytes {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return flush()
}

// send writes what is routed.
func (l *loader) send(ctx context.Context, writes <-chan []txn.TabletWrite) error {
	for {
		select {
		case w, ok := <-writes:
			if !ok {
				return nil
			}
			if err := l.ins.write(ctx, w); err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// route numbers the rows of some batches and sends them to their tablets.
func (i *inserter) route(ctx context.Context, batches []*vec.Batch) ([]txn.TabletWrite, error) {
	parts := map[types.TabletID][]*vec.Batch{}
	var order []types.TabletID
	for _, b := range batches {
		b, err := i.number(ctx, b)
		if err != nil {
			return nil, err
		}
		i.rows += int64(b.N)
		routes, err := plan.Route(i.plan.Table, b)
		if err != nil {
			return nil, err
		}
		for _, r := range routes {
			if parts[r.Tablet] == nil {
				order = append(order, r.Tablet)
			}
			parts[r.Tablet] = append(parts[r.Tablet], &vec.Batch{Cols: b.Cols, N: b.N, Sel: r.Rows})
		}
	}
	var out []txn.TabletWrite
	for _, id := range order {
		out = append(out, txn.TabletWrite{Tablet: id, Ops: []byte{byte(i.op())}, Rows: vec.ConcatBatches(parts[id]...), Schema: i.plan.Table.Schema.Version})
	}
	return out, nil
}

// insertRows writes rows that meet unique keys: what is in the way is read first, so chunks are as large as other statements'.
func (i *inserter) insertRows(ctx context.Context, rows *vec.Batch) error {
	step := max(1, min(chunkRows, chunkBytes/(rows.Size()/rows.N+1)))
	for from := 0; from < rows.N; from += step {
		part := rows
		if from > 0 || from+step < rows.N {
			part = rows.Slice(from, min(from+step, rows.N)).Compact()
		}
		if err := i.insert(ctx, part); err != nil {
			return err
		}
	}
	return nil
}

// result is what the client hears.
func (l *loader) result() server.Result {
	if l.odd > 0 {
		l.s.warn("Warning", 1261, fmt.Sprintf("%d rows had fewer or more fields than the table has columns", l.odd))
	}
	c := l.ins.counts
	r := server.Result{AffectedRows: uint64(c.Inserted + 2*c.Replaced), Warnings: l.s.warningCount()}
	r.Info = fmt.Sprintf("Records: %d  Deleted: %d  Skipped: %d  Warnings: %d", l.ins.rows, c.Replaced, c.Ignored, r.Warnings)
	if l.ins.firstID != 0 {
		l.s.lastInsertID = l.ins.firstID
		r.LastInsertID = l.ins.firstID
	}
	return r
}
