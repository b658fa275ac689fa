package syntax

import "strings"

// Args holds what a statement gave for the elements of its syntax. Asking for a name that was not given returns the zero
// value; asking for it as another type than declared is a bug of the caller and panics.
type Args struct {
	caps []capture
}

// find returns the capture of a name; the last one wins.
func (a Args) find(name string) (capture, bool) {
	for i := len(a.caps) - 1; i >= 0; i-- {
		if a.caps[i].name == name {
			return a.caps[i], true
		}
	}
	return capture{}, false
}

// value returns the value of a name as the type T.
func value[T any](a Args, name string) T {
	c, ok := a.find(name)
	if !ok {
		var zero T
		return zero
	}
	v, ok := c.val.(T)
	if !ok {
		panic("BUG: argument " + name + " read as another type than its syntax declares")
	}
	return v
}

// Has reports whether an argument, a labelled choice or (in upper case) a keyword of the syntax was given.
func (a Args) Has(name string) bool {
	_, ok := a.find(name)
	return ok
}

// Table returns an argument of type table; db is empty if it was not qualified.
func (a Args) Table(name string) (db, table string) {
	t := value[TableName](a, name)
	return t.DB, t.Table
}

// Tables returns an argument of type tables.
func (a Args) Tables(name string) []TableName { return value[[]TableName](a, name) }

// String returns an argument of type ident, name, string or value.
func (a Args) String(name string) string { return value[string](a, name) }

// Names returns an argument of type names or strings.
func (a Args) Names(name string) []string { return value[[]string](a, name) }

// Int returns an argument of type int.
func (a Args) Int(name string) int64 { return value[int64](a, name) }

// Ints returns an argument of type ints.
func (a Args) Ints(name string) []int64 { return value[[]int64](a, name) }

// Props returns an argument of type props.
func (a Args) Props(name string) []Prop { return value[[]Prop](a, name) }

// Prop returns the value of one key of an argument of type props; keys compare without case and the last one wins.
func (a Args) Prop(name, key string) (string, bool) {
	list := a.Props(name)
	for i := len(list) - 1; i >= 0; i-- {
		if strings.EqualFold(list[i].Key, key) {
			return list[i].Value, true
		}
	}
	return "", false
}

// HostPort returns an argument of type hostport.
func (a Args) HostPort(name string) HostPort { return value[HostPort](a, name) }

// HostPorts returns an argument of type hostports.
func (a Args) HostPorts(name string) []HostPort { return value[[]HostPort](a, name) }

// Expr returns an argument of type expr.
func (a Args) Expr(name string) Raw { return value[Raw](a, name) }

// Choice returns the alternative of a labelled choice that was taken, as the syntax spells it.
func (a Args) Choice(label string) string { return value[string](a, label) }

// Offset returns where in the statement an argument, choice or keyword was found, or -1.
func (a Args) Offset(name string) int {
	if c, ok := a.find(name); ok {
		return c.offset
	}
	return -1
}
