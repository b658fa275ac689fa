package all_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"stele/fe/stmt"
	"stele/fe/stmt/all"
	"stele/sql/parse"
	"stele/sql/syntax"
)

// TestExamples parses each example to its own statement, and wants the MySQL parser to refuse it unless the
// declaration says why it is taken from it.
func TestExamples(t *testing.T) {
	router, err := all.NewRouter()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range stmt.Statements() {
		compiled := syntax.MustCompile(s.Syntax)
		if again := syntax.MustCompile(compiled.String()); again.String() != compiled.String() {
			t.Errorf("%s: syntax prints as %q and then as %q", s.Name, compiled, again)
		}
		for _, example := range s.Examples {
			id, _, err, ours := router.Match(example, 0)
			if !ours || err != nil || id != s.Name {
				t.Errorf("%s: example %q went to %q (ours %v, %v)", s.Name, example, id, ours, err)
			}
			if _, err := parse.Parse(example, 0); err == nil && s.Overrides == "" {
				t.Errorf("%s: the MySQL parser accepts %q too", s.Name, example)
			} else if err != nil && s.Overrides != "" {
				t.Errorf("%s: overrides nothing: the MySQL parser refuses %q", s.Name, example)
			}
		}
	}
}

// TestDeclarations checks what must hold for each declaration.
func TestDeclarations(t *testing.T) {
	word := regexp.MustCompile(`^[a-z][a-z_]*$`)
	shown := regexp.MustCompile(`^\{?(ADMIN )?(SHOW|EXPLAIN|CONFGET|GETTABLESTATUS|GETFOLLOWER)`)
	names := map[string]bool{}
	for _, s := range stmt.Statements() {
		if names[s.Name] || !word.MatchString(s.Name) {
			t.Errorf("statement name %q is taken or no lower-case word", s.Name)
		}
		names[s.Name] = true
		if shows := shown.MatchString(s.Syntax) || strings.HasSuffix(s.Syntax, "DRY RUN"); s.Rows != nil && !s.Open && shows == s.Acts {
			t.Errorf("%s: Acts is %v: what acts and shows rows needs another privilege than what only shows", s.Name, s.Acts)
		}
		if !strings.HasSuffix(s.Doc, ".") {
			t.Errorf("%s: the documentation %q is no sentence", s.Name, s.Doc)
		}
		checkColumns(t, s.Name, s.Columns)
		if optional(s) && s.Rows != nil && s.Table == "" {
			t.Errorf("%s shows a table without an argument and is not in stele", s.Name)
		}
	}
	tables := map[string]bool{}
	for _, table := range stmt.Tables() {
		name := strings.ToLower(table.Database + "." + table.Name)
		if tables[name] {
			t.Errorf("system table %s is declared twice", name)
		}
		tables[name] = true
		if table.Database == stmt.SchemaDB && table.Statement == "" && strings.ToUpper(table.Name) != table.Name && !strings.HasPrefix(table.Name, "be_") && !strings.HasPrefix(table.Name, "fe_") {
			t.Errorf("%s is not in upper case", name)
		}
		checkColumns(t, name, table.Columns)
	}
}

// optional reports whether a SHOW needs no argument.
func optional(s *stmt.Statement) bool {
	_, err := syntax.MustCompile(s.Syntax).Match(strings.Join(syntax.MustCompile(s.Syntax).Leads()[0], " "), 0)
	return err == nil && strings.Contains(s.Name, "show_") && s.Name != "show_data"
}

func checkColumns(t *testing.T, where string, columns []stmt.Column) {
	t.Helper()
	seen := []string{}
	for _, c := range columns {
		ofMySQL := slices.ContainsFunc([]string{stmt.SchemaDB, stmt.PerformanceDB, stmt.MySQLDB}, func(db string) bool { return strings.HasPrefix(where, db) })
		if c.Doc == "" && !ofMySQL { // MySQL documents those
			t.Errorf("%s: column %s is not documented", where, c.Name)
		}
		if slices.Contains(seen, strings.ToLower(c.Name)) {
			t.Errorf("%s: column %s twice", where, c.Name)
		}
		seen = append(seen, strings.ToLower(c.Name))
	}
}
