package raftlog

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"time"

	"stele/meta/command"
	"stele/meta/types"
)

// Timings of the Raft group. Measured: 500/500/250 ms fail over in about a second, 200/200/100 in half of one.
type Timings struct {
	Heartbeat   time.Duration // a follower without word from the leader for so long calls an election
	Election    time.Duration // a candidate without a majority for so long tries again
	LeaderLease time.Duration // a leader without word from a majority for so long steps down
	Commit      time.Duration // how late an idle follower may learn of the last commit by itself; see Learn
}

// DefaultTimings are those of a product on one site.
func DefaultTimings() Timings {
	return Timings{Heartbeat: 300 * time.Millisecond, Election: 300 * time.Millisecond, LeaderLease: 200 * time.Millisecond, Commit: 20 * time.Millisecond}
}

// TestTimings are so long that a leader stays while a busy machine stands still. Tests do not wait for them: a first FE leads at
// once, and one that was closed counts as crashed.
func TestTimings() Timings {
	return Timings{Heartbeat: 3 * time.Second, Election: 3 * time.Second, LeaderLease: 2 * time.Second, Commit: 10 * time.Millisecond}
}

// Config says how to open a Log.
type Config struct {
	// Dir holds everything: identity, log, snapshots. It belongs to one Log alone.
	Dir string
	// ClusterID is the cluster that the FE belongs to. Peers with another id are turned away.
	ClusterID types.ClusterID
	// ID is the FE's Raft server id: its name in the catalog (FE.Name). It never changes.
	ID string
	// Listener accepts Raft connections; Log closes it.
	Listener net.Listener
	// Advertise is the address that other FEs dial ("" = the listener's).
	Advertise string
	// Bootstrap, on an empty Dir, starts a new cluster with this FE as its only voter. Without it an empty Dir waits to
	// be added by the leader (AddLearner). On a Dir in use it is ignored.
	Bootstrap *command.InitCluster

	// Refused, if set, is told of an FE of another cluster that was met on a Raft connection ("" = it did not say which).
	Refused func(address string, cluster types.ClusterID, what string)

	// Server and Client secure the connections between FEs; nil = clear text. Both or none.
	Server, Client *tls.Config

	Timings           Timings       // zero = DefaultTimings
	SnapshotInterval  time.Duration // 0 = 2 min
	SnapshotThreshold uint64        // entries since the last snapshot; 0 = 8192
	TrailingLogs      uint64        // entries kept behind a snapshot for slow followers; 0 = 10240
	SnapshotBytes     int64         // of entries since the last snapshot, which make one due at once; 0 = 512 MiB
	SegmentBytes      int           // size of a log file; 0 = 64 MiB

	Log *slog.Logger     // nil = slog.Default
	Now func() time.Time // nil = time.Now

	decode func([]byte) (command.Command, error) // nil = command.Decode; of other versions in tests
	free   func(dir string) (int64, error)       // nil = freeBytes; of full disks in tests
}

func (c *Config) check() error {
	switch {
	case c.Dir == "":
		return errors.New("open metadata log: no directory is given")
	case c.ClusterID == "" || len(c.ClusterID) > maxHandshakeField:
		return errors.New("open metadata log: a cluster id of 1 to 255 bytes is needed")
	case c.ID == "" || len(c.ID) > maxHandshakeField:
		return errors.New("open metadata log: a server id of 1 to 255 bytes is needed")
	case c.Listener == nil:
		return errors.New("open metadata log: no listener is given")
	case c.Bootstrap != nil && c.Bootstrap.ClusterID != c.ClusterID:
		return errors.New("open metadata log: the bootstrap command is for another cluster id")
	}
	if c.Timings == (Timings{}) {
		c.Timings = DefaultTimings()
	}
	if c.SnapshotInterval == 0 {
		c.SnapshotInterval = 2 * time.Minute
	}
	if c.SnapshotThreshold == 0 {
		c.SnapshotThreshold = 8192
	}
	if c.TrailingLogs == 0 {
		c.TrailingLogs = 10240
	}
	if c.SnapshotBytes == 0 {
		c.SnapshotBytes = 512 << 20
	}
	if c.SegmentBytes == 0 {
		c.SegmentBytes = 64 << 20
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.decode == nil {
		c.decode = command.Decode
	}
	if c.free == nil {
		c.free = freeBytes
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Advertise == "" {
		c.Advertise = c.Listener.Addr().String()
	}
	return nil
}
