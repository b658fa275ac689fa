package console

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func scanAll(text string) (statements []Statement, err error) {
	s := NewScanner(strings.NewReader(text))
	for {
		st, err := s.Next()
		if errors.Is(err, io.EOF) {
			return statements, nil
		}
		if err != nil {
			return statements, err
		}
		statements = append(statements, st)
	}
}

func TestScanner(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []Statement
		fault      string
	}{
		{"nothing", " \n;;\n-- only a comment\n", nil, ""},
		{"two", "select 1; select 2", []Statement{{"select 1", 1, false}, {"select 2", 1, false}}, ""},
		{"lines", "\n\nselect\n 1\n;\nselect 2;", []Statement{{"select\n 1", 3, false}, {"select 2", 6, false}}, ""},
		{"quotes", `a ';' ";" ` + "`;`" + ` 'it''s;' '\';' "\";";b`,
			[]Statement{{`a ';' ";" ` + "`;`" + ` 'it''s;' '\';' "\";"`, 1, false}, {"b", 1, false}}, ""},
		{"backslash in backquotes", "a `\\`;b", []Statement{{"a `\\`", 1, false}, {"b", 1, false}}, ""},
		{"quote over lines", "a 'x;\n\\';y';b", []Statement{{"a 'x;\n\\';y'", 1, false}, {"b", 2, false}}, ""},
		{"comments", "a -- ;'\n b # ;'\n /* ;\n ' */ c; d--1;e",
			[]Statement{{"a -- ;'\n b # ;'\n /* ;\n ' */ c", 1, false}, {"d--1", 4, false}, {"e", 4, false}}, ""},
		{"comment alone", "/* x; */;a", []Statement{{"a", 1, false}}, ""},
		{"versioned comment is code", "/*!40101 SET NAMES utf8 */;a", []Statement{{"/*!40101 SET NAMES utf8 */", 1, false}, {"a", 1, false}}, ""},
		{"comment before", "-- c\na;", []Statement{{"-- c\na", 2, false}}, ""},
		{"vertical", "a\\G b\\g c;", []Statement{{"a", 1, true}, {"b", 1, false}, {"c", 1, false}}, ""},
		{"open quote", "a;\nb 'c;\n", []Statement{{"a", 1, false}}, "the ' that opens in line 2 is never closed"},
		{"open comment", "a /* b", nil, "the comment that opens in line 1 is never closed"},
	} {
		got, err := scanAll(c.text)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
		if (err == nil) != (c.fault == "") || err != nil && err.Error() != c.fault {
			t.Errorf("%s: error %v, want %q", c.name, err, c.fault)
		}
	}
}

func TestCutForThePrompt(t *testing.T) {
	for _, c := range []struct {
		text string
		want int
		rest string
	}{
		{"select 1;\n", 1, ""},
		{"select 1; select '", 1, " select '"},
		{"select\n", 0, "select\n"},
		{"'\n", 0, "'\n"},
		{"/*\n", 0, "/*\n"},
		{" \n", 0, ""},
		{"a\\G", 1, ""},
	} {
		statements, rest := Cut(c.text)
		if len(statements) != c.want || rest != c.rest {
			t.Errorf("%q: %d statements and %q, want %d and %q", c.text, len(statements), rest, c.want, c.rest)
		}
	}
}

// TestScannerFindsWhatWasJoined joins statements made of pieces that hide semicolons and expects them back.
func TestScannerFindsWhatWasJoined(t *testing.T) {
	piece := rapid.SampledFrom([]string{
		"x", " y ", "';'", `"a;b"`, "`;`", "'it''s'", `'\\'`, `'\';'`, "/* ; */", "-- ;\n", "# ;'\n", "\n", "a--b", "1/2*3", `"'"`,
	})
	rapid.Check(t, func(rt *rapid.T) {
		want := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) string {
			return "s" + strings.Join(rapid.SliceOfN(piece, 0, 6).Draw(rt, "pieces"), " ")
		}), 1, 8).Draw(rt, "statements")
		got, err := scanAll(strings.Join(want, "\n;\n"))
		if err != nil {
			rt.Fatal(err)
		}
		var texts []string
		for _, st := range got {
			texts = append(texts, st.Text)
		}
		for i := range want {
			want[i] = strings.TrimSpace(want[i])
		}
		if !slices.Equal(texts, want) {
			rt.Fatalf("got %q\nwant %q", texts, want)
		}
	})
}

// FuzzScanner: no text makes it panic or loop, and no byte of code is lost or invented.
func FuzzScanner(f *testing.F) {
	for _, seed := range []string{"a;b", "'", "/*;", "\\G", "`\\`;--\n;", "#\n\\g'\\"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		statements, _ := scanAll(text)
		length := 0
		for _, st := range statements {
			if !strings.Contains(text, st.Text) || strings.TrimSpace(st.Text) == "" {
				t.Fatalf("%q is no part of %q", st.Text, text)
			}
			length += len(st.Text)
		}
		if length > len(text) {
			t.Fatal("statements are longer than the script")
		}
	})
}
