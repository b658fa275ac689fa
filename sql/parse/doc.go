// Package parse turns the text of one statement into something that can be executed.
//
// It is the only package that imports the MySQL parser. Others see its syntax tree through the aliases in ast*.go, its
// literals as *Literal and *Param, and its errors as *syntax.Error. What the MySQL parser does not know is done by
// sql/syntax before it is asked: administrative statements are matched, StarRocks clauses lifted.
//
//	text -> router (admin statement?) -> lift and blank -> MySQL parser (-> repair, once more) -> Statement
//	text -> FastInsert -> InsertValues (INSERT ... VALUES with literals and NOW() only, ten times faster)
//
// It never looks at the catalog: names are as written, types are what the text says, and functions may not exist.
//
// Invariants:
//
//  1. Parsers are pooled and never shared between goroutines; a Statement holds nothing of the parser that made it.
//  2. Params are numbered by their position in the text, and there are as many as the text has question marks.
//  3. An error's Offset is a byte of the text given to Parse, the start of the offending token.
//  4. FastInsert accepts only what Parse accepts, with the same values (property-tested).
package parse
