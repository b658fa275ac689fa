package sched

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"stele/meta/types"
)

// Pacing of the quiet evening out of leaders, in milliseconds, and its size: each move ends the writes that run on a
// tablet, so it comes late and in small batches.
const (
	leaderQuietMs = 5_000
	leaderPauseMs = 2_000
	leaderBatch   = 100
)

// whyEvenLeaders is the reason of moves of leaders that nothing but evenness asks for.
const whyEvenLeaders = "even spread of leaders"

// checkLeader gives a tablet without a live leader a new one at once. A BE that this FE has not heard of yet is not
// dead.
func (s *Scheduler) checkLeader(t *Tablet) {
	if s.touched[t.ID] {
		return
	}
	if t.Leader != 0 {
		be := s.in.View.BE(t.Leader)
		if be != nil && !be.dead() {
			if !s.checkWrites(t) {
				s.checkReach(t)
			}
			return
		}
	}
	if !s.in.Limits.AutoFailover {
		return
	}
	to := s.leaderFor(t, 0)
	if to == 0 {
		return
	}
	s.moves = append(s.moves, LeaderMove{Tablet: t.ID, From: t.Leader, To: to, Epoch: t.Epoch, Failover: true})
	s.table().lead(t.Leader, to)
	s.touched[t.ID] = true
}

// leaderFor picks the complete replica on a live BE that could lead best, and of several the one whose BE leads least; 0 when there is none.
func (s *Scheduler) leaderFor(t *Tablet, except types.BEID) types.BEID {
	table := s.table()
	var best types.BEID
	var least leadRank
	for i := range t.Replicas {
		r := &t.Replicas[i]
		if r.BE == except || !s.in.View.isCopy(r) {
			continue
		}
		rank := s.in.View.leadRank(t, r)
		if best == 0 || cmp.Or(rank.compare(least), cmp.Compare(table.leads(r.BE), table.leads(best))) < 0 {
			best, least = r.BE, rank
		}
	}
	return best
}

// assignLeaders sends all the new leaders of this Step, those for one reason in one Action.
func (s *Scheduler) assignLeaders() {
	if len(s.writes) > 0 {
		s.stats.LeadersMoved += int64(len(s.writes))
		s.act(Action{Kind: ActLeaders, Leaders: s.writes, Why: whyWrites})
		s.note(0, fmt.Sprintf("the leaders of %d tablets were on disks that refuse writes", len(s.writes)))
	}
	if len(s.reach) > 0 {
		s.stats.LeadersMoved += int64(len(s.reach))
		s.act(Action{Kind: ActLeaders, Leaders: s.reach, Why: whyReach})
		s.note(0, fmt.Sprintf("the leaders of %d tablets did not reach a follower", len(s.reach)))
	}
	if len(s.moves) == 0 {
		return
	}
	s.stats.LeadersMoved += int64(len(s.moves))
	s.act(Action{Kind: ActLeaders, Leaders: s.moves, Why: "no live leader"})
	s.note(0, fmt.Sprintf("%d tablets had no live leader", len(s.moves)))
}

// quiet keeps book of since when nothing is left to be repaired.
func (s *Scheduler) quiet() bool {
	busy := len(s.moves)+len(s.reach)+len(s.writes) > 0
	for i := range s.in.View.BEs {
		busy = busy || s.in.View.BEs[i].Unknown
	}
	for _, t := range s.pending {
		busy = busy || !t.Hopeless
	}
	for _, t := range s.running {
		busy = busy || t.Kind == Repair
	}
	if busy {
		s.quietSinceMs = 0
		return false
	}
	if s.quietSinceMs == 0 {
		s.quietSinceMs = s.in.NowMs
	}
	return true
}

// evenOut starts what only makes the cluster more even, when there is nothing to repair.
func (s *Scheduler) evenOut(scan bool) {
	if s.in.Limits.BalanceNow {
		s.balanceHot = s.balance() > 0
		return
	}
	if !s.quiet() || s.in.Limits.DisableBalance || !s.in.Limits.AutoFailover {
		return
	}
	if scan || s.balanceHot {
		s.balanceHot = s.balance() > 0 || s.moving() > 0
	}
	now := s.in.NowMs
	if now-s.quietSinceMs < leaderQuietMs || now-s.leadersMs < max(leaderPauseMs, s.refreshMs()/10) || !(scan || s.leadersHot) {
		return
	}
	s.leadersMs = now
	planned := s.evenLeaders()
	s.leadersHot = len(planned) > 0
	moves := planned[:0]
	for _, m := range planned {
		if !s.touched[m.Tablet] {
			moves = append(moves, m)
			s.touched[m.Tablet] = true
			s.table().lead(m.From, m.To)
		}
	}
	if len(moves) > 0 {
		s.stats.LeadersMoved += int64(len(moves))
		s.act(Action{Kind: ActLeaders, Leaders: moves, Why: whyEvenLeaders})
	}
}

// plannedTablets is up to how many tablets the best spread of leaders is worked out. Beyond it a simple rule does: it
// evens BEs, not tables, and takes no longer than a look at the tablets.
const plannedTablets = 20_000

func (s *Scheduler) evenLeaders() []LeaderMove {
	if len(s.in.View.Tablets) <= plannedTablets {
		return planLeaders(s.in.View, LeaderScope{}, leaderBudget{moves: leaderBatch, arcs: 5_000_000}).Moves
	}
	table, v := s.table(), s.in.View
	least, most := math.MaxInt, 0
	for i := range v.BEs {
		if v.BEs[i].Available() && !v.BEs[i].leadsNothing() {
			least, most = min(least, table.leaders[i]), max(most, table.leaders[i])
		}
	}
	if most-least <= 1 {
		return nil
	}
	count := slices.Clone(table.leaders)
	var moves []LeaderMove
	for i := range v.Tablets {
		if len(moves) == leaderBatch {
			break
		}
		t := &v.Tablets[i]
		from, ok := v.index.at(t.Leader)
		lead := t.On(t.Leader)
		if !ok || lead == nil || count[from] <= least+1 {
			continue
		}
		rank := v.leadRank(t, lead)
		for j := range t.Replicas {
			r := &t.Replicas[j]
			to, ok := v.index.at(r.BE)
			if !ok || count[to]+1 >= count[from] || !v.isCopy(r) || !v.BEs[to].Available() || v.leadRank(t, r).compare(rank) > 0 {
				continue
			}
			moves = append(moves, LeaderMove{Tablet: t.ID, From: t.Leader, To: r.BE, Epoch: t.Epoch})
			count[from]--
			count[to]++
			break
		}
	}
	return moves
}
