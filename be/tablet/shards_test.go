package tablet

import "testing"

// TestShardsShareTheRows: scans of all shards together see each row once, and none has more than its share and one unit.
func TestShardsShareTheRows(t *testing.T) {
	_, tb := newTestTablet(t)
	const units, rows = 8, 900
	for i := range units {
		commit(t, tb, puts(t, manyRows(i*10_000, i*10_000+(rows>>(i%2*3)))...)) // large, small, large, …
		if i < units-1 {
			if err := tb.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	s, err := tb.Current()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Release()
	whole := countRows(t, s, 0, 1)
	for shards := 2; shards <= 4; shards++ {
		sum := 0
		for shard := range shards {
			n := countRows(t, s, shard, shards)
			if sum += n; n > whole/shards+rows {
				t.Errorf("shard %d of %d has %d of %d rows", shard, shards, n, whole)
			}
		}
		if sum != whole {
			t.Errorf("%d shards have %d rows together, want %d", shards, sum, whole)
		}
	}
}

func countRows(t *testing.T, s *Snapshot, shard, shards int) int {
	t.Helper()
	it, n := s.Scan(nil, ScanOptions{Shard: shard, Shards: shards}), 0
	for {
		b, err := it.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if b == nil {
			return n
		}
		n += b.Rows()
	}
}
