package parse

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"stele/sql/syntax"
)

// accepted are statements of every kind that must parse, with the type of their node.
var accepted = []struct{ sql, node string }{
	{"SELECT 1", "*ast.SelectStmt"},
	{"select a.b, count(*) c from d.t as a join u using (k) left join v on a.x = v.x where a.b in (1,2) and c like 'x%' group by a.b with rollup having c > 1 order by 2 desc limit 5, 10", "*ast.SelectStmt"},
	{"with recursive c(n) as (select 1 union all select n+1 from c where n < 5) select * from c", "*ast.SelectStmt"},
	{"select row_number() over (partition by a order by b rows between 1 preceding and current row) from t", "*ast.SelectStmt"},
	{"select 1 union select 2 intersect select 3 except select 4", "*ast.SetOprStmt"},
	{"select * from t where exists (select 1) and a > all (select 2) and b between 1 and 2 and c is not null and (d,e) = (1,2) for update skip locked", "*ast.SelectStmt"},
	{"select cast(a as signed), case when a then b else c end, date_add(d, interval 1 day), extract(year from d), @x := 1, @@sql_mode, a <=> b, x'1f', b'1', 1e3, 1.5, 18446744073709551615, 123456789012345678901234567890.5, _latin1'x', 'a' 'b' from t", "*ast.SelectStmt"},
	{"insert into t (a,b) values (1,?),(default,'x') on duplicate key update a = values(a)", "*ast.InsertStmt"},
	{"replace into t select * from u", "*ast.InsertStmt"},
	{"update t join u on t.a = u.a set t.b = u.b where t.c = 1", "*ast.UpdateStmt"},
	{"delete from t where a = 1 limit 3", "*ast.DeleteStmt"},
	{"create table t (id bigint unsigned not null auto_increment primary key, a varchar(20) character set utf8mb4 default 'x' comment 'c', b json, c int generated always as (id + 1) stored, unique key u (a), constraint f foreign key (a) references u (a)) engine=InnoDB default charset=utf8mb4", "*ast.CreateTableStmt"},
	{"create table t (k string, v largeint sum) aggregate key (k) partition by range(k) (start ('1') end ('9') every (1)) distributed by hash(k) buckets 3 properties ('replication_num'='1')", "*ast.CreateTableStmt"},
	{"create table t (a int) partition by hash(a) partitions 4", "*ast.CreateTableStmt"},
	{"create table t distributed by hash(a) as select a from u", "*ast.CreateTableStmt"},
	{"create temporary table t like u", "*ast.CreateTableStmt"},
	{"drop table if exists a, b", "*ast.DropTableStmt"},
	{"drop table a force", "*ast.DropTableStmt"},
	{"truncate table t", "*ast.TruncateTableStmt"},
	{"alter table t add column a string after b, drop column c, add index i (a), rename to u", "*ast.AlterTableStmt"},
	{"create database if not exists d properties ('replication_num'='1')", "*ast.CreateDatabaseStmt"},
	{"drop database d", "*ast.DropDatabaseStmt"},
	{"use d", "*ast.UseStmt"},
	{"show full tables from d like 'x%'", "*ast.ShowStmt"},
	{"show create table t", "*ast.ShowStmt"},
	{"explain format='brief' select 1", "*ast.ExplainStmt"},
	{"explain analyze select 1", "*ast.ExplainStmt"},
	{"desc t", "*ast.ExplainStmt"},
	{"set @x = 1, global y = 'z', session z = default, names utf8mb4", "*ast.SetStmt"},
	{"start transaction with consistent snapshot", "*ast.BeginStmt"},
	{"commit", "*ast.CommitStmt"},
	{"rollback to savepoint s", "*ast.RollbackStmt"},
	{"savepoint s", "*ast.SavepointStmt"},
	{"prepare s from 'select ?'", "*ast.PrepareStmt"},
	{"execute s using @a, @b", "*ast.ExecuteStmt"},
	{"deallocate prepare s", "*ast.DeallocateStmt"},
	{"kill query 5", "*ast.KillStmt"},
	{"load data local infile '/x' into table t fields terminated by ',' lines terminated by '\\n' ignore 1 lines (a, @b) set c = @b", "*ast.LoadDataStmt"},
	{"analyze table t", "*ast.AnalyzeTableStmt"},
	{"create index i on t (a)", "*ast.CreateIndexStmt"},
	{"create view v as select 1", "*ast.CreateViewStmt"},
	{"create user 'u'@'%' identified by 'p'", "*ast.CreateUserStmt"},
	{"grant select on d.* to 'u'@'%'", "*ast.GrantStmt"},
	{"lock tables t write", "*parse.LockTablesStmt"},
	{"lock tables d.t as `x` read local, u low_priority write, v w write", "*parse.LockTablesStmt"},
	{"flush privileges", "*ast.FlushStmt"},
	{"do sleep(1)", "*ast.DoStmt"},
	{"select 1 /*T![nosuchfeature] broken ( */ + /*T! * */ 1", "*ast.SelectStmt"},
	{"/*!40101 SET NAMES utf8 */;", "*ast.SetStmt"},
	{"select cast(x.b as string) from (select 1) x (b)", "*ast.SelectStmt"},
	{"insert into t (a) values (1) as n (x) on duplicate key update a = x", "*ast.InsertStmt"},
	{"explain format=tree select 1", "*ast.ExplainStmt"},
}

func TestAccepted(t *testing.T) {
	for _, c := range accepted {
		st, err := Parse(c.sql, 0)
		if err != nil {
			t.Errorf("%s: %v", c.sql, err)
			continue
		}
		if got := fmt.Sprintf("%T", st.Node); got != c.node {
			t.Errorf("%s: node %s, want %s", c.sql, got, c.node)
		}
		if text, err := Restore(st.Node); err != nil {
			t.Errorf("%s: %v", c.sql, err)
		} else if _, err := Parse(text, 0); err != nil {
			t.Errorf("%s is written as %s: %v", c.sql, text, err)
		}
	}
}

func TestTPCHParses(t *testing.T) {
	for i, q := range tpchLike {
		if _, err := Parse(q, 0); err != nil {
			t.Errorf("query %d: %v", i, err)
		}
	}
}

// rejected are statements with the text that the error must quote, from the offending token to the end.
func TestRejected(t *testing.T) {
	long := strings.Repeat("a + ", 2000) + "1"
	for _, c := range []struct {
		sql  string
		code uint16
		near string
	}{
		{"SELEC 1", 1064, "SELEC 1"},
		{"select * form t", 1064, "form t"},
		{"select 1,\n  2,\n  from t", 1064, "from t"},
		{"select (1", 1064, ""},
		{"select 'abc", 1064, "'abc"},
		{"select 1 /* open", 1064, "/* open"},
		{"select \"a\" \"", 1064, "\""},
		{"select x from t where a = 'x\" y", 1064, "'x\" y"},
		{"select 1; select 2", 1064, "select 2"},
		{"create table t (a int,\n b string,\n c nosuchtype)\ndistributed by hash(a)", 1064, "nosuchtype)\ndistributed by hash(a)"},
		{"create table t (a int)\nproperties (\"x\" = \"y\")\ndistributed by hash(a) nonsense 1", 1064, "nonsense 1"},
		{"create table t (a int) distributed by hash(a) buckets x", 0, ""},
		{"create table t (a int) distributed by hash a", 1064, "a"},
		{"create table t (a array<int>)", 1235, "array<int>)"},
		{"select ) " + long, 1064, ") " + long},
		{"select " + long + " from from " + long, 1064, "from " + long},
		{"select ? from t limit ?,", 1064, ""},
		{"ADMIN SHOW REPLICA STATUS FROM t", 1064, "STATUS FROM t"},
		{"select 1 from (select 1) x (a) form t", 1064, "form t"},
		{"insert into t values (1,2) as n(x, y) on duplicate key update a = x", 1235, "as n(x, y) on duplicate key update a = x"},
		{"insert into t values (1) as n on duplicate key update a = = 1", 1064, "= 1"},
		{"select cast(a as string) c form t", 1064, "form t"},
		{"explain format=tree selec 1", 1064, "selec 1"},
		{"select 1 from (select 1) x (a, 1)", 1064, "(a, 1)"},
		{"", 1065, ""},
		{" -- nothing\n", 1065, ""},
		{";", 1065, ""},
	} {
		_, err := Parse(c.sql, 0)
		if c.code == 0 {
			c.code, c.near = 1064, "x"
		}
		var e *syntax.Error
		if !errors.As(err, &e) {
			t.Errorf("%.60s: %v", c.sql, err)
			continue
		}
		if e.Code != c.code || e.State != "42000" {
			t.Errorf("%.60s: code %d state %s: %s", c.sql, e.Code, e.State, e.Msg)
		}
		if c.code == 1065 {
			continue
		}
		if got := c.sql[e.Offset:]; got != c.near {
			t.Errorf("%.60s: near %.80q, want %.80q", c.sql, got, c.near)
		}
		head := c.sql[:e.Offset]
		if line := strings.Count(head, "\n") + 1; e.Line != line || e.Column != len(head)-strings.LastIndexByte(head, '\n') {
			t.Errorf("%.60s: line %d column %d: %s", c.sql, e.Line, e.Column, e.Msg)
		}
		if c.code == 1064 && !strings.Contains(e.Msg, fmt.Sprintf("near '%.80s' at line %d", c.near, e.Line)) {
			t.Errorf("%.60s: %s", c.sql, e.Msg)
		}
	}
}

func TestParserErrorsWithCode(t *testing.T) {
	_, err := Parse("create table t (a varchar(10) character set nosuch)", 0)
	var e *syntax.Error
	if !errors.As(err, &e) || e.Code != 1115 || !strings.Contains(e.Msg, "nosuch") {
		t.Errorf("unknown charset: %v", err)
	}
}

func TestModes(t *testing.T) {
	for _, c := range []struct {
		sql  string
		mode syntax.Mode
		want string
	}{
		{`select "a" from t`, 0, "SELECT 'a' FROM `t`"},
		{`select "a" from t`, syntax.AnsiQuotes, "SELECT `a` FROM `t`"},
		{`select a || b`, 0, "SELECT `a` OR `b`"},
		{`select a || b`, syntax.PipesAsConcat, "SELECT CONCAT(`a`, `b`)"},
		{`select 'a\b'`, syntax.NoBackslashEscapes, `SELECT 'a\b'`},
	} {
		// The second round finds a parser in the pool that was last used in another mode.
		for range 2 {
			st, err := Parse(c.sql, c.mode)
			if err != nil {
				t.Errorf("%s: %v", c.sql, err)
				continue
			}
			if got, err := Restore(st.Node); err != nil || got != c.want && c.mode != syntax.NoBackslashEscapes {
				t.Errorf("%s mode %d: %s, %v", c.sql, c.mode, got, err)
			}
			if _, err := Parse("select 1", syntax.HighNotPrecedence); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestParams(t *testing.T) {
	sql := "insert into t (a, b) values (?, 'no ?'), (?, ?) on duplicate key update a = ? + 1"
	st, err := Parse(sql, 0)
	if err != nil || len(st.Params) != 4 {
		t.Fatalf("%d params, %v", len(st.Params), err)
	}
	sel, err := Parse("select ?, (select max(x) from u where y = ?) from t where a = ? and b in (?, ?) group by c having d > ? order by ? limit ?, ?", 0)
	if err != nil || len(sel.Params) != 9 {
		t.Fatalf("%d params, %v", len(sel.Params), err)
	}
	last := -1
	for i, p := range sel.Params {
		if p.Order != i || p.Offset <= last || sel.Text[p.Offset] != '?' {
			t.Errorf("parameter %d: order %d offset %d", i, p.Order, p.Offset)
		}
		last = p.Offset
	}
	lim := sel.Node.(*SelectStmt).Limit
	if lim.Offset.(*Param).Order != 7 || lim.Count.(*Param).Order != 8 {
		t.Error("LIMIT ?, ? is numbered in another order than written")
	}
}

func TestLiterals(t *testing.T) {
	st, err := Parse("select null, true, 5, 18446744073709551615, 1234567890123456789012345678901234567890.50, 1e3, 'a''b', x'6162', 0x1, b'101', _latin1'x', 99999999999999999999", 0)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range st.Node.(*SelectStmt).Fields.Fields {
		l := f.Expr.(*Literal)
		got = append(got, fmt.Sprintf("%d:%v", l.Kind, l.GetValue()))
	}
	want := "0:<nil> 1:1 1:5 2:18446744073709551615 3:1234567890123456789012345678901234567890.50 4:1000 5:a'b 6:ab 6:\x01 7:\x05 5:x 3:99999999999999999999"
	if s := strings.Join(got, " "); s != want {
		t.Errorf("got  %s\nwant %s", s, want)
	}
	fields := st.Node.(*SelectStmt).Fields.Fields
	if tp := fields[4].Expr.(*Literal).GetType(); tp.GetFlen() != 42 || tp.GetDecimal() != 2 || tp.GetType() != TypeNewDecimal {
		t.Errorf("decimal type %d(%d,%d)", tp.GetType(), tp.GetFlen(), tp.GetDecimal())
	}
	if !fields[1].Expr.(*Literal).Bool || fields[10].Expr.(*Literal).Type.GetCharset() != "latin1" {
		t.Error("TRUE or introducer")
	}
}

func TestDerivedColumns(t *testing.T) {
	st, err := Parse("select * from (select 1, 2) as x (a, `b c`), ((select 3))`y``z`\n(d), (select 4) w, (values row(1)) v(e) where x.a in (select 1)", 0)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	var walk func(n ResultSetNode)
	walk = func(n ResultSetNode) {
		switch x := n.(type) {
		case *Join:
			walk(x.Left)
			if x.Right != nil {
				walk(x.Right)
			}
		case *TableSource:
			got = append(got, fmt.Sprint(x.AsName.O, x.ColumnNames))
		}
	}
	walk(st.Node.(*SelectStmt).From.TableRefs)
	if want := "x[a b c] y`z[d] w[] v[e]"; strings.Join(got, " ") != want {
		t.Errorf("got %s, want %s", strings.Join(got, " "), want)
	}
}

func TestRepairs(t *testing.T) {
	for _, c := range []struct{ sql, want string }{
		{"select cast(a as string), (select 1 as string) from t", "SELECT CAST(`a` AS CHAR),(SELECT 1 AS `string`) FROM `t`"},
		{"explain format=tree select 1", "EXPLAIN FORMAT = 'tree' SELECT 1"},
		{"explain verbose select 1", "EXPLAIN FORMAT = 'verbose' SELECT 1"},
		{"insert into t (a,b) values (1,2) as new on duplicate key update a = new.a + t.a, b = b",
			"INSERT INTO `t` (`a`,`b`) VALUES (1,2) ON DUPLICATE KEY UPDATE `a`=VALUES(`a`)+`t`.`a`,`b`=`b`"},
		{"insert into t (a,b) values (1,2) as `n`(x, y)\non duplicate key update a = x + n.Y + b", "INSERT INTO `t` (`a`,`b`) VALUES (1,2) ON DUPLICATE KEY UPDATE `a`=VALUES(`a`)+VALUES(`b`)+`b`"},
		{"insert into t set a = 1 as new on duplicate key update a = new.a", "INSERT INTO `t` SET `a`=1 ON DUPLICATE KEY UPDATE `a`=VALUES(`a`)"},
		{"set persist max_connections = 5, @@persist.wait_timeout = 6, @x = 7", "SET @@GLOBAL.`max_connections`=5, @@GLOBAL.`wait_timeout`=6, @`x`=7"},
		{"create user a@h identified by 'x' default role `r`@`%`, s require none", "CREATE USER `a`@`h` IDENTIFIED BY 'x' REQUIRE NONE"},
		{"alter user if exists a default role none", "ALTER USER IF EXISTS `a`@`%`"},
		{"grant r, `s t`@h to a, b@c with admin option", "GRANT `r`@`%`, `s t`@`h` TO `a`@`%`, `b`@`c`"},
		{"select cast(x.b as string) from (select ?) x (b) where ? = 1", "SELECT CAST(`x`.`b` AS CHAR) FROM (SELECT ?) AS `x`(`b`) WHERE ?=1"},
	} {
		st, err := Parse(c.sql, 0)
		if err != nil {
			t.Errorf("%s: %v", c.sql, err)
			continue
		}
		if got, err := Restore(st.Node); err != nil || got != c.want {
			t.Errorf("%s:\n got %s, %v\nwant %s", c.sql, got, err, c.want)
		}
	}
}

// TestRolesOfAccounts expects what the tree of the parser has no place for.
func TestRolesOfAccounts(t *testing.T) {
	for sql, want := range map[string]string{
		"CREATE USER a DEFAULT ROLE r, s@h":                          "[`r`@`%` `s`@`h`] 4",
		"CREATE USER a, b DEFAULT ROLE 'x y'@'z' ACCOUNT LOCK":       "[`x y`@`z`] 4",
		"ALTER USER a IDENTIFIED BY 'default role x' DEFAULT ROLE r": "[`r`@`%`] 4",
		"ALTER USER CURRENT_USER() DEFAULT ROLE ALL":                 "[] 2",
		"ALTER USER a DEFAULT ROLE NONE":                             "[] 1",
	} {
		st, err := Parse(sql, 0)
		if err != nil {
			t.Errorf("%s: %v", sql, err)
			continue
		}
		n, ok := st.Node.(*DefaultRolesStmt)
		if !ok {
			t.Errorf("%s: %T", sql, st.Node)
			continue
		}
		if got := fmt.Sprint(n.Default.RoleList, " ", int(n.Default.SetRoleOpt)); got != want {
			t.Errorf("%s: %s, want %s", sql, got, want)
		}
	}
	st, err := Parse("GRANT r TO u WITH ADMIN OPTION", 0)
	if _, ok := st.Node.(*GrantAdminStmt); !ok || err != nil {
		t.Errorf("%T, %v", st.Node, err)
	}
	for _, sql := range []string{"GRANT SELECT ON t TO u WITH ADMIN OPTION", "CREATE USER a DEFAULT ROLE", "CREATE USER a DEFAULT ROLE r,", "CREATE USER a DEFAULT ROLE r r r"} {
		if st, err := Parse(sql, 0); err == nil {
			t.Errorf("%s: parsed as %T", sql, st.Node)
		}
	}
}

// TestUnknown expects what the grammar lacks to be refused by name.
func TestUnknown(t *testing.T) {
	for sql, name := range map[string]string{
		"XA START 'x'":                  "XA",
		"FLUSH SSL":                     "FLUSH SSL",
		"FLUSH RELAY LOGS":              "FLUSH RELAY LOGS",
		"FLUSH INDEX_STATISTICS":        "FLUSH INDEX_STATISTICS",
		"FLUSH STATUS, USER_STATISTICS": "FLUSH of several things",

		"SET PASSWORD = '*81F5E21E35407D884A6CD4A731AEBFB6AF209E1B', sql_log_off = 0": "SET PASSWORD with variables; ALTER USER USER() IDENTIFIED BY '…' sets a password",

		"CREATE DEFINER = a@b TRIGGER c":                                    "CREATE TRIGGER",
		"LOCK INSTANCE FOR BACKUP":                                          "LOCK INSTANCE",
		"SET PERSIST_ONLY a = 1":                                            "SET PERSIST_ONLY",
		"SELECT * FROM JSON_TABLE('[]', '$[*]' COLUMNS (a INT PATH '$')) t": "JSON_TABLE",
		"SELECT JSON_VALUE(a, '$.b' RETURNING SIGNED) FROM t":               "RETURNING of JSON_VALUE",
		"SELECT JSON_VALUE(a, '$.b' RETURNING DATE) FROM t":                 "RETURNING of JSON_VALUE",
		"CREATE TABLE t (a INT, b INT INVISIBLE)":                           "INVISIBLE columns",
		"ALTER TABLE t ADD COLUMN b INT NOT NULL INVISIBLE":                 "INVISIBLE columns",
		"INSERT INTO t VALUES (1) RETURNING a":                              "RETURNING",
		"CREATE USER a IDENTIFIED BY RANDOM PASSWORD":                       "IDENTIFIED BY RANDOM PASSWORD",
		"SELECT a INTO OUTFILE '/x' FROM t":                                 IntoFile,
		"SELECT a FROM t INTO DUMPFILE '/x'":                                IntoFile,
		"(SELECT 1) UNION (SELECT 2) INTO OUTFILE 'x'":                      IntoFile,
		"SELECT 1 FROM t WHERE returning BETWEEN":                           "",
	} {
		_, err := Parse(sql, 0)
		var e *syntax.Error
		if !errors.As(err, &e) || name != "" && (e.Code != 1235 || !strings.Contains(e.Error(), "'"+name+"'")) || name == "" && e.Code != 1064 {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

func TestAdminAndAlter(t *testing.T) {
	r := syntax.NewRouter()
	if err := r.Add("show_backends", syntax.MustCompile("SHOW BACKENDS [LIKE <pattern:string>]")); err != nil {
		t.Fatal(err)
	}
	p := New(r)
	st, err := p.Parse("SHOW BACKENDS LIKE 'a%';", 0)
	if err != nil || st.Admin == nil || st.Admin.ID != "show_backends" || st.Admin.Args.String("pattern") != "a%" || st.Node != nil {
		t.Errorf("%+v, %v", st, err)
	}
	if _, err := p.Parse("SHOW BACKENDS LIKE ?", 0); err == nil {
		t.Error("a parameter in an administrative statement was accepted")
	}
	if st, err := p.Parse("SHOW TABLES", 0); err != nil || st.Node == nil {
		t.Errorf("SHOW TABLES: %v", err)
	}
	st, err = p.Parse(`ALTER TABLE t SET ("a"="b")`, 0)
	if err != nil || st.Alter == nil || st.Alter.Op != syntax.AlterSet || st.Node != nil {
		t.Errorf("%+v, %v", st, err)
	}
	st, err = p.Parse("CREATE TABLE t (k STRING) DISTRIBUTED BY HASH(k) BUCKETS 2", 0)
	if err != nil || st.Tail == nil || st.Tail.Distribution.Buckets != 2 || st.Tail.TypeOf("k") != "STRING" {
		t.Errorf("%+v, %v", st, err)
	}
}

func TestNesting(t *testing.T) {
	deep := "select " + strings.Repeat("(", nestingMax+1) + "1" + strings.Repeat(")", nestingMax+1)
	var e *syntax.Error
	if _, err := Parse(deep, 0); !errors.As(err, &e) || e.Code != 1436 {
		t.Errorf("deep statement: %v", err)
	}
	if _, err := Parse("select "+strings.Repeat("- ", nestingMax)+"1", 0); !errors.As(err, &e) || e.Code != 1436 {
		t.Errorf("long chain: %v", err)
	}
	wide := "select 1 from t where a in (1" + strings.Repeat(",-1", nestingMax/2) + ")"
	if _, err := Parse(wide, 0); err != nil {
		t.Errorf("wide statement: %v", err)
	}
}

// TestConcurrent shares the pool between goroutines; run with the race detector it checks invariant 1.
func TestConcurrent(t *testing.T) {
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 50 {
				sql := fmt.Sprintf("select %d from t%d where a = ?", i, g)
				st, err := Parse(sql, 0)
				if err != nil || len(st.Params) != 1 || st.Node.(*SelectStmt).Fields.Fields[0].Expr.(*Literal).Int != int64(i) {
					t.Errorf("%s: %v", sql, err)
				}
			}
		})
	}
	wg.Wait()
}
