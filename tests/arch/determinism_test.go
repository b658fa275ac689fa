package arch

import (
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// unorderedMark, with a reason behind it, allows a range over a map on its own line or the line below: the author says
// why the order does not matter ("the sum is the same in any order").
const unorderedMark = "unordered:"

// TestDeterminism refuses goroutines, the clock, shared randomness and map order in the packages whose results must
// not depend on them.
func TestDeterminism(t *testing.T) {
	var patterns []string
	for _, p := range modulePackages(t) {
		if slices.ContainsFunc(deterministic, func(d string) bool { return matches(d, p.path()) }) && len(p.GoFiles) > 0 {
			patterns = append(patterns, p.ImportPath)
		}
	}
	if patterns == nil {
		t.Log("none of the packages exists yet")
		return
	}
	// Export data of all dependencies, so that the packages are type-checked without compiling their world again.
	deps, err := goList(append([]string{"-json", "-export", "-deps"}, patterns...)...)
	if err != nil {
		t.Fatal(err)
	}
	exports := map[string]string{}
	for _, p := range deps {
		exports[p.ImportPath] = p.Export
	}
	for _, p := range deps {
		if !slices.Contains(patterns, p.ImportPath) {
			continue
		}
		fset := token.NewFileSet()
		var files []*ast.File
		for _, name := range p.GoFiles {
			f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, f)
		}
		faults, err := determinismFaults(fset, p.ImportPath, files, exports)
		if err != nil {
			t.Fatal(err)
		}
		for _, fault := range faults {
			t.Error(fault)
		}
	}
}

func determinismFaults(fset *token.FileSet, path string, files []*ast.File, exports map[string]string) ([]string, error) {
	open := func(path string) (io.ReadCloser, error) {
		if exports[path] == "" {
			return nil, fmt.Errorf("no export data for %s", path)
		}
		return os.Open(exports[path])
	}
	checker := types.Config{Importer: importer.ForCompiler(fset, "gc", open)}
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}}
	if _, err := checker.Check(path, fset, files, info); err != nil {
		return nil, fmt.Errorf("type-check %s: %w", path, err)
	}
	var faults []string
	for _, file := range files {
		marked := markedLines(fset, file)
		ast.Inspect(file, func(n ast.Node) bool {
			if n == nil {
				return true
			}
			at := fset.Position(n.Pos())
			if problem := indeterminate(n, info); problem != "" && (!marked[at.Line] || !isRange(n)) {
				faults = append(faults, fmt.Sprintf("%s:%d: %s", filepath.Base(at.Filename), at.Line, problem))
			}
			return true
		})
	}
	return faults, nil
}

func isRange(n ast.Node) bool { _, ok := n.(*ast.RangeStmt); return ok }

// markedLines are the lines that carry the mark with a reason, and the lines below those.
func markedLines(fset *token.FileSet, file *ast.File) map[int]bool {
	lines := map[int]bool{}
	for _, group := range file.Comments {
		for _, c := range group.List {
			if _, reason, found := strings.Cut(c.Text, unorderedMark); found && strings.TrimSpace(reason) != "" {
				line := fset.Position(c.Pos()).Line
				lines[line], lines[line+1] = true, true
			}
		}
	}
	return lines
}

// clockCalls are the functions of package time that look at the clock or wait for it.
var clockCalls = []string{"Now", "Since", "Until", "After", "AfterFunc", "Sleep", "Tick", "NewTicker", "NewTimer"}

// indeterminate says what is wrong with a node, or nothing.
func indeterminate(n ast.Node, info *types.Info) string {
	switch n := n.(type) {
	case *ast.GoStmt:
		return "a goroutine in a pure package: the caller owns concurrency"
	case *ast.SelectStmt:
		return "select picks at random: the caller owns concurrency"
	case *ast.RangeStmt:
		if _, isMap := info.TypeOf(n.X).Underlying().(*types.Map); isMap || isMapIterator(n.X, info) {
			return "ranging over a map has a random order: sort the keys, or say why it does not matter in a comment `// " +
				unorderedMark + " …`"
		}
	case *ast.Ident:
		f, ok := info.Uses[n].(*types.Func)
		if !ok || f.Pkg() == nil || f.Signature().Recv() != nil {
			return ""
		}
		switch pkg := f.Pkg().Path(); {
		case pkg == "time" && slices.Contains(clockCalls, f.Name()):
			return "time." + f.Name() + " in a pure package: take the time as an argument"
		case (pkg == "math/rand" || pkg == "math/rand/v2") && !strings.HasPrefix(f.Name(), "New"):
			return "shared randomness in a pure package: take a seeded source as an argument"
		}
	}
	return ""
}

// isMapIterator recognises maps.Keys(m), maps.Values(m) and maps.All(m).
func isMapIterator(x ast.Expr, info *types.Info) bool {
	call, ok := x.(*ast.CallExpr)
	if !ok {
		return false
	}
	selector, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	f, ok := info.Uses[selector.Sel].(*types.Func)
	return ok && f.Pkg() != nil && f.Pkg().Path() == "maps"
}

func TestDeterminismRuleCatches(t *testing.T) {
	deps, err := goList("-json", "-export", "-deps", "time", "maps", "math/rand/v2", "slices")
	if err != nil {
		t.Fatal(err)
	}
	exports := map[string]string{}
	for _, p := range deps {
		exports[p.ImportPath] = p.Export
	}
	for _, c := range []struct {
		body string
		bad  bool
	}{
		{"go func() {}()", true},
		{"select {}", true},
		{"_ = time.Now()", true},
		{"f := time.Since; _ = f", true},
		{"_ = time.Second", false},
		{"_ = rand.IntN(3)", true},
		{"_ = rand.New(rand.NewPCG(1, 2)).IntN(3)", false},
		{"for range m {}", true},
		{"type named map[int]int; for range (named{}) {}", true},
		{"for range maps.Keys(m) {}", true},
		{"for range slices.Sorted(maps.Keys(m)) {}", false},
		{"for range m {} // unordered: nothing is done", false},
		{"// unordered: nothing is done\nfor range m {}", false},
		{"for range m {} // unordered:", true},
		{"go func() {}() // unordered: not for goroutines", true},
		{"for range []int{1} {}", false},
	} {
		source := "package x\nimport (\"maps\"; \"math/rand/v2\"; \"slices\"; \"time\")\n" +
			"var _ = maps.Keys[map[int]int]\nvar _ = rand.NewPCG\nvar _ = slices.Sorted[int]\nvar _ time.Time\n" +
			"func f(m map[int]int) {\n" + c.body + "\n}\n"
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, "x.go", source, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		faults, err := determinismFaults(fset, "x", []*ast.File{file}, exports)
		if err != nil {
			t.Fatal(err)
		}
		if (len(faults) > 0) != c.bad {
			t.Errorf("%s: faults %q", c.body, faults)
		}
	}
}
