package tablet

import (
	"context"
	"testing"

	"github.com/fxamacker/cbor/v2"
)

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
