package plan

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	ast "stele/sql/parse"
	"stele/sql/vec"
)

// longTypes are columns of every type, with a literal that fits.
var longTypes = []struct{ column, fits string }{
	{"a TINYINT", "1"}, {"b SMALLINT UNSIGNED", "1"}, {"c INT NOT NULL", "1"}, {"d BIGINT UNSIGNED", "1"}, {"e DECIMAL(6,2)", "1.5"}, {"f DECIMAL(30,10)", "1"},
	{"g FLOAT", "1.5"}, {"h DOUBLE", "1e3"}, {"i CHAR(3)", "'abc'"}, {"j VARCHAR(3)", "'abc'"}, {"l TEXT", "'abc'"}, {"m BINARY(3)", "'abc'"}, {"n VARBINARY(3)", "'abc'"},
	{"o DATE", "'2024-01-02'"}, {"p DATETIME(3)", "'2024-01-02 03:04:05'"}, {"q TIMESTAMP NULL", "'2024-01-02 03:04:05'"}, {"r TIME", "'01:02:03'"}, {"s YEAR", "2024"},
	{"t TINYINT(1)", "1"}, {"u DECIMAL(18,0)", "7"}, {"v DECIMAL(5,5)", "0.5"}, {"w ENUM('3','b','1','')", "'b'"}, {"x SET('1','2')", "'1,2'"}, {"y BIT(9)", "b'1'"},
	{"z DECIMAL(5,2) UNSIGNED", "1"}, {"aa INT(5) ZEROFILL", "1"}, {"ab LONGBLOB", "x'00ff'"}, {"ac JSON", "'{}'"}, {"ad TINYTEXT", "'t'"}, {"ae DATETIME", "'2024-01-02 03:04:05'"},
}

// longLiterals are the hostile ones.
var longLiterals = []string{"0", "-0", "1", "-1", "+1", "007", "127", "128", "-128", "255", "511", "512", "65535", "65536", "-32769", "2147483648", "9223372036854775807", "9223372036854775808",
	"18446744073709551615", "18446744073709551616", "-9223372036854775808", "-9223372036854775809", "123456789012345678", "999999999999999999", "1000000000000000000", "1.005", "-1.005", ".5", "5.", "-.5", "9999.99", "9999.994",
	"9999.995", "10000", "0.00001", "0.000001", "0.99999", "1e3", "-2.5E-3", "1.7e308", "''", "' '", "'a '", "'ab '", "'abc '", "'abcd'", "'äöü'", "'äöüß'", "'\xff'", "'NULL'", "'a\\0b'", "'a\x00b'", "'\x00'",
	"'a''b'", "'\\\\'", "\"q\"", "'1'", "'3'", "'b'", "'2,1'", "'1,1'", "'x'", "' 7 '", "'1e1'", "'2024-02-29'", "'2023-02-29'", "'0000-00-00'", "'2024-00-01'", "'0000-01-01'", "'2024-2-9'", "'2024/02/09'", "'2024-02-29 '", "'2024-01-01 10:11:12'",
	"'2024-01-01 24:00:00'", "'2024-01-01T10:11:12'", "'2024-01-01 10:11:12.9999'", "'2024-01-01 23:59:59.9996'", "'1969-12-31 23:59:59'", "'2038-01-19 03:14:08'", "20240101", "20240101101112", "'10:11:12'", "'-838:59:59'", "101112", "NULL", "DEFAULT",
	"TRUE", "FALSE", "x'31'", "0x3132", "b'11'", "0b101", "x''", "'[1'", "'true'"}

// TestLongInsertAgrees: the quick ways of an INSERT of many rows store what its expressions, bound one by one, do.
func TestLongInsertAgrees(t *testing.T) {
	ctx, f := newContext()
	var columns, fits []string
	for _, c := range longTypes {
		columns, fits = append(columns, c.column), append(fits, c.fits)
	}
	if _, err := f.create(ctx, "CREATE TABLE long_ (k INT PRIMARY KEY, "+strings.Join(columns, ", ")+")"); err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		ctx := *ctx
		ctx.SQLMode = rapid.SampledFrom([]string{defaultMode, "", "NO_AUTO_VALUE_ON_ZERO"}).Draw(t, "mode")
		verb := rapid.SampledFrom([]string{"INSERT", "INSERT IGNORE", "REPLACE"}).Draw(t, "verb")
		cells := make([][]string, manyLiterals+1)
		for i := range cells {
			cells[i] = append([]string{fmt.Sprint(i)}, fits...)
		}
		var at int
		for range rapid.IntRange(1, 3).Draw(t, "odd ones") {
			at = rapid.IntRange(0, manyLiterals).Draw(t, "row")
			odd, literal := rapid.IntRange(0, len(fits)-1).Draw(t, "column"), rapid.SampledFrom(longLiterals).Draw(t, "literal")
			if literal != "DEFAULT" { // which is looked at before all others where the column has none
				cells[at][odd+1] = literal
			}
		}
		var rows []string
		for _, row := range cells {
			rows = append(rows, "("+strings.Join(row, ",")+")")
		}
		sql := verb + " INTO long_ VALUES " + strings.Join(rows, ",")
		in, ok := ast.FastInsert(sql, 0)
		if !ok {
			t.Fatalf("%q is not taken", sql)
		}
		st, err := ast.Parse(sql, 0)
		if err != nil {
			t.Fatal(err)
		}
		general := ctx
		fast, fastErr := InsertValues(&ctx, in)
		slow, slowErr := Insert(&general, st.Node.(*ast.InsertStmt))
		if fmt.Sprint(fastErr) != fmt.Sprint(slowErr) {
			t.Fatalf("%q with %q: %v; generally %v", sql, ctx.SQLMode, fastErr, slowErr)
		}
		if fastErr != nil {
			return
		}
		sameRows(t, rows[at], fast.Rows, slow.Rows)
		if got, want := fmt.Sprint(ctx.Warnings.Count, ctx.Warnings.Kept()), fmt.Sprint(general.Warnings.Count, general.Warnings.Kept()); got != want {
			t.Fatalf("%q with %q warns %s; generally %s", sql, ctx.SQLMode, got, want)
		}
	})
}

// sameRows compares all values of two batches.
func sameRows(t *rapid.T, about string, got, want *vec.Batch) {
	if got.N != want.N {
		t.Fatalf("%s: %d rows, generally %d", about, got.N, want.N)
	}
	for c := range want.Cols {
		for row := range want.N {
			if a, b := rowText(got, []int{c}, row), rowText(want, []int{c}, row); a != b {
				t.Fatalf("%s: column %d of row %d is %s, generally %s", about, c, row, a, b)
			}
		}
	}
}

// TestLongInsertWarns: of more warnings than are kept, those of the first rows are, whichever way the INSERT goes.
func TestLongInsertWarns(t *testing.T) {
	ctx, f := newContext()
	if _, err := f.create(ctx, "CREATE TABLE warns (k INT PRIMARY KEY, a TINYINT, b TINYINT)"); err != nil {
		t.Fatal(err)
	}
	var rows []string
	for k := range MaxWarnings + 10 {
		rows = append(rows, fmt.Sprintf("(%d, 300, 400)", k))
	}
	sql := "INSERT INTO warns VALUES " + strings.Join(rows, ", ")
	in, ok := ast.FastInsert(sql, 0)
	st, err := ast.Parse(sql, 0)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	fast, general := *ctx, *ctx
	fast.SQLMode, general.SQLMode = "", ""
	if _, err := InsertValues(&fast, in); err != nil {
		t.Fatal(err)
	}
	if _, err := Insert(&general, st.Node.(*ast.InsertStmt)); err != nil {
		t.Fatal(err)
	}
	got, want := fast.Warnings.Kept(), general.Warnings.Kept()
	if fast.Warnings.Count != general.Warnings.Count || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("%d warnings, %s; generally %d, %s", fast.Warnings.Count, got, general.Warnings.Count, want)
	}
}
