package errno

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the generated file")

// TestReference keeps the list of errors in step with the declarations.
func TestReference(t *testing.T) {
	const path = "ERRORS.md"
	if *update {
		if err := os.WriteFile(path, []byte(reference()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != reference() {
		t.Errorf("%s is out of date: run `make gen`", path)
	}
}

// reference is the text of ERRORS.md.
func reference() string {
	var b strings.Builder
	b.WriteString("# Errors and warnings\n\nGenerated from the declarations in this folder; change those and run `make gen`.\n\n" +
		"The text that comes with a number names what is wrong, and where there is a way out that the statement alone does not show, that too. " +
		"Numbers from 1000 on are MySQL's, from 5000 to 5999 StarRocks', below 1000 OpenMLDB's.\n\n" +
		"| number | SQLSTATE | when |\n| --- | --- | --- |\n")
	for _, e := range All() {
		fmt.Fprintf(&b, "| %d | %s | %s |\n", e.Number, e.State, strings.ReplaceAll(e.Meaning, "|", `\|`))
	}
	return b.String()
}

func TestState(t *testing.T) {
	for number, want := range map[uint16]string{1062: "23000", 1146: "42S02", 1213: "40001", 1105: "HY000", 9999: "HY000"} {
		if got := State(number); got != want {
			t.Errorf("State(%d) = %s, want %s", number, got, want)
		}
	}
}

func TestDeclareRefuses(t *testing.T) {
	for name, entry := range map[string]Entry{"a number twice": {1062, "23000", "x"}, "a short SQLSTATE": {9998, "23", "x"}, "no meaning": {9998, "HY000", ""}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s was declared", name)
				}
			}()
			declare(entry.Number, entry.State, entry.Meaning)
		}()
	}
}
