// Package define works out what a statement makes of a table: CREATE TABLE gives a Spec, ALTER TABLE, CREATE INDEX and DROP INDEX give a
// Change, ADD PARTITION gives partitions. It owns what MySQL and StarRocks let a definition say, and the way back: SHOW CREATE TABLE, foreign
// keys and defaults as text.
//
// What an expression in a definition means (a default, a CHECK constraint, a generated column, a bound) it asks package plan, which
// knows nothing of it (sql/plan/definition.go). Views are the planner's: they are queries.
//
// It is pure as the planner is, proposes no command and touches no row. The session does what a Change asks for: it has the rows verified,
// unique keys made, or a copy of the table filled, and then has the catalog take To as it is (fe/session/DESIGN.md, "ALTER TABLE").
//
// Invariants
//
//   - The text that ShowCreateTable writes of a table makes the same table again.
//   - A change is all of a statement or nothing, and is worked out against From alone: who finds another table there asks again.
//   - Nothing that is asked for is forgotten: it is in the record, refused, or among the notes.
//   - An expression is kept as text, with bare names of columns and the ids of those, and is read again as it was written.
//
// The way of CREATE TABLE: create.go has the steps, each in the file of what it settles (columndef, generated, defaultexpr, check, keys,
// partition, foreignkey, createselect; rowexpr is what three of them have in common). That of ALTER TABLE: altertable.go has the order, altercolumns and alterprimary change columns and
// the primary key, alterrewrite says when rows have to be written anew, foreignkeyalter what foreign keys allow.
package define
