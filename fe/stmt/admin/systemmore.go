package admin

import (
	"context"
	"fmt"
	"net"

	"stele/fe/stmt"
	"stele/meta/command"
	"stele/sql/syntax"
)

var _ = stmt.Register(stmt.Statement{
	Name:   "alter_system_modify_backend_host",
	Syntax: "ALTER SYSTEM MODIFY BACKEND HOST <from:string> TO <to:string>",
	Doc: "Tell the cluster that the BEs of one host are reached under another name or address. They keep their ids and their replicas; a BE that answers " +
		"there with another identity is turned away.",
	Do: func(ctx context.Context, e *stmt.Env, a syntax.Args) (stmt.Result, error) {
		from, to := a.String("from"), a.String("to")
		if from == to {
			return stmt.Nothing("both are the same host"), nil
		}
		var cmds []command.Command
		for be := range e.Catalog.BEs() {
			if be.Host != from {
				continue
			}
			if _, taken := e.Catalog.BEAt(to, be.Port); taken {
				return stmt.Result{}, stmt.Refusal("Backend already exists with same host %s and port %d", to, be.Port)
			}
			cmds = append(cmds, &command.SetBEAddress{BE: be.ID, Host: to, Port: be.Port, HTTPPort: be.HTTPPort})
		}
		if len(cmds) == 0 {
			return stmt.Result{}, stmt.Refusal("backend does not exists[%s]", from)
		}
		ctx, cancel := context.WithTimeout(ctx, stmt.ResolveTimeout)
		defer cancel()
		if _, err := net.DefaultResolver.LookupHost(ctx, to); err != nil {
			return stmt.Result{}, stmt.Refusal("Unknown host: %s", to)
		}
		return stmt.Result{Affected: uint64(len(cmds))}, stmt.Act(ctx, e, "alter_system_modify_backend_host", from+" to "+to, cmds...)
	},
	Examples: []string{`ALTER SYSTEM MODIFY BACKEND HOST "10.0.0.1" TO "10.0.0.2"`},
})

var _ = stmt.Register(stmt.Statement{
	Name:   "alter_system_clean_tablet_scheduler_queue",
	Syntax: "ALTER SYSTEM CLEAN TABLET SCHEDULER QUEUE",
	Doc: "Forget the repairs that wait, their back-offs and adjusted priorities included. Running ones go on. What still needs repair is found by the next " +
		"scan, which begins at once.",
	Do: func(_ context.Context, e *stmt.Env, _ syntax.Args) (stmt.Result, error) {
		if e.Control == nil {
			return stmt.Result{}, noControl()
		}
		n := e.Control.CleanQueue()
		if n == 0 {
			return stmt.Nothing("no repair waits"), nil
		}
		e.Kick()
		return stmt.Result{Affected: uint64(n), Info: fmt.Sprintf("Repairs taken out of the queue: %d", n)}, nil
	},
	Examples: []string{"ALTER SYSTEM CLEAN TABLET SCHEDULER QUEUE"},
})

var _ = stmt.Register(stmt.Statement{
	Name:   "alter_system_create_image",
	Syntax: "ALTER SYSTEM CREATE IMAGE",
	Doc: "Have the leading FE write an image of the metadata now, so that it starts from that and needs less of the log. Every FE does so by itself from " +
		"time to time; ADMIN BACKUP METADATA writes one to a file of your own.",
	Do: func(ctx context.Context, e *stmt.Env, _ syntax.Args) (stmt.Result, error) {
		written, err := e.Image(ctx)
		if err != nil {
			return stmt.Result{}, fmt.Errorf("write an image of the metadata: %w", err)
		}
		if !written {
			return stmt.Nothing("nothing has changed since the last image"), nil
		}
		return stmt.Result{Info: "The image is written"}, nil
	},
	Examples: []string{"ALTER SYSTEM CREATE IMAGE"},
})
