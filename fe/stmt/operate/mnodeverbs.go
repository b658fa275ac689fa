package operate

import (
	"context"
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

// A dnode is what a machine has of a cluster: a BE, by whose id it is known, and the FE beside it. Which FE that is follows from
// the host when it has one BE, and is said by an operator when it has several.

// orNull is NULL for the id 0.
func orNull[T ~uint64 | ~uint32](id T) any {
	if id == 0 {
		return nil
	}
	return id
}

// mnodesOf are the FEs of a dnode.
func mnodesOf(e *stmt.Env, be *catalog.BE) []*catalog.FE {
	var out []*catalog.FE
	for fe := range e.Catalog.FEs() {
		if e.Catalog.DNodeOf(fe) == be.ID {
			out = append(out, fe)
		}
	}
	return out
}

// strayMnodes are the FEs on the machine of a dnode of which nobody can say whether they are its own.
func strayMnodes(e *stmt.Env, be *catalog.BE) []*catalog.FE {
	var out []*catalog.FE
	for fe := range e.Catalog.FEs() {
		if fe.Host == be.Host && e.Catalog.DNodeOf(fe) == 0 {
			out = append(out, fe)
		}
	}
	return out
}

// mnodeIDs prints the ids of FEs.
func mnodeIDs(fes []*catalog.FE) string {
	texts := make([]string, len(fes))
	for i, fe := range fes {
		texts[i] = fmt.Sprint(fe.ID)
	}
	return strings.Join(texts, ", ")
}

// mnodeOn finds the FE that is meant by the id of a dnode, or by its own. Both are drawn from one counter.
func mnodeOn(e *stmt.Env, id int64) (*catalog.FE, error) {
	if fe, ok := e.Catalog.FE(types.FEID(max(id, 0))); ok {
		return fe, nil
	}
	be, ok := e.Catalog.BE(types.BEID(max(id, 0)))
	if !ok {
		return nil, stmt.Refusal("dnode %d does not exist: SHOW DNODES lists them", id)
	}
	there := mnodesOf(e, be)
	stray := strayMnodes(e, be)
	switch {
	case len(there) == 1:
		return there[0], nil
	case len(there) > 1:
		return nil, stmt.Refusal("dnode %d has %d mnodes: name one by its own id (%s)", id, len(there), mnodeIDs(there))
	case len(stray) > 0:
		return nil, stmt.Refusal("nobody has said whether dnode %d (%s) has one of the mnodes there: name it by its own id (%s), or say it once with "+
			"ALTER MNODE <mnode> ON DNODE %d", id, be.Host, mnodeIDs(stray), id)
	}
	return nil, stmt.Refusal("dnode %d (%s) has no mnode", id, be.Host)
}

var _ = stmt.Register(stmt.Statement{
	Name:   "create_mnode",
	Syntax: "CREATE MNODE ON DNODE <id:int>",
	Doc: "Let the FE that waits on the machine of a dnode (a BE, by its id of SHOW DNODES) join as a follower, as ALTER SYSTEM ADD FOLLOWER does by address. " +
		"SHOW MNODES lists who waits. It belongs to that dnode from then on.",
	Do: func(ctx context.Context, e *stmt.Env, a syntax.Args) (stmt.Result, error) {
		be, err := dnode(e, a)
		if err != nil {
			return stmt.Result{}, err
		}
		var there []group.Waiting
		for _, w := range waiting(e) {
			if _, known := e.Catalog.FEAt(w.Host, w.RaftPort); w.Host == be.Host && !known {
				there = append(there, w)
			}
		}
		switch has := mnodesOf(e, be); {
		case len(has) > 0:
			return stmt.Result{}, stmt.Refusal("dnode %d (%s) has an mnode already: %s. Another FE of its machine joins by ALTER SYSTEM ADD FOLLOWER", be.ID, be.Host, mnodeIDs(has))
		case !e.Alive(be.ID):
			return stmt.Result{}, stmt.Refusal("dnode %d (%s) is offline", be.ID, endpoint(e, be.ID))
		case len(there) == 0:
			return stmt.Result{}, stmt.Refusal("no FE waits on %s to join: start `stele fe` there with an empty meta_dir and with fe_helpers naming FEs of this cluster", be.Host)
		case len(there) > 1:
			return stmt.Result{}, stmt.Refusal("%d FEs wait on %s: let one of them join with ALTER SYSTEM ADD FOLLOWER 'host:edit_log_port' (SHOW MNODES), and say with "+
				"ALTER MNODE that it is of dnode %d", len(there), be.Host, be.ID)
		}
		if err := addFrontend(ctx, e, there[0].Host, there[0].RaftPort, false, be.ID); err != nil {
			return stmt.Result{}, err
		}
		return stmt.Result{Affected: 1}, stmt.Note(ctx, e, "create_mnode", net.JoinHostPort(there[0].Host, strconv.Itoa(there[0].RaftPort)))
	},
	Examples: []string{"CREATE MNODE ON DNODE 10002"},
})

var _ = stmt.Register(stmt.Statement{
	Name:   "alter_mnode",
	Syntax: "ALTER MNODE <mnode:int> ON DNODE <id:int>",
	Doc: "Say to which dnode an mnode (an FE, by its id of SHOW MNODES) belongs. It is needed where a machine has several BEs, or where FE and BE call it by " +
		"different names; statements that name a dnode then find its mnode. ON DNODE 0 takes it back.",
	Do: func(ctx context.Context, e *stmt.Env, a syntax.Args) (stmt.Result, error) {
		fe, ok := e.Catalog.FE(types.FEID(max(a.Int("mnode"), 0)))
		if !ok {
			return stmt.Result{}, stmt.Refusal("mnode %d does not exist: SHOW MNODES lists them", a.Int("mnode"))
		}
		be := types.BEID(0)
		if a.Int("id") != 0 {
			found, err := dnode(e, a)
			if err != nil {
				return stmt.Result{}, err
			}
			be = found.ID
			if i := slices.IndexFunc(mnodesOf(e, found), func(f *catalog.FE) bool { return f.ID != fe.ID && f.DNode == be }); i >= 0 {
				return stmt.Result{}, stmt.Refusal("dnode %d has an mnode already: %s", be, mnodeIDs(mnodesOf(e, found)))
			}
		}
		if fe.DNode == be {
			return stmt.Nothing("it is so already"), nil
		}
		return stmt.Result{Affected: 1}, stmt.Act(ctx, e, "alter_mnode", fmt.Sprintf("%d on dnode %d", fe.ID, be), &command.SetFEDNode{FE: fe.ID, BE: be})
	},
	Examples: []string{"ALTER MNODE 10001 ON DNODE 10002", "ALTER MNODE 10001 ON DNODE 0"},
})

var _ = stmt.Register(stmt.Statement{
	Name:   "drop_mnode",
	Syntax: "DROP MNODE ON DNODE <id:int>",
	Doc: "Take the FE of a dnode (a BE, by its id) out of the cluster, as ALTER SYSTEM DROP FOLLOWER does by address. " +
		"The id of the mnode itself (SHOW MNODES) does as well, and is needed where nobody has said to which dnode it belongs.",
	Do: func(ctx context.Context, e *stmt.Env, a syntax.Args) (stmt.Result, error) {
		fe, err := mnodeOn(e, a.Int("id"))
		if err != nil {
			return stmt.Result{}, err
		}
		return stmt.Result{Affected: 1}, dropFrontend(ctx, e, fe)
	},
	Examples: []string{"DROP MNODE ON DNODE 10002"},
})
