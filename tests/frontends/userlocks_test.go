package frontends

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"testing"
	"time"

	"stele/tests/cluster"
)

// locker is a connection that takes locks by name.
type locker struct {
	*sql.Conn
	t *testing.T
}

func newLocker(t *testing.T, db *sql.DB) locker {
	t.Helper()
	conn, err := db.Conn(t.Context())
	must(t, err)
	return locker{conn, t}
}

// ask returns what a query for one value answers.
func (l locker) ask(query string) (string, error) {
	ctx, cancel := context.WithTimeout(l.t.Context(), time.Minute)
	defer cancel()
	var out sql.NullString
	err := l.QueryRowContext(ctx, "SELECT "+query).Scan(&out)
	return out.String, err
}

func (l locker) want(query, want string) {
	l.t.Helper()
	if got, err := l.ask(query); err != nil || got != want {
		l.t.Fatalf("%s: %q, %v, want %q", query, got, err, want)
	}
}

// TestUserLocks: a lock of GET_LOCK has one holder, whatever FEs its connections are on and whatever becomes of the FEs.
func TestUserLocks(t *testing.T) {
	c := startWith(t, 3, steady, nil)
	dbs := pools(t, c, 3)
	a, b, d := newLocker(t, dbs[0]), newLocker(t, dbs[1]), newLocker(t, dbs[2])
	began := time.Now()
	phase := func(name string) {
		t.Logf("%s: %v", name, time.Since(began).Round(time.Millisecond))
		began = time.Now()
	}
	passOn(t, a, b, d, newLocker(t, dbs[1]))
	phase("locks are passed on")
	circle(t, a, b, d)
	phase("a circle is refused")
	newLeader(t, c, dbs)
	phase("the leader is killed and started again")
	hung(t, c, dbs)
	phase("the leader hangs")
}

// index is the place of an FE among pools.
func index(node string) int { return int(node[2] - '1') }

// third is the FE beside two others of three.
func third(a, b string) string { return fmt.Sprintf("fe%d", 6-(index(a)+1)-(index(b)+1)) }

// passOn: who waits gets a lock when it is given back, or when its holder's connection ends.
func passOn(t *testing.T, a, b, d, gone locker) {
	t.Helper()
	a.want("GET_LOCK('Job', 0)", "1")
	a.want("GET_LOCK('job', 5)", "1")
	b.want("GET_LOCK('JOB', 0)", "0")
	d.want("IS_FREE_LOCK('job')", "0")
	id, err := a.ask("CONNECTION_ID()")
	must(t, err)
	b.want("IS_USED_LOCK('job')", id)
	b.want("RELEASE_LOCK('job')", "0")
	got := make(chan string, 1)
	go func() {
		answer, err := b.ask("GET_LOCK('job', 50)")
		got <- fmt.Sprint(answer, err)
	}()
	a.want("RELEASE_LOCK('job')", "1")
	d.want("GET_LOCK('job', 0.1)", "0")
	a.want("RELEASE_LOCK('job')", "1")
	if answer := <-got; answer != "1<nil>" {
		t.Fatalf("who waited: %s", answer)
	}
	a.want("RELEASE_LOCK('job') IS NULL OR IS_USED_LOCK('job') > 0", "1")
	gone.want("GET_LOCK('gone', 0)", "1")
	_ = gone.Raw(func(any) error { return driver.ErrBadConn }) // ends it
	d.want("GET_LOCK('gone', 50)", "1")
	d.want("RELEASE_ALL_LOCKS()", "1")
	b.want("RELEASE_ALL_LOCKS()", "1")
	a.want("IS_FREE_LOCK('job')", "1")
}

// circle: connections that wait for one another are told so, over all FEs.
func circle(t *testing.T, a, b, d locker) {
	t.Helper()
	all := []locker{a, b, d}
	answers := make(chan error, 3)
	for i, l := range all {
		l.want(fmt.Sprintf("GET_LOCK('c%d', 0)", i), "1")
	}
	for i, l := range all {
		go func() {
			_, err := l.ask(fmt.Sprintf("GET_LOCK('c%d', 50)", (i+1)%3))
			_, _ = l.ExecContext(t.Context(), "DO RELEASE_ALL_LOCKS()")
			answers <- err
		}()
	}
	refused := 0
	for range 3 { // one is refused and gives its lock to another one, and that to the third
		if err := <-answers; number(err) == 3058 {
			refused++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if refused != 1 {
		t.Fatalf("%d of three in a circle were refused", refused)
	}
	for _, l := range all {
		_, err := l.ExecContext(t.Context(), "DO RELEASE_ALL_LOCKS()")
		must(t, err)
	}
}

// newLeader: what other FEs' connections hold stays held when the leader is killed, and what its own held is free.
func newLeader(t *testing.T, c *cluster.Cluster, dbs []*sql.DB) {
	t.Helper()
	lead := leader(t, c)
	other := otherThan(lead)
	third := third(lead, other)
	keeps, ends, asks := newLocker(t, dbs[index(other)]), newLocker(t, dbs[index(lead)]), newLocker(t, dbs[index(third)])
	keeps.want("GET_LOCK('kept', 0)", "1")
	ends.want("GET_LOCK('ended', 0)", "1")
	must(t, c.Crash(lead))
	asks.want("GET_LOCK('kept', 0)", "0")
	asks.want("GET_LOCK('ended', 50)", "1")
	asks.want("GET_LOCK('kept', 0.2)", "0")
	keeps.want("RELEASE_LOCK('kept')", "1")
	asks.want("GET_LOCK('kept', 0)", "1")
	asks.want("RELEASE_ALL_LOCKS()", "2")
	must(t, c.Kill(lead))
	must(t, c.StartNode(lead))
}

// hung: an FE that hangs loses its locks, and when it goes on no connection of it believes to have them.
func hung(t *testing.T, c *cluster.Cluster, dbs []*sql.DB) {
	t.Helper()
	lead := leader(t, c)
	other := otherThan(lead)
	loses, asks := newLocker(t, dbs[index(lead)]), newLocker(t, dbs[index(other)])
	loses.want("GET_LOCK('hung', 0)", "1")
	must(t, c.Pause(lead))
	paused := time.Now()
	asks.want("GET_LOCK('hung', 50)", "1")
	t.Logf("the lock of a hung leader was got after %v", time.Since(paused).Round(time.Millisecond))
	must(t, c.Resume(lead))
	resumed := time.Now()
	_, err := loses.ask("1")
	if took := time.Since(resumed); err == nil || took > 30*time.Second {
		t.Fatalf("a connection whose lock is another's: %v after %v", err, took)
	}
	asks.want("RELEASE_LOCK('hung')", "1")
}
