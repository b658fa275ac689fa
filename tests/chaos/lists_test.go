//go:build chaos

package chaos

import (
	"context"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"stele/tests/cluster"
)

const (
	listClients = 2
	listReaders = 2
	// listLength is when a list is left alone and the clients go on to a fresh pair: reads stay small.
	listLength = 60
)

// lists appends numbers to lists that are texts. Every append goes to two lists of two tables in one transaction, so each
// read must find the number in both or in none; all reads of a list must be prefixes of one another.
type lists struct {
	next atomic.Int64
	pair atomic.Int64 // the key that is appended to

	mu       sync.Mutex
	outcomes map[string]outcome // by number
	acked    map[int64][]string // by key, in the order of acknowledgement
	longest  map[string]string  // by table and key: what the longest read saw
	reads    int
}

func newLists() *lists {
	return &lists{outcomes: map[string]outcome{}, acked: map[int64][]string{}, longest: map[string]string{}}
}

func (l *lists) tables() []string {
	return []string{
		"CREATE TABLE list_a (k BIGINT PRIMARY KEY, v VARCHAR(2000) NOT NULL) DISTRIBUTED BY HASH(k) BUCKETS 2",
		"CREATE TABLE list_b (k BIGINT PRIMARY KEY, v VARCHAR(2000) NOT NULL) DISTRIBUTED BY HASH(k) BUCKETS 3",
	}
}

func (l *lists) prepare(ctx context.Context, ch *chaos) error {
	for _, table := range []string{"list_a", "list_b"} {
		var rows []string
		for k := range 400 {
			rows = append(rows, "("+strconv.Itoa(k)+",'')")
		}
		if _, err := ch.db.ExecContext(ctx, "INSERT INTO "+table+" VALUES "+strings.Join(rows, ",")); err != nil {
			return err
		}
	}
	return nil
}

func (l *lists) clients() []func(context.Context, *chaos) {
	var out []func(context.Context, *chaos)
	for range listClients {
		out = append(out, l.append)
	}
	for range listReaders {
		out = append(out, l.read)
	}
	return out
}

func (l *lists) append(ctx context.Context, ch *chaos) {
	for ctx.Err() == nil {
		n := l.next.Add(1)
		key, number := l.pair.Load(), strconv.FormatInt(n, 36)
		got := l.appendBoth(ctx, ch, key, number)
		l.mu.Lock()
		l.outcomes[number] = got
		if got == applied {
			l.acked[key] = append(l.acked[key], number)
			if len(l.acked[key]) >= listLength {
				l.pair.CompareAndSwap(key, min(key+1, 399))
			}
		}
		l.mu.Unlock()
		cluster.Sleep(ctx, time.Duration(5+rand.IntN(20))*time.Millisecond)
	}
}

func (l *lists) appendBoth(ctx context.Context, ch *chaos, key int64, number string) outcome {
	sctx, cancel := context.WithTimeout(ctx, statementTimeout)
	defer cancel()
	tx, err := ch.db.BeginTx(sctx, nil)
	if err != nil {
		ch.judge(err)
		return notApplied
	}
	for _, table := range []string{"list_a", "list_b"} {
		if _, err := tx.ExecContext(sctx, "UPDATE "+table+" SET v = CONCAT(v, ?) WHERE k = ?", number+",", key); err != nil {
			ch.judge(err)
			_ = tx.Rollback()
			return notApplied
		}
	}
	return ch.judge(tx.Commit())
}

func (l *lists) read(ctx context.Context, ch *chaos) {
	for ctx.Err() == nil {
		l.compare(ctx, ch, l.pair.Load())
		cluster.Sleep(ctx, 15*time.Millisecond)
	}
}

// compare reads one pair of lists in one statement and holds it against what is known of them.
func (l *lists) compare(ctx context.Context, ch *chaos, key int64) {
	l.mu.Lock()
	before := len(l.acked[key])
	must := l.acked[key][:before:before]
	longestA, longestB := l.longest["a"+strconv.FormatInt(key, 10)], l.longest["b"+strconv.FormatInt(key, 10)]
	l.mu.Unlock()
	var a, b string
	err := ch.db.QueryRowContext(ctx, "SELECT list_a.v, list_b.v FROM list_a JOIN list_b ON list_a.k = list_b.k WHERE list_a.k = ?", key).Scan(&a, &b)
	if err != nil {
		ch.judge(err)
		return
	}
	if a != b {
		ch.broken("lists: one read of %d sees %q and %q", key, a, b)
	}
	l.sees(ch, "a"+strconv.FormatInt(key, 10), a, longestA, must)
	l.sees(ch, "b"+strconv.FormatInt(key, 10), b, longestB, must)
}

// sees checks one list: earlier is the longest that an earlier read saw, must is what was acknowledged before this one.
func (l *lists) sees(ch *chaos, list, v, earlier string, must []string) {
	if !strings.HasPrefix(v, earlier) {
		ch.broken("lists: %s reads %q, an earlier read saw %q", list, v, earlier)
	}
	count := map[string]int{}
	for _, number := range strings.Split(v, ",") {
		if count[number]++; count[number] > 1 {
			ch.broken("lists: %s has %s twice: %q", list, number, v)
		}
	}
	for _, number := range must {
		if count[number] == 0 {
			ch.broken("lists: %s lacks %s, which was acknowledged before the read: %q", list, number, v)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reads++
	longest := l.longest[list]
	if !strings.HasPrefix(v, longest) && !strings.HasPrefix(longest, v) {
		ch.broken("lists: %s reads %q beside %q: no order of the appends gives both", list, v, longest)
	}
	if len(v) > len(longest) {
		l.longest[list] = v
	}
}

func (l *lists) check(ctx context.Context, ch *chaos) {
	total := 0
	for key := range l.pair.Load() + 1 {
		l.compare(ctx, ch, key)
		l.mu.Lock()
		for _, number := range strings.Split(strings.TrimSuffix(l.longest["a"+strconv.FormatInt(key, 10)], ","), ",") {
			if got, known := l.outcomes[number]; known && got == notApplied {
				ch.broken("lists: %d has %s, which was refused or never committed", key, number)
			}
			total++
		}
		l.mu.Unlock()
	}
	ch.t.Logf("lists: %d appends in %d lists, %d tried, %d reads", total, l.pair.Load()+1, len(l.outcomes), l.reads)
}
