package session

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"stele/fe/dist"
	"stele/fe/txn"
	"stele/meta/catalog"
	"stele/meta/model"
	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/exec"
	"stele/sql/parse"
	"stele/sql/plan"
	"stele/sql/spool"
	"stele/sql/syntax"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

// cascade does what foreign keys say of the rows that refer to those which a statement deletes, or gives another key. It comes behind the
// write of these rows, when their leaders have locked them: who has written a row that refers to one of them has either committed, and is
// seen in the newest state, or waits for the lock, and will find nothing to refer to.
type cascade struct {
	s       *Session
	t       *txn.Txn
	table   *catalog.Table  // of the rows
	depth   int             // below the table that the statement names
	updated []types.TableID // whose rows the statement updates, from there to here
}

// cascade returns nil where nothing refers to what a statement changes in a table: rows go (written = nil), or columns are written.
func (s *Session) cascade(cat *catalog.Catalog, t *txn.Txn, table *catalog.Table, written []int) *cascade {
	if len(table.ReferencedBy) == 0 || !s.keepsForeignKeys(table) {
		return nil
	}
	if written != nil && !writesReferred(cat, table, written) {
		return nil
	}
	c := &cascade{s: s, t: t, table: table}
	if written != nil {
		c.updated = []types.TableID{table.ID}
	}
	return c
}

// writesReferred reports whether foreign keys refer to any of some columns.
func writesReferred(cat *catalog.Catalog, table *catalog.Table, written []int) bool {
	for _, id := range table.ReferencedBy {
		child, ok := cat.TableByID(id)
		if !ok {
			continue
		}
		for _, at := range child.RefersTo(table.ID) {
			if slices.ContainsFunc(places(table, child.ForeignKeys[at].RefColumns), func(c int) bool { return slices.Contains(written, c) }) {
				return true
			}
		}
	}
	return false
}

// fallen are the rows of a table that a statement has deleted, and those that it has updated: the same row is at the same place of old and now.
type fallen struct{ gone, old, now []*vec.Batch }

func (f *fallen) none() bool { return len(f.gone)+len(f.old) == 0 }

func (f *fallen) size() (n int) {
	for _, batches := range [][]*vec.Batch{f.gone, f.old, f.now} {
		for _, b := range batches {
			n += b.Size()
		}
	}
	return n
}

// run works on all that refers to the rows. Should the transaction be written again, its locks may have been gone for a moment, and it is looked for
// what has come to refer to the rows meanwhile.
func (c *cascade) run(ctx context.Context, f *fallen) error {
	if err := c.each(ctx, func(d *dependents) error { return d.follow(ctx, f) }); err != nil {
		return err
	}
	c.t.Promise(f.size(), func(ctx context.Context) error {
		return c.each(ctx, func(d *dependents) error { return d.still(ctx, f) })
	})
	return nil
}

// each calls with those who refer by each foreign key, as the newest catalog has them.
func (c *cascade) each(ctx context.Context, do func(*dependents) error) error {
	if _, err := c.s.sh.Log.ReadIndex(ctx); err != nil {
		return err
	}
	cat := c.s.sh.Log.Current()
	parent, ok := cat.TableByID(c.table.ID)
	if !ok {
		return &txn.RetryError{Err: fmt.Errorf("table %d is no more", c.table.ID), Gone: true}
	}
	for _, id := range parent.ReferencedBy {
		child, ok := cat.TableByID(id)
		if !ok {
			continue
		}
		for _, at := range child.RefersTo(parent.ID) {
			k, err := newReference(cat, child, &child.ForeignKeys[at])
			if err != nil {
				return err
			}
			k.to = places(c.table, k.f.RefColumns) // which is what the rows have
			if err := do(&dependents{c: c, cat: cat, t: child, k: k}); err != nil {
				return err
			}
		}
	}
	return nil
}

// dependents are the rows of a table that refer by one foreign key to rows which are gone or have another key.
type dependents struct {
	c   *cascade
	cat *catalog.Catalog
	t   *catalog.Table
	k   *reference

	action model.ReferenceAction
	moved  bool
	keys   []*vec.Batch      // of the rows that they refer to, as they were
	at     map[string]newKey // where the new key of each is; none = it is gone
}

// newKey is a row of a batch of the parent.
type newKey struct {
	rows *vec.Batch
	row  int
}

func (d *dependents) follow(ctx context.Context, f *fallen) error {
	d.at, d.keys, d.moved, d.action = map[string]newKey{}, nil, false, d.k.f.OnDelete
	for _, b := range f.gone {
		d.add(b, nil)
	}
	if err := d.act(ctx); err != nil {
		return err
	}
	d.at, d.keys, d.moved, d.action = map[string]newKey{}, nil, true, d.k.f.OnUpdate
	for i, b := range f.old {
		d.add(b, f.now[i])
	}
	if slices.Contains(d.c.updated, d.t.ID) { // as InnoDB: what the statement updates is not updated by it once more
		d.action = model.ReferenceRestrict
	}
	return d.act(ctx)
}

// still fails when a row refers to a key that the statement has taken away, and not given to another row: when it was run, none was left.
func (d *dependents) still(ctx context.Context, f *fallen) error {
	d.at, d.moved, d.action = map[string]newKey{}, true, model.ReferenceRestrict
	for _, b := range f.gone {
		d.add(b, nil)
	}
	for i, b := range f.old {
		d.add(b, f.now[i])
	}
	for _, b := range f.now {
		keys, _ := d.k.keys(b, d.k.to, nil)
		for _, key := range vec.EncodeKeys(keys, positions(len(keys.Cols))) {
			delete(d.at, string(key))
		}
	}
	err := d.act(ctx)
	if no, named := sqltypes.AsError(err); named && no.Code == errno.RowIsReferenced {
		return &txn.RetryError{Err: fmt.Errorf("rows of %s have come to refer to rows that are gone", d.t.Name), Gone: true}
	}
	return err
}

// add notes the keys of rows that are gone, or have become others.
func (d *dependents) add(old, now *vec.Batch) {
	var pick []int32
	if now != nil {
		pick = []int32{}
		for row := range old.N {
			if slices.ContainsFunc(d.k.to, func(c int) bool { return !sameValue(old.Cols[c], now.Cols[c], row) }) {
				pick = append(pick, int32(row))
			}
		}
	}
	keys, of := d.k.keys(old, d.k.to, pick)
	if keys.N == 0 {
		return
	}
	for i, key := range vec.EncodeKeys(keys, positions(len(keys.Cols))) {
		d.at[string(key)] = newKey{now, int(of[i])}
	}
	plain := &vec.Batch{N: old.N, Sel: of}
	for _, c := range d.k.to {
		plain.Cols = append(plain.Cols, old.Cols[c])
	}
	d.keys = append(d.keys, plain.Compact())
}

func (d *dependents) act(ctx context.Context) error {
	if len(d.at) == 0 {
		return nil
	}
	if d.action == model.ReferenceNoAction || d.action == model.ReferenceRestrict {
		return d.restrict(ctx)
	}
	if d.c.depth+1 > deepestFall {
		return sqlErr(errno.ForeignKeyTooDeep, "Foreign key cascade delete/update exceeds max depth of %d.", deepestFall)
	}
	columns := columnNames(d.t, d.k.f.Columns)
	set := make([]string, len(columns))
	for i, name := range columns {
		if set[i] = syntax.QuoteName(name) + " = NULL"; d.action == model.ReferenceCascade {
			set[i] = syntax.QuoteName(name) + " = " + syntax.QuoteName(name)
		}
	}
	verb := "UPDATE %s SET " + strings.Join(set, ", ")
	if d.action == model.ReferenceCascade && !d.moved {
		verb = "DELETE FROM %s"
	}
	m, err := d.modifier(ctx, verb)
	if err != nil {
		return err
	}
	defer m.source.Close()
	for i := range m.plan.Assign {
		m.plan.Assign[i].Keeps = false // a column that is named as its own value gets that of the parent (replaced)
	}
	return d.each(ctx, m, func(b *vec.Batch) error {
		if err := m.take(ctx, d.replaced(b, m.plan)); err != nil {
			return err
		}
		if !m.whole && (m.rows >= chunkRows || m.bytes >= chunkBytes) {
			return m.flush(ctx)
		}
		return nil
	})
}

// each hands out the rows that refer to one of the keys, and ends the modifier.
func (d *dependents) each(ctx context.Context, m *modifier, take func(*vec.Batch) error) error {
	for {
		b, err := m.source.Next(ctx)
		if err != nil {
			return err
		}
		if b == nil {
			return m.flush(ctx)
		}
		b = b.Compact()
		if rows := d.referring(b); len(rows) > 0 {
			if err := take(gather(b, rows)); err != nil {
				return err
			}
		}
	}
}

// referring picks the rows that refer to one of the keys.
func (d *dependents) referring(b *vec.Batch) []int32 {
	var out []int32
	keys, of := d.k.keys(b, d.k.from, nil)
	for i, key := range vec.EncodeKeys(keys, positions(len(keys.Cols))) {
		if _, ok := d.at[string(key)]; ok {
			out = append(out, of[i])
		}
	}
	return out
}

// replaced puts the new keys in the place of what an UPDATE assigns.
func (d *dependents) replaced(b *vec.Batch, p *plan.ModifyPlan) *vec.Batch {
	if !d.moved || d.action != model.ReferenceCascade {
		return b
	}
	out := &vec.Batch{Cols: slices.Clone(b.Cols), N: b.N}
	keys, _ := d.k.keys(b, d.k.from, nil)
	enc := vec.EncodeKeys(keys, positions(len(keys.Cols)))
	for i, from := range d.k.from {
		values := vec.NewColumnBuilder(p.Table.Schema.Columns[from].Type, b.N)
		for _, key := range enc {
			to := d.at[string(key)]
			values.AppendValue(to.rows.Cols[d.k.to[i]].Value(to.row))
		}
		out.Cols[p.Values+i] = values.Finish()
	}
	return out
}

// restrict fails when a row refers to one of the keys.
func (d *dependents) restrict(ctx context.Context) error {
	m, err := d.modifier(ctx, "DELETE FROM %s")
	if err != nil {
		return err
	}
	defer m.source.Close()
	return d.each(ctx, m, func(*vec.Batch) error { return d.hasChild() })
}

// hasChild is the error of a row that is referred to.
func (d *dependents) hasChild() error {
	return sqlErr(errno.RowIsReferenced, "Cannot delete or update a parent row: a foreign key constraint fails (%s)", describeForeignKey(d.cat, d.t, d.k.f))
}

// modifier plans a statement for the rows that may refer to one of the keys, over the newest state with what the transaction has written. It needs
// no privileges, as in MySQL.
func (d *dependents) modifier(ctx context.Context, verb string) (*modifier, error) {
	s, now := d.c.s, d.c.s.clock()
	db, ok := d.cat.DatabaseByID(d.t.DatabaseID)
	if !ok {
		return nil, &txn.RetryError{Err: fmt.Errorf("table %s is no more", d.t.Name), Gone: true}
	}
	where, params := d.where()
	sql := fmt.Sprintf(verb, syntax.QuoteName(db.Name)+"."+syntax.QuoteName(d.t.Name)) + where
	st, err := s.sh.Parser.Parse(sql, s.mode())
	if err != nil {
		return nil, fmt.Errorf("BUG: %s: %w", sql, err)
	}
	pctx := s.planContext(d.cat, now, params)
	pctx.Catalog, pctx.SafeUpdates = snapshot{d.cat, nil}, false
	var p *plan.ModifyPlan
	switch n := st.Node.(type) {
	case *parse.DeleteStmt:
		p, err = plan.Delete(pctx, n)
	case *parse.UpdateStmt:
		p, err = plan.Update(pctx, n)
		if err == nil {
			p.Assign = p.Assign[:len(d.k.f.Columns)] // ON UPDATE CURRENT_TIMESTAMP is for statements
		}
	}
	if err != nil {
		return nil, err
	}
	m, err := s.bareModifier(ctx, d.cat, d.c.t, pctx, p)
	if err != nil {
		return nil, err
	}
	m.below(d.c, d.moved || len(p.Assign) > 0)
	env := s.execEnv(d.cat, now)
	q := &dist.Query{Snapshot: d.cat, NowMicros: now.UnixMicro(), Txn: d.c.t.ID(), Leads: d.c.t.Leads}
	env.Scan = s.scanOf(q)
	rows, err := exec.Build(p.Source, env)
	if err != nil {
		return nil, err
	}
	m.source, err = spool.Hold(ctx, rows, s.sh.Settings().SpillDir)
	return m, err
}

// below makes the modifier one of rows that follow others.
func (m *modifier) below(c *cascade, updates bool) {
	if m.falls == nil {
		return
	}
	m.falls.depth, m.falls.updated = c.depth+1, slices.Clone(c.updated)
	if updates {
		m.falls.updated = append(m.falls.updated, m.plan.Table.ID)
	}
}

// where narrows the rows to those that may refer to one of the keys; which do is looked at row by row.
func (d *dependents) where() (text string, params []plan.Param) {
	if len(d.at) > mostLookedFor {
		return "", nil
	}
	var conditions []string
	for i, from := range d.k.from {
		col := &d.t.Schema.Columns[from]
		if col.Special() {
			continue
		}
		n := 0
		for _, b := range d.keys {
			for row := range b.N {
				params = append(params, plan.Param{Value: b.Cols[i].Value(row), Type: b.Cols[i].Type})
				n++
			}
		}
		conditions = append(conditions, syntax.QuoteName(col.Name)+" IN (?"+strings.Repeat(", ?", n-1)+")")
	}
	if conditions == nil {
		return "", nil
	}
	return " WHERE " + strings.Join(conditions, " AND "), params
}
