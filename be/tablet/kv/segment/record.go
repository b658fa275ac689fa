package segment

import (
	"encoding/binary"

	"github.com/zeebo/xxh3"
)

// A record, little-endian:
//
//	magic(4) length of the key(2) 0(2) length of the value(4) 0(4) sum(8) head(8) key, zeros to 8; value, zeros to 8
//
// sum is an XXH3 of the value, seeded with that of the key; head is an XXH3 of what comes before it and of the key, seeded with
// where the record is.
const (
	recordMagic = 0x31474553 // "SEG1"
	headBytes   = 32
	recordAlign = 8

	// MaxKey and MaxValue bound what a record holds.
	MaxKey   = 1<<16 - 1
	MaxValue = 1<<31 - 1
)

// Record is a value to be stored.
type Record struct {
	Key, Value []byte
	Sum        uint64 // as SumOf has it, when that is known already; else 0
}

func (r *Record) sum() uint64 {
	if r.Sum != 0 {
		return r.Sum
	}
	return SumOf(r.Key, r.Value)
}

// Pointer says where a value is, and which.
type Pointer struct {
	Segment, Offset uint32
	Length          uint32 // of the value
	Sum             uint64 // of key and value
}

// pointerBytes is the length of an encoded pointer.
const pointerBytes = 20

// Encode returns the pointer as bytes.
func (p Pointer) Encode() []byte {
	out := make([]byte, 0, pointerBytes)
	out = binary.LittleEndian.AppendUint32(out, p.Segment)
	out = binary.LittleEndian.AppendUint32(out, p.Offset)
	out = binary.LittleEndian.AppendUint32(out, p.Length)
	return binary.LittleEndian.AppendUint64(out, p.Sum)
}

// DecodePointer reads what Encode has made; ok is false for what cannot be a pointer.
func DecodePointer(b []byte) (p Pointer, ok bool) {
	if len(b) != pointerBytes {
		return p, false
	}
	p.Segment, p.Offset = binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
	p.Length, p.Sum = binary.LittleEndian.Uint32(b[8:]), binary.LittleEndian.Uint64(b[12:])
	return p, p.Segment > 0 && p.Offset%recordAlign == 0 && p.Length <= MaxValue
}

func align(n int64) int64 { return (n + recordAlign - 1) &^ (recordAlign - 1) }

// recordSize is what a record takes.
func recordSize(key, value int) int64 { return headBytes + align(int64(key)) + align(int64(value)) }

// SumOf is the checksum of a record.
func SumOf(key, value []byte) uint64 { return xxh3.HashSeed(value, xxh3.Hash(key)) }

func place(segment, offset uint32) uint64 { return uint64(segment)<<32 | uint64(offset) }

// appendHead appends all of a record but its value and the zeros behind that.
func appendHead(dst, key []byte, p Pointer) []byte {
	at := len(dst)
	dst = binary.LittleEndian.AppendUint32(dst, recordMagic)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(key)))
	dst = append(dst, 0, 0)
	dst = binary.LittleEndian.AppendUint32(dst, p.Length)
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.LittleEndian.AppendUint64(dst, p.Sum)
	dst = binary.LittleEndian.AppendUint64(dst, headHash(dst[at:], key, p))
	dst = append(dst, key...)
	return append(dst, zeros[:align(int64(len(key)))-int64(len(key))]...)
}

var zeros [recordAlign]byte

func headHash(head, key []byte, p Pointer) uint64 {
	return xxh3.HashSeed(key, xxh3.HashSeed(head[:headBytes-8], place(p.Segment, p.Offset)))
}

// readRecord reads the record at an offset of a segment; ok is false when there is none. The value is not verified.
func readRecord(data []byte, segment, offset uint32) (rec Record, p Pointer, ok bool) {
	if int64(offset)+headBytes > int64(len(data)) {
		return rec, p, false
	}
	head := data[offset:]
	if binary.LittleEndian.Uint32(head) != recordMagic {
		return rec, p, false
	}
	key := int(binary.LittleEndian.Uint16(head[4:]))
	p = Pointer{Segment: segment, Offset: offset, Length: binary.LittleEndian.Uint32(head[8:]), Sum: binary.LittleEndian.Uint64(head[16:])}
	if p.Length > MaxValue || recordSize(key, int(p.Length)) > int64(len(head)) {
		return rec, p, false
	}
	rec.Key = head[headBytes : headBytes+key : headBytes+key]
	if binary.LittleEndian.Uint64(head[24:]) != headHash(head, rec.Key, p) {
		return rec, p, false
	}
	at := headBytes + align(int64(key))
	rec.Value = head[at : at+int64(p.Length) : at+int64(p.Length)]
	return rec, p, true
}
