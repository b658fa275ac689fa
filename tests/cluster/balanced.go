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
	frontends []driver.Connector
}

// knock is how long a frontend has for its greeting before the next one is tried.
const knock = 2 * time.Second

func (b balanced) Connect(ctx context.Context) (conn driver.Conn, err error) {
	for _, i := range rand.Perm(len(b.frontends)) {
		if conn, err = b.connect(ctx, i); err == nil || ctx.Err() != nil {
			return conn, err
		}
	}
	return nil, err
}

func (b balanced) connect(ctx context.Context, i int) (driver.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, knock)
	defer cancel()
	return b.frontends[i].Connect(ctx)
}

func (b balanced) Driver() driver.Driver { return b.frontends[0].Driver() }

// OpenBalanced returns a pool of its own whose sessions are on all frontends and start in a database. The caller closes it.
func (c *Cluster) OpenBalanced(database string) *sql.DB {
	var b balanced
	for n := 1; n <= c.opts.Frontends; n++ {
		b.frontends = append(b.frontends, c.connector(n, database))
	}
	return sql.OpenDB(b)
}
