package syntax

import "strings"

// Piece is one statement of a text: Text = sql[Offset : Offset+len(Text)], without its semicolon and the blanks around it.
type Piece struct {
	Text   string
	Offset int
}

// Split cuts a text at the semicolons that end statements: not those in strings and comments, nor those inside the body
// of a CREATE PROCEDURE, FUNCTION, TRIGGER or EVENT. Pieces without a token (blank, comments only) are left out. A broken
// token ends the search: the rest is one piece, and parsing it reports the error at its place.
func Split(sql string, mode Mode) []Piece {
	first := strings.IndexByte(sql, ';')
	if first < 0 || strings.TrimRight(sql[first:], "; \t\r\n") == "" {
		return appendPiece(nil, sql, 0, pick(first < 0, len(sql), first), mode)
	}
	var pieces []Piece
	lx := NewLexer(sql, mode)
	start := 0
	var body bodyTracker
	for {
		t := lx.Next()
		switch {
		case t.Kind == EOF || t.Kind == Invalid:
			return appendPiece(pieces, sql, start, len(sql), mode)
		case t.Kind == Word:
			body.word(sql[t.Start:t.End])
		case t.Is(sql, ";") && body.depth == 0 && !lx.InBang():
			pieces = appendPiece(pieces, sql, start, t.Start, mode)
			start, body = t.End, bodyTracker{}
		default:
			body.other(t.Text(sql))
		}
	}
}

// appendPiece adds sql[start:end] unless it holds no token.
func appendPiece(pieces []Piece, sql string, start, end int, mode Mode) []Piece {
	const blanks = " \t\r\n\v\f"
	text := strings.TrimLeft(sql[start:end], blanks)
	offset := end - len(text)
	text = strings.TrimRight(text, blanks)
	lx := NewLexer(text, mode)
	if lx.Next().Kind == EOF {
		return pieces
	}
	return append(pieces, Piece{Text: text, Offset: offset})
}

// bodyTracker follows the nesting of a stored program's body, token by token.
type bodyTracker struct {
	words  int  // tokens seen in this statement
	create bool // the statement starts with CREATE or ALTER
	stored bool // it defines a procedure, function, trigger or event
	depth  int  // open BEGIN, CASE, IF, LOOP, REPEAT, WHILE
	ended  bool // the last word was END, so the next one belongs to it
	first  bool // the next word starts a statement of the body: elsewhere IF and REPEAT are functions
}

// storedWindow is how many tokens of a CREATE may come before PROCEDURE and its kin: OR REPLACE DEFINER = 'u' @ 'h' ...
const storedWindow = 12

// word takes the next word into account.
func (b *bodyTracker) word(w string) {
	b.words++
	after, first := b.ended, b.first
	b.ended, b.first = false, false
	switch upper := strings.ToUpper(w); upper {
	case "CREATE", "ALTER":
		b.create = b.create || b.words == 1
	case "PROCEDURE", "FUNCTION", "TRIGGER", "EVENT":
		b.stored = b.stored || b.create && b.words <= storedWindow
	case "THEN", "ELSE", "DO":
		b.first = true
	case "BEGIN", "CASE", "LOOP", "REPEAT", "WHILE", "IF":
		b.open(upper, after, first)
	case "END":
		if b.depth > 0 {
			b.depth--
			b.ended = true
		}
	}
}

// open counts a block, unless the word closes one (END IF) or is a function. CASE is also an expression, closed by END too.
func (b *bodyTracker) open(upper string, after, first bool) {
	if !b.stored || after || !(upper == "BEGIN" || b.depth > 0 && (first || upper == "CASE")) {
		return
	}
	b.depth++
	b.first = upper == "BEGIN" || upper == "LOOP" || upper == "REPEAT"
}

// other takes a token that is not a word into account.
func (b *bodyTracker) other(text string) {
	b.words++
	b.ended = false
	b.first = text == ";" || text == ":"
}
