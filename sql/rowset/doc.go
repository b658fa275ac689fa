// Package rowset is the columnar form of rows at rest: how one vector of values is encoded, and how vectors of all
// columns make one row group, the value that a tablet keeps in its data store.
//
// It is pure: bytes in, vectors out. It does no I/O, reads no clock, starts no goroutine. Nothing that it decodes is
// trusted: lengths and offsets are checked before use and every part carries an XXH3 that is verified before the part
// is used (B1), so damaged bytes give ErrCorrupt and never wrong rows or a panic. Decoded vectors are copies: they stay
// valid when the mapping that the bytes came from is gone.
//
// A row group holds up to MaxGroupRows rows in key order. Each column is cut into vectors of vec.MaxRows values that
// are encoded on their own, so that a vector is the unit of decoding, of skipping (zone map) and of checking. Beside the
// columns of the schema a row group has VersionColumn, the version that created each row.
package rowset

import (
	"errors"

	"stele/meta/types"
)

// MaxGroupRows is the most rows of one row group: 32 vectors.
const MaxGroupRows = 65536

// VersionColumn is the hidden column of every row group that says which version created a row.
const VersionColumn types.ColumnID = 0xFFFFFFFF

// VersionType is the type of VersionColumn.
var VersionType = types.ColumnType{Kind: types.KindBigInt, Unsigned: true, NotNull: true}

// ErrCorrupt says that stored bytes are not what was stored.
var ErrCorrupt = errors.New("corrupt data")
