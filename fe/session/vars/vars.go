// Package vars are the variables of a session: the system variables of MySQL that Stele has, each declared once in list.go, with the
// values that it takes, and @variables. SHOW VARIABLES, SELECT @@x and SET follow from the declarations.
//
// It keeps no value that is not a session's: what SET GLOBAL says is in the catalog, what an item of the configuration says in package
// conf, and Globals reads both for a session that begins. Values are used by one goroutine at a time, that of their session.
//
// Invariants
//
//   - A value that is kept is one that its variable takes, in the form in which it is shown.
//   - What Stele does not do is read-only at the value that says so, and setting it to anything else is refused.
package vars

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
	"stele/sql/errno"
	"stele/sql/expr"
	"stele/sql/syntax"
	sqltypes "stele/sql/types"
)

// kind is how a system variable is read and checked.
type kind uint8

const (
	stringKind kind = iota
	intKind
	boolKind
)

// Variable declares one system variable: SHOW VARIABLES, SELECT @@x and SET follow from it.
type Variable struct {
	Name     string
	kind     kind
	Default  string
	ReadOnly bool
	min, max int64                        // intKind
	check    func(string) (string, error) // normalises or refuses a value
	// Item is the configuration item whose value new sessions begin with, and which SET GLOBAL sets.
	Item        *conf.Spec
	SessionOnly bool // there is no global value
	GlobalOnly  bool // a session has no value of its own
}

// ActivateAllRoles is the variable by which new sessions begin with all roles of their account.
const ActivateAllRoles = "activate_all_roles_on_login"

// Ranges of variables that clients set.
const maxSeconds = 31536000

const defaultSQLMode = "ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"

func declare(list []Variable) map[string]*Variable {
	m := make(map[string]*Variable, len(list))
	for i := range list {
		m[list[i].Name] = &list[i]
	}
	return m
}

// configured are the variables behind which there is a configuration item.
var configured = func() (out []*Variable) {
	for _, d := range variables {
		if d.Item != nil {
			out = append(out, d)
		}
	}
	return out
}()

// twins are two names of one variable.
var twins = map[string]string{"forward_to_master": "forward_to_leader", "tx_isolation": "transaction_isolation", "tx_read_only": "transaction_read_only"}

// Canonical is the name under which the value of a variable is kept that has two.
func Canonical(name string) string {
	if c, ok := twins[name]; ok {
		return c
	}
	return name
}

// Values are the variables of one session: what it has set, over what the server says, over the declared defaults.
type Values struct {
	set    map[string]string
	server map[string]string
	user   map[string]userVar
	// Global returns what a session that begins now has; nil = what this one began with.
	Global   func(name string) (string, bool)
	frequent *Frequent // of the values as they are; nil = not worked out yet
	// Dynamic answers the variables that tell of the statement before: warning_count, last_insert_id and the like.
	Dynamic func(name string) (uint64, bool)
}

// userVar is the value of an @variable.
type userVar struct {
	value expr.Value
	typ   types.ColumnType
}

// New makes the variables of a session that begins with what the server says.
func New(server map[string]string) *Values {
	return &Values{set: map[string]string{}, server: server, user: map[string]userVar{}}
}

// SetUser sets an @variable; the name is in lower case.
func (v *Values) SetUser(name string, value expr.Value, t types.ColumnType) {
	v.user[name] = userVar{value, t}
}

// get returns the value and the declaration of a system variable.
func (v *Values) get(name string) (string, *Variable, bool) {
	d, ok := variables[name]
	if !ok {
		return "", nil, false
	}
	key := Canonical(name)
	if s, ok := v.set[key]; ok {
		return s, d, true
	}
	if s, ok := v.server[key]; ok {
		return s, d, true
	}
	return d.Default, d, true
}

// Text is the value of a system variable, "" if there is none of the name.
func (v *Values) Text(name string) string {
	s, _, _ := v.get(name)
	return s
}

// Bool is the value of a variable that is ON or OFF.
func (v *Values) Bool(name string) bool { return v.Text(name) == "1" }

// Int is the value of a variable that is a number.
func (v *Values) Int(name string) int64 {
	s := v.Text(name)
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		panic("BUG: variable " + name + " is not an integer: " + s)
	}
	return n
}

// Frequent are the variables that every statement looks at, in the form that it needs.
type Frequent struct {
	SafeUpdates   bool
	Isolation     string
	SQLMode       string
	Version       string
	Mode          syntax.Mode
	Autocommit    bool
	ReadOnly      bool
	LockWait      time.Duration
	MaxExecution  time.Duration // 0 = no limit
	LimitsSelects bool          // sql_select_limit is a limit
	WaitTimeout   time.Duration
	MaxPacket     int
	Zone          *time.Location
	Timestamp     time.Time // of SET timestamp, zero = the clock's
}

// Now returns the variables that every statement looks at.
func (v *Values) Now() *Frequent {
	if v.frequent != nil {
		return v.frequent
	}
	f := &Frequent{Autocommit: v.Bool("autocommit"), SafeUpdates: v.Bool("sql_safe_updates"), ReadOnly: v.Bool("transaction_read_only"), Zone: v.Zone(),
		LockWait:     time.Duration(v.Int("innodb_lock_wait_timeout")) * time.Second,
		MaxExecution: max(0, time.Duration(v.Int("max_execution_time"))*time.Millisecond)}
	f.SQLMode = v.Text("sql_mode")
	f.Isolation = v.Text("transaction_isolation")
	f.Version = v.Text("version")
	f.Mode = syntax.ParseMode(f.SQLMode)
	limit := v.Text("sql_select_limit")
	f.LimitsSelects = limit != NoSelectLimit
	f.WaitTimeout, f.MaxPacket = time.Duration(v.Int("wait_timeout"))*time.Second, int(v.Int("max_allowed_packet"))
	if at := v.Text("timestamp"); at != noTimestamp {
		f.Timestamp = timestampOf(at)
	}
	v.frequent = f
	return f
}

// Assign sets a system variable of the session.
func (v *Values) Assign(name, value string) error {
	d, ok := variables[name]
	if !ok {
		return errorf(errno.UnknownSystemVariable, "Unknown system variable '%s'", name)
	}
	if d.GlobalOnly {
		return errorf(errno.GlobalVariable, "Variable '%s' is a GLOBAL variable and should be set with SET GLOBAL", name)
	}
	v.frequent = nil
	if strings.EqualFold(value, "DEFAULT") {
		return v.reset(Canonical(name))
	}
	norm, err := d.Normalise(value)
	if err != nil {
		return err
	}
	if d.ReadOnly {
		if cur := v.Text(name); cur == norm {
			return nil
		}
		return errorf(errno.ReadOnlyVariable, "Variable '%s' is a read only variable", name)
	}
	v.set[Canonical(name)] = norm
	return nil
}

// SetNames runs SET NAMES and SET CHARACTER SET.
func (v *Values) SetNames(charset, collation string) error {
	if strings.EqualFold(charset, "DEFAULT") {
		charset = "utf8mb4"
	}
	norm, err := checkCharset(charset)
	if err != nil || norm == "" || norm == "null" {
		return errorf(errno.UnknownCharset, "Unknown character set: '%s'", charset)
	}
	if collation == "" {
		collation = norm + "_bin"
		if norm == "binary" {
			collation = norm
		}
	}
	if !strings.HasPrefix(strings.ToLower(collation), norm) && !strings.EqualFold(charset, strings.SplitN(collation, "_", 2)[0]) {
		return errorf(errno.CollationMismatch, "COLLATION '%s' is not valid for CHARACTER SET '%s'", collation, charset)
	}
	for _, name := range []string{"character_set_client", "character_set_connection", "character_set_results"} {
		if err := v.Assign(name, norm); err != nil {
			return err
		}
	}
	return v.Assign("collation_connection", collation)
}

// reset gives a variable the global value as of now.
func (v *Values) reset(name string) error {
	delete(v.set, name)
	if v.Global == nil {
		return nil
	}
	if now, _ := v.Global(name); !variables[name].ReadOnly {
		v.set[name] = now
	}
	return nil
}

// Normalise brings a value into the stored form, or refuses it.
func (d *Variable) Normalise(value string) (string, error) {
	wrong := errorf(errno.WrongVariableValue, "Variable '%s' can't be set to the value of '%s'", d.Name, value)
	switch d.kind {
	case boolKind:
		switch strings.ToUpper(value) {
		case "1", "ON", "TRUE":
			return "1", nil
		case "0", "OFF", "FALSE":
			return "0", nil
		}
		return "", wrong
	case intKind:
		if d.check != nil {
			return d.check(value)
		}
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			if d.ReadOnly {
				return value, nil
			}
			return "", errorf(errno.WrongVariableType, "Incorrect argument type to variable '%s'", d.Name)
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
			return "", fmt.Errorf("%w", errorf(errno.WrongVariableValue, "Variable '%s' can't be set to the value of '%s': %v", d.Name, value, err))
		}
		return s, nil
	}
	return value, nil
}

// Read is how the planner reads variables: "@@name", "@@session.name", "@@global.name", "@name".
func (v *Values) Read(name string) (expr.Value, types.ColumnType, bool) {
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
	if v.Dynamic != nil {
		if n, ok := v.Dynamic(name); ok {
			return expr.Value{I: int64(n)}, types.ColumnType{Kind: types.KindBigInt, Unsigned: true}, true
		}
	}
	s, d, ok := v.get(name)
	if !ok {
		return expr.Value{}, types.ColumnType{}, false
	}
	if name == "timestamp" {
		at := v.Now().Timestamp
		if at.IsZero() {
			at = time.Now()
		}
		return expr.Value{F: float64(at.UnixMicro()) / 1e6}, types.ColumnType{Kind: types.KindDouble}, true
	}
	if global && v.Global != nil {
		s, _ = v.Global(name)
	}
	if d.kind == stringKind {
		return expr.Value{B: []byte(s)}, types.ColumnType{Kind: types.KindVarChar, Length: int32(len(s))}, true
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return expr.Value{B: []byte(s)}, types.ColumnType{Kind: types.KindVarChar, Length: int32(len(s))}, true
	}
	return expr.Value{I: int64(n)}, types.ColumnType{Kind: types.KindBigInt, Unsigned: n > 1<<63-1}, true
}

// Rows lists the variables as SHOW VARIABLES prints them.
func (v *Values) Rows() []stmt.Variable {
	names := make([]string, 0, len(variables))
	for n := range variables {
		names = append(names, n)
	}
	slices.Sort(names)
	out := make([]stmt.Variable, len(names))
	for i, n := range names {
		s, d, _ := v.get(n)
		if d.kind == boolKind {
			s = map[string]string{"1": "ON", "0": "OFF"}[s]
		}
		out[i] = stmt.Variable{Name: n, Value: s}
	}
	return out
}

// Zone returns the session's time zone.
func (v *Values) Zone() *time.Location {
	s := v.Text("time_zone")
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

// timestampOf is the time that a timestamp means.
func timestampOf(s string) time.Time {
	x, err := strconv.ParseFloat(s, 64)
	if err != nil {
		panic("BUG: timestamp is no number: " + s)
	}
	return time.UnixMicro(int64(math.Round(x * 1e6)))
}

// errorf makes an error with MySQL's number.
func errorf(code uint16, format string, args ...any) *sqltypes.Error {
	return sqltypes.Errorf(code, format, args...)
}
