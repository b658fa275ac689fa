package e2e

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"stele/tests/cluster"
)

var (
	racesFor  = flag.Duration("references.time", 10*time.Second, "how long TestReferencesRace goes on")
	racesSeed = flag.Uint64("references.seed", 0, "seed of the statements of TestReferencesRace; 0 draws one")
)

// orphans counts the rows of a child that refer to nothing.
func orphans(t *testing.T, db *sql.DB, child, parent string) (n int) {
	t.Helper()
	must(t, db.QueryRow("SELECT COUNT(*) FROM "+child+" c LEFT JOIN "+parent+" p ON p.id = c.pid WHERE c.pid IS NOT NULL AND p.id IS NULL").Scan(&n))
	return n
}

// racedTables are those of TestReferencesRace, each behind what it refers to.
var racedTables = []string{
	"CREATE TABLE p (id INT PRIMARY KEY, u INT, v INT, UNIQUE KEY (u)) DISTRIBUTED BY HASH(id) BUCKETS 3",
	"CREATE TABLE o (id INT PRIMARY KEY)",
	"CREATE TABLE held (id BIGINT AUTO_INCREMENT PRIMARY KEY, pid INT, w INT DEFAULT 0, FOREIGN KEY (pid) REFERENCES p (id))",
	"CREATE TABLE falls (id BIGINT AUTO_INCREMENT PRIMARY KEY, pid INT, w INT DEFAULT 0, FOREIGN KEY (pid) REFERENCES p (id) ON DELETE CASCADE ON UPDATE CASCADE)",
	"CREATE TABLE stays (id BIGINT AUTO_INCREMENT PRIMARY KEY, pid INT, w INT DEFAULT 0, FOREIGN KEY (pid) REFERENCES p (id) ON DELETE SET NULL ON UPDATE SET NULL)",
	"CREATE TABLE coded (id BIGINT AUTO_INCREMENT PRIMARY KEY, pid INT, w INT DEFAULT 0, FOREIGN KEY (pid) REFERENCES p (u) ON DELETE CASCADE ON UPDATE CASCADE)",
	"CREATE TABLE under (id BIGINT AUTO_INCREMENT PRIMARY KEY, pid BIGINT, FOREIGN KEY (pid) REFERENCES falls (id) ON DELETE CASCADE)",
}

// racedOrphans names the tables of TestReferencesRace that have a row which refers to nothing, in one snapshot.
func racedOrphans(ctx context.Context, db *sql.DB) (string, error) {
	var parts []string
	for _, r := range [][3]string{{"held", "p", "id"}, {"falls", "p", "id"}, {"stays", "p", "id"}, {"coded", "p", "u"}, {"under", "falls", "id"}} {
		parts = append(parts, fmt.Sprintf("SELECT '%s' AS child, c.id AS row_id, c.pid AS refers FROM %[1]s c LEFT JOIN %s p ON p.%s = c.pid WHERE c.pid IS NOT NULL AND p.id IS NULL",
			r[0], r[1], r[2]))
	}
	var found sql.NullString
	err := db.QueryRowContext(ctx, "SELECT GROUP_CONCAT(CONCAT(child, ' ', row_id, ' to ', refers)) FROM ("+strings.Join(parts, " UNION ALL ")+") AS x").Scan(&found)
	return found.String, err
}

// TestReferencesRace has sessions insert, move and delete rows of tables while others delete the rows that these refer to, give them other
// keys and bring them back, in statements and transactions of all kinds, and while the BEs are killed in turn. Each error is one that may
// come of it, and no row refers to nothing, at no moment.
func TestReferencesRace(t *testing.T) {
	skipShort(t, "BEs are killed while sessions write")
	c := cluster.Start(t, prompt)
	ctx, cancel := context.WithTimeout(t.Context(), *racesFor+4*time.Minute)
	defer cancel()
	db := databaseOf(ctx, t, c, "refs", racedTables...)
	const parents, workers = 8, 6
	for id := range parents {
		mustExec(t, db, fmt.Sprintf("INSERT INTO p VALUES (%d, %d, 0)", id, id))
	}
	mustExec(t, db, "INSERT INTO o VALUES (0)")
	seed := *racesSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed %d", seed)
	r := &racers{seen: map[uint16]int{}, first: map[uint16]string{}, until: time.Now().Add(*racesFor), parents: parents}
	var all sync.WaitGroup
	for worker := range workers {
		all.Go(func() { r.run(ctx, db, worker, rand.New(rand.NewPCG(seed, uint64(worker)))) })
	}
	ended := make(chan struct{})
	go func() { all.Wait(); close(ended) }()
	looked := make(chan struct{})
	go func() { r.look(ctx, t, db, ended); close(looked) }()
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
	<-looked
	r.judge(t)
	if found, err := racedOrphans(ctx, db); err != nil || found != "" {
		t.Errorf("rows refer to nothing in the end: %s, %v", found, err)
	}
}

// racers are the sessions of TestReferencesRace.
type racers struct {
	until   time.Time
	parents int

	mu     sync.Mutex
	seen   map[uint16]int
	first  map[uint16]string
	trail  []string // the latest statements that have ended
	looks  int
	rounds int
}

const longestTrail = 120

func (r *racers) note(statement string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	code := number(err)
	if r.trail = append(r.trail, fmt.Sprintf("%s: %d", statement, code)); len(r.trail) > longestTrail {
		r.trail = slices.Delete(r.trail, 0, len(r.trail)-longestTrail)
	}
	if r.seen[code]++; r.seen[code] == 1 {
		r.first[code] = fmt.Sprintf("%s: %v", statement, err)
	}
}

// judge fails for errors that do not come of what the racers do.
func (r *racers) judge(t *testing.T) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	t.Logf("%d rounds, %d looks; outcomes by error number: %v", r.rounds, r.looks, r.seen)
	for code := range r.seen {
		if !slices.Contains([]uint16{0, 1062, 1180, 1205, 1213, 1412, 1451, 1452}, code) {
			t.Errorf("error %d: %v", code, r.first[code])
		}
	}
	for _, code := range []uint16{0, 1062, 1451, 1452} {
		if r.seen[code] == 0 {
			t.Errorf("error %d never came: the race is none", code)
		}
	}
}

// look looks for orphans for as long as there are racers: what one statement leaves another one may take away.
func (r *racers) look(ctx context.Context, t *testing.T, db *sql.DB, ended <-chan struct{}) {
	for {
		select {
		case <-ended:
			return
		default:
		}
		found, err := racedOrphans(ctx, db)
		if found != "" {
			r.mu.Lock()
			trail := strings.Join(r.trail, "\n")
			r.mu.Unlock()
			again, err := racedOrphans(ctx, db)
			t.Errorf("rows refer to nothing: %s; then: %s (%v), behind\n%s", found, again, err, trail)
			return
		}
		if err == nil {
			r.mu.Lock()
			r.looks++
			r.mu.Unlock()
		}
	}
}

const leastRounds = 60 // that each racer makes, however slow the machine is

func (r *racers) run(ctx context.Context, db *sql.DB, id int, rnd *rand.Rand) {
	conn, err := db.Conn(ctx)
	if err != nil {
		r.note("connect", err)
		return
	}
	defer conn.Close()
	one := &racer{r: r, id: id, conn: conn, rnd: rnd, prepared: map[string]*sql.Stmt{}}
	for n := 0; (n < leastRounds || time.Now().Before(r.until)) && ctx.Err() == nil && !one.lost; n++ {
		one.round(ctx)
		r.mu.Lock()
		r.rounds++
		r.mu.Unlock()
	}
}

// racer is one of them.
type racer struct {
	r        *racers
	id       int
	conn     *sql.Conn
	rnd      *rand.Rand
	prepared map[string]*sql.Stmt // kept for as long as the session lasts
	lost     bool                 // the connection, which is an error that no statement may have
}

// do runs a statement, and reports whether a transaction goes on behind it.
func (r *racer) do(ctx context.Context, statement string, args ...any) bool {
	err := r.exec(ctx, statement, args)
	r.r.note(fmt.Sprintf("%d: %s %v", r.id, statement, args), err)
	r.lost = number(err) == 1
	return !r.lost && number(err) != 1213
}

func (r *racer) exec(ctx context.Context, statement string, args []any) (err error) {
	if len(args) == 0 || r.rnd.IntN(2) == 0 {
		_, err = r.conn.ExecContext(ctx, fmt.Sprintf(strings.ReplaceAll(statement, "?", "%v"), args...))
		return err
	}
	p := r.prepared[statement]
	if p == nil {
		if p, err = r.conn.PrepareContext(ctx, statement); err != nil {
			return err
		}
		r.prepared[statement] = p
	}
	_, err = p.ExecContext(ctx, args...)
	return err
}

func (r *racer) round(ctx context.Context) {
	if r.rnd.IntN(5) == 0 {
		r.do(ctx, "SET SESSION TRANSACTION ISOLATION LEVEL "+[]string{"READ COMMITTED", "REPEATABLE READ"}[r.rnd.IntN(2)])
	}
	if r.rnd.IntN(2) == 0 {
		r.statement(ctx)
		return
	}
	if !r.do(ctx, "BEGIN") {
		return
	}
	marked := false
	for range 1 + r.rnd.IntN(6) {
		var goes bool
		switch k := r.rnd.IntN(12); {
		case k == 0 || k == 1:
			goes, marked = r.do(ctx, "SAVEPOINT s"), true
		case k <= 3 && marked:
			goes = r.do(ctx, "ROLLBACK TO s")
		case k == 4: // it fails behind its first row
			goes = r.do(ctx, "INSERT INTO o VALUES (?), (0)", 1+r.rnd.IntN(50))
		default:
			goes = r.statement(ctx)
		}
		if !goes {
			return
		}
	}
	r.do(ctx, []string{"COMMIT", "COMMIT", "COMMIT", "ROLLBACK"}[r.rnd.IntN(4)])
}

func (r *racer) statement(ctx context.Context) bool {
	if r.rnd.IntN(2) == 0 {
		return r.ofParents(ctx)
	}
	return r.ofChildren(ctx)
}

func (r *racer) ofParents(ctx context.Context) bool {
	id, other, v := r.rnd.IntN(r.r.parents), r.rnd.IntN(r.r.parents), r.rnd.IntN(1000)
	child := []string{"held", "falls", "stays", "coded"}[r.rnd.IntN(4)]
	switch r.rnd.IntN(16) {
	case 0, 1:
		return r.do(ctx, "DELETE FROM p WHERE id = ?", id)
	case 2:
		return r.do(ctx, "DELETE FROM p WHERE id IN (?, ?)", id, other)
	case 3:
		return r.do(ctx, "UPDATE p SET id = ? WHERE id = ?", other, id)
	case 4:
		return r.do(ctx, "UPDATE p SET u = ? WHERE id = ?", other, id)
	case 5:
		return r.do(ctx, "REPLACE INTO p VALUES (?, ?, ?)", id, other, v)
	case 6:
		return r.do(ctx, "INSERT INTO p VALUES (?, ?, 3) ON DUPLICATE KEY UPDATE u = ?, v = v + 1", id, id, other)
	case 7:
		return r.do(ctx, "INSERT INTO p VALUES (?, NULL, 3) ON DUPLICATE KEY UPDATE id = ?", id, other)
	case 8:
		return r.do(ctx, "UPDATE p, "+child+" c SET p.id = ?, p.u = ?, c.w = c.w + 1 WHERE p.id = ? AND c.pid = p.id", other, other, id)
	case 9:
		return r.do(ctx, "UPDATE p, "+child+" c SET p.v = ?, c.pid = ? WHERE p.id = ? AND c.pid = p.id", v, other, id)
	case 10:
		return r.do(ctx, "DELETE p, c FROM p LEFT JOIN "+child+" c ON c.pid = p.id WHERE p.id = ?", id)
	case 11:
		return r.do(ctx, "DELETE IGNORE FROM p WHERE id IN (?, ?)", id, other)
	case 12:
		return r.do(ctx, "UPDATE IGNORE p SET id = ? WHERE id = ?", other, id)
	case 13:
		return r.do(ctx, "INSERT INTO p VALUES (?, ?, 4), (?, ?, 4)", id, id, other, other)
	}
	return r.do(ctx, "INSERT IGNORE INTO p VALUES (?, ?, 1), (?, ?, 1)", id, id, other, other)
}

func (r *racer) ofChildren(ctx context.Context) bool {
	id, other := r.rnd.IntN(r.r.parents), r.rnd.IntN(r.r.parents)
	child := []string{"held", "falls", "stays", "coded"}[r.rnd.IntN(4)]
	switch r.rnd.IntN(14) {
	case 0, 1:
		return r.do(ctx, "DELETE FROM "+child+" WHERE pid = ?", id)
	case 2:
		return r.do(ctx, "DELETE FROM "+child+" WHERE pid IS NULL OR pid = ?", id)
	case 3:
		return r.do(ctx, "UPDATE "+child+" SET pid = ? WHERE pid = ?", other, id)
	case 4:
		return r.do(ctx, "INSERT IGNORE INTO "+child+" (pid) VALUES (?), (?), (99)", id, other)
	case 5:
		return r.do(ctx, "INSERT INTO "+child+" (pid) VALUES (?), (NULL), (?)", id, other)
	case 6:
		return r.do(ctx, "REPLACE INTO "+child+" (id, pid) VALUES (?, ?)", 1+id, other)
	case 7:
		return r.do(ctx, "INSERT INTO "+child+" (id, pid) VALUES (?, ?) ON DUPLICATE KEY UPDATE pid = ?", 1+id, other, id)
	case 8:
		return r.do(ctx, "INSERT INTO "+child+" (pid) SELECT id FROM p WHERE id <> ?", id)
	case 9:
		return r.do(ctx, "INSERT INTO under (pid) SELECT id FROM falls WHERE pid = ?", id)
	case 10:
		return r.do(ctx, "UPDATE "+child+" SET w = w + 1 WHERE pid = ?", id)
	}
	return r.do(ctx, "INSERT INTO "+child+" (pid) VALUES (?)", id)
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
