package be

import (
	"errors"

	"stele/be/host"
	"stele/be/tablet"
	"stele/meta/stranger"
	"stele/meta/types"
	"stele/proto/bepb"
)

// refused notes a caller of another cluster.
func (n *node) refused(address string, cluster types.ClusterID, method string) {
	n.met.Note(stranger.ViaRPC, address, cluster, "it called "+method)
}

// metAt notes a node of another cluster that answers at an address of this one.
func (n *node) metAt(address string, cluster types.ClusterID, method string) {
	n.met.Note(stranger.ViaCall, address, cluster, "it answers where this cluster has another node, and refused "+method)
}

// strangers is what of other clusters this BE has met, for the FE to show. A foreign disk is met as long as it is there.
func (n *node) strangers() []*bepb.Stranger {
	for _, d := range n.host.Disks() {
		var foreign *host.ForeignError
		switch {
		case errors.As(d.Err, &foreign):
			n.met.Note(stranger.ViaDisk, d.Root.Path, foreign.Owner.Cluster, d.Err.Error())
		case errors.Is(d.Err, tablet.ErrForeignDisk):
			n.met.Note(stranger.ViaDisk, d.Root.Path, "", d.Err.Error())
		}
	}
	var out []*bepb.Stranger
	for _, s := range n.met.List() {
		out = append(out, &bepb.Stranger{Via: s.Via, Address: s.Address, ClusterId: string(s.Cluster), Detail: s.Detail,
			FirstMs: s.First.UnixMilli(), LastMs: s.Last.UnixMilli(), Count: s.Count})
	}
	return out
}
