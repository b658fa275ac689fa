package stmt

import (
	"context"
	"slices"
	"time"

	"stele/conf"
	"stele/fe/account"
	"stele/fe/cluster"
	"stele/fe/consistency"
	"stele/fe/group"
	"stele/fe/sched"
	"stele/fe/tabletctl"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/model"
	"stele/meta/stranger"
	"stele/meta/types"
	"stele/proto/bepb"
	"stele/sql/define"
)

// Log proposes commands.
type Log interface {
	Current() *catalog.Catalog
	Propose(ctx context.Context, cmds ...command.Command) ([]catalog.Result, error)
}

// Members is what the leading FE knows of the BEs.
type Members interface {
	Get(types.BEID) (cluster.BE, bool)
	Alive(types.BEID) bool
	Address(types.BEID) string
	Replica(types.BEID, types.TabletID) (cluster.Replica, bool)
	Lost(types.BEID, types.TabletID) bool
	Clone(types.TaskID) *bepb.CloneStatus
}

// Control is the control loop; *tabletctl.Controller is one.
type Control interface {
	Pending() []sched.Task
	Running() []tabletctl.RunningTask
	History() []sched.Task                  // newest first
	Task(types.TabletID) (sched.Task, bool) // pending or running
	Limits() sched.Limits
	Slots() []sched.SlotUse
	Load() []sched.Load
	Stats() sched.Stats
	View() *sched.View
	Clock() sched.Clock
	// CleanQueue forgets the pending tasks and returns how many there were.
	CleanQueue() int
	// Kick has the loop look at tablets now; without any, at what has changed.
	Kick(tablets ...types.TabletID)
}

// Checker compares replicas; *consistency.Checker is one.
type Checker interface {
	Check(ctx context.Context, id types.TabletID, verify bool) (consistency.Result, error)
	Act(ctx context.Context, r *consistency.Result, owner string) (int, error)
	Submit(tablets ...types.TabletID) (int, error)
	Last(id types.TabletID) (consistency.Result, bool)
	Results() []consistency.Result
	Waiting() int
}

// Transaction is one that runs.
type Transaction struct {
	ID       types.TxnID
	Since    time.Time
	Frontend string // that runs it, "" = this one
}

// Frontend is an FE as SHOW FRONTENDS prints it.
type Frontend struct {
	Name      string
	Role      string // LEADER, FOLLOWER, OBSERVER
	Learner   bool   // it has no vote (yet)
	Join      bool   // it is in the Raft group as its role says: a follower votes
	Alive     bool   // it answers MySQL clients
	Starting  bool   // it answers other nodes only, so far
	Journal   uint64
	Heartbeat time.Time
	Self      bool
	Err       string
	Started   time.Time
	Version   string
}

// Stranger is a node or disk of another cluster, and who has met it.
type Stranger struct {
	Node string // name of an FE, or "be id"
	stranger.Stranger
}

// Group changes which FEs there are; *group.Group is one.
type Group interface {
	// Waiting lists the FEs with an empty meta_dir that ask to join and may not yet.
	Waiting() []group.Waiting
	Drop(ctx context.Context, fe *catalog.FE) error
	// Replace is Drop, and plans another FE by the same log entry.
	Replace(ctx context.Context, fe *catalog.FE, by *command.PlanFE) error
	// Transfer hands leadership to the FE of that name, "" = to the best.
	Transfer(ctx context.Context, name string) error
}

// Process is one session of SHOW PROCESSLIST.
type Process struct {
	ID      uint64
	User    string
	Host    string
	DB      string
	Command string
	Since   time.Time
	Text    string
	Txn     OpenTxn
	Locks   uint64 // that it has on whole tables, or asks for, by their id in the catalog; 0 = none
	Awaits  uint64 // locks of another session for which its statement waits; 0 = none
}

// OpenTxn is the transaction that a session has open; none without Since.
type OpenTxn struct {
	ID        types.TxnID // 0 = it has written nothing yet
	Since     time.Time   // when the statement began that has opened it
	Reads     time.Time   // of when the state is that it reads, which backends keep for it; zero = it is bound to none
	Committed bool        // it is READ COMMITTED rather than REPEATABLE READ
	ReadOnly  bool
}

// Warning is one row of SHOW WARNINGS.
type Warning struct {
	Level   string
	Code    uint16
	Message string
}

// Variable is one row of SHOW VARIABLES.
type Variable struct{ Name, Value string }

// ViewFacts is what follows from the query of a view and from what it reads.
type ViewFacts struct {
	Columns   []types.Column
	Updatable bool
}

// Env is what a handler may use. Funcs and Control may be nil: what they would tell is then left out.
type Env struct {
	Catalog   *catalog.Catalog    // one snapshot for the whole statement
	DB        string              // the session's default database, "" = none
	User      string              // user@host of the client
	Account   model.AccountName   // that it came in under
	Roles     []model.AccountName // of that account which are active
	Rights    *account.Rights     // of that account and its active roles; nil = everything
	Now       time.Time
	Zone      *time.Location // of the session, nil = UTC
	Version   string         // of the server, as clients see it
	Started   time.Time
	Log       Log
	Members   Members
	Control   Control
	Checker   Checker
	Conf      *conf.Live
	Frontends func() []Frontend
	Group     Group
	Strangers func() []Stranger
	Processes func() []Process
	Warnings  []Warning
	// Temporary finds a table that only the session knows; nil = there are none.
	Temporary func(*catalog.Database, string) (*catalog.Table, bool)
	// WarningCount is how many there were, of which the first are kept.
	WarningCount int
	Variables    []Variable
	Globals      func() []Variable // SHOW GLOBAL VARIABLES; nil = Variables
	Status       func() []Variable // SHOW STATUS
	// Backend reaches a BE.
	Backend func(types.BEID) (bepb.BackendClient, error)
	// Transactions are those that run on any FE that answers.
	Transactions func() []Transaction
	// SetConfig makes a configuration change that other FEs and a restart keep.
	SetConfig func(ctx context.Context, key, value string) error
	// Image writes an image of the metadata on this FE; false when there was nothing new to write.
	Image func(ctx context.Context) (bool, error)
	// CreateTable prints a table for SHOW CREATE TABLE.
	CreateTable func(define.Names, *catalog.Table) string
	// Checksum is CHECKSUM TABLE of one table: nil where there is none, of which it has warned.
	Checksum func(ctx context.Context, db, table string, quick bool) (any, error)
	// View works out what a view is, by what it reads now.
	View func(db string, v *catalog.View) (ViewFacts, error)
	// StaleKeys reads a table, and names its unique keys that do not have the entries of its rows.
	StaleKeys func(ctx context.Context, t *catalog.Table) ([]string, error)
}

// Stamp prints a time in the session's zone, "N/A" when it is unset.
func (e *Env) Stamp(t time.Time) string {
	if t.IsZero() {
		return "N/A"
	}
	return e.Local(t).Format(time.DateTime)
}

// StampMs is stamp of milliseconds since 1970, 0 = unset.
func (e *Env) StampMs(ms int64) string {
	if ms == 0 {
		return "N/A"
	}
	return e.Stamp(time.UnixMilli(ms))
}

// Local is a time in the session's zone.
func (e *Env) Local(t time.Time) time.Time {
	if e.Zone == nil {
		return t.UTC()
	}
	return t.In(e.Zone)
}

// When is the value of a column of type time: NULL when unset.
func (e *Env) When(ms int64) any {
	if ms == 0 {
		return nil
	}
	return e.Local(time.UnixMilli(ms))
}

// Alive reports whether a BE answers.
func (e *Env) Alive(be types.BEID) bool { return e.Members != nil && e.Members.Alive(be) }

// Member returns what is known of a BE beyond the catalog.
func (e *Env) Member(be types.BEID) cluster.BE {
	if e.Members == nil {
		return cluster.BE{}
	}
	m, _ := e.Members.Get(be)
	return m
}

// Disks returns the disks of a BE, each in the state that counts: what its BE reports, and what the operator wants.
func (e *Env) Disks(be types.BEID) []cluster.Disk {
	disks := slices.Clone(e.Member(be).Disks)
	b, ok := e.Catalog.BE(be)
	for i := range disks {
		if ok {
			disks[i].State = b.DiskState(disks[i].ID, disks[i].State)
		}
	}
	return disks
}

// Reported returns a replica as its BE reported it last.
func (e *Env) Reported(be types.BEID, tablet types.TabletID) (cluster.Replica, bool) {
	if e.Members == nil {
		return cluster.Replica{}, false
	}
	return e.Members.Replica(be, tablet)
}

// Lost reports whether a BE has said that it does not have a replica.
func (e *Env) Lost(be types.BEID, tablet types.TabletID) bool {
	return e.Members != nil && e.Members.Lost(be, tablet)
}

// LiveFrontends is what FEs are known to be now, by name.
func (e *Env) LiveFrontends() map[string]Frontend {
	live := map[string]Frontend{}
	if e.Frontends != nil {
		for _, f := range e.Frontends() {
			live[f.Name] = f
		}
	}
	return live
}

// AutoFailover reports whether the cluster acts by itself, rather than by what operators order.
func (e *Env) AutoFailover() bool { return e.Conf == nil || conf.AutoFailover.Get(e.Conf.Load()) }

// Kick has the control loop act on a change now, and look at tablets.
func (e *Env) Kick(tablets ...types.TabletID) {
	if e.Control != nil {
		e.Control.Kick(tablets...)
	}
}

// Propose proposes commands and returns the first error.
func (e *Env) Propose(ctx context.Context, cmds ...command.Command) ([]catalog.Result, error) {
	out, err := e.Log.Propose(ctx, cmds...)
	if err != nil {
		return nil, err
	}
	return out, catalog.BatchResult(out).Err()
}
