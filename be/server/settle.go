package server

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"stele/meta/types"
	"stele/proto/bepb"
)

// Settle writes out what a replica keeps in memory, or has it pass over versions that are lost: the FE, which has accepted
// the loss, says that nothing more will ever come under them.
func (s *Server) Settle(ctx context.Context, req *bepb.SettleRequest) (*bepb.SettleResponse, error) {
	t, ok := s.Host.Tablet(types.TabletID(req.TabletId))
	if !ok || uint64(t.Meta().Replica) != req.ReplicaId {
		return nil, status.Errorf(codes.NotFound, "no replica %d of tablet %d here", req.ReplicaId, req.TabletId)
	}
	if req.Version == 0 {
		if err := t.Flush(); err != nil {
			return nil, toStatus(err)
		}
		return &bepb.SettleResponse{Version: uint64(t.Version())}, nil
	}
	if err := s.Writer.PassOver(ctx, t, types.Version(req.Version)); err != nil {
		return nil, toStatus(err)
	}
	return &bepb.SettleResponse{Version: uint64(t.Version())}, nil
}
