package kv

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/dgraph-io/badger/v4"
	"github.com/zeebo/xxh3"

	"stele/be/tablet/kv/segment"
)

// values is where the large values of an instance are: in segments, while Badger has a pointer to each. A group commit writes them
// to a segment, syncs that, and then commits the pointers, so that no pointer names what is not durable.
type values struct {
	log *segment.Log
	// groups is the committer's, moves the collector's: what has lived through a collection lies apart from what is new.
	groups, moves *segment.Writer
	old           oldValues

	// pointed has the hashes of all keys with a pointer: few have one, and only of those has to be found out what a change ends. It
	// belongs to who writes to Badger.
	pointed map[uint64]struct{}
}

// userPointer is Badger's user byte of a value that is a pointer.
const userPointer = 1

// openValues opens the segments of an instance, and counts what of them is alive.
func (db *DB) openValues(dir string) error {
	log, err := segment.Open(dir, segment.Options{Bytes: db.opt.SegmentBytes, Create: db.opt.createSegment})
	if err != nil {
		return err
	}
	for _, err := range log.Unreadable() {
		db.logf(LevelError, "%v: what is in it is damaged", err)
	}
	db.values = &values{log: log, groups: log.NewWriter(), moves: log.NewWriter(), pointed: make(map[uint64]struct{})}
	db.values.old.disk.Store(oldLogBytes(dir))
	lost, live := 0, int64(0)
	err = db.scan(nil, func(_ *guard, item *badger.Item) error {
		live += item.EstimatedSize()
		p, pointed, err := pointerOf(item)
		switch {
		case err != nil:
			lost++ // its reader hears of it
		case !pointed:
			db.values.old.live.Add(db.oldSize(item))
		case !log.Add(item.Key(), p):
			lost++
		default:
			db.values.pointed[xxh3.Hash(item.Key())] = struct{}{}
		}
		return nil
	})
	if lost > 0 {
		db.logf(LevelError, "%d values are in no segment", lost)
	}
	db.countTree(live)
	if err != nil {
		return errors.Join(fmt.Errorf("count live values: %w", err), log.Close())
	}
	return nil
}

// close ends the segments that are written. After a failure they are left as they are.
func (v *values) close(failed bool) error {
	if failed {
		return errors.Join(v.groups.Abandon(), v.moves.Abandon(), v.log.Close())
	}
	return errors.Join(v.groups.Seal(), v.moves.Seal(), v.log.Close())
}

// pointerOf returns the pointer that an item holds; pointed is false for one that holds its value.
func pointerOf(item *badger.Item) (p segment.Pointer, pointed bool, err error) {
	if item.UserMeta() != userPointer {
		return p, false, nil
	}
	err = item.Value(func(val []byte) error {
		var ok bool
		if p, ok = segment.DecodePointer(val); !ok {
			return fmt.Errorf("pointer of %d bytes: %w", len(val), ErrDamaged)
		}
		return nil
	})
	return p, true, err
}

// Place is where a large value lay when it was read last; the zero value is nowhere. A pointer is taken for what it says only if the record
// agrees, so who follows an old one finds the value or an error. It is safe for concurrent use.
type Place struct {
	pointer atomic.Pointer[segment.Pointer]
}

// viewPointer calls fn with the value of key that p points to; whole = all of it is wanted.
func (db *DB) viewPointer(key []byte, p segment.Pointer, whole bool, fn func(val []byte) error) error {
	if db.values == nil {
		return fmt.Errorf("value in segment %d: %w", p.Segment, ErrDamaged)
	}
	if !db.users.enter() {
		return ErrClosed
	}
	defer db.users.leave()
	err := db.values.log.View(key, p, func(val []byte) error {
		if whole {
			segment.WillNeed(val)
		}
		return fn(val)
	})
	if errors.Is(err, segment.ErrGone) || errors.Is(err, segment.ErrDamaged) {
		return fmt.Errorf("value: %w: %w", ErrDamaged, err)
	}
	return err
}

// Ahead starts reading the first bytes of the value of key, if it is a large one. What goes wrong shows when it is read.
func (db *DB) Ahead(key []byte, bytes int64) {
	if db.values == nil {
		return
	}
	_ = db.item(key, func(_ *guard, item *badger.Item) error {
		p, pointed, err := pointerOf(item)
		if err == nil && pointed {
			db.values.log.Ahead(key, p, bytes)
		}
		return err
	})
}

// WillNeed starts reading a part of a value that ViewPart shows.
func WillNeed(b []byte) { segment.WillNeed(b) }

// mayHave reports whether a key may have a large value.
func (v *values) mayHave(key []byte) bool {
	if v.old.live.Load() > 0 {
		return true
	}
	if len(v.pointed) == 0 {
		return false
	}
	_, has := v.pointed[xxh3.Hash(key)]
	return has
}

// place writes the large values of a group to a segment, but for those that are there.
func (db *DB) place(group []*request) error {
	for _, cold := range []bool{false, true} {
		if err := db.placeAlike(group, cold); err != nil {
			db.setFailed(err)
			return err
		}
	}
	for _, r := range group {
		r.placed = true
	}
	return nil
}

// placeAlike writes the large values that are cold, or the others.
func (db *DB) placeAlike(group []*request, cold bool) error {
	var records []segment.Record
	for _, r := range group {
		if r.placed {
			continue
		}
		for _, e := range r.entries {
			if e.cold == cold && db.large(e) {
				records = append(records, segment.Record{Key: e.Key, Value: e.Value, Sum: e.sum})
			}
		}
	}
	if len(records) == 0 {
		return nil
	}
	pointers, err := db.values.groups.Append(records, cold)
	if err == nil {
		db.hand(group, cold, pointers)
	}
	return err
}

// syncPlaced makes durable what was placed of a group, unless an earlier one has failed meanwhile.
func (db *DB) syncPlaced(group []*request) error {
	if err := db.refuses(); err != nil {
		return err
	}
	if !slices.ContainsFunc(group, func(r *request) bool { return r.pointers != nil }) {
		return nil
	}
	if err := db.values.groups.Sync(); err != nil {
		db.setFailed(err)
		return err
	}
	return db.fault(db.opt.Faults.Between)
}

func (db *DB) large(e Entry) bool { return !e.Delete && !e.void && int64(len(e.Value)) >= db.threshold }

// hand gives pointers to those large values of a group that are cold, or to the others, in order.
func (db *DB) hand(group []*request, cold bool, pointers []segment.Pointer) {
	for _, r := range group {
		if r.placed {
			continue
		}
		for i, e := range r.entries {
			if e.cold != cold || !db.large(e) {
				continue
			}
			if r.pointers == nil {
				r.pointers = make([]segment.Pointer, len(r.entries))
			}
			r.pointers[i], pointers = pointers[0], pointers[1:]
		}
	}
}

// pointer returns where the value of the i-th entry was placed.
func (r *request) pointer(i int) (p segment.Pointer, placed bool) {
	if r.pointers == nil || r.pointers[i].Segment == 0 {
		return p, false
	}
	return r.pointers[i], true
}

// settle ends the time in which what was placed for a request stays without a pointer to it.
func (db *DB) settle(r *request) {
	if r.pointers == nil {
		return
	}
	var placed []segment.Pointer
	for i := range r.pointers {
		if p, ok := r.pointer(i); ok {
			placed = append(placed, p)
		}
	}
	db.values.log.Settle(placed)
}

// ledger is what a transaction changes of what is alive. It is found out before the commit and counted after it.
type ledger struct {
	db      *DB
	newest  map[string]segment.Pointer // by the keys that it has changed; zero = no value in a segment
	added   []keyed
	dropped []keyed
	old     int64 // bytes of value logs that die
}

type keyed struct {
	key []byte
	p   segment.Pointer
}

func (db *DB) newLedger() *ledger {
	if db.values == nil {
		return nil
	}
	return &ledger{db: db, newest: make(map[string]segment.Pointer)}
}

// change notes that a key gets another value, at p if placed is set. A key that cannot be read is taken for a new one: then
// something dead counts as alive until the next start.
func (l *ledger) change(key []byte, p segment.Pointer, placed bool) {
	if l == nil || !placed && len(l.newest) == 0 && !l.db.values.mayHave(key) {
		return
	}
	was, known := l.newest[string(key)]
	if !known {
		_ = l.db.item(key, func(_ *guard, item *badger.Item) (err error) {
			was, _, err = pointerOf(item)
			l.old += l.db.oldSize(item)
			return err
		})
	}
	if was.Segment != 0 {
		l.dropped = append(l.dropped, keyed{key, was})
	}
	l.newest[string(key)] = p
	if placed {
		l.added = append(l.added, keyed{key, p})
	}
}

func (l *ledger) settle() {
	if l == nil {
		return
	}
	v := l.db.values
	for _, k := range l.added {
		v.log.Add(k.key, k.p)
	}
	for _, k := range l.dropped {
		v.log.Drop(k.key, k.p)
	}
	for key, p := range l.newest {
		if p.Segment != 0 {
			v.pointed[xxh3.HashString(key)] = struct{}{}
		} else {
			delete(v.pointed, xxh3.HashString(key))
		}
	}
	v.old.live.Add(-l.old)
}

// Dead returns how many bytes of segments, and of value logs that an older release has left, hold nothing that is alive.
func (db *DB) Dead() int64 {
	if db.values == nil {
		return 0
	}
	return db.values.log.Dead() + db.values.old.dead()
}
