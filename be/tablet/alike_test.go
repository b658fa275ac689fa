package tablet

import (
	"context"
	"testing"
)

// TestImportGoesOnFromAnotherSource interrupts a clone and goes on from another replica: what both sources have as the same
// row groups is not sent again, and what only the first one had goes.
func TestImportGoesOnFromAnotherSource(t *testing.T) {
	dstDir := t.TempDir()
	shared := func() *Tablet {
		tb, err := openStore(t, t.TempDir(), testOptions()).Create(testMeta(1))
		if err != nil {
			t.Fatal(err)
		}
		for i, n := range []int{66_000, 3_000, 1_000} { // four row groups
			commit(t, tb, puts(t, manyRows(1_000_000*i, 1_000_000*i+n)...))
			if err := tb.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		return tb
	}
	first, second := shared(), shared()
	for _, tb := range []*Tablet{first, second} { // the same rows, in rowsets of their own
		commit(t, tb, puts(t, manyRows(5_000_000, 5_002_000)...))
		if tb == first {
			if err := tb.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		commit(t, tb, puts(t, manyRows(6_000_000, 6_002_000)...))
		if err := tb.Flush(); err != nil {
			t.Fatal(err)
		}
		commit(t, tb, deletesPayload(t, manyRows(100, 200)...))
	}
	sameDigest(t, first, second)
	dst := openStore(t, dstDir, testOptions())
	all, _, _ := exportFor(t, first, nil)
	im := receive(t, dst, all[:len(all)-1]) // everything but the end: the last rowsets of the first source are of no use
	im.Suspend()
	for range 2 { // once more in the middle, by a restart
		if err := dst.Close(); err != nil {
			t.Fatal(err)
		}
		dst = openStore(t, dstDir, testOptions())
		token := dst.ResumeToken(1, 10)
		whole, _, _ := exportFor(t, second, nil)
		rest, _, _ := exportFor(t, second, token)
		if kept := len(whole) - len(rest); kept != 4 {
			t.Fatalf("%d row groups are kept, the sources share 4", kept)
		}
		im = receive(t, dst, rest[:1])
		im.Suspend()
	}
	rest, digest, v := exportFor(t, second, dst.ResumeToken(1, 10))
	got, err := receive(t, dst, rest).Commit(v, digest)
	if err != nil {
		t.Fatal(err)
	}
	sameDigest(t, second, got)
	if err := dst.Maintain(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := dst.Close(); err != nil {
		t.Fatal(err)
	}
	dst = openStore(t, dstDir, testOptions())
	got, _ = dst.Tablet(1)
	sameDigest(t, second, got)
	if orphans, err := dst.Orphans(); err != nil || len(orphans) > 0 {
		t.Errorf("orphans %v, %v", orphans, err)
	}
}

// TestLookalikeIsFoundOut: a row group that only looks the same is refused by the digest, and the next attempt begins anew.
func TestLookalikeIsFoundOut(t *testing.T) {
	replica := func(value int64) *Tablet {
		s := openStore(t, t.TempDir(), testOptions())
		tb, err := s.Create(testMeta(1))
		if err != nil {
			t.Fatal(err)
		}
		rows := manyRows(0, 1000)
		rows[500].val = value
		commit(t, tb, puts(t, rows...))
		if err := tb.Flush(); err != nil {
			t.Fatal(err)
		}
		return tb
	}
	first, second := replica(7), replica(8)
	dst := openStore(t, t.TempDir(), testOptions())
	all, _, _ := exportFor(t, first, nil)
	receive(t, dst, all[:2]).Suspend()
	rest, digest, v := exportFor(t, second, dst.ResumeToken(1, 10))
	im := receive(t, dst, rest)
	if _, err := im.Commit(v, digest); err == nil {
		t.Fatal("another row passed for the right one")
	}
	im.Suspend()
	if token := dst.ResumeToken(1, 10); token != nil {
		t.Fatal("what turned out to be wrong is offered again")
	}
	all, digest, v = exportFor(t, second, nil)
	got, err := receive(t, dst, all).Commit(v, digest)
	if err != nil {
		t.Fatal(err)
	}
	sameDigest(t, second, got)
}
