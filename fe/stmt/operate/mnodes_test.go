package operate_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"stele/fe/group"
	"stele/fe/stmt"
	"stele/fe/stmt/stmttest"
	"stele/meta/catalog"
	"stele/meta/command"
)

// fakeGroup refuses as the real one does and does nothing else.
type fakeGroup struct {
	w      *stmttest.World
	leader string
	voters map[string]bool // which are alive
	asking []group.Waiting
}

func (g *fakeGroup) Waiting() []group.Waiting { return g.asking }

func (g *fakeGroup) Drop(ctx context.Context, fe *catalog.FE) error {
	if err := group.MayDrop(g.voters, g.leader, fe.Name); err != nil {
		return err
	}
	delete(g.voters, fe.Name)
	out, err := g.w.Propose(ctx, &command.DropFE{FE: fe.ID})
	if err != nil {
		return err
	}
	return out[0].Err
}

func (g *fakeGroup) Replace(ctx context.Context, fe *catalog.FE, _ *command.PlanFE) error {
	return g.Drop(ctx, fe)
}
func (g *fakeGroup) Transfer(context.Context, string) error { return nil }

// mnodeWorld has FEs on the machines of BEs: 10.0.0.1 leads, then come followers, alive as they are given, and an observer.
func mnodeWorld(t *testing.T, alive ...bool) (*stmttest.World, *stmt.Env) {
	w := stmttest.NewWorld(t, 4)
	g := &fakeGroup{w: w, leader: "10.0.0.1_9010_1", voters: map[string]bool{"10.0.0.1_9010_1": true}}
	fes := []stmt.Frontend{{Name: g.leader, Role: "LEADER", Join: true, Alive: true, Self: true}}
	plan := func(host string, lives, observer bool) {
		name := host + "_9010_2"
		w.Must(t, &command.PlanFE{FE: catalog.FE{Name: name, Host: host, RaftPort: 9010, Observer: observer}, TimeMs: 2},
			&command.SetFE{Name: name, QueryPort: 9030, RPCPort: 9020, Joined: true})
		f := stmt.Frontend{Name: name, Role: "OBSERVER", Join: true, Alive: lives, Learner: observer, Started: stmttest.Noon}
		if !observer {
			g.voters[name], f.Role = lives, "FOLLOWER"
		}
		if !lives {
			f.Err = "connection refused"
		}
		fes = append(fes, f)
	}
	for i, lives := range alive {
		plan(fmt.Sprintf("10.0.1.%d", i+1), lives, false)
	}
	plan("10.0.1.3", true, true)
	g.asking = []group.Waiting{{Host: "10.0.1.4", RaftPort: 9010, Since: stmttest.Noon.Add(-time.Minute), Seen: stmttest.Noon, Why: "it is not part of the cluster"},
		{Host: "10.0.1.4", RaftPort: 9011, Since: stmttest.Noon.Add(-time.Minute), Seen: stmttest.Noon, Why: "it is not part of the cluster"}}
	e := w.Env()
	e.Group = g
	e.Frontends = func() []stmt.Frontend { return fes }
	return w, e
}

// TestMnodes compares what the statements for FEs answer, number and reason, in groups of several kinds.
func TestMnodes(t *testing.T) {
	p := stmttest.Parser(t)
	var b strings.Builder
	for _, tc := range []struct {
		name       string
		alive      []bool // the followers
		statements []string
	}{
		{"three voters, all alive", []bool{true, true}, []string{
			"SHOW MNODES",
			"SHOW FRONTENDS WHERE Role = 'OBSERVER'",
			`ALTER SYSTEM ADD FOLLOWER "10.0.0.1:9010"`, // the role that it has
			`ALTER SYSTEM ADD OBSERVER "10.0.1.1:9010"`, // another role
			`ALTER SYSTEM ADD FOLLOWER "10.0.1.9:0"`,
			`ALTER SYSTEM ADD FOLLOWER "10.0.1.9:99999"`,
			`ALTER SYSTEM ADD FOLLOWER "no.such.host.invalid:9010"`,
			`ALTER SYSTEM ADD FOLLOWER "10.0.1.9"`,
			`ALTER SYSTEM DROP FOLLOWER "10.0.1.9:9010"`,
			`ALTER SYSTEM DROP OBSERVER "10.0.1.1:9010"`,
			`ALTER SYSTEM DROP FOLLOWER "10.0.1.3:9010"`,
			`ALTER SYSTEM DROP FOLLOWER "10.0.0.1:9010"`,
			`ALTER SYSTEM TRANSFER LEADER TO "10.0.0.1:9010"`,
			`ALTER SYSTEM TRANSFER LEADER TO "10.0.1.3:9010"`,
			`ALTER SYSTEM TRANSFER LEADER TO "10.0.1.9:9010"`,
			`ALTER SYSTEM TRANSFER LEADER TO "10.0.1.2"`,
			"CREATE MNODE ON DNODE 77",
			"CREATE MNODE ON DNODE 10002",
			"CREATE MNODE ON DNODE 10005",
			"DROP MNODE ON DNODE 77",
			"DROP MNODE ON DNODE 10005",
			`ALTER SYSTEM DROP FOLLOWER "10.0.1.2:9010"`, // done
			"DROP MNODE ON DNODE 10003",                  // gone by now
			"DROP MNODE ON DNODE 10002",                  // done
			`ALTER SYSTEM DROP OBSERVER "10.0.1.3:9010"`, // done
			`ALTER SYSTEM DROP FOLLOWER "10.0.0.1:9010"`, // the last voter
		}},
		{"three voters, one dead", []bool{true, false}, []string{
			"SHOW MNODES WHERE role = 'offline'",
			`ALTER SYSTEM DROP FOLLOWER "10.0.1.1:9010"`,
			"DROP MNODE ON DNODE 10002",
			`ALTER SYSTEM TRANSFER LEADER TO "10.0.1.2:9010"`,
			`ALTER SYSTEM DROP FOLLOWER "10.0.1.2:9010"`, // the dead one may go
			`ALTER SYSTEM DROP FOLLOWER "10.0.1.1:9010"`, // now this one may
			"ALTER SYSTEM TRANSFER LEADER",
		}},
		{"one voter", nil, []string{
			`ALTER SYSTEM TRANSFER LEADER`,
			`ALTER SYSTEM DROP FOLLOWER "10.0.0.1:9010"`,
		}},
	} {
		w, e := mnodeWorld(t, tc.alive...)
		fmt.Fprintf(&b, "# %s\n", tc.name)
		for _, s := range tc.statements {
			e.Catalog = w.Cat
			r, err := stmttest.Run(e, p, s)
			fmt.Fprintf(&b, "> %s\n%s\n", s, stmttest.Print(r, err))
		}
	}
	stmttest.CheckFile(t, "testdata/mnodes.golden", b.String())
}
