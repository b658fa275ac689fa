package mysql

import (
	"context"
	"slices"
	"strings"

	"stele/fe/account"
	"stele/fe/stmt"
	"stele/meta/model"
)

// Tables of the database mysql that tools read: who manages accounts by hand or copies them to another server looks there rather than at
// SHOW GRANTS. They are made from the accounts and cannot be written: that is what CREATE USER and GRANT are for.

// privColumn is a column that says Y or N of a privilege.
type privColumn struct {
	name string
	bit  model.Privilege
}

// The columns of MySQL, in its order.
var (
	userPrivs = []privColumn{{"Select_priv", model.PrivSelect}, {"Insert_priv", model.PrivInsert}, {"Update_priv", model.PrivUpdate},
		{"Delete_priv", model.PrivDelete}, {"Create_priv", model.PrivCreate}, {"Drop_priv", model.PrivDrop}, {"Reload_priv", model.PrivReload},
		{"Shutdown_priv", model.PrivShutdown}, {"Process_priv", model.PrivProcess}, {"File_priv", model.PrivFile}, {"Grant_priv", model.PrivGrant},
		{"References_priv", model.PrivReferences}, {"Index_priv", model.PrivIndex}, {"Alter_priv", model.PrivAlter}, {"Show_db_priv", model.PrivShowDatabases},
		{"Super_priv", model.PrivSuper}, {"Create_tmp_table_priv", model.PrivCreateTemporary}, {"Lock_tables_priv", model.PrivLockTables},
		{"Execute_priv", model.PrivExecute}, {"Repl_slave_priv", model.PrivReplicationSlave}, {"Repl_client_priv", model.PrivReplicationClient},
		{"Create_view_priv", model.PrivCreateView}, {"Show_view_priv", model.PrivShowView}, {"Create_routine_priv", model.PrivCreateRoutine},
		{"Alter_routine_priv", model.PrivAlterRoutine}, {"Create_user_priv", model.PrivCreateUser}, {"Event_priv", model.PrivEvent},
		{"Trigger_priv", model.PrivTrigger}, {"Create_tablespace_priv", model.PrivCreateTablespace}, {"Create_role_priv", model.PrivCreateRole},
		{"Drop_role_priv", model.PrivDropRole}}
	dbPrivs = []privColumn{{"Select_priv", model.PrivSelect}, {"Insert_priv", model.PrivInsert}, {"Update_priv", model.PrivUpdate},
		{"Delete_priv", model.PrivDelete}, {"Create_priv", model.PrivCreate}, {"Drop_priv", model.PrivDrop}, {"Grant_priv", model.PrivGrant},
		{"References_priv", model.PrivReferences}, {"Index_priv", model.PrivIndex}, {"Alter_priv", model.PrivAlter},
		{"Create_tmp_table_priv", model.PrivCreateTemporary}, {"Lock_tables_priv", model.PrivLockTables}, {"Create_view_priv", model.PrivCreateView},
		{"Show_view_priv", model.PrivShowView}, {"Create_routine_priv", model.PrivCreateRoutine}, {"Alter_routine_priv", model.PrivAlterRoutine},
		{"Execute_priv", model.PrivExecute}, {"Event_priv", model.PrivEvent}, {"Trigger_priv", model.PrivTrigger}}
)

func privColumns(privs []privColumn) (out []stmt.Column) {
	for _, p := range privs {
		out = append(out, stmt.Plain(p.name)...)
	}
	return out
}

func yOrN(yes bool) string {
	if yes {
		return "Y"
	}
	return "N"
}

func privRow(privs []privColumn, have model.Privilege) (out stmt.Row) {
	for _, p := range privs {
		out = append(out, yOrN(have&p.bit != 0))
	}
	return out
}

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.MySQLDB, Name: "user", Local: true, Doc: "The accounts, and what they may do everywhere.",
	Columns: stmt.Concat(stmt.Plain("Host User"), privColumns(userPrivs), stmt.Plain("ssl_type ssl_cipher x509_issuer x509_subject max_questions# max_updates# max_connections# "+
		"max_user_connections# plugin authentication_string password_expired password_last_changed password_lifetime# account_locked "+
		"Password_reuse_history# Password_reuse_time# Password_require_current User_attributes is_role default_role")),
	Rows: func(_ context.Context, e *stmt.Env) ([]stmt.Row, error) {
		var rows []stmt.Row
		for _, u := range knownAccounts(e) {
			var global model.Privilege
			for _, g := range u.Grants {
				if g.Database == "" {
					global = g.Privileges
				}
			}
			ssl := ""
			if u.RequireTLS {
				ssl = "ANY"
			}
			rows = append(rows, slices.Concat(stmt.Row{u.Host, u.Name}, privRow(userPrivs, global), stmt.Row{ssl, "", "", "", 0, 0, 0, 0,
				u.Plugin, string(u.Auth), "N", nil, nil, yOrN(u.Locked), nil, nil, nil, nil, "N", ""}))
		}
		return rows, nil
	}})

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.MySQLDB, Name: "db", Local: true, Doc: "What accounts may do in databases.",
	Columns: stmt.Concat(stmt.Plain("Host Db User"), privColumns(dbPrivs)),
	Rows: func(_ context.Context, e *stmt.Env) ([]stmt.Row, error) {
		var rows []stmt.Row
		for _, u := range knownAccounts(e) {
			for _, g := range u.Grants {
				if g.Database != "" && g.Table == "" {
					rows = append(rows, slices.Concat(stmt.Row{u.Host, g.Database, u.Name}, privRow(dbPrivs, g.Privileges)))
				}
			}
		}
		return rows, nil
	}})

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.MySQLDB, Name: "tables_priv", Local: true, Doc: "What accounts may do with tables.",
	Columns: stmt.Plain("Host Db User Table_name Grantor Timestamp Table_priv Column_priv"),
	Rows: func(_ context.Context, e *stmt.Env) ([]stmt.Row, error) {
		var rows []stmt.Row
		for _, u := range knownAccounts(e) {
			for _, g := range u.Grants {
				if g.Table != "" {
					rows = append(rows, stmt.Row{u.Host, g.Database, u.Name, g.Table, "", nil, tablePriv(g.Privileges), ""})
				}
			}
		}
		return rows, nil
	}})

// tablePriv spells privileges as the set of mysql.tables_priv does.
func tablePriv(set model.Privilege) string {
	names := account.Names(set &^ model.PrivGrant)
	if set&model.PrivGrant != 0 {
		names = append(names, "GRANT")
	}
	for i, n := range names {
		words := strings.Fields(strings.ToLower(n))
		for j, w := range words {
			words[j] = strings.ToUpper(w[:1]) + w[1:]
		}
		names[i] = strings.Join(words, " ")
	}
	return strings.Join(names, ",")
}

var _ = registerEmpty(stmt.MySQLDB, map[string]string{
	"columns_priv":  "Host Db User Table_name Column_name Timestamp Column_priv",
	"procs_priv":    "Host Db User Routine_name Routine_type Grantor Proc_priv Timestamp",
	"proxies_priv":  "Host User Proxied_host Proxied_user With_grant# Grantor Timestamp",
	"roles_mapping": "Host User Role Admin_option",
	"global_grants": "USER HOST PRIV WITH_GRANT_OPTION",
	"func":          "name ret# dl type",
	"plugin":        "name dl",
	"component":     "component_id# component_group_id# component_urn",
	"servers":       "Server_name Host Db Username Password Port# Socket Wrapper Owner",
})
