package rpc

import (
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

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

// handingOver is a message that need not be encoded for a receiver in this process: neither side changes any more what lies below it.
type handingOver interface {
	// HandsOver says whether this one is such a message.
	HandsOver() bool
	// HandTo gives an empty message of its type what it has, and shares what lies below; false = it is of another type.
	HandTo(to proto.Message) bool
}

// handed returns a message that can be handed over, nil = it has to be encoded.
func handed(m proto.Message) handingOver {
	if h, ok := m.(handingOver); ok && h.HandsOver() {
		return h
	}
	return nil
}

func handOver(from handingOver, to proto.Message) error {
	if !from.HandTo(to) {
		return status.Errorf(codes.Internal, "BUG: %T was handed over as %T", from, to)
	}
	return nil
}
