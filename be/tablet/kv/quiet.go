package kv

import (
	"reflect"
	"sync"
	"unsafe"

	"github.com/dgraph-io/badger/v4"
)

// quietLog keeps Badger from flushing a value log that has not changed. With synced writes Badger flushes the value log and
// then the memtable log for every write, also when none of its values goes to the value log, and a flush of a clean file
// costs as much as one that writes: it waits for the device. Nearly all group commits of meta are such writes.
//
// Whether writes flush the value log is a switch inside Badger that it offers only at Open. It is on at all times but while
// the committer waits for a group all of whose values stay below the threshold, so of which nothing is written to the value
// log: nothing is left unflushed. Value log GC writes from another goroutine; while it runs the switch stays on.
type quietLog struct {
	sync *bool // nil when Badger does not look as expected: then every write flushes both

	mu         sync.Mutex // held while the switch is off
	collecting int        // guarded by mu
}

// newQuietLog finds the switch. It is read by the goroutine that writes for Badger, which hands over to and from the
// committer by a channel and a wait group.
func newQuietLog(bdb *badger.DB) *quietLog {
	q := &quietLog{}
	v := reflect.ValueOf(bdb).Elem().FieldByName("vlog")
	if v.Kind() != reflect.Struct {
		return q
	}
	if v = v.FieldByName("opt"); v.Kind() != reflect.Struct || v.Type() != reflect.TypeFor[badger.Options]() {
		return q
	}
	if s := v.FieldByName("SyncWrites"); s.Kind() == reflect.Bool && s.CanAddr() && s.Bool() {
		q.sync = (*bool)(unsafe.Pointer(s.UnsafeAddr()))
	}
	return q
}

// commit runs fn, which commits one transaction and waits for it, without a flush of the value log. small promises that
// nothing in it goes there.
func (q *quietLog) commit(small bool, fn func() error) error {
	if q.sync == nil || !small {
		return fn()
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.collecting > 0 {
		return fn()
	}
	*q.sync = false
	defer func() { *q.sync = true }()
	return fn()
}

// collect runs fn, during which Badger may write to the value log by itself.
func (q *quietLog) collect(fn func() error) error {
	q.add(1)
	defer q.add(-1)
	return fn()
}

func (q *quietLog) add(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.collecting += n
}
