package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// galeraNodes is how many nodes hold a copy each.
const galeraNodes = 3

// galeraWait bounds how long a node may take to join.
const galeraWait = 2 * time.Minute

// ErrNoGalera says that Galera is not installed, or cannot run here.
var ErrNoGalera = errors.New("no Galera (apt-get install galera-4 mariadb-server rsync)")

// Galera is a private cluster of mariadbd processes with synchronous replication, each as durable as a single one is: every
// commit is on disk before its OK.
type Galera struct {
	Server
	dir, daemon, provider string
	nodes                 [galeraNodes]*galeraNode
}

// galeraNode is one mariadbd of the cluster.
type galeraNode struct {
	dir                   string
	port, group, sst, ist int
	cmd                   *exec.Cmd
	done                  chan error
}

// StartGalera starts three nodes.
func StartGalera(ctx context.Context) (*Galera, error) {
	daemon, err := exec.LookPath("mariadbd")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoGalera, err)
	}
	provider, err := galeraProvider()
	if err != nil {
		return nil, err
	}
	if _, err := user.Lookup("mysql"); err != nil || os.Geteuid() != 0 {
		// The rsync of a state transfer changes to another user when it runs as root, so the nodes must not.
		return nil, fmt.Errorf("%w: it takes root and a user named mysql: %w", ErrNoGalera, err)
	}
	dir, err := os.MkdirTemp("", "stele-galera-")
	if err != nil {
		return nil, fmt.Errorf("make the folder of galera: %w", err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		return nil, fmt.Errorf("open the folder of galera to user mysql: %w", err)
	}
	g := &Galera{dir: dir, daemon: daemon, provider: provider}
	g.Name, g.MySQL, g.Dir = "Galera 3 nodes", true, dir
	g.Settle = g.settle
	g.Pids = func() (pids []int, err error) {
		for _, n := range g.nodes {
			pids = append(pids, n.cmd.Process.Pid)
		}
		return pids, nil
	}
	if err := g.start(ctx); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	return g, nil
}

func galeraProvider() (string, error) {
	for _, path := range []string{"/usr/lib/galera/libgalera_smm.so", "/usr/lib/libgalera_smm.so", "/usr/lib64/galera-4/libgalera_smm.so"} {
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%w: libgalera_smm.so is missing", ErrNoGalera)
}

func (g *Galera) start(ctx context.Context) error {
	for i := range g.nodes {
		n := &galeraNode{dir: filepath.Join(g.dir, "n"+strconv.Itoa(i+1))}
		for _, p := range []*int{&n.port, &n.group, &n.sst, &n.ist} {
			var err error
			if *p, err = freePort(); err != nil {
				return err
			}
		}
		g.nodes[i] = n
	}
	g.Port = g.nodes[0].port
	for i, n := range g.nodes {
		out, err := exec.CommandContext(ctx, "mariadb-install-db", "--no-defaults", "--datadir="+n.dir, "--user=mysql",
			"--auth-root-authentication-method=normal", "--skip-test-db").CombinedOutput()
		if err != nil {
			return fmt.Errorf("mariadb-install-db: %w\n%s", err, out)
		}
		if err := g.run(n, i == 0); err != nil {
			return err
		}
		if err := n.awaitSynced(ctx); err != nil {
			return err
		}
	}
	return nil
}

// run starts a node; the first one makes the cluster.
func (g *Galera) run(n *galeraNode, first bool) error {
	var members []string
	for _, m := range g.nodes {
		members = append(members, fmt.Sprintf("127.0.0.1:%d", m.group))
	}
	args := []string{"--no-defaults", "--user=mysql", "--datadir=" + n.dir, "--socket=" + n.dir + ".sock", "--pid-file=" + n.dir + ".pid",
		"--port=" + strconv.Itoa(n.port), "--bind-address=127.0.0.1", "--skip-log-bin", "--skip-name-resolve", "--innodb-flush-log-at-trx-commit=1",
		"--innodb-buffer-pool-size=1G", "--max-allowed-packet=64M", "--character-set-server=utf8mb4", "--collation-server=utf8mb4_bin",
		"--max-connections=300", "--local-infile=1", "--binlog-format=ROW", "--innodb-autoinc-lock-mode=2", "--wsrep-on=ON",
		"--wsrep-provider=" + g.provider, "--wsrep-cluster-name=stele-bench", "--wsrep-cluster-address=gcomm://" + strings.Join(members, ","),
		"--wsrep-node-name=" + filepath.Base(n.dir), "--wsrep-node-address=127.0.0.1", "--wsrep-sst-method=rsync",
		fmt.Sprintf("--wsrep-sst-receive-address=127.0.0.1:%d", n.sst),
		fmt.Sprintf("--wsrep-provider-options=base_host=127.0.0.1;base_port=%d;gmcast.listen_addr=tcp://127.0.0.1:%d;ist.recv_addr=127.0.0.1:%d",
			n.group, n.group, n.ist)}
	if first {
		args = append(args, "--wsrep-new-cluster")
	}
	log, err := os.OpenFile(n.dir+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("log of a galera node: %w", err)
	}
	defer log.Close()
	n.cmd, n.done = exec.Command(g.daemon, args...), make(chan error, 1)
	n.cmd.Stdout, n.cmd.Stderr = log, log
	if err := n.cmd.Start(); err != nil {
		n.cmd = nil
		return fmt.Errorf("start a galera node: %w", err)
	}
	go func() { n.done <- n.cmd.Wait() }()
	return nil
}

// awaitSynced waits until a node has all rows and serves them.
func (n *galeraNode) awaitSynced(ctx context.Context) error {
	db := open(n.port, "")
	defer db.Close()
	late := time.After(galeraWait)
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		var name, state string
		err := db.QueryRowContext(ctx, "SHOW STATUS LIKE 'wsrep_local_state_comment'").Scan(&name, &state)
		if err == nil && state == "Synced" {
			return nil
		}
		select {
		case <-late:
			text, _ := os.ReadFile(n.dir + ".log") // without it the error is only shorter
			return fmt.Errorf("galera node %s is %q: %w\n%s", n.dir, state, err, text[max(0, len(text)-4000):])
		case err := <-n.done:
			n.cmd = nil
			text, _ := os.ReadFile(n.dir + ".log") // see above
			return fmt.Errorf("galera node %s ended: %w\n%s", n.dir, err, text[max(0, len(text)-4000):])
		case <-poll.C:
		}
	}
}

// settle waits until all nodes have what the first one has committed. It answers when the others have received a transaction; they apply
// it afterwards, and of a large one that takes them a second or two of both processors.
func (g *Galera) settle(ctx context.Context) error {
	var want int64
	late := time.After(galeraWait)
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for _, n := range g.nodes {
		db := open(n.port, "")
		defer db.Close()
		for {
			var name string
			var have int64
			if err := db.QueryRowContext(ctx, "SHOW STATUS LIKE 'wsrep_last_committed'").Scan(&name, &have); err != nil {
				return fmt.Errorf("what galera node %s has committed: %w", n.dir, err)
			}
			if want = max(want, have); have == want {
				break
			}
			select {
			case <-late:
				return fmt.Errorf("galera node %s has committed %d of %d", n.dir, have, want)
			case <-poll.C:
			}
		}
	}
	return nil
}

// Wipe kills the last node, empties its folder and tells how long it takes from its start until it has all rows again, by a
// full state transfer.
func (g *Galera) Wipe(ctx context.Context) (time.Duration, error) {
	n := g.nodes[galeraNodes-1]
	if err := n.cmd.Process.Kill(); err != nil {
		return 0, fmt.Errorf("kill a galera node: %w", err)
	}
	<-n.done // how it ended is known
	n.cmd = nil
	entries, err := os.ReadDir(n.dir)
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(n.dir, e.Name())))
	}
	if err != nil {
		return 0, fmt.Errorf("wipe a galera node: %w", err)
	}
	began := time.Now()
	if err := g.run(n, false); err != nil {
		return 0, err
	}
	err = n.awaitSynced(ctx)
	return time.Since(began), err
}

// Close stops the nodes and removes their folders.
func (g *Galera) Close() error {
	for i := galeraNodes - 1; i >= 0; i-- {
		n := g.nodes[i]
		if n == nil || n.cmd == nil {
			continue
		}
		_ = n.cmd.Process.Signal(syscall.SIGTERM) // fails when it has ended by itself
		select {
		case <-n.done:
		case <-time.After(30 * time.Second):
			_ = n.cmd.Process.Kill()
			<-n.done
		}
	}
	return os.RemoveAll(g.dir)
}
