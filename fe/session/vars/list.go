package vars

import (
	"strconv"

	"stele/conf"
	"stele/sql/define"
	"stele/sql/plan"
)

// NoSelectLimit is the value of sql_select_limit that is no limit.
const NoSelectLimit = "18446744073709551615"

// variables are all system variables, by name. What a variable of MySQL's promises and Stele does not do is read-only
// at the value that says so, and setting it to anything else is refused.
var variables = declare([]Variable{
	{Name: ActivateAllRoles, kind: boolKind, Default: "0", GlobalOnly: true},
	{Name: "auto_increment_increment", kind: intKind, Default: "1", ReadOnly: true},
	{Name: "auto_increment_offset", kind: intKind, Default: "1", ReadOnly: true},
	{Name: "autocommit", kind: boolKind, Default: "1"},
	{Name: "basedir", Default: "", ReadOnly: true},
	{Name: "big_tables", kind: boolKind, Default: "0", ReadOnly: true},
	{Name: "binlog_format", Default: "ROW", ReadOnly: true}, // no statement is carried out a second time elsewhere
	{Name: "block_encryption_mode", Default: "aes-128-ecb", ReadOnly: true},
	{Name: "bulk_insert_buffer_size", kind: intKind, Default: "8388608", min: 0, max: 1 << 40}, // a size of MySQL's: be_mem_limit_bytes bounds all
	{Name: "character_set_client", Default: "utf8mb4", check: checkCharset},
	{Name: "character_set_connection", Default: "utf8mb4", check: checkCharset},
	{Name: "character_set_database", Default: "utf8mb4", check: checkCharset},
	{Name: "character_set_filesystem", Default: "binary", ReadOnly: true},
	{Name: "character_set_results", Default: "utf8mb4", check: checkCharset},
	{Name: "character_set_server", Default: "utf8mb4", ReadOnly: true},
	{Name: "character_set_system", Default: "utf8mb3", ReadOnly: true},
	{Name: "character_sets_dir", Default: "", ReadOnly: true},
	{Name: "collation_connection", Default: "utf8mb4_bin", check: checkCollation},
	{Name: "collation_database", Default: "utf8mb4_bin", check: checkCollation},
	{Name: "collation_server", Default: "utf8mb4_bin", ReadOnly: true},
	{Name: "completion_type", Default: "NO_CHAIN", ReadOnly: true},
	{Name: "connect_timeout", kind: intKind, Default: "10", ReadOnly: true, Item: conf.ConnectTimeout.Spec},
	{Name: "datadir", Default: "", ReadOnly: true},
	{Name: "default_authentication_plugin", Default: "mysql_native_password", ReadOnly: true},
	{Name: "default_collation_for_utf8mb4", Default: "utf8mb4_bin", ReadOnly: true},
	{Name: "default_storage_engine", Default: define.EngineName, ReadOnly: true},
	{Name: "default_tmp_storage_engine", Default: define.EngineName, ReadOnly: true},
	{Name: "default_week_format", kind: intKind, Default: "0", ReadOnly: true},
	{Name: "div_precision_increment", kind: intKind, Default: "4", ReadOnly: true},
	{Name: "event_scheduler", Default: "OFF", ReadOnly: true},
	{Name: "explicit_defaults_for_timestamp", kind: boolKind, Default: "1", ReadOnly: true},
	{Name: "forward_to_leader", kind: boolKind, Default: "0"}, // every FE answers alike: statements that need the leader always go there
	{Name: "forward_to_master", kind: boolKind, Default: "0"},
	{Name: "foreign_key_checks", kind: boolKind, Default: "1"}, // foreign_key_definitions says what becomes of definitions
	{Name: "foreign_key_definitions", Default: enforceForeignKeys, check: checkForeignKeyDefinitions},
	{Name: "cte_max_recursion_depth", kind: intKind, Default: "1000", min: 0, max: 4294967295},
	{Name: "group_concat_max_len", kind: intKind, Default: "1024", min: 4, max: 1 << 30},
	{Name: "gtid_mode", Default: "OFF", ReadOnly: true},
	{Name: "gtid_next", Default: "AUTOMATIC", ReadOnly: true},
	{Name: "have_openssl", Default: "YES", ReadOnly: true},
	{Name: "have_profiling", Default: "NO", ReadOnly: true},
	{Name: "have_query_cache", Default: "NO", ReadOnly: true},
	{Name: "have_ssl", Default: "YES", ReadOnly: true},
	{Name: "have_symlink", Default: "DISABLED", ReadOnly: true},
	{Name: "hostname", Default: "", ReadOnly: true},
	{Name: "information_schema_stats_expiry", kind: intKind, Default: "86400", min: 0, max: maxSeconds}, // mysqldump sets it; figures are never cached
	{Name: "init_connect", Default: "", ReadOnly: true},
	{Name: "innodb_autoinc_lock_mode", kind: intKind, Default: "2", ReadOnly: true}, // numbers of a statement need not be consecutive
	{Name: "innodb_lock_wait_timeout", kind: intKind, Default: "50", min: 1, max: 1073741824, Item: conf.LockWaitTimeout.Spec},
	{Name: "innodb_read_only", kind: boolKind, Default: "0", ReadOnly: true},
	{Name: "innodb_strict_mode", kind: boolKind, Default: "1"}, // storage clauses are checked anyway
	{Name: "innodb_version", Default: "", ReadOnly: true},
	{Name: "interactive_timeout", kind: intKind, Default: "28800", min: 1, max: maxSeconds},
	{Name: "join_buffer_size", kind: intKind, Default: "262144", min: 128, max: 1 << 40}, // a size of MySQL's
	{Name: "lc_messages", Default: "en_US", ReadOnly: true},
	{Name: "lc_time_names", Default: "en_US", ReadOnly: true},
	{Name: "license", Default: "Apache-2.0", ReadOnly: true},
	{Name: "local_infile", kind: boolKind, Default: "1", ReadOnly: true}, // LOAD DATA LOCAL asks the client, which may refuse
	{Name: "lock_wait_timeout", kind: intKind, Default: "31536000", min: 1, max: maxSeconds},
	{Name: "log_bin", kind: boolKind, Default: "0", ReadOnly: true},
	{Name: "log_error_verbosity", kind: intKind, Default: "2", ReadOnly: true},
	{Name: "long_query_time", Default: "10.000000", ReadOnly: true},
	{Name: "lower_case_file_system", kind: boolKind, Default: "0", ReadOnly: true},
	{Name: "lower_case_table_names", kind: intKind, Default: "0", ReadOnly: true},
	{Name: "max_allowed_packet", kind: intKind, Default: "67108864", ReadOnly: true, Item: conf.MaxAllowedPacket.Spec},
	{Name: "max_connections", kind: intKind, Default: "4096", ReadOnly: true, Item: conf.MaxConnections.Spec},
	{Name: "max_error_count", kind: intKind, Default: strconv.Itoa(plan.MaxWarnings), ReadOnly: true},
	{Name: "max_execution_time", kind: intKind, Default: "0", min: 0, max: 1 << 31},
	{Name: "max_heap_table_size", kind: intKind, Default: "16777216", min: 16384, max: 1 << 40}, // a size of MySQL's
	{Name: "max_join_size", kind: intKind, Default: NoSelectLimit, check: checkUnsigned},        // no query is refused for its size
	{Name: "max_prepared_stmt_count", kind: intKind, Default: "16382", ReadOnly: true},
	{Name: "max_sort_length", kind: intKind, Default: "1024", ReadOnly: true},
	{Name: "net_buffer_length", kind: intKind, Default: "16384", ReadOnly: true},
	{Name: "net_read_timeout", kind: intKind, Default: "30", min: 1, max: maxSeconds},
	{Name: "net_retry_count", kind: intKind, Default: "10", ReadOnly: true},
	{Name: "net_write_timeout", kind: intKind, Default: "60", min: 1, max: maxSeconds},
	{Name: "old_passwords", kind: intKind, Default: "0", ReadOnly: true},
	{Name: "optimizer_switch", Default: "", check: anyText}, // how MySQL finds rows; which it finds does not change
	{Name: "performance_schema", kind: boolKind, Default: "0", ReadOnly: true},
	{Name: "port", kind: intKind, Default: "9030", ReadOnly: true, Item: conf.QueryPort.Spec},
	{Name: "profiling", kind: boolKind, Default: "0", ReadOnly: true},
	{Name: "protocol_version", kind: intKind, Default: "10", ReadOnly: true},
	{Name: "query_cache_size", kind: intKind, Default: "0", ReadOnly: true},
	{Name: "query_cache_type", Default: "OFF", ReadOnly: true},
	{Name: "read_buffer_size", kind: intKind, Default: "131072", min: 8192, max: 1 << 31}, // a size of MySQL's
	{Name: "read_only", kind: boolKind, Default: "0", ReadOnly: true},
	{Name: "read_rnd_buffer_size", kind: intKind, Default: "262144", min: 1, max: 1 << 31}, // a size of MySQL's
	{Name: "resultset_metadata", Default: "FULL", ReadOnly: true},
	{Name: "secure_file_priv", Default: "NULL", ReadOnly: true}, // files of the server are neither read nor written
	{Name: "server_id", kind: intKind, Default: "1", ReadOnly: true},
	{Name: "server_uuid", Default: "", ReadOnly: true},
	{Name: "session_track_gtids", Default: "OFF", ReadOnly: true},
	{Name: "session_track_schema", kind: boolKind, Default: "1", ReadOnly: true},
	{Name: "session_track_state_change", kind: boolKind, Default: "0", ReadOnly: true},
	{Name: "session_track_system_variables", Default: "", check: anyText}, // clients name what they want to hear of; none is told
	{Name: "session_track_transaction_info", Default: "OFF", ReadOnly: true},
	{Name: "show_create_table_verbosity", kind: boolKind, Default: "0", ReadOnly: true},
	{Name: "show_old_temporals", kind: boolKind, Default: "0", ReadOnly: true},
	{Name: "skip_networking", kind: boolKind, Default: "0", ReadOnly: true},
	{Name: "socket", Default: "", ReadOnly: true},
	{Name: "sort_buffer_size", kind: intKind, Default: "262144", min: 32768, max: 1 << 40}, // a size of MySQL's
	{Name: "sql_auto_is_null", kind: boolKind, Default: "0", ReadOnly: true},
	{Name: "sql_big_selects", kind: boolKind, Default: "1"},                // no query is refused for its size
	{Name: "sql_buffer_result", kind: boolKind, Default: "0"},              // results are never kept back
	{Name: "sql_log_bin", kind: boolKind, Default: "1", SessionOnly: true}, // there is no binary log to keep out of
	{Name: "sql_log_off", kind: boolKind, Default: "0"},
	{Name: "sql_mode", Default: defaultSQLMode, check: checkSQLMode},
	{Name: "sql_notes", kind: boolKind, Default: "1"},
	{Name: "sql_quote_show_create", kind: boolKind, Default: "1"},
	{Name: "sql_require_primary_key", kind: boolKind, Default: "0", ReadOnly: true},
	{Name: "sql_safe_updates", kind: boolKind, Default: "0"},
	{Name: "sql_select_limit", kind: intKind, Default: NoSelectLimit, check: checkSelectLimit},
	{Name: "sql_warnings", kind: boolKind, Default: "0"},
	{Name: "super_read_only", kind: boolKind, Default: "0", ReadOnly: true},
	{Name: "system_time_zone", Default: "UTC", ReadOnly: true},
	{Name: "thread_handling", Default: "one-thread-per-connection", ReadOnly: true},
	{Name: "time_zone", Default: "SYSTEM", check: checkTimeZone},
	{Name: "timestamp", Default: noTimestamp, check: checkTimestamp, SessionOnly: true},
	{Name: "tls_version", Default: "TLSv1.2,TLSv1.3", ReadOnly: true},
	{Name: "tmp_table_size", kind: intKind, Default: "16777216", min: 1024, max: 1 << 40}, // a size of MySQL's
	{Name: "tmpdir", Default: "", ReadOnly: true},
	{Name: "transaction_isolation", Default: "REPEATABLE-READ", check: checkIsolation},
	{Name: "transaction_read_only", kind: boolKind, Default: "0"},
	{Name: "tx_isolation", Default: "REPEATABLE-READ", check: checkIsolation},
	{Name: "tx_read_only", kind: boolKind, Default: "0"},
	{Name: "unique_checks", kind: boolKind, Default: "1"}, // primary keys are always checked
	{Name: "updatable_views_with_limit", kind: boolKind, Default: "1", ReadOnly: true},
	{Name: "version", Default: "", ReadOnly: true},
	{Name: "version_comment", Default: "Stele", ReadOnly: true},
	{Name: "version_compile_machine", Default: "x86_64", ReadOnly: true},
	{Name: "version_compile_os", Default: "Linux", ReadOnly: true},
	{Name: "wait_timeout", kind: intKind, Default: "28800", min: 1, max: maxSeconds, Item: conf.WaitTimeout.Spec},
})
