package session

import (
	"reflect"
	"strings"
	"testing"

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
