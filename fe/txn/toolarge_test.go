package txn

import (
	"errors"
	"testing"

	"stele/meta/rpc"
	"stele/meta/types"
	"stele/sql/errno"
	"stele/sql/vec"
)

// TestCheckSize: rows that no message has room for are refused by a number, whatever batch they lie in.
func TestCheckSize(t *testing.T) {
	text := func(bytes int) *vec.Batch {
		b := vec.NewBuilder([]types.ColumnType{{Kind: types.KindText}}, 2)
		b.AppendValues(vec.Str(make([]byte, bytes)))
		b.AppendValues(vec.Str([]byte("x")))
		return b.Finish()
	}
	large := text(rpc.MaxRows)
	for name, c := range map[string]struct {
		w       TabletWrite
		refused bool
	}{
		"some":                   {TabletWrite{Rows: text(100)}, false},
		"one that is too large":  {TabletWrite{Rows: large}, true},
		"the small one of them":  {TabletWrite{Rows: &vec.Batch{Cols: large.Cols, N: large.N, Sel: []int32{1}}}, false},
		"row groups":             {TabletWrite{Grouped: make([]byte, rpc.MaxRows)}, false},
		"too large a row group":  {TabletWrite{Grouped: make([]byte, rpc.MaxRows+1)}, true},
		"shared rows, or nobody": {TabletWrite{}, false},
	} {
		err := checkSize(&c.w)
		var known interface {
			MySQL() (uint16, string, string)
		}
		if (err != nil) != c.refused {
			t.Errorf("%s: %v", name, err)
		} else if err != nil && !errors.As(err, &known) {
			t.Errorf("%s has no number: %v", name, err)
		} else if err != nil {
			if code, _, _ := known.MySQL(); code != errno.PacketTooLarge {
				t.Errorf("%s is %d", name, code)
			}
		}
	}
}
