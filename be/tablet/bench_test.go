package tablet

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"stele/be/tablet/wire"
	"stele/meta/types"
)

func benchStore(b *testing.B) *Store {
	b.Helper()
	s, err := Open(b.TempDir(), Options{ClusterID: testCluster, FloodBytes: 1, FloodPercent: 1, MemLimit: 4 << 30})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	return s
}

// BenchmarkSmallWrites is durable single-row writes by 16 writers over 4 tablets.
func BenchmarkSmallWrites(b *testing.B) {
	s := benchStore(b)
	var tabs []*Tablet
	for i := range 4 {
		tb, err := s.Create(testMeta(types.TabletID(i + 1)))
		if err != nil {
			b.Fatal(err)
		}
		tabs = append(tabs, tb)
	}
	var txn atomic.Uint64
	locks := make([]sync.Mutex, len(tabs))
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			id := txn.Add(1)
			at := int(id) % len(tabs)
			p := puts(b, row{int64(id), "t", int64(id)})
			if err := tabs[at].Prepare(context.Background(), types.TxnID(id), p); err != nil {
				b.Error(err)
			}
			locks[at].Lock()
			err := tabs[at].Publish(types.TxnID(id), tabs[at].Version()+1)
			locks[at].Unlock()
			if err != nil {
				b.Error(err)
			}
		}
	})
}

// BenchmarkLoad is rows of a bulk load from batch to rowset; BenchmarkScanAndGet reads them.
func BenchmarkLoad(b *testing.B) {
	s := benchStore(b)
	rows := make([]row, 100_000)
	for i := range rows {
		rows[i] = row{int64(i), "t", int64(i % 1000)}
	}
	batch := batchOf(rows)
	schema := testSchema()
	for i := 0; b.Loop(); i++ {
		tb, err := s.Create(testMeta(types.TabletID(i + 1)))
		if err != nil {
			b.Fatal(err)
		}
		p, err := wire.Encode(&schema, make([]types.RowOp, len(rows)), batch)
		if err != nil {
			b.Fatal(err)
		}
		commit(b, tb, p)
		if err := tb.Flush(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(rows))*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkScanAndGet(b *testing.B) {
	s := benchStore(b)
	tb, err := s.Create(testMeta(1))
	if err != nil {
		b.Fatal(err)
	}
	rows := make([]row, 200_000)
	for i := range rows {
		rows[i] = row{int64(i), "t", int64(i % 1000)}
	}
	commit(b, tb, puts(b, rows...))
	if err := tb.Flush(); err != nil {
		b.Fatal(err)
	}
	snap, err := tb.Current()
	if err != nil {
		b.Fatal(err)
	}
	defer snap.Release()
	b.Run("scan", func(b *testing.B) {
		for b.Loop() {
			it := snap.Scan([]types.ColumnID{1, 3, 4}, ScanOptions{})
			for {
				batch, err := it.Next(context.Background())
				if err != nil {
					b.Fatal(err)
				}
				if batch == nil {
					break
				}
			}
		}
		b.ReportMetric(float64(len(rows))*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	})
	b.Run("get", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			if _, found, err := snap.Get([][]byte{keyOf(rowKey{int64(i * 7919 % len(rows)), "t"})}, allColumns); err != nil || !found[0] {
				b.Fatal(err)
			}
		}
	})
}
