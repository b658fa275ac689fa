package syntax

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// starRocksTable is a table in the grammar of its users, with every clause.
const starRocksTable = `CREATE TABLE IF NOT EXISTS d.orders (
  k BIGINT NOT NULL,
  dt DATE NOT NULL,
  name STRING COMMENT "it's (a) name",
  big LARGEINT,
  sum INT SUM DEFAULT "0",
  v DECIMAL64(9,2) REPLACE_IF_NOT_NULL,
  INDEX i (name) USING BITMAP COMMENT 'b'
) ENGINE=olap
AGGREGATE KEY(k, dt, name)
COMMENT "orders"
PARTITION BY RANGE(dt) (
  PARTITION p1 VALUES LESS THAN ("2020-01-01"),
  PARTITION p2 VALUES [("2020-01-01"), ("2020-02-01")) ("replication_num" = "1"),
  START ("2020-02-01") END ("2020-05-01") EVERY (INTERVAL 1 MONTH),
  PARTITION pm VALUES LESS THAN MAXVALUE
)
DISTRIBUTED BY HASH(k) BUCKETS 8
ORDER BY (k)
PROPERTIES ("replication_num" = "3", "write_quorum" = "MAJORITY");`

// compact prints a value as JSON without its offsets and empty fields.
func compact(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(raw, &tree); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(prune(tree))
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(out), `"`, "")
}

func prune(v any) any {
	switch x := v.(type) {
	case map[string]any:
		for k, e := range x {
			if e = prune(e); e == nil || strings.HasSuffix(k, "Offset") || k == "Raw" && e == x["Value"] {
				delete(x, k)
			} else {
				x[k] = e
			}
		}
	case []any:
		for i := range x {
			x[i] = prune(x[i])
		}
		if len(x) == 0 {
			return nil
		}
	case string:
		if x == "" {
			return nil
		}
	case float64:
		if x == 0 {
			return nil
		}
	case bool:
		if !x {
			return nil
		}
	}
	return v
}

// checkBlanked is invariant 2.
func checkBlanked(t interface {
	Fatalf(string, ...any)
}, src, out string) {
	if len(src) != len(out) {
		t.Fatalf("%q became %d bytes instead of %d: %q", src, len(out), len(src), out)
	}
	for i := range len(src) {
		if (src[i] == '\n') != (out[i] == '\n') {
			t.Fatalf("%q lost or won a newline at %d: %q", src, i, out)
		}
	}
}

func TestLiftCreateTable(t *testing.T) {
	l, err := Lift(starRocksTable, 0)
	if err != nil {
		t.Fatal(err)
	}
	checkBlanked(t, starRocksTable, l.SQL)
	want := `CREATE TABLE IF NOT EXISTS d.orders ( k BIGINT NOT NULL, dt DATE NOT NULL, name TEXT COMMENT "it's (a) name", ` +
		`big DEC(39) , sum INT DEFAULT "0", v DECIMAL (9,2) , INDEX i (name) COMMENT 'b' ) ENGINE=olap COMMENT "orders" ;`
	if got := strings.Join(strings.Fields(l.SQL), " "); got != want {
		t.Errorf("left for the MySQL parser:\n got %s\nwant %s", got, want)
	}
	want = `{Aggregates:[{Column:sum,Word:SUM},{Column:v,Word:REPLACE_IF_NOT_NULL}],Comment:orders,` +
		`Distribution:{Buckets:8,Columns:[k]},Engine:olap,Indexes:[{Column:i,Word:BITMAP}],KeyColumns:[k,dt,name],KeyModel:AGGREGATE,OrderBy:[k],` +
		`Partition:{Batches:[{End:{Kind:1,Raw:\2020-05-01\,Value:2020-05-01},Every:1,Start:{Kind:1,Raw:\2020-02-01\,Value:2020-02-01},Unit:MONTH}],` +
		`Columns:[dt],Defs:[{LessThan:[{Kind:1,Raw:\2020-01-01\,Value:2020-01-01}],Name:p1},` +
		`{From:[{Kind:1,Raw:\2020-01-01\,Value:2020-01-01}],Name:p2,Properties:[{Key:replication_num,Value:1}],To:[{Kind:1,Raw:\2020-02-01\,Value:2020-02-01}]},` +
		`{LessThan:[{Kind:4,Value:MAXVALUE}],Name:pm}],Exprs:[{Text:dt}],Kind:RANGE},` +
		`Properties:[{Key:replication_num,Value:3},{Key:write_quorum,Value:MAJORITY}],` +
		`Types:[{Column:name,Word:STRING},{Column:big,Word:LARGEINT},{Column:v,Word:DECIMAL64}]}`
	if got := compact(t, l.Tail); got != want {
		t.Errorf("tail:\n got %s\nwant %s", got, want)
	}
	if l.Tail.TypeOf("NAME") != "STRING" || l.Tail.TypeOf("k") != "" || l.Tail.AggregateOf("v") == "" {
		t.Error("column lookup")
	}
}

func TestLiftForms(t *testing.T) {
	for _, c := range []struct{ sql, left, tail string }{
		{"CREATE TABLE t (a INT PRIMARY KEY, b INT) DISTRIBUTED BY RANDOM", "CREATE TABLE t (a INT PRIMARY KEY, b INT)", "{Distribution:{Random:true}}"},
		{"CREATE TABLE t (a INT) PRIMARY KEY (a) DISTRIBUTED BY HASH(a) BUCKETS AUTO", "CREATE TABLE t (a INT)", "{Distribution:{Columns:[a]},KeyColumns:[a],KeyModel:PRIMARY}"},
		{"create table t (a int, primary key (a)) engine=InnoDB default charset=utf8mb4 comment='x'", "create table t (a int, primary key (a)) engine=InnoDB default charset=utf8mb4 comment='x'",
			"{Comment:x,Engine:InnoDB}"},
		{"CREATE TABLE t (a INT) PARTITION BY HASH(a) PARTITIONS 4", "CREATE TABLE t (a INT) PARTITION BY HASH(a) PARTITIONS 4", "{}"},
		{"CREATE TABLE t (a INT) PARTITION BY LINEAR KEY(a) PARTITIONS 4 DISTRIBUTED BY HASH(a)", "CREATE TABLE t (a INT) PARTITION BY LINEAR KEY(a) PARTITIONS 4", "{Distribution:{Columns:[a]}}"},
		{"CREATE TABLE t (a INT) /*!50100 PARTITION BY RANGE (YEAR(a)) (PARTITION p0 VALUES LESS THAN (-10, NULL, 1+1) ENGINE = InnoDB COMMENT='c') */",
			"CREATE TABLE t (a INT) /*!50100 */",
			"{Partition:{Defs:[{Comment:c,LessThan:[{Kind:2,Value:-10},{Kind:3,Value:NULL},{Kind:5,Value:1+1}],Name:p0}],Exprs:[{Text:YEAR(a)}],Kind:RANGE}}"},
		{"CREATE TABLE t (a INT) PARTITION BY /*!50100 RANGE (a) ( */ PARTITION p0 VALUES LESS THAN (1)) AS SELECT 1", "CREATE TABLE t (a INT) /*!50100 */ AS SELECT 1",
			"{Partition:{Columns:[a],Defs:[{LessThan:[{Kind:2,Value:1}],Name:p0}],Exprs:[{Text:a}],Kind:RANGE}}"},
		{"CREATE TABLE t (a INT) PARTITION BY RANGE COLUMNS (a,b) (PARTITION p VALUES LESS THAN (1, MAXVALUE))", "CREATE TABLE t (a INT)",
			"{Partition:{Columns:[a,b],Defs:[{LessThan:[{Kind:2,Value:1},{Kind:4,Value:MAXVALUE}],Name:p}],Exprs:[{Text:a},{Text:b}],Kind:RANGE}}"},
		{"CREATE TABLE t (a INT) PARTITION BY RANGE(a)()", "CREATE TABLE t (a INT)", "{Partition:{Columns:[a],Exprs:[{Text:a}],Kind:RANGE}}"},
		{"CREATE TABLE t (a INT) PARTITION BY RANGE(a) (START (\"1\") END (\"9\") EVERY (2))", "CREATE TABLE t (a INT)",
			`{Partition:{Batches:[{End:{Kind:1,Raw:\9\,Value:9},Every:2,Start:{Kind:1,Raw:\1\,Value:1}}],Columns:[a],Exprs:[{Text:a}],Kind:RANGE}}`},
		{"CREATE TABLE t (a INT) PARTITION BY LIST (a) (PARTITION p VALUES IN (1, 'x'), PARTITION q VALUES IN ((1,2),(3,4)))", "CREATE TABLE t (a INT)",
			"{Partition:{Columns:[a],Defs:[{In:[[{Kind:2,Value:1}],[{Kind:1,Raw:'x',Value:x}]],Name:p},{In:[[{Kind:2,Value:1},{Kind:2,Value:2}],[{Kind:2,Value:3},{Kind:2,Value:4}]],Name:q}],Exprs:[{Text:a}],Kind:LIST}}"},
		{"CREATE TABLE t (a DATE) PARTITION BY date_trunc('day', a) PROPERTIES('x'='y')", "CREATE TABLE t (a DATE)",
			"{Partition:{Exprs:[{Text:date_trunc('day', a)}],Kind:EXPR},Properties:[{Key:x,Value:y}]}"},
		{"CREATE TABLE t (a DATE, b INT) PARTITION BY a, `b`", "CREATE TABLE t (a DATE, b INT)", "{Partition:{Columns:[a,b],Exprs:[{Text:a},{Text:`b`}],Kind:EXPR}}"},
		{"CREATE TABLE t DISTRIBUTED BY HASH(a) AS SELECT a FROM s ORDER BY (a)", "CREATE TABLE t AS SELECT a FROM s ORDER BY (a)", "{Distribution:{Columns:[a]}}"},
		{"CREATE TABLE t LIKE s", "CREATE TABLE t LIKE s", "{}"},
		{"CREATE TABLE t (`string` STRING, sum VARCHAR(3) COLLATE max, c INT REFERENCES sum (x), d INT CHECK (max(d) > 1))",
			"CREATE TABLE t (`string` TEXT , sum VARCHAR(3) COLLATE max, c INT REFERENCES sum (x), d INT CHECK (max(d) > 1))", "{Types:[{Column:string,Word:STRING}]}"},
		{"CREATE TABLE t (a INT COMMENT 'DISTRIBUTED BY HASH(a)') -- DISTRIBUTED BY HASH(b)\n", "CREATE TABLE t (a INT COMMENT 'DISTRIBUTED BY HASH(a)') -- DISTRIBUTED BY HASH(b)", "{}"},
		{"ALTER TABLE t ADD COLUMN a STRING AFTER max, MODIFY b LARGEINT SUM, CHANGE c d STRING, ADD (e STRING, f INT)",
			"ALTER TABLE t ADD COLUMN a TEXT AFTER max, MODIFY b DEC(39) , CHANGE c d TEXT , ADD (e TEXT , f INT)",
			"{Aggregates:[{Column:b,Word:SUM}],Types:[{Column:a,Word:STRING},{Column:b,Word:LARGEINT},{Column:d,Word:STRING},{Column:e,Word:STRING}]}"},
	} {
		l, err := Lift(c.sql, 0)
		if err != nil {
			t.Errorf("%s: %v", c.sql, err)
			continue
		}
		checkBlanked(t, c.sql, l.SQL)
		if got := strings.Join(strings.Fields(l.SQL), " "); got != c.left {
			t.Errorf("%s:\n left %s\n want %s", c.sql, got, c.left)
		}
		if got := compact(t, l.Tail); got != c.tail {
			t.Errorf("%s:\n tail %s\n want %s", c.sql, got, c.tail)
		}
	}
}

func TestLiftAlterTable(t *testing.T) {
	for _, c := range []struct{ sql, want string }{
		{`ALTER TABLE d.t SET ("replication_num" = "2")`, "{Op:SET,Properties:[{Key:replication_num,Value:2}],Table:{DB:d,Table:t}}"},
		{`alter table t set properties("a.b" = "c")`, ""},
		{`ALTER TABLE t ADD PARTITION IF NOT EXISTS p VALUES LESS THAN ("2020-01-01") ("a"="b") DISTRIBUTED BY HASH(k) BUCKETS 3`,
			`{Defs:[{IfNotExists:true,LessThan:[{Kind:1,Raw:\2020-01-01\,Value:2020-01-01}],Name:p,Properties:[{Key:a,Value:b}]}],Distribution:{Buckets:3,Columns:[k]},IfNotExists:true,Op:ADD PARTITION,Table:{Table:t}}`},
		{`ALTER TABLE t ADD PARTITION (PARTITION p VALUES LESS THAN (10), PARTITION q VALUES LESS THAN (20))`,
			"{Defs:[{LessThan:[{Kind:2,Value:10}],Name:p},{LessThan:[{Kind:2,Value:20}],Name:q}],Op:ADD PARTITION,Table:{Table:t}}"},
		{`ALTER TABLE t ADD TEMPORARY PARTITION p VALUES [("a"), ("b"))`, `{Defs:[{From:[{Kind:1,Raw:\a\,Value:a}],Name:p,To:[{Kind:1,Raw:\b\,Value:b}]}],Op:ADD PARTITION,Table:{Table:t},Temporary:true}`},
		{`ALTER TABLE t ADD PARTITIONS START (1) END (5) EVERY (1) ("x"="y")`, "{Batches:[{End:{Kind:2,Value:5},Every:1,Start:{Kind:2,Value:1}}],Op:ADD PARTITION,Properties:[{Key:x,Value:y}],Table:{Table:t}}"},
		{`ALTER TABLE t DROP PARTITION IF EXISTS p, q FORCE`, "{Force:true,IfExists:true,Names:[p,q],Op:DROP PARTITION,Table:{Table:t}}"},
		{`ALTER TABLE t DROP PARTITIONS (p, q)`, "{Names:[p,q],Op:DROP PARTITION,Table:{Table:t}}"},
		{`ALTER TABLE t TRUNCATE PARTITION p;`, "{Names:[p],Op:TRUNCATE PARTITION,Table:{Table:t}}"},
		{`ALTER TABLE t MODIFY PARTITION (p1, p2) SET ("replication_num"="1")`, "{Names:[p1,p2],Op:MODIFY PARTITION,Properties:[{Key:replication_num,Value:1}],Table:{Table:t}}"},
		{`ALTER TABLE t MODIFY PARTITION (*) SET ("storage_medium"="SSD")`, "{All:true,Op:MODIFY PARTITION,Properties:[{Key:storage_medium,Value:SSD}],Table:{Table:t}}"},
		{`ALTER TABLE t RENAME PARTITION a b`, "{Names:[a],NewName:b,Op:RENAME PARTITION,Table:{Table:t}}"},
		{`ALTER TABLE t REORGANIZE PARTITION p, q INTO (PARTITION r VALUES IN (1) ENGINE = InnoDB)`,
			"{Defs:[{In:[[{Kind:2,Value:1}]],Name:r}],Names:[p,q],Op:REORGANIZE PARTITION,Table:{Table:t}}"},
		{`ALTER TABLE t PARTITION BY RANGE (a) (PARTITION p VALUES LESS THAN MAXVALUE)`,
			"{Op:PARTITION BY,Partition:{Columns:[a],Defs:[{LessThan:[{Kind:4,Value:MAXVALUE}],Name:p}],Exprs:[{Text:a}],Kind:RANGE},Table:{Table:t}}"},
		{`ALTER TABLE t REMOVE PARTITIONING`, "{Op:REMOVE PARTITIONING,Table:{Table:t}}"},
		{`ALTER TABLE t PARTITION BY HASH (a) PARTITIONS 2`, ""},
		{`ALTER TABLE t REORGANIZE PARTITION`, ""},
		{`ALTER TABLE t DISTRIBUTED BY HASH(a) BUCKETS 9`, "{Distribution:{Buckets:9,Columns:[a]},Op:DISTRIBUTED BY,Table:{Table:t}}"},
		{`ALTER TABLE t ORDER BY (a, b)`, "{Op:ORDER BY,OrderBy:[a,b],Table:{Table:t}}"},
		{"TRUNCATE TABLE d.t PARTITION (p, q)", "{Names:[p,q],Op:TRUNCATE PARTITION,Table:{DB:d,Table:t}}"},
		{"TRUNCATE TABLE t", ""},
		{`ALTER TABLE t ADD PARTITION PARTITIONS 4`, ""},
		{`ALTER TABLE t ADD COLUMN a INT`, ""},
		{`ALTER TABLE t ADD INDEX i (a)`, ""},
		{`ALTER TABLE t DROP COLUMN a`, ""},
		{`ALTER TABLE t RENAME TO u`, ""},
	} {
		l, err := Lift(c.sql, 0)
		if err != nil || (l == nil) != (c.want == "") {
			t.Errorf("%s: %+v %v", c.sql, l, err)
			continue
		}
		if l != nil {
			if got := compact(t, l.Alter); got != c.want {
				t.Errorf("%s:\n got %s\nwant %s", c.sql, got, c.want)
			}
		}
	}
}

func TestLiftDropForce(t *testing.T) {
	for sql, left := range map[string]string{
		"DROP TABLE IF EXISTS a, b FORCE;": "DROP TABLE IF EXISTS a, b      ;", "drop database d force": "drop database d      ",
		"DROP TABLE force": "", "DROP TABLE a, force": "", "DROP TABLE d.force": "", "DROP TABLE IF EXISTS force": "", "DROP TABLE": "", "DROP": "", "DROP TABLE a": "", "DROP VIEW v": "",
	} {
		l, err := Lift(sql, 0)
		if err != nil || (l == nil) != (left == "") || l != nil && (l.SQL != left || !l.Force) {
			t.Errorf("%s: %+v %v", sql, l, err)
		}
	}
}

func TestErrorInWholeText(t *testing.T) {
	whole := "SELECT 1;\n  CREATE TABLE t (a INT)\n   DISTRIBUTED x"
	p := Split(whole, 0)[1]
	_, err := Lift(p.Text, 0)
	var e *Error
	if !errors.As(err, &e) {
		t.Fatal(err)
	}
	if m := e.In(whole, p); m.Line != 3 || m.Column != 16 || whole[m.Offset:] != "x" || e.Line != 2 {
		t.Errorf("line %d column %d of the text, line %d of the piece", m.Line, m.Column, e.Line)
	}
}

func TestLiftCreateDatabase(t *testing.T) {
	sql := "CREATE DATABASE IF NOT EXISTS d CHARACTER SET utf8 PROPERTIES\n(\"replication_num\" = \"1\")"
	l, err := Lift(sql, 0)
	if err != nil || compact(t, l.Database) != "{Properties:[{Key:replication_num,Value:1}]}" || l.Database.Replicas != 0 {
		t.Fatalf("%+v, %v", l, err)
	}
	checkBlanked(t, sql, l.SQL)
	if got := strings.TrimSpace(l.SQL); got != "CREATE DATABASE IF NOT EXISTS d CHARACTER SET utf8" {
		t.Errorf("left %q", got)
	}
	sql = "CREATE DATABASE replica /*!40100 DEFAULT CHARACTER SET utf8 */ /*!99999 REPLICA 2 */"
	if l, err = Lift(sql, 0); err != nil || l.Database.Replicas != 2 || strings.Contains(l.SQL, "REPLICA") {
		t.Fatalf("%+v, %v", l, err)
	}
	checkBlanked(t, sql, l.SQL)
	for _, wrong := range []string{"CREATE DATABASE d REPLICA", "CREATE DATABASE d REPLICA 0", "CREATE DATABASE d REPLICA -1", "CREATE DATABASE d REPLICA x"} {
		if _, err := Lift(wrong, 0); err == nil {
			t.Errorf("%s is taken", wrong)
		}
	}
	if l, err := Lift("CREATE SCHEMA replica", 0); l != nil || err != nil {
		t.Errorf("a schema of that name: %+v %v", l, err)
	}
	if l, err := Lift("CREATE SCHEMA d", 0); l != nil || err != nil {
		t.Errorf("plain CREATE SCHEMA: %+v %v", l, err)
	}
}

func TestLiftErrors(t *testing.T) {
	for _, c := range []struct {
		sql  string
		code uint16
		near string
	}{
		{"CREATE TABLE t (a INT)\nDISTRIBUTED HASH(a)", 1064, "HASH(a)"},
		{"CREATE TABLE t (a INT) DISTRIBUTED BY HASH a", 1064, "a"},
		{"CREATE TABLE t (a INT) DISTRIBUTED BY HASH(a) BUCKETS 0", 1064, "0"},
		{"CREATE TABLE t (a INT) DISTRIBUTED BY HASH(a) DISTRIBUTED BY RANDOM", 1064, "DISTRIBUTED BY RANDOM"},
		{"CREATE TABLE t (a INT) PROPERTIES (a)", 1064, ")"},
		{"CREATE TABLE t (a INT) DUPLICATE KEY", 1064, ""},
		{"CREATE TABLE t (a INT) PARTITION BY RANGE(a) (PARTITION p VALUES LESS (1))", 1064, "(1))"},
		{"CREATE TABLE t (a INT) PARTITION BY RANGE(a) (PARTITION p VALUES LESS THAN ())", 1064, "))"},
		{"CREATE TABLE t (a INT) PARTITION BY RANGE(a) (PARTITION p VALUES [(1),(2)])", 1064, "])"},
		{"CREATE TABLE t (a INT) PARTITION BY RANGE(a) (START(1) END(2) EVERY(INTERVAL 1 EON))", 1064, "EON))"},
		{"CREATE TABLE t (a ARRAY<INT>)", 1235, "ARRAY<INT>)"},
		{"CREATE TABLE t (a INT, b BITMAP BITMAP_UNION)", 1235, "BITMAP BITMAP_UNION)"},
		{"CREATE TABLE t (a INT) ROLLUP (r(a))", 1235, "ROLLUP (r(a))"},
		{"ALTER TABLE t SET (\"a\"=\"b\") x", 1064, "x"},
		{"ALTER TABLE t DROP PARTITION", 1064, ""},
		{"TRUNCATE TABLE t PARTITION (p) x", 1064, "x"},
		{"ALTER TABLE t MODIFY PARTITION p", 1064, ""},
		{"CREATE DATABASE d PROPERTIES (x)", 1064, ")"},
	} {
		_, err := Lift(c.sql, 0)
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%s: %v", c.sql, err)
			continue
		}
		if got := c.sql[e.Offset:]; e.Code != c.code || got != c.near {
			t.Errorf("%s: error %d near %q, want %d near %q", c.sql, e.Code, got, c.code, c.near)
		}
	}
}

// TestLiftRandom glues clauses in random order, with comments and newlines between their tokens, and checks that each is
// found and nothing else is lost.
func TestLiftRandom(t *testing.T) {
	clauses := []string{"DUPLICATE KEY ( a , b )", "DISTRIBUTED BY HASH ( a ) BUCKETS 3", "PROPERTIES ( \"x\" = \"y\" )", "ORDER BY ( a )",
		"PARTITION BY RANGE ( a ) ( PARTITION p VALUES LESS THAN ( 'x' ) )", "ENGINE = olap", "COMMENT 'c'"}
	gaps := []string{" ", "\n", " /* DISTRIBUTED */ ", " -- x\n", "\t"}
	rapid.Check(t, func(rt *rapid.T) {
		order := rapid.Permutation(clauses).Draw(rt, "order")
		n := rapid.IntRange(0, len(order)).Draw(rt, "n")
		sql, left := "CREATE TABLE t ( a INT , b STRING )", 2
		var b strings.Builder
		for _, w := range strings.Fields(sql + " " + strings.Join(order[:n], " ")) {
			b.WriteString(w + rapid.SampledFrom(gaps).Draw(rt, "gap"))
		}
		src := b.String()
		l, err := Lift(src, 0)
		if err != nil {
			rt.Fatalf("%s: %v", src, err)
		}
		checkBlanked(rt, src, l.SQL)
		has := func(c string) bool { return strings.Contains(strings.Join(order[:n], " "), c) }
		tail := l.Tail
		for c, found := range map[string]bool{"DUPLICATE": len(tail.KeyColumns) == left, "DISTRIBUTED": tail.Distribution != nil, "PROPERTIES": len(tail.Properties) == 1,
			"ORDER": len(tail.OrderBy) == 1, "PARTITION BY": tail.Partition != nil && len(tail.Partition.Defs) == 1, "ENGINE": tail.Engine == "olap", "COMMENT": tail.Comment == "c"} {
			if found != has(c) {
				rt.Fatalf("%s: %s found %v", src, c, found)
			}
		}
		for _, tok := range Tokenize(l.SQL, 0) {
			if tok.Is(l.SQL, "DISTRIBUTED") || tok.Is(l.SQL, "PARTITION") || tok.Is(l.SQL, "PROPERTIES") || tok.Is(l.SQL, "STRING") {
				rt.Fatalf("%s: %s is left in %s", src, tok.Text(l.SQL), l.SQL)
			}
		}
	})
}

// FuzzLift checks invariants 2 and 4.
func FuzzLift(f *testing.F) {
	f.Add(starRocksTable, uint8(0))
	for _, s := range []string{"CREATE TABLE t (a STRING, b LARGEINT SUM) /*! PROPERTIES ( */ 'a'='b')", "ALTER TABLE t ADD COLUMN a STRING, ADD (b STRING", "CREATE DATABASE d PROPERTIES('a'='b')",
		"ALTER TABLE t ADD PARTITION p VALUES [('a'),('b'))", "CREATE TABLE t (INDEX i (a) USING GIN(x=y)"} {
		f.Add(s, uint8(AnsiQuotes))
	}
	f.Fuzz(func(t *testing.T, sql string, m uint8) {
		l, err := Lift(sql, Mode(m))
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Offset > len(sql) {
				t.Fatalf("%q: %v", sql, err)
			}
			return
		}
		if l != nil {
			checkBlanked(t, sql, l.SQL)
		}
	})
}
