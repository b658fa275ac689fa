package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/zeebo/xxh3"

	"stele/meta/types"
	"stele/sql/rowset"
	"stele/sql/rowset/groups"
	"stele/sql/vec"
)

const (
	writeMagic  = groups.Magic
	writeFormat = 2 // 1 had no runs
	// MaxRows is the most rows of one payload; larger writes are several parts.
	MaxRows = groups.MaxRows
	// MaxBytes is the most bytes of one payload.
	MaxBytes = groups.MaxBytes

	opsAllPut    = 0
	opsAllDelete = 1
	opsMixed     = 2
)

// ErrSchema says that a write is of a schema which the replica has not heard of yet.
var ErrSchema = errors.New("schema of the write is not known here")

// Encode encodes rows, which have the columns of the schema in order, as the logical payload that travels between
// replicas, is kept as pending and is shipped by incremental clones. ops holds Put or Delete for each row that counts;
// of a deleted row only the key columns matter, and of one that only deletes rows no others are in it. The payload carries the ids and types of its columns, so that a replica
// with another schema version can read it, and an XXH3 over all of it.
func Encode(schema *types.Schema, ops []types.RowOp, rows *vec.Batch) ([]byte, error) {
	if len(ops) != rows.Rows() || len(rows.Cols) != len(schema.Columns) {
		panic(fmt.Sprintf("BUG: encode write of %d ops, %d rows, %d columns for a schema of %d columns", len(ops), rows.Rows(), len(rows.Cols), len(schema.Columns)))
	}
	if len(ops) > MaxRows {
		return nil, fmt.Errorf("%d rows: %w", len(ops), groups.ErrTooLarge)
	}
	rows = compact(rows)
	out := append(make([]byte, 0, sizeHint(rows)), writeMagic, writeFormat)
	out = binary.AppendUvarint(out, uint64(schema.Version))
	out = binary.AppendUvarint(out, uint64(len(ops)))
	out, err := appendOps(out, ops)
	if err != nil {
		return nil, err
	}
	out = binary.AppendUvarint(out, uint64(len(schema.Columns)))
	for i := range schema.Columns {
		out = appendColumnHeader(out, &schema.Columns[i])
	}
	keys := !slices.Contains(ops, types.OpPut)
	for i, v := range rows.Cols {
		for from := 0; from < rows.N; from += vec.MaxRows {
			n := min(vec.MaxRows, rows.N-from)
			if keys && !slices.Contains(schema.Key, schema.Columns[i].ID) {
				out = appendSized(out, &absent, 0, n)
				continue
			}
			out = appendSized(out, v, from, from+n)
		}
	}
	out = binary.LittleEndian.AppendUint64(out, xxh3.Hash(out))
	if len(out) > MaxBytes {
		return nil, fmt.Errorf("%d bytes: %w", len(out), groups.ErrTooLarge)
	}
	return out, nil
}

// absent stands for a column of rows that are deleted. Nobody changes it.
var absent = vec.Vector{N: vec.MaxRows, Valid: make([]uint64, vec.MaxRows/64)}

// appendSized appends the rows [from, to) of v behind the length of what they are encoded as, which most often takes one byte.
func appendSized(out []byte, v *vec.Vector, from, to int) []byte {
	at := len(out)
	out = rowset.AppendVector(append(out, 0), v, from, to)
	var head [binary.MaxVarintLen64]byte
	n := binary.PutUvarint(head[:], uint64(len(out)-at-1))
	if n > 1 {
		out = append(out, head[1:n]...) // room
		copy(out[at+n:], out[at+1:len(out)-n+1])
	}
	copy(out[at:], head[:n])
	return out
}

// sizeHint is about how many bytes a payload of a few rows takes.
func sizeHint(rows *vec.Batch) int {
	size := 40
	for _, v := range rows.Cols {
		size += 28 + min(len(v.Data), 4<<10)
	}
	return size
}

// Decode reads a payload as rows of the schema: columns that the writer did not know have what rows older than
// them have; columns that the schema has no more are dropped. A payload
// of a newer schema is ErrSchema.
func Decode(schema *types.Schema, payload []byte) ([]types.RowOp, *vec.Batch, error) {
	if IsGrouped(payload) {
		g, err := OpenGrouped(payload)
		if err != nil {
			return nil, nil, err
		}
		return g.decode(schema)
	}
	r, err := openWrite(payload)
	if err != nil {
		return nil, nil, err
	}
	if err := knowsSchema(schema, r.Uvarint()); err != nil { // columns are matched by id
		return nil, nil, err
	}
	n := int(r.Uvarint())
	ops := r.ops(n)
	heads, count := r.columns()
	if r.Err != nil {
		return nil, nil, r.Err
	}
	b := &vec.Batch{N: n, Cols: make([]*vec.Vector, len(schema.Columns))}
	budget := int64(maxDecodedBytes)
	room := newDecodeRoom(n, count)
	for range count {
		id, typ := heads.column()
		v := room.vector(typ)
		r.vector(v, typ, n, &budget)
		if r.Err != nil {
			return nil, nil, fmt.Errorf("column %d: %w", id, r.Err)
		}
		at := schema.ColumnIndex(id)
		if at < 0 {
			continue
		}
		if v.Type.Phys() != schema.Columns[at].Type.Phys() || b.Cols[at] != nil {
			return nil, nil, fmt.Errorf("column %d is twice there or stored in another form: %w", id, groups.ErrPayload)
		}
		v.Type = schema.Columns[at].Type
		b.Cols[at] = v
	}
	if len(r.Src) != 0 {
		return nil, nil, fmt.Errorf("%d bytes after the last column: %w", len(r.Src), groups.ErrPayload)
	}
	for i, v := range b.Cols {
		if v == nil {
			b.Cols[i] = rowset.Initial(&schema.Columns[i], n)
		}
	}
	return ops, b, nil
}

// knowsSchema refuses a sound payload of a newer schema: columns that the replica does not know would be lost.
func knowsSchema(schema *types.Schema, version uint64) error {
	if version > uint64(schema.Version) {
		return fmt.Errorf("schema version %d, the replica has %d: %w", version, schema.Version, ErrSchema)
	}
	return nil
}

// maxDecodedBytes bounds the memory that one payload may decode to.
const maxDecodedBytes = 1 << 30

// writeReader reads a write.
type writeReader struct {
	Reader
	part *vec.Vector // room for a block of a column that has several
}

func openWrite(payload []byte) (r writeReader, err error) {
	end := len(payload) - 8
	if end < 2 || payload[0] != writeMagic || payload[1] != writeFormat || len(payload) > MaxBytes {
		return r, fmt.Errorf("%d bytes: %w", len(payload), groups.ErrPayload)
	}
	if xxh3.Hash(payload[:end]) != binary.LittleEndian.Uint64(payload[end:]) {
		return r, fmt.Errorf("checksum: %w", groups.ErrPayload)
	}
	return writeReader{Reader: Reader{Src: payload[2:end]}}, nil
}

func (r *writeReader) ops(n int) []types.RowOp {
	if n < 0 || n > MaxRows {
		r.Err = groups.ErrPayload
		return nil
	}
	mode := r.Take(1)
	if r.Err != nil {
		return nil
	}
	ops := make([]types.RowOp, n)
	switch mode[0] {
	case opsAllPut:
	case opsAllDelete:
		for i := range ops {
			ops[i] = types.OpDelete
		}
	case opsMixed:
		bits := r.Take(uint64(n+7) / 8)
		if r.Err != nil {
			return nil
		}
		for i := range ops {
			ops[i] = types.RowOp(bits[i>>3] >> (i & 7) & 1)
		}
	default:
		r.Err = groups.ErrPayload
	}
	return ops
}

// columns passes over the heads of the columns and returns a reader of them, and how many there are.
func (r *writeReader) columns() (heads writeReader, n int) {
	count := r.Uvarint()
	heads.Src = r.Src
	for range count {
		if r.column(); r.Err != nil {
			return writeReader{}, 0
		}
		n++
	}
	return heads, n
}

func (r *writeReader) column() (types.ColumnID, types.ColumnType) {
	id := types.ColumnID(r.Uvarint())
	b := r.Take(2)
	length, scale := r.Uvarint(), r.Uvarint()
	if r.Err != nil {
		return 0, types.ColumnType{}
	}
	return id, types.ColumnType{Kind: types.Kind(b[0]), Unsigned: b[1] == 1, Length: int32(length), Scale: int32(scale)}
}

// decodeRoom is the memory of decoded columns: of one row, which most writes are, few pieces.
type decodeRoom struct {
	vectors []vec.Vector
	ints    []int64
	offs    []uint32
}

func newDecodeRoom(rows, columns int) decodeRoom {
	d := decodeRoom{vectors: make([]vec.Vector, columns)}
	if rows == 1 {
		d.ints, d.offs = make([]int64, columns), make([]uint32, 2*columns)
	}
	return d
}

// vector returns the next column, empty.
func (d *decodeRoom) vector(t types.ColumnType) *vec.Vector {
	v := &d.vectors[0]
	d.vectors = d.vectors[1:]
	switch {
	case len(d.ints) == 0:
	case t.Phys() == types.PhysInt64:
		v.I64, d.ints = d.ints[:0:1], d.ints[1:]
	case t.Phys() == types.PhysBytes:
		v.Off, d.offs = d.offs[:0:2], d.offs[2:]
	}
	return v
}

// vector fills v with the next column.
func (r *writeReader) vector(v *vec.Vector, t types.ColumnType, n int, budget *int64) {
	if n > 0 && n <= vec.MaxRows {
		r.block(v, t, n, budget)
		return
	}
	*v = *rowset.NewVector(t, n)
	if r.part == nil {
		r.part = &vec.Vector{}
	}
	for from := 0; from < n; from += vec.MaxRows {
		rows := min(vec.MaxRows, n-from)
		if r.block(r.part, t, rows, budget); r.Err != nil {
			return
		}
		if from == 0 { // the others are about as long
			v.Data = slices.Grow(v.Data, min(len(r.part.Data)*n/rows*9/8, maxHint))
		}
		rowset.AppendRange(v, r.part, 0, rows)
	}
}

// maxHint bounds the room for values that are not known yet.
const maxHint = 1 << 20

func (r *writeReader) block(v *vec.Vector, t types.ColumnType, n int, budget *int64) {
	src := r.Take(r.Uvarint())
	if r.Err != nil {
		return
	}
	if err := rowset.DecodeVectorTo(v, t, n, src); err != nil {
		r.Err = fmt.Errorf("%w: %w", groups.ErrPayload, err)
		return
	}
	if *budget -= int64(len(v.Data) + 16*n); *budget < 0 {
		r.Err = fmt.Errorf("decodes to too many bytes: %w", groups.ErrPayload)
	}
}

// RowsOf returns how many rows a payload has that is not grouped, as far as its head tells.
func RowsOf(payload []byte) uint64 {
	r := &Reader{Src: payload[min(2, len(payload)):]}
	r.Uvarint() // schema version
	return r.Uvarint()
}

// Removes reports whether a payload only deletes rows.
func Removes(payload []byte) bool {
	if IsGrouped(payload) {
		return false
	}
	r := &Reader{Src: payload[min(2, len(payload)):]}
	r.Uvarint() // schema version
	r.Uvarint() // rows
	mode := r.Take(1)
	return r.Err == nil && mode[0] == opsAllDelete
}

func appendOps(out []byte, ops []types.RowOp) ([]byte, error) {
	deletes := 0
	for _, op := range ops {
		switch op {
		case types.OpPut:
		case types.OpDelete:
			deletes++
		default:
			return nil, fmt.Errorf("row operation %d: %w", op, groups.ErrPayload)
		}
	}
	switch deletes {
	case 0:
		return append(out, opsAllPut), nil
	case len(ops):
		return append(out, opsAllDelete), nil
	}
	out = append(out, opsMixed)
	bits := make([]byte, (len(ops)+7)/8)
	for i, op := range ops {
		bits[i>>3] |= byte(op) << (i & 7)
	}
	return append(out, bits...), nil
}

func appendColumnHeader(out []byte, c *types.Column) []byte {
	out = binary.AppendUvarint(out, uint64(c.ID))
	unsigned := byte(0)
	if c.Type.Unsigned {
		unsigned = 1
	}
	out = append(out, byte(c.Type.Kind), unsigned)
	out = binary.AppendUvarint(out, uint64(uint32(c.Type.Length)))
	return binary.AppendUvarint(out, uint64(uint32(c.Type.Scale)))
}

// compact returns the rows that count in b, without a selection.
func compact(b *vec.Batch) *vec.Batch {
	if b.Sel == nil {
		return b
	}
	out := &vec.Batch{N: len(b.Sel)}
	for _, v := range b.Cols {
		o := rowset.NewVector(v.Type, len(b.Sel))
		for _, row := range b.Sel {
			rowset.AppendRow(o, v, int(row))
		}
		out.Cols = append(out.Cols, o)
	}
	return out
}
