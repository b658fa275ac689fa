package catalog

import "stele/meta/model"

// The records of the catalog, under the names that callers use.
type (
	Database       = model.Database
	Table          = model.Table
	UniqueKey      = model.UniqueKey
	Check          = model.Check
	RangePartition = model.RangePartition
	TableOwner     = model.TableOwner
	Partition      = model.Partition
	Replica        = model.Replica
	Tablet         = model.Tablet
	BE             = model.BE
	Redo           = model.Redo
	Task           = model.Task
	BEDisk         = model.BEDisk
	FE             = model.FE
	RepairHint     = model.RepairHint
	Op             = model.Op
	OpState        = model.OpState
	OpType         = model.OpType
	TaskType       = model.TaskType
	User           = model.User
	Grant          = model.Grant
	TabletVersion  = model.TabletVersion
	View           = model.View
	ViewAlgorithm  = model.ViewAlgorithm
	ViewCheck      = model.ViewCheck
	ForeignKey     = model.ForeignKey
	AwaitedParent  = model.AwaitedParent
)

// Operation states.
const (
	OpRunning   = model.OpRunning
	OpDone      = model.OpDone
	OpFailed    = model.OpFailed
	OpCancelled = model.OpCancelled
	OpInited    = model.OpInited
)

// Check options of views.
const (
	CheckNone     = model.CheckNone
	CheckLocal    = model.CheckLocal
	CheckCascaded = model.CheckCascaded
)
