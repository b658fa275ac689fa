// Package catalog is the metadata of a cluster as one immutable value: databases, tables, partitions, tablets and
// their replicas, nodes, users, configuration, repair hints, outcomes of transactions and the operation log. Apply
// takes a command and yields the next Catalog; it is pure and deterministic (no clock, no randomness, no I/O, no
// order of a map), because every FE applies the same Raft log and must come to the same bytes.
//
// A *Catalog is never changed once it is there: readers hold it without a lock, as their snapshot, for as long as they
// like. Large collections are copy-on-write trees, so that a command copies a path and not the world. Whatever a
// lookup returns belongs to the catalog: read it, never write it.
//
// Names of databases and tables are case-sensitive, as MySQL's are on Linux; names of partitions and columns are not.
//
// Invariants that Apply keeps (property_test.go):
//
//	C1  A commit raises the version of each tablet it touches by exactly one.
//	C2  A replica with LastFailed == 0 has Version equal to the tablet's: it has every committed version.
//	C3  Tablet.Leader is 0 or the BE of a complete follower (Replica.Complete).
//	C4  A learner never counts toward a quorum and becomes follower only when C2 holds for it.
//	C5  Every follower that stays out of a commit gets LastFailed = that version.
//	C6  The epoch of a tablet grows with each change of its leader or its followers, when its leader is another process (StartBE), and when its table gets
//	    other columns, a unique key or a CHECK constraint. A learner that comes or goes does not change it: it counts for nothing, and a repair would abort the writes that run.
//	C7  A transaction is decided once: committed in all its tablets or in none.
//	C8  A unique key has a hidden table with the partitions and the replication of its owner, and no hidden table is
//	    without its owner.
//	C9  Tablet.Redo has the rows of every version that was committed with them and not trimmed since; a tablet has one exactly if it is
//	    among Redoing, and RedoBytes is their sum.
//	C10  A name means a table or a view, and each view has its name.
//	C11  Of a change of a table that has begun (BeginChange) nothing counts before ChangeTable, which does all of it or nothing.
//	C12  A foreign key refers to all columns of a primary or unique key of its parent, which names its table among ReferencedBy, or awaits
//	    a table by a name that none has. Its own name is once in its database.
//
// Rows that a commit carries are here so that they are in the log of the FE group until enough replicas have them on disk: they are
// written to snapshots, go when TrimRedo says that they may, and with their tablet. The catalog only keeps them; who needs them and when
// they may go is for package fe/redo to say. What goes while a replica has not said that it has it makes that replica an incomplete one:
// it is the same as if it had missed the versions.
package catalog

import (
	"cmp"
	"iter"
	"math"
	"slices"
	"strings"

	"stele/meta/types"
)

// First ids. Small numbers stay free, so that an id is never mistaken for a count in a log.
const (
	firstID  = 10001
	firstTxn = 1
)

// Catalog is the metadata at one point of the Raft log.
type Catalog struct {
	index      uint64
	cluster    types.ClusterID
	createdMs  int64
	leader     LeaderNote
	nextID     uint64
	dbs        tree[types.DatabaseID, *Database]
	dbNames    tree[string, types.DatabaseID]
	tables     tree[types.TableID, *Table]
	tableNames tree[tableName, types.TableID] // of views, too
	views      tree[types.TableID, *View]
	// constraints are the names of foreign keys, in lower case and by the databases of their tables.
	constraints tree[tableName, types.TableID]
	awaited     tree[awaitedName, struct{}]
	parts       tree[types.PartitionID, types.TableID]
	tablets     tree[types.TabletID, *Tablet]
	onBE        onBE
	counters    tree[types.TableID, tableCounters]
	bes         tree[types.BEID, *BE]
	fes         tree[types.FEID, *FE]
	config      tree[string, string]
	hints       tree[types.PartitionID, *RepairHint]
	ops         tree[uint64, *Op]
	tasks       tree[uint64, *Task]         // ended ones, in the order of their ends
	tried       tree[types.TabletID, *Task] // that failed and were to be tried again
	users       tree[userName, *User]
	txns        txnLog
	redo        redoing
	locks       []*TableLocks // in the order in which they were asked for; neither the list nor one of them changes
	passed      uint64        // how often numbers were passed over
	restore     *Restore      // nil unless the catalog comes from a backup and has not heard every BE
}

// LeaderNote says which FE became leader last.
type LeaderNote struct {
	RaftID string `cbor:"1,keyasint"`
	Term   uint64 `cbor:"2,keyasint"`
	TimeMs int64  `cbor:"3,keyasint"`
}

type tableName struct {
	db   types.DatabaseID
	name string
}

func compareNames(a, b tableName) int {
	return cmp.Or(cmp.Compare(a.db, b.db), strings.Compare(a.name, b.name))
}

type userName struct{ name, host string }

// tableCounters are the next numbers to draw.
type tableCounters struct {
	Row  uint64 `cbor:"1,keyasint"`
	Auto uint64 `cbor:"2,keyasint"`
	// Fence is the highest auto-increment value that is not to be handed out from a range that was drawn before.
	Fence uint64 `cbor:"3,keyasint,omitempty"`
}

// New returns the empty catalog, before InitCluster.
func New() *Catalog {
	return &Catalog{
		nextID:      firstID,
		dbs:         newTree[types.DatabaseID, *Database](cmp.Compare),
		dbNames:     newTree[string, types.DatabaseID](strings.Compare),
		tables:      newTree[types.TableID, *Table](cmp.Compare),
		views:       newTree[types.TableID, *View](cmp.Compare),
		tableNames:  newTree[tableName, types.TableID](compareNames),
		constraints: newTree[tableName, types.TableID](compareNames),
		awaited:     newTree[awaitedName, struct{}](compareAwaited),
		parts:       newTree[types.PartitionID, types.TableID](cmp.Compare),
		tablets:     newTree[types.TabletID, *Tablet](cmp.Compare),
		onBE:        newOnBE(),
		counters:    newTree[types.TableID, tableCounters](cmp.Compare),
		bes:         newTree[types.BEID, *BE](cmp.Compare),
		fes:         newTree[types.FEID, *FE](cmp.Compare),
		config:      newTree[string, string](strings.Compare),
		tasks:       newTree[uint64, *Task](cmp.Compare),
		tried:       newTree[types.TabletID, *Task](cmp.Compare),
		hints:       newTree[types.PartitionID, *RepairHint](cmp.Compare),
		ops:         newTree[uint64, *Op](cmp.Compare),
		users: newTree[userName, *User](func(a, b userName) int {
			return cmp.Or(strings.Compare(a.name, b.name), strings.Compare(a.host, b.host))
		}),
		txns: newTxnLog(),
		redo: newRedoing(),
	}
}

// WithIndex returns the same catalog, said to be that of Raft index i.
func (c *Catalog) WithIndex(i uint64) *Catalog {
	next := *c
	next.index = i
	return &next
}

// Index returns the Raft index of the last command in the catalog.
func (c *Catalog) Index() uint64 { return c.index }

// ClusterID returns the id of the cluster, "" before InitCluster.
func (c *Catalog) ClusterID() types.ClusterID { return c.cluster }

// CreatedMs returns when the cluster was created.
func (c *Catalog) CreatedMs() int64 { return c.createdMs }

// Leader returns which FE became leader last.
func (c *Catalog) Leader() LeaderNote { return c.leader }

// NextID returns the next id that AllocIDs would draw.
func (c *Catalog) NextID() uint64 { return c.nextID }

// Database returns the database of that name.
func (c *Catalog) Database(name string) (*Database, bool) {
	id, ok := c.dbNames.get(name)
	if !ok {
		return nil, false
	}
	return c.dbs.get(id)
}

// DatabaseByID returns a database.
func (c *Catalog) DatabaseByID(id types.DatabaseID) (*Database, bool) { return c.dbs.get(id) }

// Locks returns the locks of LOCK TABLES, those that are only asked for too, in the order in which they were asked for.
func (c *Catalog) Locks() []*TableLocks { return c.locks }

// LocksByID returns the locks of a session.
func (c *Catalog) LocksByID(id uint64) (*TableLocks, bool) {
	for _, l := range c.locks {
		if l.ID == id {
			return l, true
		}
	}
	return nil, false
}

// Databases yields the databases by name.
func (c *Catalog) Databases() iter.Seq[*Database] {
	return func(yield func(*Database) bool) {
		for _, id := range c.dbNames.all() {
			if db, _ := c.dbs.get(id); !yield(db) {
				return
			}
		}
	}
}

// Table returns the table of that name in a database.
func (c *Catalog) Table(db types.DatabaseID, name string) (*Table, bool) {
	id, ok := c.tableNames.get(tableName{db, name})
	if !ok {
		return nil, false
	}
	return c.tables.get(id)
}

// TableByID returns a table.
func (c *Catalog) TableByID(id types.TableID) (*Table, bool) { return c.tables.get(id) }

// Tables yields the tables of a database by name.
func (c *Catalog) Tables(db types.DatabaseID) iter.Seq[*Table] {
	return func(yield func(*Table) bool) {
		for k, id := range c.tableNames.from(tableName{db: db}) {
			if k.db != db {
				return
			}
			if t, ok := c.tables.get(id); ok && !yield(t) {
				return
			}
		}
	}
}

// KeyTables yields the hidden tables of a table's unique keys. Their partitions have the places of those of the table.
func (c *Catalog) KeyTables(t *Table) iter.Seq[*Table] {
	return func(yield func(*Table) bool) {
		for i := range t.Unique {
			if index, ok := c.tables.get(t.Unique[i].Index); ok && t.Unique[i].Enforced() && !yield(index) {
				return
			}
		}
	}
}

// AllTables yields the tables of all databases by id, hidden ones too.
func (c *Catalog) AllTables() iter.Seq[*Table] { return values(c.tables) }

// TableCount returns how many tables there are that users know.
func (c *Catalog) TableCount() int { return c.tableNames.len() - c.views.len() }

// TableOfPartition returns the table that has the partition, and the partition's place in Table.Parts.
func (c *Catalog) TableOfPartition(id types.PartitionID) (*Table, int, bool) {
	tid, ok := c.parts.get(id)
	if !ok {
		return nil, 0, false
	}
	t, _ := c.tables.get(tid)
	return t, slices.IndexFunc(t.Parts, func(p Partition) bool { return p.ID == id }), true
}

// Tablet returns a tablet.
func (c *Catalog) Tablet(id types.TabletID) (*Tablet, bool) { return c.tablets.get(id) }

// Tablets yields all tablets by id.
func (c *Catalog) Tablets() iter.Seq[*Tablet] { return values(c.tablets) }

// TabletsFrom yields the tablets with ids >= id, so that a long scan can go on with a newer catalog.
func (c *Catalog) TabletsFrom(id types.TabletID) iter.Seq[*Tablet] {
	return func(yield func(*Tablet) bool) {
		for _, t := range c.tablets.from(id) {
			if !yield(t) {
				return
			}
		}
	}
}

// TabletCount returns how many tablets there are.
func (c *Catalog) TabletCount() int { return c.tablets.len() }

// ReplicaCount returns how many replicas there are.
func (c *Catalog) ReplicaCount() int { return c.onBE.len() }

// ReplicasOn returns how many replicas there are on a BE.
func (c *Catalog) ReplicasOn(be types.BEID) int { return c.onBE.count(be) }

// TabletsOf yields the tablets of a partition by bucket.
func (c *Catalog) TabletsOf(p *Partition) iter.Seq[*Tablet] {
	return func(yield func(*Tablet) bool) {
		for _, id := range p.Tablets {
			if t, ok := c.tablets.get(id); ok && !yield(t) {
				return
			}
		}
	}
}

// TabletsOfTable yields the tablets of a table by partition and bucket.
func (c *Catalog) TabletsOfTable(t *Table) iter.Seq[*Tablet] {
	return func(yield func(*Tablet) bool) {
		for i := range t.Parts {
			for tab := range c.TabletsOf(&t.Parts[i]) {
				if !yield(tab) {
					return
				}
			}
		}
	}
}

// TabletsOn yields the tablets that have a replica on be, by id.
func (c *Catalog) TabletsOn(be types.BEID) iter.Seq[*Tablet] {
	return func(yield func(*Tablet) bool) {
		for id := range c.onBE.on(be) {
			if t, _ := c.tablets.get(id); !yield(t) {
				return
			}
		}
	}
}

// BE returns a backend.
func (c *Catalog) BE(id types.BEID) (*BE, bool) { return c.bes.get(id) }

// BEAt returns the backend at an address.
func (c *Catalog) BEAt(host string, port int) (*BE, bool) {
	for b := range c.BEs() {
		if b.Host == host && b.Port == port {
			return b, true
		}
	}
	return nil, false
}

// BEs yields the backends by id.
func (c *Catalog) BEs() iter.Seq[*BE] { return values(c.bes) }

// BECount returns how many backends there are.
func (c *Catalog) BECount() int { return c.bes.len() }

// FE returns a frontend.
func (c *Catalog) FE(id types.FEID) (*FE, bool) { return c.fes.get(id) }

// FEByName returns the frontend of that name; the name is also its Raft server id.
func (c *Catalog) FEByName(name string) (*FE, bool) {
	for f := range c.FEs() {
		if f.Name == name {
			return f, true
		}
	}
	return nil, false
}

// FEs yields the frontends by id.
func (c *Catalog) FEs() iter.Seq[*FE] { return values(c.fes) }

// Config returns a configuration item that was set for the cluster.
func (c *Catalog) Config(key string) (string, bool) { return c.config.get(key) }

// ConfigAll yields the configuration items that were set, by key.
func (c *Catalog) ConfigAll() iter.Seq2[string, string] { return c.config.all() }

// Hint returns the repair hint of a partition.
func (c *Catalog) Hint(p types.PartitionID) (*RepairHint, bool) { return c.hints.get(p) }

// Hints yields the repair hints by partition id.
func (c *Catalog) Hints() iter.Seq[*RepairHint] { return values(c.hints) }

// Op returns an entry of the operation log.
func (c *Catalog) Op(id uint64) (*Op, bool) { return c.ops.get(id) }

// Ops yields the operation log, oldest first.
func (c *Catalog) Ops() iter.Seq[*Op] { return values(c.ops) }

// NextAutoIncrement returns the next value that a table would draw for its AUTO_INCREMENT column.
func (c *Catalog) NextAutoIncrement(t types.TableID) uint64 {
	n, ok := c.counters.get(t)
	if !ok {
		return 1
	}
	return n.Auto
}

// AutoIncrementFence returns the value at or below which no FE hands out AUTO_INCREMENT values any more.
func (c *Catalog) AutoIncrementFence(t types.TableID) uint64 {
	n, _ := c.counters.get(t)
	return n.Fence
}

func values[K, V any](t tree[K, V]) iter.Seq[V] {
	return func(yield func(V) bool) {
		for _, v := range t.all() {
			if !yield(v) {
				return
			}
		}
	}
}

const maxCounter = math.MaxUint64 / 2
