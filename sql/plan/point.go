package plan

import (
	"slices"

	"stele/meta/catalog"
	"stele/meta/types"
	ast "stele/sql/parse"
	"stele/sql/physical"
	"stele/sql/vec"
)

// Point is the plan of a SELECT of bare columns of one table WHERE every column of the primary key, or of a unique key, equals a
// constant. Only the constants differ from one execution to the next: Locate puts them in.
type Point struct {
	Named
	Schema []physical.OutColumn // of the result
	// Fragment reads the result's columns, without a key.
	Fragment []byte
	// Via finds the primary key by a unique one, whose entry it reads; LocateRow goes on from there. Nil = the constants are the primary key.
	Via *Point

	key   []int          // for each column of the primary key, which value it equals
	types []types.Column // of the primary key
	hash  []int          // for each distribution column its position in the key
	parts []int          // for each partition column its position in the key
}

// PointSelect recognises a point query. Values are the statement's parameters if it has some, else its literals, in the
// order of the text; values says how many there are. What is not recognised, also what is wrong, is for Select.
func PointSelect(ctx *Context, stmt ast.StmtNode, values int) (*Point, bool) {
	s, ok := stmt.(*ast.SelectStmt)
	if !ok || !bareSelect(s) {
		return nil, false
	}
	src, name, ok := bareTable(s.From)
	if !ok {
		return nil, false
	}
	of, ok := ctx.named(src, name)
	if !ok || of.Table.Schema.HasRowID() || slices.ContainsFunc(of.Table.Schema.Columns, func(c types.Column) bool { return c.Special() }) {
		return nil, false // what is stored is not what users see
	}
	terms, ok := equalities(s.Where, of.alias, nil)
	if !ok || len(terms) != values {
		return nil, false
	}
	p := &Point{Named: of}
	if !p.bind(terms) && !p.bindVia(ctx, terms) || !bareFields(s.Fields, of.alias) {
		return nil, false
	}
	describe := *ctx
	describe.Describe = true
	root, err := Select(&describe, stmt)
	if err != nil {
		return nil, false
	}
	p.Schema = root.Schema
	return p, p.fragment()
}

// bareSelect reports whether a SELECT has nothing but fields, a table, conditions, and perhaps a limit that one row does not reach.
func bareSelect(s *ast.SelectStmt) bool {
	return s.Kind == ast.SelectStmtKindSelect && !s.Distinct && s.From != nil && s.Where != nil && s.Fields != nil && s.GroupBy == nil &&
		s.Having == nil && s.WindowSpecs == nil && s.OrderBy == nil && roomForOne(s.Limit) && s.LockInfo == nil && s.SelectIntoOpt == nil && s.With == nil &&
		len(s.TableHints) == 0
}

// roomForOne reports whether a limit, if there is one, leaves one row as it is.
func roomForOne(l *ast.Limit) bool {
	if l == nil {
		return true
	}
	n, ok := l.Count.(*ast.Literal)
	return ok && l.Offset == nil && n.Kind == ast.LiteralInt && n.Int > 0
}

// bareTable recognises a FROM of one such table.
func bareTable(from *ast.TableRefsClause) (*ast.TableSource, *ast.TableName, bool) {
	if from.TableRefs.Right != nil {
		return nil, nil, false
	}
	return bareSource(from.TableRefs.Left)
}

// bareSource recognises a table with nothing but an alias.
func bareSource(n ast.ResultSetNode) (*ast.TableSource, *ast.TableName, bool) {
	src, ok := n.(*ast.TableSource)
	if !ok || src.Lateral || len(src.ColumnNames) > 0 {
		return nil, nil, false
	}
	name, ok := src.Source.(*ast.TableName)
	if !ok || len(name.PartitionNames) > 0 || len(name.IndexHints) > 0 || name.TableSample != nil || name.AsOf != nil {
		return nil, nil, false
	}
	return src, name, true
}

// bareColumn recognises a column of the table of that alias.
func bareColumn(n ast.ExprNode, alias string) (string, bool) {
	c, ok := n.(*ast.ColumnNameExpr)
	if !ok || c.Name.Schema.O != "" || c.Name.Table.O != "" && c.Name.Table.O != alias {
		return "", false
	}
	return c.Name.Name.O, true
}

// equalities lists the columns that a conjunction compares with constants, in the order of the text.
func equalities(n ast.ExprNode, alias string, out []string) ([]string, bool) {
	op, ok := ast.Unparen(n).(*ast.BinaryOperationExpr)
	if !ok {
		return nil, false
	}
	switch op.Op {
	case ast.OpLogicAnd:
		if out, ok = equalities(op.L, alias, out); !ok {
			return nil, false
		}
		return equalities(op.R, alias, out)
	case ast.OpEQ:
		col, value := op.L, op.R
		if _, ok := bareColumn(col, alias); !ok {
			col, value = value, col
		}
		name, ok := bareColumn(col, alias)
		if !ok || !isValue(value) {
			return nil, false
		}
		return append(out, name), true
	}
	return nil, false
}

// isValue recognises a parameter and the literals that parse.PointText yields.
func isValue(n ast.ExprNode) bool {
	switch v := n.(type) {
	case *ast.Param:
		return true
	case *ast.Literal:
		return v.Kind == ast.LiteralInt && !v.Bool || v.Kind == ast.LiteralString
	}
	return false
}

// bareFields reports whether all fields are columns, or all columns.
func bareFields(list *ast.FieldList, alias string) bool {
	for _, f := range list.Fields {
		if f.WildCard != nil {
			if f.WildCard.Table.O != "" || len(list.Fields) > 1 {
				return false
			}
			continue
		}
		if _, ok := bareColumn(f.Expr, alias); !ok {
			return false
		}
	}
	return true
}

// bind matches the compared columns with the primary key, and the layout of the table with the key.
func (p *Point) bind(names []string) bool {
	compared, ok := columnsNamed(p.Table, names)
	return ok && p.bindTo(compared) && p.place()
}

// columnsNamed are the columns with some names.
func columnsNamed(t *catalog.Table, names []string) (ids []types.ColumnID, ok bool) {
	for _, n := range names {
		i := t.Schema.ColumnNamed(n)
		if i < 0 {
			return nil, false
		}
		ids = append(ids, t.Schema.Columns[i].ID)
	}
	return ids, true
}

// bindVia is bind with the columns of a unique key, which has its entries by the bytes of its columns.
func (p *Point) bindVia(ctx *Context, names []string) bool {
	compared, ok := columnsNamed(p.Table, names)
	if !ok || p.Table.Partition != nil || !p.place() {
		return false
	}
	for _, k := range p.Table.VisibleKeys() {
		if !k.Enforced() || p.Table.Cuts(&k) || slices.ContainsFunc(k.Columns, func(id types.ColumnID) bool {
			return p.Table.Schema.Columns[p.Table.Schema.ColumnIndex(id)].Type.Collation != types.CollationBinary
		}) {
			continue
		}
		index, ok := ctx.Catalog.TableByID(k.Index)
		if !ok {
			continue
		}
		via := &Point{Named: Named{Table: index}}
		if !via.bindTo(compared) || !via.place() {
			continue
		}
		var err error
		if via.Fragment, err = physical.EncodeFragment(&physical.Fragment{Schema: index.Schema, Columns: p.Table.Schema.Key}); err != nil {
			return false
		}
		p.Via = via
		return true
	}
	return false
}

// bindTo matches the columns that are compared with constants with the key.
func (p *Point) bindTo(compared []types.ColumnID) bool {
	s := &p.Table.Schema
	if len(compared) != len(s.Key) {
		return false
	}
	p.key, p.types = nil, nil
	for _, id := range s.Key {
		c := s.Columns[s.ColumnIndex(id)]
		at := slices.Index(compared, id)
		if at < 0 || !pointKind(c.Type) {
			return false
		}
		p.key = append(p.key, at)
		p.types = append(p.types, c)
	}
	return true
}

// place matches the layout of the table with the key.
func (p *Point) place() (ok bool) {
	s := &p.Table.Schema
	if p.hash, ok = positionsIn(s.Key, p.Table.HashBy); !ok {
		return false
	}
	if p.Table.Partition != nil {
		p.parts, ok = positionsIn(s.Key, p.Table.Partition.Columns)
	}
	return ok
}

func positionsIn(key, ids []types.ColumnID) (out []int, ok bool) {
	for _, id := range ids {
		at := slices.Index(key, id)
		if at < 0 {
			return nil, false
		}
		out = append(out, at)
	}
	return out, true
}

// pointKind reports whether constants become values of the type without any conversion.
func pointKind(t types.ColumnType) bool {
	return t.Kind >= types.KindTinyInt && t.Kind <= types.KindBigInt || t.Kind == types.KindVarChar
}

// fragment makes what BEs read.
func (p *Point) fragment() bool {
	f := physical.Fragment{Schema: p.Table.Schema}
	for _, c := range p.Schema {
		i := p.Table.Schema.ColumnNamed(c.Column)
		if i < 0 {
			return false
		}
		f.Columns = append(f.Columns, p.Table.Schema.Columns[i].ID)
	}
	var err error
	p.Fragment, err = physical.EncodeFragment(&f)
	return err == nil
}

// Locate returns where the row with these values in its primary key is, if it is. It is not ok for values that have to be
// converted to the types of the key: that is Select's.
func (p *Point) Locate(values []Param) (tablet types.TabletID, key []byte, ok bool) {
	var ends [16]int
	if len(p.key) > len(ends) || len(p.key) > len(values) {
		return 0, nil, false
	}
	for i, at := range p.key {
		if key, ok = appendPoint(key, values[at], p.types[i].Type); !ok {
			return 0, nil, false
		}
		ends[i] = len(key)
	}
	tablet, ok = p.tabletOf(key, ends[:])
	return tablet, key, ok
}

// LocateVia is Locate for the entry of a unique key. Texts that end in spaces, or are none, may equal others: they are Select's.
func (p *Point) LocateVia(values []Param) (tablet types.TabletID, key []byte, ok bool) {
	for _, v := range values {
		if b := v.Value.B; v.Type.Kind == types.KindVarChar && (len(b) == 0 || b[len(b)-1] <= ' ') {
			return 0, nil, false
		}
	}
	return p.Via.Locate(values)
}

// LocateRow is Locate for the primary key that an entry of a unique key names.
func (p *Point) LocateRow(entry *vec.Batch) (tablet types.TabletID, key []byte, ok bool) {
	var ends [16]int
	if len(entry.Cols) > len(ends) {
		return 0, nil, false
	}
	for i, c := range entry.Cols {
		key = vec.AppendKey(key, c, 0)
		ends[i] = len(key)
	}
	tablet, ok = p.tabletOf(key, ends[:])
	return tablet, key, ok
}

// tabletOf returns where rows with a key are, whose columns end where ends says.
func (p *Point) tabletOf(key []byte, ends []int) (types.TabletID, bool) {
	pick := func(cols []int) []byte {
		if slices.Equal(cols, firstInts[:min(len(cols), len(firstInts))]) {
			return key[:ends[len(cols)-1]]
		}
		var out []byte
		for _, c := range cols {
			from := 0
			if c > 0 {
				from = ends[c-1]
			}
			out = append(out, key[from:ends[c]]...)
		}
		return out
	}
	part := 0
	if len(p.parts) > 0 {
		if part = partitionOf(p.Table, pick(p.parts)); part < 0 {
			return 0, false
		}
	}
	tablets := p.Table.Parts[part].Tablets
	return tablets[Bucket(pick(p.hash), len(tablets))], true
}

// firstInts are the positions of a prefix of the key.
var firstInts = [16]int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}

// appendPoint appends the memcomparable form of a value that is one of the type as it stands.
func appendPoint(dst []byte, v Param, t types.ColumnType) ([]byte, bool) {
	one, ok := pointVector(v, t)
	if !ok {
		return nil, false
	}
	return vec.AppendKey(dst, one, 0), true
}

// pointVector is a vector of a value that is one of the type as it stands.
func pointVector(v Param, t types.ColumnType) (*vec.Vector, bool) {
	if v.Value.Null {
		return nil, false
	}
	one := &vec.Vector{Type: t, N: 1}
	if t.Kind == types.KindVarChar {
		one.Off, one.Data = []uint32{0, uint32(len(v.Value.B))}, v.Value.B
		return one, v.Type.Kind == types.KindVarChar && len(v.Value.B) <= int(t.Length) && isASCII(v.Value.B)
	}
	one.I64 = []int64{v.Value.I}
	return one, heldAsIs(t, v.Value, v.Type)
}

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

// plainInteger reports whether values of a type are integers and nothing else, as YEAR and BOOL are.
func plainInteger(t types.ColumnType) bool {
	return t.Kind >= types.KindTinyInt && t.Kind <= types.KindBigInt
}

// heldAsIs reports whether a value that is not NULL is an integer that another integer type holds.
func heldAsIs(t types.ColumnType, v vec.Value, of types.ColumnType) bool {
	return plainInteger(of) && !(of.Unsigned && v.I < 0) && holds(t, v.I)
}

// holds reports whether an integer type holds n.
func holds(t types.ColumnType, n int64) bool {
	bits := uint(64)
	switch t.Kind {
	case types.KindTinyInt:
		bits = 8
	case types.KindSmallInt:
		bits = 16
	case types.KindMediumInt:
		bits = 24
	case types.KindInt:
		bits = 32
	}
	if t.Unsigned {
		return n >= 0 && (bits == 64 || n < 1<<bits)
	}
	return bits == 64 || n >= -1<<(bits-1) && n < 1<<(bits-1)
}
