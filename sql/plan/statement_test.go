package plan

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"stele/meta/types"
	"stele/sql/explain"
	ast "stele/sql/parse"
	"stele/sql/physical"
	"stele/sql/syntax"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

const defaultMode = "ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO"

// TestStatements runs the files of testdata: "create" makes a table, "plan" shows the plan of a statement or
// the error, "fast" plans an INSERT by the fast path, "set" sets the sql_mode or the current database.
func TestStatements(t *testing.T) {
	for _, file := range []string{"select", "subquery", "rewrite", "prune", "dml", "errors", "collate", "keys", "wholegroups"} {
		t.Run(file, func(t *testing.T) {
			ctx, f := newContext()
			ctx.SQLMode = defaultMode
			datadriven.RunTest(t, "testdata/"+file+".txt", func(t *testing.T, d *datadriven.TestData) string {
				switch d.Cmd {
				case "create":
					if _, err := f.create(ctx, d.Input); err != nil {
						return errorText(err)
					}
					return ""
				case "plan":
					return planText(ctx, d.Input)
				case "fast":
					in, ok := ast.FastInsert(d.Input, 0)
					if !ok {
						return "not a fast INSERT\n"
					}
					p, err := InsertValues(ctx, in)
					if err != nil {
						return errorText(err)
					}
					return strings.Join(insertLines(ctx, p), "\n") + "\n"
				case "set":
					for _, arg := range d.CmdArgs {
						switch arg.Key {
						case "mode":
							ctx.SQLMode = strings.Join(arg.Vals, ",")
						case "db":
							ctx.CurrentDB = strings.Join(arg.Vals, "")
						}
					}
					return ""
				}
				d.Fatalf(t, "unknown command %s", d.Cmd)
				return ""
			})
		})
	}
}

func explainStatement(ctx *Context, st ast.Statement) ([]string, error) {
	switch n := st.Node.(type) {
	case *ast.InsertStmt:
		p, err := Insert(ctx, n)
		if err != nil {
			return nil, err
		}
		return insertLines(ctx, p), nil
	case *ast.UpdateStmt:
		plans, err := Updates(ctx, n)
		return modifiesLines(ctx, plans, err)
	case *ast.DeleteStmt:
		plans, err := Deletes(ctx, n)
		return modifiesLines(ctx, plans, err)
	}
	n, err := Select(ctx, st.Node)
	if err != nil {
		return nil, err
	}
	if err := checkPlan(n); err != nil {
		return nil, err
	}
	return explain.Lines(n, ctx.TableName), nil
}

func modifiesLines(ctx *Context, plans []*ModifyPlan, err error) ([]string, error) {
	var out []string
	for _, p := range plans {
		if err != nil {
			break
		}
		var lines []string
		lines, err = modifyLines(ctx, p)
		out = append(out, lines...)
	}
	return out, err
}

func insertLines(ctx *Context, p *InsertPlan) []string {
	if p.Source != nil {
		if err := checkPlan(p.Source); err != nil {
			return []string{err.Error()}
		}
	}
	out := p.Explain(ctx.TableName)
	out[0] += fmt.Sprintf(" rowid=%t auto=%d", p.NeedsRowID, p.AutoIncrement)
	if p.Rows != nil {
		for i := range p.Rows.N {
			out = append(out, "  ("+rowText(p.Rows, allColumnsOf(p), i)+")")
		}
	}
	return out
}

func allColumnsOf(p *InsertPlan) []int {
	var out []int
	for i := range p.Rows.Cols {
		out = append(out, i)
	}
	return out
}

func modifyLines(ctx *Context, p *ModifyPlan) ([]string, error) {
	if err := checkPlan(p.Source); err != nil {
		return nil, err
	}
	if want := p.Values + len(p.Assign); len(p.Source.Schema) != want {
		return nil, fmt.Errorf("the source yields %d columns, not %d", len(p.Source.Schema), want)
	}
	return p.Explain(ctx.TableName), nil
}

// TestRoute sends every row to the partition and the bucket that a scan for the row's key would read.
func TestRoute(t *testing.T) {
	ctx, f := newContext()
	ctx.SQLMode = defaultMode
	made, err := f.create(ctx, `CREATE TABLE r (d DATE, k BIGINT, v VARCHAR(10)) PRIMARY KEY(d, k) PARTITION BY RANGE(d)
		(START ("2024-01-01") END ("2024-01-11") EVERY (INTERVAL 1 DAY)) DISTRIBUTED BY HASH(k) BUCKETS 4`)
	if err != nil || len(made.Parts) != 10 {
		t.Fatalf("%v, %d partitions", err, len(made.Parts))
	}
	table, _ := f.Table("test", "r")
	var rows []string
	for i := range 200 {
		rows = append(rows, fmt.Sprintf("('2024-01-%02d', %d, 'x')", i%10+1, i))
	}
	in, _ := ast.FastInsert("INSERT INTO r VALUES "+strings.Join(rows, ","), syntax.Mode(0))
	p, err := InsertValues(ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	parts, err := Route(table, p.Rows)
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, part := range parts {
		for _, row := range part.Rows {
			seen++
			key := sqltypes.AppendVectorText(nil, p.Rows.Cols[0], int(row), nil)
			st, _ := ast.Parse(fmt.Sprintf("SELECT v FROM r WHERE d = '%s' AND k = %d", key, p.Rows.Cols[1].I64[row]), 0)
			n, err := Select(ctx, st.Node)
			if err != nil {
				t.Fatal(err)
			}
			if s := n.Scan; len(s.Tablets) != 1 || s.Tablets[0] != part.Tablet || len(s.Fragment.Keys) != 1 ||
				string(s.Fragment.Keys[0]) != string(vec.AppendRowKey(nil, p.Rows, []int{0, 1}, int(row))) {
				t.Fatalf("row %d is in tablet %d, a scan reads %v, keys %x", row, part.Tablet, s.Tablets, s.Fragment.Keys)
			}
		}
	}
	if seen != 200 {
		t.Fatalf("%d of 200 rows were routed", seen)
	}
	in, _ = ast.FastInsert("INSERT INTO r VALUES ('2024-01-01', 1, 'x'), ('2025-01-01', 1, 'x')", 0)
	if p, err = InsertValues(ctx, in); err != nil {
		t.Fatal(err)
	}
	if _, err = Route(table, p.Rows); err == nil || !strings.Contains(errorText(err), "1526") || !strings.Contains(err.Error(), "2025-01-01") {
		t.Fatalf("a row outside every partition: %v", err)
	}
}

// TestFastInsert converts the same literals by the fast path and by the syntax tree: rows and errors must be the same.
func TestFastInsert(t *testing.T) {
	ctx, f := newContext()
	ctx.SQLMode = defaultMode
	if _, err := f.create(ctx, `CREATE TABLE all_types (k BIGINT PRIMARY KEY, a TINYINT, b SMALLINT UNSIGNED, c INT, d BIGINT UNSIGNED,
		e DECIMAL(6,2), f DECIMAL(30,10), g FLOAT, h DOUBLE, i CHAR(3), j VARCHAR(3), l TEXT, m BINARY(3), n VARBINARY(3), o DATE,
		p DATETIME(3), q TIMESTAMP, r TIME, s YEAR, u JSON, v TINYINT(1))`); err != nil {
		t.Fatal(err)
	}
	literals := []string{"0", "-1", "127", "128", "65535", "65536", "2147483648", "9223372036854775808", "-9223372036854775809",
		"18446744073709551616", "1.005", "-.5", "12345678901234567890.1234567890123", "1e3", "''", "'abc'", "'abcd'",
		"'äöü'", "'äöüß'", "'12'", "' 7 '", "'it''s'", "'2024-02-29'", "'2023-02-29'", "'2024-01-01 10:11:12.9999'", "20240101",
		"'10:11:12'", "'{\"a\": 1}'", "NULL", "TRUE", "FALSE", "0x4142", "x''", "b'101'", "2024"}
	table, _ := f.Table("test", "all_types")
	for i := 1; i < len(table.Schema.Columns); i++ {
		for _, lit := range literals {
			sql := fmt.Sprintf("INSERT INTO all_types (k, %s) VALUES (1, %s)", table.Schema.Columns[i].Name, lit)
			in, ok := ast.FastInsert(sql, 0)
			if !ok {
				t.Fatalf("%s: not a fast INSERT", sql)
			}
			st, err := ast.Parse(sql, 0)
			if err != nil {
				continue // a literal that the parser refuses is nothing to compare
			}
			slow, slowErr := Insert(ctx, st.Node.(*ast.InsertStmt))
			fast, fastErr := InsertValues(ctx, in)
			if many, ok := ast.FastInsert(sql+strings.Repeat(fmt.Sprintf(", (1, %s)", lit), manyLiterals), 0); !ok {
				t.Fatalf("%s, repeated: not a fast INSERT", sql)
			} else if p, err := InsertValues(ctx, many); fmt.Sprint(err) != fmt.Sprint(fastErr) {
				t.Errorf("%s\nonce: %v\nrepeated: %v", sql, fastErr, err)
			} else if err == nil && rowText(fast.Rows, []int{i}, 0) != rowText(p.Rows, []int{i}, 3) {
				t.Errorf("%s\nonce: %s\nrepeated: %s", sql, rowText(fast.Rows, []int{i}, 0), rowText(p.Rows, []int{i}, 3))
			}
			if (slowErr == nil) != (fastErr == nil) || slowErr != nil && errorText(slowErr) != errorText(fastErr) {
				t.Errorf("%s\nfast: %v\nslow: %v", sql, fastErr, slowErr)
			} else if slowErr == nil && rowText(fast.Rows, []int{i}, 0) != rowText(slow.Rows, []int{i}, 0) {
				t.Errorf("%s\nfast: %s\nslow: %s", sql, rowText(fast.Rows, []int{i}, 0), rowText(slow.Rows, []int{i}, 0))
			}
		}
	}
}

// TestKeysHaveHomes: where a key alone says in which tablet its row lies, a scan of several keys says so as INSERT does.
func TestKeysHaveHomes(t *testing.T) {
	ctx, f := newContext()
	for _, sql := range []string{"CREATE TABLE h (id INT PRIMARY KEY, v INT)",
		"CREATE TABLE other (id INT, v INT, PRIMARY KEY (id, v)) DISTRIBUTED BY HASH(v) BUCKETS 3"} {
		if _, err := f.create(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	keys := func(sql string) *physical.Fragment {
		st, err := ast.Parse(sql, 0)
		if err != nil {
			t.Fatal(err)
		}
		n, err := Select(ctx, st.Node)
		if err != nil || n.Scan == nil || len(n.Scan.Fragment.Keys) == 0 {
			t.Fatal(n, err)
		}
		return &n.Scan.Fragment
	}
	homes := map[string]types.TabletID{}
	in, _ := ast.FastInsert("INSERT INTO h VALUES (1, 1), (2, 1), (3, 1), (4, 1), (5, 1), (6, 1), (7, 1), (8, 1)", 0)
	p, err := InsertValues(ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	table, _ := ctx.BaseTable("", "h")
	parts, err := Route(table, p.Rows)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range parts {
		for _, row := range part.Rows {
			homes[string(vec.AppendRowKey(nil, p.Rows, []int{0}, int(row)))] = part.Tablet
		}
	}
	got := keys("SELECT v FROM h WHERE id IN (8, 3, 1, 2, 7, 5)")
	if len(got.Homes) != len(got.Keys) {
		t.Fatalf("%d homes of %d keys", len(got.Homes), len(got.Keys))
	}
	for i, key := range got.Keys {
		if got.Homes[i] != homes[string(key)] {
			t.Errorf("key %x is looked for in tablet %d, and lies in %d", key, got.Homes[i], homes[string(key)])
		}
	}
	if got = keys("SELECT v FROM other WHERE id IN (1, 2) AND v IN (1, 2)"); got.Homes != nil {
		t.Errorf("homes %v of rows that are distributed by another column", got.Homes)
	}
}
