package console

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Statement is one statement of a script without its terminator.
type Statement struct {
	Text     string
	Line     int  // where it begins, from 1
	Vertical bool // it ended with \G: print one column a line
}

// maxStatement bounds one statement: it is the largest packet that the protocol can carry.
const maxStatement = 1 << 30

// Scanner cuts a script into statements at semicolons (or \G) that are outside of quotes and comments. It follows the
// rules of MySQL's lexer: backslash escapes inside ' and ", doubled quotes, identifiers in backquotes, comments after
// # and after -- that a blank follows, and /* */ comments. Comments stay in the statement: hints live there.
type Scanner struct {
	in   *bufio.Reader
	line int // of the next line to read
	done bool
	cut  cutter
}

// NewScanner reads a script.
func NewScanner(in io.Reader) *Scanner {
	return &Scanner{in: bufio.NewReaderSize(in, 64<<10), line: 1}
}

// Next returns the next statement, or io.EOF. A last statement needs no terminator; an unclosed quote is an error,
// because sending half a literal could only do harm.
func (s *Scanner) Next() (Statement, error) {
	for {
		if st, ok := s.cut.next(); ok {
			return st, nil
		}
		if s.done {
			return s.last()
		}
		text, err := s.in.ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return Statement{}, fmt.Errorf("read script: %w", err)
		}
		s.done = err != nil
		s.cut.feed(text, s.line)
		s.line++
		if s.cut.size() > maxStatement {
			return Statement{}, fmt.Errorf("the statement in line %d is longer than %d bytes", s.cut.begin, maxStatement)
		}
	}
}

func (s *Scanner) last() (Statement, error) {
	switch s.cut.state {
	case '\'', '"', '`':
		return Statement{}, fmt.Errorf("the %c that opens in line %d is never closed", s.cut.state, s.cut.opened)
	case inComment:
		return Statement{}, fmt.Errorf("the comment that opens in line %d is never closed", s.cut.opened)
	}
	st, ok := s.cut.rest()
	if !ok {
		return Statement{}, io.EOF
	}
	return st, nil
}

// Cut returns the complete statements of a text and what is left behind the last one, "" when that is only blank.
func Cut(text string) (statements []Statement, rest string) {
	var c cutter
	line := 0
	for part := range strings.Lines(text) {
		line++
		c.feed(part, line)
		for {
			st, ok := c.next()
			if !ok {
				break
			}
			statements = append(statements, st)
		}
	}
	if rest = c.pending.String(); strings.TrimSpace(rest) == "" && c.state == inCode {
		rest = ""
	}
	return statements, rest
}

// States of a cutter beside the three quote characters, which stand for being inside such a quote.
const (
	inCode    = byte(0)
	inComment = byte('*')
)

// cutter consumes text line by line. A comment up to the end of a line never spans two lines, so it is no state.
type cutter struct {
	state   byte
	opened  int // line of the opening quote or comment
	begin   int // line where the pending statement begins
	code    bool
	pending strings.Builder // of the statement so far
	input   string          // of the current line, not looked at yet
	line    int
}

func (c *cutter) feed(text string, line int) { c.input, c.line = text, line }

func (c *cutter) size() int { return c.pending.Len() + len(c.input) }

// next consumes input up to the end of a statement. Without one it consumes all input and returns false.
func (c *cutter) next() (Statement, bool) {
	for i := 0; i < len(c.input); {
		size, end := c.step(c.input[i:])
		if end == noEnd {
			i += size
			continue
		}
		c.pending.WriteString(c.input[:i])
		c.input = c.input[i+size:]
		if st, ok := c.take(); ok {
			st.Vertical = end == verticalEnd
			return st, true
		}
		i = 0 // an empty statement
	}
	c.pending.WriteString(c.input)
	c.input = ""
	return Statement{}, false
}

// rest returns the statement that the end of the script ends.
func (c *cutter) rest() (Statement, bool) { return c.take() }

func (c *cutter) take() (Statement, bool) {
	st := Statement{Text: strings.TrimSpace(c.pending.String()), Line: c.begin}
	hasCode := c.code
	c.pending.Reset()
	c.code, c.begin = false, 0
	return st, hasCode
}

type ending uint8

const (
	noEnd ending = iota
	plainEnd
	verticalEnd
)

// step looks at the beginning of s, never empty, and returns how many bytes belong together and whether they end a
// statement.
func (c *cutter) step(s string) (size int, end ending) {
	switch c.state {
	case inComment:
		if strings.HasPrefix(s, "*/") {
			c.state = inCode
			return 2, noEnd
		}
		return 1, noEnd
	case '\'', '"', '`':
		if s[0] == '\\' && c.state != '`' {
			return min(2, len(s)), noEnd
		}
		if s[0] == c.state {
			c.state = inCode // a doubled quote opens again at once, which comes to the same
		}
		return 1, noEnd
	}
	return c.stepCode(s)
}

func (c *cutter) stepCode(s string) (size int, end ending) {
	switch {
	case s[0] == ';':
		return 1, plainEnd
	case strings.HasPrefix(s, `\G`):
		return 2, verticalEnd
	case strings.HasPrefix(s, `\g`):
		return 2, plainEnd
	case s[0] == '#', strings.HasPrefix(s, "--") && (len(s) == 2 || s[2] <= ' '):
		return len(s), noEnd // up to the end of the line, which is the end of s
	case strings.HasPrefix(s, "/*"):
		if strings.HasPrefix(s, "/*!") || strings.HasPrefix(s, "/*+") {
			c.note() // holds code
		}
		c.state, c.opened = inComment, c.line
		return 2, noEnd
	case s[0] == '\'' || s[0] == '"' || s[0] == '`':
		c.note()
		c.state, c.opened = s[0], c.line
		return 1, noEnd
	case s[0] > ' ':
		c.note()
	}
	return 1, noEnd
}

// note marks that the pending statement holds more than blanks and comments.
func (c *cutter) note() {
	if !c.code {
		c.code, c.begin = true, c.line
	}
}
