package write

import (
	"bytes"
	"slices"
	"sort"
	"strings"

	"stele/meta/types"
)

// largeLock is the locks of a large part on one tablet: its keys in order, and nothing else. As soon as somebody asks for
// any lock on the tablet who may meet them, they become row locks like all others, which can be waited for. Guarded by the
// table's mu.
type largeLock struct {
	holder
	keys    [][]byte
	wrote   bool // the transaction has written the rows
	rowwise bool // they are row locks by now
}

// largeShare is how many keys of a large part count as one lock against the limit: they take that much less memory.
const largeShare = 8

// acquireLarge locks all of the keys, ascending and each another, without waiting. It returns nil when some transaction,
// and be it the same one, has one of them.
func (l *lockTable) acquireLarge(txn types.TxnID, tablet types.TabletID, keys [][]byte) (*largeLock, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := holder{txn, tablet}
	if _, over := l.ended[h]; over {
		return nil, ErrEnded
	}
	if rows := l.rows[tablet]; len(rows) > 0 {
		for _, key := range keys {
			if rows[string(key)] != nil {
				return nil, nil
			}
		}
	}
	for _, other := range l.large[tablet] {
		if other.meets(keys) {
			return nil, nil
		}
	}
	if l.count+(l.largeKeys+len(keys))/largeShare > l.limit {
		return nil, ErrTooManyLocks
	}
	lock := &largeLock{holder: h, keys: keys}
	l.large[tablet] = append(l.large[tablet], lock)
	l.largeKeys += len(keys)
	return lock, nil
}

// meets reports whether one of the keys, ascending, is locked.
func (k *largeLock) meets(keys [][]byte) bool {
	from := sort.Search(len(keys), func(i int) bool { return bytes.Compare(keys[i], k.keys[0]) >= 0 })
	last := k.keys[len(k.keys)-1]
	at := 0
	for _, key := range keys[from:] {
		if bytes.Compare(key, last) > 0 {
			return false
		}
		at += sort.Search(len(k.keys)-at, func(i int) bool { return bytes.Compare(k.keys[at+i], key) >= 0 })
		if bytes.Equal(k.keys[at], key) {
			return true
		}
	}
	return false
}

// wroteLarge notes that the rows have been written.
func (l *lockTable) wroteLarge(lock *largeLock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lock.wrote = true
	if !lock.rowwise {
		return
	}
	rows := l.rows[lock.tablet]
	for _, key := range lock.keys {
		if row := rows[string(key)]; row != nil && row.owner == lock.txn {
			row.wrote = wrotePut
		}
	}
}

// giveUpLarge takes a lock back under which nothing was written. What has become row locks stays: they are wanted next.
func (l *lockTable) giveUpLarge(lock *largeLock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forgetLargeLocked(lock.tablet, func(o *largeLock) bool { return o == lock })
}

func (l *lockTable) forgetLargeLocked(tablet types.TabletID, which func(*largeLock) bool) {
	if len(l.large[tablet]) == 0 {
		return
	}
	l.large[tablet] = slices.DeleteFunc(l.large[tablet], func(o *largeLock) bool {
		if which(o) {
			l.largeKeys -= len(o.keys)
			return true
		}
		return false
	})
	if len(l.large[tablet]) == 0 {
		delete(l.large, tablet)
	}
}

// spreadLocked makes row locks of the large locks that some of the keys may meet.
func (l *lockTable) spreadLocked(tablet types.TabletID, keys [][]byte) {
	if len(l.large[tablet]) == 0 {
		return
	}
	least, most := keys[0], keys[0]
	for _, key := range keys {
		if bytes.Compare(key, least) < 0 {
			least = key
		} else if bytes.Compare(key, most) > 0 {
			most = key
		}
	}
	l.forgetLargeLocked(tablet, func(o *largeLock) bool {
		if bytes.Compare(o.keys[0], most) > 0 || bytes.Compare(o.keys[len(o.keys)-1], least) < 0 {
			return false
		}
		l.spreadOneLocked(o)
		return true
	})
}

// spreadOneLocked may go beyond the limit: the keys are locked already.
func (l *lockTable) spreadOneLocked(o *largeLock) {
	o.rowwise = true
	rows := l.rows[o.tablet]
	if rows == nil {
		rows = make(map[string]*rowLock, len(o.keys))
		l.rows[o.tablet] = rows
	}
	size := 0
	for _, key := range o.keys {
		size += len(key)
	}
	var all strings.Builder
	all.Grow(size)
	for _, key := range o.keys {
		all.Write(key)
	}
	text, at := all.String(), 0
	made := make([]rowLock, len(o.keys))
	held := slices.Grow(l.held[o.holder], len(o.keys))
	for i, key := range o.keys {
		row := &made[i]
		*row = rowLock{owner: o.txn, key: text[at : at+len(key)]}
		if o.wrote {
			row.wrote = wrotePut
		}
		at += len(key)
		rows[row.key] = row
		held = append(held, row)
	}
	l.count += len(o.keys)
	l.held[o.holder] = held
}
