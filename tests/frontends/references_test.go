package frontends

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

var keysMade = flag.Int("references.keys", 8, "how many foreign keys TestForeignKeysComeAndGo makes while others write")

// orphans counts the rows of c that refer to nothing, on each FE.
func orphans(t *testing.T, dbs []*sql.DB) {
	t.Helper()
	for n, db := range dbs {
		if found := one(t, db, "SELECT GROUP_CONCAT(c.pid) FROM c LEFT JOIN p ON p.id = c.pid WHERE c.pid IS NOT NULL AND p.id IS NULL"); found != "" {
			t.Errorf("fe%d: rows refer to %s, which are not there", n+1, found)
		}
	}
}

// TestForeignKeysComeAndGo: once ADD FOREIGN KEY has succeeded on one FE no row refers to nothing, and none can be made on another one, by what
// was planned, prepared or written before.
func TestForeignKeysComeAndGo(t *testing.T) {
	c := startWith(t, 2, steady, nil)
	dbs := pools(t, c, 2)
	exec(t, dbs[0], "CREATE TABLE p (id INT PRIMARY KEY, v INT) DISTRIBUTED BY HASH(id) BUCKETS 3", "CREATE TABLE o (id INT PRIMARY KEY)", "INSERT INTO o VALUES (0)",
		"CREATE TABLE c (id BIGINT AUTO_INCREMENT PRIMARY KEY, pid INT)")
	actions := []string{"", " ON DELETE CASCADE ON UPDATE CASCADE"}
	for i, begins := range []string{"DELETE FROM p WHERE id = 1", "UPDATE p SET id = 7 WHERE id = 1", "DELETE p FROM p LEFT JOIN c ON c.pid = p.id WHERE p.id = 1",
		"INSERT INTO c (pid) VALUES (9)", "UPDATE c SET pid = 9 WHERE pid = 2"} {
		for k, ends := range []string{"", "ROLLBACK TO s", "INSERT INTO o VALUES (2), (0)", "INSERT INTO c (pid) VALUES (2)"} {
			does := actions[(i+k)%2]
			t.Run(fmt.Sprintf("%s;%s;%s", does, begins, ends), func(t *testing.T) { keyComesBetween(t, dbs, does, begins, ends) })
		}
	}
	keysUnderLoad(t, dbs)
}

// outcome fails for an error that is none of some.
func outcome(t *testing.T, what string, err error, codes ...uint16) uint16 {
	t.Helper()
	if err != nil && !slices.Contains(codes, number(err)) {
		t.Errorf("%s: %v", what, err)
	}
	return number(err)
}

// keyComesBetween has a foreign key come while a transaction on another FE has begun, and then executes what was prepared there before.
func keyComesBetween(t *testing.T, dbs []*sql.DB, does, begins, ends string) {
	exec(t, dbs[0], "DELETE FROM c", "DELETE FROM p", "INSERT INTO p VALUES (1, 0), (2, 0), (3, 0)", "INSERT INTO c (pid) VALUES (2), (3)")
	ctx := t.Context()
	open, err := dbs[1].Conn(ctx)
	must(t, err)
	defer open.Close()
	kept, err := dbs[1].Conn(ctx)
	must(t, err)
	defer kept.Close()
	insert, err := kept.PrepareContext(ctx, "INSERT INTO c (pid) VALUES (?)")
	must(t, err)
	remove, err := kept.PrepareContext(ctx, "DELETE FROM p WHERE id = ?")
	must(t, err)
	for range 2 { // plans are kept
		_, err := insert.ExecContext(ctx, 3)
		must(t, err)
		_, err = remove.ExecContext(ctx, 50)
		must(t, err)
	}
	for _, s := range []string{"BEGIN", begins, "SAVEPOINT s", "INSERT INTO o VALUES (1)"} {
		_, err := open.ExecContext(ctx, s)
		must(t, err)
	}
	exec(t, dbs[0], "ALTER TABLE c ADD CONSTRAINT fk FOREIGN KEY (pid) REFERENCES p (id)"+does)
	other, err := dbs[0].Conn(ctx)
	must(t, err)
	defer other.Close()
	for _, s := range []string{"SET innodb_lock_wait_timeout = 1", "INSERT INTO c (pid) VALUES (1)"} {
		_, err := other.ExecContext(ctx, s)
		outcome(t, s, err, 1205)
	}
	for _, s := range []string{ends, "COMMIT"} {
		if s != "" {
			_, err := open.ExecContext(ctx, s)
			outcome(t, s, err, 1062, 1213, 1412, 1451, 1452)
		}
	}
	orphans(t, dbs)
	_, err = insert.ExecContext(ctx, 99)
	if outcome(t, "insert", err, 1452) == 0 {
		t.Error("a prepared INSERT has made a row that refers to nothing")
	}
	_, err = remove.ExecContext(ctx, 3)
	if code := outcome(t, "remove", err, 1451); code == 0 && does == "" {
		t.Error("a prepared DELETE has taken away what rows refer to")
	}
	orphans(t, dbs)
	exec(t, dbs[0], "ALTER TABLE c DROP FOREIGN KEY fk", "DELETE FROM o WHERE id <> 0")
	_, err = insert.ExecContext(ctx, 99)
	must(t, err)
}

// keysUnderLoad makes and drops foreign keys while sessions of both FEs write to both tables, with no thought of what refers to what.
func keysUnderLoad(t *testing.T, dbs []*sql.DB) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	w := &unmindful{ended: make(chan struct{}), seen: map[uint16]int{}, first: map[uint16]string{}}
	w.wild.Store(true)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	for n := range 4 {
		all.Go(func() { w.run(ctx, dbs[n%2], rand.New(rand.NewPCG(seed, uint64(n)))) })
	}
	refused := 0
	for made := 0; made < *keysMade && !t.Failed(); {
		db := dbs[(made+refused)%2]
		w.wild.Store(false)
		w.await(8) // who has begun before has ended
		exec(t, db, "DELETE c FROM c LEFT JOIN p ON p.id = c.pid WHERE p.id IS NULL")
		w.wild.Store(true)
		_, err := db.ExecContext(ctx, "ALTER TABLE c ADD CONSTRAINT fk FOREIGN KEY (pid) REFERENCES p (id)"+[]string{"", " ON DELETE CASCADE ON UPDATE SET NULL"}[made%2])
		if outcome(t, "ADD FOREIGN KEY", err, 1205, 1213, 1412, 1452) != 0 {
			refused++
			continue
		}
		made++
		for range 5 {
			orphans(t, dbs)
			w.await(10)
		}
		orphans(t, dbs)
		exec(t, db, "ALTER TABLE c DROP FOREIGN KEY fk")
	}
	cancel()
	all.Wait()
	t.Logf("%d times the rows did not meet the key; outcomes by error number: %v", refused, w.seen)
	for code := range w.seen {
		if !slices.Contains([]uint16{0, 1062, 1205, 1213, 1412, 1451, 1452}, code) {
			t.Errorf("error %d: %s", code, w.first[code])
		}
	}
}

// unmindful are sessions that write parents and children.
type unmindful struct {
	wild  atomic.Bool   // else only rows with parents are inserted, and those of a parent go with it
	ended chan struct{} // a statement has
	mu    sync.Mutex
	seen  map[uint16]int
	first map[uint16]string
}

// await waits until so many more statements have ended.
func (w *unmindful) await(n int) {
	for range n {
		<-w.ended
	}
}

func (w *unmindful) run(ctx context.Context, db *sql.DB, rnd *rand.Rand) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return
	}
	defer conn.Close()
	prepared := map[string]*sql.Stmt{}
	do := func(statement string, args ...any) bool {
		p, err := prepared[statement], error(nil)
		if p == nil {
			if p, err = conn.PrepareContext(ctx, statement); err == nil {
				prepared[statement] = p
			}
		}
		if err == nil {
			_, err = p.ExecContext(ctx, args...)
		}
		if ctx.Err() != nil {
			return false
		}
		select {
		case w.ended <- struct{}{}:
		default: // nobody waits
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		code := number(err)
		if err != nil && code == 0 {
			code = 1 // the connection is lost
		}
		if w.seen[code]++; w.seen[code] == 1 {
			w.first[code] = fmt.Sprintf("%s %v: %v", statement, args, err)
		}
		return code != 1213 && code != 1
	}
	for ctx.Err() == nil {
		w.round(do, rnd)
	}
}

func (w *unmindful) round(do func(string, ...any) bool, rnd *rand.Rand) {
	id, other, wild := rnd.IntN(8), rnd.IntN(8), w.wild.Load()
	switch k := rnd.IntN(8); {
	case k == 0:
		do("INSERT IGNORE INTO p VALUES (?, 0), (?, 0)", id, other)
	case k == 1:
		do("DELETE FROM c WHERE pid = ?", id)
	case !wild:
		do("INSERT INTO c (pid) SELECT id FROM p WHERE id = ?", id)
	case k == 2:
		do("DELETE FROM p WHERE id = ?", id)
	case k == 3:
		do("UPDATE p SET id = ? WHERE id = ?", other, id)
	case k == 4:
		do("UPDATE c SET pid = ? WHERE pid = ?", other, id)
	case k == 5:
		if do("BEGIN") && do("DELETE FROM p WHERE id = ?", id) && do("SAVEPOINT s") && do("INSERT INTO c (pid) VALUES (?)", other) && do("ROLLBACK TO s") {
			do("COMMIT")
		}
	case k == 6:
		if do("BEGIN") && do("INSERT INTO c (pid) VALUES (?)", id) && do("DELETE FROM c WHERE pid = ?", other) {
			do("COMMIT")
		}
	default:
		do("INSERT INTO c (pid) VALUES (?)", id)
	}
}
