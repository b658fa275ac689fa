package vec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/zeebo/xxh3"

	"stele/meta/types"
)

// The wire form of a batch, little endian: magic u32, rows u32, columns u32; for each column its type (kind u8,
// flags u8, length i32, scale i32) and the length of its bytes u32; then for each column the validity words (if
// flagged), the values (or N+1 offsets from zero and the bytes); last the xxh3 of all that precedes. Sel is not
// sent: encoding writes only the rows that count.
const (
	wireMagic     = 0x31425653 // "SVB1"
	wireHeader    = 12
	wireColumn    = 14
	wireTrailer   = 8
	flagUnsigned  = 1
	flagNotNull   = 2
	flagHasNulls  = 4
	maxWireRows   = 1 << 24
	maxWireCols   = 1 << 14
	wireFlagsMask = flagUnsigned | flagNotNull | flagHasNulls
)

// ErrCorrupt is wrapped by every error of Decode.
var ErrCorrupt = errors.New("corrupt batch")

// besideRows and besideBytes bound what is handed over within a process in the place of its wire form.
const (
	besideRows  = 64
	besideBytes = 4 << 10
)

// Beside reports whether a batch is what Decode would return for its wire form, and small: then a receiver in the same process may
// have the batch itself.
func (b *Batch) Beside() bool {
	if b.Sel != nil || b.N == 0 || b.N > besideRows || b.Size() > besideBytes {
		return false
	}
	for _, v := range b.Cols {
		if v.N != b.N {
			return false
		}
		if v.Type.Phys() == types.PhysBytes && (len(v.Off) != b.N+1 || v.Off[0] != 0 || int(v.Off[b.N]) != len(v.Data)) {
			return false
		}
	}
	return true
}

// Encoded returns the wire form of a batch.
func (b *Batch) Encoded() []byte { return Encode(nil, b) }

// Encode appends the wire form of the rows of b that count.
func Encode(dst []byte, b *Batch) []byte {
	b = b.Compact()
	dst = slices.Grow(dst, b.Size()+wireColumn*len(b.Cols)+wireHeader+wireTrailer)
	start := len(dst)
	le := binary.LittleEndian
	dst = le.AppendUint32(dst, wireMagic)
	dst = le.AppendUint32(dst, uint32(b.N))
	dst = le.AppendUint32(dst, uint32(len(b.Cols)))
	for _, v := range b.Cols {
		dst = appendColumnHeader(dst, v)
	}
	for _, v := range b.Cols {
		dst = appendColumn(dst, v)
	}
	return le.AppendUint64(dst, xxh3.Hash(dst[start:]))
}

func appendColumnHeader(dst []byte, v *Vector) []byte {
	le := binary.LittleEndian
	var flags byte
	if v.Type.Unsigned {
		flags |= flagUnsigned
	}
	if v.Type.NotNull {
		flags |= flagNotNull
	}
	if v.Valid != nil {
		flags |= flagHasNulls
	}
	size := uint32(0)
	if v.Type.Phys() == types.PhysBytes {
		size = v.Off[v.N] - v.Off[0]
	}
	dst = append(dst, byte(v.Type.Kind), flags)
	dst = le.AppendUint32(dst, uint32(v.Type.Length))
	dst = le.AppendUint32(dst, uint32(v.Type.Scale))
	return le.AppendUint32(dst, size)
}

func appendColumn(dst []byte, v *Vector) []byte {
	le := binary.LittleEndian
	if v.Valid != nil {
		for _, w := range v.Valid[:ValidWords(v.N)] {
			dst = le.AppendUint64(dst, w)
		}
	}
	switch v.Type.Phys() {
	case types.PhysFloat64:
		for _, x := range v.F64[:v.N] {
			dst = le.AppendUint64(dst, math.Float64bits(x))
		}
	case types.PhysDec128:
		for _, x := range v.Dec[:v.N] {
			dst = le.AppendUint64(le.AppendUint64(dst, x.Lo), uint64(x.Hi))
		}
	case types.PhysBytes:
		base := v.Off[0]
		for _, o := range v.Off[:v.N+1] {
			dst = le.AppendUint32(dst, o-base)
		}
		dst = append(dst, v.Data[base:v.Off[v.N]]...)
	default:
		for _, x := range v.I64[:v.N] {
			dst = le.AppendUint64(dst, uint64(x))
		}
	}
	return dst
}

// Decode reads what Encode wrote. It copies, checks every length before it allocates, and never panics.
func Decode(src []byte) (*Batch, error) { return decode(src, false) }

// DecodeShared is Decode of what nobody changes any more: the bytes of texts stay where they are, and keep all of src in memory.
func DecodeShared(src []byte) (*Batch, error) { return decode(src, true) }

func decode(src []byte, shared bool) (*Batch, error) {
	le := binary.LittleEndian
	if len(src) < wireHeader+wireTrailer {
		return nil, fmt.Errorf("decode batch of %d bytes: %w: too short", len(src), ErrCorrupt)
	}
	body := src[:len(src)-wireTrailer]
	if le.Uint64(src[len(body):]) != xxh3.Hash(body) {
		return nil, fmt.Errorf("decode batch of %d bytes: %w: checksum", len(src), ErrCorrupt)
	}
	rows, cols := le.Uint32(body[4:]), le.Uint32(body[8:])
	if le.Uint32(body) != wireMagic || rows > maxWireRows || cols > maxWireCols || uint64(len(body)) < wireHeader+uint64(cols)*wireColumn {
		return nil, fmt.Errorf("decode batch of %d bytes: %w: header", len(src), ErrCorrupt)
	}
	b := &Batch{N: int(rows), Cols: make([]*Vector, cols)}
	rest := body[wireHeader+int(cols)*wireColumn:]
	columns := make([]decoding, cols)
	for i := range b.Cols {
		left, err := columns[i].decode(body[wireHeader+i*wireColumn:], rest, b.N, shared)
		if err != nil {
			return nil, fmt.Errorf("decode batch column %d: %w", i, err)
		}
		b.Cols[i], rest = &columns[i].Vector, left
	}
	if len(rest) != 0 {
		return nil, fmt.Errorf("decode batch: %w: %d bytes left over", ErrCorrupt, len(rest))
	}
	return b, nil
}

// decoding is a column that is being read, with room for one integer: most batches that come singly are one row of a statement.
type decoding struct {
	Vector
	one [1]int64
}

// decode reads a column of n rows out of rest and returns what is left of that.
func (v *decoding) decode(head, rest []byte, n int, shared bool) ([]byte, error) {
	le := binary.LittleEndian
	flags, size := head[1], int(le.Uint32(head[10:]))
	t := types.ColumnType{
		Kind: types.Kind(head[0]), Unsigned: flags&flagUnsigned != 0, NotNull: flags&flagNotNull != 0,
		Length: int32(le.Uint32(head[2:])), Scale: int32(le.Uint32(head[6:])),
	}
	if t.Kind > types.KindBool || flags&^byte(wireFlagsMask) != 0 || t.Length < 0 || t.Scale < 0 || t.Scale > types.MaxDecimalPrecision {
		return nil, fmt.Errorf("%w: type", ErrCorrupt)
	}
	v.Type, v.N = t, n
	need := 8 * n
	switch t.Phys() {
	case types.PhysDec128:
		need = 16 * n
	case types.PhysBytes:
		need = 4*(n+1) + size
	}
	if flags&flagHasNulls != 0 {
		need += 8 * ValidWords(n)
	}
	if len(rest) < need {
		return nil, fmt.Errorf("%w: %d bytes where %d are needed", ErrCorrupt, len(rest), need)
	}
	in := rest[:need]
	if flags&flagHasNulls != 0 {
		v.Valid = make([]uint64, ValidWords(n))
		for i := range v.Valid {
			v.Valid[i] = le.Uint64(in[8*i:])
		}
		if n&63 != 0 {
			v.Valid[n>>6] &= 1<<(uint(n)&63) - 1
		}
		in = in[8*len(v.Valid):]
	}
	if err := v.decodeValues(in, n, shared); err != nil {
		return nil, err
	}
	return rest[need:], nil
}

func (v *decoding) decodeValues(in []byte, n int, shared bool) error {
	le := binary.LittleEndian
	switch v.Type.Phys() {
	case types.PhysFloat64:
		v.F64 = make([]float64, n)
		for i := range v.F64 {
			v.F64[i] = math.Float64frombits(le.Uint64(in[8*i:]))
		}
	case types.PhysDec128:
		v.Dec = make([]Int128, n)
		for i := range v.Dec {
			v.Dec[i] = Int128{Lo: le.Uint64(in[16*i:]), Hi: int64(le.Uint64(in[16*i+8:]))}
		}
	case types.PhysBytes:
		v.Off = make([]uint32, n+1)
		for i := range v.Off {
			v.Off[i] = le.Uint32(in[4*i:])
			if i > 0 && v.Off[i] < v.Off[i-1] {
				return fmt.Errorf("%w: offsets go down", ErrCorrupt)
			}
		}
		data := in[4*(n+1):]
		if v.Off[0] != 0 || int64(v.Off[n]) != int64(len(data)) {
			return fmt.Errorf("%w: offsets", ErrCorrupt)
		}
		if v.Data = data[:len(data):len(data)]; !shared {
			v.Data = append(make([]byte, 0, len(data)), data...)
		}
	default:
		if v.I64 = v.one[:]; n != 1 {
			v.I64 = make([]int64, n)
		}
		for i := range v.I64 {
			v.I64[i] = int64(le.Uint64(in[8*i:]))
		}
	}
	return nil
}
