package catalog

import (
	"stele/meta/command"
	"stele/meta/types"
)

// Result types, by command. A command that is not named here has a nil result.
type (
	// IDResult answers AddFE, AddBE, CreateDatabase, AddReplica and AddOp with the id drawn or given.
	IDResult struct {
		ID uint64 `cbor:"1,keyasint"`
	}
	// AllocResult answers AllocIDs and AddOps: the numbers First … First+N-1 are the caller's.
	AllocResult struct {
		First uint64 `cbor:"1,keyasint"`
		N     uint64 `cbor:"2,keyasint"`
	}
	// CommitResult answers CommitTxn with the versions to publish.
	CommitResult struct {
		Txn     types.TxnID     `cbor:"1,keyasint"`
		Tablets []TabletVersion `cbor:"2,keyasint"`
		// Again says that an earlier CommitTxn of the same transaction had committed it.
		Again bool `cbor:"3,keyasint,omitempty"`
	}
	// AbortResult answers AbortTxns: what was committed before and therefore stays so.
	AbortResult struct {
		Committed []types.TxnID `cbor:"1,keyasint,omitempty"`
	}
	// ExpireResult answers ExpireTxns.
	ExpireResult struct {
		Aborted   uint64 `cbor:"1,keyasint,omitempty"` // undecided transactions that were aborted
		Forgotten int    `cbor:"2,keyasint,omitempty"` // outcomes that were forgotten
	}
	// DropResult answers the commands that drop tablets, TruncateTable included.
	DropResult struct {
		Tablets []types.TabletID `cbor:"1,keyasint,omitempty"`
	}
	// EpochResult answers PromoteReplica and DropReplica with the tablet's epoch and leader after it.
	EpochResult struct {
		Epoch  types.Epoch `cbor:"1,keyasint"`
		Leader types.BEID  `cbor:"2,keyasint,omitempty"`
	}
	// LeadersResult answers SetLeaders, item by item: the new epoch, or why not.
	LeadersResult struct {
		Epochs []types.Epoch // 0 where Errs says why
		Errs   []error
	}
	// ReportResult answers ReportReplicas.
	ReportResult struct {
		Ignored  int              `cbor:"1,keyasint,omitempty"` // items about replicas that are not there, or ahead of the catalog
		Changed  int              `cbor:"2,keyasint,omitempty"`
		Deposed  []types.TabletID `cbor:"3,keyasint,omitempty"` // tablets whose leader lost the right to lead
		CaughtUp []types.TabletID `cbor:"4,keyasint,omitempty"` // tablets where a lagging replica became complete or promotable
	}
	// CountResult answers CancelRepairHint, ExpireHints, CancelOp, DeleteOps, SetReplicaAlive, StartBE (tablets that got another epoch)
	// and TrimRedo (versions that were forgotten): how many there were.
	CountResult struct {
		N int `cbor:"1,keyasint"`
	}
	// BatchResult answers Batch, command by command.
	BatchResult []Result
)

// Result is what one command of a batch came to.
type Result struct {
	Value any
	Err   error
}

// Err returns the error of the first command that has one.
func (b BatchResult) Err() error {
	for i := range b {
		if b[i].Err != nil {
			return b[i].Err
		}
	}
	return nil
}

// draft is a catalog in the making. It starts as a shallow copy of its parent; o marks the tree nodes it made.
type draft struct {
	Catalog
	o *owner
}

// Apply returns the catalog after cmd, what cmd came to, and why it was refused if it was: then next is c itself.
// It is a pure function; several callers may apply to the same c at once. c stays as it was.
//
// A refused command is an ordinary outcome: it took its place in the log and changed nothing.
func Apply(c *Catalog, cmd command.Command) (next *Catalog, result any, err error) {
	if b, ok := cmd.(*command.Batch); ok {
		next, results := applyBatch(c, b)
		return next, results, nil
	}
	d := &draft{Catalog: *c, o: &owner{}}
	if result, err = d.apply(cmd); err != nil {
		return c, nil, err
	}
	return &d.Catalog, result, nil
}

// applyBatch applies commands in order. Commits that follow one another share a draft, so that a full batch copies each node of
// the trees once: a commit that is refused leaves the draft as it was.
func applyBatch(c *Catalog, b *command.Batch) (*Catalog, BatchResult) {
	results := make(BatchResult, len(b.Commands))
	var shared *draft // c is its Catalog
	for i, one := range b.Commands {
		commit, ok := one.(*command.CommitTxn)
		if !ok || c.cluster == "" {
			shared = nil
			c, results[i].Value, results[i].Err = Apply(c, one)
			continue
		}
		if shared == nil {
			shared = &draft{Catalog: *c, o: &owner{}}
			c = &shared.Catalog
		}
		results[i].Value, results[i].Err = shared.commitTxn(commit)
	}
	return c, results
}

// apply dispatches; the cluster's first command must come first. On an error the draft is thrown away.
func (d *draft) apply(cmd command.Command) (any, error) {
	switch c := cmd.(type) {
	case *command.InitCluster:
		return d.initCluster(c)
	case *command.NoteLeader:
		d.leader = LeaderNote{RaftID: c.RaftID, Term: c.Term, TimeMs: c.TimeMs}
		return nil, nil
	}
	if d.cluster == "" {
		return nil, refused("the cluster is not initialised")
	}
	for _, try := range [...]func(command.Command) (any, error, bool){
		d.applyNode, d.applySchema, d.applyTxn, d.applyReplica, d.applyOp, d.applyAlive, d.applySched, d.applyLocks, d.applyOther, d.applyAccount, d.applyRestore, d.applyRedo,
	} {
		if result, err, mine := try(cmd); mine {
			return result, err
		}
	}
	return nil, refused("command %s cannot be applied", cmd.Type())
}

// drawID takes the next id.
func (d *draft) drawID() uint64 {
	id := d.nextID
	d.nextID++
	return id
}

// drawn checks that an id which the proposer chose came from the counter.
func (d *draft) drawn(kind string, id uint64) error {
	if id == 0 || id >= d.nextID {
		return refused("%s id %d was not drawn from the catalog", kind, id)
	}
	return nil
}

// putTablet stores a tablet and indexes its replicas by BE.
func (d *draft) putTablet(t *Tablet) {
	d.tablets = d.tablets.set(d.o, t.ID, t)
	for i := range t.Replicas {
		d.onBE = d.onBE.set(d.o, t.Replicas[i].BE, t.ID)
	}
}

// dropTablet forgets a tablet.
func (d *draft) dropTablet(id types.TabletID) {
	t, ok := d.tablets.get(id)
	if !ok {
		return
	}
	for i := range t.Replicas {
		d.onBE = d.onBE.del(d.o, t.Replicas[i].BE, id)
	}
	d.tablets = d.tablets.del(d.o, id)
	d.redo = d.redo.drop(d.o, t)
}
