package command

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"

	"stele/meta/command/canon"
)

// The encoded form of a command:
//
//	offset 0  "SC"            magic
//	       2  format version  1
//	       3  body version    of this command type
//	       4  command type    big endian, 16 bits
//	       6  name length     1..63
//	       7  name            ASCII, so that even an unknown command can be named
//	       …  body            CBOR, core deterministic, integer keys
//
// The body of a batch is not CBOR but a sequence of (length, 32 bits big endian; encoded command).
const (
	magic         = "SC"
	formatVersion = 1
	headerSize    = 7
	maxName       = 63
)

// Bounds of an encoded command. Raft sends and stores an entry as one piece.
const (
	MaxEncodedSize   = 48 << 20 // the log store takes entries of less than 64 MiB
	MaxBatchCommands = 4096
)

// ErrCorrupt is wrapped by errors about bytes that are not an encoded command at all.
var ErrCorrupt = errors.New("corrupt command")

// UnknownError refuses a command that this binary does not know: it was proposed by a newer one.
type UnknownError struct {
	Format  uint8  // format version of the header
	Type    Type   // command type number
	Name    string // as its proposer calls it
	Version uint8  // body version
	Knows   uint8  // newest body version that this binary knows, 0 = the type is unknown
	Field   bool   // a record within it has a field that this binary does not know
}

func (e *UnknownError) Error() string {
	if e.Format != formatVersion {
		return fmt.Sprintf("command format %d is newer than %d: upgrade this FE", e.Format, formatVersion)
	}
	if e.Field {
		return fmt.Sprintf("command %q carries a field that this binary does not know: upgrade this FE", e.Name)
	}
	if e.Knows == 0 {
		return fmt.Sprintf("command %q (type %d, version %d) is unknown to this binary: upgrade this FE", e.Name, uint16(e.Type), e.Version)
	}
	return fmt.Sprintf("command %q is of version %d, this binary knows up to %d: upgrade this FE", e.Name, e.Version, e.Knows)
}

// Encode returns the log form of a command.
func Encode(c Command) ([]byte, error) {
	if b, ok := c.(*Batch); ok {
		return encodeBatch(b)
	}
	s, ok := specs[c.Type()]
	if !ok {
		return nil, fmt.Errorf("encode command type %d: not registered", c.Type())
	}
	if commit, ok := c.(*CommitTxn); ok {
		out := appendHeader(make([]byte, 0, headerSize+len(s.name)+roomOf(commit)), s.version, s.typ, s.name)
		return bounded(appendCommit(out, commit), s.name)
	}
	body, err := canon.Enc.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encode command %s: %w", s.name, err)
	}
	out := appendHeader(make([]byte, 0, headerSize+len(s.name)+len(body)), s.version, s.typ, s.name)
	return bounded(append(out, body...), s.name)
}

// commitRoom is enough for a commit to one tablet of three replicas.
const commitRoom = 64

func appendHeader(out []byte, version uint8, t Type, name string) []byte {
	out = append(out, magic...)
	out = append(out, formatVersion, version)
	out = binary.BigEndian.AppendUint16(out, uint16(t))
	out = append(out, byte(len(name)))
	return append(out, name...)
}

func bounded(b []byte, name string) ([]byte, error) {
	if len(b) > MaxEncodedSize {
		return nil, fmt.Errorf("encode command %s: %d bytes exceed the limit of %d", name, len(b), MaxEncodedSize)
	}
	return b, nil
}

func encodeBatch(b *Batch) ([]byte, error) {
	encoded := make([][]byte, len(b.Commands))
	for i, c := range b.Commands {
		if c.Type() == TypeBatch {
			return nil, errors.New("encode batch: a batch cannot hold a batch")
		}
		var err error
		if encoded[i], err = Encode(c); err != nil {
			return nil, err
		}
	}
	return EncodeBatch(encoded)
}

// EncodeBatch returns the log form of a batch of commands that are encoded already.
func EncodeBatch(encoded [][]byte) ([]byte, error) {
	if len(encoded) > MaxBatchCommands {
		return nil, fmt.Errorf("encode batch: %d commands exceed the limit of %d", len(encoded), MaxBatchCommands)
	}
	size := headerSize + len(batchName)
	for _, e := range encoded {
		size += 4 + len(e)
	}
	out := appendHeader(make([]byte, 0, size), 1, TypeBatch, batchName)
	for _, e := range encoded {
		out = binary.BigEndian.AppendUint32(out, uint32(len(e)))
		out = append(out, e...)
	}
	return bounded(out, batchName)
}

// Decode reads what Encode wrote. Errors are *UnknownError (a newer binary wrote it) or wrap ErrCorrupt.
func Decode(b []byte) (Command, error) {
	if len(b) > MaxEncodedSize {
		return nil, fmt.Errorf("%w: %d bytes", ErrCorrupt, len(b))
	}
	if len(b) < headerSize || string(b[:2]) != magic {
		return nil, fmt.Errorf("%w: no header", ErrCorrupt)
	}
	if b[2] != formatVersion {
		return nil, &UnknownError{Format: b[2]}
	}
	version, t, nameLen := b[3], Type(binary.BigEndian.Uint16(b[4:6])), int(b[6])
	if nameLen == 0 || nameLen > maxName || len(b) < headerSize+nameLen {
		return nil, fmt.Errorf("%w: name of %d bytes in a command of %d", ErrCorrupt, nameLen, len(b))
	}
	name, body := string(b[headerSize:headerSize+nameLen]), b[headerSize+nameLen:]
	if t == TypeBatch && name == batchName {
		return decodeBatch(body, version)
	}
	s, ok := specs[t]
	if !ok || s.name != name {
		return nil, &UnknownError{Format: b[2], Type: t, Name: name, Version: version}
	}
	if version == 0 || version > s.version {
		return nil, &UnknownError{Format: b[2], Type: t, Name: name, Version: version, Knows: s.version}
	}
	if t == TypeCommitTxn {
		if c, ok := readCommit(body); ok {
			return c, nil
		}
	}
	c := s.make()
	if err := canon.Dec.Unmarshal(body, c); err != nil {
		if field := (*cbor.UnknownFieldError)(nil); errors.As(err, &field) {
			return nil, &UnknownError{Format: b[2], Type: t, Name: name, Version: version, Knows: s.version, Field: true}
		}
		return nil, fmt.Errorf("%w: %s: %w", ErrCorrupt, name, err)
	}
	return c, nil
}

func decodeBatch(body []byte, version uint8) (Command, error) {
	if version != 1 {
		return nil, &UnknownError{Format: formatVersion, Type: TypeBatch, Name: batchName, Version: version, Knows: 1}
	}
	out := &Batch{}
	for len(body) > 0 {
		if len(out.Commands) == MaxBatchCommands {
			return nil, fmt.Errorf("%w: more than %d commands in a batch", ErrCorrupt, MaxBatchCommands)
		}
		if len(body) < 4 || uint64(binary.BigEndian.Uint32(body)) > uint64(len(body)-4) {
			return nil, fmt.Errorf("%w: truncated batch", ErrCorrupt)
		}
		n := binary.BigEndian.Uint32(body)
		c, err := Decode(body[4 : 4+n])
		if err != nil {
			return nil, err
		}
		if c.Type() == TypeBatch {
			return nil, fmt.Errorf("%w: a batch within a batch", ErrCorrupt)
		}
		out.Commands = append(out.Commands, c)
		body = body[4+n:]
	}
	return out, nil
}
