package plan

import ast "stele/sql/parse"

// AltersNothing reports whether an ALTER TABLE asks only for what needs no work here: keys switched off and on around the rows of
// a dump, another engine, a rebuild, storage options, a character set in which text is kept as it is. notes say what is not kept.
func AltersNothing(stmt *ast.AlterTableStmt) (notes []string, ok bool) {
	for _, spec := range stmt.Specs {
		switch spec.Tp {
		case ast.AlterTableEnableKeys, ast.AlterTableDisableKeys, ast.AlterTableForce, ast.AlterTableAlgorithm, ast.AlterTableLock:
		case ast.AlterTableOption:
			for _, o := range spec.Options {
				note, ok := idleOption(o)
				if !ok {
					return nil, false
				}
				if note != "" {
					notes = append(notes, note)
				}
			}
		default:
			return nil, false
		}
	}
	return notes, len(stmt.Specs) > 0
}

// idleOption reports whether a table option changes nothing; note says what is not kept of it.
func idleOption(o *ast.TableOption) (note string, ok bool) {
	switch o.Tp {
	case ast.TableOptionComment, ast.TableOptionAutoIncrement:
		return "", false
	case ast.TableOptionCharset:
		return "", knownCharset(o.StrValue)
	case ast.TableOptionCollate:
		if !binaryCollation(o.StrValue) {
			note = collationNote(o.StrValue)
		}
	}
	return note, true
}

// collationNote says what becomes of a collation.
func collationNote(name string) string {
	return "collation " + name + " is not kept: strings compare by their bytes"
}

// alterClauses names clauses of ALTER TABLE that are not done.
var alterClauses = map[ast.AlterTableType]string{
	ast.AlterTableDropPrimaryKey: "DROP PRIMARY KEY", ast.AlterTableDropForeignKey: "FOREIGN KEY", ast.AlterTableRenameIndex: "RENAME INDEX",
	ast.AlterTableIndexInvisible: "ALTER INDEX", ast.AlterTableOrderByColumns: "ORDER BY", ast.AlterTableAlterCheck: "CHECK",
	ast.AlterTableDropCheck: "CHECK", ast.AlterTablePartition: "PARTITION BY", ast.AlterTableRemovePartitioning: "REMOVE PARTITIONING",
	ast.AlterTableCoalescePartitions: "COALESCE PARTITION", ast.AlterTableReorganizePartition: "REORGANIZE PARTITION",
	ast.AlterTableExchangePartition: "EXCHANGE PARTITION", ast.AlterTableRebuildPartition: "REBUILD PARTITION",
	ast.AlterTableOptimizePartition: "OPTIMIZE PARTITION", ast.AlterTableRepairPartition: "REPAIR PARTITION",
	ast.AlterTableCheckPartitions: "CHECK PARTITION", ast.AlterTableDiscardTablespace: "DISCARD TABLESPACE",
	ast.AlterTableWriteable: "READ ONLY",
}

// RefusedAlter names what of an ALTER TABLE is not done, and what to do instead.
func RefusedAlter(stmt *ast.AlterTableStmt) string {
	for _, spec := range stmt.Specs {
		if clause := alterClauses[spec.Tp]; clause != "" {
			return "ALTER TABLE ... " + clause
		}
		for _, o := range spec.Options {
			switch o.Tp {
			case ast.TableOptionComment:
				return "ALTER TABLE ... COMMENT"
			case ast.TableOptionAutoIncrement:
				return "ALTER TABLE ... AUTO_INCREMENT"
			case ast.TableOptionCharset:
				if !knownCharset(o.StrValue) {
					return "CHARACTER SET " + o.StrValue
				}
			}
		}
	}
	if len(stmt.Specs) > 1 {
		return "columns, keys, names and options changed by one ALTER TABLE: say one for each kind"
	}
	return "this ALTER TABLE"
}
