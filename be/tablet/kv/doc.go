// Package kv is the narrow door to Badger: durable key-value instances with group commit.
//
// It owns one Badger instance and the goroutine that writes to it. It never interprets keys or values: checksums and
// identities are the caller's, because Badger reports damage as absence, as empty values or not at all;
// View offers every value again up to three times, since a collector can move one between lookup and read (B2).
//
// All writes go through one committer, which drains its queue into one synced transaction: N waiting
// writers cost one fsync, and changes that nobody waits for ride along. Requests become durable in the order in which they
// were queued. A request is atomic. After a crash the requests that survive are a prefix of that order. A request that grows
// (CommitGrowing) is made when it is taken; only what says that it has nothing to do with it (CommitAhead) may come before it.
//
// With a front, the group goes into a short log, which is flushed, and reaches Badger in larger groups a little later;
// readers see it at once. A group waits for those who were told with the one before and come again (company). After a crash it is
// read again. Invariant: what is in the front and what is in Badger alone come
// in this order nowhere: a change passes the front, or the front was made void before it. So to put all of the front into
// Badger once more, however much is there already, never takes anything back. A key that is new and deleted again before anybody has
// begun to put it into Badger never gets there (Entry.New); both changes were durable in the front before.
//
// With segments, a value above the threshold is not Badger's: a group commit writes such values to an append-only file (package
// segment), and a second goroutine, the finisher, syncs that and then commits, in one synced transaction as ever, the small values and
// pointers to the large ones, while the committer writes the large values of the next group. Those that nobody is about to read (Cold) pass
// the page cache, where the file system lets them. Groups become durable in their order all the same,
// and after one that fails none does.
// Invariants: a pointer never names what is not durable; a crash in between leaves bytes that nothing names; a segment is removed
// only when a scan of all keys, begun after it was sealed and free of pins, and a look at each key that the scan has found say that
// no pointer to it is left. The collector copies what lives beside the committer, and has it change a pointer only where the key
// has not changed since. What is alive of each segment is counted with each commit, and anew at open.
//
// With both, the front has values of every size, and who puts them into Badger puts the large ones into a segment before. What the front
// brings once more after a crash is in a segment twice, once without a pointer.
//
// What is deleted of small values Badger gives back when it merges its tables, which a Sweep has it do once more is dead than alive. Keys that begin
// with 0xff are the package's own: callers have none, and see none.
//
// The first failed write, or any ERROR line in Badger's log (a failed value log sync is only logged), makes the instance
// read-only for good: what is on disk is no longer known, and only who opens it anew finds out. An instance may be closed under its readers.
package kv

import (
	"errors"

	"stele/be/tablet/kv/segment"
)

// Errors.
var (
	// ErrNotFound says that there is no such key.
	ErrNotFound = errors.New("key not found")
	// ErrDamaged says that Badger stumbled over its own files.
	ErrDamaged = errors.New("store files are damaged")
	// ErrReadOnly says that an earlier write failed and nothing more is written.
	ErrReadOnly = errors.New("store is read-only after a failed write")
	// ErrClosed says that the instance is closed.
	ErrClosed = errors.New("store is closed")
	// ErrInUse says that another process has the instance open.
	ErrInUse = errors.New("store is in use by another process")
	// ErrUnclean says that an instance opened only for reading has logs that must be replayed first.
	ErrUnclean = errors.New("store was not closed cleanly")
)

// Entry is one change of a request: a value, or a deletion.
type Entry struct {
	Key, Value []byte
	Delete     bool
	// New promises that the key has no value that no request before deletes: when it is deleted again while it is in the front alone,
	// Badger hears of neither.
	New bool

	void bool   // Badger need not hear of it
	cold bool   // nobody is about to read it
	sum  uint64 // of a segment's record, 0 = the committer computes it
}

// Cold is a value that nobody is about to read. If it is large, it passes the page cache on its way to a segment. What a segment reads of it
// is read at once, while the processor has it at hand: it must not change any more.
func Cold(key, value []byte) Entry {
	return Entry{Key: key, Value: value, cold: true, sum: segment.SumOf(key, value)}
}

// Options tunes an instance. Zero values take defaults for the role.
type Options struct {
	MemTableBytes    int64 // one memtable; a request may hold 15 % of it outside the value log
	BlockCacheBytes  int64 // of one that is compressed; others have none
	IndexCacheBytes  int64 // 0 would be unbounded in Badger: a default is taken instead
	ValueThreshold   int64 // larger values go to a segment or the value log; at most 1/256 of a memtable
	ValueLogFileSize int64
	GroupBytes       int64 // most bytes of one group commit
	GroupEntries     int
	Compress         bool  // snappy in the LSM tree
	Front            bool  // small requests are acknowledged from a log of our own, and reach Badger a little later
	FrontBytes       int64 // of one of its two files, 0 = a part of a memtable
	Segments         bool  // large values go to segments of our own, Badger holds pointers
	SegmentBytes     int64
	SweepBytes       int64 // dead ones of Badger's own tables that are left alone
	ReadOnly         bool  // nothing is written, not even by Badger; an unclean instance is refused with ErrUnclean
	Faults           Faults
	OnFailure        func(err error)
	Logf             func(level Level, format string, args ...any)
	Together         func(tell func()) // runs tell, which says to all requests of a group that they are durable; nil = just so

	createSegment func(path string, size int64) (segment.Output, error) // of a test
}

// Faults are for tests: what a failing disk would do. They run in the committer.
type Faults struct {
	// Before runs before a group is written: its error is that of the write, of which nothing is on disk.
	Before func() error
	// Between runs when the large values of a group are durable in a segment and nothing names them.
	Between func() error
	// After runs when a group is durable: its error is that of a sync whose outcome nobody knows.
	After func() error
}

// Level is the level of one of Badger's log lines.
type Level int

// Levels.
const (
	LevelDebug Level = iota
	LevelInfo
	LevelWarn
	LevelError
)
