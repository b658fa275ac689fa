//go:build chaos

package chaos

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"stele/tests/cluster"
)

const (
	bankAccounts = 12 // in each of the two tables
	bankOpening  = 1000
	bankTotal    = 2 * bankAccounts * bankOpening
	bankClients  = 3
)

// bank moves money between two tables of several tablets each, and writes down every transfer in the same transaction.
type bank struct {
	next atomic.Int64

	mu       sync.Mutex
	outcomes map[int64]outcome // by id of the transfer
	reads    int
}

func newBank() *bank { return &bank{outcomes: map[int64]outcome{}} }

func (b *bank) tables() []string {
	return []string{
		"CREATE TABLE acct_a (id INT PRIMARY KEY, balance BIGINT NOT NULL) DISTRIBUTED BY HASH(id) BUCKETS 3",
		"CREATE TABLE acct_b (id INT PRIMARY KEY, balance BIGINT NOT NULL) DISTRIBUTED BY HASH(id) BUCKETS 2",
		"CREATE TABLE transfers (id BIGINT PRIMARY KEY, src INT NOT NULL, dst INT NOT NULL, amount BIGINT NOT NULL) DISTRIBUTED BY HASH(id) BUCKETS 2",
	}
}

func (b *bank) prepare(ctx context.Context, ch *chaos) error {
	for _, table := range []string{"acct_a", "acct_b"} {
		var rows []string
		for id := range bankAccounts {
			rows = append(rows, fmt.Sprintf("(%d,%d)", id, bankOpening))
		}
		if _, err := ch.db.ExecContext(ctx, "INSERT INTO "+table+" VALUES "+strings.Join(rows, ",")); err != nil {
			return err
		}
	}
	return nil
}

func (b *bank) clients() []func(context.Context, *chaos) {
	out := []func(context.Context, *chaos){b.readAtOnce, b.readTwice}
	for range bankClients {
		out = append(out, b.transfer)
	}
	return out
}

func (b *bank) transfer(ctx context.Context, ch *chaos) {
	for ctx.Err() == nil {
		id := b.next.Add(1)
		got := b.move(ctx, ch, id, rand.IntN(bankAccounts), rand.IntN(bankAccounts), int64(rand.IntN(20)-10))
		b.mu.Lock()
		b.outcomes[id] = got
		b.mu.Unlock()
		if got != applied {
			cluster.Sleep(ctx, 20*time.Millisecond)
		}
	}
}

func (b *bank) move(ctx context.Context, ch *chaos, id int64, src, dst int, amount int64) outcome {
	sctx, cancel := context.WithTimeout(ctx, statementTimeout)
	defer cancel()
	tx, err := ch.db.BeginTx(sctx, nil)
	if err != nil {
		ch.judge(err)
		return notApplied
	}
	for _, s := range []struct {
		query string
		args  []any
	}{
		{"UPDATE acct_a SET balance = balance - ? WHERE id = ?", []any{amount, src}},
		{"UPDATE acct_b SET balance = balance + ? WHERE id = ?", []any{amount, dst}},
		{"INSERT INTO transfers VALUES (?, ?, ?, ?)", []any{id, src, dst, amount}},
	} {
		result, err := tx.ExecContext(sctx, s.query, s.args...)
		if err != nil {
			ch.judge(err)
			_ = tx.Rollback() // nobody sent a COMMIT, so nothing may come of it
			return notApplied
		}
		if n, err := result.RowsAffected(); err == nil && n != 1 && amount != 0 {
			ch.broken("bank: %s %v affected %d rows", s.query, s.args, n)
		}
	}
	if rand.IntN(10) == 0 {
		_ = tx.Rollback() // a connection that is cut rolls back as well
		return notApplied
	}
	return ch.judge(tx.Commit())
}

// readAtOnce reads both tables in one statement: one snapshot.
func (b *bank) readAtOnce(ctx context.Context, ch *chaos) {
	for ctx.Err() == nil {
		var sum sql.NullInt64
		var count int
		err := ch.db.QueryRowContext(ctx, "SELECT SUM(balance), COUNT(*) FROM (SELECT balance FROM acct_a UNION ALL SELECT balance FROM acct_b) x").
			Scan(&sum, &count)
		b.sees(ch, "one SELECT", sum.Int64, count, err)
		cluster.Sleep(ctx, 30*time.Millisecond)
	}
}

// readTwice reads the tables one after the other in one transaction: one snapshot as well.
func (b *bank) readTwice(ctx context.Context, ch *chaos) {
	for ctx.Err() == nil {
		sum, count, err := b.sumInTransaction(ctx, ch)
		b.sees(ch, "one transaction", sum, count, err)
		cluster.Sleep(ctx, 30*time.Millisecond)
	}
}

func (b *bank) sumInTransaction(ctx context.Context, ch *chaos) (sum int64, count int, err error) {
	tx, err := ch.db.BeginTx(ctx, nil)
	if err != nil {
		return 0, 0, err
	}
	defer tx.Rollback()
	for _, table := range []string{"acct_a", "acct_b"} {
		var part sql.NullInt64
		var n int
		if err := tx.QueryRowContext(ctx, "SELECT SUM(balance), COUNT(*) FROM "+table).Scan(&part, &n); err != nil {
			return 0, 0, err
		}
		sum, count = sum+part.Int64, count+n
	}
	return sum, count, nil
}

func (b *bank) sees(ch *chaos, how string, sum int64, count int, err error) {
	if err != nil {
		ch.judge(err)
		return
	}
	b.mu.Lock()
	b.reads++
	b.mu.Unlock()
	if sum != bankTotal || count != 2*bankAccounts {
		ch.broken("bank: %s sees %d in %d accounts, there are %d in %d", how, sum, count, bankTotal, 2*bankAccounts)
	}
}

// check compares the transfers with their outcomes, and the balances with the transfers.
func (b *bank) check(ctx context.Context, ch *chaos) {
	rows, err := ch.db.QueryContext(ctx, "SELECT id, src, dst, amount FROM transfers")
	if err != nil {
		ch.broken("bank: read the transfers: %v", err)
		return
	}
	defer rows.Close()
	seen := map[int64]bool{}
	var want [2][bankAccounts]int64
	for rows.Next() {
		var id, src, dst, amount int64
		if err := rows.Scan(&id, &src, &dst, &amount); err != nil {
			ch.broken("bank: read the transfers: %v", err)
			return
		}
		if seen[id] {
			ch.broken("bank: transfer %d is there twice", id)
		}
		seen[id] = true
		want[0][src] -= amount
		want[1][dst] += amount
	}
	if err := rows.Err(); err != nil {
		ch.broken("bank: read the transfers: %v", err)
	}
	acked := 0
	for id, got := range b.outcomes {
		if got == applied {
			acked++
		}
		if got == applied && !seen[id] {
			ch.broken("bank: transfer %d was acknowledged and is lost", id)
		}
		if got == notApplied && seen[id] {
			ch.broken("bank: transfer %d was refused or never committed and is there", id)
		}
	}
	for side, table := range []string{"acct_a", "acct_b"} {
		b.checkBalances(ctx, ch, table, want[side])
	}
	ch.t.Logf("bank: %d transfers acknowledged of %d, %d in the table, %d reads", acked, len(b.outcomes), len(seen), b.reads)
}

func (b *bank) checkBalances(ctx context.Context, ch *chaos, table string, change [bankAccounts]int64) {
	rows, err := ch.db.QueryContext(ctx, "SELECT id, balance FROM "+table)
	if err != nil {
		ch.broken("bank: read %s: %v", table, err)
		return
	}
	defer rows.Close()
	for rows.Next() {
		var id, balance int64
		if err := rows.Scan(&id, &balance); err != nil {
			ch.broken("bank: read %s: %v", table, err)
			return
		}
		if balance != bankOpening+change[id] {
			ch.broken("bank: account %d of %s has %d, its transfers say %d", id, table, balance, bankOpening+change[id])
		}
	}
	if err := rows.Err(); err != nil {
		ch.broken("bank: read %s: %v", table, err)
	}
}
