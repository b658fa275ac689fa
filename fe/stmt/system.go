package stmt

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
	"stele/sql/syntax"
)

// resolveTimeout bounds the look-up of the name of a new BE.
const resolveTimeout = 5 * time.Second

// addresses reads the hosts of a statement, written as strings or bare.
func addresses(a syntax.Args) ([]syntax.HostPort, error) {
	if a.Has("hosts") {
		return a.HostPorts("hosts"), nil
	}
	var out []syntax.HostPort
	for _, text := range a.Names("texts") {
		hp, err := parseAddress(text)
		if err != nil {
			return nil, err
		}
		out = append(out, hp)
	}
	return out, nil
}

// parseAddress reads "host:port".
func parseAddress(text string) (syntax.HostPort, error) {
	hp, ok := syntax.SplitHostPort(text)
	if ok {
		return hp, nil
	}
	colon := strings.LastIndexByte(text, ':')
	if n, err := strconv.ParseInt(text[colon+1:], 10, 64); colon > 0 && err == nil && (n < 1 || n > 65535) {
		return hp, refusal("Port is out of range: %d", n)
	}
	return hp, refusal("Invalid host port: %s", text)
}

// backendsAt finds the BEs of a statement; missing is the text for one that is not there.
func backendsAt(e *Env, a syntax.Args, missing string) ([]*catalog.BE, error) {
	hosts, err := addresses(a)
	if err != nil {
		return nil, err
	}
	var out []*catalog.BE
	for _, hp := range hosts {
		be, ok := e.Catalog.BEAt(hp.Host, int(hp.Port))
		if !ok {
			return nil, refusal("%s[%s:%d]", missing, hp.Host, hp.Port)
		}
		if !slices.Contains(out, be) {
			out = append(out, be)
		}
	}
	return out, nil
}

// act makes a change and enters it in the operation log, stele.operations.
func act(ctx context.Context, e *Env, kind, target string, cmds ...command.Command) error {
	if len(cmds) == 0 {
		return nil
	}
	if _, err := e.propose(ctx, cmds...); err != nil {
		return err
	}
	now := e.Now.UnixMilli()
	op := catalog.Op{Kind: kind, Target: target, Owner: e.User, State: catalog.OpDone, StartedMs: now, EndedMs: now}
	if _, err := e.propose(ctx, &command.AddOp{Op: op}); err != nil {
		return fmt.Errorf("%s is done, but not in the operation log: %w", kind, err)
	}
	e.kick()
	return nil
}

// hostList prints the addresses of BEs.
func hostList(bes []*catalog.BE) string {
	texts := make([]string, len(bes))
	for i, be := range bes {
		texts[i] = net.JoinHostPort(be.Host, strconv.Itoa(be.Port))
	}
	return strings.Join(texts, ", ")
}

var _ = register(Statement{
	Name:   "alter_system_add_backend",
	Syntax: "ALTER SYSTEM ADD BACKEND {<hosts:hostports>|<texts:strings>}",
	Doc: "Take BEs into the cluster: \"host:port\" with the port of be.conf. They get replicas as soon as they answer; SHOW BACKENDS tells. " +
		"One that was dropped and comes with its disks as they are gets the id back that it had, with what was not replaced meanwhile. Undo: ALTER SYSTEM DECOMMISSION BACKEND.",
	Do: func(ctx context.Context, e *Env, a syntax.Args) (Result, error) {
		hosts, err := addresses(a)
		if err != nil {
			return Result{}, err
		}
		return addBackends(ctx, e, "alter_system_add_backend", hosts)
	},
	Examples: []string{`ALTER SYSTEM ADD BACKEND "10.0.0.1:9060"`, `ALTER SYSTEM ADD BACKEND "10.0.0.1:9060", "10.0.0.2:9060"`},
})

// addBackends takes BEs into the cluster, all or none; kind names the statement in the operation log.
func addBackends(ctx context.Context, e *Env, kind string, hosts []syntax.HostPort) (Result, error) {
	var cmds []command.Command
	var bes []*catalog.BE
	for _, hp := range hosts {
		be := catalog.BE{Host: hp.Host, Port: int(hp.Port), AddedMs: e.Now.UnixMilli()}
		if err := checkNewBackend(ctx, e, &be, bes); err != nil {
			return Result{}, err
		}
		bes = append(bes, &be)
		cmds = append(cmds, &command.AddBE{BE: be, TimeMs: e.Now.UnixMilli()})
	}
	return Result{Affected: uint64(len(cmds))}, act(ctx, e, kind, hostList(bes), cmds...)
}

// checkNewBackend refuses a BE that is there already or cannot be found.
func checkNewBackend(ctx context.Context, e *Env, be *catalog.BE, others []*catalog.BE) error {
	_, known := e.Catalog.BEAt(be.Host, be.Port)
	if known || slices.ContainsFunc(others, func(o *catalog.BE) bool { return o.Host == be.Host && o.Port == be.Port }) {
		return refusal("Backend already exists with same host %s and port %d", be.Host, be.Port)
	}
	if be.Port < 1 {
		return refusal("Port is out of range: %d", be.Port)
	}
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	if _, err := net.DefaultResolver.LookupHost(ctx, be.Host); err != nil {
		return refusal("Unknown host: %s", be.Host)
	}
	return nil
}

var _ = register(Statement{
	Name:   "alter_system_drop_backend",
	Syntax: "ALTER SYSTEM DROP BACKEND {<hosts:hostports>|<texts:strings>} [FORCE]",
	Doc: "Forget BEs at once; their replicas are made anew elsewhere. Refused while a BE has the only copy of a tablet, or one without which it could not be " +
		"written until another is made, unless FORCE is said. DECOMMISSION moves the replicas away first. SHOW WARNINGS tells of tables that want more replicas " +
		"than there are BEs left.",
	Do: func(ctx context.Context, e *Env, a syntax.Args) (Result, error) {
		bes, err := backendsAt(e, a, "backend does not exists")
		if err != nil {
			return Result{}, err
		}
		if !a.Has("FORCE") {
			if err := checkCopies(e, bes); err != nil {
				return Result{}, err
			}
		}
		var cmds []command.Command
		for _, be := range bes {
			cmds = append(cmds, &command.DropBE{BE: be.ID, Force: true})
		}
		return Result{Affected: uint64(len(cmds)), Notes: tooFewLeft(e, bes)}, act(ctx, e, "alter_system_drop_backend", hostList(bes), cmds...)
	},
	Examples: []string{`ALTER SYSTEM DROP BACKEND "10.0.0.1:9060"`, `ALTER SYSTEM DROP BACKEND "10.0.0.1:9060", "10.0.0.2:9060" FORCE`},
})

// checkCopies refuses to drop BEs when that would take away the last complete copy of a tablet, or one that its writes need now, and lists those tablets.
func checkCopies(e *Env, bes []*catalog.BE) error {
	going := map[types.BEID]bool{}
	for _, be := range bes {
		going[be.ID] = true
	}
	lost := lastCopies(e, func(_ *catalog.Tablet, r *catalog.Replica) bool { return going[r.BE] })
	if len(lost) == 0 {
		return inTheWay(fmt.Sprintf("Without the backend[%s] tablets could not be written until other replicas are made. ALTER SYSTEM DECOMMISSION BACKEND "+
			"moves them away first; ALTER SYSTEM DROP BACKEND <backends> FORCE can be used to forcibly drop the backend. In the way", hostList(bes)), lastWriters(e, going))
	}
	if table, ok := singleReplica(e, bes); ok {
		return inTheWay(fmt.Sprintf("Tables such as [%s] on the backend[%s] have only one replica. To avoid data loss, please change the "+
			"replication_num of [%s] to three. ALTER SYSTEM DROP BACKEND <backends> FORCE can be used to forcibly drop the backend. In the way",
			table, hostList(bes), table), lost)
	}
	return inTheWay(fmt.Sprintf("The backend[%s] has the last complete replica of tablets. To avoid data loss, wait for their repair (ADMIN SHOW REPLICA "+
		"STATUS). ALTER SYSTEM DROP BACKEND <backends> FORCE can be used to forcibly drop the backend. In the way", hostList(bes)), lost)
}

// lastWriters lists the tablets that can be written now and could not be without some BEs.
func lastWriters(e *Env, going map[types.BEID]bool) []string {
	var out []string
	for tab := range e.Catalog.Tablets() {
		p, ok := placeOf(e.Catalog, tab)
		if !ok {
			continue
		}
		now, left, need := 0, 0, p.table.CommitNeed(tab)
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
				tab.ID, p.db.Name, e.owner(p.table).Name, left, need))
		}
	}
	return out
}

// tooFewLeft tells of a table that wants more replicas than there are BEs without some that go.
func tooFewLeft(e *Env, going []*catalog.BE) []string {
	left := e.Catalog.BECount() - len(going)
	wide := wideTables(e, left)
	if len(wide) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%d backends are left: %s Tables that have fewer copies than they want until one is added (ALTER SYSTEM ADD BACKEND): %d",
		left, wide[0], len(wide))}
}

// wideTables lists the tables that want more replicas than so many.
func wideTables(e *Env, bes int) []string {
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
func singleReplica(e *Env, bes []*catalog.BE) (string, bool) {
	for _, be := range bes {
		for tab := range e.Catalog.TabletsOn(be.ID) {
			if p, ok := placeOf(e.Catalog, tab); ok && p.part.Replicas == 1 {
				return p.db.Name + "." + p.table.Name, true
			}
		}
	}
	return "", false
}

// stays reports whether a replica can be read: it is on a BE of the cluster that answers and has not lost it.
func stays(e *Env, tab *catalog.Tablet, r *catalog.Replica) bool {
	_, ok := e.Catalog.BE(r.BE)
	return ok && e.alive(r.BE) && !e.lost(r.BE, tab.ID)
}

var _ = register(Statement{
	Name:   "alter_system_decommission_backend",
	Syntax: "ALTER SYSTEM DECOMMISSION BACKEND {<hosts:hostports>|<texts:strings>}",
	Doc: "Move all replicas off BEs and then drop them. TabletNum of SHOW BACKENDS tells how far it is. " +
		"Undo while it runs: CANCEL DECOMMISSION BACKEND.",
	Do: func(ctx context.Context, e *Env, a syntax.Args) (Result, error) {
		bes, err := backendsAt(e, a, "Backend does not exist")
		if err != nil {
			return Result{}, err
		}
		if bes = slices.DeleteFunc(bes, func(be *catalog.BE) bool { return be.Decommission }); len(bes) == 0 {
			return nothing("these backends are being decommissioned already"), nil
		}
		if err := checkRoom(e, bes); err != nil {
			return Result{}, err
		}
		return Result{Affected: uint64(len(bes))}, act(ctx, e, "alter_system_decommission_backend", hostList(bes), setDecommission(bes, true)...)
	},
	Examples: []string{`ALTER SYSTEM DECOMMISSION BACKEND "10.0.0.1:9060"`},
})

func setDecommission(bes []*catalog.BE, on bool) []command.Command {
	var cmds []command.Command
	for _, be := range bes {
		cmds = append(cmds, &command.SetBEState{BE: be.ID, Decommission: on})
	}
	return cmds
}

// checkRoom refuses to empty BEs when the others have too little space or are too few.
func checkRoom(e *Env, bes []*catalog.BE) error {
	if len(bes) == 0 {
		return nil
	}
	var need, free int64
	left := 0
	for be := range e.Catalog.BEs() {
		s := spaceOf(e.member(be.ID).Disks)
		switch {
		case slices.ContainsFunc(bes, func(b *catalog.BE) bool { return b.ID == be.ID }):
			need += s.data
		case !be.Decommission && e.alive(be.ID) && len(e.member(be.ID).Disks) > 0:
			free += s.avail
			left++
		}
	}
	if need > free {
		return refusal("It will cause insufficient disk space if these BEs are decommissioned.")
	}
	wide := wideTables(e, left)
	if len(wide) < 2 {
		return inTheWay("It will cause insufficient BE number if these BEs are decommissioned because", wide)
	}
	return inTheWay("It will cause insufficient BE number if these BEs are decommissioned because "+wide[0]+" Also in the way", wide[1:])
}

var _ = register(Statement{
	Name:   "cancel_decommission_backend",
	Syntax: "CANCEL DECOMMISSION BACKEND {<hosts:hostports>|<texts:strings>}",
	Doc:    "Keep BEs that are being emptied. What has moved stays where it is. BEs that are not being emptied are left alone.",
	Do: func(ctx context.Context, e *Env, a syntax.Args) (Result, error) {
		bes, err := backendsAt(e, a, "Backend does not exist")
		if err != nil {
			return Result{}, err
		}
		if bes = slices.DeleteFunc(bes, func(be *catalog.BE) bool { return !be.Decommission }); len(bes) == 0 {
			return nothing("none of these backends is being decommissioned"), nil
		}
		return Result{Affected: uint64(len(bes))}, act(ctx, e, "cancel_decommission_backend", hostList(bes), setDecommission(bes, false)...)
	},
	Examples: []string{`CANCEL DECOMMISSION BACKEND "10.0.0.1:9060"`},
})
