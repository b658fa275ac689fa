package account

import (
	"strings"
	"testing"

	"stele/meta/model"
)

// people are accounts by name.
type people map[model.AccountName]*model.User

// Account implements Accounts.
func (p people) Account(n model.AccountName) (*model.User, bool) {
	u, ok := p[n]
	return u, ok
}

func called(name string) model.AccountName { return model.AccountName{Name: name, Host: "%"} }

// staff makes accounts of lines "name: role role+", + being WITH ADMIN OPTION.
func staff(lines ...string) people {
	p := people{}
	for _, line := range lines {
		name, roles, _ := strings.Cut(line, ":")
		u := &model.User{Name: name, Host: "%"}
		for _, role := range strings.Fields(roles) {
			plain, admin := strings.CutSuffix(role, "+")
			u.Roles = append(u.Roles, model.RoleGrant{Role: called(plain), Admin: admin})
		}
		p[called(name)] = u
	}
	return p
}

// TestRolesReachAsFarAsTheyWereGranted: a role is active if the account itself has it, with the roles of that.
func TestRolesReachAsFarAsTheyWereGranted(t *testing.T) {
	p := staff("ann: a b", "a: c", "b: c d+", "c: e", "d:", "e:", "f:")
	for _, tc := range []struct{ active, behind string }{
		{"", ""}, {"a", "a c e"}, {"b", "b c d e"}, {"a b", "a b c d e"}, {"c", ""}, {"f a", "a c e"}, {"gone", ""},
	} {
		var active []model.AccountName
		for _, name := range strings.Fields(tc.active) {
			active = append(active, called(name))
		}
		var got []string
		for _, u := range Behind(p, p[called("ann")], active) {
			got = append(got, u.Name)
		}
		if strings.Join(got, " ") != tc.behind {
			t.Errorf("active %q: behind are %v, want %s", tc.active, got, tc.behind)
		}
	}
	ann := p[called("ann")]
	if MayPass(ann, nil, called("d")) || !MayPass(ann, Behind(p, ann, []model.AccountName{called("b")}), called("d")) {
		t.Error("what may be passed on does not follow from the roles that are active")
	}
	for _, tc := range []struct {
		role, to string
		want     bool
	}{{"a", "a", true}, {"a", "e", true}, {"a", "d", false}, {"e", "ann", false}, {"ann", "e", true}, {"f", "f", true}} {
		if got := Circles(p, called(tc.role), called(tc.to)); got != tc.want {
			t.Errorf("GRANT %s TO %s: circle %v, want %v", tc.role, tc.to, got, tc.want)
		}
	}
	if Behind(p, nil, []model.AccountName{called("a")}) != nil || RolesOf(nil) != nil || AtLogin(nil, false) != nil {
		t.Error("an account that is gone has roles")
	}
}

// TestARoleHidesNothing: the most specific pattern counts alone among the grants of one account, not over those of its roles.
func TestARoleHidesNothing(t *testing.T) {
	role := &model.User{Name: "r", Host: "%", Grants: []model.Grant{
		{Privileges: model.PrivProcess},
		{Database: "%", Privileges: model.PrivSelect | model.PrivGrant},
		{Database: "d", Table: "t", Privileges: model.PrivDelete},
	}}
	ann := &model.User{Name: "ann", Host: "%", Grants: []model.Grant{{Database: "d", Privileges: model.PrivInsert}}}
	r := RightsOf(ann, role)
	if got := r.On("d", "t"); got != model.PrivProcess|model.PrivSelect|model.PrivGrant|model.PrivInsert|model.PrivDelete {
		t.Errorf("on d.t: %v", Names(got))
	}
	if r.Missing(model.Grant{Database: "d", Privileges: model.PrivInsert}) != 0 {
		t.Error("GRANT OPTION of a role does not count for its level")
	}
	if !r.Sees("d", "t") || RightsOf(nil, role).Sees("d", "t") {
		t.Error("roles of an account that is gone count")
	}
	want := []string{
		"GRANT PROCESS ON *.* TO `ann`@`%`", "GRANT SELECT ON `%`.* TO `ann`@`%` WITH GRANT OPTION", "GRANT INSERT ON `d`.* TO `ann`@`%`",
		"GRANT DELETE ON `d`.`t` TO `ann`@`%`", "GRANT `b`@`%`,`r`@`%` TO `ann`@`%`", "GRANT `a`@`%` TO `ann`@`%` WITH ADMIN OPTION",
	}
	ann.Roles = []model.RoleGrant{{Role: called("a"), Admin: true}, {Role: called("b")}, {Role: called("r")}}
	if got := Grants(ann, []*model.User{role}); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("shown as\n%s", strings.Join(got, "\n"))
	}
}
