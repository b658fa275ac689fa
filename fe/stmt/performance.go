package stmt

import "context"

// Tables of performance_schema: variables and counters, for tools that read them there rather than by SHOW. What else
// MySQL has in that database, waits and stages, is not counted.

func variableColumns() []Column {
	return cols(`
		VARIABLE_NAME  name Name.
		VARIABLE_VALUE text Value.
	`)
}

var _ = registerTable(Table{Database: performanceDB, Name: "session_variables", Local: true, Doc: "SHOW SESSION VARIABLES.", Columns: variableColumns(),
	Rows: func(_ context.Context, e *Env) ([]Row, error) { return variableRows(e.Variables), nil }})

var _ = registerTable(Table{Database: performanceDB, Name: "global_variables", Local: true, Doc: "SHOW GLOBAL VARIABLES.", Columns: variableColumns(),
	Rows: func(_ context.Context, e *Env) ([]Row, error) {
		if e.Globals == nil {
			return nil, nil
		}
		return variableRows(e.Globals()), nil
	}})

func init() {
	for _, name := range []string{"session_status", "global_status"} { // counters of an FE are one
		registerTable(Table{Database: performanceDB, Name: name, Local: true, Doc: "SHOW STATUS of this FE.", Columns: variableColumns(), Rows: statusRows})
	}
}

func statusRows(_ context.Context, e *Env) ([]Row, error) {
	if e.Status == nil {
		return nil, nil
	}
	return variableRows(e.Status()), nil
}
