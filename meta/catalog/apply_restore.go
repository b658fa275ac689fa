package catalog

import (
	"fmt"
	"slices"
	"strings"

	"stele/meta/command"
	"stele/meta/types"
)

// What a restore passes over: a cluster may have drawn so many numbers since its backup was made. Using one again would
// name two things alike. Hidden row ids and epochs are wide and cost nothing; AUTO_INCREMENT values are seen by users.
// Columns and schemas count what was altered: BEs keep values by the id of their column, and obey the highest schema that they have heard of.
const (
	restoredIDs     = 1 << 24
	restoredTxns    = 1 << 40
	restoredEpochs  = 1 << 20
	restoredRows    = 1 << 40
	restoredAutoInc = 1 << 16
	restoredColumns = 1 << 16
	restoredSchemas = 1 << 16
)

// Restore says that the catalog comes from a backup, or is an older copy of itself, and does not know yet what its BEs hold.
type Restore struct {
	SinceMs int64        `cbor:"1,keyasint"`
	Waiting []types.BEID `cbor:"2,keyasint"` // BEs that have not told what they hold
}

// ErrRestoring refuses a commit while a restored catalog does not know what the BEs hold: a version given now might
// exist there with other rows.
type ErrRestoring struct {
	Waiting []types.BEID `cbor:"1,keyasint"`
}

func (e *ErrRestoring) Error() string {
	names := make([]string, len(e.Waiting))
	for i, be := range e.Waiting {
		names[i] = fmt.Sprint(be)
	}
	return fmt.Sprintf("the metadata comes from a backup or an older copy, and nothing can be written before these backends have told "+
		"what they hold: %s (start them, or go on without what only they have: ADMIN END METADATA RESTORE)", strings.Join(names, ", "))
}

// Restoring returns the state of a restored catalog, nil when everything is known.
func (c *Catalog) Restoring() *Restore { return c.restore }

// PassedOver counts how often all numbers that may be in use were passed over. Who has drawn some before may not use what is left of them.
func (c *Catalog) PassedOver() uint64 { return c.passed }

func (d *draft) applyRestore(cmd command.Command) (any, error, bool) {
	switch c := cmd.(type) {
	case *command.RestoreMetadata:
		return nil, d.restoreMetadata(c), true
	case *command.AdoptReplicas:
		return nil, d.adoptReplicas(c), true
	case *command.RestoreInPlace:
		return nil, d.restoreInPlace(c), true
	case *command.EndRestore:
		return nil, d.endRestore(), true
	}
	return nil, nil, false
}

func (d *draft) restoreMetadata(c *command.RestoreMetadata) error {
	old, ok := d.fes.get(c.KeepFE)
	if !ok {
		return notFound("fe", c.KeepFE)
	}
	kept := *old
	kept.Pending, kept.Observer = false, false // it is alone and has to vote
	if c.Host != "" {
		kept.Host, kept.RaftPort = c.Host, c.RaftPort
	}
	d.fes = d.fes.set(d.o, kept.ID, &kept)
	for id := range d.fes.all() {
		if id != c.KeepFE {
			d.fes = d.fes.del(d.o, id)
		}
	}
	d.beginRestore(c.TimeMs)
	return nil
}

// beginRestore passes over what may be in use, and has nothing committed before all BEs have told what they hold.
func (d *draft) beginRestore(timeMs int64) {
	d.passOver(timeMs)
	r := &Restore{SinceMs: timeMs}
	for id := range d.bes.all() {
		r.Waiting = append(r.Waiting, id)
	}
	if len(r.Waiting) > 0 {
		d.restore = r
	}
}

// restoreInPlace takes the word of a BE that the catalog knows: nobody else gives versions and ids.
func (d *draft) restoreInPlace(c *command.RestoreInPlace) error {
	if d.restore != nil {
		return refused("the metadata is being restored already")
	}
	if !d.Outrun(&c.Proof) {
		return refused("replica %d of tablet %d on backend %d has nothing that is newer than the metadata", c.Proof.Replica, c.Proof.Tablet, c.Proof.BE)
	}
	d.beginRestore(c.TimeMs)
	return nil
}

// Outrun reports whether a replica is newer than the catalog, which then is an older one than that which made it so: it has an id that was not
// drawn, or counts as sound and has versions that were not given.
func (c *Catalog) Outrun(item *command.ReplicaReport) bool {
	if uint64(item.Tablet) >= c.nextID || uint64(item.Replica) >= c.nextID {
		_, member := c.BE(item.BE)
		return member
	}
	t, ok := c.tablets.get(item.Tablet)
	if !ok {
		return false
	}
	r := t.Replica(item.BE)
	return r != nil && r.ID == item.Replica && !r.Bad && !item.Bad && item.Version > t.Version
}

// endRestore goes on without the BEs that are still waited for. Where they are enough to have taken a version between them they may have
// versions that will be given once more, with other rows: there what is on them counts as bad, if the tablet has another copy. If it
// has none nothing can be committed before one of them is back, and then what it has is proof of an older catalog (Outrun).
func (d *draft) endRestore() error {
	if d.restore == nil {
		return refused("the metadata is not being restored: nothing to end")
	}
	renounced := d.restore.Waiting
	d.restore = nil
	for _, be := range renounced {
		var forked []*Tablet
		for t := range d.TabletsOn(be) {
			if d.mayFork(t, renounced) {
				forked = append(forked, cloneTablet(t))
			}
		}
		for _, t := range forked {
			t.Replica(be).Bad = true
			depose(t)
			d.putTablet(t)
		}
	}
	return nil
}

// mayFork reports whether some BEs are enough to have taken a version of a tablet that no other has, and another replica is complete.
func (d *draft) mayFork(t *Tablet, bes []types.BEID) bool {
	table, ok := d.tables.get(t.Table)
	if !ok {
		return false
	}
	on, others := 0, false
	for i := range t.Replicas {
		switch r := &t.Replicas[i]; {
		case !r.Votes():
		case slices.Contains(bes, r.BE):
			on++
		case r.Complete():
			others = true
		}
	}
	return others && on >= table.Quorum.Need(t.Voters())
}

// passOver leaves out every number that may be in use.
func (d *draft) passOver(timeMs int64) {
	d.passed++
	d.nextID += restoredIDs
	d.txns.draw(restoredTxns, timeMs)
	for id, n := range d.counters.all() {
		n.Row, n.Auto = min(n.Row+restoredRows, maxCounter), min(n.Auto+restoredAutoInc, maxCounter)
		d.counters = d.counters.set(d.o, id, n)
	}
	for id, old := range d.tables.all() {
		t := *old
		t.LastColumn = t.HighestColumn() + restoredColumns
		t.Schema.Version += restoredSchemas
		d.tables = d.tables.set(d.o, id, &t)
	}
	for id, old := range d.tablets.all() {
		t := *old
		t.Epoch += restoredEpochs
		d.tablets = d.tablets.set(d.o, id, &t)
	}
}

// adoptReplicas believes a BE: the versions that it holds were committed, by a catalog that knew more.
func (d *draft) adoptReplicas(c *command.AdoptReplicas) error {
	if d.restore == nil || !slices.Contains(d.restore.Waiting, c.BE) {
		return refused("backend %d has told what it holds", c.BE)
	}
	for i := range c.Items {
		item := &c.Items[i]
		if old, ok := d.tablets.get(item.Tablet); ok && !item.Bad {
			t := cloneTablet(old)
			adopt(t, c.BE, item, c.TimeMs)
			depose(t)
			d.putTablet(t)
		}
	}
	if !c.Last {
		return nil
	}
	rest := &Restore{SinceMs: d.restore.SinceMs}
	for _, be := range d.restore.Waiting {
		if be != c.BE {
			rest.Waiting = append(rest.Waiting, be)
		}
	}
	d.restore = rest
	if len(rest.Waiting) == 0 {
		d.restore = nil
	}
	return nil
}

// adopt takes one replica in. One that is below the tablet's version is left to the reports that follow: its rows may
// only wait for their outcome, and to call it lagging now would have it drop them.
func adopt(t *Tablet, be types.BEID, item *command.ReplicaReport, timeMs int64) {
	r := t.Replica(be)
	if r == nil {
		t.Replicas = append(t.Replicas, Replica{ID: item.Replica, BE: be, Disk: item.Disk, LastFailed: t.Version, LastFailedMs: timeMs})
		r = &t.Replicas[len(t.Replicas)-1]
		t.Epoch++ // C6
	}
	r.ID, r.Disk = item.Replica, item.Disk
	if item.Version > t.Version {
		t.Version = item.Version
		for i := range t.Replicas {
			if other := &t.Replicas[i]; other != r {
				other.LastFailed, other.LastFailedMs = t.Version, timeMs // until it has told that it has it too
			}
		}
		r.LastFailed = t.Version
	}
	raise(t, r, item.Version)
	r.Settled = max(r.Settled, item.Version)
}
