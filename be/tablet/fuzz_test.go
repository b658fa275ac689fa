package tablet

import (
	"context"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/zeebo/xxh3"
)

func FuzzDecodeWrite(f *testing.F) {
	schema := testSchema()
	for _, p := range [][]byte{puts(f), puts(f, row{1, "a", 1}), deletesPayload(f, row{1, "a", -1}, row{2, "bb", 3})} {
		f.Add(p[:len(p)-8])
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		p := binary.LittleEndian.AppendUint64(slices.Clone(body), xxh3.Hash(body)) // past the checksum
		ops, b, err := DecodeWrite(&schema, p)
		if err != nil {
			return
		}
		again, err := EncodeWrite(&schema, ops, b)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := DecodeWrite(&schema, again); err != nil {
			t.Fatalf("what was decoded and encoded is refused: %v", err)
		}
	})
}

func FuzzDecodeChange(f *testing.F) {
	for _, c := range [][]byte{EncodeChange(7, nil), EncodeChange(8, [][]byte{puts(f, row{1, "a", 1}), {}})} {
		f.Add(c[:len(c)-8])
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		txn, parts, err := DecodeChange(binary.LittleEndian.AppendUint64(slices.Clone(body), xxh3.Hash(body)))
		if err != nil {
			return
		}
		again, same, err := DecodeChange(EncodeChange(txn, parts))
		if err != nil || again != txn || len(same) != len(parts) {
			t.Fatalf("what was decoded and encoded is %d, %d parts, %v", again, len(same), err)
		}
	})
}

// FuzzImport feeds an import chunks with right checksums and any content.
func FuzzImport(f *testing.F) {
	s := openStore(f, f.TempDir(), testOptions())
	src, err := s.Create(testMeta(1))
	if err != nil {
		f.Fatal(err)
	}
	commit(f, src, puts(f, row{1, "a", 1}, row{2, "b", 2}))
	snap, err := src.Current()
	if err != nil {
		f.Fatal(err)
	}
	e := snap.Export()
	for {
		c, ok, err := e.Next(context.Background())
		if err != nil {
			f.Fatal(err)
		}
		if !ok {
			break
		}
		f.Add(c.Bytes[0], c.Bytes[chunkFixed:len(c.Bytes)-8], c.Seq == 1)
	}
	snap.Release()
	f.Fuzz(func(t *testing.T, kind byte, body []byte, second bool) {
		im, err := s.BeginImport(testMeta(9), 1)
		if err != nil {
			t.Fatal(err)
		}
		defer im.Abort()
		seq := 0
		if second {
			h := cloneHeader{Tablet: 9, Version: 3, Schema: testSchema(), Rowsets: []cloneRowset{{Groups: []groupEntry{{Rows: 2}}}}}
			head, err := cbor.Marshal(&h)
			if err != nil {
				t.Fatal(err)
			}
			if err := im.Write(Chunk{Bytes: sealChunk(chunkHeader, 9, 3, 0, head)}); err != nil {
				t.Fatal(err)
			}
			seq = 1
		}
		_ = im.Write(Chunk{Seq: seq, Bytes: sealChunk(kind, 9, 3, seq, body)})
		if _, err := im.Commit(3, 0); err == nil {
			t.Fatal("an incomplete import was committed")
		}
	})
}
