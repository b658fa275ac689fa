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
	return fmt.Sprintf("Table replication num should be less than or equal to the number of available BE nodes. "+
		"You can change this default by setting the replication_num table properties. Current alive backend is %v, %d replicas were asked for", e.Alive, e.Want)
}

// Create creates a table whose names and shape are checked; its ids are drawn here. Partitions come without tablets.
func (d *Tables) Create(ctx context.Context, table catalog.Table) error {
	cat := d.log.Current()
	need := uint64(1)
	for i := range table.Parts {
		need += 1 + uint64(table.Buckets)*uint64(1+table.Parts[i].Replicas)
	}
	ids, err := d.draw(ctx, need)
	if err != nil {
		return err
	}
	table.ID = types.TableID(ids.next())
	table.Schema.TableID = table.ID
	now := time.Now().UnixMilli()
	table.CreatedMs = now
	var tablets []catalog.Tablet
	for i := range table.Parts {
		p := &table.Parts[i]
		p.ID, p.CreatedMs = types.PartitionID(ids.next()), now
		made, err := d.place(cat, &table, p, ids)
		if err != nil {
			return err
		}
		tablets = append(tablets, made...)
	}
	if err := d.createReplicas(ctx, &table, tablets); err != nil {
		return err
	}
	return d.propose(ctx, &command.CreateTable{Table: table, Tablets: tablets, TimeMs: now})
}

// AddPartition adds a partition without tablets to a table.
func (d *Tables) AddPartition(ctx context.Context, table *catalog.Table, part catalog.Partition) error {
	ids, err := d.draw(ctx, 1+uint64(table.Buckets)*uint64(1+part.Replicas))
	if err != nil {
		return err
	}
	now := time.Now().UnixMilli()
	part.ID, part.CreatedMs = types.PartitionID(ids.next()), now
	tablets, err := d.place(d.log.Current(), table, &part, ids)
	if err != nil {
		return err
	}
	if err := d.createReplicas(ctx, table, tablets); err != nil {
		return err
	}
	return d.propose(ctx, &command.AddPartition{Table: table.ID, Partition: part, Tablets: tablets, TimeMs: now})
}

// Truncate puts new empty tablets in the place of those of some partitions.
func (d *Tables) Truncate(ctx context.Context, table *catalog.Table, parts []types.PartitionID) error {
	cmd := &command.TruncateTable{ID: table.ID, TimeMs: time.Now().UnixMilli()}
	for i := range table.Parts {
		p := table.Parts[i]
		if !slices.Contains(parts, p.ID) {
			continue
		}
		ids, err := d.draw(ctx, uint64(len(p.Tablets))*uint64(1+p.Replicas))
		if err != nil {
			return err
		}
		buckets := *table
		buckets.Buckets = len(p.Tablets)
		made, err := d.place(d.log.Current(), &buckets, &p, ids)
		if err != nil {
			return err
		}
		cmd.Parts = append(cmd.Parts, command.TruncatePartition{Partition: p.ID, Tablets: p.Tablets})
		cmd.Tablets = append(cmd.Tablets, made...)
	}
	if err := d.createReplicas(ctx, table, cmd.Tablets); err != nil {
		return err
	}
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

// place makes the tablets of a partition: replicas go to the BEs with the fewest, leaders are spread evenly.
func (d *Tables) place(cat *catalog.Catalog, table *catalog.Table, p *catalog.Partition, ids *idRange) ([]catalog.Tablet, error) {
	load := d.loads(cat)
	if len(load) < p.Replicas {
		alive := make([]types.BEID, len(load))
		for i, l := range load {
			alive[i] = l.be
		}
		return nil, &TooFewError{Want: p.Replicas, Alive: alive}
	}
	tablets := make([]catalog.Tablet, table.Buckets)
	p.Tablets = make([]types.TabletID, table.Buckets)
	for b := range tablets {
		slices.SortStableFunc(load, func(x, y *beLoad) int { return x.replicas - y.replicas })
		chosen := slices.Clone(load[:p.Replicas])
		t := catalog.Tablet{ID: types.TabletID(ids.next()), Table: table.ID, Partition: p.ID, Bucket: int32(b),
			Version: types.InitialVersion, Epoch: 1}
		leader := slices.MinFunc(chosen, func(x, y *beLoad) int { return x.leaders - y.leaders })
		leader.leaders++
		t.Leader = leader.be
		for _, l := range chosen {
			l.replicas++
			t.Replicas = append(t.Replicas, catalog.Replica{ID: types.ReplicaID(ids.next()), BE: l.be, Version: types.InitialVersion,
				LastSuccess: types.InitialVersion, Settled: types.InitialVersion})
		}
		tablets[b], p.Tablets[b] = t, t.ID
	}
	return tablets, nil
}

// beLoad counts what a BE has.
type beLoad struct {
	be       types.BEID
	replicas int
	leaders  int
}

// loads counts replicas and leaders of the BEs that may get new replicas, by id.
func (d *Tables) loads(cat *catalog.Catalog) []*beLoad {
	var out []*beLoad
	for be := range cat.BEs() {
		if be.Decommission || !d.live.Alive(be.ID) {
			continue
		}
		l := &beLoad{be: be.ID}
		for t := range cat.TabletsOn(be.ID) {
			l.replicas++
			if t.Leader == be.ID {
				l.leaders++
			}
		}
		out = append(out, l)
	}
	return out
}

// createReplicas has every BE create its replicas, and notes the disks that they chose.
func (d *Tables) createReplicas(ctx context.Context, table *catalog.Table, tablets []catalog.Tablet) error {
	schema, err := cbor.Marshal(&table.Schema)
	if err != nil {
		return fmt.Errorf("encode schema: %w", err)
	}
	requests := map[types.BEID]*bepb.CreateReplicasRequest{}
	replicas := map[types.BEID][]*catalog.Replica{}
	for i := range tablets {
		t := &tablets[i]
		for j := range t.Replicas {
			r := &t.Replicas[j]
			if requests[r.BE] == nil {
				requests[r.BE] = &bepb.CreateReplicasRequest{Schema: schema, Medium: uint32(table.Medium)}
			}
			requests[r.BE].Items = append(requests[r.BE].Items, &bepb.CreateReplicasRequest_Item{TabletId: uint64(t.ID), TableId: uint64(t.Table),
				PartitionId: uint64(t.Partition), ReplicaId: uint64(r.ID), Epoch: uint64(t.Epoch)})
			replicas[r.BE] = append(replicas[r.BE], r)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		errs []error
	)
	for be, req := range requests {
		wg.Go(func() {
			if err := d.createOn(ctx, be, req, replicas[be]); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
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
