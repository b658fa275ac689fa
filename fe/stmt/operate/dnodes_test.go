package operate_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"stele/fe/cluster"
	"stele/fe/group"
	"stele/fe/stmt"
	"stele/fe/stmt/stmttest"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
)

// droppingGroup lets every FE go and knows who waits.
type droppingGroup struct {
	w       *stmttest.World
	waiting []group.Waiting
}

func (g *droppingGroup) Waiting() []group.Waiting { return g.waiting }
func (g *droppingGroup) Drop(ctx context.Context, fe *catalog.FE) error {
	_, err := g.w.Propose(ctx, &command.DropFE{FE: fe.ID})
	return err
}
func (g *droppingGroup) Replace(ctx context.Context, fe *catalog.FE, by *command.PlanFE) error {
	out, err := g.w.Propose(ctx, &command.DropFE{FE: fe.ID}, by)
	if err != nil {
		return err
	}
	return catalog.BatchResult(out).Err()
}
func (g *droppingGroup) Transfer(context.Context, string) error { return nil }

// crowd is a cluster where two of three BEs share a host with two FEs, and the third has a host with one FE.
type crowd struct {
	*stmttest.World
	g     *droppingGroup
	alive map[string]bool // FEs that answer, by name
}

func newCrowd(t *testing.T) *crowd {
	w := &crowd{World: stmttest.NewWorld(t, 3), alive: map[string]bool{}}
	w.g = &droppingGroup{w: w.World}
	w.Must(t, &command.SetBEAddress{BE: 10003, Host: "10.0.1.1", Port: 9051}, &command.NoteLeader{RaftID: "10.0.0.1_9010_1", Term: 2, TimeMs: 1})
	for _, at := range []struct {
		host string
		port int
	}{{"10.0.1.1", 9010}, {"10.0.1.1", 9011}, {"10.0.1.3", 9010}} {
		name := fmt.Sprintf("%s_%d_1", at.host, at.port)
		w.Must(t, &command.PlanFE{FE: catalog.FE{Name: name, Host: at.host, RaftPort: at.port}}, &command.SetFE{Name: name, Joined: true})
		w.alive[name] = true
	}
	return w
}

// id is that of the FE at an address.
func (w *crowd) id(t *testing.T, host string, port int) types.FEID {
	t.Helper()
	fe, ok := w.Cat.FEAt(host, port)
	if !ok {
		t.Fatalf("no FE at %s:%d", host, port)
	}
	return fe.ID
}

func (w *crowd) env() *stmt.Env {
	e := w.World.Env()
	e.Group = w.g
	leader := e.Frontends()
	e.Frontends = func() []stmt.Frontend {
		all := leader
		for fe := range w.Cat.FEs() {
			if fe.Name != leader[0].Name {
				all = append(all, stmt.Frontend{Name: fe.Name, Role: "FOLLOWER", Join: !fe.Pending, Alive: w.alive[fe.Name], Err: "refused"})
			}
		}
		return all
	}
	return e
}

func (w *crowd) run(t *testing.T, statement string) (stmt.Result, error) {
	t.Helper()
	return stmttest.Run(w.env(), stmttest.Parser(t), statement)
}

func (w *crowd) refused(t *testing.T, statement, says string) {
	t.Helper()
	if r, err := w.run(t, statement); err == nil || !strings.Contains(err.Error(), says) {
		t.Errorf("%s: %v %v, want %q", statement, r.Rows, err, says)
	}
}

func (w *crowd) rows(t *testing.T, statement string, columns ...string) string {
	t.Helper()
	r, err := w.run(t, statement)
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	var all []string
	for _, row := range r.Rows {
		var out []string
		for i, c := range r.Columns {
			for _, want := range columns {
				if c.Name == want {
					out = append(out, fmt.Sprint(row[i]))
				}
			}
		}
		all = append(all, strings.Join(out, " "))
	}
	return strings.Join(all, "; ")
}

// TestWhoseMnode: which FE belongs to which dnode is told by the host if that has one BE, else by the operator, once.
func TestWhoseMnode(t *testing.T) {
	w := newCrowd(t)
	a, b, c := w.id(t, "10.0.1.1", 9010), w.id(t, "10.0.1.1", 9011), w.id(t, "10.0.1.3", 9010)
	if got, want := w.rows(t, "SHOW DNODES", "id", "mnode_id"), fmt.Sprintf("10002 <nil>; 10003 <nil>; 10004 %d", c); got != want {
		t.Errorf("dnodes %s, want %s", got, want)
	}
	w.refused(t, "DROP MNODE ON DNODE 10002", "nobody has said whether dnode 10002")
	w.refused(t, "RESTORE MNODE ON DNODE 10003", fmt.Sprintf("(%d, %d)", a, b))
	w.refused(t, fmt.Sprintf("ALTER MNODE %d ON DNODE 77", a), "dnode 77 does not exist")
	w.refused(t, "ALTER MNODE 77 ON DNODE 10002", "mnode 77 does not exist")
	w.rows(t, fmt.Sprintf("ALTER MNODE %d ON DNODE 10003", a))
	w.refused(t, fmt.Sprintf("ALTER MNODE %d ON DNODE 10003", b), "has an mnode already")
	w.rows(t, fmt.Sprintf("ALTER MNODE %d ON DNODE 10002", b))
	if got, want := w.rows(t, "SHOW DNODES", "id", "mnode_id"), fmt.Sprintf("10002 %d; 10003 %d; 10004 %d", b, a, c); got != want {
		t.Errorf("dnodes %s, want %s", got, want)
	}
	if got, want := w.rows(t, "SHOW MNODES", "id", "dnode_id"), fmt.Sprintf("10001 <nil>; %d 10003; %d 10002; %d 10004", a, b, c); got != want {
		t.Errorf("mnodes %s, want %s", got, want)
	}
	w.rows(t, "DROP MNODE ON DNODE 10003")
	if _, ok := w.Cat.FE(a); ok {
		t.Error("the mnode is still there")
	}
	w.refused(t, "DROP MNODE ON DNODE 10003", "has no mnode")
	w.refused(t, "CREATE MNODE ON DNODE 10002", "has an mnode already")
	w.refused(t, "CREATE MNODE ON DNODE 10003", "no FE waits on 10.0.1.1")
	w.g.waiting = []group.Waiting{{Host: "10.0.1.1", RaftPort: 9012}}
	w.BEs[10003].Alive = false
	w.refused(t, "CREATE MNODE ON DNODE 10003", "is offline")
	w.BEs[10003].Alive = true
	w.g.waiting = append(w.g.waiting, group.Waiting{Host: "10.0.1.1", RaftPort: 9013})
	w.refused(t, "CREATE MNODE ON DNODE 10003", "2 FEs wait on 10.0.1.1")
}

// TestRestoreRefusals: what cannot be restored is said, and nothing is begun.
func TestRestoreRefusals(t *testing.T) {
	w := newCrowd(t)
	w.Table(t, "t", []catalog.Partition{{Name: "t"}}, 2, [][]types.BEID{{10002, 10003}, {10004, 10003}})
	w.Report()
	a, c := w.id(t, "10.0.1.1", 9010), w.id(t, "10.0.1.3", 9010)
	if got := w.rows(t, "RESTORE DNODE 10004", "part", "action", "message"); got != "none nothing nothing to restore" {
		t.Errorf("a whole dnode: %s", got)
	}
	for _, what := range []string{"RESTORE DNODE 77", "RESTORE VNODE ON DNODE 77", "RESTORE MNODE ON DNODE 77", "RESTORE QNODE ON DNODE 77", "RESTORE DNODE -1"} {
		w.refused(t, what, "does not exist")
	}
	w.refused(t, "RESTORE QNODE ON DNODE 10004", "has no qnode")
	w.alive["10.0.1.3_9010_1"] = false
	w.refused(t, "RESTORE MNODE ON DNODE 10004", "does not answer, nor does it ask to join")
	if got := w.rows(t, "RESTORE DNODE 10004", "part", "action"); got != "mnode wait" {
		t.Errorf("a dnode whose mnode is away: %s", got)
	}
	w.g.waiting = []group.Waiting{{Host: "10.0.1.3", RaftPort: 9010}, {Host: "10.0.1.1", RaftPort: 9010}}
	w.BEs[10004].Alive, w.BEs[10004].Err = false, "connection refused"
	w.refused(t, "RESTORE DNODE 10004", "is offline (connection refused)")
	if _, ok := w.Cat.FE(c); !ok {
		t.Error("its mnode was touched all the same")
	}
	w.BEs[10004].Alive = true
	if got := w.rows(t, "RESTORE DNODE 10004 DRY RUN", "part", "action"); got != "mnode restore" {
		t.Errorf("dry run: %s", got)
	}
	if got := w.rows(t, "RESTORE DNODE 10004", "part", "action"); got != "mnode restore" {
		t.Errorf("restore: %s", got)
	}
	fe, _ := w.Cat.FEAt("10.0.1.3", 9010)
	if fe == nil || fe.ID == c || !fe.Pending {
		t.Errorf("the mnode is %+v now", fe)
	}
	if got := w.rows(t, "RESTORE DNODE 10004", "part", "action"); got != "mnode running" {
		t.Errorf("again: %s", got)
	}
	if got := w.rows(t, "RESTORE DNODE 10002", "part", "action"); got != "mnode wait" {
		t.Errorf("a blank mnode that may be of this dnode: %s", got)
	}
	w.rows(t, fmt.Sprintf("ALTER MNODE %d ON DNODE 10002", a))
	if got := w.rows(t, "RESTORE DNODE 10002", "part", "action"); got != "mnode restore" {
		t.Errorf("an mnode that is said to be of this dnode: %s", got)
	}
	if fe, _ := w.Cat.FEAt("10.0.1.1", 9010); fe == nil || fe.DNode != 10002 {
		t.Errorf("restored as %+v", fe)
	}
}

// TestDropDNode: one that answers is emptied, one that does not needs FORCE, and the last copy of something UNSAFE.
func TestDropDNode(t *testing.T) {
	w := newCrowd(t)
	w.refused(t, "CREATE DNODE '10.0.1.1:9050'", "already exists")
	w.refused(t, "CREATE DNODE '127.0.0.1:1', '127.0.0.1:2' PORT 5", "one host")
	w.rows(t, "CREATE DNODE '127.0.0.1' PORT 9050")
	made, ok := w.Cat.BEAt("127.0.0.1", 9050)
	if !ok {
		t.Fatal("the dnode was not made")
	}
	w.BEs[made.ID] = &cluster.BE{ID: made.ID, Address: "127.0.0.1:9050", Alive: true, Disks: []cluster.Disk{{ID: 9, Available: 1 << 50}}}
	w.Table(t, "one", []catalog.Partition{{Name: "one"}}, 1, [][]types.BEID{{10004}})
	w.Table(t, "two", []catalog.Partition{{Name: "two"}}, 2, [][]types.BEID{{10004, 10003}})
	w.Report()
	c := w.id(t, "10.0.1.3", 9010)
	w.refused(t, "DROP DNODE 77", "does not exist")
	w.refused(t, "DROP DNODE 10004 FORCE", "is online")
	w.refused(t, "DROP DNODE 10004 UNSAFE", "is online")
	w.BEs[10004].Alive = false
	w.refused(t, "DROP DNODE 10004", "is offline")
	w.refused(t, "DROP DNODE 10004 FORCE", "UNSAFE gives them up")
	if _, ok := w.Cat.FE(c); !ok {
		t.Error("a refused DROP DNODE has taken the mnode")
	}
	w.rows(t, "DROP DNODE 10004 FORCE UNSAFE")
	if _, ok := w.Cat.BE(10004); ok {
		t.Error("the dnode is still there")
	}
	if _, ok := w.Cat.FE(c); ok {
		t.Error("its mnode is still there")
	}
	w.rows(t, "DROP DNODE '10.0.1.1:9051'")
	if be, _ := w.Cat.BE(10003); !be.Decommission {
		t.Error("a dnode that answers is not emptied")
	}
	w.Must(t, &command.SetFEDNode{FE: w.id(t, "10.0.0.1", 9010), BE: 10002})
	w.refused(t, "DROP DNODE 10002", "leads: ALTER SYSTEM TRANSFER LEADER first")
	w.refused(t, "ALTER DNODE 10002 'log_level' 'debug'", "backends have one configuration")
	w.refused(t, "ALTER ALL DNODES 'no_such_item' '1'", "no_such_item")
	w.rows(t, "ALTER ALL DNODES 'clone_bandwidth_limit_mb_per_disk' '50'")
	if got := w.rows(t, "SHOW CLUSTER VARIABLES", "name", "value", "scope"); !strings.Contains(got, "; query_port 9030 node;") {
		t.Errorf("variables: %s", got)
	}
	if got := w.rows(t, "SHOW shop.ALIVE", "status"); got != "0" {
		t.Errorf("a database with a table that is gone: %s", got)
	}
	w.refused(t, "SHOW nowhere.ALIVE", "nowhere")
}
