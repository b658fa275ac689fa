package session

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"stele/conf"
	"stele/fe/stmt"
	"stele/meta/types"
	"stele/sql/define"
	"stele/sql/errno"
	"stele/sql/expr"
	"stele/sql/syntax"
	sqltypes "stele/sql/types"
)

// varKind is how a system variable is read and checked.
type varKind uint8

const (
	varString varKind = iota
	varInt
	varBool
)

// variable declares one system variable: SHOW VARIABLES, SELECT @@x and SET follow from it.
type variable struct {
	name     string
	kind     varKind
	def      string
	readOnly bool
	min, max int64                        // varInt
	check    func(string) (string, error) // normalises or refuses a value
	// item is the configuration item whose value new sessions begin with, and which SET GLOBAL sets.
	item        *conf.Spec
	sessionOnly bool // there is no global value
}

// Ranges of variables that clients set.
const maxSeconds = 31536000

const defaultSQLMode = "ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"

func declareVariables(list []variable) map[string]*variable {
	m := make(map[string]*variable, len(list))
	for i := range list {
		m[list[i].name] = &list[i]
	}
	return m
}

// configured are the variables behind which there is a configuration item.
var configured = func() (out []*variable) {
	for _, d := range variables {
		if d.item != nil {
			out = append(out, d)
		}
	}
	return out
}()

// twins are two names of one variable.
var twins = map[string]string{"forward_to_master": "forward_to_leader", "tx_isolation": "transaction_isolation", "tx_read_only": "transaction_read_only"}

func canonical(name string) string {
	if c, ok := twins[name]; ok {
		return c
	}
	return name
}

// vars are the variables of one session: what it has set, over what the server says, over the declared defaults.
type vars struct {
	set    map[string]string
	server map[string]string
	user   map[string]userVar
	// global returns what a session that begins now has; nil = what this one began with.
	global   func(name string) (string, bool)
	frequent *frequent // of the values as they are; nil = not worked out yet
	// dynamic answers the variables that tell of the statement before: warning_count, last_insert_id and the like.
	dynamic func(name string) (uint64, bool)
}

// userVar is the value of an @variable.
type userVar struct {
	value expr.Value
	typ   types.ColumnType
}

func newVars(server map[string]string) *vars {
	return &vars{set: map[string]string{}, server: server, user: map[string]userVar{}}
}

// get returns the value of a system variable.
func (v *vars) get(name string) (string, *variable, bool) {
	d, ok := variables[name]
	if !ok {
		return "", nil, false
	}
	key := canonical(name)
	if s, ok := v.set[key]; ok {
		return s, d, true
	}
	if s, ok := v.server[key]; ok {
		return s, d, true
	}
	return d.def, d, true
}

func (v *vars) bool(name string) bool { s, _, _ := v.get(name); return s == "1" }

func (v *vars) int(name string) int64 {
	s, _, _ := v.get(name)
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		panic("BUG: variable " + name + " is not an integer: " + s)
	}
	return n
}

// frequent are the variables that every statement looks at, in the form that it needs.
type frequent struct {
	safeUpdates   bool
	isolation     string
	sqlMode       string
	version       string
	mode          syntax.Mode
	autocommit    bool
	readOnly      bool
	lockWait      time.Duration
	maxExecution  time.Duration // 0 = no limit
	limitsSelects bool          // sql_select_limit is a limit
	waitTimeout   time.Duration
	maxPacket     int
	zone          *time.Location
	timestamp     time.Time // of SET timestamp, zero = the clock's
}

// now returns the variables that every statement looks at.
func (v *vars) now() *frequent {
	if v.frequent != nil {
		return v.frequent
	}
	f := &frequent{autocommit: v.bool("autocommit"), safeUpdates: v.bool("sql_safe_updates"), readOnly: v.bool("transaction_read_only"), zone: v.zone(),
		lockWait:     time.Duration(v.int("innodb_lock_wait_timeout")) * time.Second,
		maxExecution: max(0, time.Duration(v.int("max_execution_time"))*time.Millisecond)}
	f.sqlMode, _, _ = v.get("sql_mode")
	f.isolation, _, _ = v.get("transaction_isolation")
	f.version, _, _ = v.get("version")
	f.mode = syntax.ParseMode(f.sqlMode)
	limit, _, _ := v.get("sql_select_limit")
	f.limitsSelects = limit != noSelectLimit
	f.waitTimeout, f.maxPacket = time.Duration(v.int("wait_timeout"))*time.Second, int(v.int("max_allowed_packet"))
	if at, _, _ := v.get("timestamp"); at != noTimestamp {
		f.timestamp = timestampOf(at)
	}
	v.frequent = f
	return f
}

// assign sets a system variable of the session.
func (v *vars) assign(name, value string) error {
	d, ok := variables[name]
	if !ok {
		return sqlErr(errno.UnknownSystemVariable, "Unknown system variable '%s'", name)
	}
	v.frequent = nil
	if strings.EqualFold(value, "DEFAULT") {
		return v.reset(canonical(name))
	}
	norm, err := d.normalise(value)
	if err != nil {
		return err
	}
	if d.readOnly {
		if cur, _, _ := v.get(name); cur == norm {
			return nil
		}
		return sqlErr(errno.ReadOnlyVariable, "Variable '%s' is a read only variable", name)
	}
	v.set[canonical(name)] = norm
	return nil
}

// reset gives a variable the global value as of now.
func (v *vars) reset(name string) error {
	delete(v.set, name)
	if v.global == nil {
		return nil
	}
	if now, _ := v.global(name); !variables[name].readOnly {
		v.set[name] = now
	}
	return nil
}

// normalise brings a value into the stored form, or refuses it.
func (d *variable) normalise(value string) (string, error) {
	wrong := sqlErr(errno.WrongVariableValue, "Variable '%s' can't be set to the value of '%s'", d.name, value)
	switch d.kind {
	case varBool:
		switch strings.ToUpper(value) {
		case "1", "ON", "TRUE":
			return "1", nil
		case "0", "OFF", "FALSE":
			return "0", nil
		}
		return "", wrong
	case varInt:
		if d.check != nil {
			return d.check(value)
		}
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			if d.readOnly {
				return value, nil
			}
			return "", sqlErr(errno.WrongVariableType, "Incorrect argument type to variable '%s'", d.name)
		}
		if d.max > 0 {
			n = min(max(n, d.min), d.max) // as MySQL: truncated with a warning
		}
		return strconv.FormatInt(n, 10), nil
	}
	if d.check != nil {
		s, err := d.check(value)
		if _, named := sqltypes.AsError(err); named {
			return "", err
		}
		if err != nil {
			return "", fmt.Errorf("%w", sqlErr(errno.WrongVariableValue, "Variable '%s' can't be set to the value of '%s': %v", d.name, value, err))
		}
		return s, nil
	}
	return value, nil
}

// read is how the planner reads variables: "@@name", "@@session.name", "@@global.name", "@name".
func (v *vars) read(name string) (expr.Value, types.ColumnType, bool) {
	if !strings.HasPrefix(name, "@@") {
		u, ok := v.user[strings.TrimPrefix(name, "@")]
		if !ok {
			return expr.Value{Null: true}, types.ColumnType{Kind: types.KindNull}, true
		}
		return u.value, u.typ, true
	}
	name = strings.TrimPrefix(name, "@@")
	name = strings.ToLower(name)
	global := strings.HasPrefix(name, "global.")
	for _, scope := range []string{"session.", "global.", "local."} {
		name = strings.TrimPrefix(name, scope)
	}
	if v.dynamic != nil {
		if n, ok := v.dynamic(name); ok {
			return expr.Value{I: int64(n)}, types.ColumnType{Kind: types.KindBigInt, Unsigned: true}, true
		}
	}
	s, d, ok := v.get(name)
	if !ok {
		return expr.Value{}, types.ColumnType{}, false
	}
	if name == "timestamp" {
		at := v.now().timestamp
		if at.IsZero() {
			at = time.Now()
		}
		return expr.Value{F: float64(at.UnixMicro()) / 1e6}, types.ColumnType{Kind: types.KindDouble}, true
	}
	if global && v.global != nil {
		s, _ = v.global(name)
	}
	if d.kind == varString {
		return expr.Value{B: []byte(s)}, types.ColumnType{Kind: types.KindVarChar, Length: int32(len(s))}, true
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return expr.Value{B: []byte(s)}, types.ColumnType{Kind: types.KindVarChar, Length: int32(len(s))}, true
	}
	return expr.Value{I: int64(n)}, types.ColumnType{Kind: types.KindBigInt, Unsigned: n > 1<<63-1}, true
}

// rows lists the variables as SHOW VARIABLES prints them.
func (v *vars) rows() []stmt.Variable {
	names := make([]string, 0, len(variables))
	for n := range variables {
		names = append(names, n)
	}
	slices.Sort(names)
	out := make([]stmt.Variable, len(names))
	for i, n := range names {
		s, d, _ := v.get(n)
		if d.kind == varBool {
			s = map[string]string{"1": "ON", "0": "OFF"}[s]
		}
		out[i] = stmt.Variable{Name: n, Value: s}
	}
	return out
}

// zone returns the session's time zone.
func (v *vars) zone() *time.Location {
	s, _, _ := v.get("time_zone")
	if s == "SYSTEM" {
		return time.UTC
	}
	loc, err := sqltypes.LoadLocation(s, time.UTC)
	if err != nil {
		panic("BUG: time_zone was set to what is no zone: " + s)
	}
	return loc
}

// noTimestamp is the timestamp of a session whose statements have the time of the clock.
const noTimestamp = "0"

// checkTimestamp takes seconds since 1970 with a fraction, as far as TIMESTAMP goes.
func checkTimestamp(s string) (string, error) {
	x, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return "", sqlErr(errno.WrongVariableType, "Incorrect argument type to variable 'timestamp'")
	}
	if !(x >= 0 && x < 1<<31) {
		return "", sqlErr(errno.WrongVariableValue, "Variable 'timestamp' can't be set to the value of '%s'", s)
	}
	if x == 0 {
		return noTimestamp, nil
	}
	return strconv.FormatFloat(x, 'f', -1, 64), nil
}

// timestampOf is the time that a timestamp means.
func timestampOf(s string) time.Time {
	x, err := strconv.ParseFloat(s, 64)
	if err != nil {
		panic("BUG: timestamp is no number: " + s)
	}
	return time.UnixMicro(int64(math.Round(x * 1e6)))
}

func checkTimeZone(s string) (string, error) {
	if strings.EqualFold(s, "SYSTEM") {
		return "SYSTEM", nil
	}
	if _, err := sqltypes.LoadLocation(s, time.UTC); err != nil {
		return "", sqlErr(errno.UnknownTimeZone, "Unknown or incorrect time zone: '%s'", s)
	}
	return s, nil
}

func checkCharset(s string) (string, error) {
	switch l := strings.ToLower(s); l {
	case "utf8mb4", "utf8", "utf8mb3", "ascii", "binary", "latin1", "null", "":
		// Every text is UTF-8; latin1 is accepted from old clients that send ASCII.
		if l == "utf8" {
			l = "utf8mb3" // as MySQL 8 spells it
		}
		return l, nil
	}
	return "", fmt.Errorf("the only character set is utf8mb4")
}

func checkCollation(s string) (string, error) {
	l := strings.ToLower(s)
	if strings.HasPrefix(l, "utf8") || strings.HasPrefix(l, "latin1") || strings.HasPrefix(l, "ascii") || l == "binary" {
		return l, nil
	}
	return "", fmt.Errorf("unknown collation")
}

// anyText accepts a value that has no effect.
func anyText(s string) (string, error) { return s, nil }

func checkSelectLimit(s string) (string, error) {
	if _, err := strconv.ParseUint(s, 10, 64); err != nil {
		return "", sqlErr(errno.WrongVariableType, "Incorrect argument type to variable 'sql_select_limit'")
	}
	return s, nil
}

func checkUnsigned(s string) (string, error) {
	_, err := strconv.ParseUint(s, 10, 64)
	return s, err
}

// What foreign_key_definitions says of foreign keys that a statement declares: that they are kept and enforced, that they are left out, or
// that it is refused, but with foreign_key_checks = OFF goes on without them. Tools turn foreign_key_checks on and off by themselves, so
// whoever runs Stele says it in a variable that they do not know.
const (
	enforceForeignKeys = "ENFORCE"
	refuseForeignKeys  = "REFUSE"
	leaveForeignKeys   = "LEAVE_OUT"
)

func checkForeignKeyDefinitions(s string) (string, error) {
	switch u := strings.ToUpper(s); u {
	case enforceForeignKeys, refuseForeignKeys, leaveForeignKeys:
		return u, nil
	}
	return "", fmt.Errorf("none of %s, %s and %s", enforceForeignKeys, refuseForeignKeys, leaveForeignKeys)
}

// foreignKeys says what becomes of the foreign keys that a statement declares.
func (v *vars) foreignKeys() define.ForeignKeys {
	definitions, _, _ := v.get("foreign_key_definitions")
	out := define.ForeignKeys{Unchecked: !v.bool("foreign_key_checks")}
	switch {
	case definitions == enforceForeignKeys:
	case definitions == leaveForeignKeys:
		out.LeftOut = "foreign_key_definitions is " + leaveForeignKeys
	case out.Unchecked:
		out.LeftOut = "foreign_key_checks is OFF"
	default:
		out.Refused = true
	}
	return out
}

// repeatableRead is the isolation level in which a transaction sees one state.
const repeatableRead = "REPEATABLE-READ"

func checkIsolation(s string) (string, error) {
	switch u := strings.ToUpper(strings.ReplaceAll(s, " ", "-")); u {
	case repeatableRead, "READ-COMMITTED", "READ-UNCOMMITTED": // of the last two each gives what the first of them promises
		return u, nil
	}
	return "", fmt.Errorf("this is snapshot isolation: REPEATABLE-READ at most")
}

// sqlModes are the modes that Stele knows.
var sqlModes = []string{"ALLOW_INVALID_DATES", "ANSI_QUOTES", "ERROR_FOR_DIVISION_BY_ZERO", "HIGH_NOT_PRECEDENCE", "IGNORE_SPACE", "NO_AUTO_CREATE_USER",
	"NO_AUTO_VALUE_ON_ZERO", "NO_BACKSLASH_ESCAPES", "NO_ENGINE_SUBSTITUTION", "NO_ZERO_DATE", "NO_ZERO_IN_DATE", "ONLY_FULL_GROUP_BY",
	"PIPES_AS_CONCAT", "STRICT_ALL_TABLES", "STRICT_TRANS_TABLES"}

func checkSQLMode(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	var out []string
	for _, m := range strings.Split(strings.ToUpper(s), ",") {
		m = strings.TrimSpace(m)
		switch {
		case m == "":
		case m == "TRADITIONAL":
			out = append(out, strings.Split(defaultSQLMode, ",")...)
		case slices.Contains(sqlModes, m):
			out = append(out, m)
		default:
			return "", fmt.Errorf("unknown mode %s", m)
		}
	}
	return strings.Join(out, ","), nil
}

// sqlErr makes an error with MySQL's number.
func sqlErr(code uint16, format string, args ...any) *sqltypes.Error {
	return sqltypes.Errorf(code, format, args...)
}
