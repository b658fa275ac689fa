package syntax

import (
	"fmt"
	"strings"
	"testing"
)

// dump writes tokens as kind:text.
func dump(src string, mode Mode) string {
	short := map[Kind]string{Word: "w", Quoted: "q", String: "s", Int: "i", Decimal: "d", Float: "f", Hex: "x", Bit: "b",
		Param: "?", UserVar: "@", SysVar: "@@", Punct: "p", Invalid: "!"}
	var out []string
	for _, t := range Tokenize(src, mode) {
		out = append(out, short[t.Kind]+":"+t.Text(src))
	}
	return strings.Join(out, " ")
}

func TestTokenize(t *testing.T) {
	for _, c := range []struct {
		src  string
		mode Mode
		want string
	}{
		{"select a.b, `c``d`", 0, "w:select w:a p:. w:b p:, q:`c``d`"},
		{`'it''s' "q\"x"`, 0, `s:'it''s' s:"q\"x"`},
		{`"a b"`, AnsiQuotes, `q:"a b"`},
		{`'a\' 'b'`, NoBackslashEscapes, `s:'a\' s:'b'`},
		{"1 1.5 .5 1e3 1e-3 0x1F x'1f' 0b01 b'01' 1a 0x 9e9e", 0,
			"i:1 d:1.5 d:.5 f:1e3 f:1e-3 x:0x1F x:x'1f' b:0b01 b:b'01' w:1a w:0x f:9e9 w:e"},
		{"t.1a t.5 .5", 0, "w:t p:. w:1a w:t p:. w:5 d:.5"},
		{"@x @`a b` @'q' @@sql_mode @@global.x @@session.`y`", 0, "@:@x @:@`a b` @:@'q' @@:@@sql_mode @@:@@global.x @@:@@session.`y`"},
		{"a<=>b a->>'$' a!=b a<>b x:=1 a||b", 0, "w:a p:<=> w:b w:a p:->> s:'$' w:a p:!= w:b w:a p:<> w:b w:x p::= i:1 w:a p:|| w:b"},
		{"a -- c\nb # d\nc /* e */ d--e", 0, "w:a w:b w:c w:d p:- p:- w:e"},
		{"a /*!50000 b */ c /*! d*/ * /*+ hint */ e", 0, "w:a w:b w:c w:d p:* w:e"},
		{"a /* open", 0, "w:a !:/* open"},
		{"'open", 0, "!:'open"},
		{"`open", 0, "!:`open"},
		{"limit ?, 10", 0, "w:limit p:? p:, i:10"},
		{"héllo 世界", 0, "w:héllo w:世界"},
		{"a\x00b", 0, "w:a !:\x00"},
		{"--", 0, ""},
		{"", 0, ""},
	} {
		want := strings.ReplaceAll(c.want, "p:?", "?:?")
		if got := dump(c.src, c.mode); got != want {
			t.Errorf("%q mode %d:\n got %s\nwant %s", c.src, c.mode, got, want)
		}
	}
}

func TestQuotedNamesAreReadBack(t *testing.T) {
	for _, name := range []string{"a", "a b", "a`b", "``", "select", "1", "a.b", "'", `\`} {
		text := QuoteName(name)
		if tokens := Tokenize(text, 0); len(tokens) != 1 || tokens[0].Kind != Quoted || tokens[0].Value(text, 0) != name {
			t.Errorf("%s is read as %v", text, tokens)
		}
	}
}

func TestTokenValue(t *testing.T) {
	for _, c := range []struct {
		src  string
		mode Mode
		want string
	}{
		{`'a''b\n\%\_\\\0'`, 0, "a'b\n\\%\\_\\\x00"},
		{`'a\n'`, NoBackslashEscapes, `a\n`},
		{`"a""b"`, 0, `a"b`},
		{"`a``b\\n`", 0, "a`b\\n"},
		{"@`a``b`", 0, "a`b"},
		{`@'x\'y'`, 0, "x'y"},
		{"@name", 0, "name"},
		{"@", 0, ""},
		{"''", 0, ""},
		{"Word", 0, "Word"},
	} {
		toks := Tokenize(c.src, c.mode)
		if len(toks) != 1 {
			t.Fatalf("%q: %d tokens", c.src, len(toks))
		}
		if got := toks[0].Value(c.src, c.mode); got != c.want {
			t.Errorf("%q: got %q, want %q", c.src, got, c.want)
		}
	}
}

func TestParseMode(t *testing.T) {
	if got := ParseMode("STRICT_TRANS_TABLES, ansi_quotes,NO_BACKSLASH_ESCAPES"); got != AnsiQuotes|NoBackslashEscapes {
		t.Errorf("got %d", got)
	}
	if got := ParseMode("ANSI"); got&AnsiQuotes == 0 || got&PipesAsConcat == 0 {
		t.Errorf("ANSI gives %d", got)
	}
}

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		sql  string
		want []string
	}{
		{"select 1", []string{"select 1"}},
		{" select 1 ; ", []string{"select 1"}},
		{"", nil},
		{" ; ;; -- x\n", nil},
		{"/* only */", nil},
		{"a;b;c", []string{"a", "b", "c"}},
		{"select ';'; select \"a;b\"; select `;`", []string{"select ';'", "select \"a;b\"", "select `;`"}},
		{"a -- ; no\n; b /* ; */; # ;\n c", []string{"a -- ; no", "b /* ; */", "# ;\n c"}},
		{"/*!40101 SET NAMES utf8 */; b", []string{"/*!40101 SET NAMES utf8 */", "b"}},
		{"/*! a; b */; c", []string{"/*! a; b */", "c"}},
		{"create procedure p() begin select 1; if a then select 2; end if; end; select 3",
			[]string{"create procedure p() begin select 1; if a then select 2; end if; end", "select 3"}},
		{"create procedure p() begin select if(a,1,2); drop table if exists t; end; select 3",
			[]string{"create procedure p() begin select if(a,1,2); drop table if exists t; end", "select 3"}},
		{"create trigger x before insert on t for each row begin select case when 1 then 2 end; end; b",
			[]string{"create trigger x before insert on t for each row begin select case when 1 then 2 end; end", "b"}},
		{"begin; insert into t values (1); commit", []string{"begin", "insert into t values (1)", "commit"}},
		{"select case a when 1 then 2 end; b", []string{"select case a when 1 then 2 end", "b"}},
		{"a; 'open ; b", []string{"a", "'open ; b"}},
	} {
		pieces := Split(c.sql, 0)
		var got []string
		for _, p := range pieces {
			got = append(got, p.Text)
			if c.sql[p.Offset:p.Offset+len(p.Text)] != p.Text {
				t.Errorf("%q: piece %q is not at offset %d", c.sql, p.Text, p.Offset)
			}
		}
		if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", c.want) {
			t.Errorf("%q:\n got %q\nwant %q", c.sql, got, c.want)
		}
	}
}

// FuzzTokenize checks that tokens are in order, do not overlap, leave only blanks and comments between them, and decode.
func FuzzTokenize(f *testing.F) {
	for _, s := range []string{"select `a``b`, 'x\\'' from t -- c\n where @a = 0x1f", "/*!50000 a */ b /* c", "a.5e .5e 1e+ x'1", "\x85\xa0\xff", "@@global.", "@`", "a;'b;c'"} {
		f.Add(s, uint8(0))
		f.Add(s, uint8(AnsiQuotes|NoBackslashEscapes))
	}
	f.Fuzz(func(t *testing.T, src string, m uint8) {
		mode := Mode(m)
		pos := 0
		for _, tok := range Tokenize(src, mode) {
			if tok.Start < pos || tok.End <= tok.Start || tok.End > len(src) {
				t.Fatalf("%q: token %+v after %d", src, tok, pos)
			}
			gap := src[pos:tok.Start]
			if lx := NewLexer(gap, mode); !strings.Contains(gap, "*") && lx.Next().Kind != EOF {
				t.Fatalf("%q: text %q between tokens", src, gap)
			}
			if tok.Kind != Invalid {
				tok.Value(src, mode)
			}
			pos = tok.End
		}
		for _, p := range Split(src, mode) {
			if src[p.Offset:p.Offset+len(p.Text)] != p.Text {
				t.Fatalf("%q: piece %+v is not in place", src, p)
			}
		}
	})
}
