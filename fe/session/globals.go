package session

import (
	"context"
	"strings"

	"stele/fe/account"
	"stele/fe/session/vars"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/model"
	"stele/sql/errno"
	"stele/sql/parse"
	"stele/sql/plan"
)

// globals are the values of variables that are not the declared ones, as of now.
func (sh *Shared) globals(cat *catalog.Catalog) map[string]string {
	return vars.Globals(sh.Conf.Load(), sh.Version, cat.ConfigAll())
}

// setGlobal runs SET GLOBAL: new sessions of all FEs begin with the value, those that are there keep theirs. A variable that
// a configuration item stands behind is that item, for all FEs and for good.
func (s *Session) setGlobal(ctx context.Context, name string, value parse.ExprNode, params []plan.Param) error {
	d, ok := vars.Named(name)
	switch {
	case !ok:
		return sqlErr(errno.UnknownSystemVariable, "Unknown system variable '%s'", name)
	case d.SessionOnly:
		return sqlErr(errno.SessionVariable, "Variable '%s' is a SESSION variable and can't be used with SET GLOBAL", name)
	}
	if err := s.check(ctx, []account.Need{{Privileges: model.PrivSuper}}); err != nil {
		return err
	}
	text, err := s.assigned(ctx, value, params)
	if err != nil {
		return err
	}
	set := &command.SetConfig{Key: vars.GlobalPrefix + vars.Canonical(name)}
	switch {
	case !strings.EqualFold(text, "DEFAULT"):
		if set.Value, err = d.Normalise(text); err != nil {
			return err
		}
	case d.Item != nil:
		set.Value = d.Item.Default
	default:
		set.Unset, set.Value = true, d.Default
	}
	return s.sh.changeGlobal(ctx, d, set)
}

// changeGlobal makes the change durable, and this FE know it before the client hears OK.
func (sh *Shared) changeGlobal(ctx context.Context, d *vars.Variable, set *command.SetConfig) error {
	now := vars.New(sh.globals(sh.Log.Current())).Text(d.Name)
	switch {
	case d.Item != nil && d.Item.Mutable:
		set.Key = d.Item.Key
		if _, err := sh.Conf.Load().With(set.Key, set.Value); err != nil { // its bounds are those of the item
			return sqlErr(errno.WrongVariableValue, "Variable '%s' can't be set to the value of '%s': %v", d.Name, set.Value, err)
		}
	case !d.ReadOnly:
	case set.Value == now:
		return nil
	default:
		return sqlErr(errno.ReadOnlyVariable, "Variable '%s' is a read only variable", d.Name)
	}
	out, err := sh.Log.Propose(ctx, set)
	switch {
	case err != nil:
		return err
	case out[0].Err != nil || d.Item == nil:
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
func (s *Session) globalVars() *vars.Values { return vars.New(s.sh.globals(s.sh.Log.Current())) }

// globalOf returns what "@@global.name" reads.
func (s *Session) globalOf(name string) (string, bool) {
	_, ok := vars.Named(name)
	return s.globalVars().Text(name), ok
}
