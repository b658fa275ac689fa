package bepb

import (
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// The messages of small statements are written and read by hand: what goes over the wire is the same, for a quarter of the CPU
// time. Whatever is not as expected here, as a field of another release, is left to the generated code.

// fieldsKnown is how many fields the messages have that this file knows. One that has grown is left to the generated code.
var fieldsKnown = map[proto.Message]int{
	&WriteRequest{}: 7, &WriteRequest_Part{}: 15, &ReplicaAddress{}: 6, &WriteResponse{}: 6, &WriteResponse_Part{}: 11,
	&WriteResponse_Failure{}: 2, &ReplicateRequest{}: 2, &ReplicateRequest_Part{}: 8, &ReplicateResponse{}: 2, &PublishRequest{}: 1,
	&PublishRequest_Item{}: 4, &PublishResponse{}: 1, &GetRequest{}: 8, &GetResponse{}: 2, &ModifyRequest{}: 9, &ModifyResponse{}: 6,
	&ScanRequest{}: 5, &ScanRequest_Tablet{}: 3,
}

var byHand bool

func init() {
	file_proto_bepb_be_proto_init() // the order of files must not count
	byHand = true
	for m, n := range fieldsKnown {
		byHand = byHand && m.ProtoReflect().Descriptor().Fields().Len() == n
	}
}

const (
	varint = uint64(protowire.VarintType)
	chunk  = uint64(protowire.BytesType)
)

// fixedBytes is more than the numbers of a message take, eight at most.
const fixedBytes = 96

// parse calls field with each field of a message: its number and wire type as on the wire, its value or its bytes. False = the
// message is not what is expected.
func parse(b []byte, field func(tag, value uint64, data []byte) bool) bool {
	for len(b) > 0 {
		tag, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return false
		}
		b = b[n:]
		var value uint64
		var data []byte
		switch tag & 7 {
		case varint:
			value, n = protowire.ConsumeVarint(b)
		case chunk:
			data, n = protowire.ConsumeBytes(b)
		default:
			return false
		}
		if n < 0 || !field(tag, value, data) {
			return false
		}
		b = b[n:]
	}
	return true
}

// keep returns bytes of a message that live on: what is parsed is not the receiver's.
func keep(data []byte) []byte { return append([]byte{}, data...) }

// text sets a string, unless it is none.
func text(to *string, data []byte) bool {
	*to = string(data)
	return utf8.Valid(data)
}

// numbers appends packed numbers.
func numbers(to *[]uint64, data []byte) bool {
	for len(data) > 0 {
		v, n := protowire.ConsumeVarint(data)
		if n < 0 {
			return false
		}
		*to, data = append(*to, v), data[n:]
	}
	return true
}

func appendNumber(dst []byte, field, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return protowire.AppendVarint(protowire.AppendVarint(dst, field<<3|varint), v)
}

func appendFlag(dst []byte, field uint64, v bool) []byte {
	if !v {
		return dst
	}
	return appendNumber(dst, field, 1)
}

func appendChunk[T []byte | string](dst []byte, field uint64, v T) []byte {
	if len(v) == 0 {
		return dst
	}
	return appendItem(dst, field, v)
}

// appendItem is appendChunk for one of several, which may be empty.
func appendItem[T []byte | string](dst []byte, field uint64, v T) []byte {
	dst = protowire.AppendVarint(dst, field<<3|chunk)
	return append(protowire.AppendVarint(dst, uint64(len(v))), v...)
}

func appendNumbers(dst []byte, field uint64, v []uint64) []byte {
	if len(v) == 0 {
		return dst
	}
	size := 0
	for _, x := range v {
		size += protowire.SizeVarint(x)
	}
	dst = protowire.AppendVarint(dst, field<<3|chunk)
	dst = protowire.AppendVarint(dst, uint64(size))
	for _, x := range v {
		dst = protowire.AppendVarint(dst, x)
	}
	return dst
}

// begin begins a message within one; end, with what begin returned, puts its length in its place.
func begin(dst []byte, field uint64) ([]byte, int) {
	dst = append(protowire.AppendVarint(dst, field<<3|chunk), 0)
	return dst, len(dst)
}

func end(dst []byte, from int) []byte {
	n := len(dst) - from
	more := protowire.SizeVarint(uint64(n)) - 1
	if more == 0 {
		dst[from-1] = byte(n)
		return dst
	}
	dst = append(dst, make([]byte, more)...)
	copy(dst[from+more:], dst[from:from+n])
	protowire.AppendVarint(dst[:from-1], uint64(n))
	return dst
}

// plain reports whether a message holds nothing that the generated code has set aside.
func plain(unknown ...[]byte) bool {
	for _, u := range unknown {
		if len(u) > 0 {
			return false
		}
	}
	return byHand
}
