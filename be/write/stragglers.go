package write

import (
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"stele/meta/types"
	"stele/proto/bepb"
)

// stragglerGrace is how long a write that enough replicas have waits for the others: long against a healthy fsync,
// short against a user's patience with a hung disk.
const stragglerGrace = 300 * time.Millisecond

const (
	// silentLeast is how long a BE has been silent before others are told: it would be dead by then, or at least have missed a
	// heartbeat, if it were silent for all.
	silentLeast = 2 * time.Second
	// silentAsk is how long a BE that is silent is asked for a sign.
	silentAsk = time.Second
	// silentMost is after how long without a write for it a silent BE is no longer asked: it has moved, or is no more.
	silentMost = time.Hour
)

// way is how rows get to a replica: to the memory of its BE, or to a disk of it.
type way struct {
	address string
	disk    uint64
	memory  bool
}

// stragglers are the ways on which an answer was owed for a whole grace. Such a BE hangs, or the link to it is cut, which the FE,
// whose own link is well, may never notice; or a disk of it is slow. Writes go that way as ever, but no write waits for what
// becomes of it, until an answer has come within the grace. So a way that is no better costs one grace, and one that has become
// well costs nothing: nobody has to wait to find it out.
//
// A BE that owes an answer is also asked for a sign of life. While it gives none it is silent, of which the FE is told: leaders that
// cannot reach their followers are better put elsewhere. It is safe for concurrent use.
type stragglers struct {
	some   atomic.Bool // there are any, or silent BEs
	mu     sync.Mutex
	slow   map[way]struct{}
	silent map[string]*silence // by address
}

// silence is a BE that gives no sign.
type silence struct {
	be    types.BEID
	since time.Time
	owes  time.Time // when it last owed the answer to a write for a whole grace
	asked bool      // a question is under way
}

// SilentPeer is a BE that has given this one no sign for some time although it owed one.
type SilentPeer struct {
	BE      types.BEID
	Address string // at which it was asked
	For     time.Duration
}

// all reports whether nobody waits for any of the ways.
func (s *stragglers) all(ways iter.Seq[way]) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for w := range ways {
		if _, slow := s.slow[w]; !slow {
			return false
		}
	}
	return true
}

// late notes that the ways to a BE owe an answer since a grace. It reports whether the BE should be asked for a sign.
func (s *stragglers) late(be types.BEID, address string, ways iter.Seq[way], now time.Time) (ask bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.slow == nil {
		s.slow, s.silent = map[way]struct{}{}, map[string]*silence{}
	}
	for w := range ways {
		s.slow[w] = struct{}{}
	}
	q := s.silent[address]
	if q == nil || q.be != be {
		q = &silence{be: be, since: now, asked: true}
		s.silent[address], ask = q, true
	}
	q.owes = now
	s.some.Store(true)
	return ask
}

// heard notes an answer of a BE, and whether it came within the grace.
func (s *stragglers) heard(address string, ways iter.Seq[way], prompt bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.silent, address)
	if prompt {
		for w := range ways {
			delete(s.slow, w)
			w.memory = true // which a disk comes behind
			delete(s.slow, w)
		}
	}
	s.some.Store(len(s.slow)+len(s.silent) > 0)
}

// asked notes what became of the question for a sign.
func (s *stragglers) asked(address string, err error, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		if q := s.silent[address]; q != nil {
			q.asked = false
		}
		return
	}
	delete(s.silent, address)
	for w := range s.slow {
		if w.address == address && w.memory && took < stragglerGrace {
			delete(s.slow, w)
		}
	}
	s.some.Store(len(s.slow)+len(s.silent) > 0)
}

// look returns the BEs that are silent, and the addresses at which to ask again.
func (s *stragglers) look(now time.Time) (silent []SilentPeer, ask []string) {
	if !s.some.Load() {
		return nil, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for address, q := range s.silent {
		if now.Sub(q.owes) >= silentMost {
			delete(s.silent, address)
			s.forgetLocked(address)
			continue
		}
		if d := now.Sub(q.since); d >= silentLeast {
			silent = append(silent, SilentPeer{q.be, address, d})
		}
		if !q.asked {
			q.asked = true
			ask = append(ask, address)
		}
	}
	s.some.Store(len(s.slow)+len(s.silent) > 0)
	return silent, ask
}

func (s *stragglers) forgetLocked(address string) {
	for w := range s.slow {
		if w.address == address {
			delete(s.slow, w)
		}
	}
}

// SilentPeers returns the BEs that have been silent for some time. They are asked again by that, so somebody should call it about
// once a second.
func (w *Writer) SilentPeers() []SilentPeer {
	silent, ask := w.stragglers.look(time.Now())
	for _, address := range ask {
		w.askPeer(address)
	}
	return silent
}

// askPeer asks a BE for a sign: to store nothing.
func (w *Writer) askPeer(address string) {
	begun := time.Now()
	w.peers.Forward(address, &bepb.ReplicateRequest{}, silentAsk, func(_ *bepb.ReplicateResponse, err error) {
		w.stragglers.asked(address, err, time.Since(begun))
	})
}
