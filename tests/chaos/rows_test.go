//go:build chaos

package chaos

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"stele/tests/cluster"
)

// ledger inserts rows whose keys nobody else uses, and knows which were acknowledged.
type ledger struct {
	next atomic.Int64

	mu       sync.Mutex
	outcomes map[int64]outcome
}

const ledgerClients = 2

func newLedger() *ledger { return &ledger{outcomes: map[int64]outcome{}} }

func (l *ledger) tables() []string {
	return []string{"CREATE TABLE ledger (id BIGINT PRIMARY KEY, v VARCHAR(200) NOT NULL) DISTRIBUTED BY HASH(id) BUCKETS 4",
		"CREATE TABLE heap (id BIGINT NOT NULL, v VARCHAR(200) NOT NULL) DISTRIBUTED BY HASH(id) BUCKETS 2"}
}

func (l *ledger) prepare(context.Context, *chaos) error { return nil }

func (l *ledger) clients() []func(context.Context, *chaos) {
	var out []func(context.Context, *chaos)
	for range ledgerClients {
		out = append(out, l.insert)
	}
	return out
}

// insert writes three rows a statement, so that a statement spans tablets, into the table with a key (even) or the one
// without (odd), where nothing but Stele itself keeps a retry from writing a row twice.
func (l *ledger) insert(ctx context.Context, ch *chaos) {
	for ctx.Err() == nil {
		n := l.next.Add(1)
		table := [2]string{"ledger", "heap"}[n%2]
		got := ch.exec(ctx, "INSERT INTO "+table+" VALUES (?, ?), (?, ?), (?, ?)", 3*n, text(3*n), 3*n+1, text(3*n+1), 3*n+2, text(3*n+2))
		l.mu.Lock()
		l.outcomes[n] = got
		l.mu.Unlock()
		if got != applied {
			cluster.Sleep(ctx, 20*time.Millisecond)
		}
	}
}

func text(id int64) string { return fmt.Sprintf("row %d of the ledger, %x", id, id*2654435761) }

func (l *ledger) check(ctx context.Context, ch *chaos) {
	seen := map[int64]int{}
	for _, table := range []string{"ledger", "heap"} {
		rows, err := ch.db.QueryContext(ctx, "SELECT id, v FROM "+table)
		if err != nil {
			ch.broken("ledger: read: %v", err)
			return
		}
		defer rows.Close()
		for rows.Next() {
			var id int64
			var v string
			if err := rows.Scan(&id, &v); err != nil {
				ch.broken("ledger: read: %v", err)
				return
			}
			if seen[id]++; v != text(id) {
				ch.broken("ledger: row %d of %s holds %q", id, table, v)
			}
		}
		if err := rows.Err(); err != nil {
			ch.broken("ledger: read: %v", err)
		}
	}
	acked := 0
	for n, got := range l.outcomes {
		a, b, c := seen[3*n], seen[3*n+1], seen[3*n+2]
		table := [2]string{"ledger", "heap"}[n%2]
		switch {
		case a != b || b != c:
			ch.broken("%s: statement %d has left %d, %d and %d of its rows", table, n, a, b, c)
		case a > 1:
			ch.broken("%s: the rows of statement %d are there %d times", table, n, a)
		case got == applied && a == 0:
			ch.broken("%s: statement %d was acknowledged and is lost", table, n)
		case got == notApplied && a != 0:
			ch.broken("%s: statement %d was refused and is there", table, n)
		}
		if got == applied {
			acked++
		}
	}
	ch.t.Logf("ledger: %d statements acknowledged of %d, %d rows", acked, len(l.outcomes), len(seen))
}

// counters are incremented in place.
type counters struct {
	acked   [counterKeys]atomic.Int64
	unknown [counterKeys]atomic.Int64
}

const (
	counterKeys    = 4
	counterClients = 2
)

func newCounters() *counters { return &counters{} }

func (c *counters) tables() []string {
	return []string{"CREATE TABLE counters (id INT PRIMARY KEY, n BIGINT NOT NULL) DISTRIBUTED BY HASH(id) BUCKETS 2"}
}

func (c *counters) prepare(ctx context.Context, ch *chaos) error {
	_, err := ch.db.ExecContext(ctx, "INSERT INTO counters VALUES (0,0),(1,0),(2,0),(3,0)")
	return err
}

func (c *counters) clients() []func(context.Context, *chaos) {
	out := []func(context.Context, *chaos){c.read}
	for range counterClients {
		out = append(out, c.increment)
	}
	return out
}

func (c *counters) increment(ctx context.Context, ch *chaos) {
	for i := 0; ctx.Err() == nil; i++ {
		id := i % counterKeys
		// Unknown is counted before and taken back, so that a reader never sees more than acked + unknown.
		c.unknown[id].Add(1)
		switch ch.exec(ctx, "UPDATE counters SET n = n + 1 WHERE id = ?", id) {
		case applied:
			c.acked[id].Add(1)
			c.unknown[id].Add(-1)
		case notApplied:
			c.unknown[id].Add(-1)
			cluster.Sleep(ctx, 10*time.Millisecond)
		case unknown:
			cluster.Sleep(ctx, 20*time.Millisecond)
		}
	}
}

func (c *counters) read(ctx context.Context, ch *chaos) {
	for ctx.Err() == nil {
		c.compare(ctx, ch)
		cluster.Sleep(ctx, 20*time.Millisecond)
	}
}

// compare reads all counters and holds them against what was acknowledged before the read began.
func (c *counters) compare(ctx context.Context, ch *chaos) {
	var least [counterKeys]int64
	for id := range least {
		least[id] = c.acked[id].Load()
	}
	rows, err := ch.db.QueryContext(ctx, "SELECT id, n FROM counters")
	if err != nil {
		ch.judge(err)
		return
	}
	defer rows.Close()
	seen := 0
	for rows.Next() {
		var id, n int64
		if err := rows.Scan(&id, &n); err != nil {
			ch.judge(err)
			return
		}
		seen++
		if n < least[id] {
			ch.broken("counters: %d reads %d, but %d increments were acknowledged before", id, n, least[id])
		}
	}
	if err := rows.Err(); err != nil {
		ch.judge(err)
		return
	}
	if seen != counterKeys {
		ch.broken("counters: a read sees %d of %d rows", seen, counterKeys)
	}
}

func (c *counters) check(ctx context.Context, ch *chaos) {
	c.compare(ctx, ch)
	for id := range counterKeys {
		var n int64
		if err := ch.db.QueryRowContext(ctx, "SELECT n FROM counters WHERE id = ?", id).Scan(&n); err != nil {
			ch.broken("counters: read %d: %v", id, err)
			continue
		}
		acked, open := c.acked[id].Load(), c.unknown[id].Load()
		if n < acked || n > acked+open {
			ch.broken("counters: %d is %d, with %d acknowledged and %d unknown increments", id, n, acked, open)
		}
		ch.t.Logf("counters: %d is %d, acknowledged %d, unknown %d", id, n, acked, open)
	}
}

// claims are inserts of the same key by several clients: one wins.
type claims struct {
	round atomic.Int64

	mu       sync.Mutex
	outcomes map[int64]map[int]outcome // key -> client
}

const claimClients = 3

func newClaims() *claims { return &claims{outcomes: map[int64]map[int]outcome{}} }

func (c *claims) tables() []string {
	return []string{"CREATE TABLE claims (k BIGINT PRIMARY KEY, owner INT NOT NULL) DISTRIBUTED BY HASH(k) BUCKETS 2"}
}

func (c *claims) prepare(context.Context, *chaos) error { return nil }

func (c *claims) clients() []func(context.Context, *chaos) {
	var out []func(context.Context, *chaos)
	for client := range claimClients {
		out = append(out, func(ctx context.Context, ch *chaos) { c.claim(ctx, ch, client) })
	}
	return out
}

// claim tries each key once; the rounds of the clients overlap because everyone is at the newest one.
func (c *claims) claim(ctx context.Context, ch *chaos, client int) {
	last := int64(-1)
	for ctx.Err() == nil {
		key := c.round.Load()
		if key == last {
			c.round.CompareAndSwap(key, key+1)
			key++
		}
		last = key
		got := ch.exec(ctx, "INSERT INTO claims VALUES (?, ?)", key, client)
		c.mu.Lock()
		if c.outcomes[key] == nil {
			c.outcomes[key] = map[int]outcome{}
		}
		c.outcomes[key][client] = got
		c.mu.Unlock()
		cluster.Sleep(ctx, 5*time.Millisecond)
	}
}

func (c *claims) check(ctx context.Context, ch *chaos) {
	rows, err := ch.db.QueryContext(ctx, "SELECT k, owner FROM claims")
	if err != nil {
		ch.broken("claims: read: %v", err)
		return
	}
	defer rows.Close()
	owners := map[int64]int{}
	for rows.Next() {
		var k int64
		var owner int
		if err := rows.Scan(&k, &owner); err != nil {
			ch.broken("claims: read: %v", err)
			return
		}
		if _, twice := owners[k]; twice {
			ch.broken("claims: key %d is there twice", k)
		}
		owners[k] = owner
	}
	if err := rows.Err(); err != nil {
		ch.broken("claims: read: %v", err)
	}
	for k, by := range c.outcomes {
		owner, exists := owners[k]
		for client, got := range by {
			if got == applied && (!exists || owner != client) {
				ch.broken("claims: key %d was given to client %d, the table says %d (%v); outcomes %v", k, client, owner, exists, by)
			}
			if got == notApplied && exists && owner == client {
				ch.broken("claims: key %d was refused to client %d, who has it; outcomes %v", k, client, by)
			}
		}
	}
	ch.t.Logf("claims: %d keys, %d tried", len(owners), len(c.outcomes))
}
