package plan

import (
	"reflect"

	ast "stele/sql/parse"
	"stele/sql/physical"
)

// KeptModify is the plan of an UPDATE or DELETE that writes to one table, which differs from one execution to the next as a Kept does, and in literals that columns
// are set to as they stand. All else that columns are set to belongs to the plan.
type KeptModify struct {
	*Kept
	plan *ModifyPlan // Bind gives it another source
}

// KeepModify is KeepSelect for an UPDATE or DELETE. Where the plan depends on a literal that a column is set to, all of these belong to the plan.
func KeepModify(ctx *Context, stmt ast.StmtNode, values []Param, prepared bool) (*KeptModify, bool) {
	if len(values) == 0 || len(values) > maxSlots || ctx.SafeUpdates {
		return nil, false
	}
	if k, ok := keepModify(ctx, stmt, values, prepared, true); ok {
		return k, true
	}
	return keepModify(ctx, stmt, values, prepared, false)
}

// keepModify keeps the literals that columns are set to apart, or not.
func keepModify(ctx *Context, stmt ast.StmtNode, values []Param, prepared, setting bool) (*KeptModify, bool) {
	f, ok := findSlots(ctx, stmt, prepared, setting)
	if !ok || len(f.columns) != len(values) || setting && len(f.sets) == 0 {
		return nil, false
	}
	var made []*ModifyPlan
	kept, ok := f.keep(ctx, values, func(ctx *Context) (*binder, *physical.Node, error) {
		m, err := onlyModifier(ctx, stmt)
		if err != nil {
			return nil, nil, err
		}
		made = append(made, m.plan)
		return m.b, m.plan.Source, nil
	})
	if !ok || !made[0].sameBut(made[1]) {
		return nil, false
	}
	return &KeptModify{Kept: kept, plan: made[0]}, true
}

// onlyModifier plans an UPDATE or DELETE of one table all of whose work is in its source and in what its columns are set to.
func onlyModifier(ctx *Context, stmt ast.StmtNode) (*modifier, error) {
	var made []*modifier
	var err error
	switch n := stmt.(type) {
	case *ast.UpdateStmt:
		made, err = updates(ctx, n)
	case *ast.DeleteStmt:
		made, err = deletes(ctx, n)
	}
	if err != nil {
		return nil, err
	}
	if len(made) != 1 || !made[0].plan.plain() {
		return nil, refuse("a plan of this write that is kept")
	}
	return made[0], nil
}

// plain reports whether a plan names no view, works out no generated columns, keeps no constraints and asks for no time.
func (p *ModifyPlan) plain() bool {
	for _, a := range p.Assign {
		if a.Auto || a.Tells {
			return false
		}
	}
	return len(p.Via) == 0 && len(p.follows) == 0 && len(p.checks) == 0
}

// sameBut reports whether two plans differ in nothing but their sources.
func (p *ModifyPlan) sameBut(other *ModifyPlan) bool {
	a, b := *p, *other
	a.Source, b.Source = nil, nil
	return reflect.DeepEqual(a, b)
}

// Bind returns the plan with other values, which fit.
func (k *KeptModify) Bind(ctx *Context, values []Param) *ModifyPlan {
	p := *k.plan
	p.Source = k.Kept.Bind(ctx, values)
	return &p
}

// Target is the table that is written, and its database.
func (k *KeptModify) Target() Named {
	return Named{Database: k.plan.Database, Name: k.plan.Table.Name, Table: k.plan.Table}
}

// Stays reports whether the plan is that of any values: none belongs to it, and it does not depend on how many rows there are.
func (k *KeptModify) Stays() bool {
	for _, c := range k.slots {
		if c == nil {
			return false
		}
	}
	return !k.Guesses()
}
