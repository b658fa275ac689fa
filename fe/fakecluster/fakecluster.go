// Package fakecluster is a cluster for the tests of an FE's parts: a catalog in memory behind the interface of the
// metadata log, and BEs that speak gRPC on localhost and do what the test says. It is imported by tests only.
package fakecluster

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"stele/fe/beclient"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/rpc"
	"stele/meta/types"
	"stele/proto/bepb"
)

// What a BE answers when it cannot serve.
var (
	Unavailable = status.Error(codes.Unavailable, "the be is gone")
	Behind      = status.Error(codes.FailedPrecondition, "the version is not there yet")
	Gone        = status.Error(codes.OutOfRange, "the version is no longer kept")
	Corrupt     = status.Error(codes.DataLoss, "the replica is damaged")
	NoReplica   = status.Error(codes.NotFound, "no such replica")
	BadQuery    = status.Error(codes.InvalidArgument, "the query is at fault")
	Broken      = status.Error(codes.Internal, "input/output error")
	DiskFull    = status.Error(codes.ResourceExhausted, "the disk is full")
	Ended       = status.Error(codes.Unavailable, "the process has ended")
)

// IsBadQuery reports whether err came from BadQuery.
func IsBadQuery(err error) bool { return status.Code(err) == codes.InvalidArgument }

// ClusterID is the id that all calls carry.
const ClusterID = types.ClusterID("test")

// Log applies commands to a catalog in memory.
type Log struct {
	mu      sync.Mutex
	cat     *catalog.Catalog
	changed chan struct{} // closed at the next change, nil = nobody waits
	// Before may refuse a proposal, as if it had never come into the log.
	Before func(cmds []command.Command) error
	// After may lose the answer of a proposal that was applied.
	After func(cmds []command.Command) error
	// NotLeading makes ReadIndex fail with this error.
	NotLeading error
	// Expected is the sum of what Expect was told.
	Expected atomic.Int64
}

// Empty returns the log of a cluster that is yet to be made by InitCluster.
func Empty() *Log { return &Log{cat: catalog.New()} }

// Current returns the catalog.
func (l *Log) Current() *catalog.Catalog {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cat
}

// Changed returns a channel that is closed when something is applied.
func (l *Log) Changed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.changed == nil {
		l.changed = make(chan struct{})
	}
	return l.changed
}

// Propose applies commands.
func (l *Log) Propose(ctx context.Context, cmds ...command.Command) ([]catalog.Result, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.Before != nil {
		if err := l.Before(cmds); err != nil {
			return nil, err
		}
	}
	out := make([]catalog.Result, len(cmds))
	for i, c := range cmds {
		l.cat, out[i].Value, out[i].Err = catalog.Apply(l.cat, c)
	}
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
	if l.After != nil {
		if err := l.After(cmds); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Expect counts the statements that are about to propose.
func (l *Log) Expect(n int) { l.Expected.Add(int64(n)) }

// ReadIndex returns at once: there is one copy.
func (l *Log) ReadIndex(ctx context.Context) (uint64, error) { return 0, l.NotLeading }

// Eventually waits until something holds that other goroutines bring about.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never: " + what)
		}
	}
}

// Must applies one command and returns its result.
func (l *Log) Must(t testing.TB, cmd command.Command) any {
	t.Helper()
	out, err := l.Propose(context.Background(), cmd)
	if err == nil {
		err = out[0].Err
	}
	if err != nil {
		t.Fatalf("%T: %v", cmd, err)
	}
	return out[0].Value
}

// BE is a fake backend. A nil func answers as a healthy BE would.
type BE struct {
	bepb.UnimplementedBackendServer
	ID      types.BEID
	Addr    string
	server  *grpc.Server
	cluster *Cluster

	mu        sync.Mutex
	Published []*bepb.PublishRequest_Item
	Aborted   []uint64
	Writes    []*bepb.WriteRequest
	Created   []*bepb.CreateReplicasRequest
	Settled   []*bepb.SettleRequest
	Dropped   []*bepb.DropReplicasRequest_Item

	OnWrite     func(ctx context.Context, req *bepb.WriteRequest) (*bepb.WriteResponse, error)
	OnModify    func(ctx context.Context, req *bepb.ModifyRequest) (*bepb.ModifyResponse, error)
	OnRows      func(ctx context.Context, req *bepb.ModifyRowsRequest) (*bepb.ModifyRowsResponse, error)
	OnPublish   func(ctx context.Context, req *bepb.PublishRequest) (*bepb.PublishResponse, error)
	OnFetch     func(req *bepb.ScanRequest) (*bepb.GetResponse, error) // nil = it is of a release before
	OnGet       func(req *bepb.GetRequest) (*bepb.GetResponse, error)  // the same
	OnScan      func(req *bepb.ScanRequest, stream bepb.Backend_ScanServer) error
	OnQuery     func(req *bepb.QueryRequest, stream bepb.Backend_QueryServer) error
	OnHeartbeat func(ctx context.Context, req *bepb.HeartbeatRequest) (*bepb.HeartbeatResponse, error)
	OnCreate    func(req *bepb.CreateReplicasRequest) (*bepb.CreateReplicasResponse, error)
	OnHarden    func(req *bepb.HardenRequest) (*bepb.HardenResponse, error)
	OnRedo      func(req *bepb.RedoRequest) (*bepb.RedoResponse, error)
}

// Set changes what the BE does.
func (b *BE) Set(f func(*BE)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f(b)
}

// Stop ends the BE as a kill would.
func (b *BE) Stop() { b.server.Stop() }

// Seen runs f while nothing changes.
func (b *BE) Seen(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
}

// Write counts every row as inserted on all replicas.
func (b *BE) Write(ctx context.Context, req *bepb.WriteRequest) (*bepb.WriteResponse, error) {
	b.mu.Lock()
	b.Writes = append(b.Writes, req)
	b.Published = append(b.Published, req.Published...)
	f := b.OnWrite
	b.mu.Unlock()
	if f != nil {
		return f(ctx, req)
	}
	return Wrote(req), nil
}

// Modify does not know the call unless it is told what to do.
func (b *BE) Modify(ctx context.Context, req *bepb.ModifyRequest) (*bepb.ModifyResponse, error) {
	b.mu.Lock()
	f := b.OnModify
	b.mu.Unlock()
	if f != nil {
		return f(ctx, req)
	}
	return b.UnimplementedBackendServer.Modify(ctx, req)
}

// ModifyRows does not know the call unless it is told what to do.
func (b *BE) ModifyRows(ctx context.Context, req *bepb.ModifyRowsRequest) (*bepb.ModifyRowsResponse, error) {
	b.mu.Lock()
	f := b.OnRows
	b.mu.Unlock()
	if f != nil {
		return f(ctx, req)
	}
	return b.UnimplementedBackendServer.ModifyRows(ctx, req)
}

// Wrote is the answer of a healthy leader whose other replicas are healthy too.
func Wrote(req *bepb.WriteRequest) *bepb.WriteResponse {
	resp := &bepb.WriteResponse{Published: 1 + uint32(len(req.Published))}
	for _, p := range req.Parts {
		ok := []uint64{p.ReplicaId}
		for _, o := range p.Others {
			ok = append(ok, o.ReplicaId)
		}
		resp.Parts = append(resp.Parts, &bepb.WriteResponse_Part{TabletId: p.TabletId, OkReplicas: ok, Inserted: 1})
	}
	return resp
}

// Publish serves every version.
func (b *BE) Publish(ctx context.Context, req *bepb.PublishRequest) (*bepb.PublishResponse, error) {
	b.mu.Lock()
	b.Published = append(b.Published, req.Items...)
	f := b.OnPublish
	b.mu.Unlock()
	if f != nil {
		return f(ctx, req)
	}
	resp := &bepb.PublishResponse{}
	for _, it := range req.Items {
		resp.Versions = append(resp.Versions, it.Version)
	}
	return resp, nil
}

// Abort notes the transaction.
func (b *BE) Abort(_ context.Context, req *bepb.AbortRequest) (*bepb.AbortResponse, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.Aborted = append(b.Aborted, req.TxnId)
	return &bepb.AbortResponse{}, nil
}

// Scan sends nothing.
func (b *BE) Scan(req *bepb.ScanRequest, stream bepb.Backend_ScanServer) error {
	b.mu.Lock()
	f := b.OnScan
	b.mu.Unlock()
	if f != nil {
		return f(req, stream)
	}
	return nil
}

// Fetch is not there unless it is set.
func (b *BE) Fetch(ctx context.Context, req *bepb.ScanRequest) (*bepb.GetResponse, error) {
	b.mu.Lock()
	f := b.OnFetch
	b.mu.Unlock()
	if f != nil {
		return f(req)
	}
	return b.UnimplementedBackendServer.Fetch(ctx, req)
}

// Get is not there unless it is set.
func (b *BE) Get(ctx context.Context, req *bepb.GetRequest) (*bepb.GetResponse, error) {
	b.mu.Lock()
	f := b.OnGet
	b.mu.Unlock()
	if f != nil {
		return f(req)
	}
	return b.UnimplementedBackendServer.Get(ctx, req)
}

// Query sends nothing.
func (b *BE) Query(req *bepb.QueryRequest, stream bepb.Backend_QueryServer) error {
	b.mu.Lock()
	f := b.OnQuery
	b.mu.Unlock()
	if f != nil {
		return f(req, stream)
	}
	return nil
}

// Heartbeat answers that the BE is well.
func (b *BE) Heartbeat(ctx context.Context, req *bepb.HeartbeatRequest) (*bepb.HeartbeatResponse, error) {
	b.mu.Lock()
	f := b.OnHeartbeat
	b.mu.Unlock()
	if f != nil {
		return f(ctx, req)
	}
	return &bepb.HeartbeatResponse{BeId: req.BeId, StartTimeMs: 1, Disks: []*bepb.Disk{{DiskId: uint64(b.ID) + 1000}}}, nil
}

// CreateReplicas puts all on one disk.
func (b *BE) CreateReplicas(_ context.Context, req *bepb.CreateReplicasRequest) (*bepb.CreateReplicasResponse, error) {
	b.mu.Lock()
	b.Created = append(b.Created, req)
	f := b.OnCreate
	b.mu.Unlock()
	if f != nil {
		return f(req)
	}
	resp := &bepb.CreateReplicasResponse{}
	for range req.Items {
		resp.DiskIds = append(resp.DiskIds, uint64(b.ID)+1000)
	}
	return resp, nil
}

// Harden does not know the call unless it is told what to do.
func (b *BE) Harden(ctx context.Context, req *bepb.HardenRequest) (*bepb.HardenResponse, error) {
	b.mu.Lock()
	f := b.OnHarden
	b.mu.Unlock()
	if f != nil {
		return f(req)
	}
	return b.UnimplementedBackendServer.Harden(ctx, req)
}

// Redo does not know the call unless it is told what to do.
func (b *BE) Redo(ctx context.Context, req *bepb.RedoRequest) (*bepb.RedoResponse, error) {
	b.mu.Lock()
	f := b.OnRedo
	b.mu.Unlock()
	if f != nil {
		return f(req)
	}
	return b.UnimplementedBackendServer.Redo(ctx, req)
}

// Settle notes the request.
func (b *BE) Settle(_ context.Context, req *bepb.SettleRequest) (*bepb.SettleResponse, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.Settled = append(b.Settled, req)
	return &bepb.SettleResponse{Version: req.Version}, nil
}

// DropReplicas notes what is dropped.
func (b *BE) DropReplicas(_ context.Context, req *bepb.DropReplicasRequest) (*bepb.DropReplicasResponse, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.Dropped = append(b.Dropped, req.Items...)
	return &bepb.DropReplicasResponse{}, nil
}

// Cluster is the catalog, the BEs and who of them is alive.
type Cluster struct {
	Log     *Log
	BEs     []*BE
	Clients *beclient.Clients
	Logger  *slog.Logger
	Table   types.TableID
	Tablets []types.TabletID

	mu        sync.Mutex
	dead      map[types.BEID]bool
	coming    map[types.BEID]func() bool
	returning map[types.BEID]func() bool
	full      map[types.BEID]bool
	unreached map[types.BEID][]types.BEID
	probes    map[types.BEID]int
}

// New returns a cluster of n BEs and a table t(id BIGINT PRIMARY KEY, v BIGINT) of some tablets, each with a replica on
// every BE and led by the first.
func New(t testing.TB, n, tablets int, quorum types.WriteQuorum) *Cluster {
	t.Helper()
	c := &Cluster{Log: Empty(), Clients: beclient.New(rpc.NewCluster(ClusterID)), Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		dead: map[types.BEID]bool{}, coming: map[types.BEID]func() bool{}, returning: map[types.BEID]func() bool{}, full: map[types.BEID]bool{}, probes: map[types.BEID]int{}}
	c.Log.Must(t, &command.InitCluster{ClusterID: ClusterID, FE: catalog.FE{Name: "fe1"}, TimeMs: 1})
	for range n {
		c.addBE(t)
	}
	t.Cleanup(func() {
		for _, b := range c.BEs {
			b.Stop()
		}
		if err := c.Clients.Close(); err != nil {
			t.Error(err)
		}
	})
	c.createTable(t, tablets, quorum)
	return c
}

func (c *Cluster) addBE(t testing.TB) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	id := c.Log.Must(t, &command.AddBE{BE: catalog.BE{Host: "127.0.0.1", Port: port}}).(catalog.IDResult).ID
	b := &BE{ID: types.BEID(id), Addr: l.Addr().String(), cluster: c, server: rpc.NewServer(rpc.ServerConfig{Cluster: rpc.NewCluster(ClusterID)})}
	bepb.RegisterBackendServer(b.server, b)
	done := make(chan struct{})
	go func() { defer close(done); b.server.Serve(l) }()
	t.Cleanup(func() { b.server.Stop(); <-done })
	c.BEs = append(c.BEs, b)
}

// Schema is that of the table.
func Schema(id types.TableID) types.Schema {
	big := types.ColumnType{Kind: types.KindBigInt}
	return types.Schema{TableID: id, Version: 1, Columns: []types.Column{{ID: 1, Name: "id", Type: big}, {ID: 2, Name: "v", Type: big}},
		Key: []types.ColumnID{1}}
}

func (c *Cluster) createTable(t testing.TB, n int, quorum types.WriteQuorum) {
	db := c.Log.Must(t, &command.CreateDatabase{Name: "d"}).(catalog.IDResult).ID
	next := c.Log.Must(t, &command.AllocIDs{N: 10000}).(catalog.AllocResult).First
	id := func() uint64 { next++; return next - 1 }
	table := catalog.Table{ID: types.TableID(id()), DatabaseID: types.DatabaseID(db), Name: "t", Quorum: quorum, Replicas: len(c.BEs), Buckets: n,
		HashBy: []types.ColumnID{1}}
	table.Schema = Schema(table.ID)
	part := catalog.Partition{ID: types.PartitionID(id()), Name: "t", Replicas: len(c.BEs)}
	var tablets []catalog.Tablet
	for b := range n {
		tab := catalog.Tablet{ID: types.TabletID(id()), Table: table.ID, Partition: part.ID, Bucket: int32(b), Leader: c.BEs[0].ID}
		for _, be := range c.BEs {
			tab.Replicas = append(tab.Replicas, catalog.Replica{ID: types.ReplicaID(id()), BE: be.ID, Disk: types.DiskID(be.ID + 1000)})
		}
		part.Tablets = append(part.Tablets, tab.ID)
		tablets = append(tablets, tab)
	}
	table.Parts = []catalog.Partition{part}
	c.Log.Must(t, &command.CreateTable{Table: table, Tablets: tablets, TimeMs: 1})
	c.Table, c.Tablets = table.ID, part.Tablets
}

// Stores reports whether a BE has disks; all have.
func (c *Cluster) Stores(types.BEID) bool { return true }

// Unreached returns the BEs that a BE does not reach, as CutLink has said.
func (c *Cluster) Unreached(id types.BEID) []types.BEID {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.unreached[id])
}

// CutLink has a BE say that it does not reach another.
func (c *Cluster) CutLink(from, to types.BEID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.unreached == nil {
		c.unreached = map[types.BEID][]types.BEID{}
	}
	c.unreached[from] = append(c.unreached[from], to)
}

// Alive reports whether a BE is alive.
func (c *Cluster) Alive(id types.BEID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.dead[id]
}

// SetAlive says whether a BE is alive.
func (c *Cluster) SetAlive(id types.BEID, alive bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dead[id] = !alive
}

// Coming reports whether a BE is yet to give a sign, as SetComing has said.
func (c *Cluster) Coming(id types.BEID) bool {
	c.mu.Lock()
	coming := c.coming[id]
	c.mu.Unlock()
	return coming != nil && coming()
}

// SetComing has Coming ask a func about a BE.
func (c *Cluster) SetComing(id types.BEID, coming func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.coming[id] = coming
}

// Returning reports whether a BE was there a moment ago, as SetReturning has said.
func (c *Cluster) Returning(id types.BEID) bool {
	c.mu.Lock()
	returning := c.returning[id]
	c.mu.Unlock()
	return returning != nil && returning()
}

// SetReturning has Returning ask a func about a BE.
func (c *Cluster) SetReturning(id types.BEID, returning func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.returning[id] = returning
}

// Address returns where a BE listens.
func (c *Cluster) Address(id types.BEID) string {
	for _, b := range c.BEs {
		if b.ID == id {
			return b.Addr
		}
	}
	return ""
}

// Writes reports whether the disk of a BE takes writes, as Fill has said.
func (c *Cluster) Writes(id types.BEID, _ types.DiskID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.full[id]
}

// Takes reports whether the disk of a BE takes new replicas, as Fill has said.
func (c *Cluster) Takes(id types.BEID) bool { return c.Writes(id, 0) }

// Fill makes it known that the disk of a BE refuses writes, or takes them.
func (c *Cluster) Fill(id types.BEID, full bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.full[id] = full
}

// Probe counts.
func (c *Cluster) Probe(id types.BEID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.probes[id]++
}

// Probes returns how often a BE was probed.
func (c *Cluster) Probes(id types.BEID) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.probes[id]
}

// Lead makes a BE the leader of a tablet.
func (c *Cluster) Lead(t testing.TB, tablet types.TabletID, be types.BEID) {
	t.Helper()
	res := c.Log.Must(t, &command.SetLeaders{Items: []command.SetLeader{{Tablet: tablet, BE: be}}}).(catalog.LeadersResult)
	if res.Errs[0] != nil {
		t.Fatal(fmt.Errorf("lead tablet %d by be %d: %w", tablet, be, res.Errs[0]))
	}
}

// Tablet returns a tablet of the catalog.
func (c *Cluster) Tablet(t testing.TB, id types.TabletID) *catalog.Tablet {
	t.Helper()
	tab, ok := c.Log.Current().Tablet(id)
	if !ok {
		t.Fatalf("tablet %d is not there", id)
	}
	return tab
}

// OtherBE is how a BE refuses a heartbeat that was meant for another one; 0 = it does not say which one it is.
func OtherBE(id types.BEID) error {
	st := status.New(codes.PermissionDenied, "this be is another one")
	if id == 0 {
		return st.Err()
	}
	known, err := st.WithDetails(&bepb.HeartbeatResponse{BeId: uint64(id)})
	if err != nil {
		return err
	}
	return known.Err()
}
