package tablet

import (
	"log/slog"
	"time"

	"stele/meta/types"
)

// Options says how a Store works. Zero values take the defaults below.
type Options struct {
	Logger    *slog.Logger
	ClusterID types.ClusterID
	Medium    types.Medium
	// Capacity bounds the bytes of this disk; 0 = what its file system has.
	Capacity int64

	// The flood stage: with less free space than both of these the disk takes no writes (B6).
	FloodBytes   int64
	FloodPercent int
	// MemLimit is the most bytes of decoded deltas of all tablets; beyond it writers wait for a flush.
	MemLimit int64

	Retention Retention
	// ReadAge is that of Tuning, unless that says otherwise. A pinned version lives on.
	ReadAge time.Duration
	Flush   FlushLimits
	// ResumeAge is how long what an interrupted full clone has received waits for its continuation.
	ResumeAge time.Duration

	// Tuning is asked about once a second for what may change while the store runs; nil = nothing does.
	Tuning func() Tuning
	// CacheBytes bounds Badger's caches of blocks and indexes, and that of decoded blocks, which has half of it; 0 = 256 MiB.
	CacheBytes int64
	// OrderBytes bounds the orders of row groups by the columns of keys, and, apart from them, those of memtables; 0 = 64 MiB.
	OrderBytes int64

	// MemtableBytes is the size of a memtable of the meta instance, of which there may be five; those of the data instance are half
	// as large. 0 = 32 MiB.
	MemtableBytes int64

	// ReclaimBytes is how many dead bytes start a reclaim cycle (and 15 % of the disk's data, if that is more).
	ReclaimBytes int64

	// OnBad is called, without a lock, with each tablet that turns bad.
	OnBad func(types.TabletID)

	// Together runs tell, which has all that wait for one flush of the disk go on: what they send may share system calls.
	Together func(tell func())

	Now func() time.Time
	// NoBackground leaves flushing, compaction and reclaim to calls of Maintain.
	NoBackground bool
	// Small takes small memtables, caches, segments and value log files: for tests and for disks of a few tablets.
	Small bool
	// Faults are for tests.
	Faults Faults

	// bulkBytes is the size of a part from which a transaction is published as rowsets, whatever its rows.
	bulkBytes int64
	// blockRows is how many rows of a write are kept in the memtable as they were decoded.
	blockRows int
	// format is that of an older release: tests open such disks. 0 = storeFormat.
	format int
	// offline is set by OpenOffline: nothing is written.
	offline bool
}

// Retention bounds the change sets that are kept for incremental clones. A version is dropped when it is beyond Bytes,
// or beyond both Versions and Age.
type Retention struct {
	Versions int
	Age      time.Duration
	Bytes    int64 // per tablet
}

// FlushLimits says when the deltas of a tablet become a rowset.
type FlushLimits struct {
	Rows     int
	Bytes    int64
	Versions int // bounds the replay at open
	Age      time.Duration
}

// Faults replace what a Store asks of the machine.
type Faults struct {
	// Space replaces statfs.
	Space func() (total, available int64, err error)
	// Read may return other bytes for a value of the data store; it must not change val.
	Read func(key, val []byte) []byte
	// Write runs before a group is written to an instance ("meta" or "data"), before its pointers are when its large values are
	// in a segment, and again, with durable set, when it is synced. An error is that of the write, and the disk is read-only from then on.
	Write func(instance string, durable bool) error
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.OnBad == nil {
		o.OnBad = func(types.TabletID) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	setDefault(&o.FloodBytes, 1<<30)
	setDefault(&o.FloodPercent, 5)
	setDefault(&o.MemLimit, 512<<20)
	setDefault(&o.Retention.Versions, 1000)
	setDefault(&o.Retention.Age, 30*time.Minute)
	setDefault(&o.Retention.Bytes, 256<<20)
	setDefault(&o.ReadAge, 5*time.Minute)
	setDefault(&o.ResumeAge, time.Hour)
	setDefault(&o.Flush.Rows, 32_768)
	setDefault(&o.Flush.Bytes, 8<<20)
	setDefault(&o.Flush.Versions, 10_000)
	setDefault(&o.Flush.Age, 10*time.Minute)
	setDefault(&o.bulkBytes, largePart)
	setDefault(&o.blockRows, 1000)
	setDefault(&o.CacheBytes, 256<<20)
	setDefault(&o.OrderBytes, 64<<20)
	setDefault(&o.MemtableBytes, 32<<20)
	setDefault(&o.ReclaimBytes, 1<<30)
	return o
}

func setDefault[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// groupOrders and memOrders are the parts of OrderBytes that row groups and memtables have.
func (o *Options) groupOrders() int64 { return o.OrderBytes - o.memOrders() }
func (o *Options) memOrders() int64   { return o.OrderBytes / 4 }

// decodedBytes is the share of the caches that decoded blocks of point reads have.
func (o *Options) decodedBytes() int64 {
	if o.Small {
		return 1 << 20
	}
	return o.CacheBytes / 2
}
