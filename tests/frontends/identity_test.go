package frontends

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"stele/meta/command"
	"stele/meta/rpc"
	"stele/meta/rpc/rpctest"
	"stele/meta/types"
	"stele/proto/bepb"
	"stele/proto/fepb"
	"stele/tests/cluster"
)

// blank empties the meta_dir of an FE that is down, as if its disk had been replaced.
func blank(t *testing.T, c *cluster.Cluster, node string, items map[string]string) {
	t.Helper()
	meta := filepath.Join(c.Dir, node, "meta")
	must(t, os.RemoveAll(meta))
	must(t, os.Mkdir(meta, 0o750))
	must(t, c.SetItems(node, items))
	must(t, c.Spawn(node))
}

// logged waits until the log of a node says something.
func logged(t *testing.T, c *cluster.Cluster, node, what string) {
	t.Helper()
	c.Wait(t, fmt.Sprintf("%q in the log of %s", what, node), 30*time.Second, func() (bool, string) {
		said, err := os.ReadFile(filepath.Join(c.Dir, node, "log", node[:2]+".log"))
		return err == nil && strings.Contains(string(said), what), fmt.Sprint(err)
	})
}

// column waits until a query answers and holds says yes to one of its columns.
func column(t *testing.T, c *cluster.Cluster, n int, query, name string, holds func([]string) bool) []string {
	t.Helper()
	var got []string
	c.Wait(t, fmt.Sprintf("fe%d: %s", n, query), 60*time.Second, func() (bool, string) {
		rows, err := cluster.ReadTable(t.Context(), c.FrontendDB(n), query)
		if err != nil {
			return false, err.Error()
		}
		got = rows.Column(name)
		return holds(got), fmt.Sprint(rows)
	})
	return got
}

func only(words ...string) func([]string) bool {
	return func(got []string) bool {
		return len(got) > 0 && !slices.ContainsFunc(got, func(s string) bool { return !slices.Contains(words, s) })
	}
}

func has(word string) func([]string) bool {
	return func(got []string) bool { return slices.Contains(got, word) }
}

// secret is the configuration of an encrypted cluster, and what a member of it calls with.
func secret(t *testing.T) (items map[string]string, member *rpc.Security) {
	t.Helper()
	f := rpctest.NewCA(t).Node("node")
	member, err := rpc.LoadSecurity(f.Cert, f.Key, f.CA)
	must(t, err)
	return map[string]string{"tls_cert": f.Cert, "tls_key": f.Key, "tls_ca": f.CA, "gossip_keys": gossipKey("k")}, member
}

func gossipKey(letter string) string {
	return base64.StdEncoding.EncodeToString([]byte(strings.Repeat(letter, 32)))
}

// TestSplitIdentity is the story of a first FE that comes back on a blank disk. Told to bootstrap it is a cluster of its own,
// and the others go on as the old one, with every node online. Then RESTORE MNODE takes it back. All of it is encrypted.
func TestSplitIdentity(t *testing.T) {
	items, member := secret(t)
	fe := maps.Clone(items)
	maps.Copy(fe, steady)
	c := startWith(t, 3, fe, items)
	refuseNewer(t, c, member)
	refuseStrangers(t, c, member)
	old := one(t, c.FrontendDB(2), "SELECT id FROM stele.cluster")
	dnode, err := c.BackendID(t.Context(), "be1")
	must(t, err)
	must(t, c.Kill("fe1"))
	blank(t, c, "fe1", map[string]string{"bootstrap": "true"})
	ids := column(t, c, 1, "SHOW CLUSTER", "id", func(ids []string) bool { return len(ids) == 1 })
	if ids[0] == old {
		t.Fatalf("the FE that started anew calls itself %s as the old cluster", old)
	}
	for n := 2; n <= 3; n++ {
		exec(t, c.FrontendDB(n), fmt.Sprintf("UPDATE ha.reg SET v = %d WHERE k = 1", n))
		column(t, c, n, "SHOW DNODES", "status", only("ready"))
		column(t, c, n, "SHOW CLUSTER CONFLICTS", "cluster_id", has(ids[0]))
	}
	column(t, c, 2, "SHOW MNODES", "role", func(r []string) bool { return slices.Contains(r, "leader") && slices.Contains(r, "follower") })
	column(t, c, 1, "SHOW PROC '/cluster_conflicts'", "cluster_id", has(old))
	if rows := column(t, c, 1, "SHOW DATABASES", "Database", func(d []string) bool { return len(d) > 0 }); slices.Contains(rows, "ha") {
		t.Error("the new cluster has the databases of the old one")
	}
	exec(t, c.FrontendDB(1), "CREATE DNODE '"+c.BackendAddr("be1")+"'") // it is the old cluster's
	column(t, c, 1, "SHOW DNODES", "note", func(n []string) bool { return len(n) == 1 && strings.Contains(n[0], old) })
	column(t, c, 1, "SHOW DNODES", "status", only("creating"))
	column(t, c, 2, "SHOW DNODES", "status", only("ready"))
	logged(t, c, "fe1", "of another cluster was refused")

	must(t, c.Kill("fe1"))
	blank(t, c, "fe1", map[string]string{"bootstrap": "false",
		"fe_helpers": rpcAddr(t, c, "fe2") + "," + rpcAddr(t, c, "fe3")})
	column(t, c, 2, "SHOW MNODES", "role", has("waiting"))
	logged(t, c, "fe1", "waits to join a cluster: ")
	id := one(t, c.FrontendDB(2), fmt.Sprintf("SELECT id FROM stele.mnodes WHERE endpoint = '%s' AND id IS NOT NULL", c.FrontendAddr("fe1")))
	exec(t, c.FrontendDB(2), "ALTER MNODE "+id+" ON DNODE "+dnode)
	column(t, c, 2, "RESTORE MNODE ON DNODE "+id+" DRY RUN", "action", only("restore"))
	column(t, c, 3, "RESTORE MNODE ON DNODE "+dnode, "action", only("restore"))
	column(t, c, 1, "SHOW MNODES", "role", func(r []string) bool {
		return len(r) == 3 && !slices.ContainsFunc(r, func(s string) bool { return s != "leader" && s != "follower" })
	})
	id = one(t, c.FrontendDB(2), fmt.Sprintf("SELECT id FROM stele.mnodes WHERE endpoint = '%s'", c.FrontendAddr("fe1")))
	column(t, c, 2, "RESTORE MNODE ON DNODE "+id, "action", only("nothing"))
	column(t, c, 1, "SHOW DNODES WHERE id = "+dnode, "mnode_id", only(id))
	if got := one(t, c.FrontendDB(1), "SELECT v FROM ha.reg WHERE k = 1"); got != "3" {
		t.Errorf("the FE that was restored reads %s", got)
	}
	restoreBackend(t, c)
}

// restoreBackend: a disk of another cluster is refused and left alone; then the BE comes back blank, and RESTORE DNODE gives it
// back what others have. What nobody has needs UNSAFE.
func restoreBackend(t *testing.T, c *cluster.Cluster) {
	exec(t, c.DB(), `CREATE TABLE ha.single (k INT PRIMARY KEY, v INT) DISTRIBUTED BY HASH(k) BUCKETS 6 PROPERTIES ("replication_num" = "1")`,
		"INSERT INTO ha.single VALUES (1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 6), (7, 7), (8, 8)")
	id, err := c.BackendID(t.Context(), "be3")
	must(t, err)
	single := one(t, c.DB(), "SELECT COUNT(*) FROM stele.tablets WHERE TableName = 'single' AND BackendId = "+id)
	must(t, c.Kill("be3"))
	must(t, c.Wipe("be3"))
	disks, err := filepath.Glob(filepath.Join(c.Dir, "be3", "storage*"))
	must(t, err)
	foreign := filepath.Join(disks[0], "identity.json")
	const owner = `{"cluster_id":"elsewhere","be_id":77}`
	must(t, os.WriteFile(foreign, []byte(owner), 0o640))
	must(t, c.StartNode("be3"))
	column(t, c, 1, "SHOW CLUSTER CONFLICTS", "cluster_id", has("elsewhere"))
	column(t, c, 1, "SHOW DNODES WHERE id = "+id, "note", func(n []string) bool { return len(n) == 1 && strings.Contains(n[0], "elsewhere") })
	column(t, c, 1, "SHOW DNODES WHERE id = "+id, "status", only("offline"))
	if got, err := os.ReadFile(foreign); err != nil || string(got) != owner {
		t.Errorf("the foreign disk says %q now: %v", got, err)
	}

	must(t, c.Kill("be3"))
	must(t, c.Wipe("be3"))
	must(t, c.SetItems("be3", map[string]string{"gossip_keys": gossipKey("x")})) // which only slows the news of its death
	must(t, c.StartNode("be3"))
	c.WaitAlive(t, "be3", true, 30*time.Second)
	began := column(t, c, 1, "RESTORE DNODE "+id, "action", func(a []string) bool { return len(a) > 0 })
	lost := 0
	for _, a := range began {
		if a == "lost" {
			lost++
		}
	}
	if fmt.Sprint(lost) != single {
		t.Errorf("%d tablets are named as lost, %s had their only replica there: %v", lost, single, began)
	}
	column(t, c, 1, "RESTORE VNODE ON DNODE "+id, "action", only("lost"))
	if lost > 0 {
		column(t, c, 1, "RESTORE VNODE ON DNODE "+id+" UNSAFE", "action", func(a []string) bool { return len(a) > 0 })
	}
	column(t, c, 1, "RESTORE VNODE ON DNODE "+id, "action", only("nothing"))
	column(t, c, 1, "SHOW CLUSTER ALIVE", "status", only("1"))
	exec(t, c.DB(), "REPLACE INTO ha.single VALUES (1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 6), (7, 7), (8, 8)")
	if got := one(t, c.DB(), "SELECT COUNT(*) FROM ha.single"); got != "8" {
		t.Errorf("the table that was emptied in part has %s rows, 8 were written anew", got)
	}
	column(t, c, 2, "SHOW CLUSTER CONFLICTS WHERE detail LIKE 'gossip_keys differ%'", "via", has("gossip"))
	c.WaitHealthy(t, "ha.reg", 60*time.Second)
	if got := one(t, c.DB(), "SELECT COUNT(*) FROM ha.reg"); got != fmt.Sprint(registers) {
		t.Errorf("%s registers", got)
	}
}

// rpcAddr is where an FE takes calls.
func rpcAddr(t *testing.T, c *cluster.Cluster, node string) string {
	t.Helper()
	host, _, err := net.SplitHostPort(c.FrontendAddr(node))
	must(t, err)
	return fmt.Sprintf("%s:%d", host, c.MySQLPort+100+int(node[2]-'1'))
}

// refuseNewer sends what an FE of a newer version would: the leading FE refuses each command by its name, and goes on. A caller
// of another cluster is not even heard.
func refuseNewer(t *testing.T, c *cluster.Cluster, member *rpc.Security) {
	t.Helper()
	db := c.FrontendDB(2)
	lead := leader(t, c)
	address := rpcAddr(t, c, lead)
	id := types.ClusterID(one(t, db, "SELECT id FROM stele.cluster"))
	name := one(t, db, "SELECT Name FROM stele.frontends WHERE Role <> 'LEADER' LIMIT 1")
	encoded, err := command.Encode(&command.DropDatabase{ID: 10002})
	must(t, err)
	body, unknown := slices.Clone(encoded), slices.Clone(encoded)
	body[3] = 9                         // the version of the body
	unknown[4], unknown[5] = 0x7f, 0xff // the type
	copy(unknown[7:], "fold_database")  // its name, as long as drop_database
	for _, tc := range []struct {
		cluster types.ClusterID
		bytes   []byte
		says    string
	}{
		{id, body, "cannot do this yet (drop_database)"},
		{id, unknown, "cannot do this yet (fold_database)"},
		{"elsewhere", encoded, `belongs to cluster "elsewhere"`},
	} {
		conn, err := rpc.Dial(address, rpc.DialConfig{Cluster: rpc.NewCluster(tc.cluster), TLS: member.ClientTLS()})
		must(t, err)
		_, err = fepb.NewFrontendClient(conn).Propose(t.Context(), &fepb.ProposeRequest{Fe: name, Commands: [][]byte{tc.bytes}})
		if err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("the leading FE answers %v, want %s", err, tc.says)
		}
		must(t, conn.Close())
	}
	column(t, c, 2, "SHOW CLUSTER CONFLICTS WHERE via = 'rpc'", "cluster_id", has("elsewhere"))
	exec(t, db, "UPDATE ha.reg SET v = 5 WHERE k = 0")
}

// refuseStrangers makes every call that there is to an FE and a BE as one of another cluster, and as one of none. Only what a
// fresh node needs is heard; a clear word and a certificate of another CA are not.
func refuseStrangers(t *testing.T, c *cluster.Cluster, member *rpc.Security) {
	t.Helper()
	stranger, err := rpc.LoadSecurity(files(rpctest.NewCA(t).Node("stranger")))
	must(t, err)
	mine := types.ClusterID(one(t, c.FrontendDB(2), "SELECT id FROM stele.cluster"))
	fresh := map[string]bool{fepb.Frontend_Join_FullMethodName: true, bepb.Backend_Heartbeat_FullMethodName: true}
	calls := 0
	for address, service := range map[string]grpc.ServiceDesc{rpcAddr(t, c, "fe2"): fepb.Frontend_ServiceDesc, c.BackendAddr("be1"): bepb.Backend_ServiceDesc} {
		for _, as := range []struct {
			cluster types.ClusterID
			secure  *rpc.Security
			says    string
		}{
			{"elsewhere", member, `the caller belongs to cluster "elsewhere", this node to "` + string(mine) + `"`},
			{"", member, "the caller does not belong to a cluster yet"},
			{mine, nil, ""},
			{mine, stranger, ""},
		} {
			conn, err := rpc.Dial(address, rpc.DialConfig{Cluster: rpc.NewCluster(as.cluster), TLS: as.secure.ClientTLS(), Timeout: 10 * time.Second})
			must(t, err)
			for method, err := range callAll(t, conn, &service) {
				calls++
				switch {
				case as.cluster == "" && fresh[method]:
				case err == nil || status.Code(err) == codes.DeadlineExceeded || !strings.Contains(err.Error(), as.says):
					t.Errorf("%s as one of cluster %q: %v, want %q", method, as.cluster, err, as.says)
				}
			}
			must(t, conn.Close())
		}
	}
	if calls < 100 {
		t.Errorf("%d calls: not all are known", calls)
	}
	column(t, c, 2, "SHOW CLUSTER CONFLICTS WHERE cluster_id = 'elsewhere'", "via", has("rpc"))
}

func files(f rpctest.Files) (cert, key, ca string) { return f.Cert, f.Key, f.CA }

// callAll makes every call of a service with an empty request.
func callAll(t *testing.T, conn *grpc.ClientConn, service *grpc.ServiceDesc) map[string]error {
	out := map[string]error{}
	for _, m := range service.Methods {
		name := "/" + service.ServiceName + "/" + m.MethodName
		out[name] = conn.Invoke(t.Context(), name, &emptypb.Empty{}, &emptypb.Empty{})
	}
	for i := range service.Streams {
		name := "/" + service.ServiceName + "/" + service.Streams[i].StreamName
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		s, err := conn.NewStream(ctx, &service.Streams[i], name)
		if err == nil {
			_ = s.SendMsg(&emptypb.Empty{}) // what is wrong is told to who receives
			err = s.RecvMsg(&emptypb.Empty{})
		}
		cancel()
		out[name] = err
	}
	return out
}
