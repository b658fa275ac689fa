package kv

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"stele/be/tablet/kv/segment"
)

// thresholdPart bounds the values that stay out of the value log: Badger's transactions hold 15 % of a memtable of them, so
// a request may have as many as 38 of the largest (a manifest with the delete vectors of all rowsets of a tablet).
const thresholdPart = 256

// viewTries is how often View offers a value that its reader refuses.
const viewTries = 3

// DB is one instance.
type DB struct {
	bdb *badger.DB
	opt Options
	// ts is the last commit timestamp. It and commits change in writeBadger: that runs in the applier or the finisher, or in the
	// committer when nothing is left to apply or to finish.
	ts      uint64
	commits int
	reqs    *queue
	done    chan struct{} // closed when the committer has ended

	front   *front        // nil without one; the committer's
	behind  *behind       // nil without a front
	applied chan struct{} // closed when the applier has ended

	values     *values    // nil without segments
	finisher   *finisher  // nil without segments, and with a front
	collecting sync.Mutex // one collector at a time
	tree       tree

	failMu  sync.Mutex
	fail    error
	closing atomic.Bool
	unable  chan error // of capacity 1: why Badger, being closed, could not write a table

	users     *users
	quiet     *quietLog
	threshold int64 // values of so many bytes go to a segment, or to the value log

	betweenGetAndValue func() // of a test
}

// Open opens or creates the instance in dir and starts its committer.
func Open(dir string, opt Options) (*DB, error) {
	opt = opt.withDefaults()
	db := &DB{opt: opt, reqs: newQueue(opt.Front), done: make(chan struct{}), users: newUsers(), unable: make(chan error, 1)}
	err := db.examine(dir)
	if err == nil && opt.Segments && !opt.ReadOnly {
		err = suspectOldLogs(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("open badger in %s: %w", dir, err)
	}
	bopt := badgerOptions(dir, opt, logger{db})
	if err := tryTables(dir, bopt); err != nil {
		return nil, fmt.Errorf("open badger in %s: %w", dir, err)
	}
	var bdb *badger.DB
	if err := whileLocked(func() error { bdb, err = openBadger(bopt); return err }); err != nil {
		return nil, fmt.Errorf("open badger in %s: %w", dir, err)
	}
	db.bdb, db.ts = bdb, bdb.MaxVersion()
	db.quiet, db.threshold = newQuietLog(bdb), bdb.Opts().ValueThreshold
	if !opt.ReadOnly {
		bdb.SetDiscardTs(db.ts)
	}
	if err := db.openParts(dir); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", dir, err), bdb.Close())
	}
	if db.finisher != nil {
		go db.finisher.loop(db.end)
	}
	go db.commitLoop()
	return db, nil
}

// openParts opens what the instance has beside Badger.
func (db *DB) openParts(dir string) error {
	front := db.opt.Front && !db.opt.ReadOnly
	if db.opt.Segments {
		if err := db.openValues(dir); err != nil {
			return err
		}
		if !front {
			db.finisher = newFinisher()
		}
	}
	if !front {
		return nil
	}
	err := db.openFront(dir)
	if err != nil && db.values != nil {
		err = errors.Join(err, db.values.close(true))
	}
	return err
}

// openFront puts what the process before has left in the front into Badger, and begins a new one.
func (db *DB) openFront(dir string) error {
	left, err := readFront(dir)
	if err != nil {
		return err
	}
	applied, err := db.frontApplied()
	if err != nil {
		return err
	}
	if len(left) > 0 {
		if left[0].seq > applied+1 {
			return fmt.Errorf("the front log begins with record %d, the tables end with %d: %w", left[0].seq, applied, ErrDamaged)
		}
		applied = max(applied, left[len(left)-1].seq)
	}
	for len(left) > 0 {
		n := min(len(left), db.opt.GroupEntries)
		if err := db.apply(left[:n]); err != nil {
			return fmt.Errorf("apply the front log: %w", err)
		}
		left = left[n:]
	}
	if err := removeFront(dir); err != nil {
		return err
	}
	db.front, db.behind, db.applied = newFront(dir, db.opt), newBehind(), make(chan struct{})
	db.front.seq = applied
	go db.applyLoop()
	return nil
}

// frontKey holds how far Badger has the records of the front. Should Badger lose the end of its own log, so much that the
// front does not reach back to it, this key tells.
var frontKey = []byte("\xfffront")

// frontApplied returns the sequence number of the last record of the front that is in Badger.
func (db *DB) frontApplied() (seq uint64, err error) {
	err = db.viewOnce(frontKey, true, nil, func(val []byte) error {
		if len(val) != 8 {
			return fmt.Errorf("%d bytes under the key of the front: %w", len(val), ErrDamaged)
		}
		seq = binary.BigEndian.Uint64(val)
		return nil
	})
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	return seq, err
}

// examine finds out, before Badger starts anything, what it would refuse: an instance that another process has open, and,
// to be read only, one with memtable logs that must be replayed. A clean Close leaves none. What Badger would do worse than refuse
// is found here, too.
func (db *DB) examine(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) && !db.opt.ReadOnly {
			return nil
		}
		return err
	}
	defer d.Close() // which unlocks
	if err := whileLocked(func() error { return syscall.Flock(int(d.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) }); err != nil {
		return fmt.Errorf("%w: %w", ErrInUse, err)
	}
	if err := refuseWithoutManifest(dir); err != nil {
		return err
	}
	if !db.opt.ReadOnly {
		return db.clear(dir)
	}
	logs, err := filepath.Glob(filepath.Join(dir, "*.mem"))
	if err == nil && (len(logs) > 0 || hasFront(dir) || registryDamaged(dir)) {
		err = ErrUnclean
	}
	return err
}

// clear deletes files without anything in them that would keep Badger from opening.
func (db *DB) clear(dir string) error {
	if registryDamaged(dir) {
		if err := os.Remove(filepath.Join(dir, badger.KeyRegistryFileName)); err != nil {
			return fmt.Errorf("delete the damaged registry of keys: %w", err)
		}
		db.logf(LevelWarn, "%s was damaged and is made anew: nothing is encrypted, so nothing was in it", badger.KeyRegistryFileName)
	}
	return dropEmptyLogs(dir)
}

// whileLocked tries again for a moment what fails because an instance is locked. One that was closed just now may be: a child that
// this process has made holds what its parent had open until it has become another program.
func whileLocked(open func() error) error {
	for deadline := time.Now().Add(lockPatience); ; time.Sleep(lockPause) {
		err := open()
		if !errors.Is(err, syscall.EWOULDBLOCK) && (err == nil || !strings.Contains(err.Error(), badgerLocked)) || time.Now().After(deadline) {
			return err
		}
	}
}

const (
	lockPatience = 500 * time.Millisecond
	lockPause    = 5 * time.Millisecond
	// badgerLocked is in the error of a Badger that is locked; it has no type.
	badgerLocked = "Cannot acquire directory lock"
)

func openBadger(opt badger.Options) (bdb *badger.DB, err error) {
	g := guard{}
	defer g.end(&err)
	return badger.OpenManaged(opt)
}

// Close writes what is queued, ends the committer, waits for readers and closes Badger. Who comes later hears ErrClosed.
func (db *DB) Close() error {
	if !db.reqs.close() {
		return nil
	}
	<-db.done
	if db.front != nil {
		db.behind.close()
		<-db.applied
	}
	failed := db.Err() != nil
	db.collecting.Lock() // a collector hears that the committer has ended, and ends
	defer db.collecting.Unlock()
	db.closing.Store(true)
	db.users.end()
	err := db.closeBadger()
	if db.values != nil {
		err = errors.Join(err, db.values.close(failed || err != nil))
	}
	if db.front != nil {
		err = errors.Join(err, db.front.close())
		if err == nil && !failed { // else the next start reads it again
			err = removeFront(db.front.dir)
		}
	}
	return err
}

// closeBadger closes Badger, which tries to write its last tables for as long as the disk does not take them: for ever, on one that has
// become read-only. Then it is left to that until the process ends; the logs have all that the tables would.
func (db *DB) closeBadger() error {
	closed := make(chan error, 1)
	go func() { closed <- db.bdb.Close() }()
	select {
	case err := <-closed:
		return err
	case err := <-db.unable:
		return fmt.Errorf("close: %w", err)
	}
}

// View calls fn with the value of key. The bytes may be a mapping of a file: they are valid only inside fn, which must not
// block. While fn returns an error and tries are left, the value is looked up again: it may have moved.
func (db *DB) View(key []byte, fn func(val []byte) error) error { return db.view(key, true, nil, fn) }

// ViewPart is View for who needs little of a large value, and says what (WillNeed): the rest is not read.
func (db *DB) ViewPart(key []byte, fn func(val []byte) error) error {
	return db.view(key, false, nil, fn)
}

// ViewPlaced is ViewPart of a value that is never replaced, for who keeps where it lies: only the first reader, and the first one after
// it has moved, looks the key up.
func (db *DB) ViewPlaced(key []byte, at *Place, fn func(val []byte) error) error {
	if p := at.pointer.Load(); p != nil && db.viewPointer(key, *p, false, fn) == nil {
		return nil
	}
	return db.view(key, false, at, fn)
}

func (db *DB) view(key []byte, whole bool, at *Place, fn func(val []byte) error) error {
	if db.behind != nil {
		if e, ok := db.behind.get(key); ok {
			if e.Delete {
				return ErrNotFound
			}
			return fn(e.Value)
		}
	}
	var err error
	for range viewTries {
		if err = db.viewOnce(key, whole, at, fn); err == nil {
			return nil
		}
	}
	return err
}

func (db *DB) viewOnce(key []byte, whole bool, at *Place, fn func(val []byte) error) (err error) {
	var p segment.Pointer
	pointed := false
	err = db.item(key, func(g *guard, item *badger.Item) (err error) {
		if p, pointed, err = pointerOf(item); err != nil || pointed {
			return err
		}
		if db.betweenGetAndValue != nil {
			db.betweenGetAndValue()
		}
		return g.value(item, fn)
	})
	if err != nil || !pointed {
		return err
	}
	if db.betweenGetAndValue != nil {
		db.betweenGetAndValue()
	}
	if at != nil {
		now := p
		at.pointer.Store(&now)
	}
	return db.viewPointer(key, p, whole, fn)
}

// item calls fn with what Badger has of a key.
func (db *DB) item(key []byte, fn func(*guard, *badger.Item) error) (err error) {
	if !db.users.enter() {
		return ErrClosed
	}
	defer db.users.leave()
	g := guard{}
	defer g.end(&err)
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	txn := db.bdb.NewTransactionAt(math.MaxUint64, false)
	defer txn.Discard()
	item, err := txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("get: %w: %w", ErrDamaged, err)
	}
	return fn(&g, item)
}

// Scan calls fn for each key with the prefix, in key order, with its value. Both are valid only inside fn.
func (db *DB) Scan(prefix []byte, fn func(key, val []byte) error) error {
	return db.scan(prefix, func(g *guard, item *badger.Item) error {
		return db.scanValue(g, item, func(val []byte) error { return fn(item.Key(), val) })
	})
}

// ScanEach is Scan for who goes on behind a value that cannot be read: fn is called without it, and with why. If that shows only while fn reads
// the value, fn does not return and is called once more.
func (db *DB) ScanEach(prefix []byte, fn func(key, val []byte, err error) error) error {
	return db.scan(prefix, func(g *guard, item *badger.Item) error {
		returned := false
		err := db.scanValue(g, item, func(val []byte) error {
			err := fn(item.Key(), val, nil)
			returned = true
			return err
		})
		if returned || !errors.Is(err, ErrDamaged) {
			return err
		}
		return g.call(func() error { return fn(item.Key(), nil, err) })
	})
}

// scanValue calls read with the value of an item.
func (db *DB) scanValue(g *guard, item *badger.Item, read func(val []byte) error) error {
	p, pointed, err := pointerOf(item)
	if err != nil {
		return err
	}
	if !pointed {
		return g.value(item, read)
	}
	return g.call(func() error { return db.scanPointer(item.Key(), p, read) })
}

// scanPointer reads a value at the place where it was when the scan began. If it has moved since, what is there now is read; if the
// key was deleted, nothing.
func (db *DB) scanPointer(key []byte, p segment.Pointer, read func(val []byte) error) error {
	err := db.viewPointer(key, p, true, read)
	if !errors.Is(err, segment.ErrGone) {
		return err
	}
	if err = db.viewOnce(key, true, nil, read); errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// ScanKeys is Scan without reading values.
func (db *DB) ScanKeys(prefix []byte, fn func(key []byte) error) error {
	return db.scan(prefix, func(g *guard, item *badger.Item) error {
		return g.call(func() error { return fn(item.Key()) })
	})
}

func (db *DB) scan(prefix []byte, fn func(*guard, *badger.Item) error) (err error) {
	if db.behind != nil && !db.behind.settle() {
		return fmt.Errorf("scan: %w: %w", ErrReadOnly, db.Err())
	}
	if !db.users.enter() {
		return ErrClosed
	}
	defer db.users.leave()
	g := guard{}
	defer g.end(&err)
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	txn := db.bdb.NewTransactionAt(math.MaxUint64, false)
	defer txn.Discard()
	it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix}) // no prefetch: it copies every value
	defer it.Close()
	for it.Seek(prefix); it.ValidForPrefix(prefix); it.Next() {
		if bytes.HasPrefix(it.Item().Key(), ownKeys) {
			continue
		}
		if err := fn(&g, it.Item()); err != nil {
			return err
		}
	}
	return nil
}

// Verify reads every table of the LSM tree and checks its checksums, which View and Scan do not: a flipped bit there shows
// as absence or as another value, which the caller's own checksums and manifests find only where something was looked for.
func (db *DB) Verify() (err error) {
	if !db.users.enter() {
		return ErrClosed
	}
	defer db.users.leave()
	g := guard{}
	defer g.end(&err)
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	if err := db.bdb.VerifyChecksum(); err != nil {
		return fmt.Errorf("tables: %w: %w", ErrDamaged, err)
	}
	return nil
}

// guard turns a panic of Badger, which is what some flipped bits of a table lead to, and a page that cannot be read, into ErrDamaged. A panic
// of a callback is our own bug and passes.
type guard struct{ inside bool }

func (g *guard) call(fn func() error) error {
	g.inside = true
	err := fn()
	g.inside = false
	return err
}

func (g *guard) value(item *badger.Item, fn func(val []byte) error) error {
	var inner error
	err := item.Value(func(val []byte) error {
		inner = g.call(func() error { return fn(val) })
		return inner
	})
	if err != nil && inner == nil {
		return fmt.Errorf("value: %w: %w", ErrDamaged, err)
	}
	return err
}

// end is deferred first, so that it runs after the transaction was discarded.
func (g *guard) end(err *error) {
	if g.inside {
		return
	}
	if r := recover(); r != nil {
		*err = fmt.Errorf("badger panicked: %v: %w", r, ErrDamaged)
	}
}

// Size returns the bytes that the files of the instance take on disk; Badger's own number is a minute old, and sparse
// files look larger than they are.
func (db *DB) Size() int64 {
	entries, err := os.ReadDir(db.bdb.Opts().Dir)
	if err != nil {
		return 0
	}
	n := int64(0)
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			continue // removed meanwhile
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			n += st.Blocks * 512
		}
	}
	return n
}

// Err returns why the instance is read-only, or nil.
func (db *DB) Err() error {
	db.failMu.Lock()
	defer db.failMu.Unlock()
	return db.fail
}

func (db *DB) setFailed(err error) {
	db.failMu.Lock()
	first := db.fail == nil
	if first {
		db.fail = err
	}
	db.failMu.Unlock()
	if first && db.opt.OnFailure != nil {
		db.opt.OnFailure(err)
	}
}

func (o Options) withDefaults() Options {
	def := func(p *int64, v int64) {
		if *p == 0 {
			*p = v
		}
	}
	def(&o.MemTableBytes, 32<<20)
	def(&o.BlockCacheBytes, 32<<20)
	def(&o.IndexCacheBytes, 32<<20)
	def(&o.ValueThreshold, 1<<20)
	def(&o.ValueLogFileSize, 128<<20)
	def(&o.GroupBytes, 4<<20)
	def(&o.SweepBytes, 32<<20)
	if o.GroupEntries == 0 {
		o.GroupEntries = 1000
	}
	if o.Together == nil {
		o.Together = func(tell func()) { tell() }
	}
	return o
}

// badgerOptions has an instance that is not compressed do without Badger's cache of blocks: a block is a piece of the mapping of its table there,
// so the cache would keep nothing but where it lies, and counts all of the mapping that follows as its size.
func badgerOptions(dir string, o Options, l badger.Logger) badger.Options {
	compression, blockCache := options.None, int64(0)
	if o.Compress {
		compression, blockCache = options.Snappy, o.BlockCacheBytes
	}
	return badger.DefaultOptions(dir).
		WithSyncWrites(true).
		WithDetectConflicts(false).
		WithNumVersionsToKeep(1).
		WithMemTableSize(o.MemTableBytes).
		WithNumMemtables(3).
		WithNumCompactors(2).
		WithValueThreshold(min(o.ValueThreshold, o.MemTableBytes/thresholdPart)).
		WithValueLogFileSize(o.ValueLogFileSize).
		WithBlockSize(16 << 10).
		WithBlockCacheSize(blockCache).
		WithIndexCacheSize(o.IndexCacheBytes).
		WithCompression(compression).
		WithChecksumVerificationMode(options.NoVerification).
		WithVerifyValueChecksum(false).
		WithMetricsEnabled(false).
		WithReadOnly(o.ReadOnly).
		WithLogger(l)
}

// logger hands Badger's lines on and turns its ERROR lines into a failure of the instance.
type logger struct{ db *DB }

func (l logger) Errorf(format string, args ...any) {
	l.line(LevelError, format, args...)
	if l.db.closing.Load() && strings.HasPrefix(format, tableNotWritten) {
		select {
		case l.db.unable <- fmt.Errorf(format, args...):
		default:
		}
	}
	if !l.db.closing.Load() && !heardOtherwise(format) {
		l.db.setFailed(fmt.Errorf("badger: "+format, args...))
	}
}

// tableNotWritten begins what Badger says each time that it could not write a memtable as a table; it tries again after a second.
const tableNotWritten = "error flushing memtable to disk: "

// heardOtherwise reports whether a line is about a value that cannot be read, of which the reader hears, too: one damaged value must not keep the
// rest of the disk from being written. Or it is about an instance that does not open, and never was written to.
func heardOtherwise(format string) bool {
	for _, start := range []string{"Unable to read: ", "Invalid read: ", "Key: ", "Received err: "} {
		if strings.HasPrefix(format, start) {
			return true
		}
	}
	return false
}

func (l logger) Warningf(format string, args ...any) { l.line(LevelWarn, format, args...) }
func (l logger) Infof(format string, args ...any)    { l.line(LevelInfo, format, args...) }
func (l logger) Debugf(format string, args ...any)   { l.line(LevelDebug, format, args...) }

func (l logger) line(level Level, format string, args ...any) { l.db.logf(level, format, args...) }

func (db *DB) logf(level Level, format string, args ...any) {
	if db.opt.Logf != nil {
		db.opt.Logf(level, format, args...)
	}
}
