package bepb

// AppendWire appends the message as it goes over the wire; false = the generated code has to.
func (m *ModifyRequest) AppendWire(dst []byte) ([]byte, bool) {
	ok := plain(m.unknownFields)
	dst = appendNumber(dst, 1, m.TxnId)
	if m.Part != nil {
		var at int
		dst, at = begin(dst, 2)
		dst, ok = m.Part.append(dst, ok)
		dst = end(dst, at)
	}
	dst = appendNumber(dst, 3, uint64(m.LockWaitMs))
	dst = appendFlag(dst, 4, m.ExplicitTxn)
	dst = appendChunk(dst, 5, m.Change)
	dst = appendChunk(dst, 6, m.Key)
	dst = appendChunk(dst, 7, m.Values)
	dst = appendNumber(dst, 8, uint64(m.NowUs))
	dst, plainItems := appendPublished(dst, 9, m.Published)
	return dst, ok && plainItems
}

// WireBytes is no less than what the message takes.
func (m *ModifyRequest) WireBytes() int {
	n := fixedBytes*(1+len(m.Published)) + len(m.Change) + len(m.Key) + len(m.Values)
	if m.Part != nil {
		n += m.Part.wireBytes()
	}
	return n
}

// ParseWire reads an empty message; false = the generated code has to.
func (m *ModifyRequest) ParseWire(b []byte) bool {
	return byHand && parse(b, func(tag, v uint64, data []byte) bool {
		switch tag {
		case 1<<3 | varint:
			m.TxnId = v
		case 2<<3 | chunk:
			if m.Part != nil { // two of them are to be merged
				return false
			}
			m.Part = &WriteRequest_Part{}
			return m.Part.parse(data)
		case 3<<3 | varint:
			m.LockWaitMs = int64(v)
		case 4<<3 | varint:
			m.ExplicitTxn = v != 0
		case 5<<3 | chunk:
			m.Change = keep(data)
		case 6<<3 | chunk:
			m.Key = keep(data)
		case 7<<3 | chunk:
			m.Values = keep(data)
		case 8<<3 | varint:
			m.NowUs = int64(v)
		case 9<<3 | chunk:
			it := &PublishRequest_Item{}
			m.Published = append(m.Published, it)
			return it.parse(data)
		default:
			return false
		}
		return true
	})
}

// AppendWire appends the message as it goes over the wire; false = the generated code has to.
func (m *ModifyResponse) AppendWire(dst []byte) ([]byte, bool) {
	ok := plain(m.unknownFields)
	if m.Write != nil {
		var at int
		var written bool
		dst, at = begin(dst, 1)
		dst, written = m.Write.AppendWire(dst)
		dst, ok = end(dst, at), ok && written
	}
	dst = appendFlag(dst, 2, m.Matched)
	dst = appendFlag(dst, 3, m.General)
	dst = appendChunk(dst, 4, m.Row)
	dst = appendNumber(dst, 5, uint64(m.Published))
	return appendNumber(dst, 6, m.Version), ok
}

// ParseWire reads an empty message; false = the generated code has to.
func (m *ModifyResponse) ParseWire(b []byte) bool {
	return byHand && parse(b, func(tag, v uint64, data []byte) bool {
		switch tag {
		case 1<<3 | chunk:
			if m.Write != nil { // two of them are to be merged
				return false
			}
			m.Write = &WriteResponse{}
			return m.Write.ParseWire(data)
		case 2<<3 | varint:
			m.Matched = v != 0
		case 3<<3 | varint:
			m.General = v != 0
		case 4<<3 | chunk:
			m.Row = keep(data)
		case 5<<3 | varint:
			m.Published = uint32(v)
		case 6<<3 | varint:
			m.Version = v
		default:
			return false
		}
		return true
	})
}
