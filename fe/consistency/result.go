package consistency

import (
	"time"

	"stele/meta/types"
)

// Verdict is what a comparison says of one replica.
type Verdict uint8

// Verdicts.
const (
	// Agrees says that the replica holds the same rows as most others.
	Agrees Verdict = iota
	// Diverges says that most others agree on other rows.
	Diverges
	// Undecided says that the replicas differ and that no rows have a majority.
	Undecided
	// Unreadable says that the replica's data is damaged.
	Unreadable
	// Skipped says that the replica was not compared: it is a learner, bad, behind, or its BE does not answer.
	Skipped
)

func (v Verdict) String() string {
	return [...]string{"OK", "DIVERGED", "UNDECIDED", "UNREADABLE", "SKIPPED"}[v]
}

// Replica is one replica in a comparison.
type Replica struct {
	ID      types.ReplicaID
	BE      types.BEID
	Digest  uint64
	Rows    int64
	Verdict Verdict
	Why     string // it was skipped or cannot be read
}

// Result is one comparison of the replicas of a tablet at one version.
type Result struct {
	Tablet   types.TabletID
	Version  types.Version
	At       time.Time
	Verified bool // every row was read
	Replicas []Replica
}

// Consistent reports whether no two replicas were found to differ and none to be damaged.
func (r *Result) Consistent() bool {
	for i := range r.Replicas {
		switch r.Replicas[i].Verdict {
		case Diverges, Undecided, Unreadable:
			return false
		}
	}
	return true
}

// Compared returns how many replicas were compared.
func (r *Result) Compared() int {
	n := 0
	for i := range r.Replicas {
		if v := r.Replicas[i].Verdict; v != Skipped && v != Unreadable {
			n++
		}
	}
	return n
}

// content is what is compared.
type content struct {
	digest uint64
	rows   int64
}

// judge gives every replica that was read its verdict: what more than half of them hold is right. Pure.
func judge(replicas []Replica) {
	votes := map[content]int{}
	voters := 0
	for i := range replicas {
		if r := &replicas[i]; r.Verdict == Agrees {
			votes[content{r.Digest, r.Rows}]++
			voters++
		}
	}
	if len(votes) < 2 {
		return
	}
	for i := range replicas {
		r := &replicas[i]
		if r.Verdict != Agrees {
			continue
		}
		switch most := majority(votes, voters); {
		case most == nil:
			r.Verdict, r.Why = Undecided, "the replicas differ and none has a majority"
		case *most != content{r.Digest, r.Rows}:
			r.Verdict, r.Why = Diverges, "most replicas hold other rows"
		}
	}
}

// majority returns what more than half of the voters hold, nil when there is no such content.
func majority(votes map[content]int, voters int) *content {
	for c, n := range votes {
		if 2*n > voters {
			return &c
		}
	}
	return nil
}
