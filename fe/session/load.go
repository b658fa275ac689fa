package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"stele/fe/server"
	"stele/fe/txn"
	"stele/meta/catalog"
	"stele/sql/parse"
	"stele/sql/plan"
	"stele/sql/vec"
)

// Bounds of LOAD DATA: pieces large enough that each tablet's part of one becomes a rowset of its own, which spares it the
// memtable and a flush, and few enough at once for a bounded memory.
const (
	loadPiece   = 8 << 20
	loadRows    = 256 << 10 // and loadBytes: what is sent to the leaders at once
	loadBytes   = 24 << 20
	loadsAtOnce = 3        // pieces that are converted or wait to be written
	loadMaxLine = 64 << 20 // a line longer than that is none
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
	l := &loader{s: s, n: n, files: files}
	last := errors.New("the commit was refused")
	err := s.write(ctx, func(ctx context.Context, cat *catalog.Catalog, t *txn.Txn) error {
		if l.asked {
			return interrupted(last.Error())
		}
		err := l.run(ctx, cat, t)
		if err != nil {
			last = err
		}
		if err != nil && l.asked && mayRetry(err) {
			return interrupted(err.Error())
		}
		return err
	})
	if err != nil {
		return err
	}
	return out.done(l.result())
}

// interrupted ends a LOAD DATA that would otherwise be tried again: the file has gone by, and a client that was asked for
// it once more would take the question for the result.
func interrupted(why string) error {
	return sqlErr(1205, "HY000", "LOAD DATA was interrupted and nothing of it was kept, run it again: %s", why)
}

// loader is one LOAD DATA.
type loader struct {
	s     *Session
	n     *parse.LoadDataStmt
	files server.FileReceiver
	asked bool // the client has begun to send

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

func (l *loader) run(ctx context.Context, cat *catalog.Catalog, t *txn.Txn) error {
	pctx := l.s.planContext(cat, time.Now(), nil)
	p, err := plan.Load(pctx, l.n)
	if err != nil {
		return err
	}
	l.plan = p
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
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	jobs := make(chan *loadJob, loadsAtOnce)
	var wg sync.WaitGroup
	var failed error
	wg.Go(func() {
		if failed = l.insert(ctx, jobs); failed != nil {
			cancel(failed) // the reader stops making jobs
		}
	})
	l.asked = true
	err = l.read(ctx, jobs)
	close(jobs)
	wg.Wait()
	if failed != nil {
		return failed
	}
	return err
}

// read takes the file in and cuts it into pieces of whole lines.
func (l *loader) read(ctx context.Context, jobs chan<- *loadJob) error {
	var text []byte
	skip := l.plan.Skip
	err := l.files.ReceiveFile(l.n.Path, func(piece []byte) error {
		text = append(text, piece...)
		if len(text) < loadPiece {
			return nil
		}
		cut := l.plan.Format.Cut(text)
		if cut == 0 {
			if len(text) > loadMaxLine {
				return sqlErr(1153, "08S01", "Got a line bigger than %d bytes", loadMaxLine)
			}
			return nil
		}
		rest := bytes.Clone(text[cut:])
		err := l.start(ctx, text[:cut], &skip, jobs)
		text = append(make([]byte, 0, loadPiece+len(piece)), rest...)
		return err
	})
	if err == nil && len(text) > 0 {
		err = l.start(ctx, text, &skip, jobs)
	}
	return err
}

// start has a piece converted. It waits while enough of them are under way.
func (l *loader) start(ctx context.Context, text []byte, skip *uint64, jobs chan<- *loadJob) error {
	if *skip > 0 {
		var n uint64
		text, n = l.plan.Format.SkipLines(text, *skip)
		if *skip -= n; len(text) == 0 {
			return nil
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
	return nil
}

// insert writes the pieces in the order of the file. It takes every job, also after a failure.
func (l *loader) insert(ctx context.Context, jobs <-chan *loadJob) (failed error) {
	for j := range jobs {
		<-j.done
		switch {
		case failed != nil:
		case j.err != nil:
			failed = j.err
		case j.rows.N > 0:
			l.odd += int64(j.odd)
			failed = l.ins.insertRows(ctx, j.rows)
		}
	}
	return failed
}

// insertRows writes rows in chunks. With unique keys the rows that are in the way are read first: then chunks are as large as
// other statements'.
func (i *inserter) insertRows(ctx context.Context, rows *vec.Batch) error {
	most, size := loadRows, loadBytes
	if len(i.keys) > 0 {
		most, size = chunkRows, chunkBytes
	}
	step := max(1, min(most, size/(rows.Size()/rows.N+1)))
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
