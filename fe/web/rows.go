package web

import (
	"database/sql"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// table is what a table holds. A value is null, a number, or a string; a number that a browser could not tell from its neighbours is a
// string as well.
type table struct {
	Columns   []column `json:"columns"`
	Rows      [][]any  `json:"rows"`
	Truncated bool     `json:"truncated"` // there are more rows
}

type column struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// read takes in limit rows.
func read(rows *sql.Rows, limit int) (*table, error) {
	types, err := rows.ColumnTypes()
	if err != nil {
		return nil, err
	}
	out := &table{Rows: [][]any{}}
	for _, t := range types {
		out.Columns = append(out.Columns, column{t.Name(), strings.ToLower(t.DatabaseTypeName())})
	}
	raw, into := make([]sql.RawBytes, len(types)), make([]any, len(types))
	for i := range raw {
		into[i] = &raw[i]
	}
	for rows.Next() {
		if len(out.Rows) == limit {
			out.Truncated = true
			break
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		row := make([]any, len(raw))
		for i, b := range raw {
			row[i] = value(b, out.Columns[i].Type)
		}
		out.Rows = append(out.Rows, row)
	}
	return out, rows.Err()
}

// exactDigits of an integer fit a double whatever they are.
const exactDigits = 15

// value is a text of the MySQL protocol in JSON.
func value(b sql.RawBytes, kind string) any {
	if b == nil {
		return nil
	}
	text := string(b)
	switch {
	case strings.HasSuffix(kind, "int") || strings.HasPrefix(kind, "unsigned "):
		if len(strings.TrimPrefix(text, "-")) <= exactDigits && json.Valid(b) {
			return json.Number(text)
		}
	case kind == "double" || kind == "float":
		if json.Valid(b) {
			return json.Number(text)
		}
	}
	if !utf8.ValidString(text) {
		return strings.ToValidUTF8(text, "\uFFFD")
	}
	return text
}
