package command

import "fmt"

// spec is what the codec knows of one command type.
type spec struct {
	typ     Type
	name    string
	version uint8 // of the body; raise it when an old binary would misread a new body
	make    func() Command
}

// specs lists the commands by type number; index 0 and Batch have no body of their own.
var specs = func() map[Type]spec {
	m := map[Type]spec{}
	for _, s := range []spec{
		{TypeInitCluster, "init_cluster", 1, func() Command { return new(InitCluster) }},
		{TypeNoteLeader, "note_leader", 1, func() Command { return new(NoteLeader) }},
		{TypeAddFE, "add_fe", 1, func() Command { return new(AddFE) }},
		{TypeDropFE, "drop_fe", 1, func() Command { return new(DropFE) }},
		{TypeAddBE, "add_be", 1, func() Command { return new(AddBE) }},
		{TypeDropBE, "drop_be", 1, func() Command { return new(DropBE) }},
		{TypeSetBEState, "set_be_state", 1, func() Command { return new(SetBEState) }},
		{TypeSetBEAddress, "set_be_address", 1, func() Command { return new(SetBEAddress) }},
		{TypeCreateDatabase, "create_database", 1, func() Command { return new(CreateDatabase) }},
		{TypeAlterDatabase, "alter_database", 1, func() Command { return new(AlterDatabase) }},
		{TypeSetDatabaseReplicas, "set_database_replicas", 1, func() Command { return new(SetDatabaseReplicas) }},
		{TypeDropDatabase, "drop_database", 1, func() Command { return new(DropDatabase) }},
		{TypeCreateTable, "create_table", 1, func() Command { return new(CreateTable) }},
		{TypeDropTable, "drop_table", 1, func() Command { return new(DropTable) }},
		{TypeTruncateTable, "truncate_table", 1, func() Command { return new(TruncateTable) }},
		{TypeAddPartition, "add_partition", 1, func() Command { return new(AddPartition) }},
		{TypeDropPartition, "drop_partition", 1, func() Command { return new(DropPartition) }},
		{TypeAlterTable, "alter_table", 1, func() Command { return new(AlterTable) }},
		{TypeCommitTxn, "commit_txn", 1, func() Command { return new(CommitTxn) }},
		{TypeAbortTxns, "abort_txns", 1, func() Command { return new(AbortTxns) }},
		{TypeExpireTxns, "expire_txns", 1, func() Command { return new(ExpireTxns) }},
		{TypeAddReplica, "add_replica", 1, func() Command { return new(AddReplica) }},
		{TypePromoteReplica, "promote_replica", 1, func() Command { return new(PromoteReplica) }},
		{TypeDropReplica, "drop_replica", 1, func() Command { return new(DropReplica) }},
		{TypeSetLeaders, "set_leaders", 1, func() Command { return new(SetLeaders) }},
		{TypeReportReplicas, "report_replicas", 1, func() Command { return new(ReportReplicas) }},
		{TypeSetReplicaBad, "set_replica_bad", 1, func() Command { return new(SetReplicaBad) }},
		{TypeSetConfig, "set_config", 1, func() Command { return new(SetConfig) }},
		{TypeSetRepairHint, "set_repair_hint", 1, func() Command { return new(SetRepairHint) }},
		{TypeCancelRepairHint, "cancel_repair_hint", 1, func() Command { return new(CancelRepairHint) }},
		{TypeExpireHints, "expire_hints", 1, func() Command { return new(ExpireHints) }},
		{TypeAllocIDs, "alloc_ids", 1, func() Command { return new(AllocIDs) }},
		{TypeAlterColumns, "alter_columns", 1, func() Command { return new(AlterColumns) }},
		{TypeAddOp, "add_op", 1, func() Command { return new(AddOp) }},
		{TypeFinishOp, "finish_op", 1, func() Command { return new(FinishOp) }},
		{TypeAddOps, "add_ops", 1, func() Command { return new(AddOps) }},
		{TypeUpdateOp, "update_op", 1, func() Command { return new(UpdateOp) }},
		{TypeCancelOp, "cancel_op", 1, func() Command { return new(CancelOp) }},
		{TypeDeleteOps, "delete_ops", 1, func() Command { return new(DeleteOps) }},
		{TypeSetReplicaAlive, "set_replica_alive", 1, func() Command { return new(SetReplicaAlive) }},
		{TypeSetBELeading, "set_be_leading", 1, func() Command { return new(SetBELeading) }},
		{TypeAdjustReplicas, "adjust_replicas", 1, func() Command { return new(AdjustReplicas) }},
		{TypeAcceptLoss, "accept_loss", 1, func() Command { return new(AcceptLoss) }},
		{TypePlanFE, "plan_fe", 1, func() Command { return new(PlanFE) }},
		{TypeSetFE, "set_fe", 1, func() Command { return new(SetFE) }},
		{TypeSetDiskState, "set_disk_state", 1, func() Command { return new(SetDiskState) }},
		{TypeNoteTasks, "note_tasks", 1, func() Command { return new(NoteTasks) }},
		{TypeSetBELocation, "set_be_location", 1, func() Command { return new(SetBELocation) }},
		{TypeAddIndex, "add_index", 1, func() Command { return new(AddIndex) }},
		{TypeRenewIndex, "renew_index", 1, func() Command { return new(RenewIndex) }},
		{TypePublishIndex, "publish_index", 1, func() Command { return new(PublishIndex) }},
		{TypeDropIndex, "drop_index", 1, func() Command { return new(DropIndex) }},
		{TypeRestoreMetadata, "restore_metadata", 1, func() Command { return new(RestoreMetadata) }},
		{TypeAdoptReplicas, "adopt_replicas", 1, func() Command { return new(AdoptReplicas) }},
		{TypeRestoreInPlace, "restore_in_place", 2, func() Command { return new(RestoreInPlace) }},
		{TypeEndRestore, "end_restore", 1, func() Command { return new(EndRestore) }},
		{TypeSetQueryRole, "set_query_role", 1, func() Command { return new(SetQueryRole) }},
		{TypeChangeAccounts, "change_accounts", 1, func() Command { return new(ChangeAccounts) }},
		{TypeChangeGrants, "change_grants", 1, func() Command { return new(ChangeGrants) }},
		{TypeRenameTables, "rename_tables", 1, func() Command { return new(RenameTables) }},
		{TypeChangeViews, "change_views", 1, func() Command { return new(ChangeViews) }},
		{TypeStartBE, "start_be", 1, func() Command { return new(StartBE) }},
		{TypeTrimRedo, "trim_redo", 1, func() Command { return new(TrimRedo) }},
		{TypeBeginChange, "begin_change", 1, func() Command { return new(BeginChange) }},
		{TypeHoldChange, "hold_change", 1, func() Command { return new(HoldChange) }},
		{TypeChangeTable, "change_table", 1, func() Command { return new(ChangeTable) }},
		{TypeLockTables, "lock_tables", 1, func() Command { return new(LockTables) }},
		{TypeHoldLocks, "hold_locks", 1, func() Command { return new(HoldLocks) }},
		{TypeUnlockTables, "unlock_tables", 1, func() Command { return new(UnlockTables) }},
		{TypeSetFEDNode, "set_fe_dnode", 1, func() Command { return new(SetFEDNode) }},
	} {
		if _, twice := m[s.typ]; twice {
			panic(fmt.Sprintf("BUG: command type %d declared twice", s.typ))
		}
		m[s.typ] = s
	}
	return m
}()

// String returns the name of the command type, as logs and errors show it.
func (t Type) String() string {
	if t == TypeBatch {
		return batchName
	}
	if s, ok := specs[t]; ok {
		return s.name
	}
	return fmt.Sprintf("command_%d", uint16(t))
}

const batchName = "batch"

// Type returns TypeBatch.
func (*Batch) Type() Type { return TypeBatch }

// Type returns TypeInitCluster.
func (*InitCluster) Type() Type { return TypeInitCluster }

// Type returns TypeNoteLeader.
func (*NoteLeader) Type() Type { return TypeNoteLeader }

// Type returns TypeAddFE.
func (*AddFE) Type() Type { return TypeAddFE }

// Type returns TypeDropFE.
func (*DropFE) Type() Type { return TypeDropFE }

// Type returns TypeAddBE.
func (*AddBE) Type() Type { return TypeAddBE }

// Type returns TypeDropBE.
func (*DropBE) Type() Type { return TypeDropBE }

// Type returns TypeSetBEState.
func (*SetBEState) Type() Type { return TypeSetBEState }

// Type returns TypeSetBEAddress.
func (*SetBEAddress) Type() Type { return TypeSetBEAddress }

// Type returns TypeCreateDatabase.
func (*CreateDatabase) Type() Type { return TypeCreateDatabase }

// Type returns TypeAlterDatabase.
func (*AlterDatabase) Type() Type { return TypeAlterDatabase }

// Type returns TypeSetDatabaseReplicas.
func (*SetDatabaseReplicas) Type() Type { return TypeSetDatabaseReplicas }

// Type returns TypeDropDatabase.
func (*DropDatabase) Type() Type { return TypeDropDatabase }

// Type returns TypeCreateTable.
func (*CreateTable) Type() Type { return TypeCreateTable }

// Type returns TypeDropTable.
func (*DropTable) Type() Type { return TypeDropTable }

// Type returns TypeTruncateTable.
func (*TruncateTable) Type() Type { return TypeTruncateTable }

// Type returns TypeAddPartition.
func (*AddPartition) Type() Type { return TypeAddPartition }

// Type returns TypeDropPartition.
func (*DropPartition) Type() Type { return TypeDropPartition }

// Type returns TypeAlterTable.
func (*AlterTable) Type() Type { return TypeAlterTable }

// Type returns TypeCommitTxn.
func (*CommitTxn) Type() Type { return TypeCommitTxn }

// Type returns TypeAbortTxns.
func (*AbortTxns) Type() Type { return TypeAbortTxns }

// Type returns TypeExpireTxns.
func (*ExpireTxns) Type() Type { return TypeExpireTxns }

// Type returns TypeAddReplica.
func (*AddReplica) Type() Type { return TypeAddReplica }

// Type returns TypePromoteReplica.
func (*PromoteReplica) Type() Type { return TypePromoteReplica }

// Type returns TypeDropReplica.
func (*DropReplica) Type() Type { return TypeDropReplica }

// Type returns TypeSetLeaders.
func (*SetLeaders) Type() Type { return TypeSetLeaders }

// Type returns TypeReportReplicas.
func (*ReportReplicas) Type() Type { return TypeReportReplicas }

// Type returns TypeSetReplicaBad.
func (*SetReplicaBad) Type() Type { return TypeSetReplicaBad }

// Type returns TypeSetConfig.
func (*SetConfig) Type() Type { return TypeSetConfig }

// Type returns TypeSetRepairHint.
func (*SetRepairHint) Type() Type { return TypeSetRepairHint }

// Type returns TypeCancelRepairHint.
func (*CancelRepairHint) Type() Type { return TypeCancelRepairHint }

// Type returns TypeExpireHints.
func (*ExpireHints) Type() Type { return TypeExpireHints }

// Type returns TypeAllocIDs.
func (*AllocIDs) Type() Type { return TypeAllocIDs }

// Type returns TypeAddOp.
func (*AddOp) Type() Type { return TypeAddOp }

// Type returns TypeFinishOp.
func (*FinishOp) Type() Type { return TypeFinishOp }

// Type returns TypeSetDiskState.
func (*SetDiskState) Type() Type { return TypeSetDiskState }

// Type returns TypeStartBE.
func (*StartBE) Type() Type { return TypeStartBE }

// Type returns TypeTrimRedo.
func (*TrimRedo) Type() Type { return TypeTrimRedo }
