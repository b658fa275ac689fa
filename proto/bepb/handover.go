package bepb

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Within one process the messages of small statements are not encoded: the receiver gets what the sender has, and neither changes it any more.

// HandsOver is false for rows that come as row groups: who reads a load has its own use for their memory.
func (m *WriteRequest) HandsOver() bool {
	for _, p := range m.Parts {
		if p.Grouped {
			return false
		}
	}
	return plain(m.unknownFields)
}

// HandTo gives an empty request what m has.
func (m *WriteRequest) HandTo(to proto.Message) bool {
	t, ok := to.(*WriteRequest)
	if ok {
		t.TxnId, t.Parts, t.LockWaitMs, t.ExplicitTxn, t.Published = m.TxnId, m.Parts, m.LockWaitMs, m.ExplicitTxn, m.Published
		t.Settled, t.SkipLocked = m.Settled, m.SkipLocked
	}
	return ok
}

// HandsOver says that the answer need not be encoded.
func (m *WriteResponse) HandsOver() bool { return plain(m.unknownFields) }

// HandTo gives an empty answer what m has.
func (m *WriteResponse) HandTo(to proto.Message) bool {
	t, ok := to.(*WriteResponse)
	if ok {
		t.Refusal, t.Message, t.RefusedTablet, t.RefusedRow = m.Refusal, m.Message, m.RefusedTablet, m.RefusedRow
		t.Parts, t.Published = m.Parts, m.Published
	}
	return ok
}

// HandsOver says that the request need not be encoded.
func (m *ModifyRequest) HandsOver() bool { return plain(m.unknownFields) }

// HandTo gives an empty request what m has.
func (m *ModifyRequest) HandTo(to proto.Message) bool {
	t, ok := to.(*ModifyRequest)
	if ok {
		t.TxnId, t.Part, t.LockWaitMs, t.ExplicitTxn, t.Change = m.TxnId, m.Part, m.LockWaitMs, m.ExplicitTxn, m.Change
		t.Key, t.Values, t.NowUs, t.Published = m.Key, m.Values, m.NowUs, m.Published
	}
	return ok
}

// HandsOver says that the answer need not be encoded.
func (m *ModifyResponse) HandsOver() bool { return plain(m.unknownFields) }

// HandTo gives an empty answer what m has.
func (m *ModifyResponse) HandTo(to proto.Message) bool {
	t, ok := to.(*ModifyResponse)
	if ok {
		t.Write, t.Matched, t.General, t.Row, t.Published, t.Version = m.Write, m.Matched, m.General, m.Row, m.Published, m.Version
	}
	return ok
}

// HandsOver says that the request need not be encoded.
func (m *PublishRequest) HandsOver() bool { return plain(m.unknownFields) }

// HandTo gives an empty request what m has.
func (m *PublishRequest) HandTo(to proto.Message) bool {
	t, ok := to.(*PublishRequest)
	if ok {
		t.Items = m.Items
	}
	return ok
}

// HandsOver says that the answer need not be encoded.
func (m *PublishResponse) HandsOver() bool { return plain(m.unknownFields) }

// HandTo gives an empty answer what m has.
func (m *PublishResponse) HandTo(to proto.Message) bool {
	t, ok := to.(*PublishResponse)
	if ok {
		t.Versions = m.Versions
	}
	return ok
}

// Rows are rows of a part that lie beside it. Nobody changes them any more.
type Rows interface {
	// Encoded returns them as they go over the wire.
	Encoded() []byte
}

// Fragment is the fragment of a scan that lies beside it. Nobody changes it any more.
type Fragment interface {
	// Encoded returns it as it goes over the wire.
	Encoded() []byte
}

// ScanFragment is a scan with its fragment beside it, as WriteRows is a write with its rows.
type ScanFragment struct {
	*ScanRequest
	Beside Fragment // nil = it is in the request
}

// HandsOver says that the request need not be encoded.
func (m *ScanFragment) HandsOver() bool { return plain(m.unknownFields) }

// HandTo gives an empty request what m has; the fragment stays beside it.
func (m *ScanFragment) HandTo(to proto.Message) bool {
	t, ok := to.(*ScanRequest)
	if ok {
		t.Fragment, t.Tablets, t.NowUs, t.MemLimitBytes, t.TxnId = m.Fragment, m.Tablets, m.NowUs, m.MemLimitBytes, m.TxnId
	}
	return ok
}

// Whole returns the request with the fragment in it.
func (m *ScanFragment) Whole() *ScanRequest {
	if m.Beside != nil {
		m.Fragment, m.Beside = m.Beside.Encoded(), nil
	}
	return m.ScanRequest
}

// ProtoReflect implements proto.Message.
func (m *ScanFragment) ProtoReflect() protoreflect.Message { return m.Whole().ProtoReflect() }

// AppendWire is that of the request.
func (m *ScanFragment) AppendWire(dst []byte) ([]byte, bool) { return m.Whole().AppendWire(dst) }

// WireBytes is that of the request.
func (m *ScanFragment) WireBytes() int { return m.Whole().WireBytes() }

// Wanted is what ModifyRows is to find and to do that lies beside it. Nobody changes it any more.
type Wanted interface {
	// Encoded returns both as they go over the wire.
	Encoded() (find, change []byte)
}

// ModifyRowsWanted is a ModifyRowsRequest with what is wanted beside it, as ScanFragment is a scan with its fragment.
type ModifyRowsWanted struct {
	*ModifyRowsRequest
	Beside Wanted // nil = it is in the request
}

// HandsOver says that the request need not be encoded.
func (m *ModifyRowsWanted) HandsOver() bool {
	return plain(m.unknownFields) && m.Write != nil && m.Write.HandsOver()
}

// HandTo gives an empty request what m has; what is wanted stays beside it.
func (m *ModifyRowsWanted) HandTo(to proto.Message) bool {
	t, ok := to.(*ModifyRowsRequest)
	if ok {
		t.Write, t.Find, t.Change, t.NowUs = m.Write, m.Find, m.Change, m.NowUs
	}
	return ok
}

// ProtoReflect implements proto.Message: what is wanted is put into the request first.
func (m *ModifyRowsWanted) ProtoReflect() protoreflect.Message {
	if m.Beside != nil {
		m.Find, m.Change = m.Beside.Encoded()
		m.Beside = nil
	}
	return m.ModifyRowsRequest.ProtoReflect()
}

// HandsOver says that the answer need not be encoded.
func (m *ModifyRowsResponse) HandsOver() bool { return plain(m.unknownFields) }

// HandTo gives an empty answer what m has.
func (m *ModifyRowsResponse) HandTo(to proto.Message) bool {
	t, ok := to.(*ModifyRowsResponse)
	if ok {
		t.Write, t.Matched, t.General, t.Rows = m.Write, m.Matched, m.General, m.Rows
	}
	return ok
}

// WriteRows is a write with the rows of its only part beside it: a handler in the same process takes them as they are, by
// rpc.Given. Where it is encoded after all they are put into the part first.
type WriteRows struct {
	*WriteRequest
	Beside Rows // nil = all rows are in their parts
}

// whole puts the rows into the part.
func (m *WriteRows) whole() *WriteRequest {
	if m.Beside != nil {
		m.Parts[0].Rows, m.Beside = m.Beside.Encoded(), nil
	}
	return m.WriteRequest
}

// ProtoReflect implements proto.Message.
func (m *WriteRows) ProtoReflect() protoreflect.Message { return m.whole().ProtoReflect() }

// AppendWire is that of the request.
func (m *WriteRows) AppendWire(dst []byte) ([]byte, bool) { return m.whole().AppendWire(dst) }

// WireBytes is that of the request.
func (m *WriteRows) WireBytes() int { return m.whole().WireBytes() }
