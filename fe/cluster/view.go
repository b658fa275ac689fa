package cluster

import (
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"time"

	"github.com/fxamacker/cbor/v2"

	"stele/fe/beclient"
	"stele/meta/types"
)

// What the leading FE knows of its BEs goes to the other FEs as a view: they route statements by it, and the one that
// leads next starts from it, so that no BE counts as dead before it had the chance to answer.

// viewBE is a BE in a view. The keys travel between versions: append, never renumber.
type viewBE struct {
	ID        types.BEID `cbor:"1,keyasint"`
	Address   string     `cbor:"2,keyasint"`
	Alive     bool       `cbor:"3,keyasint,omitempty"`
	Stopping  bool       `cbor:"4,keyasint,omitempty"`
	StartedMs int64      `cbor:"5,keyasint,omitempty"`
	MissedMs  int64      `cbor:"6,keyasint,omitempty"` // since when it is dead
	HTTPPort  int        `cbor:"7,keyasint,omitempty"`
	Version   string     `cbor:"8,keyasint,omitempty"`
	Disks     []viewDisk `cbor:"9,keyasint,omitempty"`
}

type viewDisk struct {
	ID        types.DiskID    `cbor:"1,keyasint"`
	Medium    types.Medium    `cbor:"2,keyasint,omitempty"`
	State     types.DiskState `cbor:"3,keyasint,omitempty"`
	Total     int64           `cbor:"4,keyasint,omitempty"`
	Available int64           `cbor:"5,keyasint,omitempty"` // rounded: a view is not sent again for a few bytes
	Path      string          `cbor:"6,keyasint,omitempty"`
	Refuses   bool            `cbor:"7,keyasint,omitempty"` // writes
}

// viewGrain is what free space is rounded to in a view.
const viewGrain = 64 << 20

// View returns the present view and a number that tells it from others.
func (c *Cluster) View() (version uint64, encoded []byte, err error) {
	c.mu.RLock()
	view := make([]viewBE, 0, len(c.bes))
	for _, id := range slices.Sorted(maps.Keys(c.bes)) {
		view = append(view, toView(&c.bes[id].BE))
	}
	c.mu.RUnlock()
	if encoded, err = cbor.Marshal(view); err != nil {
		return 0, nil, fmt.Errorf("encode the view of the bes: %w", err)
	}
	h := fnv.New64a()
	_, _ = h.Write(encoded) // never fails
	return max(h.Sum64(), 1), encoded, nil
}

func toView(b *BE) viewBE {
	v := viewBE{ID: b.ID, Address: b.Address, Alive: b.Alive, Stopping: b.Stopping, HTTPPort: b.HTTPPort, Version: b.Version}
	if !b.LastStart.IsZero() {
		v.StartedMs = b.LastStart.UnixMilli()
	}
	if !b.FirstMiss.IsZero() && !b.Alive {
		v.MissedMs = b.FirstMiss.UnixMilli()
	}
	for _, d := range b.Disks {
		v.Disks = append(v.Disks, viewDisk{ID: d.ID, Medium: d.Medium, State: d.State, Total: d.Total,
			Available: d.Available / viewGrain * viewGrain, Path: d.Path, Refuses: d.Refuses})
	}
	return v
}

// Mirror takes over the view of the leading FE. An FE that leads knows better and ignores it.
func (c *Cluster) Mirror(encoded []byte) error {
	var view []viewBE
	if err := cbor.Unmarshal(encoded, &view); err != nil {
		return fmt.Errorf("decode the view of the bes: %w", err)
	}
	mirror := make(map[types.BEID]BE, len(view))
	for i := range view {
		b := fromView(&view[i])
		mirror[b.ID] = b
	}
	var dead []string
	defer func() { c.drop(dead) }() // calls under way to a BE that hangs fail now and are tried elsewhere
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running {
		return nil
	}
	for id, was := range c.mirror {
		if was.Alive && !mirror[id].Alive {
			dead = append(dead, was.Address)
		}
	}
	c.mirror = mirror
	return nil
}

// drop closes connections. Whoever has a call on one is told within it, and may ask this Cluster: mu must not be held.
func (c *Cluster) drop(addresses []string) {
	for _, a := range addresses {
		c.clients.Drop(a)
	}
}

func fromView(v *viewBE) BE {
	b := BE{ID: v.ID, Address: v.Address, Alive: v.Alive, Seen: v.StartedMs != 0, Stopping: v.Stopping, HTTPPort: v.HTTPPort, Version: v.Version}
	if v.StartedMs != 0 {
		b.LastStart = time.UnixMilli(v.StartedMs)
	}
	if v.MissedMs != 0 {
		b.FirstMiss = time.UnixMilli(v.MissedMs)
		if now := time.Now(); b.FirstMiss.After(now) { // by a clock that is ahead of this one
			b.FirstMiss = now
		}
	}
	for _, d := range v.Disks {
		b.Disks = append(b.Disks, Disk{ID: d.ID, Path: d.Path, Medium: d.Medium, State: d.State, Total: d.Total, Available: d.Available,
			Refuses: d.Refuses})
	}
	return b
}

// start makes this FE the one that watches; what its predecessor knew is where it starts from.
func (c *Cluster) start() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running = true
}

// getLocked returns what is known of a BE: by this FE's heartbeats or, when it does not lead, by the leader's.
func (c *Cluster) getLocked(id types.BEID) (BE, bool) {
	if m := c.bes[id]; m != nil {
		return m.BE, true
	}
	if c.running {
		return BE{}, false
	}
	if b, ok := c.mirror[id]; ok {
		return b, true
	}
	if be, ok := c.current().BE(id); ok { // too new for the view
		return BE{ID: id, Address: beclient.Address(be.Host, be.Port)}, true
	}
	return BE{}, false
}
