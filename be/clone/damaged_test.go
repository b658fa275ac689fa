package clone_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"stele/be/clone"
	"stele/be/tablet"
	"stele/be/tablet/wire"
	"stele/meta/types"
	"stele/proto/bepb"
	"stele/sql/vec"
)

// oneByOne is a source that sends each change set in a message of its own, one of them damaged.
type oneByOne struct {
	*cluster
	damaged types.Version
}

func (o oneByOne) FetchChanges(ctx context.Context, from string, req *bepb.FetchChangesRequest, each func(*bepb.FetchChangesResponse) error) error {
	return mapped(o.at(from).outgoing.Changes(ctx, req, func(m *bepb.FetchChangesResponse) error {
		for _, c := range m.Changes {
			if types.Version(c.Version) == o.damaged {
				c.Payload[len(c.Payload)/2] ^= 1
			}
			if err := each(&bepb.FetchChangesResponse{Changes: []*bepb.FetchChangesResponse_Change{c}}); err != nil {
				return err
			}
		}
		return nil
	}))
}

// TestDamagedChangeSet: a change set that is damaged on the way fails the clone, however many come behind it; nothing
// from it on is there, and the next clone goes on from where this one has ended.
func TestDamagedChangeSet(t *testing.T) {
	c := newCluster(t, 3)
	from, ok := c.nodes[0].host.Tablet(testTablet)
	if !ok {
		t.Fatal("no tablet")
	}
	schema := testSchema()
	const versions = 20
	for i := range versions {
		b := vec.NewBuilder([]types.ColumnType{schema.Columns[0].Type, schema.Columns[1].Type}, 1)
		b.AppendValues(vec.Int(int64(i%7)), vec.Int(int64(i)))
		payload, err := wire.Encode(&schema, []types.RowOp{types.OpPut}, b.Finish())
		if err != nil {
			t.Fatal(err)
		}
		if err := from.Prepare(t.Context(), types.TxnID(i+1), payload); err != nil {
			t.Fatal(err)
		}
		if err := from.Publish(types.TxnID(i+1), from.Version()+1); err != nil {
			t.Fatal(err)
		}
	}
	n := c.nodes[1]
	to, ok := n.host.Tablet(testTablet)
	if !ok {
		t.Fatal("no replica")
	}
	run := func(id types.TaskID, damaged types.Version) *bepb.CloneStatus {
		ended := make(chan types.TabletID, 1)
		m := clone.NewManager(clone.Options{Host: n.host, Writer: n.writer, Source: oneByOne{c, damaged}, Slots: n.slots,
			Log: slog.New(slog.DiscardHandler), Done: func(id types.TabletID) { ended <- id }})
		defer m.Close()
		m.Submit(clone.Task{ID: id, Tablet: testTablet, Table: 1, Partition: 1, Replica: c.replicas[1].id, Schema: schema, Epoch: 1,
			Source: address(0), SourceBE: 1, MinVersion: from.Version()})
		<-ended
		return m.Statuses(nil)[0]
	}
	const damaged = types.InitialVersion + 9
	if s := run(1, damaged); s.State != bepb.CloneStatus_FAILED || !strings.Contains(s.Reason, tablet.ErrPayload.Error()) {
		t.Fatalf("%v", s)
	}
	if v := to.Version(); v >= damaged {
		t.Fatalf("the replica is at version %d, %d was damaged", v, damaged)
	}
	if s := run(2, 0); s.State != bepb.CloneStatus_DONE || s.Full {
		t.Fatalf("%v", s)
	}
	a, rows, err := from.ScanDigest(t.Context(), from.Version())
	if err != nil {
		t.Fatal(err)
	}
	b, got, err := to.ScanDigest(t.Context(), from.Version())
	if err != nil || a != b || rows != got {
		t.Fatalf("%d rows of digest %x, not %d of %x: %v", got, b, rows, a, err)
	}
}
