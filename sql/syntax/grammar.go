package syntax

import (
	"fmt"
	"slices"
	"strings"
)

// ArgType is the type of a <name:type> element.
type ArgType string

// The argument types. A list takes one or more items separated by commas, with or without parentheses around them.
const (
	TypeIdent     ArgType = "ident"     // identifier, quoted or not
	TypeName      ArgType = "name"      // identifier or string
	TypeNames     ArgType = "names"     // list of names
	TypeTable     ArgType = "table"     // [db.]table
	TypeTables    ArgType = "tables"    // list of them
	TypeString    ArgType = "string"    // 'text' or "text"
	TypeStrings   ArgType = "strings"   // list of strings
	TypeInt       ArgType = "int"       // integer, optionally signed
	TypeInts      ArgType = "ints"      // list of integers
	TypeValue     ArgType = "value"     // string, number or bare word: the right-hand side of a SET
	TypeProps     ArgType = "props"     // [PROPERTIES] ("key" = "value", ...)
	TypeHostPort  ArgType = "hostport"  // "host:port", quotes optional
	TypeHostPorts ArgType = "hostports" // list of them
	TypeExpr      ArgType = "expr"      // raw text up to the next keyword of the syntax outside parentheses, or the end
)

// argTypes maps every type to what error messages call it.
var argTypes = map[ArgType]string{
	TypeIdent: "identifier", TypeName: "name", TypeNames: "list of names", TypeTable: "table name", TypeTables: "list of table names", TypeString: "string",
	TypeStrings: "list of strings", TypeInt: "integer", TypeInts: "list of integers", TypeValue: "value",
	TypeProps: "property list", TypeHostPort: "'host:port'", TypeHostPorts: "list of 'host:port'", TypeExpr: "expression",
}

// nodeKind says what a grammar node is.
type nodeKind uint8

const (
	nodeWord   nodeKind = iota // keyword
	nodePunct                  // literal punctuation
	nodeArg                    // <name:type>
	nodeOpt                    // [ ... ]
	nodeChoice                 // { ... | ... }
)

// node is one element of a syntax.
type node struct {
	kind nodeKind
	text string   // keyword in upper case, or punctuation
	name string   // argument name, or the label of a choice
	typ  ArgType  // of an argument
	alts [][]node // one for nodeOpt, two or more for nodeChoice
	// stops holds, for an expr, the keywords that end it.
	stops []string
}

// Syntax is a compiled syntax text. It is immutable.
type Syntax struct {
	text  string
	seq   []node
	leads [][]string
}

// ParamInfo describes one argument or labelled choice of a syntax, for reference pages.
type ParamInfo struct {
	Name    string
	Type    ArgType  // empty for a choice
	Choices []string // the alternatives of a choice
}

// Compile reads a syntax text:
//
//	KEYWORD              a word, compared without case
//	<name:type>          an argument
//	[ ... ]              an optional part
//	{ a | b }            one of several
//	{label: a | b}       the same, its text kept under a name
//	( ) , = != . *       themselves; 'x' in quotes for a character with a meaning here
//
// It fails on unknown types, repeated names and a text that does not start with a keyword.
func Compile(text string) (*Syntax, error) {
	c := compiler{src: text}
	seq, err := c.sequence("")
	if err != nil {
		return nil, fmt.Errorf("compile syntax %q: %w", text, err)
	}
	s := &Syntax{seq: seq}
	s.text = render(seq)
	setStops(seq, nil)
	if err := checkNames(s.Params()); err != nil {
		return nil, fmt.Errorf("compile syntax %q: %w", text, err)
	}
	if s.leads, err = leadsOf(seq); err != nil {
		return nil, fmt.Errorf("compile syntax %q: %w", text, err)
	}
	return s, nil
}

// MustCompile is Compile for syntaxes written in code.
func MustCompile(text string) *Syntax {
	s, err := Compile(text)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return s
}

// String returns the syntax in its canonical form, which compiles to the same syntax.
func (s *Syntax) String() string { return s.text }

// Leads returns every sequence of keywords that the statement can start with, up to its first argument.
func (s *Syntax) Leads() [][]string { return s.leads }

// Params lists the arguments and labelled choices in the order of the text.
func (s *Syntax) Params() []ParamInfo { return appendParams(nil, s.seq) }

// appendParams walks the nodes of Params.
func appendParams(list []ParamInfo, seq []node) []ParamInfo {
	for _, n := range seq {
		switch {
		case n.kind == nodeArg:
			list = append(list, ParamInfo{Name: n.name, Type: n.typ})
		case n.kind == nodeChoice && n.name != "":
			p := ParamInfo{Name: n.name}
			for _, alt := range n.alts {
				p.Choices = append(p.Choices, render(alt))
			}
			list = append(list, p)
		}
		for _, alt := range n.alts {
			list = appendParams(list, alt)
		}
	}
	return list
}

// checkNames refuses two different things under one name. The same name and type in two alternatives is one argument.
func checkNames(params []ParamInfo) error {
	seen := map[string]ParamInfo{}
	for _, p := range params {
		if old, ok := seen[p.Name]; ok && old.Type != p.Type {
			return fmt.Errorf("name %q is used for %q and %q", p.Name, old.Type, p.Type)
		}
		seen[p.Name] = p
	}
	return nil
}

// setStops gives every expr the keywords that can follow it: the first words of the rest of its sequence and, where that
// rest may be absent, of what surrounds it.
func setStops(seq []node, after []string) {
	for i := range seq {
		n := &seq[i]
		follow := firstWords(seq[i+1:], after)
		if n.typ == TypeExpr {
			n.stops = follow
		}
		for _, alt := range n.alts {
			setStops(alt, follow)
		}
	}
}

// firstWords returns the keywords that a sequence followed by after can start with. Optional parts are passed through, all
// of them: an expr must stop at the word of any later clause.
func firstWords(seq []node, after []string) []string {
	var words []string
	for _, n := range seq {
		switch n.kind {
		case nodeWord:
			return append(words, n.text)
		case nodeOpt, nodeChoice:
			for _, alt := range n.alts {
				words = append(words, firstWords(alt, nil)...)
			}
			if n.kind == nodeChoice {
				return words
			}
		default:
			return words
		}
	}
	return append(words, after...)
}

// leadsMax bounds how many keyword sequences one syntax may start with.
const leadsMax = 64

// leadsOf expands the optional parts and choices at the start of a syntax.
func leadsOf(seq []node) ([][]string, error) {
	open, closed := expandLeads([][]string{nil}, seq)
	all := append(closed, open...)
	if len(all) > leadsMax {
		return nil, fmt.Errorf("%d leading keyword sequences, at most %d", len(all), leadsMax)
	}
	for _, lead := range all {
		if len(lead) == 0 {
			return nil, fmt.Errorf("must start with a keyword")
		}
	}
	slices.SortFunc(all, slices.Compare)
	return slices.CompactFunc(all, slices.Equal), nil
}

// expandLeads continues every open prefix with a sequence; closed ones have met something that is not a keyword.
func expandLeads(open [][]string, seq []node) (still, closed [][]string) {
	for _, n := range seq {
		if len(open) == 0 || len(open) > leadsMax {
			break
		}
		switch n.kind {
		case nodeWord:
			for i, lead := range open {
				open[i] = append(slices.Clone(lead), n.text)
			}
		case nodeOpt, nodeChoice:
			var next [][]string
			if n.kind == nodeOpt {
				next = append(next, open...)
			}
			for _, alt := range n.alts {
				o, c := expandLeads(slices.Clone(open), alt)
				next, closed = append(next, o...), append(closed, c...)
			}
			open = next
		default:
			return nil, append(closed, open...)
		}
	}
	return open, closed
}

// render writes nodes in canonical form.
func render(seq []node) string {
	var b strings.Builder
	for i, n := range seq {
		if i > 0 && !tight(seq[i-1], n) {
			b.WriteByte(' ')
		}
		renderNode(&b, n)
	}
	return b.String()
}

// tight reports whether no blank is written between two elements.
func tight(a, b node) bool {
	return a.kind == nodePunct && (a.text == "(" || a.text == ".") ||
		b.kind == nodePunct && (b.text == ")" || b.text == "," || b.text == ".")
}

// renderNode writes one node.
func renderNode(b *strings.Builder, n node) {
	switch n.kind {
	case nodeArg:
		fmt.Fprintf(b, "<%s:%s>", n.name, n.typ)
	case nodeOpt:
		b.WriteString("[" + render(n.alts[0]) + "]")
	case nodeChoice:
		b.WriteByte('{')
		if n.name != "" {
			b.WriteString(n.name + ": ")
		}
		for i, alt := range n.alts {
			if i > 0 {
				b.WriteByte('|')
			}
			b.WriteString(render(alt))
		}
		b.WriteByte('}')
	case nodePunct:
		if strings.ContainsAny(n.text, "[]{}<>|:'") {
			b.WriteString("'" + n.text + "'")
			return
		}
		b.WriteString(n.text)
	default:
		b.WriteString(n.text)
	}
}
