// Package conf is the one place where a configuration item exists.
//
// Each item is declared once, in fe.go or be.go: name, aliases, Go type, default, bounds, whether it may change while
// the process runs, whether it concerns one process or the whole cluster, and a sentence that says when to change it.
// Everything else is derived from the declaration: the parser of fe.conf and be.conf, the commented templates and the
// manual beside this file, the rows of ADMIN SHOW FRONTEND CONFIG and the checks of ADMIN SET FRONTEND CONFIG.
//
// The package never starts a goroutine, never logs and opens no file but the one that Load is given.
//
// Invariants:
//
//  1. A *Values is immutable. Whoever holds one sees one consistent configuration for as long as it likes; a change
//     makes a new one.
//  2. A *Values is always valid: every value is inside its item's bounds and the cross-checks of its registry hold.
//     There is no way to build one that is not.
//  3. Nothing in a file is ignored: an unknown key, a value twice, an unreadable line are faults, and all faults of a
//     file are reported at once.
//  4. Registries are complete before main starts (declarations are package variables) and never change afterwards.
//
// The package keeps nothing on disk, so a crash loses nothing but runtime changes that the caller did not persist.
package conf

import (
	"fmt"
	"slices"
	"strings"
)

// Type is the value type as ADMIN SHOW FRONTEND CONFIG names it.
type Type string

// The types an item can have.
const (
	Int        Type = "int"
	Long       Type = "long"
	Bool       Type = "boolean"
	Double     Type = "double"
	String     Type = "String"
	StringList Type = "String[]"
)

// Scope says what a value concerns.
type Scope uint8

// The scopes of items.
const (
	// ScopeNode values belong to one process and may differ between processes.
	ScopeNode Scope = iota
	// ScopeCluster values steer decisions of the leading FE and must be the same on every FE.
	ScopeCluster
)

// String returns the word used in the manual.
func (s Scope) String() string {
	if s == ScopeCluster {
		return "cluster"
	}
	return "node"
}

// Spec is what every declared item, whatever its Go type, tells about itself. Fields are read-only after declaration.
type Spec struct {
	Key     string
	Aliases []string // sorted as declared; older or foreign names that a file or a statement may use
	Type    Type
	Unit    string // "ms", "s", "bytes", "%", "ratio" or empty
	Default string // as a file would spell it
	Bounds  string // readable, "" when every value of the type is good
	Mutable bool
	Scope   Scope
	Doc     string

	index  int
	parse  func(text string) (any, error)
	format func(value any) string
	// rebase turns a relative path value into one under base; nil for items that hold no path.
	rebase func(value any, base string) any
}

// AliasNames returns the aliases the way SHOW prints them: "[a, b]", or "[]" when there are none.
func (s *Spec) AliasNames() string { return "[" + strings.Join(s.Aliases, ", ") + "]" }

// IsMutable returns "true" or "false", as SHOW prints it.
func (s *Spec) IsMutable() string { return fmt.Sprint(s.Mutable) }

// Comment returns the documentation of the item on one line.
func (s *Spec) Comment() string { return s.Doc }

// Item is a declared item whose value has the Go type T.
type Item[T any] struct{ *Spec }

// Get returns the value that v holds for the item. It panics when v belongs to another registry: that is a bug in the
// caller, not a condition of the configuration.
func (it *Item[T]) Get(v *Values) T {
	if it.index >= len(v.vals) || v.reg.specs[it.index] != it.Spec {
		panic(fmt.Sprintf("BUG: item %q read from values of the %s registry", it.Key, v.reg.name))
	}
	return v.vals[it.index].(T)
}

// Group is a headed section of a registry; items are declared through it.
type Group struct {
	reg   *Registry
	Title string
	specs []*Spec
}

// Registry holds the items of one kind of process.
type Registry struct {
	name   string // "fe" or "be"
	title  string
	specs  []*Spec          // by index, in order of declaration
	byName map[string]*Spec // canonical names and aliases
	groups []*Group
	checks []func(*Values) []Fault
}

func newRegistry(name, title string) *Registry {
	return &Registry{name: name, title: title, byName: map[string]*Spec{}}
}

// Name is "fe" or "be".
func (r *Registry) Name() string { return r.name }

// All returns every item sorted by name.
func (r *Registry) All() []*Spec {
	all := slices.Clone(r.specs)
	slices.SortFunc(all, func(a, b *Spec) int { return strings.Compare(a.Key, b.Key) })
	return all
}

// Lookup finds an item by its name or one of its aliases; names are case-sensitive, as in the files.
func (r *Registry) Lookup(name string) (*Spec, bool) {
	s, ok := r.byName[name]
	return s, ok
}

// group opens a section; declarations that follow through it are listed under its title.
func (r *Registry) group(title string) *Group {
	g := &Group{reg: r, Title: title}
	r.groups = append(r.groups, g)
	return g
}

// check adds a cross-check over several items. It runs on every new set of values.
func (r *Registry) check(f func(*Values) []Fault) bool {
	r.checks = append(r.checks, f)
	return true
}

func (g *Group) add(s *Spec) {
	if s.Key == "" || s.Doc == "" || strings.ContainsAny(s.Doc, "\n\r") {
		panic(fmt.Sprintf("BUG: item %q needs a name and a documentation of one line", s.Key))
	}
	r := g.reg
	for _, name := range append([]string{s.Key}, s.Aliases...) {
		if _, dup := r.byName[name]; dup {
			panic(fmt.Sprintf("BUG: item name %q is declared twice in the %s registry", name, r.name))
		}
		r.byName[name] = s
	}
	if _, err := s.parse(s.Default); err != nil {
		panic(fmt.Sprintf("BUG: default of item %q: %v", s.Key, err))
	}
	s.index = len(r.specs)
	r.specs = append(r.specs, s)
	g.specs = append(g.specs, s)
}

// nearest returns the declared name that looks most like the unknown one, or "" when none is close.
func (r *Registry) nearest(unknown string) string {
	best, bestDistance := "", max(2, len(unknown)/3)+1
	names := make([]string, 0, len(r.byName))
	for name := range r.byName {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if d := editDistance(strings.ToLower(unknown), name); d < bestDistance {
			best, bestDistance = name, d
		}
	}
	return best
}

// editDistance is the Levenshtein distance in bytes.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			diagonal, row[j] = row[j], min(row[j]+1, row[j-1]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
