package plan

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	ast "stele/sql/parse"
)

// drawKeptWrite draws an UPDATE or DELETE of one table, or over a join, and what the SET of another may be.
func drawKeptWrite(t *rapid.T) (q keptQuery, sets []string) {
	pick := func(name string, of ...string) string { return rapid.SampledFrom(of).Draw(t, name) }
	table := pick("table", "a", "a", "b", "c")
	columns := map[string][]string{"a": {"id", "id", "k", "s", "n", "dt"}, "b": {"x", "y", "v"}, "c": {"k", "m", "v"}}[table]
	set := map[string][]string{"a": {"k", "n", "s"}, "b": {"v"}, "c": {"v"}}[table]
	for range 2 {
		sets = append(sets, strings.ReplaceAll(pick("column", set...)+" = "+drawValue(t, "assigned", set), "%", "%%"))
	}
	join := ""
	if table == "a" && pick("join", "", "", "x") != "" {
		join = pick("joined", " JOIN b ON b.x = a.k", " LEFT JOIN b ON b.x = a.id", " JOIN c ON c.v = a.k AND c.m = 3")
		columns = []string{"id", "s", "n"}
	}
	if strings.HasSuffix(join, "3") {
		q.columns = append(q.columns, "m")
		join = strings.TrimSuffix(join, "3") + "%s"
	}
	tail := ""
	if join == "" {
		tail = pick("tail", "", "", " ORDER BY "+columns[0]+", "+columns[1]+" LIMIT 2")
	}
	where := " WHERE " + q.condition(t, columns) + tail
	switch {
	case rapid.Bool().Draw(t, "update"):
		q.text = "UPDATE " + pick("ignore", "", "", "", "IGNORE ") + table + join + " SET SETS" + where
	case join != "":
		q.text = "DELETE a FROM a" + join + where
	default:
		q.text = "DELETE FROM " + table + where
	}
	return q, sets
}

// TestKeptWritesAgree holds what a plan that was kept for one text makes of another against the plan of that text: the same rows with the same new
// values, told in the same places.
func TestKeptWritesAgree(t *testing.T) {
	s := newKeptStore(t)
	bound, assigned, joined, refused := 0, 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		q, sets := drawKeptWrite(t)
		text := q.text
		q.text = strings.Replace(text, "SETS", sets[0], 1)
		first := q.with(q.draw(t))
		if rapid.IntRange(0, 5).Draw(t, "another SET") == 0 {
			q.text = strings.Replace(text, "SETS", sets[1], 1)
		}
		sql := q.with(q.draw(t))
		kept, values, ok := keptWriteAs(s.ctx, first, sql)
		if !ok {
			return
		}
		if !kept.Fits(values) {
			refused++
			return
		}
		bound++
		got := kept.Bind(s.ctx, values)
		st, err := ast.Parse(sql, 0)
		if err != nil {
			t.Fatal(err)
		}
		want, err := generalWrite(s.ctx, st.Node)
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		if !got.sameBut(want) || !reflect.DeepEqual(got.Source.Schema, want.Source.Schema) {
			t.Fatalf("%s, kept for %s: %+v, not %+v", sql, first, got, want)
		}
		if len(got.Assign) > 0 {
			assigned++
		}
		if strings.Contains(sql, "JOIN") {
			joined++
		}
		if _, err := s.run(want.Source); err != nil {
			if _, other := s.run(got.Source); fmt.Sprint(other) != err.Error() {
				t.Fatalf("%s: %v, planned %v", sql, other, err)
			}
			return
		}
		compareRows(t, s, sql, got.Source, want.Source)
	})
	t.Logf("%d plans were bound, %d of an UPDATE, %d over joins; %d did not fit", bound, assigned, joined, refused)
	if bound < 5 {
		t.Fatalf("only %d plans were bound", bound)
	}
}

// keptWriteAs keeps the plan of a write and returns the values of another whose text is equal but for literals.
func keptWriteAs(ctx *Context, first, second string) (*KeptModify, []Param, bool) {
	text, found, ok := ast.PointWriteText(nil, nil, first)
	text2, found2, ok2 := ast.PointWriteText(nil, nil, second)
	alike := func(a, b ast.PointValue) bool { return a.IsInt == b.IsInt }
	if !ok || !ok2 || string(text) != string(text2) || !slices.EqualFunc(found, found2, alike) {
		return nil, nil, false
	}
	if slices.ContainsFunc(found, func(v ast.PointValue) bool { return v.Pad }) {
		first, found = ast.Unpadded(text, found)
	}
	st, err := ast.Parse(first, 0)
	if err != nil {
		return nil, nil, false
	}
	k, ok := KeepModify(ctx, st.Node, paramsOf(found), false)
	return k, paramsOf(found2), ok
}

// TestKeptWritesSetOtherValues: which plans are those of a text that sets columns to other values, too.
func TestKeptWritesSetOtherValues(t *testing.T) {
	s := newKeptStore(t)
	for _, c := range []struct {
		first, second string
		fits          bool
	}{
		{"UPDATE a SET k = 7 WHERE n > 3", "UPDATE a SET k = 99 WHERE n > 5", true},
		{"UPDATE a SET k = 7, s = 'new', n = n + 1 WHERE id IN (1, 2)", "UPDATE a SET k = 8, s = 'longer', n = n + 1 WHERE id IN (3, 4)", true},
		{"UPDATE a SET s = 'new' WHERE k = 3", "UPDATE a SET s = '' WHERE k = 4", true},
		{"UPDATE a SET dt = '2024-01-02' WHERE k = 3", "UPDATE a SET dt = '2024-01-02 03:04:05' WHERE k = 4", true},
		{"UPDATE a SET k = 3 WHERE k = 3", "UPDATE a SET k = 5000000000 WHERE k = 4", true}, // that it does not fit is found out with the rows
		{"UPDATE a SET n = n + 1 WHERE k = 3", "UPDATE a SET n = n + 2 WHERE k = 4", false},
		{"UPDATE a SET k = 7, n = k WHERE id IN (1, 2)", "UPDATE a SET k = 8, n = k WHERE id IN (1, 2)", false}, // n is set to 7
		{"UPDATE a SET s = 7 WHERE k = 3", "UPDATE a SET s = 8 WHERE k = 3", false},
		{"UPDATE a SET k = 7, k = 8 WHERE n > 3", "UPDATE a SET k = 9, k = 8 WHERE n > 3", false},
	} {
		kept, values, ok := keptWriteAs(s.ctx, c.first, c.second)
		if !ok {
			t.Errorf("%s: no plan is kept", c.first)
			continue
		}
		if fits := kept.Fits(values); fits != c.fits {
			t.Errorf("%s after %s: fits %v", c.second, c.first, fits)
		} else if fits {
			st, err := ast.Parse(c.second, 0)
			if err != nil {
				t.Fatal(err)
			}
			want, err := generalWrite(s.ctx, st.Node)
			if err != nil {
				t.Fatal(err)
			}
			if got := kept.Bind(s.ctx, values); !reflect.DeepEqual(got.Source, want.Source) || !got.sameBut(want) {
				t.Errorf("%s after %s: %+v, not %+v", c.second, c.first, got, want)
			}
		}
	}
}

// TestKeepsWrites: which writes have a plan that is kept.
func TestKeepsWrites(t *testing.T) {
	s := newKeptStore(t)
	for sql, keeps := range map[string]bool{
		"UPDATE a SET k = k + 1 WHERE n > 3":                                            true,
		"UPDATE a SET k = 7, s = 'new' WHERE id IN (1, 2)":                              true,
		"UPDATE a JOIN b ON b.x = a.k SET a.n = a.n + 1 WHERE b.v = 3":                  true,
		"DELETE FROM a WHERE k = 3 ORDER BY dt LIMIT 1":                                 true,
		"DELETE a FROM a JOIN c ON c.k = a.k WHERE c.m = 3":                             true,
		"UPDATE a SET k = k + 1":                                                        true,
		"UPDATE a SET s = NOW() WHERE k = 3":                                            false,
		"UPDATE a SET k = RAND() WHERE k = 3":                                           false,
		"UPDATE a SET k = @v WHERE k = 3":                                               false,
		"UPDATE a SET k = DEFAULT WHERE k = 3":                                          false,
		"UPDATE IGNORE a SET k = 1 WHERE k = 3":                                         false,
		"UPDATE a SET k = 1 WHERE k = 1 + 2":                                            false,
		"UPDATE a JOIN b ON b.x = a.k SET a.n = 1, b.v = 2 WHERE b.v = 3":               false, // two tables
		"DELETE a, b FROM a JOIN b ON b.x = a.k WHERE b.v = 3":                          false,
		"WITH w AS (SELECT 1 AS x) DELETE FROM a WHERE k = 3":                           false,
		"UPDATE a SET k = (SELECT MAX(v) FROM b) WHERE id IN (1, 2) AND n = 1":          false,
		"DELETE FROM a WHERE k = 3 AND id IN (SELECT x FROM b WHERE v BETWEEN 1 AND 2)": true,
	} {
		st, err := ast.Parse(sql, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, found, ok := ast.PointWriteText(nil, nil, sql)
		if ok {
			_, ok = KeepModify(s.ctx, st.Node, paramsOf(found), false)
		}
		if ok != keeps {
			t.Errorf("%s: kept %v", sql, ok)
		}
	}
	careful := *s.ctx
	careful.SafeUpdates = true
	st, err := ast.Parse("DELETE FROM a WHERE id IN (1, 2)", 0)
	if err != nil {
		t.Fatal(err)
	}
	_, found, _ := ast.PointWriteText(nil, nil, "DELETE FROM a WHERE id IN (1, 2)")
	if _, ok := KeepModify(&careful, st.Node, paramsOf(found), false); ok {
		t.Error("a plan of a session with sql_safe_updates is kept")
	}
}
