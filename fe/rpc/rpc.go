// Package rpc adapts an FE to the gRPC service that BEs and other FEs call. It holds no state: it converts messages,
// and gives errors the reasons that callers branch on.
package rpc

import (
	"context"
	"errors"
	"fmt"

	"stele/fe/cluster"
	"stele/fe/group"
	"stele/fe/quorum"
	"stele/fe/session"
	"stele/fe/stmt"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/model"
	"stele/meta/raftlog"
	metarpc "stele/meta/rpc"
	"stele/meta/types"
	"stele/proto/fepb"
	"stele/sql/errno"
	"stele/sql/vec"
)

// Parts are what the service speaks for.
type Parts struct {
	Ledger *cluster.Ledger
	Log    *raftlog.Log
	// CatchUp waits until this FE has applied all that was committed before, as the leading FE says.
	CatchUp func(ctx context.Context) (uint64, error)
	Group   *group.Group
	// Answer answers what needs the leading FE.
	Answer func(ctx context.Context, q session.Question) (stmt.Result, error)
	// Active reports whether a transaction of this FE is undecided.
	Active   func(types.TxnID) bool
	Sessions func() []stmt.Process
	// Transactions are those that run on this FE; nil = nothing is told of them.
	Transactions func() []stmt.Transaction
	// Uses reports whether something is under way on this FE that locks of some tables, or of all, have to wait for.
	Uses func(ctx context.Context, tables []types.TableID, all bool) (bool, error)
	Kill func(id uint64, queryOnly bool) bool
	// Suspect takes hints of other FEs.
	Suspect func(bes []types.BEID, tablets []types.TabletID)
	// Knock answers an FE that wants to join, here or on the leading FE.
	Knock func(ctx context.Context, req *fepb.JoinRequest) (*fepb.JoinResponse, error)
	// UserLock answers for the locks of GET_LOCK.
	UserLock func(ctx context.Context, req *fepb.UserLockRequest) (*fepb.UserLockResponse, error)
}

// Server implements fepb.FrontendServer.
type Server struct {
	fepb.UnimplementedFrontendServer
	Parts
}

// New returns a server over the parts.
func New(p Parts) *Server { return &Server{Parts: p} }

// AllowFresh names the call that an FE without a cluster may make.
func AllowFresh(method string) bool { return method == fepb.Frontend_Join_FullMethodName }

// Report takes in what a BE has.
func (s *Server) Report(ctx context.Context, req *fepb.ReportRequest) (*fepb.ReportResponse, error) {
	return s.Ledger.Report(ctx, req)
}

// Resolve tells the outcome of pending transactions.
func (s *Server) Resolve(ctx context.Context, req *fepb.ResolveRequest) (*fepb.ResolveResponse, error) {
	return s.Ledger.Resolve(ctx, req)
}

// member refuses calls of an FE that was dropped: it must not act for the cluster any more. The one that is told ends, so this FE catches up
// before it says so: what it has applied may be from before the other one was added.
func (s *Server) member(ctx context.Context, name string) error {
	if _, ok := s.Log.Current().FEByName(name); ok {
		s.Group.Called(name)
		return nil
	}
	if _, err := s.CatchUp(ctx); err != nil {
		return reasoned(err)
	}
	if _, ok := s.Log.Current().FEByName(name); ok {
		return nil
	}
	return &metarpc.Error{Msg: fmt.Sprintf("frontend %s is not a member of the cluster", name), Reason: quorum.ReasonDropped}
}

// Propose puts commands of another FE into the log.
func (s *Server) Propose(ctx context.Context, req *fepb.ProposeRequest) (*fepb.ProposeResponse, error) {
	if err := s.member(ctx, req.Fe); err != nil {
		return nil, err
	}
	return s.propose(ctx, raftlog.Tag{}, req)
}

// ProposeTagged puts commands into the log with the tag by which the FE that asks finds them there.
func (s *Server) ProposeTagged(ctx context.Context, req *fepb.ProposeRequest) (*fepb.ProposeResponse, error) {
	if err := s.member(ctx, req.Fe); err != nil {
		return nil, err
	}
	tag := raftlog.Tag{Until: req.Until}
	if len(req.Tag) != len(tag.ID) {
		return nil, fmt.Errorf("a tag of %d bytes", len(req.Tag))
	}
	copy(tag.ID[:], req.Tag)
	return s.propose(ctx, tag, req)
}

func (s *Server) propose(ctx context.Context, tag raftlog.Tag, req *fepb.ProposeRequest) (*fepb.ProposeResponse, error) {
	out, err := s.Log.ProposeEncoded(ctx, tag, req.Commands)
	if err != nil {
		return nil, reasoned(err)
	}
	encoded, err := catalog.EncodeResults(out)
	if err != nil {
		return nil, err
	}
	return &fepb.ProposeResponse{Results: encoded, Index: s.Log.Current().Index(), Mark: s.mark()}, nil
}

// mark says how far the log is committed now, nil = this FE does not lead any more.
func (s *Server) mark() *fepb.Mark {
	m, ok := s.Log.Mark()
	if !ok {
		return nil
	}
	return &fepb.Mark{Term: m.Term, Index: m.Index, LogTerm: m.LogTerm, Leader: m.Leader, Address: m.Address}
}

// ReadIndex tells how far a follower must have applied to see all that is committed.
func (s *Server) ReadIndex(ctx context.Context, req *fepb.ReadIndexRequest) (*fepb.ReadIndexResponse, error) {
	if err := s.member(ctx, req.Fe); err != nil {
		return nil, err
	}
	index, err := s.Log.ReadIndex(ctx)
	if err != nil {
		return nil, reasoned(err)
	}
	return &fepb.ReadIndexResponse{Index: index, Mark: s.mark()}, nil
}

// Ask runs a statement, or reads a system table, for a session of another FE.
func (s *Server) Ask(req *fepb.AskRequest, out fepb.Frontend_AskServer) error {
	if err := s.member(out.Context(), req.Fe); err != nil {
		return err
	}
	if !s.Log.IsLeader() {
		return reasoned(&raftlog.ErrNotLeader{})
	}
	q := session.Question{Statement: req.Statement, Database: req.Database, Table: req.Table,
		SessionDB: req.SessionDatabase, User: req.User, Zone: req.Zone, Mode: req.SqlMode}
	for _, role := range req.Roles {
		q.Roles = append(q.Roles, model.AccountName{Name: role.Name, Host: role.Host})
	}
	r, err := s.Answer(out.Context(), q)
	if err != nil {
		return wire(err)
	}
	head, err := stmt.EncodeHead(r, s.Log.Current().Index())
	if err != nil {
		return err
	}
	if err := out.Send(&fepb.AskResponse{Head: head}); err != nil {
		return err
	}
	if r.Columns == nil {
		return nil
	}
	for _, b := range r.Vectors() {
		if err := out.Send(&fepb.AskResponse{Batch: vec.Encode(nil, b)}); err != nil {
			return err
		}
	}
	return nil
}

// Suspect takes a hint.
func (s *Server) Suspect(_ context.Context, req *fepb.SuspectRequest) (*fepb.SuspectResponse, error) {
	bes, tablets := make([]types.BEID, len(req.BeIds)), make([]types.TabletID, len(req.TabletIds))
	for i, id := range req.BeIds {
		bes[i] = types.BEID(id)
	}
	for i, id := range req.TabletIds {
		tablets[i] = types.TabletID(id)
	}
	s.Parts.Suspect(bes, tablets)
	return &fepb.SuspectResponse{}, nil
}

// Beat takes in a beat of the leading FE.
func (s *Server) Beat(_ context.Context, req *fepb.BeatRequest) (*fepb.BeatResponse, error) {
	return s.Group.Heard(req)
}

// Active tells which transactions this FE still works on.
func (s *Server) Active(_ context.Context, req *fepb.ActiveRequest) (*fepb.ActiveResponse, error) {
	resp := &fepb.ActiveResponse{}
	for _, id := range req.TxnIds {
		if s.Parts.Active(types.TxnID(id)) {
			resp.TxnIds = append(resp.TxnIds, id)
		}
	}
	return resp, nil
}

// Sessions lists the client connections.
func (s *Server) Sessions(context.Context, *fepb.SessionsRequest) (*fepb.SessionsResponse, error) {
	resp := &fepb.SessionsResponse{}
	for _, p := range s.Parts.Sessions() {
		resp.Sessions = append(resp.Sessions, &fepb.Session{Id: p.ID, User: p.User, Host: p.Host, Db: p.DB, Command: p.Command,
			SinceMs: p.Since.UnixMilli(), Text: p.Text, Transaction: openTransaction(p.Txn), Locks: p.Locks, Awaits: p.Awaits})
	}
	if s.Parts.Transactions != nil {
		for _, t := range s.Parts.Transactions() {
			resp.Transactions = append(resp.Transactions, &fepb.RunningTransaction{Id: uint64(t.ID), SinceMs: t.Since.UnixMilli()})
		}
	}
	return resp, nil
}

func openTransaction(t stmt.OpenTxn) *fepb.OpenTransaction {
	if t.Since.IsZero() {
		return nil
	}
	out := &fepb.OpenTransaction{Id: uint64(t.ID), SinceMs: t.Since.UnixMilli(), Committed: t.Committed, ReadOnly: t.ReadOnly}
	if !t.Reads.IsZero() {
		out.ReadsMs = t.Reads.UnixMilli()
	}
	return out
}

// Uses tells whether something is under way that locks of tables have to wait for.
func (s *Server) Uses(ctx context.Context, req *fepb.UsesRequest) (*fepb.UsesResponse, error) {
	tables := make([]types.TableID, len(req.Tables))
	for i, id := range req.Tables {
		tables[i] = types.TableID(id)
	}
	busy, err := s.Parts.Uses(ctx, tables, req.All)
	if err != nil {
		return nil, err
	}
	return &fepb.UsesResponse{Busy: busy}, nil
}

// Kill ends a statement or a connection.
func (s *Server) Kill(_ context.Context, req *fepb.KillRequest) (*fepb.KillResponse, error) {
	return &fepb.KillResponse{Found: s.Parts.Kill(req.Id, req.QueryOnly)}, nil
}

// Join answers an FE with an empty meta_dir.
func (s *Server) Join(ctx context.Context, req *fepb.JoinRequest) (*fepb.JoinResponse, error) {
	return s.Knock(ctx, req)
}

// UserLock takes, gives back and names the locks of GET_LOCK.
func (s *Server) UserLock(ctx context.Context, req *fepb.UserLockRequest) (*fepb.UserLockResponse, error) {
	if err := s.member(ctx, req.Fe); err != nil {
		return nil, err
	}
	resp, err := s.Parts.UserLock(ctx, req)
	if err != nil {
		return nil, reasoned(err)
	}
	return resp, nil
}

// reasoned gives errors of the log the reasons by which the other FE knows what was certainly not done.
func reasoned(err error) error {
	var not *raftlog.ErrNotLeader
	var newer *command.UnknownError
	switch {
	case errors.As(err, &newer):
		return &metarpc.Error{Code: errno.OptionPrevents, State: errno.General, Msg: fmt.Sprintf(
			"The leading FE is of an older version and cannot do this yet (%s): replace its binary, too, and say it again", newer.Name)}
	case errors.As(err, &not), errors.Is(err, raftlog.ErrClosed):
		return &metarpc.Error{Msg: err.Error(), Reason: quorum.ReasonNotLeader}
	case errors.Is(err, raftlog.ErrBusy):
		return &metarpc.Error{Msg: err.Error(), Reason: quorum.ReasonBusy}
	case errors.Is(err, raftlog.ErrNoRoom):
		return &metarpc.Error{Msg: err.Error(), Reason: quorum.ReasonNoRoom}
	case errors.Is(err, raftlog.ErrOutcomeUnknown):
		return &metarpc.Error{Msg: err.Error(), Reason: quorum.ReasonUnknown}
	}
	return err
}

// wire gives an error with a MySQL number the form that keeps it on its way.
func wire(err error) error {
	var known interface {
		MySQL() (code uint16, state, msg string)
	}
	if !errors.As(err, &known) {
		return err
	}
	code, state, msg := known.MySQL()
	return &metarpc.Error{Code: code, State: state, Msg: msg}
}
