package frontends

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"testing"
	"time"

	"stele/tests/cluster"
)

// definitions is what clients were told of the databases and tables that they made.
type definitions struct {
	mu    sync.Mutex
	told  map[string]uint16 // by database: the number of the error, 0 = it was made
	doubt int
}

// define makes databases with a table each at one FE until the context ends.
func (d *definitions) define(ctx context.Context, db *sql.DB, prefix string) {
	for n := 0; ctx.Err() == nil; n++ {
		name := fmt.Sprint(prefix, "_", n)
		for _, s := range []string{"CREATE DATABASE " + name, "CREATE TABLE " + name + ".t (k INT PRIMARY KEY)"} {
			_, err := db.ExecContext(context.WithoutCancel(ctx), s)
			d.note(s, number(err), err)
			if err != nil {
				break
			}
		}
	}
}

func (d *definitions) note(statement string, code uint16, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil && code == 0 {
		code = 2013 // the connection
	}
	d.told[statement] = code
	if code == 1180 {
		d.doubt++
	}
}

// TestDefinitionsOutliveTheLeader: definitions whose FE lives are in no doubt when the leading FE dies under them: what was made is there, and
// what was refused is not.
func TestDefinitionsOutliveTheLeader(t *testing.T) {
	c := startWith(t, 3, nil, nil)
	d := &definitions{told: map[string]uint16{}}
	for round := range 3 {
		node := leader(t, c)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for n, db := range pools(t, c, 3) {
			if fmt.Sprint("fe", n+1) == node {
				continue
			}
			for client := range 6 {
				wg.Go(func() { d.define(ctx, db, fmt.Sprintf("r%d_fe%d_%d", round, n+1, client)) })
			}
		}
		cluster.Sleep(t.Context(), 1500*time.Millisecond)
		must(t, c.Crash(node))
		cluster.Sleep(t.Context(), 3*time.Second)
		cancel()
		wg.Wait()
		must(t, c.Kill(node))
		must(t, c.StartNode(node))
	}
	d.check(t, c)
}

func (d *definitions) check(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	there := map[string]bool{}
	for _, s := range []string{"SELECT CONCAT('CREATE DATABASE ', schema_name) AS s FROM information_schema.schemata",
		"SELECT CONCAT('CREATE TABLE ', table_schema, '.t (k INT PRIMARY KEY)') AS s FROM information_schema.tables"} {
		rows, err := cluster.ReadTable(t.Context(), c.DB(), s)
		must(t, err)
		for _, s := range rows.Column("s") {
			there[s] = true
		}
	}
	counts := map[uint16]int{}
	for s, code := range d.told {
		counts[code]++
		if code == 1180 || code == 2013 || there[s] == (code == 0) {
			continue
		}
		t.Errorf("%s was answered %d, and is there: %v", s, code, there[s])
	}
	t.Logf("answers: %v", counts)
	if counts[0] < 20 {
		t.Errorf("only %d definitions were made: this proves little", counts[0])
	}
	if d.doubt > 0 {
		t.Errorf("%d definitions are in doubt", d.doubt)
	}
}
