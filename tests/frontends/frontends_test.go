// Package frontends proves with real processes that the FEs of a cluster survive each other: any of them may be killed or
// hang while clients work on all of them, and what clients see stays linearizable.
package frontends

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"stele/tests/cluster"
)

// start runs a cluster whose FEs all vote, with the table of registers.
func start(t *testing.T, frontends int) *cluster.Cluster {
	t.Helper()
	return startWith(t, frontends, nil, nil)
}

// steady is a configuration with which the leading FE stays in place while a busy machine stands still: for tests that say what
// happens to a leader, or to one that is none.
var steady = map[string]string{"raft_heartbeat_timeout_ms": "3000", "raft_election_timeout_ms": "3000", "raft_leader_lease_timeout_ms": "2000"}

// startWith is start with items of the configuration of FEs and BEs.
func startWith(t *testing.T, frontends int, fe, be map[string]string) *cluster.Cluster {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: it runs a cluster")
	}
	c := cluster.Start(t, cluster.Options{Frontends: frontends, Backends: 3, Network: cluster.Networked(), FE: fe, BE: be})
	for n := 1; n <= frontends; n++ {
		exec(t, c.FrontendDB(n), "SELECT 1") // a cluster that is ready is so on each
	}
	c.Wait(t, "all frontends vote", 60*time.Second, func() (bool, string) {
		rows, err := cluster.ReadTable(t.Context(), c.DB(), "SHOW MNODES")
		if err != nil {
			return false, err.Error()
		}
		status := strings.Join(rows.Column("role"), " ")
		return strings.Count(status, "follower") == frontends-1 && strings.Contains(status, "leader"), status
	})
	exec(t, c.DB(), "CREATE DATABASE ha", "CREATE TABLE ha.reg (k INT PRIMARY KEY, v BIGINT NOT NULL)")
	for k := range registers {
		exec(t, c.DB(), fmt.Sprintf("INSERT INTO ha.reg VALUES (%d, 0)", k))
	}
	return c
}

func exec(t *testing.T, db *sql.DB, statements ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, s := range statements {
		if _, err := db.ExecContext(ctx, s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// pools opens a pool for each FE whose sessions are in the database ha.
func pools(t *testing.T, c *cluster.Cluster, frontends int) []*sql.DB {
	t.Helper()
	var dbs []*sql.DB
	for n := 1; n <= frontends; n++ {
		db := c.OpenFrontend(n, "ha")
		t.Cleanup(func() { db.Close() })
		dbs = append(dbs, db)
	}
	return dbs
}

func leader(t *testing.T, c *cluster.Cluster, skip ...string) string {
	t.Helper()
	var node string
	c.Wait(t, "an FE leads", 20*time.Second, func() (bool, string) {
		var err error
		node, err = c.Leader(t.Context(), skip...)
		if err == nil && len(skip) > 0 && node == skip[0] {
			return false, node + " still leads"
		}
		return err == nil, fmt.Sprint(err)
	})
	return node
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// otherThan returns an FE that is not node.
func otherThan(node string) string {
	if node == "fe1" {
		return "fe2"
	}
	return "fe1"
}

// TestLinearizableUnderFaults: leader and followers are killed, hang and come back, and leadership is handed over, under
// clients on all FEs. A killed leader is replaced within a second, a hung one within three; machines that are busy with
// other things get some more.
func TestLinearizableUnderFaults(t *testing.T) {
	c := start(t, 3)
	l := newLoad()
	var crash, hang time.Duration
	l.run(t.Context(), pools(t, c, 3), 2, func() {
		cluster.Sleep(t.Context(), time.Second)
		first, at := leader(t, c), time.Now()
		must(t, c.Crash(first))
		cluster.Sleep(t.Context(), 2500*time.Millisecond)
		l.resumed(t, c, "")
		crash = l.gap(at)
		must(t, c.Kill(first))
		second := leader(t, c, first)
		must(t, c.StartNode(first))
		cluster.Sleep(t.Context(), time.Second)

		at = time.Now()
		must(t, c.Pause(second))
		cluster.Sleep(t.Context(), 3500*time.Millisecond)
		l.resumed(t, c, "")
		hang = l.gap(at)
		third := leader(t, c, second)
		must(t, c.Resume(second))
		cluster.Sleep(t.Context(), time.Second)

		follower := otherThan(third)
		must(t, c.Pause(follower))
		cluster.Sleep(t.Context(), time.Second)
		must(t, c.Resume(follower))
		must(t, c.Kill(follower))
		cluster.Sleep(t.Context(), time.Second)
		must(t, c.StartNode(follower))
		cluster.Sleep(t.Context(), time.Second)
		last := leader(t, c)
		exec(t, c.FrontendDB(int(otherThan(last)[2]-'0')), "ALTER SYSTEM TRANSFER LEADER")
		cluster.Sleep(t.Context(), time.Second)
		must(t, c.Stop(leader(t, c)))
		cluster.Sleep(t.Context(), time.Second)
	})
	t.Logf("no write was acknowledged for %v when the leader was killed (%.1f of the goal), for %v when it hung (%.1f of the goal)",
		crash, crash.Seconds(), hang, hang.Seconds()/3)
	if crash > 8*time.Second || hang > 10*time.Second {
		t.Errorf("writes stood still for too long: %v after a crash, %v after a hang", crash, hang)
	}
	l.check(t)
}

// TestLinearizableUnderCuts: the leading FE is cut from the other FEs but not from the BEs and the clients, then from
// everybody, then it still hears but is not heard; a follower is cut off; and a BE is cut from an FE that leads.
func TestLinearizableUnderCuts(t *testing.T) {
	if !cluster.Networked() {
		t.Skip("links can be cut only on Linux by a user who may make namespaces")
	}
	c := start(t, 3)
	l := newLoad()
	var gaps []string
	cut := func(what, node string, do func() error) {
		at := time.Now()
		must(t, do())
		cluster.Sleep(t.Context(), 3500*time.Millisecond)
		l.resumed(t, c, node)
		gap := l.gapFor(at, node)
		gaps = append(gaps, fmt.Sprintf("%s: %v", what, gap.Round(time.Millisecond)))
		if gap > 10*time.Second {
			t.Errorf("%s: no write on the other FEs for %v", what, gap)
		}
		must(t, c.Mend())
		cluster.Sleep(t.Context(), 1500*time.Millisecond)
	}
	fes, bes := []string{"fe1", "fe2", "fe3"}, []string{"be1", "be2", "be3"}
	l.run(t.Context(), pools(t, c, 3), 2, func() {
		cluster.Sleep(t.Context(), time.Second)
		lead := leader(t, c)
		cut("leader cut from the FEs", lead, func() error { return c.Isolate(lead, fes...) })
		lead = leader(t, c)
		cut("leader cut from all nodes", lead, func() error { return c.Isolate(lead, slices.Concat(fes, bes)...) })
		lead = leader(t, c)
		cut("leader not heard by the FEs", lead, func() error {
			var errs []error
			for _, fe := range fes {
				if fe != lead {
					errs = append(errs, c.CutOneWay(lead, fe))
				}
			}
			return errors.Join(errs...)
		})
		follower := otherThan(leader(t, c))
		cut("follower cut from all nodes", follower, func() error { return c.Isolate(follower, slices.Concat(fes, bes)...) })
		lead = leader(t, c)
		cut("leader cut from be1", "", func() error { return c.Cut(lead, "be1") })
		cut("be1 cut from be2", "", func() error { return c.Cut("be1", "be2") })
	})
	t.Logf("longest time without an acknowledged write on the FEs that are not cut off: %s", strings.Join(gaps, ", "))
	l.check(t)
}

// TestFiveLoseTwo: two of five FEs, the leader among them, are gone for good; the others go on.
func TestFiveLoseTwo(t *testing.T) {
	c := start(t, 5)
	l := newLoad()
	var gap time.Duration
	l.run(t.Context(), pools(t, c, 5), 1, func() {
		cluster.Sleep(t.Context(), time.Second)
		first, lost := leader(t, c), time.Now()
		must(t, c.Crash(first))
		must(t, c.Crash(otherThan(first)))
		cluster.Sleep(t.Context(), 3*time.Second)
		l.resumed(t, c, "")
		gap = l.gap(lost)
	})
	t.Logf("no write was acknowledged for %v when two of five were killed", gap.Round(time.Millisecond))
	if gap > 10*time.Second {
		t.Errorf("three of five FEs wrote nothing for %v", gap)
	}
	l.check(t)
}

// TestLinearizableUnderPauses: the leader hangs again and again, long enough for another one to be elected, and goes on: what it finds in its
// sockets then is of the time before, and says nothing of who leads.
func TestLinearizableUnderPauses(t *testing.T) {
	c := start(t, 3)
	l := newLoad()
	l.run(t.Context(), pools(t, c, 3), 4, func() {
		for range 8 {
			node := leader(t, c)
			must(t, c.Pause(node))
			l.resumed(t, c, node)
			must(t, c.Resume(node))
			l.resumed(t, c, "")
		}
	})
	l.check(t)
}
