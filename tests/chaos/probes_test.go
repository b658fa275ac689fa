//go:build chaos

package chaos

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"stele/tests/cluster"
)

const (
	probeKeys  = 6
	probePause = 10 * time.Millisecond
)

// probes write all the time, each to a key of its own, and so measure for how long a tablet takes no write.
type probes struct {
	mu   sync.Mutex
	acks [probeKeys][]time.Time
	last [probeKeys]int64
	open [probeKeys]map[int64]bool // values whose write has an unknown outcome, since the last acknowledged one
}

func newProbes() *probes { return &probes{} }

func (p *probes) tables() []string {
	return []string{"CREATE TABLE probes (id INT PRIMARY KEY, n BIGINT NOT NULL) DISTRIBUTED BY HASH(id) BUCKETS 4"}
}

func (p *probes) prepare(ctx context.Context, ch *chaos) error {
	var rows []string
	for id := range probeKeys {
		rows = append(rows, fmt.Sprintf("(%d,0)", id))
		p.open[id] = map[int64]bool{}
	}
	_, err := ch.db.ExecContext(ctx, "INSERT INTO probes VALUES "+strings.Join(rows, ","))
	return err
}

func (p *probes) clients() []func(context.Context, *chaos) {
	var out []func(context.Context, *chaos)
	for id := range probeKeys {
		out = append(out, func(ctx context.Context, ch *chaos) { p.write(ctx, ch, id) })
	}
	return out
}

// write overwrites the key with growing numbers, and reads it back after each acknowledgement: nobody else writes it, so
// the read must give exactly the number.
func (p *probes) write(ctx context.Context, ch *chaos, id int) {
	for n := int64(1); ctx.Err() == nil; n++ {
		got := ch.exec(ctx, "REPLACE INTO probes VALUES (?, ?)", id, n)
		p.note(id, n, got)
		if got == applied && n%8 == 0 {
			var back int64
			err := ch.db.QueryRowContext(ctx, "SELECT n FROM probes WHERE id = ?", id).Scan(&back)
			if ch.judge(err) == applied && back != n {
				ch.broken("probes: %d was set to %d and reads %d", id, n, back)
			}
		}
		cluster.Sleep(ctx, probePause)
	}
}

func (p *probes) note(id int, n int64, got outcome) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch got {
	case applied:
		p.acks[id] = append(p.acks[id], time.Now())
		p.last[id] = n
		clear(p.open[id])
	case unknown:
		p.open[id][n] = true
	}
}

// gap returns the longest time without an acknowledged write on any one key between two moments.
func (p *probes) gap(from, to time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	var longest time.Duration
	for id := range p.acks {
		last := from
		for _, at := range p.acks[id] {
			if at.Before(from) {
				continue
			}
			if at.After(to) {
				break
			}
			longest = max(longest, at.Sub(last))
			last = at
		}
		longest = max(longest, to.Sub(last))
	}
	return longest
}

func (p *probes) check(ctx context.Context, ch *chaos) {
	for id := range probeKeys {
		var n int64
		if err := ch.db.QueryRowContext(ctx, "SELECT n FROM probes WHERE id = ?", id).Scan(&n); err != nil {
			ch.broken("probes: read %d: %v", id, err)
			continue
		}
		if n != p.last[id] && !p.open[id][n] {
			ch.broken("probes: %d is %d, the last acknowledged write was %d", id, n, p.last[id])
		}
	}
}
