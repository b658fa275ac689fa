package histories

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"
)

const (
	active     = 5   // lists of a table that are worked on at a time
	generation = 120 // transactions until the clients go on to fresh lists: reads stay small
	opTimeout  = 40 * time.Second
)

// Load is clients that work on lists, and what they have seen.
type Load struct {
	start time.Time
	seed  uint64
	begun atomic.Int64 // transactions
	value atomic.Int64

	mu       sync.Mutex
	txns     []*Transaction
	numbers  map[string]int64 // AUTO_INCREMENT numbers that were acknowledged, by value
	broken   []string
	failures map[string]int
}

// NewLoad begins a history. The clients of a seed draw the same operations each time; how they interleave is another thing.
func NewLoad(seed uint64) *Load {
	return &Load{start: time.Now(), seed: seed, numbers: map[string]int64{}, failures: map[string]int{}}
}

// Tables are the statements that make the tables of the clients. In whole and named a list is a text, by its key and by a unique key beside it
// that moves with each append; in parts each value is a row, which the key keeps from being there twice.
func Tables() []string {
	return []string{
		"CREATE TABLE whole (k INT PRIMARY KEY, v VARCHAR(4000) NOT NULL) DISTRIBUTED BY HASH(k) BUCKETS 3",
		"CREATE TABLE named (id BIGINT AUTO_INCREMENT PRIMARY KEY, k INT NOT NULL, v VARCHAR(4000) NOT NULL, n INT NOT NULL, place INT NOT NULL, UNIQUE KEY (k), UNIQUE KEY (place)) DISTRIBUTED BY HASH(id) BUCKETS 2",
		"CREATE TABLE parts (k INT NOT NULL, pos INT NOT NULL, v VARCHAR(20) NOT NULL, PRIMARY KEY (k, pos), KEY (v)) DISTRIBUTED BY HASH(k, pos) BUCKETS 3",
		"CREATE TABLE large (k INT PRIMARY KEY, v MEDIUMTEXT)",
		"CREATE TABLE numbered (id BIGINT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(20) NOT NULL, UNIQUE KEY (v))",
	}
}

func (l *Load) now() time.Duration { return time.Since(l.start) }

// Client works until ctx ends. Its sessions are those of db; what it began it carries to its end.
func (l *Load) Client(ctx context.Context, id int, db *sql.DB) {
	r := rand.New(rand.NewPCG(l.seed, uint64(id)))
	for ctx.Err() == nil {
		if err := l.transaction(context.WithoutCancel(ctx), id, db, r); err != nil {
			l.fails(err)
			select { // whoever is refused comes again a little later
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
}

// transaction does one transaction, or one statement that commits itself.
func (l *Load) transaction(ctx context.Context, id int, db *sql.DB, r *rand.Rand) error {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	a := &attempt{Load: l, Rand: r, conn: conn, txn: Transaction{Client: id, Outcome: Undone}, base: int(l.begun.Add(1)/generation) * active}
	if r.IntN(3) == 0 {
		err = a.alone(ctx)
	} else {
		err = a.several(ctx)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.txns = append(l.txns, &a.txn)
	for value, number := range a.numbers {
		if a.txn.Outcome == Committed {
			l.numbers[value] = number
		}
	}
	return err
}

func (l *Load) breaks(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken = append(l.broken, fmt.Sprintf(format, args...))
}

// fails counts what clients were told.
func (l *Load) fails(err error) {
	text := err.Error()
	var my *mysql.MySQLError
	if errors.As(err, &my) && slices.Contains([]uint16{1062, 1205, 1213}, my.Number) {
		text = fmt.Sprint("error ", my.Number)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failures[text]++
}

// Broken reads all that was written, by any session, and returns what of the history does not hold. The clients have to have ended.
func (l *Load) Broken(ctx context.Context, db *sql.DB) ([]string, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	a := &attempt{Load: l, Rand: rand.New(rand.NewPCG(l.seed, 0)), conn: conn, txn: Transaction{Client: -1, Level: "the last reads", Outcome: Committed}}
	a.txn.States = []Span{{l.now(), Forever}}
	var keys []int
	for key := range (int(l.begun.Load()/generation) + 1) * active {
		keys = append(keys, key)
	}
	if err := errors.Join(a.texts(ctx, "whole", keys, "SELECT k, v FROM whole"), a.texts(ctx, "named", keys, "SELECT k, v, n, place FROM named"),
		a.rows(ctx, keys, "SELECT k, v FROM parts ORDER BY k, pos"), a.drawn(ctx)); err != nil {
		return nil, err
	}
	return append(l.broken, Check(append(l.txns, &a.txn))...), nil
}

// Summary says what the clients did and were told.
func (l *Load) Summary() string {
	outcomes := map[Outcome]int{}
	for _, t := range l.txns {
		outcomes[t.Outcome]++
	}
	return fmt.Sprintf("%d transactions committed, %d undone, %d in doubt, %d numbers drawn, failures %v", outcomes[Committed], outcomes[Undone],
		outcomes[Unknown], len(l.numbers), l.failures)
}

// attempt is one transaction under way.
type attempt struct {
	*Load
	*rand.Rand
	conn    *sql.Conn
	txn     Transaction
	base    int // the first of the keys that are worked on
	numbers map[string]int64
	bound   bool // its state is decided: it has read
}

// outcome is what an error tells about a commit, or a statement that commits itself: MySQL says with three numbers that nothing was done, and a
// connection that was refused brought nothing.
func outcome(err error) Outcome {
	var my *mysql.MySQLError
	var dial *net.OpError
	switch {
	case err == nil:
		return Committed
	case errors.As(err, &my) && slices.Contains([]uint16{1062, 1205, 1213}, my.Number), errors.As(err, &dial) && dial.Op == "dial":
		return Undone
	}
	return Unknown
}

// alone is a statement that commits itself: what it reads, it reads in one state.
func (a *attempt) alone(ctx context.Context) error {
	a.txn.Level = "autocommit"
	a.txn.Commit = Span{a.now(), Forever}
	a.txn.States = []Span{a.txn.Commit}
	_, err := a.single(ctx)
	if a.txn.Outcome = outcome(err); a.txn.Outcome != Unknown {
		a.txn.Commit.Heard = a.now()
		a.txn.States[0].Heard = a.txn.Commit.Heard
	}
	return err
}

func (a *attempt) several(ctx context.Context) error {
	a.txn.Level = "REPEATABLE READ"
	if a.IntN(3) == 0 {
		a.txn.Level = "READ COMMITTED"
	}
	if _, err := a.conn.ExecContext(ctx, "SET TRANSACTION ISOLATION LEVEL "+a.txn.Level); err != nil {
		return err
	}
	if err := a.begin(ctx); err != nil {
		return err
	}
	for range 1 + a.IntN(5) {
		if err := a.step(ctx); err != nil {
			return errors.Join(err, a.end(ctx, "ROLLBACK"))
		}
	}
	if a.IntN(20) == 0 { // more than a commit takes along
		if _, err := a.exec(ctx, "REPLACE INTO large VALUES (?, REPEAT('x', 30000))", a.IntN(10)); err != nil {
			return errors.Join(err, a.end(ctx, "ROLLBACK"))
		}
	}
	if a.IntN(8) == 0 {
		return a.end(ctx, "ROLLBACK")
	}
	a.txn.Commit = Span{a.now(), Forever}
	err := a.end(ctx, "COMMIT")
	if a.txn.Outcome = outcome(err); a.txn.Outcome != Unknown {
		a.txn.Commit.Heard = a.now()
	}
	return err
}

// begin begins a transaction, in some cases with the state that it reads.
func (a *attempt) begin(ctx context.Context) error {
	asked := a.now()
	begin := []string{"BEGIN", "START TRANSACTION", "SET autocommit = 0", "START TRANSACTION WITH CONSISTENT SNAPSHOT"}[a.IntN(4)]
	_, err := a.conn.ExecContext(ctx, begin)
	if a.txn.Level == "REPEATABLE READ" && strings.HasSuffix(begin, "SNAPSHOT") {
		a.txn.States, a.bound = []Span{{asked, a.now()}}, true
	}
	return err
}

// end ends the transaction of the connection, or the connection.
func (a *attempt) end(ctx context.Context, how string) error {
	_, err := a.conn.ExecContext(ctx, how)
	over := err
	if over == nil {
		_, over = a.conn.ExecContext(ctx, "SET autocommit = 1")
	}
	if over != nil {
		_ = a.conn.Raw(func(any) error { return errBadSession })
	}
	return err
}

// step is what a transaction does next: one statement, some that belong together, or one that is undone alone.
func (a *attempt) step(ctx context.Context) error {
	switch a.IntN(10) {
	case 0:
		return a.undone(ctx)
	case 1:
		return a.refused(ctx)
	case 2, 3:
		return a.readThenWrite(ctx)
	}
	_, err := a.within(ctx, a.single)
	return err
}

// within runs a statement of a transaction in a state: in the one of a REPEATABLE READ transaction, else in one of its own. A state is taken
// before its first read is answered; until then writes look at the newest rows, which they lock.
func (a *attempt) within(ctx context.Context, run func(context.Context) (reads bool, err error)) (bool, error) {
	if a.txn.Level == "READ COMMITTED" || len(a.txn.States) == 0 {
		a.txn.States = append(a.txn.States, Span{a.now(), Forever})
	}
	reads, err := run(ctx)
	state := &a.txn.States[len(a.txn.States)-1]
	if err == nil && (a.txn.Level == "READ COMMITTED" || !a.bound) {
		state.Heard = a.now()
		a.bound = a.bound || reads
	}
	return reads, err
}

// undone goes back to a savepoint, behind a statement that is as if it had never been.
func (a *attempt) undone(ctx context.Context) error {
	if _, err := a.conn.ExecContext(ctx, "SAVEPOINT s"); err != nil {
		return err
	}
	before := len(a.txn.Ops)
	if _, err := a.within(ctx, a.append); err != nil {
		return err
	}
	_, err := a.conn.ExecContext(ctx, "ROLLBACK TO s")
	since := slices.DeleteFunc(a.txn.Ops[before:], func(op Op) bool { return op.Append != "" })
	a.txn.Ops = append(a.txn.Ops[:before], since...)
	return err
}

// refused is a statement of which all is undone because its second row meets a key.
func (a *attempt) refused(ctx context.Context) error {
	value := a.fresh()
	_, err := a.within(ctx, func(ctx context.Context) (bool, error) {
		_, err := a.exec(ctx, "INSERT INTO numbered (v) VALUES (?), (?)", value, value)
		return true, err // it has seen a row that it does not hold
	})
	var my *mysql.MySQLError
	if errors.As(err, &my) && my.Number == 1062 {
		return nil
	}
	if err == nil {
		a.breaks("a unique key took %s twice in one statement", value)
	}
	return err
}

func (a *attempt) key() int { return a.base + a.IntN(active) }

func (a *attempt) fresh() string { return fmt.Sprintf("%x", a.value.Add(1)) }

// exec runs a statement as a text or prepared.
func (a *attempt) exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if a.IntN(2) == 0 {
		query, args = literal(query, args), nil
	}
	return a.conn.ExecContext(ctx, query, args...)
}

func (a *attempt) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if a.IntN(2) == 0 {
		query, args = literal(query, args), nil
	}
	return a.conn.QueryContext(ctx, query, args...)
}

// literal writes arguments, numbers and plain words, where their marks stand.
func literal(query string, args []any) string {
	for _, arg := range args {
		text := fmt.Sprint(arg)
		if _, ok := arg.(string); ok {
			text = "'" + text + "'"
		}
		query = strings.Replace(query, "?", text, 1)
	}
	return query
}
