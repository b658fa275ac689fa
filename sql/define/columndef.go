package define

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/expr"
	ast "stele/sql/parse"
	"stele/sql/plan"
	sqltypes "stele/sql/types"
)

// column checks one column definition by itself; text compares by the given collation unless it says otherwise.
func (d *definer) column(def *ast.ColumnDef, collation types.Collation) (types.Column, error) {
	col := types.Column{Name: def.Name.Name.O}
	special, err := memberColumn(&col, def.Tp)
	if err != nil {
		return col, err
	}
	t := col.Type
	if !special {
		if t, err = ast.ColumnType(def.Tp); err != nil {
			return col, err
		}
	}
	if t.Kind == types.KindVarChar && t.Length == 0 && def.Tp.GetFlen() < 0 || t.Length > 0 && t.IsString() && t.Kind != types.KindText && t.Kind != types.KindBlob && t.Length > plan.MaxVarChar {
		return col, errorf(errno.ColumnTooBig, "Column length too big for column '%s' (max = 1048576); use BLOB or TEXT instead", col.Name)
	}
	if (t.Kind == types.KindChar || t.Kind == types.KindBinary) && def.Tp.GetFlen() < 0 {
		t.Length = 1
	}
	if !knownCharset(def.Tp.GetCharset()) {
		return col, refuse("CHARACTER SET " + def.Tp.GetCharset())
	}
	col.Type = t
	d.collated(&col, def, collation)
	if def.Tp.GetFlag()&ast.UnsignedFlag != 0 && t.IsNumeric() && !t.IsInteger() {
		d.notes = append(d.notes, "UNSIGNED of column '"+col.Name+"' is not kept: CHECK (`"+col.Name+"` >= 0) keeps negative values out")
	}
	if digits := def.Tp.GetDecimal(); digits >= 0 && (t.Kind == types.KindFloat || t.Kind == types.KindDouble) {
		d.notes = append(d.notes, fmt.Sprintf("the digits of column '%s' are not kept: it is not rounded, which DECIMAL(%d,%d) is", col.Name, def.Tp.GetFlen(), digits))
	}
	switch zerofill := def.Tp.GetFlag()&ast.ZerofillFlag != 0; {
	case zerofill && t.IsNumeric() && !special:
		col.Type.Unsigned = t.IsInteger()
		col.Shown = sqltypes.ZerofillName(col.Type, def.Tp.GetFlen())
	case t.Kind == types.KindTinyInt && t.Length == 1:
		col.Shown = "tinyint(1)"
	}
	var def0 ast.ExprNode
	for _, o := range def.Options {
		if o.Tp == ast.ColumnOptionDefaultValue {
			def0 = o.Expr
			continue
		}
		if o.Tp == ast.ColumnOptionCollate {
			continue // see collated
		}
		if err := columnOption(&col, o); err != nil {
			return col, err
		}
	}
	if col.Generated != nil {
		return col, onlyGenerated(&col, def0 != nil)
	}
	if def0 != nil {
		return col, d.columnDefault(&col, def0)
	}
	return col, nil
}

// collated gives a column of text the collation that its definition names, else that of its character set, else the given one. One that
// is not known is noted.
func (d *definer) collated(col *types.Column, def *ast.ColumnDef, collation types.Collation) {
	name := def.Tp.GetCollate()
	for _, o := range def.Options {
		if o.Tp == ast.ColumnOptionCollate {
			name = o.StrValue
		}
	}
	c, known := types.ParseCollation(name)
	switch {
	case name == "" && def.Tp.GetCharset() != "":
	case name == "":
		c = collation
	case !known && !types.BinaryCollation(name), known && c != types.CollationBinary && col.Special():
		d.notes = append(d.notes, "collation "+name+" of column '"+col.Name+"' is not kept: strings compare by their bytes")
	}
	if col.Type.IsText() {
		col.Type.Collation = c
	}
}

// byBytes has columns that decide where a row lies, and which row it is, compare by their bytes: there a value is found by what is stored.
func byBytes(columns []types.Column, layout []types.ColumnID) (notes []string) {
	for i := range columns {
		c := &columns[i]
		if c.Type.Collation == types.CollationBinary || !slices.Contains(layout, c.ID) {
			continue
		}
		notes = append(notes, "column '"+c.Name+"' is utf8mb4_bin, not "+c.Type.Collation.String()+": the primary key, the distribution and the partitions of a table compare by bytes")
		c.Type.Collation = types.CollationBinary
	}
	return notes
}

// columnOption applies one option.
func columnOption(col *types.Column, o *ast.ColumnOption) error {
	switch o.Tp {
	case ast.ColumnOptionNotNull, ast.ColumnOptionPrimaryKey:
		col.Type.NotNull = true
	case ast.ColumnOptionNull:
		col.Type.NotNull = false
	case ast.ColumnOptionAutoIncrement:
		if !col.Type.IsInteger() || col.Type.Kind == types.KindYear || col.Type.Kind == types.KindBool {
			return errorf(errno.WrongColumnSpec, "Incorrect column specifier for column '%s'", col.Name)
		}
		col.AutoIncrement, col.Type.NotNull = true, true
	case ast.ColumnOptionComment:
		if lit, ok := o.Expr.(*ast.Literal); ok {
			col.Comment = lit.Str
		}
	case ast.ColumnOptionOnUpdate:
		if col.Type.Kind != types.KindDateTime && col.Type.Kind != types.KindTimestamp {
			return errorf(errno.InvalidOnUpdate, "Invalid ON UPDATE clause for '%s' column", col.Name)
		}
		col.OnUpdateNow = true
	case ast.ColumnOptionGenerated:
		col.Generated = &types.Generated{Virtual: !o.Stored} // its expression is read when all columns are known
	case ast.ColumnOptionFulltext:
		return refuse("FULLTEXT")
	}
	return nil
}

// columnDefault checks a DEFAULT and keeps its text.
func (d *definer) columnDefault(col *types.Column, n ast.ExprNode) error {
	invalid := errorf(errno.BadDefault, "Invalid default value for '%s'", col.Name)
	if call, ok := ast.Unparen(n).(*ast.FuncCallExpr); ok {
		switch call.FnName.L {
		case "current_timestamp", "now", "localtime", "localtimestamp":
			if col.Type.Kind != types.KindDateTime && col.Type.Kind != types.KindTimestamp {
				return invalid
			}
			col.DefaultNow = true
			return nil
		}
	}
	if defaultIsExpr(col, n) {
		if col.AutoIncrement {
			return invalid
		}
		col.DefaultExpr = &types.DefaultExpr{} // it is read when all columns are known
		return nil
	}
	v, err := plan.Constant(d.ctx.Context, n, "default value")
	if err != nil {
		return err
	}
	if v.Kind != expr.NodeConst {
		return refuse("an expression as DEFAULT")
	}
	if v.Value.Null {
		if col.Type.NotNull {
			return invalid
		}
		return nil
	}
	if col.AutoIncrement {
		return invalid
	}
	t := col.Type
	t.NotNull = false
	to := *col
	to.Type = t
	val, _, err := sqltypes.ConvertColumn(v.Value, v.Type, &to, true, sqltypes.Env{Loc: d.ctx.Location(), ZeroDates: d.ctx.ZeroDates() || !d.ctx.Strict()})
	if err != nil || val.Null {
		return invalid
	}
	s := string(sqltypes.AppendText(nil, t, val, d.ctx.Location()))
	switch {
	case col.IsSet():
		s = sqltypes.SetText(col.Elems, uint64(val.I))
	case len(col.Elems) > 0:
		s = sqltypes.EnumText(col.Elems, val.I)
	case col.Bits > 0:
		s = "b'" + strconv.FormatUint(uint64(val.I), 2) + "'"
	}
	col.Default = &s
	return nil
}

// memberColumn reads the types whose values are members or bits.
func memberColumn(col *types.Column, ft *ast.FieldType) (bool, error) {
	switch ft.GetType() {
	case ast.TypeBit:
		col.Bits = int32(max(ft.GetFlen(), 1))
		if col.Bits > 64 {
			return true, errorf(errno.DisplayWidthTooBig, "Display width out of range for column '%s' (max = 64)", col.Name)
		}
		col.Type = types.ColumnType{Kind: types.KindBigInt, Unsigned: true}
		col.Shown = "bit(" + strconv.Itoa(int(col.Bits)) + ")"
		return true, nil
	case ast.TypeEnum, ast.TypeSet:
	default:
		return false, nil
	}
	word, most, kind := "enum", 65535, types.KindSmallInt
	if ft.GetType() == ast.TypeSet {
		word, most, kind = "set", 64, types.KindBigInt
	}
	var quoted []string
	for _, m := range ft.GetElems() {
		m = strings.TrimRight(m, " ")
		if sqltypes.EnumIndex(col.Elems, []byte(m)) > 0 {
			return true, errorf(errno.DuplicateMember, "Column '%s' has duplicated value '%s' in %s", col.Name, m, strings.ToUpper(word))
		}
		if word == "set" && strings.Contains(m, ",") {
			return true, errorf(errno.IllegalValue, "Illegal set '%s' value found during parsing", m)
		}
		col.Elems = append(col.Elems, m)
		quoted = append(quoted, "'"+strings.ReplaceAll(m, "'", "''")+"'")
	}
	if len(col.Elems) > most {
		return true, errorf(errno.TooManyMembers, "Too many members for column '%s' (max = %d)", col.Name, most)
	}
	col.Type = types.ColumnType{Kind: kind, Unsigned: true}
	col.Shown = word + "(" + strings.Join(quoted, ",") + ")"
	return true, nil
}
