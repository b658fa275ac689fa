package cluster

import "stele/proto/bepb"

// Clones returns the clone tasks that BEs have reported and that are not forgotten yet, in no order. A new leader
// finds in them what its predecessor started.
func (c *Cluster) Clones() []*bepb.CloneStatus {
	c.mu.RLock()
	defer c.mu.RUnlock()
	out := make([]*bepb.CloneStatus, 0, len(c.clones))
	for _, s := range c.clones {
		out = append(out, s)
	}
	return out
}
