package types

import (
	"strconv"
	"time"

	mt "stele/meta/types"
	"stele/sql/vec"
)

// AppendText prints a value that is not NULL as MySQL's text protocol does. loc is the session time zone, in which
// TIMESTAMP values are shown.
func AppendText(dst []byte, t mt.ColumnType, v vec.Value, loc *time.Location) []byte {
	switch t.Phys() {
	case mt.PhysFloat64:
		bits := 64
		if t.Kind == mt.KindFloat {
			bits = 32
		}
		return AppendFloat(dst, v.F, bits)
	case mt.PhysDec128:
		return AppendDecimal(dst, v.Dec128(), t.Scale)
	case mt.PhysBytes:
		return append(dst, v.B...)
	}
	return appendIntText(dst, t, v.I, loc)
}

// AppendVectorText is AppendText of row i of a vector.
func AppendVectorText(dst []byte, v *vec.Vector, i int, loc *time.Location) []byte {
	switch v.Type.Phys() {
	case mt.PhysBytes:
		return append(dst, v.Data[v.Off[i]:v.Off[i+1]]...)
	case mt.PhysInt64:
		return appendIntText(dst, v.Type, v.I64[i], loc)
	}
	return AppendText(dst, v.Type, v.Value(i), loc)
}

func appendIntText(dst []byte, t mt.ColumnType, v int64, loc *time.Location) []byte {
	switch t.Kind {
	case mt.KindDecimal:
		return AppendDecimal(dst, vec.Int128Of(v), t.Scale)
	case mt.KindDate:
		return appendDate(dst, v)
	case mt.KindDateTime:
		return appendDateTime(dst, v, t.Scale)
	case mt.KindTimestamp:
		return appendDateTime(dst, UTCToLocal(v, loc), t.Scale)
	case mt.KindTime:
		return appendTime(dst, v, t.Scale)
	case mt.KindYear:
		return appendPadded(dst, v, 4)
	}
	if t.Unsigned {
		return strconv.AppendUint(dst, uint64(v), 10)
	}
	return strconv.AppendInt(dst, v, 10)
}

// appendPadded prints a number with at least width digits.
func appendPadded(dst []byte, v int64, width int) []byte {
	for w, limit := width, Pow10Int64(int32(width-1)); w > 1 && v < limit; w, limit = w-1, limit/10 {
		dst = append(dst, '0')
	}
	return strconv.AppendInt(dst, v, 10)
}

func appendDate(dst []byte, days int64) []byte {
	y, m, d := DateOf(days)
	dst = append(appendPadded(dst, int64(y), 4), '-')
	return append(dst, byte('0'+m/10), byte('0'+m%10), '-', byte('0'+d/10), byte('0'+d%10))
}

func appendDateTime(dst []byte, micros int64, fsp int32) []byte {
	days, rest := FloorDay(micros)
	dst = append(appendDate(dst, days), ' ')
	return appendClock(dst, rest, fsp)
}

func appendTime(dst []byte, micros int64, fsp int32) []byte {
	if micros < 0 {
		dst = append(dst, '-')
		micros = -micros
	}
	return appendClock(dst, micros, fsp)
}

func appendClock(dst []byte, micros int64, fsp int32) []byte {
	dst = appendPadded(dst, micros/Hour, 2)
	m, s := micros/Minute%60, micros/Second%60
	dst = append(dst, ':', byte('0'+m/10), byte('0'+m%10), ':', byte('0'+s/10), byte('0'+s%10))
	if fsp > 0 {
		fsp = min(fsp, 6)
		dst = append(dst, '.')
		dst = appendPadded(dst, micros%Second/Pow10Int64(6-fsp), int(fsp))
	}
	return dst
}

// TypeName returns the SQL name of a type as information_schema and SHOW print it, e.g. "decimal(15,2)".
func TypeName(t mt.ColumnType) string {
	n := func(name string) string {
		if t.Length > 0 {
			return name + "(" + strconv.Itoa(int(t.Length)) + ")"
		}
		return name
	}
	fsp := func(name string) string {
		if t.Scale > 0 {
			return name + "(" + strconv.Itoa(int(t.Scale)) + ")"
		}
		return name
	}
	switch t.Kind {
	case mt.KindDecimal:
		p := t.Length
		if p == 0 {
			p = 10
		}
		return "decimal(" + strconv.Itoa(int(p)) + "," + strconv.Itoa(int(t.Scale)) + ")"
	case mt.KindChar:
		return n("char")
	case mt.KindVarChar:
		return n("varchar")
	case mt.KindBinary:
		return n("binary")
	case mt.KindVarBinary:
		return n("varbinary")
	case mt.KindText:
		return lobName(t.Length, "text")
	case mt.KindBlob:
		return lobName(t.Length, "blob")
	case mt.KindDateTime, mt.KindTimestamp, mt.KindTime:
		return fsp(kindNames[t.Kind])
	}
	if t.Unsigned {
		return kindNames[t.Kind] + " unsigned"
	}
	return kindNames[t.Kind]
}

func lobName(length int32, name string) string {
	switch {
	case length == 0 || length > 255 && length <= 65535:
		return name
	case length <= 255:
		return "tiny" + name
	case length <= 1<<24-1:
		return "medium" + name
	}
	return "long" + name
}

var kindNames = map[mt.Kind]string{
	mt.KindNull: "null", mt.KindTinyInt: "tinyint", mt.KindSmallInt: "smallint", mt.KindMediumInt: "mediumint",
	mt.KindInt: "int", mt.KindBigInt: "bigint", mt.KindFloat: "float", mt.KindDouble: "double", mt.KindDate: "date",
	mt.KindDateTime: "datetime", mt.KindTimestamp: "timestamp", mt.KindTime: "time", mt.KindYear: "year",
	mt.KindJSON: "json", mt.KindBool: "tinyint(1)",
}
