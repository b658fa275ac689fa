package tablet

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"stele/be/tablet/kv"
	"stele/be/tablet/memtable"
	"stele/be/tablet/recent"
	"stele/meta/types"
)

// Tablet is one replica: the rows of one bucket on one disk.
//
// Lock order: maint, manifesting, Store.mu, digesting, write, record, mu. No I/O happens under mu; under write there are only reads of rowsets and
// queueing to the group commit (ApplyChange and the record's rare changes wait for it).
type Tablet struct {
	s   *Store
	id  types.TabletID
	uid uint64
	key []types.ColumnID // the primary key: it never changes

	active   atomic.Bool   // it is in the store's activeSet
	queueing atomic.Uint64 // a version that can be seen, or will be soon, and whose record is not queued yet; 0 = none
	reopened bool          // it was here when the disk was opened

	maint       sync.Mutex  // held by a flush or a compaction
	manifesting sync.Mutex  // held while a manifest is made, until what it says is installed: one that was made before is never put behind it
	digesting   sync.Mutex  // held while the known digest moves
	write       sync.Mutex  // held by whatever makes the next version
	run         *versionRun // the last one, which may still grow. Guarded by write

	// record is held while the record T is changed, so that one that was dropped or replaced never comes back.
	record   sync.Mutex
	unlisted bool // an import: no record names it yet. Guarded by record

	mu              sync.RWMutex // guards what follows
	meta            Meta
	schema          *types.Schema // a copy of that in meta, which nobody changes
	keyIdx          []int         // positions of the key columns in the schema
	bad             bool
	badReason       string
	retired         bool // dropped or replaced
	version         types.Version
	rows            int64 // living ones
	mems            []*memtable.Table
	rowsets         []*rowsetState
	unloaded        int64 // bytes of the rowsets that are not in the list, as the replica was bad when the disk was opened
	pending         map[types.TxnID]*pendingTxn
	runs            map[types.Version]*versionRun // runs that are on their way to the disk, by their first version
	unwritten       map[types.TxnID][][]byte      // light parts of other versions on their way
	changes         changeLog
	recent          recent.Changes
	times           versionTimes
	published       time.Time // when the newest version came
	unflushed       time.Time // nothing that is not in a rowset is older
	digest          digestState
	readFrom        types.Version // the oldest version that a snapshot may have
	pins            map[*Snapshot]struct{}
	manifestVersion types.Version
	nextRowset      uint64
	partRowsets     map[uint64]*partRowset // by rowset
	applying        types.TxnID            // a change set of it is being stored: it takes no parts
}

func newTablet(s *Store, uid uint64, m Meta) *Tablet {
	t := &Tablet{
		s: s, id: m.Tablet, uid: uid, key: m.Schema.Key, version: types.InitialVersion, manifestVersion: types.InitialVersion,
		readFrom: types.InitialVersion, nextRowset: 1,
		pending: make(map[types.TxnID]*pendingTxn), pins: make(map[*Snapshot]struct{}),
		partRowsets: make(map[uint64]*partRowset), unwritten: make(map[types.TxnID][][]byte), runs: make(map[types.Version]*versionRun),
	}
	t.setMeta(m)
	t.mems = []*memtable.Table{t.newMemtable()}
	t.restartAt(types.InitialVersion)
	t.digest = digestState{known: true, point: DigestPoint{Version: types.InitialVersion, Schema: m.Schema.Version}}
	return t
}

// restartAt forgets what came before version v: nothing is remembered of earlier changes.
func (t *Tablet) restartAt(v types.Version) {
	t.changes = newChangeLog(v + 1)
	t.recent = recent.New(v)
	t.times = versionTimes{}
	t.times.record(v, t.s.opt.Now())
}

func (t *Tablet) setMeta(m Meta) {
	schema := m.Schema
	t.meta, t.schema = m, &schema
	t.keyIdx = m.Schema.KeyIndexes()
}

// newMemtable returns an empty memtable of the present schema.
func (t *Tablet) newMemtable() *memtable.Table {
	return memtable.New(t.schema)
}

// ID returns the tablet's id.
func (t *Tablet) ID() types.TabletID { return t.id }

// Meta returns a copy of what the tablet is.
func (t *Tablet) Meta() Meta {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.meta.clone()
}

// Replica returns which replica of the tablet this is.
func (t *Tablet) Replica() types.ReplicaID {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.meta.Replica
}

// CheckReplica returns an *OtherError unless this is the replica that is meant; 0 = any will do.
func (t *Tablet) CheckReplica(want types.ReplicaID) error {
	if want == 0 {
		return nil
	}
	if have := t.Replica(); have != want {
		return &OtherError{Tablet: t.id, Have: have, Want: want}
	}
	return nil
}

// Schema returns the schema, which must not be changed.
func (t *Tablet) Schema() *types.Schema {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.schema
}

// SchemaVersion returns the version of the schema.
func (t *Tablet) SchemaVersion() uint32 {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.meta.Schema.Version
}

// Version returns the newest published version.
func (t *Tablet) Version() types.Version {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.version
}

// SetEpoch stores a higher epoch; a lower or equal one is ignored.
func (t *Tablet) SetEpoch(e types.Epoch) error {
	return t.changeRecord(func() (bool, error) {
		if e <= t.meta.Epoch {
			return false, nil
		}
		t.meta.Epoch = e
		return true, nil
	})
}

// SetSchema replaces the schema by one with a higher version; any other is ignored. Rows are not rewritten: those that are older
// than a column have its Initial. The key, and how a column that stays is stored, cannot change.
func (t *Tablet) SetSchema(schema types.Schema) error {
	if schema.Version <= t.SchemaVersion() {
		return nil
	}
	t.write.Lock()
	defer t.write.Unlock()
	return t.changeRecord(func() (bool, error) {
		if schema.Version <= t.meta.Schema.Version {
			return false, nil
		}
		if err := compatible(&t.meta.Schema, &schema); err != nil {
			return false, err
		}
		m := t.meta.clone()
		m.Schema = schema
		before := t.meta.Schema
		t.setMeta(m.clone())
		t.resetDigest(&before)
		if last := len(t.mems) - 1; t.mems[last].Empty() {
			t.mems = t.mems[:last:last] // nothing was ever in it
		}
		t.mems = append(t.mems, t.newMemtable())
		return true, nil
	})
}

// changeRecord runs change under mu and, when it changed something, stores the record T.
func (t *Tablet) changeRecord(change func() (bool, error)) error {
	t.record.Lock()
	defer t.record.Unlock()
	t.mu.Lock()
	err := t.usable()
	changed := false
	if err == nil {
		changed, err = change()
	}
	entry := t.recordEntry()
	t.mu.Unlock()
	if err == nil && changed && !t.unlisted {
		err = t.s.meta.Commit(entry)
	}
	if err != nil {
		return fmt.Errorf("change record of tablet %d: %w", t.id, err)
	}
	return nil
}

func compatible(old, next *types.Schema) error {
	if len(old.Key) != len(next.Key) {
		return fmt.Errorf("the key cannot change")
	}
	for i := range old.Key {
		if old.Key[i] != next.Key[i] {
			return fmt.Errorf("the key cannot change")
		}
	}
	for i := range next.Columns {
		c := &next.Columns[i]
		if at := old.ColumnIndex(c.ID); at >= 0 && !types.SameForm(old.Columns[at].Type, c.Type) {
			return fmt.Errorf("column %d would be stored in another form", c.ID)
		}
	}
	return nil
}

// SetBad marks the replica bad, for good: it serves nothing until it is dropped or replaced by a clone.
func (t *Tablet) SetBad(reason string) {
	t.record.Lock()
	defer t.record.Unlock()
	t.mu.Lock()
	if t.bad || t.retired {
		t.mu.Unlock()
		return
	}
	t.bad, t.badReason = true, reason
	entry := t.recordEntry()
	t.mu.Unlock()
	t.s.log.Error("replica is bad", "tablet_id", t.id, "reason", reason)
	if t.unlisted || t.s.opt.offline {
		return
	}
	t.s.opt.OnBad(t.id)
	t.s.meta.CommitAsync([]kv.Entry{entry}, func(err error) {
		if err != nil {
			t.s.log.Error("bad state of a replica is not stored", "tablet_id", t.id, "err", err)
		}
	})
}

// usable is called with mu held in either mode.
func (t *Tablet) usable() error {
	switch {
	case t.retired:
		return fmt.Errorf("tablet %d: %w", t.id, ErrDropped)
	case t.bad:
		return fmt.Errorf("tablet %d: %s: %w", t.id, t.badReason, ErrBad)
	}
	return nil
}

// retire makes the tablet refuse everything. It reports whether its data can be deleted now: no snapshot is left.
func (t *Tablet) retire() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.retired {
		return false
	}
	t.retired = true
	t.s.mem.add(-t.memBytes())
	for _, m := range t.mems {
		m.EndOrders(t.s.memOrders)
	}
	return len(t.pins) == 0
}

func (t *Tablet) memBytes() int64 {
	n := int64(0)
	for _, m := range t.mems {
		n += m.Size()
	}
	return n
}

// recordEntry returns the record T; mu is held, or nobody else knows the tablet.
func (t *Tablet) recordEntry() kv.Entry {
	return sealed(key1(kTablet, uint64(t.id)), &tabletRecord{UID: t.uid, Meta: t.meta, Bad: t.bad, BadReason: t.badReason})
}

// Stats describes a replica.
type Stats struct {
	Rows           int64
	Bytes          int64 // rowsets, and deltas as decoded
	Versions       int   // rowsets and deltas that a scan has to merge
	Rowsets        int
	Deltas         int // rows in memory
	Pending        int
	OldestRetained types.Version // Changes(OldestRetained-1, …) is the longest stream that can be cut
	OldestReadable types.Version
	RetainedBytes  int64
	ReadFanIn      int // rowsets and memtables that a scan reads
	Bad            bool
	BadReason      string
}

// Stats returns numbers about the replica.
func (t *Tablet) Stats() Stats {
	t.mu.RLock()
	defer t.mu.RUnlock()
	st := Stats{
		Rows: t.rows, Bytes: t.memBytes() + t.unloaded, Rowsets: len(t.rowsets), Pending: len(t.pending), OldestRetained: t.changes.first,
		OldestReadable: t.readFrom, RetainedBytes: t.changes.bytes, Bad: t.bad, BadReason: t.badReason,
	}
	for _, r := range t.rowsets {
		st.Bytes += r.entry.Bytes
	}
	for _, m := range t.mems {
		st.Deltas += m.Rows()
	}
	st.ReadFanIn = st.Rowsets
	for _, m := range t.mems {
		if m.Rows() > 0 {
			st.ReadFanIn++
		}
	}
	st.Versions = st.Rowsets + int(t.version-t.manifestVersion)
	return st
}

// versionTimes remembers, about once a second, which version was current: what a horizon by age needs.
type versionTimes struct{ samples []versionTime }

// mostSamples is of how many moments versions are remembered. Of more every other one is forgotten: an old state that somebody reads may then be
// kept for longer.
const mostSamples = 1024

type versionTime struct {
	at      time.Time
	version types.Version
}

func (vt *versionTimes) record(v types.Version, now time.Time) {
	if n := len(vt.samples); n > 0 && now.Sub(vt.samples[n-1].at) < time.Second {
		return
	}
	if len(vt.samples) == mostSamples {
		few := vt.samples[:0]
		for i := 0; i < mostSamples; i += 2 {
			few = append(few, vt.samples[i])
		}
		vt.samples = few
	}
	vt.samples = append(vt.samples, versionTime{at: now, version: v})
}

// before returns the newest version known to have been current at time at, and forgets what is older.
func (vt *versionTimes) before(at time.Time) (types.Version, bool) {
	n := 0
	for n < len(vt.samples) && !vt.samples[n].at.After(at) {
		n++
	}
	if n == 0 {
		return 0, false
	}
	vt.samples = append([]versionTime(nil), vt.samples[n-1:]...)
	return vt.samples[0].version, true
}

// advanceHorizon moves readFrom up to the oldest version that somebody may still ask for, at most limit, and returns it.
// Called with mu held.
func (t *Tablet) advanceHorizon(limit types.Version) types.Version {
	now := t.s.opt.Now()
	t.times.record(t.version, now) // a tablet that nobody writes to reaches its newest version too
	h, ok := t.times.before(t.s.readFrom(now))
	if !ok {
		return t.readFrom
	}
	h = min(h, limit)
	if t.digest.known {
		h = min(h, t.digest.point.Version) // what ended since is hashed yet
	}
	for s := range t.pins {
		h = min(h, s.version)
	}
	t.readFrom = max(t.readFrom, h)
	return t.readFrom
}
