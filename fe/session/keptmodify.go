package session

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"stele/meta/catalog"
	"stele/meta/model"
	"stele/meta/types"
	"stele/sql/parse"
	"stele/sql/plan"
)

// planModify plans an UPDATE or DELETE of no one row so that its plan can be kept.
func (s *Session) planModify(cat *catalog.Catalog, p *pointPlan, q *pointQuery, values []plan.Param) bool {
	values, ok := q.literals(values)
	if !ok || !q.write(values) {
		return false
	}
	sql, values := q.sample(values)
	st, err := s.sh.Parser.Parse(sql, s.mode())
	if err != nil {
		return false
	}
	k, ok := plan.KeepModify(s.planContext(cat, s.clock(), nil), st.Node, values, false)
	if !ok {
		return false
	}
	p.tables, p.modify = k.Tables, k
	if !k.Stays() {
		p.until = time.Now().Add(keptGuess)
	}
	return true
}

// literals gives parameters of a prepared statement the form of the literals that they stand for; false = one has none, or the text is not known
// without its literals.
func (q *pointQuery) literals(values []plan.Param) ([]plan.Param, bool) {
	if !q.prepared {
		return values, true
	}
	out := slices.Clone(values)
	for i := range out {
		v := &out[i]
		switch {
		case v.Value.Null || v.Type.Unsigned:
			return nil, false
		case v.Type.IsInteger():
			v.Type = types.ColumnType{Kind: types.KindBigInt}
		case v.Type.Kind == types.KindVarChar:
			v.Type = types.ColumnType{Kind: types.KindVarChar, Length: int32(len(v.Value.B))}
		default:
			return nil, false
		}
	}
	return out, q.text != nil
}

// write gives the question marks of a text the values of parameters as literals; false = a literal without a sign and escapes cannot be one of them.
func (q *pointQuery) write(values []plan.Param) bool {
	for i := range q.values {
		v, of := &q.values[i], &values[i].Value
		if !v.Param {
			continue
		}
		if values[i].Type.Kind == types.KindBigInt {
			*v = parse.PointValue{Int: of.I, IsInt: true}
		} else {
			*v = parse.PointValue{Text: string(of.B)}
		}
		if of.I < 0 || bytes.ContainsAny(of.B, `'\`) {
			return false
		}
	}
	return true
}

// keptModify runs an UPDATE or DELETE by the plan that is kept for its text; done is false, and nothing has happened, when it is for the
// general way.
func (s *Session) keptModify(ctx context.Context, p *pointPlan, q *pointQuery, values []plan.Param, out *output) (done bool, err error) {
	values, ok := q.literals(values)
	if !ok || !s.mayPoint() || s.vars.Now().SafeUpdates || !p.modify.Fits(values) {
		return false, nil
	}
	s.before, s.warnings = s.warnings, diagnostics{}
	m, err := s.modify(ctx, p.needs&^model.PrivSelect, nil, nil, func(cat *catalog.Catalog, pctx *plan.Context) ([]*plan.ModifyPlan, error) {
		if !p.current(cat) || !s.mayModify(p) {
			return nil, errNoPoint
		}
		return []*plan.ModifyPlan{p.modify.Bind(pctx, values)}, nil
	})
	if errors.Is(err, errNoPoint) {
		s.warnings = s.before
		return false, nil
	}
	s.sh.queries.Add(1)
	switch {
	case err != nil:
		return true, err
	case p.needs&model.PrivDelete != 0:
		return true, s.deleted(m, out)
	}
	return true, s.updated(m, out)
}

// mayModify reports whether the session may read the tables of a kept plan, and write to its target. What is missing, the general way says.
func (s *Session) mayModify(p *pointPlan) bool {
	for i := range p.tables {
		if !s.holds(model.PrivSelect, p.tables[i].Database, p.tables[i].Table) {
			return false
		}
	}
	target := p.modify.Target()
	return s.holds(p.needs, target.Database, target.Table)
}
