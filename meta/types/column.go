package types

import (
	"slices"
	"strings"
)

// Kind is the SQL type of a column or expression, without its parameters.
type Kind uint8

// Kinds. The numbers are stored in the catalog and in rowsets: append, never renumber.
const (
	KindNull Kind = iota // the type of a bare NULL
	KindTinyInt
	KindSmallInt
	KindMediumInt
	KindInt
	KindBigInt
	KindFloat
	KindDouble
	KindDecimal
	KindChar
	KindVarChar
	KindText // TINYTEXT..LONGTEXT; Length tells which
	KindBinary
	KindVarBinary
	KindBlob // TINYBLOB..LONGBLOB; Length tells which
	KindDate
	KindDateTime
	KindTimestamp
	KindTime
	KindYear
	KindJSON
	KindBool // BOOLEAN, shown as tinyint(1); also the type of a predicate
)

// Phys says in which Go buffer a vector keeps the values of a column.
type Phys uint8

// Physical representations.
const (
	// PhysInt64: signed integers; unsigned ones as their bit pattern; bool 0/1; date as days since 1970-01-01;
	// datetime and timestamp as microseconds since 1970-01-01 00:00:00 (timestamp in UTC, datetime as written);
	// time as signed microseconds; year as the number; decimal of precision <= 18 as value * 10^scale.
	PhysInt64 Phys = iota
	// PhysFloat64: float and double.
	PhysFloat64
	// PhysDec128: decimal of precision 19..38 as a 128-bit integer, value * 10^scale.
	PhysDec128
	// PhysBytes: character, binary and JSON values.
	PhysBytes
)

// MaxDecimalPrecision is the widest decimal that Stele keeps (two machine words).
const MaxDecimalPrecision = 38

// MaxDecimal64Precision is the widest decimal kept as one 64-bit integer.
const MaxDecimal64Precision = 18

// ColumnType is a SQL type with its parameters. It is a comparable value.
type ColumnType struct {
	Kind     Kind  `cbor:"1,keyasint"`
	Unsigned bool  `cbor:"2,keyasint,omitempty"` // integers only
	Length   int32 `cbor:"3,keyasint,omitempty"` // characters (bytes for binary kinds), or decimal precision; 0 = unspecified
	Scale    int32 `cbor:"4,keyasint,omitempty"` // decimal digits after the point, or fractional seconds 0..6
	NotNull  bool  `cbor:"5,keyasint,omitempty"` // a promise: no value is NULL
	// Collation says how text compares where that is not by its bytes. Values are stored as they are; the planner acts on it.
	Collation Collation `cbor:"6,keyasint,omitempty"`
}

// Phys tells in which buffer values of the type live.
func (t ColumnType) Phys() Phys {
	switch t.Kind {
	case KindFloat, KindDouble:
		return PhysFloat64
	case KindDecimal:
		if t.Length > MaxDecimal64Precision {
			return PhysDec128
		}
		return PhysInt64
	case KindChar, KindVarChar, KindText, KindBinary, KindVarBinary, KindBlob, KindJSON:
		return PhysBytes
	default:
		return PhysInt64
	}
}

// IsInteger reports whether the type is an integer, YEAR or BOOL.
func (t ColumnType) IsInteger() bool {
	return t.Kind >= KindTinyInt && t.Kind <= KindBigInt || t.Kind == KindYear || t.Kind == KindBool
}

// IsString reports whether the type is a character, binary or JSON type.
func (t ColumnType) IsString() bool { return t.Phys() == PhysBytes }

// IsTemporal reports whether the type is a date or time (not YEAR).
func (t ColumnType) IsTemporal() bool { return t.Kind >= KindDate && t.Kind <= KindTime }

// IsNumeric reports whether the type is a number.
func (t ColumnType) IsNumeric() bool {
	return t.Kind >= KindTinyInt && t.Kind <= KindDecimal || t.Kind == KindYear || t.Kind == KindBool
}

// IsText reports whether the type is a character type: one whose values compare by a collation.
func (t ColumnType) IsText() bool {
	return t.Kind == KindChar || t.Kind == KindVarChar || t.Kind == KindText
}

// SameForm reports whether values of both types have the same bytes and the same order.
func SameForm(a, b ColumnType) bool {
	if a.Phys() != b.Phys() || a.Unsigned != b.Unsigned {
		return false
	}
	return a.Kind == b.Kind && a.Scale == b.Scale || a.IsInteger() && b.IsInteger() || a.IsString() && b.IsString()
}

// Column is one column of a table.
type Column struct {
	ID            ColumnID   `cbor:"1,keyasint"`
	Name          string     `cbor:"2,keyasint"`
	Type          ColumnType `cbor:"3,keyasint"`
	Default       *string    `cbor:"4,keyasint,omitempty"` // literal text, already valid for Type; nil = no default (NULL if nullable)
	DefaultNow    bool       `cbor:"5,keyasint,omitempty"` // DEFAULT CURRENT_TIMESTAMP
	OnUpdateNow   bool       `cbor:"6,keyasint,omitempty"` // ON UPDATE CURRENT_TIMESTAMP
	AutoIncrement bool       `cbor:"7,keyasint,omitempty"`
	Hidden        bool       `cbor:"8,keyasint,omitempty"` // the row id of a table without a primary key
	Comment       string     `cbor:"9,keyasint,omitempty"`
	Shown         string     `cbor:"10,keyasint,omitempty"` // the type as the user wrote it, when it prints otherwise
	Elems         []string   `cbor:"11,keyasint,omitempty"` // the members of an ENUM (SMALLINT UNSIGNED) or SET (BIGINT UNSIGNED)
	Bits          int32      `cbor:"12,keyasint,omitempty"` // the width of a BIT (BIGINT UNSIGNED)
	// Initial is what rows that are older than the column have in it, fixed when it was added; nil = NULL.
	Initial *Initial `cbor:"13,keyasint,omitempty"`
	// Generated, when set, makes the value that of an expression over the row; nobody gives one.
	Generated *Generated `cbor:"14,keyasint,omitempty"`
	// DefaultExpr, when set, is worked out for each row that gives no value; then Default and DefaultNow are not.
	DefaultExpr *DefaultExpr `cbor:"15,keyasint,omitempty"`
}

// DefaultExpr is a default that is an expression. It is replaced as a whole when it changes.
type DefaultExpr struct {
	// Clause is the expression as SQL, with bare names of columns in backquotes.
	Clause string `cbor:"1,keyasint"`
	// Reads are the columns that it reads.
	Reads []ColumnID `cbor:"2,keyasint,omitempty"`
}

// Generated is the expression of a generated column. Its value is worked out where a row is written, and is stored, whichever kind
// the column was declared as. It is replaced as a whole when it changes.
type Generated struct {
	// Clause is the expression as SQL, with bare names of columns in backquotes.
	Clause string `cbor:"1,keyasint"`
	// Reads are the columns that it reads.
	Reads []ColumnID `cbor:"2,keyasint,omitempty"`
	// Virtual says that the declaration was VIRTUAL.
	Virtual bool `cbor:"3,keyasint,omitempty"`
}

// Initial is a value that is not NULL, in the physical form of its column's type.
type Initial struct {
	I     int64  `cbor:"1,keyasint,omitempty"` // PhysInt64, the bits of PhysFloat64, the lower half of PhysDec128
	Hi    int64  `cbor:"2,keyasint,omitempty"` // the upper half of PhysDec128
	Bytes []byte `cbor:"3,keyasint,omitempty"` // PhysBytes
}

// Special reports whether the column keeps numbers that users see as something else: ENUM, SET, BIT.
func (c *Column) Special() bool { return len(c.Elems) > 0 || c.Bits > 0 }

// IsSet reports whether the column is a SET.
func (c *Column) IsSet() bool { return len(c.Elems) > 0 && c.Type.Kind == KindBigInt }

// Widens reports whether every value of another definition is, as it is stored, the same value of this one.
func (c *Column) Widens(old *Column) bool {
	from, to := old.Type, c.Type
	from.NotNull, to.NotNull = false, false
	from.Collation, to.Collation = CollationBinary, CollationBinary
	if old.Special() || c.Special() {
		return from == to && old.IsSet() == c.IsSet() && (old.Bits > 0) == (c.Bits > 0) && c.Bits >= old.Bits &&
			len(c.Elems) >= len(old.Elems) && slices.Equal(c.Elems[:len(old.Elems)], old.Elems)
	}
	if from == to {
		return true
	}
	if !SameForm(from, to) {
		return false
	}
	switch {
	case from.Kind >= KindTinyInt && from.Kind <= KindBigInt:
		return to.Kind >= from.Kind && to.Kind <= KindBigInt
	case from.Kind == KindDecimal:
		return to.Kind == from.Kind && to.Length >= from.Length
	case from.Kind == KindChar, from.Kind == KindVarChar:
		return to.Kind == from.Kind && to.Length >= from.Length || from.Kind == KindChar && to.Kind == KindVarChar && to.Length >= from.Length ||
			to.Kind == KindText && int64(to.Length) >= 4*int64(from.Length)
	case from.Kind == KindVarBinary:
		return (to.Kind == KindVarBinary || to.Kind == KindBlob) && to.Length >= from.Length
	case from.Kind == KindText, from.Kind == KindBlob:
		return to.Kind == from.Kind && to.Length >= from.Length
	}
	return false
}

// RowIDColumn is the name of the hidden key column of a table without a primary key.
const RowIDColumn = "__stele_row_id"

// Schema is what a BE needs to know of a table to store and scan its tablets. Every table has a key: a table
// declared without one gets a hidden row id (Hidden column, unsigned BIGINT) that the FE fills, so that every
// row can be named, deleted and compared across replicas in one way.
type Schema struct {
	TableID TableID    `cbor:"1,keyasint"`
	Version uint32     `cbor:"2,keyasint"` // schema version, grows with each ALTER
	Columns []Column   `cbor:"3,keyasint"`
	Key     []ColumnID `cbor:"4,keyasint"` // the primary key, in key order; never empty
	// Indexed are the columns of secondary keys: parts of a tablet that do not hold a value of theirs are skipped.
	Indexed []ColumnID `cbor:"5,keyasint,omitempty"`
}

// ColumnIndex returns the position of column id, or -1.
func (s *Schema) ColumnIndex(id ColumnID) int {
	for i := range s.Columns {
		if s.Columns[i].ID == id {
			return i
		}
	}
	return -1
}

// ColumnNamed returns the position of the column that statements mean by a name, or -1.
func (s *Schema) ColumnNamed(name string) int {
	for i := range s.Columns {
		if c := &s.Columns[i]; !c.Hidden && strings.EqualFold(c.Name, name) {
			return i
		}
	}
	return -1
}

// KeyIndexes returns the positions of the key columns in key order.
func (s *Schema) KeyIndexes() []int {
	out := make([]int, len(s.Key))
	for i, id := range s.Key {
		out[i] = s.ColumnIndex(id)
	}
	return out
}

// HasRowID reports whether the key is the hidden row id, so that inserts need no duplicate check.
func (s *Schema) HasRowID() bool {
	return len(s.Key) == 1 && s.Columns[s.ColumnIndex(s.Key[0])].Hidden
}
