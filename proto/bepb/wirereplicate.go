package bepb

import "unicode/utf8"

// AppendWire appends the message as it goes over the wire; false = the generated code has to.
func (m *ReplicateRequest) AppendWire(dst []byte) ([]byte, bool) {
	ok := plain(m.unknownFields)
	dst = appendNumber(dst, 1, m.TxnId)
	for _, p := range m.Parts {
		var at int
		dst, at = begin(dst, 2)
		dst = appendNumber(dst, 1, p.TabletId)
		dst = appendNumber(dst, 2, p.ReplicaId)
		dst = appendNumber(dst, 3, p.Epoch)
		dst = appendNumber(dst, 4, p.Seq)
		dst = appendChunk(dst, 5, p.Payload)
		dst = appendNumber(dst, 6, uint64(p.SchemaVersion))
		dst = appendChunk(dst, 7, p.Schema)
		dst = end(appendFlag(dst, 8, p.Redo), at)
		ok = ok && plain(p.unknownFields)
	}
	return dst, ok
}

// WireBytes is no less than what the message takes.
func (m *ReplicateRequest) WireBytes() int {
	n := fixedBytes
	for _, p := range m.Parts {
		n += fixedBytes + len(p.Payload) + len(p.Schema)
	}
	return n
}

// ParseWire reads an empty message; false = the generated code has to.
func (m *ReplicateRequest) ParseWire(b []byte) bool {
	return byHand && parse(b, func(tag, v uint64, data []byte) bool {
		switch tag {
		case 1<<3 | varint:
			m.TxnId = v
		case 2<<3 | chunk:
			p := &ReplicateRequest_Part{}
			m.Parts = append(m.Parts, p)
			return p.parse(data)
		default:
			return false
		}
		return true
	})
}

func (m *ReplicateRequest_Part) parse(b []byte) bool {
	return parse(b, func(tag, v uint64, data []byte) bool {
		switch tag {
		case 1<<3 | varint:
			m.TabletId = v
		case 2<<3 | varint:
			m.ReplicaId = v
		case 3<<3 | varint:
			m.Epoch = v
		case 4<<3 | varint:
			m.Seq = v
		case 5<<3 | chunk:
			m.Payload = keep(data)
		case 6<<3 | varint:
			m.SchemaVersion = uint32(v)
		case 7<<3 | chunk:
			m.Schema = keep(data)
		case 8<<3 | varint:
			m.Redo = v != 0
		default:
			return false
		}
		return true
	})
}

// AppendWire appends the message as it goes over the wire; false = the generated code has to.
func (m *ReplicateResponse) AppendWire(dst []byte) ([]byte, bool) {
	ok := plain(m.unknownFields)
	for _, e := range m.Errors {
		dst = appendItem(dst, 1, e)
		ok = ok && utf8.ValidString(e)
	}
	return appendNumbers(dst, 2, m.Newest), ok
}

// ParseWire reads an empty message; false = the generated code has to.
func (m *ReplicateResponse) ParseWire(b []byte) bool {
	return byHand && parse(b, func(tag, _ uint64, data []byte) bool {
		if tag == 2<<3|chunk {
			return numbers(&m.Newest, data)
		}
		m.Errors = append(m.Errors, "")
		return tag == 1<<3|chunk && text(&m.Errors[len(m.Errors)-1], data)
	})
}

// AppendWire appends the message as it goes over the wire; false = the generated code has to.
func (m *PublishRequest) AppendWire(dst []byte) ([]byte, bool) {
	dst, ok := appendPublished(dst, 1, m.Items)
	return dst, ok && plain(m.unknownFields)
}

// appendPublished appends versions to be published; false = the generated code has to.
func appendPublished(dst []byte, field uint64, items []*PublishRequest_Item) ([]byte, bool) {
	ok := true
	for _, it := range items {
		var at int
		dst, at = begin(dst, field)
		dst = appendNumber(dst, 1, it.TabletId)
		dst = appendNumber(dst, 2, it.TxnId)
		dst = appendNumber(dst, 3, it.Version)
		dst = end(appendNumber(dst, 4, uint64(it.Parts)), at)
		ok = ok && plain(it.unknownFields)
	}
	return dst, ok
}

// WireBytes is no less than what the message takes.
func (m *PublishRequest) WireBytes() int { return fixedBytes * (1 + len(m.Items)) }

// ParseWire reads an empty message; false = the generated code has to.
func (m *PublishRequest) ParseWire(b []byte) bool {
	return byHand && parse(b, func(tag, _ uint64, data []byte) bool {
		it := &PublishRequest_Item{}
		m.Items = append(m.Items, it)
		return tag == 1<<3|chunk && it.parse(data)
	})
}

func (m *PublishRequest_Item) parse(b []byte) bool {
	return parse(b, func(tag, v uint64, _ []byte) bool {
		switch tag {
		case 1<<3 | varint:
			m.TabletId = v
		case 2<<3 | varint:
			m.TxnId = v
		case 3<<3 | varint:
			m.Version = v
		case 4<<3 | varint:
			m.Parts = uint32(v)
		default:
			return false
		}
		return true
	})
}

// AppendWire appends the message as it goes over the wire; false = the generated code has to.
func (m *PublishResponse) AppendWire(dst []byte) ([]byte, bool) {
	return appendNumbers(dst, 1, m.Versions), plain(m.unknownFields)
}

// ParseWire reads an empty message; false = the generated code has to.
func (m *PublishResponse) ParseWire(b []byte) bool {
	return byHand && parse(b, func(tag, _ uint64, data []byte) bool {
		return tag == 1<<3|chunk && numbers(&m.Versions, data)
	})
}

// AppendWire appends the message as it goes over the wire; false = the generated code has to.
func (m *GetRequest) AppendWire(dst []byte) ([]byte, bool) {
	dst = appendChunk(dst, 1, m.Fragment)
	for _, k := range m.Keys {
		dst = appendItem(dst, 2, k)
	}
	dst = appendNumber(dst, 3, m.TabletId)
	dst = appendNumber(dst, 4, m.Version)
	dst = appendNumber(dst, 5, uint64(m.NowUs))
	dst = appendNumber(dst, 6, uint64(m.MemLimitBytes))
	dst = appendNumber(dst, 7, m.TxnId)
	return appendNumber(dst, 8, m.ReplicaId), plain(m.unknownFields)
}

// WireBytes is no less than what the message takes.
func (m *GetRequest) WireBytes() int {
	n := fixedBytes + len(m.Fragment)
	for _, k := range m.Keys {
		n += fixedBytes + len(k)
	}
	return n
}

// ParseWire reads an empty message; false = the generated code has to.
func (m *GetRequest) ParseWire(b []byte) bool {
	return byHand && parse(b, func(tag, v uint64, data []byte) bool {
		switch tag {
		case 1<<3 | chunk:
			m.Fragment = keep(data)
		case 2<<3 | chunk:
			m.Keys = append(m.Keys, keep(data))
		case 3<<3 | varint:
			m.TabletId = v
		case 4<<3 | varint:
			m.Version = v
		case 5<<3 | varint:
			m.NowUs = int64(v)
		case 6<<3 | varint:
			m.MemLimitBytes = int64(v)
		case 7<<3 | varint:
			m.TxnId = v
		case 8<<3 | varint:
			m.ReplicaId = v
		default:
			return false
		}
		return true
	})
}

// AppendWire appends the message as it goes over the wire; false = the generated code has to.
func (m *GetResponse) AppendWire(dst []byte) ([]byte, bool) {
	for _, b := range m.Batches {
		dst = appendItem(dst, 1, b)
	}
	return appendFlag(dst, 2, m.Large), plain(m.unknownFields)
}

// ParseWire reads an empty message; false = the generated code has to.
func (m *GetResponse) ParseWire(b []byte) bool {
	return byHand && parse(b, func(tag, v uint64, data []byte) bool {
		switch tag {
		case 1<<3 | chunk:
			m.Batches = append(m.Batches, keep(data))
		case 2<<3 | varint:
			m.Large = v != 0
		default:
			return false
		}
		return true
	})
}
