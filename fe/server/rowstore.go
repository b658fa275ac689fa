package server

import "encoding/binary"

// rowStore keeps the encoded rows of a cursor, at most max bytes. When a result does not fit, the writer falls back
// to sending it at once, which the protocol allows: a cursor is a wish of the client.
type rowStore struct {
	max    int
	open   bool // the client has been told that there is a cursor
	cols   []Column
	data   []byte // rows, each behind its length
	at     int    // of the next row to be fetched
	result Result
}

// add keeps a row; false means that it does not fit.
func (s *rowStore) add(row []byte) bool {
	if len(s.data)+len(row)+4 > s.max {
		return false
	}
	s.data = append(binary.LittleEndian.AppendUint32(s.data, uint32(len(row))), row...)
	return true
}

// next returns the next row, aliasing the store.
func (s *rowStore) next() ([]byte, bool) {
	if s.empty() {
		return nil, false
	}
	n := int(binary.LittleEndian.Uint32(s.data[s.at:]))
	row := s.data[s.at+4 : s.at+4+n]
	s.at += 4 + n
	return row, true
}

func (s *rowStore) empty() bool { return s.at == len(s.data) }
