// Package arch proves what the compiler does not: imports run one way, pure packages stay pure, every package says
// what it is, and nothing grows beyond a size that people can read. The rules are data in rules_test.go, each with its
// reason. A rule that names a package that does not exist is not an error: it waits for the package (see -v).
package arch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/doc"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// goPackage is what `go list` tells about a package of this module.
type goPackage struct {
	Dir, ImportPath, Name, Doc, Export string
	GoFiles, TestGoFiles, XTestGoFiles []string
	Imports, TestImports, XTestImports []string
	Module                             *struct{ Path, Dir string }
	Error                              *struct{ Err string }
}

// path is the package's place below the module, "." for the root.
func (p *goPackage) path() string { return relative(p.ImportPath, p.Module.Path) }

func relative(importPath, module string) string {
	if importPath == module {
		return "."
	}
	return strings.TrimPrefix(importPath, module+"/")
}

// goList asks without default.pgo, for which packages that main imports would have names of their own.
func goList(args ...string) ([]*goPackage, error) {
	cmd := exec.Command("go", append([]string{"list", "-pgo=off"}, args...)...)
	cmd.Dir = filepath.Join("..", "..")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list %s: %w\n%s", strings.Join(args, " "), err, stderr.String())
	}
	var all []*goPackage
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		p := new(goPackage)
		if err := decoder.Decode(p); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
}

// module lists the packages of this module once.
var module = sync.OnceValues(func() ([]*goPackage, error) { return goList("-e", "-json", "./...") })

func modulePackages(t *testing.T) []*goPackage {
	t.Helper()
	all, err := module()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 3 {
		t.Fatalf("only %d packages found", len(all))
	}
	return all
}

func TestImports(t *testing.T) {
	all := modulePackages(t)
	for _, p := range all {
		for _, fault := range importFaults(p) {
			t.Error(fault)
		}
	}
	for _, pattern := range rulePatterns() {
		if !slices.ContainsFunc(all, func(p *goPackage) bool { return matches(pattern, p.path()) }) {
			t.Logf("no package matches %s yet", pattern)
		}
	}
}

func rulePatterns() []string {
	var patterns []string
	for _, l := range layers {
		patterns = append(patterns, l.pkg)
		patterns = append(patterns, strings.Fields(l.may)...)
	}
	for _, h := range homes {
		patterns = append(patterns, strings.Fields(h.in)...)
	}
	for _, p := range purities {
		patterns = append(patterns, p.pkg)
	}
	patterns = append(patterns, deterministic...)
	slices.Sort(patterns)
	return slices.Compact(patterns)
}

// importFaults checks one package against all rules. Test files obey the layers and homes as well, but may use what
// they like to make a pure package's test run.
func importFaults(p *goPackage) (faults []string) {
	pkg, mod := p.path(), p.Module.Path
	own, known := layerOf(pkg)
	if !known {
		return []string{fmt.Sprintf("%s is in no layer: the top level is fe, be, sql, meta, proto, tests, conf (rules_test.go)", pkg)}
	}
	imports := slices.Concat(p.Imports, p.TestImports, p.XTestImports)
	slices.Sort(imports)
	for _, dep := range slices.Compact(imports) {
		if below(mod, dep) {
			if to := relative(dep, mod); to != pkg && !matchesAny(own.may, to) {
				faults = append(faults, fmt.Sprintf("%s imports %s; it may import only %q: %s", pkg, to, own.may, own.reason))
			}
		}
		for _, h := range homes {
			if below(h.dep, dep) && !matchesAny(h.in, pkg) {
				faults = append(faults, fmt.Sprintf("%s imports %s; that is only for %s: %s", pkg, dep, h.in, h.reason))
			}
		}
	}
	for _, rule := range purities {
		if !matches(rule.pkg, pkg) {
			continue
		}
		for _, dep := range p.Imports {
			for prefix := range strings.FieldsSeq(rule.forbids) {
				if below(prefix, dep) {
					faults = append(faults, fmt.Sprintf("%s imports %s: %s", pkg, dep, rule.reason))
				}
			}
		}
	}
	return faults
}

// TestImportRulesCatch plants one import each into an otherwise good package.
func TestImportRulesCatch(t *testing.T) {
	for _, c := range []struct {
		pkg, dep string
		bad      bool
	}{
		{"be/scan", "stele/fe/sched", true},
		{"be/scan", "stele/meta/catalog", true},
		{"be/scan", "stele/sql/exec", false},
		{"fe", "stele/be", true},
		{"fe/stmt", "stele/be/tablet", true},
		{"fe/stmt", "stele/fe/stmt/admin", true},
		{"fe/stmt/admin", "stele/fe/stmt/proc", true},
		{"fe/stmt/mysql", "stele/fe/stmt/admin", true},
		{"fe/session/vars", "stele/fe/session", true},
		{"fe/stmt/all", "stele/fe/stmt/mysql", false},
		{"sql/exec", "stele/meta/raftlog", true},
		{"sql/plan", "stele/meta/catalog", false},
		{"sql/define", "stele/sql/plan", false},
		{"sql/define", "stele/sql/exec", true},
		{"sql/explain", "stele/sql/plan", true},
		{"sql/vec", "stele/sql/expr", true},
		{"fe/sched", "stele/conf", true},
		{"fe/sched", "sync/atomic", true},
		{"fe/sched", "time", false},
		{"meta/types", "stele/conf", true},
		{"meta/catalog", "math/rand/v2", true},
		{"fe/local", "stele/fe", true},
		{"fe/console", "stele/sql/syntax", false},
		{"be/clone", "github.com/dgraph-io/badger/v4", true},
		{"be/tablet", "github.com/dgraph-io/badger/v4", true},
		{"be/tablet/kv", "github.com/dgraph-io/badger/v4", false},
		{"be/tablet/memtable", "stele/be/tablet/kv", true},
		{"be/tablet/wire", "stele/be/tablet", true},
		{"meta/catalog", "github.com/hashicorp/raft", true},
		{"meta/raftlog", "github.com/hashicorp/raft-wal", false},
		{"fe/stmt", "github.com/go-mysql-org/go-mysql/server", true},
		{"be/clone", "google.golang.org/grpc/codes", true},
		{"be/server", "google.golang.org/grpc", false},
		{"tools", "fmt", true},
		{".", "stele/fe/sched", true},
	} {
		p := &goPackage{ImportPath: "stele/" + c.pkg, Imports: []string{c.dep}}
		if c.pkg == "." {
			p.ImportPath = "stele"
		}
		p.Module = &struct{ Path, Dir string }{Path: "stele"}
		if faults := importFaults(p); (len(faults) > 0) != c.bad {
			t.Errorf("%s importing %s: faults %q", c.pkg, c.dep, faults)
		}
	}
}

// TestPackageDocs wants to read in every package what it is.
func TestPackageDocs(t *testing.T) {
	for _, p := range modulePackages(t) {
		if matches("proto/...", p.path()) {
			continue // generated
		}
		text, err := packageDoc(p)
		if err != nil {
			t.Error(err)
			continue
		}
		if fault := docFault(p.Name, text); fault != "" {
			t.Errorf("%s: %s", p.path(), fault)
		}
	}
}

// packageDoc returns the documentation, for a package of tests only from its test files.
func packageDoc(p *goPackage) (string, error) {
	if len(p.GoFiles) > 0 {
		return p.Doc, nil
	}
	for _, name := range slices.Concat(p.TestGoFiles, p.XTestGoFiles) {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			return "", err
		}
		if f.Doc != nil {
			return new(doc.Package).Synopsis(f.Doc.Text()), nil
		}
	}
	return "", nil
}

func docFault(name, text string) string {
	begin := "Package " + strings.TrimSuffix(name, "_test") + " "
	if name == "main" {
		begin = "Command "
	}
	switch {
	case text == "":
		return "no package documentation: say what it owns and what it never does"
	case !strings.HasPrefix(text, begin):
		return fmt.Sprintf("the documentation does not begin with %q", begin)
	}
	return ""
}

func TestDocRuleCatches(t *testing.T) {
	for _, c := range []struct {
		name, text string
		bad        bool
	}{
		{"x", "", true}, {"x", "Package y is.", true}, {"x", "Package x is.", false}, {"main", "Command stele is.", false},
		{"x_test", "Package x is.", false},
	} {
		if fault := docFault(c.name, c.text); (fault != "") != c.bad {
			t.Errorf("%+v: %q", c, fault)
		}
	}
}
