package server

import (
	"context"

	"stele/be/host"
	"stele/meta/types"
	"stele/proto/bepb"
)

// Redo brings replicas versions out of the commits that carry their rows.
func (s *Server) Redo(ctx context.Context, req *bepb.RedoRequest) (*bepb.RedoResponse, error) {
	return &bepb.RedoResponse{Versions: s.Writer.Redo(ctx, req.Tablets)}, nil
}

// Harden answers up to which version replicas have everything on disk, after all that is in memory was put there.
func (s *Server) Harden(ctx context.Context, req *bepb.HardenRequest) (*bepb.HardenResponse, error) {
	replicas := make([]host.ReplicaOf, len(req.Items))
	for i, it := range req.Items {
		replicas[i] = host.ReplicaOf{Tablet: types.TabletID(it.TabletId), Replica: types.ReplicaID(it.ReplicaId)}
	}
	resp := &bepb.HardenResponse{Versions: make([]uint64, len(replicas))}
	for i, v := range s.Host.Harden(ctx, replicas) {
		resp.Versions[i] = uint64(v)
	}
	return resp, nil
}
