package scan

import (
	"errors"
	"testing"

	"stele/meta/rpc"
	"stele/meta/types"
	"stele/sql/vec"
)

// TestSendRows: rows that are too much for a message come in several, in their order, and one that is too much alone is an error with a number.
func TestSendRows(t *testing.T) {
	rows := vec.NewBuilder([]types.ColumnType{{Kind: types.KindText}}, 5)
	for i := range 5 {
		text := make([]byte, rpc.MaxRows*2/5)
		text[0] = byte(i)
		rows.AppendValues(vec.Str(text))
	}
	b := rows.Finish()
	var came []byte
	err := sendRows(b, func(encoded []byte) error {
		if len(encoded) > rpc.MaxMessage {
			t.Errorf("a message of %d bytes", len(encoded))
		}
		got, err := vec.Decode(encoded)
		if err != nil {
			return err
		}
		for i := range got.Rows() {
			came = append(came, got.Cols[0].Value(i).B[0])
		}
		return nil
	})
	if err != nil || string(came) != "\x00\x01\x02\x03\x04" {
		t.Errorf("%v, %v", came, err)
	}
	large := vec.NewBuilder([]types.ColumnType{{Kind: types.KindText}}, 1)
	large.AppendValues(vec.Str(make([]byte, rpc.MaxRows)))
	var known interface {
		MySQL() (uint16, string, string)
	}
	if err := sendRows(large.Finish(), func([]byte) error { return nil }); !errors.As(err, &known) {
		t.Errorf("%v", err)
	}
}
