package plan

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"stele/meta/types"
	"stele/sql/expr"
	ast "stele/sql/parse"
)

var targetTables = []string{
	"CREATE TABLE ta (id BIGINT PRIMARY KEY, v VARCHAR(5), n INT NOT NULL)",
	"CREATE TABLE tb (a TINYINT, b SMALLINT UNSIGNED, t TEXT, e ENUM('x','y') DEFAULT 'x', PRIMARY KEY (a))",
	"CREATE TABLE tc (id INT AUTO_INCREMENT PRIMARY KEY, d DATE, c CHAR(3))",
	"CREATE TABLE td (v VARCHAR(5), n MEDIUMINT DEFAULT 7)",
	`CREATE TABLE te (id INT UNSIGNED NOT NULL AUTO_INCREMENT, k INT NOT NULL DEFAULT 0, c CHAR(12) NOT NULL DEFAULT '', at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
		up DATETIME(3) DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3), p DECIMAL(7,2) NOT NULL DEFAULT '1.50', s TIMESTAMP DEFAULT '2024-01-02 03:04:05',
		PRIMARY KEY (id), UNIQUE KEY (k), KEY (c))`,
	"CREATE TABLE tf (a DOUBLE, b BIT(4), d DATE, j JSON, y YEAR, z SET('x','y'), o TIME, bl BLOB, bi BINARY(4), u BIGINT UNSIGNED, n BOOL, x VARCHAR(30) DEFAULT (CONCAT('a', 'b')))",
	"CREATE TABLE tg (a DOUBLE, b BIT(4), d DATE, j JSON, y YEAR, z SET('x','y'), o TIME(2), bl BLOB, bi BINARY(4), u BIGINT UNSIGNED, n BOOL, x VARCHAR(30), f FLOAT, dt DATETIME(2), ts TIMESTAMP, dc DECIMAL(20,3))",
}

// drawInsert draws an INSERT of literals into one of the tables.
func drawInsert(t *rapid.T) string {
	pick := func(name string, of ...string) string { return rapid.SampledFrom(of).Draw(t, name) }
	table := pick("table", "ta", "tb", "tc", "td", "te", "te", "tf", "tg")
	columns := map[string][]string{"ta": {"id", "v", "n"}, "tb": {"a", "b", "t", "e"}, "tc": {"id", "d", "c"}, "td": {"v", "n"},
		"te": {"id", "k", "c", "at", "up", "p", "s"}, "tf": strings.Split("a,b,d,j,y,z,o,bl,bi,u,n,x", ","), "tg": strings.Split("a,b,d,j,y,z,o,bl,bi,u,n,x,f,dt,ts,dc", ",")}[table]
	list := ""
	if rapid.Bool().Draw(t, "list") {
		columns = rapid.Permutation(columns).Draw(t, "order")
		columns = columns[:rapid.IntRange(1, len(columns)).Draw(t, "given")]
		list = " (" + strings.Join(columns, ",") + ")"
	}
	width := max(1, len(columns)+rapid.SampledFrom([]int{0, 0, 0, 0, 1, -1}).Draw(t, "wrong"))
	var rows []string
	for range rapid.IntRange(1, 3).Draw(t, "rows") {
		var cells []string
		for i := range width {
			if i < len(columns) && rapid.IntRange(0, 5).Draw(t, "fits") > 0 {
				if columns[i] == "e" || columns[i] == "z" {
					cells = append(cells, pick("member", "'x'", "'y'"))
				} else if slices.Contains(strings.Fields("v t c x bl bi"), columns[i]) {
					cells = append(cells, pick("text", "'abc'", "'abc '"))
				} else if slices.Contains(strings.Fields("d dt ts at up s"), columns[i]) {
					cells = append(cells, pick("moment", "'2024-03-31 02:30:00.25'", "'2024-01-02'", "'2024-01-02 03:04:05'", "'0000-00-00'", "DEFAULT", "NOW()", "CURRENT_TIMESTAMP(6)"))
				} else {
					cells = append(cells, pick("number", "12", "0", "1", "DEFAULT", "1.25"))
				}
				continue
			}
			cells = append(cells, pick("cell", "1", "0", "-1", "127", "128", "-128", "-129", "32768", "8388608", "2147483648", "9223372036854775807",
				"9223372036854775808", "000000000000000000001", "1.5", "1e2", "'a'", "'abcde'", "'abcdef'", "'äöüßé'", "'\xff'", "'a\\'b'", "'a''b'", "\"q\"",
				"'7'", "'abc '", "'10:11:12'", "'{}'", "-0", "NOW()", "NOW(3)", "CURRENT_TIMESTAMP", "NULL", "DEFAULT", "TRUE", "x'31'", "'2024-01-02'", "'y'", "+3"))
		}
		rows = append(rows, "("+strings.Join(cells, ",")+")")
	}
	return pick("verb", "INSERT INTO ", "INSERT IGNORE ", "REPLACE ") + pick("db", "", "test.") + table + list + " VALUES " + strings.Join(rows, ",")
}

// TestInsertTargetAgrees holds what a target makes of a statement against what InsertValues makes of it.
func TestInsertTargetAgrees(t *testing.T) {
	ctx, f := newContext()
	ctx.SQLMode = defaultMode
	for _, sql := range targetTables {
		if _, err := f.create(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	taken := map[string]int{}
	var target *InsertTarget // of some statement before
	one := func(t *rapid.T) {
		sql := drawInsert(t)
		in, ok := ast.FastInsert(sql, 0)
		if !ok {
			return
		}
		ctx := *ctx
		ctx.SQLMode = rapid.SampledFrom([]string{defaultMode, defaultMode, "", "NO_AUTO_VALUE_ON_ZERO,STRICT_TRANS_TABLES"}).Draw(t, "mode")
		ctx.TimeZone = rapid.SampledFrom([]*time.Location{time.UTC, berlin}).Draw(t, "zone")
		ctx.NowMicros = rapid.Int64Range(1_700_000_000_000_000, 1_800_000_000_000_000).Draw(t, "now")
		if target == nil || !target.Fits(ctx.Catalog, ctx.CurrentDB, ctx.SQLMode, ctx.TimeZone, in) {
			before := ctx
			before.NowMicros -= 5_000_000 // it is kept of a statement before
			target = NewInsertTarget(&before, in)
		}
		got, ok := target.Insert(in, ctx.NowMicros)
		if !ok {
			return
		}
		taken[in.Table.Table]++
		want, err := InsertValues(&ctx, in)
		if err != nil {
			t.Fatalf("%q is taken by the target, but: %v", sql, err)
		}
		if ctx.Warnings.Count > 0 {
			t.Fatalf("%q is taken by the target, but: %v", sql, ctx.Warnings.Kept())
		}
		if got.Table != want.Table || got.Database != want.Database || got.Mode != want.Mode || got.NeedsRowID != want.NeedsRowID ||
			got.AutoIncrement != want.AutoIncrement || got.Rows.N != want.Rows.N || len(got.Rows.Cols) != len(want.Rows.Cols) {
			t.Fatalf("%q: %+v, generally %+v", sql, got, want)
		}
		for c := range want.Rows.Cols {
			if a, b := fmt.Sprintf("%+v", *got.Rows.Cols[c]), fmt.Sprintf("%+v", *want.Rows.Cols[c]); a != b {
				t.Fatalf("%q: column %d is %s, generally %s", sql, c, a, b)
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		for range 10 {
			one(t)
		}
	})
	for _, table := range []string{"ta", "tb", "tc", "td", "te", "tg"} {
		if taken[table] == 0 {
			t.Errorf("no statement into %s was taken: the test proves nothing", table)
		}
	}
}

// TestInsertTargetFits: a target is not used for statements that mean something else.
func TestInsertTargetFits(t *testing.T) {
	ctx, f := newContext()
	ctx.SQLMode = defaultMode
	for _, sql := range targetTables[:1] {
		if _, err := f.create(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	in := func(sql string) *ast.InsertValues {
		v, ok := ast.FastInsert(sql, 0)
		if !ok {
			t.Fatalf("%q is not taken", sql)
		}
		return v
	}
	target := NewInsertTarget(ctx, in("INSERT INTO ta VALUES (1,'a',2)"))
	if in := in("INSERT INTO ta VALUES (2,'b',3)"); target.Fits(ctx.Catalog, ctx.CurrentDB, defaultMode, time.FixedZone("other", 3600), in) {
		t.Error("it fits in another time zone")
	}
	for _, c := range []struct {
		sql, db, modes string
		want           bool
	}{
		{"INSERT INTO ta VALUES (2,'b',3),(4,'c',5)", ctx.CurrentDB, defaultMode, true},
		{"REPLACE INTO ta VALUES (2,'b',3)", ctx.CurrentDB, defaultMode, false},
		{"INSERT IGNORE INTO ta VALUES (2,'b',3)", ctx.CurrentDB, defaultMode, false},
		{"INSERT INTO test.ta VALUES (2,'b',3)", ctx.CurrentDB, defaultMode, false},
		{"INSERT INTO tb VALUES (2,'b',3)", ctx.CurrentDB, defaultMode, false},
		{"INSERT INTO ta (id,v,n) VALUES (2,'b',3)", ctx.CurrentDB, defaultMode, false},
		{"INSERT INTO ta VALUES (2,'b',3)", "other", defaultMode, false},
		{"INSERT INTO ta VALUES (2,'b',3)", ctx.CurrentDB, "", false},
	} {
		if got := target.Fits(ctx.Catalog, c.db, c.modes, ctx.TimeZone, in(c.sql)); got != c.want {
			t.Errorf("%q in %q with %q: %v", c.sql, c.db, c.modes, got)
		}
	}
}

// drawParams draws values for parameters as clients bind them.
func drawParams(t *rapid.T, n int) []Param {
	text := func(s string) Param {
		return Param{Value: expr.Value{B: []byte(s)}, Type: types.ColumnType{Kind: types.KindVarChar, Length: int32(len(s))}}
	}
	number := func(k types.Kind, unsigned bool, n int64) Param {
		return Param{Value: expr.Value{I: n}, Type: types.ColumnType{Kind: k, Unsigned: unsigned}}
	}
	all := []Param{text("abc"), text("abcde"), text("abcdef"), text("äöüßé"), text("a'b\\"), text("\xff"), text(""), text("7"),
		number(types.KindBigInt, false, 12), number(types.KindTinyInt, false, -128), number(types.KindInt, false, -129), number(types.KindBigInt, false, math.MinInt64),
		number(types.KindBigInt, true, -1), number(types.KindInt, true, 3_000_000_000), {Value: expr.Value{F: 2.5}, Type: types.ColumnType{Kind: types.KindDouble}},
		{Value: expr.Value{Null: true}, Type: types.ColumnType{Kind: types.KindNull}},
		{Value: expr.Value{B: []byte("abc")}, Type: types.ColumnType{Kind: types.KindVarBinary, Length: 3}},
		{Value: expr.Value{F: -1e-7}, Type: types.ColumnType{Kind: types.KindDouble}}, {Value: expr.Value{F: 1e21}, Type: types.ColumnType{Kind: types.KindDouble}},
		{Value: expr.Value{F: math.Inf(1)}, Type: types.ColumnType{Kind: types.KindDouble}}, {Value: expr.Value{F: 3}, Type: types.ColumnType{Kind: types.KindDouble}},
		number(types.KindDateTime, false, 1_711_852_200_250_000), {Value: expr.Value{I: 1_711_852_200_250_000}, Type: types.ColumnType{Kind: types.KindDateTime, Scale: 6}},
		number(types.KindDate, false, 19_800), number(types.KindTime, false, 36_672_000_000)}
	out := make([]Param, n)
	for i := range out {
		out[i] = all[rapid.SampledFrom([]int{0, 0, 8, 8, 9, rapid.IntRange(0, len(all)-1).Draw(t, "any")}).Draw(t, "value")]
	}
	return out
}

// TestInsertTargetAgreesPrepared holds what a target makes of a prepared INSERT against what Insert makes of it.
func TestInsertTargetAgreesPrepared(t *testing.T) {
	ctx, f := newContext()
	ctx.SQLMode = defaultMode
	for _, sql := range targetTables {
		if _, err := f.create(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	taken := 0
	rapid.Check(t, func(t *rapid.T) {
		sql := rapid.SampledFrom([]string{"INSERT INTO ta VALUES (?,?,?)", "INSERT INTO ta VALUES (?,'a',?),(7,?,-7)", "REPLACE ta (n,v,id) VALUES (?,?,?)",
			"INSERT IGNORE INTO tb (a,b,t) VALUES (?,?,?)", "INSERT INTO td VALUES (?,?)", "INSERT INTO ta (id,n,v) VALUES (?,1,?);",
			"INSERT INTO tg VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", "INSERT INTO tg (a) VALUES (?)", "INSERT INTO tg (b) VALUES (?)", "INSERT INTO tg (d) VALUES (?)",
			"INSERT INTO tg (j) VALUES (?)", "INSERT INTO tg (y) VALUES (?)", "INSERT INTO tg (z) VALUES (?)", "INSERT INTO tg (o) VALUES (?)", "INSERT INTO tg (bl) VALUES (?)",
			"INSERT INTO tg (bi) VALUES (?)", "INSERT INTO tg (x) VALUES (?)", "INSERT INTO tg (f) VALUES (?)", "INSERT INTO tg (dt) VALUES (?)", "INSERT INTO tg (ts) VALUES (?)",
			"INSERT INTO tg (dc) VALUES (?)", "INSERT INTO te (id,p,up) VALUES (?,?,?)"}).Draw(t, "sql")
		template, ok := ast.FastInsertPrepared(sql, 0)
		if !ok {
			t.Fatalf("%q is not taken", sql)
		}
		if _, ok := ast.FastInsert(sql, 0); ok {
			t.Fatalf("%q has no values, and is taken as if it had", sql)
		}
		ctx := *ctx
		ctx.Params = drawParams(t, strings.Count(sql, "?"))
		in, ok := BindInsert(template, ctx.Params)
		if !ok {
			return
		}
		got, ok := NewInsertTarget(&ctx, in).Insert(in, ctx.NowMicros)
		if !ok {
			return
		}
		taken++
		st, err := ast.Parse(sql, 0)
		if err != nil {
			t.Fatal(err)
		}
		want, err := Insert(&ctx, st.Node.(*ast.InsertStmt))
		if err != nil {
			t.Fatalf("%q with %+v is taken by the target, but: %v", sql, ctx.Params, err)
		}
		for c := range want.Rows.Cols {
			if a, b := fmt.Sprintf("%+v", *got.Rows.Cols[c]), fmt.Sprintf("%+v", *want.Rows.Cols[c]); a != b {
				t.Fatalf("%q with %+v: column %d is %s, generally %s", sql, ctx.Params, c, a, b)
			}
		}
	})
	if taken == 0 {
		t.Error("no statement was taken: the test proves nothing")
	}
}
