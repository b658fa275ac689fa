package parse

import (
	"errors"
	"strconv"
	"strings"

	perrors "github.com/pingcap/errors"
	"github.com/pingcap/tidb/pkg/parser/terror"

	"stele/sql/syntax"
)

// convertError makes a *syntax.Error of what the MySQL parser says about text, positioned in sql. The two have the same
// length, so the offset is the same; but what is quoted must come from what the user wrote.
func convertError(sql, text string, mode syntax.Mode, err error) error {
	var own *syntax.Error
	if errors.As(err, &own) {
		return own
	}
	var coded *terror.Error
	if errors.As(perrors.Cause(err), &coded) {
		e := terror.ToSQLError(coded)
		return syntax.At(sql, 0, e.Code, e.State, e.Message)
	}
	if offset, ok := errorOffset(text, err.Error()); ok {
		return syntax.NewError(sql, offset)
	}
	return syntax.NewError(sql, brokenToken(text, mode))
}

// errorOffset finds the offending token: the message quotes the text from there to its end, of a long rest only the
// beginning, but then it says how long the rest is. Line and column in the message are of the token's end, so unused.
func errorOffset(text, msg string) (int, bool) {
	const mark, total = ` near "`, "(total length "
	i := strings.Index(msg, mark)
	if !strings.HasPrefix(msg, "line ") || i < 0 {
		return 0, false
	}
	rest := msg[i+len(mark):]
	if j := strings.LastIndex(rest, total); j >= 0 && strings.HasSuffix(rest, ")") {
		n, err := strconv.Atoi(rest[j+len(total) : len(rest)-1])
		if err == nil && n <= len(text) && strings.HasPrefix(rest, text[len(text)-n:][:min(n, 64)]) {
			return len(text) - n, true
		}
	}
	for end := len(rest); end > 0; {
		if end = strings.LastIndexByte(rest[:end], '"'); end < 0 {
			break
		}
		if strings.HasSuffix(text, rest[:end]) {
			return len(text) - end, true
		}
	}
	return 0, false
}

// brokenToken is the place of the token that the tokenizer refuses as well, else the start.
func brokenToken(text string, mode syntax.Mode) int {
	lx := syntax.NewLexer(text, mode)
	for {
		switch t := lx.Next(); t.Kind {
		case syntax.Invalid:
			return t.Start
		case syntax.EOF:
			return 0
		}
	}
}
