//go:build chaos

package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"stele/tests/cluster"
)

// Faults of frontends and of links, and the manual operations.

// pickFrontend draws an FE, the leading one half of the time, and says whether it leads.
func (n *nemesis) pickFrontend() (node, role string) {
	ctx, cancel := context.WithTimeout(n.ch.t.Context(), 10*time.Second)
	defer cancel()
	leader, err := n.ch.c.Leader(ctx)
	if err != nil {
		leader = "fe1" // while there is none, one is as good as another
	}
	if n.rnd.IntN(2) == 0 {
		return leader, " (leader)"
	}
	if node = fmt.Sprintf("fe%d", 1+n.rnd.IntN(*fes)); node == leader {
		return node, " (leader)"
	}
	return node, ""
}

func (n *nemesis) frontendHangs() (string, time.Time) {
	node, role := n.pickFrontend()
	what, blind := n.stopFor(node, n.between(500*time.Millisecond, 7*time.Second))
	return what + role, blind
}

func (n *nemesis) frontends() []string {
	return slices.DeleteFunc(n.ch.c.Nodes(), func(node string) bool { return strings.HasPrefix(node, "be") })
}

// cutFrontend cuts an FE from the other FEs, from all nodes, or so that it hears and is not heard.
func (n *nemesis) cutFrontend() (string, time.Time) {
	node, role := n.pickFrontend()
	others := n.frontends()
	how := []string{"from the FEs", "from all nodes", "one way"}[n.rnd.IntN(3)]
	if how == "from all nodes" {
		others = n.ch.c.Nodes()
	}
	return n.cutFor(node, others, node+role+" "+how, how == "one way")
}

// cutBackend cuts a BE from another node, from all FEs, or from all other BEs.
func (n *nemesis) cutBackend() (string, time.Time) {
	node := n.pick()
	nodes := n.ch.c.Nodes()
	switch n.rnd.IntN(3) {
	case 0:
		nodes = nodes[n.rnd.IntN(len(nodes)):][:1]
	case 1:
		nodes = n.frontends()
	default:
		nodes = n.backends()
	}
	return n.cutFor(node, nodes, node+" from "+strings.Join(nodes, " "), n.rnd.IntN(3) == 0)
}

func (n *nemesis) cutFor(node string, others []string, what string, oneWay bool) (string, time.Time) {
	if !cluster.Networked() {
		return "no network to cut", time.Time{}
	}
	cut := n.ch.c.Cut
	if oneWay {
		cut = n.ch.c.CutOneWay
	}
	for _, other := range others {
		if other == node {
			continue
		}
		if err := cut(node, other); err != nil {
			n.ch.t.Fatal(err)
		}
	}
	d := n.between(500*time.Millisecond, 7*time.Second)
	n.sleep(d)
	if err := n.ch.c.Mend(); err != nil {
		n.ch.t.Fatal(err)
	}
	for _, be := range n.backends() {
		n.ch.c.WaitAlive(n.ch.t, be, true, 30*time.Second)
	}
	if oneWay {
		what += " one way"
	}
	return fmt.Sprintf("%s for %v", what, d.Round(time.Millisecond)), time.Time{}
}

func (n *nemesis) handOver() (string, time.Time) {
	return n.admin("ALTER SYSTEM TRANSFER LEADER"), time.Time{}
}

// admin runs a statement on any FE and tells it with its outcome. Refusals are no broken promises.
func (n *nemesis) admin(statement string) string {
	ctx, cancel := context.WithTimeout(n.ch.t.Context(), statementTimeout)
	defer cancel()
	if _, err := n.ch.db.ExecContext(ctx, statement); err != nil {
		if ctx.Err() != nil {
			n.ch.broken("%s took longer than %v", statement, statementTimeout)
		}
		return statement + ": " + err.Error()
	}
	return statement
}

// rejoin drops an FE for good and lets it join again with an empty folder. The statement is given to any FE, the one that
// goes included. One time in two it is an FE without a vote, which joins for the first time when there is none yet.
func (n *nemesis) rejoin() (string, time.Time) {
	if *fes < 3 {
		return "too few frontends", time.Time{}
	}
	ctx, cancel := context.WithTimeout(n.ch.t.Context(), time.Minute)
	defer cancel()
	if n.rnd.IntN(2) == 0 {
		if n.extra == "" {
			return n.addFrontend(), time.Time{}
		}
		return n.replace(ctx, n.extra, "OBSERVER"), time.Time{}
	}
	leader, err := n.ch.c.Leader(ctx)
	if err != nil {
		return err.Error(), time.Time{}
	}
	node := "fe" + fmt.Sprint(*fes)
	if node == leader {
		node = "fe" + fmt.Sprint(*fes-1)
	}
	return n.replace(ctx, node, "FOLLOWER"), time.Time{}
}

// replace drops an FE and lets it join again.
func (n *nemesis) replace(ctx context.Context, node, role string) string {
	address := n.ch.c.FrontendAddr(node)
	drop := "ALTER SYSTEM DROP " + role + ` "` + address + `"`
	by := 1 + n.rnd.IntN(*fes)
	what := fmt.Sprintf("%s on fe%d", drop, by)
	if _, err := n.ch.c.FrontendDB(by).ExecContext(ctx, drop); err != nil {
		return what + ": " + err.Error()
	}
	n.ch.c.Wait(n.ch.t, node+" has ended", 30*time.Second, func() (bool, string) { return n.pid(node) == 0, "it runs" })
	meta := filepath.Join(n.ch.c.Dir, node, "meta")
	if err := errors.Join(os.RemoveAll(meta), os.Mkdir(meta, 0o750), n.ch.c.Spawn(node)); err != nil {
		n.ch.t.Fatal(err)
	}
	what += ", " + n.admin("ALTER SYSTEM ADD "+role+` "`+address+`"`)
	n.joined(node, role)
	return what
}

// addFrontend has an FE without a vote join that was not there before.
func (n *nemesis) addFrontend() string {
	node, err := n.ch.c.AddFrontend()
	if err != nil {
		n.ch.t.Fatal(err)
	}
	n.extra = node
	what := n.admin(`ALTER SYSTEM ADD OBSERVER "` + n.ch.c.FrontendAddr(node) + `"`)
	n.joined(node, "OBSERVER")
	return what
}

// joined waits until an FE has its role and answers clients.
func (n *nemesis) joined(node, role string) {
	want := map[string]string{"FOLLOWER": "follower", "OBSERVER": "learner"}[role]
	n.ch.c.Wait(n.ch.t, node+" is a "+want, time.Minute, func() (bool, string) {
		ctx, cancel := context.WithTimeout(n.ch.t.Context(), 10*time.Second)
		defer cancel()
		rows, err := cluster.ReadTable(ctx, n.ch.db, "SHOW MNODES WHERE endpoint = '"+n.ch.c.FrontendAddr(node)+"'")
		if err != nil {
			return false, err.Error()
		}
		role, status := rows.Column("role"), rows.Column("status")
		return len(role) == 1 && status[0] == "ready" && (role[0] == want || role[0] == "leader"), fmt.Sprint(rows.Rows)
	})
	n.answers(node)
}

// answers waits until an FE answers clients.
func (n *nemesis) answers(node string) {
	n.ch.c.Wait(n.ch.t, node+" answers", time.Minute, func() (bool, string) {
		ctx, cancel := context.WithTimeout(n.ch.t.Context(), 10*time.Second)
		defer cancel()
		_, err := n.ch.c.FrontendDB(int(node[2]-'0')).ExecContext(ctx, "SELECT 1")
		return err == nil, fmt.Sprint(err)
	})
}

// operate does what operators do, and takes it back.
func (n *nemesis) operate() (string, time.Time) {
	// One that came later may have nothing yet, and would be gone before its decommission is taken back.
	table, be := n.tables[n.rnd.IntN(len(n.tables))], n.ch.c.BackendAddr(fmt.Sprintf("be%d", 1+n.rnd.IntN(replicas)))
	switch n.rnd.IntN(4) {
	case 0:
		return n.admin("CHANGELEADER " + table + " 0 AUTO"), time.Time{}
	case 1:
		what := n.admin("ADMIN DRAIN BACKEND '" + be + "'")
		n.sleep(n.between(time.Second, 3*time.Second))
		return what + ", " + n.admin("ADMIN UNDRAIN BACKEND '"+be+"'"), time.Time{}
	case 2:
		what := n.admin(`ALTER SYSTEM DECOMMISSION BACKEND "` + be + `"`)
		n.sleep(n.between(0, 2*time.Second))
		return what + ", " + n.admin(`CANCEL DECOMMISSION BACKEND "`+be+`"`), time.Time{}
	}
	return n.admin("BALANCE VGROUP"), time.Time{}
}

// disableDisk gives up the replicas of a disk, takes it back and waits until all is whole.
func (n *nemesis) disableDisk() (string, time.Time) {
	node := n.pick()
	on := fmt.Sprintf(`DISK "%s" ON BACKEND "%s"`, filepath.Join(n.ch.c.Dir, node, fmt.Sprintf("storage%d", 1+n.rnd.IntN(2))), n.ch.c.BackendAddr(node))
	verb := []string{"DISABLE", "DECOMMISSION"}[n.rnd.IntN(2)]
	what := n.admin("ALTER SYSTEM " + verb + " " + on)
	n.sleep(n.between(2*time.Second, 8*time.Second))
	what += ", " + n.admin("ALTER SYSTEM CANCEL "+verb+" "+on)
	n.ch.healthy(n.tables, healTimeout)
	return strings.ReplaceAll(what, n.ch.c.Dir, ""), time.Time{}
}
