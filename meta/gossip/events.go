package gossip

import (
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/memberlist"
)

// EventType says what happened to a member.
type EventType uint8

// Event types.
const (
	Joined  EventType = iota // it is there: new, or back from the dead
	Updated                  // it says something new of itself
	Left                     // it went, and said so
	Died                     // others cannot reach it. A hint: leases decide, not gossip
	Resync                   // events were lost, because nobody read them: look at Members
)

func (t EventType) String() string {
	return [...]string{"JOINED", "UPDATED", "LEFT", "DIED", "RESYNC"}[t]
}

// Event is a change of the membership.
type Event struct {
	Type   EventType
	Member Member // empty for Resync
}

// Member is a node as gossip knows it.
type Member struct {
	Name string // unique in the cluster
	Addr string // gossip address
	Meta Meta
}

// maxEvents bounds the events that wait for a reader.
const maxEvents = 4096

// events takes the library's callbacks, which must not block, and feeds the channel of the reader.
type events struct {
	self string
	log  *slog.Logger
	out  chan Event
	wake chan struct{}

	mu      sync.Mutex
	queue   []Event
	lost    bool
	members map[string]Member // the library's own list may change under a reader
}

func newEvents(self string, log *slog.Logger) *events {
	return &events{self: self, log: log, out: make(chan Event), wake: make(chan struct{}, 1), members: map[string]Member{}}
}

// NotifyJoin is called by memberlist.
func (e *events) NotifyJoin(n *memberlist.Node) { e.add(Joined, n) }

// NotifyUpdate is called by memberlist.
func (e *events) NotifyUpdate(n *memberlist.Node) { e.add(Updated, n) }

// NotifyLeave is called by memberlist.
func (e *events) NotifyLeave(n *memberlist.Node) { e.add(Died, n) }

// add takes note of a change. The library holds its lock meanwhile, so that n does not change.
func (e *events) add(t EventType, n *memberlist.Node) {
	m, err := toMember(n)
	if err != nil {
		e.log.Warn("gossip member says nothing readable", "member", n.Name, "err", err)
	}
	if t == Died && m.Meta.Leaving {
		t = Left
	}
	e.mu.Lock()
	if t == Died || t == Left {
		delete(e.members, n.Name)
	} else {
		e.members[n.Name] = m
	}
	switch {
	case n.Name == e.self:
	case len(e.queue) < maxEvents:
		e.queue = append(e.queue, Event{Type: t, Member: m})
	default:
		e.lost = true
	}
	e.mu.Unlock()
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// list returns the members by name.
func (e *events) list() []Member {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.SortedFunc(maps.Values(e.members), func(a, b Member) int { return strings.Compare(a.Name, b.Name) })
}

// take returns the events that wait.
func (e *events) take() []Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	q := e.queue
	if e.lost {
		q = append(q, Event{Type: Resync})
	}
	e.queue, e.lost = nil, false
	return q
}

// run feeds the reader until stop closes; then it closes the channel.
func (e *events) run(stop <-chan struct{}) {
	defer close(e.out)
	for {
		select {
		case <-e.wake:
		case <-stop:
			return
		}
		for _, ev := range e.take() {
			select {
			case e.out <- ev:
			case <-stop:
				return
			}
		}
	}
}

func toMember(n *memberlist.Node) (Member, error) {
	meta, err := decodeMeta(n.Meta)
	return Member{Name: n.Name, Addr: n.Address(), Meta: meta}, err
}
