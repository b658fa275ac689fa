// Package sought is what a scan seeks, as far as predicates say it: by their values in one column (Values), and by primary key (Keys).
//
// Everything that narrows a scan goes by the same ranges: zone maps, filters, bounds of the primary key, orders, rows in memory, and the one
// value that rows from before a column have in it. What it says only lets a scan read less: rows that are not sought may be returned all the
// same, and none that is sought may be missing.
//
// It is pure: it reads columns of a row group that is open, and vectors.
package sought
