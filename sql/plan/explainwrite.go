package plan

import (
	"fmt"
	"strings"

	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/explain"
)

// Explain shows the plan of an INSERT, for EXPLAIN.
func (p *InsertPlan) Explain(table func(types.TableID) string) []string {
	line := [...]string{ModeInsert: "insert", ModeIgnore: "insert ignore", ModeReplace: "replace"}[p.Mode] + " into " + p.Table.Name
	if p.Rows != nil {
		line += fmt.Sprintf(" rows=%d", p.Rows.N)
	}
	out := []string{line}
	names := duplicateNames(p.Table)
	for _, a := range p.OnDuplicate {
		set := p.Table.Schema.Columns[a.Column].Name + " = " + explain.Expr(a.Expr, names)
		if a.Auto {
			set += " if changed"
		}
		out = append(out, "  | on duplicate key "+set)
	}
	if p.Source != nil {
		for _, l := range explain.Lines(p.Source, table) {
			out = append(out, "  "+l)
		}
	}
	return out
}

// duplicateNames names the columns that ON DUPLICATE KEY UPDATE sees: the old row's, then the new row's.
func duplicateNames(t *catalog.Table) []string {
	var names []string
	for _, row := range []string{"old.", "new."} {
		for i := range t.Schema.Columns {
			names = append(names, row+t.Schema.Columns[i].Name)
		}
	}
	return names
}

// Explain shows the plan of an UPDATE or DELETE, for EXPLAIN.
func (p *ModifyPlan) Explain(table func(types.TableID) string) []string {
	line := "delete from " + p.Table.Name
	if len(p.Assign) > 0 {
		var set []string
		for _, a := range p.Assign {
			set = append(set, p.Table.Schema.Columns[a.Column].Name)
		}
		line = "update " + p.Table.Name + " set " + strings.Join(set, ", ")
		if p.MovesRows {
			line += " moving rows"
		}
	}
	out := []string{line}
	for _, l := range explain.Lines(p.Source, table) {
		out = append(out, "  "+l)
	}
	return out
}
