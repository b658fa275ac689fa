package bench

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-sql-driver/mysql"
)

// The tables of a shop: statements of applications find their rows by secondary keys and join few of them. The n-th row is the same in
// each run. Scale 1 has a million orders.
const (
	appUsers    = 200_000
	appOrders   = 1_000_000
	appItems    = 2_000_000
	appTags     = 2_000
	appTagged   = 1_000_000
	appProducts = 50_000
)

var appSchema = []string{
	"CREATE TABLE users (id INT NOT NULL PRIMARY KEY, email VARCHAR(64) NOT NULL, name VARCHAR(40) NOT NULL, country SMALLINT NOT NULL, " +
		"boss INT, UNIQUE KEY (email), KEY (name), KEY (country), KEY (boss))",
	"CREATE TABLE orders (id INT NOT NULL PRIMARY KEY, user_id INT NOT NULL, status TINYINT NOT NULL, created DATETIME NOT NULL, " +
		"total DECIMAL(10,2) NOT NULL, note VARCHAR(100) NOT NULL, KEY (user_id), KEY (created), KEY (user_id, created))",
	"CREATE TABLE items (id INT NOT NULL PRIMARY KEY, order_id INT NOT NULL, product_id INT NOT NULL, qty INT NOT NULL, " +
		"price DECIMAL(10,2) NOT NULL, KEY (order_id), KEY (product_id))",
	"CREATE TABLE tags (id INT NOT NULL PRIMARY KEY, name VARCHAR(40) NOT NULL, KEY (name))",
	"CREATE TABLE order_tags (order_id INT NOT NULL, tag_id INT NOT NULL, PRIMARY KEY (order_id, tag_id), KEY (tag_id))",
}

// appTable is how many rows a table has, and how they look as lines.
type appTable struct {
	name string
	rows int
	line func(r *rand.Rand, i int) string
}

func appTables(scale float64) []appTable {
	n := func(rows int) int { return scaled(rows, scale) }
	return []appTable{
		{"users", n(appUsers), func(r *rand.Rand, i int) string {
			boss := `\N`
			if i%10 != 0 {
				boss = strconv.Itoa(1 + r.IntN(n(appUsers)))
			}
			return fmt.Sprintf("%d\tuser%d@example.org\tname%d\t%d\t%s\n", i, i, r.IntN(n(appUsers)), r.IntN(200), boss)
		}},
		{"orders", n(appOrders), func(r *rand.Rand, i int) string {
			return fmt.Sprintf("%d\t%d\t%d\t%s\t%d.%02d\t%s\n", i, 1+r.IntN(n(appUsers)), r.IntN(5), appTime(i, r.IntN(60)), r.IntN(10000), r.IntN(100),
				strings.Repeat("note ", 4+r.IntN(10)))
		}},
		{"items", n(appItems), func(r *rand.Rand, i int) string {
			return fmt.Sprintf("%d\t%d\t%d\t%d\t%d.%02d\n", i, 1+r.IntN(n(appOrders)), 1+r.IntN(n(appProducts)), 1+r.IntN(9), r.IntN(1000), r.IntN(100))
		}},
		{"tags", n(appTags), func(_ *rand.Rand, i int) string { return fmt.Sprintf("%d\ttag%d\n", i, i) }},
		{"order_tags", n(appTagged), func(r *rand.Rand, i int) string {
			return fmt.Sprintf("%d\t%d\n", i, 1+r.IntN(n(appTags)))
		}},
	}
}

// appTime is when the i-th order was made: one a minute, in the order of their numbers.
func appTime(i, second int) string {
	return time.Date(2020, 1, 1, 0, i, second, 0, time.UTC).Format(time.DateTime)
}

// scaled is how many of some rows there are at a scale.
func scaled(rows int, scale float64) int { return max(int(float64(rows)*scale), 100) }

// MakeApps makes database apps anew with its tables.
func MakeApps(ctx context.Context, s *Server, scale float64) error {
	setup := s.Open("")
	defer setup.Close()
	for _, text := range []string{"DROP DATABASE IF EXISTS apps", "CREATE DATABASE apps"} {
		if _, err := setup.ExecContext(ctx, text); err != nil {
			return fmt.Errorf("%s: %s: %w", s.Name, text, err)
		}
	}
	db := s.Open("apps")
	defer db.Close()
	for _, text := range appSchema {
		if _, err := db.ExecContext(ctx, text); err != nil {
			return fmt.Errorf("%s: %s: %w", s.Name, text, err)
		}
	}
	for _, t := range appTables(scale) {
		if err := t.load(ctx, db); err != nil {
			return fmt.Errorf("%s: load %s: %w", s.Name, t.name, err)
		}
		if _, err := db.ExecContext(ctx, "ANALYZE TABLE "+t.name); err != nil {
			return fmt.Errorf("%s: analyze %s: %w", s.Name, t.name, err)
		}
	}
	return nil
}

func (t *appTable) load(ctx context.Context, db *sql.DB) error {
	name := "apps-" + t.name
	mysql.RegisterReaderHandler(name, func() io.Reader {
		r, w := io.Pipe()
		go func() {
			out, random := bufio.NewWriterSize(w, 1<<20), rand.New(rand.NewPCG(1, uint64(len(t.name))))
			for i := range t.rows {
				_, _ = out.WriteString(t.line(random, i+1)) // the error stays in out
			}
			_ = w.CloseWithError(out.Flush()) // never fails
		}()
		return r
	})
	defer mysql.DeregisterReaderHandler(name)
	_, err := db.ExecContext(ctx, "LOAD DATA LOCAL INFILE 'Reader::"+name+"' INTO TABLE "+t.name)
	return err
}

// AppTest is one kind of statement of applications.
type AppTest struct {
	Name string
	text func(r *rand.Rand) string
	// Writes: run over rows that change; their answers are the numbers of affected rows.
	Writes bool
}

// statement is a kind of statement with marks for random numbers: %u a user, %o an order, %p a product, %t a tag, %d a time, %h the bounds of
// an hour, %O a list of 100 orders, %5 one of five.
type statement struct{ name, text string }

// Rows of one table by keys.
var appLookups = []statement{
	{"point by primary key", "SELECT * FROM orders WHERE id = %o"},
	{"primary key IN (5)", "SELECT * FROM orders WHERE id IN (%5)"},
	{"primary key IN (100)", "SELECT id, user_id, total FROM orders WHERE id IN (%O)"},
	{"unique key", "SELECT id, name FROM users WHERE email = 'user%u@example.org'"},
	{"key =", "SELECT * FROM orders WHERE user_id = %u"},
	{"key = and another condition", "SELECT * FROM orders WHERE user_id = %u AND status = 1"},
	{"key of text =", "SELECT * FROM users WHERE name = 'name%u'"},
	{"key IN (100)", "SELECT * FROM items WHERE order_id IN (%O)"},
	{"OR of two keys", "SELECT * FROM items WHERE order_id = %o OR product_id = %p"},
	{"pairs IN", "SELECT * FROM order_tags WHERE (order_id, tag_id) IN ((%o, %t), (%o, %t), (%o, %t))"},
	{"text LIKE 'prefix%'", "SELECT * FROM users WHERE name LIKE 'name%u%'"},
	{"range of dates", "SELECT id, total FROM orders WHERE created BETWEEN %h"},
	{"range of dates and another condition", "SELECT id, total FROM orders WHERE created BETWEEN %h AND status = 2"},
	{"IS NULL and equality", "SELECT id FROM users WHERE boss IS NULL AND name = 'name%u'"},
	{"newest 20", "SELECT id, created, total FROM orders WHERE user_id <> %u ORDER BY created DESC, id DESC LIMIT 20"},
	{"newest 20 of a user", "SELECT id, created, total FROM orders WHERE user_id = %u ORDER BY created DESC, id DESC LIMIT 20"},
	{"page by OFFSET", "SELECT id, total FROM orders WHERE user_id <> %u ORDER BY id LIMIT 20 OFFSET 1000"},
	{"page by key", "SELECT id, total FROM orders WHERE id > %o ORDER BY id LIMIT 20"},
	{"page by date", "SELECT id, total FROM orders WHERE created < %d ORDER BY created DESC, id DESC LIMIT 20"},
	{"newest by primary key", "SELECT id, total FROM orders WHERE user_id <> %u ORDER BY id DESC LIMIT 20"},
	{"COUNT of a key", "SELECT COUNT(*) FROM items WHERE product_id = %p"},
	{"COUNT of a range", "SELECT COUNT(*) FROM orders WHERE user_id BETWEEN %u AND 100"},
	{"MAX by a key", "SELECT MAX(created) FROM orders WHERE user_id = %u"},
	{"MAX of a key", "SELECT MAX(created), MIN(created) FROM orders WHERE id <> -%u"},
	{"GROUP BY over few rows", "SELECT status, COUNT(*), SUM(total) FROM orders WHERE user_id = %u GROUP BY status"},
	{"DISTINCT over few rows", "SELECT DISTINCT product_id FROM items WHERE order_id = %o"},
	{"UNION ALL of lookups", "SELECT id, total FROM orders WHERE user_id = %u UNION ALL SELECT id, total FROM orders WHERE id = %o"},
}

// Joins and subqueries of few rows.
var appJoins = []statement{
	{"join by primary key with a key", "SELECT o.id, i.id, i.qty FROM orders o JOIN items i ON i.order_id = o.id WHERE o.id = %o"},
	{"join by key with a primary key", "SELECT i.id, o.total FROM items i JOIN orders o ON o.id = i.order_id WHERE i.product_id = %p"},
	{"three tables", "SELECT u.name, o.id, i.id, i.price FROM users u JOIN orders o ON o.user_id = u.id JOIN items i ON i.order_id = o.id WHERE u.id = %u"},
	{"LEFT JOIN", "SELECT o.id, i.id, i.qty FROM orders o LEFT JOIN items i ON i.order_id = o.id WHERE o.id = %o"},
	{"LEFT JOIN of a list", "SELECT o.id, u.name FROM orders o LEFT JOIN users u ON u.id = o.user_id WHERE o.id IN (%O)"},
	{"two LEFT JOINs, newest 20", "SELECT o.id, u.name, b.name FROM orders o LEFT JOIN users u ON u.id = o.user_id LEFT JOIN users b ON b.id = u.boss " +
		"WHERE o.user_id <> %u ORDER BY o.id DESC LIMIT 20"},
	{"JOIN, newest 20", "SELECT o.id, u.name FROM orders o JOIN users u ON u.id = o.user_id WHERE o.status <> -%u ORDER BY o.id DESC LIMIT 20"},
	{"n:m", "SELECT t.name FROM order_tags ot JOIN tags t ON t.id = ot.tag_id WHERE ot.order_id = %o"},
	{"n:m the other way", "SELECT COUNT(*), MAX(o.total) FROM tags t JOIN order_tags ot ON ot.tag_id = t.id JOIN orders o ON o.id = ot.order_id WHERE t.name = 'tag%t'"},
	{"IN (SELECT) of few", "SELECT id, total FROM orders WHERE user_id IN (SELECT id FROM users WHERE name = 'name%u')"},
	{"EXISTS", "SELECT id, total FROM orders o WHERE user_id = %u AND EXISTS (SELECT 1 FROM items i WHERE i.order_id = o.id AND i.qty > 5)"},
	{"NOT EXISTS", "SELECT id, total FROM orders o WHERE user_id = %u AND NOT EXISTS (SELECT 1 FROM items i WHERE i.order_id = o.id)"},
	{"NOT IN (SELECT)", "SELECT id, total FROM orders WHERE user_id = %u AND id NOT IN (SELECT order_id FROM items)"},
	{"scalar subquery a row", "SELECT o.id, (SELECT COUNT(*) FROM items i WHERE i.order_id = o.id) FROM orders o WHERE o.user_id = %u"},
	{"derived table of groups", "SELECT o.id, s.n FROM orders o JOIN (SELECT order_id, COUNT(*) n FROM items GROUP BY order_id) s ON s.order_id = o.id WHERE o.user_id = %u"},
	{"constant over an equality", "SELECT o.id, i.id FROM orders o, items i WHERE i.order_id = o.id AND i.order_id = %o"},
	{"self join", "SELECT a.id, b.name FROM users a JOIN users b ON b.id = a.boss WHERE a.id = %u"},
}

var appWrites = []statement{
	{"UPDATE by key", "UPDATE orders SET total = total + 1 WHERE user_id = %u"},
	{"UPDATE of a list", "UPDATE orders SET total = total + 1 WHERE id IN (%5)"},
	{"UPDATE with a join", "UPDATE items i JOIN orders o ON o.id = i.order_id SET i.qty = i.qty + 1 WHERE o.id = %o"},
	{"INSERT SELECT of few", "INSERT INTO tags SELECT 100000000 + FLOOR(RAND() * 1000000000), name FROM users WHERE id = %u"},
	{"DELETE by key", "DELETE FROM items WHERE order_id = %o"},
	{"DELETE of a list", "DELETE FROM order_tags WHERE order_id IN (%5)"},
	{"DELETE oldest", "DELETE FROM orders WHERE user_id = %u ORDER BY created LIMIT 1"},
}

// AppTests are the statements over tables of a scale.
func AppTests(scale float64) []AppTest {
	var tests []AppTest
	for i, list := range [][]statement{appLookups, appJoins, appWrites} {
		for _, s := range list {
			tests = append(tests, AppTest{Name: s.name, Writes: i == 2, text: func(r *rand.Rand) string { return s.fill(r, scale) }})
		}
	}
	return tests
}

// fill puts random numbers in the place of marks.
func (s *statement) fill(r *rand.Rand, scale float64) string {
	list := func(n, of int) string {
		var parts []string
		for range n {
			parts = append(parts, strconv.Itoa(1+r.IntN(scaled(of, scale))))
		}
		return strings.Join(parts, ", ")
	}
	var b strings.Builder
	for i := 0; i < len(s.text); i++ {
		if s.text[i] != '%' || i+1 == len(s.text) {
			b.WriteByte(s.text[i])
			continue
		}
		i++
		switch mark := s.text[i]; mark {
		case 'u':
			b.WriteString(list(1, appUsers))
		case 'o':
			b.WriteString(list(1, appOrders))
		case 'p':
			b.WriteString(list(1, appProducts))
		case 't':
			b.WriteString(list(1, appTags))
		case 'd':
			b.WriteString("'" + appTime(r.IntN(scaled(appOrders, scale)), 0) + "'")
		case 'h':
			at := r.IntN(scaled(appOrders, scale))
			b.WriteString("'" + appTime(at, 0) + "' AND '" + appTime(at+60, 0) + "'")
		case 'O':
			b.WriteString(list(100, appOrders))
		case '5':
			b.WriteString(list(5, appOrders))
		default:
			b.WriteByte('%')
			b.WriteByte(mark)
		}
	}
	return b.String()
}

// appClients are how many clients run each kind.
var appClients = []int{1, 16}

// appChecks is how many statements of a kind are compared between servers before they are timed.
const appChecks = 5

// answers runs some statements of a kind and returns what they answer, rows in order.
func (a *AppTest) answers(ctx context.Context, db *sql.DB) ([]string, error) {
	r := rand.New(rand.NewPCG(7, 7))
	var out []string
	for range appChecks {
		text := a.text(r)
		if a.Writes {
			res, err := db.ExecContext(ctx, text)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", text, err)
			}
			n, _ := res.RowsAffected() // this driver always knows
			out = append(out, strconv.FormatInt(n, 10))
			continue
		}
		rows, err := appRows(ctx, db, text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", text, err)
		}
		out = append(out, rows)
	}
	return out, nil
}

func appRows(ctx context.Context, db *sql.DB, text string) (string, error) {
	rows, err := db.QueryContext(ctx, text)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	cols, err := rows.Columns()
	if err != nil {
		return "", err
	}
	cells, at := make([]sql.NullString, len(cols)), make([]any, len(cols))
	for i := range cells {
		at[i] = &cells[i]
	}
	var lines []string
	for rows.Next() {
		if err := rows.Scan(at...); err != nil {
			return "", err
		}
		lines = append(lines, fmt.Sprint(cells))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n"), rows.Err()
}

// client makes a client of such statements.
func (a *AppTest) Client() Client {
	return func(conn *client.Conn, nth int) (func() error, error) {
		r := rand.New(rand.NewPCG(11, uint64(nth)))
		return func() error { return done(conn.Execute(a.text(r))) }, nil
	}
}

// CheckApps compares the answers of the servers with those of the first.
func CheckApps(ctx context.Context, servers []*Server, tests []AppTest) error {
	for _, test := range tests {
		var want []string
		for i, s := range servers {
			db := s.Open("apps")
			got, err := test.answers(ctx, db)
			db.Close()
			if err != nil {
				return fmt.Errorf("%s: %s: %w", s.Name, test.Name, err)
			}
			if i == 0 {
				want = got
			} else if at := firstDifference(got, want); at >= 0 {
				return fmt.Errorf("%s, statement %d: %s answers\n%.500s\nand %s\n%.500s", test.Name, at, s.Name, got[at], servers[0].Name, want[at])
			}
		}
	}
	return nil
}

// firstDifference returns where two lists of one length differ, -1 = nowhere.
func firstDifference(a, b []string) int {
	for i := range a {
		if a[i] != b[i] {
			return i
		}
	}
	return -1
}

// MeasureApps runs statements of applications on every server in turn, after their answers have been compared.
func MeasureApps(ctx context.Context, t *Table, servers []*Server, scale float64, rounds int, span time.Duration, around func(*Server, string) func()) error {
	for _, s := range servers {
		if err := MakeApps(ctx, s, scale); err != nil {
			return err
		}
	}
	tests := AppTests(scale)
	if err := CheckApps(ctx, servers, tests); err != nil {
		return err
	}
	var points []pointTest
	for _, test := range tests {
		for _, clients := range appClients {
			points = append(points, pointTest{test.Name, clients, test.Client()})
		}
	}
	return measureIn(ctx, t, servers, "apps", points, rounds, span, around)
}
