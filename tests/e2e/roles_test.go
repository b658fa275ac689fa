package e2e

import (
	"context"
	"database/sql"
	"errors"
	"testing"

	"github.com/go-sql-driver/mysql"

	"stele/tests/cluster"
)

// person is a connection of an account.
type person struct {
	*sql.Conn
	t *testing.T
}

func login(t *testing.T, c *cluster.Cluster, user string) person {
	t.Helper()
	db := c.OpenAs(1, user, "", "")
	conn, err := db.Conn(context.Background())
	must(t, err)
	t.Cleanup(func() {
		_ = conn.Close()
		_ = db.Close()
	})
	return person{conn, t}
}

// gets expects an error number, 0 = none.
func (p person) gets(code uint16, statements ...string) {
	p.t.Helper()
	for _, s := range statements {
		_, err := p.ExecContext(context.Background(), s)
		var e *mysql.MySQLError
		if code == 0 && err != nil || code != 0 && (!errors.As(err, &e) || e.Number != code) {
			p.t.Errorf("%s: %v, want error %d", s, err, code)
		}
	}
}

func (p person) sees(query, want string) {
	p.t.Helper()
	var got sql.NullString
	if err := p.QueryRowContext(context.Background(), query).Scan(&got); err != nil || got.String != want {
		p.t.Errorf("%s: %q, %v, want %q", query, got.String, err, want)
	}
}

// TestRoles lets accounts do what their active roles may, and nothing else.
func TestRoles(t *testing.T) {
	c := sharedCluster(t)
	root := login(t, c, "root")
	root.gets(0, "CREATE DATABASE ro", "CREATE TABLE ro.t (id INT PRIMARY KEY, v INT)", "INSERT INTO ro.t VALUES (1, 1)", "CREATE TABLE ro.u (id INT PRIMARY KEY)",
		"CREATE ROLE ro_read, ro_write, ro_admin, ro_boss", "CREATE USER ro_ann, ro_bob, ro_eve",
		"GRANT SELECT ON ro.t TO ro_read", "GRANT UPDATE ON ro.* TO ro_write", "GRANT ro_read TO ro_write",
		"GRANT CREATE ROLE, DROP ROLE, CREATE USER ON *.* TO ro_admin", "GRANT ALL ON *.* TO ro_boss WITH GRANT OPTION",
		"GRANT ro_read, ro_write TO ro_ann", "GRANT ro_read, ro_admin TO ro_bob WITH ADMIN OPTION", "SET DEFAULT ROLE ro_read TO ro_ann")
	t.Cleanup(func() {
		root := login(t, c, "root")
		root.gets(0, "DROP DATABASE ro", "DROP ROLE IF EXISTS ro_read, ro_write, ro_admin, ro_boss, ro_new", "DROP USER ro_ann, ro_bob, ro_eve", "SET GLOBAL activate_all_roles_on_login = OFF")
	})
	for name, check := range map[string]func(*testing.T, *cluster.Cluster){"active": rolesActive, "passed": rolesPassed, "power": rolesArePower, "views": rolesOfDefiners} {
		t.Run(name, func(t *testing.T) { check(t, c) })
	}
}

// rolesActive: which roles count when.
func rolesActive(t *testing.T, c *cluster.Cluster) {
	ann := login(t, c, "ro_ann")
	const point, sum, update = "SELECT v FROM ro.t WHERE id = 1", "SELECT SUM(v) FROM ro.t", "UPDATE ro.t SET v = v + 1 WHERE id = 1"
	prepared, err := ann.PrepareContext(t.Context(), "SELECT v FROM ro.t WHERE id = ?")
	must(t, err)
	role, err := ann.PrepareContext(t.Context(), "SELECT CURRENT_ROLE()")
	must(t, err)
	runs := func(code uint16, want string) {
		t.Helper()
		_, err := prepared.ExecContext(t.Context(), 1)
		var e *mysql.MySQLError
		if code == 0 && err != nil || code != 0 && (!errors.As(err, &e) || e.Number != code) {
			t.Errorf("the prepared query: %v, want %d", err, code)
		}
		var got string
		if err := role.QueryRowContext(t.Context()).Scan(&got); err != nil || got != want {
			t.Errorf("the prepared role: %s, %v, want %s", got, err, want)
		}
	}
	ann.sees("SELECT CURRENT_ROLE()", "`ro_read`@`%`")
	ann.gets(0, point, sum)
	runs(0, "`ro_read`@`%`")
	ann.gets(1142, update, "SELECT * FROM ro.u")
	ann.gets(0, "SET ROLE NONE")
	ann.gets(1142, point, sum, update)
	runs(1142, "NONE")
	ann.gets(3530, "SET ROLE ro_admin", "SET ROLE ro_read, ro_gone")
	ann.sees("SELECT CURRENT_ROLE()", "NONE")
	ann.gets(0, "SET ROLE ro_write", point, sum, update) // ro_read is behind it
	ann.sees("SELECT CONCAT(GROUP_CONCAT(ROLE_NAME ORDER BY 1), COUNT(IF(IS_DEFAULT = 'YES', 1, NULL))) FROM information_schema.ENABLED_ROLES", "ro_read,ro_write1")
	ann.sees("SELECT GROUP_CONCAT(CONCAT(GRANTEE, '<', ROLE_NAME) ORDER BY 1) FROM information_schema.APPLICABLE_ROLES", "ro_ann<ro_read,ro_ann<ro_write,ro_write<ro_read")
	ann.sees("SELECT COUNT(*) FROM information_schema.ADMINISTRABLE_ROLE_AUTHORIZATIONS", "0")
	ann.gets(0, "SET ROLE ALL EXCEPT ro_write")
	ann.gets(1142, update)
	ann.gets(0, "SET ROLE ALL", update, "BEGIN", update, "SET ROLE NONE")
	ann.gets(1142, point)
	ann.gets(0, "ROLLBACK", "SET ROLE DEFAULT", point)
	ann.gets(0, "SET DEFAULT ROLE NONE TO ro_ann")
	ann.gets(3530, "SET DEFAULT ROLE ro_admin TO CURRENT_USER()")
	ann.gets(1227, "SET DEFAULT ROLE NONE TO ro_bob", "ALTER USER ro_bob DEFAULT ROLE ALL", "SHOW GRANTS FOR ro_bob")
	ann.gets(0, "SHOW GRANTS FOR ro_ann USING ro_write")
	login(t, c, "ro_ann").sees("SELECT CURRENT_ROLE()", "NONE")
	ann.gets(0, "ALTER USER CURRENT_USER() DEFAULT ROLE ro_write")
	login(t, c, "ro_ann").sees("SELECT CURRENT_ROLE()", "`ro_write`@`%`")
	root := login(t, c, "root")
	root.gets(0, "SET GLOBAL activate_all_roles_on_login = ON")
	login(t, c, "ro_ann").sees("SELECT CURRENT_ROLE()", "`ro_read`@`%`,`ro_write`@`%`")
	root.gets(0, "SET GLOBAL activate_all_roles_on_login = DEFAULT", "SET DEFAULT ROLE ro_read TO ro_ann")
}

// rolesPassed: who may give roles to others, and take them.
func rolesPassed(t *testing.T, c *cluster.Cluster) {
	ann, bob, eve := login(t, c, "ro_ann"), login(t, c, "ro_bob"), login(t, c, "ro_eve")
	ann.gets(1227, "GRANT ro_read TO ro_eve", "REVOKE ro_read FROM ro_bob", "CREATE ROLE ro_new", "DROP ROLE ro_read")
	bob.gets(1227, "GRANT ro_read, ro_write TO ro_eve", "GRANT ro_boss TO ro_bob")
	bob.gets(0, "GRANT ro_read TO ro_eve")
	eve.gets(0, "SET ROLE ro_read", "SELECT * FROM ro.t")
	eve.gets(1227, "GRANT ro_read TO ro_ann")
	bob.gets(0, "REVOKE ro_read FROM ro_eve")
	eve.gets(1142, "SELECT * FROM ro.t")
	bob.gets(0, "SET ROLE ro_admin", "GRANT ro_admin TO ro_eve")
	eve.gets(0, "SET ROLE ALL", "CREATE ROLE ro_new")
	eve.gets(1227, "CREATE USER ro_new2 DEFAULT ROLE ro_new", "GRANT ro_new TO ro_eve")
	eve.gets(0, "DROP ROLE ro_new")
	bob.gets(0, "REVOKE ro_admin FROM ro_eve")
	eve.gets(1227, "CREATE ROLE ro_new")
}

// rolesArePower: an account that can have SUPER by a role is out of reach of those without; DROP ROLE drops nobody who logs in.
func rolesArePower(t *testing.T, c *cluster.Cluster) {
	root, bob, eve := login(t, c, "root"), login(t, c, "ro_bob"), login(t, c, "ro_eve")
	bob.gets(0, "SET ROLE ALL", "ALTER USER ro_eve IDENTIFIED BY ''")
	bob.gets(1227, "ALTER USER ro_boss ACCOUNT UNLOCK", "DROP ROLE ro_boss", "DROP USER ro_boss", "RENAME USER ro_boss TO ro_bob2")
	root.gets(0, "GRANT ro_boss TO ro_eve")
	bob.gets(1227, "ALTER USER ro_eve IDENTIFIED BY 'x'", "DROP USER ro_eve", "SET DEFAULT ROLE ALL TO ro_eve", "SET PASSWORD FOR ro_eve = 'x'")
	eve.gets(1227, "SET GLOBAL wait_timeout = 28800")
	eve.gets(1095, "KILL "+killable(t, bob))
	eve.gets(0, "SET ROLE ro_boss", "SET GLOBAL wait_timeout = DEFAULT", "KILL QUERY "+killable(t, bob), "GRANT ro_boss TO ro_bob", "REVOKE ro_boss FROM ro_bob")
	root.gets(0, "REVOKE ro_boss FROM ro_eve")
	eve.gets(1227, "SET GLOBAL wait_timeout = DEFAULT")
	root.gets(0, "GRANT DROP ROLE ON *.* TO ro_eve", "CREATE ROLE ro_new")
	eve.gets(1227, "DROP ROLE ro_ann", "DROP USER ro_ann", "DROP ROLE ro_boss")
	eve.gets(0, "DROP ROLE ro_new")
	root.gets(0, "REVOKE DROP ROLE ON *.* FROM ro_eve")
	locked := c.OpenAs(1, "ro_read", "", "")
	defer locked.Close()
	var e *mysql.MySQLError
	if err := locked.PingContext(t.Context()); !errors.As(err, &e) || e.Number != 3118 {
		t.Errorf("login to a role: %v", err)
	}
}

func killable(t *testing.T, p person) (id string) {
	t.Helper()
	must(t, p.QueryRowContext(t.Context(), "SELECT CONNECTION_ID()").Scan(&id))
	return id
}

// rolesOfDefiners: a view shows what its definer may read with its default roles.
func rolesOfDefiners(t *testing.T, c *cluster.Cluster) {
	root, eve := login(t, c, "root"), login(t, c, "ro_eve")
	root.gets(0, "CREATE DEFINER = ro_ann VIEW ro.w AS SELECT id FROM ro.t", "GRANT SELECT ON ro.w TO ro_eve")
	eve.gets(0, "SELECT * FROM ro.w")
	root.gets(0, "SET DEFAULT ROLE NONE TO ro_ann")
	eve.gets(1356, "SELECT * FROM ro.w")
	root.gets(0, "SET DEFAULT ROLE ALL TO ro_ann")
	eve.gets(0, "SELECT * FROM ro.w")
	root.gets(0, "REVOKE ro_read, ro_write FROM ro_ann")
	eve.gets(1356, "SELECT * FROM ro.w")
	root.gets(0, "GRANT ro_read, ro_write TO ro_ann", "SET DEFAULT ROLE ro_read TO ro_ann", "DROP VIEW ro.w")
}
