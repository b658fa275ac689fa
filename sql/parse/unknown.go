package parse

import (
	"slices"
	"strings"

	"stele/sql/syntax"
)

// unknownStatements are statements of MySQL's that the parser's grammar lacks, by their leading words: they are refused
// by name instead of at the first word that the parser does not know.
var unknownStatements = [][]string{
	{"ALTER", "INSTANCE"}, {"ALTER", "TABLESPACE"}, {"CACHE", "INDEX"}, {"CHANGE", "MASTER"}, {"CHANGE", "REPLICATION"},
	{"CLONE", "INSTANCE"}, {"CLONE", "LOCAL"}, {"CREATE", "AGGREGATE"}, {"CREATE", "EVENT"}, {"CREATE", "FUNCTION"}, {"CREATE", "SERVER"},
	{"CREATE", "TABLESPACE"}, {"CREATE", "TRIGGER"}, {"DROP", "EVENT"}, {"DROP", "FUNCTION"}, {"DROP", "TABLESPACE"}, {"DROP", "TRIGGER"},
	{"FLUSH", "OPTIMIZER_COSTS"}, {"FLUSH", "USER_RESOURCES"}, {"FLUSH", "RELAY", "LOGS"}, {"FLUSH", "SSL"},
	{"FLUSH", "CLIENT_STATISTICS"}, {"FLUSH", "INDEX_STATISTICS"}, {"FLUSH", "TABLE_STATISTICS"}, {"FLUSH", "USER_STATISTICS"}, {"LOCK", "INSTANCE"}, {"RESET", "PERSIST"}, {"SET", "PERSIST_ONLY"}, {"UNLOCK", "INSTANCE"},
	{"GET", "CURRENT"}, {"GET", "DIAGNOSTICS"}, {"GET", "STACKED"}, {"HANDLER"}, {"IMPORT", "TABLE"}, {"INSTALL", "PLUGIN"}, {"LOAD", "INDEX"},
	{"PURGE", "BINARY"}, {"PURGE", "MASTER"}, {"REPAIR", "TABLE"}, {"RESET", "MASTER"}, {"RESET", "QUERY"}, {"RESET", "REPLICA"},
	{"RESET", "SLAVE"}, {"RESIGNAL"}, {"SHOW", "BINARY"}, {"SHOW", "BINLOG"}, {"SHOW", "CREATE", "EVENT"}, {"SHOW", "CREATE", "FUNCTION"},
	{"SHOW", "CREATE", "TRIGGER"}, {"SHOW", "ENGINE"}, {"SHOW", "FUNCTION", "CODE"}, {"SHOW", "MASTER", "LOGS"}, {"SHOW", "PROCEDURE", "CODE"}, {"SHOW", "RELAYLOG"},
	{"SHOW", "REPLICAS"}, {"SHOW", "SLAVE", "HOSTS"}, {"SIGNAL"}, {"START", "GROUP_REPLICATION"}, {"START", "REPLICA"},
	{"START", "SLAVE"}, {"STOP", "GROUP_REPLICATION"}, {"STOP", "REPLICA"}, {"STOP", "SLAVE"}, {"UNINSTALL", "PLUGIN"}, {"XA"},
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
	if n := len(words); n > 4 && words[0] == "FLUSH" && slices.Equal(words[n-2:], []string{"FOR", "EXPORT"}) {
		return "FLUSH TABLES FOR EXPORT"
	}
	if len(words) > 1 && words[0] == "CREATE" && words[1] == "DEFINER" {
		words = slices.DeleteFunc(words, func(w string) bool { return w == "DEFINER" })
	}
	for _, lead := range unknownStatements {
		leads := len(words) >= len(lead) && slices.Equal(words[:len(lead)], lead)
		if leads || len(words) > 2 && words[0] == "CREATE" && lead[0] == "CREATE" && words[2] == lead[1] {
			return strings.Join(lead, " ")
		}
	}
	return unknownForm(sql, mode)
}

// unknownForm finds a form within a statement that the grammar lacks.
func unknownForm(sql string, mode syntax.Mode) string {
	toks := syntax.Tokenize(sql, mode)
	is := func(i int, upper ...string) bool {
		for n, word := range upper {
			if i+n >= len(toks) || !toks[i+n].Is(sql, word) {
				return false
			}
		}
		return true
	}
	for i := range toks {
		switch {
		case is(i, "JSON_TABLE", "("):
			return "JSON_TABLE"
		case is(i, "RETURNING") && slices.ContainsFunc(toks[:i], func(t syntax.Token) bool { return t.Is(sql, "JSON_VALUE") }):
			return "RETURNING of JSON_VALUE"
		case is(i, "RETURNING") && i > 0 && (is(0, "INSERT") || is(0, "REPLACE") || is(0, "DELETE")):
			return "RETURNING"
		case is(i, "INVISIBLE") && is(1, "TABLE") && !is(i-1, ")"):
			return "INVISIBLE columns"
		case i > 0 && is(0, "FLUSH") && is(i, ","):
			return "FLUSH of several things"
		case i > 0 && is(0, "SET", "PASSWORD") && is(i, ","): // mysqladmin password
			return "SET PASSWORD with variables; ALTER USER USER() IDENTIFIED BY '…' sets a password"
		case is(i, "INTO", "OUTFILE"), is(i, "INTO", "DUMPFILE"):
			return IntoFile
		case is(i, "BY", "RANDOM", "PASSWORD"):
			return "IDENTIFIED BY RANDOM PASSWORD"
		}
	}
	return ""
}
