package tablet

import (
	"context"
	"slices"
	"testing"
	"time"

	"stele/meta/types"
)

// exportFor is what a source sends to a target that has the token.
func exportFor(t *testing.T, tb *Tablet, token []byte) (chunks []Chunk, digest uint64, v types.Version) {
	t.Helper()
	s, err := tb.Current()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Release()
	e := s.Export()
	if err := e.Skip(token); err != nil {
		t.Fatal(err)
	}
	for {
		c, ok, err := e.Next(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		chunks = append(chunks, c)
	}
	if (len(token) > 0) != (e.SkippedBytes() > 0) {
		t.Fatalf("%d bytes were left out for a token of %d bytes", e.SkippedBytes(), len(token))
	}
	digest, err = e.Digest(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return chunks, digest, s.Version()
}

// longTablet is a replica of three rowsets with three, two and one row groups.
func longTablet(t *testing.T, dir string, opt Options) (*Store, *Tablet) {
	t.Helper()
	s := openStore(t, dir, opt)
	tb, err := s.Create(testMeta(1))
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range []int{150_000, 100_000, 30_000} {
		commit(t, tb, puts(t, manyRows(1_000_000*i, 1_000_000*i+n)...))
		if err := tb.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	return s, tb
}

func receive(t *testing.T, s *Store, chunks []Chunk) *Import {
	t.Helper()
	im, err := s.BeginImport(testMeta(1), 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range chunks {
		if err := im.Write(Chunk{Seq: c.Seq, Bytes: slices.Clone(c.Bytes)}); err != nil {
			t.Fatal(err)
		}
	}
	return im
}

// TestImportGoesOnAfterRestarts interrupts a clone three times: by a lost connection, a restart of the target, and a restart
// of the source that has written and merged meanwhile.
func TestImportGoesOnAfterRestarts(t *testing.T) {
	t.Parallel()
	srcDir, dstDir := t.TempDir(), t.TempDir()
	src, tb := longTablet(t, srcDir, testOptions())
	dst := openStore(t, dstDir, testOptions())

	all, _, _ := exportFor(t, tb, dst.ResumeToken(1, 10))
	im := receive(t, dst, all[:3]) // header and two row groups
	if err := im.Prepare(context.Background(), 77, 0, puts(t, row{1, "pending", 1})); err != nil {
		t.Fatal(err)
	}
	im.Suspend()

	rest, _, _ := exportFor(t, tb, dst.ResumeToken(1, 10))
	if len(rest) != len(all)-2 {
		t.Fatalf("after a lost connection %d of %d chunks are sent", len(rest), len(all))
	}
	im = receive(t, dst, rest[:3])
	if err := im.flush(); err != nil {
		t.Fatal(err)
	}
	if err := dst.Close(); err != nil { // as if killed: nobody suspends
		t.Fatal(err)
	}
	dst = openStore(t, dstDir, testOptions())
	if err := dst.Maintain(context.Background()); err != nil {
		t.Fatal(err)
	}

	if err := src.Close(); err != nil {
		t.Fatal(err)
	}
	src = openStore(t, srcDir, testOptions())
	tb, _ = src.Tablet(1)
	commit(t, tb, deletesPayload(t, manyRows(500, 700)...))
	commit(t, tb, puts(t, row{2, "t", 2}, row{9, "new", 9}))
	if err := tb.Flush(); err != nil {
		t.Fatal(err)
	}
	commit(t, tb, puts(t, row{10, "delta", 9}))
	if token := dst.ResumeToken(1, 11); token != nil {
		t.Fatal("another replica goes on with what this one received")
	}
	rest, digest, v := exportFor(t, tb, dst.ResumeToken(1, 10))
	if want := len(all) - 4 + 2; len(rest) != want { // and two small rowsets that are new
		t.Fatalf("after restarts %d chunks are sent, not %d", len(rest), want)
	}
	im = receive(t, dst, rest)
	got, err := im.Commit(v, digest)
	if err != nil {
		t.Fatal(err)
	}
	sameDigest(t, tb, got)
	if n := len(got.Pending()); n != 0 {
		t.Fatalf("%d transactions are pending from before the interruption", n)
	}
	if err := dst.Close(); err != nil {
		t.Fatal(err)
	}
	dst = openStore(t, dstDir, testOptions())
	got, _ = dst.Tablet(1)
	sameDigest(t, tb, got)
	if dst.ResumeToken(1, 10) != nil {
		t.Fatal("a finished import can still be resumed")
	}
}

// TestWhatAnInterruptedImportLeftGoes lets it expire, be replaced by another replica's, and be dropped by a merge at the
// source.
func TestWhatAnInterruptedImportLeftGoes(t *testing.T) {
	t.Parallel()
	_, tb := longTablet(t, t.TempDir(), testOptions())
	now := time.Now()
	opt := testOptions()
	opt.Now = func() time.Time { return now }
	dst := openStore(t, t.TempDir(), opt)
	all, _, _ := exportFor(t, tb, nil)

	receive(t, dst, all[:4]).Suspend()
	now = now.Add(dst.opt.ResumeAge + time.Second)
	maintain(t, dst)
	wantNoKeys(t, dst)

	receive(t, dst, all[:4]).Suspend()
	other := testMeta(1)
	other.Replica = 99
	im, err := dst.BeginImport(other, 1)
	if err != nil {
		t.Fatal(err)
	}
	im.Abort()
	maintain(t, dst)
	wantNoKeys(t, dst)

	receive(t, dst, all[:4]).Suspend()
	if err := tb.CompactAll(context.Background()); err != nil {
		t.Fatal(err)
	}
	commit(t, tb, puts(t, row{3, "n", 3}))
	rest, digest, v := exportFor(t, tb, nil)
	got, err := receive(t, dst, rest).Commit(v, digest)
	if err != nil {
		t.Fatal(err)
	}
	maintain(t, dst)
	groups := 0
	if err := dst.data.ScanKeys([]byte{kGroup}, func([]byte) error { groups++; return nil }); err != nil {
		t.Fatal(err)
	}
	if groups != len(rest)-2 {
		t.Fatalf("%d row groups are on the disk, %d were sent", groups, len(rest)-2)
	}
	sameDigest(t, tb, got)
}

// TestDamagedPartOfAnInterruptedImportIsSentAgain flips a bit of what has been received.
func TestDamagedPartOfAnInterruptedImportIsSentAgain(t *testing.T) {
	t.Parallel()
	_, tb := longTablet(t, t.TempDir(), testOptions())
	dir := t.TempDir()
	flip := &flipper{kind: kGroup, at: 500}
	opt := testOptions()
	opt.Faults.Read = flip.read
	dst := openStore(t, dir, opt)
	all, _, _ := exportFor(t, tb, nil)
	im := receive(t, dst, all[:3])
	if err := im.flush(); err != nil {
		t.Fatal(err)
	}
	if err := dst.Close(); err != nil {
		t.Fatal(err)
	}
	dst = openStore(t, dir, opt)
	flip.armed.Store(true)
	token := dst.ResumeToken(1, 10)
	flip.armed.Store(false)
	if token != nil {
		t.Fatal("damaged row groups are said to be there")
	}
	rest, digest, v := exportFor(t, tb, token)
	if _, err := receive(t, dst, rest).Commit(v, digest); err != nil {
		t.Fatal(err)
	}
}

func maintain(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Maintain(context.Background()); err != nil {
		t.Fatal(err)
	}
}
