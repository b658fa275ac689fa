package dist

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"stele/meta/catalog"
	"stele/meta/types"
	"stele/proto/bepb"
	"stele/sql/vec"
)

// ErrNoRowAnswer says that Row found no replica that could answer at once; Scan knows how to wait for one.
var ErrNoRowAnswer = errors.New("no replica answered")

// Row reads one row by its key at the version of the snapshot, without the machinery of a scan: one call to one replica.
// It returns nil when there is no such row. An error says nothing about the row: ask by Scan. The fragment is encoded,
// without keys, and yields columns as they are stored.
func (s *Scanner) Row(ctx context.Context, snapshot *catalog.Catalog, id types.TabletID, fragment, key []byte) (*vec.Batch, error) {
	tab, ok := snapshot.Tablet(id)
	if !ok {
		return nil, fmt.Errorf("tablet %d is not in the snapshot", id)
	}
	rep := s.server(tab)
	if rep == nil {
		return nil, ErrNoRowAnswer
	}
	var row *vec.Batch
	req := &bepb.GetRequest{Fragment: fragment, Keys: [][]byte{key}, TabletId: uint64(id), ReplicaId: uint64(rep.ID), Version: uint64(tab.Version),
		MemLimitBytes: s.settings().MemLimit}
	done, err := s.clients.Get(ctx, s.live.Address(rep.BE), req, func(b []byte) (err error) {
		row, err = vec.Decode(b)
		return err
	})
	if err != nil {
		return nil, err
	}
	if !done {
		return nil, ErrNoRowAnswer
	}
	return row, nil
}

// server picks any live replica that is up to date, nil = none.
func (s *Scanner) server(tab *catalog.Tablet) *catalog.Replica {
	n := len(tab.Replicas)
	if n == 0 {
		return nil
	}
	first := 0
	if n > 1 {
		first = rand.IntN(n)
	}
	for i := range n {
		r := &tab.Replicas[(first+i)%n]
		if r.Role == types.RoleLearner || r.Bad || !s.live.Alive(r.BE) || r.LastFailed != 0 && r.Version < tab.Version {
			continue
		}
		return r
	}
	return nil
}
