package redo

import (
	"stele/meta/command"
	"stele/meta/types"
)

// Tablet is a tablet with commits that carry their rows.
type Tablet struct {
	ID       types.TabletID
	Version  types.Version // committed
	Oldest   types.Version // the first that has its rows in the log
	Need     int           // of the voters, its write quorum
	Leader   types.BEID
	Replicas []Replica
}

// Replica is a follower of a Tablet: it may have rows in memory only. A learner stores what it gets at once.
type Replica struct {
	ID    types.ReplicaID
	BE    types.BEID
	Voter bool          // it counts for the quorum
	Known types.Version // up to which the catalog takes it to have every version
}

// Ask is a replica whose BE is to be asked what is on disk.
type Ask struct {
	Tablet  types.TabletID
	Replica types.ReplicaID
	Known   types.Version // as of the question
	Want    types.Version // what it should have by now: below it, it lacks something and is given it
}

// replicaKey names a replica: ids of replicas are compared within a tablet only.
type replicaKey struct {
	tablet  types.TabletID
	replica types.ReplicaID
}

// Planner decides what is asked, given and forgotten. It is pure: it sees neither clock nor network, and what it is told is all
// that it knows. The versions on disk of a living replica only grow, so what was heard once stays true; a replica that has lost
// its disk is another one, or is found by reports.
type Planner struct {
	committed map[types.TabletID]types.Version // as of the round before
	durable   map[replicaKey]types.Version     // as heard
}

// NewPlanner returns a planner that has heard nothing.
func NewPlanner() *Planner {
	return &Planner{committed: map[types.TabletID]types.Version{}, durable: map[replicaKey]types.Version{}}
}

// Heard takes in what a replica has on disk.
func (p *Planner) Heard(tablet types.TabletID, replica types.ReplicaID, durable types.Version) {
	if k := (replicaKey{tablet, replica}); durable > p.durable[k] {
		p.durable[k] = durable
	}
}

// Round decides, for all tablets with redo, what can be forgotten by what has been heard, and whom to ask. What it wants a replica to
// have is what was committed a round ago: publishing a version takes a moment. away tells of a BE that it is dead, and for long.
func (p *Planner) Round(tablets []Tablet, away func(types.BEID) bool) (trims []command.TabletUpTo, asks map[types.BEID][]Ask) {
	asks = map[types.BEID][]Ask{}
	committed := make(map[types.TabletID]types.Version, len(tablets))
	durable := make(map[replicaKey]types.Version, len(p.durable))
	for i := range tablets {
		t := &tablets[i]
		v, missed := p.trim(t, away)
		if v != 0 {
			trims = append(trims, command.TabletUpTo{Tablet: t.ID, Version: v, Missed: missed})
		}
		if v == t.Version {
			continue // nothing is left of it
		}
		committed[t.ID] = t.Version
		for j := range t.Replicas {
			r := &t.Replicas[j]
			if k := (replicaKey{t.ID, r.ID}); p.durable[k] != 0 {
				durable[k] = p.durable[k]
			}
			asks[r.BE] = append(asks[r.BE], t.ask(r, p.committed[t.ID]))
		}
	}
	p.committed, p.durable = committed, durable
	return trims, asks
}

// AsksOf lists what one BE is to be asked between two rounds. One that begins anew is to have everything at once, because nobody
// publishes it what was committed before; another one what was committed before the last round.
func (p *Planner) AsksOf(be types.BEID, tablets []Tablet, anew bool) []Ask {
	var asks []Ask
	for i := range tablets {
		t := &tablets[i]
		want := p.committed[t.ID]
		if anew {
			want = t.Version
		}
		for j := range t.Replicas {
			if r := &t.Replicas[j]; r.BE == be {
				asks = append(asks, t.ask(r, want))
			}
		}
	}
	return asks
}

func (t *Tablet) ask(r *Replica, want types.Version) Ask {
	return Ask{Tablet: t.ID, Replica: r.ID, Known: r.Known, Want: want}
}

// trim returns up to which version the rows of a tablet need not be in the log any more, 0 = none of them: a write quorum has it on
// disk, and every replica has on disk what the catalog takes it to have, but for those on BEs that are away. Replicas that are away and
// were not heard to have it may have acknowledged and lost it (missed): the catalog counts on them no more.
// A leader is never passed over. Nothing is committed on its tablet while it is away, and where nobody else may lead, it goes on
// when it is back.
func (p *Planner) trim(t *Tablet, away func(types.BEID) bool) (v types.Version, missed []types.ReplicaID) {
	v = t.Version
	for i := range t.Replicas {
		r := &t.Replicas[i]
		if d := p.durable[replicaKey{t.ID, r.ID}]; d < r.Known && (r.BE == t.Leader || !away(r.BE)) {
			v = min(v, d)
		}
	}
	if v < t.Oldest {
		return 0, nil
	}
	have := 0
	for i := range t.Replicas {
		r := &t.Replicas[i]
		switch {
		case p.durable[replicaKey{t.ID, r.ID}] < v:
			if away(r.BE) {
				missed = append(missed, r.ID)
			}
		case r.Voter:
			have++
		}
	}
	if have < t.Need {
		return 0, nil
	}
	return v, missed
}
