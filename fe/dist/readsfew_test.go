package dist

import (
	"testing"

	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/physical"
)

// TestReadsFew: few rows are those between bounds of the key, of a few keys, or of a LIMIT that nothing comes before.
func TestReadsFew(t *testing.T) {
	big, text := types.ColumnType{Kind: types.KindBigInt}, types.ColumnType{Kind: types.KindVarChar}
	col := func(at int, ct types.ColumnType) *expr.Node {
		return &expr.Node{Kind: expr.NodeColumn, Col: at, Type: ct}
	}
	one := &expr.Node{Kind: expr.NodeConst, Type: big, Value: expr.Value{I: 1}}
	call := func(name string, args ...*expr.Node) *expr.Node {
		return &expr.Node{Kind: expr.NodeCall, Func: name, Args: args}
	}
	key, other := col(1, big), col(0, big)
	for _, c := range []struct {
		name string
		f    physical.Fragment
		few  bool
	}{
		{"all", physical.Fragment{}, false},
		{"both bounds", physical.Fragment{Filter: call("and", call(">=", key, one), call("<=", key, one))}, true},
		{"bounds the other way round", physical.Fragment{Filter: call("and", call("<", one, key), call(">", one, key))}, true},
		{"one bound twice", physical.Fragment{Filter: call("and", call(">=", key, one), call("<", one, key))}, false},
		{"one value", physical.Fragment{Filter: call("and", call("=", other, one), call("=", key, one))}, true},
		{"either", physical.Fragment{Filter: call("or", call("=", key, one), call("=", other, one))}, false},
		{"another column", physical.Fragment{Filter: call("=", other, one)}, false},
		{"two columns", physical.Fragment{Filter: call("=", key, other)}, false},
		{"text", physical.Fragment{Filter: call("=", col(1, text), one)}, false},
		{"a limit", physical.Fragment{Limit: 10}, true},
		{"a large limit", physical.Fragment{Limit: maxFew + 1}, false},
		{"a limit of what passes", physical.Fragment{Limit: 10, Filter: call("=", other, one)}, false},
		{"the first ones", physical.Fragment{Limit: 10, TopN: &physical.Sort{}}, false},
		{"the first ones by the primary key", physical.Fragment{TopN: &physical.Sort{Keys: []expr.SortKey{{Expr: key}}, Limit: 20}}, true},
		{"the first ones by a secondary key", physical.Fragment{TopN: &physical.Sort{Keys: []expr.SortKey{{Expr: col(2, text), Desc: true}}, Limit: 20, Offset: 900}}, true},
		{"a page far behind", physical.Fragment{TopN: &physical.Sort{Keys: []expr.SortKey{{Expr: key}}, Limit: 20, Offset: 3000}}, true},
		{"a page far behind of what is made of columns", physical.Fragment{Project: []*expr.Node{other, key}, TopN: &physical.Sort{Keys: []expr.SortKey{{Expr: col(0, big)}}, Limit: 20, Offset: 3000}}, false},
		{"a page far behind of wide rows", physical.Fragment{Project: []*expr.Node{other, key, col(2, text), col(2, text)}, TopN: &physical.Sort{Keys: []expr.SortKey{{Expr: key}}, Limit: 20, Offset: 3000}}, false},
		{"too many first ones", physical.Fragment{TopN: &physical.Sort{Keys: []expr.SortKey{{Expr: key}}, Limit: 20, Offset: maxFirst}}, false},
		{"the first ones by another column", physical.Fragment{TopN: &physical.Sort{Keys: []expr.SortKey{{Expr: other}}, Limit: 20}}, false},
		{"sorted", physical.Fragment{TopN: &physical.Sort{Keys: []expr.SortKey{{Expr: key}}}}, false},
		{"a range of a secondary key", physical.Fragment{Filter: call(">", col(2, text), one)}, true},
		{"what begins alike", physical.Fragment{Filter: call("and", call("!=", other, one), call("like", col(2, text), one))}, true},
		{"what begins alike by a collation", physical.Fragment{Filter: call("collation_like:utf8mb4_general_ci", col(2, text), one)}, true},
		{"unlike", physical.Fragment{Filter: call("!=", col(2, text), one)}, false},
		{"a limit of groups", physical.Fragment{Limit: 10, Agg: &physical.Agg{}}, false},
		{"a value of a secondary key", physical.Fragment{Filter: call("and", call("<", other, one), call("=", col(2, text), one))}, true},
		{"values of the first key column", physical.Fragment{Filter: call("and", call("<", other, one), call("in", key, one, one))}, true},
		{"values of the first key column or others", physical.Fragment{Filter: call("in", key, one, other)}, false},
		{"values of a secondary key", physical.Fragment{Filter: call("in", col(2, text), one, one)}, true},
		{"a secondary key and a column", physical.Fragment{Filter: call("in", col(2, text), one, other)}, false},
		{"keys", physical.Fragment{Keys: make([][]byte, 3)}, true},
		{"many keys", physical.Fragment{Keys: make([][]byte, maxFew+1)}, false},
	} {
		c.f.Schema = types.Schema{Key: []types.ColumnID{7}, Columns: []types.Column{{ID: 3, Type: big}, {ID: 7, Type: big}, {ID: 8, Type: text}}, Indexed: []types.ColumnID{8}}
		c.f.Columns = []types.ColumnID{3, 7, 8}
		if got := ReadsFew(&c.f); got != c.few {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
