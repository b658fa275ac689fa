// Package bench measures Stele against a MariaDB that runs beside it, with the same statements from the same client
// process, so that what counts is the ratio: the machine's speed and its other work weigh on both alike.
//
// It owns a private mariadbd in a folder of its own and Stele clusters of tests/cluster; each measurement goes round all
// servers in turn, several times, and the median is told. Its tests (build tag bench) print one Markdown table.
// It never touches a server that it has not started.
package bench

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"net"

	"github.com/go-sql-driver/mysql"

	"stele/tests/cluster"
)

// Server is one database under measurement.
type Server struct {
	Name  string
	MySQL bool // clauses that only Stele knows are left out
	// Port is where it takes sessions of user root on 127.0.0.1.
	Port int
	// Cluster is the cluster behind the server, nil for the peer.
	Cluster *cluster.Cluster
	// Pids are the processes of its nodes.
	Pids func() ([]int, error)
	// Settle waits until its nodes have done what they owe after the last OK; nil = they owe nothing that others would feel.
	Settle func(ctx context.Context) error
	// Dir is where the server keeps its data.
	Dir string
}

// Stele describes a running cluster.
func Stele(name string, c *cluster.Cluster) *Server {
	s := &Server{Name: name, Cluster: c, Dir: c.Dir, Port: c.MySQLPort}
	s.Pids = func() (pids []int, err error) {
		for _, node := range c.Nodes() {
			pid, err := pidOf(s, node)
			if err != nil {
				return nil, err
			}
			pids = append(pids, pid)
		}
		return pids, nil
	}
	return s
}

// Addr is where it takes sessions.
func (s *Server) Addr() string { return "127.0.0.1:" + strconv.Itoa(s.Port) }

// Open makes a pool of sessions that start in a database. The caller closes it.
func (s *Server) Open(database string) *sql.DB { return open(s.Port, database) }

// keptIdle is how many sessions of a pool stay open between statements: as many as the loaders have workers.
const keptIdle = 8

func open(port int, database string) *sql.DB {
	cfg := mysql.NewConfig()
	cfg.User, cfg.Net, cfg.DBName, cfg.Addr = "root", "tcp", database, "127.0.0.1:"+strconv.Itoa(port)
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		panic("BUG: configuration of the driver: " + err.Error())
	}
	db := sql.OpenDB(connector)
	db.SetMaxIdleConns(keptIdle)
	return db
}

// ErrNoPeer says that MariaDB is not installed.
var ErrNoPeer = errors.New("mariadbd is not installed (apt-get install mariadb-server)")

// Peer is a private mariadbd.
type Peer struct {
	Server
	cmd  *exec.Cmd
	done chan error
}

// StartPeer starts a mariadbd as durable as Stele is: every commit is on disk before its OK.
func StartPeer() (*Peer, error) {
	daemon, err := exec.LookPath("mariadbd")
	if err != nil {
		return nil, ErrNoPeer
	}
	dir, err := os.MkdirTemp("", "stele-peer-")
	if err != nil {
		return nil, fmt.Errorf("make the folder of the peer: %w", err)
	}
	p := &Peer{done: make(chan error, 1)}
	p.Name, p.MySQL, p.Dir = "MariaDB", true, filepath.Join(dir, "data")
	if err := p.start(daemon, dir); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

func (p *Peer) start(daemon, dir string) error {
	out, err := exec.Command("mariadb-install-db", "--no-defaults", "--datadir="+p.Dir, "--user=root",
		"--auth-root-authentication-method=normal", "--skip-test-db").CombinedOutput()
	if err != nil {
		return fmt.Errorf("mariadb-install-db: %w\n%s", err, out)
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(dir, "out.log"))
	if err != nil {
		return fmt.Errorf("log of the peer: %w", err)
	}
	defer log.Close()
	p.cmd = exec.Command(daemon, "--no-defaults", "--datadir="+p.Dir, "--socket="+filepath.Join(dir, "sock"),
		"--tmpdir="+dir, // one that starts empties the folder: not /tmp, where others have theirs
		"--port="+strconv.Itoa(port), "--bind-address=127.0.0.1", "--user=root", "--skip-log-bin", "--skip-name-resolve",
		"--innodb-flush-log-at-trx-commit=1", "--innodb-buffer-pool-size=1G", "--max-allowed-packet=64M",
		"--character-set-server=utf8mb4", "--collation-server=utf8mb4_bin", "--max-connections=300", "--local-infile=1")
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		p.cmd = nil
		return fmt.Errorf("start the peer: %w", err)
	}
	go func() { p.done <- p.cmd.Wait() }()
	p.Pids = func() ([]int, error) { return []int{p.cmd.Process.Pid}, nil }
	p.Port = port
	return p.await(log.Name())
}

func (p *Peer) await(log string) error {
	db := p.Open("")
	defer db.Close()
	late := time.After(time.Minute)
	poll := time.NewTicker(100 * time.Millisecond)
	defer poll.Stop()
	for {
		err := db.Ping()
		if err == nil {
			return nil
		}
		select {
		case <-late:
			text, _ := os.ReadFile(log) // without it the error is only shorter
			return fmt.Errorf("the peer does not answer: %w\n%s", err, text)
		case <-poll.C:
		}
	}
}

// Close ends the server and removes its folder.
func (p *Peer) Close() error {
	if p.cmd != nil {
		_ = p.cmd.Process.Signal(syscall.SIGTERM) // fails when it has ended by itself
		select {
		case <-p.done:
		case <-time.After(time.Minute):
			_ = p.cmd.Process.Kill()
			<-p.done
		}
	}
	return os.RemoveAll(filepath.Dir(p.Dir))
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}
