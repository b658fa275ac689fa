package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"stele/meta/rpc"
	"stele/meta/types"
	"stele/proto/bepb"
)

// Digest is what one replica says about its rows at one version.
type Digest struct {
	Tablet  uint64
	Backend string // its id
	Version uint64
	Digest  uint64
	Rows    int64
	Schema  uint32 // the version of the schema by which they are laid out
}

// WaitHealthy waits until a table ("db.t") has as many replicas for each tablet as it should and all of them are OK.
func (c *Cluster) WaitHealthy(tb testing.TB, table string, timeout time.Duration) {
	tb.Helper()
	c.Wait(tb, "all replicas of "+table+" OK", timeout, func() (bool, string) {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		t, err := ReadTable(ctx, c.DB(), "ADMIN SHOW REPLICA STATUS FROM "+table)
		if err != nil {
			return false, err.Error()
		}
		count := map[string]int{}
		for _, status := range t.Column("Status") {
			count[status]++
		}
		return count["OK"] == len(t.Rows) && len(t.Rows) > 0, fmt.Sprint(count)
	})
}

// WaitAlive waits until a BE counts as alive, or as dead.
func (c *Cluster) WaitAlive(tb testing.TB, node string, alive bool, timeout time.Duration) {
	tb.Helper()
	want := strconv.FormatBool(alive)
	c.Wait(tb, node+" alive="+want, timeout, func() (bool, string) {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		id, seen, err := c.backend(ctx, node)
		if err != nil {
			return false, err.Error()
		}
		return id != "" && strings.EqualFold(seen, want), "it is " + seen
	})
}

// BackendID returns the id of a BE.
func (c *Cluster) BackendID(ctx context.Context, node string) (string, error) {
	id, _, err := c.backend(ctx, node)
	if err == nil && id == "" {
		err = fmt.Errorf("SHOW BACKENDS does not know %s (%s)", node, c.BackendAddr(node))
	}
	return id, err
}

func (c *Cluster) backend(ctx context.Context, node string) (id, alive string, err error) {
	t, err := ReadTable(ctx, c.DB(), "SHOW BACKENDS")
	if err != nil {
		return "", "", err
	}
	ids, ports, states := t.Column("BackendId"), t.Column("BePort"), t.Column("Alive")
	if ids == nil || ports == nil || states == nil {
		return "", "", fmt.Errorf("SHOW BACKENDS lacks columns: %v", t.Columns)
	}
	_, port, _ := strings.Cut(c.BackendAddr(node), ":")
	if i := slices.Index(ports, port); i >= 0 {
		return ids[i], states[i], nil
	}
	return "", "", nil
}

// Digests asks every replica of a table, not of its unique keys, for the digest of its rows at the newest version that the table's replicas have.
func (c *Cluster) Digests(ctx context.Context, table string) ([]Digest, error) {
	name := table[strings.LastIndexByte(table, '.')+1:]
	tablets, err := ReadTable(ctx, c.DB(), "SHOW TABLET FROM "+table+" WHERE IndexName = '"+strings.Trim(name, "`")+"'")
	if err != nil {
		return nil, err
	}
	ids, backends, versions := tablets.Column("TabletId"), tablets.Column("BackendId"), tablets.Column("Version")
	newest := map[string]uint64{}
	for i, id := range ids {
		v, err := strconv.ParseUint(versions[i], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("version of tablet %s: %w", id, err)
		}
		newest[id] = max(newest[id], v)
	}
	peers, err := c.dialBackends(ctx)
	if err != nil {
		return nil, err
	}
	defer peers.close()
	var digests []Digest
	for i, id := range ids {
		d, err := peers.digest(ctx, backends[i], id, newest[id])
		if err != nil {
			return nil, err
		}
		digests = append(digests, d)
	}
	return digests, nil
}

// CheckReplicas fails the test unless every tablet of a table has, within a minute, the wanted number of replicas and all replicas of a
// tablet hold the same rows. It returns the number of rows of the table, counted on the replicas.
func (c *Cluster) CheckReplicas(tb testing.TB, table string, replicas int) int64 {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	byTablet, err := c.digestsByTablet(ctx, table)
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	for (unsettled(err) || err == nil && !(allHave(byTablet, replicas) && oneSchema(byTablet))) && ctx.Err() == nil {
		<-poll.C
		_, _ = ReadTable(ctx, c.DB(), "SELECT COUNT(*) FROM "+table) // a replica hears of another schema when it is read
		if now, nowErr := c.digestsByTablet(ctx, table); ctx.Err() == nil {
			byTablet, err = now, nowErr
		}
	}
	if err != nil {
		tb.Fatalf("digests of %s: %v", table, err)
	}
	if len(byTablet) == 0 {
		tb.Fatalf("%s has no tablets", table)
	}
	var rows int64
	for tablet, of := range byTablet {
		if len(of) != replicas {
			tb.Errorf("tablet %d of %s has %d replicas, want %d", tablet, table, len(of), replicas)
		}
		rows += of[0].Rows
		for _, d := range of[1:] {
			if d.Digest != of[0].Digest || d.Rows != of[0].Rows {
				tb.Errorf("replicas of tablet %d of %s differ at version %d: BE %s has %d rows, digest %016x by schema %d; BE %s has %d rows, digest %016x by schema %d",
					tablet, table, d.Version, of[0].Backend, of[0].Rows, of[0].Digest, of[0].Schema, d.Backend, d.Rows, d.Digest, d.Schema)
			}
		}
	}
	return rows
}

// unsettled reports whether digests failed only because the cluster was at work meanwhile: a replica that a commit did not need hears of it
// later, and one that was moved for balance after it was listed is no longer where it was.
func unsettled(err error) bool {
	return status.Code(err) == codes.FailedPrecondition || status.Code(err) == codes.NotFound
}

// allHave reports whether every tablet has the wanted number of replicas: while one is moved there is one more.
func allHave(byTablet map[uint64][]Digest, replicas int) bool {
	for _, of := range byTablet {
		if len(of) != replicas {
			return false
		}
	}
	return true
}

// oneSchema reports whether the replicas of each tablet have heard of the same schema: digests by others are others.
func oneSchema(byTablet map[uint64][]Digest) bool {
	for _, of := range byTablet {
		for _, d := range of {
			if d.Schema != of[0].Schema {
				return false
			}
		}
	}
	return true
}

func (c *Cluster) digestsByTablet(ctx context.Context, table string) (map[uint64][]Digest, error) {
	digests, err := c.Digests(ctx, table)
	byTablet := map[uint64][]Digest{}
	for _, d := range digests {
		byTablet[d.Tablet] = append(byTablet[d.Tablet], d)
	}
	return byTablet, err
}

// peers are connections to the backends by their ids.
type peers struct {
	clients map[string]bepb.BackendClient
	closers []func() error
}

func (c *Cluster) dialBackends(ctx context.Context) (*peers, error) {
	frontends, err := ReadTable(ctx, c.DB(), "SHOW FRONTENDS")
	if err != nil {
		return nil, err
	}
	ids := frontends.Column("ClusterId")
	if len(ids) == 0 {
		return nil, errors.New("SHOW FRONTENDS tells no ClusterId")
	}
	calls := rpc.DialConfig{Cluster: rpc.NewCluster(types.ClusterID(ids[0]))}
	backends, err := ReadTable(ctx, c.DB(), "SHOW BACKENDS")
	if err != nil {
		return nil, err
	}
	p := &peers{clients: map[string]bepb.BackendClient{}}
	hosts, ports := backends.Column("IP"), backends.Column("BePort")
	for i, id := range backends.Column("BackendId") {
		conn, err := rpc.Dial(hosts[i]+":"+ports[i], calls)
		if err != nil {
			p.close()
			return nil, fmt.Errorf("dial BE %s: %w", id, err)
		}
		p.clients[id] = bepb.NewBackendClient(conn)
		p.closers = append(p.closers, conn.Close)
	}
	return p, nil
}

func (p *peers) close() {
	for _, closer := range p.closers {
		_ = closer() // only reads went over it
	}
}

func (p *peers) digest(ctx context.Context, backend, tablet string, version uint64) (Digest, error) {
	id, err := strconv.ParseUint(tablet, 10, 64)
	if err != nil {
		return Digest{}, fmt.Errorf("tablet id: %w", err)
	}
	client := p.clients[backend]
	if client == nil {
		return Digest{}, fmt.Errorf("tablet %s has a replica on BE %s, which SHOW BACKENDS does not list", tablet, backend)
	}
	answer, err := client.Digest(ctx, &bepb.DigestRequest{TabletId: id, Version: version, Verify: true})
	if err != nil {
		return Digest{}, fmt.Errorf("digest of tablet %s at version %d on BE %s: %w", tablet, version, backend, err)
	}
	return Digest{Tablet: id, Backend: backend, Version: answer.Version, Digest: answer.Digest, Rows: answer.Rows, Schema: answer.SchemaVersion}, nil
}
