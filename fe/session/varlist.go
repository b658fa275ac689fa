package session

import (
	"strconv"

	"stele/conf"
	"stele/sql/define"
	"stele/sql/plan"
)

// noSelectLimit is the value of sql_select_limit that is no limit.
const noSelectLimit = "18446744073709551615"

// variables are all system variables, by name. What a variable of MySQL's promises and Stele does not do is read-only
// at the value that says so, and setting it to anything else is refused.
var variables = declareVariables([]variable{
	{name: "auto_increment_increment", kind: varInt, def: "1", readOnly: true},
	{name: "auto_increment_offset", kind: varInt, def: "1", readOnly: true},
	{name: "autocommit", kind: varBool, def: "1"},
	{name: "basedir", def: "", readOnly: true},
	{name: "big_tables", kind: varBool, def: "0", readOnly: true},
	{name: "binlog_format", def: "ROW", readOnly: true}, // no statement is carried out a second time elsewhere
	{name: "block_encryption_mode", def: "aes-128-ecb", readOnly: true},
	{name: "bulk_insert_buffer_size", kind: varInt, def: "8388608", min: 0, max: 1 << 40}, // a size of MySQL's: be_mem_limit_bytes bounds all
	{name: "character_set_client", def: "utf8mb4", check: checkCharset},
	{name: "character_set_connection", def: "utf8mb4", check: checkCharset},
	{name: "character_set_database", def: "utf8mb4", check: checkCharset},
	{name: "character_set_filesystem", def: "binary", readOnly: true},
	{name: "character_set_results", def: "utf8mb4", check: checkCharset},
	{name: "character_set_server", def: "utf8mb4", readOnly: true},
	{name: "character_set_system", def: "utf8mb3", readOnly: true},
	{name: "character_sets_dir", def: "", readOnly: true},
	{name: "collation_connection", def: "utf8mb4_bin", check: checkCollation},
	{name: "collation_database", def: "utf8mb4_bin", check: checkCollation},
	{name: "collation_server", def: "utf8mb4_bin", readOnly: true},
	{name: "completion_type", def: "NO_CHAIN", readOnly: true},
	{name: "connect_timeout", kind: varInt, def: "10", readOnly: true, item: conf.ConnectTimeout.Spec},
	{name: "datadir", def: "", readOnly: true},
	{name: "default_authentication_plugin", def: "mysql_native_password", readOnly: true},
	{name: "default_collation_for_utf8mb4", def: "utf8mb4_bin", readOnly: true},
	{name: "default_storage_engine", def: define.EngineName, readOnly: true},
	{name: "default_tmp_storage_engine", def: define.EngineName, readOnly: true},
	{name: "default_week_format", kind: varInt, def: "0", readOnly: true},
	{name: "div_precision_increment", kind: varInt, def: "4", readOnly: true},
	{name: "event_scheduler", def: "OFF", readOnly: true},
	{name: "explicit_defaults_for_timestamp", kind: varBool, def: "1", readOnly: true},
	{name: "forward_to_leader", kind: varBool, def: "0"}, // every FE answers alike: statements that need the leader always go there
	{name: "forward_to_master", kind: varBool, def: "0"},
	{name: "foreign_key_checks", kind: varBool, def: "1"}, // foreign_key_definitions says what becomes of definitions
	{name: "foreign_key_definitions", def: enforceForeignKeys, check: checkForeignKeyDefinitions},
	{name: "cte_max_recursion_depth", kind: varInt, def: "1000", min: 0, max: 4294967295},
	{name: "group_concat_max_len", kind: varInt, def: "1024", min: 4, max: 1 << 30},
	{name: "gtid_mode", def: "OFF", readOnly: true},
	{name: "gtid_next", def: "AUTOMATIC", readOnly: true},
	{name: "have_openssl", def: "YES", readOnly: true},
	{name: "have_profiling", def: "NO", readOnly: true},
	{name: "have_query_cache", def: "NO", readOnly: true},
	{name: "have_ssl", def: "YES", readOnly: true},
	{name: "have_symlink", def: "DISABLED", readOnly: true},
	{name: "hostname", def: "", readOnly: true},
	{name: "information_schema_stats_expiry", kind: varInt, def: "86400", min: 0, max: maxSeconds}, // mysqldump sets it; figures are never cached
	{name: "init_connect", def: "", readOnly: true},
	{name: "innodb_autoinc_lock_mode", kind: varInt, def: "2", readOnly: true}, // numbers of a statement need not be consecutive
	{name: "innodb_lock_wait_timeout", kind: varInt, def: "50", min: 1, max: 1073741824, item: conf.LockWaitTimeout.Spec},
	{name: "innodb_read_only", kind: varBool, def: "0", readOnly: true},
	{name: "innodb_strict_mode", kind: varBool, def: "1"}, // storage clauses are checked anyway
	{name: "innodb_version", def: "", readOnly: true},
	{name: "interactive_timeout", kind: varInt, def: "28800", min: 1, max: maxSeconds},
	{name: "join_buffer_size", kind: varInt, def: "262144", min: 128, max: 1 << 40}, // a size of MySQL's
	{name: "lc_messages", def: "en_US", readOnly: true},
	{name: "lc_time_names", def: "en_US", readOnly: true},
	{name: "license", def: "Apache-2.0", readOnly: true},
	{name: "local_infile", kind: varBool, def: "0", readOnly: true},
	{name: "lock_wait_timeout", kind: varInt, def: "31536000", min: 1, max: maxSeconds},
	{name: "log_bin", kind: varBool, def: "0", readOnly: true},
	{name: "log_error_verbosity", kind: varInt, def: "2", readOnly: true},
	{name: "long_query_time", def: "10.000000", readOnly: true},
	{name: "lower_case_file_system", kind: varBool, def: "0", readOnly: true},
	{name: "lower_case_table_names", kind: varInt, def: "0", readOnly: true},
	{name: "max_allowed_packet", kind: varInt, def: "67108864", readOnly: true, item: conf.MaxAllowedPacket.Spec},
	{name: "max_connections", kind: varInt, def: "4096", readOnly: true, item: conf.MaxConnections.Spec},
	{name: "max_error_count", kind: varInt, def: strconv.Itoa(plan.MaxWarnings), readOnly: true},
	{name: "max_execution_time", kind: varInt, def: "0", min: 0, max: 1 << 31},
	{name: "max_heap_table_size", kind: varInt, def: "16777216", min: 16384, max: 1 << 40}, // a size of MySQL's
	{name: "max_join_size", kind: varInt, def: noSelectLimit, check: checkUnsigned},        // no query is refused for its size
	{name: "max_prepared_stmt_count", kind: varInt, def: "16382", readOnly: true},
	{name: "max_sort_length", kind: varInt, def: "1024", readOnly: true},
	{name: "net_buffer_length", kind: varInt, def: "16384", readOnly: true},
	{name: "net_read_timeout", kind: varInt, def: "30", min: 1, max: maxSeconds},
	{name: "net_retry_count", kind: varInt, def: "10", readOnly: true},
	{name: "net_write_timeout", kind: varInt, def: "60", min: 1, max: maxSeconds},
	{name: "old_passwords", kind: varInt, def: "0", readOnly: true},
	{name: "optimizer_switch", def: "", check: anyText}, // how MySQL finds rows; which it finds does not change
	{name: "performance_schema", kind: varBool, def: "0", readOnly: true},
	{name: "port", kind: varInt, def: "9030", readOnly: true, item: conf.QueryPort.Spec},
	{name: "profiling", kind: varBool, def: "0", readOnly: true},
	{name: "protocol_version", kind: varInt, def: "10", readOnly: true},
	{name: "query_cache_size", kind: varInt, def: "0", readOnly: true},
	{name: "query_cache_type", def: "OFF", readOnly: true},
	{name: "read_buffer_size", kind: varInt, def: "131072", min: 8192, max: 1 << 31}, // a size of MySQL's
	{name: "read_only", kind: varBool, def: "0", readOnly: true},
	{name: "read_rnd_buffer_size", kind: varInt, def: "262144", min: 1, max: 1 << 31}, // a size of MySQL's
	{name: "resultset_metadata", def: "FULL", readOnly: true},
	{name: "secure_file_priv", def: "NULL", readOnly: true}, // files of the server are neither read nor written
	{name: "server_id", kind: varInt, def: "1", readOnly: true},
	{name: "server_uuid", def: "", readOnly: true},
	{name: "session_track_gtids", def: "OFF", readOnly: true},
	{name: "session_track_schema", kind: varBool, def: "1", readOnly: true},
	{name: "session_track_state_change", kind: varBool, def: "0", readOnly: true},
	{name: "session_track_system_variables", def: "", check: anyText}, // clients name what they want to hear of; none is told
	{name: "session_track_transaction_info", def: "OFF", readOnly: true},
	{name: "show_create_table_verbosity", kind: varBool, def: "0", readOnly: true},
	{name: "show_old_temporals", kind: varBool, def: "0", readOnly: true},
	{name: "skip_networking", kind: varBool, def: "0", readOnly: true},
	{name: "socket", def: "", readOnly: true},
	{name: "sort_buffer_size", kind: varInt, def: "262144", min: 32768, max: 1 << 40}, // a size of MySQL's
	{name: "sql_auto_is_null", kind: varBool, def: "0", readOnly: true},
	{name: "sql_big_selects", kind: varBool, def: "1"},                // no query is refused for its size
	{name: "sql_buffer_result", kind: varBool, def: "0"},              // results are never kept back
	{name: "sql_log_bin", kind: varBool, def: "1", sessionOnly: true}, // there is no binary log to keep out of
	{name: "sql_log_off", kind: varBool, def: "0"},
	{name: "sql_mode", def: defaultSQLMode, check: checkSQLMode},
	{name: "sql_notes", kind: varBool, def: "1"},
	{name: "sql_quote_show_create", kind: varBool, def: "1"},
	{name: "sql_require_primary_key", kind: varBool, def: "0", readOnly: true},
	{name: "sql_safe_updates", kind: varBool, def: "0"},
	{name: "sql_select_limit", kind: varInt, def: noSelectLimit, check: checkSelectLimit},
	{name: "sql_warnings", kind: varBool, def: "0"},
	{name: "super_read_only", kind: varBool, def: "0", readOnly: true},
	{name: "system_time_zone", def: "UTC", readOnly: true},
	{name: "thread_handling", def: "one-thread-per-connection", readOnly: true},
	{name: "time_zone", def: "SYSTEM", check: checkTimeZone},
	{name: "timestamp", def: noTimestamp, check: checkTimestamp, sessionOnly: true},
	{name: "tls_version", def: "TLSv1.2,TLSv1.3", readOnly: true},
	{name: "tmp_table_size", kind: varInt, def: "16777216", min: 1024, max: 1 << 40}, // a size of MySQL's
	{name: "tmpdir", def: "", readOnly: true},
	{name: "transaction_isolation", def: "REPEATABLE-READ", check: checkIsolation},
	{name: "transaction_read_only", kind: varBool, def: "0"},
	{name: "tx_isolation", def: "REPEATABLE-READ", check: checkIsolation},
	{name: "tx_read_only", kind: varBool, def: "0"},
	{name: "unique_checks", kind: varBool, def: "1"}, // primary keys are always checked
	{name: "updatable_views_with_limit", kind: varBool, def: "1", readOnly: true},
	{name: "version", def: "", readOnly: true},
	{name: "version_comment", def: "Stele", readOnly: true},
	{name: "version_compile_machine", def: "x86_64", readOnly: true},
	{name: "version_compile_os", def: "Linux", readOnly: true},
	{name: "wait_timeout", kind: varInt, def: "28800", min: 1, max: maxSeconds, item: conf.WaitTimeout.Spec},
})
