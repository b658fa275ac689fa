package tablet

import (
	"errors"
	"strings"
	"testing"

	"stele/meta/types"
	"stele/sql/vec"
)

// TestRowsAreKeptWhileTheyAreSmall: what is pending is counted by its payloads, so rows that take many times as much are read out of
// theirs once more, and not kept.
func TestRowsAreKeptWhileTheyAreSmall(t *testing.T) {
	_, tb := newTestTablet(t)
	rows := make([]row, 100)
	for i := range rows {
		rows[i] = row{int64(i), strings.Repeat("a", keptBytes/len(rows)), 1}
	}
	wide := puts(t, rows...)
	if len(wide) > laterBytes {
		t.Fatalf("a payload of %d bytes", len(wide))
	}
	written := &Written{Schema: tb.Schema(), Ops: make([]types.RowOp, len(rows)), Rows: batchOf(rows)}
	for txn, prepare := range map[types.TxnID]func(types.TxnID, []byte, *Written) error{
		11: func(txn types.TxnID, payload []byte, _ *Written) error {
			return tb.PreparePart(t.Context(), txn, 0, payload)
		},
		12: func(txn types.TxnID, payload []byte, _ *Written) error {
			ended := make(chan error, 1)
			if !tb.PrepareLater(txn, 0, payload, func(err error) { ended <- err }) {
				return errors.New("it has to be waited for")
			}
			return <-ended
		},
		13: func(txn types.TxnID, payload []byte, w *Written) error {
			taken, err := tb.PrepareWritten(txn, 0, payload, w)
			if err == nil && !taken {
				err = errors.New("it has to become durable")
			}
			return err
		},
	} {
		small := []row{{int64(txn), "small", 1}}
		if err := prepare(txn, puts(t, small...), &Written{Schema: tb.Schema(), Ops: make([]types.RowOp, 1), Rows: batchOf(small)}); err != nil {
			t.Fatal(err)
		}
		if err := prepare(txn+10, wide, written); err != nil {
			t.Fatal(err)
		}
		if tb.pending[txn].parts[0].decoded == nil || tb.pending[txn+10].parts[0].decoded != nil {
			t.Errorf("txn %d: small rows are not kept, or large ones are", txn)
		}
		if err := tb.Publish(txn+10, tb.Version()+1); err != nil {
			t.Fatal(err)
		}
	}
	found, err := tb.Exists(vec.EncodeKeys(batchOf(rows[:1]), tb.Schema().KeyIndexes()))
	if err != nil || !found[0] {
		t.Fatalf("the rows are not there: %v", err)
	}
}
