package rpc

import (
	"bytes"
	"testing"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// TestCodecTakesProtobufsPlace sends messages of all sizes through buffers that were used before.
func TestCodecTakesProtobufsPlace(t *testing.T) {
	c := encoding.GetCodecV2(proto.Name)
	if _, ours := c.(codec); !ours {
		t.Fatalf("protobuf is encoded by %T", c)
	}
	for round := range 3 {
		for _, n := range []int{0, 1, 1000, 1024, 1 << 12, 1<<16 + 1, 1 << 20, 1<<22 + 5} {
			want := bytes.Repeat([]byte{byte(n + round + 1)}, n)
			data, err := c.Marshal(wrapperspb.Bytes(want))
			if err != nil {
				t.Fatal(err)
			}
			got := &wrapperspb.BytesValue{}
			if err := c.Unmarshal(data, got); err != nil {
				t.Fatal(err)
			}
			data.Free()
			if !bytes.Equal(got.Value, want) {
				t.Fatalf("%d bytes came back as %d others", n, len(got.Value))
			}
		}
	}
	if _, err := c.Marshal(1); err == nil {
		t.Error("an int was encoded")
	}
	if err := c.Unmarshal(nil, t); err == nil {
		t.Error("something was decoded into a test")
	}
}

func TestBufferPoolSizes(t *testing.T) {
	var p bufferPool
	for _, n := range []int{0, 1, 2, 3, 4096, 4097, 1 << 22, 1<<22 + 1} {
		for range 2 {
			b := p.Get(n)
			if len(*b) != n {
				t.Fatalf("%d bytes asked for, %d came", n, len(*b))
			}
			*b = (*b)[:n/2] // a prefix may be given back
			p.Put(b)
		}
	}
}
