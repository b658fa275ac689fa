package parse

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/pingcap/tidb/pkg/parser"

	"stele/sql/syntax"
)

// lexOnce calls the scanner's Lex, whose argument has an unexported type, and reads the token's offset out of it.
func lexOnce[T any](lex func(*T) int) (token, offset int) {
	var v T
	token = lex(&v)
	return token, int(reflect.ValueOf(v).FieldByName("offset").Int())
}

// scannerOffsets returns where the MySQL parser's scanner starts its tokens.
func scannerOffsets(sql string, mode syntax.Mode) []int {
	s := parser.NewScanner(sql)
	s.SetSQLMode(mysqlMode(mode))
	s.EnableWindowFunc(true)
	var offsets []int
	for {
		tok, off := lexOnce(s.Lex)
		if tok == 0 {
			return offsets
		}
		offsets = append(offsets, off)
	}
}

// checkTokens is invariant 1 of sql/syntax: what parses has no invalid token, and every token of the scanner is one of ours.
func checkTokens(t *testing.T, sql string, mode syntax.Mode) {
	t.Helper()
	ours := map[int]bool{}
	for _, tok := range syntax.Tokenize(sql, mode) {
		if tok.Kind == syntax.Invalid {
			t.Fatalf("%q mode %d parses, but has an invalid token at %d", sql, mode, tok.Start)
		}
		ours[tok.Start] = true
	}
	if strings.Contains(sql, "/*+") {
		return // a hint is a token to the scanner, a comment to us
	}
	for _, off := range scannerOffsets(sql, mode) {
		if !ours[off] {
			t.Fatalf("%q mode %d: the scanner has a token at %d, we do not", sql, mode, off)
		}
	}
}

func TestTokensAgree(t *testing.T) {
	for _, c := range accepted {
		if st, err := Parse(c.sql, 0); err == nil && (st.Tail == nil || st.Tail.KeyModel == "") {
			checkTokens(t, closeDialect(c.sql, 0), 0)
		}
	}
	for _, q := range tpchLike {
		checkTokens(t, q, 0)
	}
}

// FuzzTokensAgree lets both scanners loose on the same text.
func FuzzTokensAgree(f *testing.F) {
	for _, c := range accepted {
		f.Add(c.sql, uint8(0))
	}
	f.Add(`select "a", 'b\', .5, a.5e, x'00' from t -- c`, uint8(syntax.AnsiQuotes|syntax.NoBackslashEscapes))
	f.Add("select a.`b`.c, 1e5e, 0x1f.5, @a.b, @@global.c /*!50000 + 1 */ # x", uint8(0))
	f.Fuzz(func(t *testing.T, sql string, m uint8) {
		mode := syntax.Mode(m)
		text := closeDialect(sql, mode)
		if len(text) != len(sql) {
			t.Fatalf("%q: length changed", sql)
		}
		if _, err := parseMySQL(text, text, mode); err == nil {
			checkTokens(t, text, mode)
		}
	})
}

// FuzzParse checks that nothing panics and that errors are ours and in the text.
func FuzzParse(f *testing.F) {
	for _, c := range accepted {
		f.Add(c.sql, uint8(0))
	}
	f.Fuzz(func(t *testing.T, sql string, m uint8) {
		st, err := Parse(sql, syntax.Mode(m))
		if err != nil {
			var e *syntax.Error
			if !errors.As(err, &e) || e.Code == 0 || e.Offset < 0 || e.Offset > len(sql) {
				t.Fatalf("%q: %v", sql, err)
			}
			return
		}
		if st.Node == nil && st.Alter == nil {
			t.Fatalf("%q: nothing parsed and no error", sql)
		}
	})
}
