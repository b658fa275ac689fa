package plan

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/expr"
	ast "stele/sql/parse"
	"stele/sql/physical"
	"stele/sql/vec"
)

// pointTables have keys of one and several columns, in another order than the columns, hashed and partitioned by parts of them.
var pointTables = []string{
	"CREATE TABLE a (id BIGINT PRIMARY KEY, v VARCHAR(20), n INT)",
	"CREATE TABLE b (v INT, x SMALLINT UNSIGNED NOT NULL, y VARCHAR(5) NOT NULL, PRIMARY KEY (y, x))",
	"CREATE TABLE c (k TINYINT NOT NULL, m INT NOT NULL, v TIMESTAMP NULL, PRIMARY KEY (k, m)) PARTITION BY RANGE (m) " +
		"(PARTITION p0 VALUES LESS THAN (0), PARTITION p1 VALUES LESS THAN (100)) DISTRIBUTED BY HASH(k) BUCKETS 3",
}

// uniqueTable has unique keys of one and several columns, and such as are not found by the bytes of their columns.
const uniqueTable = "CREATE TABLE q (id BIGINT PRIMARY KEY, u INT, w VARCHAR(5) NOT NULL, ci VARCHAR(5) COLLATE utf8mb4_general_ci, p VARCHAR(9), v INT, " +
	"UNIQUE KEY wu (w, u), UNIQUE KEY (ci), UNIQUE KEY (p(2)), UNIQUE KEY (v))"

// enforce gives the unique keys of a table their hidden tables, as the FE would.
func (f *fakeCatalog) enforce(t *catalog.Table) {
	for i := range t.Unique {
		k := &t.Unique[i]
		if !k.Unique {
			continue
		}
		index := &catalog.Table{ID: types.TableID(len(f.tables) + 1), IndexOf: t.ID, Buckets: 3, HashBy: k.Columns}
		index.Schema = types.Schema{TableID: index.ID, Version: 1, Key: k.Columns}
		for _, id := range append(slices.Clone(k.Columns), t.Locator()...) {
			if index.Schema.ColumnIndex(id) < 0 {
				index.Schema.Columns = append(index.Schema.Columns, t.Schema.Columns[t.Schema.ColumnIndex(id)])
			}
		}
		part := catalog.Partition{ID: types.PartitionID(len(f.tables)*100 + 1)}
		for range index.Buckets {
			f.next++
			part.Tablets = append(part.Tablets, types.TabletID(f.next))
		}
		index.Parts, k.Index = []catalog.Partition{part}, index.ID
		f.tables = append(f.tables, index)
	}
}

// drawPoint draws a query that is a point query or nearly one.
func drawPoint(t *rapid.T) string {
	pick := func(name string, of ...string) string { return rapid.SampledFrom(of).Draw(t, name) }
	value := func(name string) string {
		return pick(name, "1", "7", "0", "99", "128", "70000", "-1", "'abc'", "'toolong'", "''", "'1'", "NULL", "TRUE", "1.0", "9223372036854775807",
			"9223372036854775808", "x'31'", "'é'")
	}
	table := pick("table", "a", "b", "c", "q", "q")
	key := map[string][]string{"a": {"id"}, "b": {"y", "x"}, "c": {"k", "m"}, "q": {"id"}}[table]
	if table == "q" {
		key = strings.Fields(pick("key", "id", "w u", "u w", "w u", "ci", "p", "v", "v", "u"))
	}
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
		pick("name", table, "`"+table+"`", "test."+table) + " WHERE " + strings.Join(terms, " AND ") + pick("tail", "", "", " LIMIT 1", " LIMIT 20", " LIMIT 0", " LIMIT 1, 1", " LIMIT 1 OFFSET 1", " ORDER BY v", ";", " -- x")
}

// TestPointAgreesWithSelect holds every point plan against the general plan of the same text: the same tablet, the same
// key, the same columns.
func TestPointAgreesWithSelect(t *testing.T) {
	ctx, f := newContext()
	for _, sql := range append(slices.Clone(pointTables), uniqueTable) {
		if _, err := f.create(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	f.enforce(f.tables[len(f.tables)-1])
	points, entries := 0, 0
	agrees := func(t *rapid.T, sql string) {
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
		locate := p.Locate
		if p.Via != nil {
			locate = p.LocateVia
		}
		tablet, key, ok := locate(paramsOf(values))
		if !ok {
			return
		}
		root, err := Select(ctx, st.Node)
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		if points++; p.Via != nil {
			entries++
		}
		comparePoint(t, sql, p, root, tablet, key)
	}
	rapid.Check(t, func(t *rapid.T) {
		for range 40 { // one text in twenty is a point query
			agrees(t, drawPoint(t))
		}
	})
	if points == entries || entries == 0 {
		t.Fatalf("%d point queries were drawn, %d of them by a unique key", points, entries)
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
	if via := scan.Scan.Via; (p.Via != nil) != (via != nil) {
		t.Fatalf("%s: by a unique key: %t, not %t", sql, p.Via != nil, via != nil)
	} else if via != nil {
		compareEntry(t, sql, p, via, tablet, key)
		return
	}
	if !slices.Equal(scan.Scan.Tablets, []types.TabletID{tablet}) {
		t.Fatalf("%s: tablet %d, not %v", sql, tablet, scan.Scan.Tablets)
	}
	if len(scan.Scan.Fragment.Keys) != 1 || !bytes.Equal(scan.Scan.Fragment.Keys[0], key) {
		t.Fatalf("%s: key %x, not %x", sql, key, scan.Scan.Fragment.Keys)
	}
}

// compareEntry compares where the entry of a unique key is looked for, and, for some rows, where the row is.
func compareEntry(t *rapid.T, sql string, p *Point, via *physical.Via, tablet types.TabletID, key []byte) {
	if via.TableID != p.Via.Table.ID || !slices.Equal(via.Tablets, []types.TabletID{tablet}) || len(via.Fragment.Keys) != 1 || !bytes.Equal(via.Fragment.Keys[0], key) {
		t.Fatalf("%s: entry %x of tablet %d in table %d, not %v", sql, key, tablet, p.Via.Table.ID, via)
	}
	entry := &vec.Batch{N: 1}
	row := &vec.Batch{N: 1}
	for _, c := range p.Table.Schema.Columns {
		row.Cols = append(row.Cols, vec.NewConst(c.Type, vec.Value{Null: true}, 1))
	}
	for _, at := range p.Table.Schema.KeyIndexes() {
		row.Cols[at] = vec.NewConst(p.Table.Schema.Columns[at].Type, vec.Int(rapid.Int64().Draw(t, "id")), 1)
		entry.Cols = append(entry.Cols, row.Cols[at])
	}
	routes, err := Route(p.Table, row)
	if err != nil {
		t.Fatal(err)
	}
	at, rowKey, ok := p.LocateRow(entry)
	if want := vec.EncodeKeys(row, p.Table.Schema.KeyIndexes())[0]; !ok || at != routes[0].Tablet || !bytes.Equal(rowKey, want) {
		t.Fatalf("%s: row %x of tablet %d, not %x of %d", sql, rowKey, at, want, routes[0].Tablet)
	}
}

// TestLongLists: lists of integers of any length have one of few texts; with other integers in the place of what was put behind them they are
// queries of that text.
func TestLongLists(t *testing.T) {
	texts := map[string]bool{}
	for n := 1; n <= 1100; n++ {
		list := make([]string, n)
		for i := range list {
			list[i] = fmt.Sprint(7 * i)
		}
		text, values, ok := ast.PointText(nil, nil, "SELECT `a?` FROM t WHERE a IN ( "+strings.Join(list, ", ")+" ) AND b = 'x' AND c in(1)")
		if !ok || len(values) < n+2 || len(values) > n+2+n/8 {
			t.Fatalf("a list of %d: %v, %d values", n, ok, len(values)-2)
		}
		for i, v := range values[:len(values)-2] {
			if want := int64(7 * min(i, n-1)); v.Int != want || v.Pad != (i >= n) {
				t.Fatalf("a list of %d: value %d is %+v", n, i, v)
			}
		}
		sql, fresh := ast.Unpadded(text, values)
		again, same, ok := ast.PointText(nil, nil, sql)
		different := map[int64]bool{}
		for i, v := range fresh[:len(fresh)-2] {
			different[v.Int] = true
			if !ok || same[i].Int != v.Int || i < n && v != values[i] {
				t.Fatalf("a list of %d: %s has %+v, not %+v", n, sql, same[i], v)
			}
		}
		if string(again) != string(text) || len(different) != len(fresh)-2 {
			t.Fatalf("a list of %d: %s, of which %d differ", n, again, len(different))
		}
		if n <= 1000 {
			texts[string(text)] = true
		}
	}
	if len(texts) > 70 {
		t.Errorf("%d texts for lists of up to 1,000", len(texts))
	}
}

// TestPointTextKeepsWhatMatters: texts whose skeletons are equal differ in their literals only.
func TestPointTextKeepsWhatMatters(t *testing.T) {
	for _, c := range []struct {
		sql, want string
	}{
		{"SELECT v FROM t WHERE id = 12", "SELECT v FROM t WHERE id = ?"},
		{"select v1 from `t 1` where t2.id='x'", "select v1 from `t 1` where t2.id=?"},
		{"SELECT v FROM t WHERE id != 3 LIMIT 7", "SELECT v FROM t WHERE id != ? LIMIT 7"},
		{"SELECT v FROM t WHERE id = 5 ORDER BY v limit 40, 20", "SELECT v FROM t WHERE id = ? ORDER BY v limit 40, 20"},
		{"SELECT v FROM t WHERE id = 5 LIMIT 20 OFFSET 40", "SELECT v FROM t WHERE id = ? LIMIT 20 OFFSET 40"},
		{"SELECT v FROM (SELECT v FROM t LIMIT 3) x WHERE v = 5", "SELECT v FROM (SELECT v FROM t LIMIT 3) x WHERE v = ?"},
		{"SELECT v FROM t WHERE id IN ((SELECT 1 LIMIT 2), 5)", "SELECT v FROM t WHERE id IN ((SELECT ? LIMIT 2), ?)"},
		{"SELECT v FROM t WHERE id = -1", ""}, {"SELECT v FROM t WHERE id = 1.5", ""}, {"SELECT v FROM t WHERE id = 1e5", ""},
		{"SELECT v FROM t WHERE id = 0x1f", ""}, {"SELECT v FROM t WHERE id = x'1f'", ""}, {"SELECT v FROM t WHERE id = 'a' 'b'", ""},
		{`SELECT v FROM t WHERE id = 'a\'b'`, ""}, {"SELECT v FROM t WHERE id = 'a''b'", ""}, {`SELECT v FROM t WHERE id = "a"`, ""},
		{"SELECT v FROM t WHERE id = 1 /* x */", ""}, {"SELECT v FROM t WHERE id = ?", ""}, {"SELECT v FROM t WHERE id = 1; SELECT 2", ""},
		{"SELECT v FROM t WHERE id = _utf16 'ab'", ""}, {"SELECT v FROM t WHERE id = 1 # x", ""}, {"SELECT v FROM t WHERE id = @x", ""},
		{"SELECT v FROM t WHERE id in (1,2 , 3 ) AND w IN(4)", "SELECT v FROM t WHERE id in (?,? , ? ) AND w IN(?)"},
		{"SELECT v FROM t WHERE id IN (1, 'a')", "SELECT v FROM t WHERE id IN (?, ?)"}, {"SELECT v FROM t WHERE id IN (1, 2", "SELECT v FROM t WHERE id IN (?, ?"},
		{"SELECT v FROM t WHERE id IN (1.5, 2)", ""}, {"SELECT v FROM t WHERE id IN ()", "SELECT v FROM t WHERE id IN ()"}, {"SELECT v FROM t WHERE id IN", "SELECT v FROM t WHERE id IN"},
		{"SELECT v FROM t WHERE EXISTS (SELECT 1 FROM u WHERE w = 2)", "SELECT v FROM t WHERE EXISTS (SELECT 1 FROM u WHERE w = ?)"},
		{"SELECT COUNT(1), count( 2 ), MAX(3) FROM t", "SELECT COUNT(1), count( ? ), MAX(?) FROM t"}, {"SELECT 1 fromage, select 1", "SELECT ? fromage, select ?"},
		{"UPDATE t SET v = 1", ""}, {"SELECT 1.e FROM t", ""}, {"SELECT v FROM t WHERE id = 99999999999999999999", ""}, {"SELECT `v", ""},
	} {
		got, _, ok := ast.PointText(nil, nil, c.sql)
		if ok != (c.want != "") || ok && string(got) != c.want {
			t.Errorf("%s: %q, %v", c.sql, got, ok)
		}
	}
}
