package server

import (
	"math"

	"github.com/go-mysql-org/go-mysql/mysql"

	"stele/meta/types"
	sqltypes "stele/sql/types"
)

// paramType is the type that a client bound a parameter with.
type paramType struct {
	code     byte
	unsigned bool
}

// column is the type that a value of the parameter has here.
func (t paramType) column() types.ColumnType {
	ct := types.ColumnType{Unsigned: t.unsigned}
	switch t.code {
	case mysql.MYSQL_TYPE_TINY:
		ct.Kind = types.KindTinyInt
	case mysql.MYSQL_TYPE_SHORT, mysql.MYSQL_TYPE_YEAR:
		ct.Kind = types.KindSmallInt
	case mysql.MYSQL_TYPE_LONG, mysql.MYSQL_TYPE_INT24:
		ct.Kind = types.KindInt
	case mysql.MYSQL_TYPE_LONGLONG:
		ct.Kind = types.KindBigInt
	default:
		return types.ColumnType{Kind: otherKind(t.code)}
	}
	return ct
}

func otherKind(code byte) types.Kind {
	switch code {
	case mysql.MYSQL_TYPE_NULL:
		return types.KindNull
	case mysql.MYSQL_TYPE_FLOAT:
		return types.KindFloat
	case mysql.MYSQL_TYPE_DOUBLE:
		return types.KindDouble
	case mysql.MYSQL_TYPE_DECIMAL, mysql.MYSQL_TYPE_NEWDECIMAL:
		return types.KindDecimal
	case mysql.MYSQL_TYPE_DATE, mysql.MYSQL_TYPE_NEWDATE:
		return types.KindDate
	case mysql.MYSQL_TYPE_DATETIME, mysql.MYSQL_TYPE_TIMESTAMP:
		return types.KindDateTime
	case mysql.MYSQL_TYPE_TIME:
		return types.KindTime
	case mysql.MYSQL_TYPE_TINY_BLOB, mysql.MYSQL_TYPE_MEDIUM_BLOB, mysql.MYSQL_TYPE_LONG_BLOB,
		mysql.MYSQL_TYPE_BLOB, mysql.MYSQL_TYPE_BIT, mysql.MYSQL_TYPE_GEOMETRY:
		return types.KindVarBinary
	}
	return types.KindVarChar
}

// long makes a parameter of data that was sent ahead.
func (t paramType) long(data []byte) Param {
	kind := otherKind(t.code)
	if kind != types.KindVarBinary {
		kind = types.KindVarChar
	}
	return Param{Type: types.ColumnType{Kind: kind}, Bytes: data}
}

// decode reads a value. A short packet shows in cur.bad; strings alias the packet.
func (t paramType) decode(cur *cursor) Param {
	p := Param{Type: t.column()}
	switch p.Type.Kind {
	case types.KindNull:
		p.Null = true
	case types.KindTinyInt:
		p.Int = extend(cur.uint(1), 8, t.unsigned)
	case types.KindSmallInt:
		p.Int = extend(cur.uint(2), 16, t.unsigned)
	case types.KindInt:
		p.Int = extend(cur.uint(4), 32, t.unsigned)
	case types.KindBigInt:
		p.Int = int64(cur.uint(8))
	case types.KindFloat:
		p.Float = float64(math.Float32frombits(uint32(cur.uint(4))))
	case types.KindDouble:
		p.Float = math.Float64frombits(cur.uint(8))
	case types.KindDate, types.KindDateTime:
		return decodeDate(cur, p.Type.Kind)
	case types.KindTime:
		return decodeTime(cur)
	default:
		p.Bytes = cur.lenBytes()
	}
	return p
}

// extend widens an integer of so many bits.
func extend(v uint64, bits int, unsigned bool) int64 {
	if unsigned {
		return int64(v)
	}
	return int64(v<<(64-bits)) >> (64 - bits)
}

// decodeDate reads a DATE or DATETIME; see Param about dates that do not exist.
func decodeDate(cur *cursor, kind types.Kind) Param {
	n := cur.uint(1)
	c := cursor{b: cur.take(n)}
	var y, m, d, h, mi, s, us uint64
	if n > 0 {
		y, m, d = c.uint(2), c.uint(1), c.uint(1)
	}
	if n > 4 {
		h, mi, s = c.uint(1), c.uint(1), c.uint(1)
	}
	if n > 7 {
		us = c.uint(4)
	}
	if c.bad || len(c.b) > 0 {
		cur.bad = true
		return Param{}
	}
	clock := ((h*60+mi)*60+s)*uint64(sqltypes.Second) + us
	if y > 9999 || !sqltypes.ValidDate(int(y), int(m), int(d)) || h > 23 || mi > 59 || s > 59 || us > 999_999 {
		return Param{Type: types.ColumnType{Kind: types.KindVarChar}, Bytes: dateText(kind, y, m, d, h, mi, s, us)}
	}
	days := sqltypes.DaysOf(int(y), int(m), int(d))
	if kind == types.KindDate && clock == 0 {
		return Param{Type: types.ColumnType{Kind: kind}, Int: days}
	}
	p := Param{Type: types.ColumnType{Kind: types.KindDateTime}, Int: days*sqltypes.Day + int64(clock)}
	if us != 0 {
		p.Type.Scale = 6
	}
	return p
}

// decodeTime reads a TIME.
func decodeTime(cur *cursor) Param {
	p := Param{Type: types.ColumnType{Kind: types.KindTime}}
	n := cur.uint(1)
	c := cursor{b: cur.take(n)}
	if n == 0 {
		return p
	}
	negative := c.uint(1) != 0
	days, h, mi, s := c.uint(4), c.uint(1), c.uint(1), c.uint(1)
	var us uint64
	if n > 8 {
		us = c.uint(4)
		p.Type.Scale = 6
	}
	if c.bad || len(c.b) > 0 {
		cur.bad = true
		return Param{}
	}
	p.Int = int64(((days*24+h)*60+mi)*60+s)*sqltypes.Second + int64(us)
	if negative {
		p.Int = -p.Int
	}
	return p
}
