//go:build chaos

package chaos

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"stele/tests/cluster"

	"github.com/go-sql-driver/mysql"
)

// uniques insert rows of which a second key is unique as well, and move and delete them: whoever of several clients is
// first has a name, and each row is found by its name.
type uniques struct {
	next atomic.Int64 // the last id
}

const (
	uniqueClients = 3
	uniqueNames   = 400
)

func newUniques() *uniques { return new(uniques) }

func (u *uniques) tables() []string {
	return []string{"CREATE TABLE uniques (id BIGINT PRIMARY KEY, name VARCHAR(40) NOT NULL, UNIQUE KEY by_name (name)) DISTRIBUTED BY HASH(id) BUCKETS 3"}
}

func (u *uniques) prepare(context.Context, *chaos) error { return nil }

func (u *uniques) clients() []func(context.Context, *chaos) {
	out := []func(context.Context, *chaos){u.read}
	for range uniqueClients {
		out = append(out, u.work)
	}
	return out
}

func (u *uniques) work(ctx context.Context, ch *chaos) {
	for ctx.Err() == nil {
		name := fmt.Sprint("name ", rand.IntN(uniqueNames))
		switch rand.IntN(4) {
		case 0:
			ch.exec(ctx, "DELETE FROM uniques WHERE name = ?", name)
		case 1:
			ch.exec(ctx, "UPDATE uniques SET name = ? WHERE name = ?", fmt.Sprint("name ", rand.IntN(uniqueNames)), name)
		default:
			ch.exec(ctx, "INSERT INTO uniques VALUES (?, ?)", u.next.Add(1), name)
		}
		cluster.Sleep(ctx, 5*time.Millisecond)
	}
}

func (u *uniques) read(ctx context.Context, ch *chaos) {
	for ctx.Err() == nil {
		u.compare(ctx, ch)
		cluster.Sleep(ctx, 50*time.Millisecond)
	}
}

// compare reads all rows in one statement: no name is there twice.
func (u *uniques) compare(ctx context.Context, ch *chaos) map[string]int64 {
	rows, err := ch.db.QueryContext(ctx, "SELECT id, name FROM uniques")
	if err != nil {
		ch.judge(err)
		return nil
	}
	defer rows.Close()
	seen := map[string]int64{}
	for rows.Next() {
		var id int64
		var name string
		if err := rows.Scan(&id, &name); err != nil {
			ch.judge(err)
			return nil
		}
		if other, twice := seen[name]; twice {
			ch.broken("uniques: rows %d and %d are both %q", other, id, name)
		}
		seen[name] = id
	}
	if err := rows.Err(); err != nil {
		ch.judge(err)
		return nil
	}
	return seen
}

// check finds every row by its name, and no name without a row.
func (u *uniques) check(ctx context.Context, ch *chaos) {
	seen := u.compare(ctx, ch)
	for k := range uniqueNames {
		name := fmt.Sprint("name ", k)
		var id int64
		err := ch.db.QueryRowContext(ctx, "SELECT COALESCE(MAX(id), 0) FROM uniques WHERE name = ?", name).Scan(&id)
		if err != nil || id != seen[name] {
			ch.broken("uniques: %q is row %d by its key and %d in the table (%v)", name, id, seen[name], err)
		}
	}
	ch.t.Logf("uniques: %d rows of %d tried", len(seen), u.next.Load())
}

// pairs write the same key to two colocated tables in one transaction: every join finds both.
type pairs struct {
	next atomic.Int64

	mu       sync.Mutex
	outcomes map[int64]outcome
}

func newPairs() *pairs { return &pairs{outcomes: map[int64]outcome{}} }

func (p *pairs) tables() []string {
	const rest = ` (id BIGINT PRIMARY KEY, v BIGINT NOT NULL) DISTRIBUTED BY HASH(id) BUCKETS 3 PROPERTIES ("colocate_with" = "pairs")`
	return []string{"CREATE TABLE pair_a" + rest, "CREATE TABLE pair_b" + rest}
}

func (p *pairs) prepare(context.Context, *chaos) error { return nil }

func (p *pairs) clients() []func(context.Context, *chaos) {
	return []func(context.Context, *chaos){p.write, p.write, p.read}
}

func (p *pairs) write(ctx context.Context, ch *chaos) {
	for ctx.Err() == nil {
		id := p.next.Add(1)
		got := p.both(ctx, ch, id)
		p.mu.Lock()
		p.outcomes[id] = got
		p.mu.Unlock()
		cluster.Sleep(ctx, 10*time.Millisecond)
	}
}

func (p *pairs) both(ctx context.Context, ch *chaos, id int64) outcome {
	sctx, cancel := context.WithTimeout(ctx, statementTimeout)
	defer cancel()
	tx, err := ch.db.BeginTx(sctx, nil)
	if err != nil {
		ch.judge(err)
		return notApplied
	}
	for _, table := range []string{"pair_a", "pair_b"} {
		if _, err := tx.ExecContext(sctx, "INSERT INTO "+table+" VALUES (?, ?)", id, 7*id); err != nil {
			ch.judge(err)
			_ = tx.Rollback() // nobody sent a COMMIT
			return notApplied
		}
	}
	return ch.judge(tx.Commit())
}

func (p *pairs) read(ctx context.Context, ch *chaos) {
	for ctx.Err() == nil {
		p.compare(ctx, ch)
		cluster.Sleep(ctx, 50*time.Millisecond)
	}
}

func (p *pairs) compare(ctx context.Context, ch *chaos) {
	for _, order := range [][2]string{{"pair_a", "pair_b"}, {"pair_b", "pair_a"}} {
		var alone int64
		err := ch.db.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+order[0]+" x LEFT JOIN "+order[1]+" y ON x.id = y.id WHERE y.id IS NULL OR x.v <> y.v").Scan(&alone)
		if ch.judge(err) == applied && alone != 0 {
			ch.broken("pairs: %d rows of %s have no partner in %s", alone, order[0], order[1])
		}
	}
}

func (p *pairs) check(ctx context.Context, ch *chaos) {
	p.compare(ctx, ch)
	checkIDs(ctx, ch, "pairs", "pair_a", p.outcomes, 1)
}

// checkIDs holds what a table has against the outcomes of its statements; size is how many rows each of them writes.
func checkIDs(ctx context.Context, ch *chaos, what, table string, outcomes map[int64]outcome, size int64) {
	rows, err := ch.db.QueryContext(ctx, "SELECT id FROM "+table)
	if err != nil {
		ch.broken("%s: read: %v", what, err)
		return
	}
	defer rows.Close()
	count := map[int64]int64{}
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			ch.broken("%s: read: %v", what, err)
			return
		}
		count[id/size]++
	}
	if err := rows.Err(); err != nil {
		ch.broken("%s: read: %v", what, err)
	}
	acked := 0
	for n, got := range outcomes {
		switch has := count[n]; {
		case has != 0 && has != size:
			ch.broken("%s: statement %d has left %d of its %d rows", what, n, has, size)
		case got == applied && has == 0:
			ch.broken("%s: statement %d was acknowledged and is lost", what, n)
		case got == notApplied && has != 0:
			ch.broken("%s: statement %d was refused and is there", what, n)
		}
		if got == applied {
			acked++
		}
	}
	ch.t.Logf("%s: %d acknowledged of %d, %d there", what, acked, len(outcomes), len(count))
}

// files are loaded by LOAD DATA, each as one transaction.
type files struct {
	next atomic.Int64

	mu       sync.Mutex
	outcomes map[int64]outcome
}

const fileRows = 500

func newFiles() *files { return &files{outcomes: map[int64]outcome{}} }

func (f *files) tables() []string {
	return []string{"CREATE TABLE files (id BIGINT PRIMARY KEY, v VARCHAR(100) NOT NULL) DISTRIBUTED BY HASH(id) BUCKETS 3"}
}

func (f *files) prepare(context.Context, *chaos) error { return nil }

func (f *files) clients() []func(context.Context, *chaos) {
	return []func(context.Context, *chaos){f.load}
}

func (f *files) load(ctx context.Context, ch *chaos) {
	for ctx.Err() == nil {
		n := f.next.Add(1)
		var b strings.Builder
		for id := n * fileRows; id < (n+1)*fileRows; id++ {
			fmt.Fprintf(&b, "%d\t%s\n", id, text(id))
		}
		name := fmt.Sprint("chaos", n)
		mysql.RegisterReaderHandler(name, func() io.Reader { return strings.NewReader(b.String()) })
		got := ch.exec(ctx, "LOAD DATA LOCAL INFILE 'Reader::"+name+"' INTO TABLE files")
		mysql.DeregisterReaderHandler(name)
		f.mu.Lock()
		f.outcomes[n] = got
		f.mu.Unlock()
		cluster.Sleep(ctx, 100*time.Millisecond)
	}
}

func (f *files) check(ctx context.Context, ch *chaos) {
	checkIDs(ctx, ch, "files", "files", f.outcomes, fileRows)
}
