package session

import (
	"context"
	"strings"

	"stele/conf"
	"stele/fe/account"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/model"
	"stele/sql/errno"
	"stele/sql/parse"
	"stele/sql/plan"
)

// GlobalPrefix begins the keys under which the catalog keeps what SET GLOBAL has given to system variables, apart from
// configuration items. Their values are what new sessions of all FEs begin with.
const GlobalPrefix = "var:"

// globals are the values of variables that are not the declared ones, as of now: those that this server gives, and over
// them what SET GLOBAL has said.
func (sh *Shared) globals(cat *catalog.Catalog) map[string]string {
	v := sh.Conf.Load()
	out := map[string]string{"version": sh.Version, "innodb_version": sh.Version, "hostname": conf.FEHost.Get(v),
		"interactive_timeout": v.Text(conf.WaitTimeout.Spec)}
	for _, d := range configured {
		out[d.name] = v.Text(d.item)
	}
	for key, value := range cat.ConfigAll() {
		name, is := strings.CutPrefix(key, GlobalPrefix)
		if d := variables[name]; !is || d == nil || d.sessionOnly {
			continue // of an FE of another version
		}
		if norm, err := variables[name].normalise(value); err == nil {
			out[name] = norm
		}
	}
	return out
}

// setGlobal runs SET GLOBAL: new sessions of all FEs begin with the value, those that are there keep theirs. A variable that
// a configuration item stands behind is that item, for all FEs and for good.
func (s *Session) setGlobal(ctx context.Context, name string, value parse.ExprNode, params []plan.Param) error {
	d, ok := variables[name]
	switch {
	case !ok:
		return sqlErr(errno.UnknownSystemVariable, "Unknown system variable '%s'", name)
	case d.sessionOnly:
		return sqlErr(errno.SessionVariable, "Variable '%s' is a SESSION variable and can't be used with SET GLOBAL", name)
	}
	if err := s.check(ctx, []account.Need{{Privileges: model.PrivSuper}}); err != nil {
		return err
	}
	text, err := s.assigned(ctx, value, params)
	if err != nil {
		return err
	}
	set := &command.SetConfig{Key: GlobalPrefix + canonical(name)}
	switch {
	case !strings.EqualFold(text, "DEFAULT"):
		if set.Value, err = d.normalise(text); err != nil {
			return err
		}
	case d.item != nil:
		set.Value = d.item.Default
	default:
		set.Unset, set.Value = true, d.def
	}
	return s.sh.changeGlobal(ctx, d, set)
}

// changeGlobal makes the change durable, and this FE know it before the client hears OK.
func (sh *Shared) changeGlobal(ctx context.Context, d *variable, set *command.SetConfig) error {
	now, _, _ := newVars(sh.globals(sh.Log.Current())).get(d.name)
	switch {
	case d.item != nil && d.item.Mutable:
		set.Key = d.item.Key
		if _, err := sh.Conf.Load().With(set.Key, set.Value); err != nil { // its bounds are those of the item
			return sqlErr(errno.WrongVariableValue, "Variable '%s' can't be set to the value of '%s': %v", d.name, set.Value, err)
		}
	case !d.readOnly:
	case set.Value == now:
		return nil
	default:
		return sqlErr(errno.ReadOnlyVariable, "Variable '%s' is a read only variable", d.name)
	}
	out, err := sh.Log.Propose(ctx, set)
	switch {
	case err != nil:
		return err
	case out[0].Err != nil || d.item == nil:
		return out[0].Err
	}
	return sh.takeItem(set.Key)
}

// takeItem has this FE follow what the cluster has set an item to, also when that changes meanwhile.
func (sh *Shared) takeItem(key string) error {
	for {
		value, set := sh.Log.Current().Config(key)
		if !set { // meanwhile every FE follows its own file again
			return nil
		}
		if _, err := sh.Conf.Set(key, value); err != nil {
			return err
		}
		if now, _ := sh.Log.Current().Config(key); now == value {
			return nil
		}
	}
}

// globalVars are the variables of a session that would begin now.
func (s *Session) globalVars() *vars { return newVars(s.sh.globals(s.sh.Log.Current())) }

// globalOf returns what "@@global.name" reads.
func (s *Session) globalOf(name string) (string, bool) {
	text, _, ok := s.globalVars().get(name)
	return text, ok
}
