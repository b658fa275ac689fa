package peer

import (
	"encoding/binary"
	"fmt"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	pb "google.golang.org/protobuf/proto"

	"stele/meta/rpc"
	"stele/proto/bepb"
)

// snapshotCodec is protobuf on the wire, but the chunks of a full clone are handed to the transport, and taken from it, as
// they are, in buffers that are used again: each copy of them that protobuf makes costs a clone a tenth of its CPU, and as much each
// new buffer, for the pages that it touches first. A BE that does not know the name takes
// plain protobuf, which is the same.
type snapshotCodec struct{ encoding.CodecV2 }

const snapshotCodecName = "stele-snapshot"

// inSnapshots has a call use snapshotCodec on both sides.
var inSnapshots = grpc.CallContentSubtype(snapshotCodecName)

func init() { encoding.RegisterCodecV2(snapshotCodec{encoding.GetCodecV2(proto.Name)}) }

func (snapshotCodec) Name() string { return snapshotCodecName }

// Field numbers of FetchSnapshotResponse.
const (
	fieldChunk = 4
	fieldMore  = 9
)

// Marshal takes the chunks of a message over: once they are sent they go to rpc.Buffers.
func (c snapshotCodec) Marshal(v any) (mem.BufferSlice, error) {
	m, ok := v.(*bepb.FetchSnapshotResponse)
	if !ok {
		return c.CodecV2.Marshal(v)
	}
	rest := &bepb.FetchSnapshotResponse{Version: m.Version, TotalBytes: m.TotalBytes, Schema: m.Schema, Digest: m.Digest, Rows: m.Rows,
		Last: m.Last, Seq: m.Seq, KeptBytes: m.KeptBytes}
	head, err := pb.Marshal(rest)
	if err != nil {
		return nil, fmt.Errorf("encode snapshot message: %w", err)
	}
	var out mem.BufferSlice
	add := func(field protowire.Number, chunk []byte) {
		head = protowire.AppendTag(head, field, protowire.BytesType)
		head = protowire.AppendVarint(head, uint64(len(chunk)))
		out = append(out, mem.SliceBuffer(head), mem.NewBuffer(&chunk, rpc.Buffers))
		head = nil
	}
	if len(m.Chunk) > 0 {
		add(fieldChunk, m.Chunk)
	}
	for _, chunk := range m.More {
		add(fieldMore, chunk)
	}
	if head != nil {
		out = append(out, mem.SliceBuffer(head))
	}
	return out, nil
}

// Unmarshal copies each chunk of a message once, into a buffer of rpc.Buffers, which is for who gets the message to put back.
func (c snapshotCodec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(*bepb.FetchSnapshotResponse)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	chunks := &bepb.FetchSnapshotResponse{}
	var rest []byte
	in := data.Reader()
	defer in.Close()
	for in.Remaining() > 0 {
		tag, err := binary.ReadUvarint(in)
		if err != nil {
			return fmt.Errorf("decode snapshot message: %w", err)
		}
		field, kind := protowire.DecodeTag(tag)
		if kind == protowire.BytesType && (field == fieldChunk || field == fieldMore) {
			if err = takeChunk(in, chunks, field); err != nil {
				return fmt.Errorf("decode snapshot message: %w", err)
			}
			continue
		}
		rest = protowire.AppendVarint(rest, tag)
		if rest, ok = appendField(rest, in, kind); !ok {
			return c.CodecV2.Unmarshal(data, v) // it knows what to say
		}
	}
	if err := pb.Unmarshal(rest, m); err != nil {
		return fmt.Errorf("decode snapshot message: %w", err)
	}
	m.Chunk, m.More = chunks.Chunk, chunks.More
	return nil
}

// takeChunk reads a chunk; as with protobuf, the last one of a field that has but one is it.
func takeChunk(in *mem.Reader, to *bepb.FetchSnapshotResponse, field protowire.Number) error {
	size, err := binary.ReadUvarint(in)
	if err != nil {
		return err
	}
	if size > uint64(in.Remaining()) {
		return io.ErrUnexpectedEOF
	}
	chunk := *rpc.Buffers.Get(int(size))
	if _, err := io.ReadFull(in, chunk); err != nil {
		return err
	}
	if field == fieldChunk {
		to.Chunk = chunk
	} else {
		to.More = append(to.More, chunk)
	}
	return nil
}

// appendField copies a field behind its tag; ok is false for a group, and for what is no field.
func appendField(dst []byte, in *mem.Reader, kind protowire.Type) (out []byte, ok bool) {
	size := 0
	switch kind {
	case protowire.Fixed32Type:
		size = 4
	case protowire.Fixed64Type:
		size = 8
	case protowire.VarintType, protowire.BytesType:
		n, err := binary.ReadUvarint(in)
		if err != nil {
			return dst, false
		}
		dst = protowire.AppendVarint(dst, n)
		if kind == protowire.VarintType {
			return dst, true
		}
		if n > uint64(in.Remaining()) {
			return dst, false
		}
		size = int(n)
	default:
		return dst, false
	}
	at := len(dst)
	dst = append(dst, make([]byte, size)...)
	_, err := io.ReadFull(in, dst[at:])
	return dst, err == nil
}
