package catalog

import (
	"stele/meta/model"
	"stele/meta/types"
)

// The records of the catalog, under the names that callers use.
type (
	Database      = model.Database
	Table         = model.Table
	UniqueKey     = model.UniqueKey
	Check         = model.Check
	Partitioning  = model.Partitioning
	Listed        = model.Listed
	TableOwner    = model.TableOwner
	TableLocks    = model.TableLocks
	TableLock     = model.TableLock
	Partition     = model.Partition
	Replica       = model.Replica
	Tablet        = model.Tablet
	BE            = model.BE
	Redo          = model.Redo
	Task          = model.Task
	BEDisk        = model.BEDisk
	FE            = model.FE
	RepairHint    = model.RepairHint
	Op            = model.Op
	OpState       = model.OpState
	OpType        = model.OpType
	TaskType      = model.TaskType
	User          = model.User
	Grant         = model.Grant
	TabletVersion = model.TabletVersion
	View          = model.View
	ViewAlgorithm = model.ViewAlgorithm
	ViewCheck     = model.ViewCheck
	ForeignKey    = model.ForeignKey
	AwaitedParent = model.AwaitedParent
	// ReferenceAction is what happens to rows that refer to one that goes or gets another key.
	ReferenceAction = model.ReferenceAction
)

// Reference actions.
const (
	ReferenceNoAction = model.ReferenceNoAction
	ReferenceRestrict = model.ReferenceRestrict
	ReferenceCascade  = model.ReferenceCascade
	ReferenceSetNull  = model.ReferenceSetNull
)

// Referable reports whether a column can hold what another one refers to.
func Referable(child, parent *types.Column) bool { return model.Referable(child, parent) }

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
