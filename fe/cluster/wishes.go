package cluster

import (
	"strings"

	"stele/meta/types"
	"stele/proto/bepb"
)

// BEConfigPrefix begins the keys under which the catalog keeps configuration items of BEs, apart from those of FEs.
const BEConfigPrefix = "be:"

// wishes adds what the operator wants of the BE: states of disks and configuration.
func (c *Cluster) wishes(req *bepb.HeartbeatRequest) {
	cat := c.current()
	if be, ok := cat.BE(types.BEID(req.BeId)); ok {
		for _, d := range be.Disks {
			req.DiskWishes = append(req.DiskWishes, &bepb.DiskWish{DiskId: uint64(d.ID), State: uint32(d.State)})
		}
	}
	for key, value := range cat.ConfigAll() {
		if name, ok := strings.CutPrefix(key, BEConfigPrefix); ok {
			req.Config = append(req.Config, &bepb.ConfigItem{Key: name, Value: value})
		}
	}
}
