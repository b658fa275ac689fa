package scan_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"stele/be/scan"
	"stele/meta/types"
	"stele/sql/exec"
	"stele/sql/expr"
	"stele/sql/physical"
	"stele/sql/vec"
)

// groupsBy counts the rows of each value of a column.
func groupsBy(col int, partial bool) *physical.Agg {
	count := expr.AggFunc{Name: "count", Type: types.ColumnType{Kind: types.KindBigInt, NotNull: true}}
	return &physical.Agg{Group: []*expr.Node{expr.Col(col, big)}, Aggs: []expr.AggFunc{count}, Partial: partial}
}

// TestLanesAgree: in several lanes an aggregation has the groups that it has in one, whole or in parts.
func TestLanesAgree(t *testing.T) {
	s, _, req := newScanner(t)
	req.MemLimitBytes = 64 << 20
	over := func(col int, x int64) *expr.Node {
		return expr.MustCall(">=", expr.Col(col, big), expr.Const(vec.Int(x), big))
	}
	for _, c := range []struct {
		name   string
		f      physical.Fragment
		groups int
	}{
		{"parts", physical.Fragment{Agg: groupsBy(1, true)}, perTablet},
		{"parts of few rows", physical.Fragment{Agg: groupsBy(1, true), Filter: over(1, perTablet-10)}, 10},
		{"whole", physical.Fragment{Agg: groupsBy(0, false)}, 3 * perTablet},
		{"whole, some of them", physical.Fragment{Agg: groupsBy(0, false), Having: over(0, 3*perTablet-11)}, 12},
		{"whole, the first of each tablet", physical.Fragment{Agg: groupsBy(0, false),
			TopN: &physical.Sort{Keys: []expr.SortKey{{Expr: expr.Col(0, big), Desc: true}}, Limit: 4}}, 12},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.f.Schema, c.f.Columns = fetchSchema(), []types.ColumnID{1, 2}
			var err error
			if req.Fragment, err = physical.EncodeFragment(&c.f); err != nil {
				t.Fatal(err)
			}
			groups := func(lanesFrom int64) []string {
				scan.LanesFrom(t, lanesFrom)
				var batches [][]byte
				if err := s.Scan(context.Background(), req, func(b []byte) error { batches = append(batches, b); return nil }); err != nil {
					t.Fatal(err)
				}
				return rowsOf(t, batches)
			}
			one, several := groups(math.MaxInt64), groups(0)
			if c.f.Agg.Partial {
				one, several = merged(t, one), merged(t, several)
			}
			if !slices.Equal(one, several) {
				t.Errorf("%d groups in one lane, %d in several", len(one), len(several))
			}
			if len(one) != c.groups {
				t.Errorf("%d groups, want %d", len(one), c.groups)
			}
		})
	}
}

// TestLaneErrorEndsAll: who cannot take an answer ends all lanes, and hears why.
func TestLaneErrorEndsAll(t *testing.T) {
	s, _, req := newScanner(t)
	scan.LanesFrom(t, 0)
	req.MemLimitBytes = exec.DefaultMemoryLimit
	f := physical.Fragment{Schema: fetchSchema(), Columns: []types.ColumnID{1, 2}, Agg: groupsBy(0, false)}
	var err error
	if req.Fragment, err = physical.EncodeFragment(&f); err != nil {
		t.Fatal(err)
	}
	full := errors.New("no room")
	if err := s.Scan(context.Background(), req, func([]byte) error { return full }); !errors.Is(err, full) {
		t.Errorf("the scan ends with %v", err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	err = s.Scan(ctx, req, func([]byte) error { cancel(full); return nil })
	if !errors.Is(err, full) && !errors.Is(err, context.Canceled) {
		t.Errorf("the cancelled scan ends with %v", err)
	}
}

// merged adds up the counts of groups.
func merged(t *testing.T, parts []string) (rows []string) {
	counts := map[int]int{}
	for _, p := range parts {
		var key, n int
		if _, err := fmt.Sscan(p, &key, &n); err != nil {
			t.Fatal(err)
		}
		counts[key] += n
	}
	for key, n := range counts {
		rows = append(rows, fmt.Sprint(key, " ", n))
	}
	slices.Sort(rows)
	return rows
}
