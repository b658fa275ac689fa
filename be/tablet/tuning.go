package tablet

import (
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"stele/be/tablet/kv"
)

// Tuning is what may change while a Store runs; zero values take the defaults of Options and those below.
type Tuning struct {
	// ReadAge is how long a version can still be read after the next one was published, and what was the newest one at OldestRead can be as well, unless
	// that is zero.
	ReadAge    time.Duration
	OldestRead time.Time

	Retention  Retention
	Flush      FlushLimits
	Compaction CompactionLimits
	// BackgroundBytes is how many bytes a second compaction, reclaim and scrub together may read and write.
	BackgroundBytes int64
	// ScrubBytes is how many bytes a second the scrubber may read of them, ScrubEvery how far apart its rounds start.
	ScrubBytes int64
	ScrubEvery time.Duration
}

// CompactionLimits says when rowsets are merged.
type CompactionLimits struct {
	FanIn       int // so many of similar size are worth merging
	MaxRowsets  int // with more, the smallest are merged whatever their sizes: a scan merges no more
	DeadPercent int // a rowset of which more can be dropped is rewritten

	apart int // so many that lie apart and are small are worth merging; at least fewApart
}

const (
	defaultBackgroundBytes = 100 << 20
	defaultScrubBytes      = 10 << 20
	defaultScrubEvery      = 24 * time.Hour
	// budgetBurst is how many bytes may be spent at once: more than one write of compaction.
	budgetBurst = 2*flushBytes + 16<<20
)

// tuning returns what is in force. It is cheap: the background worker asks Options.Tuning once a round.
func (s *Store) tuning() *Tuning { return s.tuned.Load() }

// readFrom is when the oldest version was the newest that can still be read. A disk that is nearly full has no room for more than ReadAge.
func (s *Store) readFrom(now time.Time) time.Time {
	t := s.tuning()
	at := now.Add(-t.ReadAge)
	if !t.OldestRead.IsZero() && t.OldestRead.Before(at) && !s.tight() {
		return t.OldestRead
	}
	return at
}

// retune takes what Options.Tuning says now.
func (s *Store) retune() {
	t := Tuning{}
	if s.opt.Tuning != nil {
		t = s.opt.Tuning()
	}
	setDefault(&t.ReadAge, s.opt.ReadAge)
	setDefault(&t.Retention, s.opt.Retention)
	f := s.opt.Flush
	setDefault(&t.Flush.Rows, f.Rows)
	setDefault(&t.Flush.Bytes, f.Bytes)
	setDefault(&t.Flush.Versions, f.Versions)
	setDefault(&t.Flush.Age, f.Age)
	setDefault(&t.Compaction.FanIn, defaultCompaction.FanIn)
	setDefault(&t.Compaction.MaxRowsets, defaultCompaction.MaxRowsets)
	setDefault(&t.Compaction.DeadPercent, defaultCompaction.DeadPercent)
	setDefault(&t.BackgroundBytes, defaultBackgroundBytes)
	setDefault(&t.ScrubBytes, defaultScrubBytes)
	setDefault(&t.ScrubEvery, defaultScrubEvery)
	s.budget.SetLimit(rate.Limit(t.BackgroundBytes))
	s.scrubBudget.SetLimit(rate.Limit(t.ScrubBytes))
	s.tuned.Store(&t)
}

// spend waits until background work may read or write so many bytes more. Nothing waits while deltas press: what a merge
// holds up then is a flush, and behind that writers.
func (s *Store) spend(ctx context.Context, l *rate.Limiter, bytes int64) error {
	for bytes > 0 && !s.mem.over(0.5) {
		n := min(bytes, int64(l.Burst()))
		if err := l.WaitN(ctx, int(n)); err != nil {
			return err
		}
		bytes -= n
	}
	return ctx.Err()
}

// counters are what a Store has done since it was opened.
type counters struct {
	payload, flushed, compacted        atomic.Int64 // bytes written
	flushes, compactions, reclaims     atomic.Int64
	scrubbed, scrubRounds, scrubBad    atomic.Int64
	digestsCorrected, reclaimedBytes   atomic.Int64
	compactionFailures, flushFailures  atomic.Int64
	scrubRoundBytes, scrubRoundTablets atomic.Int64 // done in the present round
	// Vectors of rowsets that scans have read, and that they have passed over by zone maps and by the filters of secondary keys.
	vectorsRead, skippedByZone, skippedByFilter atomic.Int64

	// What the orders of secondary keys have done: rows that they found, and those that were made.
	rowsPicked, ordersMade atomic.Int64

	turns      atomic.Int64 // of tablets, of the maintenance worker
	scrubTotal atomic.Int64 // bytes of the present round in all
}

// Counters describes the background work of a disk since it was opened.
type Counters struct {
	PayloadBytes, FlushBytes, CompactionBytes int64
	Flushes, Compactions, Reclaims            int64
	ReclaimedBytes                            int64
	ScrubbedBytes, ScrubRounds, ScrubBad      int64
	DigestsCorrected                          int64
	FlushFailures, CompactionFailures         int64
	// Vectors of rowsets that scans have read and that they have skipped.
	VectorsRead, SkippedByZone, SkippedByFilter int64
	// Rows that were found by the orders of secondary keys, and how many orders were made.
	RowsPicked, OrdersMade int64
	// The round of the scrubber that is under way.
	ScrubRoundBytes, ScrubRoundTotal, ScrubRoundTablets int64
}

// WriteAmplification is how many bytes were written for each byte that writers sent.
func (c Counters) WriteAmplification() float64 {
	if c.PayloadBytes == 0 {
		return 0
	}
	return float64(c.PayloadBytes+c.FlushBytes+c.CompactionBytes) / float64(c.PayloadBytes)
}

// Counters returns what the disk has done since it was opened.
func (s *Store) Counters() Counters {
	c := &s.counters
	return Counters{
		PayloadBytes: c.payload.Load(), FlushBytes: c.flushed.Load(), CompactionBytes: c.compacted.Load(),
		Flushes: c.flushes.Load(), Compactions: c.compactions.Load(), Reclaims: c.reclaims.Load(), ReclaimedBytes: c.reclaimedBytes.Load(),
		ScrubbedBytes: c.scrubbed.Load(), ScrubRounds: c.scrubRounds.Load(), ScrubBad: c.scrubBad.Load(),
		DigestsCorrected: c.digestsCorrected.Load(), FlushFailures: c.flushFailures.Load(), CompactionFailures: c.compactionFailures.Load(),
		VectorsRead: c.vectorsRead.Load(), SkippedByZone: c.skippedByZone.Load(), SkippedByFilter: c.skippedByFilter.Load(),
		RowsPicked: c.rowsPicked.Load(), OrdersMade: c.ordersMade.Load(),
		ScrubRoundBytes: c.scrubRoundBytes.Load(), ScrubRoundTotal: c.scrubTotal.Load(), ScrubRoundTablets: c.scrubRoundTablets.Load(),
	}
}

// Memory says where the memory of a disk goes, in bytes.
type Memory struct {
	Deltas, DeltaLimit int64 // decoded writes that are not in a rowset yet
	BlockCaches        int64 // of both instances, at most
	IndexCaches        int64 // at most
	// Decoded are blocks of values that reads of few rows come back to.
	Decoded, DecodedLimit int64
	Orders, OrderLimit    int64 // of secondary keys
	Memtables             int64 // of both instances, at most
	// Imports is what clones have received and not written yet, ImportLimit the most that it may be with the clones of now.
	Imports, ImportLimit int64
}

// Total is the most that the disk takes, but for what scans and clones under way hold.
func (m Memory) Total() int64 {
	return max(m.Deltas, m.DeltaLimit) + m.BlockCaches + m.IndexCaches + m.DecodedLimit + m.OrderLimit + m.Memtables
}

// Memory returns where the memory of the disk goes.
func (s *Store) Memory() Memory {
	s.listing.RLock()
	imports := int64(len(s.imports))
	s.listing.RUnlock()
	s.mem.mu.Lock()
	defer s.mem.mu.Unlock()
	m := Memory{Deltas: s.mem.used, DeltaLimit: s.mem.limit, Imports: s.importing.Load(), ImportLimit: imports * (importAhead + 2) * importPiece}
	m.Orders, m.OrderLimit = s.orders.Used()
	used, limit := s.memOrders.Usage()
	m.Orders, m.OrderLimit = m.Orders+used, m.OrderLimit+limit
	metaOpt, dataOpt := s.kvOptions()
	m.Decoded, m.DecodedLimit = s.blocks.Used()
	for _, o := range []kv.Options{metaOpt, dataOpt} {
		m.BlockCaches += o.BlockCacheBytes
		m.IndexCaches += o.IndexCacheBytes
		m.Memtables += o.MemTableBytes * memtablesOfAnInstance
	}
	return m
}
