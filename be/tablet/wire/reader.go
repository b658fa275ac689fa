package wire

import (
	"encoding/binary"

	"stele/sql/rowset/groups"
)

// Reader reads numbers and pieces; after the first error, which is ErrPayload, it returns zeros.
type Reader struct {
	Src []byte // what is left
	Err error
}

// Uvarint reads a number.
func (r *Reader) Uvarint() uint64 {
	x, n := binary.Uvarint(r.Src)
	if n <= 0 {
		r.Err = groups.ErrPayload
		return 0
	}
	r.Src = r.Src[n:]
	return x
}

// Varint reads a number with a sign.
func (r *Reader) Varint() int64 {
	x, n := binary.Varint(r.Src)
	if n <= 0 {
		r.Err = groups.ErrPayload
		return 0
	}
	r.Src = r.Src[n:]
	return x
}

// Take reads n bytes; they alias Src.
func (r *Reader) Take(n uint64) []byte {
	if n > uint64(len(r.Src)) {
		r.Err = groups.ErrPayload
		return nil
	}
	out := r.Src[:n]
	r.Src = r.Src[n:]
	return out
}
