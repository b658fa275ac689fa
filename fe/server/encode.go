package server

import (
	"encoding/binary"
	"math"
	"slices"
	"time"

	"stele/meta/types"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

// wire is how the binary protocol carries a type.
type wire uint8

const (
	wireText wire = iota // length-encoded text
	wire1
	wire2
	wire4
	wire8
	wireFloat
	wireDouble
	wireDate
	wireDateTime
	wireTime
)

// encoder knows how one column of a result is encoded.
type encoder struct {
	wire  wire
	phys  types.Phys
	local bool           // TIMESTAMP: shown in zone
	fill  int            // ZEROFILL: to how many digits
	zone  *time.Location // never nil
}

func appendEncoders(dst []encoder, cols []Column, binaryRows bool) []encoder {
	for i := range cols {
		c := &cols[i]
		e := encoder{phys: c.Type.Phys(), zone: c.Zone, local: c.Type.Kind == types.KindTimestamp}
		if c.Flags&FlagZerofill != 0 && !c.Type.IsString() {
			e.fill = int(min(c.Bits, fillMax))
		}
		if e.zone == nil {
			e.zone = time.UTC
		}
		if binaryRows {
			e.wire = wireOf(c.Type.Kind)
		}
		dst = append(dst, e)
	}
	return dst
}

func wireOf(k types.Kind) wire {
	switch k {
	case types.KindTinyInt, types.KindBool:
		return wire1
	case types.KindSmallInt, types.KindYear:
		return wire2
	case types.KindMediumInt, types.KindInt:
		return wire4
	case types.KindBigInt:
		return wire8
	case types.KindFloat:
		return wireFloat
	case types.KindDouble:
		return wireDouble
	case types.KindDate:
		return wireDate
	case types.KindDateTime, types.KindTimestamp:
		return wireDateTime
	case types.KindTime:
		return wireTime
	}
	return wireText
}

// appendTextRow appends row i in the text protocol: every value as length-encoded text, NULL as 0xfb.
func appendTextRow(b []byte, enc []encoder, cols []*vec.Vector, i int) []byte {
	for k, v := range cols {
		if v.IsNull(i) {
			b = append(b, 0xfb)
			continue
		}
		b = appendText(b, &enc[k], v, i)
	}
	return b
}

// appendText appends value i as length-encoded text.
func appendText(b []byte, e *encoder, v *vec.Vector, i int) []byte {
	if e.phys == types.PhysBytes {
		return appendLenBytes(b, v.Bytes(i))
	}
	at := len(b) // every other type prints in fewer than 251 bytes, so its length takes one byte
	b = sqltypes.AppendVectorText(append(b, 0), v, i, e.zone)
	for short := e.fill - (len(b) - at - 1); short > 0; short-- {
		b = slices.Insert(b, at+1, '0')
	}
	b[at] = byte(len(b) - at - 1)
	return b
}

// fillMax is the largest display width, as in MySQL.
const fillMax = 250

// appendBinaryRow appends row i in the binary protocol.
func appendBinaryRow(b []byte, enc []encoder, cols []*vec.Vector, i int) []byte {
	b = append(b, 0)
	nulls := len(b)
	for range (len(cols) + 2 + 7) / 8 {
		b = append(b, 0)
	}
	for k, v := range cols {
		if v.IsNull(i) {
			b[nulls+(k+2)/8] |= 1 << ((k + 2) % 8)
			continue
		}
		b = appendBinary(b, &enc[k], v, i)
	}
	return b
}

func appendBinary(b []byte, e *encoder, v *vec.Vector, i int) []byte {
	switch e.wire {
	case wire1:
		return append(b, byte(v.I64[i]))
	case wire2:
		return binary.LittleEndian.AppendUint16(b, uint16(v.I64[i]))
	case wire4:
		return binary.LittleEndian.AppendUint32(b, uint32(v.I64[i]))
	case wire8:
		return binary.LittleEndian.AppendUint64(b, uint64(v.I64[i]))
	case wireFloat:
		return binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(v.F64[i])))
	case wireDouble:
		return binary.LittleEndian.AppendUint64(b, math.Float64bits(v.F64[i]))
	case wireDate:
		if v.I64[i] == sqltypes.ZeroDate {
			return append(b, 0)
		}
		return appendDate(append(b, 4), v.I64[i])
	case wireDateTime:
		micros := v.I64[i]
		if e.local {
			micros = sqltypes.UTCToLocal(micros, e.zone)
		}
		return appendDateTime(b, micros)
	case wireTime:
		return appendTime(b, v.I64[i])
	}
	return appendText(b, e, v, i)
}

func appendDate(b []byte, days int64) []byte {
	y, m, d := sqltypes.DateOf(days)
	return append(b, byte(y), byte(y>>8), byte(m), byte(d))
}

// appendDateTime appends a date and time; what is zero at the end is left out.
func appendDateTime(b []byte, micros int64) []byte {
	days, rest := sqltypes.FloorDay(micros)
	at := len(b)
	if micros == sqltypes.ZeroDateTime {
		return append(b, 0)
	}
	b = appendDate(append(b, 0), days)
	if rest != 0 {
		b = appendClock(b, rest)
	}
	b[at] = byte(len(b) - at - 1)
	return b
}

// appendClock appends hours, minutes, seconds and, unless zero, microseconds of less than a day.
func appendClock(b []byte, micros int64) []byte {
	sec := micros / sqltypes.Second
	b = append(b, byte(sec/3600), byte(sec/60%60), byte(sec%60))
	if frac := micros % sqltypes.Second; frac != 0 {
		b = binary.LittleEndian.AppendUint32(b, uint32(frac))
	}
	return b
}

// appendTime appends a TIME: sign, days, and the rest of a day.
func appendTime(b []byte, micros int64) []byte {
	if micros == 0 {
		return append(b, 0)
	}
	sign := byte(0)
	if micros < 0 {
		sign, micros = 1, -micros
	}
	at := len(b)
	b = binary.LittleEndian.AppendUint32(append(b, 0, sign), uint32(micros/sqltypes.Day))
	b = appendClock(b, micros%sqltypes.Day)
	b[at] = byte(len(b) - at - 1)
	return b
}
