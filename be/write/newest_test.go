package write

import (
	"testing"

	"stele/meta/types"
)

// TestNewestIsTold: a leader answers which versions it or another replica has beyond what the FE knows.
func TestNewestIsTold(t *testing.T) {
	p := newPair(t)
	lead, other := p.members[0], p.members[1]
	for txn := types.TxnID(1); txn <= 3; txn++ {
		if resp := p.write(txn, 0, 1, types.InitialVersion, 0, 1, int64(txn)); resp.Refusal != 0 {
			t.Fatal(resp)
		}
		if txn <= 2 {
			other.publish(types.InitialVersion+types.Version(txn), txn, 1)
		}
	}
	told := func(txn types.TxnID, least, want types.Version, who uint64) {
		t.Helper()
		resp := p.write(txn, 0, 1, least, 0, 1, int64(txn))
		if resp.Refusal != 0 {
			t.Fatal(resp)
		}
		if got := resp.Parts[0]; got.Newest != uint64(want) || got.NewestReplica != who {
			t.Errorf("an FE that knows of %d is told of %d by replica %d, want %d by %d", least, got.Newest, got.NewestReplica, want, who)
		}
	}
	told(4, types.InitialVersion, 3, other.replica)
	told(5, 3, 0, 0)
	lead.publish(2, 1, 1)
	told(6, types.InitialVersion, 3, other.replica)
	lead.publish(3, 2, 1)
	lead.publish(4, 3, 1)
	told(7, 3, 4, lead.replica)
	other.publish(9, 99, 1) // of which it has no rows
	told(8, 3, 4, lead.replica)
}
