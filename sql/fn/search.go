package fn

import (
	"bytes"
	"regexp"
	"strings"
	"unicode/utf8"

	"stele/sql/errno"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

func init() {
	register(
		Def{Name: "like", Group: "string", Syntax: "s LIKE pattern [ESCAPE c]", Doc: "Matches a pattern: % stands for any characters, _ for one.", Min: 2, Max: 3,
			Rule: onTexts(always(tBool)), Prepare: prepareLike, Row: likeRow, Vec: likeVec},
		Def{Name: "regexp", Aliases: []string{"rlike", "regexp_like"}, Group: "string", Syntax: "s REGEXP pattern, REGEXP_LIKE(s, pattern[, flags])",
			Doc: "Contains a match of a regular expression (RE2 syntax). Flags: c, i, m, n.", Min: 2, Max: 3, CanFail: true,
			Rule: onTexts(always(tBool)), Prepare: prepareRegexp(2), Row: regexpRow},
		Def{Name: "regexp_replace", Group: "string", Syntax: "REGEXP_REPLACE(s, pattern, to)", Doc: "With every match replaced; $1 names a group.", Min: 3, Max: 3, CanFail: true,
			Rule: onTexts(unknownLength), Prepare: prepareRegexp(-1), Row: regexpReplace},
		Def{Name: "regexp_substr", Group: "string", Syntax: "REGEXP_SUBSTR(s, pattern)", Doc: "The first match, or NULL.", Min: 2, Max: 2, CanFail: true, TakesNull: true,
			Rule: onTexts(unknownLength), Prepare: prepareRegexp(-1), Row: nullable(regexpSubstr)},
		Def{Name: "regexp_instr", Group: "string", Syntax: "REGEXP_INSTR(s, pattern)", Doc: "The position of the first match, or 0.", Min: 2, Max: 2, CanFail: true,
			Rule: onTexts(always(tInt)), Prepare: prepareRegexp(-1), Row: regexpInstr},
		Def{Name: "locate", Aliases: []string{"position"}, Group: "string", Syntax: "LOCATE(part, s[, pos]), POSITION(part IN s)", Doc: "The position of part in s (from pos on), or 0.", Min: 2, Max: 3,
			Rule: func(_ string, a []T) ([]T, T, error) { return []T{text(a[0]), text(a[1]), tInt}[:len(a)], tInt, nil },
			Row: func(c *Call, a []vec.Value) (vec.Value, error) {
				pos := int64(1)
				if len(a) > 2 {
					pos = a[2].I
				}
				return vec.Int(locate(a[0].B, a[1].B, pos, isBinary(c.Args[1]))), nil
			}},
		Def{Name: "instr", Group: "string", Syntax: "INSTR(s, part)", Doc: "The position of part in s, or 0.", Min: 2, Max: 2, Rule: onTexts(always(tInt)),
			Row: func(c *Call, a []vec.Value) (vec.Value, error) {
				return vec.Int(locate(a[1].B, a[0].B, 1, isBinary(c.Args[0]))), nil
			}},
	)
}

// locate finds part in s from character pos on and returns the position of the character, from 1; 0 = not found.
func locate(part, s []byte, pos int64, binary bool) int64 {
	if pos < 1 {
		return 0
	}
	start := charOffset(s, pos-1, binary)
	if start == len(s) && pos-1 > int64(len(s)) {
		return 0
	}
	i := bytes.Index(s[start:], part)
	if i < 0 {
		return 0
	}
	if binary {
		return int64(start+i) + 1
	}
	return pos + int64(utf8.RuneCount(s[start:start+i]))
}

// likePattern is a compiled LIKE pattern: literal pieces between %, each with _ marked.
type likePattern struct {
	pieces [][]likeChar // split at %
	// plain: no piece has _; then text holds the pieces as bytes.
	plain bool
	// binary: a character is one byte.
	binary bool
	text   [][]byte
}

type likeChar struct {
	b   byte
	any bool // matches one whole character
}

func compileLike(pattern []byte, escape byte, hasEscape, binary bool) *likePattern {
	p := &likePattern{plain: true, binary: binary}
	piece := []likeChar{}
	for i := 0; i < len(pattern); i++ {
		c := pattern[i]
		switch {
		case hasEscape && c == escape && i+1 < len(pattern):
			i++
			piece = append(piece, likeChar{b: pattern[i]})
		case c == '%':
			p.pieces = append(p.pieces, piece)
			piece = []likeChar{}
		case c == '_':
			piece = append(piece, likeChar{any: true})
			p.plain = false
		default:
			piece = append(piece, likeChar{b: c})
		}
	}
	p.pieces = append(p.pieces, piece)
	for _, piece := range p.pieces {
		t := make([]byte, len(piece))
		for i, c := range piece {
			t[i] = c.b
		}
		p.text = append(p.text, t)
	}
	return p
}

// match anchors the first piece at the start, the last at the end, and finds the others leftmost between.
func (p *likePattern) match(s []byte) bool {
	if p.plain {
		return p.matchPlain(s)
	}
	n, ok := p.matchPiece(p.pieces[0], s)
	if !ok {
		return false
	}
	s = s[n:]
	if len(p.pieces) == 1 {
		return len(s) == 0
	}
	for _, piece := range p.pieces[1 : len(p.pieces)-1] {
		for {
			if n, ok = p.matchPiece(piece, s); ok {
				s = s[n:]
				break
			}
			if len(s) == 0 {
				return false
			}
			s = s[p.width(s):]
		}
	}
	last := p.pieces[len(p.pieces)-1]
	for {
		if n, ok = p.matchPiece(last, s); ok && n == len(s) {
			return true
		}
		if len(s) == 0 {
			return false
		}
		s = s[p.width(s):]
	}
}

// width is how many bytes the first character of s has.
func (p *likePattern) width(s []byte) int {
	if p.binary {
		return 1
	}
	_, w := utf8.DecodeRune(s)
	return w
}

func (p *likePattern) matchPlain(s []byte) bool {
	first, last := p.text[0], p.text[len(p.text)-1]
	if len(p.text) == 1 {
		return bytes.Equal(s, first)
	}
	if len(s) < len(first)+len(last) || !bytes.HasPrefix(s, first) || !bytes.HasSuffix(s, last) {
		return false
	}
	s = s[len(first) : len(s)-len(last)]
	for _, t := range p.text[1 : len(p.text)-1] {
		i := bytes.Index(s, t)
		if i < 0 {
			return false
		}
		s = s[i+len(t):]
	}
	return true
}

// matchPiece matches a piece at the start of s and returns how many bytes it took.
func (p *likePattern) matchPiece(piece []likeChar, s []byte) (int, bool) {
	i := 0
	for _, c := range piece {
		if i >= len(s) {
			return 0, false
		}
		if c.any {
			i += p.width(s[i:])
			continue
		}
		if s[i] != c.b {
			return 0, false
		}
		i++
	}
	return i, true
}

func prepareLike(c *Call) error {
	escape, has := byte('\\'), true
	if len(c.Const) > 2 {
		e := c.Const[2]
		switch {
		case e == nil || e.Null || len(e.B) > 1:
			return sqltypes.Errorf(errno.WrongArguments, "Incorrect arguments to ESCAPE")
		case len(e.B) == 0:
			has = false
		default:
			escape = e.B[0]
		}
	}
	if p := c.Const[1]; p != nil && !p.Null {
		c.State = compileLike(p.B, escape, has, likeBytes(c))
	}
	return nil
}

// likeBytes reports whether LIKE compares bytes and not characters: one of its arguments is binary.
func likeBytes(c *Call) bool { return isBinary(c.Args[0]) || isBinary(c.Args[1]) }

func (c *Call) like(pattern []byte) *likePattern {
	if p, ok := c.State.(*likePattern); ok {
		return p
	}
	if len(c.Const) > 2 {
		e := c.Const[2].B
		if len(e) == 0 {
			return compileLike(pattern, 0, false, likeBytes(c))
		}
		return compileLike(pattern, e[0], true, likeBytes(c))
	}
	return compileLike(pattern, '\\', true, likeBytes(c))
}

func likeRow(c *Call, a []vec.Value) (vec.Value, error) {
	return vec.Bool(c.like(a[1].B).match(a[0].B)), nil
}

func likeVec(c *Call, a []Arg, n int) (*vec.Vector, error) {
	p, ok := c.State.(*likePattern)
	if !ok {
		return nil, nil
	}
	return intVec(c, n, func(i int) int64 { return b2i(p.match(a[0].Bytes(a[0].At(i)))) }, a[0]), nil
}

// prepareRegexp compiles a constant pattern; flags is the argument that holds the flags, or -1.
func prepareRegexp(flags int) func(*Call) error {
	return func(c *Call) error {
		p := c.Const[1]
		if p == nil || p.Null {
			return nil
		}
		var f []byte
		if flags > 0 && flags < len(c.Const) {
			if c.Const[flags] == nil {
				return nil
			}
			f = c.Const[flags].B
		}
		if re, err := compileRegexp(p.B, f); err == nil {
			c.State = re // a bad pattern is an error only if a row gets there
		}
		return nil
	}
}

func compileRegexp(pattern, flags []byte) (*regexp.Regexp, error) {
	mode := ""
	for _, f := range flags {
		switch f {
		case 'c':
			mode = strings.ReplaceAll(mode, "i", "")
		case 'i':
			mode += "i"
		case 'm':
			mode += "m"
		case 'n':
			mode += "s"
		default:
			return nil, sqltypes.Errorf(errno.WrongArguments, "Incorrect arguments to regexp_like")
		}
	}
	text := string(pattern)
	if mode != "" {
		text = "(?" + mode + ")" + text
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, sqltypes.Errorf(errno.RegexpArgument, "Illegal argument to a regular expression: %v", err)
	}
	return re, nil
}

func (c *Call) regexp(a []vec.Value, flags int) (*regexp.Regexp, error) {
	if re, ok := c.State.(*regexp.Regexp); ok {
		return re, nil
	}
	var f []byte
	if flags > 0 && flags < len(a) {
		f = a[flags].B
	}
	return compileRegexp(a[1].B, f)
}

func regexpRow(c *Call, a []vec.Value) (vec.Value, error) {
	re, err := c.regexp(a, 2)
	if err != nil {
		return vec.Value{}, err
	}
	return vec.Bool(re.Match(a[0].B)), nil
}

func regexpReplace(c *Call, a []vec.Value) (vec.Value, error) {
	re, err := c.regexp(a, -1)
	if err != nil {
		return vec.Value{}, err
	}
	return vec.Str(re.ReplaceAll(a[0].B, a[2].B)), nil
}

func regexpSubstr(c *Call, a []vec.Value) (vec.Value, error) {
	re, err := c.regexp(a, -1)
	if err != nil {
		return vec.Value{}, err
	}
	loc := re.FindIndex(a[0].B)
	if loc == nil {
		return vec.NullValue(), nil
	}
	return vec.Str(a[0].B[loc[0]:loc[1]]), nil
}

func regexpInstr(c *Call, a []vec.Value) (vec.Value, error) {
	re, err := c.regexp(a, -1)
	if err != nil {
		return vec.Value{}, err
	}
	loc := re.FindIndex(a[0].B)
	if loc == nil {
		return vec.Int(0), nil
	}
	return vec.Int(int64(utf8.RuneCount(a[0].B[:loc[0]])) + 1), nil
}
