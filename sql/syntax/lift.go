package syntax

import (
	"cmp"
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
	// Force is set for DROP TABLE and DROP DATABASE with FORCE at the end.
	Force bool
}

// DatabaseTail is what CREATE DATABASE says beyond MySQL's grammar.
type DatabaseTail struct {
	Properties []Prop
	Replicas   int64 // of new tables that do not say; 0 = not said
}

// lifter reads one DDL statement and overwrites what it takes.
type lifter struct {
	cursor
	out  []byte // nil until something is overwritten
	tail TableTail
}

// Lift takes the clauses that the MySQL parser does not know out of CREATE TABLE, CREATE DATABASE, ALTER TABLE, TRUNCATE TABLE
// (... PARTITION) and DROP (... FORCE). It returns nil for every other statement and for one without anything to lift. Once a foreign clause has begun, its errors are
// reported here (*Error); everything else is left for the MySQL parser to judge.
func Lift(sql string, mode Mode) (*Lifted, error) {
	lx := NewLexer(sql, mode)
	first := lx.Next()
	if !first.Is(sql, "CREATE") && !first.Is(sql, "ALTER") && !first.Is(sql, "TRUNCATE") && !first.Is(sql, "DROP") {
		return nil, nil
	}
	l := &lifter{cursor: newCursor(sql, mode)}
	switch {
	case l.accept("ALTER", "TABLE"), l.accept("ALTER", "IGNORE", "TABLE"):
		return l.alterTable()
	case l.accept("CREATE", "DATABASE"), l.accept("CREATE", "SCHEMA"):
		return l.createDatabase()
	case l.accept("CREATE", "TABLE"), l.accept("CREATE", "TEMPORARY", "TABLE"), l.accept("CREATE", "EXTERNAL", "TABLE"):
		return l.createTable()
	case l.accept("TRUNCATE", "TABLE"), l.accept("TRUNCATE"):
		return l.truncatePartition()
	case l.accept("DROP", "TABLE"), l.accept("DROP", "DATABASE"), l.accept("DROP", "SCHEMA"):
		return l.dropForce()
	}
	return nil, nil
}

// truncatePartition reads t PARTITION (p, ...) behind TRUNCATE TABLE, the same as MySQL's ALTER TABLE t TRUNCATE PARTITION.
func (l *lifter) truncatePartition() (*Lifted, error) {
	name, f := l.table()
	a := &AlterTable{Table: name, Op: AlterTruncatePartition, Offset: l.tok().Start}
	if f != nil || l.acceptAny("PARTITION", "PARTITIONS") == "" {
		return nil, nil
	}
	if a.Names, f = list(&l.cursor, (*cursor).name); f == nil && l.tok().Kind != EOF {
		f = l.failHere("end of statement")
	}
	if f != nil {
		return nil, l.errorOf(f)
	}
	return &Lifted{SQL: l.src, Alter: a}, nil
}

// dropForce takes FORCE off the end of DROP. A table of that name is not behind another name, but behind TABLE, a comma or a point.
func (l *lifter) dropForce() (*Lifted, error) {
	end := len(l.toks) - 1
	if !l.toks[end-1].Is(l.src, "FORCE") {
		return nil, nil
	}
	before := l.toks[end-2]
	if before.Kind == Punct || before.Is(l.src, "TABLE") || before.Is(l.src, "DATABASE") || before.Is(l.src, "SCHEMA") || before.Is(l.src, "EXISTS") {
		return nil, nil
	}
	l.pos = end
	l.blank(end - 1)
	return &Lifted{SQL: l.text(), Force: true}, nil
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
	l.accept("IF", "NOT", "EXISTS")
	if _, f := l.name(); f != nil {
		return nil, nil
	}
	var tail *DatabaseTail
	for l.tok().Kind != EOF && l.tok().Kind != Invalid {
		start, f := l.pos, (*failure)(nil)
		switch {
		case l.is("PROPERTIES") && l.peek(1).Is(l.src, "("):
			tail = cmp.Or(tail, &DatabaseTail{})
			tail.Properties, f = l.props()
		case l.accept("REPLICA"):
			tail = cmp.Or(tail, &DatabaseTail{})
			tail.Replicas, f = l.replicas()
		default:
			l.pos++
			continue
		}
		if f != nil {
			return nil, l.errorOf(f)
		}
		l.blank(start)
	}
	if tail == nil {
		return nil, nil
	}
	return &Lifted{SQL: l.text(), Database: tail}, nil
}

// replicas reads the number behind REPLICA.
func (l *lifter) replicas() (int64, *failure) {
	at := l.pos
	n, f := l.integer()
	if f == nil && n < 1 {
		l.pos = at
		f = l.failHere("a positive number")
	}
	return n, f
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
