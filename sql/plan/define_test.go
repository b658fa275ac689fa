package plan_test

import (
	"stele/meta/catalog"
	"stele/sql/define"
	"stele/sql/parse"
	"stele/sql/plan"
)

func init() {
	plan.DefineTable = func(ctx *plan.Context, st parse.Statement) (catalog.Table, error) {
		spec, err := define.CreateTable(&define.Context{Context: ctx}, st.Node.(*parse.CreateTableStmt), st.Tail, define.Defaults{Replicas: 3, Buckets: 2})
		if err != nil {
			return catalog.Table{}, err
		}
		return spec.Table, nil
	}
}
