package plan

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"stele/meta/types"
	"stele/sql/expr"
	ast "stele/sql/parse"
	"stele/sql/physical"
)

// pointTables have keys of one and several columns, in another order than the columns, hashed and partitioned by parts of them.
var pointTables = []string{
	"CREATE TABLE a (id BIGINT PRIMARY KEY, v VARCHAR(20), n INT)",
	"CREATE TABLE b (v INT, x SMALLINT UNSIGNED NOT NULL, y VARCHAR(5) NOT NULL, PRIMARY KEY (y, x))",
	"CREATE TABLE c (k TINYINT NOT NULL, m INT NOT NULL, v TIMESTAMP NULL, PRIMARY KEY (k, m)) PARTITION BY RANGE (m) " +
		"(PARTITION p0 VALUES LESS THAN (0), PARTITION p1 VALUES LESS THAN (100)) DISTRIBUTED BY HASH(k) BUCKETS 3",
}

// drawPoint draws a query that is a point query or nearly one.
func drawPoint(t *rapid.T) string {
	pick := func(name string, of ...string) string { return rapid.SampledFrom(of).Draw(t, name) }
	value := func(name string) string {
		return pick(name, "1", "7", "0", "99", "128", "70000", "-1", "'abc'", "'toolong'", "''", "'1'", "NULL", "TRUE", "1.0", "9223372036854775807",
			"9223372036854775808", "x'31'", "'é'")
	}
	table := pick("table", "a", "b", "c")
	key := map[string][]string{"a": {"id"}, "b": {"y", "x"}, "c": {"k", "m"}}[table]
	var terms []string
	for _, k := range key {
		term := k + pick("op", " = ", "=", " = ", " > ") + value("v"+k)
		if rapid.IntRange(0, 4).Draw(t, "turn") == 0 {
			term = value("w"+k) + " = " + k
		}
		terms = append(terms, term)
	}
	if rapid.Bool().Draw(t, "swap") {
		slices.Reverse(terms)
	}
	if rapid.IntRange(0, 9).Draw(t, "extra") == 0 {
		terms = append(terms, "v = "+value("extra value"))
	}
	return "SELECT " + pick("fields", "*", "v", "v AS w, "+key[0], table+".v", "v + 1", "COUNT(*)", "NULL") + " FROM " +
		pick("name", table, "`"+table+"`", "test."+table) + " WHERE " + strings.Join(terms, " AND ") + pick("tail", "", "", " LIMIT 1", " ORDER BY v", ";", " -- x")
}

// TestPointAgreesWithSelect holds every point plan against the general plan of the same text: the same tablet, the same
// key, the same columns.
func TestPointAgreesWithSelect(t *testing.T) {
	ctx, f := newContext()
	for _, sql := range pointTables {
		if _, err := f.create(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	points := 0
	agrees := func(t *rapid.T) {
		sql := drawPoint(t)
		_, values, ok := ast.PointText(nil, nil, sql)
		if !ok {
			return
		}
		st, err := ast.Parse(sql, 0)
		if err != nil {
			return
		}
		p, ok := PointSelect(ctx, st.Node, len(values))
		if !ok {
			return
		}
		tablet, key, ok := p.Locate(paramsOf(values))
		if !ok {
			return
		}
		root, err := Select(ctx, st.Node)
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		points++
		comparePoint(t, sql, p, root, tablet, key)
	}
	for checks := 0; points < 10 && checks < 50; checks++ { // one text in twenty is a point query
		rapid.Check(t, agrees)
	}
	if points == 0 {
		t.Fatal("no point query was drawn")
	}
}

func paramsOf(values []ast.PointValue) []Param {
	var out []Param
	for _, v := range values {
		if v.IsInt {
			out = append(out, Param{Value: expr.Value{I: v.Int}, Type: types.ColumnType{Kind: types.KindBigInt}})
		} else {
			out = append(out, Param{Value: expr.Value{B: []byte(v.Text)}, Type: types.ColumnType{Kind: types.KindVarChar, Length: int32(len(v.Text))}})
		}
	}
	return out
}

func comparePoint(t *rapid.T, sql string, p *Point, root *physical.Node, tablet types.TabletID, key []byte) {
	if fmt.Sprint(p.Schema) != fmt.Sprint(root.Schema) {
		t.Fatalf("%s: columns %v, not %v", sql, p.Schema, root.Schema)
	}
	scan := root
	for scan.Scan == nil {
		if len(scan.Children) != 1 {
			t.Fatalf("%s: the general plan is no scan", sql)
		}
		scan = scan.Children[0]
	}
	if len(scan.Scan.Tablets) == 0 { // a value outside all partitions
		return
	}
	if !slices.Equal(scan.Scan.Tablets, []types.TabletID{tablet}) {
		t.Fatalf("%s: tablet %d, not %v", sql, tablet, scan.Scan.Tablets)
	}
	if len(scan.Scan.Fragment.Keys) != 1 || !bytes.Equal(scan.Scan.Fragment.Keys[0], key) {
		t.Fatalf("%s: key %x, not %x", sql, key, scan.Scan.Fragment.Keys)
	}
}

// TestPointTextKeepsWhatMatters: texts whose skeletons are equal differ in their literals only.
func TestPointTextKeepsWhatMatters(t *testing.T) {
	for _, c := range []struct {
		sql, want string
	}{
		{"SELECT v FROM t WHERE id = 12", "SELECT v FROM t WHERE id = ?"},
		{"select v1 from `t 1` where t2.id='x'", "select v1 from `t 1` where t2.id=?"},
		{"SELECT v FROM t WHERE id = -1", ""}, {"SELECT v FROM t WHERE id = 1.5", ""}, {"SELECT v FROM t WHERE id = 1e5", ""},
		{"SELECT v FROM t WHERE id = 0x1f", ""}, {"SELECT v FROM t WHERE id = x'1f'", ""}, {"SELECT v FROM t WHERE id = 'a' 'b'", ""},
		{`SELECT v FROM t WHERE id = 'a\'b'`, ""}, {"SELECT v FROM t WHERE id = 'a''b'", ""}, {`SELECT v FROM t WHERE id = "a"`, ""},
		{"SELECT v FROM t WHERE id = 1 /* x */", ""}, {"SELECT v FROM t WHERE id = ?", ""}, {"SELECT v FROM t WHERE id = 1; SELECT 2", ""},
		{"SELECT v FROM t WHERE id = _utf16 'ab'", ""}, {"SELECT v FROM t WHERE id = 1 # x", ""}, {"SELECT v FROM t WHERE id = @x", ""},
		{"UPDATE t SET v = 1", ""}, {"SELECT 1.e FROM t", ""}, {"SELECT v FROM t WHERE id = 99999999999999999999", ""}, {"SELECT `v", ""},
	} {
		got, _, ok := ast.PointText(nil, nil, c.sql)
		if ok != (c.want != "") || ok && string(got) != c.want {
			t.Errorf("%s: %q, %v", c.sql, got, ok)
		}
	}
}
