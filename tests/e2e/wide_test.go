package e2e

import (
	"bytes"
	"crypto/md5"
	"database/sql"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"stele/tests/cluster"
)

// TestThousandColumns keeps rows of a thousand columns: all given, some given, updated, read in part and whole.
func TestThousandColumns(t *testing.T) {
	db := uniqueDatabase(t, "wide_columns")
	const columns = 1000
	kinds := []string{"INT", "BIGINT NOT NULL DEFAULT 7", "VARCHAR(20)", "DOUBLE", "DECIMAL(12,3)", "DATETIME(3)", "VARBINARY(9)", "DATE DEFAULT '2020-02-02'"}
	defs := []string{"c0 INT PRIMARY KEY"}
	for i := 1; i < columns; i++ {
		defs = append(defs, fmt.Sprintf("c%d %s", i, kinds[i%len(kinds)]))
	}
	mustExec(t, db, "CREATE TABLE w ("+strings.Join(defs, ", ")+")")
	value := func(row, col int) string {
		switch col % len(kinds) {
		case 0:
			return fmt.Sprint(row*col - 5000)
		case 1:
			return fmt.Sprint(int64(row) << (col % 50))
		case 2, 6:
			return fmt.Sprintf("'%d-%d'", row, col)
		case 3:
			return fmt.Sprintf("%d.5", row+col)
		case 4:
			return fmt.Sprintf("-%d.125", row*col)
		case 5:
			return fmt.Sprintf("'2001-02-03 04:05:06.%03d'", (row+col)%1000)
		}
		return "'1999-12-31'"
	}
	const rows = 30
	for row := range rows {
		values := []string{fmt.Sprint(row)}
		for col := 1; col < columns; col++ {
			values = append(values, value(row, col))
		}
		mustExec(t, db, "INSERT INTO w VALUES ("+strings.Join(values, ", ")+")")
	}
	mustExec(t, db, "INSERT INTO w (c999, c0) VALUES ('2005-05-05', 5000)")
	mustExec(t, db, "UPDATE w SET c998 = 'changed', c8 = c8 + 1 WHERE c0 = 3")
	all, err := cluster.ReadTable(t.Context(), db, "SELECT * FROM w ORDER BY c0")
	if err != nil {
		t.Fatal(err)
	}
	if len(all.Columns) != columns || len(all.Rows) != rows+1 {
		t.Fatalf("%d columns, %d rows", len(all.Columns), len(all.Rows))
	}
	for row := range rows {
		for col := 1; col < columns; col++ {
			want := strings.Trim(value(row, col), "'")
			switch {
			case row == 3 && col == 998:
				want = "changed"
			case row == 3 && col == 8:
				want = fmt.Sprint(3*8 - 5000 + 1)
			case col%len(kinds) == 4 && row*col == 0:
				want = "-0.125"
			}
			if got := all.Rows[row][col]; got != want {
				t.Fatalf("row %d, column %d: %q, want %q", row, col, got, want)
			}
		}
	}
	last := all.Rows[rows]
	if last[1] != "NULL" && last[1] != "7" || last[7] != "2020-02-02" || last[999] != "2005-05-05" || last[2] != "NULL" {
		t.Errorf("a row of defaults: %v, %v, %v, %v", last[1], last[2], last[7], last[999])
	}
	sums := make([]string, 0, columns)
	for col := 8; col < columns; col += 8 {
		sums = append(sums, fmt.Sprintf("SUM(c%d)", col))
	}
	if _, err := cluster.ReadTable(t.Context(), db, "SELECT "+strings.Join(sums, ", ")+" FROM w"); err != nil {
		t.Error(err)
	}
}

// TestLargestValues writes values of 16 MiB and reads them back, as text and as parameters, beside small ones.
func TestLargestValues(t *testing.T) {
	db := uniqueDatabase(t, "wide_values")
	mustExec(t, db, "CREATE TABLE v (id INT PRIMARY KEY, b LONGBLOB, t LONGTEXT)")
	random := rand.New(rand.NewChaCha8([32]byte{1}))
	blob := make([]byte, 16<<20)
	for i := range blob {
		blob[i] = byte(random.Uint32())
	}
	text := strings.Repeat("sixteen letters ", 1<<20)
	insert := func(id int, b []byte, txt any) {
		t.Helper()
		if _, err := db.Exec("INSERT INTO v VALUES (?, ?, ?)", id, b, txt); err != nil {
			t.Fatalf("row %d: %v", id, err)
		}
	}
	insert(1, blob, "small")
	insert(2, []byte("small"), text)
	insert(3, blob, nil)
	if _, err := db.Exec("INSERT INTO v VALUES (4, NULL, '" + text + "')"); err != nil {
		t.Fatalf("as a literal: %v", err)
	}
	mustExec(t, db, "INSERT INTO v SELECT id + 10, b, t FROM v")
	for _, id := range []int{1, 3, 11, 13} {
		var got []byte
		if err := db.QueryRow("SELECT b FROM v WHERE id = ?", id).Scan(&got); err != nil || !bytes.Equal(got, blob) {
			t.Fatalf("row %d: %d bytes, %v", id, len(got), err)
		}
	}
	for _, id := range []int{2, 4, 12, 14} {
		var got sql.NullString
		if err := db.QueryRow(fmt.Sprintf("SELECT t FROM v WHERE id = %d", id)).Scan(&got); err != nil || got.String != text {
			t.Fatalf("row %d: %d bytes, %v", id, len(got.String), err)
		}
	}
	sum := md5.Sum(blob)
	rows, err := cluster.ReadTable(t.Context(), db, "SELECT id, LENGTH(b), MD5(b) FROM v WHERE LENGTH(b) > 100 ORDER BY id")
	if err != nil || len(rows.Rows) != 4 {
		t.Fatalf("%d rows, %v", len(rows.Rows), err)
	}
	for _, r := range rows.Rows {
		if r[1] != "16777216" || r[2] != hex.EncodeToString(sum[:]) {
			t.Errorf("row %v", r)
		}
	}
	if _, err := db.Exec("UPDATE v SET t = CONCAT(t, 'x') WHERE id = 2"); err != nil {
		t.Error(err)
	}
	var n int
	if err := db.QueryRow("SELECT LENGTH(t) FROM v WHERE id = 2").Scan(&n); err != nil || n != 16<<20+1 {
		t.Errorf("after an update: %d bytes, %v", n, err)
	}
}

// TestTooManyColumns: a query has 4,096 columns at most, as in MySQL, however they come about.
func TestTooManyColumns(t *testing.T) {
	db := uniqueDatabase(t, "too_many_columns")
	one := "SELECT 1" + strings.Repeat(", 1", 4095)
	for query, code := range map[string]uint16{one: 0, one + ", 2": 1117, "SELECT 1 FROM (" + one + ", 2) x": 1117} {
		_, err := db.ExecContext(t.Context(), query)
		if errorNumber(t, err) != code {
			t.Errorf("%.20s… of %d bytes: %v, want error %d", query, len(query), err, code)
		}
	}
}
