package parse

import (
	"strings"

	"stele/sql/syntax"
)

// intervalUnits are the words that may follow the value of an INTERVAL.
var intervalUnits = map[string]bool{
	"MICROSECOND": true, "SECOND": true, "MINUTE": true, "HOUR": true, "DAY": true, "WEEK": true, "MONTH": true, "QUARTER": true, "YEAR": true,
	"SECOND_MICROSECOND": true, "MINUTE_MICROSECOND": true, "MINUTE_SECOND": true, "HOUR_MICROSECOND": true, "HOUR_SECOND": true, "HOUR_MINUTE": true,
	"DAY_MICROSECOND": true, "DAY_SECOND": true, "DAY_MINUTE": true, "DAY_HOUR": true, "YEAR_MONTH": true,
}

// signIntervals puts a sign, which means nothing, before values of INTERVAL that begin with a parenthesis: the MySQL parser takes
// d - INTERVAL (n + 1) DAY for a call of the function INTERVAL. It comes in the place of a blank, and no text becomes longer or shorter.
func signIntervals(text string, mode syntax.Mode) string {
	if !mayHaveInterval(text) {
		return text
	}
	toks := syntax.Tokenize(text, mode)
	var out []byte
	for i := 0; i+2 < len(toks); i++ {
		if !toks[i].Is(text, "INTERVAL") || !toks[i+1].Is(text, "(") {
			continue
		}
		end := closing(toks, text, i+1)
		if end == 0 || end+1 >= len(toks) || !intervalUnits[strings.ToUpper(toks[end+1].Text(text))] {
			continue
		}
		if out == nil {
			out = []byte(text)
		}
		from, open, to, unit := toks[i].End, toks[i+1].Start, toks[end].End, toks[end+1].Start
		switch {
		case open > from && blank(text[from:open]):
			out[from] = '+'
		case open == from && unit > to && blank(text[to:to+1]): // INTERVAL(n) DAY: the value moves over the blank behind it
			copy(out[from+1:to+1], out[from:to])
			out[from] = '+'
			return signIntervals(string(out), mode) // another one within has moved
		default: // there are comments, or nothing: INTERVAL(n)DAY becomes INTERVAL+n DAY
			out[open], out[to-1] = '+', ' '
		}
	}
	if out == nil {
		return text
	}
	return string(out)
}

func blank(s string) bool { return strings.Trim(s, " \t\r\n") == "" }

// unsigned gives fields of a SELECT, which columns are named after, the texts that they were written with.
type unsigned struct{ text, signed string }

// Enter visits a node.
func (u *unsigned) Enter(n Node) (Node, bool) {
	if f, ok := n.(*SelectField); ok {
		if at := strings.Index(u.signed, f.Text()); at >= 0 {
			f.SetText(nil, u.text[at:at+len(f.Text())])
		}
	}
	return n, false
}

// Leave leaves it.
func (u *unsigned) Leave(n Node) (Node, bool) { return n, true }

// closing is the token that closes the parenthesis at token i, 0 if there is a comma between, as among arguments, or none.
func closing(toks []syntax.Token, text string, i int) int {
	depth := 0
	for ; i < len(toks); i++ {
		switch {
		case toks[i].Is(text, "("):
			depth++
		case toks[i].Is(text, ","):
			if depth == 1 {
				return 0
			}
		case toks[i].Is(text, ")"):
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return 0
}

// mayHaveInterval looks for the word, and a parenthesis or comment behind it, without reading tokens.
func mayHaveInterval(text string) bool {
	const word = "INTERVAL"
	for {
		i := strings.IndexAny(text, "iI")
		if i < 0 || len(text)-i < len(word) {
			return false
		}
		if text = text[i:]; strings.EqualFold(text[:len(word)], word) {
			if behind := strings.TrimLeft(text[len(word):], " \t\r\n"); behind != "" && strings.Contains("(/-#", behind[:1]) {
				return true
			}
		}
		text = text[1:]
	}
}
