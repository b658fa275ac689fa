// Package groups is the form of a large write: rows that are encoded as row groups before they are sent. Every replica stores
// them as they are, under its own identity, as the rowset that the write becomes. A frontend makes one of the rows of a load, or
// a leader of rows that it has checked.
//
// A payload holds puts alone, in key order, one row a key:
//
//	magic, format 3, schema version, rows, number of row groups; per row group its rows, bytes, first and last key; the row
//	groups, of rowset 0 of incarnation 0; XXH3 of all that precedes
//
// The package owns this form and nothing else: it stores nothing, and what is inside a row group is rowset's matter.
package groups

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"sort"

	"github.com/zeebo/xxh3"

	"stele/meta/types"
	"stele/sql/rowset"
	"stele/sql/vec"
)

const (
	// Magic and Format begin a payload.
	Magic  = 0x57
	Format = 3
	// MaxRows and MaxBytes bound one payload; larger writes are several parts.
	MaxRows  = 1 << 20
	MaxBytes = 64 << 20
	// GroupRows is the most rows of a row group, RawBytes how many bytes of rows end it before.
	GroupRows = rowset.MaxGroupRows
	RawBytes  = 8 << 20
)

var (
	// ErrPayload says that bytes are no payload, or a damaged one.
	ErrPayload = errors.New("malformed write payload")
	// ErrTooLarge says that rows are too many for one payload.
	ErrTooLarge = errors.New("write is too large for one payload")
)

// Group is one row group: its bytes, and what a payload says of them. Keys ascend from MinKey to MaxKey.
type Group struct {
	Rows           int
	MinKey, MaxKey []byte
	Val            []byte
}

// Encode encodes rows as row groups. They have the columns of the schema in order, and keys are theirs: ascending, each another.
func Encode(schema *types.Schema, rows *vec.Batch, keys [][]byte) []Group {
	if len(keys) != rows.N || rows.Sel != nil || len(rows.Cols) != len(schema.Columns) {
		panic(fmt.Sprintf("BUG: group %d rows of %d columns with %d keys", rows.N, len(rows.Cols), len(keys)))
	}
	cols := rowset.Columns{Filtered: schema.Indexed}
	for i := range schema.Columns {
		cols.IDs = append(cols.IDs, schema.Columns[i].ID)
	}
	cols.IDs = append(cols.IDs, rowset.VersionColumn)
	versions := vec.New(rowset.VersionType, min(rows.N, rowset.MaxGroupRows))
	var out []Group
	for from := 0; from < rows.N; {
		to := end(rows, from)
		cols.Vecs = cols.Vecs[:0]
		for _, v := range rows.Cols {
			cols.Vecs = append(cols.Vecs, v.Slice(from, to))
		}
		cols.Vecs = append(cols.Vecs, versions.Slice(0, to-from))
		val := rowset.EncodeGroup(rowset.GroupID{Group: uint32(len(out))}, cols, keys[from:to])
		out = append(out, Group{Rows: to - from, MinKey: bytes.Clone(keys[from]), MaxKey: bytes.Clone(keys[to-1]), Val: val})
		from = to
	}
	return out
}

// end returns where the row group ends that begins at row from.
func end(rows *vec.Batch, from int) int {
	raw := 0
	for to := from; ; {
		n, bytes := Fit(rows.Cols, to, rows.N, raw)
		to, raw = to+n, raw+bytes
		if to == rows.N || to-from >= rowset.MaxGroupRows || raw >= RawBytes {
			return to
		}
	}
}

// Fit returns how many of the rows [from, to) of vectors come into a row group next that has raw bytes of rows and is not full: a batch of
// them, and fewer of wide ones, but one at least. bytes is what they have. Whoever reads rows of the group has a batch in memory at once,
// and who writes it all of the group, so wide rows go beyond RawBytes by an eighth at most, or by one row.
func Fit(cols []*vec.Vector, from, to, raw int) (n, bytes int) {
	most := min(to-from, vec.MaxRows)
	room := RawBytes - raw + RawBytes/8
	if bytes = sizeOf(cols, from, from+most); bytes <= room {
		return most, bytes
	}
	n = max(1, sort.Search(most, func(i int) bool { return sizeOf(cols, from, from+i+1) > room }))
	return n, sizeOf(cols, from, from+n)
}

// sizeOf is how many bytes the rows [from, to) have: about what they take in memory.
func sizeOf(cols []*vec.Vector, from, to int) int {
	n := 8 * (to - from) * len(cols)
	for _, v := range cols {
		if v.Off != nil {
			n += int(v.Off[to] - v.Off[from])
		}
	}
	return n
}

// Payload is an opened payload, or one in the making: row groups whose keys ascend from each to the next.
type Payload struct {
	Schema uint64
	Groups []Group
}

// Rows counts the rows.
func (p *Payload) Rows() int {
	n := 0
	for i := range p.Groups {
		n += p.Groups[i].Rows
	}
	return n
}

// Encode returns the bytes of the payload. It numbers the row groups, in place.
func (p *Payload) Encode() ([]byte, error) {
	if n := p.Rows(); n > MaxRows {
		return nil, fmt.Errorf("%d rows: %w", n, ErrTooLarge)
	}
	size := 64
	for i := range p.Groups {
		g := &p.Groups[i]
		rowset.Stamp(rowset.GroupID{Group: uint32(i)}, g.Val)
		size += len(g.Val) + len(g.MinKey) + len(g.MaxKey) + 4*binary.MaxVarintLen32
	}
	out := append(make([]byte, 0, size), Magic, Format)
	out = binary.AppendUvarint(out, p.Schema)
	out = binary.AppendUvarint(out, uint64(p.Rows()))
	out = binary.AppendUvarint(out, uint64(len(p.Groups)))
	for i := range p.Groups {
		g := &p.Groups[i]
		out = binary.AppendUvarint(out, uint64(g.Rows))
		out = binary.AppendUvarint(out, uint64(len(g.Val)))
		out = append(binary.AppendUvarint(out, uint64(len(g.MinKey))), g.MinKey...)
		out = append(binary.AppendUvarint(out, uint64(len(g.MaxKey))), g.MaxKey...)
	}
	for i := range p.Groups {
		out = append(out, p.Groups[i].Val...)
	}
	out = binary.LittleEndian.AppendUint64(out, xxh3.Hash(out))
	if len(out) > MaxBytes {
		return nil, fmt.Errorf("%d bytes: %w", len(out), ErrTooLarge)
	}
	return out, nil
}

// Is reports whether bytes may be a payload of this form.
func Is(payload []byte) bool { return len(payload) > 2 && payload[0] == Magic && payload[1] == Format }

// Open checks a payload, but for the insides of the row groups: its checksum covers them. What it returns aliases payload.
func Open(payload []byte) (*Payload, error) {
	last := len(payload) - 8
	if last < 2 || !Is(payload) || len(payload) > MaxBytes || xxh3.Hash(payload[:last]) != binary.LittleEndian.Uint64(payload[last:]) {
		return nil, fmt.Errorf("grouped write of %d bytes: %w", len(payload), ErrPayload)
	}
	r := &reader{src: payload[2:last]}
	p := &Payload{Schema: r.uvarint()}
	rows, n := r.uvarint(), r.uvarint()
	if r.failed || rows > MaxRows || n > rows {
		return nil, fmt.Errorf("grouped write of %d rows in %d row groups: %w", rows, n, ErrPayload)
	}
	var sizes []uint64
	for range n {
		g := Group{Rows: int(uint32(r.uvarint()))}
		sizes = append(sizes, r.uvarint())
		g.MinKey = bytes.Clone(r.take(r.uvarint()))
		g.MaxKey = bytes.Clone(r.take(r.uvarint()))
		p.Groups = append(p.Groups, g)
	}
	for i, size := range sizes {
		p.Groups[i].Val = r.take(size)
	}
	if r.failed || len(r.src) != 0 || uint64(p.Rows()) != rows {
		return nil, fmt.Errorf("grouped write: %w", ErrPayload)
	}
	return p, nil
}

// reader reads what Encode wrote; after the first error it returns zeros.
type reader struct {
	src    []byte
	failed bool
}

func (r *reader) uvarint() uint64 {
	x, n := binary.Uvarint(r.src)
	if n <= 0 {
		r.failed, r.src = true, nil
		return 0
	}
	r.src = r.src[n:]
	return x
}

func (r *reader) take(n uint64) []byte {
	if n > uint64(len(r.src)) {
		r.failed = true
		return nil
	}
	out := r.src[:n:n]
	r.src = r.src[n:]
	return out
}
