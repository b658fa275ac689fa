package group

import "time"

// endedAfter is when the sessions of an FE that is silent have ended for certain: it ends them itself after five minutes without an answer of a
// leading FE, and others wait for ten (fe/lease).
const endedAfter = 10 * time.Minute

// readsSince is since when an FE reads that was asked at a time and has read something for so long by then.
func readsSince(asked time.Time, ms uint64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return asked.Add(-time.Duration(ms) * time.Millisecond)
}

// OldestRead returns for how long the oldest statement or transaction of all FEs has read the state that it reads; 0 = none does. It is not known on
// an FE that does not lead, nor while it has not heard of each of the others since it does.
func (g *Group) OldestRead() (age time.Duration, known bool) {
	if g.o.OldestRead != nil {
		age = g.o.OldestRead()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.leading.IsZero() {
		return 0, false
	}
	for fe := range g.o.Log.Current().FEs() {
		if fe.Name == g.o.Log.ID() || fe.Pending || fe.RPCPort == 0 {
			continue
		}
		m := g.members[fe.Name]
		last := g.leading
		if m != nil && m.LastSeen.After(last) {
			last = m.LastSeen
		}
		switch {
		case m != nil && m.gone || time.Since(last) > endedAfter:
		case m == nil || m.LastSeen.Before(g.leading):
			return 0, false
		case !m.reads.IsZero():
			age = max(age, time.Since(m.reads))
		}
	}
	return age, true
}
