package kv

import (
	"errors"
	"sync"
	"time"
	"unsafe"

	"github.com/dgraph-io/badger/v4"
)

// behind is what is durable in the front and not in Badger yet: the newest change of each key, which readers see, and the
// requests in their order. The front's size bounds it.
type behind struct {
	mu      sync.RWMutex
	keys    map[string]change // keys share the memory of their changes
	queue   []*request
	entries int    // in queue, but for those that are void
	acked   uint64 // sequence number of the last request
	taken   uint64 // and of the last one that was taken to be applied
	applied uint64 // and of the last one that is in Badger
	wanted  uint64 // up to which one somebody waits for applied
	closed  bool
	poke    chan struct{} // of capacity 1: the queue is not empty, somebody waits, or closed
	moved   *sync.Cond    // of mu: applied has grown, or there was a failure
	failed  bool
}

// change is the newest change of a key: an entry of a request.
type change struct {
	in *request
	at int
}

func (c change) entry() *Entry { return &c.in.entries[c.at] }

const (
	// applyDelay is how long changes gather before Badger gets them: each time it flushes its own log of them, for which the
	// front must wait. What gathers is in memory and in the front, which bounds it.
	applyDelay = 200 * time.Millisecond
	// applyEntries is how many do not wait for more.
	applyEntries = 4000
	// applyPart of a memtable is what Badger gets at once: well below what it takes in one transaction.
	applyPart = 16
)

func newBehind() *behind {
	b := &behind{keys: map[string]change{}, poke: make(chan struct{}, 1)}
	b.moved = sync.NewCond(&b.mu)
	return b
}

// get returns the newest change of a key that is not in Badger yet.
func (b *behind) get(key []byte) (Entry, bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	c, ok := b.keys[string(key)]
	if !ok {
		return Entry{}, false
	}
	return c.in.entries[c.at], true
}

// add takes requests that are durable. They are visible before anybody hears that they are.
func (b *behind) add(requests []*request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range requests {
		for i := range r.entries {
			b.addLocked(r, i)
		}
		b.entries += len(r.entries)
		b.acked = r.seq
	}
	wake := len(b.queue) == 0 || b.entries >= applyEntries
	b.queue = append(b.queue, requests...)
	if wake {
		b.pokeLocked()
	}
}

// addLocked notes the newest change of a key. A new key and its deletion are both void, as long as nobody applies the first: Badger
// has nothing of it. After a crash the front has both, or neither is durable.
func (b *behind) addLocked(r *request, at int) {
	e := &r.entries[at]
	name := unsafe.String(unsafe.SliceData(e.Key), len(e.Key))
	if !e.New && !e.Delete {
		b.keys[name] = change{r, at}
		return
	}
	before, known := b.keys[name]
	if !e.Delete || !known || before.in.seq <= b.taken || !before.entry().New {
		e.New = e.New && !known // else Badger may have, or get, what a deletion before it has ended
		b.keys[name] = change{r, at}
		return
	}
	delete(b.keys, name)
	for _, c := range []change{before, {r, at}} {
		c.entry().void = true
		c.in.voids++
	}
	b.entries -= 2
}

func (b *behind) pokeLocked() {
	select {
	case b.poke <- struct{}{}:
	default:
	}
}

// wait returns when the request with a sequence number, or the last one there is, is in Badger; false after a failure.
func (b *behind) wait(seq uint64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	seq = min(seq, b.acked)
	for b.applied < seq && !b.failed {
		b.wanted = max(b.wanted, seq)
		b.pokeLocked()
		b.moved.Wait()
	}
	return !b.failed
}

// settle is wait for all that is acknowledged now.
func (b *behind) settle() bool { return b.wait(^uint64(0)) }

// close has the applier end when the queue is empty.
func (b *behind) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.pokeLocked()
}

// next takes what is to be applied next, nil = nothing at present; end says that nothing will come any more.
func (b *behind) next(entries int, bytes int64) (group []*request, end bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, size := 0, int64(0)
	for len(group) < len(b.queue) {
		r := b.queue[len(group)]
		live := len(r.entries) - r.voids
		if len(group) > 0 && (n+live > entries || size+r.bytes > bytes) {
			break
		}
		n, size = n+live, size+r.bytes
		group = b.queue[:len(group)+1]
	}
	if len(group) > 0 {
		b.taken = group[len(group)-1].seq
	}
	return group, b.failed || b.closed && len(group) == 0
}

// done forgets the first requests of the queue: they are in Badger.
func (b *behind) done(group []*request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.applied = group[len(group)-1].seq
	b.queue = b.queue[len(group):]
	if len(b.queue) == 0 {
		b.queue = nil
	}
	for at, r := range group {
		group[at] = nil
		b.entries -= len(r.entries) - r.voids
		for _, e := range r.entries {
			if e.void {
				continue
			}
			if c, ok := b.keys[string(e.Key)]; ok && c.in.seq <= b.applied {
				delete(b.keys, string(e.Key))
			}
		}
	}
	b.moved.Broadcast()
}

func (b *behind) fail() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failed = true
	b.moved.Broadcast()
}

// hurried reports whether what is queued must not wait for more. What nobody waits for does so again as soon as Badger has the rest, also
// while more comes without end: else each little of it would be flushed by itself, beside the front.
func (b *behind) hurried() bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.wanted > b.applied || b.closed || b.entries >= applyEntries
}

// applyLoop puts into Badger what is durable in the front, until behind is closed and empty, or Badger fails.
func (db *DB) applyLoop() {
	defer close(db.applied)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		<-db.behind.poke
		for {
			db.gather(timer)
			group, end := db.behind.next(applyEntries, min(db.opt.GroupBytes, db.opt.MemTableBytes/applyPart))
			if end {
				return
			}
			if len(group) == 0 {
				break
			}
			if err := db.apply(group); err != nil {
				db.setFailed(err)
				db.behind.fail()
				return
			}
			db.behind.done(group)
		}
	}
}

// gather waits for more to apply while nobody is in a hurry.
func (db *DB) gather(timer *time.Timer) {
	timer.Reset(applyDelay)
	for !db.behind.hurried() {
		select {
		case <-db.behind.poke:
		case <-timer.C:
			return
		}
	}
}

// apply puts requests of the front into Badger.
func (db *DB) apply(group []*request) error {
	err := db.applySome(group)
	for _, r := range group {
		db.settle(r)
	}
	return err
}

// applySome is for a part of a group. Each request by itself is small enough for a transaction.
func (db *DB) applySome(group []*request) error {
	err := db.persist(group, group[len(group)-1].seq)
	if errors.Is(err, badger.ErrTxnTooBig) && len(group) > 1 {
		half := len(group) / 2
		if err := db.applySome(group[:half]); err != nil {
			return err
		}
		return db.applySome(group[half:])
	}
	if err == nil {
		err = db.Err() // Badger only logs a failed sync
	}
	return err
}
