// Package admin declares the statements of StarRocks' administrators: ALTER SYSTEM, ADMIN …, and SHOWs of BEs, FEs, disks, tablets, replicas and
// their repair, with the tables of stele that show the same of everything. A change is made by a command of the catalog, and is done when the
// statement answers.
package admin

import (
	"context"
	"fmt"
	"net"
	"slices"

	"stele/fe/stmt"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
	"stele/sql/syntax"
)

var _ = stmt.Register(stmt.Statement{
	Name:   "alter_system_add_backend",
	Syntax: "ALTER SYSTEM ADD BACKEND {<hosts:hostports>|<texts:strings>}",
	Doc: "Take BEs into the cluster: \"host:port\" with the port of be.conf. They get replicas as soon as they answer; SHOW BACKENDS tells. " +
		"One that was dropped and comes with its disks as they are gets the id back that it had, with what was not replaced meanwhile. Undo: ALTER SYSTEM DECOMMISSION BACKEND.",
	Do: func(ctx context.Context, e *stmt.Env, a syntax.Args) (stmt.Result, error) {
		hosts, err := stmt.Addresses(a)
		if err != nil {
			return stmt.Result{}, err
		}
		return AddBackends(ctx, e, "alter_system_add_backend", hosts)
	},
	Examples: []string{`ALTER SYSTEM ADD BACKEND "10.0.0.1:9060"`, `ALTER SYSTEM ADD BACKEND "10.0.0.1:9060", "10.0.0.2:9060"`},
})

// AddBackends takes BEs into the cluster, all or none; kind names the statement in the operation log.
func AddBackends(ctx context.Context, e *stmt.Env, kind string, hosts []syntax.HostPort) (stmt.Result, error) {
	var cmds []command.Command
	var bes []*catalog.BE
	for _, hp := range hosts {
		be := catalog.BE{Host: hp.Host, Port: int(hp.Port), AddedMs: e.Now.UnixMilli()}
		if err := checkNewBackend(ctx, e, &be, bes); err != nil {
			return stmt.Result{}, err
		}
		bes = append(bes, &be)
		cmds = append(cmds, &command.AddBE{BE: be, TimeMs: e.Now.UnixMilli()})
	}
	return stmt.Result{Affected: uint64(len(cmds))}, stmt.Act(ctx, e, kind, stmt.HostList(bes), cmds...)
}

// checkNewBackend refuses a BE that is there already or cannot be found.
func checkNewBackend(ctx context.Context, e *stmt.Env, be *catalog.BE, others []*catalog.BE) error {
	old, known := e.Catalog.BEAt(be.Host, be.Port)
	if known && old.Decommission {
		return stmt.Refusal("Backend %s:%d is being decommissioned: CANCEL DECOMMISSION BACKEND \"%[1]s:%[2]d\" keeps it, or wait until SHOW BACKENDS "+
			"has it no more and add it then", be.Host, be.Port)
	}
	if known || slices.ContainsFunc(others, func(o *catalog.BE) bool { return o.Host == be.Host && o.Port == be.Port }) {
		return stmt.Refusal("Backend already exists with same host %s and port %d", be.Host, be.Port)
	}
	if be.Port < 1 {
		return stmt.Refusal("Port is out of range: %d", be.Port)
	}
	ctx, cancel := context.WithTimeout(ctx, stmt.ResolveTimeout)
	defer cancel()
	if _, err := net.DefaultResolver.LookupHost(ctx, be.Host); err != nil {
		return stmt.Refusal("Unknown host: %s", be.Host)
	}
	return nil
}

var _ = stmt.Register(stmt.Statement{
	Name:   "alter_system_drop_backend",
	Syntax: "ALTER SYSTEM DROP BACKEND {<hosts:hostports>|<texts:strings>} [FORCE]",
	Doc: "Forget BEs at once; their replicas are made anew elsewhere. Refused while a BE has the only copy of a tablet, or one without which it could not be " +
		"written until another is made, unless FORCE is said. DECOMMISSION moves the replicas away first. SHOW WARNINGS tells of tables that want more replicas " +
		"than there are BEs left.",
	Do: func(ctx context.Context, e *stmt.Env, a syntax.Args) (stmt.Result, error) {
		bes, err := stmt.BackendsAt(e, a, "backend does not exists")
		if err != nil {
			return stmt.Result{}, err
		}
		if !a.Has("FORCE") {
			if err := checkCopies(e, bes); err != nil {
				return stmt.Result{}, err
			}
		}
		var cmds []command.Command
		for _, be := range bes {
			cmds = append(cmds, &command.DropBE{BE: be.ID, Force: true})
		}
		return stmt.Result{Affected: uint64(len(cmds)), Notes: tooFewLeft(e, bes)}, stmt.Act(ctx, e, "alter_system_drop_backend", stmt.HostList(bes), cmds...)
	},
	Examples: []string{`ALTER SYSTEM DROP BACKEND "10.0.0.1:9060"`, `ALTER SYSTEM DROP BACKEND "10.0.0.1:9060", "10.0.0.2:9060" FORCE`},
})

// checkCopies refuses to drop BEs when that would take away the last complete copy of a tablet, or one that its writes need now, and lists those tablets.
func checkCopies(e *stmt.Env, bes []*catalog.BE) error {
	going := map[types.BEID]bool{}
	for _, be := range bes {
		going[be.ID] = true
	}
	lost := LastCopies(e, func(_ *catalog.Tablet, r *catalog.Replica) bool { return going[r.BE] })
	if len(lost) == 0 {
		return InTheWay(fmt.Sprintf("Without the backend[%s] tablets could not be written until other replicas are made. ALTER SYSTEM DECOMMISSION BACKEND "+
			"moves them away first; ALTER SYSTEM DROP BACKEND <backends> FORCE can be used to forcibly drop the backend. In the way", stmt.HostList(bes)), lastWriters(e, going))
	}
	if table, ok := singleReplica(e, bes); ok {
		return InTheWay(fmt.Sprintf("Tables such as [%s] on the backend[%s] have only one replica. To avoid data loss, please change the "+
			"replication_num of [%s] to three. ALTER SYSTEM DROP BACKEND <backends> FORCE can be used to forcibly drop the backend. In the way",
			table, stmt.HostList(bes), table), lost)
	}
	return InTheWay(fmt.Sprintf("The backend[%s] has the last complete replica of tablets. To avoid data loss, wait for their repair (ADMIN SHOW REPLICA "+
		"STATUS). ALTER SYSTEM DROP BACKEND <backends> FORCE can be used to forcibly drop the backend. In the way", stmt.HostList(bes)), lost)
}

// lastWriters lists the tablets that can be written now and could not be without some BEs.
func lastWriters(e *stmt.Env, going map[types.BEID]bool) []string {
	var out []string
	for tab := range e.Catalog.Tablets() {
		p, ok := stmt.PlaceOf(e.Catalog, tab)
		if !ok {
			continue
		}
		now, left, need := 0, 0, p.Table.CommitNeed(tab)
		for i := range tab.Replicas {
			if r := &tab.Replicas[i]; r.Complete() && stays(e, tab, r) {
				now++
				if !going[r.BE] {
					left++
				}
			}
		}
		if now >= need && left < need {
			out = append(out, fmt.Sprintf("tablet %d of %s.%s would have %d complete replicas that answer, and a write needs %d",
				tab.ID, p.DB.Name, e.Owner(p.Table).Name, left, need))
		}
	}
	return out
}

// tooFewLeft tells of a table that wants more replicas than there are BEs without some that go.
func tooFewLeft(e *stmt.Env, going []*catalog.BE) []string {
	left := e.Catalog.BECount() - len(going)
	wide := wideTables(e, left)
	if len(wide) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%d backends are left: %s Tables that have fewer copies than they want until one is added (ALTER SYSTEM ADD BACKEND): %d",
		left, wide[0], len(wide))}
}

// wideTables lists the tables that want more replicas than so many.
func wideTables(e *stmt.Env, bes int) []string {
	var wide []string
	for t := range e.Catalog.AllTables() {
		most := 0
		for i := range t.Parts {
			most = max(most, t.Parts[i].Replicas)
		}
		if most > bes && !t.Hidden() {
			db, _ := e.Catalog.DatabaseByID(t.DatabaseID)
			wide = append(wide, fmt.Sprintf("the table %s.%s requires %d replicas.", db.Name, t.Name, most))
		}
	}
	return wide
}

// singleReplica names a table with a replication_num of one on the BEs.
func singleReplica(e *stmt.Env, bes []*catalog.BE) (string, bool) {
	for _, be := range bes {
		for tab := range e.Catalog.TabletsOn(be.ID) {
			if p, ok := stmt.PlaceOf(e.Catalog, tab); ok && p.Part.Replicas == 1 {
				return p.DB.Name + "." + e.Owner(p.Table).Name, true
			}
		}
	}
	return "", false
}

// stays reports whether a replica can be read: it is on a BE of the cluster that answers and has not lost it.
func stays(e *stmt.Env, tab *catalog.Tablet, r *catalog.Replica) bool {
	_, ok := e.Catalog.BE(r.BE)
	return ok && e.Alive(r.BE) && !e.Lost(r.BE, tab.ID)
}

var _ = stmt.Register(stmt.Statement{
	Name:   "alter_system_decommission_backend",
	Syntax: "ALTER SYSTEM DECOMMISSION BACKEND {<hosts:hostports>|<texts:strings>}",
	Doc: "Move all replicas off BEs and then drop them. TabletNum of SHOW BACKENDS tells how far it is. " +
		"Undo while it runs: CANCEL DECOMMISSION BACKEND.",
	Do: func(ctx context.Context, e *stmt.Env, a syntax.Args) (stmt.Result, error) {
		bes, err := stmt.BackendsAt(e, a, "Backend does not exist")
		if err != nil {
			return stmt.Result{}, err
		}
		if bes = slices.DeleteFunc(bes, func(be *catalog.BE) bool { return be.Decommission }); len(bes) == 0 {
			return stmt.Nothing("these backends are being decommissioned already"), nil
		}
		if err := CheckRoom(e, bes); err != nil {
			return stmt.Result{}, err
		}
		return stmt.Result{Affected: uint64(len(bes))}, stmt.Act(ctx, e, "alter_system_decommission_backend", stmt.HostList(bes), SetDecommission(bes, true)...)
	},
	Examples: []string{`ALTER SYSTEM DECOMMISSION BACKEND "10.0.0.1:9060"`},
})

// SetDecommission are the commands that have BEs emptied, or have that end.
func SetDecommission(bes []*catalog.BE, on bool) []command.Command {
	var cmds []command.Command
	for _, be := range bes {
		cmds = append(cmds, &command.SetBEState{BE: be.ID, Decommission: on})
	}
	return cmds
}

// CheckRoom refuses to empty BEs when the others have too little space or are too few.
func CheckRoom(e *stmt.Env, bes []*catalog.BE) error {
	if len(bes) == 0 {
		return nil
	}
	var need, free int64
	left := 0
	for be := range e.Catalog.BEs() {
		s := stmt.SpaceOf(e.Member(be.ID).Disks)
		switch {
		case slices.ContainsFunc(bes, func(b *catalog.BE) bool { return b.ID == be.ID }):
			need += s.Data
		case !be.Decommission && e.Alive(be.ID) && len(e.Member(be.ID).Disks) > 0:
			free += s.Avail
			left++
		}
	}
	if need > free {
		return stmt.Refusal("It will cause insufficient disk space if these BEs are decommissioned.")
	}
	wide := wideTables(e, left)
	if len(wide) < 2 {
		return InTheWay("It will cause insufficient BE number if these BEs are decommissioned because", wide)
	}
	return InTheWay("It will cause insufficient BE number if these BEs are decommissioned because "+wide[0]+" Also in the way", wide[1:])
}

var _ = stmt.Register(stmt.Statement{
	Name:   "cancel_decommission_backend",
	Syntax: "CANCEL DECOMMISSION BACKEND {<hosts:hostports>|<texts:strings>}",
	Doc:    "Keep BEs that are being emptied. What has moved stays where it is. BEs that are not being emptied are left alone.",
	Do: func(ctx context.Context, e *stmt.Env, a syntax.Args) (stmt.Result, error) {
		bes, err := stmt.BackendsAt(e, a, "Backend does not exist")
		if err != nil {
			return stmt.Result{}, err
		}
		if bes = slices.DeleteFunc(bes, func(be *catalog.BE) bool { return !be.Decommission }); len(bes) == 0 {
			return stmt.Nothing("none of these backends is being decommissioned"), nil
		}
		return stmt.Result{Affected: uint64(len(bes))}, stmt.Act(ctx, e, "cancel_decommission_backend", stmt.HostList(bes), SetDecommission(bes, false)...)
	},
	Examples: []string{`CANCEL DECOMMISSION BACKEND "10.0.0.1:9060"`},
})
