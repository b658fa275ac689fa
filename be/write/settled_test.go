package write

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"time"

	"stele/meta/rpc"
	"stele/proto/bepb"
)

// settling is a BE of which an Abort of settleTxn waits for a replica, as a locking read does.
type settling struct {
	bepb.UnimplementedBackendServer
	r      *replica
	begins chan struct{}
}

const settleTxn = 7

func (s *settling) Abort(ctx context.Context, req *bepb.AbortRequest) (*bepb.AbortResponse, error) {
	if req.TxnId == settleTxn {
		close(s.begins)
		s.r.settled(ctx)
	}
	return &bepb.AbortResponse{}, nil
}

// TestSettledHoldsUpNobody: while a transaction is being published for long, who waits for it to let go of its locks does not keep the calls
// behind it on the same connection, which may be of other tablets, and does so no longer than that.
func TestSettledHoldsUpNobody(t *testing.T) {
	leader := newPair(t).members[0]
	s := &settling{r: leader.w.replica(leader.tablet()), begins: make(chan struct{})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := rpc.ServerConfig{Cluster: rpc.NewCluster("c1"), Log: slog.New(slog.DiscardHandler)}
	g, p := rpc.NewServer(cfg), rpc.NewPipeServer(cfg)
	const abort = bepb.Backend_Abort_FullMethodName
	p.Brief(abort)
	bepb.RegisterBackendServer(p, s)
	bepb.RegisterBackendServer(g, s)
	served := make(chan error, 1)
	others := p.Listen(l)
	go func() { served <- g.Serve(others) }()
	c, err := rpc.DialPiped(l.Addr().String(), rpc.DialConfig{Cluster: rpc.NewCluster("c1"), Timeout: time.Minute}, abort)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		rpc.Stop(g, time.Second)
		p.Stop(time.Second)
		<-served
	})
	if _, err := bepb.NewBackendClient(c).Abort(t.Context(), &bepb.AbortRequest{}); err != nil {
		t.Fatal(err)
	}
	start := func(txn uint64) chan error {
		told := make(chan error, 1)
		c.Start(abort, &bepb.AbortRequest{TxnId: txn}, &bepb.AbortResponse{}, time.Minute, func(err error) { told <- err })
		return told
	}
	s.r.letting.RLock()
	settled := start(settleTxn)
	<-s.begins
	if err := <-start(settleTxn + 1); err != nil {
		t.Errorf("a call behind: %v", err)
	}
	s.r.letting.RUnlock()
	if err := <-settled; err != nil {
		t.Error(err)
	}
}
