package host

import (
	"context"
	"time"

	"stele/be/tablet"
	"stele/meta/types"
)

// ReplicaOf names a replica of a tablet.
type ReplicaOf struct {
	Tablet  types.TabletID
	Replica types.ReplicaID
}

// hardenWait is how long a disk may take to write what is queued; one that takes longer holds up no other.
const hardenWait = 2 * time.Second

// hardened is what one disk has, once it has written what was queued for it.
type hardened struct {
	at       []int // in the order of the call
	versions []types.Version
	err      error
}

// Harden waits until all that was published before the call is on disk, and returns up to which version each replica has
// everything there: 0 where there is no such replica, it is bad, or its disk is not, or not soon, written.
func (h *Host) Harden(ctx context.Context, replicas []ReplicaOf) []types.Version {
	byDisk := make(map[*tablet.Store]*hardened)
	for i, r := range replicas {
		store, ok := h.Store(r.Tablet)
		if !ok {
			continue
		}
		if byDisk[store] == nil {
			byDisk[store] = &hardened{}
		}
		disk := byDisk[store]
		disk.at = append(disk.at, i)
		disk.versions = append(disk.versions, queuedVersion(store, r)) // before the wait: what comes meanwhile may be missed by it
	}
	ended := make(chan *hardened, len(byDisk))
	for store, disk := range byDisk {
		store.Barrier(func(err error) {
			disk.err = err
			ended <- disk
		})
	}
	out := make([]types.Version, len(replicas))
	ctx, cancel := context.WithTimeout(ctx, hardenWait)
	defer cancel()
	for range byDisk {
		select {
		case disk := <-ended:
			for i, at := range disk.at {
				if disk.err == nil {
					out[at] = disk.versions[i]
				}
			}
		case <-ctx.Done():
			return out
		}
	}
	return out
}

func queuedVersion(store *tablet.Store, r ReplicaOf) types.Version {
	t, ok := store.Tablet(r.Tablet)
	if !ok || t.Replica() != r.Replica {
		return 0
	}
	v, err := t.Queued()
	if err != nil {
		return 0
	}
	return v
}
