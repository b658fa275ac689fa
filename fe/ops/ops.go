// Package ops decides how operator actions are carried out. An op is an ordered list of tasks about one tablet (or, for the
// jobs, about the cluster); Step takes its record and what is true now, and says what is to be done next. It is pure: no
// clock, no network, no goroutine; package opctl drives it on the leading FE.
//
//	kInited ──first of its lane──► kDoing ──all tasks done──► kDone
//	                                 ├─ a task cannot be done, or the deadline ──► kFailed
//	kInited, kDoing ──cancelop──────────────────────────────────────────────────► kCanceled
//
// Every task is written as "make it so unless it is so", so that a new leader goes on from the record in the catalog, and
// nothing is done twice. What a task needs done is proposed before the op moves on. An op that was cancelled or has failed
// is taken back (Undo): the learner it made goes, what it set aside on the way is in use again.
//
// The package never copies data. It puts learners and flags into the catalog; the scheduler (fe/sched) fills what an op has
// ordered within its slots, and the op waits for that.
//
// Words of the system that the verbs come from: endpoint is a BE, partition (pid) a tablet, offset a version.
package ops

import (
	"fmt"
	"slices"

	"stele/meta/catalog"
	"stele/meta/model"
)

// Types of ops. The numbers are in catalogs; up to 21 they are those of the system that the verbs come from.
const (
	MakeSnapshot          model.OpType = 1
	AddReplica            model.OpType = 2
	DelReplica            model.OpType = 3
	ChangeLeader          model.OpType = 4
	OfflineReplica        model.OpType = 5
	ReAddReplica          model.OpType = 6
	ReAddReplicaNoSend    model.OpType = 7
	ReAddReplicaWithDrop  model.OpType = 8
	ReAddReplicaSimplify  model.OpType = 9
	UpdateTableAlive      model.OpType = 10
	Migrate               model.OpType = 11
	ReLoadTable           model.OpType = 12
	UpdatePartitionStatus model.OpType = 13
	RecoverTable          model.OpType = 14
	BalanceLeader         model.OpType = 101
	BalanceReplicas       model.OpType = 102
	AcceptLoss            model.OpType = 103
	MakeEmpty             model.OpType = 104
)

var typeNames = map[model.OpType]string{
	MakeSnapshot: "kMakeSnapshotOP", AddReplica: "kAddReplicaOP", DelReplica: "kDelReplicaOP", ChangeLeader: "kChangeLeaderOP",
	OfflineReplica: "kOfflineReplicaOP", ReAddReplica: "kReAddReplicaOP", ReAddReplicaNoSend: "kReAddReplicaNoSendOP",
	ReAddReplicaWithDrop: "kReAddReplicaWithDropOP", ReAddReplicaSimplify: "kReAddReplicaSimplifyOP",
	UpdateTableAlive: "kUpdateTableAliveOP", Migrate: "kMigrateOP", ReLoadTable: "kReLoadTableOP",
	UpdatePartitionStatus: "kUpdatePartitionStatusOP", RecoverTable: "kRecoverTableOP", BalanceLeader: "kBalanceLeaderOP",
	BalanceReplicas: "kBalanceReplicaOP", AcceptLoss: "kAcceptLossOP", MakeEmpty: "kMakeEmptyOP",
}

// TypeName is the name of a type as SHOW OPSTATUS prints it.
func TypeName(t model.OpType) string {
	if name, ok := typeNames[t]; ok {
		return name
	}
	return fmt.Sprintf("kOP%d", t)
}

// Types of tasks, numbered as those of ops.
const (
	taskMakeSnapshot          model.TaskType = 1
	taskPauseSnapshot         model.TaskType = 2
	taskRecoverSnapshot       model.TaskType = 3
	taskSendSnapshot          model.TaskType = 4
	taskLoadTable             model.TaskType = 5
	taskAddReplica            model.TaskType = 6
	taskAddTableInfo          model.TaskType = 7
	taskDelReplica            model.TaskType = 8
	taskDelTableInfo          model.TaskType = 9
	taskChangeLeader          model.TaskType = 10
	taskUpdatePartitionStatus model.TaskType = 11
	taskDropTable             model.TaskType = 12
	taskUpdateTableAlive      model.TaskType = 13
	taskUpdateTableInfo       model.TaskType = 14
	taskSelectLeader          model.TaskType = 15
	taskUpdateLeaderInfo      model.TaskType = 16
	taskRecoverTable          model.TaskType = 17
	taskCheckSync             model.TaskType = 18
	taskTransferLeaders       model.TaskType = 201
	taskMoveReplicas          model.TaskType = 202
	taskAcceptLoss            model.TaskType = 203
	taskFillVersions          model.TaskType = 204
	taskMakeEmpty             model.TaskType = 205
)

var taskNames = map[model.TaskType]string{
	taskMakeSnapshot: "kMakeSnapshot", taskPauseSnapshot: "kPauseSnapshot", taskRecoverSnapshot: "kRecoverSnapshot",
	taskSendSnapshot: "kSendSnapshot", taskLoadTable: "kLoadTable", taskAddReplica: "kAddReplica", taskAddTableInfo: "kAddTableInfo",
	taskDelReplica: "kDelReplica", taskDelTableInfo: "kDelTableInfo", taskChangeLeader: "kChangeLeader",
	taskUpdatePartitionStatus: "kUpdatePartitionStatus", taskDropTable: "kDropTable", taskUpdateTableAlive: "kUpdateTableAlive",
	taskUpdateTableInfo: "kUpdateTableInfo", taskSelectLeader: "kSelectLeader", taskUpdateLeaderInfo: "kUpdateLeaderInfo",
	taskRecoverTable: "kRecoverTable", taskCheckSync: "kCheckBinlogSyncProgress", taskTransferLeaders: "kTransferLeaders",
	taskMoveReplicas: "kMoveReplicas", taskAcceptLoss: "kAcceptLoss", taskFillVersions: "kFillVersions",
	taskMakeEmpty: "kMakeEmpty",
}

// taskLists are the tasks of each type of op, in order.
var taskLists = map[model.OpType][]model.TaskType{
	MakeSnapshot: {taskMakeSnapshot},
	AddReplica: {taskPauseSnapshot, taskSendSnapshot, taskLoadTable, taskAddReplica, taskRecoverSnapshot, taskAddTableInfo, taskCheckSync,
		taskUpdatePartitionStatus},
	DelReplica:     {taskDelReplica, taskDelTableInfo, taskDropTable},
	ChangeLeader:   {taskSelectLeader, taskChangeLeader, taskUpdateLeaderInfo},
	OfflineReplica: {taskDelReplica, taskUpdatePartitionStatus},
	ReAddReplica: {taskPauseSnapshot, taskSendSnapshot, taskLoadTable, taskAddReplica, taskRecoverSnapshot, taskCheckSync,
		taskUpdatePartitionStatus},
	ReAddReplicaNoSend: {taskPauseSnapshot, taskLoadTable, taskAddReplica, taskRecoverSnapshot, taskCheckSync, taskUpdatePartitionStatus},
	ReAddReplicaWithDrop: {taskPauseSnapshot, taskDropTable, taskSendSnapshot, taskLoadTable, taskAddReplica, taskRecoverSnapshot, taskCheckSync,
		taskUpdatePartitionStatus},
	ReAddReplicaSimplify: {taskAddReplica, taskCheckSync, taskUpdatePartitionStatus},
	UpdateTableAlive:     {taskUpdateTableAlive},
	Migrate: {taskPauseSnapshot, taskSendSnapshot, taskRecoverSnapshot, taskLoadTable, taskAddReplica, taskAddTableInfo, taskCheckSync,
		taskDelReplica, taskUpdateTableInfo, taskDropTable},
	ReLoadTable:           {taskLoadTable, taskUpdatePartitionStatus},
	UpdatePartitionStatus: {taskUpdatePartitionStatus},
	RecoverTable:          {taskRecoverTable},
	BalanceLeader:         {taskTransferLeaders},
	BalanceReplicas:       {taskMoveReplicas},
	AcceptLoss:            {taskAcceptLoss, taskFillVersions},
	MakeEmpty:             {taskMakeEmpty, taskFillVersions},
}

// New returns an op of a type, with its tasks.
func New(t model.OpType) model.Op {
	tasks := slices.Clone(taskLists[t])
	return model.Op{Type: t, Kind: TypeName(t), Tasks: tasks, Total: int64(len(tasks))}
}

// CurrentTask is the name of the task that an op is at, "-" when it has not begun or is over.
func CurrentTask(op *model.Op) string {
	if op.State != catalog.OpRunning || op.Task >= len(op.Tasks) {
		return "-"
	}
	return taskNames[op.Tasks[op.Task]]
}

// TaskName is the name of the n-th task of an op.
func TaskName(op *model.Op, n int) string { return taskNames[op.Tasks[n]] }

// StateName is the state of an op as SHOW OPSTATUS prints it.
func StateName(s model.OpState) string {
	return map[model.OpState]string{catalog.OpInited: "kInited", catalog.OpRunning: "kDoing", catalog.OpDone: "kDone",
		catalog.OpFailed: "kFailed", catalog.OpCancelled: "kCanceled"}[s]
}

// IsJob reports whether an op is about the cluster and not about one tablet.
func IsJob(op *model.Op) bool { return op.Type == BalanceLeader || op.Type == BalanceReplicas }

// target is the BE that gets a copy.
func target(op *model.Op) (be beID) {
	if op.Type == Migrate {
		return op.Dest
	}
	return op.BE
}
