package console

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"log"
	"math"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
)

// session is one connection: USE, SET and transactions hold from one statement to the next.
type session struct {
	db   *sql.DB
	conn *sql.Conn
	addr string
	now  func() time.Time // by which statements are timed
}

// connectTimeout bounds dialing; a frontend that is there answers in milliseconds.
const connectTimeout = 10 * time.Second

func connect(ctx context.Context, o Options) (*session, error) {
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd, cfg.DBName = o.User, o.Password, o.Database
	cfg.Net, cfg.Addr = "tcp", net.JoinHostPort(o.Host, strconv.Itoa(o.Port))
	cfg.Timeout = connectTimeout
	cfg.TLSConfig = "preferred"         // an FE makes itself a certificate that nobody signed
	cfg.MaxAllowedPacket = maxStatement // the server has the word on what it takes
	cfg.Logger = log.New(io.Discard, "", 0)
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	conn, err := db.Conn(ctx)
	if err != nil {
		_ = db.Close() // the first error is the one to tell
		return nil, err
	}
	return &session{db, conn, cfg.Addr, time.Now}, nil
}

func (s *session) close() {
	_ = s.conn.Close() // nothing is buffered
	_ = s.db.Close()
}

// describe returns the address and the version that the server tells.
func (s *session) describe(ctx context.Context) string {
	var version string
	if err := s.conn.QueryRowContext(ctx, "SELECT VERSION()").Scan(&version); err != nil {
		return s.addr
	}
	return s.addr + ", " + version
}

// noRows are the first words of statements that never return rows and whose count of changed rows is worth showing:
// the driver tells that count only for statements that are not asked for rows.
var noRows = map[string]bool{
	"insert": true, "replace": true, "update": true, "delete": true, "truncate": true, "load": true,
	"create": true, "drop": true, "alter": true, "rename": true, "use": true, "set": true, "grant": true, "revoke": true,
	"begin": true, "start": true, "commit": true, "rollback": true, "savepoint": true, "release": true,
	"lock": true, "unlock": true, "kill": true, "flush": true,
}

// firstWord returns the first word of a statement in lower case; comments before it are skipped.
func firstWord(text string) string {
	for {
		text = strings.TrimLeft(text, " \t\r\n(")
		switch {
		case strings.HasPrefix(text, "/*") && !strings.HasPrefix(text, "/*!"):
			_, text, _ = strings.Cut(text[2:], "*/")
			continue
		case strings.HasPrefix(text, "#"), strings.HasPrefix(text, "--"):
			_, text, _ = strings.Cut(text, "\n")
			continue
		}
		end := strings.IndexFunc(text, func(r rune) bool { return (r|0x20) < 'a' || (r|0x20) > 'z' })
		if end < 0 {
			end = len(text)
		}
		return strings.ToLower(text[:end])
	}
}

// run executes one statement and hands its outcome to p.
func (s *session) run(ctx context.Context, text string, p printer) error {
	began := s.now()
	took := func() time.Duration { return s.now().Sub(began) }
	if noRows[firstWord(text)] {
		result, err := s.conn.ExecContext(ctx, text)
		if err != nil {
			return err
		}
		affected, err := result.RowsAffected()
		if err != nil {
			return err
		}
		return p.ok(affected, took())
	}
	rows, err := s.conn.QueryContext(ctx, text)
	if err != nil {
		return err
	}
	defer rows.Close()
	for {
		if err := printRows(rows, p, took); err != nil {
			return err
		}
		if !rows.NextResultSet() {
			return rows.Err()
		}
	}
}

// showWarnings asks for the warnings of the last statement.
const showWarnings = "SHOW WARNINGS"

// warnings returns those of the last statement, as the mysql client prints them.
func (s *session) warnings(ctx context.Context) (lines []string, err error) {
	rows, err := s.conn.QueryContext(ctx, showWarnings)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var level, code, message string
		if err := rows.Scan(&level, &code, &message); err != nil {
			return nil, err
		}
		lines = append(lines, fmt.Sprintf("%s (Code %s): %s", level, code, message))
	}
	return lines, rows.Err()
}

func printRows(rows *sql.Rows, p printer, took func() time.Duration) error {
	types, err := rows.ColumnTypes()
	if err != nil {
		return err
	}
	if len(types) == 0 {
		if err := rows.Err(); err != nil {
			return err
		}
		return p.ok(0, took())
	}
	columns := make([]column, len(types))
	values, targets := make([]any, len(types)), make([]any, len(types))
	for i, t := range types {
		columns[i] = column{t.Name(), isNumber(t.DatabaseTypeName())}
		targets[i] = &values[i]
	}
	cells := make([]cell, len(types))
	p.begin(columns)
	for rows.Next() {
		if err := rows.Scan(targets...); err != nil {
			return err
		}
		for i, v := range values {
			cells[i] = toCell(v)
		}
		if err := p.row(cells); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return errors.Join(p.cut(), err)
	}
	return p.end(took())
}

// toCell gives a value the text that the server sent for it. The driver hands numbers over as Go numbers.
func toCell(v any) cell {
	switch v := v.(type) {
	case nil:
		return cell{null: true}
	case []byte:
		return cell{text: string(v)}
	case float32:
		return cell{text: floatText(float64(v), 32)}
	case float64:
		return cell{text: floatText(v, 64)}
	}
	return cell{text: fmt.Sprint(v)}
}

// floatText writes a number as MySQL does: plainly where 15 digits suffice, else as 1.5e20 without a plus sign.
func floatText(f float64, bits int) string {
	if abs := math.Abs(f); abs == 0 || abs >= 1e-15 && abs < 1e15 {
		return strconv.FormatFloat(f, 'f', -1, bits)
	}
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(f, 'e', -1, bits), "e")
	n, err := strconv.Atoi(exponent)
	if err != nil {
		return mantissa // not a finite number
	}
	return mantissa + "e" + strconv.Itoa(n)
}

// isNumber says whether the mysql client would align values of the type to the right.
func isNumber(databaseType string) bool {
	switch strings.TrimPrefix(databaseType, "UNSIGNED ") {
	case "TINYINT", "SMALLINT", "MEDIUMINT", "INT", "BIGINT", "FLOAT", "DOUBLE", "DECIMAL", "YEAR":
		return true
	}
	return false
}

func printError(w io.Writer, err error) { printErrorAt(w, 0, err) }

// printErrorAt prints an error as the mysql client does; line 0 names no line.
func printErrorAt(w io.Writer, line int, err error) {
	at := ""
	if line > 0 {
		at = fmt.Sprintf(" at line %d", line)
	}
	var fromServer *mysql.MySQLError
	var network *net.OpError
	switch {
	case errors.As(err, &fromServer):
		state := strings.TrimRight(string(fromServer.SQLState[:]), "\x00")
		if state == "" {
			state = "HY000"
		}
		fmt.Fprintf(w, "ERROR %d (%s)%s: %s\n", fromServer.Number, state, at, fromServer.Message)
	case errors.As(err, &network) && network.Op == "dial":
		fmt.Fprintf(w, "ERROR 2003 (HY000): Can't connect to MySQL server on '%v': %v\n", network.Addr, network.Err)
	case errors.Is(err, driver.ErrBadConn), errors.Is(err, mysql.ErrInvalidConn), errors.Is(err, io.ErrUnexpectedEOF):
		fmt.Fprintf(w, "ERROR 2013 (HY000)%s: Lost connection to MySQL server during query\n", at)
	default:
		fmt.Fprintf(w, "ERROR%s: %v\n", at, err)
	}
}
