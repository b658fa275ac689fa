package quorum

import "time"

// patience is for how long a call looks for a leader. A process that is stopped in the midst, by a signal or with its machine, looks for none
// meanwhile: when it goes on it often leads no more, which is found by a try that has taken as long as that, and the next leader is
// there at once. So no try counts for more than mostOfATry.
type patience struct {
	begun, since time.Time // since: the try under way
	left         time.Duration
}

// mostOfATry is more than a try takes that finds no leader.
const mostOfATry = time.Second

func newPatience(d time.Duration) patience {
	now := time.Now()
	return patience{begun: now, since: now, left: d}
}

// spent takes a try off, and reports whether there is to be no other.
func (p *patience) spent() bool {
	now := time.Now()
	p.left -= min(now.Sub(p.since), mostOfATry)
	p.since = now
	return p.left <= 0
}
