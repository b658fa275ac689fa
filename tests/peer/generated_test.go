//go:build clients

package peer

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/go-sql-driver/mysql"

	"stele/tests/answers"
	"stele/tests/bench"
	"stele/tests/cluster"
)

// TestGeneratedColumns sends random writes to tables with generated columns, with unique and other keys on them: both servers have to
// accept and refuse the same ones, with one number, and to hold the same rows after each.
func TestGeneratedColumns(t *testing.T) {
	peer, err := bench.StartPeer()
	if errors.Is(err, bench.ErrNoPeer) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	ours := &side{answers.Session{DB: cluster.Start(t, cluster.Options{Backends: 1}).OpenDB("")}}
	theirs := &side{answers.Session{DB: peer.Open(""), Setup: []string{"SET NAMES utf8mb4 COLLATE " + noPad}}}
	defer ours.DB.Close()
	defer theirs.DB.Close()
	ours.prepare(t, "CREATE DATABASE peer")
	theirs.prepare(t, "CREATE DATABASE peer COLLATE "+noPad)
	for _, s := range []*side{ours, theirs} {
		s.prepare(t, "USE peer", `CREATE TABLE t (id INT PRIMARY KEY, a INT, b BIGINT AS (a * 3 - IFNULL(LENGTH(s), 0)) VIRTUAL, s VARCHAR(20),
			c VARCHAR(40) AS (CONCAT(COALESCE(s, '-'), ':', COALESCE(b, 'n'))) STORED, d INT AS (CASE WHEN a % 2 = 0 THEN id ELSE NULL END) STORED,
			q DECIMAL(20,4) AS (a / 7) STORED, UNIQUE (d), KEY (c))`,
			"CREATE TABLE r (k INT AS (a % 50) STORED UNIQUE, a INT, v INT)")
	}
	w := &generatedWrites{rand.New(rand.NewPCG(*seed, 9))}
	for range *queries / 4 {
		write := w.next()
		_, errA := ours.ask(t.Context(), write)
		_, errB := theirs.ask(t.Context(), write)
		if number(errA) != number(errB) {
			t.Fatalf("Stele %v, MariaDB %v\n%s", errA, errB, write)
		}
		for _, q := range []string{"SELECT * FROM t", "SELECT * FROM r", "SELECT id FROM t WHERE c LIKE 'x1%'", "SELECT id FROM t WHERE d > 5"} {
			a, errA := ours.ask(t.Context(), q)
			b, errB := theirs.ask(t.Context(), q)
			if errA != nil || errB != nil || !reflect.DeepEqual(a, b) {
				t.Fatalf("behind %s\n%s\nStele   %v %v\nMariaDB %v %v", write, q, a, errA, b, errB)
			}
		}
	}
}

// number is that of a server's error, 0 = there is none.
func number(err error) uint16 {
	var known *mysql.MySQLError
	if errors.As(err, &known) {
		return known.Number
	}
	return 0
}

// generatedWrites draws statements that write to the tables of TestGeneratedColumns.
type generatedWrites struct{ rnd *rand.Rand }

func (w *generatedWrites) id(from, to int) int { return from + w.rnd.IntN(to-from+1) }

func (w *generatedWrites) value() string {
	if w.rnd.IntN(4) == 0 {
		return "NULL"
	}
	return fmt.Sprint(w.id(-9, 40))
}

func (w *generatedWrites) text() string {
	return []string{"NULL", "''", fmt.Sprintf("'x%d'", w.rnd.IntN(6))}[w.rnd.IntN(3)]
}

// row is a row of t with an id in a range.
func (w *generatedWrites) row(from, to int) string {
	return fmt.Sprintf("(%d, %s, %s)", w.id(from, to), w.value(), w.text())
}

func (w *generatedWrites) next() string {
	const into = "INTO t (id, a, s) VALUES "
	switch w.rnd.IntN(10) {
	case 0, 1:
		return "INSERT " + into + w.row(1, 40)
	case 2:
		return "INSERT " + into + w.row(1, 40) + ", " + w.row(41, 80) + " ON DUPLICATE KEY UPDATE a = VALUES(a) + 1, s = CONCAT(s, 'u')"
	case 3:
		return "INSERT " + into + w.row(1, 40) + " ON DUPLICATE KEY UPDATE a = a + 1"
	case 4:
		return fmt.Sprintf("UPDATE t SET a = %s WHERE id = %d", w.value(), w.id(1, 80))
	case 5:
		return fmt.Sprintf("UPDATE t SET s = %s, b = DEFAULT WHERE id BETWEEN %d AND %d", w.text(), w.id(1, 40), w.id(30, 80))
	case 6:
		return "REPLACE " + into + w.row(1, 60)
	case 7:
		return fmt.Sprintf("REPLACE INTO r (a, v) VALUES (%s, %d)", w.value(), w.id(1, 9))
	case 8:
		return fmt.Sprintf("UPDATE r SET a = a + %d WHERE v = %d", w.id(1, 3), w.id(1, 9))
	}
	return fmt.Sprintf("UPDATE t x JOIN r y ON x.id = y.k SET x.a = y.v + y.k WHERE y.k < %d", w.id(0, 20))
}
