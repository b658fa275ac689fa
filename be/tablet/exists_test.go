package tablet

import (
	"sync"
	"testing"

	"stele/be/tablet/wire"
	"stele/meta/types"
)

// TestManyExistAtOneVersion: a row moves between two keys that are looked up far apart, with each version; at any version it is at one of
// them. So it is in what Exists answers, beside flushes and merges, too.
func TestManyExistAtOneVersion(t *testing.T) {
	s := openStore(t, t.TempDir(), testOptions())
	tb, err := s.Create(testMeta(1))
	if err != nil {
		t.Fatal(err)
	}
	const n = 3 * lookUpKeys
	keys := make([][]byte, n)
	for i := range keys {
		keys[i] = keyOf(rowKey{int64(i), "a"})
	}
	places := []row{{0, "a", 1}, {n - 1, "a", 1}}
	schema := testSchema()
	move := func(v types.Version) error {
		from, to := places[v%2], places[(v+1)%2]
		payload, err := wire.Encode(&schema, []types.RowOp{types.OpDelete, types.OpPut}, batchOf([]row{from, to}))
		if err == nil {
			_, err = tb.PrepareLight(types.TxnID(v), 0, payload)
		}
		if err == nil {
			err = tb.Publish(types.TxnID(v), v)
		}
		return err
	}
	if err := move(2); err != nil {
		t.Fatal(err)
	}
	asked := make(chan struct{})
	var moving sync.WaitGroup
	moving.Go(func() {
		for v := types.Version(3); ; v++ {
			select {
			case <-asked:
				return
			default:
			}
			err := move(v)
			if err == nil && v%40 == 0 {
				err = tb.Flush()
			}
			if err == nil && v%200 == 0 {
				err = tb.CompactAll(t.Context())
			}
			if err != nil {
				t.Error(err)
				return
			}
		}
	})
	for range 150 {
		found, err := tb.Exists(keys)
		if err != nil {
			t.Error(err)
			break
		}
		there := 0
		for _, f := range found {
			if f {
				there++
			}
		}
		if there != 1 {
			t.Errorf("%d rows are there", there)
			break
		}
	}
	close(asked)
	moving.Wait()
	for _, many := range []bool{false, true} { // both ways say the same of the same version
		some := keys
		if !many {
			some = [][]byte{keys[0], keys[n-1]}
		}
		found, err := tb.Exists(some)
		if at := int(tb.Version()+1) % 2; err != nil || found[0] != (at == 0) || found[len(found)-1] != (at == 1) {
			t.Fatal(many, found[0], found[len(found)-1], err)
		}
	}
}
