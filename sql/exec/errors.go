package exec

import (
	"stele/sql/errno"
	sqltypes "stele/sql/types"
)

// errOutOfMemory is MySQL's ER_OUT_OF_RESOURCES.
func errOutOfMemory(limit int64) error {
	return sqltypes.Errorf(errno.OutOfResources,
		"Out of memory: the query needs more than %d bytes; raise query_mem_limit_bytes or make it touch fewer rows", limit)
}

// errOutOfSortMemory is MySQL's ER_OUT_OF_SORTMEMORY.
func errOutOfSortMemory(limit int64) error {
	return sqltypes.Errorf(errno.OutOfSortMemory,
		"Out of sort memory: the query needs more than %d bytes; raise query_mem_limit_bytes or make it touch fewer rows", limit)
}

func errOutOfRange(what string) error { return sqltypes.ErrOutOfRange("DECIMAL", what) }

func errDoubleRange(what string) error { return sqltypes.ErrOutOfRange("DOUBLE", what) }

// errSubqueryRows is MySQL's ER_SUBQUERY_NO_1_ROW.
func errSubqueryRows() error {
	return sqltypes.Errorf(errno.SubqueryRows, "Subquery returns more than 1 row")
}
