package vec

import "stele/meta/types"

// Value is one scalar in the physical form of its type (see types.Phys).
type Value struct {
	Null bool    `cbor:"1,keyasint,omitempty"`
	I    int64   `cbor:"2,keyasint,omitempty"` // PhysInt64; low 64 bits of PhysDec128
	F    float64 `cbor:"3,keyasint,omitempty"` // PhysFloat64
	Hi   int64   `cbor:"4,keyasint,omitempty"` // high 64 bits of PhysDec128
	B    []byte  `cbor:"5,keyasint,omitempty"` // PhysBytes
}

// NullValue is the SQL NULL of any type.
func NullValue() Value { return Value{Null: true} }

// Int makes a value of a PhysInt64 type.
func Int(v int64) Value { return Value{I: v} }

// Float makes a value of a PhysFloat64 type.
func Float(v float64) Value { return Value{F: v} }

// Dec makes a value of a PhysDec128 type.
func Dec(v Int128) Value { return Value{I: int64(v.Lo), Hi: v.Hi} }

// Str makes a value of a PhysBytes type; it keeps b.
func Str(b []byte) Value { return Value{B: b} }

// Bool makes the value of a predicate.
func Bool(v bool) Value {
	if v {
		return Value{I: 1}
	}
	return Value{}
}

// Dec128 returns the value of a PhysDec128 type.
func (v Value) Dec128() Int128 { return Int128{Hi: v.Hi, Lo: uint64(v.I)} }

// Value returns row i of the vector as a scalar; bytes alias the vector's buffer.
func (v *Vector) Value(i int) Value {
	if v.IsNull(i) {
		return Value{Null: true}
	}
	switch v.Type.Phys() {
	case types.PhysFloat64:
		return Value{F: v.F64[i]}
	case types.PhysDec128:
		return Dec(v.Dec[i])
	case types.PhysBytes:
		return Value{B: v.Bytes(i)}
	default:
		return Value{I: v.I64[i]}
	}
}
