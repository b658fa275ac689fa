package sim

import (
	"fmt"
	"math/rand/v2"
	"strconv"

	"stele/fe/sched"
	"stele/meta/types"
)

// writeBytes is what one version adds to what a replica that missed it must be sent.
const writeBytes = 1 << 20

// writes are commits that go on by themselves.
type writes struct {
	n       int
	everyMs int64
	atMs    int64 // the next ones
	rng     *rand.Rand
}

// startWrites: "20 every 1s".
func (r *Runner) startWrites(args []string) error {
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	w := &r.W.writes
	if w.n = n; n == 0 {
		return nil
	}
	if len(args) != 3 || args[1] != "every" {
		return fmt.Errorf("how often?")
	}
	w.everyMs, err = duration(args[2])
	w.atMs = r.W.now
	if w.rng == nil {
		w.rng = rand.New(rand.NewPCG(r.shape.Seed, 11))
	}
	return err
}

// write commits what is due.
func (w *World) write() {
	for w.writes.n > 0 && w.writes.atMs <= w.now {
		for range w.writes.n {
			w.commit(&w.tablets[w.writes.rng.IntN(len(w.tablets))])
		}
		w.writes.atMs += w.writes.everyMs
	}
}

// commit gives a tablet a version if its leader lives, on a disk that takes writes, and a majority can store it; the others have missed it.
func (w *World) commit(t *sched.Tablet) {
	stored, followers := 0, 0
	can := func(r *sched.Replica) bool {
		return w.alive(r.BE) && r.LastFailed == 0 && !r.Bad && !r.Lost && !w.refuses(diskKey{r.BE, r.Disk})
	}
	for i := range t.Replicas {
		if r := &t.Replicas[i]; r.Role == types.RoleFollower {
			followers++
			if can(r) {
				stored++
			}
		}
	}
	if lead := t.On(t.Leader); lead != nil && w.refuses(diskKey{lead.BE, lead.Disk}) {
		w.Stats.Refused++
		return
	}
	if !w.alive(t.Leader) || stored <= followers/2 {
		return
	}
	t.Version++
	for i := range t.Replicas {
		if r := &t.Replicas[i]; can(r) {
			r.Version = t.Version
		} else {
			r.LastFailed = t.Version
		}
	}
	w.Stats.Written++
	w.dirty = append(w.dirty, t.ID)
}
