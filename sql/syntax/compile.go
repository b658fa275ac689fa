package syntax

import (
	"fmt"
	"strings"
)

// compiler reads a syntax text by recursive descent.
type compiler struct {
	src string
	pos int
}

// skip moves behind blanks and returns the next byte, or 0 at the end.
func (c *compiler) skip() byte {
	for c.pos < len(c.src) && classes[c.src[c.pos]]&classSpace != 0 {
		c.pos++
	}
	if c.pos == len(c.src) {
		return 0
	}
	return c.src[c.pos]
}

// sequence reads elements up to a byte of ends (left unread) or, if ends is empty, to the end of the text.
func (c *compiler) sequence(ends string) ([]node, error) {
	var seq []node
	for {
		b := c.skip()
		if b == 0 {
			if ends != "" {
				return nil, fmt.Errorf("missing %q at the end", ends)
			}
			return seq, nil
		}
		if strings.IndexByte(ends, b) >= 0 {
			if len(seq) == 0 {
				return nil, fmt.Errorf("nothing before %q at offset %d", b, c.pos)
			}
			return seq, nil
		}
		n, err := c.element(b)
		if err != nil {
			return nil, err
		}
		seq = append(seq, n)
	}
}

// element reads one element that starts with b.
func (c *compiler) element(b byte) (node, error) {
	switch b {
	case '[':
		c.pos++
		seq, err := c.sequence("]")
		c.pos++
		return node{kind: nodeOpt, alts: [][]node{seq}}, err
	case '{':
		return c.choice()
	case '<':
		return c.argument()
	case '\'':
		end := strings.IndexByte(c.src[c.pos+1:], '\'')
		if end <= 0 {
			return node{}, fmt.Errorf("bad quoted character at offset %d", c.pos)
		}
		text := c.src[c.pos+1 : c.pos+1+end]
		c.pos += end + 2
		return node{kind: nodePunct, text: text}, nil
	case ']', '}', '>', '|', ':':
		return node{}, fmt.Errorf("unexpected %q at offset %d", b, c.pos)
	}
	if w := c.word(); w != "" {
		return node{kind: nodeWord, text: strings.ToUpper(w)}, nil
	}
	lx := NewLexer(c.src[c.pos:], 0)
	t := lx.Next()
	if t.Kind != Punct {
		return node{}, fmt.Errorf("unexpected %s at offset %d", t.Kind, c.pos)
	}
	start := c.pos
	c.pos += t.End
	return node{kind: nodePunct, text: c.src[start:c.pos]}, nil
}

// word reads an ASCII word, or nothing.
func (c *compiler) word() string {
	start := c.pos
	for c.pos < len(c.src) && c.src[c.pos] < 0x80 && classes[c.src[c.pos]]&classIdent != 0 {
		c.pos++
	}
	return c.src[start:c.pos]
}

// choice reads {label: a | b}.
func (c *compiler) choice() (node, error) {
	n := node{kind: nodeChoice}
	c.pos++
	c.skip()
	start := c.pos
	if w := c.word(); w != "" && c.skip() == ':' {
		n.name = w
		c.pos++
	} else {
		c.pos = start
	}
	for {
		seq, err := c.sequence("|}")
		if err != nil {
			return n, err
		}
		n.alts = append(n.alts, seq)
		c.pos++
		if c.src[c.pos-1] == '}' {
			break
		}
	}
	if len(n.alts) < 2 {
		return n, fmt.Errorf("choice with one alternative before offset %d", c.pos)
	}
	return n, nil
}

// argument reads <name:type>.
func (c *compiler) argument() (node, error) {
	end := strings.IndexByte(c.src[c.pos:], '>')
	if end < 0 {
		return node{}, fmt.Errorf("missing %q after offset %d", ">", c.pos)
	}
	name, typ, _ := strings.Cut(c.src[c.pos+1:c.pos+end], ":")
	name, typ = strings.TrimSpace(name), strings.TrimSpace(typ)
	if _, ok := argTypes[ArgType(typ)]; !ok {
		return node{}, fmt.Errorf("unknown type %q of argument %q", typ, name)
	}
	if name == "" || name != strings.ToLower(name) {
		return node{}, fmt.Errorf("argument name %q at offset %d must be lower case", name, c.pos)
	}
	for i := range len(name) {
		if name[i] >= 0x80 || classes[name[i]]&classIdent == 0 {
			return node{}, fmt.Errorf("argument name %q at offset %d is not a word", name, c.pos)
		}
	}
	c.pos += end + 1
	return node{kind: nodeArg, name: name, typ: ArgType(typ)}, nil
}
