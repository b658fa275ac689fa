package plan

import (
	"strings"
	"testing"

	ast "stele/sql/parse"
)

func TestLoadSet(t *testing.T) {
	ctx, f := newContext()
	ctx.SQLMode = defaultMode
	if _, err := f.create(ctx, `CREATE TABLE t (k INT PRIMARY KEY, v VARCHAR(20) NOT NULL, n DECIMAL(8,2), d DATE, e ENUM('a','b'))`); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ clauses, text, want, err string }{
		{"", "1\tx\t2.5\t2024-01-02\tb\n", "1,x,2.50,2024-01-02,2", ""},
		{"(k, @a, @b) SET v = UPPER(@a), n = @b * 2", "1\tx\t2.5\n2\ty\t\\N\n", "1,X,5.00,NULL,NULL|2,Y,NULL,NULL,NULL", ""},
		{"(@skip, k, @skip, v)", "9\t1\t9\tx\n", "1,x,NULL,NULL,NULL", ""},
		{"(@x, k, @x) SET v = @x", "9\t1\t8\n", "1,8,NULL,NULL,NULL", ""},
		{"(k, @d, e) SET d = STR_TO_DATE(@d, '%d.%m.%Y'), v = CONCAT(e, '-', k)", "7\t3.2.2024\tb\n", "7,b-7,NULL,2024-02-03,2", ""},
		{"SET v = CONCAT(v, v), n = DEFAULT", "1\tab\t3\n", "1,abab,NULL,NULL,NULL", ""},
		{"(k, v) SET n = k + 1, n = n * 10", "1\tx\n", "1,x,20.00,NULL,NULL", ""},
		{"(k, @v) SET v = @v", "1\n", "1,,NULL,NULL,NULL", ""},
		{"CHARACTER SET latin1", "1\t\xe4\x80\n", "1,ä€,NULL,NULL,NULL", ""},
		{"CHARACTER SET gbk", "", "", "1115"},
		{"SET z = 1", "", "", "1054"},
		{"SET n = (SELECT 1)", "", "", "1235"},
	} {
		sql := "LOAD DATA LOCAL INFILE 'x' INTO TABLE t " + c.clauses
		st, err := ast.Parse(sql, 0)
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		p, err := Load(ctx, st.Node.(*ast.LoadDataStmt))
		if c.err != "" || err != nil {
			if err == nil || c.err == "" || !strings.Contains(errorText(err), c.err) {
				t.Errorf("%s: %v, not %s", sql, err, c.err)
			}
			continue
		}
		rows, _, err := p.LoadRows([]byte(c.text), 1, nil)
		if err != nil {
			t.Errorf("%s: %v", sql, err)
			continue
		}
		var got []string
		for i := range rows.N {
			got = append(got, rowText(rows, []int{0, 1, 2, 3, 4}, i))
		}
		if strings.Join(got, "|") != c.want {
			t.Errorf("%s: %s, not %s", sql, strings.Join(got, "|"), c.want)
		}
	}
}
