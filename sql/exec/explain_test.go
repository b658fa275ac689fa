package exec

import (
	"strings"
	"testing"

	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/physical"
	"stele/sql/vec"
)

func TestExplain(t *testing.T) {
	ts := []types.ColumnType{tInt, tStr}
	partial := physical.Agg{Partial: true, Group: cols(ts, 1), Aggs: []expr.AggFunc{aggOver(t, "sum", ts, 0, false)}}
	partial.Aggs[0].Arg = expr.Col(0, tInt)
	merge := partial
	merge.Partial, merge.Merge = false, true
	scan := &physical.Node{
		Schema: []physical.OutColumn{{Name: "name", Table: "t", Type: tStr}, {Name: "sum(id)", Type: tWide}},
		Scan: &physical.Scan{TableID: 5, Tablets: []types.TabletID{1, 2}, Fragment: physical.Fragment{
			Schema:  types.Schema{Columns: []types.Column{{ID: 1, Name: "id", Type: tInt}, {ID: 2, Name: "name", Type: tStr}}},
			Columns: []types.ColumnID{1, 2}, Filter: expr.MustCall("<", expr.Col(0, tInt), expr.ConstInt(9)), Agg: &partial}}}
	agg := &physical.Node{Agg: &merge, Schema: scan.Schema, Children: []*physical.Node{scan}}
	system := &physical.Node{System: &physical.System{Database: "stele", Table: "nodes"}, Schema: []physical.OutColumn{{Name: "host", Table: "n", Type: tStr}}}
	join := &physical.Node{Join: &physical.Join{Kind: physical.JoinLeft, Left: []*expr.Node{expr.Col(0, tStr)}, Right: []*expr.Node{expr.Col(0, tStr)},
		On: expr.MustCall("!=", expr.Col(0, tStr), expr.Col(2, tStr))}, Children: []*physical.Node{agg, system},
		Schema: append(append([]physical.OutColumn{}, scan.Schema...), system.Schema...)}
	root := &physical.Node{Sort: &physical.Sort{Keys: []expr.SortKey{{Expr: expr.Col(2, tStr), Desc: true}}, Limit: 3}, Schema: join.Schema,
		Children: []*physical.Node{join}}
	want := `TopN n.host DESC limit 3 offset 0
  LeftHashJoin on t.name = n.host
    -> condition (t.name != n.host)
    MergeAggregate group by t.name
      -> sum(states)
      Scan t, tablets 2
        fragment
          read id, name
          filter (id < 9)
          PartialAggregate group by name
            -> sum(id)
    SystemTable stele.nodes`
	if got := strings.Join(Explain(root), "\n"); got != want {
		t.Fatalf("got\n%s\nwant\n%s", got, want)
	}
}

func TestExplainDetails(t *testing.T) {
	ts := []types.ColumnType{tInt, tStr}
	byName := []expr.SortKey{{Expr: expr.Col(1, tStr)}}
	concat := expr.AggFunc{Name: "group_concat", Distinct: true, Sep: ",", Arg: expr.Col(1, tStr), Order: byName}
	values := &physical.Node{Values: &physical.Values{}, Schema: []physical.OutColumn{{Name: "id", Type: tInt}, {Name: "name", Type: tStr}}}
	fragment := physical.Fragment{
		Schema:  types.Schema{Columns: []types.Column{{ID: 1, Name: "id", Type: tInt}, {ID: 2, Name: "name", Type: tStr}}},
		Columns: []types.ColumnID{2, 1}, Keys: [][]byte{nil}, Project: []*expr.Node{expr.Col(1, tInt)}, TabletColumn: true,
		TopN: &physical.Sort{Keys: []expr.SortKey{{Expr: expr.Col(0, tInt)}}, Limit: 4}, Limit: 4}
	for _, tc := range []struct {
		node *physical.Node
		want string
	}{
		{&physical.Node{Scan: &physical.Scan{TableID: 3, Fragment: fragment}}, `Scan table 3, tablets 0
  fragment
    read name, id
    keys 1
    project id
    add the tablet id
    TopN id limit 4 offset 0
    limit 4`},
		{&physical.Node{Agg: &physical.Agg{Aggs: []expr.AggFunc{{Name: "count"}, concat}}, Children: []*physical.Node{values}}, `Aggregate
  -> count(*)
  -> group_concat(DISTINCT name ORDER BY name SEPARATOR ",")
  Values rows 0`},
		{&physical.Node{Window: &physical.Window{Partition: cols(ts, 0), Order: byName, Funcs: []physical.WindowFunc{
			{Name: "rank"}, {Name: "sum", Args: cols(ts, 0), Rows: true, FromUnbounded: true, To: 2}, {Name: "count", Rows: true, From: -1}}},
			Children: []*physical.Node{values}}, `Window partition by id order by name
  -> rank()
  -> sum(id) ROWS BETWEEN UNBOUNDED PRECEDING AND 2 FOLLOWING
  -> count() ROWS BETWEEN 1 PRECEDING AND CURRENT ROW
  Values rows 0`},
		{&physical.Node{Join: &physical.Join{Kind: physical.JoinAnti}, Children: []*physical.Node{values, values}}, `AntiNestedLoopJoin
  Values rows 0
  Values rows 0`},
		{&physical.Node{SetOp: &physical.SetOp{Name: "except", All: true}}, "EXCEPT ALL"},
		{&physical.Node{Sort: &physical.Sort{Keys: byName}, Children: []*physical.Node{values}}, "Sort name\n  Values rows 0"},
	} {
		if got := strings.Join(Explain(tc.node), "\n"); got != tc.want {
			t.Errorf("got\n%s\nwant\n%s", got, tc.want)
		}
	}
}

func TestExplainNamesEveryOperator(t *testing.T) {
	for name, plan := range plans(t) {
		n := plan(func() *physical.Node {
			return &physical.Node{Values: &physical.Values{}, Schema: schemaOf([]types.ColumnType{tInt})}
		})
		if text := strings.Join(Explain(n), "\n"); strings.Contains(text, "Unknown") {
			t.Errorf("%s: %s", name, text)
		}
	}
}

func TestValuesAndLimit(t *testing.T) {
	env := testEnv(t, false)
	values := &physical.Node{Values: &physical.Values{}, Schema: schemaOf([]types.ColumnType{tInt})}
	for i := range 5000 {
		values.Values.Rows = append(values.Values.Rows, []*expr.Node{expr.MustCall("+", expr.ConstInt(int64(i)), expr.ConstInt(1))})
	}
	values.Values.Rows[2] = []*expr.Node{expr.Null()}
	rows := collect(t, build(t, &physical.Node{Limit: &physical.Limit{Offset: 1, Count: 3000}, Children: []*physical.Node{values}}, env))
	if len(rows) != 3000 || rows[0][0].I != 2 || !rows[1][0].Null || rows[2999][0].I != 3001 {
		t.Fatalf("%d rows, %v", len(rows), rows[:3])
	}
	one := &physical.Node{Values: &physical.Values{Rows: [][]*expr.Node{{}}}}
	project := &physical.Node{Project: []*expr.Node{expr.ConstInt(7)}, Children: []*physical.Node{one}}
	wantSame(t, []types.ColumnType{tInt}, collect(t, build(t, project, env)), []row{{vec.Int(7)}}, true)
}

func TestFromBatches(t *testing.T) {
	ts := []types.ColumnType{tInt}
	env := testEnv(t, false)
	in := FromBatches(&vec.Batch{Cols: []*vec.Vector{vec.New(tInt, 0)}}, numbers(2).batches[0])
	wantSame(t, ts, collect(t, build(t, source(ts, in, env), env)), []row{{vec.Int(0)}, {vec.Int(1)}}, true)
	in = FromBatches(numbers(2).batches...)
	in.Close()
	if b, err := in.Next(t.Context()); b != nil || err != nil {
		t.Fatalf("a closed stream yields %v, %v", b, err)
	}
}

func TestBuildRefusesBrokenPlans(t *testing.T) {
	env := testEnv(t, false)
	leaf := func() *physical.Node { return source([]types.ColumnType{tInt}, numbers(1), env) }
	for name, n := range map[string]*physical.Node{
		"no operator":      {},
		"no child":         {Filter: expr.ConstBool(true)},
		"no scans":         {Scan: &physical.Scan{}},
		"one key":          {Join: &physical.Join{Left: cols([]types.ColumnType{tInt}, 0)}, Children: []*physical.Node{leaf(), leaf()}},
		"ragged values":    {Values: &physical.Values{Rows: [][]*expr.Node{{expr.ConstInt(1)}, {}}}},
		"unknown set op":   {SetOp: &physical.SetOp{Name: "minus"}, Schema: schemaOf([]types.ColumnType{tInt}), Children: []*physical.Node{leaf(), leaf()}},
		"unknown function": {Project: []*expr.Node{{Kind: expr.NodeCall, Func: "no such"}}, Children: []*physical.Node{leaf()}},
		"sum of text":      {Agg: &physical.Agg{Aggs: []expr.AggFunc{{Name: "sum", Arg: expr.Col(0, tStr)}}}, Children: []*physical.Node{leaf()}},
	} {
		if _, err := Build(n, env); err == nil {
			t.Errorf("%s: the plan was built", name)
		}
	}
}
