package tablet

import (
	"context"
	"testing"

	"stele/meta/types"
)

// TestDeltasStayWithinTheLimit writes several times the limit into some tablets: writers wait for flushes, and the decoded deltas
// never take more than the limit and the one version of each writer that was let in below it.
func TestDeltasStayWithinTheLimit(t *testing.T) {
	opt := testOptions()
	opt.NoBackground, opt.MemLimit, opt.ReadAge = false, 512<<10, 1
	s := openStore(t, t.TempDir(), opt)
	var tabs []*Tablet
	for id := range types.TabletID(3) {
		tb, err := s.Create(testMeta(id + 1))
		if err != nil {
			t.Fatal(err)
		}
		tabs = append(tabs, tb)
	}
	most, one := int64(0), int64(0)
	for i := range 60 {
		var rows []row
		for n := range 200 {
			rows = append(rows, row{int64(i*200 + n), "t", int64(n)})
		}
		tb := tabs[i%len(tabs)]
		before := s.Memory().Deltas
		commit(t, tb, puts(t, rows...))
		now := s.Memory().Deltas
		most, one = max(most, now), max(one, now-before)
	}
	if most > opt.MemLimit+one {
		t.Fatalf("deltas took %d bytes, %d are allowed, a version has %d", most, opt.MemLimit, one)
	}
	if flushes := s.Counters().Flushes; flushes < 3 {
		t.Fatalf("%d flushes: the limit was not reached", flushes)
	}
	for _, tb := range tabs {
		if _, rows, err := tb.ScanDigest(context.Background(), tb.Version()); err != nil || rows != 20*200 {
			t.Fatalf("%d rows, %v", rows, err)
		}
	}
}
