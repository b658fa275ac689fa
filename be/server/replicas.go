package server

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"stele/be/tablet"
	"stele/meta/types"
	"stele/proto/bepb"
)

// CreateReplicas makes empty replicas; one that is there already is kept.
func (s *Server) CreateReplicas(_ context.Context, req *bepb.CreateReplicasRequest) (*bepb.CreateReplicasResponse, error) {
	schema, err := decodeSchema(req.Schema)
	if err != nil {
		return nil, err
	}
	s.creating.Lock()
	defer s.creating.Unlock()
	resp := &bepb.CreateReplicasResponse{}
	err = s.Host.Steadily(func() error { return s.create(req, schema, resp) })
	return resp, toStatus(err)
}

// create makes the replicas while nothing but it says on which disk a tablet is.
func (s *Server) create(req *bepb.CreateReplicasRequest, schema types.Schema, resp *bepb.CreateReplicasResponse) error {
	stores, err := s.storesFor(req)
	if err != nil {
		return err
	}
	byStore := map[*tablet.Store][]tablet.Meta{}
	for i, it := range req.Items {
		byStore[stores[i]] = append(byStore[stores[i]], tablet.Meta{Tablet: types.TabletID(it.TabletId), Table: types.TableID(it.TableId),
			Partition: types.PartitionID(it.PartitionId), Replica: types.ReplicaID(it.ReplicaId), Schema: schema, Epoch: types.Epoch(it.Epoch)})
		resp.DiskIds = append(resp.DiskIds, uint64(stores[i].ID()))
	}
	for store, metas := range byStore {
		made, err := store.CreateAll(metas)
		for _, t := range made {
			s.Writer.Adopt(t)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// storesFor says on which disk each replica is, or is to be.
func (s *Server) storesFor(req *bepb.CreateReplicasRequest) ([]*tablet.Store, error) {
	stores := make([]*tablet.Store, len(req.Items))
	var fresh []int
	for i, it := range req.Items {
		store, ok := s.Host.Store(types.TabletID(it.TabletId))
		if stores[i] = store; !ok {
			fresh = append(fresh, i)
		}
	}
	if len(fresh) == 0 {
		return stores, nil
	}
	places, err := s.Host.PlaceAll(types.Medium(req.Medium), len(fresh))
	for i, store := range places {
		stores[fresh[i]] = store
	}
	return stores, err
}

// OpenDisk opens a disk that is not open.
func (s *Server) OpenDisk(_ context.Context, req *bepb.OpenDiskRequest) (*bepb.OpenDiskResponse, error) {
	store, opened, err := s.Host.Open(req.Path)
	if err != nil {
		return nil, status.Error(codes.FailedPrecondition, err.Error())
	}
	return &bepb.OpenDiskResponse{DiskId: uint64(store.ID()), Tablets: uint64(store.TabletCount()), Opened: opened}, nil
}

// DropReplicas drops replicas by tablet and replica id, so that a newer replica of the same tablet survives a late call.
func (s *Server) DropReplicas(_ context.Context, req *bepb.DropReplicasRequest) (*bepb.DropReplicasResponse, error) {
	byStore := map[*tablet.Store][]tablet.Dropping{}
	for _, it := range req.Items {
		if store, ok := s.Host.Store(types.TabletID(it.TabletId)); ok {
			byStore[store] = append(byStore[store], tablet.Dropping{Tablet: types.TabletID(it.TabletId), Replica: types.ReplicaID(it.ReplicaId)})
		}
	}
	for store, list := range byStore {
		gone, err := store.Discard(list)
		for _, t := range gone {
			s.Writer.Dropped(t)
		}
		if err != nil {
			return nil, toStatus(err)
		}
	}
	return &bepb.DropReplicasResponse{}, nil
}
