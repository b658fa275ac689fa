package stmt

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"stele/meta/types"
	"stele/sql/vec"
)

// ColumnKinds are the words for a type in the text that Cols reads.
var ColumnKinds = map[string]types.ColumnType{
	"int":   {Kind: types.KindBigInt},
	"uint":  {Kind: types.KindBigInt, Unsigned: true},
	"float": {Kind: types.KindDouble},
	"text":  {Kind: types.KindVarChar, Length: 16383},
	"name":  {Kind: types.KindVarChar, Length: 64},
	"long":  {Kind: types.KindText, Length: 1<<31 - 1},
	"time":  {Kind: types.KindDateTime},
	"date":  {Kind: types.KindDate},
}

// Cols reads column declarations, one a line: name, type, and what the column tells. Numbers are typed as such, so
// that SELECT can compare and sum them.
func Cols(text string) []Column {
	var out []Column
	for line := range strings.SplitSeq(text, "\n") {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		name, rest, _ := strings.Cut(line, " ")
		kind, doc, _ := strings.Cut(strings.TrimSpace(rest), " ")
		typ, ok := ColumnKinds[kind]
		if !ok {
			panic("BUG: column declaration " + line)
		}
		out = append(out, Column{Name: strings.ReplaceAll(name, "~", " "), Type: typ, Doc: strings.TrimSpace(doc)})
	}
	return out
}

// Concat joins column lists.
func Concat(lists ...[]Column) []Column {
	var out []Column
	for _, l := range lists {
		out = append(out, l...)
	}
	return out
}

// Batches turns rows into batches of at most vec.MaxRows rows. A value that does not fit its column is a bug of the
// handler.
func Batches(columns []Column, rows []Row) []*vec.Batch {
	kinds := make([]types.ColumnType, len(columns))
	for i := range columns {
		kinds[i] = columns[i].Type
	}
	var out []*vec.Batch
	for len(rows) > 0 {
		n := min(len(rows), vec.MaxRows)
		b := vec.NewBuilder(kinds, n)
		for _, row := range rows[:n] {
			if len(row) != len(columns) {
				panic(fmt.Sprintf("BUG: row of %d values for %d columns", len(row), len(columns)))
			}
			for i, v := range row {
				appendCell(b.Cols[i], columns[i], v)
			}
		}
		out = append(out, b.Finish())
		rows = rows[n:]
	}
	return out
}

// appendCell appends one value to a column.
func appendCell(b *vec.ColumnBuilder, c Column, v any) {
	if v == nil {
		b.AppendNull()
		return
	}
	switch c.Type.Phys() {
	case types.PhysBytes:
		b.AppendString(CellText(v))
	case types.PhysFloat64:
		f, ok := v.(float64)
		if !ok {
			i, isInt := cellInt(v)
			if !isInt {
				panic(fmt.Sprintf("BUG: %T in column %s", v, c.Name))
			}
			f = float64(i)
		}
		b.AppendFloat(f)
	default:
		i, ok := cellInt(v)
		if !ok {
			panic(fmt.Sprintf("BUG: %T in column %s", v, c.Name))
		}
		if c.Type.Kind == types.KindDate {
			i /= int64(24 * time.Hour / time.Microsecond)
		}
		b.AppendInt(i)
	}
}

// CellText prints a value of a text column.
func CellText(v any) string {
	switch x := v.(type) {
	case string:
		return x
	case float64:
		return strconv.FormatFloat(x, 'f', -1, 64)
	case time.Time:
		return x.Format(time.DateTime)
	case fmt.Stringer:
		return x.String()
	}
	return fmt.Sprint(v)
}

// cellInt reads a value of an integer or time column.
func cellInt(v any) (int64, bool) {
	switch x := v.(type) {
	case int:
		return int64(x), true
	case int64:
		return x, true
	case int32:
		return int64(x), true
	case uint16:
		return int64(x), true
	case uint32:
		return int64(x), true
	case uint64:
		return int64(x), true
	case types.TabletID:
		return int64(x), true
	case types.ReplicaID:
		return int64(x), true
	case types.BEID:
		return int64(x), true
	case types.FEID:
		return int64(x), true
	case types.DiskID:
		return int64(x), true
	case types.DatabaseID:
		return int64(x), true
	case types.TableID:
		return int64(x), true
	case types.PartitionID:
		return int64(x), true
	case types.TaskID:
		return int64(x), true
	case types.Version:
		return int64(x), true
	case types.Epoch:
		return int64(x), true
	case bool:
		if x {
			return 1, true
		}
		return 0, true
	case time.Time:
		// As written: the wall clock of the session, taken as if it were UTC.
		wall := time.Date(x.Year(), x.Month(), x.Day(), x.Hour(), x.Minute(), x.Second(), x.Nanosecond(), time.UTC)
		return wall.UnixMicro(), true
	}
	return 0, false
}

// Plain makes columns from names: # after a name for a number, ~ for a blank.
func Plain(names string) []Column {
	var out []Column
	for name := range strings.FieldsSeq(names) {
		kind := ColumnKinds["text"]
		if strings.HasSuffix(name, "#") {
			name, kind = strings.TrimSuffix(name, "#"), ColumnKinds["int"]
		}
		out = append(out, Column{Name: strings.ReplaceAll(name, "~", " "), Type: kind})
	}
	return out
}
