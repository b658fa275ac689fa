package stmt

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"time"

	"stele/meta/types"
)

// WriteJSON writes a table as the web console reads it: {"columns": [{"name", "type", "doc"}], "rows": [[…]]}. Numbers are
// numbers unless they are too large for JavaScript to hold exactly; times are text in the session's zone; NULL is null.
func WriteJSON(w io.Writer, columns []Column, rows []Row) error {
	type column struct {
		Name string `json:"name"`
		Type string `json:"type"`
		Doc  string `json:"doc,omitempty"`
	}
	out := struct {
		Columns []column `json:"columns"`
		Rows    [][]any  `json:"rows"`
	}{Columns: []column{}, Rows: make([][]any, len(rows))}
	for _, c := range columns {
		out.Columns = append(out.Columns, column{Name: c.Name, Type: TypeText(c.Type, ""), Doc: c.Doc})
	}
	for i, row := range rows {
		if len(row) != len(columns) {
			panic(fmt.Sprintf("BUG: row of %d values for %d columns", len(row), len(columns)))
		}
		out.Rows[i] = make([]any, len(row))
		for j, v := range row {
			out.Rows[i][j] = jsonCell(columns[j], v)
		}
	}
	if err := json.NewEncoder(w).Encode(out); err != nil {
		return fmt.Errorf("write %d rows as JSON: %w", len(rows), err)
	}
	return nil
}

// exactMax is the largest integer up to which a float64 holds each one.
const exactMax = 1 << 53

func jsonCell(c Column, v any) any {
	if v == nil {
		return nil
	}
	if _, isTime := v.(time.Time); isTime || c.Type.Phys() == types.PhysBytes {
		return cellText(v)
	}
	if f, ok := v.(float64); ok {
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return cellText(v)
		}
		return f
	}
	n, ok := cellInt(v)
	if !ok {
		panic(fmt.Sprintf("BUG: %T in column %s", v, c.Name))
	}
	if n > exactMax || n < -exactMax {
		return cellText(v)
	}
	return n
}
