package admin

import (
	"context"
	"fmt"

	"stele/fe/stmt"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/sql/syntax"
)

var _ = stmt.Register(stmt.Statement{
	Name:   "alter_database_replica",
	Syntax: "ALTER DATABASE <db:name> REPLICA <n:int>",
	Doc: "Set the number of replicas of every table of a database, and of those that are made later and do not say. SHOW CREATE DATABASE has it. Answers at once: learners " +
		"are copied to beside the writes and then become followers, or followers too many are dropped, one at a time. SHOW VGROUPS shows them.",
	Do: func(ctx context.Context, e *stmt.Env, a syntax.Args) (stmt.Result, error) {
		db, err := e.Database(a.String("db"))
		if err != nil {
			return stmt.Result{}, err
		}
		n, bes := a.Int("n"), 0
		for be := range e.Catalog.BEs() {
			if !be.Decommission {
				bes++
			}
		}
		switch {
		case n < 1:
			return stmt.Result{}, stmt.Refusal("Invalid option replica: %d; a tablet has at least one replica", n)
		case n > int64(bes):
			return stmt.Result{}, stmt.Refusal("Out of dnodes: %d replicas need as many backends that are not being decommissioned, there are %d", n, bes)
		}
		var cmds []command.Command
		for t := range e.Catalog.Tables(db.ID) {
			if cmd := replicasOf(e, t, int(n)); cmd != nil {
				cmds = append(cmds, cmd)
			}
		}
		tables := len(cmds)
		if db.Replicas != int(n) {
			cmds = append(cmds, &command.SetDatabaseReplicas{Name: db.Name, Replicas: int(n)})
		}
		if len(cmds) == 0 {
			text := fmt.Sprintf("Database options are unchanged: every table of %s has %d replicas", db.Name, n)
			return stmt.Result{Info: text, Notes: []string{text}}, nil
		}
		if err := stmt.Act(ctx, e, "alter_database_replica", fmt.Sprintf("%s %d", db.Name, n), cmds...); err != nil {
			return stmt.Result{}, err
		}
		return stmt.Result{Affected: uint64(tables)}, nil
	},
	Examples: []string{"ALTER DATABASE db1 REPLICA 3"},
})

// replicasOf sets the replicas of all partitions of a table, nil when they are so already.
func replicasOf(e *stmt.Env, t *catalog.Table, n int) *command.AlterTable {
	cmd := &command.AlterTable{Table: catalog.Table{ID: t.ID}, Set: &command.TableSet{Replicas: n}}
	changed := t.Replicas != n
	for i := range t.Parts {
		p := &t.Parts[i]
		extra := false
		for tab := range e.Catalog.TabletsOf(p) {
			extra = extra || tab.Extra != 0
		}
		if p.Replicas != n || extra {
			cmd.PartReplicas = append(cmd.PartReplicas, command.PartitionReplicas{Partition: p.ID, Replicas: n})
			changed = true
		}
	}
	if !changed {
		return nil
	}
	return cmd
}
