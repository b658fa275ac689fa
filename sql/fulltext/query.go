package fulltext

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"stele/meta/types"
)

// Query is what a text is searched for.
type Query struct {
	cmp     comparer
	words   []word
	exact   map[string]int // the word by its key
	begins  []int          // words that stand for all that begin so
	phrases bool           // where words stand matters
	root    node
}

// word is one that is looked for.
type word struct {
	key    string
	prefix bool
	chars  int // of a prefix
}

// node is a part of a query: a list of parts, a word, or words that follow one another.
type node struct {
	op      byte // '+', '-', '>', '<', '~', or 0
	kids    []node
	several bool     // kids are the words of one term: + and - mean all of them
	word    int      // -1 = none
	phrase  []string // keys of all its words, those that do not count as well
	needs   []int    // its words that count
}

// Error is a query that boolean mode does not understand.
type Error struct{ near string }

// Error names what is wrong where.
func (e *Error) Error() string { return "syntax error, unexpected " + e.near }

// Unsupported is what boolean mode has and this package does not.
type Unsupported struct{ What string }

// Error names it.
func (e *Unsupported) Error() string { return e.What }

// Natural reads a query in natural language mode: any of its words.
func Natural(text string, by types.Collation) *Query {
	q := newQuery(by)
	for w, chars := range tokens([]byte(text)) {
		if q.cmp.counts(q.cmp.key(nil, w), chars) {
			q.root.kids = append(q.root.kids, node{word: q.add(w, false)})
		}
	}
	return q
}

// Boolean reads a query in boolean mode.
func Boolean(text string, by types.Collation) (*Query, error) {
	q := newQuery(by)
	p := parser{q: q, rest: text}
	kids, err := p.list(0)
	q.root.kids = kids
	return q, err
}

func newQuery(by types.Collation) *Query {
	return &Query{cmp: newComparer(by), exact: map[string]int{}, root: node{word: -1}}
}

// Words is how many words are looked for.
func (q *Query) Words() int { return len(q.words) }

// add makes a word one that is looked for.
func (q *Query) add(text []byte, prefix bool) int {
	key := string(q.cmp.key(nil, text))
	if prefix {
		for _, i := range q.begins {
			if q.words[i].key == key {
				return i
			}
		}
		q.words = append(q.words, word{key: key, prefix: true, chars: utf8.RuneCount(text)})
		q.begins = append(q.begins, len(q.words)-1)
		return len(q.words) - 1
	}
	if i, ok := q.exact[key]; ok {
		return i
	}
	q.words = append(q.words, word{key: key})
	q.exact[key] = len(q.words) - 1
	return len(q.words) - 1
}

// maxDepth bounds how deep parentheses nest.
const maxDepth = 32

// parser reads a query of boolean mode.
type parser struct {
	q    *Query
	rest string
}

// operators are the characters with a meaning; a percent sign separates words and has none.
const operators = `()+-<>~*@"`

// skip leaves out what separates.
func (p *parser) skip() { p.rest = strings.TrimLeft(p.rest, " \t\r\n%") }

// list reads parts up to the end, or up to the parenthesis that closes them.
func (p *parser) list(depth int) ([]node, error) {
	if depth > maxDepth {
		return nil, &Unsupported{"boolean search with parentheses nested that deep"}
	}
	var out []node
	for {
		p.skip()
		switch {
		case p.rest == "" && depth == 0:
			return out, nil
		case p.rest == "":
			return nil, &Error{"$end"}
		case p.rest[0] == ')' && depth > 0:
			p.rest = p.rest[1:]
			return out, nil
		}
		n, err := p.part(depth)
		if err != nil {
			return nil, err
		}
		out = append(out, n)
	}
}

// part reads one part with its operator.
func (p *parser) part(depth int) (node, error) {
	var op byte
	if strings.IndexByte("+-<>~", p.rest[0]) >= 0 {
		op = p.rest[0]
		p.rest = p.rest[1:]
		if p.skip(); p.rest == "" {
			return node{}, &Error{"$end"}
		}
	}
	var n node
	var err error
	switch c := p.rest[0]; {
	case c == '(':
		p.rest = p.rest[1:]
		n.word = -1
		n.kids, err = p.list(depth + 1)
	case c == '"':
		n, err = p.phrase()
	case c == '*' && op == 0: // what has no word before it
		n, err = p.leading()
	case strings.IndexByte(operators, c) >= 0:
		return node{}, &Error{fmt.Sprintf("'%c'", c)}
	default:
		n = p.term()
	}
	if n.op = op; (op == '+' || op == '-') && n.several {
		for i := range n.kids {
			n.kids[i].op = '+'
		}
	}
	return n, err
}

// leading reads a word with an asterisk before it, which means nothing.
func (p *parser) leading() (node, error) {
	p.rest = p.rest[1:]
	if p.skip(); p.rest == "" || strings.IndexByte(operators, p.rest[0]) >= 0 {
		return node{}, &Error{"'*'"}
	}
	return p.term(), nil
}

// term reads a word, or what begins a word when an asterisk follows. Signs within it make several words of it.
func (p *parser) term() node {
	end := strings.IndexAny(p.rest, operators+" \t\r\n%")
	if end < 0 {
		end = len(p.rest)
	}
	text := p.rest[:end]
	p.rest = p.rest[end:]
	prefix := false
	if after := strings.TrimLeft(p.rest, " \t\r\n%"); strings.HasPrefix(after, "*") {
		prefix, p.rest = true, after[1:]
	}
	var kids []node
	for w, chars := range tokens([]byte(text)) {
		if len(kids) > 0 && (chars < MinWord || chars > MaxWord) {
			continue
		}
		kids = append(kids, node{word: p.q.add(w, prefix)})
	}
	if len(kids) == 1 {
		return kids[0]
	}
	return node{word: -1, kids: kids, several: true}
}

// phrase reads words in quotes.
func (p *parser) phrase() (node, error) {
	text, rest, closed := strings.Cut(p.rest[1:], `"`)
	if p.rest = rest; !closed {
		return node{word: -1}, nil
	}
	if strings.HasPrefix(strings.TrimLeft(rest, " \t\r\n%"), "@") {
		return node{}, &Unsupported{"@distance in a boolean search"}
	}
	n := node{word: -1}
	for w, chars := range tokens([]byte(text)) {
		key := p.q.cmp.key(nil, w)
		counts := p.q.cmp.counts(key, chars)
		if !counts && len(n.phrase) == 0 {
			continue
		}
		n.phrase = append(n.phrase, string(key))
		if counts {
			n.needs = append(n.needs, p.q.add(w, false))
		}
	}
	if len(n.phrase) == 1 {
		return node{word: n.needs[0]}, nil
	}
	p.q.phrases = p.q.phrases || len(n.phrase) > 0
	return n, nil
}
