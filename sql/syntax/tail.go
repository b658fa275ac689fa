package syntax

// KeyModel is how a table treats rows with equal keys, as the tail of CREATE TABLE names it.
type KeyModel string

// The key models; empty means that the tail names none.
const (
	KeyDuplicate KeyModel = "DUPLICATE"
	KeyPrimary   KeyModel = "PRIMARY"
	KeyUnique    KeyModel = "UNIQUE"
	KeyAggregate KeyModel = "AGGREGATE"
)

// TableTail is what CREATE TABLE says in StarRocks' grammar, lifted out of the text that the MySQL parser gets. ALTER TABLE
// fills only the column lists.
type TableTail struct {
	KeyModel     KeyModel
	KeyColumns   []string
	Partition    *PartitionBy
	Distribution *Distribution
	OrderBy      []string // sort key
	Properties   []Prop
	// Engine and Comment are also left in the text: they are MySQL's own table options.
	Engine, Comment string
	// Types are the columns whose type MySQL does not know; the MySQL parser sees a stand-in.
	Types []ColumnWord
	// Aggregates are the columns with an aggregate function of the AGGREGATE model.
	Aggregates []ColumnWord
	// Defaults are the columns with DEFAULT (expression), which the MySQL parser sees as generated ones.
	Defaults []ColumnWord
	// Indexes are the indexes with a foreign USING kind (BITMAP, NGRAMBF, GIN), by index name.
	Indexes []ColumnWord
	// Offsets of the clauses, 0 if absent (no clause can stand at 0).
	KeyOffset, OrderByOffset, PropertiesOffset int
}

// ColumnWord is a foreign word in a column or index definition: the word in upper case and where it stood.
type ColumnWord struct {
	Column, Word string
	Offset       int
}

// TypeOf returns the foreign type that a column was declared with, or "".
func (t *TableTail) TypeOf(column string) string { return wordOf(t.Types, column) }

// AggregateOf returns the aggregate function that a column was declared with, or "".
func (t *TableTail) AggregateOf(column string) string { return wordOf(t.Aggregates, column) }

// HasDefault reports whether a column was declared with DEFAULT (expression).
func (t *TableTail) HasDefault(column string) bool { return wordOf(t.Defaults, column) != "" }

// wordOf finds a column's entry.
func wordOf(list []ColumnWord, column string) string {
	for _, w := range list {
		if equalName(w.Column, column) {
			return w.Word
		}
	}
	return ""
}

// Distribution is DISTRIBUTED BY.
type Distribution struct {
	Random  bool     // RANDOM instead of HASH(columns)
	Columns []string // of HASH
	Buckets int64    // 0: automatic
	Offset  int
}

// PartitionKind is the kind of a PARTITION BY that was lifted. HASH and KEY stay in the text.
type PartitionKind string

// The kinds of partitioning.
const (
	PartitionRange PartitionKind = "RANGE"
	PartitionList  PartitionKind = "LIST"
	// PartitionExpr has neither word: StarRocks' automatic partitions by columns or expressions.
	PartitionExpr PartitionKind = "EXPR"
)

// PartitionBy is PARTITION BY with its partitions.
type PartitionBy struct {
	Kind PartitionKind
	// Exprs is what the table is partitioned by, as written; Columns its names if all of it are plain columns, else nil.
	Exprs   []Raw
	Columns []string
	Defs    []PartitionDef
	Batches []RangeBatch
	Offset  int
}

// PartitionDef is one partition: exactly one of LessThan, From with To, or In is set.
type PartitionDef struct {
	Name        string
	IfNotExists bool
	LessThan    []Bound   // VALUES LESS THAN (...)
	From, To    []Bound   // VALUES [(...), (...))
	In          [][]Bound // VALUES IN (...); rows of one for a single column
	Comment     string
	Properties  []Prop
	Offset      int // of the name
}

// RangeBatch is START (a) END (b) EVERY (n | INTERVAL n unit).
type RangeBatch struct {
	Start, End Bound
	Every      int64
	Unit       string // upper case (DAY, MONTH, ...), empty for a plain number
	Offset     int
}

// BoundKind says what a partition bound is.
type BoundKind uint8

// The kinds of bounds.
const (
	BoundString BoundKind = iota + 1
	BoundNumber
	BoundNull
	BoundMax  // MAXVALUE
	BoundExpr // anything else, to be parsed as an expression by who needs it
)

// Bound is one value of a partition bound.
type Bound struct {
	Kind BoundKind
	// Raw is the text as written; Value the decoded contents of a string, otherwise the same as Raw.
	Raw, Value string
	Offset     int
}

// AlterOp is an ALTER TABLE form that MySQL's grammar lacks or spells otherwise.
type AlterOp string

// The forms.
const (
	AlterSet               AlterOp = "SET"
	AlterAddPartition      AlterOp = "ADD PARTITION"
	AlterDropPartition     AlterOp = "DROP PARTITION"
	AlterTruncatePartition AlterOp = "TRUNCATE PARTITION"
	AlterModifyPartition   AlterOp = "MODIFY PARTITION"
	AlterRenamePartition   AlterOp = "RENAME PARTITION"
	AlterReorganize        AlterOp = "REORGANIZE PARTITION"
	AlterPartitionBy       AlterOp = "PARTITION BY" // but HASH and KEY, which stay in the text
	AlterRemovePartitions  AlterOp = "REMOVE PARTITIONING"
	AlterDistribution      AlterOp = "DISTRIBUTED BY"
	AlterOrderBy           AlterOp = "ORDER BY"
)

// AlterTable is a whole ALTER TABLE statement in one of those forms.
type AlterTable struct {
	Table TableName
	Op    AlterOp

	Temporary, IfNotExists, IfExists, Force bool

	Defs         []PartitionDef // ADD PARTITION, REORGANIZE PARTITION
	Batches      []RangeBatch   // ADD PARTITIONS START ...
	Names        []string       // DROP, TRUNCATE, MODIFY, REORGANIZE; RENAME PARTITION: the old name
	Partition    *PartitionBy   // PARTITION BY
	All          bool           // MODIFY PARTITION (*)
	NewName      string         // RENAME PARTITION
	Properties   []Prop
	Distribution *Distribution
	OrderBy      []string
	Offset       int // of the form's first keyword
}
