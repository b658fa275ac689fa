package tablet

import (
	"context"
	"errors"
	"slices"
	"testing"
)

// TestDamageOnTheWayIsNoticed flips a bit of each part of a chunk, sealed or plain.
func TestDamageOnTheWayIsNoticed(t *testing.T) {
	t.Parallel()
	src, v, _ := sourceTablet(t)
	dst := openStore(t, t.TempDir(), testOptions())
	sealed, digest := export(t, src, v)
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
			if err == nil && name == "sealed" { // a vector
				_, err = im.Commit(v, digest)
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

// TestDamagedRowGroupIsSentAgain: what is found damaged at the end is asked for again, and nothing else.
func TestDamagedRowGroupIsSentAgain(t *testing.T) {
	t.Parallel()
	_, src := longTablet(t, t.TempDir(), testOptions())
	dst := openStore(t, t.TempDir(), testOptions())
	chunks, digest, v := exportFor(t, src, nil)
	damaged := slices.Clone(chunks)
	damaged[2].Bytes = slices.Clone(chunks[2].Bytes)
	damaged[2].Bytes[len(chunks[2].Bytes)/2] ^= 4 // in a vector
	im := receive(t, dst, damaged)
	if _, err := im.Commit(v, digest); !errors.Is(err, ErrImport) || !errors.Is(err, ErrCorrupt) {
		t.Fatal(err)
	}
	im.Suspend()
	rest, digest, v := exportFor(t, src, dst.ResumeToken(1, 10))
	if len(rest) != 3 { // header, row group, end
		t.Fatalf("%d of %d chunks are sent again", len(rest), len(chunks))
	}
	got, err := receive(t, dst, rest).Commit(v, digest)
	if err != nil {
		t.Fatal(err)
	}
	sameDigest(t, src, got)
}
