package account

import (
	"fmt"
	"strings"
	"testing"

	"stele/meta/model"
	"stele/sql/parse"
	sqltypes "stele/sql/types"
)

func grants(t *testing.T, statements ...string) *model.User {
	t.Helper()
	u := &model.User{Name: "ann", Host: "%"}
	for _, sql := range statements {
		st, err := parse.New(nil).Parse("GRANT "+sql+" TO ann", 0)
		if err != nil {
			t.Fatal(err)
		}
		n := st.Node.(*parse.GrantStmt)
		g, err := Clause{Privileges: n.Privs, Object: n.ObjectType, Level: n.Level, DB: "d"}.Grant()
		if err != nil {
			t.Fatal(err)
		}
		if n.WithGrant {
			g.Privileges |= model.PrivGrant
		}
		u.Grants = append(u.Grants, g)
	}
	return u
}

// TestWhoMayWhat says for each statement which of several accounts may send it, as far as its syntax tells: * may, - may not.
func TestWhoMayWhat(t *testing.T) {
	accounts := []*Rights{
		RightsOf(grants(t, "ALL ON *.*")),
		RightsOf(grants(t, "SELECT ON *.*")),
		RightsOf(grants(t, "ALL ON d.*")),
		RightsOf(grants(t, "SELECT, LOCK TABLES ON d.*", "INSERT ON d.t")),
		RightsOf(grants(t, "SELECT ON d.t")),
		RightsOf(grants(t, "PROCESS, RELOAD ON *.*")),
		RightsOf(nil),
	}
	for _, tc := range []struct{ sql, may string }{
		{"SELECT 1", "*******"},
		{"SELECT * FROM t", "*****--"},
		{"SELECT * FROM d.t", "*****--"},
		{"SELECT * FROM u", "****---"},
		{"SELECT * FROM e.t", "**-----"},
		{"SELECT 1 FROM t WHERE EXISTS (SELECT 1 FROM u)", "****---"},
		{"SELECT (SELECT MAX(a) FROM u) FROM t", "****---"},
		{"SELECT 1 FROM t ORDER BY (SELECT 1 FROM u)", "****---"},
		{"SELECT 1 FROM t GROUP BY a HAVING a > (SELECT 1 FROM u)", "****---"},
		{"SELECT 1 FROM t JOIN u ON t.a = u.a", "****---"},
		{"SELECT 1 FROM t JOIN t x ON x.a = (SELECT 1 FROM u)", "****---"},
		{"SELECT 1 FROM t UNION SELECT 1 FROM u", "****---"},
		{"(SELECT 1 FROM t) UNION (SELECT 1 FROM t) ORDER BY (SELECT 1 FROM u)", "****---"},
		{"SELECT * FROM (SELECT * FROM u) t", "****---"},
		{"SELECT SUM(a) OVER (ORDER BY (SELECT 1 FROM u)) FROM t", "****---"},
		{"WITH u AS (SELECT * FROM t) SELECT * FROM u", "*****--"},
		{"WITH u AS (SELECT * FROM u) SELECT * FROM u", "****---"},
		{"WITH a AS (SELECT 1), u AS (SELECT * FROM a) SELECT * FROM u, a", "*******"},
		{"WITH a AS (SELECT * FROM u), u AS (SELECT 1) SELECT * FROM a", "****---"},
		{"SELECT (WITH u AS (SELECT 1 a) SELECT a FROM u) FROM u", "****---"},
		{"SELECT * FROM (WITH u AS (SELECT 1 a) SELECT a FROM u) x", "*******"},
		{"WITH u AS (SELECT 1 a) SELECT * FROM d.u", "****---"},
		{"WITH RECURSIVE u AS (SELECT 1 a UNION ALL SELECT a+1 FROM u WHERE a < 3) SELECT * FROM u", "*******"},
		{"SELECT * FROM t x FOR UPDATE OF x", "*****--"},
		{"SELECT * FROM information_schema.tables", "*******"},
		{"SELECT * FROM information_schema.be_tablets", "*----*-"},
		{"SELECT * FROM stele.backends", "**---*-"},
		{"INSERT INTO u VALUES (1)", "*******"}, // what it writes follows from its plan
		{"INSERT INTO u SELECT * FROM t", "*****--"},
		{"INSERT INTO t SELECT * FROM t", "*****--"},
		{"INSERT INTO u VALUES ((SELECT 1 FROM t))", "*****--"},
		{"INSERT INTO u VALUES (1) ON DUPLICATE KEY UPDATE a = (SELECT 1 FROM t)", "*****--"},
		{"REPLACE INTO u SELECT * FROM t", "*****--"},
		{"UPDATE t SET a = 1", "*******"},
		{"UPDATE t SET a = b", "*****--"},
		{"UPDATE t SET a = 1 WHERE b = 2", "*****--"},
		{"UPDATE t SET a = (SELECT 1 FROM u)", "****---"},
		{"UPDATE t JOIN u ON t.a = u.a SET t.a = 1", "****---"},
		{"WITH x AS (SELECT * FROM u) UPDATE t SET a = (SELECT a FROM x)", "****---"},
		{"DELETE FROM t", "*******"},
		{"DELETE FROM t WHERE a = 1", "*****--"},
		{"DELETE x FROM t x JOIN u ON x.a = u.a", "****---"},
		{"LOAD DATA LOCAL INFILE 'x' INTO TABLE t", "*******"},
		{"LOAD DATA LOCAL INFILE 'x' INTO TABLE t (@a) SET a = (SELECT 1 FROM u)", "****---"},
		{"EXPLAIN SELECT * FROM u", "****---"},
		{"EXPLAIN DELETE FROM u", "****---"},
		{"CREATE DATABASE n", "*------"},
		{"CREATE DATABASE d", "*-*----"},
		{"DROP DATABASE d", "*-*----"},
		{"CREATE TABLE n (a INT)", "*-*----"},
		{"CREATE TABLE n LIKE e.t", "*------"},
		{"CREATE TABLE n (a INT REFERENCES n (a), FOREIGN KEY (a) REFERENCES u (a))", "*-*----"},
		{"CREATE TABLE n (a INT REFERENCES e.t (a))", "*------"},
		{"ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES e.t (a)", "*------"},
		{"DROP TABLE t, e.t", "*------"},
		{"TRUNCATE TABLE t", "*-*----"},
		{"ALTER TABLE t ADD KEY (a)", "*-*----"},
		{"ALTER TABLE t RENAME TO u", "*-*----"},
		{"ALTER TABLE t RENAME TO e.u", "*------"},
		{"RENAME TABLE t TO u", "*-*----"},
		{"RENAME TABLE t TO u, e.t TO t", "*------"},
		{"CREATE VIEW n AS SELECT * FROM t", "*-*----"},
		{"CREATE VIEW n AS SELECT * FROM e.t", "*------"},
		{"CREATE OR REPLACE VIEW n AS SELECT * FROM t WHERE a IN (SELECT a FROM e.t)", "*------"},
		{"ALTER VIEW n AS SELECT 1", "*-*----"},
		{"DROP VIEW n, e.t", "*------"},
		{"CREATE INDEX i ON t (a)", "*-*----"},
		{"DROP INDEX i ON t", "*-*----"},
		{"LOCK TABLES t READ", "*-**---"},
		{"ANALYZE TABLE t", "*-**---"},
		{"FLUSH TABLES", "*----*-"},
		{"BEGIN", "*******"},
		{"SHOW TABLES", "*******"},
	} {
		st, err := parse.New(nil).Parse(tc.sql, 0)
		if err != nil {
			t.Errorf("%s: %v", tc.sql, err)
			continue
		}
		got := ""
		for _, r := range accounts {
			if Check(r, "ann@h", Needs(&st, "d")) == nil {
				got += "*"
			} else {
				got += "-"
			}
		}
		if got != tc.may {
			t.Errorf("%s: %s, want %s (needs %v)", tc.sql, got, tc.may, Needs(&st, "d"))
		}
	}
}

func TestErrorsNameWhatIsMissing(t *testing.T) {
	for _, tc := range []struct {
		need Need
		want string
	}{
		{Need{model.PrivSelect, "d", "t"}, "1142 42000 SELECT command denied to user 'a@b'@'h' for table 't'"},
		{Need{model.PrivDrop, "d", ""}, "1044 42000 Access denied for user 'a@b'@'h' to database 'd'"},
		{Need{model.PrivProcess | model.PrivSuper, "", ""}, "1227 42000 Access denied; you need (at least one of) the PROCESS, SUPER privilege(s) for this operation"},
	} {
		err, _ := sqltypes.AsError(Check(RightsOf(nil), "a@b@h", []Need{tc.need}))
		if got := fmt.Sprintf("%d %s %s", err.Code, err.State, err.Msg); got != tc.want {
			t.Errorf("%+v: %s, want %s", tc.need, got, tc.want)
		}
	}
}

// TestTheMostSpecificPatternCounts: databases are granted by patterns.
func TestTheMostSpecificPatternCounts(t *testing.T) {
	r := RightsOf(&model.User{Grants: []model.Grant{
		{Database: "%", Privileges: model.PrivSelect},
		{Database: `app\_%`, Privileges: model.PrivInsert},
		{Database: "app_1", Privileges: model.PrivUpdate},
		{Database: `app\_1`, Privileges: model.PrivDelete},
	}})
	for db, want := range map[string]model.Privilege{
		"other": model.PrivSelect, "app_2": model.PrivInsert, "appx1": model.PrivUpdate, "app_1": model.PrivDelete, "appé1": model.PrivUpdate,
	} {
		if got := r.On(db, ""); got != want {
			t.Errorf("%s: %v, want %v", db, Names(got), Names(want))
		}
	}
}

// TestGrantOptionCoversItsOwnPatternOnly: who may pass on privileges on one database must not reach others by a wildcard.
func TestGrantOptionCoversItsOwnPatternOnly(t *testing.T) {
	r := RightsOf(&model.User{Grants: []model.Grant{
		{Database: "_", Privileges: model.PrivSelect | model.PrivGrant},
		{Database: `my\_db`, Privileges: model.PrivSelect | model.PrivGrant},
		{Database: "d", Table: "t", Privileges: model.PrivInsert | model.PrivGrant},
	}})
	for _, tc := range []struct {
		db, table string
		p         model.Privilege
		want      bool
	}{
		{"%", "", model.PrivSelect, false}, {"_", "", model.PrivSelect, true}, {"x", "", model.PrivSelect, true}, {"xx", "", model.PrivSelect, false},
		{"x", "", model.PrivInsert, false}, {"my_db", "", model.PrivSelect, false}, {`my\_db`, "", model.PrivSelect, true},
		{"my_db", "t", model.PrivSelect, true}, {"", "", model.PrivSelect, false}, {"d", "t", model.PrivInsert, true}, {"d", "", model.PrivInsert, false},
		{"d", "u", model.PrivInsert, false},
	} {
		if got := r.Missing(model.Grant{Database: tc.db, Table: tc.table, Privileges: tc.p}) == 0; got != tc.want {
			t.Errorf("%v on %s.%s: %v, want %v", Names(tc.p), tc.db, tc.table, got, tc.want)
		}
	}
}

func TestFindTakesTheMostSpecificHost(t *testing.T) {
	var all []*model.User
	for _, n := range []string{"ann@%", "ann@10.1.%", "ann@10.1.2.3", "@10.9.9.9", "ann@192.168.0.0/255.255.0.0", "bob@localhost", "@%", "ann@fd00::/8", "ann@Db1"} {
		name, host, _ := strings.Cut(n, "@")
		all = append(all, &model.User{Name: name, Host: host})
	}
	for _, tc := range []struct{ user, host, want string }{
		{"ann", "1.1.1.1", "ann@%"}, {"ann", "10.1.7.7", "ann@10.1.%"}, {"ann", "10.1.2.3", "ann@10.1.2.3"}, {"ann", "10.9.9.9", "@10.9.9.9"},
		{"ann", "192.168.4.4", "ann@192.168.0.0/255.255.0.0"}, {"ann", "::ffff:10.1.2.3", "ann@10.1.2.3"}, {"bob", "127.0.0.1", "bob@localhost"},
		{"bob", "::1", "bob@localhost"}, {"bob", "1.1.1.1", "@%"}, {"ann", "fd12::1", "ann@fd00::/8"}, {"ann", "db1", "ann@Db1"}, {"", "1.1.1.1", "@%"},
	} {
		u, ok := Find(all, tc.user, tc.host)
		if !ok || u.Name+"@"+u.Host != tc.want {
			t.Errorf("%s from %s: %+v, want %s", tc.user, tc.host, u, tc.want)
		}
	}
	if _, ok := Find(all[:3], "eve", "1.1.1.1"); ok {
		t.Error("a stranger was let in")
	}
}

// TestGrantsCanBeGivenAgain reads what SHOW GRANTS prints.
func TestGrantsCanBeGivenAgain(t *testing.T) {
	u := grants(t, "SELECT, PROCESS ON *.*", "ALL ON `d``x`.* ", "SELECT, CREATE VIEW ON d.t", "USAGE ON e.*")
	u.Grants[1].Privileges |= model.PrivGrant
	again := &model.User{}
	for _, line := range Grants(u, nil) {
		st, err := parse.New(nil).Parse(line, 0)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		n := st.Node.(*parse.GrantStmt)
		g, err := Clause{Privileges: n.Privs, Object: n.ObjectType, Level: n.Level}.Grant()
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if n.WithGrant {
			g.Privileges |= model.PrivGrant
		}
		again.Grants = append(again.Grants, g)
	}
	if fmt.Sprint(again.Grants) != fmt.Sprint(u.Grants) {
		t.Errorf("%v, want %v", again.Grants, u.Grants)
	}
}

func TestWhatCannotBeGranted(t *testing.T) {
	for sql, code := range map[string]uint16{
		"GRANT PROCESS ON d.* TO u": 1221, "GRANT LOCK TABLES ON d.t TO u": 1144, "GRANT SELECT (a) ON d.t TO u": 1235,
		"GRANT BACKUP_ADMIN ON *.* TO u": 1235, "GRANT EXECUTE ON PROCEDURE d.p TO u": 1235, "GRANT SELECT ON t TO u": 1046,
	} {
		st, err := parse.New(nil).Parse(sql, 0)
		if err != nil {
			t.Fatal(err)
		}
		n := st.Node.(*parse.GrantStmt)
		_, err = Clause{Privileges: n.Privs, Object: n.ObjectType, Level: n.Level}.Grant()
		if e, ok := sqltypes.AsError(err); !ok || e.Code != code {
			t.Errorf("%s: %v, want error %d", sql, err, code)
		}
	}
}

func TestRedactTellsNoPassword(t *testing.T) {
	for _, tc := range []struct{ sql, want string }{
		{"SELECT 'x'", "SELECT 'x'"},
		{"CREATE USER ann IDENTIFIED BY 'secret'", "CREATE USER ann IDENTIFIED BY '***'"},
		{"create user 'ann'@'%' identified with mysql_native_password by \"secret\"", "create user '***'"},
		{"SET PASSWORD = 'secret'", "SET PASSWORD = '***'"},
		{"SELECT 1; SET PassWord FOR x = 'secret'", "SELECT 1; SET PassWord FOR x = '***'"},
		{`ALTER USER a IDENTIFIED BY 'a\', b IDENTIFIED BY 'secret'`, `ALTER USER a IDENTIFIED BY '***'`},
		{"/*!80000 ALTER USER a IDENTIFIED BY 'secret' */", "/*!80000 ALTER USER a IDENTIFIED BY '***'"},
		{"PREPARE p FROM 'ALTER USER a IDENTIFIED BY ''secret'''", "PREPARE p FROM '***'"},
		{"SELECT password FROM t", "SELECT password FROM t"},
	} {
		if got := Redact(tc.sql); got != tc.want {
			t.Errorf("%s: %s", tc.sql, got)
		}
	}
}

// FuzzLike compares the matcher with one that tries everything.
func FuzzLike(f *testing.F) {
	for _, s := range [][2]string{{"%a%b", "xaxxb"}, {`a\_b`, "a_b"}, {"__", "é1"}, {"%%", ""}, {`\`, `\`}, {`%\%`, "10%"}, {"a%a%a", "aaaa"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, pattern, s string) {
		if len(pattern) > 12 || len(s) > 12 {
			return
		}
		if got, want := like(pattern, s, '\\'), tryAll(pattern, s); got != want {
			t.Errorf("%q like %q: %v, want %v", s, pattern, got, want)
		}
	})
}

func tryAll(pattern, s string) bool {
	if pattern == "" {
		return s == ""
	}
	if pattern[0] == '%' {
		return tryAll(pattern[1:], s) || s != "" && tryAll(pattern, s[1:])
	}
	n, size := step(pattern, s, '\\')
	return size > 0 && tryAll(pattern[n:], s[size:])
}
