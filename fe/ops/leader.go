package ops

import (
	"fmt"

	"stele/meta/command"
	"stele/meta/model"
	"stele/meta/types"
)

func lead(op *model.Op, be types.BEID, failover bool, f *Facts) command.Command {
	return &command.SetLeaders{Items: []command.SetLeader{{Tablet: op.Tablet, BE: be, ExpectEpoch: f.Tablet.Epoch, Failover: failover}}}
}

// selectLeader chooses among the replicas that have every committed version: the candidate, or the one whose BE leads least.
func selectLeader(op *model.Op, f *Facts) outcome {
	if op.Dest != 0 {
		r := f.Tablet.Replica(op.Dest)
		if r == nil {
			return outcome{fail: fmt.Sprintf("308: partition %d has no replica on %s", op.Pid, f.name(op.Dest))}
		}
		if o, ok := f.answers(op.Dest); !ok {
			return o
		}
		if !f.usable(r) {
			if r.OfflineMs != 0 || r.Bad || f.Seen[r.BE].Lost {
				return outcome{fail: fmt.Sprintf("310: the replica on %s is not alive", f.name(op.Dest))}
			}
			return outcome{wait: f.name(op.Dest) + " to catch up"}
		}
		op.Chosen = op.Dest
		return outcome{}
	}
	var best *model.Replica
	for i := range f.Tablet.Replicas {
		r := &f.Tablet.Replicas[i]
		if r.BE != op.BE && f.usable(r) && (best == nil || f.Leaders[r.BE] < f.Leaders[best.BE]) {
			best = r
		}
	}
	if best == nil && f.NowMs-op.StartedMs < deadGraceMs && f.behind(op.BE) {
		return outcome{wait: "a follower to catch up"} // under writes one may miss the last version for a moment
	}
	if best == nil {
		return outcome{fail: "310: no alive follower has every committed version"}
	}
	if o, ok := f.answers(best.BE); !ok { // one that died unnoticed must not become a leader that nobody hears of
		return o
	}
	op.Chosen = best.BE
	return outcome{}
}

// behind reports whether a follower other than that on be answers and lacks nothing but versions.
func (f *Facts) behind(be types.BEID) bool {
	for i := range f.Tablet.Replicas {
		r := &f.Tablet.Replicas[i]
		if r.BE != be && r.Votes() && !r.Bad && r.LastFailed != 0 && f.Nodes[r.BE].Alive && !f.Seen[r.BE].Lost {
			return true
		}
	}
	return false
}

// changeLeader is one entry of the metadata log; it holds only at the epoch at which the leader was selected.
func changeLeader(op *model.Op, f *Facts) outcome {
	if f.Tablet.Leader == op.Chosen {
		return outcome{message: f.name(op.Chosen) + " leads"}
	}
	if !f.usable(f.Tablet.Replica(op.Chosen)) {
		return outcome{back: 1}
	}
	return outcome{effects: []command.Command{lead(op, op.Chosen, op.BE != 0, f)}}
}
