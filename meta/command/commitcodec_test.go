package command

import (
	"bytes"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"stele/meta/command/canon"
	"stele/meta/types"
)

// drawCommit makes a CommitTxn with numbers of all lengths.
func drawCommit(t *rapid.T) *CommitTxn {
	number := rapid.Custom(func(t *rapid.T) uint64 { return rapid.Uint64().Draw(t, "n") >> rapid.IntRange(0, 63).Draw(t, "shift") })
	c := &CommitTxn{Txn: types.TxnID(number.Draw(t, "txn")), TimeMs: int64(number.Draw(t, "time"))}
	if rapid.IntRange(0, 9).Draw(t, "tablets") > 0 {
		c.Tablets = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) TxnTablet {
			p := TxnTablet{Tablet: types.TabletID(number.Draw(t, "tablet")), Epoch: types.Epoch(number.Draw(t, "epoch")), Rows: int64(number.Draw(t, "rows"))}
			if rapid.Bool().Draw(t, "newer") {
				p.Newest = types.Version(number.Draw(t, "newest"))
			}
			if rapid.Bool().Draw(t, "short") {
				p.Need = int(number.Draw(t, "need"))
			}
			for range rapid.IntRange(0, 3).Draw(t, "ok") {
				p.OK = append(p.OK, types.ReplicaID(number.Draw(t, "replica")))
			}
			for range rapid.IntRange(0, 2).Draw(t, "redo") {
				p.Redo = append(p.Redo, bytes.Repeat([]byte{7}, rapid.SampledFrom([]int{0, 1, 23, 24, 300}).Draw(t, "bytes")))
			}
			return p
		}), 0, 40).Draw(t, "parts")
	}
	for range rapid.SampledFrom([]int{0, 0, 1, 3, 30}).Draw(t, "guards") {
		c.Guards = append(c.Guards, TxnGuard{Tablet: types.TabletID(number.Draw(t, "tablet")), Epoch: types.Epoch(number.Draw(t, "epoch"))})
	}
	c.Locks = rapid.SampledFrom([]uint64{0, 0, 0, 1, 24, 1 << 40}).Draw(t, "locks")
	return c
}

// TestCommitCodec: the hand-written form is that of the general codec, and what is read is what that one reads.
func TestCommitCodec(t *testing.T) {
	quick := 0
	rapid.Check(t, func(t *rapid.T) {
		c := drawCommit(t)
		want, err := canon.Enc.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		got := appendCommit(nil, c)
		if !bytes.Equal(got, want) {
			t.Fatalf("%+v is %x, want %x", c, got, want)
		}
		back, ok := readCommit(got)
		if ok {
			quick++
			if !reflect.DeepEqual(back, c) {
				t.Fatalf("%+v came back as %+v", c, back)
			}
		}
		mutated := bytes.Clone(got)
		mutated[rapid.IntRange(0, len(mutated)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
		agree(t, mutated)
		agree(t, got[:rapid.IntRange(0, len(got)).Draw(t, "cut")])
	})
	if quick == 0 {
		t.Error("readCommit has read nothing: the test proves nothing of it")
	}
}

// agree: what readCommit accepts, the general codec reads alike.
func agree(t interface{ Fatalf(string, ...any) }, body []byte) {
	got, ok := readCommit(body)
	if !ok {
		return
	}
	want := &CommitTxn{}
	if err := canon.Dec.Unmarshal(body, want); err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%x is read as %+v, want %+v (%v)", body, got, want, err)
	}
}

func FuzzReadCommit(f *testing.F) {
	for _, c := range []*CommitTxn{{}, {Txn: 1, Tablets: []TxnTablet{}, Guards: []TxnGuard{{Tablet: 4, Epoch: 500}}}, {Txn: 7, TimeMs: 1 << 40, Tablets: []TxnTablet{{Tablet: 1, Epoch: 2, OK: []types.ReplicaID{3, 400}, Rows: -5}, {OK: []types.ReplicaID{}, Redo: [][]byte{{1}, {}}}}}} {
		f.Add(appendCommit(nil, c))
	}
	f.Fuzz(func(t *testing.T, body []byte) { agree(t, body) })
}
