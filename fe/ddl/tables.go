// Package ddl makes and unmakes tables: it draws ids, places replicas, has the BEs create them empty, and then makes
// the table known in one catalog command.
//
// Replicas are created before the command: a crash between leaves replicas that no catalog knows, which the BEs drop
// after tablet_report_drop_tablet_delay_sec. Dropping is the command alone; BEs drop what they hold when their next
// report is answered.
package ddl

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/fxamacker/cbor/v2"

	"stele/fe/beclient"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/contain"
	"stele/meta/types"
	"stele/proto/bepb"
)

// Log is the metadata log.
type Log interface {
	Current() *catalog.Catalog
	Propose(ctx context.Context, cmds ...command.Command) ([]catalog.Result, error)
}

// Liveness tells which BEs answer.
type Liveness interface {
	Alive(types.BEID) bool
	// Coming reports whether a BE has given no sign yet, and has not been looked for long enough to say that it is away.
	Coming(types.BEID) bool
	// Returning reports whether a BE was alive a moment ago and is not now: it may just be restarting.
	Returning(types.BEID) bool
	// Stores reports whether a BE has disks, as far as is known.
	Stores(types.BEID) bool
	// Takes reports whether a BE has a disk that takes new replicas, as far as is known.
	Takes(types.BEID) bool
	// Unreached are the BEs that a BE says it does not reach, although the FE does.
	Unreached(types.BEID) []types.BEID
	Address(types.BEID) string
	Probe(types.BEID)
}

// Tables makes and unmakes tables. It is safe for concurrent use.
type Tables struct {
	log     Log
	clients *beclient.Clients
	live    Liveness
	grace   time.Duration
	// patience is how long one statement waits for BEs that may just be restarting.
	patience time.Duration
}

// New returns Tables.
func New(log Log, clients *beclient.Clients, live Liveness) *Tables {
	return &Tables{log: log, clients: clients, live: live, grace: createGrace, patience: returnFor}
}

const (
	// createTimeout bounds the creation of the replicas of one statement on one BE.
	createTimeout = 60 * time.Second
	// createGrace is how long a BE is waited for once there are enough replicas of each tablet without it, beside the time that those have
	// taken: longer than a disk that is well takes for a flush while it is busy, and shorter than clients wait.
	createGrace = 3 * time.Second
	// unmakeTimeout bounds the call that drops what a BE has made in vain; it is one that has answered a moment ago.
	unmakeTimeout = 5 * time.Second
)

// made is a table with the tablets that a statement makes for it.
type made struct {
	table   *catalog.Table
	tablets []catalog.Tablet
}

// Create creates a table whose names and shape are checked; its ids are drawn here, and that of the table is returned. Partitions come without tablets, and
// unique keys without hidden tables.
func (d *Tables) Create(ctx context.Context, table catalog.Table) (types.TableID, Shortage, error) {
	if err := FitsGroup(d.log.Current(), &table); err != nil {
		return 0, Shortage{}, err
	}
	now := time.Now().UnixMilli()
	table.CreatedMs = now
	table.Parts = slices.Clone(table.Parts)
	table.Unique = slices.Clone(table.Unique)
	need := 1 + askAll(&table)
	for _, k := range table.Unique {
		if k.Unique {
			need += 1 + askAll(&table)
		}
	}
	all, short, err := d.make(ctx, need, func(pl *placement, ids *idRange) ([]made, error) {
		table.ID = types.TableID(ids.next())
		table.Schema.TableID = table.ID
		first, err := pl.fill(&table, ids, now)
		if err != nil {
			return nil, err
		}
		out := []made{first}
		for i := range table.Unique {
			if k := &table.Unique[i]; k.Unique {
				k.Index = types.TableID(ids.next())
				index, err := pl.fill(indexTable(&table, k), ids, now)
				if err != nil {
					return nil, err
				}
				out = append(out, index)
			}
		}
		return out, nil
	})
	if err != nil {
		return 0, Shortage{}, err
	}
	cmd := &command.CreateTable{Table: table, Tablets: all[0].tablets, TimeMs: now, Fit: table.Colocate != ""}
	for _, m := range all[1:] {
		cmd.Indexes = append(cmd.Indexes, command.IndexTable{Table: *m.table, Tablets: m.tablets})
	}
	err = d.propose(ctx, cmd)
	var refused *catalog.ErrRefused
	if errors.As(err, &refused) { // another table of its group has come in between: say how it differs
		err = cmp.Or(FitsGroup(d.log.Current(), &table), err)
	}
	return table.ID, short, err
}

// fill gives every partition of a new table its id and its tablets.
func (pl *placement) fill(table *catalog.Table, ids *idRange, now int64) (made, error) {
	m := made{table: table}
	homes := pl.homes(table)
	for i := range table.Parts {
		p := &table.Parts[i]
		p.ID, p.CreatedMs = types.PartitionID(ids.next()), now
		tablets, err := pl.place(table, p, table.Buckets, homes, ids)
		if err != nil {
			return m, err
		}
		if table.Colocate != "" && homes == nil { // the first partition of a new group leads
			for j := range tablets {
				homes = append(homes, votersOf(&tablets[j]))
			}
		}
		m.tablets = append(m.tablets, tablets...)
	}
	return m, nil
}

// askAll returns how many ids the partitions of a new table take, with their tablets and replicas.
func askAll(table *catalog.Table) uint64 {
	need := uint64(0)
	for i := range table.Parts {
		need += 1 + ask(table, &table.Parts[i], table.Buckets)
	}
	return need
}

// ask returns how many ids the tablets and replicas of a partition take.
func ask(table *catalog.Table, p *catalog.Partition, buckets int) uint64 {
	if p.Replicas == 0 {
		p.Replicas = table.Replicas
	}
	return uint64(buckets) * uint64(1+p.Replicas)
}

// make draws ids, places tablets and has their replicas created. A BE that does not make its replicas is left out of the next try, which
// begins anew: what the others have made for this one is dropped. It ends, as each try leaves out one more, but for those that have been
// restarted, which are waited for where they are needed, and not for long.
func (d *Tables) make(ctx context.Context, need uint64, plan func(*placement, *idRange) ([]made, error)) ([]made, Shortage, error) {
	failed := map[types.BEID]failure{}
	d.awaitComing(ctx)
	until := time.Now().Add(d.patience)
	for {
		ids, err := d.draw(ctx, need)
		if err != nil {
			return nil, Shortage{}, err
		}
		pl := d.placement(failed)
		all, err := plan(pl, ids)
		var few *TooFewError
		if errors.As(err, &few) && d.awaitReturn(ctx, until, few, failed) {
			continue
		}
		if err != nil {
			return nil, Shortage{}, cmp.Or(ctx.Err(), err)
		}
		c, err := d.createReplicas(ctx, all, pl.needs)
		if err == nil {
			return all, pl.short, nil
		}
		d.unmake(ctx, c)
		failures := c.failures
		if len(failures) == 0 || ctx.Err() != nil {
			return nil, Shortage{}, err
		}
		for be, f := range failures {
			f.startMs = d.startOf(be)
			failed[be] = f
			d.live.Probe(be)
		}
	}
}

// AddPartition adds a partition without tablets to a table, and to the hidden tables of its unique keys.
func (d *Tables) AddPartition(ctx context.Context, table *catalog.Table, part catalog.Partition) (Shortage, error) {
	now := time.Now().UnixMilli()
	part.CreatedMs = now
	owners, err := d.withIndexes(table)
	if err != nil {
		return Shortage{}, err
	}
	need := uint64(len(owners)) * (1 + ask(table, &part, table.Buckets))
	cmd := &command.AddPartition{Table: table.ID, TimeMs: now}
	all, short, err := d.make(ctx, need, func(pl *placement, ids *idRange) ([]made, error) {
		cmd.Indexes = nil
		var out []made
		for i, t := range owners {
			p := part
			p.ID = types.PartitionID(ids.next())
			tablets, err := pl.place(t, &p, t.Buckets, pl.homes(t), ids)
			if err != nil {
				return nil, err
			}
			if i == 0 {
				cmd.Partition = p
			} else {
				cmd.Indexes = append(cmd.Indexes, command.IndexPartition{Table: t.ID, Partition: p})
			}
			out = append(out, made{t, tablets})
		}
		return out, nil
	})
	if err != nil {
		return Shortage{}, err
	}
	cmd.Tablets = all[0].tablets
	for i := range cmd.Indexes {
		cmd.Indexes[i].Tablets = all[i+1].tablets
	}
	return short, d.propose(ctx, cmd)
}

// withIndexes returns a table followed by the hidden tables of its unique keys.
func (d *Tables) withIndexes(table *catalog.Table) ([]*catalog.Table, error) {
	out := []*catalog.Table{table}
	cat := d.log.Current()
	for _, k := range table.Unique {
		if !k.Enforced() {
			continue
		}
		index, ok := cat.TableByID(k.Index)
		if !ok || len(index.Parts) != len(table.Parts) {
			return nil, &catalog.ErrSchemaChanged{Table: table.ID, Given: table.Schema.Version}
		}
		out = append(out, index)
	}
	return out, nil
}

// Truncate puts new empty tablets in the place of those of some partitions, in the table and its hidden tables; unreferenced has it refused
// when foreign keys of other tables refer to the table.
func (d *Tables) Truncate(ctx context.Context, table *catalog.Table, parts []types.PartitionID, unreferenced bool) (Shortage, error) {
	owners, err := d.withIndexes(table)
	if err != nil {
		return Shortage{}, err
	}
	var chosen []int
	need := uint64(0)
	for i := range table.Parts {
		if p := table.Parts[i]; slices.Contains(parts, p.ID) {
			chosen = append(chosen, i)
			need += uint64(len(owners)) * ask(table, &p, len(p.Tablets))
		}
	}
	if len(chosen) == 0 {
		return Shortage{}, nil
	}
	cmds := make([]command.TruncateIndex, len(owners))
	all, short, err := d.make(ctx, need, func(pl *placement, ids *idRange) ([]made, error) {
		var out []made
		for i, t := range owners {
			m, tp, err := pl.renew(t, chosen, ids)
			if err != nil {
				return nil, err
			}
			cmds[i] = command.TruncateIndex{Table: t.ID, Parts: tp}
			out = append(out, m)
		}
		return out, nil
	})
	if err != nil {
		return Shortage{}, err
	}
	for i := range cmds {
		cmds[i].Tablets = all[i].tablets
	}
	return short, d.propose(ctx, &command.TruncateTable{ID: table.ID, Parts: cmds[0].Parts, Tablets: cmds[0].Tablets, Indexes: cmds[1:],
		TimeMs: time.Now().UnixMilli(), Unreferenced: unreferenced})
}

// renew places new tablets for some partitions of a table.
func (pl *placement) renew(t *catalog.Table, parts []int, ids *idRange) (made, []command.TruncatePartition, error) {
	m := made{table: t}
	var out []command.TruncatePartition
	for _, i := range parts {
		p := t.Parts[i]
		ask(t, &p, 0)
		tablets, err := pl.place(t, &p, len(p.Tablets), pl.homes(t), ids)
		if err != nil {
			return m, nil, err
		}
		out = append(out, command.TruncatePartition{Partition: p.ID, Tablets: p.Tablets})
		m.tablets = append(m.tablets, tablets...)
	}
	return m, out, nil
}

func (d *Tables) propose(ctx context.Context, cmd command.Command) error {
	out, err := d.log.Propose(ctx, cmd)
	if err != nil {
		return err
	}
	return out[0].Err
}

// idRange hands out ids that were drawn together.
type idRange struct{ at uint64 }

func (r *idRange) next() uint64 {
	id := r.at
	r.at++
	return id
}

func (d *Tables) draw(ctx context.Context, n uint64) (*idRange, error) {
	out, err := d.log.Propose(ctx, &command.AllocIDs{Counter: command.CounterIDs, N: n})
	if err == nil {
		err = out[0].Err
	}
	if err != nil {
		return nil, fmt.Errorf("draw ids: %w", err)
	}
	r, ok := out[0].Value.(catalog.AllocResult)
	if !ok {
		return nil, fmt.Errorf("BUG: AllocIDs answered %T", out[0].Value)
	}
	return &idRange{at: r.First}, nil
}

// creation is what one BE is to create of one table.
type creation struct {
	be       types.BEID
	req      *bepb.CreateReplicasRequest
	replicas []*catalog.Replica
}

// creations sorts the replicas of new tablets by BE.
func creations(all []made) ([]*creation, error) {
	var out []*creation
	type target struct {
		be     types.BEID
		medium types.Medium
	}
	for _, m := range all {
		schema, err := cbor.Marshal(&m.table.Schema)
		if err != nil {
			return nil, fmt.Errorf("encode schema: %w", err)
		}
		media := map[types.PartitionID]types.Medium{}
		for i := range m.table.Parts {
			media[m.table.Parts[i].ID] = m.table.MediumOf(&m.table.Parts[i])
		}
		on := map[target]*creation{}
		for i := range m.tablets {
			t := &m.tablets[i]
			for j := range t.Replicas {
				r := &t.Replicas[j]
				to := target{r.BE, m.table.Medium}
				if own, ok := media[t.Partition]; ok {
					to.medium = own
				}
				c := on[to]
				if c == nil {
					c = &creation{be: r.BE, req: &bepb.CreateReplicasRequest{Schema: schema, Medium: uint32(to.medium)}}
					on[to] = c
					out = append(out, c)
				}
				c.req.Items = append(c.req.Items, &bepb.CreateReplicasRequest_Item{TabletId: uint64(t.ID), TableId: uint64(t.Table),
					PartitionId: uint64(t.Partition), ReplicaId: uint64(r.ID), Epoch: uint64(t.Epoch)})
				c.replicas = append(c.replicas, r)
			}
		}
	}
	return out, nil
}

// creating is one try to have all replicas of some new tablets created.
type creating struct {
	list []*creation

	mu       sync.Mutex
	lacks    map[types.TabletID]int // how many more of its replicas each tablet needs
	short    int                    // tablets that need more
	made     []*creation
	errs     []error
	failures map[types.BEID]failure // BEs that have not made theirs, and why: all but those that said the request is at fault, as any would
	enough   chan struct{}          // closed when no tablet needs more
}

// createReplicas has every BE create its replicas, and notes the disks that they chose. A BE that is still silent some time after the others have
// made what is needed (by tablet) has failed.
func (d *Tables) createReplicas(ctx context.Context, all []made, needs map[types.TabletID]int) (*creating, error) {
	c := &creating{lacks: maps.Clone(needs), short: len(needs), failures: map[types.BEID]failure{}, enough: make(chan struct{})}
	var err error
	if c.list, err = creations(all); err != nil {
		return c, err
	}
	begun := time.Now()
	ctx, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	var wg sync.WaitGroup
	for _, one := range c.list {
		wg.Go(func() {
			c.took(one, contain.Call(func() error { return d.createOn(ctx, one.be, one.req, one.replicas) }))
		})
	}
	ended := make(chan struct{})
	go func() { wg.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-c.enough:
		late := time.AfterFunc(d.grace+time.Since(begun), cancel)
		<-ended
		late.Stop()
	}
	return c, errors.Join(c.errs...)
}

// took takes in what came of one call.
func (c *creating) took(one *creation, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.errs = append(c.errs, err)
		if !beclient.AtFault(err) {
			c.failures[one.be] = failureOf(err)
		}
		return
	}
	c.made = append(c.made, one)
	before := c.short
	for _, it := range one.req.Items {
		id := types.TabletID(it.TabletId)
		if c.lacks[id]--; c.lacks[id] == 0 {
			c.short--
		}
	}
	if before > 0 && c.short == 0 {
		close(c.enough)
	}
}

// unmake drops what BEs have made in a try that has failed: no catalog will ever know of it. What cannot be dropped now is dropped when it has
// been reported for a while.
func (d *Tables) unmake(ctx context.Context, c *creating) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), unmakeTimeout)
	defer cancel()
	var wg sync.WaitGroup
	for _, one := range c.made {
		req := &bepb.DropReplicasRequest{}
		for _, it := range one.req.Items {
			req.Items = append(req.Items, &bepb.DropReplicasRequest_Item{TabletId: it.TabletId, ReplicaId: it.ReplicaId})
		}
		wg.Go(func() {
			if client, err := d.clients.BE(d.live.Address(one.be)); err == nil {
				_, _ = client.DropReplicas(ctx, req)
			}
		})
	}
	wg.Wait()
}

// failureOf tells from the error of the call why a BE has not made its replicas.
func failureOf(err error) failure {
	switch {
	case beclient.NoRoom(err):
		return failure{why: "has no disk that takes new replicas"}
	case beclient.Silent(err), beclient.Canceled(err):
		return failure{why: "did not make its replicas in time"}
	case beclient.Unreachable(err):
		return failure{why: "does not answer", ended: true}
	}
	return failure{why: "could not make its replicas: " + beclient.Reason(err)}
}

func (d *Tables) createOn(ctx context.Context, be types.BEID, req *bepb.CreateReplicasRequest, replicas []*catalog.Replica) error {
	client, err := d.clients.BE(d.live.Address(be))
	if err != nil {
		return err
	}
	resp, err := client.CreateReplicas(ctx, req)
	if err != nil {
		return fmt.Errorf("create %d replicas on be %d: %w", len(req.Items), be, err)
	}
	if len(resp.DiskIds) != len(replicas) {
		return fmt.Errorf("BUG: be %d answered %d disks for %d replicas", be, len(resp.DiskIds), len(replicas))
	}
	for i, r := range replicas {
		r.Disk = types.DiskID(resp.DiskIds[i])
	}
	return nil
}
