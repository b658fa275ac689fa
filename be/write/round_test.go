package write

import (
	"context"
	"slices"
	"testing"
	"time"

	"stele/proto/bepb"
)

// roundOf is a round of one part that is durable here, and whose requests nobody sends.
func roundOf(w *Writer, need uint32, others ...*bepb.ReplicaAddress) (*round, *error) {
	p := &part{req: &bepb.WriteRequest_Part{TabletId: 5, ReplicaId: 1, Need: need, Others: others}, resp: &bepb.WriteResponse_Part{}, payload: make([]byte, 10)}
	ended := errNoAnswer
	d := &round{w: w, parts: []*part{p}, here: 1, done: func(err error) { ended = err }}
	d.requests = fanOut(7, d.parts)
	d.missing = len(d.requests)
	w.rounds.add(d)
	d.stored(p, nil, nil)
	return d, &ended
}

func (d *round) answer(address string) {
	for _, r := range d.requests {
		if r.address == address {
			d.heard(r, peerAnswer{resp: &bepb.ReplicateResponse{Errors: make([]string, len(r.req.Parts))}})
		}
	}
}

// TestPassedOver: a slow way is not waited for once the commit has what it asks for without it, and not before: a refused commit costs
// more than any answer.
func TestPassedOver(t *testing.T) {
	slow := &bepb.ReplicaAddress{ReplicaId: 2, BeId: 2, Address: "slow", DiskId: 1}
	second := func(change func(*bepb.ReplicaAddress)) *bepb.ReplicaAddress {
		o := &bepb.ReplicaAddress{ReplicaId: 3, BeId: 3, Address: "well", DiskId: 1}
		change(o)
		return o
	}
	for _, c := range []struct {
		name   string
		need   uint32
		change func(*bepb.ReplicaAddress)
		passed bool
	}{
		{"two of three", 2, func(*bepb.ReplicaAddress) {}, true},
		{"nobody has said how many", 0, func(*bepb.ReplicaAddress) {}, true},
		{"one is enough, but more can be had", 1, func(*bepb.ReplicaAddress) {}, true},
		{"all are wanted", 3, func(*bepb.ReplicaAddress) {}, false},
		{"a learner does not count", 2, func(o *bepb.ReplicaAddress) { o.Learner = true }, false},
		{"one that lags does not count", 2, func(o *bepb.ReplicaAddress) { o.Lags = true }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := &Writer{ctx: context.Background()}
			w.stragglers.late(2, "slow", slices.Values([]way{{"slow", 1, false}}), time.Now())
			d, ended := roundOf(w, c.need, slow, second(c.change))
			d.answer("well")
			if passed := *ended == nil; passed != c.passed {
				t.Fatalf("the slow replica is passed over: %v", passed)
			}
			d.answer("slow")
			if *ended != nil || !d.over {
				t.Fatal("the write has not ended")
			}
			if w.stragglers.some.Load() {
				t.Error("a way that has answered at once is still slow")
			}
		})
	}
}

// TestOwed: only what has been passed over counts as owed, so a lot that is under way to BEs that are well does not keep anything from one
// that was slow once.
func TestOwed(t *testing.T) {
	w := &Writer{ctx: context.Background()}
	w.stragglers.late(2, "slow", slices.Values([]way{{"slow", 1, false}}), time.Now())
	d, _ := roundOf(w, 2, &bepb.ReplicaAddress{ReplicaId: 2, Address: "slow", DiskId: 1}, &bepb.ReplicaAddress{ReplicaId: 3, Address: "well", DiskId: 1})
	if n := w.owed.Load(); n != 0 {
		t.Fatalf("%d bytes are owed while the write goes on", n)
	}
	d.answer("well")
	if n := w.owed.Load(); n != 10 {
		t.Fatalf("%d bytes are owed", n)
	}
	d.answer("slow")
	if n := w.owed.Load(); n != 0 {
		t.Fatalf("%d bytes are still owed", n)
	}
}
