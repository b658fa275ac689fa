package define

import (
	"slices"
	"strings"

	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/errno"
	ast "stele/sql/parse"
	"stele/sql/syntax"
)

// partition settles the partitions: RANGE and LIST, which are lifted out of the text, HASH and KEY, which are not, or one partition named
// like the table.
func (c *creator) partition() error {
	if c.stmt.Partition != nil {
		return c.hashPartition(c.stmt.Partition)
	}
	p := c.tail.Partition
	if p == nil {
		c.onePartition()
		return nil
	}
	if p.Kind == syntax.PartitionExpr {
		return refuse("PARTITION BY without RANGE, LIST, HASH or KEY")
	}
	names, fn := p.Columns, ""
	if names == nil {
		if len(p.Exprs) != 1 {
			return refuse("PARTITION BY " + string(p.Kind) + " of several expressions")
		}
		by, err := ast.ParseExpr(p.Exprs[0].Text)
		if err != nil {
			return refuse("PARTITION BY " + string(p.Kind) + " (" + p.Exprs[0].Text + ")")
		}
		if names, fn, err = partitionedBy(by); err != nil {
			return err
		}
	}
	return c.parts(&catalog.Partitioning{List: p.Kind == syntax.PartitionList, Func: fn}, names, p.Defs, p.Batches)
}

// onePartition gives the table the partition of one that is not partitioned.
func (c *creator) onePartition() { c.table.Parts = []catalog.Partition{{Name: c.table.Name}} }

// parts makes the partitions by some columns.
func (c *creator) parts(by *catalog.Partitioning, names []string, defs []syntax.PartitionDef, batches []syntax.RangeBatch) error {
	var err error
	if by.Columns, err = c.ids(names); err != nil {
		return err
	}
	for _, id := range by.Columns {
		col := &c.table.Schema.Columns[c.table.Schema.ColumnIndex(id)]
		t := col.Type
		if col.Special() || !t.IsInteger() && !t.IsTemporal() && t.Kind != types.KindChar && t.Kind != types.KindVarChar {
			return errorf(errno.PartitionColumnNotAllowed, "Field '%s' is of a not allowed type for this type of partitioning", col.Name)
		}
		if by.Func != "" {
			if err := partitionFuncs[by.Func].fits(col); err != nil {
				return err
			}
		}
	}
	if by.List && by.Func != "" {
		return refuse("PARTITION BY LIST of an expression; name a generated column that is stored")
	}
	c.table.Partition = by
	c.table.Parts, err = Partitions(c.ctx.Context, c.table, defs, batches)
	return err
}

// columnNames are the names of a list of columns.
func columnNames(list []*ast.ColumnName) []string {
	var names []string
	for _, n := range list {
		names = append(names, n.Name.O)
	}
	return names
}

// hashPartition has PARTITION BY HASH or KEY be what spreads rows here: buckets by a hash of columns. Which rows lie together is not
// what MySQL makes of it, and no statement shows that.
func (c *creator) hashPartition(p *ast.PartitionOptions) error {
	if c.tail.Distribution != nil {
		return refuse("PARTITION BY " + p.Tp.String() + " beside DISTRIBUTED BY")
	}
	names := columnNames(p.ColumnNames)
	if p.Expr != nil {
		names = namesIn(p.Expr)
	}
	switch {
	case len(names) == 0 && p.Expr != nil:
		return errorf(errno.WrongPartitionExpr, "Constant, random or timezone-dependent expressions in (sub)partitioning function are not allowed")
	case len(names) == 0 && c.primary == nil:
		return errorf(errno.PartitionFieldMissing, "Field in list of fields for partition function not found in table")
	case len(names) > 0:
		ids, err := c.ids(names)
		if err != nil {
			return err
		}
		c.table.HashBy = ids
	}
	if n := max(int(p.Num), len(p.Definitions)); n > maxBuckets {
		return errorf(errno.TooManyPartitions, "Too many partitions (including subpartitions) were defined; at most %d by HASH or KEY", maxBuckets)
	} else if n > 0 {
		c.table.Buckets = n
	}
	c.table.HashParts = true
	c.onePartition()
	c.note("PARTITION BY " + p.Tp.String() + " spreads rows over buckets, which have no names")
	return nil
}

// namesIn lists the columns that an expression names, each once.
func namesIn(n ast.ExprNode) []string {
	var names []string
	ast.Inspect(n, func(n ast.Node) bool {
		col, ok := n.(*ast.ColumnNameExpr)
		if ok && !slices.ContainsFunc(names, func(s string) bool { return strings.EqualFold(s, col.Name.Name.O) }) {
			names = append(names, col.Name.Name.O)
		}
		return true
	})
	return names
}
