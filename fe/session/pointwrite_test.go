package session

import (
	"reflect"
	"strings"
	"testing"

	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/parse"
	"stele/sql/plan"
)

// TestPreparedAsText: whichever literals of a text are parameters, the plan is kept under the same words, and the values are the same.
func TestPreparedAsText(t *testing.T) {
	for _, pieces := range [][]string{ // every other one is a literal
		{"UPDATE t SET v = v + ", "3", ", s = ", "'a b'", " WHERE id = ", "12", ""},
		{"update `q?` set v=", "7", "-v where k=", "'x'", ""},
		{"DELETE FROM t WHERE a = ", "1", " AND b = ", "'?'", ""},
	} {
		whole := strings.Join(pieces, "")
		want, literals, ok := parse.PointWriteText(nil, nil, whole)
		if !ok || len(literals) != len(pieces)/2 {
			t.Fatalf("%s: %v, %v", whole, literals, ok)
		}
		all := pointParams(literals)
		for mask := range 1 << len(literals) {
			text := append([]string(nil), pieces...)
			var params []plan.Param
			for i := range literals {
				if mask>>i&1 == 1 {
					text[2*i+1] = "?"
					params = append(params, all[i])
				}
			}
			sql := strings.Join(text, "")
			got, found, ok := parse.PreparedWriteText(nil, nil, sql)
			if !ok || string(got) != string(want) {
				t.Fatalf("%s: %q, %v", sql, got, ok)
			}
			if values, ok := bindMarks(found, params); !ok || !reflect.DeepEqual(values, all) {
				t.Errorf("%s: %v, %v", sql, values, ok)
			}
			if _, ok := bindMarks(found, append(params, all[0])); ok {
				t.Errorf("%s: it takes a parameter too many", sql)
			}
			if len(params) > 0 {
				if _, ok := bindMarks(found, params[1:]); ok {
					t.Errorf("%s: it takes a parameter too few", sql)
				}
			}
		}
	}
}

// TestPreparedWritesAsTexts: the plan of a prepared statement is made of the text that it stands for, and of none where a value has no such literal.
func TestPreparedWritesAsTexts(t *testing.T) {
	integer := func(kind types.Kind, i int64) plan.Param {
		return plan.Param{Value: expr.Value{I: i}, Type: types.ColumnType{Kind: kind}}
	}
	text := func(s string) plan.Param {
		return plan.Param{Value: expr.Value{B: []byte(s)}, Type: types.ColumnType{Kind: types.KindVarChar}}
	}
	for _, c := range []struct {
		param plan.Param
		want  string // "" = there is none
		fits  bool
	}{
		{integer(types.KindBigInt, 12), "12", true},
		{integer(types.KindInt, 12), "12", true},
		{integer(types.KindTinyInt, -1), "", true},
		{text("a b"), "'a b'", true},
		{text("it's"), "", true},
		{text(`a\b`), "", true},
		{plan.Param{Value: expr.Value{I: 12}, Type: types.ColumnType{Kind: types.KindBigInt, Unsigned: true}}, "", false},
		{plan.Param{Value: expr.Value{Null: true}, Type: types.ColumnType{Kind: types.KindNull}}, "", false},
		{plan.Param{Value: expr.Value{F: 1}, Type: types.ColumnType{Kind: types.KindDouble}}, "", false},
	} {
		const sql = "UPDATE t SET v = v + 3 WHERE k = ?"
		key, found, ok := parse.PreparedWriteText(nil, nil, sql)
		if !ok {
			t.Fatal(sql)
		}
		q := pointQuery{sql: sql, prepared: true, text: key, values: found}
		values, ok := bindMarks(found, []plan.Param{c.param})
		if !ok {
			t.Fatal(sql)
		}
		values, ok = q.literals(values)
		if ok != c.fits {
			t.Errorf("%v: %v", c.param, ok)
		}
		if !ok {
			continue
		}
		if ok = q.write(values); ok != (c.want != "") {
			t.Errorf("%v: is written %v", c.param, ok)
		}
		if !ok {
			continue
		}
		want := strings.Replace(sql, "?", c.want, 1)
		_, literals, _ := parse.PointWriteText(nil, nil, want)
		if got, params := q.sample(values); got != want || !reflect.DeepEqual(params, pointParams(literals)) || !reflect.DeepEqual(params, values) {
			t.Errorf("%q of %v and %v, want %q", got, params, values, want)
		}
	}
}
