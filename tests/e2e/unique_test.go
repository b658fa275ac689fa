package e2e

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"pgregory.net/rapid"

	"stele/tests/cluster"
)

// errorNumber is the number of a MySQL error, 0 for none.
func errorNumber(t rapid.TB, err error) uint16 {
	t.Helper()
	var known *mysql.MySQLError
	if err != nil && !errors.As(err, &known) {
		t.Fatal(err)
	}
	if known == nil {
		return 0
	}
	return known.Number
}

func uniqueDatabase(t *testing.T, name string) *sql.DB {
	t.Helper()
	c := sharedCluster(t)
	for _, q := range []string{"DROP DATABASE IF EXISTS " + name, "CREATE DATABASE " + name} {
		if _, err := c.DB().Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	db := c.OpenDB(name)
	t.Cleanup(func() {
		if _, err := db.Exec("DROP DATABASE " + name); err != nil {
			t.Errorf("drop %s: %v", name, err)
		}
		db.Close()
	})
	return db
}

func mustExec(t rapid.TB, db interface {
	ExecContext(context.Context, string, ...any) (sql.Result, error)
}, q string) int64 {
	t.Helper()
	r, err := db.ExecContext(context.Background(), q)
	if err != nil {
		t.Fatalf("%s: %v", q, err)
	}
	n, err := r.RowsAffected()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestUniqueRaces has clients insert the same unique values under primary keys of their own: of each value exactly one row
// comes to be, the others hear 1062, and nobody waits for anybody until a timeout.
func TestUniqueRaces(t *testing.T) {
	db := uniqueDatabase(t, "unique_races")
	mustExec(t, db, "CREATE TABLE r (id INT PRIMARY KEY, u INT, v INT, UNIQUE KEY (u), UNIQUE KEY (v))")
	const clients, values = 8, 40
	var won [values]atomic.Int32
	var wg sync.WaitGroup
	start := time.Now()
	for c := range clients {
		wg.Go(func() {
			order := rand.New(rand.NewPCG(1, uint64(c))).Perm(values)
			for _, u := range order {
				verb := []string{"INSERT", "INSERT IGNORE"}[u%2]
				r, err := db.Exec(fmt.Sprintf("%s INTO r VALUES (%d, %d, %d)", verb, c*values+u, u, values-u))
				var known *mysql.MySQLError
				switch {
				case errors.As(err, &known) && known.Number == 1062 && verb == "INSERT":
				case err != nil:
					t.Errorf("client %d, value %d: %v", c, u, err)
				default:
					n, _ := r.RowsAffected()
					won[u].Add(int32(n))
				}
			}
		})
	}
	wg.Wait()
	if d := time.Since(start); d > 40*time.Second {
		t.Errorf("it took %v: somebody waited for a lock until its timeout", d)
	}
	for u := range won {
		if n := won[u].Load(); n != 1 {
			t.Errorf("value %d was inserted %d times", u, n)
		}
	}
	checkUnique(t, db, "r", []string{"u", "v"})
}

// checkUnique reads a table whole and then row by row through each of its unique keys: both ways there are the same rows, and
// no value is there twice.
func checkUnique(t testing.TB, db *sql.DB, table string, keys []string) {
	t.Helper()
	all, err := cluster.ReadTable(t.Context(), db, "SELECT * FROM "+table)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		at := slices.Index(all.Columns, k)
		seen := map[string]bool{}
		for _, row := range all.Rows {
			v := row[at]
			if v == "NULL" {
				continue
			}
			if seen[v] {
				t.Errorf("%s.%s = %s is there twice", table, k, v)
			}
			seen[v] = true
			found, err := cluster.ReadTable(t.Context(), db, fmt.Sprintf("SELECT * FROM %s WHERE %s = %s", table, k, v))
			if err != nil {
				t.Fatal(err)
			}
			if len(found.Rows) != 1 || !slices.Equal(found.Rows[0], row) {
				t.Errorf("%s WHERE %s = %s: %v, the table has %v", table, k, v, found.Rows, row)
			}
		}
	}
}

// TestUniqueAddedUnderLoad adds and drops a unique key while clients write: what they were told stands, and every row has its
// entry. A value that two rows share keeps the key away.
func TestUniqueAddedUnderLoad(t *testing.T) {
	db := uniqueDatabase(t, "unique_added")
	mustExec(t, db, "CREATE TABLE l (id INT PRIMARY KEY, u INT, w INT)")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	models := make([]map[int]int, 4)
	var done atomic.Int64
	written := func() { // the clients have written since
		t.Helper()
		for until := done.Load() + 40; done.Load() < until; cluster.Sleep(ctx, time.Millisecond) {
			if t.Failed() || ctx.Err() != nil {
				t.FailNow()
			}
		}
	}
	for c := range models {
		models[c] = map[int]int{}
		wg.Go(func() {
			random := rand.New(rand.NewPCG(7, uint64(c)))
			for ctx.Err() == nil {
				id := c*1000 + random.IntN(50)
				u := id*10 + random.IntN(10) // nobody else's
				var q string
				switch random.IntN(3) {
				case 0:
					q = fmt.Sprintf("REPLACE INTO l VALUES (%d, %d, %d)", id, u, c)
					models[c][id] = u
				case 1:
					q = fmt.Sprintf("INSERT INTO l VALUES (%d, %d, %d) ON DUPLICATE KEY UPDATE u = VALUES(u)", id, u, c)
					models[c][id] = u
				default:
					q = fmt.Sprintf("DELETE FROM l WHERE id = %d", id)
					delete(models[c], id)
				}
				if _, err := db.Exec(q); err != nil {
					t.Errorf("%s: %v", q, err)
					return
				}
				done.Add(1)
			}
		})
	}
	for range 4 {
		written()
		mustExec(t, db, "ALTER TABLE l ADD UNIQUE KEY uu (u)")
		written()
		mustExec(t, db, "DROP INDEX uu ON l")
	}
	written()
	mustExec(t, db, "CREATE UNIQUE INDEX uu ON l (u)")
	mustExec(t, db, "REPLACE INTO l VALUES (9001, 90010, 77), (9002, 90020, 77)")
	if _, err := db.Exec("ALTER TABLE l ADD UNIQUE KEY ww (w)"); errorNumber(t, err) != 1062 {
		t.Errorf("a unique key over values that are there twice: %v", err)
	}
	cancel()
	wg.Wait()
	want := map[int]int{9001: 90010, 9002: 90020}
	for _, m := range models {
		maps.Copy(want, m)
	}
	rows, err := cluster.ReadTable(t.Context(), db, "SELECT id, u FROM l")
	if err != nil {
		t.Fatal(err)
	}
	got := map[int]int{}
	for _, r := range rows.Rows {
		id, _ := strconv.Atoi(r[0])
		got[id], _ = strconv.Atoi(r[1])
	}
	if !maps.Equal(got, want) {
		t.Errorf("rows %v, want %v", got, want)
	}
	checkUnique(t, db, "l", []string{"u"})
}

// uniqueRow is a row of the model; null stands for NULL.
type uniqueRow struct{ id, a, b int }

const null = -1

func (r uniqueRow) text() string {
	cell := func(v int) string {
		if v == null {
			return "NULL"
		}
		return strconv.Itoa(v)
	}
	return fmt.Sprintf("(%d, %s, %s)", r.id, cell(r.a), cell(r.b))
}

// uniqueModel is a table (id PRIMARY KEY, a UNIQUE, b UNIQUE) as MySQL keeps it.
type uniqueModel struct{ rows map[int]uniqueRow }

// meets lists the rows that a new one collides with, in the order of keys.
func (m *uniqueModel) meets(r uniqueRow) []uniqueRow {
	var out []uniqueRow
	add := func(o uniqueRow) {
		if !slices.Contains(out, o) {
			out = append(out, o)
		}
	}
	if o, ok := m.rows[r.id]; ok {
		add(o)
	}
	for _, o := range m.rows {
		if o.a == r.a && r.a != null {
			add(o)
		}
	}
	for _, o := range m.rows {
		if o.b == r.b && r.b != null {
			add(o)
		}
	}
	return out
}

// insert is a statement over some rows; it answers how many count, and false for error 1062.
func (m *uniqueModel) insert(verb string, rows []uniqueRow) (int64, bool) {
	before := maps.Clone(m.rows)
	affected := int64(0)
	for _, r := range rows {
		met := m.meets(r)
		switch {
		case len(met) == 0:
			m.rows[r.id] = r
			affected++
		case verb == "INSERT":
			m.rows = before
			return 0, false
		case verb == "REPLACE":
			for _, o := range met {
				delete(m.rows, o.id)
				affected++
			}
			m.rows[r.id] = r
			affected++
		case verb == "UPSERT": // ON DUPLICATE KEY UPDATE b = VALUES(b)
			next := met[0]
			if next.b == r.b {
				continue
			}
			next.b = r.b
			delete(m.rows, next.id)
			if len(m.meets(next)) > 0 {
				m.rows = before
				return 0, false
			}
			m.rows[next.id] = next
			affected += 2
		}
	}
	return affected, true
}

// TestUniqueModel compares random statements with the model, inside transactions and outside.
func TestUniqueModel(t *testing.T) {
	db := uniqueDatabase(t, "unique_model")
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		table := "m" + strconv.Itoa(n)
		mustExec(rt, db, "CREATE TABLE "+table+" (id INT PRIMARY KEY, a INT UNIQUE, b INT, UNIQUE KEY kb (b))")
		conn, err := db.Conn(context.Background())
		if err != nil {
			rt.Fatal(err)
		}
		defer conn.Close()
		w := &uniqueWorld{t: rt, conn: conn, table: table, model: uniqueModel{rows: map[int]uniqueRow{}}}
		for range rapid.IntRange(5, 25).Draw(rt, "steps") {
			w.step()
		}
		if w.saved != nil {
			mustExec(rt, conn, "COMMIT")
		}
		w.compare()
		checkUniqueModel(rt, db, table, w.model.rows)
		mustExec(rt, db, "DROP TABLE "+table)
	})
}

// uniqueWorld is a table and its model.
type uniqueWorld struct {
	t     *rapid.T
	conn  *sql.Conn
	table string
	model uniqueModel
	saved map[int]uniqueRow // the rows before the open transaction
}

func (w *uniqueWorld) row() uniqueRow {
	v := rapid.IntRange(null, 6)
	return uniqueRow{rapid.IntRange(0, 6).Draw(w.t, "id"), v.Draw(w.t, "a"), v.Draw(w.t, "b")}
}

func (w *uniqueWorld) step() {
	switch what := rapid.SampledFrom([]string{"INSERT", "INSERT", "INSERT IGNORE", "REPLACE", "UPSERT", "UPDATE", "MOVE", "DELETE", "TX", "READ"}).Draw(w.t, "what"); what {
	case "UPDATE", "MOVE":
		w.update(what == "MOVE")
	case "DELETE":
		r := w.row()
		want := int64(0)
		for id, o := range w.model.rows {
			if o.a == r.a && r.a != null {
				delete(w.model.rows, id)
				want++
			}
		}
		w.exec(fmt.Sprintf("DELETE FROM %s WHERE a = %d", w.table, r.a), want, true)
	case "TX":
		w.transaction()
	case "READ":
		w.compare()
	default:
		w.insert(what)
	}
}

func (w *uniqueWorld) insert(verb string) {
	var rows []uniqueRow
	var texts []string
	for range rapid.IntRange(1, 3).Draw(w.t, "rows") {
		rows = append(rows, w.row())
		texts = append(texts, rows[len(rows)-1].text())
	}
	word, tail := verb, ""
	if verb == "UPSERT" {
		word, tail = "INSERT", " ON DUPLICATE KEY UPDATE b = VALUES(b)"
	}
	affected, ok := w.model.insert(verb, rows)
	w.exec(word+" INTO "+w.table+" VALUES "+strings.Join(texts, ", ")+tail, affected, ok)
}

// update changes one row, by a unique key.
func (w *uniqueWorld) update(move bool) {
	r := w.row()
	assign := fmt.Sprintf("b = %d, a = NULLIF(%d, -1)", r.b+10, r.a)
	var found *uniqueRow
	for _, o := range w.model.rows {
		if o.b == r.b && r.b != null {
			found = &o
		}
	}
	if move {
		assign = fmt.Sprintf("id = %d", r.id)
	}
	affected, ok := int64(0), true
	if found != nil {
		next := uniqueRow{found.id, r.a, r.b + 10}
		if move {
			next = uniqueRow{r.id, found.a, found.b}
		}
		delete(w.model.rows, found.id)
		if ok = len(w.model.meets(next)) == 0; !ok {
			w.model.rows[found.id] = *found
		} else {
			w.model.rows[next.id] = next
			if next != *found {
				affected = 1
			}
		}
	}
	w.exec(fmt.Sprintf("UPDATE %s SET %s WHERE b = %d", w.table, assign, r.b), affected, ok)
}

func (w *uniqueWorld) transaction() {
	switch {
	case w.saved == nil:
		mustExec(w.t, w.conn, "BEGIN")
		w.saved = maps.Clone(w.model.rows)
	case rapid.Bool().Draw(w.t, "commit"):
		mustExec(w.t, w.conn, "COMMIT")
		w.saved = nil
	default:
		mustExec(w.t, w.conn, "ROLLBACK")
		w.model.rows, w.saved = w.saved, nil
	}
}

func (w *uniqueWorld) exec(q string, affected int64, ok bool) {
	r, err := w.conn.ExecContext(context.Background(), q)
	if number := errorNumber(w.t, err); ok && number != 0 || !ok && number != 1062 {
		w.t.Fatalf("%s: %v, the model says ok=%t", q, err, ok)
	}
	if err != nil {
		return
	}
	if n, _ := r.RowsAffected(); n != affected {
		w.t.Fatalf("%s: %d rows, the model says %d", q, n, affected)
	}
}

func (w *uniqueWorld) compare() {
	checkRows(w.t, w.conn, "SELECT id, a, b FROM "+w.table, slices.Collect(maps.Values(w.model.rows)))
}

// checkUniqueModel reads every row through both unique keys.
func checkUniqueModel(t *rapid.T, db *sql.DB, table string, rows map[int]uniqueRow) {
	for v := range 20 {
		for _, key := range []string{"a", "b"} {
			var want []uniqueRow
			for _, r := range rows {
				if key == "a" && r.a == v || key == "b" && r.b == v {
					want = append(want, r)
				}
			}
			checkRows(t, db, fmt.Sprintf("SELECT id, a, b FROM %s WHERE %s = %d", table, key, v), want)
		}
	}
}

func checkRows(t *rapid.T, db cluster.Querier, q string, want []uniqueRow) {
	got, err := cluster.ReadTable(context.Background(), db, q)
	if err != nil {
		t.Fatalf("%s: %v", q, err)
	}
	var a, b []string
	for _, r := range got.Rows {
		a = append(a, "("+strings.Join(r, ", ")+")")
	}
	for _, r := range want {
		b = append(b, r.text())
	}
	slices.Sort(a)
	slices.Sort(b)
	if !slices.Equal(a, b) {
		t.Fatalf("%s: %v, the model says %v", q, a, b)
	}
}

// TestUniqueBuilderDies kills the FE that is altering a table and building a unique key for it. All of the ALTER TABLE is done or
// nothing of it, and the table can be written again when the promise of the dead builder is over.
func TestUniqueBuilderDies(t *testing.T) {
	skipShort(t, "it waits for the promise of a dead builder to end")
	c := cluster.Start(t, cluster.Options{})
	db := c.DB()
	mustExec(t, db, "CREATE DATABASE d")
	mustExec(t, db, "CREATE TABLE d.l (id INT PRIMARY KEY, u INT)")
	mustExec(t, db, "INSERT INTO d.l WITH ten AS (SELECT 0 n UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 "+
		"UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9) "+
		"SELECT a.n + 10 * b.n + 100 * c.n + 1000 * d.n + 10000 * e.n, a.n + 10 * b.n + 100 * c.n + 1000 * d.n + 10000 * e.n FROM ten a, ten b, ten c, ten d, ten e")
	const several = "ALTER TABLE d.l ADD COLUMN x INT DEFAULT 7, ADD UNIQUE KEY u (u), ADD CONSTRAINT seven CHECK (x = 7), COMMENT = 'altered'"
	altered := make(chan error, 1)
	go func() {
		_, err := db.Exec(several)
		altered <- err
	}()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cluster.Sleep(ctx, 150*time.Millisecond) // before, during or after: all are right
	if err := c.Kill("fe1"); err != nil {
		t.Fatal(err)
	}
	told := <-altered
	if err := c.StartNode("fe1"); err != nil {
		t.Fatal(err)
	}
	for { // the statement itself waits for a builder; the FE may still be starting
		_, err := db.ExecContext(ctx, "REPLACE INTO d.l (id, u) VALUES (1000000, 1000000)")
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			t.Fatalf("the table of a dead builder cannot be written: %v", err)
		}
		cluster.Sleep(ctx, 100*time.Millisecond)
	}
	_, err := db.Exec("INSERT INTO d.l (id, u) VALUES (1000001, 1000000)")
	there := errorNumber(t, err) == 1062
	t.Logf("the builder was told %v, the key is there: %t", told, there)
	if told == nil && !there {
		t.Error("a key that was acknowledged is gone")
	}
	if shown := showCreate(t, db, "d.l"); strings.Contains(shown, "`x`") != there || strings.Contains(shown, "seven") != there || strings.Contains(shown, "altered") != there {
		t.Errorf("the key is there: %t, but the table is\n%s", there, shown)
	}
	if !there {
		mustExec(t, db, "DELETE FROM d.l WHERE id = 1000001")
		mustExec(t, db, several)
		if _, err := db.Exec("INSERT INTO d.l (id, u) VALUES (1000001, 1000000)"); errorNumber(t, err) != 1062 {
			t.Errorf("a duplicate after the key was built anew: %v", err)
		}
	}
	if _, err := db.Exec("UPDATE d.l SET x = 8 WHERE id = 5"); errorNumber(t, err) != 3819 {
		t.Errorf("a row that does not meet the constraint: %v", err)
	}
	for _, q := range []string{"SELECT COUNT(*) FROM d.l", "SELECT COUNT(*) FROM d.l WHERE u = 77777"} {
		rows, err := cluster.ReadTable(ctx, db, q)
		if want := map[bool]string{true: "1", false: "100001"}[strings.Contains(q, "WHERE")]; err != nil || rows.Rows[0][0] != want {
			t.Errorf("%s: %v, %v, want %s", q, rows.Rows, err, want)
		}
	}
}
