package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"testing"
)

// tellers are the functions whose first argument is the number of an error that a client sees.
var tellers = map[string]bool{"Errorf": true, "errorf": true, "sqlErr": true, "opError": true, "clientErrorf": true}

// TestErrorNumbersAreDeclared holds that a number a client may be told is declared in sql/errno, once, with its SQLSTATE and meaning.
func TestErrorNumbersAreDeclared(t *testing.T) {
	for _, p := range modulePackages(t) {
		for _, name := range p.GoFiles {
			fset := token.NewFileSet()
			f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, at := range bareNumbers(f) {
				t.Errorf("%s: the number of an error stands bare: declare it in sql/errno and name it", fset.Position(at))
			}
		}
	}
}

// bareNumbers finds calls of tellers whose number is a literal.
func bareNumbers(f *ast.File) []token.Pos {
	var out []token.Pos
	ast.Inspect(f, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) == 0 || !tellers[callee(call)] {
			return true
		}
		if lit, ok := call.Args[0].(*ast.BasicLit); ok && lit.Kind == token.INT {
			out = append(out, lit.Pos())
		}
		return true
	})
	return out
}

// callee is the name of what is called, without its package or receiver.
func callee(call *ast.CallExpr) string {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return f.Sel.Name
	}
	return ""
}

func TestErrorNumberRuleCatches(t *testing.T) {
	const text = "package x\nfunc f() error { return sqltypes.Errorf(1062, \"twice\") }\nfunc g() error { return sqltypes.Errorf(errno.DuplicateEntry, \"twice\") }"
	f, err := parser.ParseFile(token.NewFileSet(), "x.go", text, 0)
	if err != nil {
		t.Fatal(err)
	}
	if found := bareNumbers(f); len(found) != 1 {
		t.Errorf("found %d bare numbers, want 1", len(found))
	}
}
