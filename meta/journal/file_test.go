package journal

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

func must(t interface{ Fatal(...any) }, err error) {
	if err != nil {
		t.Fatal(err)
	}
}

// Writes of all sizes, several before a Sync, again from the start, through restarts with leavings of a torn write behind the last one, past
// the page cache and through it: the file holds what was written, and nothing behind it that was not there before.
func TestFileHoldsWhatWasWritten(t *testing.T) {
	const allocated = 4 << 20
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		must(t, err)
		path := filepath.Join(dir, "log")
		f, err := Create(path, allocated)
		must(t, err)
		open := func() {
			must(t, f.Close())
			f, err = Open(path)
			must(t, err)
			if rapid.Bool().Draw(rt, "cached") {
				must(t, f.cached())
			}
		}
		var want []byte
		for i := range rapid.IntRange(1, 60).Draw(rt, "writes") {
			switch rapid.IntRange(0, 12).Draw(rt, "event") {
			case 0:
				torn := bytes.Repeat([]byte{0xee}, rapid.IntRange(1, 5000).Draw(rt, "torn"))
				_, err := f.WriteAt(torn, int64(len(want)))
				must(t, err)
				if rapid.Bool().Draw(rt, "reached the disk") {
					must(t, f.Sync())
				}
				open()
			case 1:
				want = want[:0] // a log that begins its file again
			}
			for range rapid.IntRange(1, 3).Draw(rt, "before a sync") {
				b := bytes.Repeat([]byte{byte(i + 1)}, rapid.OneOf(rapid.IntRange(1, 3000), rapid.IntRange(1, 300_000)).Draw(rt, "size"))
				n, err := f.WriteAt(b, int64(len(want)))
				must(t, err)
				if n != len(b) {
					rt.Fatalf("%d of %d bytes", n, len(b))
				}
				want = append(want, b...)
			}
			must(t, f.Sync())
			got := make([]byte, len(want))
			_, err := f.ReadAt(got, 0)
			must(t, err)
			if !bytes.Equal(got, want) {
				rt.Fatalf("%d bytes are not in the file as they were written", len(want))
			}
			rest := make([]byte, up(int64(len(want)))-int64(len(want)))
			_, err = f.ReadAt(rest, int64(len(want)))
			must(t, err)
			if len(bytes.TrimLeft(rest, "\x00")) > 0 {
				rt.Fatalf("there is something behind the last write in its block")
			}
		}
		must(t, f.Close())
	})
}

// What stands behind a torn write from before a restart is zeros, once something has been written over it.
func TestZerosBehindTornWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	f, err := Create(path, 1<<20)
	must(t, err)
	_, err = f.WriteAt(bytes.Repeat([]byte{0xee}, 100_000), 0)
	must(t, err)
	must(t, f.Sync())
	must(t, f.Close())
	f, err = Open(path)
	must(t, err)
	_, err = f.WriteAt([]byte("entry"), 0)
	must(t, err)
	must(t, f.Sync())
	must(t, f.Close())
	got, err := os.ReadFile(path)
	must(t, err)
	if want := append([]byte("entry"), make([]byte, 1<<20-5)...); !bytes.Equal(got, want) {
		t.Error("there is something behind the entry")
	}
}

// Small entries land where something has been written and flushed already, so that their flush is one of data alone.
func TestZerosAreShared(t *testing.T) {
	f, err := Create(filepath.Join(t.TempDir(), "log"), 64<<20)
	must(t, err)
	const entries, size = 2000, 300
	late := 0
	for i := range entries {
		settled := f.zeroed // as flushed with the entry before
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

// A log is never begun over one that is there, and one that cannot be begun leaves nothing.
func TestCreate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	f, err := Create(path, 1<<20)
	must(t, err)
	must(t, f.Close())
	if _, err := Create(path, 1<<20); !errors.Is(err, os.ErrExist) {
		t.Errorf("create a file that is there: %v", err)
	}
	if _, err := Create(path+"2", 1<<62); err == nil {
		t.Error("made a file of more bytes than any disk has")
	}
	if _, err := os.Stat(path + "2"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file is left: %v", err)
	}
}

// Before a Sync only what follows may be written.
func TestWriteWithAGap(t *testing.T) {
	f, err := Create(filepath.Join(t.TempDir(), "log"), 1<<20)
	must(t, err)
	_, err = f.WriteAt(make([]byte, 10), 0)
	must(t, err)
	if _, err := f.WriteAt(make([]byte, 10), 11); err == nil {
		t.Error("wrote with a gap before what was not flushed")
	}
	must(t, f.Close())
}

// A write that failed because the block before it could not be read leaves no trace in the next one.
func TestWriteAfterAFailedRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	f, err := Create(path, 1<<20)
	must(t, err)
	_, err = f.WriteAt([]byte("acknowledged"), 0)
	must(t, err)
	must(t, f.Sync())
	must(t, f.Close())
	f, err = Open(path)
	must(t, err)
	whole := f.f
	f.f, err = os.OpenFile(path, os.O_WRONLY, 0) // cannot be read
	must(t, err)
	if _, err := f.WriteAt([]byte(", lost"), 12); err == nil {
		t.Fatal("wrote behind what cannot be read")
	}
	must(t, f.f.Close())
	f.f = whole
	_, err = f.WriteAt([]byte(", again"), 12)
	must(t, err)
	must(t, f.Sync())
	got := make([]byte, 19)
	_, err = f.ReadAt(got, 0)
	must(t, err)
	if string(got) != "acknowledged, again" {
		t.Errorf("the file has %q", got)
	}
	must(t, f.Close())
}

// A process that was killed may have left bytes in the page cache that were never flushed. Who opens the file reads them and takes them
// for durable, and a flush of what follows does not reach them.
func TestOpenFlushesWhatWasLeft(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	killed, err := os.Create(path)
	must(t, err)
	_, err = killed.Write(bytes.Repeat([]byte{1}, 64<<10))
	must(t, err)
	unflushed := func() uint64 {
		var stat unix.Cachestat_t
		if err := unix.Cachestat(uint(killed.Fd()), &unix.CachestatRange{Len: 64 << 10}, &stat, 0); err != nil {
			t.Skipf("the kernel does not tell: %v", err)
		}
		return stat.Dirty + stat.Writeback
	}
	if unflushed() == 0 {
		t.Skip("this file system keeps nothing in the page cache, or was faster")
	}
	f, err := Open(path)
	must(t, err)
	if n := unflushed(); n > 0 {
		t.Errorf("%d pages are not flushed", n)
	}
	must(t, f.Close())
	must(t, killed.Close())
}
