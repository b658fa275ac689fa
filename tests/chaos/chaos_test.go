//go:build chaos

// Package chaos searches for broken promises: clients write through the MySQL protocol and keep ledgers of what was
// acknowledged, while a nemesis kills, pauses, cuts off, wipes and corrupts the processes of a real cluster, FEs and BEs,
// and does what operators do. During the run every
// read is checked against what it must see; after it, the healed cluster is compared with the ledgers.
//
// It proves I1 (nothing acknowledged is lost), I3 (replicas at one version are equal), I4 (snapshots, and reads that see
// what was acknowledged before they began) and I5 (transactions are atomic over tablets and tables). I2 is seen through
// them: a commit of a deposed leader would break one of the ledgers.
//
// The order and kind of faults follow from the seed; the interleaving with the clients does not.
//
// It is behind a build tag because a run takes minutes: `make chaos`.
package chaos

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"stele/tests/cluster"
)

var (
	duration = flag.Duration("chaos.time", time.Minute, "how long the nemesis is at work")
	seed     = flag.Uint64("chaos.seed", 0, "seed of the faults; 0 draws one")
	fes      = flag.Int("chaos.frontends", 3, "number of frontends")
	only     = flag.String("chaos.faults", "", "comma-separated names of the faults to choose from; empty = all")
)

const (
	statementTimeout = 30 * time.Second
	healTimeout      = 3 * time.Minute
	replicas         = 3
)

// chaos is one run.
type chaos struct {
	t       *testing.T
	c       *cluster.Cluster
	db      *sql.DB
	rnd     *rand.Rand // of the nemesis
	started time.Time

	mu     sync.Mutex
	faults []string       // what broke a promise, told once each
	errs   map[string]int // errors that clients saw, by text without numbers
}

// workload is a kind of client with its own tables.
type workload interface {
	tables() []string // CREATE TABLE statements
	prepare(ctx context.Context, ch *chaos) error
	clients() []func(ctx context.Context, ch *chaos) // each runs until the context ends
	check(ctx context.Context, ch *chaos)            // on the healed cluster, when the clients have ended
}

func TestChaos(t *testing.T) {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano()) % 1_000_000
	}
	t.Logf("seed %d, %v", *seed, *duration)
	ch := &chaos{t: t, rnd: rand.New(rand.NewPCG(*seed, 1)), errs: map[string]int{}, started: time.Now()}
	ch.c = cluster.Start(t, cluster.Options{Frontends: *fes, Disks: 2, Network: cluster.Networked(),
		FE: map[string]string{"tablet_sched_checker_interval_seconds": "2", "tablet_sched_repair_delay_factor_second": "1",
			"tablet_sched_consecutive_full_clone_delay_sec": "1"},
		BE: map[string]string{"report_tablet_interval_ms": "2000"},
	})
	loads := []workload{newBank(), newLedger(), newCounters(), newClaims(), newLists(), newUniques(), newPairs(), newFiles()}
	probes := newProbes()
	loads = append(loads, probes)
	tables := ch.lay(t.Context(), loads)

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var clients sync.WaitGroup
	for _, l := range loads {
		for _, run := range l.clients() {
			clients.Go(func() { run(ctx, ch) })
		}
	}
	n := newNemesis(ch, probes, tables)
	n.run(*duration)
	n.heal()
	stop()
	clients.Wait()
	ch.scrub(tables)
	for _, table := range tables {
		ch.c.CheckReplicas(t, table, replicas)
	}
	final, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for _, l := range loads {
		l.check(final, ch)
	}
	ch.report(n)
}

// lay makes the database and the tables and returns their names.
func (ch *chaos) lay(ctx context.Context, loads []workload) []string {
	if _, err := ch.c.DB().ExecContext(ctx, "CREATE DATABASE chaos"); err != nil {
		ch.t.Fatal(err)
	}
	ch.db = ch.c.OpenBalanced("chaos")
	ch.db.SetMaxIdleConns(64)
	ch.t.Cleanup(func() { ch.db.Close() })
	var names []string
	for _, l := range loads {
		for _, create := range l.tables() {
			if _, err := ch.db.ExecContext(ctx, create); err != nil {
				ch.t.Fatalf("%s: %v", create, err)
			}
			names = append(names, "chaos."+strings.Fields(create)[2])
		}
		if err := l.prepare(ctx, ch); err != nil {
			ch.t.Fatalf("prepare: %v", err)
		}
	}
	return names
}

// healthy waits until all replicas of all tables are OK.
func (ch *chaos) healthy(tables []string, timeout time.Duration) {
	for _, table := range tables {
		ch.c.WaitHealthy(ch.t, table, timeout)
	}
}

// scrub reads every replica, so that damage which no query has met yet is found, and waits until all of it is repaired.
func (ch *chaos) scrub(tables []string) {
	for _, table := range tables {
		ch.c.Wait(ch.t, "every replica of "+table+" can be read", healTimeout, func() (bool, string) {
			ctx, cancel := context.WithTimeout(ch.t.Context(), time.Minute)
			defer cancel()
			if _, err := ch.c.Digests(ctx, table); err != nil {
				ch.damaged(err)
				return false, err.Error()
			}
			return true, ""
		})
	}
	ch.healthy(tables, healTimeout)
}

// damaged counts what the scrub has found.
func (ch *chaos) damaged(err error) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.errs["scrub: "+shape(err)]++
}

// broken notes a broken promise.
func (ch *chaos) broken(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.faults = append(ch.faults, text)
	if len(ch.faults) <= 40 {
		ch.t.Errorf("[%v] %s", time.Since(ch.started).Round(time.Millisecond), text)
	}
}

// outcome says what an error tells about a statement or transaction.
type outcome int

const (
	applied outcome = iota
	notApplied
	unknown
)

// judge sorts an error, and counts it for the report. Only those errors count as "not applied" with which MySQL says so, and a
// connection that was never made; everything else may have been cut after the decision.
func (ch *chaos) judge(err error) outcome {
	if err == nil {
		return applied
	}
	ch.mu.Lock()
	ch.errs[shape(err)]++
	ch.mu.Unlock()
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		return notApplied // nothing was ever sent
	}
	var my *mysql.MySQLError
	if errors.As(err, &my) {
		switch my.Number {
		case 1062, 1205, 1213:
			return notApplied
		}
	}
	return unknown
}

// shape is the text of an error without what makes each one different.
func shape(err error) string {
	var b strings.Builder
	digits := false
	for _, r := range err.Error() {
		if r >= '0' && r <= '9' {
			if !digits {
				b.WriteByte('#')
			}
			digits = true
			continue
		}
		digits = false
		b.WriteRune(r)
	}
	text := b.String()
	return text[:min(len(text), 160)]
}

// exec runs one autocommit statement.
func (ch *chaos) exec(ctx context.Context, query string, args ...any) outcome {
	sctx, cancel := context.WithTimeout(ctx, statementTimeout)
	defer cancel()
	_, err := ch.db.ExecContext(sctx, query, args...)
	if err != nil && sctx.Err() != nil && ctx.Err() == nil {
		ch.broken("a statement took longer than %v: %s", statementTimeout, query)
	}
	return ch.judge(err)
}

func (ch *chaos) report(n *nemesis) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.t.Logf("seed %d: %v, %d broken promises", *seed, time.Since(ch.started).Round(time.Second), len(ch.faults))
	for _, e := range n.events {
		ch.t.Log(e)
	}
	var lines []string
	for text, count := range ch.errs {
		lines = append(lines, fmt.Sprintf("%6d × %s", count, text))
	}
	sort.Sort(sort.Reverse(sort.StringSlice(lines)))
	ch.t.Logf("errors that clients saw:\n%s", strings.Join(lines, "\n"))
}
