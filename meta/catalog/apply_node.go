package catalog

import (
	"cmp"
	"fmt"
	"slices"

	"stele/meta/command"
	"stele/meta/types"
)

func (d *draft) applyNode(cmd command.Command) (any, error, bool) {
	var result any
	var err error
	switch c := cmd.(type) {
	case *command.AddFE:
		result, err = d.addFE(c)
	case *command.DropFE:
		if _, ok := d.fes.get(c.FE); !ok {
			return nil, notFound("fe", c.FE), true
		}
		d.fes = d.fes.del(d.o, c.FE)
	case *command.PlanFE:
		result, err = d.planFE(c)
	case *command.SetFE:
		err = d.setFE(c)
	case *command.SetFEDNode:
		err = d.setFEDNode(c)
	case *command.AddBE:
		result, err = d.addBE(c)
	case *command.DropBE:
		err = d.dropBE(c)
	case *command.SetBEState:
		err = d.changeBE(c.BE, func(b *BE) error { b.Decommission = c.Decommission; return nil })
	case *command.SetDiskState:
		err = d.changeBE(c.BE, func(b *BE) error { return setDiskStates(b, c.Disks) })
	case *command.SetBEAddress:
		err = d.changeBE(c.BE, func(b *BE) error {
			if other, ok := d.BEAt(c.Host, c.Port); ok && other.ID != c.BE {
				return exists("be", fmt.Sprintf("%s:%d", c.Host, c.Port))
			}
			b.Host, b.Port, b.HTTPPort = c.Host, c.Port, c.HTTPPort
			return nil
		})
	default:
		return nil, nil, false
	}
	return result, err, true
}

func (d *draft) initCluster(c *command.InitCluster) (any, error) {
	if d.cluster != "" {
		return nil, exists("cluster", d.cluster)
	}
	if c.ClusterID == "" {
		return nil, refused("a cluster needs an id")
	}
	d.cluster, d.createdMs = c.ClusterID, c.TimeMs
	return d.addFE(&command.AddFE{FE: c.FE, TimeMs: c.TimeMs})
}

func (d *draft) addFE(c *command.AddFE) (any, error) {
	fe := c.FE
	if fe.Name == "" {
		return nil, refused("a frontend needs a name")
	}
	if old, ok := d.FEByName(fe.Name); ok {
		fe.ID, fe.AddedMs = old.ID, old.AddedMs
		d.fes = d.fes.set(d.o, fe.ID, &fe)
		return IDResult{ID: uint64(fe.ID)}, nil
	}
	if fe.ID == 0 {
		fe.ID = feID(d.drawID())
	} else if err := d.drawn("frontend", uint64(fe.ID)); err != nil {
		return nil, err
	} else if _, ok := d.fes.get(fe.ID); ok {
		return nil, exists("fe", fe.ID)
	}
	fe.AddedMs = c.TimeMs
	d.fes = d.fes.set(d.o, fe.ID, &fe)
	return IDResult{ID: uint64(fe.ID)}, nil
}

func (d *draft) addBE(c *command.AddBE) (any, error) {
	be := c.BE
	if be.Host == "" || be.Port <= 0 {
		return nil, refused("a backend needs a host and a port")
	}
	if _, ok := d.BEAt(be.Host, be.Port); ok {
		return nil, exists("be", fmt.Sprintf("%s:%d", be.Host, be.Port))
	}
	if be.ID == 0 {
		be.ID = beID(d.drawID())
	} else if err := d.drawn("backend", uint64(be.ID)); err != nil {
		return nil, err
	} else if _, ok := d.bes.get(be.ID); ok {
		return nil, exists("be", be.ID)
	}
	be.AddedMs = c.TimeMs
	d.bes = d.bes.set(d.o, be.ID, &be)
	return IDResult{ID: uint64(be.ID)}, nil
}

func (d *draft) dropBE(c *command.DropBE) error {
	if _, ok := d.bes.get(c.BE); !ok {
		return notFound("be", c.BE)
	}
	if !c.Force {
		for t := range d.TabletsOn(c.BE) {
			return refused("backend %d still has replicas (tablet %d and maybe more)", c.BE, t.ID)
		}
	}
	d.bes = d.bes.del(d.o, c.BE)
	return nil
}

func (d *draft) changeBE(id beID, change func(*BE) error) error {
	old, ok := d.bes.get(id)
	if !ok {
		return notFound("be", id)
	}
	be := *old
	if err := change(&be); err != nil {
		return err
	}
	d.bes = d.bes.set(d.o, id, &be)
	return nil
}

// setDiskStates notes what an operator wants of disks. A disk is either disabled or decommissioned: the one is taken back
// before the other is asked for.
func setDiskStates(b *BE, disks []BEDisk) error {
	next := slices.Clone(b.Disks)
	for _, want := range disks {
		at, there := slices.BinarySearchFunc(next, want.ID, func(x BEDisk, id types.DiskID) int { return cmp.Compare(x.ID, id) })
		switch {
		case want.ID == 0 || want.State > types.DiskDecommissioned || want.State == types.DiskOffline:
			return refused("disk %d of backend %d cannot be made %d", want.ID, b.ID, want.State)
		case want.State == types.DiskOnline && there:
			next = slices.Delete(next, at, at+1)
		case want.State == types.DiskOnline:
		case there && next[at].State != want.State:
			return refused("disk %d of backend %d is %s", want.ID, b.ID, next[at].State)
		case there:
			next[at] = want
		default:
			next = slices.Insert(next, at, want)
		}
	}
	b.Disks = next
	return nil
}
