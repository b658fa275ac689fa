package bepb

import "unicode/utf8"

// AppendWire appends the message as it goes over the wire; false = the generated code has to.
func (m *WriteRequest) AppendWire(dst []byte) ([]byte, bool) {
	ok := plain(m.unknownFields)
	dst = appendNumber(dst, 1, m.TxnId)
	for _, p := range m.Parts {
		var at int
		dst, at = begin(dst, 2)
		dst, ok = p.append(dst, ok)
		dst = end(dst, at)
	}
	dst = appendNumber(dst, 3, uint64(m.LockWaitMs))
	dst = appendFlag(dst, 4, m.ExplicitTxn)
	dst, plainItems := appendPublished(dst, 5, m.Published)
	dst = appendFlag(dst, 6, m.Settled)
	return appendFlag(dst, 7, m.SkipLocked), ok && plainItems
}

func (m *WriteRequest_Part) append(dst []byte, ok bool) ([]byte, bool) {
	ok = ok && plain(m.unknownFields)
	dst = appendNumber(dst, 1, m.TabletId)
	dst = appendNumber(dst, 2, m.Epoch)
	dst = appendNumber(dst, 3, m.MinVersion)
	dst = appendNumber(dst, 4, m.ReadVersion)
	dst = appendNumber(dst, 5, m.ReplicaId)
	for _, o := range m.Others {
		var in int
		dst, in = begin(dst, 6)
		dst = appendNumber(dst, 1, o.ReplicaId)
		dst = appendNumber(dst, 2, o.BeId)
		dst = appendChunk(dst, 3, o.Address)
		dst = appendFlag(dst, 4, o.Learner)
		dst = appendNumber(dst, 5, o.DiskId)
		dst = end(appendFlag(dst, 6, o.Lags), in)
		ok = ok && plain(o.unknownFields) && utf8.ValidString(o.Address)
	}
	dst = appendChunk(dst, 7, m.Ops)
	dst = appendChunk(dst, 8, m.Rows)
	dst = appendNumber(dst, 9, m.Seq)
	dst = appendFlag(dst, 10, m.Grouped)
	dst = appendNumber(dst, 11, uint64(m.SchemaVersion))
	dst = appendChunk(dst, 12, m.Schema)
	dst = appendNumber(dst, 13, uint64(m.RedoBytes))
	dst = appendNumber(dst, 14, uint64(m.LeaderStartMs))
	return appendNumber(dst, 15, uint64(m.Need)), ok
}

// WireBytes is no less than what the message takes.
func (m *WriteRequest) WireBytes() int {
	n := fixedBytes * (1 + len(m.Published))
	for _, p := range m.Parts {
		n += p.wireBytes()
	}
	return n
}

func (m *WriteRequest_Part) wireBytes() int {
	n := 2*fixedBytes + len(m.Ops) + len(m.Rows) + len(m.Schema)
	for _, o := range m.Others {
		n += fixedBytes + len(o.Address)
	}
	return n
}

// ParseWire reads an empty message; false = the generated code has to.
func (m *WriteRequest) ParseWire(b []byte) bool {
	return byHand && parse(b, func(tag, v uint64, data []byte) bool {
		switch tag {
		case 1<<3 | varint:
			m.TxnId = v
		case 2<<3 | chunk:
			p := &WriteRequest_Part{}
			m.Parts = append(m.Parts, p)
			return p.parse(data)
		case 3<<3 | varint:
			m.LockWaitMs = int64(v)
		case 4<<3 | varint:
			m.ExplicitTxn = v != 0
		case 5<<3 | chunk:
			it := &PublishRequest_Item{}
			m.Published = append(m.Published, it)
			return it.parse(data)
		case 6<<3 | varint:
			m.Settled = v != 0
		case 7<<3 | varint:
			m.SkipLocked = v != 0
		default:
			return false
		}
		return true
	})
}

func (m *WriteRequest_Part) parse(b []byte) bool {
	return parse(b, func(tag, v uint64, data []byte) bool {
		switch tag {
		case 1<<3 | varint:
			m.TabletId = v
		case 2<<3 | varint:
			m.Epoch = v
		case 3<<3 | varint:
			m.MinVersion = v
		case 4<<3 | varint:
			m.ReadVersion = v
		case 5<<3 | varint:
			m.ReplicaId = v
		case 6<<3 | chunk:
			o := &ReplicaAddress{}
			m.Others = append(m.Others, o)
			return o.parse(data)
		case 7<<3 | chunk:
			m.Ops = keep(data)
		case 8<<3 | chunk:
			m.Rows = keep(data)
		case 9<<3 | varint:
			m.Seq = v
		case 10<<3 | varint:
			m.Grouped = v != 0
		case 11<<3 | varint:
			m.SchemaVersion = uint32(v)
		case 12<<3 | chunk:
			m.Schema = keep(data)
		case 13<<3 | varint:
			m.RedoBytes = uint32(v)
		case 14<<3 | varint:
			m.LeaderStartMs = int64(v)
		case 15<<3 | varint:
			m.Need = uint32(v)
		default:
			return false
		}
		return true
	})
}

func (m *ReplicaAddress) parse(b []byte) bool {
	return parse(b, func(tag, v uint64, data []byte) bool {
		switch tag {
		case 1<<3 | varint:
			m.ReplicaId = v
		case 2<<3 | varint:
			m.BeId = v
		case 3<<3 | chunk:
			return text(&m.Address, data)
		case 4<<3 | varint:
			m.Learner = v != 0
		case 5<<3 | varint:
			m.DiskId = v
		case 6<<3 | varint:
			m.Lags = v != 0
		default:
			return false
		}
		return true
	})
}

// AppendWire appends the message as it goes over the wire; false = the generated code has to.
func (m *WriteResponse) AppendWire(dst []byte) ([]byte, bool) {
	ok := plain(m.unknownFields) && utf8.ValidString(m.Message)
	dst = appendNumber(dst, 1, uint64(m.Refusal))
	dst = appendChunk(dst, 2, m.Message)
	dst = appendNumber(dst, 3, m.RefusedTablet)
	dst = appendNumber(dst, 4, uint64(m.RefusedRow))
	for _, p := range m.Parts {
		var at int
		dst, at = begin(dst, 5)
		dst = appendNumber(dst, 1, p.TabletId)
		dst = appendNumbers(dst, 2, p.OkReplicas)
		for _, f := range p.Failures {
			var in int
			dst, in = begin(dst, 3)
			dst = appendNumber(dst, 1, f.ReplicaId)
			dst = end(appendChunk(dst, 2, f.Error), in)
			ok = ok && plain(f.unknownFields) && utf8.ValidString(f.Error)
		}
		dst = appendNumber(dst, 4, uint64(p.Inserted))
		dst = appendNumber(dst, 5, uint64(p.Replaced))
		dst = appendNumber(dst, 6, uint64(p.Deleted))
		dst = appendNumber(dst, 7, uint64(p.Ignored))
		dst = appendChunk(dst, 8, p.Redo)
		dst = appendNumbers(dst, 9, p.Skipped)
		dst = appendNumber(dst, 10, p.Newest)
		dst = end(appendNumber(dst, 11, p.NewestReplica), at)
		ok = ok && plain(p.unknownFields)
	}
	return appendNumber(dst, 6, uint64(m.Published)), ok
}

// ParseWire reads an empty message; false = the generated code has to.
func (m *WriteResponse) ParseWire(b []byte) bool {
	return byHand && parse(b, func(tag, v uint64, data []byte) bool {
		switch tag {
		case 1<<3 | varint:
			m.Refusal = WriteResponse_Refusal(v)
		case 2<<3 | chunk:
			return text(&m.Message, data)
		case 3<<3 | varint:
			m.RefusedTablet = v
		case 4<<3 | varint:
			m.RefusedRow = uint32(v)
		case 5<<3 | chunk:
			p := &WriteResponse_Part{}
			m.Parts = append(m.Parts, p)
			return p.parse(data)
		case 6<<3 | varint:
			m.Published = uint32(v)
		default:
			return false
		}
		return true
	})
}

func (m *WriteResponse_Part) parse(b []byte) bool {
	return parse(b, func(tag, v uint64, data []byte) bool {
		switch tag {
		case 1<<3 | varint:
			m.TabletId = v
		case 2<<3 | chunk:
			return numbers(&m.OkReplicas, data)
		case 3<<3 | chunk:
			f := &WriteResponse_Failure{}
			m.Failures = append(m.Failures, f)
			return f.parse(data)
		case 4<<3 | varint:
			m.Inserted = int64(v)
		case 5<<3 | varint:
			m.Replaced = int64(v)
		case 6<<3 | varint:
			m.Deleted = int64(v)
		case 7<<3 | varint:
			m.Ignored = int64(v)
		case 8<<3 | chunk:
			m.Redo = keep(data)
		case 9<<3 | chunk:
			return numbers(&m.Skipped, data)
		case 10<<3 | varint:
			m.Newest = v
		case 11<<3 | varint:
			m.NewestReplica = v
		default:
			return false
		}
		return true
	})
}

func (m *WriteResponse_Failure) parse(b []byte) bool {
	return parse(b, func(tag, v uint64, data []byte) bool {
		switch tag {
		case 1<<3 | varint:
			m.ReplicaId = v
		case 2<<3 | chunk:
			return text(&m.Error, data)
		default:
			return false
		}
		return true
	})
}
