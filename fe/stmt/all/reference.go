package all

import (
	"fmt"
	"strings"

	"stele/fe/account"
	"stele/fe/stmt"
	"stele/sql/syntax"
)

// Doc prints the reference of all statements and system tables as Markdown; fe/stmt/STATEMENTS.md holds it.
func Doc() string {
	var b strings.Builder
	b.WriteString("# Statements and system tables\n\n")
	b.WriteString("Generated from the declarations below this folder; change those and run `make gen`.\n\n")
	b.WriteString("`[x]` may be left out, `{a|b}` is one of the two, `<name:type>` is to be filled in. Keywords are read without case. " +
		"LIKE is compared without case.\n\n## Statements\n")
	for _, s := range stmt.Statements() {
		docStatement(&b, s)
	}
	b.WriteString("\n## System tables\n\nThey are read with SELECT like any table. Names are found without case.\n")
	for _, t := range stmt.Tables() {
		docTable(&b, t)
	}
	return b.String()
}

func docStatement(b *strings.Builder, s *stmt.Statement) {
	fmt.Fprintf(b, "\n### %s\n\n```\n%s\n```\n\n%s\n", title(s), syntax.MustCompile(s.Syntax), s.Doc)
	if s.Table != "" {
		fmt.Fprintf(b, "\nAlso as table `%s.%s`.\n", stmt.SteleDB, s.Table)
	}
	if needs := stmt.Needs(s.Name); len(needs) > 0 {
		fmt.Fprintf(b, "\nNeeds %s.\n", strings.Join(account.Names(needs[0].Privileges), " or "))
	}
	if s.Overrides != "" {
		fmt.Fprintf(b, "\nTakes the place of MySQL's: %s\n", s.Overrides)
	}
	docColumns(b, s.Columns)
	b.WriteString("\nExamples:\n\n```sql\n")
	for _, e := range s.Examples {
		b.WriteString(e + ";\n")
	}
	b.WriteString("```\n")
}

// title is the name of a statement as a heading.
func title(s *stmt.Statement) string { return strings.ToUpper(strings.ReplaceAll(s.Name, "_", " ")) }

func docTable(b *strings.Builder, t *stmt.Table) {
	fmt.Fprintf(b, "\n### %s.%s\n\n%s\n", t.Database, t.Name, t.Doc)
	if t.Statement != "" {
		fmt.Fprintf(b, "\nThe same rows as the statement `%s` above.\n", t.Statement)
		return
	}
	docColumns(b, t.Columns)
}

func docColumns(b *strings.Builder, columns []stmt.Column) {
	if len(columns) == 0 {
		return
	}
	documented := false
	for _, c := range columns {
		documented = documented || c.Doc != ""
	}
	if !documented {
		names := make([]string, len(columns))
		for i, c := range columns {
			names[i] = c.Name
		}
		fmt.Fprintf(b, "\nColumns as in MySQL: %s.\n", strings.Join(names, ", "))
		return
	}
	b.WriteString("\n| column | type | what |\n|---|---|---|\n")
	for _, c := range columns {
		fmt.Fprintf(b, "| %s | %s | %s |\n", c.Name, stmt.TypeText(c.Type, ""), strings.ReplaceAll(c.Doc, "|", `\|`))
	}
}
