package stmt

import (
	"slices"
	"strings"

	"stele/fe/account"
	"stele/meta/model"
)

// Needs returns what a statement of the registry asks of the account that sends it.
func Needs(id string) []account.Need {
	s := declaration(id)
	switch {
	case s.Open:
		return nil
	case s.Do != nil && !s.Shows, s.Acts:
		return []account.Need{{Privileges: model.PrivSuper}}
	}
	return []account.Need{{Privileges: operator}}
}

// operator is what shows the cluster to an account: one of these.
const operator = model.PrivProcess | model.PrivSuper

// Sees reports whether the account of the session may know of a table or, with table "", of a database.
func (e *Env) Sees(database, table string) bool {
	return e.Rights == nil || strings.EqualFold(database, SchemaDB) || strings.EqualFold(database, PerformanceDB) || e.Rights.Sees(database, table) ||
		strings.EqualFold(database, SteleDB) && e.Holds(model.PrivProcess)
}

// Holds reports whether the account has one of some privileges on *.*.
func (e *Env) Holds(any model.Privilege) bool { return e.Rights == nil || e.Rights.On("", "")&any != 0 }

// Operates reports whether the account may see how the cluster is doing: its nodes, and where everybody's replicas are.
func (e *Env) Operates() bool { return e.Holds(operator) }

// OwnProcesses are the sessions that the account may see: with PROCESS all of them, else those of its user.
func (e *Env) OwnProcesses() []Process {
	list := slices.Clone(e.Processes())
	if e.Holds(model.PrivProcess) {
		return list
	}
	user := e.User[:max(strings.LastIndexByte(e.User, '@'), 0)]
	return slices.DeleteFunc(list, func(p Process) bool { return p.User != user })
}
