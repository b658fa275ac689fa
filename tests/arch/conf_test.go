package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestConfigIsRead proves that every configuration item is read by somebody: one that nobody reads promises what it does
// not do.
func TestConfigIsRead(t *testing.T) {
	root := filepath.Join("..", "..")
	unread := map[string]bool{}
	for _, file := range []string{"fe.go", "be.go"} {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, "conf", file), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.VAR {
				continue
			}
			for _, s := range g.Specs {
				for _, name := range s.(*ast.ValueSpec).Names {
					if name.IsExported() && name.Name != "FE" && name.Name != "BE" {
						unread[name.Name] = true
					}
				}
			}
		}
	}
	err := filepath.WalkDir(root, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "conf"+string(filepath.Separator)) {
			return err
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for name := range unread { // unordered: each name is looked for by itself
			if strings.Contains(string(src), "conf."+name+".Get(") {
				delete(unread, name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range unread { // unordered: the order of the complaints does not matter
		t.Errorf("configuration item %s is declared and never read", name)
	}
}
