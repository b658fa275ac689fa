package vars

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"stele/fe/stmt"
	sqltypes "stele/sql/types"
)

// TestVariableDefaultsAreValid: SET x = DEFAULT and SHOW VARIABLES rest on it.
func TestVariableDefaultsAreValid(t *testing.T) {
	v := New(nil)
	for name, d := range variables {
		if d.Name != name {
			t.Errorf("%s is registered as %s", d.Name, name)
		}
		norm, err := d.Normalise(d.Default)
		if err != nil || norm != d.Default {
			t.Errorf("%s: the default %q becomes %q, %v", name, d.Default, norm, err)
		}
		if _, _, ok := v.Read("@@" + name); !ok {
			t.Errorf("@@%s cannot be read", name)
		}
	}
	rows := v.Rows()
	if len(rows) != len(variables) || !slices.IsSortedFunc(rows, func(a, b stmt.Variable) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("SHOW VARIABLES is not all variables in order")
	}
}

// TestConnectorVariables are those that drivers and tools read when they connect.
func TestConnectorVariables(t *testing.T) {
	v := New(map[string]string{"version": "8.0.36"})
	for _, name := range []string{"session.auto_increment_increment", "character_set_client", "character_set_connection", "character_set_results",
		"character_set_server", "collation_server", "collation_connection", "init_connect", "interactive_timeout", "license", "lower_case_table_names",
		"max_allowed_packet", "net_write_timeout", "performance_schema", "query_cache_size", "query_cache_type", "secure_file_priv", "sql_mode", "system_time_zone",
		"time_zone", "transaction_isolation", "session.transaction_isolation", "session.transaction_read_only", "tx_isolation", "wait_timeout",
		"version_comment", "version", "global.sql_mode", "SESSION.SQL_MODE", "socket", "server_id", "read_only", "have_profiling"} {
		if _, _, ok := v.Read("@@" + name); !ok {
			t.Errorf("@@%s is unknown", name)
		}
	}
}

func TestAssign(t *testing.T) {
	for _, c := range []struct {
		name, value string
		want        string
		code        uint16
	}{
		{"autocommit", "OFF", "0", 0},
		{"autocommit", "on", "1", 0},
		{"autocommit", "2", "", 1231},
		{"sql_mode", "ansi_quotes , no_auto_value_on_zero", "ANSI_QUOTES,NO_AUTO_VALUE_ON_ZERO", 0},
		{"sql_mode", "", "", 0},
		{"sql_mode", "STRICT_ALL_TABLES,NO_KEY_OPTIONS,NO_TABLE_OPTIONS,NO_FIELD_OPTIONS", "STRICT_ALL_TABLES", 0},
		{"sql_mode", "WHATEVER", "", 1231},
		{"time_zone", "+05:30", "+05:30", 0},
		{"time_zone", "Nowhere/Else", "", 1298},
		{"tx_isolation", "read committed", "READ-COMMITTED", 0},
		{"transaction_isolation", "SERIALIZABLE", "", 1231},
		{"transaction_read_only", "1", "1", 0},
		{"character_set_results", "utf8", "utf8mb3", 0},
		{"character_set_results", "gbk", "", 1231},
		{"sql_select_limit", "10", "10", 0},
		{"sql_select_limit", NoSelectLimit, NoSelectLimit, 0},
		{"sql_select_limit", "-1", "", 1232},
		{"wait_timeout", "0", "1", 0},
		{"wait_timeout", "abc", "", 1232},
		{"max_allowed_packet", "67108864", "67108864", 0}, // read-only, but that is what it is
		{"max_allowed_packet", "1", "", 1238},
		{"no_such_thing", "1", "", 1193},
		{"foreign_key_checks", "0", "0", 0},
		{"foreign_key_definitions", "leave_out", "LEAVE_OUT", 0},
		{"foreign_key_definitions", "off", "", 1231},
		{"default_storage_engine", "InnoDB", "InnoDB", 0}, // Django's documentation has projects set it
	} {
		v := New(nil)
		err := v.Assign(c.name, c.value)
		var known *sqltypes.Error
		switch {
		case c.code == 0 && err != nil:
			t.Errorf("SET %s = %q: %v", c.name, c.value, err)
		case c.code != 0 && (!errors.As(err, &known) || known.Code != c.code):
			t.Errorf("SET %s = %q: %v, want %d", c.name, c.value, err, c.code)
		case c.code == 0:
			if got, _, _ := v.get(c.name); got != c.want {
				t.Errorf("SET %s = %q: it is %q, want %q", c.name, c.value, got, c.want)
			}
			if err := v.Assign(c.name, "default"); err != nil {
				t.Errorf("SET %s = DEFAULT: %v", c.name, err)
			} else if got, d, _ := v.get(c.name); got != d.Default {
				t.Errorf("SET %s = DEFAULT: it is %q", c.name, got)
			}
		}
	}
}

func TestTwinsAreOne(t *testing.T) {
	v := New(nil)
	if err := v.Assign("tx_read_only", "1"); err != nil {
		t.Fatal(err)
	}
	if !v.Bool("transaction_read_only") {
		t.Error("two names of one variable differ")
	}
}

func TestSetNames(t *testing.T) {
	for _, c := range []struct {
		charset, collation string
		want               string
		code               uint16
	}{
		{"utf8mb4", "", "utf8mb4_bin", 0},
		{"utf8mb4", "utf8mb4_unicode_ci", "utf8mb4_unicode_ci", 0},
		{"DEFAULT", "", "utf8mb4_bin", 0},
		{"utf8", "utf8_general_ci", "utf8_general_ci", 0},
		{"latin1", "", "latin1_bin", 0},
		{"binary", "", "binary", 0},
		{"utf8mb4", "latin1_swedish_ci", "", 1253},
		{"gbk", "", "", 1115},
	} {
		v := New(nil)
		err := v.SetNames(c.charset, c.collation)
		var known *sqltypes.Error
		if c.code != 0 {
			if !errors.As(err, &known) || known.Code != c.code {
				t.Errorf("SET NAMES %s COLLATE %s: %v, want %d", c.charset, c.collation, err, c.code)
			}
			continue
		}
		if got, _, _ := v.get("collation_connection"); err != nil || got != c.want {
			t.Errorf("SET NAMES %s COLLATE %s: %q, %v", c.charset, c.collation, got, err)
		}
	}
}
