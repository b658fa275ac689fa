package peer

import (
	"bytes"
	"slices"
	"testing"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	pb "google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"stele/meta/rpc"
	"stele/proto/bepb"
)

// TestSnapshotCodecIsProtobuf: whatever one side writes in either codec, the other reads in either, however the frames cut it.
func TestSnapshotCodecIsProtobuf(t *testing.T) {
	codecs := []encoding.CodecV2{encoding.GetCodecV2(proto.Name), encoding.GetCodecV2(snapshotCodecName)}
	rapid.Check(t, func(t *rapid.T) {
		chunk := rapid.SliceOfN(rapid.Byte(), 1, 300)
		m := &bepb.FetchSnapshotResponse{Version: rapid.Uint64().Draw(t, "version"), TotalBytes: rapid.Int64().Draw(t, "total"),
			Digest: rapid.Uint64().Draw(t, "digest"), Last: rapid.Bool().Draw(t, "last"), Seq: rapid.Uint32().Draw(t, "seq"), KeptBytes: rapid.Int64().Draw(t, "kept")}
		if rapid.Bool().Draw(t, "chunks") {
			m.Chunk, m.More = chunk.Draw(t, "chunk"), rapid.SliceOfN(chunk, 0, 4).Draw(t, "more")
		}
		for _, from := range codecs {
			for _, to := range codecs {
				data, err := from.Marshal(m)
				if err != nil {
					t.Fatal(err)
				}
				got := &bepb.FetchSnapshotResponse{}
				if err := to.Unmarshal(frames(data, rapid.IntRange(1, 400).Draw(t, "frame")), got); err != nil {
					t.Fatal(err)
				}
				if !pb.Equal(m, got) {
					t.Fatalf("%s to %s: %v, not %v", from.Name(), to.Name(), got, m)
				}
			}
		}
	})
}

func frames(data mem.BufferSlice, size int) (out mem.BufferSlice) {
	for piece := range slices.Chunk(data.Materialize(), size) {
		out = append(out, mem.SliceBuffer(piece))
	}
	return out
}

// TestChunksAreInBuffersOfTheirOwn: each is given back by itself, and what is sent afterwards does not show in the others.
func TestChunksAreInBuffersOfTheirOwn(t *testing.T) {
	codec := encoding.GetCodecV2(snapshotCodecName)
	for round := range byte(5) {
		chunk := func(fill byte) []byte {
			b := *rpc.Buffers.Get(3000)
			for i := range b {
				b[i] = fill
			}
			return b
		}
		data, err := codec.Marshal(&bepb.FetchSnapshotResponse{Chunk: chunk(round), More: [][]byte{chunk(round + 100), chunk(round + 200)}})
		if err != nil {
			t.Fatal(err)
		}
		got := &bepb.FetchSnapshotResponse{}
		if err := codec.Unmarshal(data, got); err != nil {
			t.Fatal(err)
		}
		data.Free() // what was sent may be written over from here on
		for range 3 {
			chunk(0xEE)
		}
		for i, b := range append([][]byte{got.Chunk}, got.More...) {
			if want := bytes.Repeat([]byte{round + byte(i)*100}, 3000); !bytes.Equal(b, want) {
				t.Fatalf("round %d: chunk %d has changed", round, i)
			}
			rpc.Buffers.Put(&b)
			chunk(0xEE)
		}
	}
}

// FuzzSnapshotCodec: what protobuf refuses is refused, what it takes is taken alike.
func FuzzSnapshotCodec(f *testing.F) {
	good, err := pb.Marshal(&bepb.FetchSnapshotResponse{Version: 3, Chunk: []byte("abc"), More: [][]byte{[]byte("d")}, Last: true})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)-3])
	f.Add([]byte{0x22, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, b []byte) {
		want, got := &bepb.FetchSnapshotResponse{}, &bepb.FetchSnapshotResponse{}
		wantErr := pb.Unmarshal(b, want)
		err := encoding.GetCodecV2(snapshotCodecName).Unmarshal(mem.BufferSlice{mem.SliceBuffer(b)}, got)
		if wantErr != nil {
			return // protobuf also refuses field numbers and groups that this codec never looks into
		}
		if err != nil || string(want.Chunk) != string(got.Chunk) || len(want.More) != len(got.More) || want.Version != got.Version {
			t.Fatalf("%v, want %v: %v", got, want, err)
		}
	})
}
