package fe

import (
	"fmt"

	"stele/fe/stmt"
	"stele/meta/stranger"
	"stele/meta/types"
)

// refused notes a caller of another cluster.
func (n *node) refused(address string, cluster types.ClusterID, method string) {
	n.met.Note(stranger.ViaRPC, address, cluster, "it called "+method)
}

// metAt notes a node of another cluster that answers at an address of this one.
func (n *node) metAt(address string, cluster types.ClusterID, method string) {
	detail := "it answers where this cluster has another node, and refused " + method
	for fe := range n.meta.Current().FEs() {
		if hostPort(fe.Host, fe.RPCPort) == address {
			detail = fmt.Sprintf("it answers where this cluster has frontend %s, and refused %s: if its meta_dir was lost, stop it, set bootstrap = false, "+
				"empty meta_dir and RESTORE MNODE", fe.Name, method)
		}
	}
	for be := range n.meta.Current().BEs() {
		if hostPort(be.Host, be.Port) == address {
			detail = fmt.Sprintf("it answers where this cluster has backend %d, and refused %s: its disks belong to the other cluster", be.ID, method)
		}
	}
	n.met.Note(stranger.ViaCall, address, cluster, detail)
}

// metOnRaft notes an FE of another cluster on a Raft connection.
func (n *node) metOnRaft(address string, cluster types.ClusterID, what string) {
	n.met.Note(stranger.ViaRaft, address, cluster, what)
}

// strangers is what of other clusters the nodes have met: this FE and, when it leads, the others and the BEs.
func (n *node) strangers() []stmt.Stranger {
	var out []stmt.Stranger
	add := func(node string, all []stranger.Stranger) {
		for _, s := range all {
			out = append(out, stmt.Stranger{Node: node, Stranger: s})
		}
	}
	add(n.name, n.met.List())
	statuses := n.group.Statuses()
	cat := n.meta.Current()
	for fe := range cat.FEs() {
		add(fe.Name, statuses[fe.Name].Strangers)
	}
	for be := range cat.BEs() {
		known, _ := n.cluster.Get(be.ID)
		add(fmt.Sprintf("be %d", be.ID), known.Strangers)
	}
	return out
}
