package tablet

import (
	"errors"
	"testing"
	"time"
)

// TestOldReadKeepsItsVersion: what somebody is known to read stays readable through flushes and merges, however old it becomes, and no longer when nobody
// does or the disk is nearly full.
func TestOldReadKeepsItsVersion(t *testing.T) {
	now, available := time.Unix(1_700_000_000, 0), int64(1<<30)
	var oldest time.Time
	opt := testOptions()
	opt.Now = func() time.Time { return now }
	opt.ReadAge = time.Minute
	opt.Flush = FlushLimits{Rows: 10, Bytes: 1 << 20, Versions: 100}
	opt.Tuning = func() Tuning { return Tuning{OldestRead: oldest} }
	opt.Faults.Space = func() (int64, int64, error) { return 1 << 30, available, nil }
	s := openStore(t, t.TempDir(), opt)
	tb, err := s.Create(testMeta(1))
	if err != nil {
		t.Fatal(err)
	}
	age := func() { // some hours of writes, each followed by what the background does
		for i := range 4 * mostSamples {
			now = now.Add(3 * time.Second)
			if i%50 == 0 {
				commit(t, tb, puts(t, row{1, "a", int64(i)}, row{int64(i), "b", 1}))
			}
			if i%100 == 0 {
				s.retune()
				if err := tb.Flush(); err != nil {
					t.Fatal(err)
				}
				if err := s.Maintain(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	commit(t, tb, puts(t, row{1, "a", 7}))
	read := tb.Version()
	now = now.Add(time.Second)
	oldest = now
	s.retune()
	age()
	wantContents(t, tb, read, map[rowKey]int64{{1, "a"}: 7})
	if tb.Stats().OldestReadable > read {
		t.Errorf("version %d is the oldest that is readable, %d is read", tb.Stats().OldestReadable, read)
	}
	oldest = time.Time{}
	age()
	if _, err := tb.Snapshot(read); !errors.Is(err, ErrGone) {
		t.Errorf("version %d, which nobody reads, is kept: %v", read, err)
	}
	oldest = now
	available = 0 // what flushes, merges and writes need is refused: the horizon alone is asked
	s.retune()
	if at := s.readFrom(now.Add(time.Hour)); !at.Equal(now.Add(time.Hour - time.Minute)) {
		t.Errorf("a full disk keeps what was the newest version at %v", at)
	}
}
