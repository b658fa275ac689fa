package tablet

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"golang.org/x/time/rate"

	"stele/be/tablet/kv"
	"stele/be/tablet/memtable"
	"stele/be/tablet/space"
	"stele/meta/types"
	"stele/sql/rowset"
)

// storeFormat is the format of all that is on a disk: 2 has run lengths and zstd in row groups, 3 has large values in segments, 4
// small parts in version records, 5 runs of such records, 6 large values of meta in segments, too. A disk of an older one becomes one of
// 6 when it is opened.
const (
	storeFormat        = 6
	metaSegmentsFormat = 6
	runFormat          = 5
	inlineFormat       = 4
	segmentsFormat     = 3
	valueLogsFormat    = 2
)

// Store is one disk: two Badger instances, shared by all tablets on it.
type Store struct {
	dir  string
	opt  Options
	log  *slog.Logger
	meta *kv.DB
	data *kv.DB

	// listing guards reading tablets and imports, which are changed with mu held as well: no I/O happens under it. Whoever looks for a tablet
	// asks every disk, and must not wait for one that hangs.
	listing sync.RWMutex
	tablets map[types.TabletID]*Tablet
	imports map[uint64]*Import // by uid

	mu      sync.Mutex // guards what follows; taken before a tablet's locks
	super   super
	making  map[types.TabletID]chan struct{} // tablets whose creation waits for the disk; closed when it has ended
	partial map[types.TabletID]*partialImport
	garbage []garbage  // what can be deleted
	older   []kv.Entry // manifests of an older release as they have to be; nil once the disk is open
	kept    []garbage  // what may be of a tablet whose record and manifest are lost
	closed  bool
	// unscrubbed are replicas that clones have brought and whose rows have not been read yet.
	unscrubbed []types.TabletID

	collecting  sync.Mutex // one collector of garbage at a time; taken before mu
	tuned       atomic.Pointer[Tuning]
	budget      *rate.Limiter // of all background work
	scrubBudget *rate.Limiter
	counters    counters
	blocks      *rowset.BlockCache
	orders      *rowset.BlockCache // of row groups, by the columns of keys
	memOrders   *memtable.Gauge    // of the orders of memtables

	active    activeSet
	inRuns    atomic.Int64           // versions in runs that are not on the disk yet
	failed    atomic.Pointer[string] // why the disk is read-only
	space     *space.Gauge
	mem       memGauge
	importing atomic.Int64  // bytes that imports hold in memory
	wake      chan struct{} // buffered, 1: there is maintenance to do
	wasted    chan struct{} // buffered, 1: there is garbage
	cloned    chan struct{} // buffered, 1: there are unscrubbed replicas
	cancel    context.CancelFunc
	workers   sync.WaitGroup
}

// Open opens the disk in dir, or makes one of an empty directory. A disk that belongs to another cluster is refused and
// left as it is.
func Open(dir string, opt Options) (*Store, error) {
	opt = opt.withDefaults()
	s := &Store{
		dir: dir, opt: opt, blocks: rowset.NewBlockCache(opt.decodedBytes()), orders: rowset.NewBlockCache(opt.groupOrders()), memOrders: memtable.NewGauge(opt.memOrders()), log: opt.Logger.With("disk", dir),
		tablets: make(map[types.TabletID]*Tablet), making: make(map[types.TabletID]chan struct{}), imports: make(map[uint64]*Import),
		partial: make(map[types.TabletID]*partialImport), wake: make(chan struct{}, 1), wasted: make(chan struct{}, 1), cloned: make(chan struct{}, 1),
	}
	s.active.tablets = make(map[types.TabletID]*Tablet)
	s.budget, s.scrubBudget = rate.NewLimiter(rate.Inf, budgetBurst), rate.NewLimiter(rate.Inf, budgetBurst)
	s.retune()
	s.space = s.newSpace()
	s.mem.limit = opt.MemLimit
	s.mem.changed = make(chan struct{})
	if !opt.offline {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("open disk: %w", err)
		}
		if err := s.roomToOpen(); err != nil {
			return nil, fmt.Errorf("open disk %s: %w", dir, err)
		}
	}
	if err := s.openStores(); err != nil {
		return nil, fmt.Errorf("open disk %s: %w", dir, err)
	}
	if err := s.openSuper(); err != nil {
		return nil, errors.Join(fmt.Errorf("open disk %s: %w", dir, err), s.closeStores())
	}
	if err := s.recover(); err != nil {
		return nil, errors.Join(fmt.Errorf("recover disk %s: %w", dir, err), s.closeStores())
	}
	for _, t := range s.tablets {
		s.active.add(t)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	if !opt.NoBackground {
		s.workers.Add(3)
		go s.maintainLoop(ctx)
		go s.giveBackLoop(ctx)
		go s.scrubLoop(ctx)
	}
	return s, nil
}

// Close ends the background work and closes both stores. What was acknowledged is on disk already.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.workers.Wait()
	return s.closeStores()
}

// Abandon is Close while others use the disk: its tablets are as dropped, and on the disk as they are. Who reads is waited for no longer than until
// the next value.
func (s *Store) Abandon() error {
	s.mu.Lock()
	for id, t := range s.tablets {
		s.relist(func() { delete(s.tablets, id) })
		t.retire()
	}
	s.mu.Unlock()
	return s.Close()
}

func (s *Store) closeStores() error { return errors.Join(s.data.Close(), s.meta.Close()) }

// ID returns the disk's id, drawn when it was first used.
func (s *Store) ID() types.DiskID { return s.super.Disk }

// Medium returns the kind of the disk.
func (s *Store) Medium() types.Medium { return s.opt.Medium }

// memtablesOfAnInstance is how many of Badger's memtables may be in memory at once.
const memtablesOfAnInstance = 5

// leastMemtable holds the largest transactions of the data instance.
const leastMemtable = 8 << 20

// largeOfMeta is more than a run takes: what is larger is in segments of meta, whose space comes back. In Badger's tree what is dead stays until
// as much is written over it, which is never once the writing ends.
const largeOfMeta = runSize + 2*inlineBytes

// kvOptions divides the caches between the instances: most for meta, whose blocks are compressed; data has its big values in segments and its
// blocks uncompressed, both mapped. The other half is for decoded blocks.
func (s *Store) kvOptions() (metaOpt, dataOpt kv.Options) {
	part := s.opt.CacheBytes / 20
	metaOpt = kv.Options{MemTableBytes: s.opt.MemtableBytes, BlockCacheBytes: 4 * part, IndexCacheBytes: 4 * part, ValueThreshold: largeOfMeta,
		Compress: true, Front: true, Segments: s.format() >= metaSegmentsFormat}
	dataOpt = kv.Options{MemTableBytes: max(s.opt.MemtableBytes/2, leastMemtable), IndexCacheBytes: 2 * part,
		ValueThreshold: 4 << 10, GroupBytes: 16 << 20, Segments: s.format() >= segmentsFormat}
	if s.opt.Small {
		for _, o := range []*kv.Options{&metaOpt, &dataOpt} {
			o.MemTableBytes, o.IndexCacheBytes, o.ValueLogFileSize, o.SegmentBytes, o.SweepBytes = 4<<20, 1<<20, 8<<20, 8<<20, 1<<20
		}
		metaOpt.BlockCacheBytes = 1 << 20
	}
	return metaOpt, dataOpt
}

func (s *Store) openStores() error {
	meta, data := s.kvOptions()
	var err error
	if s.meta, err = s.openInstance("meta", meta); err != nil {
		return err
	}
	if s.data, err = s.openInstance("data", data); err != nil {
		return errors.Join(err, s.meta.Close())
	}
	return nil
}

func (s *Store) openInstance(name string, opt kv.Options) (*kv.DB, error) {
	opt.ReadOnly, opt.Faults, opt.Logf, opt.OnFailure = s.opt.offline, s.opt.Faults.kv(name), s.badgerLog(name), s.setFailed
	opt.Together = s.opt.Together
	return kv.Open(filepath.Join(s.dir, name), opt)
}

func (s *Store) badgerLog(instance string) func(kv.Level, string, ...any) {
	levels := map[kv.Level]slog.Level{
		kv.LevelDebug: slog.LevelDebug - 4, kv.LevelInfo: slog.LevelDebug, kv.LevelWarn: slog.LevelWarn, kv.LevelError: slog.LevelError,
	}
	return func(l kv.Level, format string, args ...any) {
		if s.log.Enabled(context.Background(), levels[l]) {
			s.log.Log(context.Background(), levels[l], fmt.Sprintf(format, args...), "instance", instance)
		}
	}
}

// openSuper reads the superblock, or writes one on a disk that has nothing at all.
func (s *Store) openSuper() error {
	k := []byte{kSuper}
	err := s.meta.View(k, func(val []byte) error { return openRecord(k, val, &s.super) })
	if err == nil {
		switch {
		case s.super.Cluster != s.opt.ClusterID && !s.opt.offline:
			return fmt.Errorf("%w: %q, not %q", ErrForeignDisk, s.super.Cluster, s.opt.ClusterID)
		case s.super.Format < valueLogsFormat || s.super.Format > storeFormat:
			return fmt.Errorf("%w: it is %d, this release reads %d to %d", ErrFormat, s.super.Format, valueLogsFormat, storeFormat)
		case s.super.Format == s.format() || s.opt.offline:
			return nil
		}
		s.super.Format = s.format() // before there is what an older release would take for damage
		return s.meta.Commit(sealed(k, &s.super))
	}
	if !errors.Is(err, kv.ErrNotFound) {
		return fmt.Errorf("superblock: %w", err)
	}
	if err := s.refuseUsed(); err != nil {
		return err
	}
	if s.opt.offline {
		return ErrNoDisk
	}
	s.super = super{Format: s.format(), Disk: newDiskID(), Cluster: s.opt.ClusterID, NextUID: 1}
	return s.meta.Commit(sealed(k, &s.super))
}

// format is that of what is written.
func (s *Store) format() int {
	if s.opt.format != 0 {
		return s.opt.format
	}
	return storeFormat
}

// refuseUsed keeps a disk whose superblock was lost from being taken for an empty one.
func (s *Store) refuseUsed() error {
	for _, db := range []*kv.DB{s.meta, s.data} {
		if err := db.ScanKeys(nil, func(key []byte) error {
			return fmt.Errorf("superblock is missing but key %x is there: %w", key, ErrCorrupt)
		}); err != nil {
			return err
		}
	}
	return nil
}

func newDiskID() types.DiskID {
	var b [8]byte
	for {
		_, _ = rand.Read(b[:]) // never fails, by its documentation
		if id := binary.LittleEndian.Uint64(b[:]) >> 1; id != 0 {
			return types.DiskID(id) // positive as a signed integer, for SQL clients
		}
	}
}

func (s *Store) setFailed(err error) {
	reason := err.Error()
	if s.failed.CompareAndSwap(nil, &reason) {
		s.log.Error("disk is read-only after a failed write", "err", err)
	}
}

// poke wakes the maintenance worker.
func (s *Store) poke() { poke(s.wake) }

func poke(wake chan struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}
