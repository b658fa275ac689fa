package mysql

import (
	"context"
	"strconv"
	"time"

	"stele/fe/stmt"
	"stele/meta/model"
	"stele/meta/types"
	"stele/sql/parse"
)

// Tables of information_schema about the server rather than about tables, and those that are always empty.

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.SchemaDB, Name: "ENGINES", Local: true, Doc: "The one storage engine.",
	Columns: stmt.Cols(`
		ENGINE name
		SUPPORT name
		COMMENT name
		TRANSACTIONS name
		XA name
		SAVEPOINTS name
	`), Rows: fixedRows(engineRows)})

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.SchemaDB, Name: "CHARACTER_SETS", Local: true, Doc: "The character sets of data.",
	Columns: stmt.Cols(`
		CHARACTER_SET_NAME name
		DEFAULT_COLLATE_NAME name
		DESCRIPTION text
		MAXLEN uint
	`),
	Rows: func(context.Context, *stmt.Env) ([]stmt.Row, error) {
		var rows []stmt.Row
		for _, r := range charsetRows {
			rows = append(rows, stmt.Row{r[0], r[2], r[1], r[3]})
		}
		return rows, nil
	}})

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.SchemaDB, Name: "COLLATIONS", Local: true, Doc: "The collations of data.",
	Columns: stmt.Cols(`
		COLLATION_NAME name
		CHARACTER_SET_NAME name
		ID uint
		IS_DEFAULT name
		IS_COMPILED name
		SORTLEN uint
		PAD_ATTRIBUTE name
	`), Rows: fixedRows(collationRows)})

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.SchemaDB, Name: "COLLATION_CHARACTER_SET_APPLICABILITY", Local: true, Doc: "Which character set a collation is of.",
	Columns: stmt.Cols(`
		COLLATION_NAME name
		CHARACTER_SET_NAME name
	`),
	Rows: func(context.Context, *stmt.Env) ([]stmt.Row, error) {
		rows := make([]stmt.Row, len(collationRows))
		for i, r := range collationRows {
			rows[i] = r[:2]
		}
		return rows, nil
	}})

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.SchemaDB, Name: "KEYWORDS", Local: true, Doc: "The words of the grammar, and which of them are no names without quotes.",
	Columns: stmt.Cols(`
		WORD name
		RESERVED int
	`),
	Rows: func(context.Context, *stmt.Env) ([]stmt.Row, error) {
		var rows []stmt.Row
		for word, reserved := range parse.Keywords() {
			rows = append(rows, stmt.Row{word, reserved})
		}
		return rows, nil
	}})

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.SchemaDB, Name: "PROCESSLIST", Local: true, Doc: "The sessions of this FE.",
	Columns: stmt.Cols(`
		ID uint
		USER name
		HOST text
		DB name
		COMMAND name
		TIME int
		STATE name
		INFO long
	`),
	Rows: func(_ context.Context, e *stmt.Env) ([]stmt.Row, error) { return processRows(e, 1<<30), nil }})

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.SchemaDB, Name: "INNODB_TRX", Doc: "The transactions that run on any FE, those of sessions that are idle in one as well: trx_operation_state says of when the state is that they read, whose rows backends keep. What MySQL counts of them is not known.",
	Columns: stmt.Plain("trx_id trx_state trx_started trx_requested_lock_id trx_wait_started trx_weight# trx_mysql_thread_id# trx_query trx_operation_state " +
		"trx_tables_in_use# trx_tables_locked# trx_lock_structs# trx_lock_memory_bytes# trx_rows_locked# trx_rows_modified# trx_concurrency_tickets# " +
		"trx_isolation_level trx_unique_checks# trx_foreign_key_checks# trx_last_foreign_key_error trx_adaptive_hash_latched# " +
		"trx_adaptive_hash_timeout# trx_is_read_only# trx_autocommit_non_locking# trx_schedule_weight#"),
	Rows: func(_ context.Context, e *stmt.Env) ([]stmt.Row, error) {
		if e.Transactions == nil || !e.Holds(model.PrivProcess) {
			return nil, nil
		}
		var rows []stmt.Row
		known := map[types.TxnID]bool{}
		for _, p := range e.Processes() {
			if !p.Txn.Since.IsZero() {
				rows, known[p.Txn.ID] = append(rows, openTrxRow(e, &p)), true
			}
		}
		for _, t := range e.Transactions() { // of single statements, and those that a session has just begun
			if !known[t.ID] {
				rows = append(rows, trxRow(e, strconv.FormatUint(uint64(t.ID), 10), t.Since))
			}
		}
		return rows, nil
	}})

// trxRow is a row of INNODB_TRX, where NULL is what is not known.
func trxRow(e *stmt.Env, id string, since time.Time) stmt.Row {
	row := make(stmt.Row, 25)
	row[0], row[1], row[2] = id, "RUNNING", e.Stamp(since)
	return row
}

// readerTrx is what the ids begin with, as in MySQL, of transactions that have written nothing.
const readerTrx = 1 << 48

// openTrxRow is the row of a transaction that a session has open.
func openTrxRow(e *stmt.Env, p *stmt.Process) stmt.Row {
	id := uint64(p.Txn.ID)
	if id == 0 {
		id = readerTrx + p.ID
	}
	row := trxRow(e, strconv.FormatUint(id, 10), p.Txn.Since)
	row[6], row[16], row[22] = p.ID, "REPEATABLE READ", 0
	if p.Text != "" {
		row[7] = p.Text
	}
	if !p.Txn.Reads.IsZero() {
		row[8] = "reads the state of " + e.Stamp(p.Txn.Reads)
	}
	if p.Txn.Committed {
		row[16] = "READ COMMITTED"
	}
	if p.Txn.ReadOnly {
		row[22] = 1
	}
	return row
}

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.SchemaDB, Name: "PLUGINS", Local: true, Doc: "What MySQL has as plugins and Stele always has: the ways to log in, and the storage engine.",
	Columns: stmt.Plain("PLUGIN_NAME PLUGIN_VERSION PLUGIN_STATUS PLUGIN_TYPE PLUGIN_TYPE_VERSION PLUGIN_LIBRARY PLUGIN_LIBRARY_VERSION PLUGIN_AUTHOR " +
		"PLUGIN_DESCRIPTION PLUGIN_LICENSE LOAD_OPTION"),
	Rows: func(context.Context, *stmt.Env) ([]stmt.Row, error) {
		var rows []stmt.Row
		for _, r := range pluginRows {
			rows = append(rows, stmt.Row{r[0], "1.0", r[1], r[2], "1.0", r[3], nil, "Stele", "Built in", r[4], "FORCE"})
		}
		return rows, nil
	}})

// empties are the tables of information_schema about what Stele does not have; clients ask for them all the same.
var _ = registerEmpty(stmt.SchemaDB, map[string]string{
	"COLUMN_PRIVILEGES": "GRANTEE TABLE_CATALOG TABLE_SCHEMA TABLE_NAME COLUMN_NAME PRIVILEGE_TYPE IS_GRANTABLE",
	"ROUTINES": "SPECIFIC_NAME ROUTINE_CATALOG ROUTINE_SCHEMA ROUTINE_NAME ROUTINE_TYPE DATA_TYPE CHARACTER_MAXIMUM_LENGTH# CHARACTER_OCTET_LENGTH# " +
		"NUMERIC_PRECISION# NUMERIC_SCALE# DATETIME_PRECISION# CHARACTER_SET_NAME COLLATION_NAME DTD_IDENTIFIER ROUTINE_BODY ROUTINE_DEFINITION " +
		"EXTERNAL_NAME EXTERNAL_LANGUAGE PARAMETER_STYLE IS_DETERMINISTIC SQL_DATA_ACCESS SQL_PATH SECURITY_TYPE CREATED LAST_ALTERED SQL_MODE " +
		"ROUTINE_COMMENT DEFINER CHARACTER_SET_CLIENT COLLATION_CONNECTION DATABASE_COLLATION",
	"PARAMETERS": "SPECIFIC_CATALOG SPECIFIC_SCHEMA SPECIFIC_NAME ORDINAL_POSITION# PARAMETER_MODE PARAMETER_NAME DATA_TYPE " +
		"CHARACTER_MAXIMUM_LENGTH# CHARACTER_OCTET_LENGTH# NUMERIC_PRECISION# NUMERIC_SCALE# DATETIME_PRECISION# CHARACTER_SET_NAME COLLATION_NAME " +
		"DTD_IDENTIFIER ROUTINE_TYPE",
	"EVENTS": "EVENT_CATALOG EVENT_SCHEMA EVENT_NAME DEFINER TIME_ZONE EVENT_BODY EVENT_DEFINITION EVENT_TYPE EXECUTE_AT INTERVAL_VALUE " +
		"INTERVAL_FIELD SQL_MODE STARTS ENDS STATUS ON_COMPLETION CREATED LAST_ALTERED LAST_EXECUTED EVENT_COMMENT ORIGINATOR# " +
		"CHARACTER_SET_CLIENT COLLATION_CONNECTION DATABASE_COLLATION",
	"TRIGGERS": "TRIGGER_CATALOG TRIGGER_SCHEMA TRIGGER_NAME EVENT_MANIPULATION EVENT_OBJECT_CATALOG EVENT_OBJECT_SCHEMA EVENT_OBJECT_TABLE " +
		"ACTION_ORDER# ACTION_CONDITION ACTION_STATEMENT ACTION_ORIENTATION ACTION_TIMING ACTION_REFERENCE_OLD_TABLE ACTION_REFERENCE_NEW_TABLE " +
		"ACTION_REFERENCE_OLD_ROW ACTION_REFERENCE_NEW_ROW CREATED SQL_MODE DEFINER CHARACTER_SET_CLIENT COLLATION_CONNECTION DATABASE_COLLATION",
	"FILES": "FILE_ID# FILE_NAME FILE_TYPE TABLESPACE_NAME TABLE_CATALOG TABLE_SCHEMA TABLE_NAME LOGFILE_GROUP_NAME LOGFILE_GROUP_NUMBER# ENGINE " +
		"FULLTEXT_KEYS DELETED_ROWS# UPDATE_COUNT# FREE_EXTENTS# TOTAL_EXTENTS# EXTENT_SIZE# INITIAL_SIZE# MAXIMUM_SIZE# AUTOEXTEND_SIZE# " +
		"CREATION_TIME LAST_UPDATE_TIME LAST_ACCESS_TIME RECOVER_TIME# TRANSACTION_COUNTER# VERSION# ROW_FORMAT TABLE_ROWS# AVG_ROW_LENGTH# " +
		"DATA_LENGTH# MAX_DATA_LENGTH# INDEX_LENGTH# DATA_FREE# CREATE_TIME UPDATE_TIME CHECK_TIME CHECKSUM# STATUS EXTRA",
	"COLUMN_STATISTICS":   "SCHEMA_NAME TABLE_NAME COLUMN_NAME HISTOGRAM", // MySQL's mysqldump stops without it
	"ST_GEOMETRY_COLUMNS": "TABLE_CATALOG TABLE_SCHEMA TABLE_NAME COLUMN_NAME SRS_NAME SRS_ID# GEOMETRY_TYPE_NAME",
	"OPTIMIZER_TRACE":     "QUERY TRACE MISSING_BYTES_BEYOND_MAX_MEM_SIZE# INSUFFICIENT_PRIVILEGES#",
	"PROFILING": "QUERY_ID# SEQ# STATE DURATION CPU_USER CPU_SYSTEM CONTEXT_VOLUNTARY# CONTEXT_INVOLUNTARY# BLOCK_OPS_IN# BLOCK_OPS_OUT# " +
		"MESSAGES_SENT# MESSAGES_RECEIVED# PAGE_FAULTS_MAJOR# PAGE_FAULTS_MINOR# SWAPS# SOURCE_FUNCTION SOURCE_FILE SOURCE_LINE#",
	"ROLE_COLUMN_GRANTS": "GRANTOR GRANTOR_HOST GRANTEE GRANTEE_HOST TABLE_CATALOG TABLE_SCHEMA TABLE_NAME COLUMN_NAME PRIVILEGE_TYPE IS_GRANTABLE",
	"ROLE_ROUTINE_GRANTS": "GRANTOR GRANTOR_HOST GRANTEE GRANTEE_HOST SPECIFIC_CATALOG SPECIFIC_SCHEMA SPECIFIC_NAME ROUTINE_CATALOG ROUTINE_SCHEMA " +
		"ROUTINE_NAME PRIVILEGE_TYPE IS_GRANTABLE",
	"RESOURCE_GROUPS": "RESOURCE_GROUP_NAME RESOURCE_GROUP_TYPE RESOURCE_GROUP_ENABLED# VCPU_IDS THREAD_PRIORITY#",
	"INNODB_CMP":      "page_size# compress_ops# compress_ops_ok# compress_time# uncompress_ops# uncompress_time#",
	"INNODB_CMPMEM":   "page_size# buffer_pool_instance# pages_used# pages_free# relocation_ops# relocation_time#",
	"INNODB_METRICS": "NAME SUBSYSTEM COUNT# MAX_COUNT# MIN_COUNT# AVG_COUNT# COUNT_RESET# MAX_COUNT_RESET# MIN_COUNT_RESET# AVG_COUNT_RESET# " +
		"TIME_ENABLED TIME_DISABLED TIME_ELAPSED# TIME_RESET STATUS TYPE COMMENT",
	"INNODB_TABLESPACES": "SPACE# NAME FLAG# ROW_FORMAT PAGE_SIZE# ZIP_PAGE_SIZE# SPACE_TYPE FS_BLOCK_SIZE# FILE_SIZE# ALLOCATED_SIZE# " +
		"AUTOEXTEND_SIZE# SERVER_VERSION SPACE_VERSION# ENCRYPTION STATE",
})

func registerEmpty(database string, tables map[string]string) bool {
	for name, columns := range tables {
		stmt.RegisterTable(stmt.Table{Database: database, Name: name, Local: true, Doc: "Empty: there are none.", Columns: stmt.Plain(columns), Rows: fixedRows(nil)})
	}
	return true
}
