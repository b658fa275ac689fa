package rpc

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"stele/proto/bepb"
)

// ledger leads writes and keeps what it was asked and what it has answered. Transaction 2 fails, and 3 is answered behind its handler.
type ledger struct {
	bepb.UnimplementedBackendServer
	asked     *bepb.WriteRequest
	answered  *bepb.WriteResponse
	published []*bepb.PublishRequest_Item
}

func (k *ledger) Write(ctx context.Context, req *bepb.WriteRequest) (*bepb.WriteResponse, error) {
	k.asked = req
	k.answered = &bepb.WriteResponse{Published: uint32(req.TxnId), Parts: []*bepb.WriteResponse_Part{{Redo: []byte("redo")}}}
	switch req.TxnId {
	case 2:
		return nil, status.Error(codes.DataLoss, "it is lost")
	case 3:
		answer, ok := Later(ctx)
		if !ok {
			return nil, errors.New("it cannot be answered later")
		}
		go answer(k.answered, nil)
		return nil, nil
	}
	return k.answered, nil
}

func (k *ledger) Publish(_ context.Context, req *bepb.PublishRequest) (*bepb.PublishResponse, error) {
	k.published = req.Items
	return &bepb.PublishResponse{Versions: []uint64{7}}, nil
}

func serveLedger(t *testing.T) (*ledger, *Conn) {
	t.Helper()
	l := listenFor(t, "127.0.0.1:0")
	k := &ledger{}
	cfg := ServerConfig{Cluster: NewCluster("c1"), Log: slog.New(slog.DiscardHandler)}
	g, p := NewServer(cfg), NewPipeServer(cfg)
	p.Brief(bepb.Backend_Write_FullMethodName, bepb.Backend_Publish_FullMethodName)
	bepb.RegisterBackendServer(p, k)
	bepb.RegisterBackendServer(g, k)
	served := make(chan error, 1)
	others := p.Listen(l)
	go func() { served <- g.Serve(others) }()
	t.Cleanup(func() {
		Stop(g, time.Second)
		p.Stop(time.Second)
		if err := <-served; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			t.Errorf("serve: %v", err)
		}
	})
	c, err := DialPiped(l.Addr().String(), DialConfig{Cluster: NewCluster("c1"), Timeout: time.Minute},
		bepb.Backend_Write_FullMethodName, bepb.Backend_Publish_FullMethodName)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return k, c
}

// TestInsideHandsOver: within a process small statements are handed over, and all else is encoded.
func TestInsideHandsOver(t *testing.T) {
	k, c := serveLedger(t)
	write := func(req *bepb.WriteRequest) (*bepb.WriteResponse, error) {
		resp := &bepb.WriteResponse{}
		return resp, c.Invoke(t.Context(), bepb.Backend_Write_FullMethodName, req, resp)
	}
	for _, txn := range []uint64{1, 3, 1} {
		req := &bepb.WriteRequest{TxnId: txn, Parts: []*bepb.WriteRequest_Part{{TabletId: 5, Rows: []byte("rows")}}}
		resp, err := write(req)
		switch {
		case err != nil || !isInside(c) || uint64(resp.Published) != txn || string(resp.Parts[0].Redo) != "redo":
			t.Fatal(resp, err, isInside(c))
		case k.asked == req || k.answered == resp:
			t.Errorf("txn %d: the messages themselves are shared", txn)
		case k.asked.Parts[0] != req.Parts[0] || k.answered.Parts[0] != resp.Parts[0]:
			t.Errorf("txn %d: the parts were encoded", txn)
		}
	}
	groups := &bepb.WriteRequest{TxnId: 1, Parts: []*bepb.WriteRequest_Part{{Grouped: true, Rows: []byte("rows")}}}
	if _, err := write(groups); err != nil || k.asked.Parts[0] == groups.Parts[0] || string(k.asked.Parts[0].Rows) != "rows" {
		t.Errorf("row groups: %v, %v", k.asked, err)
	}
	if _, err := write(&bepb.WriteRequest{TxnId: 2}); status.Code(err) != codes.DataLoss {
		t.Errorf("refused with %v", err)
	}
	items := []*bepb.PublishRequest_Item{{TabletId: 5, Version: 7}}
	told := make(chan error)
	resp := &bepb.PublishResponse{}
	c.Start(bepb.Backend_Publish_FullMethodName, &bepb.PublishRequest{Items: items}, resp, time.Minute, func(err error) { told <- err })
	if err := <-told; err != nil || len(resp.Versions) != 1 || k.published[0] != items[0] {
		t.Errorf("published %v: %v, %v", k.published, resp, err)
	}
}

// TestInsideAllocations bounds what a call allocates beside its messages, which the handler makes three of here.
func TestInsideAllocations(t *testing.T) {
	_, c := serveLedger(t)
	req, resp := &bepb.WriteRequest{TxnId: 1, Parts: []*bepb.WriteRequest_Part{{TabletId: 5, Rows: make([]byte, 100)}}}, &bepb.WriteResponse{}
	failed := error(nil)
	n := testing.AllocsPerRun(1000, func() {
		if err := c.Invoke(t.Context(), bepb.Backend_Write_FullMethodName, req, resp); err != nil {
			failed = err
		}
	})
	if failed != nil || n > 9 {
		t.Errorf("%.0f allocations, %v", n, failed)
	}
	t.Logf("%.0f allocations a call", n)
}
