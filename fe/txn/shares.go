package txn

import (
	"iter"
	"maps"

	"stele/meta/types"
)

// share is the transaction's part in one tablet. Where it has no part yet (seq = 0) it has only locked rows there, shared.
type share struct {
	tablet types.TabletID
	epoch  types.Epoch
	leader types.BEID
	bes    []types.BEID // everyone who may hold pending rows
	ok     []types.ReplicaID
	seq    uint64
	rows   int64
	index  bool // of a hidden table: its rows do not count
	redo   carried
	newest newest
	need   int      // of the commit, if that is more than the quorum of the replicas that there are
	room   struct { // of a tablet with three replicas and one part
		bes  [3]types.BEID
		ok   [3]types.ReplicaID
		redo [1][]byte
	}
}

// newest is the highest version of a tablet that a replica had when it got a part, where that is more than the FE knew then.
type newest struct {
	version types.Version
	replica types.ReplicaID
}

// shares are those of a transaction. Most transactions write to one tablet: its share lies here, and there is no map.
type shares struct {
	first *share // nil = none
	more  map[types.TabletID]*share

	room share // of the first there ever was: what a command of it has must not change
	used bool
}

// get returns the share in a tablet, nil = there is none.
func (s *shares) get(id types.TabletID) *share {
	if s.first != nil && s.first.tablet == id {
		return s.first
	}
	return s.more[id]
}

// add makes the share in a tablet that has none.
func (s *shares) add(id types.TabletID) *share {
	sh := &s.room
	if s.used {
		sh = &share{}
	}
	s.used, sh.tablet = true, id
	switch {
	case s.first == nil:
		s.first = sh
	case s.more == nil:
		s.more = map[types.TabletID]*share{id: sh}
	default:
		s.more[id] = sh
	}
	return sh
}

// drop forgets the share in a tablet.
func (s *shares) drop(id types.TabletID) {
	if s.first != nil && s.first.tablet == id {
		s.first = nil
		return
	}
	delete(s.more, id)
}

// clear forgets all.
func (s *shares) clear() { s.first, s.more = nil, nil }

func (s *shares) len() int {
	n := len(s.more)
	if s.first != nil {
		n++
	}
	return n
}

// all calls with each share, in no order.
func (s *shares) all() iter.Seq[*share] {
	return func(yield func(*share) bool) {
		if s.first != nil && !yield(s.first) {
			return
		}
		maps.Values(s.more)(yield)
	}
}
