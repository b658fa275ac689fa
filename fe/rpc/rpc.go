// Package rpc adapts an FE to the gRPC service that BEs call. It holds no state.
package rpc

import (
	"context"

	"stele/fe/cluster"
	"stele/proto/fepb"
)

// Server implements fepb.FrontendServer.
type Server struct {
	fepb.UnimplementedFrontendServer
	ledger *cluster.Ledger
}

// New returns a server that answers from the ledger.
func New(l *cluster.Ledger) *Server { return &Server{ledger: l} }

// Report takes in what a BE has.
func (s *Server) Report(ctx context.Context, req *fepb.ReportRequest) (*fepb.ReportResponse, error) {
	return s.ledger.Report(ctx, req)
}

// Resolve tells the outcome of pending transactions.
func (s *Server) Resolve(ctx context.Context, req *fepb.ResolveRequest) (*fepb.ResolveResponse, error) {
	return s.ledger.Resolve(ctx, req)
}
