package proc

import (
	"stele/fe/stmt"
)

// What StarRocks has under SHOW PROC and Stele has none of: a script that looks there finds the columns that it
// expects, and no rows.

// empty is a node whose table has no rows.
func empty(columns []stmt.Column) func(procCall) (stmt.Result, error) {
	return func(c procCall) (stmt.Result, error) { return c.table(columns, nil) }
}

var (
	brokerColumns = stmt.Cols(`
		Name           text None: data is not loaded through brokers.
		IP             text -
		Port           text -
		Alive          text -
		LastStartTime  text -
		LastUpdateTime text -
		ErrMsg         text -
	`)
	instanceColumns = stmt.Cols(`
		Backend     text None: SHOW PROCESSLIST shows what runs.
		InstanceNum text -
		InstanceId  text -
		ExecTime    text -
	`)
	resourceColumns = stmt.Cols(`
		Name         text None: there are no external resources.
		ResourceType text -
		Key          text -
		Value        text -
	`)
	routineLoadColumns = stmt.Cols(`
		Name          text None: there are no routine loads.
		Id            text -
		DbName        text -
		Statistic     text -
		TaskStatistic text -
	`)
	streamLoadColumns = stmt.Cols(`
		Label     text None: there are no stream loads.
		Id        text -
		DbName    text -
		TableName text -
		State     text -
	`)
	errorHubColumns = stmt.Cols(`
		Type       text None: loads that fail say so to their client.
		Properties text -
	`)
	compactionColumns = stmt.Cols(`
		Partition  text None: each BE compacts by itself; CompactionStatus of SHOW TABLET leads to it.
		TxnID      text -
		StartTime  text -
		CommitTime text -
		FinishTime text -
		Error      text -
		Profile    text -
	`)
	replicationColumns = stmt.Cols(`
		JobID        text None: there is no replication between clusters.
		DatabaseID   text -
		TableID      text -
		TxnID        text -
		CreatedTime  text -
		FinishedTime text -
		State        text -
		Progress     text -
		Error        text -
	`)
	warehouseColumns = stmt.Cols(`
		Id        int  Always 0.
		Warehouse text default_warehouse: all backends.
		State     text AVAILABLE.
		NodeCount int  Backends that answer.
	`)
	recoveryColumns = stmt.Cols(`
		DbName        text None: versions of partitions need no repair by hand, see ADMIN EXPLAIN TABLET.
		TableName     text -
		PartitionName text -
		PartitionId   text -
		VisibleVersion text -
		Reason        text -
	`)
	historicalColumns = stmt.Cols(`
		Warehouse      text None: nothing is kept of backends that were dropped but their operations, see stele.operations.
		BackendIDs     text -
		ComputeNodeIDs text -
		UpdateTime     text -
	`)
)
