package admin

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"stele/fe/stmt"
	"stele/sql/fn"
	"stele/sql/syntax"
)

var _ = stmt.Register(stmt.Statement{
	Name:   "help",
	Open:   true,
	Local:  true,
	Alone:  true,
	Syntax: "HELP <topic:name>",
	Doc: "What the mysql client asks when a user says help: the text about a statement of Stele's own or a function. A beginning, or a pattern with %, lists the topics " +
		"that fit; 'contents' lists what topics there are.",
	Overrides: "it means the same, and what there is to tell is here",
	Do: func(_ context.Context, _ *stmt.Env, a syntax.Args) (stmt.Result, error) {
		return help(a.String("topic")), nil
	},
	Examples: []string{"HELP 'contents'", "HELP 'checksum table'", "HELP 'show%'"},
})

// topic is one that HELP knows.
type topic struct {
	category, name string
	text, examples string
}

// The categories of topics.
const (
	functionTopics  = "Functions"
	statementTopics = "Statements"
)

// topics are all of them by name.
func topics() []topic {
	var out []topic
	for _, s := range stmt.Statements() {
		out = append(out, topic{statementTopics, strings.ToUpper(strings.ReplaceAll(s.Name, "_", " ")),
			"Syntax:\n" + s.Syntax + "\n\n" + s.Doc + "\n", strings.Join(s.Examples, ";\n") + ";\n"})
	}
	for _, d := range fn.All() {
		if d.Group != "collation" { // users cannot name those
			out = append(out, topic{functionTopics, strings.ToUpper(d.Name), "Syntax:\n" + d.Syntax + "\n\n" + d.Doc + "\n", ""})
		}
	}
	slices.SortStableFunc(out, func(a, b topic) int { return cmp.Compare(a.name, b.name) })
	return out
}

// help answers in one of the forms that the client tells apart: three columns are a topic if there is one row and the topics of a
// category if there are more, two are topics to choose from.
func help(asked string) stmt.Result {
	if strings.EqualFold(asked, "contents") {
		return stmt.Result{Columns: stmt.Plain("source_category_name name is_it_category"), Rows: []stmt.Row{{"Contents", functionTopics, "Y"}, {"Contents", statementTopics, "Y"}}}
	}
	var category, exact, fit []stmt.Row
	for _, t := range topics() {
		switch {
		case strings.EqualFold(t.category, asked):
			category = append(category, stmt.Row{t.category, t.name, "N"})
		case strings.EqualFold(t.name, asked):
			exact = append(exact, stmt.Row{t.name, t.text, t.examples})
		case stmt.MatchLike(asked+"%", t.name):
			fit = append(fit, stmt.Row{t.name, "N"})
		}
	}
	switch {
	case len(category) > 0:
		return stmt.Result{Columns: stmt.Plain("source_category_name name is_it_category"), Rows: category}
	case len(exact) > 0:
		return stmt.Result{Columns: stmt.Plain("name description example"), Rows: exact[:1]}
	}
	return stmt.Result{Columns: stmt.Plain("name is_it_category"), Rows: fit}
}
