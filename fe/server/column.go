package server

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/go-mysql-org/go-mysql/mysql"

	"stele/meta/types"
)

const (
	charsetBinary = 63
	// bytesPerChar is how much a client must reserve for a character of utf8mb4.
	bytesPerChar = 4
	// decimalsUnknown is what MySQL says of the digits behind the point of a float.
	decimalsUnknown = 31
	// textLength is the length of TEXT and BLOB when the type does not say.
	textLength = 65535
)

// paramColumn describes a parameter of a prepared statement; clients only count them.
var paramColumn = Column{Name: "?", Type: types.ColumnType{Kind: types.KindVarChar}}

// shape is how a type looks in a column definition.
type shape struct {
	code     byte
	charset  uint16
	length   uint32
	flags    uint16
	decimals byte
}

// intShapes are the wire types and display lengths (signed, unsigned) of the integers.
var intShapes = map[types.Kind]struct {
	code             byte
	signed, unsigned uint32
}{
	types.KindTinyInt:   {mysql.MYSQL_TYPE_TINY, 4, 3},
	types.KindSmallInt:  {mysql.MYSQL_TYPE_SHORT, 6, 5},
	types.KindMediumInt: {mysql.MYSQL_TYPE_INT24, 9, 8},
	types.KindInt:       {mysql.MYSQL_TYPE_LONG, 11, 10},
	types.KindBigInt:    {mysql.MYSQL_TYPE_LONGLONG, 20, 20},
	types.KindYear:      {mysql.MYSQL_TYPE_YEAR, 4, 4},
	types.KindBool:      {mysql.MYSQL_TYPE_TINY, 1, 1},
}

// shapeOf maps a type to its column definition.
func shapeOf(t types.ColumnType) shape {
	s := shape{charset: charsetBinary}
	if is, ok := intShapes[t.Kind]; ok {
		s.code, s.length = is.code, is.signed
		if t.Unsigned {
			s.length = is.unsigned
		}
		if t.Length > 0 && t.Kind != types.KindYear {
			s.length = uint32(t.Length) // a display width, as in tinyint(1)
		}
	} else if t.Phys() == types.PhysBytes {
		s = stringShape(t)
	} else {
		s = otherShape(t)
	}
	if t.Unsigned {
		s.flags |= mysql.UNSIGNED_FLAG
	}
	if t.Kind == types.KindYear {
		s.flags |= mysql.UNSIGNED_FLAG | mysql.ZEROFILL_FLAG
	}
	if t.NotNull {
		s.flags |= mysql.NOT_NULL_FLAG
	}
	return s
}

// otherShape maps floats, decimals and temporal types.
func otherShape(t types.ColumnType) shape {
	s := shape{charset: charsetBinary, decimals: byte(t.Scale)}
	if t.IsTemporal() {
		s.flags = mysql.BINARY_FLAG
	}
	fraction := uint32(0)
	if t.Scale > 0 {
		fraction = uint32(t.Scale) + 1
	}
	switch t.Kind {
	case types.KindFloat:
		s.code, s.length, s.decimals = mysql.MYSQL_TYPE_FLOAT, 12, decimalsUnknown
	case types.KindDouble:
		s.code, s.length, s.decimals = mysql.MYSQL_TYPE_DOUBLE, 22, decimalsUnknown
	case types.KindDecimal:
		s.code, s.length = mysql.MYSQL_TYPE_NEWDECIMAL, uint32(t.Length)+1 // the sign
		if t.Scale > 0 {
			s.length++
		}
	case types.KindDate:
		s.code, s.length = mysql.MYSQL_TYPE_DATE, 10
	case types.KindDateTime:
		s.code, s.length = mysql.MYSQL_TYPE_DATETIME, 19+fraction
	case types.KindTimestamp:
		s.code, s.length = mysql.MYSQL_TYPE_TIMESTAMP, 19+fraction
	case types.KindTime:
		s.code, s.length = mysql.MYSQL_TYPE_TIME, 10+fraction
	default:
		s.code = mysql.MYSQL_TYPE_NULL
	}
	return s
}

func stringShape(t types.ColumnType) shape {
	s := shape{charset: collation}
	length := uint64(max(t.Length, 0))
	switch t.Kind {
	case types.KindChar, types.KindBinary:
		s.code = mysql.MYSQL_TYPE_STRING
	case types.KindText, types.KindBlob:
		s.code, s.flags = mysql.MYSQL_TYPE_BLOB, mysql.BLOB_FLAG
		if length == 0 {
			length = textLength
		}
	case types.KindJSON:
		return shape{code: mysql.MYSQL_TYPE_JSON, charset: charsetBinary, length: math.MaxUint32,
			flags: mysql.BLOB_FLAG | mysql.BINARY_FLAG}
	default:
		s.code = mysql.MYSQL_TYPE_VAR_STRING
		if length == 0 {
			length = textLength
		}
	}
	switch t.Kind {
	case types.KindBinary, types.KindVarBinary, types.KindBlob:
		s.charset = charsetBinary
		s.flags |= mysql.BINARY_FLAG
	default:
		length *= bytesPerChar
	}
	s.length = uint32(min(length, math.MaxUint32))
	return s
}

// appendColumn appends a column definition.
func appendColumn(b []byte, c *Column) []byte {
	s := shapeOf(c.Type)
	switch {
	case c.Flags&FlagZerofill != 0:
		s.length = uint32(c.Bits)
	case c.Bits > 0:
		s = shape{code: mysql.MYSQL_TYPE_BIT, charset: charsetBinary, length: uint32(c.Bits), flags: mysql.UNSIGNED_FLAG | s.flags&mysql.NOT_NULL_FLAG}
	case c.Flags&(FlagEnum|FlagSet) != 0:
		s.code = mysql.MYSQL_TYPE_STRING
	}
	b = appendLenBytes(b, "def")
	for _, name := range [...]string{c.DB, c.Table, c.OrgTable, c.Name, c.OrgName} {
		b = appendLenBytes(b, name)
	}
	b = append(b, 0x0c) // length of what follows
	b = binary.LittleEndian.AppendUint16(b, s.charset)
	b = binary.LittleEndian.AppendUint32(b, s.length)
	b = append(b, s.code)
	b = binary.LittleEndian.AppendUint16(b, s.flags|c.Flags)
	return append(b, s.decimals, 0, 0)
}

// dateText prints a date that does not exist, for Param.
func dateText(kind types.Kind, y, m, d, h, mi, s, us uint64) []byte {
	b := fmt.Appendf(nil, "%04d-%02d-%02d", y, m, d)
	if kind != types.KindDate {
		b = fmt.Appendf(b, " %02d:%02d:%02d", h, mi, s)
		if us != 0 {
			b = fmt.Appendf(b, ".%06d", us)
		}
	}
	return b
}
