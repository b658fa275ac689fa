package define

import (
	"fmt"
	"strings"

	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/syntax"
	sqltypes "stele/sql/types"
)

// EngineName is what ENGINE prints. There is one engine, and its name is that of MySQL's engine with transactions: tools that look for
// tables (xorm does) or for transactions ask for it by that name, and a dump has to be restored elsewhere.
const EngineName = "InnoDB"

// ShowCreateTable writes the statement that makes a table again, in the dialect that it was made in: MySQL's for plain
// tables, with ENGINE=InnoDB, and StarRocks' layout for the others, which tools read line by line. Both are accepted by
// CreateTable and give the same table.
func ShowCreateTable(names Names, t *catalog.Table) string {
	var b strings.Builder
	b.WriteString("CREATE ")
	if t.Owner != nil {
		b.WriteString("TEMPORARY ")
	}
	fmt.Fprintf(&b, "TABLE %s (\n", syntax.QuoteName(t.Name))
	if t.StarRocks {
		showStarRocks(&b, names, t)
	} else {
		showMySQL(&b, names, t)
	}
	return b.String()
}

// quoteDouble puts a text in double quotes.
func quoteDouble(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\x00", `\0`).Replace(s) + `"`
}

// quoteNames joins the names of columns.
func quoteNames(t *catalog.Table, ids []types.ColumnID, sep string) string {
	var out []string
	for _, id := range ids {
		out = append(out, syntax.QuoteName(t.Schema.Columns[t.Schema.ColumnIndex(id)].Name))
	}
	return strings.Join(out, sep)
}

// typeText is how a column's type is shown.
func typeText(c *types.Column) string {
	if c.Shown != "" {
		return c.Shown
	}
	return sqltypes.TypeName(c.Type)
}

// showMySQL writes the rest of a plain table.
func showMySQL(b *strings.Builder, names Names, t *catalog.Table) {
	var lines []string
	for i := range t.Schema.Columns {
		if c := &t.Schema.Columns[i]; !c.Hidden {
			lines = append(lines, "  "+mysqlColumn(c, t.Collation))
		}
	}
	if !t.Schema.HasRowID() {
		lines = append(lines, "  PRIMARY KEY ("+quoteNames(t, t.Schema.Key, ",")+")")
	}
	for _, k := range t.VisibleKeys() {
		lines = append(lines, "  "+indexText(t, &k, ","))
	}
	lines = append(lines, constraintLines(names, t)...)
	b.WriteString(strings.Join(lines, ",\n"))
	fmt.Fprintf(b, "\n) ENGINE=%s DEFAULT CHARSET=%s COLLATE=%s", EngineName, t.Collation.Charset(), t.Collation)
	if t.Comment != "" {
		b.WriteString(" COMMENT=" + syntax.QuoteText(t.Comment))
	}
	b.WriteString(mysqlPartitions(t))
}

// constraintLines writes foreign keys and CHECK constraints.
func constraintLines(names Names, t *catalog.Table) []string {
	var lines []string
	for i := range t.ForeignKeys {
		lines = append(lines, "  "+ForeignKeyText(names, t, &t.ForeignKeys[i]))
	}
	for i := range t.Checks {
		lines = append(lines, "  "+checkText(&t.Checks[i]))
	}
	return lines
}

// indexText writes a declared index.
func indexText(t *catalog.Table, k *catalog.UniqueKey, sep string) string {
	word := "KEY "
	switch {
	case k.Unique:
		word = "UNIQUE KEY "
	case k.FullText:
		word = "FULLTEXT KEY "
	}
	return word + syntax.QuoteName(k.Name) + " (" + quoteParts(t, k, sep) + ")"
}

// quoteParts joins the names of the columns of a key, with the lengths of their prefixes.
func quoteParts(t *catalog.Table, k *catalog.UniqueKey, sep string) string {
	var out []string
	for i, id := range k.Columns {
		part := quoteNames(t, []types.ColumnID{id}, "")
		if n := k.Prefix(i); n > 0 {
			part += fmt.Sprintf("(%d)", n)
		}
		out = append(out, part)
	}
	return strings.Join(out, sep)
}

// mysqlColumn writes one column of a table with a collation.
func mysqlColumn(c *types.Column, of types.Collation) string {
	s := syntax.QuoteName(c.Name) + " " + typeText(c) + collateText(c, of)
	if c.Generated != nil {
		s += generatedText(c)
	}
	switch {
	case c.Type.NotNull:
		s += " NOT NULL"
	case c.Type.Kind == types.KindTimestamp:
		s += " NULL"
	}
	value := ungivenText(c, syntax.QuoteText)
	if value == "" && c.Generated == nil && !c.Type.NotNull && c.Type.Kind != types.KindText && c.Type.Kind != types.KindBlob {
		value = " DEFAULT NULL"
	}
	s += value
	if c.OnUpdateNow {
		s += " ON UPDATE CURRENT_TIMESTAMP" + fraction(c.Type)
	}
	if c.Comment != "" {
		s += " COMMENT " + syntax.QuoteText(c.Comment)
	}
	return s
}

// ungivenText writes what the column has in rows that give no value for it.
func ungivenText(c *types.Column, quote func(string) string) string {
	switch {
	case c.Generated != nil:
		return ""
	case c.AutoIncrement:
		return " AUTO_INCREMENT"
	case c.DefaultNow:
		return " DEFAULT CURRENT_TIMESTAMP" + fraction(c.Type)
	case c.DefaultExpr != nil:
		return " DEFAULT (" + c.DefaultExpr.Clause + ")"
	case c.Default != nil:
		return " DEFAULT " + defaultText(c, quote)
	}
	return ""
}

// defaultText writes a DEFAULT for SHOW CREATE TABLE.
func defaultText(c *types.Column, quote func(string) string) string {
	if c.Bits > 0 {
		return *c.Default
	}
	return quote(*c.Default)
}

// collateText writes the collation of a column that has another one than its table.
func collateText(c *types.Column, of types.Collation) string {
	own := c.Type.Collation
	switch {
	case own == of || !c.Type.IsText():
		return ""
	case own.Charset() != of.Charset():
		return " CHARACTER SET " + own.Charset() + " COLLATE " + own.String()
	}
	return " COLLATE " + own.String()
}

// fraction writes the precision of a time.
func fraction(t types.ColumnType) string {
	if t.Scale == 0 {
		return ""
	}
	return fmt.Sprintf("(%d)", t.Scale)
}

// boundTexts writes the values of one end of a partition.
func boundTexts(text []string, quote func(string) string) string {
	if len(text) == 0 {
		return "MAXVALUE"
	}
	var out []string
	for _, v := range text {
		if v == "MAXVALUE" {
			out = append(out, v)
		} else {
			out = append(out, quote(v))
		}
	}
	return strings.Join(out, ", ")
}

// showStarRocks writes the rest of a table with StarRocks clauses.
func showStarRocks(b *strings.Builder, names Names, t *catalog.Table) {
	var lines []string
	for i := range t.Schema.Columns {
		if c := &t.Schema.Columns[i]; !c.Hidden {
			lines = append(lines, "  "+starRocksColumn(c))
		}
	}
	for _, k := range t.VisibleKeys() {
		word := "  INDEX "
		if k.Unique {
			word = "  UNIQUE INDEX "
		}
		lines = append(lines, word+syntax.QuoteName(k.Name)+" ("+quoteParts(t, &k, ", ")+")")
	}
	lines = append(lines, constraintLines(names, t)...)
	b.WriteString(strings.Join(lines, ",\n"))
	b.WriteString("\n) ENGINE=OLAP \n")
	if !t.Schema.HasRowID() {
		b.WriteString("PRIMARY KEY(" + quoteNames(t, t.Schema.Key, ", ") + ")\n")
	} else if len(t.DupKey) > 0 {
		b.WriteString("DUPLICATE KEY(" + quoteNames(t, t.DupKey, ", ") + ")\n")
	}
	if t.Comment != "" {
		b.WriteString("COMMENT " + quoteDouble(t.Comment) + "\n")
	}
	if t.Partition != nil {
		kind := "RANGE"
		if t.Partition.List {
			kind = "LIST"
		}
		b.WriteString("PARTITION BY " + kind + "(" + strings.ReplaceAll(PartitionExpression(t), ",", ", ") + ")\n(" + starRocksPartitions(t) + ")\n")
	}
	if t.Schema.HasRowID() && len(t.HashBy) == 1 && t.HashBy[0] == t.Schema.Key[0] {
		fmt.Fprintf(b, "DISTRIBUTED BY RANDOM BUCKETS %d\n", t.Buckets)
	} else {
		fmt.Fprintf(b, "DISTRIBUTED BY HASH(%s) BUCKETS %d \n", quoteNames(t, t.HashBy, ", "), t.Buckets)
	}
	b.WriteString("PROPERTIES (\n" + strings.Join(starRocksProperties(t), ",\n") + "\n);")
}

// starRocksProperties lists the properties, sorted by key.
func starRocksProperties(t *catalog.Table) []string {
	var list []string
	if t.Colocate != "" {
		list = append(list, fmt.Sprintf(`"colocate_with" = "%s"`, t.Colocate))
	}
	list = append(list, `"compression" = "LZ4"`, `"fast_schema_evolution" = "true"`, `"replicated_storage" = "true"`,
		fmt.Sprintf(`"replication_num" = "%d"`, t.Replicas))
	if t.Medium == types.MediumSSD {
		list = append(list, `"storage_medium" = "SSD"`)
	}
	if t.Quorum != types.QuorumMajority {
		list = append(list, fmt.Sprintf(`"write_quorum" = "%s"`, t.Quorum))
	}
	return list
}

// starRocksColumn writes one column.
func starRocksColumn(c *types.Column) string {
	s := syntax.QuoteName(c.Name) + " " + typeText(c) + collateText(c, types.CollationBinary)
	if c.Generated != nil {
		s += generatedText(c)
	}
	if c.Type.NotNull {
		s += " NOT NULL"
	} else {
		s += " NULL"
	}
	s += ungivenText(c, quoteDouble)
	if c.OnUpdateNow {
		s += " ON UPDATE CURRENT_TIMESTAMP" + fraction(c.Type)
	}
	return s + " COMMENT " + quoteDouble(c.Comment)
}

// starRocksPartitions writes PARTITION p VALUES [(...), (...)). The first range may begin nowhere, which only LESS THAN
// can say; the last may have no end.
func starRocksPartitions(t *catalog.Table) string {
	var out []string
	for i := range t.Parts {
		p := &t.Parts[i]
		line := "PARTITION " + p.Name + " VALUES "
		upper := boundTexts(p.UpperText, quoteDouble)
		if t.Partition.List {
			line += "IN (" + PartitionValues(t, p) + ")"
		} else if len(p.LowerText) == 0 || p.Upper == nil {
			line += "LESS THAN (" + upper + ")"
		} else {
			line += "[(" + boundTexts(p.LowerText, quoteDouble) + "), (" + upper + "))"
		}
		var own []string
		if p.Replicas != t.Replicas && p.Replicas > 0 {
			own = append(own, fmt.Sprintf(`"replication_num" = "%d"`, p.Replicas))
		}
		if p.OwnMedium && p.Medium != t.Medium {
			own = append(own, fmt.Sprintf(`"storage_medium" = "%s"`, p.Medium))
		}
		if len(own) > 0 {
			line += "(" + strings.Join(own, ", ") + ")"
		}
		out = append(out, line)
	}
	return strings.Join(out, ",\n")
}
