package session

import (
	"context"
	"errors"
	"time"

	"stele/fe/txn"
	"stele/meta/catalog"
	"stele/meta/model"
	"stele/sql/parse"
	"stele/sql/plan"
)

// errNoPoint says that a point write is for the general way after all. Nothing has happened.
var errNoPoint = errors.New("no point write")

// pointWrite runs an UPDATE or DELETE whose plan is kept under the text without its literals. That of one row by its key is done by the
// leader of the row's tablet, by one call. Done is false when the statement is to go the general way.
func (s *Session) pointWrite(ctx context.Context, sql string, params []plan.Param, out *output) (done bool, err error) {
	if len(sql) == 0 || sql[0]|0x20 != 'u' && sql[0]|0x20 != 'd' || s.nextReadOnly || len(s.temps) > 0 || s.locked != nil {
		return false, nil
	}
	var room [512]byte
	var few [8]parse.PointValue
	key, q, values, ok := s.pointWriteKey(room[:0], few[:0], sql, params)
	if !ok {
		return false, nil
	}
	p := s.sh.points.get(key)
	if p != nil && len(p.tables) == 0 && !p.over() {
		return false, nil
	}
	if cat := s.sh.Log.Current(); p == nil || !p.current(cat) || p.over() {
		p = s.planPointWrite(cat, &q, len(params), values)
		s.sh.points.put(key, p)
	}
	if p.modify != nil {
		return s.keptModify(ctx, p, &q, values, out)
	}
	if p.plan == nil {
		return false, nil
	}
	tablet, rowKey, constants, ok := p.write.Bind(values, s.vars.Now().Zone, s.clock)
	if !ok {
		return false, nil
	}
	s.before, s.warnings = s.warnings, diagnostics{}
	var m modified
	change := txn.RowChange{Tablet: tablet, Key: rowKey, Change: p.write.Change, Values: constants, Delete: p.write.Delete}
	err = s.writeLatest(ctx, func(ctx context.Context, cat *catalog.Catalog, t *txn.Txn) (err error) {
		m, err = s.modifyPoint(ctx, cat, t, p, change)
		return err
	})
	if errors.Is(err, errNoPoint) {
		s.warnings = s.before
		return false, nil
	}
	s.sh.queries.Add(1)
	switch {
	case err != nil:
		return true, err
	case p.write.Delete:
		return true, s.deleted(m, out)
	}
	return true, s.updated(m, out)
}

// modifyPoint is one try.
func (s *Session) modifyPoint(ctx context.Context, cat *catalog.Catalog, t *txn.Txn, p *pointPlan, change txn.RowChange) (modified, error) {
	if !p.current(cat) || !s.holds(p.needs, p.plan.Database, p.plan.Table) {
		return modified{}, errNoPoint
	}
	if p.write.Table.HasForeignKeys() && s.keepsForeignKeys(p.write.Table) { // which of its columns are written, the general way knows
		return modified{}, errNoPoint
	}
	m, err := s.modifyRow(ctx, cat, t, p.write.Table, change)
	if errors.Is(err, txn.ErrGeneral) {
		return m, errNoPoint
	}
	return m, err
}

// modifyRow has the leader of a tablet modify one row; txn.ErrGeneral says that nothing has happened. An autocommitted statement
// changes the newest row, as MySQL's does, and so does a transaction that has read nothing. Another one changes the row of its
// snapshot, or loses against who has changed it since.
func (s *Session) modifyRow(ctx context.Context, cat *catalog.Catalog, t *txn.Txn, table *catalog.Table, c txn.RowChange) (modified, error) {
	if s.inTx {
		tab, ok := cat.Tablet(c.Tablet)
		if !ok {
			return modified{}, txn.ErrGeneral
		}
		c.ReadVersion, c.Newest = tab.Version, s.movesOn()
	}
	c.Schema = table.Schema.Version
	out, err := t.Modify(ctx, c, s.lockWait())
	if err == nil && c.Newest && !s.committed && out.Counts == (txn.Counts{}) { // it keeps no lock: what it has seen binds the transaction
		s.bind(ctx)
		if now, ok := s.snapshot.TableByID(table.ID); !ok || now != table {
			return modified{}, txn.ErrGeneral
		}
		return s.modifyRow(ctx, s.snapshot, t, table, c)
	}
	m := modified{changed: out.Counts.Replaced + out.Counts.Deleted, inserted: out.Counts.Inserted}
	if out.Matched {
		m.matched = 1
	}
	return m, err
}

// pointWriteKey returns what the plan of a text is kept under, and the values of its literals and parameters in the order of the text.
func (s *Session) pointWriteKey(room []byte, few []parse.PointValue, sql string, params []plan.Param) (key []byte, q pointQuery, values []plan.Param, ok bool) {
	q = pointQuery{sql: sql, prepared: len(params) > 0}
	if !q.prepared {
		key = s.pointKey(room, 'w')
		from := len(key)
		key, q.values, ok = parse.PointWriteText(key, few, sql)
		q.text = key[from:]
		return key, q, pointParams(q.values), ok
	}
	key = s.pointKey(room, 'q')
	from := len(key)
	key, q.values, ok = parse.PreparedWriteText(key, few, sql)
	if !ok { // it may have no literals
		q.values = nil
		return append(append(s.pointKey(room, 'r'), byte(len(params)), byte(len(params)>>8)), sql...), q, params, true
	}
	q.text = key[from:]
	values, ok = bindMarks(q.values, params)
	return key, q, values, ok
}

// bindMarks gives question marks the values of as many parameters.
func bindMarks(found []parse.PointValue, params []plan.Param) ([]plan.Param, bool) {
	marks := 0
	for i := range found {
		if found[i].Param {
			marks++
		}
	}
	if marks != len(params) || marks == len(found) {
		return params, marks == len(params)
	}
	values := pointParams(found)
	for i := range found {
		if found[i].Param {
			values[i], params = params[0], params[1:]
		}
	}
	return values, true
}

// planPointWrite plans a text with so many parameters, and values with the literals, or finds that it is for the general way.
func (s *Session) planPointWrite(cat *catalog.Catalog, q *pointQuery, params int, values []plan.Param) *pointPlan {
	none := &pointPlan{until: time.Now().Add(pointRetry)}
	st, err := s.sh.Parser.Parse(q.sql, s.mode())
	if err != nil || len(st.Params) != params {
		return none
	}
	p := &pointPlan{needs: model.PrivSelect | model.PrivUpdate}
	if _, ok := st.Node.(*parse.DeleteStmt); ok {
		p.needs = model.PrivSelect | model.PrivDelete
	}
	if w, ok := plan.PointUpdate(s.planContext(cat, s.clock(), nil), st.Node, len(values)); ok {
		p.tables, p.plan, p.write = []plan.Named{w.Named}, &w.Point, w
		return p
	}
	if !s.planModify(cat, p, q, values) {
		return none
	}
	return p
}
