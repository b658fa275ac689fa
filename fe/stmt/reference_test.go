package stmt

import (
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "write the generated files")

// checkFile compares a generated text with its file, or writes it.
func checkFile(t *testing.T, path, text string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != text {
		t.Errorf("%s is out of date: make gen, then read the difference\n%s", path, firstDifference(string(want), text))
	}
}

// firstDifference shows where two texts part.
func firstDifference(want, got string) string {
	i := 0
	for i < len(want) && i < len(got) && want[i] == got[i] {
		i++
	}
	from := max(0, i-200)
	return "want …" + want[from:min(len(want), i+200)] + "\ngot …" + got[from:min(len(got), i+200)]
}

// TestReference keeps the manual in step with the declarations.
func TestReference(t *testing.T) { checkFile(t, "STATEMENTS.md", Doc()) }
