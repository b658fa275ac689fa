// Package server adapts the packages of a BE to the gRPC service that FEs and other BEs call. It holds no state of
// its own and decides nothing: it converts messages, and maps errors to statuses.
package server

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/fxamacker/cbor/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"stele/be/clone"
	"stele/be/host"
	"stele/be/query"
	"stele/be/scan"
	"stele/be/tablet"
	"stele/be/write"
	"stele/meta/rpc"
	"stele/meta/types"
	"stele/proto/bepb"
)

// Parts are the packages that the service speaks for.
type Parts struct {
	Host    *host.Host
	Cluster *rpc.Cluster
	Writer  *write.Writer
	Scanner *scan.Scanner
	Queries *query.Runner
	Clones  *clone.Manager
	Slots   *clone.Slots
	// Outgoing is the source side of clones.
	Outgoing *clone.Outgoing
	// Pressure hears how long writes take.
	Pressure *clone.Pressure
	// SetConfig takes in the configuration that the cluster has set for all BEs; Config is what is in force.
	SetConfig func([]*bepb.ConfigItem)
	Config    func() []*bepb.ConfigItem
	// Joined is told with each heartbeat where the FEs are, the leader first.
	Joined func(term uint64, feAddresses []string)
	// OldestRead is told with a heartbeat how old the oldest state is that anybody reads, 0 = none is but the newest; nil = nobody wants to know.
	OldestRead func(age time.Duration)
	Stopping   func() bool
	// Strangers lists what of other clusters this BE has met.
	Strangers func() []*bepb.Stranger
	Version   string
	HTTPPort  int
	MemLimit  int64
	Started   time.Time
	Log       *slog.Logger
}

// Server implements bepb.BackendServer.
type Server struct {
	bepb.UnimplementedBackendServer
	Parts
	cpu      processor
	refused  refusals
	creating sync.Mutex // two calls for one tablet must not choose two disks
}

// refusals remembers why a heartbeat was refused last: whoever is mistaken about this BE asks twice a second, and the log need not say
// each time what it has said.
type refusals struct {
	mu   sync.Mutex
	why  string
	said time.Time
}

const sayAgain = time.Minute

// news reports whether why has not been said of late.
func (r *refusals) news(why string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if why == r.why && now.Sub(r.said) < sayAgain {
		return false
	}
	r.why, r.said = why, now
	return true
}

// New returns a server over the parts.
func New(p Parts) *Server { return &Server{Parts: p} }

// Heartbeat answers the state of this BE; the first one of a blank BE makes it a member of the caller's cluster.
func (s *Server) Heartbeat(ctx context.Context, req *bepb.HeartbeatRequest) (*bepb.HeartbeatResponse, error) {
	cluster := rpc.PeerCluster(ctx)
	if cluster == "" {
		return nil, status.Error(codes.InvalidArgument, "a heartbeat must carry a cluster id")
	}
	if err := s.Host.Join(cluster, types.BEID(req.BeId)); err != nil {
		if s.refused.news(err.Error(), time.Now()) {
			s.Log.Warn("heartbeats are refused", "its_cluster", string(cluster), "its_be_id", req.BeId, "err", err)
		}
		return nil, refuseHeartbeat(err, s.Host.Identity(), cluster)
	}
	if err := s.Cluster.Adopt(cluster); err != nil {
		return nil, err
	}
	s.Joined(req.Term, req.FeAddresses)
	if s.OldestRead != nil && req.OldestReadMs != nil {
		s.OldestRead(time.Duration(*req.OldestReadMs) * time.Millisecond)
	}
	s.SetConfig(req.Config)
	wishes := make(map[types.DiskID]types.DiskState, len(req.DiskWishes))
	for _, w := range req.DiskWishes {
		wishes[types.DiskID(w.DiskId)] = types.DiskState(w.State)
	}
	s.Host.SetWishes(wishes)
	if req.CloneSlotsPerDisk > 0 {
		s.Slots.Resize(int(req.CloneSlotsPerDisk), int(req.BalanceSlotsPerDisk))
	}
	memory := s.Memory()
	resp := &bepb.HeartbeatResponse{BeId: req.BeId, StartTimeMs: s.Started.UnixMilli(), Version: s.Version,
		CpuCores: uint32(runtime.NumCPU()), MemLimitBytes: s.MemLimit, MemUsedBytes: MemoryUsed(memory), Memory: memory,
		Clones: s.Clones.Statuses(req.FinishedTasksSeen), HttpPort: uint32(s.HTTPPort), Stopping: s.Stopping(),
		RunningScans: uint32(s.Scanner.Running()), CpuUsed: s.cpu.used(time.Now())}
	if s.Queries != nil {
		resp.RunningQueries, resp.Queries = uint32(s.Queries.Running()), s.Queries.Ended()
	}
	if s.Strangers != nil {
		resp.Strangers = s.Strangers()
	}
	for _, p := range s.Writer.SilentPeers() {
		resp.SilentPeers = append(resp.SilentPeers, &bepb.SilentPeer{BeId: uint64(p.BE), Address: p.Address, SilentMs: p.For.Milliseconds()})
	}
	for _, d := range s.Host.Disks() {
		pd := s.disk(d)
		resp.Disks = append(resp.Disks, pd)
		resp.Tablets += pd.Tablets
	}
	return resp, nil
}

// refuseHeartbeat tells the FE who this BE is, if it is one of the same cluster: it may have been dropped and added again, and can have
// its id back.
func refuseHeartbeat(err error, id host.Identity, cluster types.ClusterID) error {
	st := status.New(codes.PermissionDenied, err.Error())
	if id.Cluster != cluster {
		return st.Err()
	}
	if known, derr := st.WithDetails(&bepb.HeartbeatResponse{BeId: uint64(id.BE)}); derr == nil {
		st = known
	}
	return st.Err()
}

func (s *Server) disk(d *host.Disk) *bepb.Disk {
	out := &bepb.Disk{Path: d.Root.Path, Medium: uint32(d.Root.Medium)}
	if d.Store == nil {
		out.State, out.Error = uint32(types.DiskOffline), d.Err.Error()
		return out
	}
	u := d.Store.Usage()
	out.DiskId, out.TotalBytes, out.AvailableBytes, out.DataUsedBytes = uint64(d.Store.ID()), u.Total, u.Available, u.DataUsed
	out.Error, out.Tablets = u.Err, uint64(d.Store.TabletCount())
	out.Failed = u.Failed
	if u.ReadOnly {
		out.RefusesWrites, out.AvailableBytes = true, 0 // an FE that does not know the first plans nothing onto it for want of room
	}
	out.CloneSlotsUsed = uint32(s.Slots.Used(d.Store.ID()))
	return out
}

// Write leads a write.
func (s *Server) Write(ctx context.Context, req *bepb.WriteRequest) (*bepb.WriteResponse, error) {
	begun := time.Now()
	published := s.published(ctx, req.Published)
	if answer, ok := rpc.Later(ctx); ok {
		s.Writer.Lead(ctx, req, func(resp *bepb.WriteResponse) {
			s.took(begun)
			resp.Published = published
			answer(resp, nil)
		})
		return nil, nil
	}
	defer s.took(begun)
	resp := s.Writer.Write(ctx, req)
	resp.Published = published
	return resp, nil
}

// took notes how long a call to write has taken.
func (s *Server) took(begun time.Time) {
	now := time.Now()
	s.Pressure.Observe(now.Sub(begun), now)
}

// published makes versions visible that came with a write, and returns what the answer says of them.
func (s *Server) published(ctx context.Context, items []*bepb.PublishRequest_Item) uint32 {
	if len(items) > 0 {
		s.Writer.Publish(ctx, items)
	}
	return 1 + uint32(len(items))
}

// Modify leads a write of one row that is worked out here.
func (s *Server) Modify(ctx context.Context, req *bepb.ModifyRequest) (*bepb.ModifyResponse, error) {
	if req.Part == nil {
		return nil, status.Error(codes.InvalidArgument, "a modification without its tablet")
	}
	begun := time.Now()
	published := s.published(ctx, req.Published)
	if answer, ok := rpc.Later(ctx); ok {
		s.Writer.LeadModify(ctx, req, func(resp *bepb.ModifyResponse) {
			s.took(begun)
			resp.Published = published
			answer(resp, nil)
		})
		return nil, nil
	}
	defer s.took(begun)
	resp := s.Writer.Modify(ctx, req)
	resp.Published = published
	return resp, nil
}

// ModifyRows leads a write of rows that are found and worked out here.
func (s *Server) ModifyRows(ctx context.Context, req *bepb.ModifyRowsRequest) (*bepb.ModifyRowsResponse, error) {
	if req.Write == nil {
		return nil, status.Error(codes.InvalidArgument, "a modification without its tablets")
	}
	begun := time.Now()
	published := s.published(ctx, req.Write.Published)
	if answer, ok := rpc.Later(ctx); ok {
		s.Writer.LeadModifyRows(ctx, req, func(resp *bepb.ModifyRowsResponse) {
			s.took(begun)
			resp.Write.Published = published
			answer(resp, nil)
		})
		return nil, nil
	}
	defer s.took(begun)
	resp := s.Writer.ModifyRows(ctx, req)
	resp.Write.Published = published
	return resp, nil
}

// Replicate follows a write.
func (s *Server) Replicate(ctx context.Context, req *bepb.ReplicateRequest) (*bepb.ReplicateResponse, error) {
	begun := time.Now()
	if answer, ok := rpc.Later(ctx); ok {
		s.Writer.Follow(ctx, req, func(resp *bepb.ReplicateResponse) {
			s.took(begun)
			answer(resp, nil)
		})
		return nil, nil
	}
	defer s.took(begun)
	return s.Writer.Replicate(ctx, req), nil
}

// Publish makes committed versions visible.
func (s *Server) Publish(ctx context.Context, req *bepb.PublishRequest) (*bepb.PublishResponse, error) {
	return &bepb.PublishResponse{Versions: s.Writer.Publish(ctx, req.Items)}, nil
}

// Abort drops a transaction.
func (s *Server) Abort(_ context.Context, req *bepb.AbortRequest) (*bepb.AbortResponse, error) {
	var errs []error
	for _, id := range req.TabletIds {
		var heir types.TxnID
		if slices.Contains(req.KeptIds, id) {
			heir = types.TxnID(req.Heir)
		}
		errs = append(errs, s.Writer.Abort(types.TxnID(req.TxnId), heir, types.TabletID(id)))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, toStatus(err)
	}
	return &bepb.AbortResponse{}, nil
}

// Waits lists who waits for row locks here, after it has ended what is a deadlock.
func (s *Server) Waits(_ context.Context, req *bepb.WaitsRequest) (*bepb.WaitsResponse, error) {
	return &bepb.WaitsResponse{Waits: s.Writer.Waits(req.End)}, nil
}

// Query streams the result of a query whose upper part runs here.
func (s *Server) Query(req *bepb.QueryRequest, stream bepb.Backend_QueryServer) error {
	if s.Stopping() {
		return status.Error(codes.Unavailable, "this be stops")
	}
	err := s.Queries.Query(stream.Context(), req, func(batch []byte) error {
		return stream.Send(&bepb.QueryResponse{Batch: batch})
	})
	return toStatus(err)
}

// Scan streams the result of a fragment.
func (s *Server) Scan(req *bepb.ScanRequest, stream bepb.Backend_ScanServer) error {
	err := s.Scanner.Scan(stream.Context(), req, func(batch []byte) error {
		return stream.Send(&bepb.ScanResponse{Batch: batch})
	})
	return toStatus(err)
}

// Get runs a fragment over rows named by their keys.
func (s *Server) Get(ctx context.Context, req *bepb.GetRequest) (*bepb.GetResponse, error) {
	resp, err := s.Scanner.Get(ctx, req)
	return resp, toStatus(err)
}

// Fetch runs a fragment that is to read few rows.
func (s *Server) Fetch(ctx context.Context, req *bepb.ScanRequest) (*bepb.GetResponse, error) {
	resp, err := s.Scanner.Fetch(ctx, req)
	return resp, toStatus(err)
}

// Digest answers the content digest of a replica at a version.
func (s *Server) Digest(ctx context.Context, req *bepb.DigestRequest) (*bepb.DigestResponse, error) {
	t, ok := s.Host.Tablet(types.TabletID(req.TabletId))
	if !ok {
		return nil, status.Errorf(codes.NotFound, "no replica of tablet %d here", req.TabletId)
	}
	if err := t.CheckReplica(types.ReplicaID(req.ReplicaId)); err != nil {
		return nil, toStatus(err)
	}
	if len(req.Schema) > 0 {
		schema, err := decodeSchema(req.Schema)
		if err == nil {
			err = toStatus(t.SetSchema(schema))
		}
		if err != nil {
			return nil, err
		}
	}
	v := types.Version(req.Version)
	if v == 0 {
		v = t.Version()
	}
	if !s.Writer.WaitVersion(ctx, t, v, scan.VersionWait) {
		return nil, toStatus(&tablet.BehindError{Tablet: t.ID(), Have: t.Version(), Want: v})
	}
	snap, err := t.Snapshot(v)
	if err != nil {
		return nil, toStatus(err)
	}
	defer snap.Release()
	read := snap.Digest
	if req.Verify { // else what was noted when rows were written is trusted
		read = snap.ScanDigest
	}
	digest, rows, err := read(ctx)
	if err != nil {
		return nil, toStatus(err)
	}
	return &bepb.DigestResponse{Digest: digest, Rows: rows, Version: uint64(v), SchemaVersion: snap.Schema().Version}, nil
}

// Config answers the configuration that is in force.
func (s *Server) Config(context.Context, *bepb.ConfigRequest) (*bepb.ConfigResponse, error) {
	return &bepb.ConfigResponse{Items: s.Parts.Config()}, nil
}

// SubmitClone starts a clone task.
func (s *Server) SubmitClone(_ context.Context, req *bepb.SubmitCloneRequest) (*bepb.SubmitCloneResponse, error) {
	schema, err := decodeSchema(req.Schema)
	if err != nil {
		return nil, err
	}
	s.Clones.Submit(clone.Task{ID: types.TaskID(req.TaskId), Tablet: types.TabletID(req.TabletId), Table: types.TableID(req.TableId),
		Partition: types.PartitionID(req.PartitionId), Replica: types.ReplicaID(req.ReplicaId), Epoch: types.Epoch(req.Epoch), Schema: schema,
		Source: req.Source, SourceBE: types.BEID(req.SourceBe), SourceReplica: types.ReplicaID(req.SourceReplica), SourceDisk: types.DiskID(req.SourceDisk), Disk: types.DiskID(req.DiskId), Medium: types.Medium(req.Medium),
		MinVersion: types.Version(req.Version), Timeout: time.Duration(req.TimeoutMs) * time.Millisecond,
		Stall: time.Duration(req.StallMs) * time.Millisecond, Balance: req.Balance})
	return &bepb.SubmitCloneResponse{}, nil
}

// CancelClone cancels a clone task.
func (s *Server) CancelClone(_ context.Context, req *bepb.CancelCloneRequest) (*bepb.CancelCloneResponse, error) {
	s.Clones.Cancel(types.TaskID(req.TaskId))
	return &bepb.CancelCloneResponse{}, nil
}

// FetchChanges streams the change sets after a version.
func (s *Server) FetchChanges(req *bepb.FetchChangesRequest, stream bepb.Backend_FetchChangesServer) error {
	return toStatus(s.Outgoing.Changes(stream.Context(), req, stream.Send))
}

// FetchSnapshot streams a whole replica at its newest version.
func (s *Server) FetchSnapshot(req *bepb.FetchSnapshotRequest, stream bepb.Backend_FetchSnapshotServer) error {
	return toStatus(s.Outgoing.Snapshot(stream.Context(), req, stream.Send))
}

func decodeSchema(b []byte) (types.Schema, error) {
	var schema types.Schema
	if err := cbor.Unmarshal(b, &schema); err != nil {
		return schema, status.Errorf(codes.InvalidArgument, "schema: %v", err)
	}
	return schema, nil
}

// toStatus maps the errors that callers act on; everything else is Internal.
func toStatus(err error) error {
	var behind *tablet.BehindError
	var other *tablet.OtherError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &behind), errors.As(err, &other):
		return status.Error(codes.FailedPrecondition, err.Error())
	case errors.Is(err, clone.ErrBusy):
		return &rpc.Error{Msg: err.Error(), Reason: clone.ReasonNoSlot, GRPC: codes.ResourceExhausted}
	case errors.Is(err, write.ErrOutcomeAwaited):
		return status.Error(codes.Unavailable, err.Error())
	case errors.Is(err, clone.ErrNoReplica):
		return status.Error(codes.NotFound, err.Error())
	case errors.Is(err, tablet.ErrExists):
		return status.Error(codes.AlreadyExists, err.Error())
	case errors.Is(err, tablet.ErrDropped), errors.Is(err, tablet.ErrClosed): // no longer here, or not for the moment
		return status.Error(codes.NotFound, err.Error())
	case errors.Is(err, tablet.ErrGone):
		return status.Error(codes.OutOfRange, err.Error())
	case errors.Is(err, tablet.ErrDiskFull), errors.Is(err, tablet.ErrReadOnly):
		return status.Error(codes.ResourceExhausted, err.Error())
	case errors.Is(err, tablet.ErrCorrupt), errors.Is(err, tablet.ErrBad):
		return status.Error(codes.DataLoss, err.Error())
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return status.FromContextError(err).Err()
	}
	var numbered interface {
		MySQL() (code uint16, state, msg string)
	}
	if errors.As(err, &numbered) {
		code, state, msg := numbered.MySQL()
		return &rpc.Error{Code: code, State: state, Msg: msg, GRPC: codes.InvalidArgument}
	}
	return err
}
