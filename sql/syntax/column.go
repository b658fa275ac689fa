package syntax

import (
	"slices"
	"strings"
)

// foreignTypes maps column types that the MySQL parser does not know to stand-ins that are not longer.
var foreignTypes = map[string]string{
	"STRING":     "TEXT",
	"LARGEINT":   "DEC(39)", // 128 bits have 39 digits
	"DECIMALV2":  "DECIMAL",
	"DECIMAL32":  "DECIMAL",
	"DECIMAL64":  "DECIMAL",
	"DECIMAL128": "DECIMAL",
}

// refusedTypes are types of StarRocks that Stele names in its refusal.
var refusedTypes = []string{"ARRAY", "MAP", "STRUCT", "BITMAP", "HLL", "PERCENTILE", "VARIANT"}

// aggregates are the functions that may follow a column's type in the AGGREGATE model.
var aggregates = []string{"SUM", "MIN", "MAX", "REPLACE", "REPLACE_IF_NOT_NULL", "HLL_UNION", "BITMAP_UNION", "PERCENTILE_UNION"}

// nameFollows are the attribute words behind which a name stands, which may well be called sum or max.
var nameFollows = []string{"REFERENCES", "COLLATE", "CHARSET", "SET", "CONSTRAINT", "DEFAULT", "AFTER", "."}

// tableElements are the words that start something else than a column in the list of CREATE TABLE; all are reserved.
var tableElements = []string{"INDEX", "KEY", "UNIQUE", "PRIMARY", "CONSTRAINT", "FULLTEXT", "SPATIAL", "FOREIGN", "CHECK"}

// columnList lifts inside the parentheses of CREATE TABLE. What it cannot follow it leaves to the MySQL parser.
func (l *lifter) columnList() error {
	l.pos++
	for {
		var err error
		if l.isOneOf(tableElements...) {
			l.indexElement()
		} else {
			err = l.column()
		}
		if err != nil {
			return err
		}
		switch {
		case l.accept(","):
		case l.accept(")"), l.tok().Kind == EOF, l.tok().Kind == Invalid:
			return nil
		default:
			panic("BUG: a column definition ended neither at a comma nor at a parenthesis")
		}
	}
}

// column lifts in one column definition: name, type, attributes.
func (l *lifter) column() error {
	name, f := l.ident()
	if f == nil {
		if err := l.columnType(name); err != nil {
			return err
		}
	}
	for !l.elementEnd() {
		l.columnAttribute(name)
	}
	return nil
}

// elementEnd reports whether the cursor is at the end of a list element.
func (l *lifter) elementEnd() bool {
	return l.is(",") || l.is(")") || l.tok().Kind == EOF || l.tok().Kind == Invalid
}

// columnType replaces a foreign type at the cursor.
func (l *lifter) columnType(column string) error {
	t := l.tok()
	if t.Kind != Word {
		return nil
	}
	upper := strings.ToUpper(t.Text(l.src))
	if slices.Contains(refusedTypes, upper) {
		return NotSupported(l.src, t.Start, "column type "+upper)
	}
	with, ok := foreignTypes[upper]
	if !ok {
		return nil
	}
	l.overwrite(t.Start, t.End, with)
	l.tail.Types = append(l.tail.Types, ColumnWord{Column: column, Word: upper, Offset: t.Start})
	l.pos++
	return nil
}

// columnAttribute passes one token of a column definition, or a whole parenthesis, and takes an aggregate function out.
func (l *lifter) columnAttribute(column string) {
	if l.is("(") {
		if f := l.skipParens(); f != nil {
			l.pos = len(l.toks) - 1
		}
		return
	}
	t, prev := l.tok(), l.toks[l.pos-1]
	l.pos++
	upper := strings.ToUpper(t.Text(l.src))
	if t.Kind == Word && upper == "DEFAULT" && l.is("(") && !l.generatedKind() {
		l.tail.Defaults = append(l.tail.Defaults, ColumnWord{Column: column, Word: upper, Offset: t.Start})
		l.overwrite(t.Start, t.End, "AS") // of those that the parser knows only this takes any expression
		return
	}
	if t.Kind != Word || !slices.Contains(aggregates, upper) || l.is("(") || l.is(".") {
		return
	}
	if prev.Kind != Quoted && slices.Contains(nameFollows, strings.ToUpper(prev.Text(l.src))) {
		return
	}
	l.tail.Aggregates = append(l.tail.Aggregates, ColumnWord{Column: column, Word: upper, Offset: t.Start})
	l.overwrite(t.Start, t.End, "")
}

// generatedKind reports whether behind the parenthesis at the cursor stands what only a generated column has.
func (l *lifter) generatedKind() bool {
	start := l.pos
	defer func() { l.pos = start }()
	return l.skipParens() == nil && l.isOneOf("STORED", "VIRTUAL", "PERSISTENT")
}

// indexKinds are the foreign kinds behind USING.
var indexKinds = []string{"BITMAP", "NGRAMBF", "GIN"}

// indexElement passes an index or constraint and takes a foreign USING out, with its properties.
func (l *lifter) indexElement() {
	l.pos++
	name := ""
	if t := l.tok(); t.Kind == Word || t.Kind == Quoted {
		name = t.Value(l.src, l.mode)
	}
	for !l.elementEnd() {
		start := l.pos
		switch {
		case l.accept("USING"):
			kind := l.acceptAny(indexKinds...)
			if kind == "" {
				continue
			}
			l.tail.Indexes = append(l.tail.Indexes, ColumnWord{Column: name, Word: kind, Offset: l.toks[start].Start})
			if l.is("(") && l.skipParens() != nil {
				l.pos = len(l.toks) - 1
				return
			}
			l.blank(start)
		case l.is("("):
			if l.skipParens() != nil {
				l.pos = len(l.toks) - 1
			}
		default:
			l.pos++
		}
	}
}
