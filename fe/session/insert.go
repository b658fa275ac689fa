package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"stele/fe/server"
	"stele/fe/txn"
	"stele/meta/catalog"
	"stele/meta/model"
	"stele/meta/types"
	"stele/sql/parse"
	"stele/sql/plan"
	"stele/sql/vec"
)

// fastInsert runs an INSERT of literals without a syntax tree; done is false when the statement is anything else.
func (s *Session) fastInsert(ctx context.Context, sql string, out *output) (done bool, err error) {
	if len(sql) < 6 || !mayInsert(sql) {
		return false, nil
	}
	values, ok := parse.FastInsert(sql, s.mode())
	if !ok {
		return false, nil
	}
	return true, s.insertValues(ctx, values, out)
}

// insertValues runs an INSERT of literals.
func (s *Session) insertValues(ctx context.Context, values *parse.InsertValues, out *output) error {
	s.sh.queries.Add(1)
	s.warnings = diagnostics{}
	write := s.write
	if !values.Replace && !values.Ignore {
		write = s.writeLatest
	}
	ins, err := s.insertAs(ctx, write, func(cat *catalog.Catalog, now time.Time) (*plan.InsertPlan, *plan.Context, error) {
		if p, ok := s.targeted(cat, now, values); ok {
			return p, nil, nil
		}
		pctx := s.planContext(cat, now, nil)
		p, err := plan.InsertValues(pctx, values)
		return p, pctx, err
	})
	if err != nil {
		return err
	}
	return out.done(ins.result())
}

// targetsMax is how many targets a session keeps.
const targetsMax = 8

// targeted plans an INSERT of literals by what is kept of those before.
func (s *Session) targeted(cat *catalog.Catalog, now time.Time, values *parse.InsertValues) (*plan.InsertPlan, bool) {
	f := s.vars.Now()
	names := s.names(cat)
	at := slices.IndexFunc(s.targets, func(t *plan.InsertTarget) bool { return t.Fits(names, s.db, f.SQLMode, f.Zone, values) })
	switch {
	case at < 0:
		if len(s.targets) == targetsMax {
			s.targets = s.targets[:targetsMax-1]
		}
		s.targets = slices.Insert(s.targets, 0, plan.NewInsertTarget(s.planContext(cat, now, nil), values))
	case at > 0: // the newest first
		t := s.targets[at]
		copy(s.targets[1:at+1], s.targets[:at])
		s.targets[0] = t
	}
	return s.targets[0].Insert(values, now.UnixMicro())
}

// mayInsert looks at the first letter only: the fast path costs other statements nothing.
func mayInsert(sql string) bool {
	t := strings.TrimLeft(sql, " \t\r\n")
	return t != "" && (t[0]|0x20 == 'i' || t[0]|0x20 == 'r')
}

// insert runs INSERT and REPLACE.
func (s *Session) insert(ctx context.Context, n *parse.InsertStmt, params []plan.Param, out *output) error {
	ins, err := s.insertAs(ctx, func(ctx context.Context, try attempt) error { return s.write(ctx, s.lockingFirst(n, params, try)) },
		func(cat *catalog.Catalog, now time.Time) (*plan.InsertPlan, *plan.Context, error) {
			pctx := s.planContext(cat, now, params)
			p, err := plan.Insert(pctx, n)
			return p, pctx, err
		})
	if err != nil {
		return err
	}
	return out.done(ins.result())
}

// planned plans an INSERT against a snapshot. The context comes with a plan that has more to work out than its rows.
type planned func(cat *catalog.Catalog, now time.Time) (*plan.InsertPlan, *plan.Context, error)

// insertAs plans against each try's snapshot, so that a retry sees a new schema and new tablets; write is how the statement gets its
// transaction.
func (s *Session) insertAs(ctx context.Context, write func(context.Context, attempt) error, plan planned) (*inserter, error) {
	n := &insertion{s: s, plan: plan}
	try := n.try
	err := write(ctx, try)
	if errors.Is(err, errMeetsItself) {
		n.remember = true
		err = write(ctx, try)
	}
	if err != nil {
		return nil, err
	}
	ins := &n.ins
	if ins.op() == types.OpInsertIgnore && ins.counts.Inserted == 0 {
		ins.drawn, ins.lastID = drawn{}, 0 // nothing came of the values
	}
	s.lastInsertID = cmp.Or(ins.drawn.first(), ins.told.or(s.lastInsertID))
	if ins.pctx != nil {
		s.warnPlanned(ins.pctx)
	}
	return ins, nil
}

// insertion is an INSERT with the last try of it.
type insertion struct {
	s        *Session
	plan     planned
	remember bool // see inserter
	ins      inserter
}

// try is an attempt.
func (n *insertion) try(ctx context.Context, cat *catalog.Catalog, t *txn.Txn) error {
	s, now := n.s, n.s.clock()
	p, pctx, err := n.plan(cat, now)
	if err != nil {
		return err
	}
	if err := s.mayWrite(insertPrivileges(p), p.Via, p.Database, p.Table); err != nil {
		return err
	}
	keys, err := s.keysOf(ctx, cat, p.Table)
	if err != nil {
		return err
	}
	fresh := s.inTx && len(keys) == 0 && p.OnDuplicate == nil && p.Mode != plan.ModeReplace
	lockFor(t, fresh, s.inTx, s.contended)
	n.ins = *newInserter(s, cat, t, p, pctx, keys, n.remember) // nothing of an earlier try is under way
	n.ins.lasting = p.Source == nil
	if err := n.ins.keepForeign(); err != nil {
		return err
	}
	return n.ins.run(ctx, now)
}

// insertPrivileges are those that an INSERT or LOAD DATA needs on the table that it writes.
func insertPrivileges(p *plan.InsertPlan) model.Privilege {
	switch {
	case p.Mode == plan.ModeReplace:
		return model.PrivInsert | model.PrivDelete
	case len(p.OnDuplicate) > 0:
		return model.PrivInsert | model.PrivUpdate
	}
	return model.PrivInsert
}

// inserter is one try of an INSERT.
type inserter struct {
	s    *Session
	cat  *catalog.Catalog
	t    *txn.Txn
	plan *plan.InsertPlan
	pctx *plan.Context
	keys []*uniqueKey

	counts  txn.Counts
	rows    int64
	updated int64  // rows changed by ON DUPLICATE KEY UPDATE
	same    int64  // rows that ON DUPLICATE KEY UPDATE found and left as they were
	removed int64  // further rows that REPLACE removed for one that it wrote
	drawn   drawn  // AUTO_INCREMENT values
	lastID  uint64 // the last that was given, or that a row has which was updated
	told    toldID // by ON DUPLICATE KEY UPDATE

	refs  *referrer // nil = the table has no foreign keys
	falls *cascade  // nil = nothing refers to rows that may go or get another key

	seen      keysSeen // what earlier chunks have written, where unique keys have to be kept; see unmet.go
	remember  bool     // the statement has met its own rows: leaders are to keep them
	remembers bool     // they do: reads see the rows of earlier chunks
	ahead     bool     // this is not the only chunk
	lasting   bool     // the memory of the rows is used for nothing else afterwards, as that of a load is
	leftOut   leftOut
	misplaced plan.Warnings // of rows that are left out because no partition takes them
	flight    flight
}

func newInserter(s *Session, cat *catalog.Catalog, t *txn.Txn, p *plan.InsertPlan, pctx *plan.Context, keys []*uniqueKey, remember bool) *inserter {
	return &inserter{s: s, cat: cat, t: t, plan: p, pctx: pctx, keys: keys, remember: remember}
}

// run writes the rows of the plan. While a chunk is written the next one is read.
func (i *inserter) run(ctx context.Context, now time.Time) (err error) {
	defer func() {
		if landed := i.land(); landed != nil { // of an earlier row
			err = landed
		}
	}()
	if i.plan.Source == nil {
		return i.insertRows(ctx, i.plan.Rows)
	}
	rows, err := i.s.source(ctx, i.plan.Source, i.cat, now)
	if err != nil {
		return err
	}
	defer rows.Close()
	read := 0
	next := func() (*vec.Batch, int, error) {
		b, err := rows.Next(ctx)
		if err != nil || b == nil {
			return nil, 0, err
		}
		if b, err = i.plan.Convert(b, read+1); err != nil {
			return nil, 0, err
		}
		read += b.Rows()
		return b, b.Size(), nil
	}
	return inChunks(next, func(chunk []*vec.Batch, more bool) error {
		i.chunks(more)
		return i.insert(ctx, vec.ConcatBatches(chunk...))
	})
}

// chunks is told before each chunk whether another one follows, which may have the keys of an earlier one. Where the statement
// only inserts, the leaders' locks tell; where it updates, what reads the rows that are in its way reads its own too.
func (i *inserter) chunks(more bool) {
	if more && !i.ahead { // from then on a write that is under way looks at it
		i.ahead = true
	}
	if i.rows == 0 && (more && i.plan.OnDuplicate != nil || i.remember) && i.t.Empty() {
		i.t.Remember()
		i.remembers = true
	}
}

// insertRows writes rows that are all there.
func (i *inserter) insertRows(ctx context.Context, rows *vec.Batch) error {
	return inSlices(rows, func(part *vec.Batch, more bool) error {
		i.chunks(more)
		return i.insert(ctx, part)
	})
}

// insert writes rows of the table.
func (i *inserter) insert(ctx context.Context, rows *vec.Batch) error {
	rows, err := i.number(ctx, rows)
	if err != nil {
		return err
	}
	i.rows += int64(rows.Rows())
	if rows, err = i.placed(rows); err != nil || rows.N == 0 {
		return err
	}
	if i.refs != nil && i.plan.Mode == plan.ModeIgnore {
		if rows, err = i.referring(ctx, rows); err != nil || rows.N == 0 {
			return err
		}
	}
	switch {
	case i.falls != nil && i.plan.OnDuplicate == nil:
		return i.merge(ctx, rows)
	case len(i.keys) > 0 && (i.plan.OnDuplicate != nil || i.plan.Mode != plan.ModeInsert):
		return i.meet(ctx, rows)
	case i.movesRows():
		return i.merge(ctx, rows)
	case i.plan.OnDuplicate != nil:
		return i.upsert(ctx, rows)
	case i.plan.Mode == plan.ModeIgnore:
		return i.sendIgnoring(ctx, rows)
	}
	return i.send(ctx, rows, i.op())
}

// placed leaves out the rows that the statement can put into no partition and ignores.
func (i *inserter) placed(rows *vec.Batch) (*vec.Batch, error) {
	if !i.plan.Places() {
		return rows, nil
	}
	before := i.misplaced.Count
	rows, err := i.plan.Placed(rows, &i.misplaced)
	i.counts.Ignored += int64(i.misplaced.Count - before)
	return rows, err
}

// op is what becomes of a row.
func (i *inserter) op() types.RowOp {
	switch i.plan.Mode {
	case plan.ModeIgnore:
		return types.OpInsertIgnore
	case plan.ModeReplace:
		return types.OpPut
	}
	return types.OpInsert
}

// send routes rows to their tablets, and their entries to those of the unique keys.
func (i *inserter) send(ctx context.Context, rows *vec.Batch, op types.RowOp) error {
	writes, err := i.routed(rows, op)
	if err != nil {
		return err
	}
	return i.launch(ctx, writes, func(err error) error {
		if isDuplicate(err) {
			return i.nameFirst(ctx, rows, nameEntry(err, i.plan.Table, i.keys, writes))
		}
		return err
	})
}

// routed returns the writes of rows and of their entries.
func (i *inserter) routed(rows *vec.Batch, op types.RowOp) ([]txn.TabletWrite, error) {
	writes, err := routed(i.plan.Table, rows, op)
	if err != nil {
		return nil, err
	}
	for k := range writes {
		writes[k].Lasting = i.lasting
	}
	if op == types.OpPut && i.replacesSeen() {
		if err := asOf(i.cat, writes); err != nil {
			return nil, err
		}
	}
	for _, u := range i.keys {
		more, err := u.write(u.entries(rows, nil), op)
		if err != nil {
			return nil, err
		}
		writes = append(writes, more...)
	}
	if i.plan.Mode == plan.ModeIgnore { // they have been looked at
		return writes, nil
	}
	return i.refs.refer(writes, rows, nil)
}

// replacesSeen reports whether a REPLACE puts its rows in the place of those of a state: the one that its query has read, or that its transaction is
// bound to. Who has changed them since must not be passed over.
func (i *inserter) replacesSeen() bool { return i.plan.Source != nil || i.s.inTx && !i.s.movesOn() }

// keepForeign finds out which foreign keys the statement has to keep.
func (i *inserter) keepForeign() (err error) {
	t := i.plan.Table
	if !t.HasForeignKeys() {
		return nil
	}
	if i.refs, err = i.s.referrer(i.cat, t); err != nil {
		return err
	}
	switch {
	case i.plan.OnDuplicate != nil:
		i.falls = i.s.cascade(i.cat, i.t, t, i.plan.Updated())
	case i.plan.Mode == plan.ModeReplace:
		i.falls = i.s.cascade(i.cat, i.t, t, nil)
	}
	if i.falls != nil { // what refers to the rows is looked for with what the statement has written
		i.t.Keep()
		i.remembers = true
	}
	return nil
}

func (i *inserter) add(c txn.Counts) {
	i.counts.Inserted += c.Inserted
	i.counts.Replaced += c.Replaced
	i.counts.Deleted += c.Deleted
	i.counts.Ignored += c.Ignored
}

// gather copies rows of a batch.
func gather(b *vec.Batch, rows []int32) *vec.Batch {
	return (&vec.Batch{Cols: b.Cols, N: b.N, Sel: rows}).Compact()
}

func (s *Session) lockWait() time.Duration { return s.vars.Now().LockWait }

// result is what the client hears, counted as MySQL counts.
func (i *inserter) result() server.Result {
	i.warnLeftOut()
	r := server.Result{LastInsertID: i.drawn.first(), Warnings: i.s.warningCount()}
	if r.LastInsertID == 0 { // as MySQL: the client hears of a given value, LAST_INSERT_ID() does not change
		r.LastInsertID = i.told.or(i.lastID)
	}
	duplicates := i.counts.Replaced + i.counts.Ignored
	switch {
	case i.plan.OnDuplicate != nil:
		r.AffectedRows = uint64(i.counts.Inserted + 2*i.updated)
		if i.s.info.FoundRows {
			r.AffectedRows += uint64(i.same)
		}
		duplicates = i.updated
	case i.plan.Mode == plan.ModeReplace:
		r.AffectedRows = uint64(i.counts.Inserted + 2*i.counts.Replaced + i.removed)
		duplicates += i.removed
	default:
		r.AffectedRows = uint64(i.counts.Inserted)
	}
	if i.rows > 1 {
		r.Info = fmt.Sprintf("Records: %d  Duplicates: %d  Warnings: %d", i.rows, duplicates, r.Warnings)
	}
	return r
}
