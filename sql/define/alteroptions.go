package define

import (
	"slices"
	"strings"

	"stele/meta/types"
	ast "stele/sql/parse"
)

// collationNote says what becomes of a collation.
func collationNote(name string) string {
	return "collation " + name + " is not kept: strings compare by their bytes"
}

// alterClauses names clauses of ALTER TABLE that are not done.
var alterClauses = map[ast.AlterTableType]string{
	ast.AlterTableIndexInvisible: "ALTER INDEX", ast.AlterTableOrderByColumns: "ORDER BY",
	ast.AlterTablePartition: "PARTITION BY beside other clauses", ast.AlterTableAddPartitions: "ADD PARTITION PARTITIONS", ast.AlterTableRemovePartitioning: "REMOVE PARTITIONING beside other clauses",
	ast.AlterTableCoalescePartitions: "COALESCE PARTITION", ast.AlterTableReorganizePartition: "REORGANIZE PARTITION without partitions",
	ast.AlterTableExchangePartition: "EXCHANGE PARTITION", ast.AlterTableRebuildPartition: "REBUILD PARTITION",
	ast.AlterTableOptimizePartition: "OPTIMIZE PARTITION", ast.AlterTableRepairPartition: "REPAIR PARTITION",
	ast.AlterTableCheckPartitions: "CHECK PARTITION", ast.AlterTableDiscardTablespace: "DISCARD TABLESPACE",
	ast.AlterTableWriteable: "READ ONLY",
}

// alterParts are the clauses of ALTER TABLE that are done, those included that need no work here.
var alterParts = func() map[ast.AlterTableType]bool {
	out := map[ast.AlterTableType]bool{}
	for _, tp := range []ast.AlterTableType{ast.AlterTableAddColumns, ast.AlterTableDropColumn, ast.AlterTableRenameColumn, ast.AlterTableChangeColumn,
		ast.AlterTableModifyColumn, ast.AlterTableAlterColumn, ast.AlterTableAddConstraint, ast.AlterTableDropIndex, ast.AlterTableRenameIndex,
		ast.AlterTableAlterCheck, ast.AlterTableDropCheck, ast.AlterTableDropForeignKey, ast.AlterTableRenameTable, ast.AlterTableOption, ast.AlterTableEnableKeys,
		ast.AlterTableDisableKeys, ast.AlterTableForce, ast.AlterTableAlgorithm, ast.AlterTableLock, ast.AlterTableDropPrimaryKey} {
		out[tp] = true
	}
	return out
}()

// RefusedAlter refuses an ALTER TABLE for what of it is not done.
func RefusedAlter(stmt *ast.AlterTableStmt) error {
	if partitionsAlone(stmt) != nil {
		return nil
	}
	for _, spec := range stmt.Specs {
		if clause := alterClauses[spec.Tp]; clause != "" {
			return refuse("ALTER TABLE ... " + clause)
		}
		if !alterParts[spec.Tp] {
			return refuse("this ALTER TABLE")
		}
		for _, o := range spec.Options {
			if o.Tp == ast.TableOptionCharset && (!knownCharset(o.StrValue) || strings.EqualFold(o.StrValue, "binary")) {
				return refuse("CHARACTER SET " + o.StrValue)
			}
		}
	}
	return nil
}

// partitionsAlone returns the PARTITION BY of a statement that says nothing else.
func partitionsAlone(stmt *ast.AlterTableStmt) *ast.PartitionOptions {
	if len(stmt.Specs) != 1 || stmt.Specs[0].Tp != ast.AlterTablePartition {
		return nil
	}
	return stmt.Specs[0].Partition
}

// option carries out a table option. The others ask for what needs no work here: another engine, storage options, a character set in
// which text is kept as it is.
func (a *tableAlterer) option(o *ast.TableOption) {
	switch o.Tp {
	case ast.TableOptionComment:
		a.to.Comment, a.change.effective = o.StrValue, true
	case ast.TableOptionAutoIncrement:
		a.change.AutoIncrement, a.change.effective = o.UintValue, true
	case ast.TableOptionCollate:
		if _, known := types.ParseCollation(o.StrValue); !known && !types.BinaryCollation(o.StrValue) {
			a.notes = append(a.notes, collationNote(o.StrValue))
		}
	}
}

// collate sets the collation of columns that are declared without one.
func (a *tableAlterer) collate(specs []*ast.AlterTableSpec) {
	for _, spec := range specs {
		if !slices.ContainsFunc(spec.Options, func(o *ast.TableOption) bool {
			return o.Tp == ast.TableOptionCollate || o.Tp == ast.TableOptionCharset
		}) {
			continue
		}
		to, _ := collationOption(spec)
		a.change.effective = a.change.effective || to != a.to.Collation
		a.to.Collation = to
	}
}

// collationOption is the collation that a clause names, or that of the character set it names; converts says that it is for the columns
// that there are, too.
func collationOption(spec *ast.AlterTableSpec) (to types.Collation, converts bool) {
	for _, o := range spec.Options {
		switch o.Tp {
		case ast.TableOptionCharset:
			converts = o.UintValue == ast.TableOptionCharsetWithConvertTo
		case ast.TableOptionCollate:
			to, _ = types.ParseCollation(o.StrValue)
		}
	}
	return to, converts
}
