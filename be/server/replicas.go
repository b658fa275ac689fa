package server

import (
	"context"

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
	stores, err := s.storesFor(req)
	if err != nil {
		return nil, toStatus(err)
	}
	resp, byStore := &bepb.CreateReplicasResponse{}, map[*tablet.Store][]tablet.Meta{}
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
			return nil, toStatus(err)
		}
	}
	return resp, nil
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

// DropReplicas drops replicas by tablet and replica id, so that a newer replica of the same tablet survives a late call.
func (s *Server) DropReplicas(_ context.Context, req *bepb.DropReplicasRequest) (*bepb.DropReplicasResponse, error) {
	byStore := map[*tablet.Store][]tablet.Dropping{}
	for _, it := range req.Items {
		if store, ok := s.Host.Store(types.TabletID(it.TabletId)); ok {
			byStore[store] = append(byStore[store], tablet.Dropping{Tablet: types.TabletID(it.TabletId), Replica: types.ReplicaID(it.ReplicaId)})
		}
	}
	for store, list := range byStore {
		gone, err := store.DropAll(list)
		for _, t := range gone {
			s.Writer.Dropped(t)
		}
		if err != nil {
			return nil, toStatus(err)
		}
	}
	return &bepb.DropReplicasResponse{}, nil
}
