package server_test

import (
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"stele/be/peer"
	"stele/meta/rpc"
	"stele/meta/types"
	"stele/proto/bepb"
	"stele/sql/physical"
	"stele/sql/vec"
)

// TestOtherReplica: a disk that came back with an old copy has a replica that the catalog does not mean, with versions that were given up. Nobody
// who names the one that is meant hears of them, whatever he asks.
func TestOtherReplica(t *testing.T) {
	at, _ := serve(t)
	ctx := t.Context()
	conn, err := rpc.Dial(at, rpc.DialConfig{Cluster: rpc.NewCluster("one")})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	be := bepb.NewBackendClient(conn)
	peers := peer.New(rpc.NewCluster("one"))
	defer peers.Close()
	row := &vec.Batch{N: 1, Cols: []*vec.Vector{{Type: schema().Columns[0].Type, N: 1, I64: []int64{1}}}}
	if w, err := be.Write(ctx, &bepb.WriteRequest{TxnId: 9, Parts: []*bepb.WriteRequest_Part{{TabletId: 5, Epoch: 1, MinVersion: 1, ReplicaId: 50,
		Ops: []byte{byte(types.OpInsert)}, Rows: vec.Encode(nil, row)}}}); err != nil || w.Refusal != 0 {
		t.Fatalf("%v %v", w, err)
	}
	if p, err := be.Publish(ctx, &bepb.PublishRequest{Items: []*bepb.PublishRequest_Item{{TabletId: 5, TxnId: 9, Version: 2}}}); err != nil || p.Versions[0] != 2 {
		t.Fatalf("%v %v", p, err)
	}
	fragment, err := physical.EncodeFragment(&physical.Fragment{Schema: schema(), Columns: []types.ColumnID{1}})
	if err != nil {
		t.Fatal(err)
	}
	keys := vec.EncodeKeys(row, []int{0})
	scan := func(replica uint64) *bepb.ScanRequest {
		return &bepb.ScanRequest{Fragment: fragment, MemLimitBytes: 1 << 20, Tablets: []*bepb.ScanRequest_Tablet{{TabletId: 5, Version: 2, ReplicaId: replica}}}
	}
	for name, ask := range map[string]func(replica uint64) error{
		"a row by its key": func(replica uint64) error {
			_, err := be.Get(ctx, &bepb.GetRequest{Fragment: fragment, Keys: keys, TabletId: 5, Version: 2, ReplicaId: replica})
			return err
		},
		"rows by their keys": func(replica uint64) error {
			_, err := be.Get(ctx, &bepb.GetRequest{Fragment: fragment, Keys: append(keys, keys...), TabletId: 5, Version: 2, ReplicaId: replica, MemLimitBytes: 1 << 20})
			return err
		},
		"few rows": func(replica uint64) error {
			_, err := be.Fetch(ctx, scan(replica))
			return err
		},
		"a scan": func(replica uint64) error {
			stream, err := be.Scan(ctx, scan(replica))
			if err == nil {
				_, err = stream.Recv()
			}
			return err
		},
		"its digest": func(replica uint64) error {
			_, err := be.Digest(ctx, &bepb.DigestRequest{TabletId: 5, Version: 2, ReplicaId: replica})
			return err
		},
		"its changes": func(replica uint64) error {
			return peers.FetchChanges(ctx, at, &bepb.FetchChangesRequest{TabletId: 5, From: 1, ReplicaId: replica}, func(*bepb.FetchChangesResponse) error { return nil })
		},
		"all of it": func(replica uint64) error {
			return peers.FetchSnapshot(ctx, at, &bepb.FetchSnapshotRequest{TabletId: 5, MinVersion: 2, ReplicaId: replica}, func(*bepb.FetchSnapshotResponse) error { return nil })
		},
	} {
		for replica, want := range map[uint64]codes.Code{50: codes.OK, 51: codes.FailedPrecondition, 0: codes.OK} {
			if err := ask(replica); status.Code(err) != want {
				t.Errorf("%s, of replica %d: %v", name, replica, err)
			}
		}
	}
}
