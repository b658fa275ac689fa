package plan

import (
	"slices"
	"strings"

	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/expr"
	"stele/sql/fn"
	ast "stele/sql/parse"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

// call types a call, coerces its arguments and folds it when constants decide it.
func (b *binder) call(name string, args ...*expr.Node) (*expr.Node, error) {
	args, err := b.momentNumbers(name, args)
	if err != nil {
		return nil, err
	}
	if args, err = b.members(name, args); err != nil {
		return nil, err
	}
	args = b.inBytes(name, args)
	if args, err = b.beside(name, args); err != nil {
		return nil, err
	}
	if b.collates {
		return b.collatedCall(name, args)
	}
	return b.plainCall(name, args)
}

// momentNumbers has what DATE_ADD makes of a text counted by its digits where a number is asked for: it is a date or time to MySQL.
func (b *binder) momentNumbers(name string, args []*expr.Node) ([]*expr.Node, error) {
	_, compares := fn.CompareOp(name)
	compares = compares || name == "<=>"
	if !compares && !numbers[name] {
		return args, nil
	}
	out := slices.Clone(args)
	for i, a := range args {
		if !b.isMoment(a) || compares && !args[1-i].Type.IsNumeric() {
			continue
		}
		n, err := b.plainCall("moment_number", []*expr.Node{a})
		if err != nil {
			return nil, err
		}
		out[i] = n
	}
	return out, nil
}

// besideText has a text that is no constant compared with a date or time as one: as the zero date where it is none.
func besideText(args []*expr.Node) []*expr.Node {
	for i, a := range args {
		n := args[1-i]
		if !a.Type.IsTemporal() || !n.Type.IsString() || n.Type.Kind == types.KindJSON || n.Kind == expr.NodeConst {
			continue
		}
		_, to := fn.CompareTypes(a.Type, n.Type)
		if to.Kind == types.KindTimestamp { // there are dates beyond those
			to.Kind = types.KindDateTime
		}
		out := slices.Clone(args)
		out[1-i] = expr.Cast(n, to)
		out[1-i].Func = "cast:compared"
		return out
	}
	return args
}

// beside has a date or time compared as a number with a number, unless that is a constant which is a date or time itself.
func (b *binder) beside(name string, args []*expr.Node) ([]*expr.Node, error) {
	if _, compares := fn.CompareOp(name); !compares && name != "<=>" {
		return args, nil
	}
	if err := b.mustBeDate(args); err != nil {
		return nil, err
	}
	args = b.beyondTimestamps(besideText(args))
	for i, a := range args {
		n := args[1-i]
		if !a.Type.IsTemporal() || !n.Type.IsNumeric() || n.Type.Kind == types.KindYear {
			continue
		}
		if n.Kind == expr.NodeConst {
			as := types.ColumnType{Kind: types.KindDateTime, Scale: 6}
			if a.Type.Kind == types.KindTime {
				as.Kind = types.KindTime
			}
			if _, ok := b.constAs(n, as); ok || n.Value.Null {
				continue
			}
		}
		return b.coerceAll(args, types.ColumnType{Kind: types.KindDouble})
	}
	return args, nil
}

func (b *binder) coerceAll(args []*expr.Node, to types.ColumnType) ([]*expr.Node, error) {
	out := make([]*expr.Node, len(args))
	for i, a := range args {
		var err error
		if out[i], err = b.coerce(a, to); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// plainCall is call for text that compares by its bytes.
func (b *binder) plainCall(name string, args []*expr.Node) (*expr.Node, error) {
	if b.byZeroFails {
		name = fn.StrictDivision(name)
	}
	n, err := expr.Call(name, args...)
	if err != nil {
		return nil, err
	}
	if n, err = b.insist(name, args, n); err != nil {
		return nil, err
	}
	if n, err = b.digits(name, args, n); err == nil {
		b.noteDivision(name, args, n)
	}
	return n, err
}

// foldCall evaluates what constants decide, the casts that expr.Call has put in first.
func (b *binder) foldCall(n *expr.Node) (*expr.Node, error) {
	for i, a := range n.Args {
		if (isCall(a, "cast") || isCall(a, "cast:strict")) && a.Args[0].Kind == expr.NodeConst {
			var err error
			if n.Args[i], err = b.fold(a); err != nil {
				return nil, err
			}
		}
	}
	return b.fold(n)
}

// coerce inserts a cast when the type differs in more than its promise of NOT NULL.
func (b *binder) coerce(n *expr.Node, to types.ColumnType) (*expr.Node, error) {
	if to.IsString() {
		var err error
		if n, err = b.shown(n); err != nil {
			return nil, err
		}
	}
	if fn.SameForm(n.Type, to) {
		return n, nil
	}
	if to.IsNumeric() {
		n = b.exact(n)
	}
	if n.Kind == expr.NodeConst && n.Value.Null {
		return constNull(to), nil
	}
	to.NotNull = false
	return b.fold(expr.Cast(n, to))
}

// fold evaluates what constants decide; an error of evaluation stays for the execution, which may never come to it.
func (b *binder) fold(n *expr.Node) (*expr.Node, error) {
	if b.unfolded {
		return n, nil
	}
	some, all := false, true
	for _, a := range n.Args {
		some = some || a.Kind == expr.NodeConst
		all = all && a.Kind == expr.NodeConst
	}
	if all || some && (n.Func == "and" || n.Func == "or" || n.Func == "case" || n.Func == "if") {
		out, err := expr.Fold(n, b.evalContext())
		if err == nil && b.isMoment(n) {
			if b.moments == nil {
				b.moments = map[*expr.Node]bool{}
			}
			b.moments[out] = true
		}
		return out, err
	}
	return n, nil
}

// isMoment reports whether a text is what DATE_ADD has made of one, which may have been evaluated already.
func (b *binder) isMoment(n *expr.Node) bool {
	if isCall(n, "insist") {
		n = n.Args[0]
	}
	if n.Kind != expr.NodeCall {
		return b.moments[n]
	}
	return n.Type.IsString() && (strings.HasPrefix(n.Func, "date_add:") || strings.HasPrefix(n.Func, "date_sub:"))
}

// evalContext is what folding needs of the session.
func (b *binder) evalContext() expr.Context {
	return expr.Context{Loc: b.ctx.Location(), NowMicros: b.ctx.NowMicros}
}

// funcCall binds a function call: first what only the session or the clock knows, then the registry.
func (e *env) funcCall(n *ast.FuncCallExpr) (*expr.Node, error) {
	name := n.FnName.L
	if c, ok, err := e.sessionCall(name, n.Args); ok || err != nil {
		return c, err
	}
	switch name {
	case ast.DateLiteral:
		return e.typedLiteral(types.KindDate, n.Args[0])
	case ast.TimeLiteral:
		return e.typedLiteral(types.KindTime, n.Args[0])
	case ast.TimestampLiteral:
		return e.typedLiteral(types.KindDateTime, n.Args[0])
	case "convert":
		return e.convertUsing(n.Args)
	case "charset", "collation":
		return e.charsetCall(name, n.Args)
	case "char_func":
		return e.charCall(n.Args)
	case "any_value":
		return e.anyValue(n.Args)
	case "cube":
		return nil, refuse("GROUP BY CUBE")
	case "grouping":
		return e.groupingCall(n.Args)
	case "values":
		return nil, refuse("this use of VALUES()")
	case "nextval", "lastval", "setval":
		return nil, refuse("SEQUENCE")
	}
	if d := fn.Lookup(name); d != nil && d.Lazy != fn.Eager {
		defer e.b.perhaps()()
	}
	args, unit, err := e.callArgs(name, n.Args)
	if err != nil {
		return nil, err
	}
	if name == "nullif" {
		args = e.b.years(n.Args, args)
	}
	name, unit = registryName(name, unit)
	if unit != "" {
		name += ":" + unit
	}
	made, err := e.b.call(name, args...)
	if err != nil || len(args) == 0 || name != "date" && name != "timestamp" && name != "str_to_date" {
		return made, err
	}
	return e.b.madeDate(made, args[0].Type)
}

// registryName maps the spellings of the grammar to the names of the registry.
func registryName(name, unit string) (string, string) {
	switch {
	case name == "insert_func":
		return "insert", unit
	case name == "adddate":
		return "date_add", unit
	case name == "subdate":
		return "date_sub", unit
	case name == "trim" && unit == "leading":
		return "ltrim", ""
	case name == "trim" && unit == "trailing":
		return "rtrim", ""
	case unit == "both":
		return name, ""
	}
	return name, unit
}

// callArgs binds arguments; a keyword among them (a unit, LEADING, DATE) becomes the parameter of the function's name.
func (e *env) callArgs(name string, list []ast.ExprNode) (args []*expr.Node, unit string, err error) {
	for _, a := range list {
		switch k := a.(type) {
		case *ast.TimeUnitExpr:
			unit = strings.ToLower(k.Unit.String())
			continue
		case *ast.TrimDirectionExpr:
			unit = strings.ToLower(k.Direction.String())
			continue
		case *ast.GetFormatSelectorExpr:
			unit = strings.ToLower(k.Selector.String())
			continue
		}
		bind := e.bind
		if name == "if" && len(args) == 0 {
			bind = e.predicate
		}
		x, err := bind(a)
		if err != nil {
			return nil, "", err
		}
		args = append(args, x)
	}
	return args, unit, nil
}

// sessionCall answers the functions of the session and the clock.
func (e *env) sessionCall(name string, args []ast.ExprNode) (*expr.Node, bool, error) {
	c := e.b.ctx
	unsigned := types.ColumnType{Kind: types.KindBigInt, Unsigned: true, NotNull: true}
	switch name {
	case "database", "schema":
		if c.CurrentDB == "" {
			return constNull(types.ColumnType{Kind: types.KindVarChar, Length: 64}), true, nil
		}
		return constString(c.CurrentDB), true, nil
	case "user", "session_user", "system_user":
		return constString(c.User), true, nil
	case "current_user":
		return constString(c.Account), true, nil
	case "current_role":
		return constString(c.Role), true, nil
	case "version":
		return constString(c.Version), true, nil
	case "connection_id":
		return &expr.Node{Kind: expr.NodeConst, Type: unsigned, Value: expr.Value{I: int64(c.ConnectionID)}}, true, nil
	case "found_rows":
		return constCount(c.FoundRows), true, nil
	case "row_count":
		return constCount(c.RowCount), true, nil
	case "last_insert_id":
		n, err := e.lastInsertID(args)
		return n, true, err
	case "sleep":
		n, err := e.sleep(args)
		return n, true, err
	case "benchmark":
		n, err := e.benchmark(args)
		return n, true, err
	}
	if _, ok := userLockArgs[name]; ok {
		n, err := e.userLock(name, args)
		return n, true, err
	}
	return e.clockCall(name, args)
}

// constCount is a number of rows.
func constCount(n int64) *expr.Node {
	return &expr.Node{Kind: expr.NodeConst, Type: types.ColumnType{Kind: types.KindBigInt, NotNull: true}, Value: expr.Value{I: n}}
}

// sleep binds SLEEP(): the statement pauses while it is planned, so only where it is to run, once, and not for each row of a
// table.
func (e *env) sleep(args []ast.ExprNode) (*expr.Node, error) {
	if len(args) != 1 {
		return nil, errorf(errno.WrongParameterCount, "Incorrect parameter count in the call to native function 'SLEEP'")
	}
	d, err := e.bind(args[0])
	if err != nil {
		return nil, err
	}
	if len(e.cols) > 0 || d.Kind != expr.NodeConst {
		return nil, refuse("SLEEP() of a column or for each row of a table")
	}
	if d.Value.Null {
		return nil, errorf(errno.WrongArguments, "Incorrect arguments to sleep.")
	}
	seconds, err := sqltypes.Cast(d.Value, d.Type, types.ColumnType{Kind: types.KindDouble}, sqltypes.Env{Loc: e.b.ctx.Location()})
	if err != nil || seconds.F < 0 {
		return nil, errorf(errno.WrongArguments, "Incorrect arguments to sleep.")
	}
	if e.b.ctx.Sleep != nil && !e.b.ctx.Describe {
		if err := e.b.ctx.Sleep(seconds.F); err != nil {
			return nil, err
		}
	}
	return constInt(0), nil
}

// benchmark binds BENCHMARK(): as SLEEP it does what it does while the statement is planned. What constants decide is worked out each time.
func (e *env) benchmark(args []ast.ExprNode) (*expr.Node, error) {
	if len(args) != 2 {
		return nil, errorf(errno.WrongParameterCount, "Incorrect parameter count in the call to native function 'BENCHMARK'")
	}
	times, err := e.bind(args[0])
	if err != nil {
		return nil, err
	}
	e.b.unfolded = true
	x, err := e.bind(args[1])
	e.b.unfolded = false
	switch {
	case err != nil:
		return nil, err
	case len(e.cols) > 0 || times.Kind != expr.NodeConst || len(expr.Columns(x)) > 0:
		return nil, refuse("BENCHMARK() of a column, a subquery or for each row of a table")
	}
	n, err := sqltypes.Cast(times.Value, times.Type, types.ColumnType{Kind: types.KindBigInt}, sqltypes.Env{Loc: e.b.ctx.Location()})
	if err != nil || n.Null || n.I < 0 {
		return constNull(types.ColumnType{Kind: types.KindInt}), err
	}
	prog, err := expr.CompileAsIs(x, e.b.evalContext())
	if err != nil || e.b.ctx.Repeat == nil || e.b.ctx.Describe {
		return constInt(0), err
	}
	return constInt(0), e.b.ctx.Repeat(n.I, func() error {
		_, err := prog.Eval(&vec.Batch{N: 1})
		return err
	})
}

// clockCall answers NOW() and its relatives with the statement's time.
func (e *env) clockCall(name string, args []ast.ExprNode) (*expr.Node, bool, error) {
	c := e.b.ctx
	utc := c.NowMicros
	local := sqltypes.UTCToLocal(utc, c.Location())
	kind := types.KindDateTime
	switch name {
	case "now", "current_timestamp", "localtime", "localtimestamp", "sysdate":
	case "utc_timestamp":
		local = utc
	case "curdate", "current_date":
		kind = types.KindDate
	case "utc_date":
		kind, local = types.KindDate, utc
	case "curtime", "current_time":
		kind = types.KindTime
	case "utc_time":
		kind, local = types.KindTime, utc
	case "unix_timestamp":
		if len(args) > 0 {
			return nil, false, nil
		}
		return constInt(utc / 1e6), true, nil
	default:
		return nil, false, nil
	}
	t := types.ColumnType{Kind: kind, NotNull: true}
	if len(args) > 0 {
		p, err := e.b.limitValue(args[0])
		if err != nil || p > 6 {
			return nil, true, errorf(errno.PrecisionTooBig, "Too-big precision specified for '%s'. Maximum is 6.", name)
		}
		t.Scale = int32(p)
	}
	return &expr.Node{Kind: expr.NodeConst, Type: t, Value: moment(local, t)}, true, nil
}

// moment is a time as a value of a temporal type, which has less digits, or is only its date or time of day.
func moment(local int64, t types.ColumnType) expr.Value {
	days, rest := sqltypes.FloorDay(local)
	v := local - rest%1e6 + rest%1e6/pow10(6-t.Scale)*pow10(6-t.Scale)
	switch t.Kind {
	case types.KindDate:
		v = days
	case types.KindTime:
		v -= local - rest
	}
	return expr.Value{I: v}
}

func pow10(n int32) int64 {
	p := int64(1)
	for range n {
		p *= 10
	}
	return p
}

// castCall binds CAST, CONVERT and BINARY.
func (e *env) castCall(n *ast.FuncCastExpr) (*expr.Node, error) {
	x, err := e.bind(n.Expr)
	if err != nil {
		return nil, err
	}
	to, err := ast.ColumnType(n.Tp)
	if err != nil {
		return nil, err
	}
	if v := literalNumber(n.Expr); v != nil && to.IsNumeric() {
		x = v
	}
	if to.IsString() {
		if x, err = e.b.shown(x); err != nil {
			return nil, err
		}
		x = e.b.storedText(x, to)
	}
	switch to.Kind {
	case types.KindChar:
		to.Kind = types.KindVarChar
	case types.KindBinary:
		if to.Length == 0 {
			to.Kind = types.KindVarBinary
		}
	}
	if to.IsNumeric() {
		x = e.b.exact(x)
	}
	cast := expr.Cast(x, to)
	if e.b.strictWrite {
		cast.Func = "cast:strict"
	}
	made, err := e.b.fold(cast)
	if err != nil {
		return nil, err
	}
	return e.b.madeDate(made, x.Type)
}

// variable reads a variable of the session; assignments inside expressions are refused.
func (e *env) variable(n *ast.VariableExpr) (*expr.Node, error) {
	if n.Value != nil {
		return nil, refuse("assignment of a variable inside an expression")
	}
	if id, ok := e.vars[strings.ToLower(n.Name)]; ok && !n.IsSystem {
		return e.b.col(id), nil
	}
	name := "@" + strings.ToLower(n.Name)
	if n.IsSystem {
		scope := ""
		if n.IsGlobal {
			scope = "global."
		} else if n.ExplicitScope {
			scope = "session."
		}
		name = "@@" + scope + strings.ToLower(n.Name)
	}
	if e.b.ctx.Vars != nil {
		if v, t, ok := e.b.ctx.Vars(name); ok {
			return &expr.Node{Kind: expr.NodeConst, Type: t, Value: v}, nil
		}
	}
	if n.IsSystem {
		return nil, errorf(errno.UnknownSystemVariable, "Unknown system variable '%s'", strings.ToLower(n.Name))
	}
	return constNull(types.ColumnType{Kind: types.KindText}), nil
}

// defaultOf binds DEFAULT(column).
func (e *env) defaultOf(n *ast.DefaultExpr) (*expr.Node, error) {
	if n.Name == nil {
		return nil, refuse("DEFAULT in this place")
	}
	if e.target != nil {
		if i := e.target.Schema.ColumnNamed(n.Name.Name.O); i >= 0 {
			return e.b.defaultValue(&e.target.Schema.Columns[i])
		}
	}
	x, err := e.column(n.Name)
	if err != nil {
		return nil, err
	}
	c := e.b.cols[x.Col]
	if c.table == nil {
		return nil, errorf(errno.NoDefault, "Field '%s' doesn't have a default value", n.Name.Name.O)
	}
	return e.b.defaultValue(&c.table.Schema.Columns[c.pos])
}

// defaultValue is what a column gets when no value is given for it.
func (b *binder) defaultValue(c *types.Column) (*expr.Node, error) {
	t := c.Type
	t.NotNull = false
	switch {
	case c.DefaultExpr != nil:
		return nil, errorf(errno.DefaultOfExpression, "DEFAULT function cannot be used with default value expressions")
	case c.DefaultNow:
		scaled := types.ColumnType{Kind: types.KindDateTime, Scale: 6}
		now := &expr.Node{Kind: expr.NodeConst, Type: scaled, Value: expr.Value{I: sqltypes.UTCToLocal(b.ctx.NowMicros, b.ctx.Location())}}
		return b.convertConst(now, t, c)
	case c.Default != nil && c.Bits > 0:
		v, from := bitDefault(*c.Default)
		return b.convertConst(expr.Const(v, from), t, c)
	case c.Default != nil:
		return b.convertConst(constString(*c.Default), t, c)
	case len(c.Elems) > 0 && c.Type.NotNull && !c.IsSet():
		return &expr.Node{Kind: expr.NodeConst, Type: t, Value: expr.Value{I: 1}}, nil // the first member
	case c.AutoIncrement, !c.Type.NotNull:
		return constNull(t), nil
	}
	return nil, errorf(errno.NoDefault, "Field '%s' doesn't have a default value", c.Name)
}

// convertConst stores a constant in a column's type, strictly.
func (b *binder) convertConst(n *expr.Node, t types.ColumnType, c *types.Column) (*expr.Node, error) {
	to := *c
	to.Type = t
	v, _, err := sqltypes.ConvertColumn(n.Value, n.Type, &to, true, sqltypes.Env{Loc: b.ctx.Location(), ZeroDates: true})
	if err != nil {
		return nil, sqltypes.WithColumn(err, c.Name, 1)
	}
	return &expr.Node{Kind: expr.NodeConst, Type: t, Value: v}, nil
}

// valuesOf binds VALUES(column) of ON DUPLICATE KEY UPDATE.
func (e *env) valuesOf(n *ast.ValuesExpr) (*expr.Node, error) {
	if e.oldToNew == nil {
		return nil, refuse("VALUES() outside ON DUPLICATE KEY UPDATE")
	}
	if x, ok := e.oldToNew(n.Column.Name.Name.O); ok {
		return x, nil
	}
	return nil, errorf(errno.UnknownColumn, "Unknown column '%s' in '%s'", n.Column.Name.String(), e.clause)
}
