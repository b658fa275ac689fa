package bepb

// AppendWire appends the message as it goes over the wire; false = the generated code has to.
func (m *ScanRequest) AppendWire(dst []byte) ([]byte, bool) {
	ok := true
	dst = appendChunk(dst, 1, m.Fragment)
	for _, t := range m.Tablets {
		var at int
		dst, at = begin(dst, 2)
		dst = appendNumber(dst, 1, t.TabletId)
		dst = appendNumber(dst, 2, t.Version)
		dst = end(appendNumber(dst, 3, t.ReplicaId), at)
		ok = ok && plain(t.unknownFields)
	}
	dst = appendNumber(dst, 3, uint64(m.NowUs))
	dst = appendNumber(dst, 4, uint64(m.MemLimitBytes))
	return appendNumber(dst, 5, m.TxnId), ok && plain(m.unknownFields)
}

// WireBytes is no less than what the message takes.
func (m *ScanRequest) WireBytes() int { return fixedBytes*(1+len(m.Tablets)) + len(m.Fragment) }

// ParseWire reads an empty message; false = the generated code has to.
func (m *ScanRequest) ParseWire(b []byte) bool {
	return byHand && parse(b, func(tag, v uint64, data []byte) bool {
		switch tag {
		case 1<<3 | chunk:
			m.Fragment = keep(data)
		case 2<<3 | chunk:
			t := &ScanRequest_Tablet{}
			m.Tablets = append(m.Tablets, t)
			return t.parse(data)
		case 3<<3 | varint:
			m.NowUs = int64(v)
		case 4<<3 | varint:
			m.MemLimitBytes = int64(v)
		case 5<<3 | varint:
			m.TxnId = v
		default:
			return false
		}
		return true
	})
}

func (m *ScanRequest_Tablet) parse(b []byte) bool {
	return parse(b, func(tag, v uint64, _ []byte) bool {
		switch tag {
		case 1<<3 | varint:
			m.TabletId = v
		case 2<<3 | varint:
			m.Version = v
		case 3<<3 | varint:
			m.ReplicaId = v
		default:
			return false
		}
		return true
	})
}
