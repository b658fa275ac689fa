package ddl

import (
	"fmt"
	"strings"

	"stele/meta/types"
)

// Away is a BE of the cluster that cannot be given replicas now, and why: what follows "backend 7 …".
type Away struct {
	BE  types.BEID
	Why string
}

// Shortage says how many replicas of new tablets were not made for want of BEs. The scheduler makes them as soon as there is one.
type Shortage struct {
	Missing, Replicas int // of how many that were wanted
	Away              []Away
}

// With is what two statements lack together.
func (s Shortage) With(other Shortage) Shortage {
	out := Shortage{Missing: s.Missing + other.Missing, Replicas: s.Replicas + other.Replicas, Away: s.Away}
	if len(other.Away) >= len(out.Away) {
		out.Away = other.Away
	}
	return out
}

func (s Shortage) String() string {
	return fmt.Sprintf("%d of %d replicas are missing%s. Writes have their quorum, and what is missing is made as soon as a backend can take it "+
		"(ADMIN SHOW REPLICA STATUS, SHOW BACKENDS)", s.Missing, s.Replicas, because(s.Away))
}

// because names the BEs that are in the way.
func because(away []Away) string {
	if len(away) == 0 {
		return ": there are no more backends"
	}
	var parts []string
	for _, a := range away {
		parts = append(parts, fmt.Sprintf("backend %d %s", a.BE, a.Why))
	}
	return ": " + strings.Join(parts, "; ")
}

// needed is how many replicas a new tablet needs at the least: a majority, so that it can be written and lives on without one of them, and
// all where every write has to be in all.
func needed(q types.WriteQuorum, want int) int { return max(want/2+1, q.Need(want)) }

// TooFewError says that too few BEs can be given replicas now.
type TooFewError struct {
	Want, Need int
	Quorum     types.WriteQuorum
	Able       []types.BEID
	Away       []Away
}

func (e *TooFewError) Error() string {
	text := fmt.Sprintf("%d of the %d replicas of a new tablet have to be made, and the backends that can take one now are %v%s", e.Need, e.Want, e.Able,
		because(e.Away))
	if e.Quorum == types.QuorumAll {
		text += ". A table with write_quorum ALL needs all its replicas"
	}
	return text
}
