package tablet

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/zeebo/xxh3"

	"stele/meta/types"
	"stele/sql/vec"
)

// Digest returns the additive content digest of version v and its number of rows: the sum, modulo 2^64, of a hash of
// every row. It is the same on all replicas whatever their layout, so that replicas can be compared (I3). It reads and
// verifies the whole tablet.
func (t *Tablet) Digest(v types.Version) (digest uint64, rows int64, err error) {
	s, err := t.Snapshot(v)
	if err != nil {
		return 0, 0, err
	}
	defer s.Release()
	return s.Digest(context.Background())
}

// Digest is Tablet.Digest of the snapshot's version.
func (s *Snapshot) Digest(ctx context.Context) (digest uint64, rows int64, err error) {
	ids := make([]types.ColumnID, len(s.schema.Columns))
	for i := range ids {
		ids[i] = s.schema.Columns[i].ID
	}
	it := s.Scan(ids, ScanOptions{Reuse: true})
	for {
		b, err := it.Next(ctx)
		if err != nil {
			return 0, 0, fmt.Errorf("digest: %w", err)
		}
		if b == nil {
			return digest, rows, nil
		}
		digest += digestBatch(b, ids)
		rows += int64(b.Rows())
	}
}

func digestBatch(b *vec.Batch, ids []types.ColumnID) uint64 {
	var sum uint64
	var buf []byte
	hash := func(row int) {
		buf = buf[:0]
		for c, v := range b.Cols {
			if v.IsNull(row) {
				continue // so that a new column without a default changes nothing
			}
			buf = binary.BigEndian.AppendUint32(buf, uint32(ids[c]))
			buf = vec.AppendKey(buf, v, row)
		}
		sum += xxh3.Hash(buf)
	}
	if b.Sel == nil {
		for row := range b.N {
			hash(row)
		}
		return sum
	}
	for _, row := range b.Sel {
		hash(int(row))
	}
	return sum
}
