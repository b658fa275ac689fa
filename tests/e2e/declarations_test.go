package e2e

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// declaration is one line of the lists of declarations that every Go installation carries: real data of about 150,000
// rows that nobody made up for a test.
type declaration struct {
	file, pkg, platform, kind, decl string
	line, issue                     int // issue 0: none named
}

// declarationTable is where they go. Values of a declaration are printed by row in the order of the columns.
const declarationTable = `CREATE TABLE api (
	file VARCHAR(16) NOT NULL,
	line INT NOT NULL,
	pkg VARCHAR(64) NOT NULL,
	platform VARCHAR(32),
	kind VARCHAR(16) NOT NULL,
	decl TEXT NOT NULL,
	issue INT,
	PRIMARY KEY (file, line)
) DISTRIBUTED BY HASH(file, line) BUCKETS 6 PROPERTIES ("replication_num" = "3")`

var (
	declarationLine = regexp.MustCompile(`^pkg ([^ ,]+)(?: \(([^)]+)\))?, (\w+) (.*?)(?: #(\d+))?$`)
	declarationsMin = 100_000
)

// declarations reads the lists of this Go installation.
func declarations(t *testing.T) []declaration {
	t.Helper()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatalf("go env GOROOT: %v", err)
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(root)), "api", "go1*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	var all []declaration
	for _, file := range files {
		all = append(all, readDeclarations(t, file)...)
	}
	if len(all) < declarationsMin {
		t.Fatalf("this Go installation lists %d declarations in %d files, want %d", len(all), len(files), declarationsMin)
	}
	return all
}

func readDeclarations(t *testing.T, path string) (list []declaration) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		m := declarationLine.FindStringSubmatch(strings.TrimSpace(lines.Text()))
		if m == nil {
			continue // comments and blank lines
		}
		d := declaration{file: filepath.Base(path), line: n, pkg: m[1], platform: m[2], kind: m[3], decl: m[4]}
		if m[5] != "" {
			if _, err := fmt.Sscan(m[5], &d.issue); err != nil {
				t.Fatalf("%s:%d: issue %q: %v", path, n, m[5], err)
			}
		}
		list = append(list, d)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return list
}

// tuple is the row as SQL.
func (d declaration) tuple(b *strings.Builder) {
	fmt.Fprintf(b, "(%s,%d,%s,", quote(d.file), d.line, quote(d.pkg))
	if d.platform == "" {
		b.WriteString("NULL")
	} else {
		b.WriteString(quote(d.platform))
	}
	fmt.Fprintf(b, ",%s,%s,", quote(d.kind), quote(d.decl))
	if d.issue == 0 {
		b.WriteString("NULL)")
	} else {
		fmt.Fprintf(b, "%d)", d.issue)
	}
}

func quote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

// row is the row as a query prints it.
func (d declaration) row() string {
	platform, issue := d.platform, fmt.Sprint(d.issue)
	if platform == "" {
		platform = "NULL"
	}
	if d.issue == 0 {
		issue = "NULL"
	}
	return strings.Join([]string{d.file, fmt.Sprint(d.line), d.pkg, platform, d.kind, d.decl, issue}, "|")
}

// sorted returns the rows as ORDER BY file, line gives them.
func sorted(list []declaration) []string {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b declaration) int {
		if c := strings.Compare(a.file, b.file); c != 0 {
			return c
		}
		return a.line - b.line
	})
	rows := make([]string, len(list))
	for i, d := range list {
		rows[i] = d.row()
	}
	return rows
}
