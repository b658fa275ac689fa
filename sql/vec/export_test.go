package vec

import (
	"encoding/binary"

	"github.com/zeebo/xxh3"
)

// Seal gives bytes a right checksum, for the fuzzer.
func Seal(in []byte) []byte {
	out := append([]byte(nil), in...)
	return binary.LittleEndian.AppendUint64(out, xxh3.Hash(out))
}
