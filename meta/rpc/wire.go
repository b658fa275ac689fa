package rpc

import "google.golang.org/protobuf/proto"

// wired is a message that is written and read without reflection, where it can be.
type wired interface {
	AppendWire(dst []byte) (out []byte, ok bool)
	ParseWire(b []byte) bool
}

// bounded is a message that knows a bound of its size.
type bounded interface{ WireBytes() int }

// marshal appends a message.
func marshal(dst []byte, m proto.Message) ([]byte, error) {
	if w, ok := m.(wired); ok {
		if out, ok := w.AppendWire(dst); ok {
			return out, nil
		}
	}
	return proto.MarshalOptions{}.MarshalAppend(dst, m)
}

// unmarshal reads a message; nothing of b is kept.
func unmarshal(b []byte, m proto.Message) error {
	if w, ok := m.(wired); ok {
		proto.Reset(m)
		if w.ParseWire(b) {
			return nil
		}
	}
	return proto.Unmarshal(b, m)
}

// tooLarge reports whether a message is too large for a pipe.
func tooLarge(m proto.Message) bool {
	if b, ok := m.(bounded); ok && b.WireBytes() <= maxPiped {
		return false
	}
	return proto.Size(m) > maxPiped
}
