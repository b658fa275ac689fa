// Package mysql answers what MySQL's clients ask of a server about itself: the SHOWs of MySQL's grammar, and the tables of information_schema,
// performance_schema and mysql. An account is shown what it may know of. Nothing is changed here, and nothing is known of StarRocks' words.
package mysql

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"stele/fe/stmt"
	"stele/meta/types"
	"stele/sql/define"
	"stele/sql/errno"
	"stele/sql/parse"
	"stele/sql/syntax"
	sqltypes "stele/sql/types"
)

// showFunc answers one kind of MySQL's SHOW; LIKE and WHERE are put in afterwards.
type showFunc func(e *stmt.Env, n *parse.ShowStmt) (stmt.Result, error)

// shows are the kinds of SHOW that MySQL's grammar has and Stele answers.
var shows = map[parse.ShowStmtType]showFunc{
	parse.ShowDatabases:       showDatabases,
	parse.ShowTables:          showTables,
	parse.ShowTableStatus:     showTableStatus,
	parse.ShowColumns:         showColumns,
	parse.ShowCreateDatabase:  showCreateDatabase,
	parse.ShowCreateTable:     showCreateTable,
	parse.ShowCreateView:      showCreateView,
	parse.ShowIndex:           showIndex,
	parse.ShowVariables:       showVariables,
	parse.ShowStatus:          showStatus,
	parse.ShowWarnings:        showWarnings,
	parse.ShowErrors:          showWarnings,
	parse.ShowProcessList:     showProcessList,
	parse.ShowGrants:          showGrants,
	parse.ShowCreateUser:      showCreateUser,
	parse.ShowEngines:         constant("Engine Support Comment Transactions XA Savepoints", engineRows),
	parse.ShowCharset:         constant("Charset Description Default~collation Maxlen#", charsetRows),
	parse.ShowCollation:       constant("Collation Charset Id# Default Compiled Sortlen# Pad_attribute", collationRows),
	parse.ShowPrivileges:      constant("Privilege Context Comment", privilegeRows()),
	parse.ShowPlugins:         constant("Name Status Type Library License", pluginRows),
	parse.ShowOpenTables:      showOpenTables,
	parse.ShowEvents:          constant(eventColumns, nil),
	parse.ShowTriggers:        constant(triggerColumns, nil),
	parse.ShowProcedureStatus: constant(routineColumns, nil),
	parse.ShowFunctionStatus:  constant(routineColumns, nil),
	parse.ShowMasterStatus:    constant("File Position# Binlog_Do_DB Binlog_Ignore_DB Executed_Gtid_Set", nil), // no binary log
	parse.ShowReplicaStatus:   constant(replicaOfColumns, nil),
	parse.ShowProfiles:        constant("Query_ID# Duration Query", nil),
}

const (
	eventColumns = "Db Name Definer Time~zone Type Execute~at Interval~value Interval~field Starts Ends Status Originator# " +
		"character_set_client collation_connection Database~Collation"
	triggerColumns = "Trigger Event Table Statement Timing Created sql_mode Definer character_set_client collation_connection Database~Collation"
	// replicaOfColumns describe the server that a MySQL server copies from; an FE copies from none.
	replicaOfColumns = "Replica_IO_State Source_Host Source_User Source_Port# Connect_Retry# Source_Log_File Read_Source_Log_Pos# Relay_Log_File " +
		"Relay_Log_Pos# Relay_Source_Log_File Replica_IO_Running Replica_SQL_Running Replicate_Do_DB Replicate_Ignore_DB Replicate_Do_Table " +
		"Replicate_Ignore_Table Replicate_Wild_Do_Table Replicate_Wild_Ignore_Table Last_Errno# Last_Error Skip_Counter# Exec_Source_Log_Pos# " +
		"Relay_Log_Space# Until_Condition Until_Log_File Until_Log_Pos# Source_SSL_Allowed Seconds_Behind_Source# Last_IO_Errno# Last_IO_Error " +
		"Last_SQL_Errno# Last_SQL_Error Source_Server_Id# Source_UUID SQL_Delay# Replica_SQL_Running_State Retrieved_Gtid_Set Executed_Gtid_Set " +
		"Auto_Position# Channel_Name"
	routineColumns = "Db Name Type Definer Modified Created Security_type Comment character_set_client collation_connection Database~Collation"
)

// Show answers a SHOW or DESCRIBE of MySQL's grammar. What there is not is refused by name.
func Show(_ context.Context, e *stmt.Env, n *parse.ShowStmt) (stmt.Result, error) {
	show, ok := shows[n.Tp]
	if !ok {
		text, err := parse.Restore(n)
		if err != nil {
			return stmt.Result{}, fmt.Errorf("print an unsupported SHOW: %w", err)
		}
		return stmt.Result{}, stmt.NotSupported(text)
	}
	r, err := show(e, n)
	if err != nil {
		return stmt.Result{}, err
	}
	if r.Filter, err = showFilter(n); err != nil {
		return stmt.Result{}, err
	}
	column := "" // the first one
	if n.Tp == parse.ShowOpenTables {
		column = "Table"
	}
	return r.Like(column), nil
}

// limitNumber is a number of a LIMIT as text, "0" = it is not there.
func limitNumber(n parse.ExprNode) string {
	if l, ok := n.(*parse.Literal); ok {
		return strconv.FormatInt(l.Int, 10)
	}
	return "0"
}

// showFilter reads LIKE, WHERE and LIMIT.
func showFilter(n *parse.ShowStmt) (stmt.Filter, error) {
	var f stmt.Filter
	if n.Pattern != nil {
		lit, ok := n.Pattern.Pattern.(*parse.Literal)
		if !ok {
			return f, sqltypes.Errorf(errno.Syntax, "You have an error in your SQL syntax: LIKE takes a string here")
		}
		f.Like, f.IsLike = lit.Str, true
	}
	if n.Where != nil {
		text, err := parse.Restore(n.Where)
		if err != nil {
			return f, fmt.Errorf("print the condition of a SHOW: %w", err)
		}
		f.Where = text
	}
	if l := n.Limit; l != nil {
		count, offset := limitNumber(l.Count), limitNumber(l.Offset)
		f.Limit = offset + ", " + count
	}
	return f, nil
}

// constant answers rows that do not change.
func constant(names string, rows []stmt.Row) showFunc {
	columns := stmt.Plain(names)
	return func(*stmt.Env, *parse.ShowStmt) (stmt.Result, error) {
		return stmt.Result{Columns: columns, Rows: slices.Clone(rows)}, nil
	}
}

// showDatabases leaves out stele, and mysql if it is made up: tools that dump all databases go by this list, pass over what MySQL makes up,
// and would have the others made when the dump is loaded. information_schema.SCHEMATA has them.
func showDatabases(e *stmt.Env, n *parse.ShowStmt) (stmt.Result, error) {
	r := stmt.Result{Columns: stmt.Plain("Database")}
	r.Columns[0].Name += likeSuffix(n)
	for _, name := range databaseNames(e) {
		if name != stmt.SteleDB && (name != stmt.MySQLDB || !stmt.MadeUp(e.Catalog, name)) {
			r.Rows = append(r.Rows, stmt.Row{name})
		}
	}
	return r, nil
}

// likeSuffix is how MySQL has the pattern of a SHOW in the name of its column.
func likeSuffix(n *parse.ShowStmt) string {
	if f, err := showFilter(n); err == nil && f.IsLike {
		return " (" + f.Like + ")"
	}
	return ""
}

func showTables(e *stmt.Env, n *parse.ShowStmt) (stmt.Result, error) {
	db, err := schemaDatabase(e, n.DBName)
	if err != nil {
		return stmt.Result{}, err
	}
	r := stmt.Result{Columns: stmt.Plain("Tables_in_x")}
	r.Columns[0].Name = "Tables_in_" + db + likeSuffix(n)
	if n.Full {
		r.Columns = append(r.Columns, stmt.Plain("Table_type")...)
	}
	for t := range schemaTablesOf(e, db) {
		row := stmt.Row{t.name}
		if n.Full {
			row = append(row, t.kind)
		}
		r.Rows = append(r.Rows, row)
	}
	return r, nil
}

var tableStatusColumns = func() []stmt.Column {
	columns := stmt.Plain("Name Engine Version# Row_format Rows# Avg_row_length# Data_length# Max_data_length# Index_length# Data_free# " +
		"Auto_increment# Create_time Update_time Check_time Collation Checksum# Create_options Comment")
	for i := range columns {
		if strings.HasSuffix(columns[i].Name, "_time") {
			columns[i].Type = stmt.ColumnKinds["time"]
		}
	}
	return columns
}()

func showTableStatus(e *stmt.Env, n *parse.ShowStmt) (stmt.Result, error) {
	db, err := schemaDatabase(e, n.DBName)
	if err != nil {
		return stmt.Result{}, err
	}
	r := stmt.Result{Columns: tableStatusColumns}
	for t := range schemaTablesOf(e, db) {
		f := t.facts(e)
		r.Rows = append(r.Rows, stmt.Row{t.name, f.engine, f.version, f.format, f.rows, f.avgRow, f.data, f.none(), f.none(), f.none(), f.auto, f.created, nil, nil,
			f.coll, nil, f.options, f.comment})
	}
	return r, nil
}

// tableOf finds the table that a SHOW names, in the database that it names or the session's.
func tableOf(e *stmt.Env, n *parse.ShowStmt) (schemaTable, error) {
	db := n.Table.Schema.O
	if db == "" {
		db = n.DBName
	}
	return findTable(e, db, n.Table.Name.O)
}

func showColumns(e *stmt.Env, n *parse.ShowStmt) (stmt.Result, error) {
	t, err := tableOf(e, n)
	if err != nil {
		return stmt.Result{}, err
	}
	r := stmt.Result{Columns: stmt.Plain("Field Type Null Key Default Extra")}
	if n.Full {
		r.Columns = stmt.Plain("Field Type Collation Null Key Default Extra Privileges Comment")
	}
	columns, err := t.columns(e)
	if err != nil {
		return stmt.Result{}, err
	}
	for i := range columns {
		c := &columns[i]
		if n.Column != nil && !strings.EqualFold(c.Name, n.Column.Name.O) {
			continue
		}
		if !n.Full {
			r.Rows = append(r.Rows, stmt.Row{c.Name, stmt.TypeText(c.Type, c.Shown), nullable(c), t.key(c), stmt.ColumnDefault(c), stmt.ColumnExtra(c)})
			continue
		}
		r.Rows = append(r.Rows, stmt.Row{c.Name, stmt.TypeText(c.Type, c.Shown), textCollation(c), nullable(c), t.key(c), stmt.ColumnDefault(c),
			stmt.ColumnExtra(c), columnPrivileges, c.Comment})
	}
	return r, nil
}

const columnPrivileges = "select,insert,update,references"

func showCreateDatabase(e *stmt.Env, n *parse.ShowStmt) (stmt.Result, error) {
	name, err := schemaDatabase(e, n.DBName)
	if err != nil {
		return stmt.Result{}, err
	}
	ifNot, c := "", collationOf(e, name)
	if n.IfNotExists {
		ifNot = "/*!32312 IF NOT EXISTS*/ "
	}
	text := fmt.Sprintf("CREATE DATABASE %s%s /*!40100 DEFAULT CHARACTER SET %s COLLATE %s */", ifNot, syntax.QuoteName(name), c.Charset(), c)
	if db, ok := e.Catalog.Database(name); ok && db.Replicas != 0 { // other servers pass over it
		text += fmt.Sprintf(" /*!99999 REPLICA %d */", db.Replicas)
	}
	return stmt.Result{Columns: stmt.Plain("Database Create~Database"), Rows: []stmt.Row{{name, text}}}, nil
}

func showCreateTable(e *stmt.Env, n *parse.ShowStmt) (stmt.Result, error) {
	t, err := tableOf(e, n)
	if err != nil {
		return stmt.Result{}, err
	}
	text := ""
	switch {
	case t.view != nil:
		return createView(e, t)
	case t.table == nil:
		text = createSystem(t.system)
	case e.CreateTable == nil:
		return stmt.Result{}, stmt.NotSupported("SHOW CREATE TABLE")
	default:
		text = e.CreateTable(e.Catalog, t.table)
	}
	columns := stmt.Plain("Table Create~Table")
	columns[1].Type = types.ColumnType{Kind: types.KindText, Length: 1<<31 - 1}
	return stmt.Result{Columns: columns, Rows: []stmt.Row{{t.name, text}}}, nil
}

// createSystem prints a system table as MySQL does those of information_schema.
func createSystem(t *stmt.Table) string {
	lines := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		lines[i] = "  " + syntax.QuoteName(c.Name) + " " + stmt.TypeText(c.Type, "")
	}
	return "CREATE TEMPORARY TABLE " + syntax.QuoteName(t.Name) + " (\n" + strings.Join(lines, ",\n") + "\n)"
}

func showIndex(e *stmt.Env, n *parse.ShowStmt) (stmt.Result, error) {
	t, err := tableOf(e, n)
	if err != nil {
		return stmt.Result{}, err
	}
	r := stmt.Result{Columns: stmt.Plain("Table Non_unique# Key_name Seq_in_index# Column_name Collation Cardinality# Sub_part# Packed Null Index_type " +
		"Comment Index_comment Visible Expression")}
	for _, k := range t.indexParts(e) {
		r.Rows = append(r.Rows, stmt.Row{t.name, k.nonUnique, k.index, k.seq, k.column, k.order, k.cardinality, k.prefix, nil, k.null, k.kind, "", "", "YES", nil})
	}
	return r, nil
}

// indexPart is one column of an index.
type indexPart struct {
	index, column, null string
	nonUnique, seq      int
	kind                string // BTREE, FULLTEXT
	order, cardinality  any    // NULL of a FULLTEXT key
	prefix              any    // its length, nil = all of the column
}

// indexParts lists the indexes of a table column by column.
func (t schemaTable) indexParts(e *stmt.Env) []indexPart {
	if t.table == nil {
		return nil
	}
	rows := stmt.TableSize(e, t.table).Rows
	var out []indexPart
	for _, k := range indexesOf(t.table) {
		for i, id := range k.columns {
			at := t.table.Schema.ColumnIndex(id)
			if at < 0 {
				continue
			}
			c := &t.table.Schema.Columns[at]
			p := indexPart{index: k.name, column: c.Name, seq: i + 1, kind: "BTREE", order: "A", cardinality: rows}
			if k.fullText {
				p.kind, p.order, p.cardinality = "FULLTEXT", nil, nil
			}
			if !k.unique {
				p.nonUnique = 1
			}
			if n := k.prefix(i); n > 0 {
				p.prefix = int64(n)
			}
			if !c.Type.NotNull {
				p.null = "YES"
			}
			out = append(out, p)
		}
	}
	return out
}

func variableRows(vars []stmt.Variable) []stmt.Row {
	rows := make([]stmt.Row, len(vars))
	for i, v := range vars {
		rows[i] = stmt.Row{v.Name, v.Value}
	}
	slices.SortStableFunc(rows, func(a, b stmt.Row) int { return strings.Compare(a[0].(string), b[0].(string)) })
	return rows
}

func showVariables(e *stmt.Env, n *parse.ShowStmt) (stmt.Result, error) {
	vars := e.Variables
	if n.GlobalScope && e.Globals != nil {
		vars = e.Globals()
	}
	return stmt.Result{Columns: stmt.Plain("Variable_name Value"), Rows: variableRows(vars)}, nil
}

func showStatus(e *stmt.Env, _ *parse.ShowStmt) (stmt.Result, error) {
	var vars []stmt.Variable
	if e.Status != nil {
		vars = e.Status()
	}
	return stmt.Result{Columns: stmt.Plain("Variable_name Value"), Rows: variableRows(vars)}, nil
}

func showWarnings(e *stmt.Env, n *parse.ShowStmt) (stmt.Result, error) {
	r := stmt.Result{Columns: stmt.Plain("Level Code# Message")}
	for _, w := range e.Warnings {
		if n.Tp == parse.ShowWarnings || strings.EqualFold(w.Level, "Error") {
			r.Rows = append(r.Rows, stmt.Row{w.Level, w.Code, w.Message})
		}
	}
	if n.CountWarningsOrErrors {
		name, count := "@@session.warning_count#", e.WarningCount
		if n.Tp == parse.ShowErrors {
			name, count = "@@session.error_count#", len(r.Rows)
		}
		return stmt.Result{Columns: stmt.Plain(name), Rows: []stmt.Row{{count}}}, nil
	}
	return r, nil
}

// processTextMax is how much of a statement SHOW PROCESSLIST prints without FULL.
const processTextMax = 100

func showProcessList(e *stmt.Env, n *parse.ShowStmt) (stmt.Result, error) {
	limit := processTextMax
	if n.Full {
		limit = 1 << 30
	}
	return stmt.Result{Columns: stmt.Plain("Id# User Host db Command Time# State Info"), Rows: processRows(e, limit)}, nil
}

// processRows are the sessions by id, their statements cut to limit characters.
func processRows(e *stmt.Env, limit int) []stmt.Row {
	if e.Processes == nil {
		return nil
	}
	list := e.OwnProcesses()
	slices.SortFunc(list, func(a, b stmt.Process) int { return int(int64(a.ID) - int64(b.ID)) })
	rows := make([]stmt.Row, len(list))
	for i, p := range list {
		var db, info any
		if p.DB != "" {
			db = p.DB
		}
		state := ""
		if p.Text != "" {
			text := []rune(p.Text)
			info, state = string(text[:min(len(text), limit)]), "executing"
		}
		rows[i] = stmt.Row{p.ID, p.User, p.Host, db, p.Command, int64(max(e.Now.Sub(p.Since), 0).Seconds()), state, info}
	}
	return rows
}

// Rows that do not change.
var (
	engineRows = []stmt.Row{{define.EngineName, "DEFAULT", "The name by which tools know an engine with transactions; it is Stele's", "YES", "NO", "NO"}}
	pluginRows = []stmt.Row{
		{"mysql_native_password", "ACTIVE", "AUTHENTICATION", nil, "Apache"},
		{"caching_sha2_password", "ACTIVE", "AUTHENTICATION", nil, "Apache"},
		{define.EngineName, "ACTIVE", "STORAGE ENGINE", nil, "Apache"},
	}
	charsetRows   = []stmt.Row{{"utf8mb4", "UTF-8 Unicode", "utf8mb4_bin", 4}, {"binary", "Binary pseudo charset", "binary", 1}}
	collationRows = func() []stmt.Row {
		out := []stmt.Row{{"binary", "binary", 63, "Yes", "Yes", 1, "NO PAD"}}
		for _, c := range types.Collations() {
			isDefault, pad := "", "PAD SPACE"
			if c == types.CollationBinary {
				isDefault = "Yes"
			}
			if c.NoPad() {
				pad = "NO PAD"
			}
			out = append(out, stmt.Row{c.String(), c.Charset(), c.ID(), isDefault, "Yes", 1, pad})
		}
		return out
	}()
)
