package plan

import (
	"strings"

	"stele/meta/types"
	"stele/sql/errno"
	ast "stele/sql/parse"
)

// columnType maps a type of the grammar.
func columnType(ft *ast.FieldType) (types.ColumnType, error) {
	t := types.ColumnType{}
	if ft.IsArray() {
		return t, refuse("ARRAY")
	}
	unsigned := ft.GetFlag()&ast.UnsignedFlag != 0
	flen, dec := ft.GetFlen(), ft.GetDecimal()
	binary := ft.GetCharset() == "binary"
	switch ft.GetType() {
	case ast.TypeTiny:
		t.Kind = types.KindTinyInt // also BOOLEAN: MySQL's holds -128..127
		if flen == 1 && !unsigned {
			t.Length = 1
		}
	case ast.TypeShort:
		t.Kind = types.KindSmallInt
	case ast.TypeInt24:
		t.Kind = types.KindMediumInt
	case ast.TypeLong:
		t.Kind = types.KindInt
	case ast.TypeLonglong:
		t.Kind = types.KindBigInt
	case ast.TypeYear:
		t.Kind = types.KindYear
	case ast.TypeFloat:
		t.Kind = types.KindFloat
	case ast.TypeDouble:
		t.Kind = types.KindDouble
	case ast.TypeNewDecimal:
		return decimalType(flen, dec)
	case ast.TypeDate, ast.TypeNewDate:
		t.Kind = types.KindDate
	case ast.TypeDatetime:
		t.Kind = types.KindDateTime
	case ast.TypeTimestamp:
		t.Kind = types.KindTimestamp
	case ast.TypeDuration:
		t.Kind = types.KindTime
	case ast.TypeJSON:
		t.Kind = types.KindJSON
	default:
		return stringType(ft, binary)
	}
	t.Unsigned = unsigned && t.IsInteger() && t.Kind != types.KindYear
	if (t.Kind == types.KindDateTime || t.Kind == types.KindTimestamp || t.Kind == types.KindTime) && dec > 0 {
		if dec > 6 {
			return t, errorf(errno.PrecisionTooBig, "Too-big precision %d specified. Maximum is 6.", dec)
		}
		t.Scale = int32(dec)
	}
	return t, nil
}

// decimalType checks DECIMAL(p,s) against what Stele keeps.
func decimalType(flen, dec int) (types.ColumnType, error) {
	t := types.ColumnType{Kind: types.KindDecimal, Length: 10}
	if flen > 0 {
		t.Length = int32(flen)
	}
	if dec > 0 {
		t.Scale = int32(dec)
	}
	switch {
	case t.Length > types.MaxDecimalPrecision:
		return t, errorf(errno.PrecisionTooBig, "Too-big precision %d specified for a DECIMAL. Maximum is %d.", t.Length, types.MaxDecimalPrecision)
	case t.Scale > 30:
		return t, errorf(errno.ScaleTooBig, "Too big scale %d specified for a DECIMAL. Maximum is 30.", t.Scale)
	case t.Scale > t.Length:
		return t, errorf(errno.ScaleBeyondPrecision, "For float(M,D), double(M,D) or decimal(M,D), M must be >= D.")
	}
	return t, nil
}

// Byte limits of the TEXT and BLOB kinds.
const (
	tinyText   = 1<<8 - 1
	text       = 1<<16 - 1
	mediumText = 1<<24 - 1
	longText   = 1<<31 - 1
)

// stringType maps the character and binary types, and refuses by name what there is not.
func stringType(ft *ast.FieldType, binary bool) (types.ColumnType, error) {
	t := types.ColumnType{}
	flen := ft.GetFlen()
	pick := func(char, bin types.Kind) types.Kind {
		if binary {
			return bin
		}
		return char
	}
	switch ft.GetType() {
	case ast.TypeString:
		t.Kind = pick(types.KindChar, types.KindBinary)
		t.Length = int32(max(flen, 0))
	case ast.TypeVarchar, ast.TypeVarString:
		t.Kind = pick(types.KindVarChar, types.KindVarBinary)
		t.Length = int32(max(flen, 0))
	case ast.TypeTinyBlob:
		t.Kind, t.Length = pick(types.KindText, types.KindBlob), tinyText
	case ast.TypeBlob:
		t.Kind, t.Length = pick(types.KindText, types.KindBlob), text
	case ast.TypeMediumBlob:
		t.Kind, t.Length = pick(types.KindText, types.KindBlob), mediumText
	case ast.TypeLongBlob:
		t.Kind, t.Length = pick(types.KindText, types.KindBlob), longText
	case ast.TypeEnum:
		return t, refuse("ENUM")
	case ast.TypeSet:
		return t, refuse("SET")
	case ast.TypeBit:
		return t, refuse("BIT")
	case ast.TypeGeometry:
		return t, refuse("GEOMETRY")
	default:
		return t, refuse("the type " + strings.ToUpper(ft.String()))
	}
	return t, nil
}

// binaryCollation reports whether a collation compares as Stele does: by bytes.
func binaryCollation(name string) bool {
	name = strings.ToLower(name)
	return name == "" || name == "binary" || strings.HasSuffix(name, "_bin")
}

// isText reports whether a type is a character type.
func isText(t types.ColumnType) bool {
	return t.Kind == types.KindChar || t.Kind == types.KindVarChar || t.Kind == types.KindText
}
