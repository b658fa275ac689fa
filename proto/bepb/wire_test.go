package bepb

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"pgregory.net/rapid"
)

type wired interface {
	proto.Message
	AppendWire(dst []byte) ([]byte, bool)
	ParseWire(b []byte) bool
}

type handing interface {
	HandsOver() bool
	HandTo(proto.Message) bool
}

func wiredMessages() []wired {
	return []wired{&WriteRequest{}, &WriteResponse{}, &ReplicateRequest{}, &ReplicateResponse{}, &PublishRequest{}, &PublishResponse{},
		&GetRequest{}, &GetResponse{}, &ModifyRequest{}, &ModifyResponse{}, &ScanRequest{}}
}

// fill gives each field of a message some value, now and then none.
func fill(r *rand.Rand, m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		switch {
		case r.IntN(8) == 0:
		case f.Kind() == protoreflect.MessageKind && !f.IsList():
			fill(r, m.Mutable(f).Message())
		case f.IsList():
			for range r.IntN(4) {
				if f.Kind() == protoreflect.MessageKind {
					fill(r, m.Mutable(f).List().AppendMutable().Message())
					continue
				}
				m.Mutable(f).List().Append(scalar(r, f))
			}
		default:
			m.Set(f, scalar(r, f))
		}
	}
}

func scalar(r *rand.Rand, f protoreflect.FieldDescriptor) protoreflect.Value {
	n := r.Uint64() >> r.IntN(64)
	switch f.Kind() {
	case protoreflect.Uint64Kind:
		return protoreflect.ValueOfUint64(n)
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(int64(n))
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(uint32(n))
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(n%2 == 0)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(n % 11))
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(string(bytes.Repeat([]byte("ü"), r.IntN(100))))
	}
	return protoreflect.ValueOfBytes(bytes.Repeat([]byte{byte(n)}, r.IntN(1<<r.IntN(16))))
}

// TestByHand holds random messages, all fields of them, against what the generated code makes of them.
func TestByHand(t *testing.T) {
	if !byHand {
		t.Fatal("a message has grown: add its field to wirewrite.go or wirereplicate.go, and to fieldsKnown")
	}
	rapid.Check(t, func(rt *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0))
		for _, m := range wiredMessages() {
			fill(r, m.ProtoReflect())
			want, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
			if err != nil {
				rt.Fatal(err)
			}
			got, ok := m.AppendWire([]byte("before"))
			if !ok || !bytes.Equal(got, append([]byte("before"), want...)) {
				rt.Fatalf("%v: written by hand %v\n%x\n%x", m, ok, got, want)
			}
			if b, ok := m.(interface{ WireBytes() int }); ok && b.WireBytes() < len(want) {
				rt.Fatalf("%v: %d bytes at most, it is %d", m, b.WireBytes(), len(want))
			}
			back := m.ProtoReflect().New().Interface().(wired)
			if !back.ParseWire(want) || !proto.Equal(back, m) {
				rt.Fatalf("%v was read as %v", m, back)
			}
			h, ok := m.(handing)
			if !ok {
				continue
			}
			if to := m.ProtoReflect().New().Interface(); !h.HandTo(to) || !proto.Equal(to, m) {
				rt.Fatalf("%v was handed over as %v", m, to)
			}
			if h.HandTo(&WriteRequest_Part{}) {
				rt.Fatalf("%T was handed over as another message", m)
			}
		}
	})
	m := &ReplicateResponse{Errors: []string{"\xff"}}
	if _, ok := m.AppendWire(nil); ok {
		t.Error("a text that is none was written")
	}
	m.ProtoReflect().SetUnknown([]byte{0x18, 1})
	if _, ok := (&ReplicateResponse{}).AppendWire(nil); !ok {
		t.Error("an empty message was not written")
	}
	m.Errors = nil
	if _, ok := m.AppendWire(nil); ok {
		t.Error("what the generated code has set aside was lost")
	}
}

// FuzzParseWire: whatever is read by hand is what the generated code reads, and what that refuses is not read.
func FuzzParseWire(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 2))
	for i, m := range wiredMessages() {
		fill(r, m.ProtoReflect())
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(i, b)
	}
	f.Fuzz(func(t *testing.T, kind int, b []byte) {
		all := wiredMessages()
		byHand := all[(kind%len(all)+len(all))%len(all)]
		if !byHand.ParseWire(b) {
			return
		}
		generated := byHand.ProtoReflect().New().Interface()
		if err := proto.Unmarshal(b, generated); err != nil || !proto.Equal(byHand, generated) {
			t.Fatalf("%x: by hand %v, by the generated code %v, %v", b, byHand, generated, err)
		}
	})
}

// TestHandsOver: what is not known here, and row groups, go the general way.
func TestHandsOver(t *testing.T) {
	write := &WriteRequest{Parts: []*WriteRequest_Part{{}, {Grouped: true}}}
	if write.HandsOver() {
		t.Error("row groups are handed over")
	}
	write.Parts[1].Grouped = false
	for _, h := range []handing{write, &WriteResponse{}, &ModifyRequest{}, &ModifyResponse{}, &PublishRequest{}, &PublishResponse{}} {
		if !h.HandsOver() {
			t.Errorf("%T is not handed over", h)
		}
		h.(proto.Message).ProtoReflect().SetUnknown([]byte{0xf8, 7, 1})
		if h.HandsOver() {
			t.Errorf("%T is handed over with a field of another release", h)
		}
	}
}

type bytesBeside []byte

func (b bytesBeside) Encoded() []byte { return b }

// TestRowsBesideAreEncoded: whoever encodes a write encodes the rows beside it, by whatever way; a receiver in this process finds them beside.
func TestRowsBesideAreEncoded(t *testing.T) {
	rows := []byte("rows")
	request := func(rows []byte) *WriteRequest {
		return &WriteRequest{TxnId: 7, Parts: []*WriteRequest_Part{{TabletId: 3, Ops: []byte{1}, Rows: rows}}}
	}
	want, err := proto.Marshal(request(rows))
	if err != nil {
		t.Fatal(err)
	}
	for name, encode := range map[string]func(*WriteRows) ([]byte, error){
		"generated": func(m *WriteRows) ([]byte, error) { return proto.Marshal(m) },
		"by hand": func(m *WriteRows) ([]byte, error) {
			if m.WireBytes() < len(want) {
				t.Errorf("it takes %d bytes, and %d were reckoned with", len(want), m.WireBytes())
			}
			b, ok := m.AppendWire(nil)
			if !ok {
				t.Error("not by hand")
			}
			return b, nil
		},
	} {
		got, err := encode(&WriteRows{WriteRequest: request(nil), Beside: bytesBeside(rows)})
		if err != nil {
			t.Fatal(err)
		}
		back := &WriteRequest{}
		if err := proto.Unmarshal(got, back); err != nil || !proto.Equal(back, request(rows)) {
			t.Errorf("%s: %v, %v", name, back, err)
		}
	}
	handed, to := &WriteRows{WriteRequest: request(nil), Beside: bytesBeside(rows)}, &WriteRequest{}
	if !handed.HandsOver() || !handed.HandTo(to) || to.TxnId != 7 || to.Parts[0].Rows != nil || handed.Beside == nil {
		t.Errorf("handed over: %v beside %v", to, handed.Beside)
	}
}

// TestFragmentBesideIsEncoded is TestRowsBesideAreEncoded for the fragment of a scan.
func TestFragmentBesideIsEncoded(t *testing.T) {
	request := func(fragment []byte) *ScanRequest {
		return &ScanRequest{Fragment: fragment, Tablets: []*ScanRequest_Tablet{{TabletId: 3, Version: 4}}, NowUs: 5, MemLimitBytes: 6, TxnId: 7}
	}
	fragment := []byte("fragment")
	beside := func() *ScanFragment { return &ScanFragment{ScanRequest: request(nil), Beside: bytesBeside(fragment)} }
	want, err := proto.Marshal(request(fragment))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := proto.Marshal(beside()); err != nil || !bytes.Equal(got, want) {
		t.Errorf("generated: %x, %v", got, err)
	}
	m := beside()
	if n := m.WireBytes(); n < len(want) {
		t.Errorf("it takes %d bytes, and %d were reckoned with", len(want), n)
	}
	if got, ok := m.AppendWire(nil); !ok || !bytes.Equal(got, want) {
		t.Errorf("by hand: %x, %v", got, ok)
	}
	if !proto.Equal(beside().Whole(), request(fragment)) {
		t.Error("the whole request is another one")
	}
	handed, to := beside(), &ScanRequest{}
	if !handed.HandsOver() || !handed.HandTo(to) || !proto.Equal(to, request(nil)) || handed.Beside == nil {
		t.Errorf("handed over: %v", to)
	}
	if handed.HandTo(&WriteRequest{}) {
		t.Error("handed over as a write")
	}
}
