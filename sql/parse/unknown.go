package parse

import (
	"slices"
	"strings"

	"stele/sql/syntax"
)

// unknownStatements are statements of MySQL's that the parser's grammar lacks, by their leading words: they are refused
// by name instead of at the first word that the parser does not know.
var unknownStatements = [][]string{
	{"CHANGE", "MASTER"}, {"CHANGE", "REPLICATION"}, {"CHECKSUM", "TABLE"}, {"CREATE", "AGGREGATE"}, {"CREATE", "EVENT"},
	{"CREATE", "FUNCTION"}, {"CREATE", "SERVER"}, {"CREATE", "TRIGGER"}, {"DROP", "EVENT"}, {"DROP", "FUNCTION"}, {"DROP", "TRIGGER"},
	{"HANDLER"}, {"INSTALL", "PLUGIN"}, {"REPAIR", "TABLE"}, {"SHOW", "BINARY"}, {"START", "REPLICA"}, {"START", "SLAVE"}, {"STOP", "REPLICA"},
	{"STOP", "SLAVE"}, {"UNINSTALL", "PLUGIN"}, {"XA"},
}

// unknownStatement returns the name of a statement that is known to be missing, "" for any other. CREATE may be followed
// by DEFINER = user before it says what it creates.
func unknownStatement(sql string, mode syntax.Mode) string {
	var words []string
	lex := syntax.NewLexer(sql, mode)
	const enough = 8
	for range enough {
		t := lex.Next()
		if t.Kind == syntax.EOF {
			break
		}
		if t.Kind == syntax.Word {
			words = append(words, strings.ToUpper(t.Text(sql)))
		}
	}
	if len(words) > 1 && words[0] == "CREATE" && words[1] == "DEFINER" {
		words = slices.DeleteFunc(words, func(w string) bool { return w == "DEFINER" })
	}
	for _, lead := range unknownStatements {
		if len(words) < len(lead) || words[0] != lead[0] {
			continue
		}
		if len(lead) == 1 || words[1] == lead[1] || words[0] == "CREATE" && len(words) > 2 && words[2] == lead[1] {
			return strings.Join(lead, " ")
		}
	}
	return ""
}
