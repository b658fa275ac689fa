// Package syntax reads the part of SQL that the MySQL parser does not know.
//
// It owns four things, each usable alone:
//
//   - the tokenizer (Lexer, Tokenize): MySQL's lexical rules with byte positions, following the session's sql_mode;
//   - the splitter (Split): one text with several statements becomes one piece for each, with its base offset;
//   - the grammar engine (Compile, Router): administrative statements are declared as one line of syntax text, compiled once,
//     and matched to typed Args;
//   - lifting (Lift): the StarRocks clauses of CREATE TABLE, CREATE DATABASE and ALTER TABLE are read into plain structs and
//     overwritten by blanks, so that the MySQL parser accepts what remains and its error positions stay right.
//
// It imports neither the MySQL parser nor anything else of Stele, never looks at the catalog and never decides whether a
// statement makes sense: it only says what was written, and where. Everything here is pure and safe for concurrent use.
//
// Invariants:
//
//  1. Whatever the MySQL parser accepts tokenizes without an Invalid token (fuzzed in sql/parse).
//  2. Lifted text has the length and the newlines of the original text, so a byte offset means the same in both.
//  3. Every error is an *Error whose Offset is the start of the offending token in the text that was given.
//  4. No input panics; work and memory are linear in the input except for the engine's backtracking, which is bounded by
//     the optional parts of one declared syntax, never by the input.
package syntax
