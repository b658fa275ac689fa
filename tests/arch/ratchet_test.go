package arch

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Sizes above which code enters the ratchet: it may be there, listed, and it may shrink, but never grow.
const (
	functionLines = 70
	fileLines     = 700
)

const ratchetFile = "ratchet.txt"

const ratchetHead = `# Functions longer than 70 lines and files longer than 700, generated code and tests left out, at the size they may have.
# A size may shrink (make gen lowers it here), never grow. A new line is added by hand in review, or with -admit.
`

var (
	update = flag.Bool("update", false, "lower "+ratchetFile+" to today's sizes")
	admit  = flag.Bool("admit", false, "with -update: also list offenders that are new or grew")
)

func TestSizes(t *testing.T) {
	sizes, err := measure(os.DirFS(filepath.Join("..", "..")))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(ratchetFile)
	if err != nil {
		t.Fatal(err)
	}
	allowed, err := readRatchet(text)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		allowed = tighten(allowed, sizes, *admit)
		if err := os.WriteFile(ratchetFile, writeRatchet(allowed), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, fault := range ratchetFaults(allowed, sizes) {
		t.Error(fault)
	}
	for _, what := range slices.Sorted(maps.Keys(allowed)) {
		if sizes[what] < allowed[what] {
			t.Logf("%s shrank from %d to %d: `make gen` lowers the ratchet", what, allowed[what], sizes[what])
		}
	}
}

func ratchetFaults(allowed, sizes map[string]int) (faults []string) {
	for _, what := range slices.Sorted(maps.Keys(sizes)) {
		size, limit := sizes[what], allowed[what]
		switch {
		case size <= limit:
		case limit > 0:
			faults = append(faults, fmt.Sprintf("%s grew from %d to %d lines: split it", what, limit, size))
		default:
			faults = append(faults, fmt.Sprintf("%s has %d lines, more than %d for a function or %d for a file: split it",
				what, size, functionLines, fileLines))
		}
	}
	return faults
}

// tighten lowers every allowance to today's size and drops what is no longer too long.
func tighten(allowed, sizes map[string]int, admitNew bool) map[string]int {
	result := map[string]int{}
	for what, size := range sizes {
		if limit, listed := allowed[what]; listed && size <= limit || admitNew {
			result[what] = size
		} else if listed {
			result[what] = limit
		}
	}
	return result
}

// measure returns the size of everything that is too long, by "func path name" and "file path".
func measure(root fs.FS) (map[string]int, error) {
	sizes := map[string]int{}
	err := fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if name == "testdata" || name == "data" || name == "bin" || len(name) > 1 && name[0] == '.' {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || strings.HasSuffix(name, ".pb.go") {
			return nil
		}
		text, err := fs.ReadFile(root, path)
		if err != nil {
			return err
		}
		return measureFile(path, text, sizes)
	})
	return sizes, err
}

func measureFile(path string, text []byte, sizes map[string]int) error {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, path, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	if ast.IsGenerated(file) {
		return nil
	}
	if lines := bytes.Count(text, []byte("\n")); lines > fileLines {
		sizes["file "+path] = lines
	}
	for _, decl := range file.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if !ok {
			continue
		}
		lines := fset.Position(f.End()).Line - fset.Position(f.Pos()).Line + 1
		if lines > functionLines {
			sizes["func "+path+" "+functionName(f)] = lines
		}
	}
	return nil
}

// functionName is Type.Method or Function.
func functionName(f *ast.FuncDecl) string {
	if f.Recv == nil || len(f.Recv.List) == 0 {
		return f.Name.Name
	}
	receiver := f.Recv.List[0].Type
	for {
		switch r := receiver.(type) {
		case *ast.StarExpr:
			receiver = r.X
		case *ast.IndexExpr:
			receiver = r.X
		case *ast.IndexListExpr:
			receiver = r.X
		case *ast.Ident:
			return r.Name + "." + f.Name.Name
		default:
			return f.Name.Name
		}
	}
}

func readRatchet(text []byte) (map[string]int, error) {
	allowed := map[string]int{}
	for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); {
		line := strings.TrimSpace(s.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		cut := strings.LastIndexByte(line, ' ')
		if cut < 0 {
			return nil, fmt.Errorf("%s: unreadable line %q", ratchetFile, line)
		}
		size, err := strconv.Atoi(line[cut+1:])
		if err != nil {
			return nil, fmt.Errorf("%s: unreadable line %q", ratchetFile, line)
		}
		allowed[line[:cut]] = size
	}
	return allowed, nil
}

func writeRatchet(allowed map[string]int) []byte {
	var b bytes.Buffer
	b.WriteString(ratchetHead)
	for _, what := range slices.Sorted(maps.Keys(allowed)) {
		fmt.Fprintf(&b, "%s %d\n", what, allowed[what])
	}
	return b.Bytes()
}

func TestRatchetRuleCatches(t *testing.T) {
	long := "package x\nfunc (s *T[K]) Long() {\n" + strings.Repeat("\n", functionLines) + "}\n"
	sizes := map[string]int{}
	for path, text := range map[string]string{
		"a/long.go": long, "a/short.go": "package x\nfunc Short() {}\n",
		"a/big.go": "package x\n" + strings.Repeat("\n", fileLines),
		"a/gen.go": "// Code generated by hand. DO NOT EDIT.\n\n" + long,
	} {
		if err := measureFile(path, []byte(text), sizes); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]int{"func a/long.go T.Long": functionLines + 2, "file a/big.go": fileLines + 1}
	if !maps.Equal(sizes, want) {
		t.Fatalf("sizes %v, want %v", sizes, want)
	}
	for _, c := range []struct {
		name    string
		allowed map[string]int
		faults  int
	}{
		{"unlisted", nil, 2},
		{"listed", want, 0},
		{"grown", map[string]int{"func a/long.go T.Long": functionLines + 1, "file a/big.go": fileLines + 1}, 1},
		{"shrunk", map[string]int{"func a/long.go T.Long": 200, "file a/big.go": 2000}, 0},
	} {
		if faults := ratchetFaults(c.allowed, sizes); len(faults) != c.faults {
			t.Errorf("%s: %q", c.name, faults)
		}
	}
	loose := map[string]int{"func a/long.go T.Long": 200, "func a/gone.go F": 99}
	if got := tighten(loose, sizes, false); !maps.Equal(got, map[string]int{"func a/long.go T.Long": functionLines + 2}) {
		t.Errorf("tightened to %v", got)
	}
	if got := tighten(loose, sizes, true); !maps.Equal(got, want) {
		t.Errorf("admitted %v", got)
	}
	again, err := readRatchet(writeRatchet(want))
	if err != nil || !maps.Equal(again, want) {
		t.Errorf("read back %v (%v)", again, err)
	}
}
