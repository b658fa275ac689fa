package account

import (
	"strings"

	"stele/meta/model"
	"stele/sql/errno"
	sqltypes "stele/sql/types"
)

// Need is a privilege that a statement asks for. Of several bits any one will do.
type Need struct {
	Privileges      model.Privilege
	Database, Table string // as Level has them
}

// Check returns the error of the first need that rights do not meet, as MySQL puts it; who is the client, user@host.
func Check(r *Rights, who string, needs []Need) error {
	for _, n := range needs {
		if r.On(n.Database, n.Table)&n.Privileges == 0 {
			return Denied(who, n)
		}
	}
	return nil
}

// Denied is the error of a need that is not met.
func Denied(who string, n Need) error {
	user, host := who, "%"
	if at := strings.LastIndexByte(who, '@'); at >= 0 {
		user, host = who[:at], who[at+1:]
	}
	switch {
	case n.Database == "":
		return sqltypes.Errorf(errno.PrivilegeNeeded, "Access denied; you need (at least one of) the %s privilege(s) for this operation",
			strings.Join(Names(n.Privileges), ", "))
	case n.Table == "":
		return sqltypes.Errorf(errno.DatabaseAccessDenied, "Access denied for user '%s'@'%s' to database '%s'", user, host, n.Database)
	}
	return sqltypes.Errorf(errno.TableAccessDenied, "%s command denied to user '%s'@'%s' for table '%s'", Names(n.Privileges)[0], user, host, n.Table)
}
