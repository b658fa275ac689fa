package e2e

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	"stele/tests/cluster"
)

// expectation is one statement of a manual with what must come of it.
type expectation struct {
	line    int
	query   string
	columns []string
	more    bool // further columns may follow
	every   []string
	some    []string
	rows    int // -1 = any number
	code    uint16
	text    string
}

// readManual reads a file of testdata/manual; its head says how it is written.
func readManual(t *testing.T, path string) []expectation {
	t.Helper()
	raw, err := os.ReadFile(path)
	must(t, err)
	var list []expectation
	for n, line := range strings.Split(string(raw), "\n") {
		word, rest, _ := strings.Cut(line, " ")
		if word == ">" {
			list = append(list, expectation{line: n + 1, query: rest, rows: -1})
			continue
		}
		if len(list) == 0 || line == "" {
			continue
		}
		e := &list[len(list)-1]
		switch word {
		case "=":
			e.columns = strings.Fields(rest)
			if last := len(e.columns) - 1; e.columns[last] == "…" {
				e.columns, e.more = e.columns[:last], true
			}
		case "~":
			e.every = append(e.every, rest)
		case "^":
			e.some = append(e.some, rest)
		case "#":
			e.rows, err = strconv.Atoi(rest)
			must(t, err)
		case "!":
			code, text, _ := strings.Cut(rest, " ")
			number, err := strconv.ParseUint(code, 10, 16)
			must(t, err)
			e.code, e.text = uint16(number), text
		default:
			t.Fatalf("%s:%d: %q", path, n+1, line)
		}
	}
	return list
}

// TestReplicaManual sends every statement of the replica manual to a real cluster: columns, their order, formats and errors are
// what scripts for StarRocks rely on.
func TestReplicaManual(t *testing.T) {
	db := uniqueDatabase(t, "manual")
	for _, q := range []string{
		`CREATE TABLE tbl (k INT, v VARCHAR(20)) DUPLICATE KEY(k) PARTITION BY RANGE(k) (PARTITION p1 VALUES LESS THAN ("100"), PARTITION p2 VALUES LESS THAN ("200")) DISTRIBUTED BY HASH(k) BUCKETS 2`,
		`CREATE TABLE tbl1 (k INT, v VARCHAR(20)) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 3`,
		`CREATE TABLE c1 (k INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 2 PROPERTIES ("colocate_with" = "manual")`,
		`CREATE TABLE c2 (k INT) PRIMARY KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1`,
		`INSERT INTO tbl VALUES (1, 'a'), (150, 'b')`, `INSERT INTO tbl1 VALUES (1, 'a'), (2, 'b'), (3, 'c')`,
	} {
		mustExec(t, db, q)
	}
	for _, table := range []string{"tbl", "tbl1", "c1", "c2"} { // a majority has acknowledged, the manual counts all replicas
		sharedCluster(t).WaitHealthy(t, "manual."+table, healTimeout)
	}
	names := manualNames(t, db)
	for _, e := range readManual(t, "testdata/manual/replicas.txt") {
		e.query = names.Replace(e.query)
		checkManual(t.Context(), t, db, e, names)
	}
	detail := manualTable(t, db, names.Replace("SHOW TABLET {tablet}")).Column("DetailCmd")[0]
	if rows := manualTable(t, db, strings.TrimSuffix(detail, ";")).Rows; len(rows) != 3 {
		t.Errorf("DetailCmd %s shows %d replicas", detail, len(rows))
	}
}

func manualTable(t *testing.T, db *sql.DB, query string) cluster.Table {
	t.Helper()
	table, err := cluster.ReadTable(t.Context(), db, query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return table
}

// manualNames are the ids of the cluster.
func manualNames(t *testing.T, db *sql.DB) *strings.Replacer {
	t.Helper()
	first := manualTable(t, db, "SHOW TABLET FROM tbl1").Column("TabletId")[0]
	where := manualTable(t, db, "SHOW TABLET "+first)
	be := manualTable(t, db, "SHOW BACKENDS")
	group := ""
	groups := manualTable(t, db, "SHOW PROC '/colocation_group'")
	for i, name := range groups.Column("GroupName") {
		if strings.Contains(name, "manual") {
			group = groups.Column("GroupId")[i]
		}
	}
	return strings.NewReplacer("{db}", "manual", "{tablet}", first, "{dbid}", where.Column("DbId")[0], "{tableid}", where.Column("TableId")[0],
		"{partid}", where.Column("PartitionId")[0], "{be}", be.Column("BackendId")[0],
		"{addr}", be.Column("IP")[0]+":"+be.Column("HeartbeatPort")[0], "{grp}", group)
}

func checkManual(ctx context.Context, t *testing.T, db *sql.DB, e expectation, names *strings.Replacer) {
	t.Helper()
	table, err := cluster.ReadTable(ctx, db, e.query)
	var refused *mysql.MySQLError
	if errors.As(err, &refused) != (e.code != 0) || refused != nil && (refused.Number != e.code || !strings.Contains(refused.Message, names.Replace(e.text))) {
		t.Errorf("line %d: %s: %v, want error %d %s", e.line, e.query, err, e.code, e.text)
		return
	}
	if e.code != 0 {
		return
	}
	if err != nil {
		t.Errorf("line %d: %s: %v", e.line, e.query, err)
		return
	}
	got := table.Columns
	if e.more {
		got = got[:min(len(got), len(e.columns))]
	}
	if e.columns != nil && !slices.Equal(got, e.columns) {
		t.Errorf("line %d: %s: columns\n%v, want\n%v", e.line, e.query, table.Columns, e.columns)
	}
	if e.rows >= 0 && len(table.Rows) != e.rows {
		t.Errorf("line %d: %s: %d rows, want %d: %v", e.line, e.query, len(table.Rows), e.rows, table.Rows)
	}
	var rows []string
	for _, r := range table.Rows {
		rows = append(rows, strings.Join(r, " | "))
	}
	for _, pattern := range e.every {
		if i := slices.IndexFunc(rows, func(r string) bool { return !matchRow(names.Replace(pattern), r) }); i >= 0 || len(rows) == 0 {
			t.Errorf("line %d: %s: %q does not match %s", e.line, e.query, rows, pattern)
		}
	}
	for _, pattern := range e.some {
		if !slices.ContainsFunc(rows, func(r string) bool { return matchRow(names.Replace(pattern), r) }) {
			t.Errorf("line %d: %s: none of %q matches %s", e.line, e.query, rows, pattern)
		}
	}
}

func matchRow(pattern, row string) bool {
	return regexp.MustCompile("^(?:" + pattern + ")$").MatchString(row)
}
