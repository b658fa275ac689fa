package cmdline

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		args        []string
		least, most int
		rest        []string
		code        int
		out, errs   string // parts
	}{
		{[]string{"--conf", "x"}, 0, 0, nil, ExitOK, "", ""},
		{[]string{"a", "--conf", "x", "b"}, 2, 2, []string{"a", "b"}, ExitOK, "", ""},
		{[]string{"--conf", "x", "a", "--", "b", "-c", "--"}, 4, 4, []string{"a", "b", "-c", "--"}, ExitOK, "", ""},
		{[]string{"--conf", "x", "--", "--conf", "y"}, 2, 2, []string{"--conf", "y"}, ExitOK, "", ""},
		{[]string{"a", "--help"}, 0, 0, nil, ExitOK, "usage: stele be\n\n  --conf FILE", ""},
		{[]string{"--help"}, 0, 0, nil, ExitOK, "where the `file` is", ""},
		{[]string{"--help"}, 0, 0, nil, ExitOK, "  -p INT               a port (default 7)\n", ""},
		{[]string{"--bogus"}, 0, 0, nil, ExitUsage, "", "stele be: flag provided but not defined: -bogus\nSee stele be --help.\n"},
		{[]string{"-p", "x"}, 0, 0, nil, ExitUsage, "", `stele be: invalid value "x" for flag -p`},
		{[]string{"a", "b"}, 0, 1, nil, ExitUsage, "", "stele be: unexpected argument \"b\"\n"},
		{[]string{"a"}, 2, 2, nil, ExitUsage, "", "stele be: 1 arguments, not 2\n"},
	} {
		var out, errs bytes.Buffer
		s := New("stele be", "usage: stele be\n", &out, &errs)
		conf := s.String("conf", "", "where the `file` is")
		s.Int("p", 7, "a port")
		rest, code, ok := s.Parse(c.args, c.least, c.most)
		if code != c.code || !slices.Equal(rest, c.rest) {
			t.Errorf("%q: %q, code %d", c.args, rest, code)
		}
		if want := c.out == "" && c.errs == ""; ok != want {
			t.Errorf("%q: ok is %v", c.args, ok)
		} else if ok && *conf != "x" {
			t.Errorf("%q: conf is %q", c.args, *conf)
		}
		if want := strings.ReplaceAll(c.out, "`", ""); !strings.Contains(out.String(), want) || c.out == "" && out.Len() > 0 {
			t.Errorf("%q: printed %q", c.args, out.String())
		}
		if !strings.HasPrefix(errs.String(), c.errs) || c.errs == "" && errs.Len() > 0 {
			t.Errorf("%q: complained %q", c.args, errs.String())
		}
	}
}
