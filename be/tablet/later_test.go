package tablet

import (
	"errors"
	"testing"

	"stele/meta/types"
	"stele/sql/vec"
)

// TestPrepareLater has parts stored without anybody who waits, and in every way in which that cannot be.
func TestPrepareLater(t *testing.T) {
	s := openStore(t, t.TempDir(), testOptions())
	tb, err := s.Create(testMeta(1))
	if err != nil {
		t.Fatal(err)
	}
	later := func(txn types.TxnID, part int, payload []byte) (bool, error) {
		ended := make(chan error, 2)
		if !tb.PrepareLater(txn, part, payload, func(err error) { ended <- err }) {
			return false, nil
		}
		err := <-ended
		if len(ended) > 0 {
			t.Error("done was called twice")
		}
		return true, err
	}
	small := puts(t, row{1, "a", 1})
	bad := append([]byte(nil), small...)
	bad[len(bad)/2] ^= 1
	schema := testSchema()
	for _, step := range []struct {
		name    string
		txn     types.TxnID
		part    int
		payload []byte
		taken   bool
		want    error
	}{
		{"first part", 2, 0, small, true, nil},
		{"again", 2, 0, small, true, nil},
		{"gap", 2, 2, small, true, ErrPartGap},
		{"second part", 2, 1, puts(t, row{2, "b", 2}), true, nil},
		{"damaged", 3, 0, bad, true, ErrPayload},
		{"grouped", 4, 0, groupedPayload(t, &schema, small), false, nil},
		{"large", 5, 0, puts(t, make([]row, laterBytes)...), false, nil},
	} {
		if taken, err := later(step.txn, step.part, step.payload); taken != step.taken || !errors.Is(err, step.want) {
			t.Errorf("%s: taken %v, %v", step.name, taken, err)
		}
	}
	if err := tb.Publish(2, 2); err != nil {
		t.Fatal(err)
	}
	wantContents(t, tb, 2, map[rowKey]int64{{1, "a"}: 1, {2, "b"}: 2})
	if taken, err := later(2, 0, small); !taken || err != nil || len(tb.Pending()) != 0 {
		t.Errorf("after its version: taken %v, %v, pending %v", taken, err, tb.Pending())
	}
}

// TestPrepareLaterBySchema publishes rows under another schema than that which they were stored under: what was kept of them
// must not count.
func TestPrepareLaterBySchema(t *testing.T) {
	s := openStore(t, t.TempDir(), testOptions())
	tb, err := s.Create(testMeta(1))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	if !tb.PrepareLater(2, 0, puts(t, row{1, "a", 1}), func(err error) { ended <- err }) {
		t.Fatal("a small part is not taken")
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	next := testSchema()
	next.Version = 2
	next.Columns = append(next.Columns[:2:2], types.Column{ID: 9, Name: "new", Type: types.ColumnType{Kind: types.KindBigInt, NotNull: true}, Initial: &types.Initial{I: 42}})
	if err := tb.SetSchema(next); err != nil {
		t.Fatal(err)
	}
	if err := tb.Publish(2, 2); err != nil {
		t.Fatal(err)
	}
	b, found, _, err := tb.GetAt(2, vec.EncodeKeys(batchOf([]row{{1, "a", 1}}), tb.keyIdx)[0], []types.ColumnID{1, 9}, nil)
	if err != nil || !found || b.Cols[0].I64[0] != 1 || b.Cols[1].I64[0] != 42 {
		t.Fatalf("found %v, %v: %v", found, b, err)
	}
}
