package plan

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	ast "stele/sql/parse"
)

// loadField is one value of a line, nil = NULL.
type loadField *string

// writeLine writes fields as MySQL's SELECT ... INTO OUTFILE does.
func writeLine(f LoadFormat, fields []loadField) string {
	var b strings.Builder
	b.WriteString(f.Start)
	for i, v := range fields {
		if i > 0 {
			b.WriteString(f.Field)
		}
		if v == nil {
			b.WriteString(string(f.Escape) + "N")
			continue
		}
		if f.Quote != 0 {
			b.WriteByte(f.Quote)
		}
		for _, c := range []byte(*v) {
			switch {
			case c == 0:
				b.WriteString(string(f.Escape) + "0")
			case c == f.Escape || c == f.Quote || c == f.Field[0] || c == f.Line[0] || f.Start != "" && c == f.Start[0]:
				b.WriteString(string(f.Escape) + string(c))
			default:
				b.WriteByte(c)
			}
		}
		if f.Quote != 0 {
			b.WriteByte(f.Quote)
		}
	}
	return b.String() + f.Line
}

// readLines reads text in pieces cut where Cut says.
func readLines(f LoadFormat, text string, step int) (out [][]loadField) {
	take := func(piece string) {
		r := loadReader{f: f, s: piece}
		for r.line() {
			var line []loadField
			for more := true; more; {
				var c ast.Cell
				if c, more = r.field(); c.Kind == ast.CellNull {
					line = append(line, nil)
				} else {
					line = append(line, &c.Text)
				}
			}
			out = append(out, line)
		}
	}
	rest := ""
	for len(text) > 0 {
		n := min(step, len(text))
		rest, text = rest+text[:n], text[n:]
		cut := f.Cut([]byte(rest))
		take(rest[:cut])
		rest = rest[cut:]
	}
	take(rest)
	return out
}

func TestLoadReadsWhatWasWritten(t *testing.T) {
	formats := []LoadFormat{
		{Field: "\t", Line: "\n", Escape: '\\'},
		{Field: ",", Line: "\n", Escape: '\\', Quote: '"'},
		{Field: ";", Line: "\r\n", Escape: '\\'},
		{Field: "||", Line: "\n", Escape: '\\', Start: "> "},
	}
	rapid.Check(t, func(t *rapid.T) {
		f := rapid.SampledFrom(formats).Draw(t, "format")
		value := rapid.Custom(func(t *rapid.T) loadField {
			if rapid.IntRange(0, 5).Draw(t, "null") == 0 {
				return nil
			}
			// The specials without what stands for itself after the escape (n, t, N...): those come from MySQL's own table.
			s := rapid.StringOf(rapid.SampledFrom([]rune("ax \\\",;|>\x00é'"))).Draw(t, "value")
			return &s
		})
		lines := rapid.SliceOf(rapid.SliceOfN(value, 2, 4)).Draw(t, "lines")
		var text strings.Builder
		for _, l := range lines {
			text.WriteString(writeLine(f, l))
		}
		got := readLines(f, text.String(), rapid.IntRange(1, 50).Draw(t, "step"))
		if len(got) != len(lines) {
			t.Fatalf("%d lines of %q, not %d", len(got), text.String(), len(lines))
		}
		for i := range lines {
			if a, b := lineText(got[i]), lineText(lines[i]); a != b {
				t.Fatalf("line %d of %q: %s, not %s", i, text.String(), a, b)
			}
		}
	})
}

func lineText(line []loadField) string {
	var out []string
	for _, v := range line {
		if v == nil {
			out = append(out, "NULL")
		} else {
			out = append(out, "<"+*v+">")
		}
	}
	return strings.Join(out, "|")
}

func TestLoadEscapes(t *testing.T) {
	f := LoadFormat{Field: "\t", Line: "\n", Escape: '\\'}
	got := readLines(f, "a\\tb\t\\N\tx\\ny\t\\0\t\\Z\\\\\nNULL\t\n", 1000)
	want := []string{"<a\tb>|NULL|<x\ny>|<\x00>|<\x1a\\>", "<NULL>|<>"}
	if len(got) != len(want) {
		t.Fatalf("%d lines", len(got))
	}
	for i := range want {
		if lineText(got[i]) != want[i] {
			t.Errorf("line %d: %q, not %q", i, lineText(got[i]), want[i])
		}
	}
	csv := LoadFormat{Field: ",", Line: "\n", Escape: 0, Quote: '"'}
	if got := lineText(readLines(csv, "\"a\"\"b\",NULL,\"NULL\",\"x\ny\"\n", 7)[0]); got != "<a\"b>|NULL|<NULL>|<x\ny>" {
		t.Errorf("csv line: %q", got)
	}
}
