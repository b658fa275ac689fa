package account

import "stele/meta/model"

// privilege describes one privilege.
type privilege struct {
	bit     model.Privilege
	name    string // as in GRANT
	context string // as in SHOW PRIVILEGES
	doc     string
}

// privileges are those of MySQL, in the order in which SHOW GRANTS lists them.
var privileges = []privilege{
	{model.PrivSelect, "SELECT", "Tables", "To read rows of tables"},
	{model.PrivInsert, "INSERT", "Tables", "To insert rows into tables"},
	{model.PrivUpdate, "UPDATE", "Tables", "To change rows of tables"},
	{model.PrivDelete, "DELETE", "Tables", "To delete rows of tables"},
	{model.PrivCreate, "CREATE", "Databases,Tables,Indexes", "To create databases and tables"},
	{model.PrivDrop, "DROP", "Databases,Tables", "To drop databases and tables, and to truncate tables"},
	{model.PrivReload, "RELOAD", "Server Admin", "To say FLUSH"},
	{model.PrivShutdown, "SHUTDOWN", "Server Admin", "Allows nothing here"},
	{model.PrivProcess, "PROCESS", "Server Admin", "To see the sessions of others, and the state of the cluster"},
	{model.PrivFile, "FILE", "File access on server", "Allows nothing here: the files of the server are nobody's"},
	{model.PrivReferences, "REFERENCES", "Databases,Tables", "Allows foreign keys that refer to a table"},
	{model.PrivIndex, "INDEX", "Tables", "To create and drop indexes"},
	{model.PrivAlter, "ALTER", "Tables", "To alter tables"},
	{model.PrivShowDatabases, "SHOW DATABASES", "Server Admin", "To see the names of all databases"},
	{model.PrivSuper, "SUPER", "Server Admin", "To change the cluster: ADMIN, ALTER SYSTEM, KILL of others"},
	{model.PrivCreateTemporary, "CREATE TEMPORARY TABLES", "Databases", "To create temporary tables"},
	{model.PrivLockTables, "LOCK TABLES", "Databases", "To say LOCK TABLES"},
	{model.PrivExecute, "EXECUTE", "Functions,Procedures", "Allows nothing here"},
	{model.PrivReplicationSlave, "REPLICATION SLAVE", "Server Admin", "Allows nothing here"},
	{model.PrivReplicationClient, "REPLICATION CLIENT", "Server Admin", "Allows nothing here"},
	{model.PrivCreateView, "CREATE VIEW", "Tables", "To create and alter views"},
	{model.PrivShowView, "SHOW VIEW", "Tables", "To see the queries of views, and their plans"},
	{model.PrivCreateRoutine, "CREATE ROUTINE", "Databases", "Allows nothing here"},
	{model.PrivAlterRoutine, "ALTER ROUTINE", "Functions,Procedures", "Allows nothing here"},
	{model.PrivCreateUser, "CREATE USER", "Server Admin", "To create, alter and drop accounts"},
	{model.PrivEvent, "EVENT", "Server Admin", "Allows nothing here"},
	{model.PrivTrigger, "TRIGGER", "Tables", "Allows nothing here"},
	{model.PrivCreateTablespace, "CREATE TABLESPACE", "Server Admin", "Allows nothing here"},
	{model.PrivCreateRole, "CREATE ROLE", "Server Admin", "To create roles"},
	{model.PrivDropRole, "DROP ROLE", "Server Admin", "To drop roles"},
	{model.PrivGrant, "GRANT OPTION", "Databases,Tables", "To give others the privileges that one has at the same level"},
}

// What may be granted at each level, GRANT OPTION aside.
const (
	tablePrivileges = model.PrivSelect | model.PrivInsert | model.PrivUpdate | model.PrivDelete | model.PrivCreate | model.PrivDrop | model.PrivAlter |
		model.PrivIndex | model.PrivReferences | model.PrivCreateView | model.PrivShowView | model.PrivTrigger
	databasePrivileges = tablePrivileges | model.PrivLockTables | model.PrivCreateTemporary | model.PrivEvent | model.PrivCreateRoutine |
		model.PrivAlterRoutine | model.PrivExecute
)

// Level returns the privileges that can be granted on *.*, on a database (table "") or on a table, without GRANT OPTION.
func Level(database, table string) model.Privilege {
	switch {
	case database == "":
		return model.PrivAll &^ model.PrivGrant
	case table == "":
		return databasePrivileges
	}
	return tablePrivileges
}

// Names lists the privileges of a set.
func Names(set model.Privilege) []string {
	var out []string
	for _, p := range privileges {
		if set&p.bit != 0 {
			out = append(out, p.name)
		}
	}
	return out
}

// Described is a row of SHOW PRIVILEGES.
type Described struct{ Name, Context, Doc string }

// Describe lists all privileges.
func Describe() []Described {
	out := make([]Described, len(privileges))
	for i, p := range privileges {
		out[i] = Described{p.name, p.context, p.doc}
	}
	return append(out, Described{"USAGE", "Server Admin", "No privileges: to connect only"})
}
