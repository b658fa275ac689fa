package txn

import (
	"fmt"

	"stele/meta/rpc"
	"stele/sql/errno"
)

// TooLargeError refuses rows that no message has room for. Stored by a leader that has them without one, they could be neither read as a whole nor
// copied to another disk.
type TooLargeError struct{ Bytes int }

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("Got a packet bigger than 'max_allowed_packet' bytes: a row, or the rows that are written together, takes %d bytes, and may take %d",
		e.Bytes, rpc.MaxRows)
}

// MySQL returns the error as a client sees it.
func (e *TooLargeError) MySQL() (code uint16, state, msg string) {
	return errno.PacketTooLarge, errno.State(errno.PacketTooLarge), e.Error()
}

// checkSize refuses a write that is too large.
func checkSize(w *TabletWrite) error {
	bytes := len(w.Grouped)
	if w.Grouped == nil && w.Rows != nil {
		if bytes = w.Rows.Size(); bytes > rpc.MaxRows {
			bytes = w.Rows.Compact().Size() // perhaps they are a few of many
		}
	}
	if bytes > rpc.MaxRows {
		return &TooLargeError{Bytes: bytes}
	}
	return nil
}
