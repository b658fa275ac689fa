// Package stranger remembers the nodes and disks of other clusters that this node has met, so that an operator sees in
// SHOW CLUSTER CONFLICTS what was turned away, and why.
//
// It decides nothing: who meets a stranger has refused it already. All of it is memory of the present, bounded, and
// forgotten some minutes after the stranger has gone.
package stranger

import (
	"cmp"
	"log/slog"
	"slices"
	"sync"
	"time"

	"stele/meta/types"
)

// Ways in which a stranger is met.
const (
	ViaRPC    = "rpc"    // it called this node
	ViaCall   = "call"   // this node called it
	ViaRaft   = "raft"   // a Raft connection, from it or to it
	ViaGossip = "gossip" // a packet of the membership
	ViaDisk   = "disk"   // a storage root path that belongs elsewhere
)

const (
	// maxKept bounds how many are remembered.
	maxKept = 64
	// forgetAfter is how long one is remembered that is not met any more.
	forgetAfter = 10 * time.Minute
	// logEvery is how often at most the log tells of the same one.
	logEvery = time.Minute
)

// Stranger is a node or disk of another cluster.
type Stranger struct {
	Via     string
	Address string          // host, host:port or path
	Cluster types.ClusterID // "" = it has not said
	Detail  string          // what it wanted, or what is to be done
	First   time.Time
	Last    time.Time
	Count   uint64
}

type key struct{ via, address, cluster string }

type entry struct {
	Stranger
	logged time.Time
}

// Book is what one node has met. It is safe for concurrent use; a nil Book forgets everything.
type Book struct {
	log *slog.Logger
	now func() time.Time

	mu  sync.Mutex
	all map[key]*entry
}

// New returns an empty book; log is told of each stranger, now and then.
func New(log *slog.Logger) *Book {
	return &Book{log: log, now: time.Now, all: map[key]*entry{}}
}

// Note remembers that a stranger was met and refused.
func (b *Book) Note(via, address string, cluster types.ClusterID, detail string) {
	if b == nil {
		return
	}
	now := b.now()
	b.mu.Lock()
	defer b.mu.Unlock()
	k := key{via, address, string(cluster)}
	e := b.all[k]
	if e == nil {
		b.makeRoomLocked(now)
		e = &entry{Stranger: Stranger{Via: via, Address: address, Cluster: cluster, First: now}}
		b.all[k] = e
	}
	e.Last, e.Detail = now, detail
	e.Count++
	if now.Sub(e.logged) >= logEvery {
		e.logged = now
		b.log.Warn("a node or disk of another cluster was refused", "via", via, "address", address, "its_cluster", string(cluster),
			"detail", detail, "times", e.Count)
	}
}

// makeRoomLocked forgets who has gone and, when there are too many, who was met longest ago.
func (b *Book) makeRoomLocked(now time.Time) {
	var oldest key
	for k, e := range b.all {
		if now.Sub(e.Last) > forgetAfter {
			delete(b.all, k)
			continue
		}
		if o := b.all[oldest]; o == nil || e.Last.Before(o.Last) {
			oldest = k
		}
	}
	if len(b.all) >= maxKept {
		delete(b.all, oldest)
	}
}

// List returns who was met lately, by way and address.
func (b *Book) List() []Stranger {
	if b == nil {
		return nil
	}
	now := b.now()
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []Stranger
	for _, e := range b.all {
		if now.Sub(e.Last) <= forgetAfter {
			out = append(out, e.Stranger)
		}
	}
	slices.SortFunc(out, func(x, y Stranger) int {
		return cmp.Or(cmp.Compare(x.Via, y.Via), cmp.Compare(x.Address, y.Address), cmp.Compare(x.Cluster, y.Cluster))
	})
	return out
}
