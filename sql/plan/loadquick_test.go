package plan

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	ast "stele/sql/parse"
	"stele/sql/vec"
)

// TestQuickColumnsAgree loads the same lines with and without the quick ways: rows must be the same.
func TestQuickColumnsAgree(t *testing.T) {
	ctx, f := newContext()
	ctx.SQLMode = defaultMode
	if _, err := f.create(ctx, `CREATE TABLE all_types (k BIGINT PRIMARY KEY AUTO_INCREMENT, a TINYINT, en ENUM('3','b','1'), st SET('1','2'), bi BIT(9), b SMALLINT UNSIGNED, c INT NOT NULL,
		d BIGINT UNSIGNED, e DECIMAL(6,2), f DECIMAL(30,10), g FLOAT, h DOUBLE, i CHAR(3), j VARCHAR(3), l TEXT, m BINARY(3), n VARBINARY(3),
		o DATE, p DATETIME(3), q TIMESTAMP, r TIME, s YEAR, v TINYINT(1), w DECIMAL(18,0), x DECIMAL(5,5))`); err != nil {
		t.Fatal(err)
	}
	plans := map[string]*LoadPlan{}
	for name, clauses := range map[string]string{
		"tsv": "", "csv": "FIELDS TERMINATED BY ',' ENCLOSED BY '\"'", "bare": "FIELDS TERMINATED BY ',' ESCAPED BY ''",
		"windows": "FIELDS TERMINATED BY '||' LINES STARTING BY '>' TERMINATED BY '\\r\\n'",
	} {
		st, err := ast.Parse("LOAD DATA LOCAL INFILE 'x' INTO TABLE all_types "+clauses, 0)
		if err != nil {
			t.Fatal(err)
		}
		if plans[name], err = Load(ctx, st.Node.(*ast.LoadDataStmt)); err != nil {
			t.Fatal(err)
		}
	}
	texts := []string{"0", "-0", "1", "-1", "127", "128", "65535", "65536", "2147483648", "9223372036854775807", "9223372036854775808",
		"18446744073709551615", "123456789012345678", "1.005", "-.5", "5.", "1.5", "-1234.56", "9999.99", "10000", "0.00001", "1e3", "-2.5E-3",
		"1.7e308", "1e400", ".", "-", "", "abc", "abcd", "äöü", "äöüß", "\xff", " 7 ", "+7", "NULL", "\\N", "a\\tb", "a\\\\", "\"x\"", "\"x\"\"y\"",
		"2024-02-29", "2023-02-29", "0000-01-01", "2024-2-9", "2024-01-01 10:11:12", "2024-01-01 24:00:00", "2024-01-01T10:11:12",
		"2024-01-01 10:11:12.9999", "20240101", "10:11:12", "1|2", "x\r", "NULLs",
		"a text of more than eight bytes", "a text ä of more", "seven b\\teight", "eight by\\nnine", "sixteen bytes it", "sixteen bytes \xc3("}
	columns := len(plans["tsv"].columns)
	old := map[string]*vec.Batch{} // rows lie in the buffers of earlier ones
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom([]string{"tsv", "csv", "bare", "windows"}).Draw(t, "format")
		p := plans[name]
		var text strings.Builder
		for range rapid.IntRange(1, 4).Draw(t, "lines") {
			fields := rapid.SliceOfN(rapid.SampledFrom(texts), 1, columns+1).Draw(t, "fields")
			text.WriteString(p.Format.Start + strings.Join(fields, p.Format.Field))
			if rapid.IntRange(0, 9).Draw(t, "ended") > 0 {
				text.WriteString(p.Format.Line)
			}
		}
		fast, warned, fastErr := p.LoadRows([]byte(text.String()), 1, old[name])
		p.filler.warnings = &Warnings{}
		slow, slowErr := p.loadRows([]byte(text.String()), 1, nil, nil)
		if a, b := fmt.Sprint(fastErr, warned.Count, warned.Kept()), fmt.Sprint(slowErr, p.filler.warnings.Count, p.filler.warnings.Kept()); a != b {
			t.Fatalf("%q: %s; generally %s", text.String(), a, b)
		}
		if fastErr != nil {
			return
		}
		old[name] = fast
		if fast.N != slow.N {
			t.Fatalf("%q: %d rows, generally %d", text.String(), fast.N, slow.N)
		}
		for c := range fast.Cols {
			for row := range fast.N {
				if a, b := rowText(fast, []int{c}, row), rowText(slow, []int{c}, row); a != b {
					t.Fatalf("%q: column %s of row %d is %s, generally %s", text.String(), p.Table.Schema.Columns[c].Name, row, a, b)
				}
			}
		}
	})
}

// TestLoadMembers: digits are the name of a member before they are its number, and the bytes of a BIT; MariaDB loads the same.
func TestLoadMembers(t *testing.T) {
	ctx, f := newContext()
	if _, err := f.create(ctx, "CREATE TABLE members (k INT PRIMARY KEY, e ENUM('3','b','1'), s SET('1','2','x'), b BIT(9))"); err != nil {
		t.Fatal(err)
	}
	st, err := ast.Parse("LOAD DATA LOCAL INFILE 'x' INTO TABLE members", 0)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Load(ctx, st.Node.(*ast.LoadDataStmt))
	if err != nil {
		t.Fatal(err)
	}
	rows, _, err := p.LoadRows([]byte("1\t1\t2\t1\n2\t3\t1,2\t9\n3\t2\t4\ta\n4\t4\tx\t0\n5\t\\N\t\\N\t\\N\n6\t-1\t1\t\x01\n"), 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"1 3 2 49", "2 1 3 57", "3 2 4 97", "4 0 4 48", "5 <nil> <nil> <nil>", "6 0 1 1"}
	for row, w := range want {
		var got []any
		for _, c := range rows.Cols {
			if c.IsNull(row) {
				got = append(got, nil)
			} else {
				got = append(got, c.I64[row])
			}
		}
		if g := strings.TrimSpace(fmt.Sprintln(got...)); g != w {
			t.Errorf("row %d is %s, want %s", row+1, g, w)
		}
	}
}
