package operate

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"stele/fe/group"
	"stele/fe/stmt"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
	"stele/sql/syntax"
)

var _ = stmt.Register(stmt.Statement{
	Name:   "alter_system_add_frontend",
	Syntax: "ALTER SYSTEM ADD {role: FOLLOWER|OBSERVER} {<hosts:hostports>|<texts:strings>}",
	Doc: "Let an FE join the cluster: \"host:port\" with the edit_log_port of its fe.conf. Start it with an empty meta_dir and with fe_helpers naming " +
		"FEs of the cluster; it may wait already. It joins as a learner, gets the metadata while writes go on, and then votes (FOLLOWER) or stays without a " +
		"vote (OBSERVER). SHOW FRONTENDS tells how far it is. Undo: ALTER SYSTEM DROP FOLLOWER.",
	Do: func(ctx context.Context, e *stmt.Env, a syntax.Args) (stmt.Result, error) {
		hosts, err := stmt.Addresses(a)
		if err != nil {
			return stmt.Result{}, err
		}
		var texts []string
		for _, hp := range hosts {
			if err := addFrontend(ctx, e, hp.Host, int(hp.Port), a.Choice("role") == "OBSERVER", 0); err != nil {
				return stmt.Result{}, err
			}
			texts = append(texts, net.JoinHostPort(hp.Host, strconv.Itoa(int(hp.Port))))
		}
		return stmt.Result{Affected: uint64(len(hosts))}, stmt.Note(ctx, e, "alter_system_add_frontend", strings.Join(texts, ", "))
	},
	Examples: []string{`ALTER SYSTEM ADD FOLLOWER "10.0.0.1:9010"`, `ALTER SYSTEM ADD OBSERVER "10.0.0.2:9010", "10.0.0.3:9010"`},
})

// addFrontend plans an FE; dnode is the BE that it makes a dnode with, 0 = as the host tells. Everything after that is done by
// the leading FE, whichever it is then.
func addFrontend(ctx context.Context, e *stmt.Env, host string, port int, observer bool, dnode types.BEID) error {
	if port < 1 || port > 65535 {
		return stmt.Refusal("Port is out of range: %d", port)
	}
	if _, ok := e.Catalog.FEAt(host, port); ok {
		return stmt.Refusal("FE with the same host: %s and edit_log_port: %d already exists", host, port)
	}
	lctx, cancel := context.WithTimeout(ctx, stmt.ResolveTimeout)
	defer cancel()
	if _, err := net.DefaultResolver.LookupHost(lctx, host); err != nil {
		return stmt.Refusal("Unknown host: %s", host)
	}
	ms := e.Now.UnixMilli()
	fe := catalog.FE{Name: fmt.Sprintf("%s_%d_%d", host, port, ms), Host: host, RaftPort: port, Observer: observer, DNode: dnode}
	_, err := e.Propose(ctx, &command.PlanFE{FE: fe, TimeMs: ms})
	return err
}

var _ = stmt.Register(stmt.Statement{
	Name:   "alter_system_drop_frontend",
	Syntax: "ALTER SYSTEM DROP {role: FOLLOWER|OBSERVER} {<hosts:hostports>|<texts:strings>}",
	Doc: "Take an FE out of the cluster for good. The leading FE cannot be dropped (ALTER SYSTEM TRANSFER LEADER first), nor one without which the " +
		"FEs that vote and are alive would be no majority. To add the FE again, empty its meta_dir.",
	Do: func(ctx context.Context, e *stmt.Env, a syntax.Args) (stmt.Result, error) {
		hosts, err := stmt.Addresses(a)
		if err != nil {
			return stmt.Result{}, err
		}
		for _, hp := range hosts {
			fe, err := frontendAt(e, hp, a.Choice("role"))
			if err != nil {
				return stmt.Result{}, err
			}
			if err := dropFrontend(ctx, e, fe); err != nil {
				return stmt.Result{}, err
			}
		}
		return stmt.Result{Affected: uint64(len(hosts))}, nil
	},
	Examples: []string{`ALTER SYSTEM DROP FOLLOWER "10.0.0.1:9010"`, `ALTER SYSTEM DROP OBSERVER "10.0.0.2:9010"`},
})

// frontendAt finds the FE at an address; role "" = any.
func frontendAt(e *stmt.Env, hp syntax.HostPort, role string) (*catalog.FE, error) {
	fe, ok := e.Catalog.FEAt(hp.Host, int(hp.Port))
	if !ok {
		return nil, stmt.Refusal("frontend does not exist[%s:%d]", hp.Host, hp.Port)
	}
	if role != "" && group.Role(fe) != role {
		return nil, stmt.Refusal("%s does not exist[%s:%d]", role, hp.Host, hp.Port)
	}
	return fe, nil
}

func dropFrontend(ctx context.Context, e *stmt.Env, fe *catalog.FE) error {
	if e.Group == nil {
		return stmt.Refusal("the FEs of the cluster are not known here")
	}
	if err := e.Group.Drop(ctx, fe); err != nil {
		return refused(err)
	}
	return stmt.Note(ctx, e, "drop_frontend", net.JoinHostPort(fe.Host, strconv.Itoa(fe.RaftPort)))
}

// refused gives a refusal of the group its number; other errors have theirs.
func refused(err error) error {
	var r *group.Refusal
	if errors.As(err, &r) {
		return stmt.Refusal("%s", r.Why)
	}
	return err
}

var _ = stmt.Register(stmt.Statement{
	Name:   "alter_system_transfer_leader",
	Syntax: "ALTER SYSTEM TRANSFER LEADER [TO <target:string>]",
	Doc: "Hand leadership of the metadata to another FE that votes: to the one named by \"host:port\" with its edit_log_port, or to the one that has " +
		"most of the log. It takes some milliseconds; statements on all FEs go on.",
	Do: func(ctx context.Context, e *stmt.Env, a syntax.Args) (stmt.Result, error) {
		if e.Group == nil {
			return stmt.Result{}, stmt.Refusal("the FEs of the cluster are not known here")
		}
		name := ""
		if a.Has("target") {
			hp, ok := syntax.SplitHostPort(a.String("target"))
			if !ok {
				return stmt.Result{}, stmt.Refusal("Invalid host port: %s", a.String("target"))
			}
			fe, err := frontendAt(e, hp, "")
			if err != nil {
				return stmt.Result{}, err
			}
			name = fe.Name
		}
		if err := mayLead(e, name); err != nil {
			return stmt.Result{}, err
		}
		if err := e.Group.Transfer(ctx, name); err != nil {
			return stmt.Result{}, stmt.Refusal("leadership was not handed over: %s. Try again, or name another FE", err)
		}
		return stmt.Result{Info: "Leadership was handed over"}, nil
	},
	Examples: []string{`ALTER SYSTEM TRANSFER LEADER`, `ALTER SYSTEM TRANSFER LEADER TO "10.0.0.1:9010"`},
})

// mayLead refuses to hand leadership to an FE that has it, has no vote, or is not alive; name "" = to whoever may.
func mayLead(e *stmt.Env, name string) error {
	var all []stmt.Frontend
	if e.Frontends != nil {
		all = e.Frontends()
	}
	able := func(f stmt.Frontend) bool { return f.Alive && f.Join && f.Role == "FOLLOWER" }
	i := slices.IndexFunc(all, func(f stmt.Frontend) bool { return f.Name == name })
	switch {
	case name == "" && slices.ContainsFunc(all, able), i >= 0 && able(all[i]):
		return nil
	case name == "":
		return stmt.Refusal("no other FE that votes is alive: SHOW FRONTENDS tells")
	case i >= 0 && all[i].Role == "LEADER":
		return stmt.Refusal("that FE leads already")
	}
	return stmt.Refusal("that FE has no vote, or is not alive: SHOW FRONTENDS tells")
}

var _ = stmt.Register(stmt.Statement{
	Name: "show_mnodes", Table: "mnodes", Like: "endpoint", Alone: true,
	Syntax: "SHOW MNODES [LIKE <like:string>] [WHERE <where:expr>] [ORDER BY <order:expr>] [LIMIT <limit:expr>]",
	Doc: "One row per FE, as an mnode, and one per FE with an empty meta_dir that asks to join and may not yet. LIKE looks at the endpoint, " +
		"host:edit_log_port.",
	Columns: stmt.Cols(`
		id          int   Id of the FE; NULL for one that waits.
		endpoint    text  host:edit_log_port.
		role        text  leader, follower, learner or offline; waiting for one that is not part of the cluster.
		status      text  ready, creating (it gets the metadata and takes no clients yet), offline or waiting.
		create_time text  When it was added.
		role_time   text  When the leading FE began to lead; for others when their process started.
		note        text  What is in its way, or how far it is.
		dnode_id    int   The dnode that it belongs to; NULL when its machine has several and nobody has said which (ALTER MNODE).
	`),
	Rows:     func(_ context.Context, e *stmt.Env, _ syntax.Args) ([]stmt.Row, error) { return mnodeRows(e), nil },
	Examples: []string{"SHOW MNODES", "SHOW MNODES WHERE role = 'leader'"},
})

func mnodeRows(e *stmt.Env) []stmt.Row {
	live := e.LiveFrontends()
	var rows []stmt.Row
	for fe := range e.Catalog.FEs() {
		f := live[fe.Name]
		role, status := strings.ToLower(f.Role), "ready"
		switch {
		case fe.Pending:
			role, status = "learner", "creating"
		case f.Starting && f.Learner:
			role, status = "learner", "creating"
		case f.Starting:
			status = "creating"
		case !f.Alive:
			role, status = "offline", "offline"
		case f.Learner:
			role = "learner"
		}
		since := e.Stamp(f.Started)
		if lead := e.Catalog.Leader(); lead.RaftID == fe.Name && f.Role == "LEADER" {
			since = e.StampMs(lead.TimeMs)
		}
		rows = append(rows, stmt.Row{fe.ID, net.JoinHostPort(fe.Host, strconv.Itoa(fe.RaftPort)), role, status, e.StampMs(fe.AddedMs), since, f.Err,
			orNull(e.Catalog.DNodeOf(fe))})
	}
	for _, w := range waiting(e) {
		rows = append(rows, stmt.Row{nil, net.JoinHostPort(w.Host, strconv.Itoa(w.RaftPort)), "waiting", "waiting", e.Stamp(w.Since), "N/A", w.Why, nil})
	}
	return rows
}

func waiting(e *stmt.Env) []group.Waiting {
	if e.Group == nil {
		return nil
	}
	return e.Group.Waiting()
}
