package plan

import (
	"context"
	"fmt"
	"math/rand"
	"os"
	"slices"
	"strings"
	"testing"

	"stele/meta/types"
	"stele/sql/exec"
	"stele/sql/explain"
	"stele/sql/expr"
	ast "stele/sql/parse"
	"stele/sql/physical"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

// store keeps the rows of tables by tablet, as INSERT plans and Route have placed them.
type store struct {
	ctx     *Context
	tablets map[types.TabletID][]*vec.Batch
	opened  func(*physical.Scan) // told of each scan; nil = nobody asks
}

// insert runs an INSERT of literals.
func (s *store) insert(sql string) error {
	in, ok := ast.FastInsert(sql, 0)
	if !ok {
		return fmt.Errorf("not a fast INSERT: %s", sql)
	}
	p, err := InsertValues(s.ctx, in)
	if err != nil {
		return err
	}
	parts, err := Route(p.Table, p.Rows)
	for _, part := range parts {
		s.tablets[part.Tablet] = append(s.tablets[part.Tablet], &vec.Batch{Cols: p.Rows.Cols, N: p.Rows.N, Sel: part.Rows})
	}
	return err
}

// scan runs the fragment of a scan on its tablets.
func (s *store) scan(_ context.Context, n *physical.Scan) (exec.Stream, error) {
	if s.opened != nil {
		s.opened(n)
	}
	var out []*vec.Batch
	f := &n.Fragment
	for _, id := range n.Tablets {
		var in []*vec.Batch
		for _, b := range s.tablets[id] {
			picked := &vec.Batch{N: b.N}
			for _, row := range b.Sel {
				if f.Keys == nil || slices.ContainsFunc(f.Keys, func(k []byte) bool {
					return string(k) == string(vec.AppendRowKey(nil, b, f.Schema.KeyIndexes(), int(row)))
				}) {
					picked.Sel = append(picked.Sel, row)
				}
			}
			for _, c := range f.Columns {
				picked.Cols = append(picked.Cols, b.Cols[f.Schema.ColumnIndex(c)])
			}
			if len(picked.Sel) > 0 {
				in = append(in, picked)
			}
		}
		st, err := exec.RunFragment(f, exec.FromBatches(in...), id, expr.Context{NowMicros: s.ctx.NowMicros}, nil)
		if err != nil {
			return nil, err
		}
		for {
			b, err := st.Next(context.Background())
			if err != nil {
				return nil, err
			}
			if b == nil {
				break
			}
			out = append(out, b)
		}
		st.Close()
	}
	return exec.FromBatches(out...), nil
}

// query runs a SELECT and returns its rows as text.
func (s *store) query(sql string) ([]string, error) {
	st, err := ast.Parse(sql, 0)
	if err != nil {
		return nil, err
	}
	n, err := Select(s.ctx, st.Node)
	if err != nil {
		return nil, err
	}
	return s.run(n)
}

// run runs a plan and returns its rows as text.
func (s *store) run(n *physical.Node) ([]string, error) {
	if err := checkPlan(n); err != nil {
		return nil, err
	}
	encoded, err := physical.EncodePlan(n) // every plan must survive the way to a query node
	if err != nil {
		return nil, err
	}
	if n, err = physical.DecodePlan(encoded); err != nil {
		return nil, err
	}
	stream, err := exec.Build(n, &exec.Env{Scan: s.scan, Expr: expr.Context{NowMicros: s.ctx.NowMicros}})
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, strings.Join(explain.Lines(n, nil), "\n"))
	}
	defer stream.Close()
	var rows []string
	for {
		b, err := stream.Next(context.Background())
		if err != nil || b == nil {
			return rows, err
		}
		for _, i := range rowsOf(b) {
			var cells []string
			for _, v := range b.Cols {
				if v.IsNull(int(i)) {
					cells = append(cells, "NULL")
				} else {
					cells = append(cells, string(sqltypes.AppendVectorText(nil, v, int(i), nil)))
				}
			}
			rows = append(rows, strings.Join(cells, "|"))
		}
	}
}

// fill puts small random rows with many NULLs and equal values in t and u.
func (s *store) fill(r *rand.Rand) error {
	value := func(n int) string {
		if r.Intn(4) == 0 {
			return "NULL"
		}
		return fmt.Sprint(r.Intn(n))
	}
	for i := range 8 {
		if err := s.insert(fmt.Sprintf("INSERT INTO t VALUES (%d, %s, 'x%s', '2024-01-0%d', %d.5)", i, value(5), value(3), 1+r.Intn(3), r.Intn(4))); err != nil {
			return err
		}
		if err := s.insert(fmt.Sprintf("INSERT INTO u VALUES (%s, %d, %s)", value(5), i*2, value(5))); err != nil {
			return err
		}
	}
	return s.insert("INSERT INTO log VALUES ('m', '2024-01-01')")
}

// fillGroups puts small random rows in the tables of testdata/wholegroups.txt.
func (s *store) fillGroups(r *rand.Rand) error {
	for i := range 20 {
		for _, row := range []string{
			fmt.Sprintf("events VALUES (%d, '2024-01-%02d', '%s', %d.25)", r.Intn(6), i+1, []string{"buy", "view"}[r.Intn(2)], r.Intn(200)),
			fmt.Sprintf("days VALUES (%d, '20%d-01-%02d', %d)", r.Intn(4), 23+r.Intn(2), i+1, r.Intn(9)),
			fmt.Sprintf("pairs VALUES (%d, %d, %d)", r.Intn(5), i, r.Intn(9)),
			fmt.Sprintf("floats VALUES (%de0, %d)", i, i),
		} {
			if err := s.insert("INSERT INTO " + row); err != nil {
				return err
			}
		}
	}
	return nil
}

// TestRewrites runs every query of the test files twice, with and without rewriting and pruning: both must answer the same.
func TestRewrites(t *testing.T) {
	var queries, tables []string
	for _, name := range []string{"select", "subquery", "rewrite", "wholegroups"} {
		raw, err := os.ReadFile("testdata/" + name + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		for block := range strings.SplitSeq(string(raw), "\n\n") {
			if sql, ok := strings.CutPrefix(block, "create\n"); ok && name == "wholegroups" {
				sql, _, _ = strings.Cut(sql, "\n----")
				tables = append(tables, sql)
			}
			if at := strings.Index(block, "\nplan\n"); strings.HasPrefix(block, "#") && at >= 0 {
				block = block[at+1:]
			}
			if sql, ok := strings.CutPrefix(block, "plan\n"); ok {
				sql, out, _ := strings.Cut(sql, "\n----")
				if !strings.HasPrefix(strings.TrimSpace(out), "error") && !strings.Contains(sql, "RAND") && !strings.Contains(sql, "information_schema") {
					queries = append(queries, sql)
				}
			}
		}
	}
	if len(queries) < 80 {
		t.Fatalf("only %d queries", len(queries))
	}
	for seed := range int64(5) {
		ctx, f := newContext()
		createAll(t, ctx, f, "testdata/schema.sql")
		for _, sql := range tables {
			if _, err := f.create(ctx, sql); err != nil {
				t.Fatal(err)
			}
		}
		s, r := &store{ctx: ctx, tablets: map[types.TabletID][]*vec.Batch{}}, rand.New(rand.NewSource(seed))
		if err := s.fill(r); err != nil {
			t.Fatal(err)
		}
		if err := s.fillGroups(r); err != nil {
			t.Fatal(err)
		}
		for _, sql := range queries {
			compareAnswers(t, s, sql)
		}
	}
}

// compareAnswers checks that a query answers the same with and without rewriting. With a LIMIT any rows will do, so only
// their number counts.
func compareAnswers(t *testing.T, s *store, sql string) {
	t.Helper()
	s.ctx.literal = false
	got, err := s.query(sql)
	s.ctx.literal = true
	want, err2 := s.query(sql)
	if (err == nil) != (err2 == nil) {
		t.Errorf("%s\nrewritten: %v\nas bound: %v", sql, err, err2)
		return
	}
	if strings.Contains(sql, "LIMIT") {
		if len(got) != len(want) {
			t.Errorf("%s\n%d rows, as bound %d", sql, len(got), len(want))
		}
		return
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s\nrewritten: %q\nas bound:  %q", sql, got, want)
	}
}
