// Package ddl makes and unmakes tables: it draws ids, places replicas, has the BEs create them empty, and then makes
// the table known in one catalog command.
//
// Replicas are created before the command: a crash between leaves replicas that no catalog knows, which the BEs drop
// after tablet_report_drop_tablet_delay_sec. Dropping is the command alone; BEs drop what they hold when their next
// report is answered.
package ddl

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/fxamacker/cbor/v2"

	"stele/fe/beclient"
	"stele/meta/catalog"
	"stele/meta/command"
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
	Address(types.BEID) string
	Probe(types.BEID)
}

// Tables makes and unmakes tables. It is safe for concurrent use.
type Tables struct {
	log     Log
	clients *beclient.Clients
	live    Liveness
}

// New returns Tables.
func New(log Log, clients *beclient.Clients, live Liveness) *Tables {
	return &Tables{log: log, clients: clients, live: live}
}

// createTimeout bounds the creation of the replicas of one statement on one BE.
const createTimeout = 60 * time.Second

// TooFewError says that there are not enough BEs for a replication_num.
type TooFewError struct {
	Want  int
	Alive []types.BEID
}

func (e *TooFewError) Error() string {
	return fmt.Sprintf("Table replication num should be less than of equal to the number of available BE nodes. "+
		"You can change this default by setting the replication_num table properties. Current alive backend is %v, %d replicas were asked for", e.Alive, e.Want)
}

// Create creates a table whose names and shape are checked; its ids are drawn here. Partitions come without tablets.
func (d *Tables) Create(ctx context.Context, table catalog.Table) error {
	now := time.Now().UnixMilli()
	table.CreatedMs = now
	table.Parts = slices.Clone(table.Parts)
	need := uint64(1)
	for i := range table.Parts {
		need += 1 + ask(&table, &table.Parts[i], table.Buckets)
	}
	tablets, err := d.make(ctx, need, func(pl *placement, ids *idRange) (*catalog.Table, []catalog.Tablet, error) {
		table.ID = types.TableID(ids.next())
		table.Schema.TableID = table.ID
		var tablets []catalog.Tablet
		for i := range table.Parts {
			p := &table.Parts[i]
			p.ID, p.CreatedMs = types.PartitionID(ids.next()), now
			made, err := pl.place(table.ID, p, table.Buckets, ids)
			if err != nil {
				return nil, nil, err
			}
			tablets = append(tablets, made...)
		}
		return &table, tablets, nil
	})
	if err != nil {
		return err
	}
	return d.propose(ctx, &command.CreateTable{Table: table, Tablets: tablets, TimeMs: now})
}

// ask returns how many ids the tablets and replicas of a partition take.
func ask(table *catalog.Table, p *catalog.Partition, buckets int) uint64 {
	if p.Replicas == 0 {
		p.Replicas = table.Replicas
	}
	return uint64(buckets) * uint64(1+p.Replicas)
}

// createTries is how often BEs are chosen anew when one that seemed alive does not answer.
const createTries = 3

// make draws ids, places tablets and has their replicas created. A BE that cannot be reached is left out of the next
// try; what other BEs have made for it is dropped as unknown to the catalog.
func (d *Tables) make(ctx context.Context, need uint64, plan func(*placement, *idRange) (*catalog.Table, []catalog.Tablet, error)) ([]catalog.Tablet, error) {
	avoid := map[types.BEID]bool{}
	for try := 1; ; try++ {
		ids, err := d.draw(ctx, need)
		if err != nil {
			return nil, err
		}
		table, tablets, err := plan(d.placement(avoid), ids)
		if err != nil {
			return nil, err
		}
		down, err := d.createReplicas(ctx, table, tablets)
		if err == nil {
			return tablets, nil
		}
		if len(down) == 0 || try == createTries || ctx.Err() != nil {
			return nil, err
		}
		for _, be := range down {
			avoid[be] = true
			d.live.Probe(be)
		}
	}
}

// AddPartition adds a partition without tablets to a table.
func (d *Tables) AddPartition(ctx context.Context, table *catalog.Table, part catalog.Partition) error {
	now := time.Now().UnixMilli()
	part.CreatedMs = now
	need := 1 + ask(table, &part, table.Buckets)
	tablets, err := d.make(ctx, need, func(pl *placement, ids *idRange) (*catalog.Table, []catalog.Tablet, error) {
		part.ID = types.PartitionID(ids.next())
		made, err := pl.place(table.ID, &part, table.Buckets, ids)
		return table, made, err
	})
	if err != nil {
		return err
	}
	return d.propose(ctx, &command.AddPartition{Table: table.ID, Partition: part, Tablets: tablets, TimeMs: now})
}

// Truncate puts new empty tablets in the place of those of some partitions.
func (d *Tables) Truncate(ctx context.Context, table *catalog.Table, parts []types.PartitionID) error {
	cmd := &command.TruncateTable{ID: table.ID, TimeMs: time.Now().UnixMilli()}
	var renewed []catalog.Partition
	need := uint64(0)
	for i := range table.Parts {
		if p := table.Parts[i]; slices.Contains(parts, p.ID) {
			need += ask(table, &p, len(p.Tablets))
			renewed = append(renewed, p)
		}
	}
	if len(renewed) == 0 {
		return nil
	}
	tablets, err := d.make(ctx, need, func(pl *placement, ids *idRange) (*catalog.Table, []catalog.Tablet, error) {
		cmd.Parts = nil
		var all []catalog.Tablet
		for _, p := range renewed {
			made, err := pl.place(table.ID, &p, len(p.Tablets), ids)
			if err != nil {
				return nil, nil, err
			}
			cmd.Parts = append(cmd.Parts, command.TruncatePartition{Partition: p.ID, Tablets: p.Tablets})
			all = append(all, made...)
		}
		return table, all, nil
	})
	if err != nil {
		return err
	}
	cmd.Tablets = tablets
	return d.propose(ctx, cmd)
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

// createReplicas has every BE create its replicas, and notes the disks that they chose. down are the BEs that did not
// answer.
func (d *Tables) createReplicas(ctx context.Context, table *catalog.Table, tablets []catalog.Tablet) (down []types.BEID, err error) {
	schema, err := cbor.Marshal(&table.Schema)
	if err != nil {
		return nil, fmt.Errorf("encode schema: %w", err)
	}
	type target struct {
		be     types.BEID
		medium types.Medium
	}
	media := map[types.PartitionID]types.Medium{}
	for i := range table.Parts {
		media[table.Parts[i].ID] = table.MediumOf(&table.Parts[i])
	}
	requests := map[target]*bepb.CreateReplicasRequest{}
	replicas := map[target][]*catalog.Replica{}
	for i := range tablets {
		t := &tablets[i]
		for j := range t.Replicas {
			r := &t.Replicas[j]
			to := target{r.BE, table.Medium}
			if m, ok := media[t.Partition]; ok {
				to.medium = m
			}
			if requests[to] == nil {
				requests[to] = &bepb.CreateReplicasRequest{Schema: schema, Medium: uint32(to.medium)}
			}
			requests[to].Items = append(requests[to].Items, &bepb.CreateReplicasRequest_Item{TabletId: uint64(t.ID), TableId: uint64(t.Table),
				PartitionId: uint64(t.Partition), ReplicaId: uint64(r.ID), Epoch: uint64(t.Epoch)})
			replicas[to] = append(replicas[to], r)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		errs []error
	)
	for to, req := range requests {
		wg.Go(func() {
			if err := d.createOn(ctx, to.be, req, replicas[to]); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
				if beclient.Unreachable(err) || beclient.NoRoom(err) {
					down = append(down, to.be)
				}
			}
		})
	}
	wg.Wait()
	return down, errors.Join(errs...)
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
