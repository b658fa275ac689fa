package account

import (
	"cmp"

	"stele/meta/model"
	"stele/sql/parse"
)

// reader gathers the tables that a statement reads: every table that it names, but for the names of its WITH and what a caller
// has taken out. A name of a WITH is one only where it can be seen, and a table elsewhere.
type reader struct {
	db    string // of names without one
	skip  map[*parse.TableName]bool
	with  []string // the names that can be seen here, the innermost last
	marks []int    // lengths of with, one for each statement that is being visited
	needs []Need
	seen  map[Need]bool
	uses  []Use
	alias map[*parse.TableName]string
}

// Use is a place of a statement that names a table.
type Use struct {
	Database, Table string
	Alias           string // as the statement calls it
}

// Uses returns the places where a statement names tables; those of its WITH are none.
func Uses(n parse.Node, db string) []Use {
	r := &reader{db: db, seen: map[Need]bool{}, alias: map[*parse.TableName]string{}}
	n.Accept(r)
	return r.uses
}

// reads returns a SELECT need for each table that n reads.
func reads(n parse.Node, db string, skip ...*parse.TableName) []Need {
	r := &reader{db: db, skip: map[*parse.TableName]bool{}, seen: map[Need]bool{}}
	for _, t := range skip {
		r.skip[t] = true
	}
	n.Accept(r)
	return r.needs
}

// Enter looks at a node before what is in it.
func (r *reader) Enter(n parse.Node) (parse.Node, bool) {
	switch n := n.(type) {
	case *parse.SelectStmt:
		if n.LockInfo != nil { // FOR UPDATE OF names tables of the query again
			for _, t := range n.LockInfo.Tables {
				r.skip[t] = true
			}
		}
		r.open(n.With)
	case *parse.SetOprStmt:
		r.open(n.With)
	case *parse.SetOprSelectList:
		r.open(n.With)
	case *parse.UpdateStmt:
		r.open(n.With)
	case *parse.DeleteStmt:
		if n.Tables != nil { // tables of its FROM, or their aliases
			for _, t := range n.Tables.Tables {
				r.skip[t] = true
			}
		}
		r.open(n.With)
	case *parse.WithClause:
		return n, true // its statement has looked at it
	case *parse.TableSource:
		if name, ok := n.Source.(*parse.TableName); ok && r.alias != nil {
			r.alias[name] = n.AsName.O
		}
	case *parse.TableName:
		r.table(n)
	}
	return n, false
}

// Leave forgets the names of a statement's WITH.
func (r *reader) Leave(n parse.Node) (parse.Node, bool) {
	switch n.(type) {
	case *parse.SelectStmt, *parse.SetOprStmt, *parse.SetOprSelectList, *parse.UpdateStmt, *parse.DeleteStmt:
		last := len(r.marks) - 1
		r.with, r.marks = r.with[:r.marks[last]], r.marks[:last]
	}
	return n, true
}

// open begins a statement: its WITH, each of whose queries sees the names before it and, if it is recursive, its own.
func (r *reader) open(w *parse.WithClause) {
	r.marks = append(r.marks, len(r.with))
	if w == nil {
		return
	}
	for _, c := range w.CTEs {
		if w.IsRecursive {
			r.with = append(r.with, c.Name.L)
		}
		c.Query.Accept(r)
		if !w.IsRecursive {
			r.with = append(r.with, c.Name.L)
		}
	}
}

func (r *reader) table(t *parse.TableName) {
	if r.skip[t] {
		return
	}
	db := t.Schema.O
	if db == "" {
		for _, name := range r.with {
			if name == t.Name.L {
				return
			}
		}
		db = r.db
	}
	r.uses = append(r.uses, Use{db, t.Name.O, cmp.Or(r.alias[t], t.Name.O)})
	n := Need{model.PrivSelect, db, t.Name.O}
	if !r.seen[n] {
		r.seen[n] = true
		r.needs = append(r.needs, n)
	}
}
