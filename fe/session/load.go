package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"stele/fe/server"
	"stele/fe/session/load"
	"stele/fe/txn"
	"stele/meta/catalog"
	"stele/meta/contain"
	"stele/sql/errno"
	"stele/sql/parse"
	"stele/sql/plan"
	"stele/sql/vec"
)

const (
	loadsAtOnce = 3 // pieces that are converted, or wait to be taken on
	loadTries   = 5
)

// load runs LOAD DATA LOCAL INFILE: the client sends the file, whose lines are converted by several goroutines while
// the pieces before them are written, all in one transaction.
func (s *Session) load(ctx context.Context, n *parse.LoadDataStmt, out *output) error {
	if n.FileLocRef != parse.FileLocClient {
		return sqlErr(errno.OptionPrevents, "The MySQL server is running with the --secure-file-priv option so it cannot execute this statement: "+
			"files of the server cannot be loaded, use LOAD DATA LOCAL")
	}
	files, ok := out.w.(server.FileReceiver)
	if !ok {
		return sqlErr(errno.NotSupported, "This version of Stele doesn't yet support 'LOAD DATA' here")
	}
	l := &loader{s: s, n: n, files: files, retry: s.retrier()}
	err := s.writeWith(ctx, &l.retry, l.run)
	if errors.Is(err, errMeetsItself) {
		l.remember = true
		err = s.writeWith(ctx, &l.retry, l.run)
	}
	if l.source != nil {
		l.source.Stop(err)
		l.reading.Wait() // the client sends the file to its end, whatever became of it
		l.source.Close()
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
	retry retrier

	source  *load.Source // nil until the client has been asked
	reading sync.WaitGroup
	tries   int

	plan     *plan.LoadPlan
	ins      *inserter
	remember bool            // the file has met its own rows
	grouped  bool            // rows go to the leaders as row groups
	spare    chan *vec.Batch // rows whose buffers may be used again
	lines    int             // that were taken on
	warned   plan.Warnings
}

// loadJob is a piece on its way to rows; done is closed when they are there.
type loadJob struct {
	text   []byte // as it was taken
	lines  []byte // of text
	done   chan struct{}
	rows   *vec.Batch
	routes []plan.TabletRows // nil where rows have to be numbered or left out first
	count  int               // of lines
	warned *plan.Warnings
	err    error
}

// run is one try.
func (l *loader) run(ctx context.Context, cat *catalog.Catalog, t *txn.Txn) error {
	pctx := l.s.planContext(cat, l.s.clock(), nil)
	p, err := plan.Load(pctx, l.n)
	if err != nil {
		return err
	}
	if err := l.s.mayWrite(insertPrivileges(&p.InsertPlan), p.Via, p.Database, p.Table); err != nil {
		return err
	}
	l.plan, l.lines, l.warned = p, 0, pctx.Warnings
	keys, err := l.s.keysOf(ctx, cat, p.Table)
	if err != nil {
		return err
	}
	lockFor(t, len(keys) == 0, l.s.inTx, l.s.contended)
	l.ins = newInserter(l.s, cat, t, &p.InsertPlan, pctx, keys, l.remember)
	l.ins.ahead = true
	if err := l.ins.keepForeign(); err != nil {
		return err
	}
	l.grouped = len(keys) == 0 && !l.s.inTx && l.ins.refs == nil && l.ins.falls == nil
	l.spare = make(chan *vec.Batch, loadsAtOnce+1)
	if err := l.begin(); err != nil {
		return err
	}
	defer l.retry.extend(l.s.sh.Settings().WriteTimeout) // how long the rows took to get here does not count
	return l.feed(ctx)
}

// begin asks the client for the file, or goes back to what it has sent of it so far.
func (l *loader) begin() error {
	if l.tries++; l.source == nil {
		l.source = load.NewSource(l.s.sh.Settings().SpillDir, l.plan.Format)
		l.reading.Go(func() {
			l.source.Finish(contain.Call(func() error { return l.files.ReceiveFile(l.n.Path, l.source.Receive) }))
		})
		return nil
	}
	err := l.source.Rewind()
	if err == nil && l.tries > loadTries {
		err = fmt.Errorf("%d tries failed", loadTries)
	}
	if err != nil {
		return sqlErr(errno.LockWaitTimeout, "LOAD DATA was interrupted and nothing of it was kept, run it again: %s", err)
	}
	return nil
}

// feed brings the file into the table: one goroutine has pieces converted, this one takes the rows on.
func (l *loader) feed(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	jobs := make(chan *loadJob, loadsAtOnce)
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(jobs)
		if err := contain.Call(func() error { return l.read(ctx, jobs) }); err != nil {
			cancel(err) // which is what the others hear
		}
	})
	take, end := l.insertJob, func(context.Context) error { return l.ins.land() }
	if l.grouped {
		g := load.NewGroups(ctx, &l.plan.Table.Schema, leaders{l.ins}, cancel)
		take, end = func(ctx context.Context, j *loadJob) error { return l.groupJob(ctx, j, g) }, g.End
	}
	err := l.gather(ctx, jobs, take)
	if err != nil {
		cancel(err)
	}
	for j := range jobs {
		<-j.done
	}
	wg.Wait()
	if ended := end(ctx); err == nil {
		err = ended
	}
	return err
}

// read has pieces converted, as many at once as there is room for in jobs.
func (l *loader) read(ctx context.Context, jobs chan<- *loadJob) error {
	skip := l.plan.Skip
	for {
		text, ok, err := l.source.Take(ctx)
		if err != nil || !ok {
			return err
		}
		j := &loadJob{text: text, lines: text, done: make(chan struct{})}
		if skip > 0 {
			var n uint64
			j.lines, n = l.plan.Format.SkipLines(text, skip)
			skip -= n
		}
		select {
		case jobs <- j:
		case <-ctx.Done():
			l.source.Release(text)
			return context.Cause(ctx)
		}
		go func() { // whoever takes the job waits for it
			defer close(j.done)
			j.err = contain.Call(func() error { return l.convert(j) })
		}()
	}
}

func (l *loader) convert(j *loadJob) (err error) {
	defer l.source.Release(j.text)
	var old *vec.Batch
	select {
	case old = <-l.spare:
	default:
	}
	if j.rows, j.warned, err = l.plan.LoadRows(j.lines, 1, old); err == nil {
		j.count = j.rows.N
		j.rows, err = l.plan.Meeting(j.rows, j.warned)
	}
	if err == nil && l.grouped && !l.ins.numbers() {
		j.routes = l.routed(j.rows)
	}
	return err
}

// routed routes rows of which all go somewhere; nil tells whoever takes them to leave out the others.
func (l *loader) routed(rows *vec.Batch) []plan.TabletRows {
	routes, err := plan.Route(l.plan.Table, rows)
	if err != nil || slices.ContainsFunc(routes, func(r plan.TabletRows) bool {
		return l.plan.Partitions != nil && !slices.Contains(l.plan.Partitions, r.Partition)
	}) {
		return nil
	}
	return routes
}

// gather takes the rows on in the order of the file.
func (l *loader) gather(ctx context.Context, jobs <-chan *loadJob, take func(context.Context, *loadJob) error) error {
	for j := range jobs {
		<-j.done
		err := j.err
		if err == nil && j.rows.N > 0 {
			err = take(ctx, j)
		}
		if err != nil {
			return err
		}
		l.warned.Append(j.warned, l.lines)
		l.lines += j.count
		if j.rows != nil {
			select {
			case l.spare <- j.rows:
			default:
			}
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// insertJob writes rows as other statements do, in chunks.
func (l *loader) insertJob(ctx context.Context, j *loadJob) error {
	rows := j.rows
	j.rows = nil // a transaction may keep them
	return l.ins.insertRows(ctx, rows)
}

// groupJob numbers and routes rows, where that was not done when they were converted, and has them become row groups.
func (l *loader) groupJob(ctx context.Context, j *loadJob, g *load.Groups) (err error) {
	rows, routes := j.rows, j.routes
	l.ins.rows += int64(rows.N)
	if routes == nil {
		if rows, err = l.ins.number(ctx, rows); err != nil {
			return err
		}
		if rows, err = l.ins.placed(rows); err != nil || rows.N == 0 {
			return err
		}
		if routes, err = plan.Route(l.plan.Table, rows); err != nil {
			return err
		}
	}
	return g.Take(ctx, rows, routes)
}

// leaders take the row groups of a load as parts of its transaction.
type leaders struct{ ins *inserter }

func (l leaders) Write(ctx context.Context, writes []txn.TabletWrite) error {
	table := l.ins.plan.Table
	for i := range writes {
		writes[i].Ops, writes[i].Schema = []byte{byte(l.ins.op())}, table.Schema.Version
	}
	return l.ins.launch(ctx, writes, func(err error) error { return nameEntry(err, table, nil, writes) })
}

func (l leaders) Land() error { return l.ins.land() }

// result is what the client hears.
func (l *loader) result() server.Result {
	l.s.warnRows(&l.warned)
	l.s.warnRows(&l.ins.misplaced)
	c := l.ins.counts
	r := server.Result{AffectedRows: uint64(c.Inserted + 2*c.Replaced), Warnings: l.s.warningCount()}
	r.Info = fmt.Sprintf("Records: %d  Deleted: %d  Skipped: %d  Warnings: %d", l.ins.rows, c.Replaced, c.Ignored, r.Warnings)
	if first := l.ins.drawn.first(); first != 0 {
		l.s.lastInsertID = first
		r.LastInsertID = first
	}
	return r
}
