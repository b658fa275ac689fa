package peer

import (
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	pb "google.golang.org/protobuf/proto"

	"stele/proto/bepb"
)

// snapshotCodec is protobuf on the wire, but the chunks of a full clone are handed to the transport, and taken from it, as
// they are: each copy of them that protobuf makes costs a clone a tenth of its CPU. A BE that does not know the name takes
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

// Marshal keeps the chunks of a message: they must not change afterwards.
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
		out = append(out, mem.SliceBuffer(head), mem.SliceBuffer(chunk))
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

// Unmarshal lets the chunks of a message alias the one copy that is made of it.
func (c snapshotCodec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(*bepb.FetchSnapshotResponse)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	src := data.Materialize()
	var chunk []byte
	var more [][]byte
	var rest []byte
	for len(src) > 0 {
		field, kind, n := protowire.ConsumeField(src)
		if n < 0 {
			return fmt.Errorf("decode snapshot message: %w", protowire.ParseError(n))
		}
		body := src[:n:n]
		src = src[n:]
		if kind != protowire.BytesType || field != fieldChunk && field != fieldMore {
			rest = append(rest, body...)
			continue
		}
		_, _, tag := protowire.ConsumeTag(body)
		val, size := protowire.ConsumeBytes(body[tag:])
		if size < 0 {
			return fmt.Errorf("decode snapshot message: %w", protowire.ParseError(size))
		}
		if field == fieldChunk {
			chunk = val
		} else {
			more = append(more, val)
		}
	}
	if err := pb.Unmarshal(rest, m); err != nil {
		return fmt.Errorf("decode snapshot message: %w", err)
	}
	m.Chunk, m.More = chunk, more
	return nil
}
