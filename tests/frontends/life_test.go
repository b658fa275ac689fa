package frontends

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stele/meta/rpc/rpctest"
	"stele/tests/cluster"
)

// TestAllAtOnce: all nodes lose power together; the FEs find together again and nothing is lost. Then one FE is dropped,
// and comes back with an empty meta_dir under the same address.
func TestAllAtOnce(t *testing.T) {
	c := startWith(t, 3, steady, nil)
	exec(t, c.FrontendDB(2), "UPDATE ha.reg SET v = 42 WHERE k = 1")
	must(t, c.KillAll())
	for n := 1; n <= 3; n++ {
		c.Wait(t, fmt.Sprintf("fe%d reads what was written", n), 30*time.Second, func() (bool, string) {
			var v int
			err := c.FrontendDB(n).QueryRowContext(t.Context(), "SELECT v FROM ha.reg WHERE k = 1").Scan(&v)
			return err == nil && v == 42, fmt.Sprint(v, err)
		})
	}
	gone := "fe3"
	if leader(t, c) == gone {
		exec(t, c.DB(), `ALTER SYSTEM TRANSFER LEADER TO "`+c.FrontendAddr("fe1")+`"`)
	}
	underLoad(t, c, func() { dropsItself(t, c, gone) })
	meta := filepath.Join(c.Dir, gone, "meta")
	must(t, os.RemoveAll(meta))
	must(t, os.Mkdir(meta, 0o750))
	exec(t, c.FrontendDB(2), `ALTER SYSTEM ADD FOLLOWER "`+c.FrontendAddr(gone)+`"`)
	must(t, c.StartNode(gone))
	c.Wait(t, "the FE votes again", 30*time.Second, func() (bool, string) {
		rows, err := cluster.ReadTable(t.Context(), c.DB(), "SHOW MNODES")
		if err != nil {
			return false, err.Error()
		}
		roles := strings.Join(rows.Column("role"), " ")
		return strings.Count(roles, "follower") == 2, roles
	})
	if got := one(t, c.FrontendDB(3), "SELECT v FROM ha.reg WHERE k = 1"); got != "42" {
		t.Errorf("the FE that came back reads %s", got)
	}

	// One that does not hear of it is told when it asks.
	if leader(t, c) == gone {
		exec(t, c.DB(), `ALTER SYSTEM TRANSFER LEADER TO "`+c.FrontendAddr("fe1")+`"`)
	}
	must(t, c.Pause(gone))
	exec(t, c.DB(), `ALTER SYSTEM DROP FOLLOWER "`+c.FrontendAddr(gone)+`"`)
	must(t, c.Resume(gone))
	ended(t, c, gone)
	exec(t, c.FrontendDB(2), "UPDATE ha.reg SET v = 43 WHERE k = 1")

	// One that is started again has no snapshot, and so knows no FE of the catalog: it asks where it once joined.
	if snapshots, err := filepath.Glob(filepath.Join(meta, "snapshots", "*")); err != nil || len(snapshots) > 0 {
		t.Errorf("it has snapshots, so this proves nothing: %v, %v", snapshots, err)
	}
	must(t, c.Spawn(gone))
	c.Wait(t, gone+" ends again", 20*time.Second, func() (bool, string) {
		said, err := os.ReadFile(filepath.Join(c.Dir, gone, "log", "out.log"))
		return err == nil && strings.Count(string(said), "move meta_dir away") == 3 && !c.Runs(gone), string(said)
	})
}

// underLoad has clients on all FEs while do is done. Statements of theirs do not hold up an FE that ends.
func underLoad(t *testing.T, c *cluster.Cluster, do func()) {
	t.Helper()
	exec(t, c.DB(), "UPDATE ha.reg SET v = 0")
	l := newLoad()
	begun := time.Now()
	l.run(t.Context(), pools(t, c, 3), 2, func() {
		cluster.Sleep(t.Context(), 500*time.Millisecond)
		do()
	})
	if took := time.Since(begun); took > 20*time.Second {
		t.Errorf("an FE that was dropped took %v to end", took)
	}
	l.check(t)
	exec(t, c.DB(), "UPDATE ha.reg SET v = 42 WHERE k = 1")
}

// dropsItself drops an FE in a session of its own: the statement is answered, then it stops listening and ends.
func dropsItself(t *testing.T, c *cluster.Cluster, node string) {
	t.Helper()
	db := c.OpenFrontend(int(node[2]-'0'), "")
	defer db.Close()
	idle, err := db.Conn(t.Context())
	must(t, err)
	defer idle.Close()
	exec(t, db, `ALTER SYSTEM DROP FOLLOWER "`+c.FrontendAddr(node)+`"`)
	ended(t, c, node)
	if _, err := idle.ExecContext(t.Context(), "SELECT 1"); err == nil {
		t.Error("a session of an FE that was dropped goes on")
	}
}

// ended waits until an FE that was dropped has ended by itself and nobody listens at its address.
func ended(t *testing.T, c *cluster.Cluster, node string) {
	t.Helper()
	db := c.OpenFrontend(int(node[2]-'0'), "")
	defer db.Close()
	c.Wait(t, node+" does not listen any more", 20*time.Second, func() (bool, string) {
		err := db.PingContext(t.Context())
		var dial *net.OpError
		return errors.As(err, &dial) && dial.Op == "dial", fmt.Sprint(err)
	})
	c.Wait(t, node+" has ended", 20*time.Second, func() (bool, string) {
		said, err := os.ReadFile(filepath.Join(c.Dir, node, "log", "out.log"))
		return err == nil && strings.Contains(string(said), "was dropped from the cluster and ends") && !c.Runs(node), string(said)
	})
}

// TestBlankFrontendWaits: an FE that has lost its metadata and is not told to bootstrap starts no cluster of its own. It
// waits, says for what, and the others go on.
func TestBlankFrontendWaits(t *testing.T) {
	c := start(t, 3)
	blank := otherThan(leader(t, c))
	must(t, c.Kill(blank))
	meta := filepath.Join(c.Dir, blank, "meta")
	must(t, os.RemoveAll(meta))
	must(t, os.Mkdir(meta, 0o750))
	must(t, c.SetItems(blank, map[string]string{"bootstrap": "false"}))
	must(t, c.Spawn(blank))
	db := c.FrontendDB(int(leader(t, c, blank)[2] - '0'))
	c.Wait(t, "the cluster shows who waits and why", 20*time.Second, func() (bool, string) {
		rows, err := cluster.ReadTable(t.Context(), db, "SHOW MNODES WHERE status = 'waiting'")
		if err != nil || len(rows.Column("note")) != 1 {
			return false, fmt.Sprint(err)
		}
		return strings.Contains(rows.Column("note")[0], "meta_dir is empty here"), rows.Column("note")[0]
	})
	c.Wait(t, "the blank FE says that it waits", 30*time.Second, func() (bool, string) {
		said, err := os.ReadFile(filepath.Join(c.Dir, blank, "log", "out.log"))
		return err == nil && strings.Contains(string(said), "waits to join a cluster"), string(said)
	})
	exec(t, db, "UPDATE ha.reg SET v = 1 WHERE k = 1")
}

// TestEncrypted: a cluster whose nodes hold certificates and gossip keys works as any other.
func TestEncrypted(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it runs a cluster")
	}
	f := rpctest.NewCA(t).Node("node")
	items := map[string]string{"tls_cert": f.Cert, "tls_key": f.Key, "tls_ca": f.CA,
		"gossip_keys": base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32)))}
	c := cluster.Start(t, cluster.Options{Frontends: 3, Backends: 3, FE: items, BE: items})
	exec(t, c.FrontendDB(2), "CREATE DATABASE ha", "CREATE TABLE ha.reg (k INT PRIMARY KEY, v BIGINT NOT NULL)", "INSERT INTO ha.reg VALUES (1, 7)")
	if got := one(t, c.FrontendDB(3), "SELECT v FROM ha.reg WHERE k = 1"); got != "7" {
		t.Errorf("another FE reads %s", got)
	}
}
