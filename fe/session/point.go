package session

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"stele/fe/server"
	"stele/meta/catalog"
	"stele/meta/model"
	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/parse"
	"stele/sql/physical"
	"stele/sql/plan"
	"stele/sql/vec"
)

// Point queries, SELECT of columns by the whole primary key or a whole unique key, take a way of their own: their plan is kept under the
// text without its literals, and the row comes by one call, or, by a unique key, by two. Other queries have their plans kept there, too
// (kept.go). It is only a shorter way: whatever is not at once clear (values to be converted, rows of the transaction's own, a replica that
// does not answer) goes to the general way before anything was sent.

// maxPoints bounds the plans that are kept, one of many values or of a long text being several.
const maxPoints = 4096

// pointRetry is how long a text counts as no point query: its table may be made or changed.
const pointRetry = 5 * time.Second

// points keeps the plans of point queries.
type points struct {
	mu   sync.RWMutex
	m    map[string]*pointPlan
	size int
}

// pointPlan is a plan over one definition of each table. Without a plan it says that a text is for the general way, until then.
type pointPlan struct {
	until   time.Time    // zero = for as long as the tables are these
	tables  []plan.Named // as the statement resolves them; none = there is no plan
	plan    *plan.Point
	kept    *plan.Kept       // of any other SELECT; plan is nil
	write   *plan.PointWrite // of an UPDATE or DELETE; plan is its Point
	modify  *plan.KeptModify // of any other; plan is nil
	needs   model.Privilege  // for write and modify
	columns []server.Column  // in UTC
	zoned   bool             // some column is shown in the session's zone
}

// keptGuess is how long a plan is kept that depends on how many rows there are.
const keptGuess = 2 * time.Second

// over reports whether the time of the plan, or of there being none, is up.
func (p *pointPlan) over() bool { return !p.until.IsZero() && !time.Now().Before(p.until) }

func (c *points) get(key []byte) *pointPlan {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.m[string(key)]
}

func (c *points) put(key []byte, p *pointPlan) {
	c.mu.Lock()
	defer c.mu.Unlock()
	size := p.size(key)
	if c.m == nil || c.size+size > maxPoints {
		c.m, c.size = map[string]*pointPlan{}, 0
	}
	if old := c.m[string(key)]; old != nil {
		c.size -= old.size(key)
	}
	c.m[string(key)], c.size = p, c.size+size
}

// size is as how many plans one counts: one value of a kept plan takes some hundred bytes.
func (p *pointPlan) size(key []byte) int {
	const of, value = 2048, 256
	bytes := len(key)
	if p.kept != nil {
		bytes += p.kept.Values() * value
	}
	if p.modify != nil {
		bytes += p.modify.Values() * value
	}
	return 1 + bytes/of
}

// pointText runs a text if it is a point query; done is false, and nothing has happened, when it is to go the general way.
func (s *Session) pointText(ctx context.Context, sql string, out *output) (done bool, err error) {
	var room [512]byte
	var few [4]parse.PointValue
	if !s.mayPoint() {
		return false, nil
	}
	key := s.pointKey(room[:0], 't')
	from := len(key)
	key, values, ok := parse.PointText(key, few[:0], sql)
	if !ok {
		return false, nil
	}
	return s.point(ctx, key, pointQuery{sql: sql, text: key[from:], values: values}, pointParams(values), out)
}

// pointQuery is a text of which a plan may be kept.
type pointQuery struct {
	sql      string
	prepared bool
	text     []byte             // the text without its literals and question marks; nil of a prepared query
	values   []parse.PointValue // its literals, and the marks of those that are parameters
}

// sample is a query that the plan for all of its text can be made of.
func (q *pointQuery) sample(params []plan.Param) (string, []plan.Param) {
	padded := slices.ContainsFunc(q.values, func(v parse.PointValue) bool { return v.Pad })
	if q.prepared && q.text == nil || !q.prepared && !padded {
		return q.sql, params
	}
	sql, values := parse.Unpadded(q.text, q.values)
	return sql, pointParams(values)
}

// pointParams gives literals the form of parameters.
func pointParams(values []parse.PointValue) []plan.Param {
	params := make([]plan.Param, len(values))
	for i, v := range values {
		if v.IsInt {
			params[i] = plan.Param{Value: expr.Value{I: v.Int}, Type: types.ColumnType{Kind: types.KindBigInt}}
		} else {
			params[i] = plan.Param{Value: expr.Value{B: []byte(v.Text)}, Type: types.ColumnType{Kind: types.KindVarChar, Length: int32(len(v.Text))}}
		}
	}
	return params
}

// pointPrepared is pointText for a prepared statement.
func (s *Session) pointPrepared(ctx context.Context, sql string, params []plan.Param, out *output) (done bool, err error) {
	var room [512]byte
	if len(params) == 0 || !s.mayPoint() {
		return false, nil
	}
	return s.point(ctx, append(s.pointKey(room[:0], 'p'), sql...), pointQuery{sql: sql, prepared: true}, params, out)
}

// mayPoint reports whether the state of the session lets queries take the short way.
func (s *Session) mayPoint() bool {
	f := s.vars.Now()
	return len(s.temps) == 0 && s.locked == nil && !f.LimitsSelects && f.MaxExecution == 0
}

// pointKey is what the meaning of a text depends on beside the text.
func (s *Session) pointKey(dst []byte, kind byte) []byte {
	f := s.vars.Now()
	dst = append(append(dst, kind), s.db...)
	dst = append(append(append(dst, 0), f.SQLMode...), 0)
	return append(append(dst, f.Zone.String()...), 0)
}

func (s *Session) point(ctx context.Context, key []byte, q pointQuery, params []plan.Param, out *output) (done bool, err error) {
	p := s.sh.points.get(key)
	if p != nil && len(p.tables) == 0 && !p.over() {
		return false, nil
	}
	if p == nil && !namesTable(q.sql) {
		return false, nil
	}
	newest := s.sh.Log.Current()
	if p == nil || !p.current(newest) || p.over() {
		p = s.planPoint(newest, &q, params)
		s.sh.points.put(key, p)
	}
	if p.kept != nil {
		return s.keptQuery(ctx, p, params, newest, out)
	}
	if p.plan == nil {
		return false, nil
	}
	first, locate := p.plan, p.plan.Locate
	if p.plan.Via != nil {
		first, locate = p.plan.Via, p.plan.LocateVia
	}
	tablet, rowKey, ok := locate(params)
	if !ok || s.tx != nil && s.tx.Wrote(tablet) {
		return false, nil
	}
	s.implicit()
	cat, err := s.read(ctx)
	if err != nil {
		s.inVain = err // the general way reports it, if it needs a leader
		return false, nil
	}
	if !s.mayRead(p, newest, cat) {
		return false, nil
	}
	row, err := s.sh.Scanner.Row(ctx, cat, tablet, first.Fragment, rowKey)
	if err == nil && row != nil && first != p.plan {
		row, err = s.rowOf(ctx, cat, p.plan, row)
	}
	if err != nil {
		return false, nil //nolint:nilerr // the general way tries other replicas and knows what to say
	}
	return true, s.answerPoint(p, row, out)
}

// errNoEntry says that the entry of a unique key does not lead to its row by the short way.
var errNoEntry = errors.New("the row of an entry is for the general way")

// rowOf reads the row that the entry of a unique key belongs to.
func (s *Session) rowOf(ctx context.Context, cat *catalog.Catalog, p *plan.Point, entry *vec.Batch) (*vec.Batch, error) {
	tablet, key, ok := p.LocateRow(entry)
	if !ok || s.tx != nil && s.tx.Wrote(tablet) {
		return nil, errNoEntry
	}
	row, err := s.sh.Scanner.Row(ctx, cat, tablet, p.Fragment, key)
	if err == nil && row == nil {
		err = errNoEntry
	}
	return row, err
}

// mayRead reports whether the plan holds for the state that a query reads, and the session may read its table. Only when that state is
// known is it known here what was revoked before the query began.
func (s *Session) mayRead(p *pointPlan, newest, cat *catalog.Catalog) bool {
	if cat != newest && !p.current(cat) {
		return false
	}
	if s.barred(p.tables) {
		return false
	}
	for i := range p.tables {
		if !s.holds(model.PrivSelect, p.tables[i].Database, p.tables[i].Table) {
			return false
		}
	}
	return true
}

// namesTable reports whether a query may name a table; one that does not, like SELECT 1, asks nobody.
func namesTable(sql string) bool {
	const from = "from"
	for i := 0; i+len(from) <= len(sql); i++ {
		if strings.EqualFold(sql[i:i+len(from)], from) {
			return true
		}
	}
	return false
}

// current reports whether a plan still is that of its text.
func (p *pointPlan) current(cat *catalog.Catalog) bool {
	if len(p.tables) == 0 {
		return false
	}
	if p.plan != nil && p.plan.Via != nil {
		if index, ok := cat.TableByID(p.plan.Via.Table.ID); !ok || index != p.plan.Via.Table {
			return false
		}
	}
	for i := range p.tables {
		of := &p.tables[i]
		if t, ok := (snapshot{Catalog: cat}).Table(of.Database, of.Name); !ok || t != of.Table {
			return false
		}
	}
	return true
}

// planPoint plans a text, or finds that it is for the general way.
func (s *Session) planPoint(cat *catalog.Catalog, q *pointQuery, params []plan.Param) *pointPlan {
	sql, params := q.sample(params)
	st, err := s.sh.Parser.Parse(sql, s.mode())
	if err != nil || q.prepared != (len(st.Params) > 0) || q.prepared && len(st.Params) != len(params) {
		return &pointPlan{until: time.Now().Add(pointRetry)}
	}
	pctx := s.planContext(cat, s.clock(), nil)
	if pl, ok := plan.PointSelect(pctx, st.Node, len(params)); ok {
		p := &pointPlan{tables: []plan.Named{pl.Named}, plan: pl}
		p.describe(pl.Schema)
		return p
	}
	if k, ok := plan.KeepSelect(pctx, st.Node, params, q.prepared); ok {
		p := &pointPlan{tables: k.Tables, kept: k}
		if k.Guesses() {
			p.until = time.Now().Add(keptGuess)
		}
		p.describe(k.Schema())
		return p
	}
	return &pointPlan{until: time.Now().Add(pointRetry)}
}

// describe keeps the columns of the result.
func (p *pointPlan) describe(schema []physical.OutColumn) {
	p.columns = serverColumns(schema, time.UTC)
	p.zoned = slices.ContainsFunc(schema, func(c physical.OutColumn) bool { return c.Type.Kind == types.KindTimestamp })
}

// shown are the columns of the result as the session sees them.
func (p *pointPlan) shown(s *Session, schema []physical.OutColumn) []server.Column {
	if p.zoned {
		return serverColumns(schema, s.vars.Zone())
	}
	return p.columns
}

// answerPoint sends the row, if there is one.
func (s *Session) answerPoint(p *pointPlan, row *vec.Batch, out *output) error {
	s.sh.queries.Add(1)
	s.before, s.warnings = s.warnings, diagnostics{}
	if !s.inTx {
		s.spend() // this query was the next transaction
	}
	if err := out.head(p.shown(s, p.plan.Schema)); err != nil {
		return err
	}
	s.foundRows = 0
	if row != nil {
		s.foundRows = int64(row.Rows())
		if err := out.w.Batch(row); err != nil {
			return err
		}
	}
	return out.done(server.Result{})
}
