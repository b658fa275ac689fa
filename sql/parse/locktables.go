package parse

import "github.com/pingcap/tidb/pkg/parser/ast"

// LockTablesStmt is LOCK TABLES.
type LockTablesStmt struct {
	StmtNode
	Tables []LockedTable
}

// LockedTable is a table that LOCK TABLES names, as it is called in the statements that follow.
type LockedTable struct {
	Table *TableName
	Alias string // its own name where none is given
	Write bool
}

// asLockTables gives a LOCK TABLES, whose aliases the MySQL parser does not know, the form that it has here.
func asLockTables(nodes []ast.StmtNode, aliases map[int]string) []ast.StmtNode {
	if len(nodes) == 0 {
		return nodes
	}
	n, ok := nodes[0].(*ast.LockTablesStmt)
	if !ok {
		return nodes
	}
	out := &LockTablesStmt{StmtNode: n}
	for i, l := range n.TableLocks {
		t := LockedTable{Table: l.Table, Alias: l.Table.Name.O, Write: l.Type == ast.TableLockWrite || l.Type == ast.TableLockWriteLocal}
		if alias := aliases[i]; alias != "" {
			t.Alias = alias
		}
		out.Tables = append(out.Tables, t)
	}
	nodes[0] = out
	return nodes
}

// lockAliases takes the aliases out of LOCK TABLES t AS a READ, d.u v LOW_PRIORITY WRITE, and LOW_PRIORITY, which MySQL takes and ignores.
func (r *repair) lockAliases() {
	if !r.is(0, "LOCK") || !r.is(1, "TABLES") && !r.is(1, "TABLE") {
		return
	}
	for i, n := 2, 0; r.isName(i); n++ {
		if i++; r.is(i, ".") {
			i += 2
		}
		from := i
		if r.is(i, "AS") {
			i++
		}
		if r.isName(i) {
			if r.aliases == nil {
				r.aliases = map[int]string{}
			}
			r.aliases[n] = r.value(i)
			i++
		}
		if r.is(i, "LOW_PRIORITY") {
			i++
		}
		if i > from {
			r.overwrite(r.toks[from].Start, r.toks[i-1].End, "")
		}
		for i < len(r.toks) && !r.is(i, ",") {
			i++
		}
		i++
	}
}
