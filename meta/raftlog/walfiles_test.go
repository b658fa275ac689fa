package raftlog

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"

	waltypes "github.com/hashicorp/raft-wal/types"
)

// spy is a file that remembers how far it has been written.
type spy struct {
	waltypes.WritableFile
	touched int64
}

func (s *spy) WriteAt(b []byte, off int64) (int, error) {
	s.touched = max(s.touched, off+int64(len(b)))
	return s.WritableFile.WriteAt(b, off)
}

func must(t interface{ Fatal(...any) }, err error) {
	if err != nil {
		t.Fatal(err)
	}
}

// Entries of all sizes, through restarts with leavings of a torn write behind the last entry: the file holds them, and zeros behind
// them to its end.
func TestZerosAhead(t *testing.T) {
	const allocated = 4 << 20
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		must(t, err)
		files := newWALFiles()
		f, err := files.Create(dir, "1.wal", allocated)
		must(t, err)
		var want []byte
		for i := range rapid.IntRange(1, 60).Draw(rt, "writes") {
			if rapid.IntRange(0, 9).Draw(rt, "restart") == 0 {
				torn := bytes.Repeat([]byte{0xee}, rapid.IntRange(0, 5000).Draw(rt, "torn"))
				_, err := f.WriteAt(torn, int64(len(want)))
				must(t, err)
				must(t, f.Close())
				f, err = files.OpenWriter(dir, "1.wal")
				must(t, err)
			}
			b := bytes.Repeat([]byte{byte(i + 1)}, rapid.OneOf(rapid.IntRange(1, 3000), rapid.IntRange(1, 700_000)).Draw(rt, "size"))
			_, err := f.WriteAt(b, int64(len(want)))
			must(t, err)
			must(t, f.Sync())
			want = append(want, b...)
		}
		must(t, f.Close())
		got, err := os.ReadFile(filepath.Join(dir, "1.wal"))
		must(t, err)
		if len(got) < max(allocated, len(want)) || !bytes.Equal(got[:len(want)], want) {
			rt.Fatalf("%d bytes of entries are not in the file as they were written", len(want))
		}
		if rest := bytes.TrimLeft(got[len(want):], "\x00"); len(rest) > 0 {
			rt.Fatalf("%d bytes from the end there is something behind the last entry", len(rest))
		}
	})
}

// Small entries land where something has been written and flushed already, so that their flush is one of data alone.
func TestZerosAreShared(t *testing.T) {
	f, err := newWALFiles().Create(t.TempDir(), "1.wal", 64<<20)
	must(t, err)
	w := f.(*walFile)
	s := &spy{WritableFile: w.WritableFile}
	w.WritableFile = s
	const entries, size = 2000, 300
	late := 0
	for i := range entries {
		settled := s.touched // as flushed after the entry before
		_, err := f.WriteAt(make([]byte, size), int64(i*size))
		must(t, err)
		must(t, f.Sync())
		if int64((i+1)*size) > settled {
			late++
		}
	}
	must(t, f.Close())
	if most := entries*size/zeroStep + 1; late > most {
		t.Errorf("%d of %d entries went where nothing had been written, want %d at most", late, entries, most)
	}
}
