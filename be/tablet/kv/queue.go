package kv

import (
	"sync"
	"time"
)

const (
	// lazyDelay is how long changes that nobody waits for may wait for company: they ride with the next synced group, which
	// doubles the rate of small writes (a prepare that is waited for, a version record that is not).
	lazyDelay = 20 * time.Millisecond
	// maxQueued bounds the requests that wait for the committer.
	maxQueued = 4096
)

// queue holds requests in order until the committer takes them. One that nobody waits for wakes nobody: a wake-up of a
// thread costs more than such a request does.
type queue struct {
	mu     sync.Mutex
	items  []*request
	held   []*request    // those that grow: they come before the next one in items that is not ahead of them
	urgent int           // of items, those that are waited for
	due    bool          // the oldest lazy item has waited long enough
	armed  bool          // timer runs
	timer  *time.Timer   // of lazy items
	poke   chan struct{} // of capacity 1: there is something to take, or it is closed
	space  *sync.Cond    // of mu: items has room
	closed bool

	social   bool // groups wait for company
	company  company
	idle     bool // the committer found nothing to take
	parked   bool // a group waits, and patient runs
	patient  *time.Timer
	patience time.Duration
}

// newQueue returns a queue whose groups wait for company, or do not.
func newQueue(social bool) *queue {
	q := &queue{poke: make(chan struct{}, 1), social: social, patience: companyWait}
	q.space = sync.NewCond(&q.mu)
	q.timer = time.AfterFunc(time.Hour, q.late)
	q.timer.Stop()
	q.patient = time.AfterFunc(time.Hour, q.alone)
	q.patient.Stop()
	return q
}

// add is false when the queue is closed. It blocks while the queue is full.
func (q *queue) add(r *request) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.fullLocked() {
		q.releaseLocked()
		q.pokeLocked()
		q.space.Wait()
	}
	return q.addLocked(r)
}

// addBeyond is add that does not block: the queue may become longer than it should by what was on its way when it was full.
func (q *queue) addBeyond(r *request) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.addLocked(r)
}

func (q *queue) full() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.fullLocked()
}

func (q *queue) fullLocked() bool { return len(q.items)+len(q.held) >= maxQueued && !q.closed }

func (q *queue) addLocked(r *request) bool {
	if q.closed {
		return false
	}
	switch {
	case r.grows != nil:
		q.held = append(q.held, r)
	case r.ahead:
		q.items = append(q.items, r)
	default:
		q.releaseLocked()
		q.items = append(q.items, r)
	}
	switch {
	case !r.lazy:
		q.urgent++
		q.company.came()
		if q.awaitsLocked() {
			q.parkLocked()
		} else {
			q.pokeLocked()
		}
	case !q.armed:
		q.armed = true
		q.timer.Reset(lazyDelay)
	}
	return true
}

// releaseLocked gives what was held its place in the order.
func (q *queue) releaseLocked() {
	q.items = append(q.items, q.held...)
	clear(q.held)
	q.held = q.held[:0]
}

// late runs when the timer ends.
func (q *queue) late() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.armed = false
	q.releaseLocked()
	if len(q.items) > 0 {
		q.due = true
		q.pokeLocked()
	}
}

func (q *queue) pokeLocked() {
	select {
	case q.poke <- struct{}{}:
	default:
	}
}

// awaitsLocked reports whether what is there waits for what is on its way.
func (q *queue) awaitsLocked() bool { return q.social && q.company.pays(q.urgent) }

// parkLocked has alone run later, unless a group leaves before. A group that grows while the one before is flushed does not wait yet.
func (q *queue) parkLocked() {
	if q.idle && q.urgent > 0 && !q.parked {
		q.parked = true
		q.patient.Reset(q.patience)
	}
}

// alone runs when a group has waited long enough.
func (q *queue) alone() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.parked { // else the timer was stopped too late
		q.parked = false
		q.company.vain()
		q.pokeLocked()
	}
}

// leaveLocked is told how many requests of a group that leaves are waited for.
func (q *queue) leaveLocked(requests int) {
	q.company.taken(requests)
	q.idle = false
	if q.parked {
		q.parked = false
		q.patient.Stop()
	}
}

// tell notes that those who wait for a group are about to be told.
func (q *queue) tell(group []*request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range group {
		if !r.lazy {
			q.company.told(1)
		}
	}
}

// close takes no more; what is queued is still to be taken. False says that it was closed before.
func (q *queue) close() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	first := !q.closed
	q.closed = true
	q.releaseLocked()
	q.timer.Stop()
	q.patient.Stop()
	q.space.Broadcast()
	q.pokeLocked()
	return first
}

// readyLocked reports whether a group leaves now.
func (q *queue) readyLocked() bool {
	return q.due || q.closed || len(q.items) >= maxQueued || q.urgent > 0 && !q.awaitsLocked()
}

// take returns the next group within the bounds, a step alone; nil when nothing is to be done yet. end says that nothing will
// come any more.
func (q *queue) take(entries int, bytes int64) (group []*request, end bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.readyLocked() {
		q.idle = true
		q.parkLocked()
		return nil, false
	}
	n, size, urgent := 0, int64(0), q.urgent
	for len(group) < len(q.items) {
		r := q.items[len(group)]
		r.ripen()
		if len(group) > 0 && (r.step != nil || n+len(r.entries) > entries || size+r.bytes > bytes) {
			break
		}
		group = q.items[: len(group)+1 : len(group)+1]
		n, size = n+len(r.entries), size+r.bytes
		if !r.lazy {
			q.urgent--
		}
		if r.step != nil {
			break
		}
	}
	q.leaveLocked(urgent - q.urgent)
	q.items = q.items[len(group):]
	if len(q.items) == 0 { // as many as came meanwhile may come again
		q.items, q.due = make([]*request, 0, len(group)), false
	}
	q.space.Broadcast()
	return group, q.closed && len(group) == 0
}
