package frontends

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"stele/tests/cluster"
	"stele/tests/histories"
)

var (
	historySeed = flag.Uint64("histories.seed", 1, "of the clients' operations and the faults")
	historyTime = flag.Duration("histories.time", 0, "how long faults go on behind the fixed ones")
)

// TestIsolationUnderFaults: transactions of every kind, on all FEs, see what snapshot isolation and READ COMMITTED promise, while the leading FE,
// another one and BEs are killed and hang.
func TestIsolationUnderFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it runs a cluster")
	}
	for name, of := range map[string]cluster.Options{"frontends and backends": {Frontends: 3, Backends: 3}, "nodes": {Nodes: 3}} {
		t.Run(name, func(t *testing.T) {
			c := cluster.Start(t, of)
			exec(t, c.DB(), "CREATE DATABASE lists")
			db := c.OpenBalanced("lists")
			t.Cleanup(func() { db.Close() })
			exec(t, db, histories.Tables()...)
			load := histories.NewLoad(*historySeed)
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			var clients sync.WaitGroup
			for id := range 10 {
				clients.Go(func() { load.Client(ctx, id, db) })
			}
			newTrouble(t, c, db).make()
			stop()
			clients.Wait()
			broken, err := load.Broken(t.Context(), db)
			must(t, err)
			t.Log(load.Summary())
			for _, what := range broken {
				t.Error(what)
			}
			for _, table := range []string{"whole", "named", "parts", "numbered"} {
				c.WaitHealthy(t, "lists."+table, time.Minute)
				c.CheckReplicas(t, "lists."+table, 3)
			}
		})
	}
}

// trouble disturbs a cluster.
type trouble struct {
	*rand.Rand
	t        *testing.T
	c        *cluster.Cluster
	db       *sql.DB
	backends []string
	altered  int
}

func newTrouble(t *testing.T, c *cluster.Cluster, db *sql.DB) *trouble {
	m := &trouble{Rand: rand.New(rand.NewPCG(*historySeed, 3)), t: t, c: c, db: db}
	for _, node := range c.Nodes() {
		if !strings.HasPrefix(node, "fe") {
			m.backends = append(m.backends, node)
		}
	}
	return m
}

// make disturbs the cluster once in each way, and then as long as was asked for.
func (m *trouble) make() {
	faults := []func(){
		func() { m.kill(m.leader()) },
		func() { m.kill(m.backend()) },
		func() { m.hang(m.backend()) },
		func() { m.hang(m.leader()) },
		m.balance,
		m.alter,
		func() { m.kill(m.backend()) },
	}
	for _, fault := range faults {
		fault()
		cluster.Sleep(m.t.Context(), 500*time.Millisecond)
	}
	faults = append(faults, m.killAll)
	for end := time.Now().Add(*historyTime); time.Now().Before(end); {
		faults[m.IntN(len(faults))]()
		cluster.Sleep(m.t.Context(), time.Duration(m.IntN(1500))*time.Millisecond)
	}
}

func (m *trouble) backend() string { return m.backends[m.IntN(len(m.backends))] }

func (m *trouble) leader() string { return leader(m.t, m.c) }

// kill ends a process and starts the node again a moment later: sometimes before anybody has missed it.
func (m *trouble) kill(node string) {
	must(m.t, m.c.Crash(node))
	cluster.Sleep(m.t.Context(), time.Duration(m.IntN(2))*time.Second)
	must(m.t, m.c.Kill(node))
	must(m.t, m.c.StartNode(node))
}

// killAll ends all processes at once and starts them again.
func (m *trouble) killAll() {
	for _, node := range m.c.Nodes() {
		must(m.t, m.c.Crash(node))
	}
	for _, node := range m.c.Nodes() {
		must(m.t, m.c.Kill(node))
	}
	must(m.t, m.c.Spawn(m.c.Nodes()...))
	m.leader()
}

// hang stops a process for longer than the others wait for it.
func (m *trouble) hang(node string) {
	must(m.t, m.c.Pause(node))
	cluster.Sleep(m.t.Context(), 2*time.Second)
	must(m.t, m.c.Resume(node))
}

// balance moves the leaders of tablets back to where they belong.
func (m *trouble) balance() {
	m.c.Wait(m.t, "an order is taken", time.Minute, func() (bool, string) {
		_, err := m.db.ExecContext(m.t.Context(), "BALANCE VGROUP LEADER")
		return err == nil, ""
	})
}

// alterations change the tables under the clients, and change them back.
var alterations = []string{
	"ALTER TABLE whole ADD COLUMN more INT NOT NULL DEFAULT 5", "ALTER TABLE named ADD KEY by_n (n)", "ALTER TABLE parts ADD UNIQUE KEY by_value (v)",
	"ALTER TABLE whole MODIFY k BIGINT", "ALTER TABLE whole DROP COLUMN more", "ALTER TABLE named DROP KEY by_n", "ALTER TABLE parts DROP KEY by_value",
	"ALTER TABLE named ADD COLUMN twice BIGINT AS (n * 2) STORED", "ALTER TABLE whole MODIFY k INT", "ALTER TABLE named DROP COLUMN twice",
}

// alter changes three tables. One that could not be changed is as it was: who gives up is tried again.
func (m *trouble) alter() {
	for range 3 {
		change := alterations[m.altered%len(alterations)]
		m.altered++
		m.c.Wait(m.t, change, 2*time.Minute, func() (bool, string) {
			_, err := m.db.ExecContext(m.t.Context(), change)
			var known *mysql.MySQLError
			done := errors.As(err, &known) && (known.Number == 1060 || known.Number == 1061 || known.Number == 1091) // by a try whose answer was lost
			return err == nil || done, fmt.Sprint(err)
		})
	}
}
