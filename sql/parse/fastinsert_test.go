package parse

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"stele/sql/syntax"
)

// slowInsert reads the same through the MySQL parser, as the model of FastInsert.
func slowInsert(t interface{ Fatalf(string, ...any) }, sql string, mode syntax.Mode) string {
	st, err := Parse(sql, mode)
	if err != nil {
		t.Fatalf("%q is taken by FastInsert, but: %v", sql, err)
	}
	ins, ok := st.Node.(*InsertStmt)
	if !ok {
		t.Fatalf("%q is a %T", sql, st.Node)
	}
	name := ins.Table.TableRefs.Left.(*TableSource).Source.(*TableName)
	var b strings.Builder
	fmt.Fprintf(&b, "%v %v %s.%s", ins.IsReplace, ins.IgnoreErr, name.Schema.O, name.Name.O)
	for _, c := range ins.Columns {
		b.WriteString(" " + c.Name.O)
	}
	for _, row := range ins.Lists {
		b.WriteString(" |")
		for _, e := range row {
			b.WriteString(" " + slowCell(t, e))
		}
	}
	return b.String()
}

// slowCell prints an expression as fastCell prints a cell.
func slowCell(t interface{ Fatalf(string, ...any) }, e ExprNode) string {
	switch x := e.(type) {
	case *DefaultExpr:
		return "default"
	case *FuncCallExpr:
		if x.FnName.L != "now" && x.FnName.L != "current_timestamp" || len(x.Args) > 1 {
			t.Fatalf("%s() in a fast insert", x.FnName.L)
		}
		if len(x.Args) == 1 {
			return "now:" + slowCell(t, x.Args[0])
		}
		return "now"
	case *UnaryOperationExpr:
		if x.Op == OpMinus {
			return "-" + slowCell(t, x.V)
		}
		return slowCell(t, x.V)
	case *Literal:
		switch x.Kind {
		case LiteralNull:
			return "null"
		case LiteralInt:
			if x.Bool {
				return fmt.Sprint(x.Int == 1)
			}
			return fmt.Sprintf("int:%d", x.Int)
		case LiteralUint:
			return fmt.Sprintf("int:%d", x.Uint)
		case LiteralDecimal:
			return "dec:" + x.Str
		case LiteralFloat:
			return fmt.Sprintf("float:%g", x.Float)
		case LiteralString:
			return fmt.Sprintf("str:%q", x.Str)
		default:
			return fmt.Sprintf("bits:%q", x.Str)
		}
	}
	t.Fatalf("a %T in a fast insert", e)
	return ""
}

// fastCell prints a cell.
func fastCell(c Cell) string {
	sign := ""
	if c.Neg {
		sign = "-"
	}
	switch c.Kind {
	case CellNull:
		return "null"
	case CellDefault:
		return "default"
	case CellTrue:
		return "true"
	case CellFalse:
		return "false"
	case CellNow:
		if c.Text != "" {
			return "now:int:" + c.Text
		}
		return "now"
	case CellInt:
		digits := strings.TrimLeft(c.Text, "0")
		if digits == "" {
			digits = "0"
		}
		return sign + "int:" + digits
	case CellDecimal:
		return sign + "dec:" + c.Text
	case CellFloat:
		var f float64
		_, _ = fmt.Sscan(c.Text, &f)
		return fmt.Sprintf("%sfloat:%g", sign, f)
	case CellString:
		return fmt.Sprintf("str:%q", c.String())
	default:
		return fmt.Sprintf("bits:%q", c.String())
	}
}

// fast prints what FastInsert read.
func fast(v *InsertValues) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v %v %s.%s", v.Replace, v.Ignore, v.Table.DB, v.Table.Table)
	for _, c := range v.Columns {
		b.WriteString(" " + c)
	}
	for i := range v.Rows() {
		b.WriteString(" |")
		for _, c := range v.Row(i) {
			b.WriteString(" " + fastCell(c))
		}
	}
	return b.String()
}

// fastTaken are statements that FastInsert must take.
var fastTaken = []string{
	"INSERT INTO t VALUES (1)",
	"insert t values (1,2),(3,4);",
	"INSERT IGNORE INTO `d``b`.`t` (a, `b c`) VALUES (-1.5, +2), (1e3, -1e-3)",
	"REPLACE INTO d.t (a) VALUE (NULL), (true), (FALSE), (DEFAULT)",
	`insert into t values ('a''b\n\%', "q\"x""y", '', 'héllo')`,
	"insert into t values (x'6162', 0x1, 0xABC, b'101', 0b1, X'', \\N)",
	"insert into t values (18446744073709551615, 18446744073709551616, 007, 99999999999999999999999, .5, 5.)",
	"insert into t values (now(), NOW(3), Now( 0 ), current_timestamp, CURRENT_TIMESTAMP(), current_timestamp(6))",
	"insert /* c */ into t -- x\n values /*!50000 (1) */ # end",
}

// fastRefused are statements that it must leave to the MySQL parser, which may accept or refuse them.
var fastRefused = []string{
	"", "select 1", "insert into t values (?)", "insert into t values (1+1)", "insert into t values ()", "insert into t values (1),(1,2)",
	"insert into t (a) values (1,2)", "insert into t (a, values) values (1,2)", "insert into t set a = 1", "insert into t select 1",
	"insert into t values (1) on duplicate key update a = 1", "insert into t values (now(7))", "insert into t values (now())+1", "insert into t values (now)", "insert into t values (-now())", "insert into t values (now(-1))",
	"insert into t values (now()+1)", "insert into t values (current_timestamps)", "insert into t values (now(06))", "insert into t values ('a' 'b')",
	"insert into t values (_utf8'x')", "insert into t values (date '2020-01-01')", "insert into t values (1", "insert into t values (1),", "insert into t values (1) x",
	"insert into t values (1); select 1", "insert /*+ hint() */ into t values (1)", "insert low_priority into t values (1)", "insert into t partition (p) values (1)",
	"insert into select values (1)", "insert into count(a) values (1)", "insert into t values (- -1)", "insert into t values (-'1')", "insert into t values (x'1')",
	"insert into t values (1e999)", "insert into t values ('open)", "insert into t values (default(a))", "insert into `` values (1)", "insert into t () values (1)", "insert into t values (@a)",
}

// fastHostile are statements that either parser may take, but not otherwise than the other.
var fastHostile = []string{
	`insert into t values ('a\\','b')`, `insert into t values ('\'','b')`, `insert into t values ('\\'',')')`, `insert into t values ('a''),(''b')`, `insert into t values ('\0\Z\_\%\x')`,
	"insert into t values ('a'/**/'b','c')", "insert into t values ('a'/**/,'b')", "insert into t values ('a',/*','*/'b')", "insert into t values (1,-- 2)\n3)",
	"insert into t values (1,#2)\n3)", "insert into t values (1,--2)", "insert into t values (1--1)", "insert into t values (-\t1,- 2,-/**/3)", "insert into t values (1/*!50000 ,2*/)",
	"insert into t values (1,/*!99999 2,*/3)", "insert into t values /*!50000 (1),(2*/)", "insert into t values (1),/*!50000 (2),*/(3)", "insert into t values (/*+ 1 */2)",
	"insert into t values (1.,.1,1.e1,1e+1,1e-400,1e)", "insert into t values (1.1.1)", "insert into t values (1 2)", "insert into t values (0x,0b,0xg,0b2)", "insert into t values (0X1f,0B1)",
	"insert into t values (-0x1,-b'1',+x'ff')", "insert into t values (-18446744073709551615,-9223372036854775808,-00000000000000000000000001)", "insert into t values (1e400)",
	"insert into t values (nULL,NULL ,NULL,NULLs)", "insert into t values (NULLIF(1,1))", "insert into t values (N'x',n'x',_binary'x',_latin1 0x41)", "insert into t values ('a' collate utf8mb4_bin)",
	"insert into t values ('\x00','a\x00b')", "insert into t values ('\xff\xfe','\xed\xa0\x80','\xc3')", "insert into t values ('\xc3','\xa9')", "insert into t values (\u00a01,\u30002)", "insert into t values (1,\x002)",
	"insert into t values (1)\x00", "insert into t values (1);;", "insert into t values (1) ; -- x", "insert into t values (1),(2)as n", "insert into t values (a),(`a`),('a')", "insert into t values ((1),(2))",
	"insert into t values (concat('a',concat('b',',')),1)", "insert into t values (?,'?',\"?\")", "insert into t values (\"a\\\"\",\"b''\")", "insert into t values ('a\n','\r\n',' ')", "insert into t values ({d '2020-01-01'})",
	"insert into t values (true,false,TRUE1,unknown)", "insert into t values (now (),now/**/(),now(/**/),`now`(),current_timestamp ( ),now(1,2))", "insert into t values (1,)", "insert into t values (,1)", "insert into t values ('", "insert into t values ('a", "insert into t values (-", "insert into t values (1.", "insert into t values (NUL",
}

func TestFastInsert(t *testing.T) {
	for _, sql := range fastTaken {
		v, ok := FastInsert(sql, 0)
		if !ok {
			t.Errorf("%s was refused", sql)
			continue
		}
		if got, want := fast(v), slowInsert(t, sql, 0); got != want {
			t.Errorf("%s:\n fast %s\n slow %s", sql, got, want)
		}
	}
	for _, sql := range fastRefused {
		if v, ok := FastInsert(sql, 0); ok {
			t.Errorf("%s was taken: %s", sql, fast(v))
		}
	}
	if v, ok := FastInsert(`insert into t values ("a")`, syntax.AnsiQuotes); ok {
		t.Errorf("an identifier was taken for a string: %s", fast(v))
	}
	raw := `insert into "t" values ('a\n', 'b''\')`
	mode := syntax.AnsiQuotes | syntax.NoBackslashEscapes
	v, ok := FastInsert(raw, mode)
	if !ok || fast(v) != slowInsert(t, raw, mode) {
		t.Errorf("%s: %v", raw, ok)
	}
}

// TestFastInsertModel generates inserts and compares with the MySQL parser.
func TestFastInsertModel(t *testing.T) {
	literals := []string{"1", "-2", "+3", "0.5", "-1.25", "1e3", "null", "DEFAULT", "true", "'x'", "'it''s'", `'\t\'é'`, `"q"`, "x'ff'", "0b11", "00", "123456789012345678901234567890",
		"NULL", "7.", "-0", "''", "'-- x'", "1 /* c */", "2/*!*/", "9223372036854775808", "18446744073709551616", "now()", "NOW(2)", "current_timestamp", "CURRENT_TIMESTAMP(1)"}
	names := []string{"a", "b1", "`select`", "`x``y`", "status", "1a", "é", "count", "_x", "end", "value"}
	rapid.Check(t, func(rt *rapid.T) {
		pick := func(from []string, label string) string { return rapid.SampledFrom(from).Draw(rt, label) }
		width := rapid.IntRange(1, 4).Draw(rt, "width")
		row := func() string {
			cells := make([]string, width)
			for i := range cells {
				cells[i] = pick(literals, "literal")
			}
			return "(" + strings.Join(cells, pick([]string{",", " , ", ",\n"}, "comma")) + ")"
		}
		sql := pick([]string{"insert ", "INSERT INTO ", "replace into ", "insert ignore into "}, "verb") + pick(names, "table")
		if rapid.Bool().Draw(rt, "columns") {
			cols := make([]string, width)
			for i := range cols {
				cols[i] = pick(names, "column")
			}
			sql += "(" + strings.Join(cols, ",") + ")"
		}
		sql += " values " + row()
		for range rapid.IntRange(0, 3).Draw(rt, "rows") {
			sql += "," + row()
		}
		mode := syntax.Mode(rapid.SampledFrom([]int{0, int(syntax.AnsiQuotes), int(syntax.IgnoreSpace), int(syntax.NoBackslashEscapes)}).Draw(rt, "mode"))
		if v, ok := FastInsert(sql, mode); ok {
			if got, want := fast(v), slowInsert(rt, sql, mode); got != want {
				rt.Fatalf("%s:\n fast %s\n slow %s", sql, got, want)
			}
		}
	})
}

// FuzzFastInsert is invariant 4.
func FuzzFastInsert(f *testing.F) {
	for _, sql := range slices.Concat(fastTaken, fastRefused, fastHostile) {
		f.Add(sql, uint8(0))
		f.Add(sql, uint8(syntax.NoBackslashEscapes))
		f.Add(sql, uint8(syntax.AnsiQuotes))
	}
	f.Fuzz(func(t *testing.T, sql string, m uint8) {
		mode := syntax.Mode(m)
		if v, ok := FastInsert(sql, mode); ok {
			if got, want := fast(v), slowInsert(t, sql, mode); got != want {
				t.Fatalf("%q:\n fast %s\n slow %s", sql, got, want)
			}
		}
	})
}

// bulkInsert is 1,000 rows of five columns.
func bulkInsert() string {
	var b strings.Builder
	b.WriteString("INSERT INTO t (a, b, c, d, e) VALUES ")
	for i := range 1000 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "(%d, 'name of %d', %d.25, NULL, '2020-01-02 03:04:05')", i, i, i)
	}
	return b.String()
}

func TestFastInsertAllocates(t *testing.T) {
	sql := bulkInsert()
	allocs := testing.AllocsPerRun(5, func() {
		if v, ok := FastInsert(sql, 0); !ok || v.Rows() != 1000 {
			t.Fatal("bulk insert refused")
		}
	})
	// One for the result, one for the cells, a few for the column list: none for a row or cell.
	if allocs > 20 {
		t.Errorf("%v allocations for 5,000 cells", allocs)
	}
}

func BenchmarkFastInsert(b *testing.B) {
	sql := bulkInsert()
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := FastInsert(sql, 0); !ok {
			b.Fatal("refused")
		}
	}
	b.ReportMetric(float64(b.N)*5000/b.Elapsed().Seconds(), "cells/s")
}

func BenchmarkParseInsert(b *testing.B) {
	sql := bulkInsert()
	for b.Loop() {
		if _, err := Parse(sql, 0); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*5000/b.Elapsed().Seconds(), "cells/s")
}
