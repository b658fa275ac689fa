package txn_test

import (
	"context"
	"errors"
	"testing"

	"stele/fe/fakecluster"
	"stele/fe/txn"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
	"stele/proto/bepb"
)

// knows has the leader answer that the last replica of each tablet knows of a version.
func (w *world) knows(v types.Version) {
	w.BEs[0].Set(func(b *fakecluster.BE) {
		b.OnWrite = func(_ context.Context, req *bepb.WriteRequest) (*bepb.WriteResponse, error) {
			resp := fakecluster.Wrote(req)
			for _, p := range resp.Parts {
				p.Newest, p.NewestReplica = uint64(v), p.OkReplicas[len(p.OkReplicas)-1]
			}
			return resp, nil
		}
	})
}

// told ends a restore: every BE says that its replicas are at a version.
func (w *world) told(v types.Version) {
	w.t.Helper()
	for _, b := range w.BEs {
		cmd := &command.AdoptReplicas{BE: b.ID, Last: true, TimeMs: 1}
		for _, id := range w.Tablets {
			r := w.Tablet(w.t, id).Replica(b.ID)
			cmd.Items = append(cmd.Items, command.ReplicaReport{Tablet: id, Replica: r.ID, BE: b.ID, Disk: r.Disk, Version: v})
		}
		w.Log.Must(w.t, cmd)
	}
}

// TestOlderMetadataGivesNoVersion: a replica knows of a version that the catalog has not given. The commit that would give it is refused, and the
// metadata is restored; what was begun before that is not written with numbers that may be in use.
func TestOlderMetadataGivesNoVersion(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t, 3, 2, types.QuorumMajority)
	w.knows(types.InitialVersion + 5)
	begun, before := w.begin(true), w.begin(true)
	w.write(begun, w.Tablets[1], 7)
	x := w.begin(false)
	w.write(x, w.Tablets[0], 1)
	if w.Log.Current().Restoring() != nil {
		t.Fatal("another FE may have committed it meanwhile")
	}
	var older *catalog.ErrOlder
	if err := x.Commit(ctx); !errors.As(err, &older) {
		t.Fatalf("the commit: %v", err)
	}
	var restoring *catalog.ErrRestoring
	if _, err := w.begin(false).Write(ctx, put(w.Tablets[1], 2), lockWait); !errors.As(err, &restoring) {
		t.Fatalf("a write while the metadata is restored: %v", err)
	}
	if v := w.Tablet(t, w.Tablets[0]).Version; v != types.InitialVersion {
		t.Errorf("version %d was given", v)
	}
	w.told(types.InitialVersion + 5)
	for _, old := range []*txn.Txn{begun, before} {
		_, err := old.Write(ctx, put(w.Tablets[0], 3), lockWait)
		if retry := mustRetry(t, err); !retry.Gone {
			t.Errorf("it would be written again with the numbers that it has: %v", err)
		}
	}
	y, row := w.begin(false), put(w.Tablets[0], 4)
	table, _ := w.Log.Current().TableByID(w.Table)
	row[0].Schema = table.Schema.Version
	if _, err := y.Write(ctx, row, lockWait); err != nil {
		t.Fatal(err)
	}
	if err := y.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	if v := w.Tablet(t, w.Tablets[0]).Version; v != types.InitialVersion+6 {
		t.Errorf("version %d was given after the restore", v)
	}
}

// TestNewerVersionOfAnotherFE: a replica that has heard of a commit before this FE has is none that is newer than the metadata.
func TestNewerVersionOfAnotherFE(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t, 3, 1, types.QuorumMajority)
	first, second := w.begin(false), w.begin(false)
	w.write(first, w.Tablets[0], 1)
	w.knows(types.InitialVersion + 1)
	w.write(second, w.Tablets[0], 2)
	for _, x := range []*txn.Txn{first, second} {
		if err := x.Commit(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCommitIsInWhatIsWanted: three of five replicas are there, and a commit that two have is none.
func TestCommitIsInWhatIsWanted(t *testing.T) {
	w := newWorld(t, 3, 1, types.QuorumMajority)
	w.Log.Must(t, &command.AdjustReplicas{Tablet: w.Tablets[0], Extra: 2})
	has := 2
	w.BEs[0].Set(func(b *fakecluster.BE) {
		b.OnWrite = func(_ context.Context, req *bepb.WriteRequest) (*bepb.WriteResponse, error) {
			resp := fakecluster.Wrote(req)
			if p := resp.Parts[0]; req.Parts[0].Need == 3 {
				p.OkReplicas = p.OkReplicas[:has]
			}
			return resp, nil
		}
	})
	for ; has <= 3; has++ {
		x := w.begin(false)
		w.write(x, w.Tablets[0], int64(has))
		var few *catalog.ErrQuorum
		if err := x.Commit(context.Background()); (err == nil) != (has == 3) || err != nil && !errors.As(err, &few) {
			t.Errorf("a commit in %d of five: %v", has, err)
		}
	}
}

// TestSequenceAfterRestore: what is left of a range that an older catalog has given is not handed out.
func TestSequenceAfterRestore(t *testing.T) {
	ctx := context.Background()
	w := fakecluster.New(t, 1, 1, types.QuorumOne)
	s := txn.NewSequence(w.Log, command.CounterRowIDs, w.Table, 1000, 0)
	was, err := s.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	r := w.Tablet(t, w.Tablets[0]).Replicas[0]
	w.Log.Must(t, &command.RestoreInPlace{Proof: command.ReplicaReport{Tablet: w.Tablets[0], Replica: r.ID, BE: r.BE, Version: 100}})
	if next, err := s.Next(ctx); err != nil || next <= was+1000 {
		t.Errorf("%d follows %d over a restore: %v", next, was, err)
	}
}
