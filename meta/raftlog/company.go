package raftlog

import (
	"sync/atomic"
	"time"
)

// Each entry costs a flush, an apply and a message to every BE, whatever is in it. With many clients all processors are busy, so that an
// entry which leaves as soon as the one before is stored takes few with it, and the flushes keep back the very statements that
// would have shared it. Such an entry waits for those that are on their way. One client, and few, never wait.
const (
	// several is from how many proposals in an entry on the next one may wait: as many come at the same time.
	several = 4
	// companyWait bounds the wait: a statement that was expected may wait for a lock, or fail.
	companyWait = 2 * time.Millisecond
)

// company tells how long an entry waits for proposals that are expected to share it.
type company struct {
	expected atomic.Int64  // statements that are about to propose
	vain     atomic.Int64  // of expected, those that an entry has waited for in vain: they may wait for row locks for long
	last     atomic.Int64  // proposals in the entry before
	parked   atomic.Bool   // an entry waits
	enough   chan struct{} // of capacity 1: nothing is to be waited for any more
}

func newCompany() company { return company{enough: make(chan struct{}, 1)} }

// Expect says that n more statements of this FE are about to propose; -n takes it back, when they do or fail. It is a hint: an
// entry that has others in it may wait a moment for them.
func (l *Log) Expect(n int) { l.company.expected.Add(int64(n)) }

// worthWaiting reports whether an entry with so many proposals waits: the entry before had several, and more than half as many are on
// their way as are here. The third that is left keeps the processors busy during the flush. Entries that left with half of all,
// and so had fewer in them, cost 4 to 10 % more CPU with 16 and with 64 clients; those that waited for nearly all cost as much as these.
func worthWaiting(last, here, expected int) bool { return last >= several && 2*expected > here }

// pays is worthWaiting as things are.
func (c *company) pays(here int) bool {
	return worthWaiting(int(c.last.Load()), here, int(c.expected.Load()-c.vain.Load()))
}

// joined is told of each proposal in the queue. It wakes nobody before the entry has company enough.
func (c *company) joined(here int) {
	if c.parked.Load() && !c.pays(here) {
		select {
		case c.enough <- struct{}{}:
		default:
		}
	}
}

// gone is told how many proposals an entry has that leaves. No more than are expected still can have been waited for in vain.
func (c *company) gone(proposals int) {
	c.last.Store(int64(proposals))
	c.vain.Store(min(c.vain.Load(), max(c.expected.Load(), 0)))
}

// awaitCompany waits for others if that pays; false = the log closes.
func (l *Log) awaitCompany() bool {
	if !l.company.pays(l.waiting()) {
		return true
	}
	timer := time.NewTimer(companyWait)
	defer timer.Stop()
	return l.company.await(l.waiting, timer.C, l.closing)
}

// await returns when there is nothing to wait for any more, or the time is up; false = the log closes.
func (c *company) await(here func() int, expired <-chan time.Time, closing <-chan struct{}) bool {
	c.parked.Store(true) // before the next look: who comes after that sees it
	defer c.parked.Store(false)
	for c.pays(here()) {
		select {
		case <-c.enough:
		case <-expired:
			c.vain.Store(c.expected.Load())
			return true
		case <-closing:
			return false
		}
	}
	return true
}
