package wire

import (
	"encoding/binary"
	"fmt"

	"github.com/zeebo/xxh3"

	"stele/meta/types"
	"stele/sql/rowset/groups"
)

// changeMagic begins a change payload.
const changeMagic = 0x43

// EncodeChange returns the change set of a transaction of these parts: what a replica applies.
func EncodeChange(txn types.TxnID, parts [][]byte) []byte {
	out := []byte{changeMagic}
	out = binary.AppendUvarint(out, uint64(txn))
	out = binary.AppendUvarint(out, uint64(len(parts)))
	for _, p := range parts {
		out = binary.AppendUvarint(out, uint64(len(p)))
		out = append(out, p...)
	}
	return binary.LittleEndian.AppendUint64(out, xxh3.Hash(out))
}

// DecodeChange reads a change payload: the transaction and its parts, each a payload of Encode.
func DecodeChange(payload []byte) (types.TxnID, [][]byte, error) {
	end := len(payload) - 8
	if end < 1 || payload[0] != changeMagic || xxh3.Hash(payload[:end]) != binary.LittleEndian.Uint64(payload[end:]) {
		return 0, nil, fmt.Errorf("change of %d bytes: %w", len(payload), groups.ErrPayload)
	}
	r := &Reader{Src: payload[1:end]}
	txn := types.TxnID(r.Uvarint())
	n := r.Uvarint()
	if n > uint64(len(r.Src)) {
		return 0, nil, fmt.Errorf("change of %d parts: %w", n, groups.ErrPayload)
	}
	parts := make([][]byte, n)
	for i := range parts {
		parts[i] = r.Take(r.Uvarint())
	}
	if r.Err == nil && len(r.Src) != 0 {
		r.Err = groups.ErrPayload
	}
	return txn, parts, r.Err
}
