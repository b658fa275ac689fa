package e2e

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"stele/tests/cluster"
)

// movers write rows of their own while leaders move: half of them by statements that commit themselves, half by transactions of
// three statements. What each has been told is counted, so that the total tells what is lost or done twice.
type movers struct {
	mu       sync.Mutex
	sum      int64 // that was acknowledged
	took     []time.Duration
	at       []time.Time
	single   []error // of statements that commit themselves
	explicit []error // of transactions
	done     int
}

const (
	moversEach = 8
	moverRows  = 12 // of each writer, so that it meets all tablets
)

// note takes in what one unit of work came to.
func (m *movers) note(ctx context.Context, begun time.Time, added int64, err error, errs *[]error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case err == nil:
		m.sum, m.done = m.sum+added, m.done+1
		m.at, m.took = append(m.at, time.Now()), append(m.took, time.Since(begun))
	case ctx.Err() == nil:
		*errs = append(*errs, err)
	}
}

func (m *movers) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.done
}

// slowest is the longest unit of work that ran between two moments.
func (m *movers) slowest(from, to time.Time) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	var longest time.Duration
	for i, at := range m.at {
		if at.After(from) && at.Add(-m.took[i]).Before(to) {
			longest = max(longest, m.took[i])
		}
	}
	return longest
}

// run writes until ctx ends. A unit of work that has begun is carried to its end, or its outcome would not be known.
func (m *movers) run(ctx context.Context, db *sql.DB) *sync.WaitGroup {
	var group sync.WaitGroup
	work := context.WithoutCancel(ctx)
	for w := range 2 * moversEach {
		row := func(n int) int { return w*moverRows + n%moverRows }
		group.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				begun := time.Now()
				if w < moversEach {
					_, err := db.ExecContext(work, fmt.Sprintf("UPDATE acct SET n = n + 1 WHERE id = %d", row(n)))
					m.note(ctx, begun, 1, err, &m.single)
					continue
				}
				m.note(ctx, begun, 3, three(work, db, row(n), row(n+1), row(n+2)), &m.explicit)
			}
		})
	}
	return &group
}

// three adds one to each of three rows in a transaction, which locks the first one before and reads what it has written.
func three(ctx context.Context, db *sql.DB, rows ...int) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	var was, is int64
	err = tx.QueryRowContext(ctx, fmt.Sprintf("SELECT n FROM acct WHERE id = %d FOR UPDATE", rows[0])).Scan(&was)
	for _, row := range rows {
		if err == nil {
			_, err = tx.ExecContext(ctx, fmt.Sprintf("UPDATE acct SET n = n + 1 WHERE id = %d", row))
		}
	}
	if err == nil {
		err = tx.QueryRowContext(ctx, fmt.Sprintf("SELECT n FROM acct WHERE id = %d", rows[0])).Scan(&is)
	}
	if err == nil && is != was+1 {
		err = fmt.Errorf("a transaction has written %d and reads %d", was+1, is)
	}
	if err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// TestTransfers moves leaders under sixteen writers: statements that commit themselves never notice, transactions go on under the new
// leader with what they have written, and whatever was acknowledged is there once.
func TestTransfers(t *testing.T) {
	skipShort(t, "moves leaders for some seconds")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	c := cluster.Start(t, cluster.Options{FE: map[string]string{"tablet_sched_disable_balance": "true"}})
	o := &orders{T: t, ctx: ctx, c: c, db: databaseOf(ctx, t, c, "tr", "CREATE TABLE acct (id INT PRIMARY KEY, n INT) DISTRIBUTED BY HASH(id) BUCKETS 6")}
	for id := range 2 * moversEach * moverRows {
		o.exec(fmt.Sprintf("INSERT INTO acct VALUES (%d, 0)", id))
	}
	m := &movers{}
	mctx, stop := context.WithCancel(ctx)
	group := m.run(mctx, o.db)
	c.Wait(t, "writes", healTimeout, func() (bool, string) { return m.count() > 500, fmt.Sprint(m.count()) })
	moved, longest := 0, []time.Duration{}
	for n := 0; moved < 20; n++ {
		ep := c.BackendAddr([]string{"be1", "be2", "be3"}[n%3])
		before := o.leaders()
		at := time.Now()
		o.read("ADMIN DRAIN BACKEND '" + ep + "'")
		o.done()
		longest = append(longest, m.slowest(at, time.Now()))
		moved += changed(before, o.leaders())
		before = o.leaders()
		o.read("ADMIN UNDRAIN BACKEND '" + ep + "'")
		o.done()
		o.read("BALANCE VGROUP LEADER")
		o.done()
		moved += changed(before, o.leaders())
	}
	moved += o.change(ctx, 4)
	stop()
	group.Wait()
	slices.Sort(longest)
	t.Logf("%d transfers, %d units of work, longest of each drain: %v; errors: %d of statements, %d of transactions", moved, m.done, longest,
		len(m.single), len(m.explicit))
	for _, err := range m.single {
		t.Errorf("a statement that commits itself: %v", err)
	}
	for _, err := range m.explicit {
		var known *mysql.MySQLError
		if !errors.As(err, &known) || known.Number != 1213 || string(known.SQLState[:]) != "40001" {
			t.Errorf("a transaction: %v", err)
		}
	}
	if len(m.explicit) > 0 {
		t.Errorf("%d transactions were ended by transfers: %v", len(m.explicit), m.explicit[0])
	}
	var sum int64
	must(t, o.db.QueryRowContext(ctx, "SELECT SUM(n) FROM acct").Scan(&sum))
	if sum != m.sum {
		t.Errorf("the rows say %d, and %d was acknowledged", sum, m.sum)
	}
	c.WaitHealthy(t, "tr.acct", healTimeout)
	c.CheckReplicas(t, "tr.acct", 3)
}

// change transfers leaders by hand: the old one is set aside, as changeleader does, and recovered.
func (o *orders) change(ctx context.Context, times int) int {
	o.exec("confset auto_failover false")
	for n := range times {
		pid := n % 6
		was := o.read(fmt.Sprintf("SELECT endpoint FROM stele.showtable WHERE name = 'acct' AND role = 'leader' AND is_alive = 'yes' AND pid = %d", pid)).Rows[0][0]
		o.exec(fmt.Sprintf("changeleader acct %d auto", pid))
		o.done()
		o.exec(fmt.Sprintf("recovertable acct %d %s", pid, was))
		o.done()
	}
	o.exec("confset auto_failover true")
	return times
}

// leaders are the leaders of all tablets.
func (o *orders) leaders() map[string]string {
	o.Helper()
	out := map[string]string{}
	for _, row := range o.read("SELECT pid, endpoint FROM stele.showtable WHERE name = 'acct' AND role = 'leader' AND is_alive = 'yes'").Rows {
		out[row[0]] = row[1]
	}
	return out
}

func changed(before, after map[string]string) int {
	n := 0
	for pid, ep := range after {
		if before[pid] != ep {
			n++
		}
	}
	return n
}
