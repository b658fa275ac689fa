package e2e

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"stele/tests/cluster"
)

// orphans counts the rows of a child that refer to nothing.
func orphans(t *testing.T, db *sql.DB, child, parent string) (n int) {
	t.Helper()
	must(t, db.QueryRow("SELECT COUNT(*) FROM "+child+" c LEFT JOIN "+parent+" p ON p.id = c.pid WHERE c.pid IS NOT NULL AND p.id IS NULL").Scan(&n))
	return n
}

// TestReferencesRace has sessions insert, move and delete rows of three tables while others delete the rows that these refer to, give them other
// keys and bring them back, and while the BEs are killed in turn. Each error is one that may come of it, and no row refers to nothing.
func TestReferencesRace(t *testing.T) {
	skipShort(t, "BEs are killed while sessions write")
	c := cluster.Start(t, prompt)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	db := databaseOf(ctx, t, c, "refs", `CREATE TABLE p (id INT PRIMARY KEY, v INT) DISTRIBUTED BY HASH(id) BUCKETS 3`)
	for _, s := range []string{
		"CREATE TABLE held (id BIGINT AUTO_INCREMENT PRIMARY KEY, pid INT, FOREIGN KEY (pid) REFERENCES p (id))",
		"CREATE TABLE falls (id BIGINT AUTO_INCREMENT PRIMARY KEY, pid INT, FOREIGN KEY (pid) REFERENCES p (id) ON DELETE CASCADE ON UPDATE CASCADE)",
		"CREATE TABLE stays (id BIGINT AUTO_INCREMENT PRIMARY KEY, pid INT, FOREIGN KEY (pid) REFERENCES p (id) ON DELETE SET NULL ON UPDATE SET NULL)",
	} {
		mustExec(t, db, s)
	}
	const parents, workers, rounds = 8, 6, 60
	for id := range parents {
		mustExec(t, db, fmt.Sprintf("INSERT INTO p VALUES (%d, 0)", id))
	}
	r := &racers{seen: map[uint16]int{}}
	var all sync.WaitGroup
	for worker := range workers {
		all.Go(func() { r.run(ctx, db, rand.New(rand.NewPCG(7, uint64(worker))), parents, rounds) })
	}
	ended := make(chan struct{})
	go func() { all.Wait(); close(ended) }()
	for n := 1; ; n = n%3 + 1 {
		node := fmt.Sprintf("be%d", n)
		must(t, c.Kill(node))
		must(t, c.StartNode(node))
		c.WaitAlive(t, node, true, 30*time.Second)
		select {
		case <-ended:
		case <-time.After(time.Second):
			continue
		}
		break
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	t.Logf("outcomes by error number: %v", r.seen)
	for code := range r.seen {
		if !slices.Contains([]uint16{0, 1062, 1180, 1205, 1213, 1412, 1451, 1452}, code) {
			t.Errorf("error %d: %v", code, r.first[code])
		}
	}
	for _, code := range []uint16{0, 1451, 1452} {
		if r.seen[code] == 0 {
			t.Errorf("error %d never came: the race is none", code)
		}
	}
	for _, child := range []string{"held", "falls", "stays"} {
		if n := orphans(t, db, child, "p"); n != 0 {
			t.Errorf("%d rows of %s refer to nothing", n, child)
		}
	}
}

// racers are the sessions of TestReferencesRace.
type racers struct {
	mu    sync.Mutex
	seen  map[uint16]int
	first map[uint16]error
}

func (r *racers) note(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	code := number(err)
	if r.seen[code]++; r.seen[code] == 1 {
		if r.first == nil {
			r.first = map[uint16]error{}
		}
		r.first[code] = err
	}
}

func (r *racers) run(ctx context.Context, db *sql.DB, rnd *rand.Rand, parents, rounds int) {
	conn, err := db.Conn(ctx)
	if err != nil {
		r.note(err)
		return
	}
	defer conn.Close()
	for range rounds {
		open := rnd.IntN(3) == 0
		if open {
			_, err := conn.ExecContext(ctx, "BEGIN")
			r.note(err)
		}
		for range 1 + rnd.IntN(3) {
			_, err := conn.ExecContext(ctx, racerStatement(rnd, parents))
			if r.note(err); err != nil && open && lost(err) {
				open = false
				break
			}
		}
		if open {
			end := "COMMIT"
			if rnd.IntN(4) == 0 {
				end = "ROLLBACK"
			}
			_, err := conn.ExecContext(ctx, end)
			r.note(err)
		}
	}
}

// lost reports whether an error has ended the transaction.
func lost(err error) bool {
	var my *mysql.MySQLError
	return !errors.As(err, &my) || my.Number == 1213
}

func racerStatement(rnd *rand.Rand, parents int) string {
	id, child := rnd.IntN(parents), []string{"held", "falls", "stays"}[rnd.IntN(3)]
	switch rnd.IntN(12) {
	case 0, 1:
		return fmt.Sprintf("DELETE FROM p WHERE id = %d", id)
	case 2:
		return fmt.Sprintf("UPDATE p SET id = %d WHERE id = %d", rnd.IntN(parents), id)
	case 3, 4:
		return fmt.Sprintf("INSERT IGNORE INTO p VALUES (%d, 1)", id)
	case 5:
		return fmt.Sprintf("REPLACE INTO p VALUES (%d, 2)", id)
	case 6:
		return fmt.Sprintf("UPDATE %s SET pid = %d WHERE pid = %d", child, id, rnd.IntN(parents))
	case 7:
		return fmt.Sprintf("DELETE FROM %s WHERE pid = %d", child, id)
	case 8:
		return fmt.Sprintf("INSERT INTO %s (pid) VALUES (%d), (NULL), (%d)", child, id, rnd.IntN(parents))
	}
	return fmt.Sprintf("INSERT INTO %s (pid) VALUES (%d)", child, id)
}

// TestRowsGoWhileOthersRefer: a transaction that has taken parents away goes back to a savepoint, or a statement of it fails, by which its locks
// are gone for a moment. Who waits for them to refer to the parents must not be left with nothing.
func TestRowsGoWhileOthersRefer(t *testing.T) {
	db := uniqueDatabase(t, "goback")
	mustExec(t, db, "CREATE TABLE p (id INT PRIMARY KEY, v INT) DISTRIBUTED BY HASH(id) BUCKETS 1")
	for child, does := range map[string]string{"held": "", "falls": "ON DELETE CASCADE ON UPDATE CASCADE", "stays": "ON DELETE SET NULL ON UPDATE SET NULL"} {
		mustExec(t, db, "CREATE TABLE "+child+" (id INT PRIMARY KEY AUTO_INCREMENT, pid INT, FOREIGN KEY (pid) REFERENCES p (id) "+does+")")
	}
	mustExec(t, db, "CREATE TABLE o (id INT PRIMARY KEY)")
	mustExec(t, db, "INSERT INTO o VALUES (0)")
	gone, back := 0, 0
	for _, child := range []string{"held", "falls", "stays"} {
		for _, takes := range []string{"DELETE FROM p WHERE id = 1", "UPDATE p SET id = 7 WHERE id = 1", "REPLACE INTO p VALUES (1, 5), (2, 5)"} {
			for _, undo := range []string{"ROLLBACK TO s", "INSERT INTO o VALUES (2), (0)"} {
				t.Run(child+", "+takes+", "+undo, func(t *testing.T) {
					mustExec(t, db, "REPLACE INTO p VALUES (1, 0), (2, 0)")
					if goesBack(t, db, child, takes, undo) {
						back++
					} else {
						gone++
					}
					for _, c := range []string{"held", "falls", "stays"} {
						if n := orphans(t, db, c, "p"); n != 0 {
							t.Errorf("%d rows of %s refer to nothing", n, c)
						}
						mustExec(t, db, "DELETE FROM "+c)
					}
					mustExec(t, db, "DELETE FROM p")
					mustExec(t, db, "DELETE FROM o WHERE id <> 0")
				})
			}
		}
	}
	t.Logf("%d transactions were lost, %d went on", gone, back)
}

// goesBack reports whether a transaction has committed that takes a parent away and then undoes something else, while a row comes that refers to
// the parent.
func goesBack(t *testing.T, db *sql.DB, child, takes, undo string) bool {
	conn, err := db.Conn(t.Context())
	must(t, err)
	defer conn.Close()
	do := func(statement string) error {
		_, err := conn.ExecContext(t.Context(), statement)
		return err
	}
	for _, s := range []string{"BEGIN", takes, "SAVEPOINT s", "INSERT INTO o VALUES (1)"} {
		must(t, do(s))
	}
	inserted := make(chan error, 1)
	go func() {
		_, err := db.ExecContext(t.Context(), "INSERT INTO "+child+" (pid) VALUES (1)")
		inserted <- err
	}()
	var waits int
	for waits == 0 && len(inserted) == 0 { // the INSERT is a call to a leader that does not end, or is about to be
		must(t, db.QueryRow("SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'INSERT INTO "+child+"%'").Scan(&waits))
	}
	err = do(undo)
	if code := number(err); code != 0 && code != 1062 && code != 1213 {
		t.Errorf("%s: %v", undo, err)
	}
	committed := number(err) != 1213
	if err := do("COMMIT"); err != nil && number(err) != 1213 {
		t.Errorf("COMMIT: %v", err)
	}
	if err := <-inserted; err != nil && !slices.Contains([]uint16{1452, 1213}, number(err)) {
		t.Errorf("INSERT: %v", err)
	}
	return committed
}

// TestCommitAsksForSharedRows: the leader of a row that a transaction refers to, and of whose tablet it has written nothing, is lost; meanwhile the
// row goes. The commit is refused.
func TestCommitAsksForSharedRows(t *testing.T) {
	skipShort(t, "BEs are killed")
	c := cluster.Start(t, prompt)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	db := databaseOf(ctx, t, c, "guards", "CREATE TABLE p (id INT PRIMARY KEY, v INT) DISTRIBUTED BY HASH(id) BUCKETS 1")
	mustExec(t, db, "INSERT INTO p VALUES (1, 0), (2, 0)")
	leader := func(table string) (id string) {
		must(t, db.QueryRow("SELECT BackendId FROM stele.tablets WHERE TableName = ? AND IsLeader = 'true'", table).Scan(&id))
		return id
	}
	child, parent := "", leader("p")
	for n := 0; child == "" || leader(child) == parent; n++ {
		child = fmt.Sprintf("c%d", n)
		mustExec(t, db, "CREATE TABLE "+child+" (id INT PRIMARY KEY, pid INT, FOREIGN KEY (pid) REFERENCES p (id)) DISTRIBUTED BY HASH(id) BUCKETS 1")
	}
	a, err := db.Conn(ctx)
	must(t, err)
	defer a.Close()
	do := func(statement string) error {
		_, err := a.ExecContext(ctx, statement)
		return err
	}
	for _, s := range []string{"BEGIN", "INSERT INTO " + child + " VALUES (1, 1)", "INSERT INTO " + child + " VALUES (2, 2)"} {
		must(t, do(s))
	}
	for n := 1; n <= 3; n++ {
		node := fmt.Sprintf("be%d", n)
		if id, err := c.BackendID(ctx, node); err != nil || id != parent {
			must(t, err)
			continue
		}
		must(t, c.Kill(node))
		defer func() { must(t, c.StartNode(node)) }()
	}
	mustExec(t, db, "DELETE FROM p WHERE id = 1") // the lock is gone with its leader
	err = do("COMMIT")
	if err == nil || number(err) == 1180 {
		t.Errorf("COMMIT: %v, want the transaction to be lost", err)
	}
	if n := orphans(t, db, child, "p"); n != 0 {
		t.Errorf("%d rows refer to nothing", n)
	}
	// What is still there is locked again, and the commit holds.
	for _, s := range []string{"BEGIN", "INSERT INTO " + child + " VALUES (3, 2)", "COMMIT"} {
		must(t, do(s))
	}
}
