package plan

import (
	"strings"

	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/expr"
	ast "stele/sql/parse"
	sqltypes "stele/sql/types"
)

// UserLocks are the named locks of a session: GET_LOCK and its relatives.
type UserLocks interface {
	// Get waits for a lock, for ever if seconds is negative; false says that the time is over.
	Get(name string, seconds float64) (bool, error)
	// Release gives a lock back once: whether the session held it, and whether anybody did.
	Release(name string) (mine, there bool, err error)
	// ReleaseAll gives all back and returns how often they were taken.
	ReleaseAll() int
	// Holder returns the connection that holds a lock, 0 = nobody.
	Holder(name string) (uint64, error)
}

// userLockArgs says how many arguments the functions of user locks take.
var userLockArgs = map[string]int{"get_lock": 2, "release_lock": 1, "release_all_locks": 0, "is_free_lock": 1, "is_used_lock": 1}

// userLock binds a function of user locks. Like SLEEP it acts while the statement is planned, once.
func (e *env) userLock(name string, nodes []ast.ExprNode) (*expr.Node, error) {
	upper := strings.ToUpper(name)
	if len(nodes) != userLockArgs[name] {
		return nil, errorf(errno.WrongParameterCount, "Incorrect parameter count in the call to native function '%s'", upper)
	}
	var args []*expr.Node
	for _, n := range nodes {
		x, err := e.bind(n)
		if err != nil {
			return nil, err
		}
		if x.Kind != expr.NodeConst {
			return nil, refuse(upper + "() of a column")
		}
		args = append(args, x)
	}
	switch locks := e.b.ctx.Locks; {
	case e.b.ctx.Describe:
		return constNull(bigintType), nil
	case locks == nil || len(e.cols) > 0:
		return nil, refuse(upper + "() here: only a query without tables, DO and SET may call it")
	case len(args) == 0:
		return constInt(int64(locks.ReleaseAll())), nil
	case args[0].Value.Null:
		return nil, errorf(errno.WrongLockName, "Incorrect user-level lock name 'NULL'.")
	default:
		return e.callLock(name, locks, args)
	}
}

// callLock acts on one lock.
func (e *env) callLock(name string, locks UserLocks, args []*expr.Node) (*expr.Node, error) {
	loc := e.b.ctx.Location()
	lock := string(sqltypes.AppendText(nil, args[0].Type, args[0].Value, loc))
	truth := func(b bool) *expr.Node {
		if b {
			return constInt(1)
		}
		return constInt(0)
	}
	switch name {
	case "get_lock":
		seconds, err := sqltypes.Cast(args[1].Value, args[1].Type, types.ColumnType{Kind: types.KindDouble}, sqltypes.Env{Loc: loc})
		if err != nil || seconds.Null {
			return nil, errorf(errno.WrongArguments, "Incorrect arguments to get_lock.")
		}
		got, err := locks.Get(lock, seconds.F)
		return truth(got), err
	case "release_lock":
		mine, there, err := locks.Release(lock)
		if !there {
			return constNull(bigintType), err
		}
		return truth(mine), err
	}
	by, err := locks.Holder(lock)
	switch {
	case name == "is_free_lock":
		return truth(by == 0), err
	case by == 0:
		return constNull(bigintType), err
	}
	return constInt(int64(by)), err
}
