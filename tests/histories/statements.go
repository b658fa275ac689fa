package histories

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"slices"
	"strings"
)

// errBadSession ends a session that may still be in a transaction.
var errBadSession = driver.ErrBadConn

// single is a statement that appends or reads. It tells whether it decides the state that a transaction sees.
func (a *attempt) single(ctx context.Context) (reads bool, err error) {
	switch a.IntN(8) {
	case 0:
		return false, a.number(ctx)
	case 1, 2, 3:
		return a.read(ctx)
	}
	return a.append(ctx)
}

func (a *attempt) state() int { return len(a.txn.States) - 1 }

func (a *attempt) appended(table string, key int, value, by string) {
	a.txn.Ops = append(a.txn.Ops, Op{Key: name(table, key), Append: value, State: a.state(), By: by})
}

func (a *attempt) saw(table string, key int, list []string, by string) {
	a.txn.Ops = append(a.txn.Ops, Op{Key: name(table, key), Saw: list, State: a.state(), By: by})
}

func name(table string, key int) string { return fmt.Sprintf("%s %d", table, key) }

// append puts a value behind a list, or tries: the operation is noted before its answer, which may be lost.
func (a *attempt) append(ctx context.Context) (reads bool, err error) {
	key, value := a.key(), a.fresh()
	switch a.IntN(9) {
	case 0:
		return false, a.counted(ctx, "whole", key, value, "INSERT INTO whole (k, v) VALUES (?, ?) ON DUPLICATE KEY UPDATE v = CONCAT(v, VALUES(v))", key, value+",")
	case 1:
		return false, a.counted(ctx, "named", key, value, "INSERT INTO named (k, v, n, place) VALUES (?, ?, 1, ?) ON DUPLICATE KEY UPDATE v = CONCAT(v, VALUES(v)), n = n + 1, place = k * 10000 + n", key, value+",", key*10000+1)
	case 2:
		if a.IntN(2) == 0 { // of two keys, one of which no list ever has
			return a.update(ctx, "whole", key, value, "UPDATE whole SET v = CONCAT(v, ?) WHERE k IN (?, ?)", value+",", key, -1-a.IntN(30))
		}
		return a.update(ctx, "whole", key, value, "UPDATE whole SET v = CONCAT(v, ?) WHERE k = ?", value+",", key)
	case 3:
		where := []string{"k = ?", "k + 0 = ?"}[a.IntN(2)] // by its key, by a scan
		return a.update(ctx, "named", key, value, "UPDATE named SET v = CONCAT(v, ?), n = n + 1, place = k * 10000 + n WHERE "+where, value+",", key)
	case 4, 5:
		return false, a.many(ctx, value)
	case 6:
		return a.replace(ctx, key, value)
	case 7:
		return true, a.both(ctx, key, value)
	default:
		const query = "INSERT INTO parts (k, pos, v) SELECT ?, COALESCE(MAX(pos), 0) + 1, ? FROM parts WHERE k = ?"
		a.appended("parts", key, value, query)
		result, err := a.exec(ctx, query, key, value, key)
		return true, a.affects(result, err, 1)
	}
}

// many appends to several lists in one statement.
func (a *attempt) many(ctx context.Context, value string) error {
	keys := a.some()
	rows, query := make([]string, len(keys)), "INSERT INTO whole (k, v) VALUES %s ON DUPLICATE KEY UPDATE v = CONCAT(v, VALUES(v))"
	table := []string{"whole", "named"}[a.IntN(2)]
	if table == "named" {
		query = "INSERT INTO named (k, v, n, place) VALUES %s ON DUPLICATE KEY UPDATE v = CONCAT(v, VALUES(v)), n = n + 1, place = k * 10000 + n"
	}
	for i, key := range keys {
		one := fmt.Sprint(value, "-", i)
		a.appended(table, key, one, query)
		if rows[i] = fmt.Sprintf("(%d, '%s,')", key, one); table == "named" {
			rows[i] = fmt.Sprintf("(%d, '%s,', 1, %d)", key, one, key*10000+1)
		}
	}
	_, err := a.exec(ctx, fmt.Sprintf(query, strings.Join(rows, ", ")))
	return err
}

// both appends to a list of each of two tables in one statement, if there are both.
func (a *attempt) both(ctx context.Context, key int, value string) error {
	const query = "UPDATE whole w JOIN named n ON n.k = w.k SET w.v = CONCAT(w.v, ?), n.v = CONCAT(n.v, ?), n.n = n.n + 1, n.place = n.place + 1 WHERE w.k = ?"
	before := len(a.txn.Ops)
	a.appended("whole", key, value+"-0", query)
	a.appended("named", key, value+"-1", query)
	result, err := a.exec(ctx, query, value+"-0,", value+"-1,", key)
	if err != nil {
		return err
	}
	n, err := result.RowsAffected()
	if n == 0 {
		a.txn.Ops = a.txn.Ops[:before]
		return err
	}
	return a.affects(result, err, 2)
}

// replace puts another row in the place of a list, if there is one.
func (a *attempt) replace(ctx context.Context, key int, value string) (reads bool, err error) {
	const query = "REPLACE INTO whole (k, v) SELECT k, CONCAT(v, ?) FROM whole WHERE k = ?"
	a.appended("whole", key, value, query)
	result, err := a.exec(ctx, query, value+",", key)
	if err != nil {
		return true, err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		a.txn.Ops = a.txn.Ops[:len(a.txn.Ops)-1]
		a.saw("whole", key, nil, query)
		return true, err
	}
	return true, a.affects(result, nil, 2)
}

// counted is an INSERT … ON DUPLICATE KEY UPDATE of one row: 1 is a new list, 2 one that there was.
func (a *attempt) counted(ctx context.Context, table string, key int, value, query string, args ...any) error {
	a.appended(table, key, value, query)
	result, err := a.exec(ctx, query, args...)
	return a.affects(result, err, 1, 2)
}

// update appends to a list if there is one. If there is none it has read that.
func (a *attempt) update(ctx context.Context, table string, key int, value, query string, args ...any) (reads bool, err error) {
	a.appended(table, key, value, query)
	result, err := a.exec(ctx, query, args...)
	if err != nil {
		return false, err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		a.txn.Ops = a.txn.Ops[:len(a.txn.Ops)-1]
		a.saw(table, key, nil, query)
		return true, err
	}
	return false, a.affects(result, nil, 1)
}

// affects holds how many rows a statement says that it has changed against how many it can have.
func (a *attempt) affects(result sql.Result, err error, wants ...int64) error {
	if err != nil {
		return err
	}
	n, err := result.RowsAffected()
	if err == nil && !slices.Contains(wants, n) {
		a.breaks("a statement affects %d rows, which can be %v: %v", n, wants, &a.txn)
	}
	return err
}

// number draws a number for a row.
func (a *attempt) number(ctx context.Context) error {
	value := a.fresh()
	result, err := a.exec(ctx, "INSERT INTO numbered (v) VALUES (?)", value)
	if err := a.affects(result, err, 1); err != nil {
		return err
	}
	if a.numbers == nil {
		a.numbers = map[string]int64{}
	}
	a.numbers[value], err = result.LastInsertId()
	return err
}

// drawn holds the numbers of rows against those that clients were told.
func (a *attempt) drawn(ctx context.Context) error {
	rows, err := a.query(ctx, "SELECT id, v FROM numbered")
	if err != nil {
		return err
	}
	defer rows.Close()
	there := map[string]int64{}
	for rows.Next() {
		var number int64
		var value string
		if err := rows.Scan(&number, &value); err != nil {
			return err
		}
		there[value] = number
	}
	for value, number := range a.Load.numbers {
		if there[value] != number {
			a.breaks("the row %s has number %d, and its client was told %d", value, there[value], number)
		}
	}
	return rows.Err()
}

// read reads one or several lists. What it locks nobody changes until the transaction ends: so its state may be decided later.
func (a *attempt) read(ctx context.Context) (reads bool, err error) {
	lock := []string{"", "", " FOR SHARE", " FOR UPDATE"}[a.IntN(4)]
	if lock != "" {
		return false, a.readOne(ctx, lock)
	}
	if a.IntN(3) == 0 {
		return true, a.readOne(ctx, "")
	}
	return true, a.readSome(ctx)
}

func (a *attempt) readOne(ctx context.Context, lock string) error {
	k := a.key()
	one := []int{k}
	switch a.IntN(3) {
	case 0:
		return a.texts(ctx, "whole", one, "SELECT k, v FROM whole WHERE k = ?"+lock, k)
	case 1:
		return a.texts(ctx, "named", one, "SELECT k, v, n, place FROM named WHERE k = ?"+lock, k)
	}
	return a.rows(ctx, one, "SELECT k, v FROM parts WHERE k = ? ORDER BY pos"+lock, k)
}

func (a *attempt) readSome(ctx context.Context) error {
	some := a.some()
	switch a.IntN(5) {
	case 0:
		return a.texts(ctx, "whole", some, "SELECT k, v FROM whole WHERE k IN ("+in(some)+")")
	case 1:
		return a.texts(ctx, "named", a.all(), "SELECT k, v, n, place FROM named WHERE place BETWEEN ? AND ?", a.base*10000, (a.base+active)*10000-1)
	case 2:
		return a.texts(ctx, "whole", a.all(), "SELECT k, v FROM whole WHERE k >= ? AND v <> '' AND k < ?", a.base, a.base+active)
	case 3:
		return a.rows(ctx, some, "SELECT k, v FROM parts WHERE k IN ("+in(some)+") ORDER BY k, pos")
	}
	return a.joined(ctx, some)
}

func (a *attempt) all() []int {
	keys := make([]int, active)
	for i := range keys {
		keys[i] = a.base + i
	}
	return keys
}

// some are two or three of the keys.
func (a *attempt) some() []int {
	keys := a.all()
	a.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	return keys[:2+a.IntN(2)]
}

func in(keys []int) string {
	return strings.Trim(strings.Join(strings.Fields(fmt.Sprint(keys)), ", "), "[]")
}

// texts are lists in one column each, of which further columns count the values.
func (a *attempt) texts(ctx context.Context, table string, keys []int, query string, args ...any) error {
	rows, err := a.query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	lists := map[int][]string{}
	for rows.Next() {
		var key, n, place int
		var text string
		into := []any{&key, &text, &n, &place}
		if err := rows.Scan(into[:len(columns)]...); err != nil {
			return err
		}
		if _, twice := lists[key]; twice {
			a.breaks("%s has two rows of one key: %s", name(table, key), query)
		}
		lists[key] = values(text)
		if len(columns) > 2 && (n != len(lists[key]) || place != key*10000+n) {
			a.breaks("%s has %d values, says that it has %d, and is at %d", name(table, key), len(lists[key]), n, place)
		}
	}
	return a.sawAll(table, keys, lists, query, rows.Err())
}

// values are those of a list that is a text.
func values(text string) []string { return strings.Split(strings.TrimSuffix(text, ","), ",") }

func (a *attempt) sawAll(table string, keys []int, lists map[int][]string, by string, err error) error {
	for _, key := range keys {
		if err == nil {
			a.saw(table, key, lists[key], by)
		}
	}
	return err
}

// rows are lists of which each value is a row.
func (a *attempt) rows(ctx context.Context, keys []int, query string, args ...any) error {
	rows, err := a.query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	lists := map[int][]string{}
	for rows.Next() {
		var key int
		var value string
		if err := rows.Scan(&key, &value); err != nil {
			return err
		}
		lists[key] = append(lists[key], value)
	}
	return a.sawAll("parts", keys, lists, query, rows.Err())
}

// joined reads the lists of two tables in one statement.
func (a *attempt) joined(ctx context.Context, keys []int) error {
	query := "SELECT w.k, w.v, n.v FROM whole w LEFT JOIN named n ON n.k = w.k WHERE w.k IN (" + in(keys) + ")"
	rows, err := a.query(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	found, whole, named := []int{}, map[int][]string{}, map[int][]string{}
	for rows.Next() {
		var key int
		var text string
		var other sql.NullString
		if err := rows.Scan(&key, &text, &other); err != nil {
			return err
		}
		found, whole[key] = append(found, key), values(text)
		if other.Valid {
			named[key] = values(other.String)
		}
	}
	return a.sawAll("named", found, named, query, a.sawAll("whole", keys, whole, query, rows.Err()))
}

// readThenWrite appends as programs do that work out the new value themselves: with a lock, or trusting that nobody comes between, as only
// snapshot isolation promises.
func (a *attempt) readThenWrite(ctx context.Context) error {
	table := []string{"whole", "named"}[a.IntN(2)]
	lock := " FOR UPDATE"
	if a.txn.Level == "REPEATABLE READ" && a.IntN(2) == 0 {
		lock = ""
	}
	key, value := a.key(), a.fresh()
	if _, err := a.within(ctx, func(ctx context.Context) (bool, error) {
		return lock == "", a.texts(ctx, table, []int{key}, "SELECT k, v FROM "+table+" WHERE k = ?"+lock, key)
	}); err != nil {
		return err
	}
	list := a.txn.Ops[len(a.txn.Ops)-1].Saw
	if len(list) == 0 { // there is no row to lock
		return nil
	}
	text := strings.Join(append(slices.Clip(list), value, ""), ",")
	_, err := a.within(ctx, func(ctx context.Context) (bool, error) {
		if a.IntN(4) == 0 {
			return false, a.anew(ctx, table, key, value, text, len(list)+1)
		}
		if table == "whole" && a.IntN(3) == 0 {
			const query = "REPLACE INTO whole (k, v) VALUES (?, ?)"
			a.appended(table, key, value, query)
			result, err := a.exec(ctx, query, key, text)
			return false, a.affects(result, err, 2)
		}
		if table == "whole" {
			return a.update(ctx, table, key, value, "UPDATE whole SET v = ? WHERE k = ?", text, key)
		}
		return a.update(ctx, table, key, value, "UPDATE named SET v = ?, n = ?, place = ? WHERE k = ?", text, len(list)+1, key*10000+len(list)+1, key)
	})
	return err
}

// anew deletes a list and inserts it with one value more.
func (a *attempt) anew(ctx context.Context, table string, key int, value, text string, n int) error {
	query := "DELETE FROM " + table + " WHERE k = ?"
	a.appended(table, key, value, query)
	result, err := a.exec(ctx, query, key)
	if err := a.affects(result, err, 1); err != nil {
		return err
	}
	if table == "whole" {
		result, err = a.exec(ctx, "INSERT INTO whole (k, v) VALUES (?, ?)", key, text)
	} else {
		result, err = a.exec(ctx, "INSERT INTO named (k, v, n, place) VALUES (?, ?, ?, ?)", key, text, n, key*10000+n)
	}
	return a.affects(result, err, 1)
}
