package sched

import "stele/meta/types"

// ActionKind says what is to be done.
type ActionKind uint8

// Kinds of Actions, with the fields they use beyond Tablet and Why.
const (
	// ActReport records in the catalog what an ended clone has reached: Replica, BE, Disk, Version.
	ActReport ActionKind = iota
	// ActPromote makes the learner Replica a follower if Version is current.
	ActPromote
	// ActDrop removes Replica on BE from the catalog at Epoch, then from its BE; NewLeader leads if it led.
	ActDrop
	// ActAdd adds a learner on BE and starts Clone to it.
	ActAdd
	// ActClone starts Clone to Replica on BE, which is there already.
	ActClone
	// ActCancel cancels clone Task on BE.
	ActCancel
	// ActLeaders gives tablets new leaders: Leaders.
	ActLeaders
	// ActDropBE removes BE from the cluster.
	ActDropBE
)

func (k ActionKind) String() string {
	return [...]string{"report", "promote", "drop", "add", "clone", "cancel", "leaders", "drop_be"}[k]
}

// Action is one thing to be done.
type Action struct {
	Kind      ActionKind
	Tablet    types.TabletID
	Replica   types.ReplicaID
	BE        types.BEID
	Disk      types.DiskID
	Version   types.Version
	Epoch     types.Epoch
	NewLeader types.BEID
	Task      types.TaskID
	Clone     CloneSpec
	Leaders   []LeaderMove
	Why       string
}

// CloneSpec is a clone to be started on the BE of its Action.
type CloneSpec struct {
	SourceBE   types.BEID
	SourceDisk types.DiskID
	DestDisk   types.DiskID // 0 = the BE chooses
	Version    types.Version
	TimeoutMs  int64
	StallMs    int64 // the source may send nothing for so long, 0 = until the timeout
	Balance    bool
	Medium     types.Medium
}

// LeaderMove gives a tablet a new leader.
type LeaderMove struct {
	Tablet types.TabletID
	From   types.BEID // 0 = it had none
	To     types.BEID
	Epoch  types.Epoch // at which it holds
	// Failover says that the leader so far is lost, and not only relieved.
	Failover bool
}

// Outcome is how a clone ended. Task may be one that the Scheduler does not know.
type Outcome struct {
	Task      types.TaskID
	Tablet    types.TabletID
	BE        types.BEID // destination
	Disk      types.DiskID
	Done      bool
	Full      bool
	Version   types.Version // reached
	Bytes     int64
	ElapsedMs int64
	Reason    string // why it failed
}

// FoundClone is a clone that runs although this Scheduler did not start it: an earlier leader did.
type FoundClone struct {
	Task       types.TaskID
	Tablet     types.TabletID
	BE         types.BEID // destination
	Disk       types.DiskID
	SourceBE   types.BEID // 0 = not known
	SourceDisk types.DiskID
	Balance    bool
	RunsMs     int64 // for how long it has run
}

// CloneProgress is how far a running clone is, as its BE has told last.
type CloneProgress struct {
	Task    types.TaskID
	IdleMs  int64 // since a byte came; 0 also while it waits for a slot
	Unknown bool  // its BE answers but does not know the task
	// What has come so far: a replica that has caught up ends its clone before the clone tells how it ended.
	Bytes     int64
	ElapsedMs int64
	Full      bool
}
