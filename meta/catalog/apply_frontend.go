package catalog

import (
	"fmt"

	"stele/meta/command"
	"stele/meta/types"
)

// FEAt returns the frontend at a host and Raft port.
func (c *Catalog) FEAt(host string, raftPort int) (*FE, bool) {
	for f := range c.FEs() {
		if f.Host == host && f.RaftPort == raftPort {
			return f, true
		}
	}
	return nil, false
}

func (d *draft) planFE(c *command.PlanFE) (any, error) {
	fe := c.FE
	if fe.Host == "" || fe.RaftPort <= 0 || fe.Name == "" {
		return nil, refused("a frontend needs a name, a host and a raft port")
	}
	if _, ok := d.FEAt(fe.Host, fe.RaftPort); ok {
		return nil, exists("fe", fmt.Sprintf("%s:%d", fe.Host, fe.RaftPort))
	}
	if _, ok := d.FEByName(fe.Name); ok {
		return nil, exists("fe", fe.Name)
	}
	if err := d.checkDNode(0, fe.DNode); err != nil {
		return nil, err
	}
	fe.ID, fe.AddedMs, fe.Pending = feID(d.drawID()), c.TimeMs, true
	fe.Server = d.freeServer()
	d.fes = d.fes.set(d.o, fe.ID, &fe)
	return IDResult{ID: uint64(fe.ID)}, nil
}

// freeServer returns the smallest server number that no FE has.
func (d *draft) freeServer() uint32 {
	taken := map[uint32]bool{}
	for f := range d.FEs() {
		taken[max(f.Server, 1)] = true
	}
	n := uint32(1)
	for taken[n] {
		n++
	}
	return n
}

func (d *draft) setFE(c *command.SetFE) error {
	old, ok := d.FEByName(c.Name)
	if !ok {
		return notFound("fe", c.Name)
	}
	fe := *old
	for _, p := range []struct {
		field *int
		value int
	}{{&fe.QueryPort, c.QueryPort}, {&fe.HTTPPort, c.HTTPPort}, {&fe.RPCPort, c.RPCPort}, {&fe.GossipPort, c.GossipPort}} {
		if p.value != 0 {
			*p.field = p.value
		}
	}
	if c.Joined {
		fe.Pending = false
	}
	d.fes = d.fes.set(d.o, fe.ID, &fe)
	return nil
}

func (d *draft) setFEDNode(c *command.SetFEDNode) error {
	old, ok := d.fes.get(c.FE)
	if !ok {
		return notFound("fe", c.FE)
	}
	if err := d.checkDNode(c.FE, c.BE); err != nil {
		return err
	}
	fe := *old
	fe.DNode = c.BE
	d.fes = d.fes.set(d.o, fe.ID, &fe)
	return nil
}

// checkDNode refuses a BE that is not there or that another FE has.
func (d *draft) checkDNode(fe types.FEID, be types.BEID) error {
	if be == 0 {
		return nil
	}
	if _, ok := d.bes.get(be); !ok {
		return notFound("be", be)
	}
	for f := range d.FEs() {
		if f.ID != fe && f.DNode == be {
			return exists("mnode", fmt.Sprintf("%d on dnode %d", f.ID, be))
		}
	}
	return nil
}

// DNodeOf returns the BE that makes a dnode together with an FE: the one that an operator has named, else the BE of the same
// host if that has only one; 0 = nobody can say.
func (c *Catalog) DNodeOf(fe *FE) types.BEID {
	if _, ok := c.BE(fe.DNode); ok {
		return fe.DNode
	}
	var only types.BEID
	for be := range c.BEs() {
		if be.Host != fe.Host {
			continue
		}
		if only != 0 {
			return 0
		}
		only = be.ID
	}
	return only
}
