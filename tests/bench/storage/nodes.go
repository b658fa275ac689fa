//go:build bench

package storage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"google.golang.org/grpc"

	"stele/be/clone"
	"stele/be/host"
	"stele/be/peer"
	"stele/be/scan"
	"stele/be/server"
	"stele/be/tablet"
	"stele/be/write"
	"stele/meta/rpc"
	"stele/meta/types"
	"stele/proto/bepb"
)

// node is a BE in this process: a disk with all that takes part in clones, on a port of its own.
type node struct {
	host    *host.Host
	disk    *tablet.Store
	writer  *write.Writer
	peers   *peer.Peers
	clones  *clone.Manager
	tasks   types.TaskID // ids given
	server  *grpc.Server
	served  chan error
	address string
}

// storeIn is where a BE has the store of a root.
func storeIn(root string) string { return filepath.Join(root, "store") }

// startNode serves the disk in dir. Clones are not throttled.
func startNode(dir string, be types.BEID) (*node, error) {
	log := slog.New(slog.DiscardHandler)
	n := &node{host: host.New([]host.Root{{Path: dir}}, log, func(host.Root, types.ClusterID) tablet.Options { return diskOptions(false) }), served: make(chan error, 1)}
	if err := n.host.Join("bench", be); err != nil {
		return nil, err
	}
	if n.disk = n.host.Disks()[0].Store; n.disk == nil {
		return nil, errors.Join(n.host.Disks()[0].Err, n.host.Close())
	}
	cluster := rpc.NewCluster("bench")
	n.peers = peer.New(cluster)
	n.writer = write.New(n.host, n.peers, write.Options{ReplicateTimeout: time.Second, VersionWait: time.Second}, log)
	slots := clone.NewSlots(2, 2)
	free := clone.NewThrottle(func() int64 { return 0 }, nil)
	n.clones = clone.NewManager(clone.Options{Host: n.host, Writer: n.writer, Source: n.peers, Slots: slots, Throttle: free, Log: log, Done: func(types.TabletID) {}})
	lis, err := rpc.Listen("127.0.0.1:0", true, log)
	if err != nil {
		return nil, err
	}
	n.address = lis.Addr().String()
	n.server = rpc.NewServer(rpc.ServerConfig{Cluster: cluster, Log: log})
	bepb.RegisterBackendServer(n.server, server.New(server.Parts{Host: n.host, Cluster: cluster, Writer: n.writer, Scanner: scan.New(n.host, n.writer),
		Slots: slots, Log: log, Pressure: clone.NewPressure(), Outgoing: clone.NewOutgoing(n.host, n.writer, slots, free, scan.VersionWait)}))
	go func() { n.served <- n.server.Serve(lis) }()
	return n, nil
}

func (n *node) close() error {
	n.clones.Close()
	n.server.Stop()
	<-n.served
	n.writer.Close()
	return errors.Join(n.peers.Close(), n.host.Close())
}

// pull clones tablets from another node, as the FE's tasks have it done, and waits for all of them.
func (n *node) pull(ctx context.Context, from *node, tablets ...*tablet.Tablet) (bytes int64, err error) {
	var seen []uint64
	for _, s := range n.clones.Statuses(nil) {
		seen = append(seen, s.TaskId)
	}
	n.clones.Statuses(seen) // forgets those of before
	for _, t := range tablets {
		m := t.Meta()
		n.tasks++
		n.clones.Submit(clone.Task{ID: n.tasks, Tablet: m.Tablet, Table: m.Table, Partition: m.Partition, Replica: m.Replica,
			Epoch: m.Epoch, Schema: m.Schema, Source: from.address, SourceBE: 1, MinVersion: t.Version()})
	}
	for {
		running := 0
		bytes = 0
		for _, s := range n.clones.Statuses(nil) {
			switch s.State {
			case bepb.CloneStatus_DONE:
				bytes += s.BytesDone
			case bepb.CloneStatus_WAITING, bepb.CloneStatus_RUNNING:
				running++
			default:
				return 0, fmt.Errorf("clone of tablet %d: %s: %s", s.TabletId, s.State, s.Reason)
			}
		}
		if running == 0 {
			return bytes, nil
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
}
