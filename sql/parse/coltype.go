package parse

import (
	"strings"

	"stele/meta/types"
	"stele/sql/errno"
	sqltypes "stele/sql/types"
)

// ColumnType is what the type of a column, or of a CAST, means. ENUM, SET and BIT mean more than a type: sql/plan reads them.
func ColumnType(ft *FieldType) (types.ColumnType, error) {
	t := types.ColumnType{}
	if ft.IsArray() {
		return t, sqltypes.NotSupported("ARRAY")
	}
	unsigned := ft.GetFlag()&UnsignedFlag != 0
	flen, dec := ft.GetFlen(), ft.GetDecimal()
	binary := ft.GetCharset() == "binary"
	switch ft.GetType() {
	case TypeTiny:
		t.Kind = types.KindTinyInt // also BOOLEAN: MySQL's holds -128..127
		if flen == 1 && !unsigned {
			t.Length = 1
		}
	case TypeShort:
		t.Kind = types.KindSmallInt
	case TypeInt24:
		t.Kind = types.KindMediumInt
	case TypeLong:
		t.Kind = types.KindInt
	case TypeLonglong:
		t.Kind = types.KindBigInt
	case TypeYear:
		t.Kind = types.KindYear
	case TypeFloat:
		t.Kind = types.KindFloat
	case TypeDouble:
		t.Kind = types.KindDouble
	case TypeNewDecimal:
		return decimalType(flen, dec)
	case TypeDate, TypeNewDate:
		t.Kind = types.KindDate
	case TypeDatetime:
		t.Kind = types.KindDateTime
	case TypeTimestamp:
		t.Kind = types.KindTimestamp
	case TypeDuration:
		t.Kind = types.KindTime
	case TypeJSON:
		t.Kind = types.KindJSON
	default:
		return stringType(ft, binary)
	}
	t.Unsigned = unsigned && t.IsInteger() && t.Kind != types.KindYear
	if (t.Kind == types.KindDateTime || t.Kind == types.KindTimestamp || t.Kind == types.KindTime) && dec > 0 {
		if dec > 6 {
			return t, sqltypes.Errorf(errno.PrecisionTooBig, "Too-big precision %d specified. Maximum is 6.", dec)
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
		return t, sqltypes.Errorf(errno.PrecisionTooBig, "Too-big precision %d specified for a DECIMAL. Maximum is %d.", t.Length, types.MaxDecimalPrecision)
	case t.Scale > 30:
		return t, sqltypes.Errorf(errno.ScaleTooBig, "Too big scale %d specified for a DECIMAL. Maximum is 30.", t.Scale)
	case t.Scale > t.Length:
		return t, sqltypes.Errorf(errno.ScaleBeyondPrecision, "For float(M,D), double(M,D) or decimal(M,D), M must be >= D.")
	}
	return t, nil
}

// Byte limits of the TEXT and BLOB kinds.
const (
	TinyText   = 1<<8 - 1
	PlainText  = 1<<16 - 1
	MediumText = 1<<24 - 1
	LongText   = 1<<31 - 1
)

// stringType maps the character and binary types, and refuses by name what there is not.
func stringType(ft *FieldType, binary bool) (types.ColumnType, error) {
	t := types.ColumnType{}
	flen := ft.GetFlen()
	pick := func(char, bin types.Kind) types.Kind {
		if binary {
			return bin
		}
		return char
	}
	switch ft.GetType() {
	case TypeString:
		t.Kind = pick(types.KindChar, types.KindBinary)
		t.Length = int32(max(flen, 0))
	case TypeVarchar, TypeVarString:
		t.Kind = pick(types.KindVarChar, types.KindVarBinary)
		t.Length = int32(max(flen, 0))
	case TypeTinyBlob:
		t.Kind, t.Length = pick(types.KindText, types.KindBlob), TinyText
	case TypeBlob:
		t.Kind, t.Length = pick(types.KindText, types.KindBlob), PlainText
	case TypeMediumBlob:
		t.Kind, t.Length = pick(types.KindText, types.KindBlob), MediumText
	case TypeLongBlob:
		t.Kind, t.Length = pick(types.KindText, types.KindBlob), LongText
	case TypeEnum:
		return t, sqltypes.NotSupported("ENUM")
	case TypeSet:
		return t, sqltypes.NotSupported("SET")
	case TypeBit:
		return t, sqltypes.NotSupported("BIT")
	case TypeGeometry:
		return t, sqltypes.NotSupported("GEOMETRY")
	default:
		return t, sqltypes.NotSupported("the type " + strings.ToUpper(ft.String()))
	}
	return t, nil
}
