// Package redo has the replicas put small writes on disk, and gives them to those that have lost them.
//
// The rows of a small transaction are in the memory of its replicas when they answer, and in the log entry that commits it. The
// leading FE asks the BEs what they have on disk (Harden), has the log forget what enough of them have (TrimRedo), and sends a
// replica that lacks a version what the log has of it (Redo). DESIGN.md says why no acknowledged row is lost.
//
// It never decides who is alive (fe/cluster), what is lost or who leads; it never takes rows from a replica. Where the log has the
// next missing version no more, the replica is repaired by a clone, as if there were no redo.
//
// Planner is the pure core. Driver is the shell: one goroutine decides (Run), each BE is called in one of its own, at most one at a
// time. All of it is memory of the present: a new leader asks anew, and until it has heard enough nothing is forgotten. While no
// commit carries rows nothing runs.
package redo

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
	"stele/proto/bepb"
)

// Log is the metadata log.
type Log interface {
	Current() *catalog.Catalog
	Propose(ctx context.Context, cmds ...command.Command) ([]catalog.Result, error)
	// Changed returns a channel that is closed when the catalog changes next.
	Changed() <-chan struct{}
}

// Members is who is there.
type Members interface {
	Alive(be types.BEID) bool
	Address(be types.BEID) string
	// Away reports whether a BE is dead for at least so long, and nothing has come from it since.
	Away(be types.BEID, least time.Duration) bool
}

// Clients reaches BEs by address.
type Clients interface {
	BE(address string) (bepb.BackendClient, error)
}

// Options are what a Driver needs.
type Options struct {
	Log     Log
	Members Members
	Clients Clients
	Logger  *slog.Logger
}

// Pacing.
const (
	roundPause = 500 * time.Millisecond // between two rounds
	hurryPause = 100 * time.Millisecond // while the log carries hurryBytes or more
	hurryBytes = 4 << 20
	pokePause  = 50 * time.Millisecond // between two visits to one BE
	// awayGrace is how long a dead BE may take to come back before what it has not said to have on disk is forgotten: until then
	// a restart costs no clone. There is no grace while the log carries graceBytes or more: what is written meanwhile waits, too.
	awayGrace  = 10 * time.Second
	graceBytes = 12 << 20
	// backOffMax bounds the pause after a BE has taken nothing of what it was given.
	backOffMax = 16 * time.Second
	trimMax    = 4096 // tablets of one command
	visitsMax  = 64   // BEs called at a time
)

// Driver works while this FE leads. Poke and Restarted are safe for concurrent use; Run is called at most once at a time.
type Driver struct {
	o    Options
	wake chan struct{}

	mu    sync.Mutex
	poked map[types.BEID]poke
}

// poke is why a BE is to be visited.
type poke struct{ restarted bool }

// New returns a driver; Run makes it work.
func New(o Options) *Driver {
	return &Driver{o: o, wake: make(chan struct{}, 1), poked: map[types.BEID]poke{}}
}

// Poke has the replicas of a BE looked at soon: it has said that it lacks a version, or that it waits for one. It does not block.
func (d *Driver) Poke(be types.BEID) { d.poke(be, false) }

// Restarted is Poke for a BE that begins anew: whatever it refused before, it may take now.
func (d *Driver) Restarted(be types.BEID) { d.poke(be, true) }

func (d *Driver) poke(be types.BEID, restarted bool) {
	d.mu.Lock()
	d.poked[be] = poke{restarted || d.poked[be].restarted}
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// takePokes returns what has come since the last call.
func (d *Driver) takePokes() map[types.BEID]poke {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.poked) == 0 {
		return nil
	}
	out := d.poked
	d.poked = map[types.BEID]poke{}
	return out
}

// Run works until ctx ends, then waits for the calls it has begun.
func (d *Driver) Run(ctx context.Context) {
	t := &term{Driver: d, plan: NewPlanner(), bes: map[types.BEID]*backend{}, ended: make(chan visit), slots: make(chan struct{}, visitsMax)}
	defer t.calls.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		changed := d.o.Log.Changed() // before the look: nothing is missed
		if pause, idle := t.step(ctx, time.Now()); idle {
			timer.Stop()
		} else {
			changed = nil
			timer.Reset(pause)
		}
		select {
		case <-ctx.Done():
			return
		case <-changed: // for a while others may follow
			t.next = time.Now().Add(roundPause)
		case <-timer.C:
		case <-d.wake:
		case v := <-t.ended:
			t.note(v, time.Now())
		}
	}
}
