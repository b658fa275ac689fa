package raftlog

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"stele/meta/catalog"
	"stele/meta/command"
)

// reapEvery is how long an entry is left alone before somebody waits for what the Raft library says of it.
const reapEvery = 20 * time.Millisecond

// flight is an entry on its way with the proposals in it.
type flight struct {
	data      []byte
	command   *command.Batch // what data is the encoded form of; nil = it has to be decoded
	proposals []*proposal
	future    raft.ApplyFuture // nil until Raft has taken the entry
}

// flights are the entries of this FE that are on their way, in the order of the log. The state machine hands their results
// out as it applies them, so that nobody has to be woken in between; what ends otherwise is found by the reaper.
type flights struct {
	slots   chan struct{} // one for each entry on its way
	stored  chan struct{} // of capacity 1: storing has become false
	storing atomic.Bool   // Raft has been given an entry that the next one must not follow yet
	alone   atomic.Bool   // the newest entry is committed once it is stored, see begin
	newest  atomic.Pointer[flight]

	mu   sync.Mutex
	list []*flight
}

func newFlights() flights {
	return flights{slots: make(chan struct{}, maxInflight), stored: make(chan struct{}, 1)}
}

// begin registers an entry; the caller has got a slot. The next one follows when this one is stored, so that followers take it in
// meanwhile. Without followers (alone) it is committed by then, and the next one follows when the state machine has it: the Raft library's loop
// picks at random between what is committed and what is proposed, and one flush in five was made before those who had waited
// for the flush before heard of it.
func (f *flights) begin(data []byte, proposals []*proposal, alone bool) *flight {
	one := &flight{data: data, proposals: proposals, command: together(proposals)}
	f.alone.Store(alone)
	f.newest.Store(one)
	f.storing.Store(true)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = append(f.list, one)
	return one
}

// launched gives the flight what the reaper waits for.
func (f *flights) launched(one *flight, future raft.ApplyFuture) {
	f.mu.Lock()
	defer f.mu.Unlock()
	one.future = future
}

// entryStored is told when Raft has stored entries.
func (f *flights) entryStored() {
	if !f.alone.Load() {
		f.free()
	}
}

// free says that the next entry may follow: the state machine has been given the one before, or it has ended.
func (f *flights) free() {
	if !f.storing.Swap(false) {
		return
	}
	select {
	case f.stored <- struct{}{}:
	default:
	}
}

// index finds the flight of an entry by its bytes, -1 = there is none. Called with mu held.
func (f *flights) index(data []byte) int {
	return slices.IndexFunc(f.list, func(one *flight) bool { return len(data) > 0 && &one.data[0] == &data[0] })
}

// command returns the command whose encoded form an entry of this FE is, without decoding it; nil = it has to be decoded.
func (f *flights) command(data []byte) command.Command {
	f.mu.Lock()
	defer f.mu.Unlock()
	if at := f.index(data); at >= 0 && f.list[at].command != nil {
		return f.list[at].command
	}
	return nil
}

// together returns the commands of proposals as one, if they can be handed to the state machine of this FE as they are. Only commits can:
// they are nearly all that a busy log holds, and what is decoded of one equals what was encoded (but for an empty list in the place of none).
func together(proposals []*proposal) *command.Batch {
	batch := &command.Batch{Commands: make([]command.Command, 0, len(proposals))}
	for _, p := range proposals {
		if len(p.cmds) == 0 {
			return nil
		}
		for _, c := range p.cmds {
			if _, ok := c.(*command.CommitTxn); !ok {
				return nil
			}
			batch.Commands = append(batch.Commands, c)
		}
	}
	return batch
}

// landed is told what an entry of the log came to: a catalog.BatchResult, or an error. Entries of other FEs, and those
// that Raft has read back from its store, are nobody's here.
func (f *flights) landed(data []byte, result any) {
	f.mu.Lock()
	at := f.index(data)
	if at < 0 {
		f.mu.Unlock()
		return
	}
	one := f.list[at]
	f.list = slices.Delete(f.list, at, at+1)
	f.mu.Unlock()
	f.finish(one, result)
}

// finish hands results out. The flight is in the list no more.
func (f *flights) finish(one *flight, result any) {
	var err error
	var results catalog.BatchResult
	switch r := result.(type) {
	case catalog.BatchResult:
		results = r
	case error:
		err = r
	}
	for _, p := range one.proposals {
		if err != nil {
			p.done <- outcome{err: err}
			continue
		}
		n := len(p.encoded)
		p.done <- outcome{results: results[:n:n]}
		results = results[n:]
	}
	if f.newest.Load() == one {
		f.free() // it need not have come as far as the store, or the state machine
	}
	<-f.slots
}

// first returns the oldest flight, with its future if Raft has taken it.
func (f *flights) first() (*flight, raft.ApplyFuture) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.list) == 0 {
		return nil, nil
	}
	return f.list[0], f.list[0].future
}

// reap waits for entries that take long, or that may have ended with the leadership of this FE: for them the Raft library
// has an error, and the state machine never sees them. It ends with the log.
func (l *Log) reap() {
	defer l.wg.Done()
	tick := time.NewTicker(reapEvery)
	defer tick.Stop()
	var seen *flight // at the last tick
	for {
		moved := l.LeaderMoved()
		one, future := l.flights.first()
		if future != nil && one == seen {
			l.reapOne(one, future)
			continue
		}
		select {
		case <-tick.C:
			seen = one
		case <-moved:
			seen, _ = l.flights.first()
		case <-l.closing:
			return
		}
	}
}

// reapOne waits for one entry. Close shuts Raft down, which ends all futures.
func (l *Log) reapOne(one *flight, future raft.ApplyFuture) {
	var result any
	if err := l.translate(future.Error()); err != nil {
		result = err
	} else {
		result = future.Response()
	}
	l.flights.landed(one.data, result) // nothing is left to do if the state machine had it
}
