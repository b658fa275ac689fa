package session

import (
	"context"
	"errors"
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

// errNoPoint says that a point write is for the general way after all. Nothing has happened.
var errNoPoint = errors.New("no point write")

// pointWrite runs an UPDATE or DELETE of one row by its key whose plan is kept under the text without its literals: it reads
// the row by one call and writes it as every UPDATE or DELETE does. Done is false when the statement is to go the general way.
func (s *Session) pointWrite(ctx context.Context, sql string, params []plan.Param, out *output) (done bool, err error) {
	if len(sql) == 0 || sql[0]|0x20 != 'u' && sql[0]|0x20 != 'd' || s.nextReadOnly || !s.mayPoint() {
		return false, nil
	}
	var room [512]byte
	var few [8]parse.PointValue
	prepared := len(params) > 0
	var key []byte
	if prepared {
		key = append(s.pointKey(room[:0], 'q'), sql...)
	} else {
		text, values, ok := parse.PointWriteText(s.pointKey(room[:0], 'w'), few[:0], sql)
		if !ok {
			return false, nil
		}
		key, params = text, pointParams(values)
	}
	p := s.sh.points.get(key)
	if p != nil && p.plan == nil && time.Now().Before(p.until) {
		return false, nil
	}
	if cat := s.sh.Log.Current(); p == nil || !p.current(cat) {
		p = s.planPointWrite(cat, sql, len(params), prepared)
		s.sh.points.put(key, p)
	}
	if p.plan == nil {
		return false, nil
	}
	tablet, rowKey, ok := p.write.Locate(params)
	if !ok {
		return false, nil
	}
	s.before, s.warnings = s.warnings, nil
	var m modified
	err = s.write(ctx, func(ctx context.Context, cat *catalog.Catalog, t *txn.Txn) (err error) {
		m, err = s.modifyPoint(ctx, cat, t, p, tablet, rowKey, params)
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
	case len(p.write.Modify.Assign) > 0:
		return true, s.updated(m, out)
	}
	return true, out.done(server.Result{AffectedRows: uint64(m.matched), Warnings: s.warningCount()})
}

// modifyPoint is one try.
func (s *Session) modifyPoint(ctx context.Context, cat *catalog.Catalog, t *txn.Txn, p *pointPlan, tablet types.TabletID, key []byte, params []plan.Param) (modified, error) {
	if !p.current(cat) || !s.holds(p.needs, p.db, p.plan.Table) {
		return modified{}, errNoPoint
	}
	row, err := s.sh.Scanner.Row(ctx, cat, tablet, p.plan.Fragment, key)
	if err != nil {
		return modified{}, errNoPoint // the general way tries other replicas and knows what to say
	}
	if row == nil {
		return modified{}, nil
	}
	m := &modifier{s: s, cat: cat, t: t, plan: &p.write.Modify, pctx: s.planContext(cat, time.Now(), nil), pending: map[types.TabletID]*tabletRows{},
		source: &batches{left: []*vec.Batch{p.write.Source(row, tablet, params)}}}
	lockFor(t, nil, s.inTx, s.contended)
	err = m.run(ctx)
	return modified{m.matched, m.changed}, err
}

// planPointWrite plans a text, or finds that it is no point write.
func (s *Session) planPointWrite(cat *catalog.Catalog, sql string, values int, prepared bool) *pointPlan {
	none := &pointPlan{until: time.Now().Add(pointRetry)}
	st, err := s.sh.Parser.Parse(sql, s.mode())
	if err != nil || prepared != (len(st.Params) > 0) || prepared && len(st.Params) != values {
		return none
	}
	w, ok := plan.PointUpdate(s.planContext(cat, time.Now(), nil), st.Node, values)
	if !ok {
		return none
	}
	p := &pointPlan{db: w.Database, table: w.Name, plan: &w.Point, write: w, needs: model.PrivSelect | model.PrivUpdate}
	if len(w.Modify.Assign) == 0 {
		p.needs = model.PrivSelect | model.PrivDelete
	}
	return p
}
