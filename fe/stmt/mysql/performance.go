package mysql

import (
	"context"
	"strings"

	"stele/fe/stmt"
)

// Tables of performance_schema: variables, counters and sessions, for tools that read them there rather than by SHOW. What else
// MySQL has in that database is not counted. @@performance_schema is 0, and as in a MySQL where it is, tables that monitors read are there
// without rows.

func variableColumns() []stmt.Column {
	return stmt.Cols(`
		VARIABLE_NAME  name Name.
		VARIABLE_VALUE text Value.
	`)
}

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.PerformanceDB, Name: "session_variables", Local: true, Doc: "SHOW SESSION VARIABLES.", Columns: variableColumns(),
	Rows: func(_ context.Context, e *stmt.Env) ([]stmt.Row, error) { return variableRows(e.Variables), nil }})

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.PerformanceDB, Name: "global_variables", Local: true, Doc: "SHOW GLOBAL VARIABLES.", Columns: variableColumns(),
	Rows: func(_ context.Context, e *stmt.Env) ([]stmt.Row, error) {
		if e.Globals == nil {
			return nil, nil
		}
		return variableRows(e.Globals()), nil
	}})

func init() {
	for _, name := range []string{"session_status", "global_status"} { // counters of an FE are one
		stmt.RegisterTable(stmt.Table{Database: stmt.PerformanceDB, Name: name, Local: true, Doc: "SHOW STATUS of this FE.", Columns: variableColumns(), Rows: statusRows})
	}
}

func statusRows(_ context.Context, e *stmt.Env) ([]stmt.Row, error) {
	if e.Status == nil {
		return nil, nil
	}
	return variableRows(e.Status()), nil
}

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.PerformanceDB, Name: "processlist", Local: true, Doc: "The sessions of this FE.",
	Columns: stmt.Plain("ID# USER HOST DB COMMAND TIME# STATE INFO EXECUTION_ENGINE"),
	Rows: func(_ context.Context, e *stmt.Env) ([]stmt.Row, error) {
		rows := processRows(e, 1<<30)
		for i := range rows {
			rows[i] = append(rows[i], "PRIMARY")
		}
		return rows, nil
	}})

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.PerformanceDB, Name: "threads", Local: true, Doc: "The sessions of this FE.",
	Columns: stmt.Plain("THREAD_ID# NAME TYPE PROCESSLIST_ID# PROCESSLIST_USER PROCESSLIST_HOST PROCESSLIST_DB PROCESSLIST_COMMAND PROCESSLIST_TIME# " +
		"PROCESSLIST_STATE PROCESSLIST_INFO PARENT_THREAD_ID# ROLE INSTRUMENTED HISTORY CONNECTION_TYPE THREAD_OS_ID# RESOURCE_GROUP " +
		"EXECUTION_ENGINE CONTROLLED_MEMORY# MAX_CONTROLLED_MEMORY# TOTAL_MEMORY# MAX_TOTAL_MEMORY# TELEMETRY_ACTIVE"),
	Rows: func(_ context.Context, e *stmt.Env) ([]stmt.Row, error) {
		rows := processRows(e, 1<<30)
		for i, p := range rows {
			rows[i] = append(append(stmt.Row{p[0], "thread/sql/one_connection", "FOREGROUND"}, p...),
				nil, nil, "NO", "NO", nil, nil, nil, "PRIMARY", 0, 0, 0, 0, "NO")
		}
		return rows, nil
	}})

// The tables without rows that mysqld_exporter, PMM, Zabbix, Datadog and Workbench read.
var _ = registerEmpty(stmt.PerformanceDB, map[string]string{
	"accounts": "USER HOST CURRENT_CONNECTIONS# TOTAL_CONNECTIONS# MAX_SESSION_CONTROLLED_MEMORY# MAX_SESSION_TOTAL_MEMORY#",
	"hosts":    "HOST CURRENT_CONNECTIONS# TOTAL_CONNECTIONS# MAX_SESSION_CONTROLLED_MEMORY# MAX_SESSION_TOTAL_MEMORY#",
	"users":    "USER CURRENT_CONNECTIONS# TOTAL_CONNECTIONS# MAX_SESSION_CONTROLLED_MEMORY# MAX_SESSION_TOTAL_MEMORY#",
	"data_lock_waits": "ENGINE REQUESTING_ENGINE_LOCK_ID REQUESTING_ENGINE_TRANSACTION_ID# REQUESTING_THREAD_ID# REQUESTING_EVENT_ID# " +
		"REQUESTING_OBJECT_INSTANCE_BEGIN# BLOCKING_ENGINE_LOCK_ID BLOCKING_ENGINE_TRANSACTION_ID# BLOCKING_THREAD_ID# BLOCKING_EVENT_ID# " +
		"BLOCKING_OBJECT_INSTANCE_BEGIN#",
	"data_locks": "ENGINE ENGINE_LOCK_ID ENGINE_TRANSACTION_ID# THREAD_ID# EVENT_ID# OBJECT_SCHEMA OBJECT_NAME PARTITION_NAME SUBPARTITION_NAME " +
		"INDEX_NAME OBJECT_INSTANCE_BEGIN# LOCK_TYPE LOCK_MODE LOCK_STATUS LOCK_DATA",
	"events_statements_current":      statementEvents,
	"events_statements_history":      statementEvents,
	"events_statements_history_long": statementEvents,
	"events_statements_summary_by_digest": "SCHEMA_NAME DIGEST DIGEST_TEXT " + statementSums + " FIRST_SEEN LAST_SEEN QUANTILE_95# QUANTILE_99# " +
		"QUANTILE_999# QUERY_SAMPLE_TEXT QUERY_SAMPLE_SEEN QUERY_SAMPLE_TIMER_WAIT#",
	"events_statements_summary_global_by_event_name": "EVENT_NAME " + statementSums,
	"events_waits_current": "THREAD_ID# EVENT_ID# END_EVENT_ID# EVENT_NAME SOURCE TIMER_START# TIMER_END# TIMER_WAIT# SPINS# OBJECT_SCHEMA " +
		"OBJECT_NAME INDEX_NAME OBJECT_TYPE OBJECT_INSTANCE_BEGIN# NESTING_EVENT_ID# NESTING_EVENT_TYPE OPERATION NUMBER_OF_BYTES# FLAGS#",
	"events_waits_summary_global_by_event_name": "EVENT_NAME " + timerSums(""),
	"file_summary_by_event_name":                "EVENT_NAME " + fileSums,
	"file_summary_by_instance":                  "FILE_NAME EVENT_NAME OBJECT_INSTANCE_BEGIN# " + fileSums,
	"memory_summary_global_by_event_name": "EVENT_NAME COUNT_ALLOC# COUNT_FREE# SUM_NUMBER_OF_BYTES_ALLOC# SUM_NUMBER_OF_BYTES_FREE# " +
		"LOW_COUNT_USED# CURRENT_COUNT_USED# HIGH_COUNT_USED# LOW_NUMBER_OF_BYTES_USED# CURRENT_NUMBER_OF_BYTES_USED# HIGH_NUMBER_OF_BYTES_USED#",
	"setup_actors":      "HOST USER ROLE ENABLED HISTORY",
	"setup_consumers":   "NAME ENABLED",
	"setup_instruments": "NAME ENABLED TIMED PROPERTIES FLAGS VOLATILITY# DOCUMENTATION",
	"table_io_waits_summary_by_index_usage": "OBJECT_TYPE OBJECT_SCHEMA OBJECT_NAME INDEX_NAME " + timerSums("") +
		timerSums("READ") + timerSums("WRITE") + timerSums("FETCH") + timerSums("INSERT") + timerSums("UPDATE") + timerSums("DELETE"),
	"table_io_waits_summary_by_table": "OBJECT_TYPE OBJECT_SCHEMA OBJECT_NAME " + timerSums("") +
		timerSums("READ") + timerSums("WRITE") + timerSums("FETCH") + timerSums("INSERT") + timerSums("UPDATE") + timerSums("DELETE"),
	"table_lock_waits_summary_by_table": "OBJECT_TYPE OBJECT_SCHEMA OBJECT_NAME " + timerSums("") + timerSums("READ") + timerSums("WRITE") +
		timerSums("READ_NORMAL") + timerSums("READ_WITH_SHARED_LOCKS") + timerSums("READ_HIGH_PRIORITY") + timerSums("READ_NO_INSERT") +
		timerSums("READ_EXTERNAL") + timerSums("WRITE_ALLOW_WRITE") + timerSums("WRITE_CONCURRENT_INSERT") + timerSums("WRITE_LOW_PRIORITY") +
		timerSums("WRITE_NORMAL") + timerSums("WRITE_EXTERNAL"),
	"replication_applier_status": "CHANNEL_NAME SERVICE_STATE REMAINING_DELAY# COUNT_TRANSACTIONS_RETRIES#",
	"replication_applier_status_by_coordinator": "CHANNEL_NAME THREAD_ID# SERVICE_STATE LAST_ERROR_NUMBER# LAST_ERROR_MESSAGE LAST_ERROR_TIMESTAMP " +
		appliedTransactions("LAST_PROCESSED_TRANSACTION", "BUFFER") + appliedTransactions("PROCESSING_TRANSACTION", "BUFFER"),
	"replication_applier_status_by_worker": "CHANNEL_NAME WORKER_ID# THREAD_ID# SERVICE_STATE LAST_ERROR_NUMBER# LAST_ERROR_MESSAGE " +
		"LAST_ERROR_TIMESTAMP " + appliedTransactions("LAST_APPLIED_TRANSACTION", "APPLY") + appliedTransactions("APPLYING_TRANSACTION", "APPLY"),
	"replication_connection_configuration": "CHANNEL_NAME HOST PORT# USER NETWORK_INTERFACE AUTO_POSITION SSL_ALLOWED SSL_CA_FILE SSL_CA_PATH " +
		"SSL_CERTIFICATE SSL_CIPHER SSL_KEY SSL_VERIFY_SERVER_CERTIFICATE SSL_CRL_FILE SSL_CRL_PATH CONNECTION_RETRY_INTERVAL# " +
		"CONNECTION_RETRY_COUNT# HEARTBEAT_INTERVAL# TLS_VERSION PUBLIC_KEY_PATH GET_PUBLIC_KEY NETWORK_NAMESPACE COMPRESSION_ALGORITHM " +
		"ZSTD_COMPRESSION_LEVEL# TLS_CIPHERSUITES SOURCE_CONNECTION_AUTO_FAILOVER GTID_ONLY",
	"replication_connection_status": "CHANNEL_NAME GROUP_NAME SOURCE_UUID THREAD_ID# SERVICE_STATE COUNT_RECEIVED_HEARTBEATS# " +
		"LAST_HEARTBEAT_TIMESTAMP RECEIVED_TRANSACTION_SET LAST_ERROR_NUMBER# LAST_ERROR_MESSAGE LAST_ERROR_TIMESTAMP " +
		appliedTransactions("LAST_QUEUED_TRANSACTION", "QUEUE") + appliedTransactions("QUEUEING_TRANSACTION", "QUEUE"),
	"replication_group_member_stats": "CHANNEL_NAME VIEW_ID MEMBER_ID COUNT_TRANSACTIONS_IN_QUEUE# COUNT_TRANSACTIONS_CHECKED# " +
		"COUNT_CONFLICTS_DETECTED# COUNT_TRANSACTIONS_ROWS_VALIDATING# TRANSACTIONS_COMMITTED_ALL_MEMBERS LAST_CONFLICT_FREE_TRANSACTION " +
		"COUNT_TRANSACTIONS_REMOTE_IN_APPLIER_QUEUE# COUNT_TRANSACTIONS_REMOTE_APPLIED# COUNT_TRANSACTIONS_LOCAL_PROPOSED# " +
		"COUNT_TRANSACTIONS_LOCAL_ROLLBACK#",
	"replication_group_members": "CHANNEL_NAME MEMBER_ID MEMBER_HOST MEMBER_PORT# MEMBER_STATE MEMBER_ROLE MEMBER_VERSION MEMBER_COMMUNICATION_STACK",
})

// Columns that several tables have.
const (
	statementCounts = "ERRORS# WARNINGS# ROWS_AFFECTED# ROWS_SENT# ROWS_EXAMINED# CREATED_TMP_DISK_TABLES# CREATED_TMP_TABLES# SELECT_FULL_JOIN# " +
		"SELECT_FULL_RANGE_JOIN# SELECT_RANGE# SELECT_RANGE_CHECK# SELECT_SCAN# SORT_MERGE_PASSES# SORT_RANGE# SORT_ROWS# SORT_SCAN# NO_INDEX_USED# " +
		"NO_GOOD_INDEX_USED#"
	statementEvents = "THREAD_ID# EVENT_ID# END_EVENT_ID# EVENT_NAME SOURCE TIMER_START# TIMER_END# TIMER_WAIT# LOCK_TIME# SQL_TEXT DIGEST " +
		"DIGEST_TEXT CURRENT_SCHEMA OBJECT_TYPE OBJECT_SCHEMA OBJECT_NAME OBJECT_INSTANCE_BEGIN# MYSQL_ERRNO# RETURNED_SQLSTATE MESSAGE_TEXT " +
		statementCounts + " NESTING_EVENT_ID# NESTING_EVENT_TYPE NESTING_EVENT_LEVEL# STATEMENT_ID# CPU_TIME# MAX_CONTROLLED_MEMORY# " +
		"MAX_TOTAL_MEMORY# EXECUTION_ENGINE"
)

var (
	statementSums = timerSums("") + "SUM_LOCK_TIME# SUM_" + strings.ReplaceAll(statementCounts, " ", " SUM_") +
		" SUM_CPU_TIME# MAX_CONTROLLED_MEMORY# MAX_TOTAL_MEMORY# COUNT_SECONDARY#"
	fileSums = timerSums("") + timerSums("READ") + "SUM_NUMBER_OF_BYTES_READ# " + timerSums("WRITE") + "SUM_NUMBER_OF_BYTES_WRITE# " + timerSums("MISC")
)

// timerSums are how often something was done and how long it took; "" = all of it.
func timerSums(of string) string {
	count, timer := "COUNT_STAR#", "TIMER_WAIT#"
	if of != "" {
		count, timer = "COUNT_"+of+"#", "TIMER_"+of+"#"
	}
	return count + " SUM_" + timer + " MIN_" + timer + " AVG_" + timer + " MAX_" + timer + " "
}

// appliedTransactions are the columns about a transaction that a replica works on; verb is what it does with it. One that it is still at
// has no end.
func appliedTransactions(of, verb string) string {
	out := of + " " + of + "_ORIGINAL_COMMIT_TIMESTAMP " + of + "_IMMEDIATE_COMMIT_TIMESTAMP " + of + "_START_" + verb + "_TIMESTAMP "
	if strings.HasPrefix(of, "LAST_") {
		out += of + "_END_" + verb + "_TIMESTAMP "
	}
	return out
}

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.SteleDB, Name: "variables", Local: true, Doc: "SHOW VARIABLES of this session.",
	Columns: stmt.Cols(`
		Variable_name name  Name.
		Value         text  Value.
	`),
	Rows: func(_ context.Context, e *stmt.Env) ([]stmt.Row, error) { return variableRows(e.Variables), nil }})

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.SteleDB, Name: "status", Local: true, Doc: "SHOW STATUS of this FE.",
	Columns: stmt.Cols(`
		Variable_name name  Name.
		Value         text  Value.
	`),
	Rows: statusRows})
