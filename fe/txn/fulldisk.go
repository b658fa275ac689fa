package txn

import (
	"errors"

	"stele/meta/catalog"
	"stele/meta/types"
	"stele/proto/bepb"
)

// full is a write that the leader of a tablet turned down because its disk refuses writes. Where another replica could take the tablet over it
// is to be tried again: the heartbeat that is asked for tells the leading FE of the disk, and that moves the leader. Where none can the user has
// to hear of it, and so does one whose BE is of an older version, which does not name the tablet as a rule and whose disks nobody hears of.
func (t *Txn) full(r *Refusal) error {
	tab, ok := t.c.log.Current().Tablet(r.Tablet)
	sh := t.shares.get(r.Tablet)
	if !ok || sh == nil || !t.c.settings().Failover || !t.c.takenOver(tab, sh.leader) {
		return r
	}
	t.c.live.Probe(sh.leader)
	return &RetryError{Err: r, Tablet: r.Tablet, Epoch: sh.epoch}
}

// takenOver reports whether another BE than one could lead a tablet and take writes, as far as is known.
func (c *Coordinator) takenOver(tab *catalog.Tablet, from types.BEID) bool {
	for i := range tab.Replicas {
		if r := &tab.Replicas[i]; r.BE != from && r.Complete() && c.live.Alive(r.BE) && c.live.Writes(r.BE, r.Disk) {
			return true
		}
	}
	return false
}

// IsFull reports whether a write failed because the disk of a leader refuses writes.
func IsFull(err error) bool {
	var refusal *Refusal
	return errors.As(err, &refusal) && refusal.Code == bepb.WriteResponse_DISK_FULL
}
