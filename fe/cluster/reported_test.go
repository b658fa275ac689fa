package cluster

import (
	"math/rand/v2"
	"testing"

	"stele/meta/types"
	"stele/proto/fepb"
)

// TestReported compares the compact table with a map.
func TestReported(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	p, want := newReported(0), map[types.TabletID]Replica{}
	for range 20_000 {
		id := uint64(1 + rng.IntN(6000))
		r := &fepb.Replica{TabletId: id, DiskId: rng.Uint64(), ReplicaId: rng.Uint64(), Version: rng.Uint64(), Rows: rng.Int64(),
			Bytes: rng.Int64(), VersionCount: uint32(rng.IntN(100)), Rowsets: uint32(rng.IntN(100)), OldestRetained: rng.Uint64(), Bad: rng.IntN(3) == 0}
		if rng.IntN(2) == 0 {
			r.DigestVersion, r.Digest, r.DigestSchema = r.Version-uint64(rng.IntN(3)), rng.Uint64(), 7
		}
		if rng.IntN(10) == 0 {
			r.Reason = "checksum"
		}
		p.put(r)
		want[types.TabletID(id)] = Replica{Disk: types.DiskID(r.DiskId), ID: types.ReplicaID(r.ReplicaId), Version: types.Version(r.Version),
			Rows: r.Rows, Bytes: r.Bytes, VersionCount: int(r.VersionCount), Rowsets: int(r.Rowsets), OldestRetained: types.Version(r.OldestRetained),
			Bad: r.Bad, Reason: r.Reason, Digest: r.Digest, DigestVersion: types.Version(r.DigestVersion), DigestSchema: r.DigestSchema}
	}
	for id := types.TabletID(0); id <= 6001; id++ {
		got, ok := p.get(id)
		if w, there := want[id]; ok != there || got != w {
			t.Fatalf("tablet %d: %+v %v, want %+v", id, got, ok, w)
		}
	}
}
