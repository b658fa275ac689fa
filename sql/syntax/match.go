package syntax

import (
	"slices"
	"strings"
)

// Raw is a piece of the statement kept as written, with the offset of its first byte.
type Raw struct {
	Text   string
	Offset int
}

// capture is what one element of a syntax matched.
type capture struct {
	name   string // argument, label, or keyword in upper case
	val    any
	offset int
}

// matcher tries syntaxes against the tokens of one statement and remembers the furthest token that fitted none of them.
type matcher struct {
	cursor
	record
	caps []capture
	// sawArg and anchor describe the path being tried.
	sawArg, anchor bool
}

// record is the furthest token that did not fit.
type record struct {
	far      int
	expected []string
	// anchored is set when, on the way to that token, a keyword behind an argument matched; see Router.
	anchored bool
}

// newMatcher tokenizes a statement.
func newMatcher(src string, mode Mode) *matcher {
	return &matcher{cursor: newCursor(src, mode), record: record{far: -1}}
}

// Match matches one whole statement against the syntax. The error is an *Error at the furthest token reached.
func (s *Syntax) Match(sql string, mode Mode) (Args, error) {
	m := newMatcher(sql, mode)
	if args, ok := m.try(s); ok {
		return args, nil
	}
	return Args{}, m.err()
}

// try matches one syntax. Failures of several tries add up.
func (m *matcher) try(s *Syntax) (Args, bool) {
	m.caps = m.caps[:0]
	m.sawArg, m.anchor = false, false
	ok := m.seq(s.seq, 0, func(pos int) bool {
		if m.toks[pos].Kind != EOF {
			m.fail(pos, "end of statement")
			return false
		}
		return true
	})
	if !ok {
		return Args{}, false
	}
	return Args{caps: slices.Clone(m.caps)}, true
}

// err is the error of everything tried.
func (m *matcher) err() *Error {
	pos := max(m.far, 0)
	return NewError(m.src, m.toks[pos].Start, m.expected...)
}

// fail notes that a token did not fit.
func (m *matcher) fail(pos int, expected string) {
	if pos < m.far {
		return
	}
	if pos > m.far {
		m.far, m.expected, m.anchored = pos, nil, false
	}
	m.anchored = m.anchored || m.anchor
	if !slices.Contains(m.expected, expected) {
		m.expected = append(slices.Clip(m.expected), expected)
	}
}

// seq matches the nodes from pos on and then what continues behind them. Continuations give full backtracking; its depth is
// the length of the syntax and its width the number of its optional parts.
func (m *matcher) seq(nodes []node, pos int, then func(int) bool) bool {
	if len(nodes) == 0 {
		return then(pos)
	}
	n := &nodes[0]
	rest := func(p int) bool { return m.seq(nodes[1:], p, then) }
	switch n.kind {
	case nodeOpt:
		return m.seq(n.alts[0], pos, rest) || rest(pos)
	case nodeChoice:
		for _, alt := range n.alts {
			if m.seq(alt, pos, m.labelled(n, alt, pos, rest)) {
				return true
			}
		}
		return false
	case nodeArg:
		return m.arg(n, pos, rest)
	default:
		return m.literal(n, pos, rest)
	}
}

// labelled keeps the alternative taken under the label of its choice.
func (m *matcher) labelled(n *node, alt []node, pos int, rest func(int) bool) func(int) bool {
	if n.name == "" {
		return rest
	}
	return func(p int) bool {
		return m.with(capture{name: n.name, val: spelling(alt), offset: m.toks[pos].Start}, func() bool { return rest(p) })
	}
}

// spelling is the text of an alternative as a statement would write it.
func spelling(alt []node) string {
	words := make([]string, len(alt))
	for i, n := range alt {
		if n.kind != nodeWord && n.kind != nodePunct {
			return render(alt)
		}
		words[i] = n.text
	}
	return strings.Join(words, " ")
}

// with runs a continuation with one more capture, and takes it back if that fails.
func (m *matcher) with(c capture, then func() bool) bool {
	size, sawArg, anchor := len(m.caps), m.sawArg, m.anchor
	m.caps = append(m.caps, c)
	if then() {
		return true
	}
	m.caps, m.sawArg, m.anchor = m.caps[:size], sawArg, anchor
	return false
}

// literal matches a keyword or punctuation.
func (m *matcher) literal(n *node, pos int, rest func(int) bool) bool {
	t := m.toks[pos]
	if !t.Is(m.src, n.text) {
		expected := n.text
		if n.kind == nodePunct {
			expected = "'" + n.text + "'"
		}
		m.fail(pos, expected)
		return false
	}
	return m.with(capture{name: n.text, offset: t.Start}, func() bool {
		m.anchor = m.anchor || m.sawArg && n.kind == nodeWord
		return rest(pos + 1)
	})
}

// arg matches an argument. Every type matches in one way only, so there is nothing to try again inside it.
func (m *matcher) arg(n *node, pos int, rest func(int) bool) bool {
	m.pos = pos
	val, f := m.readArg(n)
	if f != nil {
		if f.tok == pos {
			f.expected = argTypes[n.typ]
		}
		m.fail(f.tok, f.expected)
		return false
	}
	end := m.pos
	return m.with(capture{name: n.name, val: val, offset: m.toks[pos].Start}, func() bool {
		m.sawArg = true
		return rest(end)
	})
}

// readArg reads the value of an argument at the cursor.
func (m *matcher) readArg(n *node) (any, *failure) {
	c := &m.cursor
	switch n.typ {
	case TypeIdent:
		return erase(c.ident())
	case TypeName:
		return erase(c.name())
	case TypeNames:
		return erase(list(c, (*cursor).name))
	case TypeTable:
		return erase(c.table())
	case TypeTables:
		return erase(list(c, (*cursor).table))
	case TypeString:
		return erase(c.stringLit())
	case TypeStrings:
		return erase(list(c, (*cursor).stringLit))
	case TypeInt:
		return erase(c.integer())
	case TypeInts:
		return erase(list(c, (*cursor).integer))
	case TypeValue:
		return erase(c.value())
	case TypeProps:
		return erase(c.props())
	case TypeHostPort:
		return erase(c.hostPort())
	case TypeHostPorts:
		return erase(list(c, (*cursor).hostPort))
	case TypeExpr:
		return erase(c.expr(n.stops))
	}
	panic("BUG: argument type " + string(n.typ) + " has no reader")
}

// erase forgets the type of a value that was read.
func erase[T any](v T, f *failure) (any, *failure) { return v, f }

// expr takes raw text up to a stop word outside parentheses or the end.
func (c *cursor) expr(stops []string) (Raw, *failure) {
	start := c.pos
	for depth := 0; ; c.pos++ {
		t := c.tok()
		switch {
		case t.Kind == EOF && depth > 0:
			return Raw{}, c.failHere("')'")
		case t.Kind == Invalid, t.Is(c.src, ";"), t.Kind == Param:
			return Raw{}, c.failHere("expression")
		case t.Is(c.src, "("):
			depth++
		case t.Is(c.src, ")"):
			if depth--; depth < 0 {
				return Raw{}, c.failHere("expression")
			}
		case t.Kind == EOF, depth == 0 && t.Kind == Word && slices.Contains(stops, strings.ToUpper(t.Text(c.src))):
			if c.pos == start {
				return Raw{}, c.failHere("expression")
			}
			from := c.toks[start].Start
			return Raw{Text: c.src[from:c.toks[c.pos-1].End], Offset: from}, nil
		}
	}
}
