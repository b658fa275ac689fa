package plan

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"stele/meta/types"
	"stele/sql/exec"
	"stele/sql/explain"
	"stele/sql/expr"
	ast "stele/sql/parse"
	"stele/sql/physical"
	"stele/sql/vec"
)

// keptTables have keys of one and several columns, partitions, a unique key, and columns of many types.
var keptTables = []string{
	"CREATE TABLE a (id INT PRIMARY KEY, k INT NOT NULL, s VARCHAR(8), c CHAR(6) NOT NULL, n INT UNSIGNED, d DECIMAL(6,2), ci VARCHAR(5) COLLATE utf8mb4_general_ci, " +
		"e ENUM('x','y'), dt DATE, tm DATETIME(3), ts TIMESTAMP NULL, UNIQUE KEY un (n))",
	"CREATE TABLE b (v INT, x SMALLINT UNSIGNED NOT NULL, y VARCHAR(5) NOT NULL, PRIMARY KEY (y, x)) DISTRIBUTED BY HASH(y) BUCKETS 3",
	"CREATE TABLE c (k TINYINT NOT NULL, m INT NOT NULL, v BIGINT, PRIMARY KEY (k, m)) PARTITION BY RANGE (m) " +
		"(PARTITION p0 VALUES LESS THAN (0), PARTITION p1 VALUES LESS THAN (5), PARTITION p2 VALUES LESS THAN (100)) DISTRIBUTED BY HASH(k) BUCKETS 3",
	"CREATE TABLE h (v INT, w VARCHAR(5))",
}

// newKeptStore fills them.
func newKeptStore(t *testing.T) *store {
	ctx, f := newContext()
	for _, sql := range keptTables {
		if _, err := f.create(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	s := &store{ctx: ctx, tablets: map[types.TabletID][]*vec.Batch{}}
	for i := range 12 {
		for _, sql := range []string{
			fmt.Sprintf("INSERT INTO a VALUES (%d, %d, 's%d', 'c%d', NULL, %d.5, 'A%d', 'x', '2024-01-0%d', '2024-01-0%d 0%d:00:00', '2024-01-0%d')",
				i-2, i%3, i%4, i%2, i, i%3, 1+i%9, 1+i%9, i%2, 1+i%9),
			fmt.Sprintf("INSERT INTO b VALUES (%d, %d, 's%d')", i%4, i, i%3),
			fmt.Sprintf("INSERT INTO c VALUES (%d, %d, %d)", i%5-1, i*3-6, i%4),
		} {
			if err := s.insert(sql); err != nil {
				t.Fatal(err)
			}
		}
	}
	return s
}

// keptQuery is a drawn query: its text has %s where values stand.
type keptQuery struct {
	text    string
	columns []string // for each value the column that it is compared with
}

func drawKept(t *rapid.T) keptQuery {
	pick := func(name string, of ...string) string { return rapid.SampledFrom(of).Draw(t, name) }
	table := pick("table", "a", "a", "b", "c")
	columns := map[string][]string{"a": {"id", "id", "k", "s", "c", "n", "d", "ci", "e", "dt", "dt", "tm", "tm", "ts"}, "b": {"x", "y", "v"}, "c": {"k", "m", "v"}}[table]
	q := keptQuery{}
	cols := strings.Join(slices.Compact(slices.Clone(columns)), ", ")
	head := pick("head", cols, "*", "DISTINCT "+columns[0], "COUNT(*)", "SUM("+columns[0]+"), MAX("+columns[len(columns)-1]+")", columns[0]+" AS z", columns[1]+", COUNT(*)", "NOW(), "+columns[0], "@v")
	q.text = "SELECT " + head + " FROM " + pick("name", table, "test."+table, table+" t") + " WHERE " + q.condition(t, columns)
	if strings.HasSuffix(head, ", COUNT(*)") {
		q.text += " GROUP BY " + columns[1]
	} else if !strings.Contains(head, "(") && !strings.HasPrefix(head, "DISTINCT") {
		q.text += pick("order", "", " ORDER BY "+columns[1], " ORDER BY "+columns[0]+" DESC", " ORDER BY 1", " LIMIT 3", " LIMIT 1", " ORDER BY "+columns[0]+" LIMIT 2", " ORDER BY "+columns[1]+", "+columns[0]+" DESC LIMIT 1, 2")
	}
	return q
}

// condition draws a condition on columns of a table.
func (q *keptQuery) condition(t *rapid.T, columns []string) string {
	pick := func(name string, of ...string) string { return rapid.SampledFrom(of).Draw(t, name) }
	var condition func(depth int) string
	condition = func(depth int) string {
		col := pick("column", columns...)
		value := func() string {
			q.columns = append(q.columns, col)
			return "%s"
		}
		switch rapid.IntRange(0, 11).Draw(t, "kind") {
		case 10:
			return col + pick("not", " ", " NOT ") + "LIKE " + value()
		case 11:
			other := pick("other", columns...)
			pair := func() string {
				q.columns = append(q.columns, col, other)
				return "(%s, %s)"
			}
			return "(" + col + ", " + other + pick("pairs", ") IN (", ") NOT IN (") + pair() + ", " + pair() + ")"
		case 0, 1, 2:
			return col + pick("op", " = ", "=", " < ", " <= ", " > ", " >= ", " <> ") + value()
		case 3:
			return value() + pick("op", " = ", " < ", " >= ") + col
		case 4, 5:
			return col + pick("not", " ", " ", " NOT ") + "BETWEEN " + value() + " AND " + value()
		case 6:
			list := []string{value()}
			for range rapid.IntRange(0, 3).Draw(t, "members") {
				list = append(list, value())
			}
			for range rapid.SampledFrom([]int{0, 13, 20, 29}).Draw(t, "more members") {
				q.columns = append(q.columns, anyInteger)
				list = append(list, "%s")
			}
			return col + pick("not", " ", " ", " NOT ") + "IN (" + strings.Join(list, ", ") + ")"
		case 7:
			return pick("odd", col+" IS NOT NULL", col+" = "+col, "NOT ("+col+" = "+value()+")", "ABS("+col+") > "+value(), col+" = NULL", "("+col+" < "+value()+")")
		}
		if depth > 2 {
			return col + " = " + value()
		}
		l := condition(depth + 1)
		return "(" + l + pick("junction", " AND ", " AND ", " OR ") + condition(depth+1) + ")"
	}
	return condition(0)
}

// drawKeptJoin draws a query of two or three tables, with values in WHERE and ON.
func drawKeptJoin(t *rapid.T) keptQuery {
	pick := func(name string, of ...string) string { return rapid.SampledFrom(of).Draw(t, name) }
	columns := map[string][]string{"a": {"id", "id", "k", "s", "n", "ci"}, "b": {"x", "y", "v"}, "c": {"k", "m", "v"}}
	q := keptQuery{}
	var names, tables []string
	compare := func(at int) string {
		table, col := tables[at], pick("column", columns[tables[at]]...)
		name := names[at] + "." + col
		if (col == "id" || col == "x") && !slices.Contains(slices.Delete(slices.Clone(tables), at, at+1), table) && pick("bare", "", "x") != "" {
			name = col
		}
		value := func() string {
			q.columns = append(q.columns, col)
			return "%s"
		}
		switch rapid.IntRange(0, 5).Draw(t, "kind") {
		case 0:
			return name + " BETWEEN " + value() + " AND " + value()
		case 1:
			return name + " IN (" + value() + ", " + value() + ")"
		case 2:
			return pick("odd", name+" IS NULL", name+" = "+name, "("+name+" < "+value()+" OR "+name+" = "+value()+")")
		}
		return name + pick("op", " = ", " = ", " > ", " <> ") + value()
	}
	from := ""
	for i := range rapid.IntRange(2, 3).Draw(t, "tables") {
		table := pick("table", "a", "b", "c")
		tables, names = append(tables, table), append(names, fmt.Sprintf("t%d", i))
		if i == 0 {
			from = table + " t0"
			continue
		}
		left := rapid.IntRange(0, i-1).Draw(t, "left")
		from += pick("join", " JOIN ", " JOIN ", " LEFT JOIN ", " RIGHT JOIN ") + table + " " + names[i] + " ON " +
			names[left] + "." + pick("left column", columns[tables[left]]...) + " = " + names[i] + "." + pick("right column", columns[table]...)
		if pick("more", "", "", "x") != "" {
			from += " AND " + compare(i)
		}
	}
	q.text = "SELECT " + pick("head", "*", "COUNT(*)", "t0.*, t1."+columns[tables[1]][0]) + " FROM " + from + " WHERE " + compare(rapid.IntRange(0, len(tables)-1).Draw(t, "of"))
	if pick("and", "", "x") != "" {
		q.text += pick("junction", " AND ", " AND ", " OR ") + compare(rapid.IntRange(0, len(tables)-1).Draw(t, "of too"))
	}
	return q
}

// drawKeptNested draws a query of several SELECTs: subqueries of all kinds, derived tables, unions.
func drawKeptNested(t *rapid.T) keptQuery {
	pick := func(name string, of ...string) string { return rapid.SampledFrom(of).Draw(t, name) }
	columns := map[string][]string{"a": {"id", "k", "s", "n", "dt"}, "b": {"x", "y", "v"}, "c": {"k", "m", "v"}}
	q := keptQuery{}
	value := func(col string) string {
		q.columns = append(q.columns, col)
		return "%s"
	}
	compare := func(name, table string) string {
		col := pick("column", columns[table]...)
		if pick("list", "", "", "x") != "" {
			return name + "." + col + " IN (" + value(col) + ", " + value(col) + ")"
		}
		return name + "." + col + pick("op", " = ", " = ", " > ", " <> ") + value(col)
	}
	outer := pick("outer", "a", "b", "c")
	inner := pick("inner", "a", "b", "c")
	number := map[string]string{"a": "k", "b": "v", "c": "v"}
	within := func(head string) string {
		sub := "SELECT " + head + " FROM " + inner + " i"
		var conditions []string
		if pick("correlated", "", "x") != "" {
			conditions = append(conditions, "i."+number[inner]+" = o."+pick("outer column", columns[outer][0], number[outer]))
		}
		if len(conditions) == 0 || pick("compares", "", "x") != "" {
			conditions = append(conditions, compare("i", inner))
		}
		return sub + " WHERE " + strings.Join(conditions, " AND ")
	}
	key := columns[outer][0]
	switch pick("kind", "exists", "exists", "in", "scalar", "derived", "union", "compared") {
	case "exists":
		q.text = "SELECT o.* FROM " + outer + " o WHERE " + pick("not", "", "NOT ") + "EXISTS (" + within(pick("head", "1", "*", "i."+number[inner])) + ") AND " + compare("o", outer)
	case "in":
		q.text = "SELECT o." + key + " FROM " + outer + " o WHERE " + compare("o", outer) + " AND o." + number[outer] + pick("not", "", " NOT") + " IN (" + within("i."+number[inner]) + ")"
	case "scalar":
		q.text = "SELECT o." + key + ", (" + within(pick("head", "COUNT(*)", "MAX(i."+number[inner]+")", "COUNT(1)")) + ") FROM " + outer + " o WHERE " + compare("o", outer)
	case "compared":
		q.text = "SELECT o." + key + " FROM " + outer + " o WHERE o." + number[outer] + pick("op", " = ", " > ", " <> ") + "(" + within("MIN(i."+number[inner]+")") + ") OR " + compare("o", outer)
	case "derived":
		q.text = "SELECT o." + key + ", d.n FROM " + outer + " o " + pick("join", "", "LEFT ") + "JOIN (SELECT i." + number[inner] + " g, COUNT(*) n FROM " + inner + " i"
		if pick("filtered", "", "x") != "" {
			q.text += " WHERE " + compare("i", inner)
		}
		q.text += " GROUP BY i." + number[inner] + ") d ON d.g = o." + number[outer] + " WHERE " + compare("o", outer)
	default:
		q.text = "SELECT o." + number[outer] + " FROM " + outer + " o WHERE " + compare("o", outer) + pick("union", " UNION ALL ", " UNION ") + "SELECT i." + number[inner] + " FROM " + inner + " i WHERE " + compare("i", inner)
		q.text += pick("order", "", " ORDER BY 1")
	}
	return q
}

// anyInteger stands for a column in whose place an integer is drawn that most columns have.
const anyInteger = ""

// literal draws a value for a column.
func literal(t *rapid.T, column string) string {
	if column == anyInteger {
		return fmt.Sprint(rapid.IntRange(0, 120).Draw(t, "integer"))
	}
	odd := []string{"''", "'a '", "'longer than any'", "4294967296", "9223372036854775807", "40000", "'s%'", "'s_%'", "'%1'", "'2024-02-30'", "'2024-1-5'", "'2024-01-05 00:00'",
		"'0000-00-00'", "'0999-01-01'", "'9999-12-31'", "'2024-01-05 01:00:00.5'", "'20240105'"}
	if rapid.IntRange(0, 11).Draw(t, "odd value") == 0 {
		return rapid.SampledFrom(odd).Draw(t, "value")
	}
	text := fmt.Sprint(rapid.IntRange(0, 12).Draw(t, "number"))
	switch column {
	case "s", "y":
		return "'s" + text + "'"
	case "c":
		return "'c" + text + "'"
	case "ci":
		return "'a" + text + "'"
	case "e":
		return "'x'"
	case "dt", "tm", "ts":
		return "'2024-01-" + fmt.Sprintf("%02s", text) + rapid.SampledFrom([]string{"", " 00:00:00", " 01:00:00"}).Draw(t, "time") + "'"
	}
	return text
}

func (q keptQuery) with(values []string) string {
	args := make([]any, len(values))
	for i, v := range values {
		args[i] = v
	}
	return fmt.Sprintf(q.text, args...)
}

func (q keptQuery) draw(t *rapid.T) []string {
	out := make([]string, len(q.columns))
	for i, c := range q.columns {
		out[i] = literal(t, c)
	}
	return out
}

// TestKeptPlansAgree holds what a plan that was kept for one text makes of the values of another against the plan of that text: the same
// columns, the same rows, and, when no two values are equal, the same plan.
func TestKeptPlansAgree(t *testing.T) { keptPlansAgree(t, drawKept, true) }

// TestKeptJoinsAgree is the same for joins, whose order and hints depend on how many rows the values leave: the plan may be another one.
func TestKeptJoinsAgree(t *testing.T) { keptPlansAgree(t, drawKeptJoin, false) }

// TestKeptNestedAgree is the same for queries within queries.
func TestKeptNestedAgree(t *testing.T) { keptPlansAgree(t, drawKeptNested, false) }

func keptPlansAgree(t *testing.T, drawn func(*rapid.T) keptQuery, exact bool) {
	s := newKeptStore(t)
	bound, same, long := 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		q := drawn(t)
		first, second := q.draw(t), q.draw(t)
		kept, values, ok := keptAs(t, s.ctx, q.with(first), q.with(second))
		if !ok || !kept.Fits(values) {
			return
		}
		got := kept.Bind(s.ctx, values)
		bound++
		sql := q.with(second)
		want := planned(t, s.ctx, sql)
		padded := len(values) > len(second)
		if padded {
			long++
		}
		if !reflect.DeepEqual(got.Schema, want.Schema) {
			t.Fatalf("%s: columns %v, not %v", sql, got.Schema, want.Schema)
		}
		if kept.differ(values) && !padded {
			if same++; exact && !reflect.DeepEqual(got, want) {
				t.Fatalf("%s, kept for %s:\n%s\nplanned:\n%s", sql, q.with(first), strings.Join(explain.Lines(got, nil), "\n"), strings.Join(explain.Lines(want, nil), "\n"))
			}
		}
		compareRows(t, s, sql, got, want)
	})
	t.Logf("%d plans were bound, %d of them with values that differ, %d with long lists", bound, same, long)
	if bound < 5 || same < 5 {
		t.Fatalf("only %d plans were bound, %d of them with values that differ", bound, same)
	}
}

// differ reports whether no two values are equal, as the plan has them.
func (k *Kept) differ(values []Param) bool {
	var texts []string
	for _, v := range k.given(values) {
		texts = append(texts, fmt.Sprintf("%d%q", v.Value.I, v.Value.B))
	}
	slices.Sort(texts)
	return len(slices.Compact(texts)) == len(values)
}

// keptAs keeps the plan of a text and returns the values of another that is equal but for literals.
func keptAs(t *rapid.T, ctx *Context, first, second string) (*Kept, []Param, bool) {
	text, found, ok := ast.PointText(nil, nil, first)
	if !ok {
		return nil, nil, false
	}
	text2, found2, ok := ast.PointText(nil, nil, second)
	alike := func(a, b ast.PointValue) bool { return a.IsInt == b.IsInt }
	if !ok || !slices.EqualFunc(found, found2, alike) { // a list with a text is not padded
		return nil, nil, false
	}
	if string(text) != string(text2) {
		t.Fatalf("%s is not %s", text, text2)
	}
	if slices.ContainsFunc(found, func(v ast.PointValue) bool { return v.Pad }) {
		first, found = ast.Unpadded(text, found)
	}
	st, err := ast.Parse(first, 0)
	if err != nil {
		return nil, nil, false
	}
	k, ok := KeepSelect(ctx, st.Node, paramsOf(found), false)
	return k, paramsOf(found2), ok
}

func planned(t *rapid.T, ctx *Context, sql string) *physical.Node {
	st, err := ast.Parse(sql, 0)
	if err != nil {
		t.Fatal(err)
	}
	n, err := Select(ctx, st.Node)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}

func compareRows(t *rapid.T, s *store, sql string, got, want *physical.Node) {
	rows, err := s.run(got)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	rows2, err := s.run(want)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	if !strings.Contains(sql, "ORDER BY") {
		slices.Sort(rows)
		slices.Sort(rows2)
	}
	if !slices.Equal(rows, rows2) {
		t.Fatalf("%s: %q, planned %q", sql, rows, rows2)
	}
}

// TestKeptPreparedAgree is the same for parameters, which are of more types than literals that are cut out, and may be NULL.
func TestKeptPreparedAgree(t *testing.T) {
	s := newKeptStore(t)
	bound := 0
	rapid.Check(t, func(t *rapid.T) {
		q := drawKept(t)
		marks := slices.Repeat([]string{"?"}, len(q.columns))
		sql := q.with(marks) + rapid.SampledFrom([]string{"", " AND 3 = 3", " AND 1 < 2"}).Draw(t, "tail")
		st, err := ast.Parse(sql, 0)
		if err != nil {
			return
		}
		first := drawKeptParams(t, q, nil)
		second := drawKeptParams(t, q, first)
		kept, ok := KeepSelect(s.ctx, st.Node, first, true)
		if !ok || !kept.Fits(second) {
			return
		}
		got := kept.Bind(s.ctx, second)
		bound++
		ctx := *s.ctx
		ctx.Params = second
		compareRows(t, s, sql, got, planned(t, &ctx, sql))
	})
	t.Logf("%d plans were bound", bound)
	if bound < 5 {
		t.Fatalf("only %d plans were bound", bound)
	}
}

// drawKeptParams draws parameters, mostly of the same types as others.
func drawKeptParams(t *rapid.T, q keptQuery, like []Param) []Param {
	out := make([]Param, len(q.columns))
	for i, c := range q.columns {
		n := int64(rapid.IntRange(-3, 12).Draw(t, "number"))
		if c == anyInteger {
			out[i] = Param{Value: expr.Value{I: n}, Type: types.ColumnType{Kind: types.KindBigInt}}
			continue
		}
		kind := rapid.SampledFrom([]types.Kind{types.KindBigInt, types.KindBigInt, types.KindInt, types.KindTinyInt, types.KindDouble, types.KindNull}).Draw(t, "kind")
		if like != nil && rapid.IntRange(0, 9).Draw(t, "like") > 0 && like[i].Type.Kind != types.KindVarChar {
			kind = like[i].Type.Kind
		}
		if slices.Contains([]string{"s", "y", "c", "ci", "e", "dt"}, c) && rapid.IntRange(0, 5).Draw(t, "text") > 0 {
			b := []byte(fmt.Sprintf("%s%d", c, n))
			out[i] = Param{Value: expr.Value{B: b}, Type: types.ColumnType{Kind: types.KindVarChar, Length: int32(len(b))}}
			continue
		}
		switch out[i] = (Param{Value: expr.Value{I: n}, Type: types.ColumnType{Kind: kind}}); kind {
		case types.KindDouble:
			out[i].Value = expr.Value{F: float64(n)}
		case types.KindNull:
			out[i].Value = expr.Value{Null: true}
		case types.KindBigInt:
			out[i].Type.Unsigned = n >= 0 && rapid.IntRange(0, 5).Draw(t, "unsigned") == 0
		}
	}
	return out
}

// TestKeptPlanIsShared: sessions bind and run one plan at the same time.
func TestKeptPlanIsShared(t *testing.T) {
	s := newKeptStore(t)
	st, err := ast.Parse("SELECT k, SUM(id) FROM a WHERE id BETWEEN 1 AND 2 AND s <> 's1' GROUP BY k ORDER BY k", 0)
	if err != nil {
		t.Fatal(err)
	}
	value := func(text string) ast.PointValue { return ast.PointValue{Text: text} }
	number := func(n int64) ast.PointValue { return ast.PointValue{Int: n, IsInt: true} }
	kept, ok := KeepSelect(s.ctx, st.Node, paramsOf([]ast.PointValue{number(1), number(2), value("s1")}), false)
	if !ok {
		t.Fatal("the plan is not kept")
	}
	var all sync.WaitGroup
	for n := range int64(4) {
		all.Go(func() {
			root := kept.Bind(s.ctx, paramsOf([]ast.PointValue{number(n), number(n + 3), value("s2")}))
			stream, err := exec.Build(root, &exec.Env{Scan: s.scan, Expr: expr.Context{NowMicros: s.ctx.NowMicros}})
			if err != nil {
				t.Error(err)
				return
			}
			defer stream.Close()
			rows := 0
			for {
				b, err := stream.Next(t.Context())
				if err != nil {
					t.Error(err)
				}
				if b == nil || err != nil {
					break
				}
				rows += b.Rows()
			}
			if rows == 0 {
				t.Errorf("from %d: no rows", n)
			}
		})
	}
	all.Wait()
}
