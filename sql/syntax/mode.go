package syntax

import "strings"

// Mode holds the switches of sql_mode that change how a text is read.
type Mode uint8

// The switches. AnsiQuotes and NoBackslashEscapes change tokens, so tokenizer and MySQL parser must be given the same Mode;
// the others only reach the MySQL parser.
const (
	AnsiQuotes Mode = 1 << iota
	NoBackslashEscapes
	PipesAsConcat
	HighNotPrecedence
	IgnoreSpace
	RealAsFloat
)

// modeNames maps the words of sql_mode. The combinations are MySQL 8's.
var modeNames = map[string]Mode{
	"ANSI_QUOTES":          AnsiQuotes,
	"NO_BACKSLASH_ESCAPES": NoBackslashEscapes,
	"PIPES_AS_CONCAT":      PipesAsConcat,
	"HIGH_NOT_PRECEDENCE":  HighNotPrecedence,
	"IGNORE_SPACE":         IgnoreSpace,
	"REAL_AS_FLOAT":        RealAsFloat,
	"ANSI":                 RealAsFloat | PipesAsConcat | AnsiQuotes | IgnoreSpace,
}

// ParseMode reads the value of the session variable sql_mode. Words that do not change how a text is read are passed over:
// whether they are known is the variable's concern.
func ParseMode(list string) Mode {
	var m Mode
	for word := range strings.SplitSeq(list, ",") {
		m |= modeNames[strings.ToUpper(strings.TrimSpace(word))]
	}
	return m
}
