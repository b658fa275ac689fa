package server_test

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"time"

	"stele/be/clone"
	"stele/be/host"
	"stele/be/peer"
	"stele/be/scan"
	"stele/be/server"
	"stele/be/tablet"
	"stele/be/write"
	"stele/meta/rpc"
	"stele/meta/types"
	"stele/proto/bepb"
	"stele/sql/vec"
)

func schema() types.Schema {
	return types.Schema{TableID: 1, Version: 1, Key: []types.ColumnID{1}, Columns: []types.Column{
		{ID: 1, Name: "id", Type: types.ColumnType{Kind: types.KindBigInt, NotNull: true}}}}
}

// serve runs a BE with one tablet, and returns its address and its slots.
func serve(t *testing.T) (string, *clone.Slots) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	h := host.New([]host.Root{{Path: t.TempDir()}}, log, func(_ host.Root, c types.ClusterID) tablet.Options {
		return tablet.Options{ClusterID: c, Small: true, NoBackground: true, FloodBytes: 1, FloodPercent: 1}
	})
	if err := h.Join("one", 1); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Disks()[0].Store.Create(tablet.Meta{Tablet: 5, Table: 1, Partition: 1, Replica: 50, Schema: schema(), Epoch: 1}); err != nil {
		t.Fatal(err)
	}
	cluster := rpc.NewCluster("one")
	peers := peer.New(cluster)
	w := write.New(h, peers, write.Options{ReplicateTimeout: time.Second, VersionWait: time.Second}, log)
	slots := clone.NewSlots(1, 1)
	s := server.New(server.Parts{Host: h, Cluster: cluster, Writer: w, Scanner: scan.New(h, w), Slots: slots, Log: log, Pressure: clone.NewPressure(),
		Outgoing: clone.NewOutgoing(h, w, slots, clone.NewThrottle(func() int64 { return 0 }, nil), scan.VersionWait)})
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := rpc.NewServer(rpc.ServerConfig{Cluster: cluster, Log: log})
	bepb.RegisterBackendServer(g, s)
	served := make(chan error, 1)
	go func() { served <- g.Serve(lis) }()
	t.Cleanup(func() {
		g.Stop()
		<-served
		w.Close()
		_ = peers.Close()
		_ = h.Close()
	})
	return lis.Addr().String(), slots
}

func TestRoundTrip(t *testing.T) {
	at, slots := serve(t)
	ctx := context.Background()
	conn, err := rpc.Dial(at, rpc.DialConfig{Cluster: rpc.NewCluster("one")})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	be := bepb.NewBackendClient(conn)
	rows := &vec.Batch{N: 2, Cols: []*vec.Vector{{Type: schema().Columns[0].Type, N: 2, I64: []int64{1, 2}}}}
	w, err := be.Write(ctx, &bepb.WriteRequest{TxnId: 9, Parts: []*bepb.WriteRequest_Part{{TabletId: 5, Epoch: 1, MinVersion: 1, ReplicaId: 50,
		Ops: []byte{byte(types.OpInsert)}, Rows: vec.Encode(nil, rows)}}})
	if err != nil || w.Refusal != 0 || w.Parts[0].Inserted != 2 {
		t.Fatalf("%v %v", w, err)
	}
	p, err := be.Publish(ctx, &bepb.PublishRequest{Items: []*bepb.PublishRequest_Item{{TabletId: 5, TxnId: 9, Version: 2}}})
	if err != nil || p.Versions[0] != 2 {
		t.Fatalf("%v %v", p, err)
	}
	peers := peer.New(rpc.NewCluster("one"))
	defer peers.Close()
	var got []uint64
	fetch := func() error {
		return peers.FetchChanges(ctx, at, &bepb.FetchChangesRequest{TabletId: 5, From: 1}, func(c *bepb.FetchChangesResponse) error {
			for _, change := range c.Changes {
				got = append(got, change.Version)
			}
			return nil
		})
	}
	if err := fetch(); err != nil || len(got) != 1 || got[0] != 2 {
		t.Fatalf("%v %v", got, err)
	}
	last := false
	err = peers.FetchSnapshot(ctx, at, &bepb.FetchSnapshotRequest{TabletId: 5, MinVersion: 2}, func(c *bepb.FetchSnapshotResponse) error {
		last = c.Last && c.Version == 2
		return nil
	})
	if err != nil || !last {
		t.Fatalf("snapshot: %v %v", last, err)
	}
	d, err := be.Digest(ctx, &bepb.DigestRequest{TabletId: 5})
	if err != nil || d.Rows != 2 || slots.Used(types.DiskID(0)) != 0 {
		t.Fatalf("%v %v", d, err)
	}
}

// TestVersionComesWithAWrite: it is visible before the write is looked at, and the answer says so, whether the write is taken or not.
func TestVersionComesWithAWrite(t *testing.T) {
	at, _ := serve(t)
	ctx := t.Context()
	conn, err := rpc.Dial(at, rpc.DialConfig{Cluster: rpc.NewCluster("one")})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	be := bepb.NewBackendClient(conn)
	row := vec.Encode(nil, &vec.Batch{N: 1, Cols: []*vec.Vector{{Type: schema().Columns[0].Type, N: 1, I64: []int64{1}}}})
	insert := func(txn, after uint64, published ...*bepb.PublishRequest_Item) *bepb.WriteResponse {
		resp, err := be.Write(ctx, &bepb.WriteRequest{TxnId: txn, Published: published, Parts: []*bepb.WriteRequest_Part{{TabletId: 5, Epoch: 1,
			MinVersion: after, ReplicaId: 50, Ops: []byte{byte(types.OpInsert)}, Rows: row}}})
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	if w := insert(9, 1); w.Refusal != 0 || w.Published != 1 {
		t.Fatal(w)
	}
	if w := insert(10, 2, &bepb.PublishRequest_Item{TabletId: 5, TxnId: 9, Version: 2}); w.Refusal != bepb.WriteResponse_DUPLICATE_KEY || w.Published != 2 {
		t.Fatal(w)
	}
	m, err := be.Modify(ctx, &bepb.ModifyRequest{TxnId: 11, Part: &bepb.WriteRequest_Part{TabletId: 6}, Published: []*bepb.PublishRequest_Item{{TabletId: 5, TxnId: 9, Version: 2}}})
	if err != nil || m.Published != 2 {
		t.Fatalf("%v, %v", m, err)
	}
}

func TestForeignCallerIsTurnedAway(t *testing.T) {
	at, _ := serve(t)
	peers := peer.New(rpc.NewCluster("two"))
	defer peers.Close()
	done := make(chan error, 1)
	peers.Forward(at, &bepb.ReplicateRequest{}, time.Minute, func(_ *bepb.ReplicateResponse, err error) { done <- err })
	if err := <-done; err == nil {
		t.Fatal("a node of another cluster wrote")
	}
}
