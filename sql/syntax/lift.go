package syntax

import (
	"slices"
	"strings"
)

// Lifted is a statement after lifting.
type Lifted struct {
	// SQL is what the MySQL parser is to read: as long as the original, with the newlines where they were.
	SQL string
	// Tail is set for CREATE TABLE, and for ALTER TABLE with foreign column types.
	Tail *TableTail
	// Alter is set if the whole statement is a foreign ALTER TABLE form; then SQL is not for the MySQL parser.
	Alter *AlterTable
	// Database is set for CREATE DATABASE with PROPERTIES.
	Database *DatabaseTail
}

// DatabaseTail is what CREATE DATABASE says beyond MySQL's grammar.
type DatabaseTail struct {
	Properties []Prop
}

// lifter reads one DDL statement and overwrites what it takes.
type lifter struct {
	cursor
	out  []byte // nil until something is overwritten
	tail TableTail
}

// Lift takes the clauses that the MySQL parser does not know out of CREATE TABLE, CREATE DATABASE and ALTER TABLE. It returns
// nil for every other statement and for one without anything to lift. Once a foreign clause has begun, its errors are
// reported here (*Error); everything else is left for the MySQL parser to judge.
func Lift(sql string, mode Mode) (*Lifted, error) {
	lx := NewLexer(sql, mode)
	first := lx.Next()
	if !first.Is(sql, "CREATE") && !first.Is(sql, "ALTER") {
		return nil, nil
	}
	l := &lifter{cursor: newCursor(sql, mode)}
	if l.accept("ALTER") {
		l.accept("IGNORE")
		if l.accept("TABLE") {
			return l.alterTable()
		}
		return nil, nil
	}
	l.accept("CREATE")
	if l.acceptAny("DATABASE", "SCHEMA") != "" {
		return l.createDatabase()
	}
	l.acceptAny("TEMPORARY", "EXTERNAL")
	if l.accept("TABLE") {
		return l.createTable()
	}
	return nil, nil
}

// createTable lifts behind CREATE TABLE.
func (l *lifter) createTable() (*Lifted, error) {
	l.accept("IF", "NOT", "EXISTS")
	if _, f := l.table(); f != nil {
		return nil, nil
	}
	if l.is("(") && !l.peek(1).Is(l.src, "SELECT") && !l.peek(1).Is(l.src, "WITH") && !l.peek(1).Is(l.src, "LIKE") {
		if err := l.columnList(); err != nil {
			return nil, err
		}
	}
	if err := l.tailClauses(); err != nil {
		return nil, err
	}
	return &Lifted{SQL: l.text(), Tail: &l.tail}, nil
}

// createDatabase lifts behind CREATE DATABASE.
func (l *lifter) createDatabase() (*Lifted, error) {
	for ; l.tok().Kind != EOF && l.tok().Kind != Invalid; l.pos++ {
		if !l.is("PROPERTIES") || !l.peek(1).Is(l.src, "(") {
			continue
		}
		start := l.pos
		props, f := l.props()
		if f != nil {
			return nil, l.errorOf(f)
		}
		l.blank(start)
		return &Lifted{SQL: l.text(), Database: &DatabaseTail{Properties: props}}, nil
	}
	return nil, nil
}

// text is the statement as overwritten so far.
func (l *lifter) text() string {
	if l.out == nil {
		return l.src
	}
	return string(l.out)
}

// blank overwrites the tokens from start up to the cursor, with the comments between them.
func (l *lifter) blank(start int) {
	l.overwrite(l.toks[start].Start, l.toks[l.pos-1].End, "")
}

// overwrite puts a text at from and blanks up to end, newlines kept. A comment that opens with /*! inside the range and closes
// behind it (or the other way round) would lose one end: its marks are kept.
func (l *lifter) overwrite(from, end int, with string) {
	if l.out == nil {
		l.out = []byte(l.src)
	}
	for i := from; i < end; i++ {
		if c := l.src[i]; c != '\n' && c != '\r' {
			l.out[i] = ' '
		}
	}
	copy(l.out[from:end], with)
	l.keepBangMarks(from, end)
}

// keepBangMarks restores the marks of /*! ... */ between the tokens of an overwritten range.
func (l *lifter) keepBangMarks(from, end int) {
	i, _ := slices.BinarySearchFunc(l.toks, from, func(t Token, at int) int { return t.Start - at })
	for ; i+1 < len(l.toks) && l.toks[i+1].Start < end; i++ {
		gap := l.toks[i].End
		text := l.src[gap:l.toks[i+1].Start]
		if !strings.Contains(text, "/*!") && !strings.Contains(text, "*/") {
			continue
		}
		copy(l.out[gap:], text)
	}
}

// tailClauses reads the clauses behind the column list. CREATE TABLE ... SELECT ends them.
func (l *lifter) tailClauses() error {
	for {
		start := l.pos
		taken, f := l.tailClause()
		switch {
		case f != nil:
			return l.errorOf(f)
		case taken:
			l.blank(start)
			continue
		}
		switch t := l.tok(); {
		case t.Kind == EOF || t.Kind == Invalid || l.isOneOf("AS", "SELECT", "WITH", "TABLE", "VALUES", "IGNORE", "REPLACE"):
			return nil
		case l.is("ROLLUP") && l.peek(1).Is(l.src, "("):
			return NotSupported(l.src, t.Start, "ROLLUP in CREATE TABLE")
		case l.is("SUBPARTITION"):
			return NotSupported(l.src, t.Start, "SUBPARTITION")
		case l.is("("):
			if f := l.skipParens(); f != nil {
				return nil // unbalanced: the MySQL parser says where
			}
		default:
			l.option()
		}
	}
}

// option passes one token of a MySQL table option, noting ENGINE and COMMENT.
func (l *lifter) option() {
	into := (*string)(nil)
	switch {
	case l.is("ENGINE"):
		into = &l.tail.Engine
	case l.is("COMMENT"):
		into = &l.tail.Comment
	}
	l.pos++
	if into == nil {
		return
	}
	l.accept("=")
	if t := l.tok(); t.Kind == Word || t.Kind == Quoted || t.Kind == String {
		*into = t.Value(l.src, l.mode)
		l.pos++
	}
}

// tailClause reads one foreign clause at the cursor, if there is one.
func (l *lifter) tailClause() (taken bool, f *failure) {
	t := &l.tail
	start := l.pos
	once := func(seen bool, what string) *failure {
		if seen {
			return &failure{tok: start, expected: "only one " + what}
		}
		return nil
	}
	switch {
	case l.isOneOf("DUPLICATE", "PRIMARY", "UNIQUE", "AGGREGATE") && l.peek(1).Is(l.src, "KEY"):
		if f = once(t.KeyModel != "", "key clause"); f == nil {
			t.KeyModel, t.KeyOffset = KeyModel(strings.ToUpper(l.tok().Text(l.src))), l.tok().Start
			l.pos += 2
			t.KeyColumns, f = l.parenNames()
		}
	case l.is("PARTITION") && l.peek(1).Is(l.src, "BY") && !l.keptPartition():
		if f = once(t.Partition != nil, "PARTITION BY"); f == nil {
			l.pos += 2
			t.Partition, f = l.partitionBy()
		}
	case l.accept("DISTRIBUTED"):
		if f = once(t.Distribution != nil, "DISTRIBUTED BY"); f == nil {
			t.Distribution, f = l.distribution()
		}
	case l.accept("ORDER", "BY"):
		if f = once(t.OrderBy != nil, "ORDER BY"); f == nil {
			t.OrderByOffset = l.toks[start].Start
			t.OrderBy, f = l.parenNames()
		}
	case l.is("PROPERTIES") && l.peek(1).Is(l.src, "("):
		if f = once(t.PropertiesOffset > 0, "PROPERTIES"); f == nil {
			t.PropertiesOffset = l.tok().Start
			t.Properties, f = l.props()
		}
	default:
		return false, nil
	}
	return true, f
}

// keptPartition reports whether the PARTITION BY at the cursor is MySQL's HASH or KEY, which stays in the text.
func (l *lifter) keptPartition() bool {
	kind := 2
	if l.peek(kind).Is(l.src, "LINEAR") {
		kind++
	}
	return l.peek(kind).Is(l.src, "HASH") || l.peek(kind).Is(l.src, "KEY")
}
