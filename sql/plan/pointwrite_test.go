package plan

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/exec"
	"stele/sql/expr"
	ast "stele/sql/parse"
	"stele/sql/physical"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

// writeTables are pointTables and one with many types.
var writeTables = append(slices.Clone(pointTables), "CREATE TABLE d (id INT PRIMARY KEY, t TINYINT, u INT UNSIGNED, b BIGINT, s VARCHAR(6) NOT NULL, "+
	"m DECIMAL(6,2), dt DATETIME, ts TIMESTAMP NULL ON UPDATE CURRENT_TIMESTAMP, e ENUM('x','y'), f DOUBLE)",
	"CREATE TABLE f (id INT PRIMARY KEY, n INT, s VARCHAR(20), dt DATETIME, up DATETIME(3) ON UPDATE CURRENT_TIMESTAMP(3), ts TIMESTAMP NULL ON UPDATE CURRENT_TIMESTAMP)")

// drawValue draws what a column may be set to, or compared with.
func drawValue(t *rapid.T, name string, columns []string) string {
	pick := func(of ...string) string { return rapid.SampledFrom(of).Draw(t, name) }
	c := pick(columns...)
	switch rapid.IntRange(0, 9).Draw(t, "kind of "+name) {
	case 0, 1, 2:
		return pick("1", "7", "99", "3")
	case 3:
		return pick("'abc'", "'x'", "'ab'")
	case 4:
		return c + pick(" + ", " - ", " * ", "+", "-") + pick("1", "3", "100", "5000000000", "-2", "(2 - 3)")
	case 5:
		return c + pick(" + ", " - ", " * ") + pick(columns...)
	case 6:
		return pick("128", "70000", "'longer than twenty letters'", "''", "'1'", "NULL", "TRUE", "1.0", "-1", "x'31'", "'é'", "DEFAULT", "-9223372036854775807")
	case 7:
		if rapid.Bool().Draw(t, "time") {
			return pick("NOW()", "now()", "CURRENT_TIMESTAMP", "CURRENT_TIMESTAMP()", "NOW(3)", "(NOW())", "SYSDATE()", "CURDATE()")
		}
		return pick("CONCAT("+c+", 'x')", "IF("+c+" > 3, 1, NULL)", "UPPER("+c+")", c+" / 3", c+" % 0", "NOW()", "COALESCE("+c+", 4)", "ABS(1 - "+c+")")
	case 8:
		return pick("'2024-02-30'", "'2024-03-01'", "12.345", "1e300", "'y'", "(SELECT 1)", "9223372036854775807 + 1")
	}
	return c
}

// drawWrite draws an UPDATE or DELETE of one row, or nearly one.
func drawWrite(t *rapid.T) string {
	pick := func(name string, of ...string) string { return rapid.SampledFrom(of).Draw(t, name) }
	table := pick("table", "a", "b", "c", "d", "a", "d", "f", "f")
	key := map[string][]string{"a": {"id"}, "b": {"y", "x"}, "c": {"k", "m"}, "d": {"id"}, "f": {"id"}}[table]
	columns := map[string][]string{"a": {"id", "v", "n"}, "b": {"v", "x", "y"}, "c": {"k", "m", "v"}, "d": {"t", "u", "b", "s", "m", "dt", "ts", "e", "f"}, "f": {"n", "s", "dt", "up", "n", "dt", "ts"}}[table]
	var terms []string
	for _, k := range key {
		value := pick("key "+k, "1", "2", "3", "4")
		if k == "y" {
			value = pick("key "+k, "'a'", "'b'", "'c'")
		}
		if rapid.IntRange(0, 9).Draw(t, "odd key") == 0 {
			value = drawValue(t, "odd value", columns)
		}
		terms = append(terms, k+pick("op", " = ", " = ", " = ", " = ", " = ", " < ")+value)
	}
	if rapid.IntRange(0, 2).Draw(t, "more") == 0 {
		terms = append(terms, pick("compared", columns...)+pick("comparison", " > ", " = ", " <> ", " IS NOT NULL AND 1 = ")+drawValue(t, "limit", columns))
	}
	where := " WHERE " + strings.Join(terms, " AND ") + pick("tail", "", "", "", "", " LIMIT 1", ";")
	if rapid.IntRange(0, 3).Draw(t, "delete") == 0 {
		return "DELETE FROM " + pick("name", table, "test."+table) + where
	}
	var sets []string
	for range rapid.IntRange(1, 3).Draw(t, "sets") {
		sets = append(sets, rapid.SampledFrom(columns).Draw(t, "column")+" = "+drawValue(t, "value", columns))
	}
	return "UPDATE " + pick("ignore", "", "", "", "", "", "IGNORE ") + pick("name", table, "`"+table+"`") + " SET " + strings.Join(sets, ", ") + where
}

// drawRows fills the tables.
func drawRows(t *rapid.T, s *store) {
	number := func(name string) string {
		return rapid.SampledFrom([]string{"1", "3", "7", "120", "NULL"}).Draw(t, name)
	}
	text := func(name string) string {
		return rapid.SampledFrom([]string{"'abc'", "'x'", "'1'", "''"}).Draw(t, name)
	}
	for k := 1; k <= 3; k++ {
		for _, sql := range []string{
			fmt.Sprintf("INSERT INTO a VALUES (%d, %s, %s)", k, text("av"), number("an")),
			fmt.Sprintf("INSERT INTO b VALUES (%s, %d, '%c')", number("bv"), k, 'a'+k-1),
			fmt.Sprintf("INSERT INTO c VALUES (%d, %d, NULL)", k, k),
			fmt.Sprintf("INSERT INTO d VALUES (%d, %s, %s, %s, %s, %s, '2024-01-0%d 10:00:00', NULL, 'x', %s)", k, number("dt"), number("du"),
				number("db"), text("ds"), number("dm"), k, number("df")),
			fmt.Sprintf("INSERT INTO f VALUES (%d, %s, %s, '2024-01-0%d 10:00:00', NULL, '2024-01-02 03:04:05')", k, number("fn"), text("fs"), k),
		} {
			if err := s.insert(sql); err != nil {
				t.Fatalf("%s: %v", sql, err)
			}
		}
	}
}

// written is what a statement made of one row: the row as it is written, if it is.
type written struct {
	matched bool
	row     string
}

func cellsOf(b *vec.Batch) string {
	var cells []string
	for _, v := range b.Cols {
		cells = append(cells, fmt.Sprintf("%x", vec.AppendKey(nil, v, 0)))
	}
	return strings.Join(cells, " ")
}

// general does what an UPDATE or DELETE does with the rows that its source yields. More than one row is no point write.
func (s *store) general(p *ModifyPlan) (out []written, err error) {
	stream, err := exec.Build(p.Source, &exec.Env{Scan: s.scan, Expr: expr.Context{NowMicros: s.ctx.NowMicros}})
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	for {
		b, err := stream.Next(context.Background())
		if err != nil || b == nil {
			return out, err
		}
		for _, i := range rowsOf(b) {
			w, err := s.rewritten(p, (&vec.Batch{Cols: b.Cols, N: b.N, Sel: []int32{i}}).Compact())
			if err != nil {
				return nil, err
			}
			out = append(out, w)
		}
	}
}

func (s *store) rewritten(p *ModifyPlan, b *vec.Batch) (written, error) {
	old := &vec.Batch{Cols: b.Cols[:p.TabletColumn], N: 1}
	next, changed := &vec.Batch{Cols: slices.Clone(old.Cols), N: 1}, len(p.Assign) == 0
	for k, a := range p.Assign {
		v, err := ConvertColumn(s.ctx, b.Cols[p.Values+k], &p.Table.Schema.Columns[a.Column], p.Ignore, 1)
		if err != nil {
			return written{}, err
		}
		changed = changed || !a.Auto && string(vec.AppendKey(nil, v, 0)) != string(vec.AppendKey(nil, old.Cols[a.Column], 0))
		next.Cols[a.Column] = v
	}
	if !changed {
		return written{true, ""}, nil
	}
	return written{true, cellsOf(next)}, nil
}

// change does what a leader does.
func (s *store) change(t *catalog.Table, tablet types.TabletID, key, encoded []byte, values *vec.Batch) (written, error) {
	def, err := physical.DecodeChange(encoded)
	if err != nil {
		return written{}, err
	}
	ectx := expr.Context{NowMicros: s.ctx.NowMicros}
	if def.Lasting {
		ectx.NowMicros = 0
	}
	if ectx.Loc, err = sqltypes.LoadLocation(def.TimeZone, nil); def.TimeZone != "" && err != nil {
		return written{}, err
	}
	prog, err := exec.CompileChange(def, ectx)
	if err != nil {
		return written{}, err
	}
	var row *vec.Batch
	for _, b := range s.tablets[tablet] {
		for _, i := range b.Sel {
			if string(vec.AppendRowKey(nil, b, t.Schema.KeyIndexes(), int(i))) == string(key) {
				row = (&vec.Batch{Cols: b.Cols, N: b.N, Sel: []int32{i}}).Compact()
			}
		}
	}
	out, err := prog.Apply(row, values)
	if err != nil || out.Row == nil {
		return written{out.Matched, ""}, err
	}
	return written{out.Matched, cellsOf(out.Row)}, nil
}

// changeAll does what the leader of all tablets does with the rows that it finds.
func (s *store) changeAll(p *ModifyPlan, found *FoundRows) (out []written, err error) {
	prog, err := exec.CompileChange(found.Change, expr.Context{NowMicros: s.ctx.NowMicros})
	if err != nil {
		return nil, err
	}
	stream, err := s.scan(context.Background(), &physical.Scan{Tablets: found.Tablets, Fragment: *found.Find})
	if err != nil {
		return nil, err
	}
	for {
		b, err := stream.Next(context.Background())
		if err != nil || b == nil {
			return out, err
		}
		rows := b.Compact()
		next, changed, err := prog.ApplyAll(rows)
		if err != nil {
			return nil, err
		}
		for i := range rows.N {
			w := written{matched: true}
			switch {
			case next == nil:
				w.row = cellsOf((&vec.Batch{Cols: rows.Cols, N: rows.N, Sel: []int32{int32(i)}}).Compact())
			case slices.Contains(changed, int32(i)):
				w.row = cellsOf((&vec.Batch{Cols: next.Cols, N: next.N, Sel: []int32{int32(i)}}).Compact())
			}
			out = append(out, w)
		}
	}
}

// TestFoundRowsAgreeWithGeneral is TestPointWritesAgreeWithGeneral for statements of some rows.
func TestFoundRowsAgreeWithGeneral(t *testing.T) {
	var updates, deletes, several, failures int
	rapid.Check(t, func(t *rapid.T) {
		ctx, f := newContext()
		ctx.SQLMode = rapid.SampledFrom([]string{"STRICT_TRANS_TABLES", ""}).Draw(t, "mode")
		for _, sql := range writeTables {
			if _, err := f.create(ctx, sql); err != nil {
				t.Fatal(err)
			}
		}
		s := &store{ctx: ctx, tablets: map[types.TabletID][]*vec.Batch{}}
		drawRows(t, s)
		for range 8 {
			sql := drawWrite(t)
			if rapid.Bool().Draw(t, "all rows") {
				sql, _, _ = strings.Cut(sql, " WHERE ")
			}
			st, err := ast.Parse(sql, 0)
			if err != nil {
				continue
			}
			g, err := generalWrite(ctx, st.Node)
			if err != nil {
				continue
			}
			found, ok := g.FoundRows(ctx)
			if !ok {
				continue
			}
			got, gotErr := s.changeAll(g, found)
			s.ctx.Warnings = Warnings{}
			want, err := s.general(g)
			switch {
			case gotErr != nil && s.ctx.Warnings.Count > 0: // a value was bent to fit: what warns of it is the general way
				failures++
				continue
			case (err != nil) != (gotErr != nil):
				t.Fatalf("%s: the leader says %v, the general way %v", sql, gotErr, err)
			case err != nil:
				failures++
				continue
			case s.ctx.Warnings.Count > 0 || !slices.Equal(got, want):
				t.Fatalf("%s: the leader made %+v, the general way %+v with %d warnings", sql, got, want, s.ctx.Warnings.Count)
			}
			if found.Change.Delete {
				deletes++
			} else {
				updates++
			}
			if len(got) > 1 {
				several++
			}
		}
	})
	if updates == 0 || deletes == 0 || several == 0 || failures == 0 {
		t.Fatalf("drawn: %d updates, %d deletes, %d of several rows, %d failures", updates, deletes, several, failures)
	}
}

// TestPointWritesAgreeWithGeneral runs random statements over random rows in the general way and as leaders do them: the same rows
// are matched, the same are written, and what fails in one way fails in the other or warns.
func TestPointWritesAgreeWithGeneral(t *testing.T) {
	var points, timed, ones, updates, changes, failures int
	rapid.Check(t, func(t *rapid.T) {
		ctx, f := newContext()
		ctx.SQLMode = rapid.SampledFrom([]string{"STRICT_TRANS_TABLES", ""}).Draw(t, "mode")
		for _, sql := range writeTables {
			if _, err := f.create(ctx, sql); err != nil {
				t.Fatal(err)
			}
		}
		s := &store{ctx: ctx, tablets: map[types.TabletID][]*vec.Batch{}}
		drawRows(t, s)
		for range 8 {
			sql := drawWrite(t)
			st, err := ast.Parse(sql, 0)
			if err != nil {
				continue
			}
			g, err := generalWrite(ctx, st.Node)
			if _, values, ok := ast.PointWriteText(nil, nil, sql); ok {
				if p, ok := PointUpdate(ctx, st.Node, len(values)); ok {
					if tablet, key, constants, ok := p.Bind(paramsOf(values), ctx.TimeZone, func() time.Time { return time.UnixMicro(ctx.NowMicros) }); ok {
						if len(g.Assign) > p.given() {
							timed++
						}
						if err != nil {
							t.Fatalf("%s: a point write of what cannot be planned: %v", sql, err)
						}
						if len(g.Assign) > 0 {
							updates++
						}
						points++
						got, gotErr := s.change(p.Table, tablet, key, p.Change, constants)
						s.compare(t, sql, g, got, gotErr)
					}
				}
			}
			if err != nil {
				continue
			}
			if one, ok := g.OneRow(ctx); ok {
				ones++
				got, gotErr := s.change(g.Table, one.Tablet, one.Key, one.Change, nil)
				s.compare(t, sql, g, got, gotErr)
				if gotErr != nil {
					failures++
				} else if got.row != "" {
					changes++
				}
			}
		}
	})
	if points == 0 || timed == 0 || updates == 0 || updates == points || ones <= points || changes == 0 || failures == 0 {
		t.Fatalf("drawn: %d point writes (%d updates, %d with the time), %d of one row, of which %d changed it and %d failed", points, updates, timed, ones, changes, failures)
	}
}

// compare holds what a leader did against the general way.
func (s *store) compare(t *rapid.T, sql string, g *ModifyPlan, got written, gotErr error) {
	s.ctx.Warnings = Warnings{}
	want, err := s.general(g)
	if gotErr != nil && s.ctx.Warnings.Count > 0 {
		return // a value was bent to fit: what warns of it is the general way
	}
	if (err != nil) != (gotErr != nil) {
		t.Fatalf("%s: the leader says %v, the general way %v", sql, gotErr, err)
	}
	if err != nil {
		return
	}
	if len(want) == 0 {
		want = []written{{}}
	}
	if len(want) != 1 || want[0] != got {
		t.Fatalf("%s: the leader made %+v, the general way %+v", sql, got, want)
	}
}

func generalWrite(ctx *Context, stmt ast.StmtNode) (*ModifyPlan, error) {
	var plans []*ModifyPlan
	var err error
	switch n := stmt.(type) {
	case *ast.UpdateStmt:
		plans, err = Updates(ctx, n)
	case *ast.DeleteStmt:
		plans, err = Deletes(ctx, n)
	}
	if err != nil {
		return nil, err
	}
	return plans[0], nil
}

// TestPointWriteInZone: a time with a zone is stored as the session's clock shows it, by either way.
func TestPointWriteInZone(t *testing.T) {
	ctx, f := newContext()
	ctx.SQLMode, ctx.TimeZone = "STRICT_TRANS_TABLES", time.FixedZone("+02:00", 2*60*60)
	if _, err := f.create(ctx, "CREATE TABLE z (id INT PRIMARY KEY, dt DATETIME)"); err != nil {
		t.Fatal(err)
	}
	ctx.NowMicros = time.Date(2024, 2, 29, 20, 33, 4, 999_999_000, time.UTC).UnixMicro()
	for _, value := range []string{"'2024-03-01 02:03:04+05:30'", "NOW()", "CURRENT_TIMESTAMP"} {
		sql := "UPDATE z SET dt = " + value + " WHERE id = 1"
		st, err := ast.Parse(sql, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, values, _ := ast.PointWriteText(nil, nil, sql)
		p, ok := PointUpdate(ctx, st.Node, len(values))
		if !ok {
			t.Fatal("no point write")
		}
		_, _, got, ok := p.Bind(paramsOf(values), ctx.TimeZone, func() time.Time { return time.UnixMicro(ctx.NowMicros) })
		if want := "2024-02-29 22:33:04"; !ok || string(sqltypes.AppendText(nil, p.Table.Schema.Columns[1].Type, got.Cols[0].Value(0), nil)) != want {
			t.Errorf("%s: %v, want %s", value, got, want)
		}
	}
}
