package raftlog

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"math"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/raft"

	"stele/meta/catalog"
)

// Tag marks a proposal in the log, so that its FE finds it there whichever FE put it in. The zero Tag marks nothing.
type Tag struct {
	ID    [16]byte
	Until uint64 // the last term in which the proposal may be put into the log
}

func (t Tag) isZero() bool { return t == Tag{} }

// Fate is what became of a traced proposal.
type Fate int

// Fates.
const (
	Unsettled Fate = iota // it may be applied yet, or was passed over in a snapshot
	Applied
	Never // it is not in the log and never will be
)

// Trace follows one proposal through the log that this FE applies. DESIGN.md says why its word is certain.
type Trace struct {
	log     *Log
	tag     Tag
	settled chan struct{} // closed when fate is more than Unsettled, or the trace has ended
	ended   bool
	blind   bool // a snapshot has taken the place of entries that might have held the proposal
	fate    Fate
	results []catalog.Result
}

// traces are those of this FE that are open.
type traces struct {
	count atomic.Int64 // of open
	mu    sync.Mutex
	open  map[[16]byte]*Trace
}

// Trace begins to follow a proposal that is about to be made with the tag of the trace; End ends it.
func (l *Log) Trace() *Trace {
	t := &Trace{log: l, tag: Tag{Until: l.raft.CurrentTerm()}, settled: make(chan struct{})}
	rand.Read(t.tag.ID[:]) // never fails
	l.traces.mu.Lock()
	defer l.traces.mu.Unlock()
	l.traces.open[t.tag.ID] = t
	l.traces.count.Add(1)
	return t
}

// Tag returns what the proposal is to be marked with, nothing if there is no trace.
func (t *Trace) Tag() Tag {
	if t == nil {
		return Tag{}
	}
	return t.tag
}

// End gives the trace up. Nobody who awaits it waits any longer.
func (t *Trace) End() {
	all := &t.log.traces
	all.mu.Lock()
	defer all.mu.Unlock()
	if t.ended {
		return
	}
	t.ended = true
	delete(all.open, t.tag.ID)
	all.count.Add(-1)
	if t.fate == Unsettled {
		close(t.settled)
	}
}

// Await waits until this FE knows what became of the proposal, and returns its results if it is applied here. The proposal was
// made with the tag of the trace, or not at all.
func (t *Trace) Await(ctx context.Context) (Fate, []catalog.Result) {
	select {
	case <-t.settled:
	case <-ctx.Done():
	case <-t.log.fsm.failed:
	case <-t.log.closing:
	}
	t.log.traces.mu.Lock()
	defer t.log.traces.mu.Unlock()
	return t.fate, t.results
}

// settle is called with the mutex of the traces held.
func (t *Trace) settle(fate Fate, results []catalog.Result) {
	if t.fate == Unsettled && !t.ended {
		t.fate, t.results = fate, results
		close(t.settled)
	}
}

// landed is told what an entry came to, once it is published: a catalog.BatchResult, or an error.
func (ts *traces) landed(entry *raft.Log, result any) {
	if ts.count.Load() == 0 {
		return
	}
	ts.mu.Lock()
	defer ts.mu.Unlock()
	results, _ := result.(catalog.BatchResult)
	_, parts, _ := readTags(entry.Extensions)
	for _, p := range parts {
		if t := ts.open[p.id]; t != nil && p.first+p.count <= uint64(len(results)) {
			t.settle(Applied, results[p.first:][:p.count:p.count])
		}
	}
	for _, t := range ts.open {
		if entry.Term > t.tag.Until && !t.blind {
			t.settle(Never, nil)
		}
	}
}

// skipped is told that a snapshot has taken the place of entries.
func (ts *traces) skipped() {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for _, t := range ts.open {
		t.blind = true
	}
}

// The tags of an entry travel, and are stored, in the Extensions of the Raft library's record of it, which binaries that know no tags
// carry along and do not read:
//
//	offset 0  format 1
//	       1  the last term in which the entry may be stored, uvarint
//	       …  for each proposal with a tag: its id, 16 bytes; which command of the entry is its first, uvarint; how many it has, uvarint
const tagsFormat = 1

// tagged is a proposal with a tag in an entry.
type tagged struct {
	id           [16]byte
	first, count uint64
}

// tagsOf returns the extensions of an entry with some proposals, nil when none of them has a tag.
func tagsOf(proposals []*proposal) []byte {
	until, first := uint64(math.MaxUint64), 0
	var parts []byte
	for _, p := range proposals {
		if !p.tag.isZero() {
			until = min(until, p.tag.Until)
			parts = append(parts, p.tag.ID[:]...)
			parts = binary.AppendUvarint(parts, uint64(first))
			parts = binary.AppendUvarint(parts, uint64(len(p.encoded)))
		}
		first += len(p.encoded)
	}
	if parts == nil {
		return nil
	}
	return append(binary.AppendUvarint([]byte{tagsFormat}, until), parts...)
}

// readTags reads what tagsOf wrote; false for anything else.
func readTags(b []byte) (until uint64, parts []tagged, ok bool) {
	if len(b) == 0 || b[0] != tagsFormat {
		return 0, nil, false
	}
	until, n := binary.Uvarint(b[1:])
	if n <= 0 {
		return 0, nil, false
	}
	for b = b[1+n:]; len(b) > 0; {
		var p tagged
		if len(b) < len(p.id) {
			return 0, nil, false
		}
		b = b[copy(p.id[:], b):]
		for _, to := range []*uint64{&p.first, &p.count} {
			v, n := binary.Uvarint(b)
			if n <= 0 || v > math.MaxUint32 {
				return 0, nil, false
			}
			*to, b = v, b[n:]
		}
		parts = append(parts, p)
	}
	return until, parts, true
}

// tooLate reports whether an entry is about to be stored in a term that is later than its tags allow. The leader of that term put it
// there for a proposal that came to it when it led before.
func tooLate(entries []*raft.Log) bool {
	for _, e := range entries {
		if len(e.Extensions) == 0 {
			continue
		}
		if until, _, ok := readTags(e.Extensions); ok && e.Term > until {
			return true
		}
	}
	return false
}
