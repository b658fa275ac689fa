package account

import (
	"stele/meta/model"
	"stele/sql/errno"
	"stele/sql/parse"
	sqltypes "stele/sql/types"
)

// parsed are the privileges as the parser knows them.
var parsed = map[parse.PrivilegeType]model.Privilege{
	parse.UsagePriv: 0, parse.SelectPriv: model.PrivSelect, parse.InsertPriv: model.PrivInsert, parse.UpdatePriv: model.PrivUpdate,
	parse.DeletePriv: model.PrivDelete, parse.CreatePriv: model.PrivCreate, parse.DropPriv: model.PrivDrop, parse.AlterPriv: model.PrivAlter,
	parse.IndexPriv: model.PrivIndex, parse.ReferencesPriv: model.PrivReferences, parse.CreateViewPriv: model.PrivCreateView,
	parse.ShowViewPriv: model.PrivShowView, parse.TriggerPriv: model.PrivTrigger, parse.LockTablesPriv: model.PrivLockTables,
	parse.CreateTMPTablePriv: model.PrivCreateTemporary, parse.EventPriv: model.PrivEvent, parse.CreateRoutinePriv: model.PrivCreateRoutine,
	parse.AlterRoutinePriv: model.PrivAlterRoutine, parse.ExecutePriv: model.PrivExecute, parse.ProcessPriv: model.PrivProcess,
	parse.ReloadPriv: model.PrivReload, parse.ShowDBPriv: model.PrivShowDatabases, parse.CreateUserPriv: model.PrivCreateUser,
	parse.SuperPriv: model.PrivSuper, parse.FilePriv: model.PrivFile, parse.ShutdownPriv: model.PrivShutdown,
	parse.ReplicationClientPriv: model.PrivReplicationClient, parse.ReplicationSlavePriv: model.PrivReplicationSlave,
	parse.CreateTablespacePriv: model.PrivCreateTablespace, parse.CreateRolePriv: model.PrivCreateRole, parse.DropRolePriv: model.PrivDropRole,
	parse.GrantPriv: model.PrivGrant,
}

// Clause is what GRANT and REVOKE say alike: privileges at a level.
type Clause struct {
	Privileges []*parse.PrivElem
	Object     parse.ObjectTypeType
	Level      *parse.GrantLevel
	DB         string // of the session
}

// Grant reads a clause. What Stele does not have, and what cannot be granted at the level, is refused.
func (c Clause) Grant() (model.Grant, error) {
	g, err := c.level()
	if err != nil {
		return g, err
	}
	allowed := Level(g.Database, g.Table)
	for _, p := range c.Privileges {
		switch bit, ok := parsed[p.Priv]; {
		case len(p.Cols) > 0:
			return g, sqltypes.NotSupported("privileges on columns")
		case p.Priv == parse.AllPriv:
			g.Privileges |= allowed
		case !ok:
			return g, sqltypes.NotSupported("the privilege " + p.Name)
		case bit&^(allowed|model.PrivGrant) == 0:
			g.Privileges |= bit
		case g.Table == "":
			return g, sqltypes.Errorf(errno.WrongUsage, "Incorrect usage of DB GRANT and GLOBAL PRIVILEGES")
		default:
			return g, sqltypes.Errorf(errno.IllegalGrantForTable, "Illegal GRANT/REVOKE command; please consult the manual to see which privileges can be used")
		}
	}
	return g, nil
}

func (c Clause) level() (model.Grant, error) {
	if c.Object != parse.ObjectTypeNone && c.Object != parse.ObjectTypeTable {
		return model.Grant{}, sqltypes.NotSupported("privileges on functions and procedures")
	}
	if c.Level.Level == parse.GrantLevelGlobal {
		return model.Grant{}, nil
	}
	g := model.Grant{Database: c.Level.DBName, Table: c.Level.TableName}
	if g.Database == "" {
		g.Database = c.DB
	}
	if g.Database == "" {
		return g, sqltypes.Errorf(errno.NoDatabase, "No database selected")
	}
	return g, nil
}

// TakesAll reports whether a REVOKE is REVOKE ALL PRIVILEGES, GRANT OPTION, which takes what an account has at every level.
func (c Clause) TakesAll() bool {
	all, grant := false, false
	for _, p := range c.Privileges {
		all, grant = all || p.Priv == parse.AllPriv, grant || p.Priv == parse.GrantPriv
	}
	return all && grant && c.Level.Level == parse.GrantLevelGlobal
}
