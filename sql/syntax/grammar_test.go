package syntax

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// clusterGrammar is every administrative statement form of the systems whose users Stele serves, as sample syntaxes, each
// with statements that must match it (and, in want, how the arguments print).
var clusterGrammar = []struct {
	syntax string
	accept []string
	want   string // describe() of the first accepted statement
}{
	{"ADMIN SHOW REPLICA STATUS FROM <table:table> [{PARTITION|PARTITIONS} <parts:names>] [WHERE STATUS {sign: =|!=} <status:string>]",
		[]string{"admin show replica status from `d`.t partition (p1, 'p2') where status != \"OK\"",
			"ADMIN SHOW REPLICA STATUS FROM t", "ADMIN SHOW REPLICA STATUS FROM status PARTITIONS p1;",
			"ADMIN SHOW REPLICA STATUS FROM d.partition WHERE STATUS='DEAD'"},
		`table=d.t parts=[p1 p2] sign=!= status=OK`},
	{"ADMIN SHOW REPLICA DISTRIBUTION FROM <table:table> [{PARTITION|PARTITIONS} <parts:names>]",
		[]string{"ADMIN SHOW REPLICA DISTRIBUTION FROM t PARTITION p1, p2"}, "table=.t parts=[p1 p2]"},
	{"ADMIN REPAIR TABLE <table:table> [{PARTITION|PARTITIONS} <parts:names>]",
		[]string{"ADMIN REPAIR TABLE t", "ADMIN REPAIR TABLE d.t PARTITION(p)"}, "table=.t"},
	{"ADMIN CANCEL REPAIR TABLE <table:table> [PARTITION <parts:names>]", []string{"admin cancel repair table t"}, "table=.t"},
	{"ADMIN SET REPLICA STATUS <props:props>",
		[]string{`ADMIN SET REPLICA STATUS PROPERTIES("tablet_id" = "10003", "backend_id" = "10001", "status" = "bad")`},
		"props=tablet_id:10003,backend_id:10001,status:bad"},
	{"ADMIN CHECK {TABLET|TABLETS} <ids:ints> [<props:props>]",
		[]string{`ADMIN CHECK TABLET (10000, 10001) PROPERTIES("type" = "consistency")`, "ADMIN CHECK TABLETS 1"},
		"ids=[10000 10001] props=type:consistency"},
	{"ADMIN SET TABLE <table:table> PARTITION (<part:name>) VERSION TO <version:int>",
		[]string{"ADMIN SET TABLE t PARTITION ('12') VERSION TO 5"}, "table=.t part=12 version=5"},
	{"ADMIN SHOW FRONTEND CONFIG [LIKE <pattern:string>]",
		[]string{"ADMIN SHOW FRONTEND CONFIG LIKE '%slot%'", "ADMIN SHOW FRONTEND CONFIG"}, "pattern=%slot%"},
	{"ADMIN SET FRONTEND CONFIG <props:props> [WITH PERSISTENT]",
		[]string{`ADMIN SET FRONTEND CONFIG ("a.b" = "c") WITH PERSISTENT`, `admin set frontend config (x = -5, y.z = true)`},
		"props=a.b:c"},
	{"SHOW TABLET <id:int>", []string{"SHOW TABLET 10003"}, "id=10003"},
	{"SHOW {TABLET|TABLETS} FROM <table:table> [PARTITION <parts:names>] [WHERE <cond:expr>] [ORDER BY <order:expr>] [LIMIT <limit:expr>]",
		[]string{"SHOW TABLETS FROM t PARTITION(p) WHERE (version = 1 AND state = 'limit') ORDER BY a DESC, b LIMIT 5, 10",
			"SHOW TABLET FROM t LIMIT 1"},
		"table=.t parts=[p] cond=(version = 1 AND state = 'limit')@39 order=a DESC, b@82 limit=5, 10@98"},
	{"SHOW [TEMPORARY] PARTITIONS FROM <table:table> [WHERE <cond:expr>] [ORDER BY <order:expr>] [LIMIT <limit:expr>]",
		[]string{"SHOW PARTITIONS FROM t WHERE PartitionName LIKE 'p%'", "SHOW TEMPORARY PARTITIONS FROM d.t"},
		"table=.t cond=PartitionName LIKE 'p%'@29"},
	{"SHOW PROC <path:string>", []string{"SHOW PROC '/cluster_balance/working_slots'", `show proc "/"`}, "path=/cluster_balance/working_slots"},
	{"SHOW BACKENDS [LIKE <pattern:string>] [WHERE <cond:expr>]", []string{"SHOW BACKENDS", "SHOW BACKENDS WHERE Alive = 'false'"}, ""},
	{"SHOW FRONTENDS", []string{"SHOW FRONTENDS;"}, ""},
	{"SHOW COMPUTE NODES", []string{"show compute nodes"}, ""},
	{"SHOW DATA [FROM <table:table>]", []string{"SHOW DATA FROM t", "SHOW DATA"}, "table=.t"},
	{"SHOW DATA DISTRIBUTION FROM <table:table> [PARTITION <parts:names>]", []string{"SHOW DATA DISTRIBUTION FROM t"}, "table=.t"},
	{"ALTER SYSTEM {verb: ADD|DROP} {role: FOLLOWER|OBSERVER} <ep:hostport>",
		[]string{`ALTER SYSTEM ADD FOLLOWER "fe1:9010"`, "alter system drop observer [::1]:9010"}, "verb=ADD role=FOLLOWER ep=fe1:9010"},
	{"ALTER SYSTEM MODIFY {FRONTEND|BACKEND} HOST <from:string> TO <to:string>", []string{`ALTER SYSTEM MODIFY BACKEND HOST "a" TO "b"`}, "from=a to=b"},
	{"ALTER SYSTEM ADD BACKEND <eps:hostports>", []string{`ALTER SYSTEM ADD BACKEND "h1:9050", "h2:9050"`, "ALTER SYSTEM ADD BACKEND 10.0.0.1:9050"},
		"eps=h1:9050,h2:9050"},
	{"ALTER SYSTEM DROP BACKEND <eps:hostports> [FORCE]", []string{`ALTER SYSTEM DROP BACKEND "h:1" FORCE`}, "eps=h:1"},
	{"ALTER SYSTEM DECOMMISSION BACKEND <eps:hostports>", []string{`ALTER SYSTEM DECOMMISSION BACKEND "h:1"`}, "eps=h:1"},
	{"CANCEL DECOMMISSION BACKEND <eps:hostports>", []string{`CANCEL DECOMMISSION BACKEND "h:1", "i:2"`}, "eps=h:1,i:2"},
	{"ALTER SYSTEM MODIFY BACKEND <ep:hostport> SET <props:props>",
		[]string{`ALTER SYSTEM MODIFY BACKEND "h:1" SET ("labels.location" = "rack:rack1")`}, "ep=h:1 props=labels.location:rack:rack1"},
	{"ALTER SYSTEM {verb: ADD|DROP} COMPUTE NODE <eps:hostports>", []string{`ALTER SYSTEM DROP COMPUTE NODE "h:1"`}, "verb=DROP eps=h:1"},
	{"ALTER SYSTEM [CANCEL] {DECOMMISSION|DISABLE} DISK <paths:strings> ON BACKEND <ep:hostport>",
		[]string{`ALTER SYSTEM CANCEL DISABLE DISK "/d1", "/d2" ON BACKEND "h:1"`, `ALTER SYSTEM DECOMMISSION DISK ("/d1") ON BACKEND "h:1"`},
		"paths=[/d1 /d2] ep=h:1"},
	{"ALTER SYSTEM CLEAN TABLET SCHEDULER QUEUE", []string{"ALTER SYSTEM CLEAN TABLET SCHEDULER QUEUE"}, ""},
	{"ALTER SYSTEM CREATE IMAGE", []string{"ALTER SYSTEM CREATE IMAGE"}, ""},
	{"BALANCE VGROUP [LEADER [{ON <vg:int>|DATABASE <db:ident>}]]",
		[]string{"BALANCE VGROUP LEADER DATABASE d", "BALANCE VGROUP", "BALANCE VGROUP LEADER", "balance vgroup leader on 3"}, "db=d"},
	{"RESTORE DNODE <id:int>", []string{"RESTORE DNODE 3"}, "id=3"},
	{"RESTORE {what: MNODE|VNODE|QNODE} ON DNODE <id:int>", []string{"RESTORE VNODE ON DNODE 2"}, "what=VNODE id=2"},
	{"CREATE MNODE ON DNODE <id:int>", []string{"CREATE MNODE ON DNODE 2"}, "id=2"},
	{"CREATE DNODE <ep:hostport>", []string{`CREATE DNODE "h2.local:6030"`, "CREATE DNODE h-2.local:6030"}, "ep=h2.local:6030"},
	{"DROP DNODE {<id:int>|<ep:hostport>} [FORCE]", []string{"DROP DNODE 3 FORCE", `DROP DNODE "h:1"`}, "id=3"},
	{"ALTER DATABASE <db:ident> REPLICA <n:int>", []string{"ALTER DATABASE d REPLICA 3"}, "db=d n=3"},
	{"SHOW CLUSTER [ALIVE]", []string{"SHOW CLUSTER ALIVE", "SHOW CLUSTER"}, ""},
	{"SHOW <db:ident>.ALIVE", []string{"SHOW d.ALIVE"}, "db=d"},
	{"SHOW {what: DNODES|MNODES|QNODES|VNODES|VGROUPS}", []string{"SHOW MNODES", "SHOW VGROUPS"}, "what=MNODES"},
	{"SHOW <db:ident>.VGROUPS", []string{"SHOW `d`.vgroups"}, "db=d"},
	{"SHOW TRANSACTIONS", []string{"SHOW TRANSACTIONS"}, ""},
	{"KILL TRANSACTION <id:int>", []string{"KILL TRANSACTION 7"}, "id=7"},
	{"REDISTRIBUTE VGROUP <vg:int> DNODE <a:int> [DNODE <b:int> [DNODE <c:int>]]", []string{"REDISTRIBUTE VGROUP 2 DNODE 1 DNODE 3"}, "vg=2 a=1 b=3"},
	{"SPLIT VGROUP <vg:int>", []string{"SPLIT VGROUP 2"}, "vg=2"},
	{"MERGE VGROUP <a:int> <b:int>", []string{"MERGE VGROUP 2 3"}, "a=2 b=3"},
	{"ADMIN OFFLINE ENDPOINT <ep:hostport> [CONCURRENCY <c:int>]", []string{"ADMIN OFFLINE ENDPOINT 'h:1' CONCURRENCY 4"}, "ep=h:1 c=4"},
	{"ADMIN RECOVER ENDPOINT <ep:hostport> [RESTORE LEADERS] [CONCURRENCY <c:int>]", []string{"ADMIN RECOVER ENDPOINT 'h:1' RESTORE LEADERS"}, "ep=h:1"},
	{"ADMIN CHANGE LEADER <table:table> <pid:int> [{TO <ep:hostport>|AUTO}]", []string{"ADMIN CHANGE LEADER t 3 TO 'h:1'", "ADMIN CHANGE LEADER t 3 AUTO"}, "table=.t pid=3 ep=h:1"},
	{"ADMIN RECOVER TABLE <table:table> PARTITION <pid:int> ON <ep:hostport>", []string{"ADMIN RECOVER TABLE t PARTITION 3 ON 'h:1'"}, "table=.t pid=3 ep=h:1"},
	{"ADMIN RECOVER DATA [DATABASE <db:ident>]", []string{"ADMIN RECOVER DATA DATABASE d"}, "db=d"},
	{"SHOW OPSTATUS [FROM <table:table> [<pid:int>]]", []string{"SHOW OPSTATUS FROM t 3", "SHOW OPSTATUS"}, "table=.t pid=3"},
	{"BACKUP SNAPSHOT <name:table> TO <repo:ident> [ON (<tables:names>)]", []string{"BACKUP SNAPSHOT d.s TO r ON (a, b)"}, "name=d.s repo=r tables=[a b]"},
	{"CHECK {TABLE|TABLES} <tables:tables> [QUICK]", []string{"CHECK TABLE a, `b`.c QUICK", "CHECK TABLES a,b.c"}, "tables=[{ a} {b c}]"},
	{"ADMIN SET CONFIG <key:name> {'='|TO} <val:value>", []string{"ADMIN SET CONFIG a = 1.5", "ADMIN SET CONFIG a TO on", "ADMIN SET CONFIG 'a' = -3"}, "key=a val=1.5"},
}

// describe prints arguments in the order of the syntax.
func describe(s *Syntax, a Args) string {
	var out []string
	seen := map[string]bool{}
	for _, p := range s.Params() {
		if !a.Has(p.Name) || seen[p.Name] {
			continue
		}
		seen[p.Name] = true
		out = append(out, p.Name+"="+describeOne(p, a))
	}
	return strings.Join(out, " ")
}

func describeOne(p ParamInfo, a Args) string {
	switch p.Type {
	case TypeTable:
		db, t := a.Table(p.Name)
		return db + "." + t
	case TypeTables:
		return fmt.Sprint(a.Tables(p.Name))
	case TypeNames, TypeStrings:
		return fmt.Sprint(a.Names(p.Name))
	case TypeInt:
		return fmt.Sprint(a.Int(p.Name))
	case TypeInts:
		return fmt.Sprint(a.Ints(p.Name))
	case TypeExpr:
		return fmt.Sprintf("%s@%d", a.Expr(p.Name).Text, a.Expr(p.Name).Offset)
	case TypeProps:
		var kv []string
		for _, p := range a.Props(p.Name) {
			kv = append(kv, p.Key+":"+p.Value)
		}
		return strings.Join(kv, ",")
	case TypeHostPort:
		return fmt.Sprintf("%s:%d", a.HostPort(p.Name).Host, a.HostPort(p.Name).Port)
	case TypeHostPorts:
		var eps []string
		for _, hp := range a.HostPorts(p.Name) {
			eps = append(eps, fmt.Sprintf("%s:%d", hp.Host, hp.Port))
		}
		return strings.Join(eps, ",")
	case "":
		return a.Choice(p.Name)
	default:
		return a.String(p.Name)
	}
}

// testRouter holds the whole cluster grammar; ids are the syntax texts.
func testRouter(tb testing.TB) *Router {
	r := NewRouter()
	for _, g := range clusterGrammar {
		if err := r.Add(g.syntax, MustCompile(g.syntax)); err != nil {
			tb.Fatal(err)
		}
	}
	return r
}

func TestClusterGrammar(t *testing.T) {
	r := testRouter(t)
	for _, g := range clusterGrammar {
		s := MustCompile(g.syntax)
		if again := MustCompile(s.String()); again.String() != s.String() {
			t.Errorf("%s prints %s, which prints %s", g.syntax, s, again)
		}
		for i, sql := range g.accept {
			id, args, err, ours := r.Match(sql, 0)
			if err != nil || !ours || id != g.syntax {
				t.Errorf("%s: ours %v id %q err %v", sql, ours, id, err)
				continue
			}
			if got := describe(s, args); i == 0 && got != g.want {
				t.Errorf("%s:\n got %s\nwant %s", sql, got, g.want)
			}
			if ansi, err := s.Match(sql, AnsiQuotes); err != nil || describe(s, ansi) != describe(s, args) {
				t.Errorf("%s under ANSI_QUOTES: %v", sql, err)
			}
		}
	}
}

func TestRouterErrors(t *testing.T) {
	r := testRouter(t)
	for _, c := range []struct{ sql, near, expected string }{
		{"ADMIN SHOW REPLICA STATUS t", "t", "FROM"},
		{"ADMIN SHOW REPLICA STATUS FROM t WHERE state = 'OK'", "state = 'OK'", "STATUS"},
		{"ADMIN SHOW REPLICA STATUS FROM t WHERE STATUS > 'OK'", "> 'OK'", "'=', '!='"},
		{"ADMIN SHOW REPLICA STATUS FROM t PARTITION (p1", "", "',' or ')'"},
		{"ADMIN SHOW REPLICA STATUS FROM", "", "table name"},
		{"ADMIN SHOW REPLICA x", "x", "STATUS, DISTRIBUTION"},
		{"SHOW TABLET x", "x", "FROM, integer"},
		{"SHOW BACKENDS x", "x", "LIKE, WHERE, end of statement"},
		{"SHOW BACKENDS; SHOW BACKENDS", "; SHOW BACKENDS", "LIKE, WHERE, end of statement"},
		{"SHOW PROC", "", "string"},
		{"SHOW PROC ?", "?", "string"},
		{"ALTER SYSTEM\nADD BACKEND \"h\"", "\"h\"", "list of 'host:port'"},
		{"ALTER SYSTEM ADD BACKEND \"h:99999\"", "\"h:99999\"", "list of 'host:port'"},
		{"ALTER SYSTEM FOO", "FOO", "ADD, DROP, MODIFY, DECOMMISSION, CANCEL, DISABLE, CLEAN, CREATE"},
		{"ADMIN SET FRONTEND CONFIG (\"a\")", ")", "'='"},
		{"ADMIN SET FRONTEND CONFIG (\"a\" = )", ")", "value"},
		{"ALTER DATABASE d REPLICA x", "x", "integer"},
		{"SHOW TABLET 99999999999999999999", "99999999999999999999", "FROM, integer"},
		{"SHOW TABLETS FROM t WHERE a = ?", "?", "expression"},
		{"BALANCE", "", "VGROUP"},
		{"SHOW PROC 'abc", "'abc", "string"},
	} {
		_, _, err, ours := r.Match(c.sql, 0)
		var e *Error
		if !ours || !errors.As(err, &e) {
			t.Errorf("%s: ours %v err %v", c.sql, ours, err)
			continue
		}
		if got := c.sql[e.Offset:]; got != c.near || e.Code != 1064 || e.State != "42000" {
			t.Errorf("%s: error %d near %q, want %q", c.sql, e.Code, got, c.near)
		}
		if got := strings.Join(e.Expected, ", "); got != c.expected {
			t.Errorf("%s: expected %q, want %q", c.sql, got, c.expected)
		}
		if wantLine := strings.Count(c.sql[:e.Offset], "\n") + 1; e.Line != wantLine ||
			!strings.Contains(e.Msg, fmt.Sprintf("near '%s' at line %d", c.near, wantLine)) {
			t.Errorf("%s: line %d in %q", c.sql, e.Line, e.Msg)
		}
	}
}

func TestRouterLeavesMySQLAlone(t *testing.T) {
	r := testRouter(t)
	for _, sql := range []string{"SELECT 1", "SHOW TABLES", "SHOW x", "ALTER DATABASE d CHARACTER SET utf8",
		"ALTER TABLE t ADD COLUMN a INT", "KILL 5", "SHOW REPLICA STATUS", "RESTORE DATABASE d FROM 'x'", "", ";", "/* c */", "SHOW", "SHOW d.t", "`SHOW` BACKENDS", "CREATE TABLE mnode (a int)"} {
		if id, _, err, ours := r.Match(sql, 0); ours {
			t.Errorf("%s was taken: id %q err %v", sql, id, err)
		}
	}
}

func TestArgs(t *testing.T) {
	s := MustCompile("ALTER SYSTEM DROP BACKEND <eps:hostports> [FORCE] [<props:props>]")
	a, err := s.Match(`alter system drop backend "a:1" force properties("K"="1", "k"="2")`, 0)
	if err != nil {
		t.Fatal(err)
	}
	if !a.Has("FORCE") || a.Has("force") || a.Has("nothing") || a.Offset("FORCE") != 32 || a.Offset("nothing") != -1 {
		t.Errorf("keyword FORCE: has %v at %d", a.Has("FORCE"), a.Offset("FORCE"))
	}
	if v, ok := a.Prop("props", "k"); !ok || v != "2" {
		t.Errorf("prop k = %q, %v", v, ok)
	}
	if a.Int("nothing") != 0 || a.String("nothing") != "" || a.Names("nothing") != nil {
		t.Error("a missing argument is not its zero value")
	}
	defer func() {
		if recover() == nil {
			t.Error("an argument read as the wrong type does not panic")
		}
	}()
	a.Int("eps")
}

func TestCompileErrors(t *testing.T) {
	for _, text := range []string{"", "<a:ident>", "[A]", "A <b>", "A <b:nosuch>", "A <B:ident>", "A [", "A [B", "A {B}", "A {B|}", "A ]", "A | B",
		"A <x:int> <x:ident>", "A <a b:int>", "A '", "A \x01"} {
		if s, err := Compile(text); err == nil {
			t.Errorf("%q compiles to %s", text, s)
		}
	}
	r := NewRouter()
	if err := r.Add("a", MustCompile("A B")); err != nil {
		t.Fatal(err)
	}
	if err := r.Add("b", MustCompile("a  b")); err == nil {
		t.Error("the same syntax was registered twice")
	}
}

func TestLeads(t *testing.T) {
	s := MustCompile("ALTER SYSTEM [CANCEL] {DECOMMISSION|DISABLE} DISK <p:string>")
	want := "[[ALTER SYSTEM CANCEL DECOMMISSION DISK] [ALTER SYSTEM CANCEL DISABLE DISK] [ALTER SYSTEM DECOMMISSION DISK] [ALTER SYSTEM DISABLE DISK]]"
	if got := fmt.Sprint(s.Leads()); got != want {
		t.Errorf("got %s", got)
	}
	p := MustCompile("A {x: B|C} <n:int>").Params()
	if len(p) != 2 || !slices.Equal(p[0].Choices, []string{"B", "C"}) || p[1].Type != TypeInt {
		t.Errorf("params %+v", p)
	}
}

// FuzzRouter checks that no statement panics, that errors stand at a token and that what matches keeps matching with blanks around it.
func FuzzRouter(f *testing.F) {
	r := testRouter(f)
	for _, g := range clusterGrammar {
		for _, sql := range g.accept {
			f.Add(sql, uint8(0))
		}
	}
	f.Fuzz(func(t *testing.T, sql string, m uint8) {
		id, args, err, ours := r.Match(sql, Mode(m))
		if !ours {
			return
		}
		var e *Error
		if err != nil && (!errors.As(err, &e) || e.Offset < 0 || e.Offset > len(sql)) {
			t.Fatalf("%q: %v", sql, err)
		}
		if err == nil {
			s := MustCompile(id)
			again, err := s.Match("\n"+sql+" ", Mode(m))
			if err != nil || len(again.caps) != len(args.caps) {
				t.Fatalf("%q matches %s, but not with blanks around it: %v", sql, id, err)
			}
		}
	})
}
