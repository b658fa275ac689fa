package local

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"stele/conf"
	"stele/sql/errno"
)

// session is a connection to a frontend, as any MySQL client has one.
type session interface {
	// Rows returns the rows of a statement by lower-case column name; NULL is an empty text.
	Rows(ctx context.Context, query string) ([]map[string]string, error)
	Exec(ctx context.Context, query string) error
	io.Closer
}

// bringUp waits for a frontend to answer, makes the cluster know all nodes of the layout and returns when every
// backend is alive. It repeats what fails until ctx ends: while a cluster starts, refusals are normal.
func bringUp(ctx context.Context, opts Options, l *layout) error {
	tick := time.NewTicker(opts.pollInterval)
	defer tick.Stop()
	var problem error
	for {
		err := tryBringUp(ctx, opts, l)
		if err == nil {
			return nil
		}
		if denied := (*mysql.MySQLError)(nil); errors.As(err, &denied) && denied.Number == errno.AccessDenied {
			return fmt.Errorf("root of this cluster has a password: set MYSQL_PWD to it: %w", err)
		}
		if problem == nil || ctx.Err() == nil {
			problem = err // but not the one that only says that the time is over
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the cluster is not ready after %v: %w (output of the nodes: %s/*/log)",
				opts.ReadyTimeout, problem, l.dir)
		case <-tick.C:
		}
	}
}

func tryBringUp(ctx context.Context, opts Options, l *layout) error {
	// One slow attempt must not eat the whole time: a frontend that hangs may be about to die.
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	s, err := opts.dial(ctx, l.frontends[0].addr(conf.QueryPort.Key))
	if err != nil {
		return fmt.Errorf("%s does not answer: %w", l.frontends[0].name(), err)
	}
	err = registerAll(ctx, s, l)
	if closeErr := s.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	for _, fe := range l.frontends[1:] { // alive to the others is not yet open to clients
		s, err := opts.dial(ctx, fe.addr(conf.QueryPort.Key))
		if err != nil {
			return fmt.Errorf("%s does not answer: %w", fe.name(), err)
		}
		if err := s.Close(); err != nil {
			return err
		}
	}
	return nil
}

func registerAll(ctx context.Context, s session, l *layout) error {
	if len(l.frontends) > 1 {
		// A frontend without a cluster waits until it is added; the first made the cluster and knows itself.
		err := register(ctx, s, l.frontends, registration{
			show: "SHOW FRONTENDS", ports: []string{"editlogport"}, port: conf.EditLogPort.Key,
			ready: []string{"alive", "join"}, // one without a vote yet is no help when another one dies
			add: func(addrs []string) []string {
				var statements []string
				for _, a := range addrs {
					statements = append(statements, "ALTER SYSTEM ADD FOLLOWER "+a)
				}
				return statements
			}})
		if err != nil {
			return err
		}
	}
	err := register(ctx, s, l.backends, registration{
		show: "SHOW BACKENDS", ports: []string{"heartbeatport", "beport"}, port: conf.BERPCPort.Key,
		ready: []string{"alive"},
		add: func(addrs []string) []string {
			return []string{"ALTER SYSTEM ADD BACKEND " + strings.Join(addrs, ", ")}
		}})
	if err != nil || len(l.nodes) == 0 || len(l.backends) == 1 { // the host of a single backend says which frontend is beside it
		return err
	}
	return pair(ctx, s, l.nodes)
}

// pair tells the cluster which frontend and which backend are one process, since all of them have one host.
func pair(ctx context.Context, s session, nodes []*node) error {
	mnodes, err := s.Rows(ctx, "SHOW MNODES")
	if err != nil {
		return err
	}
	dnodes, err := s.Rows(ctx, "SHOW DNODES")
	if err != nil {
		return err
	}
	for _, n := range nodes {
		mnode, dnode := rowAt(mnodes, n.parts[0].addr(conf.EditLogPort.Key)), rowAt(dnodes, n.parts[1].addr(conf.BERPCPort.Key))
		if mnode == nil || dnode == nil || mnode["dnode_id"] != "" || dnode["mnode_id"] != "" {
			continue // one that an operator has dropped, or has given to another
		}
		if err := s.Exec(ctx, fmt.Sprintf("ALTER MNODE %s ON DNODE %s", mnode["id"], dnode["id"])); err != nil {
			return err
		}
	}
	return nil
}

// rowAt returns the row of an endpoint, nil where there is none.
func rowAt(rows []map[string]string, endpoint string) map[string]string {
	i := slices.IndexFunc(rows, func(r map[string]string) bool { return r["endpoint"] == endpoint })
	if i < 0 {
		return nil
	}
	return rows[i]
}

// registration says how one kind of node is listed and added.
type registration struct {
	show  string
	ports []string // columns that hold the port, lower case, any of them may match
	port  string   // the configuration item of the same port
	ready []string // columns that are true for a node that does its part, lower case
	add   func(quotedAddrs []string) []string
}

// register adds the nodes that the cluster does not list and fails while one of them is not ready.
func register(ctx context.Context, s session, nodes []*node, r registration) error {
	rows, err := s.Rows(ctx, r.show)
	if err != nil {
		return fmt.Errorf("%s: %w", r.show, err)
	}
	ready := map[string]bool{} // by address; an entry means that the cluster knows the node
	for _, row := range rows {
		for _, column := range r.ports {
			ready[row["ip"]+":"+row[column]] = !slices.ContainsFunc(r.ready, func(c string) bool { return !strings.EqualFold(row[c], "true") })
		}
	}
	var unknown, missing []string
	for _, n := range nodes {
		addr := n.addr(r.port)
		if is, known := ready[addr]; !known {
			unknown = append(unknown, `"`+addr+`"`)
		} else if !is {
			missing = append(missing, n.name())
		}
	}
	if unknown != nil {
		for _, statement := range r.add(unknown) {
			if err := s.Exec(ctx, statement); err != nil {
				return fmt.Errorf("%s: %w", statement, err)
			}
		}
		return fmt.Errorf("%s were just added", strings.Join(unknown, ", "))
	}
	if missing != nil {
		return fmt.Errorf("%s does not list as %s: %s", r.show, strings.Join(r.ready, " and "), strings.Join(missing, ", "))
	}
	return nil
}

// mysqlSession is a session of one connection through go-sql-driver.
type mysqlSession struct{ db *sql.DB }

func dialMySQL(ctx context.Context, addr string) (session, error) {
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd, cfg.Net, cfg.Addr = "root", os.Getenv("MYSQL_PWD"), "tcp", addr
	cfg.Logger = log.New(io.Discard, "", 0) // each failed attempt would be a line on the terminal
	cfg.Timeout = 3 * time.Second
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(1)
	if err := db.PingContext(ctx); err != nil {
		_ = db.Close() // the first error is the one to tell
		var dialErr *net.OpError
		if errors.As(err, &dialErr) {
			return nil, dialErr
		}
		return nil, err
	}
	return &mysqlSession{db}, nil
}

func (s *mysqlSession) Close() error { return s.db.Close() }

func (s *mysqlSession) Exec(ctx context.Context, query string) error {
	_, err := s.db.ExecContext(ctx, query)
	return err
}

func (s *mysqlSession) Rows(ctx context.Context, query string) ([]map[string]string, error) {
	rows, err := s.db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	values, targets := make([]sql.NullString, len(columns)), make([]any, len(columns))
	for i := range values {
		targets[i] = &values[i]
	}
	var all []map[string]string
	for rows.Next() {
		if err := rows.Scan(targets...); err != nil {
			return nil, err
		}
		row := map[string]string{}
		for i, name := range columns {
			row[strings.ToLower(name)] = values[i].String
		}
		all = append(all, row)
	}
	return all, rows.Err()
}
