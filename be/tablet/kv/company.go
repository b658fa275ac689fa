package kv

import "time"

// A group costs a flush, a system call and a wake-up of the committer, whatever is in it. A committer that took what is there as soon as the
// group before is durable would find those few who came during the flush, then all others, whom it has just told: 62, 3, 62, 3 of 64
// writers, and the processors have nothing to do while the 62 are flushed. So a group waits for those who are on their way. One writer,
// and few, never wait.
const (
	// several is from how many requests in a group on the next one may wait: as many come at the same time.
	several = 4
	// companyWait bounds the wait: who was told need not come again.
	companyWait = time.Millisecond
)

// company tells whether a group waits for requests that are expected to share its flush. Only those count that are waited for.
type company struct {
	away int // told that they are durable, and nobody has come for them since: whoever waited for one comes with the next
	last int // in the group before
}

// pays reports whether a group with so many requests waits: the group before had several, and more than half as many are on their way as are
// here. The third that is left keeps the processors busy during the flush. 16 and 64 writers cost a fifth less CPU each, with half of all in a group, two
// thirds or more; with half there are more flushes, which a slow disk does not like, with more the processors idle.
func (c *company) pays(here int) bool { return c.last >= several && 2*c.away > here }

func (c *company) came()              { c.away = max(c.away-1, 0) }
func (c *company) told(requests int)  { c.away += requests }
func (c *company) taken(requests int) { c.last = requests }

// vain is told that the time is up: nobody is on the way.
func (c *company) vain() { c.away = 0 }
