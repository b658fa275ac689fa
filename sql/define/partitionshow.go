package define

import (
	"fmt"
	"strings"

	"stele/meta/catalog"
	"stele/sql/syntax"
)

// PartitionMethod is how a partitioned table is partitioned, as information_schema.PARTITIONS says it.
func PartitionMethod(by *catalog.Partitioning) string {
	switch {
	case by.List:
		return "LIST COLUMNS"
	case by.Func != "":
		return "RANGE"
	}
	return "RANGE COLUMNS"
}

// PartitionExpression is what a partitioned table is partitioned by.
func PartitionExpression(t *catalog.Table) string {
	names := quoteNames(t, t.Partition.Columns, ",")
	if fn := t.Partition.Func; fn != "" {
		return strings.ToLower(fn) + "(" + names + ")"
	}
	return names
}

// PartitionValues writes what stands in the parentheses of VALUES LESS THAN or VALUES IN. Integers are bare: other servers take nothing else.
func PartitionValues(t *catalog.Table, p *catalog.Partition) string {
	if !t.Partition.List {
		if len(p.UpperText) == 0 {
			return "MAXVALUE"
		}
		row := make([]string, len(p.UpperText))
		for i, text := range p.UpperText {
			row[i] = text
			if text != "MAXVALUE" {
				row[i] = literal(t, i, text)
			}
		}
		return strings.Join(row, ",")
	}
	rows := make([]string, len(p.Listed))
	for i, l := range p.Listed {
		row := make([]string, len(l.Text))
		for j, text := range l.Text {
			row[j] = "NULL"
			if text != nil {
				row[j] = literal(t, j, *text)
			}
		}
		rows[i] = strings.Join(row, ",")
		if len(row) > 1 {
			rows[i] = "(" + rows[i] + ")"
		}
	}
	return strings.Join(rows, ",")
}

// literal writes a value of one of the columns that a table is partitioned by, or of the function of it.
func literal(t *catalog.Table, at int, text string) string {
	if t.Partition.Func != "" || t.Schema.Columns[t.Schema.ColumnIndex(t.Partition.Columns[at])].Type.IsInteger() {
		return text
	}
	return syntax.QuoteText(text)
}

// mysqlPartitions writes PARTITION BY in MySQL's words, "" for a table that has none.
func mysqlPartitions(t *catalog.Table) string {
	if t.HashParts {
		return fmt.Sprintf("\nPARTITION BY KEY (%s)\nPARTITIONS %d", quoteNames(t, t.HashBy, ","), t.Buckets)
	}
	if t.Partition == nil {
		return ""
	}
	clause := " VALUES LESS THAN ("
	if t.Partition.List {
		clause = " VALUES IN ("
	}
	var out []string
	for i := range t.Parts {
		p := &t.Parts[i]
		out = append(out, "PARTITION "+syntax.QuoteName(p.Name)+clause+PartitionValues(t, p)+")")
	}
	return "\nPARTITION BY " + PartitionMethod(t.Partition) + "(" + PartitionExpression(t) + ")\n(" + strings.Join(out, ",\n ") + ")"
}
