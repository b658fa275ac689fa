package tablet

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"

	"stele/sql/rowset"
)

// TestDamageOnTheWayIsNoticed flips a bit of each part of a chunk, sealed or plain.
func TestDamageOnTheWayIsNoticed(t *testing.T) {
	t.Parallel()
	src, v, _ := sourceTablet(t)
	dst := openStore(t, t.TempDir(), testOptions())
	sealed, _ := export(t, src, v)
	for name, chunks := range map[string][]Chunk{"sealed": sealed, "plain": plainly(t, src)} {
		size := len(chunks[1].Bytes)
		for at := 0; at < size; at += step(at, size) {
			damaged := slices.Clone(chunks)
			damaged[1].Bytes = slices.Clone(chunks[1].Bytes)
			damaged[1].Bytes[at] ^= 1 << (at % 8)
			im, err := dst.BeginImport(testMeta(1), 1)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range damaged {
				if err = im.Write(Chunk{Seq: c.Seq, Bytes: slices.Clone(c.Bytes)}); err != nil {
					break
				}
			}
			if !errors.Is(err, ErrImport) {
				t.Fatalf("%s: a bit of byte %d of %d: %v", name, at, size, err)
			}
			im.Abort()
		}
	}
}

// step goes byte by byte through the envelope and the row group's header, and then faster.
func step(at, size int) int {
	if at < 128 || at > size-16 {
		return 1
	}
	return 97
}

// plainly is an export for a target of an older release, of the newest version.
func plainly(t *testing.T, tb *Tablet) (out []Chunk) {
	t.Helper()
	s, err := tb.Current()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Release()
	e := s.Export()
	e.Plain = true
	for {
		c, ok, err := e.Next(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return out
		}
		if kind := c.Bytes[0]; kind == chunkSealed {
			t.Fatal("a sealed chunk for an older release")
		}
		out = append(out, c)
	}
}

func TestCloneFromAnOlderSource(t *testing.T) {
	t.Parallel()
	src, _, _ := sourceTablet(t)
	im := receive(t, openStore(t, t.TempDir(), testOptions()), plainly(t, src))
	digest, _, err := src.Digest(src.Version())
	if err != nil {
		t.Fatal(err)
	}
	got, err := im.Commit(src.Version(), digest)
	if err != nil {
		t.Fatal(err)
	}
	sameDigest(t, src, got)
}

// TestDamagedRowGroupIsSentAgain: what is found damaged where it is stored is asked for again, and nothing else; after damage on the way, what
// came before it is not.
func TestDamagedRowGroupIsSentAgain(t *testing.T) {
	t.Parallel()
	_, src := longTablet(t, t.TempDir(), testOptions())
	for _, onTheWay := range []bool{false, true} {
		var bad atomic.Pointer[rowset.GroupID]
		opt := testOptions()
		opt.Faults.Read = func(key, val []byte) []byte {
			if id := bad.Load(); id != nil && bytes.Equal(key, groupKey(*id)) {
				val = slices.Clone(val)
				val[100] ^= 4 // of the directory
			}
			return val
		}
		dst := openStore(t, t.TempDir(), opt)
		chunks, digest, v := exportFor(t, src, nil)
		var im *Import
		left := 3 // header, row group, end
		if onTheWay {
			left = len(chunks) - 1
			im = receive(t, dst, chunks[:2])
			damaged := slices.Clone(chunks[2].Bytes)
			damaged[len(damaged)/2] ^= 4 // in a vector
			if err := im.Write(Chunk{Seq: 2, Bytes: damaged}); !errors.Is(err, ErrImport) || !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
		} else {
			im = receive(t, dst, chunks[:1])
			id := im.t.rowsets[0].group(1)
			bad.Store(&id)
			for _, c := range chunks[1:] {
				if err := im.Write(Chunk{Seq: c.Seq, Bytes: slices.Clone(c.Bytes)}); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := im.Commit(v, digest); !errors.Is(err, ErrImport) || !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
		}
		im.Suspend()
		bad.Store(nil)
		rest, digest, v := exportFor(t, src, dst.ResumeToken(1, 10))
		if len(rest) != left {
			t.Fatalf("%d of %d chunks are sent again, not %d", len(rest), len(chunks), left)
		}
		got, err := receive(t, dst, rest).Commit(v, digest)
		if err != nil {
			t.Fatal(err)
		}
		sameDigest(t, src, got)
	}
}
