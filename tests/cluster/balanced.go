package cluster

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"math/rand/v2"
	"time"
)

// balanced connects to any frontend, as a load balancer in front of them does: one that refuses is passed over.
type balanced struct {
	c        *Cluster
	database string
}

// knock is how long a frontend has for its greeting before the next one is tried.
const knock = 2 * time.Second

func (b balanced) Connect(ctx context.Context) (conn driver.Conn, err error) {
	b.c.mu.Lock()
	frontends := b.c.opts.Nodes + b.c.opts.Frontends // more may have joined
	b.c.mu.Unlock()
	for _, i := range rand.Perm(frontends) {
		if conn, err = b.connect(ctx, i+1); err == nil || ctx.Err() != nil {
			return conn, err
		}
	}
	return nil, err
}

func (b balanced) connect(ctx context.Context, n int) (driver.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, knock)
	defer cancel()
	return b.c.connector(n, b.database).Connect(ctx)
}

func (b balanced) Driver() driver.Driver { return b.c.connector(1, b.database).Driver() }

// OpenBalanced returns a pool of its own whose sessions are on all frontends and start in a database. The caller closes it.
func (c *Cluster) OpenBalanced(database string) *sql.DB {
	return sql.OpenDB(balanced{c, database})
}
